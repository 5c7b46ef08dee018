"""What is said of an alert that answers a ClientHello: only what the hello itself leaves open."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import get_args

import pytest
from tests.test_alerts import WIDE

from handclasp.advice import worded
from handclasp.alerts import OwnChain, Situation, explain_alert, likely_causes, summarize
from handclasp.alerts.cause import Cause
from handclasp.alerts.situation import Stage
from handclasp.faults import Blame
from handclasp.iana import AlertDescription

INSECURE = ("TLS 1.0", "TLS 1.1", "SSLv3")


def causes(alert: str, situation: Situation) -> tuple[Cause, ...]:
    return likely_causes(AlertDescription[alert], situation)


# Versions


@pytest.mark.parametrize("up_to", [True, False])
@pytest.mark.parametrize(
    "versions",
    [("TLSv1.2",), ("TLSv1.1", "TLSv1.2"), ("TLSv1.0",), ("TLSv1.1",), ("TLSv1.0", "TLSv1.1")],
)
def test_a_server_may_be_newer_than_the_hello(versions: tuple[str, ...], *, up_to: bool) -> None:
    situation = replace(WIDE, versions=versions, offers_up_to=up_to)
    (cause,) = causes("PROTOCOL_VERSION", situation)
    assert "so it is older" not in cause.sentence
    for version in INSECURE:
        assert version not in cause.fix
    if versions[-1] == "TLSv1.2":
        assert "only TLS 1.3" in cause.sentence
        assert "On this end: Offer TLS 1.3 as well" in cause.fix
    else:
        assert cause.blame is Blame.LOCAL
        assert "or at least TLS 1.2" in cause.fix
        assert "On the other end" not in cause.fix
    assert ("newest version that was offered" in cause.sentence) == up_to


# Suites, groups and schemes


KEY_TRANSPORT = ("TLS_RSA_WITH_AES_128_GCM_SHA256", "TLS_RSA_WITH_AES_128_CBC_SHA")


@pytest.mark.parametrize("suite", KEY_TRANSPORT)
def test_a_hello_that_needs_no_group(suite: str) -> None:
    situation = replace(
        WIDE, versions=("TLSv1.2",), cipher_suites=(suite,), groups=(), signature_schemes=()
    )
    found = causes("HANDSHAKE_FAILURE", situation)
    assert "NO_SHARED_GROUP" not in [cause.fault for cause in found]
    assert "NO_SHARED_SIGNATURE_SCHEME" not in [cause.fault for cause in found]
    assert found[0].fault == "NO_SHARED_CIPHER_SUITE"
    assert "none" not in summarize(found).sentence.partition("none of the cipher suites")[2][:20]
    # With a suite that does, each may be the cause again.
    more = replace(situation, cipher_suites=(suite, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"))
    faults = [cause.fault for cause in causes("HANDSHAKE_FAILURE", more)]
    assert {"NO_SHARED_GROUP", "NO_SHARED_SIGNATURE_SCHEME"} <= set(faults)


@pytest.mark.parametrize(
    ("more", "lacks"),
    [
        ((), "CBC, DHE or RSA key transport"),
        (("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",), "DHE or RSA key transport"),
        (("TLS_RSA_WITH_AES_128_GCM_SHA256",), "CBC or DHE"),
        (("TLS_DHE_RSA_WITH_AES_128_CBC_SHA", "TLS_RSA_WITH_AES_128_CBC_SHA"), None),
    ],
)
def test_old_servers_may_want_what_is_not_recommended(
    more: tuple[str, ...], lacks: str | None
) -> None:
    """That the hello is a good one does not mean that it lacks nothing which others offer."""
    situation = replace(WIDE, cipher_suites=(*WIDE.cipher_suites, *more))
    found = causes("HANDSHAKE_FAILURE", situation)
    told = summarize(found)
    assert "The hello has the cipher suites, groups and signature schemes that are" in told.sentence
    assert "recommended today" in told.condition
    for sentence in (told.sentence, found[0].sentence):
        assert ("ld servers may have only" in sentence) == (lacks is not None)
        assert lacks is None or f" with {lacks}, which were not offered" in sentence
    only13 = causes("HANDSHAKE_FAILURE", replace(situation, versions=("TLSv1.3",)))
    assert "ld servers" not in summarize(only13).sentence


@pytest.mark.parametrize(
    ("more", "versions", "advised"),
    [
        ((), ("TLSv1.2", "TLSv1.3"), True),
        ((), ("TLSv1.3",), False),
        (KEY_TRANSPORT, ("TLSv1.2", "TLSv1.3"), False),
    ],
)
def test_key_transport_is_an_option_that_is_said_to_be_weak(
    more: tuple[str, ...], versions: tuple[str, ...], *, advised: bool
) -> None:
    """It is advised only to those who can allow it and have not done so."""
    suites = (*WIDE.cipher_suites, *more)
    found = causes("HANDSHAKE_FAILURE", replace(WIDE, cipher_suites=suites, versions=versions))
    suited = [cause for cause in found if cause.fault == "NO_SHARED_CIPHER_SUITE"]
    for cause in (summarize(found), *suited):
        for end in ("connect", "serve"):
            told = worded(cause.fix, end)
            assert ("it is weak: it has no forward secrecy" in told) == advised
            assert ("(--allow-rsa-key-transport)" in told) == advised
        here = worded(cause.fix, "ssl").partition("On this end")[2]
        assert "key transport" not in here  # It has no setting for that.


@pytest.mark.parametrize("versions", [("TLSv1.2",), ("TLSv1.2", "TLSv1.3")])
def test_advice_names_the_servers_that_it_helps(versions: tuple[str, ...]) -> None:
    """Key transport helps with no server of CBC or of pre-shared keys, so these are advised too."""
    told = summarize(causes("HANDSHAKE_FAILURE", replace(WIDE, versions=versions)))
    assert "a pre-shared key that it requires" in told.sentence
    for end in ("connect", "reader"):
        there, _, here = worded(told.fix, end).partition("On this end: ")
        newer = "TLS 1.3, or suites" if "TLSv1.3" in versions else "suites"
        only = "If the server has only suites with CBC, DHE or RSA key transport, enable"
        assert f"{only} {newer} with ECDHE and AES-GCM." in there
        assert "If the server has only pre-shared keys, give it a certificate." in there
        assert here.startswith(
            "If the server's settings allow RSA key transport with AES-GCM "
            "(TLS_RSA_WITH_AES_128_GCM_SHA256 or TLS_RSA_WITH_AES_256_GCM_SHA384) and nothing newer"
        )
    # The command has no option for keys.
    assert "the identity and the key" not in worded(told.fix, "connect")
    offer = "If the server accepts only clients with a pre-shared key, offer the identity and"
    assert f"{offer} the key that it knows for TLS 1.3 (context." in worded(told.fix, "ssl")
    assert ("Enable TLS 1.3 for it" in told.fix) == (versions == ("TLSv1.2",))


@pytest.mark.parametrize("groups", [("secp521r1",), ("secp384r1", "secp521r1")])
def test_what_is_well_known_is_not_called_unusual(groups: tuple[str, ...]) -> None:
    (first, *_) = causes("HANDSHAKE_FAILURE", replace(WIDE, groups=groups))
    assert first.fault == "NO_SHARED_GROUP"
    assert first.condition == (
        "which offers none of the groups that nearly every server supports, unless that is intended"
    )


def test_the_other_causes_stand_alone() -> None:
    """A page lists each by itself, so none begins with "Or"."""
    chain = OwnChain(size=1, leaf="CN=a", last="CN=a", issuer="CN=b", names="a", dates=" of now")
    seen = 0
    for alert, role, stage in product(AlertDescription, ("client", "server"), get_args(Stage)):
        situation = replace(WIDE, role=role, stage=stage, certificate="shown", chain=chain)
        for cause in explain_alert(alert, situation).others:
            seen += 1
            assert not cause.sentence.startswith("Or "), cause
            assert cause.sentence[0].isupper(), cause
    assert seen > 30


def test_causes_are_named_at_once_or_follow_the_one_that_is_explained() -> None:
    named = explain_alert(AlertDescription.HANDSHAKE_FAILURE, WIDE)
    assert named.others
    assert all(cause.is_named for cause in named.others)
    narrow = replace(WIDE, groups=("secp256r1",))
    explained = explain_alert(AlertDescription.HANDSHAKE_FAILURE, narrow)
    assert explained.others
    assert not any(cause.is_named for cause in explained.others)


def test_an_absent_list_is_no_empty_one() -> None:
    situation = replace(WIDE, versions=("TLSv1.2",), groups=(), signature_schemes=())
    for cause in causes("HANDSHAKE_FAILURE", situation):
        assert "were offered: none" not in cause.sentence
        assert "was offered: none" not in cause.sentence


@pytest.mark.parametrize("groups", [("X25519", "secp256r1"), ("secp521r1",), ("X25519",)])
def test_unexpected_message_came_in_tls(groups: tuple[str, ...]) -> None:
    """Java sends it if no group is shared; its record disproves that this is no TLS."""
    found = causes("UNEXPECTED_MESSAGE", replace(WIDE, groups=groups))
    assert found[0].fault == "NO_SHARED_GROUP"
    assert "NOT_TLS" not in [cause.fault for cause in found]


# Pre-shared keys, and what needs keys


NO_PSK = replace(WIDE, offers_psk=False)


@pytest.mark.parametrize("alert", ["DECRYPT_ERROR", "BAD_RECORD_MAC", "UNKNOWN_PSK_IDENTITY"])
def test_a_hello_without_a_pre_shared_key(alert: str) -> None:
    for cause in causes(alert, NO_PSK):
        assert "under this identity" not in cause.sentence
        assert "under that identity" not in cause.sentence
        assert "has changed" not in cause.sentence
    said = causes(alert, NO_PSK)[0].sentence
    assert "this side has" in said or "this hello has nothing" in said


def test_a_hello_with_a_ticket() -> None:
    (first, *_) = causes("DECRYPT_ERROR", replace(WIDE, offers_psk=True))
    assert first.fault == "BAD_BINDER"
    (first, *_) = causes("DECRYPT_ERROR", WIDE)
    assert first.sentence.startswith("If this side has offered a pre-shared key")


# The client's certificate, and ECH


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize("stage", ["handshake", "established"])
def test_decode_error_after_an_empty_certificate(version: str, stage: Stage) -> None:
    situation = replace(WIDE, stage=stage, version=version, certificate="withheld")
    (cause,) = causes("DECODE_ERROR", situation)
    assert (cause.fault, cause.blame) == ("CLIENT_CERTIFICATE_MISSING", Blame.LOCAL)
    assert not causes("DECODE_ERROR", replace(situation, certificate="shown"))


def test_ech_required_is_a_client_s_alert() -> None:
    number = AlertDescription.ECH_REQUIRED
    told = explain_alert(number, Situation("server", "handshake"))
    assert "this server did not accept" in told.sentence
    assert "The server requires" not in told.sentence
    assert "has no meaning" in explain_alert(number, WIDE).sentence


# Names, pre-shared keys and what a ServerHello lacks


def test_a_name_that_is_missing_is_one_cause_among_others() -> None:
    """Whoever connects by an address sends none, and few servers mind."""
    found = causes("HANDSHAKE_FAILURE", replace(WIDE, server_name=None))
    assert "UNRECOGNIZED_NAME" in [cause.fault for cause in found]
    told = summarize(found)
    assert "Most likely" not in told.sentence
    assert "are recommended today, but no server name (SNI), so it is one of" in told.sentence
    assert told.blame is Blame.UNCLEAR
    narrow = replace(WIDE, server_name=None, groups=("secp521r1",))
    assert causes("HANDSHAKE_FAILURE", narrow)[0].fault == "NO_SHARED_GROUP"


def test_an_external_key_that_was_offered_comes_first() -> None:
    found = causes("HANDSHAKE_FAILURE", replace(WIDE, external_key=True, offers_psk=True))
    assert [cause.fault for cause in found].count("UNKNOWN_PSK_IDENTITY") == 1
    assert found[0].fault == "UNKNOWN_PSK_IDENTITY"
    assert causes("HANDSHAKE_FAILURE", WIDE)[0].fault != "UNKNOWN_PSK_IDENTITY"


@pytest.mark.parametrize("offers_ech", [True, False])
def test_the_outer_name_is_not_the_one_that_was_asked_for(*, offers_ech: bool) -> None:
    (cause,) = causes("UNRECOGNIZED_NAME", replace(WIDE, offers_ech=offers_ech))
    assert ("the name that was asked for: localhost" in cause.sentence) != offers_ech
    assert ("encrypted_client_hello" in cause.sentence) == offers_ech
    assert (cause.blame is Blame.UNCLEAR) == offers_ech


@pytest.mark.parametrize("lacks", [True, False])
def test_a_server_hello_without_renegotiation_info(*, lacks: bool) -> None:
    situation = Situation("server", "handshake", version="TLSv1.2", lacks_renegotiation_info=lacks)
    first, *_ = causes("HANDSHAKE_FAILURE", situation)
    assert (first.fault == "SECURE_RENEGOTIATION_MISSING") == lacks
    assert (first.blame is Blame.LOCAL) == lacks


@pytest.mark.parametrize("groups", [("secp256r1",), ("X25519", "secp256r1")])
def test_who_limits_the_groups_is_advised_to_offer_all(groups: tuple[str, ...]) -> None:
    for cause in causes("HANDSHAKE_FAILURE", replace(WIDE, groups=groups)):
        if cause.fault == "NO_SHARED_GROUP":
            assert "offer all of them (leave out --group)." in worded(cause.fix, "connect")
            assert "If the groups were limited, offer all" in worded(cause.fix, "reader")
            break
    else:
        raise AssertionError("the groups are no cause")
    usual = ("X25519", "secp256r1", "secp384r1", "secp521r1")
    for cause in causes("HANDSHAKE_FAILURE", replace(WIDE, groups=usual)):
        assert "were limited" not in cause.fix
