"""A bounded memory of chains that verified, so that the next handshake need not verify again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

from handclasp.process import ProcessLock

Proof = TypeVar("Proof")

CAPACITY = 256
"""Chains remembered per trust store; the one used least recently goes first."""

MOST_BYTES = 2**21
"""Of all of them, by the word of those who gave them."""


class _Entry(NamedTuple, Generic[Proof]):
    proof: Proof
    not_before: datetime
    not_after: datetime
    size: int


class RememberedChains(Generic[Proof]):
    """The chains that were verified under one trust store, with the times of their validity. Safe
    for threads.

    The key must hold everything that the verdict rests upon besides the trust store and the time:
    the exact bytes of the chain, the name and the purpose. The time is checked again each time. It
    lives as long as the entry, so what may be large, or be replaced, has a token in it.
    """

    __slots__ = ("_capacity", "_entries", "_lock", "_size")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[Hashable, _Entry[Proof]] = OrderedDict()
        self._lock = ProcessLock()
        self._size = 0

    def __len__(self) -> int:
        return len(self._entries)

    def recall(self, key: Hashable, now: datetime) -> Proof | None:
        """Return the proof kept under `key` if all certificates of its path are valid at `now`."""
        # Without the lock, which would cost more than the rest: each step is one of the
        # dictionary's own, and an entry that is removed in between was valid when it was found.
        entry = self._entries.get(key)
        if entry is None or not entry.not_before <= now <= entry.not_after:
            return None
        try:
            self._entries.move_to_end(key)
        except KeyError:
            return entry.proof
        return entry.proof

    def remember(
        self,
        key: Hashable,
        proof: Proof,
        not_before: datetime,
        not_after: datetime,
        size: int = 0,
    ) -> None:
        """Keep a proof for as long as it holds; a clock set back does not need it again.

        Args:
            size: what key and proof take, in bytes.
        """
        with self._lock:
            former = self._entries.pop(key, None)
            self._size += size - (former.size if former is not None else 0)
            self._entries[key] = _Entry(proof, not_before, not_after, size)
            while len(self._entries) > self._capacity or self._size > MOST_BYTES:
                self._size -= self._entries.popitem(last=False)[1].size
