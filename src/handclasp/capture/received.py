"""The captured TCP segments that the other end received.

Later segments of both ends determine this, so all segments are read before any counts.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from handclasp.capture.segment import FAR, NUMBERS, Segment, distance
from handclasp.values import replace


def received_of(segments: Sequence[Segment]) -> list[Segment]:
    """Return the segments without those that the other end's kernel dropped, in their order.

    A SYN comes with as much of its data as was acknowledged.
    """
    # If an end never has a right checksum, its network card computes them.
    tells = {each.sender for each in segments if each.size and not each.is_damaged}
    damaged = [each.is_damaged and each.sender in tells for each in segments]
    doubtful = _doubtful(segments, damaged)
    sides = tuple(_Side(segments, doubtful, damaged, sender) for sender in (0, 1))
    received: list[Segment] = []
    for segment, is_doubtful in zip(segments, doubtful, strict=True):
        side = sides[segment.sender]
        if segment.syn and not side.takes_syn(segment):
            continue
        if is_doubtful and (segment.size or segment.fin) and not side.takes(segment):
            continue
        received.append(side.cut(segment))
    return received


def _doubtful(segments: Sequence[Segment], damaged: Sequence[bool]) -> list[bool]:
    """Return for each segment whether a receiver had to drop it, as far as it and earlier segments
    show.
    """
    sent: list[int | None] = [None, None]
    most = tuple(_most(segments, sender) for sender in (0, 1))
    doubtful: list[bool] = []
    for segment, is_damaged in zip(segments, damaged, strict=True):
        other = 1 - segment.sender
        reach = most[other] if sent[other] is None else sent[other]
        acknowledged = segment.acknowledged
        too_far = (
            acknowledged is not None and reach is not None and distance(acknowledged, reach) > 0
        )
        is_doubtful = segment.is_dropped or is_damaged or too_far
        doubtful.append(is_doubtful)
        if not is_doubtful:
            end = _end(segment)
            before = sent[segment.sender]
            if before is None or distance(end, before) > 0:
                sent[segment.sender] = end
    return doubtful


def _most(segments: Sequence[Segment], sender: int) -> int | None:
    """Return the highest position that an end has sent; None if nothing of it was captured."""
    ends = [_end(each) for each in segments if each.sender == sender and not each.is_dropped]
    return max(ends, key=lambda end: distance(end, ends[0]), default=None)


class _Side:
    """The bytes of one end that the other surely received, and the acknowledgements."""

    def __init__(
        self,
        segments: Sequence[Segment],
        doubtful: Sequence[bool],
        damaged: Sequence[bool],
        sender: int,
    ) -> None:
        pairs = list(zip(segments, doubtful, strict=True))
        answers = [
            each
            for each, is_doubtful in pairs
            if each.sender != sender and each.acknowledged is not None and not is_doubtful
        ]
        acknowledged = [each.acknowledged for each in answers if each.acknowledged is not None]
        in_syns = [each.acknowledged for each in answers if each.syn and each.acknowledged]
        ranges = [
            each
            for each, is_doubtful in pairs
            if each.sender == sender and each.size and not is_doubtful and not each.syn
        ]
        self._base = ranges[0].sequence if ranges else 0
        self._ranges = self._merged(ranges)
        self._is_answered = any(each.sender != sender for each in segments)
        self._syn = self._syn_of(pairs, sender, in_syns or acknowledged)
        self._knows_syn = bool(acknowledged)
        self._syn_reach = in_syns[0] if in_syns else None
        # An end that acknowledges more than was captured has still received it.
        reaches = (
            distance(each.acknowledged, self._base)
            for each, is_damaged in zip(segments, damaged, strict=True)
            if each.sender != sender and each.acknowledged is not None and not is_damaged
        )
        self._reach = max(reaches, default=None)

    def _syn_of(
        self,
        pairs: Sequence[tuple[Segment, bool]],
        sender: int,
        acknowledged: Sequence[int],
    ) -> int | None:
        """Return the number of the first acknowledged SYN, or else of one that data follows, or
        else of one shortly after which the first acknowledgement is: captures lose packets.
        """
        followed: int | None = None
        near: int | None = None
        lowest = self._ranges[0][0] if self._ranges else None
        exactly = frozenset(acknowledged)
        for each, is_doubtful in pairs:
            if each.sender != sender or not each.syn or is_doubtful:
                continue
            first = (each.sequence + 1) % NUMBERS
            if first in exactly or any(
                0 < distance(number, first) <= each.size for number in acknowledged[:1]
            ):
                return each.sequence
            if followed is None and distance(first, self._base) == lowest:
                followed = each.sequence
            if near is None and any(
                0 < distance(number, first) < FAR for number in acknowledged[:1]
            ):
                near = each.sequence
        return followed if followed is not None else near

    def takes_syn(self, segment: Segment) -> bool:
        """Return whether it is the SYN with which the conversation began."""
        return not self._knows_syn or segment.sequence == self._syn

    def takes(self, doubtful: Segment) -> bool:
        """Return whether a doubtful segment counts: nothing else is there, and it was acked."""
        start = distance(doubtful.sequence, self._base)
        end = start + doubtful.size
        at = bisect_right(self._ranges, (end, end)) - 1
        if at >= 0 and doubtful.size and self._ranges[at][1] > start:
            return False
        return not self._is_answered or (self._reach is not None and self._reach >= end)

    def cut(self, segment: Segment) -> Segment:
        """Return a SYN with as much of its data as was acknowledged."""
        if not segment.syn or not segment.size or self._syn_reach is None:
            return segment
        believed = max(0, distance(self._syn_reach, (segment.sequence + 1) % NUMBERS))
        if believed >= segment.size:
            return segment
        return replace(segment, data=segment.data[:believed], size=believed)

    def _merged(self, segments: Sequence[Segment]) -> list[tuple[int, int]]:
        """Return the ranges, without overlaps, in order."""
        starts = (distance(each.sequence, self._base) for each in segments)
        ranges = sorted((at, at + each.size) for at, each in zip(starts, segments, strict=True))
        merged: list[tuple[int, int]] = []
        for start, end in ranges:
            if merged and start <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(merged[-1][1], end)
            else:
                merged.append((start, end))
        return merged


def _end(segment: Segment) -> int:
    return (segment.first + segment.size + segment.fin) % NUMBERS
