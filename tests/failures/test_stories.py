"""Each thing that goes wrong in real life gets its own story, on whichever end we are.

The peers are OpenSSL's programs and the `ssl` module, programs that speak no TLS, and a middlebox.
Each story names the cause, shows the bytes, says whose fault it is and what to change.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.failures.conftest import (
    SECONDS,
    Files,
    Story,
    Visitor,
    abort,
    answering,
    client_story,
    curl_without_tls,
    files,
    gnutls_client,
    mangling,
    openssl_client,
    openssl_server,
    plain_nginx,
    saying,
    server_story,
    ssh_client,
    ssl_client,
    words,
)
from tests.pki import Leaf, Pki

from handclasp import ClientAuth, ClientConfig, Credentials, ServerConfig

pytestmark = pytest.mark.timeout(60)

OLD = ("-cipher", "ALL:@SECLEVEL=0")


@dataclass(frozen=True)
class Case:
    """One failure: how the peer is set up, how we are, and what has to be told.

    Attributes:
        peer: flags of OpenSSL's program.
        ours: settings of our config.
        fault, blame: as in the diagnosis.
        cause, fix, shown: words in the cause, in the advice and in what the evidence shows.
        likely: for an alert of the peer's, the fault that is held to be behind it.
    """

    id: str
    fault: str
    blame: str
    peer: tuple[str, ...] = ()
    ours: dict[str, Any] = field(default_factory=dict)
    key_type: str = "ecdsa-p256"
    cause: tuple[str, ...] = ()
    fix: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    likely: str | None = None


def check(case: Case, story: Story) -> None:
    diagnosis = story.diagnosis
    assert (diagnosis.fault, diagnosis.blame) == (case.fault, case.blame), diagnosis
    words(diagnosis.cause, case.cause)
    words(diagnosis.fix, case.fix)
    words(story.shown, case.shown)
    assert diagnosis.evidence
    if case.likely is not None:
        assert story.error.causes[0].fault == case.likely
        assert story.error.explanation == diagnosis.cause


# Negotiation, with our client

FAILURE = "PEER_HANDSHAKE_FAILURE"

AS_CLIENT = [
    Case(
        "a server of TLS 1.2, and TLS 1.3 wanted",
        "PEER_PROTOCOL_VERSION", "unclear", ("-tls1_2",), {"versions": ["TLSv1.3"]},
        cause=("does not speak TLS 1.3", "alone was offered"),
        fix=("On this end: Offer TLS 1.2", "On the other end: Enable TLS 1.3"),
        shown=("fatal, protocol_version", "supported_versions in the client's ClientHello"),
        likely="NO_SHARED_VERSION",
    ),
    Case(
        "a server of TLS 1.3, and TLS 1.2 wanted",
        "PEER_PROTOCOL_VERSION", "unclear", ("-tls1_3",), {"versions": ["TLSv1.2"]},
        cause=("does not speak TLS 1.2",), fix=("Offer TLS 1.3",),
        likely="NO_SHARED_VERSION",
    ),
    Case(
        "a server of TLS 1.0",
        "PEER_PROTOCOL_VERSION", "peer", ("-tls1", *OLD),
        cause=("neither TLS 1.2 nor TLS 1.3", "TLS 1.0 and TLS 1.1 are obsolete (RFC 8996)"),
        fix=("Enable TLS 1.3, or at least TLS 1.2",),
        likely="NO_SHARED_VERSION",
    ),
    Case(
        "no shared suite",
        FAILURE, "local", ("-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"),
        {"cipher_suites": ["TLS_CHACHA20_POLY1305_SHA256"], "versions": ["TLSv1.3"]},
        cause=("none of the cipher suites", "TLS_CHACHA20_POLY1305_SHA256"),
        fix=("On this end: Offer TLS_AES_128_GCM_SHA256 as well",),
        shown=("fatal, handshake_failure", "cipher_suites in the client's ClientHello"),
        likely="NO_SHARED_CIPHER_SUITE",
    ),
    Case(
        "no shared suite in TLS 1.2",
        FAILURE, "unclear", ("-tls1_2",),
        {"cipher_suites": ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"], "versions": ["TLSv1.2"]},
        cause=("none of the cipher suites", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
        fix=("Offer TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 as well",),
        likely="NO_SHARED_CIPHER_SUITE",
    ),
    Case(
        "a server with old suites only",
        FAILURE, "peer", ("-tls1_2", "-cipher", "AES128-SHA"), key_type="rsa-2048",
        cause=("one of these: the cipher suites",), fix=("See in the server's log",),
        likely="NO_SHARED_CIPHER_SUITE",
    ),
    Case(
        "no shared group",
        FAILURE, "local", ("-groups", "P-256:X25519"),
        {"groups": ["secp384r1"], "versions": ["TLSv1.3"]},
        cause=("none of the groups", "secp384r1"), fix=("Offer X25519 and secp256r1 as well",),
        shown=("supported_groups in the client's ClientHello", "secp384r1"),
        likely="NO_SHARED_GROUP",
    ),
    Case(
        "no shared signature scheme",
        FAILURE, "local", (), {"signature_schemes": ["ed25519"], "versions": ["TLSv1.3"]},
        cause=("no certificate that signs", "ed25519"),
        fix=("On this end: Offer ecdsa_secp256r1_sha256",),
        shown=("signature_algorithms in the client's ClientHello: ed25519",),
        likely="NO_SHARED_SIGNATURE_SCHEME",
    ),
    Case(
        "no shared application protocol",
        "PEER_NO_APPLICATION_PROTOCOL", "unclear", ("-alpn", "h2"), {"alpn": ["smtp"]},
        cause=("none of the application protocols", "smtp"), fix=("or none",),
        shown=("application_layer_protocol_negotiation in the client's ClientHello: smtp",),
        likely="NO_SHARED_APPLICATION_PROTOCOL",
    ),
    Case(
        "a name that is not served",
        "PEER_UNRECOGNIZED_NAME", "local",
        ("-servername", "else.test", "-servername_fatal"), {"versions": ["TLSv1.3"]},
        cause=("does not serve the name", "localhost"), fix=("Ask for a name",),
        shown=("server_name in the client's ClientHello: localhost",),
        likely="UNRECOGNIZED_NAME",
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", AS_CLIENT, ids=lambda case: case.id)
def test_our_client_and_openssl(case: Case, pki: Pki, tmp_path: Path) -> None:
    shown = files(tmp_path, pki, key_type=case.key_type)
    second = ["-cert2", shown.chain, "-key2", shown.key] if "-servername" in case.peer else []
    with openssl_server(tmp_path, *shown.shown, *second, *case.peer) as port:
        story = client_story(port, ClientConfig(trust=pki.trust, **case.ours))
    check(case, story)
    assert story.diagnosis.found_by == "peer"


def one_suite(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")


def one_group(context: ssl.SSLContext) -> None:
    context.set_ecdh_curve("secp384r1")


def keys_of_ecdsa(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")


# What the server is told, what our client offers, and the same offer for the `ssl` module.
THREE_CAUSES: dict[str, tuple[tuple[str, ...], dict[str, Any], Callable[[Any], None]]] = {
    "NO_SHARED_CIPHER_SUITE": (
        ("-tls1_2", "-cipher", "ECDHE-RSA-AES256-GCM-SHA384"),
        {"versions": ["TLSv1.2"], "cipher_suites": ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]},
        one_suite,
    ),
    "NO_SHARED_GROUP": (("-groups", "P-256"), {"groups": ["secp384r1"]}, one_group),
    "NO_SHARED_SIGNATURE_SCHEME": (
        (),
        {"signature_schemes": ["ecdsa_secp256r1_sha256"]},
        keys_of_ecdsa,
    ),
}


def test_three_causes_of_one_alert(pki: Pki, tmp_path: Path) -> None:
    """Where `ssl` has one sentence for three causes, we have three."""
    shown = files(tmp_path, pki, key_type="rsa-2048")
    told_by_ssl: list[str] = []
    advised: set[str] = set()
    for fault, (flags, ours, narrow) in THREE_CAUSES.items():
        context = ssl.create_default_context(cafile=shown.ca)
        narrow(context)
        with openssl_server(tmp_path, *shown.shown, *flags) as port:
            with (
                socket.create_connection(("127.0.0.1", port), SECONDS) as sock,
                pytest.raises(ssl.SSLError) as caught,
            ):
                context.wrap_socket(sock, server_hostname="localhost")
            told_by_ssl.append(str(caught.value))
            story = client_story(port, ClientConfig(trust=pki.trust, **ours))
        assert story.error.alert == "handshake_failure"
        assert story.error.causes[0].fault == fault
        advised.add(story.error.fix)
    assert all("sslv3 alert handshake failure" in told for told in told_by_ssl)
    assert len(set(told_by_ssl)) == 1
    assert len(advised) == 3


# Negotiation, with our server

AS_SERVER = [
    Case(
        "a client of TLS 1.2, and TLS 1.3 wanted",
        "NO_SHARED_VERSION", "unclear", ("-tls1_2",), {"versions": ["TLSv1.3"]},
        cause=("offered: TLSv1.2",), fix=("Enable TLS 1.3.",),
        shown=("legacy_version in the client's ClientHello: TLSv1.2",),
    ),
    Case(
        "a client of TLS 1.3, and TLS 1.2 wanted",
        "NO_SHARED_VERSION", "unclear", ("-tls1_3",), {"versions": ["TLSv1.2"]},
        cause=("offered: TLSv1.3", "accepted here: TLSv1.2"),
        fix=("Allow one of those that the other end offers: TLS 1.3",),
        shown=("supported_versions in the client's ClientHello: TLSv1.3",),
    ),
    Case(
        "a client of TLS 1.0",
        "NO_SHARED_VERSION", "peer", ("-tls1", *OLD), cause=("offered: TLSv1.0",),
        shown=("legacy_version in the client's ClientHello: TLSv1.0",),
    ),
    Case(
        "no shared suite",
        "NO_SHARED_CIPHER_SUITE", "unclear",
        ("-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"),
        {"cipher_suites": ["TLS_CHACHA20_POLY1305_SHA256"], "versions": ["TLSv1.3"]},
        cause=("share no cipher suite", "TLS_AES_256_GCM_SHA384"),
        fix=("On this end: Allow one of those that the other end offers: TLS_AES_256",),
        shown=("cipher_suites in the client's ClientHello: TLS_AES_256_GCM_SHA384",),
    ),
    Case(
        "no shared suite in TLS 1.2",
        "NO_SHARED_CIPHER_SUITE", "unclear",
        ("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"),
        cause=("offered: TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "an ECDSA (secp256r1) key"),
        fix=("Add a certificate with an RSA key",),
        shown=("cipher_suites in the client's ClientHello: TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",),
    ),
    Case(
        "no shared group",
        "NO_SHARED_GROUP", "peer", ("-groups", "P-521"), {"groups": ["X25519"]},
        cause=("share no group", "secp521r1"), shown=("supported_groups", "secp521r1"),
    ),
    Case(
        "no shared signature scheme",
        "NO_SHARED_SIGNATURE_SCHEME", "unclear",
        ("-sigalgs", "rsa_pss_rsae_sha256", "-tls1_3"),
        cause=("rsa_pss_rsae_sha256",), fix=("On this end: Add a certificate with an RSA key",),
        shown=("signature_algorithms in the client's ClientHello: rsa_pss_rsae_sha256",),
    ),
    Case(
        "no shared application protocol",
        "NO_SHARED_APPLICATION_PROTOCOL", "unclear", ("-alpn", "smtp"), {"alpn": ["h2"]},
        cause=("share no application protocol", "smtp"), fix=("Allow one of those",),
        shown=("application_layer_protocol_negotiation", "smtp"),
    ),
    Case(
        "a name that is not served",
        "UNRECOGNIZED_NAME", "peer", ("-servername", "else.test"), {"strict_server_name": True},
        cause=("else.test",), fix=("Add a certificate for this name",),
        shown=("server_name in the client's ClientHello: else.test",),
    ),
    Case(
        "a client that does not know our authority",
        "PEER_UNKNOWN_CA", "unclear", ("-no-CAfile", "-no-CApath", "-no-CAstore"),
        cause=("trusts", "intermediate"), fix=("full chain", "trust the authority"),
        shown=("fatal, unknown_ca", "the server's Certificate"),
        likely="CERTIFICATE_UNTRUSTED",
    ),
    Case(
        "a client that expects another name",
        "PEER_BAD_CERTIFICATE", "unclear", ("-CAfile", "CA", "-verify_hostname", "else.test"),
        cause=("another name",), fix=("covers the name",), shown=("fatal, bad_certificate",),
        likely="CERTIFICATE_NAME_MISMATCH",
    ),
    Case(
        "a client whose clock is ahead",
        "PEER_CERTIFICATE_EXPIRED", "peer", ("-CAfile", "CA", "-attime", "4102444800"),
        cause=("or the client's clock is wrong",), fix=("of the client, and check its clock",),
        shown=("fatal, certificate_expired",),
        likely="CERTIFICATE_EXPIRED",
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", AS_SERVER, ids=lambda case: case.id)
def test_our_server_and_openssl(case: Case, pki: Pki, tmp_path: Path) -> None:
    ca = files(tmp_path, pki).ca
    flags = [ca if flag == "CA" else flag for flag in case.peer]
    config = ServerConfig(credentials=pki.server(), **case.ours)
    visit, said = openssl_client(*flags), list[str]()
    story = server_story(config, lambda port: said.append(visit(port)), talks=True)
    check(case, story)
    if story.diagnosis.found_by == "local":
        words(said[0], (story.diagnosis.alert.replace("_", " "),))


# Certificates

NOW = datetime.now(UTC)


@dataclass(frozen=True)
class Judged:
    """A server's certificate that our client refuses."""

    id: str
    fault: str
    leaf: Leaf = field(default_factory=Leaf)
    trusted: bool = True
    complete: bool = True
    clock: datetime | None = None
    cause: tuple[str, ...] = ()
    fix: tuple[str, ...] = ()
    blame: str = "peer"
    condition: tuple[str, ...] = ()
    shown: str = ""


JUDGED = [
    Judged(
        "another host", "CERTIFICATE_NAME_MISMATCH", Leaf(("else.test",)),
        cause=("else.test", "localhost"), fix=("Connect by a name that is in the certificate",),
        condition=("by another name",), shown="subjectAltName",
    ),
    Judged(
        "expired", "CERTIFICATE_EXPIRED",
        Leaf(not_before=NOW - timedelta(90), not_after=NOW - timedelta(1)),
        cause=("expired at", "the clock here says"), fix=("Renew", "Check the clock"),
        condition=("unless the clock of this machine is wrong",), shown="notAfter",
    ),
    Judged(
        "not trusted", "CERTIFICATE_UNTRUSTED", trusted=False,
        fix=("On this end: If there is another certificate of CN=test root",), blame="unclear",
        condition=("an old or another certificate",), shown="signatureValue",
    ),
    Judged(
        "without its intermediate", "CERTIFICATE_UNTRUSTED", complete=False,
        cause=("a middle authority",), fix=("If CN=a middle authority is an intermediate",),
        condition=("is a root that it is meant to trust",), shown="issuer", blame="unclear",
    ),
    Judged(
        "with a clock that is behind", "CERTIFICATE_NOT_YET_VALID",
        clock=NOW - timedelta(days=4000),
        cause=("is valid from", "the clock here says"), fix=("Check the clock of this machine",),
        blame="local", condition=("even CN=test root",), shown="notBefore",
    ),
    Judged(
        "with a clock that is ahead", "CERTIFICATE_EXPIRED", clock=NOW + timedelta(days=40000),
        cause=("the clock here says",), fix=("Check the clock of this machine",),
        blame="local", condition=("even CN=test root",), shown="notAfter",
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", JUDGED, ids=lambda case: case.id)
def test_certificates_that_our_client_refuses(
    case: Judged, pki: Pki, other_pki: Pki, tmp_path: Path
) -> None:
    between = pki.intermediate("a middle authority")
    shown = files(tmp_path, between, case.leaf, with_path=case.complete)
    clock: dict[str, Any] = {"clock": lambda: case.clock} if case.clock is not None else {}
    config = ClientConfig(trust=(pki if case.trusted else other_pki).trust, **clock)
    with openssl_server(tmp_path, *shown.shown) as port:
        story = client_story(port, config)
    assert (story.diagnosis.fault, story.diagnosis.blame) == (case.fault, case.blame)
    words(story.diagnosis.cause, case.cause)
    words(story.diagnosis.fix, case.fix)
    words(story.diagnosis.condition, case.condition)
    assert f"{case.shown} of " in story.shown
    assert "the server's Certificate" in story.shown


@dataclass(frozen=True)
class Refused:
    """A certificate that the other end refuses, and what the two ends have to say of it.

    Attributes:
        fault, blame: as in the diagnosis.
        told: what `ssl` says on the other end, or the alert that OpenSSL's server sends.
        leaf: what is in it; None shows none at all.
        authority: who issued it: "trusted", "unknown", or "middle", which does not come along.
        cause, fix: words in the cause and in the advice.
        likely: for an alert of the peer's, the fault that is held to be behind it.
        others: faults that are named as possible, too.
    """

    id: str
    fault: str
    blame: str
    told: str
    leaf: Leaf | None = field(default_factory=Leaf)
    authority: str = "trusted"
    cause: tuple[str, ...] = ()
    fix: tuple[str, ...] = ()
    likely: str | None = None
    others: tuple[str, ...] = ()

    def files(self, directory: Path, pki: Pki, other_pki: Pki) -> Files | None:
        if self.leaf is None:
            return None
        issuer = {
            "trusted": pki,
            "unknown": other_pki,
            "middle": pki.intermediate("a middle authority"),
        }[self.authority]
        with_path = self.authority != "middle"
        return files(directory, issuer, self.leaf, name="refused", with_path=with_path)


EXPIRED: dict[str, Any] = {"not_before": NOW - timedelta(90), "not_after": NOW - timedelta(1)}
NOT_YET_VALID: dict[str, Any] = {"not_before": NOW + timedelta(1), "not_after": NOW + timedelta(9)}

OURS_REFUSED = [
    Refused(
        "expired", "PEER_CERTIFICATE_EXPIRED", "local", "certificate has expired",
        Leaf(**EXPIRED),
        cause=("by its dates the certificate that this side has sent has expired",),
        fix=("On this end: Renew the certificate", "On the other end: Check the clock"),
        likely="CERTIFICATE_EXPIRED",
    ),
    Refused(
        "not yet valid", "PEER_BAD_CERTIFICATE", "local",
        "certificate is not yet valid", Leaf(**NOT_YET_VALID),
        # The alert is that of a wrong name; the dates show that this is the likelier cause.
        cause=("by its dates the certificate that this side has sent is not yet valid",),
        likely="CERTIFICATE_NOT_YET_VALID", others=("CERTIFICATE_UNTRUSTED",),
    ),
    Refused(
        "of an authority that the client does not know", "PEER_UNKNOWN_CA", "unclear",
        "unable to get local issuer certificate", authority="unknown",
        cause=("it does not know the authority",), fix=("is a root, trust the authority",),
        likely="CERTIFICATE_UNTRUSTED",
    ),
    Refused(
        "without its intermediate", "PEER_UNKNOWN_CA", "unclear",
        "unable to get local issuer certificate", authority="middle",
        cause=("the intermediate certificates were not sent",),
        fix=("On this end: If CN=a middle authority is an intermediate authority, send",),
        likely="CERTIFICATE_UNTRUSTED",
    ),
    Refused(
        "for another host", "PEER_BAD_CERTIFICATE", "local",
        "Hostname mismatch, certificate is not valid for 'localhost'", Leaf(("else.test",)),
        cause=("it asked for localhost; the certificate is for else.test",),
        fix=("covers localhost", "On the other end: Connect by a name that is in the certificate"),
        likely="CERTIFICATE_NAME_MISMATCH",
    ),
    Refused(
        "for another purpose", "PEER_UNSUPPORTED_CERTIFICATE", "local",
        "unsuitable certificate purpose", Leaf(purpose=ExtendedKeyUsageOID.CLIENT_AUTH),
        cause=("does not allow a server",), fix=("On this end: Use a certificate whose extended",),
        likely="CERTIFICATE_WRONG_PURPOSE", others=("UNSUPPORTED_CERTIFICATE",),
    ),
]  # fmt: skip


def _served(shown: Files) -> ServerConfig:
    return ServerConfig(credentials=Credentials.load(shown.chain, shown.key))


@pytest.mark.parametrize("case", OURS_REFUSED, ids=lambda case: case.id)
def test_certificates_of_our_server_that_clients_refuse(
    case: Refused, pki: Pki, other_pki: Pki, tmp_path: Path
) -> None:
    shown = case.files(tmp_path, pki, other_pki)
    assert shown is not None
    said: list[str] = []
    visit = ssl_client(files(tmp_path, pki).ca, said)
    story = server_story(_served(shown), visit, talks=True)
    assert (story.diagnosis.fault, story.diagnosis.blame) == (case.fault, case.blame)
    assert story.error.causes[0].fault == case.likely
    assert {cause.fault for cause in story.diagnosis.others} >= set(case.others)
    words(story.diagnosis.cause, case.cause)
    words(story.diagnosis.fix, case.fix)
    words(story.shown, ("the alert that was received: fatal", "the server's Certificate"))
    words(said[0], (case.told,))


def test_a_client_that_has_one_alert_for_every_certificate(
    pki: Pki, other_pki: Pki, tmp_path: Path
) -> None:
    """GnuTLS: what it does not say is not made up, and each cause is among the possible ones."""
    ca = files(tmp_path, pki).ca
    for case in OURS_REFUSED[1:5]:
        shown, said = case.files(tmp_path, pki, other_pki), list[str]()
        assert shown is not None
        story = server_story(_served(shown), gnutls_client(ca, said), talks=True)
        assert story.error.alert == "bad_certificate"
        is_evident = case.likely == "CERTIFICATE_NOT_YET_VALID"
        told = "is not yet valid" if is_evident else "this alert does not say why"
        assert told in story.diagnosis.cause
        possible = {cause.fault for cause in story.error.causes}
        assert {case.likely, *case.others} <= possible
        assert "The certificate is NOT trusted" in said[0]


OF_CLIENTS: dict[str, Any] = {
    "purpose": ExtendedKeyUsageOID.CLIENT_AUTH,
    "names": (),
    "common_name": "a client",
}

CLIENTS_REFUSED = [
    Refused(
        "missing", "CLIENT_CERTIFICATE_MISSING", "peer", "alert certificate required", None,
        cause=("sent no certificate",), fix=("On the other end: Give the client a certificate",),
    ),
    Refused(
        "expired", "CERTIFICATE_EXPIRED", "peer", "alert certificate expired",
        Leaf(**OF_CLIENTS, **EXPIRED),
        cause=("CN=a client expired at", "the clock here says"),
        fix=("On the other end: Renew the certificate", "On this end: Check the clock"),
    ),
    Refused(
        "not valid yet", "CERTIFICATE_NOT_YET_VALID", "peer", "alert certificate expired",
        Leaf(**OF_CLIENTS, **NOT_YET_VALID),
        cause=("CN=a client is valid from", "the clock here says"), fix=("Check the clock",),
    ),
    Refused(
        "another authority's", "CERTIFICATE_UNTRUSTED", "unclear", "alert unknown ca",
        Leaf(**OF_CLIENTS), "unknown",
        cause=("CN=a client",), fix=("On this end: If there is another certificate",),
    ),
    Refused(
        "without its intermediate", "CERTIFICATE_UNTRUSTED", "unclear", "alert unknown ca",
        Leaf(**OF_CLIENTS), "middle",
        cause=("CN=a middle authority", "no intermediate certificate was sent"),
        fix=("On the other end: If CN=a middle authority is an intermediate",),
    ),
    Refused(
        "a server's", "CERTIFICATE_WRONG_PURPOSE", "peer", "alert unsupported certificate",
        cause=("does not allow TLS clients",), fix=("names TLS clients (clientAuth)",),
    ),
]  # fmt: skip


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("case", CLIENTS_REFUSED, ids=lambda case: case.id)
def test_client_certificates_that_our_server_refuses(
    case: Refused, version: ssl.TLSVersion, pki: Pki, other_pki: Pki, tmp_path: Path
) -> None:
    said: list[str] = []
    shown = case.files(tmp_path, pki, other_pki)
    visit = ssl_client(files(tmp_path, pki).ca, said, shown=shown, newest=version)
    config = ServerConfig(
        credentials=pki.server(), client_auth=ClientAuth.REQUIRED, trust=pki.trust
    )
    story = server_story(config, visit)
    # TLS 1.2 has no alert of its own for a certificate that is missing.
    old = shown is None and version is ssl.TLSVersion.TLSv1_2
    assert story.diagnosis.fault == case.fault + ("12" if old else "")
    assert story.diagnosis.blame == case.blame
    words(story.diagnosis.cause, case.cause)
    words(story.diagnosis.fix, case.fix)
    words(story.shown, ("the client's Certificate",))
    words(said[0], ("alert handshake failure" if old else case.told,))


SHOWN_TO_OPENSSL = [
    Refused(
        "nothing", "CLIENT_CERTIFICATE_MISSING", "local", "certificate_required", None,
        cause=("this side has sent none",), fix=("On this end: Give this side a certificate",),
    ),
    Refused(
        "another authority's", "CERTIFICATE_UNTRUSTED", "unclear", "unknown_ca",
        Leaf(**OF_CLIENTS), "unknown",
        cause=("does not know the authority",), fix=("is a root, trust the authority",),
    ),
    Refused(
        "without its intermediate", "CERTIFICATE_UNTRUSTED", "unclear", "unknown_ca",
        Leaf(**OF_CLIENTS), "middle",
        cause=("the intermediate certificates were not sent",), fix=("send its certificate",),
    ),
    Refused(
        "expired", "CERTIFICATE_EXPIRED", "local", "certificate_expired",
        Leaf(**OF_CLIENTS, **EXPIRED),
        cause=("by its dates the certificate that this side has sent has expired",),
        fix=("On this end: Renew", "Check the clock"),
    ),
    Refused(
        "not yet valid", "CERTIFICATE_NOT_YET_VALID", "local", "bad_certificate",
        Leaf(**OF_CLIENTS, **NOT_YET_VALID),
        cause=("refuses the client certificate", "is not yet valid"),
        others=("CERTIFICATE_UNTRUSTED",),
    ),
    Refused(
        "a server's", "CERTIFICATE_WRONG_PURPOSE", "local", "unsupported_certificate",
        cause=("does not allow a client",), fix=("On this end: Use a certificate whose",),
    ),
]  # fmt: skip


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize("case", SHOWN_TO_OPENSSL, ids=lambda case: case.id)
def test_client_certificates_with_the_server_of_openssl(
    case: Refused, version: str, pki: Pki, other_pki: Pki, tmp_path: Path
) -> None:
    shown = files(tmp_path, pki)
    theirs = case.files(tmp_path, pki, other_pki)
    credentials = Credentials.load(theirs.chain, theirs.key) if theirs is not None else None
    flags = ["-Verify", "2", "-verify_return_error", "-CAfile", shown.ca]
    config = ClientConfig(trust=pki.trust, versions=[version], credentials=credentials)
    with openssl_server(tmp_path, *shown.shown, *flags) as port:
        story = client_story(port, config, talks=True)
    # TLS 1.2 has no alert of its own for a certificate that is missing.
    old = theirs is None and version == "TLSv1.2"
    alert = "handshake_failure" if old else case.told
    assert story.error.alert == alert
    assert story.error.causes[0].fault == case.fault + ("12" if old else "")
    assert {cause.fault for cause in story.diagnosis.others} >= set(case.others)
    assert story.diagnosis.blame == case.blame
    words(story.diagnosis.cause, case.cause)
    words(story.diagnosis.fix, case.fix)
    words(story.shown, (f"fatal, {alert}", "the client's Certificate"))
    assert story.diagnosis.after_handshake == (version == "TLSv1.3")


# What is no TLS, or ends before its time

SSLV3_HELLO = (
    b"\x16\x03\x00\x00\x2d\x01\x00\x00\x29\x03\x00" + bytes(33) + b"\x00\x02\x00\x0a\x01\x00"
)
"""A ClientHello of SSL 3.0 with one suite, as clients of the last century sent it."""
SSLV3_ALERT = b"\x15\x03\x00\x00\x02\x02\x28"
SSH = b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"
REDIS = b"-ERR unknown command\r\n"
HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"


def reading_and(answer: bytes, *, reset: bool = False) -> Callable[[socket.socket], None]:
    """Reads the hello, and says something."""

    def talk(sock: socket.socket) -> None:
        sock.recv(65536)
        if answer:
            sock.sendall(answer)
        if reset:
            abort(sock)
            return
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass

    return talk


@pytest.mark.parametrize(
    ("talk", "fault", "blame", "cause", "fix", "shown"),
    [
        (reading_and(HTTP), "PLAINTEXT_HTTP", "local", "plain HTTP", "Check the port", "HTTP/1.1"),
        (reading_and(SSH), "NOT_TLS", "local", "are not TLS", "Check that host", "SSH-2.0"),
        (reading_and(REDIS), "NOT_TLS", "local", "are not TLS", "Speak TLS on this", "-ERR"),
        (
            reading_and(b""), "CLOSED_DURING_HANDSHAKE", "peer", "said nothing at all",
            "belong to a TLS service", "the end of the transport (FIN)",
        ),
        (
            reading_and(b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76"), "CLOSED_DURING_HANDSHAKE", "peer",
            "in the middle of a record", "other end's log", "(FIN)",
        ),
        (
            reading_and(b"", reset=True), "RESET_DURING_HANDSHAKE", "unclear", "reset (TCP RST)",
            "firewall", "a TCP reset",
        ),
        (
            reading_and(SSLV3_ALERT), "PEER_HANDSHAKE_FAILURE", "peer", "cipher suites",
            "On the other end", "fatal, handshake_failure",
        ),
    ],
    ids=["http", "ssh", "redis", "closed", "cut", "reset", "sslv3"],
)  # fmt: skip
def test_our_client_and_what_is_no_tls(
    talk: Callable[[socket.socket], None],
    fault: str,
    blame: str,
    cause: str,
    fix: str,
    shown: str,
    pki: Pki,
) -> None:
    with answering(talk) as port:
        story = client_story(port, ClientConfig(trust=pki.trust))
    assert (story.diagnosis.fault, story.diagnosis.blame) == (fault, blame)
    assert cause in story.diagnosis.cause
    assert fix in story.diagnosis.fix
    assert shown in story.shown


def test_our_client_and_nginx_without_tls(pki: Pki, tmp_path: Path) -> None:
    with plain_nginx(tmp_path) as port:
        story = client_story(port, ClientConfig(trust=pki.trust))
    assert (story.diagnosis.fault, story.diagnosis.blame) == ("PLAINTEXT_HTTP", "local")
    words(story.diagnosis.cause, ("plain HTTP",))
    words(story.diagnosis.fix, ("Enable TLS on", "On this end: Check the port"))
    words(story.shown, ("first bytes that were received",))


@pytest.mark.parametrize(
    ("visit", "fault", "blame", "cause", "shown"),
    [
        (curl_without_tls, "PLAINTEXT_HTTP", "peer", "plain HTTP", "GET / HTTP/1.1"),
        (ssh_client, "NOT_TLS", "peer", "not TLS", "SSH-2.0"),
        (
            saying(SSLV3_HELLO),
            "NO_SHARED_VERSION",
            "peer",
            "SSLv3",
            "legacy_version in the client's",
        ),
        (saying(b""), "CLOSED_DURING_HANDSHAKE", "peer", "said nothing at all", "(FIN)"),
        (
            saying(SSLV3_HELLO[:20]),
            "CLOSED_DURING_HANDSHAKE",
            "peer",
            "middle of a record",
            "(FIN)",
        ),
        (
            saying(b"\x16\x03", reset=True),
            "RESET_DURING_HANDSHAKE",
            "unclear",
            "reset",
            "a TCP reset",
        ),
    ],
    ids=["http", "ssh", "sslv3", "closed", "cut", "reset"],
)
def test_our_server_and_what_is_no_tls(
    visit: Callable[[int], None] | Visitor,
    fault: str,
    blame: str,
    cause: str,
    shown: str,
    pki: Pki,
) -> None:
    story = server_story(ServerConfig(credentials=pki.server()), visit)
    assert (story.diagnosis.fault, story.diagnosis.blame) == (fault, blame)
    assert cause in story.diagnosis.cause
    assert story.diagnosis.fix
    assert shown in story.shown


def test_a_server_that_cuts_the_data_off(pki: Pki, tmp_path: Path) -> None:
    shown = files(tmp_path, pki)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown.chain, shown.key)

    def talk(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as tls:
            tls.recv(65536)
            tls.sendall(b"half of it")
            # Not `unwrap`: no close_notify.
            socket.socket.shutdown(tls, socket.SHUT_RDWR)

    with answering(talk) as port:
        story = client_story(port, ClientConfig(trust=pki.trust), talks=True)
    assert (story.diagnosis.fault, story.diagnosis.blame) == ("TRUNCATED", "peer")
    assert story.diagnosis.after_handshake
    assert "(FIN)" in story.shown


def test_a_client_that_cuts_the_data_off(pki: Pki, tmp_path: Path) -> None:
    context = ssl.create_default_context(cafile=files(tmp_path, pki).ca)

    def visit(port: int) -> None:
        with (
            socket.create_connection(("127.0.0.1", port), SECONDS) as sock,
            context.wrap_socket(sock, server_hostname="localhost") as tls,
        ):
            tls.sendall(b"half of it")
            socket.socket.shutdown(tls, socket.SHUT_RDWR)

    story = server_story(ServerConfig(credentials=pki.server()), visit, talks=True)
    assert (story.diagnosis.fault, story.diagnosis.blame) == ("TRUNCATED", "peer")
    words(story.diagnosis.cause, ("without close_notify", "data may be missing"))
    words(story.diagnosis.fix, ("On the other end: Close TLS before closing the connection",))
    assert story.diagnosis.after_handshake
    words(story.shown, ("(FIN)", "last record: application_data"))


@pytest.mark.parametrize("version", ["TLSv1.3", "TLSv1.2"])
def test_a_middlebox_that_mangles_what_our_client_reads(
    version: str, pki: Pki, tmp_path: Path
) -> None:
    shown = files(tmp_path, pki)
    config = ClientConfig(trust=pki.trust, versions=[version])
    with openssl_server(tmp_path, *shown.shown) as port, mangling(port, None, 0) as mine:
        story = client_story(mine, config, talks=True)
    assert (story.diagnosis.fault, story.diagnosis.blame) == ("BAD_RECORD_MAC", "network")
    assert "changed on the way" in story.diagnosis.cause
    assert "proxy" in story.diagnosis.fix
    assert "last record: application_data" in story.shown
    (record,) = story.diagnosis.evidence
    assert record.octets[:3] == b"\x17\x03\x03"


def test_a_middlebox_that_mangles_what_our_client_says(pki: Pki, tmp_path: Path) -> None:
    shown = files(tmp_path, pki)
    with openssl_server(tmp_path, *shown.shown) as port, mangling(port, 1, None) as mine:
        story = client_story(mine, ClientConfig(trust=pki.trust), talks=True)
    assert (story.diagnosis.fault, story.diagnosis.blame) == ("PEER_BAD_RECORD_MAC", "network")
    assert "something on the way has changed it" in story.diagnosis.cause
    assert "fatal, bad_record_mac" in story.shown


def test_a_middlebox_that_mangles_what_our_server_reads(pki: Pki, tmp_path: Path) -> None:
    client = openssl_client("-CAfile", files(tmp_path, pki).ca)

    def visit(port: int) -> None:
        with mangling(port, 0, None) as mine:
            client(mine)

    story = server_story(ServerConfig(credentials=pki.server()), visit)
    assert (story.diagnosis.fault, story.diagnosis.blame) == ("BAD_RECORD_MAC", "network")
    assert "the last record" in story.shown


def test_a_middlebox_that_mangles_what_our_server_says(pki: Pki, tmp_path: Path) -> None:
    said: list[str] = []

    def visit(port: int) -> None:
        with mangling(port, None, 0) as mine:
            ssl_client(files(tmp_path, pki).ca, said)(mine)

    story = server_story(ServerConfig(credentials=pki.server()), visit, talks=True)
    assert (story.diagnosis.fault, story.diagnosis.blame) == ("PEER_BAD_RECORD_MAC", "network")
    assert "something on the way has changed it" in story.diagnosis.cause
    assert "fatal, bad_record_mac" in story.shown
    words(said[0], ("decryption failed or bad record mac",))


def test_a_server_that_never_answers(pki: Pki) -> None:
    with answering(lambda sock: [None for _ in iter(lambda: sock.recv(65536), b"")]) as port:
        story = client_story(port, ClientConfig(trust=pki.trust, handshake_timeout=0.3))
    assert (story.diagnosis.fault, story.diagnosis.blame) == ("HANDSHAKE_TIMEOUT", "peer")
    assert "in time" in story.diagnosis.cause
    assert "handshake_timeout" in story.diagnosis.fix
    assert "nothing more within the time" in story.shown
    assert "nothing received" in story.shown


def test_a_client_that_never_speaks(pki: Pki) -> None:
    def visit(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), SECONDS) as sock, suppress(OSError):
            while sock.recv(65536):
                pass

    config = ServerConfig(credentials=pki.server(), handshake_timeout=0.3)
    story = server_story(config, visit)
    assert (story.diagnosis.fault, story.diagnosis.blame) == ("HANDSHAKE_TIMEOUT", "peer")
