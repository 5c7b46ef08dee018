"""The messages on the page: their bytes, their flights, their fields."""

from __future__ import annotations

import zlib
from itertools import pairwise

from tests.trace.conftest import Recorded
from tests.vectors.client_hellos import client_hello

from handclasp.trace.events import MessageSeen
from handclasp.trace.facts import certificate_within_message, facts_of
from handclasp.trace.page.conversation import MOST_BYTES, flights_of, taken_apart
from handclasp.wire.codecs import write_message
from handclasp.wire.messages import Certificate, CertificateEntry, CompressedCertificate


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
