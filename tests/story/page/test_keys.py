"""The key schedule: the picture has what was noted, and says what was not needed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.pki import Pki
from tests.recorded import Recorded, converse

from handclasp import ClientConfig, PreSharedKey, ServerConfig, SessionStore
from handclasp.iana import HandshakeType
from handclasp.story.facts import facts_of
from handclasp.story.page.document import page_of
from handclasp.story.page.keys import Schedule, Step, schedule_of
from handclasp.story.recorded import KeyExchange
from handclasp.trace.events import KeyStep, MessageSeen, TraceEvent


@pytest.mark.parametrize("kind", ["with_secrets", "classic"])
def test_the_picture_has_the_values_that_were_noted(
    request: pytest.FixtureRequest, kind: str
) -> None:
    recorded: Recorded = request.getfixturevalue(kind)
    events = recorded.client.events
    schedule = schedule_of(events, facts_of(events).version)
    assert schedule is not None
    steps = [event for event in events if isinstance(event, KeyStep)]
    assert [step.hex for step in schedule.steps] == [step.value.hex() for step in steps]
    for stage in schedule.stages:
        assert stage.step is not None
        values = [step.value.hex() for step in steps if step.output == stage.step.name]
        assert stage.step.hex in values
        for branch in stage.branches:
            if branch.step is not None:  # Of several tickets, the last one.
                *_, value = [step.value.hex() for step in steps if step.label == branch.label]
                assert branch.step.hex == value
    assert schedule.has_values
    assert len({step.key for step in schedule.steps}) == len(steps)


def test_what_was_not_needed_is_drawn_as_such(with_secrets: Recorded) -> None:
    schedule = schedule_of(with_secrets.client.events, "TLSv1.3")
    assert schedule is not None
    early, handshake, _ = schedule.stages
    assert [branch.step for branch in early.branches] == [None, None, None]
    assert None not in [branch.step for branch in handshake.branches]


def test_a_ticket_s_key_comes_from_the_last_secret_and_its_binder_from_the_first(pki: Pki) -> None:
    """A learner sees how a ticket begins in one connection, and ends in the next."""
    client = ClientConfig(trust=pki.trust, sessions=SessionStore())
    server = ServerConfig(credentials=pki.server())
    first, second = (
        schedule_of(converse(client, server, secrets=True).client.events, "TLSv1.3")
        for _ in range(2)
    )
    assert first is not None
    assert second is not None
    ticket = _branch(first, "resumption")
    assert ticket is not None
    assert ticket.how == 'HKDF-Expand-Label(resumption_master_secret, "resumption", context)'
    assert _branch(first, "res binder") is None
    binder = _branch(second, "res binder")
    assert binder is not None
    assert binder.name == "binder_key"


def test_the_binder_key_is_named_after_the_kind_of_pre_shared_key(pki: Pki) -> None:
    key = PreSharedKey(b"identity", b"k" * 32)
    recorded = converse(
        ClientConfig(trust=pki.trust, psks=[key]),
        ServerConfig(credentials=pki.server(), psks=[key]),
        secrets=True,
    )
    schedule = schedule_of(recorded.client.events, "TLSv1.3")
    assert schedule is not None
    assert _branch(schedule, "ext binder") is not None
    assert "res binder" not in [branch.label for branch in schedule.stages[0].branches]


def _branch(schedule: Schedule, label: str) -> Step | None:
    """The step of the one branch with a label."""
    (step,) = [
        branch.step
        for stage in schedule.stages
        for branch in stage.branches
        if branch.label == label
    ]
    return step


def test_without_secrets_the_steps_are_there_and_the_values_are_not(plain: Recorded) -> None:
    schedule = schedule_of(plain.client.events, "TLSv1.3")
    assert schedule is not None
    assert schedule.steps
    assert not schedule.has_values
    assert {step.hex for step in schedule.steps} == {""}


def test_a_key_log_fills_the_picture_where_no_steps_were_noted(with_secrets: Recorded) -> None:
    events = [e for e in with_secrets.client.events if not isinstance(e, KeyStep)]
    schedule = schedule_of(events, "TLSv1.3")
    full = schedule_of(with_secrets.client.events, "TLSv1.3")
    assert schedule is not None
    assert full is not None
    for stage, same in zip(schedule.stages[1:], full.stages[1:], strict=True):
        for branch, other in zip(stage.branches[:2], same.branches[:2], strict=True):
            assert branch.step is not None
            assert other.step is not None
            assert branch.step.hex == other.step.hex


@pytest.mark.parametrize(
    ("key_exchange", "ingredient", "operation"),
    [
        ("agreement", "the key exchange, a key", "both halves, and the key"),
        ("psk", "the pre-shared key", "zeros, and that key"),
        ("psk transport", "random bytes, a key", "made by the client, and the key"),
    ],
)
def test_a_pre_shared_key_of_tls12_goes_into_the_premaster_secret(
    key_exchange: KeyExchange, ingredient: str, operation: str
) -> None:
    schedule = schedule_of([], "TLSv1.2", key_exchange, has_psk=True)
    assert schedule is not None
    premaster, _ = schedule.stages
    assert (premaster.ingredient, premaster.operation) == (ingredient, operation)


def test_the_page_has_the_key_of_an_ecdhe_psk_suite_in_the_picture(classic: Recorded) -> None:
    drawn = "both halves, and the key"
    assert drawn not in page_of(classic.client.events, "without one")
    events = [_with_suite(event, 0xC037) for event in classic.client.events]
    assert facts_of(events).cipher_suite == "TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256"
    assert drawn in page_of(events, "with one")


def _with_suite(event: TraceEvent, suite: int) -> TraceEvent:
    """The same, with another cipher suite where it is the ServerHello."""
    if not isinstance(event, MessageSeen) or event.message_type != HandshakeType.SERVER_HELLO:
        return event
    at = 39 + event.raw[38]  # After the header, version, random and session ID.
    return replace(event, raw=event.raw[:at] + suite.to_bytes(2, "big") + event.raw[at + 2 :])


def test_a_session_of_tls12_needs_its_pre_shared_key_no_more() -> None:
    schedule = schedule_of([], "TLSv1.2", "session", has_psk=True)
    assert schedule is not None
    assert [stage.ingredient for stage in schedule.stages] == ["an earlier session"]


def test_no_version_no_picture() -> None:
    assert schedule_of([], None) is None
