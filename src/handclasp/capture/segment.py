"""One TCP segment, as it was captured, and its sequence numbers (RFC 9293 section 3.4).

>>> from handclasp.capture.segment import Segment, distance
>>> first = Segment(at_ns=0, sender=0, sequence=2**32 - 2, data=b"hello")
>>> distance(3, first.sequence)
5
"""

from __future__ import annotations

from handclasp.values import dataclass, field

NUMBERS = 1 << 32
"""Sequence numbers are modulo this."""

DISORDERLY = 8
"""The number of segments at the start of a capture whose order is not trusted."""

FAR = 1 << 20
"""In bytes. A number that is further away than this is rather that of a forged segment."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One TCP segment, as it was captured.

    Attributes:
        at_ns: its time, in nanoseconds since 1970 (UTC).
        sender: 0 or 1.
        sequence: the number of its first byte, or of SYN.
        acknowledged: the next byte of the other end; None without ACK, and in a reset.
        syn, fin: the flags, each of which takes a sequence number of its own.
        data: the bytes that were captured.
        size: the number of all bytes; more than in `data` if packets were cut off.
        is_dropped: whether every receiver drops it because of its flags.
        is_damaged: whether its checksum is wrong; if a network card computes them, those of all
            sent segments are.
        reset: the flag RST, with which the sender tears the connection down.
    """

    at_ns: int
    sender: int
    sequence: int
    acknowledged: int | None = None
    syn: bool = False
    fin: bool = False
    data: bytes = field(default=b"", repr=False)
    size: int = 0
    is_dropped: bool = False
    is_damaged: bool = False
    reset: bool = False

    @property
    def first(self) -> int:
        """The number of the first byte of its data, which SYN precedes."""
        return (self.sequence + self.syn) % NUMBERS


def distance(number: int, start: int) -> int:
    """Return the distance of a sequence number from an earlier one; negative if it is before it."""
    half = NUMBERS // 2
    return (number - start + half) % NUMBERS - half
