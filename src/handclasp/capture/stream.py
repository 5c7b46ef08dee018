"""One TCP conversation, put together: who said what, in order."""

from __future__ import annotations

import re
from dataclasses import dataclass, field


class CaptureError(ValueError):
    """A capture, or a conversation in it, that cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Address:
    """One end of a conversation."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes that one end said; `at_ns` counts from 1970 (UTC)."""

    at_ns: int
    sender: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ending:
    """One end has closed ("end") or torn down ("reset") the conversation."""

    at_ns: int
    sender: int
    how: str


@dataclass(frozen=True, slots=True)
class Stream:
    """A conversation between `ends[0]` and `ends[1]`; senders are indices into it."""

    number: int
    ends: tuple[Address, Address]
    pieces: tuple[Piece, ...]
    endings: tuple[Ending, ...] = ()

    def starts_of_hello(self) -> tuple[int, int] | None:
        """Which end says a ClientHello, and at which byte of what it says; None if neither does.

        Something else may come first, as with STARTTLS.
        """
        for sender in (0, 1):
            said = b"".join(piece.data for piece in self.pieces if piece.sender == sender)
            found = _CLIENT_HELLO.search(said[:_PREAMBLE])
            if found is not None:
                return sender, found.start()
        return None


# A record of type handshake and a version from SSL 3.0 on, which begins with a ClientHello that
# begins with a version, too.
_CLIENT_HELLO = re.compile(rb"\x16\x03[\x00-\x04]..\x01\x00..\x03[\x00-\x04]", re.DOTALL)
_PREAMBLE = 64 * 1024
"""How far into a conversation TLS may begin."""
