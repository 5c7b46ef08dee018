"""The order of captured segments, corrected by what each of them acknowledges.

The queues of a network card, or two captures that were merged, can exchange packets of the two
directions: then an answer seems to come before the question. No end acknowledges what it has not
received yet, so a segment comes after the captured bytes that it acknowledges.

>>> from handclasp.capture.causal_order import in_causal_order
>>> from handclasp.capture.segment import Segment
>>> question = Segment(1, 0, sequence=100, acknowledged=500, data=b"hello", size=5)
>>> answer = Segment(0, 1, sequence=500, acknowledged=105, data=b"world", size=5)
>>> in_causal_order([answer, question]) == [question, answer]
True
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from heapq import heappop, heappush

from handclasp.capture.segment import DISORDERLY, Segment, distance


def in_causal_order(segments: Sequence[Segment]) -> list[Segment]:
    """Return the segments, each after the bytes that it acknowledges, and those of one end in the
    order in which they were captured.

    If each end acknowledges later bytes of the other, which only forged numbers do, the earlier
    segment comes first.
    """
    sides = tuple(_Side([each for each in segments if each.sender == end]) for end in (0, 1))
    ordered: list[Segment] = []
    held: deque[Segment] = deque()
    for segment in segments:
        if held and held[0].sender != segment.sender and _is_early(segment, sides):
            _release(held, ordered, sides)
        if (held and held[0].sender == segment.sender) or _is_early(segment, sides):
            held.append(segment)
            continue
        _emit(segment, ordered, sides)
        while held and not _is_early(held[0], sides):
            _emit(held.popleft(), ordered, sides)
    _release(held, ordered, sides)
    return ordered


class _Side:
    """The segments of one end that are still to come."""

    __slots__ = ("base", "lowest")

    def __init__(self, segments: Sequence[Segment]) -> None:
        self.base = segments[0].first if segments else 0
        self.lowest: deque[int | None] = deque()
        """For each segment the lowest position from it on that no earlier one had, if any."""
        lowest: int | None = None
        for position in reversed(self._new_positions(segments)):
            if position is not None:
                lowest = position if lowest is None else min(lowest, position)
            self.lowest.appendleft(lowest)

    def _new_positions(self, segments: Sequence[Segment]) -> list[int | None]:
        """Return the position of each segment; None for a retransmission, or without bytes."""
        places = [distance(each.first, self.base) for each in segments]
        begun = any(each.syn for each in segments[:DISORDERLY])
        here = 0 if begun else min(places[:DISORDERLY], default=0)
        beyond: list[tuple[int, int]] = []
        known: set[int] = set()
        new: list[int | None] = []
        for segment, at in zip(segments, places, strict=True):
            is_new = segment.size > 0 and at + segment.size > here and at not in known
            new.append(at if is_new else None)
            if is_new:
                known.add(at)
                heappush(beyond, (at, at + segment.size))
            while beyond and beyond[0][0] <= here:
                here = max(here, heappop(beyond)[1])
        return new


def _is_early(segment: Segment, sides: tuple[_Side, ...]) -> bool:
    """Return whether it acknowledges bytes of the other end that are still to come."""
    other = sides[1 - segment.sender]
    if segment.acknowledged is None or not other.lowest or other.lowest[0] is None:
        return False
    return distance(segment.acknowledged, other.base) > other.lowest[0]


def _emit(segment: Segment, ordered: list[Segment], sides: tuple[_Side, ...]) -> None:
    ordered.append(segment)
    sides[segment.sender].lowest.popleft()


def _release(held: deque[Segment], ordered: list[Segment], sides: tuple[_Side, ...]) -> None:
    while held:
        _emit(held.popleft(), ordered, sides)
