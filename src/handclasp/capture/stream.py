"""One reassembled TCP conversation: the bytes of both ends, in order.

>>> from handclasp.capture.stream import Address, CaptureError, Piece, Stream, StreamEnd
>>> ends = Address("192.0.2.1", 49152), Address("2001:db8::1", 443)
>>> stream = Stream(0, ends, (Piece(0, 0, b"hello", missing=3),), (StreamEnd(1, 0, "reset"),))
>>> stream.missing, str(stream.ends[1])
(3, '[2001:db8::1]:443')
>>> issubclass(CaptureError, ValueError)
True
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from handclasp.values import dataclass, field


class CaptureError(ValueError):
    """A capture, or a conversation in it, that cannot be read, with the reason."""


@dataclass(frozen=True, slots=True)
class Address:
    """One end of a conversation."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes that one end sent.

    Attributes:
        at_ns: their time, in nanoseconds since 1970 (UTC).
        data: the bytes; empty if nothing was captured after the missing ones.
        missing: the number of bytes before them that are not in the capture.
    """

    at_ns: int
    sender: int
    data: bytes = field(repr=False)
    missing: int = 0


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """The end of one direction: closed ("end") or torn down ("reset")."""

    at_ns: int
    sender: int
    how: str


@dataclass(frozen=True, slots=True)
class Stream:
    """A conversation between `ends[0]` and `ends[1]`; senders are indices into it.

    Attributes:
        captured: for each end, whether there are packets of it, with or without data.
        acknowledged: for each end, whether the other one acknowledged any of its bytes; True if
            that is unknown.
        begins: whether its beginning (a SYN) is in the capture.
        starts: for each end, whether the place of its first bytes is known: by its SYN, or by what
            the other end acknowledged before them.
        left_out: for each end, the number of bytes that are missing at its end, as only its own
            later packets show: nobody acknowledged them.
        is_cut: whether the packets were cut off when they were captured.
        clock_jumps: whether a packet has a time long before that of an earlier one, so that the
            times do not show how long an end waited.
        unopened: the end that asked for the connection (SYN), if nothing shows that it was
            opened.
        trouble: why the file could not be read to its end, in a sentence; empty if it was.
    """

    number: int
    ends: tuple[Address, Address]
    pieces: tuple[Piece, ...]
    endings: tuple[StreamEnd, ...] = ()
    captured: tuple[bool, bool] = (True, True)
    acknowledged: tuple[bool, bool] = (True, True)
    begins: bool = True
    starts: tuple[bool, bool] = (True, True)
    left_out: tuple[int, int] = (0, 0)
    is_cut: bool = False
    clock_jumps: bool = False
    trouble: str = ""
    unopened: int | None = None

    @property
    def missing(self) -> int:
        """The number of bytes that are not in the capture."""
        return sum(piece.missing for piece in self.pieces)

    def starts_of_hello(self) -> tuple[int, int] | None:
        """Return the end that sends a ClientHello, and its offset in the bytes; None if neither
        does.

        Something else may come first, as with STARTTLS.
        """
        for sender in (0, 1):
            at = 0
            for run in self._runs(sender):
                found = _CLIENT_HELLO.search(run)
                if found is not None:
                    return sender, at + found.start()
                at += len(run)
        return None

    def answers(self) -> int | None:
        """Return the end that sends a ServerHello; None if neither does.

        It identifies a TLS connection whose ClientHello is not in the capture.
        """
        for sender in (0, 1):
            if any(_SERVER_HELLO.search(run) for run in self._runs(sender)):
                return sender
        return None

    def _runs(self, sender: int) -> Iterator[bytes]:
        """Yield the first bytes of an end, split at missing bytes."""
        run, room = bytearray(), _PREAMBLE
        for piece in self.pieces:
            if piece.sender == sender and room > 0:
                if piece.missing:
                    yield bytes(run)
                    run.clear()
                run += piece.data[:room]
                room -= len(piece.data)
        yield bytes(run)


# A record of type handshake with a version from SSL 3.0 on, which begins with a ClientHello with a
# version.
_CLIENT_HELLO = re.compile(rb"\x16\x03[\x00-\x04]..\x01\x00..\x03[\x00-\x04]", re.DOTALL)
_SERVER_HELLO = re.compile(rb"\x16\x03[\x00-\x04]..\x02\x00..(?:\x03[\x00-\x04]|\x7f)", re.DOTALL)
_PREAMBLE = 64 * 1024
"""The offset in a conversation up to which TLS may begin."""
