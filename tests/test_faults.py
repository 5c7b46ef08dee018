"""The catalogue: every entry is complete, and fit to be read by people."""

from __future__ import annotations

import itertools
import re

import pytest

from handclasp.advice import LIMITS
from handclasp.faults import Blame, Entry, Fault, Role
from handclasp.iana import AlertDescription

ROLES: tuple[Role, ...] = ("client", "server")

members = pytest.mark.parametrize("fault", Fault)

# RFC 8446 wants these alerts, in words that leave no choice.
ALERTS = {
    Fault.RECORD_OVERFLOW: AlertDescription.RECORD_OVERFLOW,  # 5.1, 5.2
    Fault.BAD_RECORD_MAC: AlertDescription.BAD_RECORD_MAC,  # 5.2
    Fault.NO_INNER_CONTENT_TYPE: AlertDescription.UNEXPECTED_MESSAGE,  # 5.4
    Fault.UNEXPECTED_RECORD_TYPE: AlertDescription.UNEXPECTED_MESSAGE,  # 5
    Fault.UNEXPECTED_CHANGE_CIPHER_SPEC: AlertDescription.UNEXPECTED_MESSAGE,  # 5
    Fault.HANDSHAKE_ACROSS_KEY_CHANGE: AlertDescription.UNEXPECTED_MESSAGE,  # 5.1
    Fault.DECODE_ERROR: AlertDescription.DECODE_ERROR,  # 6.2
    Fault.ILLEGAL_VALUE: AlertDescription.ILLEGAL_PARAMETER,  # 6.2
    Fault.MISPLACED_EXTENSION: AlertDescription.ILLEGAL_PARAMETER,  # 4.2
    Fault.UNSOLICITED_EXTENSION: AlertDescription.UNSUPPORTED_EXTENSION,  # 4.2
    Fault.MISSING_EXTENSION: AlertDescription.MISSING_EXTENSION,  # 9.2
    Fault.UNEXPECTED_MESSAGE: AlertDescription.UNEXPECTED_MESSAGE,  # 4
    Fault.RENEGOTIATION: AlertDescription.UNEXPECTED_MESSAGE,  # 4.1.2
    Fault.POST_HANDSHAKE_AUTHENTICATION: AlertDescription.UNEXPECTED_MESSAGE,  # 4.6.2
    Fault.NO_SHARED_VERSION: AlertDescription.PROTOCOL_VERSION,  # 4.2.1
    Fault.NO_SHARED_CIPHER_SUITE: AlertDescription.HANDSHAKE_FAILURE,  # 4.1.1
    Fault.NO_SHARED_GROUP: AlertDescription.HANDSHAKE_FAILURE,  # 4.1.1
    Fault.NO_SHARED_APPLICATION_PROTOCOL: AlertDescription.NO_APPLICATION_PROTOCOL,
    Fault.VERSION_DOWNGRADE: AlertDescription.ILLEGAL_PARAMETER,  # 4.1.3
    Fault.UNOFFERED_VERSION: AlertDescription.ILLEGAL_PARAMETER,  # 4.2.1
    Fault.UNOFFERED_CIPHER_SUITE: AlertDescription.ILLEGAL_PARAMETER,  # 4.1.3
    Fault.UNOFFERED_GROUP: AlertDescription.ILLEGAL_PARAMETER,  # 4.2.8
    Fault.SESSION_ID_MISMATCH: AlertDescription.ILLEGAL_PARAMETER,  # 4.1.3
    Fault.COMPRESSION_CHOSEN: AlertDescription.ILLEGAL_PARAMETER,  # 4.1.2
    Fault.BAD_RECORD_SIZE_LIMIT: AlertDescription.ILLEGAL_PARAMETER,  # RFC 8449 4
    Fault.SECOND_HELLO_RETRY_REQUEST: AlertDescription.UNEXPECTED_MESSAGE,  # 4.1.4
    Fault.POINTLESS_HELLO_RETRY_REQUEST: AlertDescription.ILLEGAL_PARAMETER,  # 4.1.4
    Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST: AlertDescription.ILLEGAL_PARAMETER,  # 4.1.4
    Fault.BAD_KEY_SHARE: AlertDescription.ILLEGAL_PARAMETER,
    Fault.KEY_SHARE_NOT_IN_GROUPS: AlertDescription.ILLEGAL_PARAMETER,  # 4.2.8
    Fault.BAD_FINISHED: AlertDescription.DECRYPT_ERROR,  # 4.4.4
    Fault.BAD_SIGNATURE: AlertDescription.DECRYPT_ERROR,  # 4.4.3
    Fault.EMPTY_SERVER_CERTIFICATE: AlertDescription.DECODE_ERROR,  # 4.4.2.4
    Fault.CLIENT_CERTIFICATE_MISSING: AlertDescription.CERTIFICATE_REQUIRED,  # 4.4.2.4
    Fault.CERTIFICATE_EXPIRED: AlertDescription.CERTIFICATE_EXPIRED,  # 6.2
    Fault.CERTIFICATE_UNTRUSTED: AlertDescription.UNKNOWN_CA,  # 6.2
    Fault.UNRECOGNIZED_NAME: AlertDescription.UNRECOGNIZED_NAME,  # RFC 6066 3
}


@pytest.mark.parametrize(("fault", "alert"), ALERTS.items(), ids=lambda value: value.name)
def test_the_alerts_that_the_rfc_wants(fault: Fault, alert: AlertDescription) -> None:
    assert fault.alert is alert


@members
def test_every_entry_is_complete(fault: Fault) -> None:
    assert isinstance(fault.value, Entry)
    assert isinstance(fault.alert, AlertDescription)
    assert "RESERVED" not in fault.alert.name
    assert re.fullmatch(r"(RFC \d{4} [A-E\d]|PROXY protocol \d)(\.\d+)*", fault.section)


@members
def test_the_sentence_is_one(fault: Fault) -> None:
    sentence = fault.sentence
    assert sentence[0].isupper()
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert len(sentence) <= 100
    assert not sentence.isupper()


@members
def test_the_advice_says_which_end_it_is_for(fault: Fault) -> None:
    entry = fault.value
    for advice in (entry.fix_peer, entry.fix_local):
        assert not advice or (advice[0].isupper() and advice.endswith("."))
        assert advice.count("On this end") == advice.count("On the other end") == 0
    assert ("On the other end: " in fault.fix) is bool(entry.fix_peer)
    assert ("On this end: " in fault.fix) is bool(entry.fix_local)
    assert not fault.fix.startswith(" ")


def test_no_two_faults_are_the_same() -> None:
    # Enum would make the second of two equal entries an alias of the first.
    assert len(Fault) == len(Fault.__members__)
    sentences = [fault.sentence for fault in Fault]
    assert len(set(sentences)) == len(sentences)


@members
def test_every_fault_is_somebodys(fault: Fault) -> None:
    assert isinstance(fault.blame, Blame)
    if fault.blame is Blame.LOCAL:
        assert fault.value.fix_local or fault is Fault.CERTIFICATE_REFUSED
    if fault.name.startswith("NO_SHARED_"):
        assert fault.blame is Blame.UNCLEAR
    verdicts = [fault.verdict(nothing_came=silent) for silent in (False, True)]
    for role in ROLES:
        verdicts += [fault.verdict(role, nothing_came=silent) for silent in (False, True)]
    for verdict in verdicts:
        # Who is told that it is unclear is told between whom.
        assert verdict.blame is not Blame.UNCLEAR or verdict.condition
        assert not verdict.condition.endswith(".")
        assert not verdict.condition[:1].isupper()


@pytest.mark.parametrize("role", ROLES)
@members
def test_advice_by_role_is_made_of_sentences_too(fault: Fault, role: Role) -> None:
    text = fault.fix_of(role)
    assert not text or text.startswith(("On the other end: ", "On this end: "))
    assert not text or text.endswith(".")


def test_a_silent_client_may_wait_for_a_greeting() -> None:
    silent = Fault.HANDSHAKE_TIMEOUT.verdict("server", nothing_came=True)
    assert "STARTTLS" in silent.condition


OF_FIRST_BYTES = {Fault.NOT_TLS, Fault.PLAINTEXT_HTTP}
"""Faults that only the first bytes of a connection can have."""


@members
def test_another_service_is_suspected_only_where_nothing_came(fault: Fault) -> None:
    for role in (None, *ROLES):
        told = f"{fault.verdict(role).condition} {fault.fix_of(role)}"
        suspects = re.search(r"another service|a TLS service|TLS on (this|that) port", told)
        assert not suspects or fault in OF_FIRST_BYTES


def test_another_service_is_suspected_where_nothing_came() -> None:
    for fault in (Fault.CLOSED_DURING_HANDSHAKE, Fault.RESET_DURING_HANDSHAKE):
        told = fault.fix_of("client", nothing_came=True)
        assert "belong to a TLS service" in told
        assert "PROXY protocol" in told
        assert "PROXY protocol" not in fault.fix_of("client")
    assert "speaks TLS" in Fault.HANDSHAKE_TIMEOUT.fix_of("client", nothing_came=True)


@pytest.mark.parametrize(
    "fault",
    [
        Fault.TOO_MANY_RECORDS_WITHOUT_PROGRESS,
        Fault.TOO_MANY_KEY_UPDATES,
        Fault.TOO_MANY_ALERTS,
        Fault.TOO_MANY_EXTENSIONS,
        Fault.TOO_MANY_CERTIFICATES,
    ],
)
def test_a_limit_of_this_side_can_be_raised(fault: Fault) -> None:
    assert f"raise the limit ({LIMITS})" in fault.fix


def test_a_change_cipher_spec_is_refused_in_both_versions() -> None:
    assert "1.3" not in Fault.UNEXPECTED_CHANGE_CIPHER_SPEC.sentence


def test_what_a_role_does_not_replace_is_that_of_the_entry() -> None:
    entry = Fault.HANDSHAKE_TIMEOUT.value
    for role, nothing_came in itertools.product(ROLES, (False, True)):
        fix = Fault.HANDSHAKE_TIMEOUT.fix_of(role, nothing_came=nothing_came)
        assert entry.fix_local in fix
        assert (entry.fix_peer in fix) == (role == "client" and not nothing_came)
    assert "On this end" not in Fault.NOT_TLS.fix_of("server")
