"""What is shown of a certificate."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AuthorityInformationAccessOID
from tests.end_to_end.pair import Pair
from tests.pki import (
    KEY_TYPES,
    MUST_STAPLE,
    Leaf,
    Pki,
    der_of,
    key_of_type,
    name_constraints,
    self_signed,
)

from handclasp import ClientConfig, ConfigurationError, ServerConfig
from handclasp.certificates import describe_certificate
from handclasp.certificates.describe import (
    chain_in_words,
    covers_name,
    describe,
    field_in_words,
    first_names,
)

SILENT = {
    "path_length": None,
    "permitted_names": None,
    "excluded_names": None,
    "policies": None,
    "ocsp_urls": None,
    "issuer_urls": None,
    "crl_urls": None,
    "must_staple": False,
    "timestamps": None,
}
"""What a plain certificate does not mention."""


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
        "tlsa": f"3 1 1 {hashlib.sha256(spki).hexdigest()}",
        "fingerprint_sha256": hashlib.sha256(der_of(certificate)[0]).hexdigest(),
        "is_authority": False,
        "key_usage": ["digitalSignature", "keyEncipherment"],
        "extended_key_usage": ["serverAuth"],
        **SILENT,
    }
    assert json.loads(json.dumps(shown)) == shown


def test_a_name_does_not_make_a_certificate_self_signed() -> None:
    public_key = key_of_type("ecdsa-p256").public_key()
    issued = Pki("localhost").issue(Leaf(common_name="localhost"), public_key)
    assert issued.issuer == issued.subject
    assert not chain_in_words(der_of(issued)).is_self_signed
    own, _ = self_signed(Leaf(common_name="localhost"))
    assert chain_in_words(der_of(own)).is_self_signed


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
    good = pki.issue(Leaf(), key_of_type("ecdsa-p256").public_key())
    # An uncompressed point starts with 04; with 05 it is no point, and the key cannot be read.
    (der,) = der_of(good)
    point = good.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    shown = describe(x509.load_der_x509_certificate(der.replace(point, b"\x05" + point[1:])))
    assert shown["key_size"] is None
    assert shown["key_type"] == "1.2.840.10045.2.1"
    assert shown["names"] == ["localhost"]


def test_what_most_certificates_are_silent_about(pki: Pki) -> None:
    url = x509.UniformResourceIdentifier
    access = x509.AuthorityInformationAccess(
        [
            x509.AccessDescription(AuthorityInformationAccessOID.OCSP, url("http://ocsp.example")),
            x509.AccessDescription(
                AuthorityInformationAccessOID.CA_ISSUERS, url("http://ca.example")
            ),
        ]
    )
    points = x509.CRLDistributionPoints(
        [x509.DistributionPoint([url("http://crl.example")], None, None, None)]
    )
    policies = x509.CertificatePolicies(
        [
            x509.PolicyInformation(x509.ObjectIdentifier(oid), None)
            for oid in ("2.23.140.1.2.1", "1.2.3.4")
        ]
    )
    leaf = Leaf(extensions=[access, points, policies, MUST_STAPLE])
    shown = describe(pki.issue(leaf, key_of_type("ecdsa-p256").public_key()))
    assert {name: shown[name] for name in SILENT} == {
        **SILENT,
        "policies": ["2.23.140.1.2.1 (domain validated)", "1.2.3.4"],
        "ocsp_urls": ["http://ocsp.example"],
        "issuer_urls": ["http://ca.example"],
        "crl_urls": ["http://crl.example"],
        "must_staple": True,
    }


def test_an_authority_s_limits(pki: Pki) -> None:
    limits = name_constraints(["example.com", "10.0.0.0/8"], ["secret.example.com"])
    below = pki.intermediate(path_length=0, extensions=[limits])
    shown = describe(below.certificate)
    assert shown["path_length"] == 0
    assert shown["permitted_names"] == ["example.com", "10.0.0.0/8"]
    assert shown["excluded_names"] == ["secret.example.com"]


def test_timestamps_of_a_public_certificate() -> None:
    cases = Path(__file__).parents[1] / "vectors" / "limbo" / "cases.json"
    entries = json.loads(cases.read_bytes())["testcases"]
    pem = next(entry for entry in entries if entry["id"] == "online::apple.com")
    leaf = x509.load_pem_x509_certificate(pem["peer_certificate"].encode())
    shown = describe(leaf)["timestamps"]
    embedded = leaf.extensions.get_extension_for_class(
        x509.PrecertificateSignedCertificateTimestamps
    )
    assert len(shown) == len(list(embedded.value)) > 1
    assert all(" by the log " in each for each in shown)


def test_by_der_as_pages_take_it(pki: Pki) -> None:
    certificate = pki.issue(Leaf(), key_of_type("ecdsa-p256").public_key())
    der = certificate.public_bytes(Encoding.DER)
    assert describe_certificate(der) == describe(certificate)
    assert describe_certificate(b"junk") is None
    pair = Pair(
        ClientConfig(trust=pki.trust), ServerConfig(credentials=pki.server("pages.test")),
        "pages.test",
    ).run()  # fmt: skip
    page = pair.client.trace.to_html("a title", describe_certificate)
    assert "purposes" in page
    assert "purposes" not in pair.client.trace.to_html("a title")


def test_a_parsed_certificate_is_described_as_its_der() -> None:
    der = Pki().server().chain_der[0]
    parsed = x509.load_der_x509_certificate(der)
    assert describe_certificate(parsed) == describe_certificate(der)
    assert describe_certificate(parsed) is not None
    assert field_in_words(parsed, "subjectAltName") == field_in_words(der, "subjectAltName")
    assert covers_name([parsed], "localhost") is covers_name([der], "localhost") is True
    assert describe_certificate(b"neither") is None
    assert covers_name([b"neither"], "localhost") is None


@pytest.mark.parametrize(
    "function",
    [
        describe_certificate,
        partial(field_in_words, name="subjectAltName"),
        lambda given: covers_name([given], "localhost"),
        describe,
        partial(first_names, most=3),
    ],
)
@pytest.mark.parametrize("wrong", ["text", None, 5, b"-----BEGIN CERTIFICATE-----"])
def test_what_is_no_certificate_is_not_passed_over(function: Any, wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"[Cc]ertificate"):
        function(wrong)
