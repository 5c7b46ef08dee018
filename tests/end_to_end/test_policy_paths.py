"""Every setting of a policy on every path to a verdict: honoured, refused, or said not to apply.

A `Case` is a setting with a peer that breaks it. On each path the peer is refused for it, or the
config is as soon as it is built, or the setting does not apply there, for the reason that is given:
then the peer is accepted.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from hashlib import sha256
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.end_to_end.pair import Pair
from tests.pki import MUST_STAPLE, Leaf, Pki, key_of_type

from handclasp import (
    CertificatePolicy,
    ClientConfig,
    ConfigurationError,
    Credentials,
    Fault,
    ServerConfig,
    SessionStore,
)
from handclasp.certificates.credentials import LocalSigner
from handclasp.certificates.dane import TlsaRecord
from handclasp.certificates.revocation import RevocationLists
from handclasp.certificates.transparency import CtLog
from handclasp.certificates.verify import accept_unverified, vouch_for

KEY = key_of_type("ecdsa-p256", number=40)
INFO: bytes = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
OTHER_PIN = b64encode(bytes(32)).decode()
LOG = CtLog.from_public_key(
    key_of_type("ecdsa-p256", number=41)
    .public_key()
    .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
)
ROOT = Pki()
MIDDLE = ROOT.intermediate()
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


@dataclass(frozen=True)
class Case:
    """A policy, and what of the leaf breaks it."""

    fault: Fault
    policy: Callable[[x509.Certificate], dict[str, Any]] = lambda leaf: {}
    leaf: dict[str, Any] = field(default_factory=dict[str, Any])


def lists(*revoked: x509.Certificate, of: Sequence[Any] = (MIDDLE, ROOT)) -> RevocationLists:
    blobs = [each.crl(revoked if each is MIDDLE else ()).public_bytes(Encoding.DER) for each in of]
    return RevocationLists.from_bytes(*blobs)


CASES = {
    "pins": Case(Fault.PIN_MISMATCH, lambda leaf: {"pins": [OTHER_PIN]}),
    "crls, revoked": Case(Fault.CERTIFICATE_REVOKED, lambda leaf: {"crls": lists(leaf)}),
    "crls, no list": Case(Fault.REVOCATION_UNKNOWN, lambda leaf: {"crls": lists(of=[ROOT])}),
    "stapled_ocsp": Case(Fault.OCSP_RESPONSE_MISSING, lambda leaf: {"stapled_ocsp": "require"}),
    "must-staple": Case(Fault.OCSP_RESPONSE_MISSING, leaf={"extensions": [MUST_STAPLE]}),
    "ct_logs": Case(Fault.TIMESTAMPS_MISSING, lambda leaf: {"ct_logs": [LOG]}),
    "required_timestamps": Case(
        Fault.TIMESTAMPS_MISSING, lambda leaf: {"ct_logs": [LOG], "required_timestamps": 1}
    ),
    "profile": Case(Fault.CERTIFICATE_WRONG_PURPOSE, leaf={"purpose": None}),
    "max_intermediates": Case(Fault.CERTIFICATE_UNTRUSTED, lambda leaf: {"max_intermediates": 0}),
    "tlsa": Case(Fault.TLSA_MISMATCH, lambda leaf: {"tlsa": [TlsaRecord(3, 1, 1, bytes(32))]}),
    "key usage": Case(Fault.CERTIFICATE_WRONG_PURPOSE, leaf={"digital_signature": False}),
}

ALONE = "RFC 7671 5.1: the record stands for the path, and for all that its form says"
NO_CERTIFICATE = "RFC 7250 3: a raw key has no issuer, serial number, dates or extensions"
NOT_ASKED = "nobody asks who the server is, so there is nothing to hold it to"
OF_SERVERS = "RFC 7633 and RFC 6962 are about what servers show"

REFUSED = "refused"
CONFIG = "config"

PATHS: dict[str, dict[str, str]] = {
    "authorities": {},
    "a record of an authority": {},
    "a record of the leaf": {
        "profile": ALONE,
        "max_intermediates": ALONE,
    },
    "a raw key": {
        **dict.fromkeys(
            ("crls, revoked", "crls, no list", "stapled_ocsp", "ct_logs", "required_timestamps"),
            CONFIG,
        ),
        "max_intermediates": CONFIG,
        **dict.fromkeys(("must-staple", "profile", "key usage"), NO_CERTIFICATE),
    },
    "a raw key or a certificate": {
        name: NO_CERTIFICATE for name in CASES if name not in ("pins", "tlsa")
    },
    "verification is off": {
        **dict.fromkeys(CASES, CONFIG),
        **dict.fromkeys(("must-staple", "profile"), NOT_ASKED),
        "key usage": REFUSED,
    },
    "a callback": {
        **dict.fromkeys(CASES, CONFIG),
        **dict.fromkeys(("must-staple", "profile"), "the callback judges instead"),
        "key usage": REFUSED,
    },
    "a callback that takes anybody": {
        **dict.fromkeys(CASES, CONFIG),
        **dict.fromkeys(("must-staple", "profile"), "the callback judges instead"),
        "key usage": REFUSED,
    },
}


def leaf_for(case: Case, purpose: x509.ObjectIdentifier) -> x509.Certificate:
    given = {"purpose": purpose, **case.leaf}
    return MIDDLE.issue(Leaf(**given), KEY.public_key())


def credentials_for(leaf: x509.Certificate, *, raw: bool) -> Credentials:
    if raw:
        return Credentials.raw_public_key_from_signer(INFO, LocalSigner(KEY))
    return Credentials.from_signer([leaf, *MIDDLE.path], LocalSigner(KEY))


def settings_on(path: str, case: Case, leaf: x509.Certificate) -> dict[str, Any]:
    """What makes a config judge on this path, under this policy."""
    policy = case.policy(leaf)
    root = ROOT.certificate.public_bytes(Encoding.DER)
    if path == "a record of an authority":
        policy.setdefault("tlsa", [TlsaRecord(2, 0, 0, root)])
    if path == "a record of the leaf":
        policy.setdefault("tlsa", [TlsaRecord(3, 1, 1, sha256(INFO).digest())])
    judged: dict[str, Any] = {"policy": CertificatePolicy(**policy)}
    if path.startswith("a raw key"):
        judged["raw_public_keys"] = [INFO]
    if path in ("authorities", "a raw key or a certificate") or path.startswith("a record"):
        judged["trust"] = ROOT.trust
    if path == "verification is off":
        judged["verify_peer"] = False
    if path == "a callback":
        judged["verify"] = lambda question: vouch_for(question.chain_der)
    if path == "a callback that takes anybody":
        judged["verify"] = lambda question: accept_unverified(question.chain_der)
    return judged


def check(
    expected: str, fault: Fault, build: Callable[[], tuple[ClientConfig, ServerConfig]], end: str
) -> None:
    if expected == CONFIG:
        with pytest.raises(ConfigurationError):
            build()
        return
    pair = Pair(*build()).run()
    error = getattr(pair, end).error
    if expected == REFUSED:
        assert error is not None
        assert error.fault is fault
    else:
        assert error is None
        assert pair.established


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", CASES)
def test_a_client(name: str, path: str, version: str) -> None:
    case, raw = CASES[name], path.startswith("a raw key")
    if raw and version == "TLSv1.2":
        pytest.skip("Raw public keys need TLS 1.3.")
    leaf = leaf_for(case, SERVER)

    def build() -> tuple[ClientConfig, ServerConfig]:
        client = ClientConfig(versions=[version], **settings_on(path, case, leaf))
        shown = credentials_for(leaf, raw=raw)
        return client, ServerConfig(credentials=shown, versions=[version])

    check(PATHS[path].get(name, REFUSED), case.fault, build, "client")


OF_CLIENTS = {
    "authorities": {
        "ct_logs": CONFIG,
        "required_timestamps": CONFIG,
        "tlsa": CONFIG,
        "must-staple": OF_SERVERS,
    },
    "a raw key": {**PATHS["a raw key"], "tlsa": CONFIG},
    "a callback": PATHS["a callback"],
    "a callback that takes anybody": PATHS["a callback that takes anybody"],
    "client_auth is not set": {
        **dict.fromkeys(CASES, CONFIG),
        **dict.fromkeys(("must-staple", "profile", "key usage"), "no certificate is asked for"),
    },
}


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize("path", OF_CLIENTS)
@pytest.mark.parametrize("name", CASES)
def test_a_server(name: str, path: str, version: str) -> None:
    case, raw = CASES[name], path == "a raw key"
    if raw and version == "TLSv1.2":
        pytest.skip("Raw public keys need TLS 1.3.")
    leaf = leaf_for(case, CLIENT)
    expected = OF_CLIENTS[path].get(name, REFUSED)
    if (name, version) == ("stapled_ocsp", "TLSv1.2"):
        expected = CONFIG  # RFC 6066 8: only servers staple there.

    def build() -> tuple[ClientConfig, ServerConfig]:
        judged = settings_on(path, case, leaf)
        if path != "client_auth is not set":
            judged["client_auth"] = "required"
        server = ServerConfig(credentials=ROOT.server("localhost"), versions=[version], **judged)
        shown = credentials_for(leaf, raw=raw)
        return ClientConfig(trust=ROOT.trust, versions=[version], credentials=shown), server

    check(expected, case.fault, build, "server")


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize("path", ["authorities", "a record of the leaf"])
@pytest.mark.parametrize("name", ["pins", "crls, revoked", "stapled_ocsp", "ct_logs", "tlsa"])
def test_a_session_from_before_the_policy_is_not_offered(
    name: str, path: str, version: str
) -> None:
    case = CASES[name]
    leaf = leaf_for(case, SERVER)
    store = SessionStore()
    shown = credentials_for(leaf, raw=False)
    server = ServerConfig(credentials=shown, versions=[version])
    before = ClientConfig(trust=ROOT.trust, versions=[version], sessions=store)
    assert Pair(before, server).run().established
    again = Pair(before, server).run()
    assert again.established
    assert again.client.info.resumed
    after = ClientConfig(versions=[version], sessions=store, **settings_on(path, case, leaf))
    error = cast(Any, Pair(after, server).run().client.error)
    assert error.fault is case.fault


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_a_client_s_session_is_judged_by_today_s_policy(version: str) -> None:
    leaf = leaf_for(Case(Fault.CERTIFICATE_REVOKED), CLIENT)
    shown = credentials_for(leaf, raw=False)
    client = ClientConfig(
        trust=ROOT.trust, versions=[version], credentials=shown, sessions=SessionStore()
    )
    first = ServerConfig(
        credentials=ROOT.server("localhost"),
        versions=[version],
        client_auth="required",
        trust=ROOT.trust,
    )
    assert Pair(client, first).run().established
    policy = CertificatePolicy(crls=lists(leaf))
    second = replace(first, policy=policy, ticket_keys=first.ticket_keys)
    pair = Pair(client, second).run()
    assert pair.server.error is not None
    assert pair.server.error.fault is Fault.CERTIFICATE_REVOKED


def test_every_field_of_a_policy_has_a_case() -> None:
    names = {each.name for each in fields(CertificatePolicy) if each.compare}
    assert names == {
        name for name in names if any(case.partition(",")[0] == name for case in CASES)
    }
    for path in (*PATHS.values(), *OF_CLIENTS.values()):
        assert set(path) <= set(CASES)


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_timestamps_are_asked_for_where_staples_are_not(version: str) -> None:
    leaf = leaf_for(Case(Fault.TIMESTAMPS_MISSING), SERVER)
    shown = credentials_for(leaf, raw=False).with_timestamps([b"a timestamp"])
    server = ServerConfig(credentials=shown, versions=[version])
    policy = CertificatePolicy(stapled_ocsp="ignore", ct_logs=[LOG])
    client = ClientConfig(trust=ROOT.trust, versions=[version], policy=policy)
    error = cast(Any, Pair(client, server).run().client.error)
    assert error.fault is Fault.TIMESTAMPS_MISSING
    assert error.sct_list == (13).to_bytes(2, "big") + b"\0\x0ba timestamp"
