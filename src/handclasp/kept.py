"""A cache of the peers' bytes: bounded in bytes, owned by an object, and only of accepted data.

The peers choose these bytes. A cache of the module would hold them for the life of the process, and
one that is bounded in entries alone holds as much as the largest entries take. So each `Kept`
belongs to a config, a trust store or a connection, and goes with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from handclasp.process import ProcessLock

Key = TypeVar("Key")
Value = TypeVar("Value")


class Kept(Generic[Key, Value]):
    """A memory of at most so many bytes; what was kept first goes first. Safe for threads."""

    __slots__ = ("_lock", "_most", "_size", "_sizes", "_values", "get")

    get: Callable[[Key], Value | None]
    """The value under a key, or None."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._size = 0
        self._lock = ProcessLock()
        self._sizes: dict[Key, int] = {}
        self._values: dict[Key, Value] = {}
        # The method of the dict itself, as this is asked for several times in each handshake.
        self.get = self._values.get

    @property
    def size(self) -> int:
        """Bytes that are held, by the word of those who gave them."""
        return self._size

    def __len__(self) -> int:
        return len(self._values)

    def keep(self, key: Key, value: Value, size: int) -> None:
        """Keep a value that takes `size` bytes with its key; one that is larger than the whole
        bound is not kept, and one that is here already stays.
        """
        if size > self._most or key in self._sizes:
            return  # Most are here already; to ask for the lock would cost more than the rest.
        with self._lock:
            if key in self._sizes:
                return
            while self._size + size > self._most:
                oldest = next(iter(self._sizes))
                self._size -= self._sizes.pop(oldest)
                self._values.pop(oldest, None)
            self._sizes[key] = size
            self._values[key] = value
            self._size += size

    def clear(self) -> None:
        """Forget all of it."""
        with self._lock:
            self._sizes.clear()
            self._values.clear()
            self._size = 0


class KeptResults:
    """A pure function of texts and bytes to bytes that keeps its results, of this side's own bytes.

    Of a module only where no peer sends what it is called with.
    """

    def __init__(self, function: Callable[..., bytes], most_bytes: int) -> None:
        self._function = function
        self._kept: Kept[tuple[str | bytes, ...], bytes] = Kept(most_bytes)

    def __call__(self, *given: str | bytes) -> bytes:
        known = self._kept.get(given)
        if known is None:
            known = self._function(*given)
            self._kept.keep(given, known, sum(map(len, given)) + len(known) + _BESIDES)
        return known

    def cache_clear(self) -> None:
        """Forget all results."""
        self._kept.clear()


_BESIDES = 300
"""Bytes that the objects around a result take."""
