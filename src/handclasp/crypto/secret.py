"""Bytes that are never printed."""

from __future__ import annotations

import hmac
from typing import NoReturn


class Secret(bytes):
    """A secret value: bytes that never appear in logs and tracebacks, and cannot be pickled.

    The time of a comparison depends only on the lengths, also if it takes place in a dataclass, a
    list or a dictionary.

    >>> Secret(b"16 random bytes!")
    <Secret of 16 bytes>
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if isinstance(other, bytes | bytearray):
            return hmac.compare_digest(self, other)
        return NotImplemented

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = bytes.__hash__

    def __repr__(self) -> str:
        return f"<Secret of {len(self)} bytes>"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return format(repr(self), format_spec)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret is not to be pickled")
