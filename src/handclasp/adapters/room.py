"""The handshakes in progress, by address, and which of them leaves where there is no more room.

Somebody who opens connections and says nothing, or begins handshakes and never ends them, would
otherwise hold every place until the time-outs, and keep everybody else waiting. So a connection
that finds no room may take the place of another one:

- of the address that holds most of the places, and never of one that holds fewer than its own:
  so every address gets its share, however many connections another one opens;
- there, first of the oldest that has not sent a whole hello in `SILENT_SECONDS`, or whose handshake
  has failed already; then of the oldest that has not sent what comes next for `SLOW_SECONDS`.

A connection that has sent something that this process has not read yet, or waits for an answer of
this side, keeps its place: a server that is too slow for its clients turns none of them away.

IPv6 addresses count by their /64 networks: a client with one of its addresses usually has all.
A /48 network has 65,536 of these, all of them without blame at first. So wasted places count for
the /48 network as well, and above a number of them each of its shares counts as one that has wasted
some.

Connections for which there is no place yet wait in a `Line`, which keeps them by share as well, so
that nobody waits behind somebody else's crowd.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterator
from ipaddress import IPv6Address
from socket import socket
from typing import Any, Protocol, TypeVar

from handclasp.adapters.progress import is_readable
from handclasp.addresses import unmapped

K = TypeVar("K", bound=Hashable)

SILENT_SECONDS = 0.05
"""The hello leaves right behind the client's side of the TCP handshake: this is many of its times,
and short enough that those who wait for such a place hardly notice."""

SLOW_SECONDS = 1.0
"""Several round trips around the world."""

_NEAREST = 32
"""The number of waiting connections that are checked for data."""

_LOCAL = ""
"""The share of all UNIX sockets."""

_MAX_STALLING = 16_384
"""The number of shares that are remembered for wasting slots, and that of networks; the oldest one
is forgotten first."""

_MAX_WASTED_OF_NETWORK = 16
"""The places that a /48 network may waste before all of its shares are blamed: its customers may be
strangers to each other."""

_NETWORK_BITS = 16
"""The difference of a /64 share and its /48 network."""


class Guest(Protocol):
    """A connection in its handshake."""

    def is_idle(self) -> bool:
        """Return whether it has sent no whole hello, or has failed, and no data wait to be read."""
        ...

    def seconds_waited_for(self) -> float:
        """Return for how long this side has waited for the peer's next step; 0 if it does
        not wait.
        """
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
        self._wasted: dict[Hashable, int] = {}
        """How many more places a share has wasted than used, if any."""
        self._wasted_of_networks: dict[int, int] = {}
        """The same of all shares of a network, without those of IPv4."""

    @property
    def is_full(self) -> bool:
        """Whether somebody must leave before the next one enters."""
        return len(self._share_of) >= self._size

    def enter(self, guest: Guest, address: Any) -> None:
        """Take a place."""
        share = share_of(address)
        self._share_of[guest] = share
        self._shares.setdefault(share, {})[guest] = self._clock()

    def leave(self, guest: Guest, *, completed: bool = False) -> None:
        """Give the place back, if it is not given back already."""
        share = self._share_of.get(guest)
        self._remove(guest)
        if completed and (wasted := self._wasted.get(share, 0)):
            self._wasted[share] = wasted - 1
        if completed and isinstance(share, int):
            network = share >> _NETWORK_BITS
            if wasted := self._wasted_of_networks.get(network, 0):
                self._wasted_of_networks[network] = wasted - 1

    def expel(self, guest: Guest) -> None:
        """Take back the place of somebody who did not use it, and remember the share for it."""
        share = self._share_of.get(guest)
        if share is None:  # It has left already.
            return
        self._remove(guest)
        self._note_waste(self._wasted, share)
        if isinstance(share, int):
            self._note_waste(self._wasted_of_networks, share >> _NETWORK_BITS)

    def _note_waste(self, wasted: dict[K, int], key: K) -> None:
        wasted[key] = min(wasted.get(key, 0) + 1, max(self._size, 2 * _MAX_WASTED_OF_NETWORK))
        if len(wasted) > _MAX_STALLING:
            del wasted[next(iter(wasted))]

    def _remove(self, guest: Guest) -> None:
        share = self._share_of.pop(guest, None)
        if share is not None:
            guests = self._shares[share]
            del guests[guest]
            if not guests:
                del self._shares[share]

    def held(self, share: Hashable) -> int:
        """Return how many places the share holds."""
        return len(self._shares.get(share, ()))

    def is_stalling(self, share: Hashable) -> bool:
        """Return whether the share has wasted more places than it has used, since `forgive`.

        Or its network has, and more than some. Those of UNIX sockets never are: they cannot be told
        apart, and one might be to blame.
        """
        if isinstance(share, int):
            wasted = self._wasted_of_networks.get(share >> _NETWORK_BITS, 0)
            if wasted > _MAX_WASTED_OF_NETWORK:
                return True
        return share != _LOCAL and self._wasted.get(share, 0) > 0

    def in_turn(
        self, shares: Collection[Hashable], *, stalling_first: bool = False
    ) -> Iterator[Hashable]:
        """Yield shares that wait, in the order in which they get places.

        Those first that hold the fewest; but shares that have wasted places come after all others.
        Else somebody with many addresses would be served as often as all clients together, since a
        connection that waits holds no place.

        Args:
            shares: those that wait, the one first that was served least recently.
            stalling_first: whether the first one is to be of those that have wasted places.
        """
        everybody, wasted = list(shares), self._wasted
        blameless = [  # The quick test first: there may be thousands.
            each for each in everybody if not wasted.get(each) or not self.is_stalling(each)
        ]
        if self._wasted_of_networks:
            blameless = [each for each in blameless if not self.is_stalling(each)]
        blamed = self._blamed_in_turn(everybody, set(blameless))
        if stalling_first and (first := next(blamed, None)) is not None:
            yield first
        yield from self._fewest_first(blameless)
        yield from blamed

    def _blamed_in_turn(
        self, everybody: list[Hashable], blameless: set[Hashable]
    ) -> Iterator[Hashable]:
        yield from self._fewest_first([each for each in everybody if each not in blameless])

    def _fewest_first(self, shares: list[Hashable]) -> Iterator[Hashable]:
        """Yield them by the places that they hold, which few of those that wait do."""
        holding = {each: len(self._shares[each]) for each in shares if each in self._shares}
        yield from (each for each in shares if each not in holding)
        yield from sorted(holding, key=holding.__getitem__)

    def forgive(self) -> None:
        """Forget who has wasted places: there are enough of them again."""
        self._wasted.clear()
        self._wasted_of_networks.clear()

    def who_makes_room(self, address: Any, *, own_only: bool = False) -> Guest | None:
        """Return whose place a connection from this address may take; None: nobody's yet.

        Args:
            own_only: look at the places of the address's own share only. Where nobody's place may
                be taken, neither may it be by a share that holds as many or more, but for its own.
        """
        own = share_of(address)
        guests = self._shares.get(own, {})
        shares = [guests]
        if not own_only:
            size = len(guests)
            shares += [each for each in self._shares.values() if len(each) > size]
            shares.sort(key=len, reverse=True)
        idle = (each for each in self._older_than(shares, SILENT_SECONDS) if each.is_idle())
        slow = (
            each
            for each in self._older_than(shares, SLOW_SECONDS)
            if each.seconds_waited_for() >= SLOW_SECONDS
        )
        return next(idle, None) or next(slow, None)

    def _older_than(self, shares: list[dict[Guest, float]], seconds: float) -> Iterator[Guest]:
        """Yield the oldest first within each share, in the order of their arrival."""
        latest = self._clock() - seconds
        for guests in shares:
            for guest, since in guests.items():
                if since > latest:
                    break
                yield guest


class Line:
    """Connections that wait for a place, share by share.

    Of a share that has wasted places the newest goes first, and of the newest one that has said
    something: a silent connection waits behind later ones. Of other shares it is the one that has
    waited for the longest time.

    Args:
        size: how many may wait. Connections of shares that have fewer than others in the line may
            go beyond that, by a quarter.
        is_stalling: tells whether a share has wasted places.
    """

    def __init__(self, size: int, is_stalling: Callable[[Hashable], bool]) -> None:
        self._size = self._usual_size = size
        self._is_stalling = is_stalling
        self._waiting: dict[Hashable, deque[tuple[socket, Any]]] = {}
        self._count = 0
        self._last: Hashable = None

    def __len__(self) -> int:
        return self._count

    @property
    def shares(self) -> Collection[Hashable]:
        """The shares of which somebody waits, the one first that was served least recently."""
        return self._waiting.keys()

    @property
    def is_patient(self) -> bool:
        """Whether everybody who waits is of a share that has wasted places."""
        return all(map(self._is_stalling, self._waiting))

    @property
    def is_full(self) -> bool:
        """Whether somebody must be let in, or go, before anybody else may join."""
        if self._count <= self._size:
            return False
        longest = max(map(len, self._waiting.values()))
        most = self._size + self._size // 4
        return self._count > most or len(self._waiting.get(self._last, ())) >= longest

    def join(self, sock: socket, address: Any) -> Hashable:
        """Let a connection wait. Returns its share."""
        self._last = share_of(address)
        self._waiting.setdefault(self._last, deque()).append((sock, address))
        self._count += 1
        return self._last

    def address_of(self, share: Hashable) -> Any:
        """Return the address of one of the share's connections."""
        return self._waiting[share][0][1]

    def next_of(self, share: Hashable) -> tuple[socket, Any]:
        """Take one of the share's connections out; the next one waits for all other shares."""
        waiting = self._waiting.pop(share)
        at = 0
        if self._is_stalling(share):
            at = _find(waiting, range(len(waiting) - 1, -1, -1), speaks=True)
        found = waiting[at]
        del waiting[at]
        self._count -= 1
        if waiting:
            self._waiting[share] = waiting
        return found

    def shorten(self) -> None:
        """Close connections of shares that have wasted places, as many as the line is too long.

        They are of the share of which most wait, and there those that have waited longest without
        having sent anything.
        """
        while self._count > self._size:
            share = self._last
            fair = max(1, self._size // len(self._waiting))
            if len(self._waiting.get(share, ())) <= fair or not self._is_stalling(share):
                share = self._longest_stalling()
            if share is None:
                return
            waiting = self._waiting[share]
            at = _find(waiting, range(len(waiting)), speaks=False)
            waiting[at][0].close()
            del waiting[at]
            self._count -= 1
            if not waiting:
                del self._waiting[share]

    def _longest_stalling(self) -> Hashable:
        """Return the share of which most wait, of those that have wasted places; None: of none.

        Of equals it is the one that came last: others have waited longer for their turn.
        """
        longest = max(map(len, self._waiting.values()))
        found, most = None, 0
        for share, waiting in reversed(self._waiting.items()):
            if len(waiting) > most and self._is_stalling(share):
                found, most = share, len(waiting)
                if most == longest:  # There may be thousands of that length.
                    break
        return found

    def cut(self) -> bool:
        """Close a quarter of those who wait, of shares that have wasted places, for want of room.

        The line stays that short until `restore`. Returns whether any was closed.
        """
        count, size = self._count, self._size
        self._size = count - (count + 3) // 4
        self.shorten()
        if self._count == count:
            self._size = size
        return self._count < count

    def restore(self) -> None:
        """Let as many wait as in the beginning."""
        self._size = self._usual_size

    def close(self) -> None:
        """Close all of them."""
        for waiting in self._waiting.values():
            for sock, _ in waiting:
                sock.close()
        self._waiting.clear()
        self._count = 0


def _find(waiting: deque[tuple[socket, Any]], order: range, *, speaks: bool) -> int:
    """Return the index of the first that has sent something, or has not; else simply the first."""
    for at in order[:_NEAREST]:
        if is_readable(waiting[at][0]) is speaks:
            return at
    return order[0]


def share_of(address: Any) -> Hashable:
    """Return what shares its places: an IPv4 address or a /64 network; all of a UNIX socket."""
    parts: Any = address
    host = str(parts[0]) if isinstance(address, tuple) else _LOCAL
    if ":" not in host:
        return host
    parsed = unmapped(IPv6Address(host.partition("%")[0]))
    return str(parsed) if parsed.version == 4 else int(parsed) >> 64
