"""The records of TLS 1.2: form, nonces, and everything that does not open."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from hypothesis import given, settings
from hypothesis import strategies as st

from handclasp.crypto.secret import Secret
from handclasp.crypto.suites import CIPHER_SUITES12
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.iana import ContentType
from handclasp.keys.traffic import TrafficKeys
from handclasp.record.protection12 import Protection12

DATA, ALERT = int(ContentType.APPLICATION_DATA), int(ContentType.ALERT)
GCM = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
CHACHA = "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"
suites = pytest.mark.parametrize("name", CIPHER_SUITES12)


def protection(name: str) -> Protection12:
    suite = CIPHER_SUITES12[name]
    key = Secret(bytes(range(suite.key_size)))
    iv = Secret(bytes(range(100, 100 + suite.fixed_iv_size)))
    return Protection12(TrafficKeys(suite, key, iv), suite)


def opened(name: str, record: bytes, limit: int = 2**14, sequence: int = 0) -> tuple[int, bytes]:
    reader = protection(name)
    reader.sequence = sequence
    reader.limit = limit
    return reader.open_record(memoryview(b"before" + record), 6, 6 + len(record))


def fault_of(name: str, record: bytes, limit: int = 2**14, sequence: int = 0) -> Fault:
    with pytest.raises(ProtocolError) as caught:
        opened(name, record, limit, sequence)
    return caught.value.fault


@suites
@given(st.binary(max_size=300), st.sampled_from([21, 22, 23]))
def test_what_is_sealed_opens(name: str, content: bytes, kind: int) -> None:
    writer, reader = protection(name), protection(name)
    for _ in range(3):
        record = writer.seal(kind, content)
        assert reader.open_record(record, 0, len(record)) == (kind, content)


def test_the_form_of_a_gcm_record() -> None:
    # RFC 5288 3: the nonce is 4 bytes of the key block and 8 that are sent.
    writer = protection(GCM)
    writer.seal(DATA, b"first")
    record = writer.seal(DATA, b"content")
    assert record[:13] == b"\x17\x03\x03" + (8 + 7 + 16).to_bytes(2, "big") + bytes(7) + b"\x01"
    nonce = bytes(range(100, 104)) + record[5:13]
    associated = bytes(7) + b"\x01" + b"\x17\x03\x03" + (7).to_bytes(2, "big")
    aead = AESGCM(bytes(range(16)))
    assert aead.decrypt(nonce, record[13:], associated) == b"content"


def test_the_form_of_a_chacha_record() -> None:
    # RFC 7905 2: the sequence number is xored into the IV, and nothing of it is sent.
    writer = protection(CHACHA)
    writer.seal(DATA, b"first")
    record = writer.seal(ALERT, b"\x01\x00")
    assert record[:5] == b"\x15\x03\x03" + (2 + 16).to_bytes(2, "big")
    iv = bytes(range(100, 112))
    nonce = iv[:-1] + bytes([iv[-1] ^ 1])
    associated = bytes(7) + b"\x01" + b"\x15\x03\x03\x00\x02"
    aead = ChaCha20Poly1305(bytes(range(32)))
    assert aead.decrypt(nonce, record[5:], associated) == b"\x01\x00"


@suites
def test_any_changed_byte_is_noticed(name: str) -> None:
    record = protection(name).seal(DATA, b"content")
    for at in range(len(record)):
        if at in (3, 4):
            continue  # The length; the layer below cuts by it.
        changed = bytearray(record)
        changed[at] ^= 1
        assert fault_of(name, bytes(changed)) is Fault.BAD_RECORD_MAC


@suites
def test_another_turn_is_noticed(name: str) -> None:
    record = protection(name).seal(DATA, b"content")
    assert opened(name, record) == (DATA, b"content")
    assert fault_of(name, record, sequence=1) is Fault.BAD_RECORD_MAC


@suites
def test_too_short_for_any_record(name: str) -> None:
    record = protection(name).seal(DATA, b"")
    for size in range(5, len(record)):
        assert fault_of(name, record[:size]) is Fault.BAD_RECORD_MAC


@suites
def test_too_much_content(name: str) -> None:
    record = protection(name).seal(DATA, bytes(101))
    assert fault_of(name, record, limit=100) is Fault.RECORD_OVERFLOW


@suites
@settings(deadline=None)
@given(st.binary(max_size=2000), st.integers(1, 300))
def test_many_are_as_one_by_one(name: str, content: bytes, size: int) -> None:
    many, single = protection(name), protection(name)
    expected = [single.seal(DATA, content[at : at + size]) for at in range(0, len(content), size)]
    assert many.seal_many(DATA, memoryview(content), size) == b"".join(expected)


@suites
def test_a_key_ends_before_its_numbers_do(name: str) -> None:
    writer = protection(name)
    writer.sequence = 2**64 - 1
    with pytest.raises(ProtocolError) as caught:
        writer.seal(DATA, b"x")
    assert caught.value.fault is Fault.KEY_EXHAUSTED


def test_there_is_no_padding() -> None:
    with pytest.raises(ValueError, match="padded"):
        protection(GCM).seal(DATA, b"x", 1)
