"""The seven steps: decisions with the reasons, and what is made anew."""

from __future__ import annotations

from tests.recorded import Recorded

from handclasp.iana import HandshakeType
from handclasp.story.page.steps import choices_of, one_time_of, shortened
from handclasp.trace.events import (
    DecisionTaken,
    MessageSeen,
    Refused,
)


def test_every_offer_is_marked_and_has_its_reason() -> None:
    decision = DecisionTaken(
        0, "group", ("a", "b", "c"), ("b", "c"), "c", "the server's order",
        (Refused("a", "not accepted"),),
    )  # fmt: skip
    (choice,) = choices_of([decision], ["group"])
    assert [(offer.name, offer.mark) for offer in choice.offers] == [
        ("a", "no"),
        ("b", "may"),
        ("c", "yes"),
    ]
    assert choice.offers[0].why == "not accepted"
    assert choice.chosen == "c"
    assert choices_of([decision], ["version"]) == ()


def test_nothing_chosen_is_said() -> None:
    (choice,) = choices_of([DecisionTaken(0, "alpn", ("h2",), (), None, "none fits")], ["alpn"])
    assert choice.chosen == "none"


def test_what_is_made_anew_is_laid_side_by_side(plain: Recorded, with_secrets: Recorded) -> None:
    rows = one_time_of(with_secrets.client.events, plain.client.events)
    hellos = [
        next(e.raw for e in recorder.events
             if isinstance(e, MessageSeen) and e.message_type == HandshakeType.CLIENT_HELLO)
        for recorder in (with_secrets.client, plain.client)
    ]  # fmt: skip
    assert rows[0].now == shortened(hellos[0][6:38])
    assert rows[0].before == shortened(hellos[1][6:38])
    assert all(row.differs for row in rows)
    assert rows[-1].before is None, "the other kept no secrets"
    same = one_time_of(plain.client.events, plain.client.events)
    assert not any(row.differs for row in same)


def test_long_values_are_shortened() -> None:
    assert shortened(bytes(24)) == "00" * 24
    assert shortened(bytes(25)) == "00" * 24 + "…"
