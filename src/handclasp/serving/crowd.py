"""The established connections of a server, by address, and which one leaves if it is full.

Handshakes have their own bounds (`adapters.room`); this is for the time after them. Up to `size`
connections are open at once. Above that, a new one takes the place of another one:

- of one that has been idle, which HTTP lets a server close at any time (RFC 9112 section 9.5): the
  one that has been idle for the longest time, of the address that holds the most connections, but
  never of an address that holds fewer than the new one's;
- or else, if an address holds at least two more than the new one's would, of the oldest of that
  address, even in the midst of an answer: one address cannot lock out the others.

If there is none of either kind, the new one is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Any, Protocol

from handclasp.adapters.room import share_of

SETTLING_SECONDS = 0.1
"""A connection that has sent nothing yet is not idle before: its request is on the way."""

MAKE_ROOM_SECONDS = 0.2
"""The time that an idle client has to close once others need its place."""

REPORT_SECONDS = 60.0
"""The shortest time between two reports that the server is full."""


class Member(Protocol):
    """An established connection."""

    def idle_seconds(self) -> float | None:
        """Return for how long it has been idle; None: it is not."""
        ...

    def leave(self) -> object:
        """Close it, for the sake of others."""
        ...


class Crowd:
    """Up to `size` connections, which addresses share.

    Args:
        size: how many there may be.
        clock: gives seconds.
        on_full: is called with the number of open connections when the server is full, once a
            minute at most.
    """

    def __init__(
        self, size: int, clock: Callable[[], float], on_full: Callable[[int], object]
    ) -> None:
        self._size = size
        self._clock = clock
        self._on_full = on_full
        self._shares: dict[Hashable, dict[Member, None]] = {}
        self._share_of: dict[Member, Hashable] = {}
        self._reported_at: float | None = None

    def __len__(self) -> int:
        return len(self._share_of)

    def __iter__(self) -> Iterator[Member]:
        return iter(list(self._share_of))

    def join(self, member: Member, address: Any) -> bool:
        """Add a connection, if need be instead of another one. Return whether it may stay."""
        share = share_of(address)
        if len(self._share_of) >= self._size:
            self._report()
            other = self._who_leaves(share)
            if other is None:
                return False
            self.discard(other)
            other.leave()
        self._share_of[member] = share
        self._shares.setdefault(share, {})[member] = None
        return True

    def discard(self, member: Member) -> None:
        """Remove a connection, if it is there."""
        share = self._share_of.pop(member, None)
        if share is not None:
            del self._shares[share][member]
            if not self._shares[share]:
                del self._shares[share]

    def _who_leaves(self, share: Hashable) -> Member | None:
        own = len(self._shares.get(share, ()))
        larger = [each for each in self._shares.values() if len(each) >= max(1, own)]
        larger.sort(key=len, reverse=True)
        for members in larger:
            idle = [
                (seconds, number, each)
                for number, each in enumerate(members)
                if (seconds := each.idle_seconds()) is not None and seconds >= SETTLING_SECONDS
            ]
            if idle:
                return max(idle)[2]
        if larger and len(larger[0]) >= own + 2:
            return next(iter(larger[0]))
        return None

    def _report(self) -> None:
        now = self._clock()
        if self._reported_at is None or now >= self._reported_at + REPORT_SECONDS:
            self._reported_at = now
            self._on_full(len(self._share_of))
