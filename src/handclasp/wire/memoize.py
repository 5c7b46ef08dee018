"""What peers send again and again is read once.

The lists in a hello come out of a configuration: from the same client, and from every client of the
same make, they have the same bytes in each connection, and so does a server's certificate. Reading
them is a pure function, so its results can be kept: by the config of this side, within bounds in
bytes, and only where the handshake was completed. What cannot be read raises each time.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

from handclasp.kept import Kept

Value = TypeVar("Value")

Memo = Kept[tuple[Callable[..., Any], Hashable], Any]

MOST_BYTES = 2**20
"""Of all that one config keeps."""

_LONGEST = 256
"""Bytes: nobody has longer lists in every hello."""

_BYTES_OF_EACH = 110
"""What a byte of a list may become: half a name."""

_BYTES_BESIDES = 300


def new_memo() -> Memo:
    """What a config keeps, with nothing in it yet."""
    return Kept(MOST_BYTES)


class Reading:
    """How one connection reads: what is known is taken from there, and what is new noted.

    The values must be immutable.

    Attributes:
        known: gives what is known under a key, or None.
    """

    __slots__ = ("_memo", "_new", "known")

    def __init__(self, memo: Memo) -> None:
        self._memo = memo
        self.known = memo.get
        self._new: list[tuple[Any, Any, int]] = []

    def read(self, read: Callable[[Any], Value], data: bytes) -> Value:
        """What the pure function `read` makes of a list."""
        known: Value | None = self.known((read, data))
        if known is not None:
            return known
        made = read(data)
        if len(data) <= _LONGEST:
            size = _BYTES_BESIDES + _BYTES_OF_EACH * len(data)
            self._new.append(((read, data), made, size))
        return made

    def read_forms(
        self, forms: Mapping[int, Callable[[bytes], Any]], extensions: Mapping[int, bytes]
    ) -> dict[int, Any]:
        """What each extension holds that has a form, by its type."""
        known, values = self.known, dict[int, Any]()
        for kind, data in extensions.items():
            read = forms.get(kind)
            if read is not None:
                value = known((read, data))
                values[kind] = self.read(read, data) if value is None else value
        return values

    def note(self, key: tuple[Callable[..., Any], Hashable], value: object, size: int) -> None:
        """Remember what a pure function made of what the peer sent; both take `size` bytes."""
        self._new.append((key, value, size + _BYTES_BESIDES))

    def accepted(self) -> None:
        """The handshake is complete: what was new in it may come again."""
        for entry in self._new:
            self._memo.keep(*entry)
        self._new.clear()
