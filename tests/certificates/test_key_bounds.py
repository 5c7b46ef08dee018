"""Which keys are accepted: RSA within bounds, and what TLS 1.3 has a signature scheme for."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.pki import KEY_TYPES, Leaf, Pki, key_of_type

from handclasp.certificates.key_bounds import cost_problem, key_problem, raw_key, usable_key
from handclasp.errors import CertificateError
from handclasp.faults import Fault


def rsa_key(bits: int, exponent: int = 65537) -> Any:
    """A public key alone: any odd number serves as the modulus of a key that nobody holds."""
    return rsa.RSAPublicNumbers(exponent, (1 << (bits - 1)) | 1).public_key()


@pytest.mark.parametrize("key_type", sorted(KEY_TYPES.keys() - {"secp256k1", "rsa-1024"}))
def test_good_keys(key_type: str) -> None:
    assert key_problem(key_of_type(key_type).public_key()) == ""


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (rsa_key(2047), "2047 bits"),
        (rsa_key(8193), "8193 bits"),
        (rsa_key(2048, 2**33 + 1), "the exponent 8589934593"),
        (rsa_key(2048, 2**100 + 1), "the exponent 101 bits"),
        (key_of_type("secp256k1").public_key(), "secp256k1"),
        (x25519.X25519PrivateKey.generate().public_key(), "X25519PublicKey"),
    ],
)
def test_bad_keys(key: Any, words: str) -> None:
    assert words in key_problem(key)


def test_the_bounds_themselves_are_good() -> None:
    for key in (rsa_key(2048, 3), rsa_key(8192), rsa_key(2048, 2**32 + 1)):
        assert key_problem(key) == ""


def test_issuers_are_held_to_what_is_slow_only() -> None:
    assert cost_problem(rsa_key(1024)) == ""  # The verifier refuses it if it comes to that.
    assert "9000 bits" in cost_problem(rsa_key(9000))
    assert "exponent" in cost_problem(rsa_key(2048, 2**64 + 1))
    assert cost_problem(key_of_type("ed25519").public_key()) == ""


def test_a_leaf_with_a_slow_exponent_is_refused() -> None:
    pki = Pki()
    certificate = pki.issue(Leaf(), rsa_key(2048, 2**40 + 1))
    with pytest.raises(CertificateError) as caught:
        usable_key(certificate, certificate.public_bytes(Encoding.DER))
    assert caught.value.fault is Fault.UNSUPPORTED_CERTIFICATE
    assert "exponent" in caught.value.detail


def test_raw_keys() -> None:
    key = key_of_type("ecdsa-p256").public_key()
    info = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert raw_key(info) == (key, False)
    weak = key_of_type("rsa-1024").public_key()
    weak_info = weak.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for data, fault in (
        (b"", Fault.BAD_CERTIFICATE),
        (info[:-1], Fault.BAD_CERTIFICATE),
        (info + b"\0", Fault.BAD_CERTIFICATE),
        (weak_info, Fault.UNSUPPORTED_CERTIFICATE),
    ):
        with pytest.raises(CertificateError) as caught:
            raw_key(data)
        assert caught.value.fault is fault
