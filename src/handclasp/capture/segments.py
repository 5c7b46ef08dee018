"""TCP segments put together into what each end said (RFC 9293 section 3.4).

Where bytes belong is told by their sequence numbers and by nothing in them, and so is where some
are missing: whatever a peer sends, it is never taken for a remark of whoever took the capture.

A segment that lies beyond a hole counts as said where the other end acknowledged it, or where
nothing of the other end was captured. One that was never acknowledged was not received either: it
was lost, or it was outside of the window, and a peer may send such segments as it likes.

Neither was received what the other end's kernel has to drop (RFC 9293 section 3.10.7.4 and RFC
5961): data without ACK or that acknowledges what was never sent, a damaged segment, a second SYN of
another number, and what a SYN carries beyond what is acknowledged. Such a segment is doubtful, and
counts only where nothing else was said in its place and the other end acknowledged it. Where bytes
would be missing then, all that was captured counts: a capture may be incomplete, or in disorder.
What was received and is not in the capture is counted, and what comes behind it goes on.

>>> from handclasp.capture.segment import Segment
>>> from handclasp.capture.segments import put_together
>>> from handclasp.capture.stream import Address
>>> ends = Address("192.0.2.1", 49152), Address("192.0.2.2", 443)
>>> segments = [
...     Segment(0, 0, sequence=99, syn=True),
...     Segment(1, 1, sequence=499, acknowledged=100, syn=True),
...     Segment(2, 0, sequence=105, acknowledged=500, data=b"world", size=5),
...     Segment(3, 0, sequence=100, acknowledged=500, data=b"hello", size=5),
...     Segment(4, 1, sequence=500, acknowledged=110),
... ]
>>> b"".join(piece.data for piece in put_together(0, ends, segments).pieces)
b'helloworld'
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from itertools import islice
from operator import ne
from typing import NamedTuple

from handclasp.capture.received import received_of
from handclasp.capture.segment import NUMBERS, Segment, distance
from handclasp.capture.stream import Address, Piece, Stream, StreamEnd


def put_together(
    number: int,
    ends: tuple[Address, Address],
    segments: Iterable[Segment],
    endings: tuple[StreamEnd, ...] = (),
) -> Stream:
    """The conversation that segments make, in the order in which they were captured.

    Where bytes are missing that were received, the next piece says how many.
    """
    captured = list(segments)
    received = received_of(captured)
    if len(received) != len(captured) or any(map(ne, received, captured)):
        stream, unseen = _put_together(number, ends, received, endings)
        if not stream.missing:
            return _with(stream, unseen)
    return _with(*_put_together(number, ends, captured, endings))


def _with(stream: Stream, unseen: Sequence[Piece]) -> Stream:
    return replace(stream, pieces=(*stream.pieces, *unseen)) if unseen else stream


def _put_together(
    number: int,
    ends: tuple[Address, Address],
    segments: Iterable[Segment],
    endings: tuple[StreamEnd, ...],
) -> tuple[Stream, list[Piece]]:
    """The conversation, and what is missing at its end if the acknowledgements are to be believed:
    a peer may acknowledge what it likes, so that nothing is decided by it."""
    segments = list(segments)
    directions = (_Direction(_start(segments, 0)), _Direction(_start(segments, 1)))
    pieces: list[Piece] = []
    at_ns = 0
    captured, begins, is_cut = [False, False], False, False
    for segment in segments:
        at_ns = max(at_ns, segment.at_ns)  # Clocks may jump; what was said keeps its order.
        captured[segment.sender] = True
        begins = begins or segment.syn
        is_cut = is_cut or segment.size > len(segment.data)
        if segment.acknowledged is not None:
            directions[1 - segment.sender].acknowledge(segment.acknowledged)
        in_order = directions[segment.sender].add(segment, at_ns)
        pieces.extend(Piece(at_ns, segment.sender, data) for data in in_order)
    behind = [
        Piece(moment, sender, data, missing)
        for sender, direction in enumerate(directions)
        for moment, data, missing in direction.beyond_holes()
    ]
    if behind:
        pieces = sorted([*pieces, *behind], key=lambda piece: piece.at_ns)
    unseen = [
        Piece(at_ns, sender, b"", missing)
        for sender, direction in enumerate(directions)
        if (missing := direction.unseen())
    ]
    sides = captured[0], captured[1]
    heard = (
        not captured[1] or directions[0].is_heard(),
        not captured[0] or directions[1].is_heard(),
    )
    stream = Stream(
        number, ends, tuple(pieces), endings, sides, heard, begins=begins, is_cut=is_cut
    )
    return stream, unseen


def _start(segments: Sequence[Segment], sender: int) -> int | None:
    """Where an end's bytes begin, whose SYN was not captured: its first segments may have come in
    disorder. None where the first of them says it."""
    own = (each for each in segments if each.sender == sender)
    first = list(islice((each for each in own if each.size or each.syn), _DISORDERLY))
    if not first or any(each.syn for each in first):
        return None
    base = first[0].sequence
    # Not a keep-alive, and not something that is sent again.
    back = [(distance(each.sequence, base), each.size) for each in first if each.size > 1]
    places = (at for at, size in back if at > -_WINDOW and at + size <= 0)
    return (base + min(places, default=0)) % NUMBERS


_DISORDERLY = 8
"""Segments at the start of a capture whose order is not trusted."""

_WINDOW = 1 << 16

_MOST_UNSEEN = 1 << 30
"""Bytes: no window is larger (RFC 7323 section 2.3)."""


class _Beyond(NamedTuple):
    """A segment: its first position, that behind its last byte, what was captured, and when."""

    start: int
    end: int
    data: bytes
    at_ns: int
    fin: bool


@dataclass(slots=True)
class _Direction:
    """What one end says. Positions are sequence numbers that do not wrap."""

    start: int | None = None
    """Where its bytes begin; None where its first segment says it."""
    next: int | None = None
    """Where the next byte belongs; None before the first segment."""
    acknowledged: int | None = None
    beyond: list[_Beyond] = field(default_factory=list["_Beyond"])
    """Behind a hole, as a heap."""
    first: int | None = None
    """Where its bytes began; None before the first segment."""
    end: int = 0
    """Behind the last byte of the segments in order, which may have been cut off."""
    end_at_ns: int = 0
    """When the segment came that reaches up to there."""
    is_begun: bool = False
    """Whether there were bytes already."""
    is_over: bool = False
    """Whether a FIN came, which takes a number, too."""

    def acknowledge(self, number: int) -> None:
        if self.next is None:
            self.acknowledged = number
        else:
            position = self._position(number, self.next)
            before = self.acknowledged
            self.acknowledged = position if before is None else max(before, position)

    def add(self, segment: Segment, at_ns: int) -> list[bytes]:
        """Take in a segment; the bytes that are in order now."""
        first = (segment.sequence + segment.syn) % NUMBERS
        here = self.next
        if here is None or (segment.syn and not self.is_begun):
            here = self._begin(first if self.start is None else self.start)
        position = self._position(first, here)
        if segment.size or segment.fin:
            end = position + segment.size
            heappush(self.beyond, _Beyond(position, end, segment.data, at_ns, segment.fin))
        in_order = [data for _, data in self._take(here)]
        self.is_begun = self.is_begun or bool(in_order)
        return in_order

    def _take(self, here: int) -> list[tuple[int, bytes]]:
        """What goes on from a position without a hole, with its times; the position moves on."""
        in_order: list[tuple[int, bytes]] = []
        while self.beyond and self.beyond[0].start <= here:
            start, end, data, at_ns, fin = heappop(self.beyond)
            if end >= self.end:
                self.end, self.end_at_ns = end, at_ns
            self.is_over = self.is_over or fin
            data = data[here - start :]
            if data:
                here += len(data)
                in_order.append((at_ns, data))
        self.next = here
        return in_order

    def beyond_holes(self) -> Iterator[tuple[int, bytes, int]]:
        """What was received behind holes: when, the bytes, and how many are missing before them.

        The times never go back, however disorderly the segments came.
        """
        here, moment = self.next, 0
        while here is not None:
            was_received = self.acknowledged is None or self.acknowledged > here
            # A packet that was cut off has no bytes of its own behind the hole.
            end, at_ns = self.end, self.end_at_ns
            if self.beyond and was_received:
                end, at_ns = self.beyond[0].start, self.beyond[0].at_ns
            if end <= here:
                break
            pieces = self._take(end) or [(at_ns, b"")]
            for number, (at_ns, data) in enumerate(pieces):
                moment = max(moment, at_ns)
                yield moment, data, end - here if number == 0 else 0
            here = self.next

    def is_heard(self) -> bool:
        """Whether the other end acknowledged any of it; True where that cannot be told."""
        if self.first is None or self.acknowledged is None:
            return True
        return self.acknowledged > self.first or self.next == self.first

    def unseen(self) -> int:
        """How many bytes the other end acknowledged after the last ones that were captured."""
        if self.next is None or self.acknowledged is None or self.is_over:
            return 0
        missing = self.acknowledged - self.next
        return missing if 1 < missing < _MOST_UNSEEN else 0  # One may be a FIN.

    def _begin(self, first: int) -> int:
        self.next = self.end = self.first = first
        self.beyond.clear()
        if self.acknowledged is not None:
            self.acknowledged = self._position(self.acknowledged % NUMBERS, first)
        return first

    @staticmethod
    def _position(number: int, near: int) -> int:
        """The position with this sequence number that is nearest to another one."""
        return near + distance(number, near)
