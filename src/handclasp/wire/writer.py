"""Vectors with their lengths in front (RFC 8446 section 3.4), the reader's counterpart.

The values were made by this side or read before; a value that is too long for its length raises
`OverflowError`, which only a defect of this library can cause.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import pack

from handclasp.wire.reader import Uint16s


def opaque8(data: bytes) -> bytes:
    """Return `data` after a length of one byte."""
    return len(data).to_bytes(1, "big") + data


def opaque16(data: bytes) -> bytes:
    """Return `data` after a length of two bytes."""
    return len(data).to_bytes(2, "big") + data


def opaque24(data: bytes) -> bytes:
    """Return `data` after a length of three bytes."""
    return len(data).to_bytes(3, "big") + data


def uint16s(values: Iterable[int]) -> bytes:
    """Return a sequence of two-byte values, without a length."""
    if type(values) is Uint16s:
        return values.packed
    numbers = tuple(values)
    return pack(f">{len(numbers)}H", *numbers)
