"""What `-v` and `-vv` add to the story: fields, bytes, choices, keys and costs."""

from __future__ import annotations

import re
import time

import pytest
from tests.end_to_end.test_resumption import World
from tests.pki import Pki
from tests.recorded import Recorded, converse

from handclasp import ClientConfig, Recorder, ServerConfig
from handclasp.story.facts import facts_of
from handclasp.story.fields import fields_of
from handclasp.story.narrate import narrate
from handclasp.story.page.said import said_of
from handclasp.story.unfold import cost_lines, decision_lines, field_lines, key_lines
from handclasp.trace.events import KeyStep, MessageSeen, RecordSeen

WIDTHS = [60, 80, 132]


@pytest.fixture(scope="module")
def older(pki: Pki) -> Recorded:
    return converse(
        ClientConfig(trust=pki.trust, versions=("TLSv1.2",)),
        ServerConfig(credentials=pki.server()),
        secrets=True,
    )


def messages(recorder: Recorder) -> list[MessageSeen]:
    return [event for event in recorder.events if isinstance(event, MessageSeen)]


@pytest.mark.parametrize("detail", [0, 1, 2])
@pytest.mark.parametrize("width", WIDTHS)
def test_every_line_fits_and_is_plain(
    plain: Recorded, retried: Recorded, older: Recorded, width: int, detail: int
) -> None:
    for recorder in (plain.client, plain.server, retried.client, older.client, older.server):
        text = narrate(recorder.events, width, detail)
        assert max(map(len, text.splitlines())) <= width
        assert text.isascii()
        assert all(character.isprintable() or character == "\n" for character in text)


def test_more_detail_leaves_the_story_as_it_is(plain: Recorded) -> None:
    def told(detail: int) -> str:
        return narrate(plain.client.events, detail=detail)

    story = [line for line in told(0).splitlines() if line]
    for detail in (1, 2):
        rest = iter(told(detail).splitlines())
        assert all(line in rest for line in story), "a line is missing, or out of order"
    assert len(told(0)) < len(told(1)) < len(told(2))


@pytest.mark.parametrize("width", WIDTHS)
def test_all_bytes_are_there_once_and_in_order(
    plain: Recorded, older: Recorded, width: int
) -> None:
    hexadecimal = re.compile(r" +[0-9a-f]{2}( [0-9a-f]{2})*")
    for recorder in (plain.client, older.server):
        for message in messages(recorder):
            lines = field_lines(message.raw, message.epoch, width, with_bytes=True)
            shown = "".join(line for line in lines if hexadecimal.fullmatch(line))
            assert bytes.fromhex(shown) == message.raw


def test_every_field_is_named_and_every_value_told(plain: Recorded, older: Recorded) -> None:
    for recorder in (plain.server, older.client):
        for message in messages(recorder):
            lines = field_lines(message.raw, message.epoch, 10_000)
            text = "\n".join(line.strip() for line in lines)
            for leaf in fields_of(message.raw, message.epoch).leaves():
                if leaf.name not in ("length", "extension_type", "name_type"):
                    assert leaf.value in text


def test_bytes_that_cannot_be_read_are_shown(plain: Recorded) -> None:
    raw = messages(plain.client)[0].raw
    for cut in (raw[:50], raw[:5], raw[:1], b"", raw + b"more"):
        lines = list(field_lines(cut, "plaintext", 80, with_bytes=True))
        assert bool(lines) == bool(cut)
        assert all(line.isascii() for line in lines)


def test_a_peer_cannot_draw_in_the_terminal(plain: Recorded) -> None:
    raw = messages(plain.client)[0].raw.replace(b"localhost", b"\x1b[31mbad\x07")
    for with_bytes in (False, True):
        for line in field_lines(raw, "plaintext", 80, with_bytes=with_bytes):
            assert line.isprintable()


def test_choices_say_why_and_why_not(plain: Recorded) -> None:
    text = "\n".join(decision_lines(plain.server.events, 200))
    assert "cipher suite: TLS_AES_128_GCM_SHA256 (the server's order)" in text
    assert "alpn: http/1.1 (the server's order)\n  not h2: not accepted" in text
    assert "TLS_AES_128_GCM_SHA256 was taken instead" in text


def test_keys_are_told_by_name_and_by_value_where_they_are_known(
    plain: Recorded, older: Recorded
) -> None:
    without = "\n".join(key_lines(plain.client.events, 200))
    assert re.search(
        r'client_handshake_traffic_secret = Derive-Secret\(handshake_secret, "c hs traffic", '
        r"[0-9a-f]{16}\.\.\.\), 32 bytes",
        without,
    )
    values = "".join(line.strip() for line in key_lines(older.client.events, 200)).replace(" ", "")
    step = next(each for each in older.client.events if isinstance(each, KeyStep) and each.value)
    assert step.value.hex() in values
    assert step.value.hex() not in without


def test_costs_add_up(plain: Recorded) -> None:
    lines = list(cost_lines(plain.client.events, 80))
    figures = [float(line.split()[-2]) for line in lines]
    *work, symmetric, total = figures
    assert total == pytest.approx(sum(work), abs=0.01)
    assert symmetric > 0
    assert lines[0].startswith("key generation, X25519MLKEM768 ")
    records = [e for e in plain.client.events if isinstance(e, RecordSeen)]
    count = sum(record.epoch != "plaintext" for record in records)
    assert f"all {count} records under symmetric keys" in lines[-2]


def test_no_cost_where_nothing_was_done() -> None:
    assert list(cost_lines([], 80)) == []
    assert "What" not in narrate([], detail=2)


# Flights


def test_a_flight_says_what_it_weighs_on_the_wire(plain: Recorded, older: Recorded) -> None:
    for recorder in (plain.client, plain.server, older.client, older.server):
        told = re.findall(r"([\d,]+) bytes in (\d+) record", narrate(recorder.events))
        records = [event for event in recorder.events if isinstance(event, RecordSeen)]
        if recorder in (plain.client, plain.server):
            records = [event for event in records if event.content_type != 20]
        assert sum(int(count) for _, count in told) == len(records)
        assert sum(int(size.replace(",", "")) for size, _ in told) == sum(
            record.size for record in records
        )


def test_application_data_are_told_by_their_size(plain: Recorded) -> None:
    text = narrate(plain.client.events)
    assert re.search(r"application data +13 bytes \|", text)


def test_early_data_are_told(pki: Pki) -> None:
    world = World(pki, max_early_data=1000)
    world.meet()
    again = world.meet(client={"allow_early_data": True})
    connection = again.client.connection
    assert connection.info is not None
    assert connection.info.early_data_status in ("accepted", "rejected")
    assert narrate(again.client.trace.events, detail=2).isascii()


def test_rejected_early_data_are_told_with_the_reason(pki: Pki) -> None:
    world = World(pki, max_early_data=1000)
    world.meet()
    again = world.meet(client={"allow_early_data": True}, server={"max_early_data": 0})
    reasons = [
        (again.client, "the server resumed the session and took none"),
        (again.server, "this server takes none (max_early_data is 0)"),
    ]
    for side, reason in reasons:
        told = " ".join(narrate(side.trace.events).replace("|", " ").split())
        assert "and we do not take your early data." in told
        assert f"The server rejected the early data: {reason}" in told
        assert f"rejected them ({reason}" in said_of(facts_of(side.trace.events)).hello


def test_a_long_conversation_is_told_in_short(plain: Recorded) -> None:
    """Thousands of turns take no time to tell, and leave the handshake in sight."""
    last = plain.client.events[-1].at_ns
    turns = [
        RecordSeen(last + number, ("sent", "received")[number % 2], "application", 23, 122, 100)
        for number in range(1, 20_001)
    ]
    began = time.process_time()
    text = narrate([*plain.client.events, *turns])
    assert time.process_time() - began < 5
    assert text.count("application data") < 10
    assert len(text.splitlines()) < 80
    drawn = text.count("  application data  ")
    rest = 20_000 + 1 - drawn
    assert f"Not drawn: {rest:,} more turns of application data, {100 * rest:,} bytes." in " ".join(
        text.split()
    )


def test_data_in_many_records_are_one_turn(plain: Recorded) -> None:
    last = plain.client.events[-1].at_ns
    for direction in ("sent", "received"):
        records = [
            RecordSeen(last + number, direction, "application", 23, 122, 100)
            for number in range(1, 6)
        ]
        text = narrate([*plain.client.events, *records])
        assert re.search(r"application data +500 bytes", text)
        sizes = [int(size.replace(",", "")) for size in re.findall(r"([\d,]+) bytes in", text)]
        all_records = [e for e in [*plain.client.events, *records] if isinstance(e, RecordSeen)]
        assert sum(sizes) == sum(e.size for e in all_records if e.content_type != 20)
