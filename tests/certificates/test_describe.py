"""What is shown of a certificate."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.pki import KEY_TYPES, Leaf, Pki, der_of, key_of_type

from handclasp.certificates.describe import describe


def test_leaf(pki: Pki) -> None:
    public_key = key_of_type("ecdsa-p256").public_key()
    certificate = pki.issue(Leaf(("a.example", "::1"), common_name="A & B"), public_key)
    spki = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    shown = describe(certificate)
    assert shown == {
        "subject": "CN=A & B",
        "issuer": "CN=test root",
        "names": ["a.example", "::1"],
        "not_before": certificate.not_valid_before_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "not_after": certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "serial": f"{certificate.serial_number:x}",
        "key_type": "ECDSA secp256r1",
        "key_size": 256,
        "signature_algorithm": "ecdsa-with-SHA256",
        "spki_sha256": base64.b64encode(hashlib.sha256(spki).digest()).decode(),
        "fingerprint_sha256": hashlib.sha256(der_of(certificate)[0]).hexdigest(),
        "is_authority": False,
        "key_usage": ["digitalSignature", "keyEncipherment"],
        "extended_key_usage": ["serverAuth"],
    }
    assert json.loads(json.dumps(shown)) == shown


def test_authority(pki: Pki) -> None:
    shown = describe(pki.certificate)
    assert shown["is_authority"] is True
    assert shown["key_usage"] == ["keyCertSign", "cRLSign"]
    assert shown["extended_key_usage"] is None
    assert shown["names"] == []


@pytest.mark.parametrize(
    ("key_type", "named", "size"),
    [
        ("rsa-2048", "RSA", 2048),
        ("ed25519", "Ed25519", None),
        ("ed448", "Ed448", None),
        ("mldsa65", "ML-DSA-65", None),
        ("secp256k1", "ECDSA secp256k1", 256),
    ],
)
def test_key_types(pki: Pki, key_type: str, named: str, size: int | None) -> None:
    assert key_type in KEY_TYPES
    shown = describe(pki.issue(Leaf(), key_of_type(key_type).public_key()))
    assert (shown["key_type"], shown["key_size"]) == (named, size)


def test_unreadable_fields_hide_no_others(pki: Pki) -> None:
    from cryptography import x509

    good = pki.issue(Leaf(), key_of_type("ecdsa-p256").public_key())
    # An uncompressed point starts with 04; with 05 it is no point, and the key cannot be read.
    (der,) = der_of(good)
    point = good.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    shown = describe(x509.load_der_x509_certificate(der.replace(point, b"\x05" + point[1:])))
    assert shown["key_size"] is None
    assert shown["key_type"] == "1.2.840.10045.2.1"
    assert shown["names"] == ["localhost"]
