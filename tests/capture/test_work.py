"""Whatever a capture holds, reading it takes work in proportion to its bytes.

Work is counted, not timed: lines of Python and calls of what is not Python. Each case is made of
so many of one thing; from 200 to 400 of them, and from 400 to 800, the work grows alike per thing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest
from tests.counting import work_of

from handclasp.capture.observe import observe
from handclasp.capture.secrets import KeyLog
from handclasp.capture.segment import Segment
from handclasp.capture.segments import put_together
from handclasp.capture.stream import Address, CaptureError, Piece, Stream, StreamEnd
from handclasp.capture.tshark import found_in, stream_in
from handclasp.iana import ContentType
from handclasp.iana import ExtensionType as Ext
from handclasp.story.diagnosis import diagnose
from handclasp.story.narrate import narrate
from handclasp.testing.scripted import ScriptedClient
from handclasp.testing.scripted12 import ScriptedClient12
from handclasp.trace.events import HandshakeResult
from handclasp.wire import extensions as ext
from handclasp.wire.codecs import write_message
from handclasp.wire.messages import (
    HELLO_RETRY_REQUEST_RANDOM,
    ClientHello,
    Finished,
    ServerHello,
)
from handclasp.wire.messages12 import HelloRequest
from handclasp.wire.records import write_plaintext
from handclasp.wire.structs import Extensions

ENDS = (Address("192.0.2.1", 50_000), Address("192.0.2.2", 443))
CLIENT, SERVER = 0, 1
SIZES = (200, 400, 800)

Flights = Iterable[tuple[int, bytes]]
Case = Callable[[int], Callable[[], object]]


def assert_in_proportion(case: Case) -> None:
    """What the third size costs above the second is what the second costs above the first, twice.

    The rest is room for tables that grow, and for what is done once.
    """
    case(10)()  # What is imported late, and kept, is so now.
    one, two, four = [work_of(case(size)) for size in SIZES]
    assert four - two <= 2.5 * max(two - one, 0) + 500, f"{one:,} {two:,} {four:,}"


# TCP segments


def segment(
    sender: int, sequence: int, data: bytes = b"", acknowledged: int | None = None, **more: Any
) -> Segment:
    return Segment(
        more.pop("at_ns", 0), sender, sequence, acknowledged, data=data, size=len(data), **more
    )


SEGMENTS: dict[str, Callable[[int], list[Segment]]] = {
    "in order": lambda n: [segment(0, 1 + 10 * at, b"x" * 10, 1) for at in range(n)],
    "the last first": lambda n: [
        segment(0, 0, syn=True),
        *[segment(0, 1 + 10 * (n - at), b"x" * 10) for at in range(1, n + 1)],
    ],
    "all overlap": lambda n: [segment(0, 1 + at, b"x" * 20) for at in range(n)],
    "the same again": lambda n: [segment(0, 1, b"x" * 20) for _ in range(n)],
    "a gap before each": lambda n: [segment(0, 1 + 20 * at, b"x" * 10) for at in range(n)],
    "a gap before each, the last first": lambda n: [
        segment(0, 1 + 20 * (n - at), b"x" * 10) for at in range(n)
    ],
    "a gap before each, acknowledged": lambda n: [
        each
        for at in range(n)
        for each in (segment(0, 1 + 20 * at, b"x" * 10), segment(1, 1, b"", 11 + 20 * at))
    ],
    "SYNs": lambda n: [
        segment(at % 2, 1000 * at, b"xy", 1000 * at - 999 if at else None, syn=True)
        for at in range(n)
    ],
    "FINs": lambda n: [segment(at % 2, 1 + at, b"xy", 1, fin=True) for at in range(n)],
    "without ACK": lambda n: [
        segment(at % 2, 1 + 7 * at, b"xy", is_dropped=at % 3 > 0) for at in range(n)
    ],
    "wrong checksums": lambda n: [
        segment(at % 2, 1 + at // 2 * 2, b"xy", 1, is_damaged=at % 5 > 0) for at in range(n)
    ],
    "acknowledge what was never sent": lambda n: [
        segment(at % 2, 1 + at // 2 * 2, b"xy", 1 + at // 2 * 2 + 9 * (at % 3)) for at in range(n)
    ],
    "answers before questions": lambda n: [
        each
        for at in range(n)
        for each in (
            segment(1, 1 + 4 * at, b"abcd", 5 + 4 * at),
            segment(0, 1 + 4 * at, b"abcd", 1 + 4 * at),
        )
    ],
    "all answers before all questions": lambda n: [
        *[segment(1, 1 + 4 * at, b"abcd", 1 + 4 * n) for at in range(n)],
        *[segment(0, 1 + 4 * at, b"abcd", 1) for at in range(n)],
    ],
    "each end acknowledges the other first": lambda n: [
        segment(at % 2, 1 + at // 2 * 4, b"abcd", 5 + at // 2 * 4) for at in range(n)
    ],
    "resets": lambda n: [segment(at % 2, 1 + at, is_dropped=True, reset=True) for at in range(n)],
    "cut off": lambda n: [
        replace(segment(0, 1 + 10 * at, b"x"), size=10, at_ns=at) for at in range(n)
    ],
}


@pytest.mark.parametrize("name", SEGMENTS)
def test_segments_are_put_together(name: str) -> None:
    def case(count: int) -> Callable[[], object]:
        segments = SEGMENTS[name](count)
        return lambda: put_together(0, ENDS, segments)

    assert_in_proportion(case)


# What tshark prints


def packet(stream: int, port: int, *, tunnel: str = "") -> str:
    host = f"{tunnel},192.0.2.1" if tunnel else "192.0.2.1"
    return f"{stream}|1.5|{host}||192.0.2.2||{port}|443\n"


PRINTED: dict[str, Callable[[int], str]] = {
    "connections": lambda n: "".join(packet(at, 1 + at) for at in range(n)),
    "connections of one number, in tunnels": lambda n: "".join(
        packet(0, 5, tunnel=f"10.0.{at >> 8}.{at & 255}") for at in range(n)
    ),
    "packets": lambda n: "".join(packet(0, 5) for _ in range(n)),
    "nonsense": lambda n: packet(0, 5) + "1|2|3\n" * n,
}


@pytest.mark.parametrize("name", PRINTED)
def test_conversations_are_found(name: str) -> None:
    def case(count: int) -> Callable[[], object]:
        printed = PRINTED[name](count)
        return lambda: found_in(printed)

    assert_in_proportion(case)


def test_lines_of_one_conversation_are_read() -> None:
    def case(count: int) -> Callable[[], object]:
        (found,) = found_in("".join(packet(0, 5) for _ in range(count)))
        lines = [
            f"0|1.{at:09}|192.0.2.1||192.0.2.2||5|443|0x0010|{1 + 4 * at}|1|4|aabbccdd|1"
            for at in range(count)
        ]
        stream = stream_in(lines, found)
        assert sum(len(piece.data) for piece in stream.pieces) == 4 * count
        return lambda: stream_in(lines, found)

    assert_in_proportion(case)


# What the two ends say


def record(message: Any, count: int = 1) -> bytes:
    """So many of a message, in as few records as they fit in."""
    raw = write_message(message) * count
    return b"".join(
        write_plaintext(ContentType.HANDSHAKE, raw[at : at + 2**14])
        for at in range(0, len(raw), 2**14)
    )


def hello(**more: bytes) -> bytes:
    def change(message: ClientHello) -> ClientHello:
        added: Extensions = {Ext[name.upper()]: data for name, data in more.items()}
        return replace(message, extensions={**added, **message.extensions})

    return ScriptedClient(first_hello=change).take()


def hello12() -> bytes:
    return ScriptedClient12().take()


def answer(version: int = 0x304, random: bytes = bytes(32)) -> bytes:
    chosen: Extensions = {Ext.SUPPORTED_VERSIONS: ext.write_selected_version(version)}
    is_13 = version == 0x304
    suite = 0x1301 if is_13 else 0xC02B
    return record(ServerHello(0x303, random, b"", suite, 0, chosen if is_13 else {}))


FINISHED = record(Finished(bytes(12)))
SEALED = b"\x17\3\3\0\1x"
CHANGED = b"\x14\3\3\0\1\1"
WARNING = b"\x15\3\3\0\2\1\x5a"

SAID: dict[str, Callable[[int], Flights]] = {
    "hellos": lambda n: [(CLIENT, hello() * n)],
    "hellos and refusals": lambda n: [
        (CLIENT, hello()),
        *[(SERVER, answer(random=HELLO_RETRY_REQUEST_RANDOM)), (CLIENT, hello())] * n,
    ],
    "answers": lambda n: [(CLIENT, hello12()), (SERVER, answer(0x303) * n)],
    "renegotiations": lambda n: [
        *[(CLIENT, hello12()), (SERVER, answer(0x303)), (CLIENT, CHANGED), (SERVER, CHANGED)] * n
    ],
    "changes of keys": lambda n: [
        (CLIENT, hello12()),
        (SERVER, answer(0x303)),
        *[(CLIENT, CHANGED * n), (SERVER, CHANGED * n)],
    ],
    "messages, then early data": lambda n: [
        (CLIENT, hello(early_data=b"")),
        (SERVER, record(HelloRequest(), n)),
        (CLIENT, SEALED * n),
    ],
    "messages, then data that no hello announced": lambda n: [
        (CLIENT, hello()),
        (SERVER, record(HelloRequest(), n)),
        (CLIENT, SEALED * n),
    ],
    "both finished without an answer, then messages": lambda n: [
        *[(CLIENT, hello()), (CLIENT, FINISHED), (SERVER, FINISHED)],
        (SERVER, record(HelloRequest(), n)),
    ],
    "Finished": lambda n: [
        *[(CLIENT, hello()), (CLIENT, record(Finished(bytes(12)), n))],
        (SERVER, record(Finished(bytes(12)), n)),
    ],
    "alerts": lambda n: [(CLIENT, hello()), *[(SERVER, WARNING), (CLIENT, WARNING)] * n],
    "alerts of all kinds after keys": lambda n: [
        *[(CLIENT, hello12()), (SERVER, answer(0x303)), (CLIENT, CHANGED), (CLIENT, SEALED)],
        *[(CLIENT, b"\x15\3\3\0\2\1" + bytes([at & 127])) for at in range(n)],
    ],
    "data under keys that are not known": lambda n: [
        *[(CLIENT, hello()), (SERVER, answer())],
        *[(SERVER, SEALED), (CLIENT, SEALED)] * n,
    ],
    "a long preamble": lambda n: [*[(CLIENT, b"EHLO\r\n"), (SERVER, b"250\r\n")] * n, (0, hello())],
}


def stream_of(flights: Flights, size: int = 2**16) -> Stream:
    pieces = [
        Piece(0, sender, said[at : at + size])
        for sender, said in flights
        for at in range(0, len(said), size)
    ]
    return Stream(0, ENDS, tuple(pieces), (StreamEnd(9, CLIENT, "end"),))


def followed(stream: Stream, keylog: KeyLog) -> None:
    events = list(observe(stream, keylog).events)
    diagnose(events)
    narrate(events)


@pytest.mark.parametrize("name", SAID)
def test_what_is_said_is_followed(name: str) -> None:
    def case(count: int) -> Callable[[], object]:
        stream = stream_of(SAID[name](count))
        return lambda: observe(stream, KeyLog())

    assert_in_proportion(case)


@pytest.mark.parametrize("name", SAID)
def test_what_is_said_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.SIZES", (50, 100, 200))

    def case(count: int) -> Callable[[], object]:
        stream = stream_of(SAID[name](count))
        return lambda: followed(stream, KeyLog())

    assert_in_proportion(case)


def test_gaps() -> None:
    def case(count: int) -> Callable[[], object]:
        said = [Piece(at, at % 2, b"abcdef", 7) for at in range(count)]
        stream = Stream(0, ENDS, (Piece(0, 0, hello()), *said))
        return lambda: followed(stream, KeyLog())

    assert_in_proportion(case)


def test_gaps_in_what_is_no_tls() -> None:
    def case(count: int) -> Callable[[], object]:
        stream = Stream(0, ENDS, tuple([Piece(at, at % 2, b"abcdef", 7) for at in range(count)]))

        def refused() -> None:
            with pytest.raises(CaptureError):
                observe(stream, KeyLog())

        return refused

    assert_in_proportion(case)


def test_endings() -> None:
    def case(count: int) -> Callable[[], object]:
        endings = tuple(
            [StreamEnd(at, at % 2, ("end", "reset")[at % 3 > 0]) for at in range(count)]
        )
        stream = Stream(0, ENDS, (Piece(0, 0, hello()),), endings)
        return lambda: followed(stream, KeyLog())

    assert_in_proportion(case)


def test_lines_of_other_connections_in_the_key_log() -> None:
    def case(count: int) -> Callable[[], object]:
        text = b"".join(b"CLIENT_RANDOM %064x %096x\n" % (at, at) for at in range(count))
        stream = stream_of([(CLIENT, hello12()), (SERVER, answer(0x303)), (SERVER, CHANGED)])

        def read() -> None:
            keylog = KeyLog()
            keylog.add(text)
            followed(stream, keylog)

        return read

    assert_in_proportion(case)


def test_a_record_of_a_late_server_is_searched_once() -> None:
    """It seems to be a record, has no ServerHello, and comes a byte at a time."""

    def searched(size: int) -> int:
        record = b"\x17\3\3\x40\0" + bytes(size)
        flights = [(CLIENT, b"STARTTLS\r\n"), (CLIENT, hello()), (SERVER, record)]
        count = 0

        class Watched:
            def search(self, data: bytes, start: int, end: int) -> None:
                nonlocal count
                count += len(data[start:end])

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("handclasp.capture.observe._FIRST_RECORD", Watched())
            observe(stream_of(flights, 1), KeyLog())
        return count

    assert searched(16_000) == searched(8_000)


def test_two_ends_that_finish_after_a_request_to_retry_alone() -> None:
    """Nothing was agreed upon: that is told, and is no defect of the reader."""
    retry = answer(random=HELLO_RETRY_REQUEST_RANDOM)
    flights = [(CLIENT, hello()), (SERVER, retry), (CLIENT, FINISHED), (SERVER, FINISHED)]
    told = observe(stream_of(flights), KeyLog())
    assert not any(isinstance(event, HandshakeResult) for event in told.events)
