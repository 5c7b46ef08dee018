"""The handshakes in progress, by address, and which of them leaves where there is no more room.

Somebody who opens connections and says nothing, or begins handshakes and never ends them, would
otherwise hold every place until the time-outs, and keep everybody else waiting. So a connection
that finds no room may take the place of another one:

- of the address that holds most of the places, and never of one that holds fewer than its own:
  so every address gets its share, however many connections another one opens;
- there, first of the oldest that has not sent a whole hello in `SILENT_SECONDS`, or whose handshake
  has failed already; then of the oldest that has not sent what comes next for `SLOW_SECONDS`.

Whoever has sent something that this process has not read yet, or waits for an answer of this side,
keeps its place: a server that is too slow for its clients turns none of them away.

IPv6 addresses count by their /64 networks: whoever has one address of it usually has all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator
from ipaddress import IPv6Address
from typing import Any, Protocol

SILENT_SECONDS = 0.05
"""The hello leaves right behind the client's side of the TCP handshake: this is many of its times,
and short enough that those who wait for such a place hardly notice."""

SLOW_SECONDS = 1.0
"""Several round trips around the world."""


class Guest(Protocol):
    """A connection in its handshake."""

    def is_idle(self) -> bool:
        """Whether it has sent no whole hello, or has failed; and there is nothing to be read."""
        ...

    def seconds_waited_for(self) -> float:
        """For how long the next step has been the peer's; 0 where it is not."""
        ...


class Room:
    """So many places for connections in their handshake.

    Args:
        size: how many places there are.
        clock: gives seconds.
    """

    def __init__(self, size: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = size
        self._clock = clock
        self._shares: dict[Hashable, dict[Guest, float]] = {}
        self._share_of: dict[Guest, Hashable] = {}

    @property
    def is_full(self) -> bool:
        """Whether somebody must leave before the next one enters."""
        return len(self._share_of) >= self._size

    def enter(self, guest: Guest, address: Any) -> None:
        """Take a place."""
        share = share_of(address)
        self._share_of[guest] = share
        self._shares.setdefault(share, {})[guest] = self._clock()

    def leave(self, guest: Guest) -> None:
        """Give the place back, if it is not given back already."""
        share = self._share_of.pop(guest, None)
        if share is not None:
            guests = self._shares[share]
            del guests[guest]
            if not guests:
                del self._shares[share]

    def who_makes_room(self, address: Any) -> Guest | None:
        """Return whose place a connection from this address may take; None: nobody's yet."""
        own = share_of(address)
        size = len(self._shares.get(own, ()))
        shares = [
            guests for share, guests in self._shares.items() if share == own or len(guests) > size
        ]
        shares.sort(key=len, reverse=True)
        idle = (each for each in self._older_than(shares, SILENT_SECONDS) if each.is_idle())
        slow = (
            each
            for each in self._older_than(shares, SLOW_SECONDS)
            if each.seconds_waited_for() >= SLOW_SECONDS
        )
        return next(idle, None) or next(slow, None)

    def _older_than(self, shares: list[dict[Guest, float]], seconds: float) -> Iterator[Guest]:
        """Of each share the oldest first, which is the order in which they came."""
        latest = self._clock() - seconds
        for guests in shares:
            for guest, since in guests.items():
                if since > latest:
                    break
                yield guest


def share_of(address: Any) -> Hashable:
    """Return what shares its places: an IPv4 address or a /64 network; all of a UNIX socket."""
    parts: Any = address
    host = str(parts[0]) if isinstance(address, tuple) else ""
    if ":" not in host:
        return host
    parsed = IPv6Address(host.partition("%")[0])
    return str(parsed.ipv4_mapped) if parsed.ipv4_mapped else int(parsed) >> 64
