"""What the parts of the page are worked out from."""

from __future__ import annotations

from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from tests.trace.conftest import DATA, Recorded
from tests.vectors.client_hellos import client_hello

from handclasp.trace.events import (
    DecisionTaken,
    KeyStep,
    MessageSeen,
    QuestionAnswered,
    RecordSeen,
    Refused,
    Settled,
    WorkDone,
)
from handclasp.trace.facts import facts_of
from handclasp.trace.page.conversation import MOST_BYTES, flights_of, taken_apart
from handclasp.trace.page.costs import WIDTH, costs_of
from handclasp.trace.page.first_record import first_records_of
from handclasp.trace.page.keys import schedule_of
from handclasp.trace.page.steps import choices_of, one_time_of, shortened
from handclasp.trace.page.timeline import timeline_of
from handclasp.wire.codecs import write_message
from handclasp.wire.iana import HandshakeType
from handclasp.wire.messages import Certificate, CertificateEntry


def unhex(text: str) -> bytes:
    return bytes.fromhex(text)


# Conversation


def test_pieces_follow_one_another_and_make_up_the_message() -> None:
    raw = client_hello("chromium-156")
    taken = taken_apart(raw, "plaintext")
    assert b"".join(unhex(piece.hex) for piece in taken.pieces) == raw
    at = 0
    for piece, leaf in zip(taken.pieces, taken.field.leaves(), strict=True):
        assert piece.at == at == leaf.start
        at += leaf.size
    assert taken.more == 0
    assert taken.offsets(16).split("\n")[-1] == f"{(len(raw) - 1) // 16 * 16:04x}"


def test_of_a_long_message_the_end_is_counted_only() -> None:
    entries = tuple(CertificateEntry(bytes([i]) * 9_000, {}) for i in range(1, 5))
    raw = write_message(Certificate(b"", entries))
    taken = taken_apart(raw, "handshake")
    shown = b"".join(unhex(piece.hex) for piece in taken.pieces)
    assert shown == raw[:MOST_BYTES]
    assert taken.more == len(raw) - MOST_BYTES


def test_flights_change_with_the_direction(plain: Recorded) -> None:
    for recorder in (plain.client, plain.server):
        flights = flights_of(recorder.events, facts_of(recorder.events))
        sides = [flight.side for flight in flights]
        assert sides[:3] == ["client", "server", "client"]
        assert all(one != other for one, other in pairwise(sides))
        keys = [item.key for flight in flights for item in flight.items]
        assert len(set(keys)) == len(keys)


def test_a_compressed_certificate_is_unpacked_as_well(plain: Recorded) -> None:
    flights = flights_of(plain.client.events, facts_of(plain.client.events))
    (item,) = [i for f in flights for i in f.items if i.name == "CompressedCertificate"]
    packed, inside = item.opened
    assert packed.field.name == "CompressedCertificate"
    assert inside.field.name == "Certificate"
    assert inside.caption
    (chain,) = [field for field in inside.field.parts if field.name == "certificate_list"]
    assert chain.size > packed.field.size / 2


# Choices


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


# Keys


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
            if branch.step is not None:
                (value,) = [step.value.hex() for step in steps if step.label == branch.label]
                assert branch.step.hex == value
    assert schedule.has_values
    assert len({step.key for step in schedule.steps}) == len(steps)


def test_what_was_not_needed_is_drawn_as_such(with_secrets: Recorded) -> None:
    schedule = schedule_of(with_secrets.client.events, "TLSv1.3")
    assert schedule is not None
    early, handshake, _ = schedule.stages
    assert [branch.step for branch in early.branches] == [None, None]
    assert None not in [branch.step for branch in handshake.branches]


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


def test_no_version_no_picture() -> None:
    assert schedule_of([], None) is None


# The first encrypted record


@pytest.mark.parametrize("side", ["client", "server"])
def test_before_and_after_belong_together(with_secrets: Recorded, side: str) -> None:
    """With key and nonce from the page, and nothing else, a record that is shown whole opens."""
    events = getattr(with_secrets, side).events
    handshake, said = first_records_of(events, side, "TLSv1.3")
    for record in (handshake, said):
        content = unhex("".join(section.hex for section in record.before))
        header, sealed, tag = (unhex(section.hex) for section in record.after)
        if record is said:
            opened = AESGCM(unhex(record.key)).decrypt(unhex(record.nonce), sealed + tag, header)
            assert opened == content
        else:
            assert record.key
            assert record.nonce
    assert said.text == DATA.decode()
    assert said.before[0].size == len(DATA)
    assert unhex(said.before[1].hex) == b"\x17"
    assert (handshake.sender, handshake.epoch) == ("server", "handshake")
    assert handshake.before[0].size + 1 == handshake.after[1].size
    assert handshake.text == ""


def test_without_secrets_the_handshake_is_shown_and_the_talk_is_not(plain: Recorded) -> None:
    (record,) = first_records_of(plain.client.events, "client", "TLSv1.3")
    assert record.content == "handshake messages"
    assert record.key == record.nonce == ""


def test_in_tls12_the_nonce_travels(classic: Recorded) -> None:
    record, said = first_records_of(classic.client.events, "client", "TLSv1.2")
    assert [section.kind for section in record.after] == ["header", "nonce", "sealed", "tag"]
    assert [section.size for section in record.after] == [5, 8, 16, 16]
    assert [section.kind for section in said.before] == ["content"]


def test_padding_is_told_apart() -> None:
    wire = b"\x17\x03\x03\x00\x34" + bytes(52)
    event = RecordSeen(0, "sent", "application", 23, len(wire), 5, 9, wire, b"hello")
    (record,) = first_records_of([event], "client", "TLSv1.3")
    assert [(section.kind, section.size) for section in record.before] == [
        ("content", 5),
        ("type", 1),
        ("padding", 30),
    ]


# Costs and times


def test_the_sums_are_those_of_the_trace(with_secrets: Recorded) -> None:
    events = with_secrets.client.events
    costs = costs_of(events)
    assert costs is not None
    work = [event.elapsed_ns for event in events if isinstance(event, WorkDone)]
    sealed = [e for e in events if isinstance(e, RecordSeen) and e.epoch != "plaintext"]
    assert costs.public_ns == sum(work)
    assert costs.symmetric_ns == sum(event.work_ns for event in sealed)
    assert costs.records == len(sealed)
    assert costs.content == sum(event.content_size or 0 for event in sealed)
    assert [bar.elapsed_ns for bar in costs.bars] == [*work, costs.symmetric_ns]
    assert [bar.public for bar in costs.bars] == [True] * len(work) + [False]


@given(
    st.lists(st.integers(1, 10**11), min_size=1, max_size=8),
    st.integers(1, 10**10),
)
def test_bars_are_as_long_as_their_times_are_on_the_scale(work: list[int], record: int) -> None:
    costs = costs_of(
        [
            *(WorkDone(0, "sign", "ed25519", elapsed) for elapsed in work),
            RecordSeen(0, "sent", "application", 23, 50, 30, record),
        ]
    )
    assert costs is not None
    assert all(0 < bar.width <= WIDTH + 0.1 for bar in costs.bars)
    by_time = sorted(costs.bars, key=lambda bar: bar.elapsed_ns)
    widths = [bar.width for bar in by_time]
    assert widths == sorted(widths)
    assert costs.grid[0].x == 0
    assert costs.grid[-1].x == pytest.approx(WIDTH, abs=0.1)


def test_ten_times_as_long_is_one_line_further() -> None:
    work = [WorkDone(0, "sign", "x", 10_000), WorkDone(0, "sign", "x", 1_000_000)]
    record = RecordSeen(0, "sent", "application", 23, 50, 30, 1_000)
    costs = costs_of([*work, record])
    assert costs is not None
    assert [line.label for line in costs.grid] == ["1 µs", "10 µs", "100 µs", "1 ms"]
    assert costs.bars[0].width == costs.grid[1].x
    assert costs.bars[1].width == costs.grid[3].x
    assert costs.times == 1_010


def test_a_part_that_was_not_measured_gives_no_plot() -> None:
    record = RecordSeen(0, "sent", "application", 23, 50, 30, 1_000)
    assert costs_of([record]) is None
    assert costs_of([WorkDone(0, "sign", "x", 5)]) is None
    assert (
        costs_of([WorkDone(0, "sign", "x", 5), RecordSeen(0, "sent", "plaintext", 22, 9)]) is None
    )


def test_the_timeline_ends_where_the_handshake_does(with_secrets: Recorded) -> None:
    events = with_secrets.client.events
    timeline = timeline_of(events)
    assert timeline is not None
    settled = next(event for event in events if isinstance(event, Settled))
    assert timeline.total_ns == settled.at_ns - events[0].at_ns
    asked = [event for event in events if isinstance(event, QuestionAnswered)]
    assert [bar.elapsed_ns for bar in timeline.bars] == [event.elapsed_ns for event in asked]
    for track in timeline.tracks:
        assert track.count == len(track.ticks)
        assert all(0 <= tick.x <= WIDTH for tick in track.ticks)


def test_no_records_no_timeline() -> None:
    assert timeline_of([]) is None


# One-time


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
