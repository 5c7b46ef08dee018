"""The messages on the page: their bytes, their flights, their fields."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from tests.recorded import Recorded
from tests.vectors.client_hellos import client_hello

from handclasp import Recorder
from handclasp.story.facts import certificate_within_message, facts_of
from handclasp.story.fields import Field
from handclasp.story.page.conversation import MOST_BYTES, MOST_FIELDS, flights_of, taken_apart
from handclasp.trace.events import MessageSeen
from handclasp.wire import messages
from handclasp.wire.codecs import write_message
from handclasp.wire.messages import (
    Certificate,
    CertificateEntry,
    ClientHello,
    CompressedCertificate,
)


def test_pieces_follow_one_another_and_make_up_the_message() -> None:
    raw = client_hello("chromium-156")
    taken = taken_apart(raw, "plaintext")
    assert b"".join(bytes.fromhex(piece.hex) for piece in taken.pieces) == raw
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
    shown = b"".join(bytes.fromhex(piece.hex) for piece in taken.pieces)
    assert shown == raw[:MOST_BYTES]
    assert taken.more == len(raw) - MOST_BYTES


def test_rows_are_the_fields_in_the_order_of_their_bytes() -> None:
    """Whoever opens and closes as the rows say has the tree again."""
    taken = taken_apart(client_hello("chromium-156"), "plaintext")
    found: list[tuple[str, ...]] = []
    around: list[str] = []
    for row in taken.rows:
        found.append((*around, row.name))
        assert row.place.split("\u2013")[0] == str(row.start)
        assert row.is_open == (not around and row.name == "extensions")
        if row.has_parts:
            around.append(row.name)
        for _ in row.closes:
            around.pop()
    assert around == []
    assert found == list(paths_of(taken.field))
    assert taken.fields_left_out == 0


def paths_of(field: Field) -> Iterator[tuple[str, ...]]:
    for part in field.parts:
        yield (part.name,)
        yield from ((part.name, *path) for path in paths_of(part))


@pytest.mark.parametrize("count", [MOST_FIELDS - 30, MOST_FIELDS - 13, MOST_FIELDS, 9_000])
def test_of_a_long_list_the_first_fields_have_a_row(count: int) -> None:
    message = messages.read_message(client_hello("chromium-156"))
    assert isinstance(message, ClientHello)
    raw = write_message(replace(message, cipher_suites=tuple(range(count))))
    taken = taken_apart(raw, "plaintext")
    rows = taken.rows
    assert len(rows) == MOST_FIELDS
    assert taken.fields_left_out == len(list(paths_of(taken.field))) - MOST_FIELDS > 0
    assert sum(len(row.closes) for row in rows) == sum(row.has_parts for row in rows)
    recorder = Recorder()
    recorder.events = [MessageSeen(0, "sent", "plaintext", 1, raw)]
    page = recorder.to_html("localhost")
    assert f"... and {taken.fields_left_out:,} field" in page
    for tag in ("ul", "li", "details", "summary", "button"):
        assert page.count(f"<{tag}>") + page.count(f"<{tag} ") == page.count(f"</{tag}>"), tag


def test_of_very_many_long_messages_the_first_ones_are_opened() -> None:
    message = messages.read_message(client_hello("chromium-156"))
    assert isinstance(message, ClientHello)
    raw = write_message(replace(message, cipher_suites=tuple(range(MOST_FIELDS))))
    events = [MessageSeen(at, "sent", "plaintext", 1, raw) for at in range(20)]
    (flight,) = flights_of(events, facts_of(events))
    opened = [bool(item.opened) for item in flight.items]
    assert opened == [True] * 10 + [False] * 10
    told = ["this page has very many" in item.sentence for item in flight.items]
    assert told == [not each for each in opened]
    assert {item.size for item in flight.items} == {len(raw)}


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


def test_what_claims_to_be_huge_is_not_unpacked() -> None:
    """A peer's certificate that was refused for its size is in the trace all the same."""
    body = write_message(Certificate(b"", (CertificateEntry(bytes(2**18), {}),)))[4:]
    packed = CompressedCertificate(1, len(body), zlib.compress(body))
    event = MessageSeen(0, "received", "handshake", 25, write_message(packed))
    (flight,) = flights_of([event], facts_of([event]))
    assert len(flight.items[0].opened) == 1
    assert certificate_within_message(packed) is None
