"""What peers send again and again is read once.

The lists in a hello come out of a configuration: from the same client, and from every client of the
same make, they have the same bytes in each connection. Reading them is a pure function, so its
results can be kept. How much is kept is bounded, in number and in size, as the peer chooses the
bytes; a list that cannot be read raises each time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

Value = TypeVar("Value")

_MOST_KEPT = 256
"""Values kept of each kind; the one that was used least recently goes first."""

_LONGEST = 256
"""Bytes: nobody has longer lists in every hello."""


def recurring(read: Callable[[bytes], Value]) -> Callable[[bytes], Value]:
    """Keeps what a pure function gives for short bytes. The values must be immutable."""
    kept = lru_cache(maxsize=_MOST_KEPT)(read)

    @wraps(read)
    def read_once(data: bytes) -> Value:
        return kept(data) if len(data) <= _LONGEST else read(data)

    return read_once
