"""What alerts of the peer mean: the likeliest cause by what this side offered and showed."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handclasp import ClientConfig, Fault, PeerAlertError
from handclasp.alerts import Situation, likely_causes
from handclasp.alerts.situation import ClientAuthStatus, Stage
from handclasp.faults import Blame
from handclasp.iana import AlertDescription

_CONFIG = ClientConfig()
WIDE = Situation(
    role="client",
    stage="hello",
    versions=tuple(_CONFIG.versions),
    cipher_suites=tuple(_CONFIG.cipher_suites),
    groups=tuple(_CONFIG.groups),
    signature_schemes=tuple(_CONFIG.signature_schemes),
    server_name="localhost",
)
SERVER = Situation(role="server", stage="handshake", version="TLSv1.3")
HANDSHAKE_FAILURE = AlertDescription.HANDSHAKE_FAILURE


def faults(alert: int, situation: Situation) -> list[str]:
    return [cause.fault for cause in likely_causes(alert, situation)]


@pytest.mark.parametrize(
    ("narrow", "likeliest"),
    [
        ({}, "NO_SHARED_CIPHER_SUITE"),
        ({"groups": ("secp521r1",)}, "NO_SHARED_GROUP"),
        ({"signature_schemes": ("ed448",)}, "NO_SHARED_SIGNATURE_SCHEME"),
        ({"signature_schemes": ("ecdsa_secp256r1_sha256",)}, "NO_SHARED_SIGNATURE_SCHEME"),
        ({"cipher_suites": ("TLS_AES_256_GCM_SHA384",)}, "NO_SHARED_CIPHER_SUITE"),
        (
            {
                "versions": ("TLSv1.2",),
                "cipher_suites": ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",),
            },
            "NO_SHARED_CIPHER_SUITE",
        ),
    ],
)
def test_what_is_narrow_is_the_likeliest(narrow: dict[str, Any], likeliest: str) -> None:
    found = faults(HANDSHAKE_FAILURE, replace(WIDE, **narrow))
    assert found[0] == likeliest
    assert {
        "NO_SHARED_CIPHER_SUITE",
        "NO_SHARED_GROUP",
        "NO_SHARED_SIGNATURE_SCHEME",
    } <= set(found)


def test_without_a_name_that_may_be_the_cause() -> None:
    assert "UNRECOGNIZED_NAME" in faults(HANDSHAKE_FAILURE, replace(WIDE, server_name=None))


@pytest.mark.parametrize(
    ("certificate", "fault", "blame"),
    [
        ("withheld", "CLIENT_CERTIFICATE_MISSING12", Blame.LOCAL),
        ("shown", "CERTIFICATE_UNTRUSTED", Blame.UNCLEAR),
    ],
)
def test_after_the_hello_it_is_the_certificate(
    certificate: ClientAuthStatus, fault: str, blame: Blame
) -> None:
    situation = replace(WIDE, stage="handshake", version="TLSv1.2", certificate=certificate)
    (cause,) = likely_causes(HANDSHAKE_FAILURE, situation)
    assert (cause.fault, cause.blame) == (fault, blame)


def test_the_blame_is_seen_from_here() -> None:
    """What the peer found to be its peer's fault is ours."""
    (cause,) = likely_causes(AlertDescription.CERTIFICATE_REQUIRED, WIDE)
    assert cause.blame is Blame.LOCAL
    assert "On this end: Give this side a certificate" in cause.fix
    assert Fault.CLIENT_CERTIFICATE_MISSING.blame is Blame.PEER


@pytest.mark.parametrize(
    ("versions", "word"),
    [
        (("TLSv1.3",), "does not speak TLS 1.3"),
        (("TLSv1.2",), "does not speak TLS 1.2"),
        (("TLSv1.2", "TLSv1.3"), "neither TLS 1.2 nor TLS 1.3"),
    ],
)
def test_versions_that_are_refused(versions: tuple[str, ...], word: str) -> None:
    (cause,) = likely_causes(AlertDescription.PROTOCOL_VERSION, replace(WIDE, versions=versions))
    assert word in cause.sentence


@pytest.mark.parametrize(
    ("alert", "doubt"),
    [
        ("PROTOCOL_VERSION", ""),
        ("INTERNAL_ERROR", ", unless the client had another reason"),
        ("INSUFFICIENT_SECURITY", ", unless the client had another reason"),
    ],
)
def test_a_server_that_chose_an_obsolete_version(alert: str, doubt: str) -> None:
    chosen = replace(SERVER, version="TLSv1.1", versions=("TLSv1.1", "TLSv1.2"))
    (cause,) = likely_causes(AlertDescription[alert], chosen)
    assert "chose TLS 1.1, which is obsolete (RFC 8996), although" in cause.sentence
    assert cause.blame is Blame.LOCAL
    assert cause.condition == f"which chose an obsolete version{doubt}"
    (cause,) = likely_causes(AlertDescription[alert], replace(chosen, versions=("TLSv1.1",)))
    assert cause.blame is Blame.PEER
    assert "as the client asks" in cause.sentence
    # Nothing is said of a version that is fine, or of an offer that is unknown.
    for other in (replace(chosen, version="TLSv1.2"), replace(chosen, versions=())):
        assert "obsolete" not in "".join(
            each.sentence for each in likely_causes(AlertDescription[alert], other)
        )


def test_the_other_end_is_named_where_it_is_known() -> None:
    for role, other in (("client", "server"), ("server", "client")):
        situation = Situation(role=role, stage="hello", version=None)
        error = PeerAlertError(AlertDescription.INTERNAL_ERROR, situation)
        assert "peer" not in str(error)
        assert f"The {other} ended the connection" in str(error)
        assert error.fix == f"See the {other}'s log."
    assert "The peer ended" in str(PeerAlertError(AlertDescription.INTERNAL_ERROR))


def test_roles_are_told_apart() -> None:
    for alert in (
        "UNKNOWN_CA",
        "BAD_CERTIFICATE",
        "CERTIFICATE_UNKNOWN",
        "CERTIFICATE_EXPIRED",
        "UNSUPPORTED_CERTIFICATE",
        "CERTIFICATE_REVOKED",
    ):
        number = AlertDescription[alert]
        here = likely_causes(number, replace(WIDE, stage="established", certificate="shown"))
        there = likely_causes(number, SERVER)
        assert here[0].sentence != there[0].sentence, alert


def test_an_alert_that_does_not_tell_why_has_several_causes() -> None:
    """Of a certificate that is not valid yet, OpenSSL says the same as of a wrong name."""
    assert faults(AlertDescription.BAD_CERTIFICATE, SERVER) == [
        "CERTIFICATE_NAME_MISMATCH",
        "CERTIFICATE_NOT_YET_VALID",
        "CERTIFICATE_UNTRUSTED",
        "BAD_CERTIFICATE",
    ]
    shown = replace(WIDE, stage="established", certificate="shown")
    assert "CERTIFICATE_NOT_YET_VALID" in faults(AlertDescription.BAD_CERTIFICATE, shown)
    for certificate in ("withheld", "unasked"):
        without = replace(shown, certificate=certificate)
        assert len(faults(AlertDescription.BAD_CERTIFICATE, without)) == 1


def test_an_error_takes_over_the_likeliest() -> None:
    error = PeerAlertError(HANDSHAKE_FAILURE, replace(WIDE, groups=("secp521r1",)))
    assert error.causes[0].fault == "NO_SHARED_GROUP"
    likeliest = error.causes[0].sentence
    assert likeliest[1:] in error.explanation
    assert error.explanation in str(error)
    assert error.condition == error.causes[0].condition
    assert error.fix == error.causes[0].fix
    assert error.fix in error.__notes__
    assert error.fault_name == "PEER_HANDSHAKE_FAILURE"


def test_without_a_situation_it_says_what_is_true_of_all() -> None:
    error = PeerAlertError(HANDSHAKE_FAILURE)
    assert error.causes == ()
    assert error.explanation


SITUATIONS = st.builds(
    Situation,
    role=st.sampled_from(["client", "server"]),
    stage=st.sampled_from(["hello", "handshake", "established"]),
    version=st.sampled_from([None, "TLSv1.2", "TLSv1.3"]),
    versions=st.sampled_from([(), ("TLSv1.2",), ("TLSv1.3",), ("TLSv1.2", "TLSv1.3")]),
    cipher_suites=st.just(()) | st.just(WIDE.cipher_suites),
    groups=st.just(()) | st.just(WIDE.groups),
    alpn=st.just(()) | st.just(("h2",)),
    server_name=st.none() | st.just("localhost"),
    certificate=st.sampled_from(["shown", "withheld", "unasked"]),
    declined_renegotiation=st.booleans(),
    external_key=st.booleans(),
)


@settings(deadline=None)
@given(st.integers(0, 255), SITUATIONS)
def test_every_cause_is_complete(alert: int, situation: Situation) -> None:
    for cause in likely_causes(alert, situation):
        assert cause.fault in Fault.__members__
        assert cause.sentence.endswith(".")
        assert cause.sentence[0].isupper()
        assert cause.fix
        assert cause.blame is not Blame.UNCLEAR or cause.condition
        assert isinstance(cause.blame, Blame)


OLD = replace(WIDE, stage="established", version="TLSv1.2")


@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize("certificate", ["shown", "withheld", "unasked"])
def test_after_a_renegotiation_was_declined(role: str, certificate: ClientAuthStatus) -> None:
    situation = replace(OLD, role=role, certificate=certificate, declined_renegotiation=True)
    for name in ("HANDSHAKE_FAILURE", "NO_RENEGOTIATION_RESERVED", "UNEXPECTED_MESSAGE"):
        (cause,) = likely_causes(AlertDescription[name], situation)
        assert cause.fault == "RENEGOTIATION"
        assert "renegotiation" in cause.sentence
        assert cause.blame is Blame.PEER


@pytest.mark.parametrize(
    "alert",
    ["HANDSHAKE_FAILURE", "INSUFFICIENT_SECURITY", "PROTOCOL_VERSION", "UNRECOGNIZED_NAME",
     "NO_APPLICATION_PROTOCOL", "UNKNOWN_PSK_IDENTITY"],
)  # fmt: skip
def test_what_was_agreed_upon_is_no_cause_any_more(alert: str) -> None:
    statuses: tuple[ClientAuthStatus, ...] = ("shown", "unasked")
    for role, certificate in itertools.product(("client", "server"), statuses):
        situation = replace(OLD, role=role, certificate=certificate)
        (cause,) = likely_causes(AlertDescription[alert], situation)
        assert "The handshake was complete" in cause.sentence
        assert (cause.fault, cause.condition) == ("INTERNAL_ERROR", "which gave no reason")


def test_in_tls13_a_client_is_done_before_its_certificate_is_judged() -> None:
    situation = replace(WIDE, stage="established", version="TLSv1.3", certificate="shown")
    assert faults(HANDSHAKE_FAILURE, situation) == ["CERTIFICATE_UNTRUSTED"]


def test_a_server_that_has_answered_speaks_the_version() -> None:
    situation = replace(WIDE, stage="handshake", version="TLSv1.3", versions=("TLSv1.3",))
    (cause,) = likely_causes(AlertDescription.PROTOCOL_VERSION, situation)
    assert "had agreed on TLS 1.3" in cause.sentence


@pytest.mark.parametrize(
    "alert",
    ["UNKNOWN_CA", "CERTIFICATE_EXPIRED", "CERTIFICATE_REVOKED", "ACCESS_DENIED",
     "UNSUPPORTED_CERTIFICATE", "CERTIFICATE_UNKNOWN", "BAD_CERTIFICATE_STATUS_RESPONSE"],
)  # fmt: skip
@pytest.mark.parametrize("certificate", ["withheld", "unasked"])
@pytest.mark.parametrize("stage", ["handshake", "established"])
def test_a_client_that_showed_no_certificate(
    alert: str, certificate: ClientAuthStatus, stage: Stage
) -> None:
    situation = replace(WIDE, stage=stage, version="TLSv1.3", certificate=certificate)
    for cause in likely_causes(AlertDescription[alert], situation):
        told = f"{cause.sentence} {cause.fix}"
        assert "this side has sent" not in told.replace("this side has sent none", "")
        assert "that was sent" not in told
        assert "verified the identity" not in told


def test_certificate_required_of_a_client_that_showed_one() -> None:
    situation = replace(WIDE, stage="established", version="TLSv1.3", certificate="shown")
    (cause,) = likely_causes(AlertDescription.CERTIFICATE_REQUIRED, situation)
    assert "sent none" not in cause.sentence


@pytest.mark.parametrize("alert", ["BAD_RECORD_MAC", "DECRYPT_ERROR", "ILLEGAL_PARAMETER"])
def test_two_pre_shared_keys(alert: str) -> None:
    number = AlertDescription[alert]
    stages: tuple[tuple[Stage, str | None], ...] = (("hello", None), ("handshake", "TLSv1.2"))
    for stage, version in stages:
        situation = replace(WIDE, stage=stage, version=version, external_key=True)
        first = likely_causes(number, situation)[0]
        assert "hold different pre-shared keys" in first.sentence
    agreed = replace(WIDE, stage="established", version="TLSv1.3", external_key=True)
    assert all("pre-shared" not in cause.sentence for cause in likely_causes(number, agreed))
