"""Entries by name, within bounds: of names, of entries of one name, and of bytes.

What a peer sends decides how large an entry is, so a count alone bounds nothing. No entry may take
more than a sixteenth of all bytes, and no name more than an eighth: one server alone cannot push
out what is kept for all others.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from handclasp.errors import ConfigurationError

Name = TypeVar("Name", str, bytes)
Entry = TypeVar("Entry")

LEAST_BYTES = 2**18
"""With fewer, an ordinary chain of certificates would be too large for its share."""

MOST_PER_NAME = 8
"""Servers usually issue two sessions at a time."""


def check_bounds(capacity: object, max_bytes: object) -> None:
    """Raise `ConfigurationError` for bounds that cannot be kept."""
    if type(capacity) is not int or capacity < 1:
        raise ConfigurationError("The capacity of a session store is a whole number from 1 on.")
    if type(max_bytes) is not int or max_bytes < LEAST_BYTES:
        raise ConfigurationError(
            f"The max_bytes of a session store are a whole number from {LEAST_BYTES} on."
        )


class BoundedEntries(Generic[Name, Entry]):
    """Entries in the order in which they came, by names that go when they were not used longest.

    Args:
        size_of: how many bytes an entry counts for.
        capacity: how many names to keep.
        max_bytes: how many bytes to keep.
    """

    __slots__ = ("_capacity", "_max_bytes", "_size_of", "held", "size")

    def __init__(self, size_of: Callable[[Entry], int], capacity: int, max_bytes: int) -> None:
        self._size_of = size_of
        self._capacity = capacity
        self._max_bytes = max_bytes
        self.held: OrderedDict[Name, list[Entry]] = OrderedDict()
        self.size = 0

    def add(self, name: Name, entry: Entry) -> None:
        """Take over what was kept within bounds before; the next `put` sees to it that it is."""
        self.held.setdefault(name, []).append(entry)
        self.size += self._size_of(entry)

    def put(self, name: Name, entry: Entry) -> None:
        """Keep an entry as the newest of its name, which becomes the one that was used last."""
        if self._size_of(entry) > self._max_bytes // 16:
            return
        self.add(name, entry)
        self.held.move_to_end(name)
        self._shorten(name)
        while len(self.held) > self._capacity or self.size > self._max_bytes:
            _, gone = self.held.popitem(last=False)
            self.size -= sum(map(self._size_of, gone))

    def newest(self, name: Name) -> Entry | None:
        """Return the newest entry of this name."""
        entries = self.held.get(name)
        if not entries:
            return None
        self.held.move_to_end(name)
        return entries[-1]

    def remove(self, name: Name, entry: Entry) -> None:
        """Forget an entry, and all that are equal to it."""
        kept = [each for each in self.held.get(name, []) if each != entry]
        self.forget(name)
        for each in kept:
            self.add(name, each)

    def forget(self, name: Name) -> None:
        """Forget all entries of this name."""
        self.size -= sum(map(self._size_of, self.held.pop(name, [])))

    def _shorten(self, name: Name) -> None:
        entries = self.held[name]
        sizes = [self._size_of(each) for each in entries]
        total, first = sum(sizes), 0
        while len(entries) - first > MOST_PER_NAME or total > self._max_bytes // 8:
            total -= sizes[first]
            first += 1
        self.size -= sum(sizes[:first])
        del entries[:first]
