"""The cache of lists that peers send repeatedly.

The lists in a hello come from a configuration: clients of the same make send the same bytes in each
connection, and so does a server with its certificate. Reading them is a pure function, so the
results are kept: by the config of this side, within bounds in bytes, and only after a complete
handshake. Malformed lists raise each time.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

from handclasp.kept import Kept

Value = TypeVar("Value")

Memo = Kept[tuple[Callable[..., Any], Hashable], Any]

MOST_BYTES = 2**20
"""The bytes of all entries of one config."""

_LONGEST = 256
"""The bytes of the longest list that is kept: no common client sends longer ones."""

_BYTES_OF_EACH = 110
"""The memory for a byte of a list: half a name."""

_BYTES_BESIDES = 300


def new_memo() -> Memo:
    """Return an empty cache for a config."""
    return Kept(MOST_BYTES)


class Reading:
    """The reading of one connection: known lists come from the cache, and new ones are noted.

    The values must be immutable.

    Attributes:
        known: gives what is known under a key, or None.
        new: what is noted of this connection.
    """

    __slots__ = ("_memo", "known", "new")

    def __init__(self, memo: Memo) -> None:
        self._memo = memo
        self.known = memo.get
        self.new: list[tuple[Any, Any, int]] = []

    def read(self, read: Callable[[Any], Value], data: bytes) -> Value:
        """Return the result of the pure function `read` for a list."""
        known: Value | None = self.known((read, data))
        if known is not None:
            return known
        made = read(data)
        if len(data) <= _LONGEST:
            size = _BYTES_BESIDES + _BYTES_OF_EACH * len(data)
            self.new.append(((read, data), made, size))
        return made

    def read_forms(
        self, forms: Mapping[int, Callable[[bytes], Any]], extensions: Mapping[int, bytes]
    ) -> dict[int, Any]:
        """Return the values of all extensions with a form, by type."""
        known = self.known
        values: dict[int, Any] = {}
        for kind, data in extensions.items():
            read = forms.get(kind)
            if read is not None:
                value = known((read, data))
                values[kind] = self.read(read, data) if value is None else value
        return values

    def note(self, key: tuple[Callable[..., Any], Hashable], value: object, size: int) -> None:
        """Remember what a pure function made of what the peer sent; both take `size` bytes."""
        self.new.append((key, value, size + _BYTES_BESIDES))

    def accepted(self) -> None:
        """Keep the new lists, after the handshake is complete: they may come again."""
        for entry in self.new:
            self._memo.keep(*entry)
        self.new.clear()
