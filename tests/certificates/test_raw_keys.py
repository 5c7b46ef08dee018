"""Raw public keys: one form for each key, whatever form the user gave it in."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from tests.pki import key_of_type, key_pem

from handclasp.certificates.raw_keys import declares_pss, key_of, public_key_info
from handclasp.errors import ConfigurationError

INFO = PublicFormat.SubjectPublicKeyInfo


def as_pss(info: bytes) -> bytes:
    """The same RSA key, declared as id-RSASSA-PSS; both say so in as many bytes with NULL."""
    plain, pss = (bytes.fromhex(f"06092a864886f70d0101{end}") for end in ("01", "0a"))
    assert info.count(plain) == 1
    return info.replace(plain, pss)


@pytest.mark.parametrize("key_type", ["ecdsa-p256", "rsa-2048", "ed25519", "ed448", "mldsa87"])
def test_der_and_pem_give_the_same(key_type: str) -> None:
    public_key = key_of_type(key_type).public_key()
    der = public_key.public_bytes(Encoding.DER, INFO)
    pem = public_key.public_bytes(Encoding.PEM, INFO)
    assert public_key_info(der) == public_key_info(pem) == der
    assert key_of(der) == key_of(pem) == public_key
    assert not declares_pss(der)


def test_a_compressed_point_is_the_same_key() -> None:
    public_key = key_of_type("ecdsa-p256").public_key()
    der = public_key.public_bytes(Encoding.DER, INFO)
    point = public_key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    head = bytearray(der[: -65 - 3] + b"\x03\x22\x00" + point)
    head[1] -= 32
    assert public_key_info(bytes(head)) == der


def test_pss_is_seen_in_each_form() -> None:
    key = key_of_type("rsa-2048")
    plain = key.public_key().public_bytes(Encoding.DER, INFO)
    assert declares_pss(as_pss(plain))
    assert not declares_pss(plain)
    assert not declares_pss(key_pem(key))
    assert not declares_pss(key_pem(key, b"secret"))
    assert not declares_pss(b"-----BEGIN PUBLIC KEY-----\nA\n-----END PUBLIC KEY-----\n")


@pytest.mark.parametrize("data", ["text", None, 5, b"", b"no key"])
def test_what_is_no_key(data: Any) -> None:
    with pytest.raises(ConfigurationError, match="raw public key must be"):
        public_key_info(data)


@given(st.binary(max_size=120), st.sampled_from([b"", b"\x30", b"-----BEGIN PUBLIC KEY-----\n"]))
def test_any_bytes(data: bytes, start: bytes) -> None:
    declares_pss(start + data)
    with pytest.raises(ConfigurationError):
        public_key_info(start + data)
