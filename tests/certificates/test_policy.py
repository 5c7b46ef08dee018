"""A policy is checked when it is built, and it is one value: equal, hashable, frozen."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import fields
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.pki import Pki

from handclasp.certificates.dane import TlsaRecord
from handclasp.certificates.policy import CertificatePolicy
from handclasp.certificates.revocation import RevocationLists
from handclasp.certificates.transparency import CtLog
from handclasp.errors import ConfigurationError

PIN = b64encode(bytes(32)).decode()


def test_the_default_is_what_browsers_do() -> None:
    policy = CertificatePolicy()
    assert policy.profile == "web"
    assert policy.stapled_ocsp == "check"
    assert policy.max_intermediates == 8
    assert (policy.pins, policy.crls, policy.ct_logs, policy.tlsa) == ((), None, (), ())


def test_equal_policies_share_what_is_remembered() -> None:
    first, second = CertificatePolicy(pins=[PIN]), CertificatePolicy(pins=(PIN,))
    assert first == second
    assert hash(first) == hash(second)
    assert CertificatePolicy() != first
    assert first.token == second.token != CertificatePolicy().token


def test_no_two_policies_have_one_token() -> None:
    pki = Pki()
    blob = pki.crl().public_bytes(Encoding.DER)
    keys = [each.public_key() for each in (pki.key, Pki().key)]
    one, other = [
        CtLog.from_public_key(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
        for key in keys
    ]
    lists = RevocationLists.from_bytes(blob)
    settings: list[dict[str, Any]] = [
        {},
        {"profile": "private"},
        {"max_intermediates": 7},
        {"pins": [PIN]},
        {"pins": [PIN, PIN]},
        {"stapled_ocsp": "require"},
        {"stapled_ocsp": "ignore"},
        {"crls": lists},
        {"crls": RevocationLists.from_bytes(blob)},
        {"ct_logs": [one]},
        {"ct_logs": [other]},
        {"ct_logs": [one, other]},
        {"ct_logs": [one, other], "required_timestamps": 2},
        *({"tlsa": [TlsaRecord(*each, bytes(32))]} for each in ((3, 1, 1), (2, 1, 1), (3, 0, 1))),
        {"tlsa": [TlsaRecord(3, 1, 2, bytes(64))]},
        {"tlsa": [TlsaRecord(3, 1, 1, b"1" * 32)]},
    ]
    assert {name for each in settings for name in each} == {
        each.name for each in fields(CertificatePolicy) if each.compare
    }
    assert len({CertificatePolicy(**each).token for each in settings}) == len(settings)
    assert CertificatePolicy(crls=lists).token == CertificatePolicy(crls=lists).token


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"profile": "lax"}, 'profile must be one of "web", "private", not \'lax\''),
        ({"stapled_ocsp": True}, "stapled_ocsp must be one of"),
        ({"pins": PIN}, "pins must be a list, not one string"),
        ({"pins": [b"pin"]}, "pins takes str, not bytes"),
        ({"pins": ["sha256/" + PIN]}, "is not a pin: give the SHA-256"),
        ({"pins": [PIN[:20]]}, "is not a pin: give the SHA-256"),
        ({"pins": ["ü" * 44]}, "is not a pin: give the SHA-256"),
        ({"crls": "list.pem"}, "crls takes RevocationLists, not str"),
        ({"tlsa": TlsaRecord(3, 1, 1, bytes(32))}, "one TlsaRecord: tlsa=[TlsaRecord.parse("),
        ({"pins": 3}, "pins must be a list"),
        ({"ct_logs": None}, "ct_logs must be a list"),
        ({"ct_logs": ["key"]}, "ct_logs takes CtLog, not str"),
        ({"tlsa": ["3 1 1 00"]}, "tlsa takes TlsaRecord, not str"),
        ({"max_intermediates": 17}, "max_intermediates must be a whole number from 0 to 16"),
        ({"max_intermediates": True}, "max_intermediates must be a whole number"),
        ({"required_timestamps": 0}, "required_timestamps must be a whole number from 1 on"),
        ({"required_timestamps": 2}, "required_timestamps is 2, but ct_logs holds 0"),
    ],
)
def test_what_cannot_be_honoured(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        CertificatePolicy(**settings)
    assert words in str(caught.value)


def test_everything_at_once() -> None:
    pki = Pki()
    lists = RevocationLists.from_bytes(pki.crl().public_bytes(Encoding.PEM))
    spki = pki.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    log = CtLog.from_public_key(spki)
    record = TlsaRecord(3, 1, 1, bytes(32))
    policy = CertificatePolicy(
        profile="private", pins=[PIN], crls=lists, ct_logs=[log], tlsa=[record]
    )
    assert (policy.ct_logs, policy.tlsa) == ((log,), (record,))
    assert isinstance(hash(policy), int)
