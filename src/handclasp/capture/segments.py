"""The reassembly of TCP segments into the bytes of each end (RFC 9293 section 3.4).

Only sequence numbers determine the place of bytes, and where some are missing: whatever a peer
sends, it is never mistaken for a remark of the capturing program.

A segment after a gap counts if the other end acknowledged it, or if nothing of the other end was
captured. A segment that was never acknowledged was not received: it was lost, or outside of the
window, and a peer may send any number of such segments.

Segments that the other end's kernel has to drop (RFC 9293 section 3.10.7.4 and RFC 5961) were not
received either: data without ACK, or acknowledging bytes that were never sent, a damaged segment, a
second SYN with another number, and the data of a SYN beyond the acknowledged ones. Such a segment
is doubtful, and counts only if no other one has its place and the other end acknowledged it. If
bytes, or all segments of an end, would then be missing, all captured ones count: a capture may be
incomplete, or out of order.
Received bytes that are not in the capture are counted, and the following bytes continue. If the SYN
is not there, the other end's first acknowledgement shows whether the first bytes are missing.

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
from heapq import heappop, heappush
from itertools import islice
from operator import ne
from typing import NamedTuple

from handclasp.capture.causal_order import in_causal_order
from handclasp.capture.received import received_of
from handclasp.capture.segment import DISORDERLY, FAR, NUMBERS, Segment, distance
from handclasp.capture.stream import Address, Piece, Stream, StreamEnd
from handclasp.values import dataclass, field, replace


def put_together(number: int, ends: tuple[Address, Address], segments: Iterable[Segment]) -> Stream:
    """Return the conversation in segments, which are in the order of their capture.

    If received bytes are missing, the next piece has their number.
    """
    captured = list(segments)
    received = received_of(captured)
    if len(received) != len(captured) or any(map(ne, received, captured)):
        stream, unseen = _put_together(number, ends, received)
        senders = {each.sender for each in captured}
        if not stream.missing and all(stream.captured[sender] for sender in senders):
            return _with(stream, unseen)
    return _with(*_put_together(number, ends, captured))


def _with(stream: Stream, unseen: Sequence[Piece]) -> Stream:
    return replace(stream, pieces=(*stream.pieces, *unseen)) if unseen else stream


def _put_together(
    number: int, ends: tuple[Address, Address], segments: Sequence[Segment]
) -> tuple[Stream, list[Piece]]:
    """Return the conversation, and the number of bytes missing at its end according to the
    acknowledgements, which a peer can forge: nothing is decided by it.
    """
    segments = in_causal_order(segments)
    starts = [_start(segments, sender) for sender in (0, 1)]
    directions = (_Direction(starts[0].position), _Direction(starts[1].position))
    pieces: list[tuple[int, Piece]] = []
    endings = _Endings()
    at_ns = 0
    captured, begins, is_cut, clock_jumps = [False, False], False, False, False
    for order, segment in enumerate(segments):
        clock_jumps = clock_jumps or segment.at_ns + _JUMP < at_ns
        at_ns = max(at_ns, segment.at_ns)  # Clocks may jump; the order of the bytes stays.
        captured[segment.sender] = True
        begins = begins or segment.syn
        is_cut = is_cut or segment.size > len(segment.data)
        if segment.acknowledged is not None:
            directions[1 - segment.sender].acknowledge(segment.acknowledged)
        direction = directions[segment.sender]
        in_order = direction.add(segment, at_ns, order)
        pieces.extend((order, Piece(at_ns, segment.sender, data)) for data in in_order)
        endings.note(segment, at_ns, is_over=direction.is_over)
    pieces += [
        (order, Piece(moment, sender, data, missing))
        for sender, direction in enumerate(directions)
        for order, moment, data, missing in direction.beyond_holes()
    ]
    pieces.sort(key=lambda each: each[0])  # Not by the times, which may be equal.
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
        number,
        ends,
        tuple(piece for _, piece in pieces),
        endings.all_of_them(),
        sides,
        heard,
        begins=begins,
        starts=(starts[0].is_known, starts[1].is_known),
        left_out=(directions[0].left_out(), directions[1].left_out()),
        is_cut=is_cut,
        clock_jumps=clock_jumps,
        unopened=_unopened(segments),
    )
    return stream, unseen


def _unopened(segments: Sequence[Segment]) -> int | None:
    """Return the end that sent SYN, if neither end acknowledged anything."""
    asked: int | None = None
    for segment in segments:
        if segment.acknowledged is not None:
            return None
        if segment.syn and asked is None:
            asked = segment.sender
    return asked


class _Endings:
    """The ends of both directions: of each, the first FIN and the first RST."""

    __slots__ = ("_finished", "_found")

    def __init__(self) -> None:
        self._found: dict[tuple[int, str], StreamEnd] = {}
        self._finished: dict[int, StreamEnd] = {}

    def note(self, segment: Segment, at_ns: int, *, is_over: bool) -> None:
        """Take a segment; `is_over` once all bytes before the sender's FIN are there."""
        sender = segment.sender
        if segment.reset:
            self._found.setdefault((sender, "reset"), StreamEnd(at_ns, sender, "reset"))
        if segment.fin:
            self._finished.setdefault(sender, StreamEnd(at_ns, sender, "end"))
        if is_over:
            self._found.setdefault((sender, "end"), StreamEnd(at_ns, sender, "end"))

    def all_of_them(self) -> tuple[StreamEnd, ...]:
        """Return the ends; a FIN after missing bytes has its own time."""
        for sender, end in self._finished.items():
            self._found.setdefault((sender, "end"), end)
        return tuple(sorted(self._found.values(), key=lambda end: end.at_ns))


class _Start(NamedTuple):
    """The start of the bytes of an end."""

    position: int | None
    """The first position; None if its first segment has it."""
    is_known: bool
    """True if none came before, as far as the other end's first captured segment tells."""


def _start(segments: Sequence[Segment], sender: int) -> _Start:
    """Return the start of an end. Without a captured SYN, its first segments may be out of order,
    or missing: the other end's first acknowledgement has the number of the byte that it expects.
    """
    own = [each for each in segments if each.sender == sender and not each.is_dropped]
    telling = (each for each in own if each.size or each.syn or each.fin)
    first = list(islice(telling, DISORDERLY)) or own[:1]
    opening = next((each for each in first if each.syn), None)
    if opening is not None and opening is not first[0]:
        return _Start(opening.first, True)  # Bytes of it were captured before.
    if not first or opening is not None:
        return _Start(None, True)
    base = first[0].sequence
    # It is neither a keep-alive nor a retransmission.
    back = [(distance(each.sequence, base), each.size) for each in first if each.size > 1]
    places = (at for at, size in back if at > -_WINDOW and at + size <= 0)
    base = (base + min(places, default=0)) % NUMBERS
    others = (each.acknowledged for each in segments if each.sender != sender)
    numbers = [number for number in others if number is not None]
    # The first of them, unless packets have changed places.
    least = max(numbers[:DISORDERLY], key=lambda number: distance(base, number), default=None)
    ahead = distance(base, least) if least is not None else -1
    # An end that never acknowledges what was captured, or all before it, does not show that
    # something is missing. A segment without bytes shows it by its own number.
    has_bytes = any(each.size for each in first)
    is_shown = any(distance(number, base) >= 0 for number in numbers)
    if 0 < ahead < (_MOST_UNSEEN if is_shown else FAR) and (is_shown or not has_bytes):
        return _Start(least, True)
    return _Start(base, ahead == 0 or not has_bytes)


_JUMP = 1_000_000_000
"""In nanoseconds. Packets that have changed places are closer to each other."""

_WINDOW = 1 << 16

_MOST_UNSEEN = 1 << 30
"""In bytes: no window is larger (RFC 7323 section 2.3)."""


class _Beyond(NamedTuple):
    """A segment: its first position, that after its last byte, its captured bytes, its number in
    the order of all segments, and its time.
    """

    start: int
    end: int
    data: bytes
    order: int
    at_ns: int
    fin: bool


@dataclass(slots=True)
class _Direction:
    """The bytes of one end. Positions are sequence numbers that do not wrap."""

    start: int | None = None
    """The first position; None if its first segment has it."""
    next: int | None = None
    """The position of the next byte; None before the first segment."""
    acknowledged: int | None = None
    beyond: list[_Beyond] = field(default_factory=list["_Beyond"])
    """The segments after a gap, as a heap."""
    first: int | None = None
    """The position of its first byte; None before the first segment."""
    end: int = 0
    """The position after the last segment in order, which may have been cut off."""
    end_order: int = 0
    end_at_ns: int = 0
    """The number and the time of the segment that ends there."""
    is_begun: bool = False
    """True once it has had any bytes."""
    told_order: int = 0
    told_at_ns: int = 0
    """The number and the time of the segment with which the last bytes in order were there."""
    reach: int | None = None
    """The highest position that a segment begins or ends at, whether it has bytes or not."""
    is_over: bool = False
    """True once a FIN was received, which takes a number too."""

    def acknowledge(self, number: int) -> None:
        if self.next is None:
            self.acknowledged = number
        else:
            position = self._position(number, self.next)
            before = self.acknowledged
            self.acknowledged = position if before is None else max(before, position)

    def add(self, segment: Segment, at_ns: int, order: int) -> list[bytes]:
        """Add a segment; return the bytes that are now in order."""
        here = self.next
        begins_anew = segment.syn and self.start is None and not self.is_begun
        if here is None or begins_anew:
            here = self._begin(segment.first if self.start is None else self.start)
        position = self._position(segment.first, here)
        if not segment.syn:
            reach = position + segment.size
            self.reach = reach if self.reach is None else max(self.reach, reach)
        if segment.size or segment.fin:
            end = position + segment.size
            heappush(self.beyond, _Beyond(position, end, segment.data, order, at_ns, segment.fin))
        in_order = [data for _, _, data in self._take(here)]
        if in_order:
            self.is_begun, self.told_order, self.told_at_ns = True, order, at_ns
        return in_order

    def _take(self, here: int) -> list[tuple[int, int, bytes]]:
        """Return the bytes from a position on without a gap, with their numbers and times, and
        advance the position.
        """
        in_order: list[tuple[int, int, bytes]] = []
        while self.beyond and self.beyond[0].start <= here:
            start, end, data, order, at_ns, fin = heappop(self.beyond)
            if end >= self.end:
                self.end, self.end_order, self.end_at_ns = end, order, at_ns
            self.is_over = self.is_over or fin
            data = data[here - start :]
            if data:
                here += len(data)
                in_order.append((order, at_ns, data))
        self.next = here
        return in_order

    def beyond_holes(self) -> Iterator[tuple[int, int, bytes, int]]:
        """Yield the bytes received after gaps: their numbers and times, the bytes, and the number
        of missing ones before.

        Numbers and times never decrease, whatever the order of the segments, and none is before
        the last bytes in order.
        """
        here, latest, moment = self.next, self.told_order, self.told_at_ns
        while here is not None:
            was_received = self.acknowledged is None or self.acknowledged > here
            # A packet that was cut off has no bytes of its own after the gap.
            end, order, at_ns = self.end, self.end_order, self.end_at_ns
            if self.beyond and was_received:
                end, order, at_ns = self.beyond[0].start, self.beyond[0].order, self.beyond[0].at_ns
            if end <= here:
                break
            pieces = self._take(end) or [(order, at_ns, b"")]
            for number, (order, at_ns, data) in enumerate(pieces):
                latest, moment = max(latest, order), max(moment, at_ns)
                yield latest, moment, data, end - here if number == 0 else 0
            here = self.next

    def is_heard(self) -> bool:
        """Return whether the other end acknowledged any of it; True if that is unknown."""
        if self.first is None or self.acknowledged is None:
            return True
        return self.acknowledged > self.first or self.next == self.first

    def unseen(self) -> int:
        """Return the number of acknowledged bytes after the last captured ones."""
        if self.next is None or self.acknowledged is None or self.is_over:
            return 0
        missing = self.acknowledged - self.next
        return missing if 1 < missing < _MOST_UNSEEN else 0  # One of them may be a FIN.

    def left_out(self) -> int:
        """Return the number of bytes that its segments show to be missing at its end, although
        nobody acknowledged them.
        """
        if self.next is None or self.reach is None or self.unseen():
            return 0
        missing = self.reach - self.next - self.is_over
        return missing if 1 < missing < FAR else 0

    def _begin(self, first: int) -> int:
        self.next = self.end = self.first = first
        self.beyond.clear()
        if self.acknowledged is not None:
            self.acknowledged = self._position(self.acknowledged % NUMBERS, first)
        return first

    @staticmethod
    def _position(number: int, near: int) -> int:
        """Return the position with this sequence number that is nearest to another one."""
        return near + distance(number, near)
