"""Vectors with their lengths in front (RFC 8446 section 3.4), the reader's counterpart.

The callers hold values that this side made or that were read before; a value that is too long
for its length field raises `OverflowError`, which only a defect of ours can cause.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import pack

from handclasp.wire.reader import Uint16s


def opaque8(data: bytes) -> bytes:
    """`data` behind a length of one byte."""
    return len(data).to_bytes(1, "big") + data


def opaque16(data: bytes) -> bytes:
    """`data` behind a length of two bytes."""
    return len(data).to_bytes(2, "big") + data


def opaque24(data: bytes) -> bytes:
    """`data` behind a length of three bytes."""
    return len(data).to_bytes(3, "big") + data


def uint16s(values: Iterable[int]) -> bytes:
    """Two-byte values one after the other, without a length."""
    if type(values) is Uint16s:
        return values.packed
    numbers = tuple(values)
    return pack(f">{len(numbers)}H", *numbers)
