"""Bytes that never print themselves."""

from __future__ import annotations

from typing import NoReturn


class Secret(bytes):
    """A secret value: bytes for the primitives, and silent towards logs, tracebacks and pickles."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<Secret of {len(self)} bytes>"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return format(repr(self), format_spec)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret is not to be pickled")
