"""The cipher suites: their numbers, and known answers from outside for each AEAD."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.vectors.rfc8448_traces import load

from handclasp.crypto.suites import (
    CIPHER_SUITES,
    CIPHER_SUITES12,
    CIPHER_SUITES12_BY_CODE,
    CIPHER_SUITES_BY_CODE,
    DEFAULT_CIPHER_SUITES,
    IV_SIZE,
    RSA_KEY_TRANSPORT_SUITES,
    TAG_SIZE,
)
from handclasp.iana import CipherSuiteCode

suites = pytest.mark.parametrize("name", CIPHER_SUITES)


@pytest.mark.parametrize(
    ("name", "code", "hash_name", "hash_size", "key_size"),
    [
        ("TLS_AES_128_GCM_SHA256", 0x1301, "sha256", 32, 16),
        ("TLS_AES_256_GCM_SHA384", 0x1302, "sha384", 48, 32),
        ("TLS_CHACHA20_POLY1305_SHA256", 0x1303, "sha256", 32, 32),
        ("TLS_AES_128_CCM_SHA256", 0x1304, "sha256", 32, 16),
    ],
)
def test_the_table_of_appendix_b_4(
    name: str, code: int, hash_name: str, hash_size: int, key_size: int
) -> None:
    suite = CIPHER_SUITES[name]
    assert CIPHER_SUITES_BY_CODE[code] is suite
    assert CipherSuiteCode[name] == code
    assert (suite.hash_name, suite.hash_size, suite.key_size) == (hash_name, hash_size, key_size)


def test_there_is_one_entry_for_each_code() -> None:
    assert len(CIPHER_SUITES) == len(CIPHER_SUITES_BY_CODE)
    assert len(CIPHER_SUITES12) == len(CIPHER_SUITES12_BY_CODE)
    both = set(CIPHER_SUITES) | set(CIPHER_SUITES12)
    assert both == {code.name for code in CipherSuiteCode}
    assert set(DEFAULT_CIPHER_SUITES) <= both
    assert "TLS_AES_128_GCM_SHA256" in DEFAULT_CIPHER_SUITES  # RFC 8446 9.1: MUST


@pytest.mark.parametrize(
    ("name", "code", "key_exchange", "authentication", "hash_size", "key_size", "fixed_iv"),
    [
        ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", 0xC02B, "ECDHE", "ECDSA", 32, 16, 4),
        ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", 0xC02C, "ECDHE", "ECDSA", 48, 32, 4),
        ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", 0xC02F, "ECDHE", "RSA", 32, 16, 4),
        ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", 0xC030, "ECDHE", "RSA", 48, 32, 4),
        ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", 0xCCA8, "ECDHE", "RSA", 32, 32, 12),
        ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", 0xCCA9, "ECDHE", "ECDSA", 32, 32, 12),
        ("TLS_RSA_WITH_AES_128_GCM_SHA256", 0x009C, "RSA", "RSA", 32, 16, 4),
        ("TLS_RSA_WITH_AES_256_GCM_SHA384", 0x009D, "RSA", "RSA", 48, 32, 4),
    ],
)
def test_the_suites_of_tls12(
    name: str,
    code: int,
    key_exchange: str,
    authentication: str,
    hash_size: int,
    key_size: int,
    fixed_iv: int,
) -> None:
    suite = CIPHER_SUITES12[name]
    assert CIPHER_SUITES12_BY_CODE[code] is suite
    assert (suite.key_exchange, suite.authentication) == (key_exchange, authentication)
    assert (suite.hash_size, suite.key_size, suite.fixed_iv_size) == (hash_size, key_size, fixed_iv)
    assert suite.hash_name == {32: "sha256", 48: "sha384"}[hash_size]


def test_no_default_is_without_forward_secrecy() -> None:
    assert not set(RSA_KEY_TRANSPORT_SUITES) & set(DEFAULT_CIPHER_SUITES)
    assert all(CIPHER_SUITES12[name].key_exchange == "RSA" for name in RSA_KEY_TRANSPORT_SUITES)


@suites
def test_the_record_limits_of_section_5_5(name: str) -> None:
    # RFC 8446 5.5: 2^24.5 full records for GCM; RFC 9147 4.5.3 and B.2: 2^23 for CCM.
    suite = CIPHER_SUITES[name]
    most = {"GCM": 2**24.5, "CCM": 2**23, "CHACHA20": 2**62}
    kind = next(kind for kind in most if kind in name)
    assert 0 < suite.record_limit <= most[kind]


def test_aes_128_gcm_as_in_rfc_8448() -> None:
    keys = load("simple_1rtt").traffic_keys["client", "application"]
    record = load("simple_1rtt").records[5]
    assert record.name == "client_record_3"
    aead = CIPHER_SUITES["TLS_AES_128_GCM_SHA256"].aead(keys.key)
    sealed = aead.encrypt(keys.iv, record.payload + b"\x17", record.encoded[:5])
    assert sealed == record.encoded[5:]


def test_aes_256_gcm_as_in_the_gcm_specification() -> None:
    # Test case 14 of "The Galois/Counter Mode of Operation", McGrew and Viega.
    aead = CIPHER_SUITES["TLS_AES_256_GCM_SHA384"].aead(bytes(32))
    sealed = aead.encrypt(bytes(12), bytes(16), b"")
    expected = "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"
    assert sealed == bytes.fromhex(expected)


def test_chacha20_poly1305_as_in_rfc_8439() -> None:
    # RFC 8439 section 2.8.2
    plaintext = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you "
        b"only one tip for the future, sunscreen would be it."
    )
    nonce = bytes.fromhex("070000004041424344454647")
    associated_data = bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
    aead = CIPHER_SUITES["TLS_CHACHA20_POLY1305_SHA256"].aead(bytes(range(0x80, 0xA0)))
    sealed = aead.encrypt(nonce, plaintext, associated_data)
    assert sealed[:16].hex() == "d31a8d34648e60db7b86afbc53ef7ec2"
    assert sealed[-16:].hex() == "1ae10b594f09e26a7e902ecbd0600691"


def ccm_by_hand(key: bytes, nonce: bytes, plaintext: bytes, associated_data: bytes) -> bytes:
    """CCM of RFC 3610 with a tag of 16 bytes and a length field of 3, from AES alone."""

    def aes(block: bytes) -> bytes:
        return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(block)

    def padded(data: bytes) -> bytes:
        return data + bytes(-len(data) % 16)

    def xor(left: bytes, right: bytes) -> bytes:
        return bytes(a ^ b for a, b in zip(left, right, strict=False))

    def key_stream(counter: int) -> bytes:
        return aes(b"\x02" + nonce + counter.to_bytes(3, "big"))

    first = bytes([0x40 | (14 // 2) << 3 | 2]) + nonce + len(plaintext).to_bytes(3, "big")
    head = len(associated_data).to_bytes(2, "big") + associated_data
    mac = bytes(16)
    data = first + padded(head) + padded(plaintext)
    for start in range(0, len(data), 16):
        mac = aes(xor(mac, data[start : start + 16]))
    blocks = range(0, len(plaintext), 16)
    sealed = [xor(plaintext[at : at + 16], key_stream(at // 16 + 1)) for at in blocks]
    return b"".join(sealed) + xor(mac, key_stream(0))


@settings(max_examples=20, deadline=None)
@given(
    st.binary(min_size=16, max_size=16),
    st.binary(min_size=12, max_size=12),
    st.binary(max_size=70),
    st.binary(min_size=5, max_size=5),
)
def test_aes_128_ccm_as_rfc_3610_defines_it(
    key: bytes, nonce: bytes, plaintext: bytes, associated_data: bytes
) -> None:
    sealed = (
        CIPHER_SUITES["TLS_AES_128_CCM_SHA256"].aead(key).encrypt(nonce, plaintext, associated_data)
    )
    assert sealed == ccm_by_hand(key, nonce, plaintext, associated_data)


@suites
def test_sealing_adds_a_tag_and_opening_checks_it(name: str) -> None:
    suite = CIPHER_SUITES[name]
    aead = suite.aead(bytes(suite.key_size))
    sealed = aead.encrypt(bytes(IV_SIZE), b"content", b"header")
    assert len(sealed) == len(b"content") + TAG_SIZE
    assert aead.decrypt(bytes(IV_SIZE), sealed, b"header") == b"content"
    for at in range(len(sealed)):
        changed = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        with pytest.raises(InvalidTag):
            aead.decrypt(bytes(IV_SIZE), changed, b"header")
    with pytest.raises(InvalidTag):
        aead.decrypt(bytes(IV_SIZE), sealed, b"Header")


@suites
def test_sealing_in_place_is_the_same(name: str) -> None:
    suite = CIPHER_SUITES[name]
    aead = suite.aead(bytes(suite.key_size))
    out = bytearray(7 + TAG_SIZE)
    aead.encrypt_into(bytes(IV_SIZE), b"content", b"header", memoryview(out))
    assert out == aead.encrypt(bytes(IV_SIZE), b"content", b"header")


@suites
def test_a_key_of_another_size_is_a_defect(name: str) -> None:
    suite = CIPHER_SUITES[name]
    with pytest.raises(ValueError):
        suite.aead(bytes(suite.key_size - 1))
