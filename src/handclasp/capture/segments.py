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
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from heapq import heappop, heappush
from operator import ne

from handclasp.capture.received import received_of
from handclasp.capture.segment import NUMBERS, Segment, distance
from handclasp.capture.stream import Address, CaptureError, Ending, Piece, Stream


def put_together(
    number: int,
    ends: tuple[Address, Address],
    segments: Iterable[Segment],
    endings: tuple[Ending, ...] = (),
) -> Stream:
    """The conversation that segments make, in the order in which they were captured.

    Raises `CaptureError` where bytes are missing that were received.
    """
    captured = list(segments)
    received = received_of(captured)
    if len(received) != len(captured) or any(map(ne, received, captured)):
        with suppress(CaptureError):
            return _put_together(number, ends, received, endings)
    return _put_together(number, ends, captured, endings)


def _put_together(
    number: int,
    ends: tuple[Address, Address],
    segments: Iterable[Segment],
    endings: tuple[Ending, ...],
) -> Stream:
    directions = (_Direction(), _Direction())
    pieces: list[Piece] = []
    at_ns = 0
    for segment in segments:
        at_ns = max(at_ns, segment.at_ns)  # Clocks may jump; what was said keeps its order.
        if segment.acknowledged is not None:
            directions[1 - segment.sender].acknowledge(segment.acknowledged)
        in_order = directions[segment.sender].add(segment)
        pieces.extend(Piece(at_ns, segment.sender, data) for data in in_order)
    missing = sum(direction.missing() for direction in directions)
    if missing:
        raise CaptureError(f"{missing:,} bytes of this connection are missing in the capture.")
    return Stream(number, ends, tuple(pieces), endings)


@dataclass(slots=True)
class _Direction:
    """What one end says. Positions are sequence numbers that do not wrap."""

    next: int | None = None
    """Where the next byte belongs; None before the first segment."""
    acknowledged: int | None = None
    beyond: list[tuple[int, int, bytes]] = field(default_factory=list[tuple[int, int, bytes]])
    """Behind a hole, as a heap: the first position, that behind the last one, what was captured."""
    end: int = 0
    """Behind the last byte of the segments in order, which may have been cut off."""
    is_begun: bool = False
    """Whether there were bytes already."""

    def acknowledge(self, number: int) -> None:
        if self.next is None:
            self.acknowledged = number
        else:
            position = self._position(number, self.next)
            before = self.acknowledged
            self.acknowledged = position if before is None else max(before, position)

    def add(self, segment: Segment) -> list[bytes]:
        """Take in a segment; the bytes that are in order now."""
        first = (segment.sequence + segment.syn) % NUMBERS
        here = self.next
        if here is None or (segment.syn and not self.is_begun):
            here = self._begin(first)
        position = self._position(first, here)
        if segment.size or segment.fin:
            heappush(self.beyond, (position, position + segment.size, segment.data))
        in_order: list[bytes] = []
        while self.beyond and self.beyond[0][0] <= here:
            position, end, data = heappop(self.beyond)
            self.end = max(self.end, end)
            data = data[here - position :]
            if data:
                here += len(data)
                in_order.append(data)
        self.next = here
        self.is_begun = self.is_begun or bool(in_order)
        return in_order

    def missing(self) -> int:
        """How many bytes of it were received and not captured, up to the next that were."""
        if self.next is None:
            return 0
        was_received = self.acknowledged is None or self.acknowledged > self.next
        end = self.beyond[0][0] if self.beyond and was_received else self.end
        return max(0, end - self.next)

    def _begin(self, first: int) -> int:
        self.next = self.end = first
        self.beyond.clear()
        if self.acknowledged is not None:
            self.acknowledged = self._position(self.acknowledged % NUMBERS, first)
        return first

    @staticmethod
    def _position(number: int, near: int) -> int:
        """The position with this sequence number that is nearest to another one."""
        return near + distance(number, near)
