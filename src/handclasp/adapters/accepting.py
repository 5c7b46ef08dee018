"""Taking connections from listening sockets, no more at once than there is room for.

A connection costs memory from the moment on that it is taken, and a peer that says nothing keeps
it until the handshake times out. Hence so many handshakes go on at once and no more. Above that, a
connection takes the place of another one, if there is one that must make room (see `room`); else it
waits, which costs a file descriptor and little else.

Those who wait do so by address, and it is the turn of each address after the other, of those first
that hold the fewest places: somebody who opens many connections waits for himself. Addresses that
have wasted more places than they have used come after the others, since a peer that has thousands
of them would otherwise be served thousands of times as often. They still get every eighth place:
there may be honest clients behind such an address. Where the line is full, connections of addresses
that have wasted more places than they have used are closed. Where no address has, this process is
too slow for its clients, and the rest waits in the kernel's queue, where a connection costs this
process nothing.

Where there are no descriptors left, whatever they went to, the line is shortened in the same way,
and then a connection that makes room is closed for each that comes. One descriptor is kept in
reserve for that: a connection has to be accepted before its address is known.

Complete connections do not count, since what they may cost is the application's affair.

This module decides, for whichever event loop: `loop_accepting` has the acceptor of asyncio, and
`trio_accepting` that of trio. Their own servers accept every connection and cannot be paused, so
none of them is used here.
"""

from __future__ import annotations

import errno
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial
from socket import socket
from typing import Any, Protocol, cast

from handclasp.adapters.room import Guest, Line, Room, share_of

if sys.platform != "win32":
    import resource

_WAIT_SECONDS = 0.005
"""The interval at which to check whether a connection in the room is old enough to leave it."""

_SHORTEST_LINE = 16
_LINE_PER_PLACE = 8
"""The number of waiting connections for each slot, if the system allows so many descriptors."""

_PART_OF_DESCRIPTORS = 4
"""No more than a quarter of the descriptors is for those who have a place or wait for one."""

_DESCRIPTORS = 2048
"""On Windows, which has no limit of its own."""

_ACCEPTED_AT_ONCE = 100
"""The number of connections to accept before the accepted ones get their turn."""

_DISPLACED_AT_ONCE = 32
"""The same for connections that replace others, which costs more."""

_STALLING_TURN = 8
"""One of so many places is for shares that have wasted some, even while others wait."""

_RETRY_SECONDS = 1.0
"""Seconds to wait if the system is short of a resource, as in asyncio."""

_REGAIN_SECONDS = 0.1
"""The longest wait until the next attempt to regain the reserved descriptor."""

_NO_DESCRIPTORS = {errno.EMFILE, errno.ENFILE, getattr(errno, "WSAEMFILE", errno.EMFILE)}


class Handle(Protocol):
    """Something that was planned, and can be cancelled."""

    def cancel(self) -> object:
        """Do not do it, if it has not been done yet."""
        ...


class Scheduler(Protocol):
    """The part of an event loop that an acceptor needs."""

    def time(self) -> float:
        """Return the current time in seconds."""
        ...

    def call_soon(self, callback: Callable[[], object]) -> Handle:
        """Call back in the next turn."""
        ...

    def call_later(self, delay: float, callback: Callable[[], object]) -> Handle:
        """Call back after `delay` seconds."""
        ...

    def add_reader(self, fd: socket, callback: Callable[[], object], /) -> None:
        """Call back whenever `fd` is readable.

        Raises `NotImplementedError`: this loop does not tell.
        """
        ...

    def remove_reader(self, fd: socket, /) -> object:
        """Do not call back any more."""
        ...


class Entrant(Guest, Protocol):
    """A connection in its handshake, which can be made to leave."""

    def drop(self, why: str) -> object:
        """Give up the handshake at once."""
        ...


class Acceptor(ABC):
    """Takes connections and lets a handshake begin on each.

    Where the loop tells that a socket is readable, connections are taken then. Where it does not, a
    subclass asks for one after the other.

    Args:
        listeners: bound sockets, which the acceptor then owns.
        backlog: how many connections the kernel queues for each of them.
        max_handshakes: how many may be in their handshake at once.
        scheduler: the event loop.
    """

    def __init__(
        self,
        listeners: Sequence[socket],
        backlog: int,
        max_handshakes: int,
        scheduler: Scheduler,
    ) -> None:
        self._listeners = tuple(listeners)
        self._backlog = backlog
        self._room = Room(max_handshakes, scheduler.time)
        self._line = Line(_length_of_line(max_handshakes), self._room.is_stalling)
        self._look: Handle | None = None
        self._turn: Handle | None = None
        self._scheduler = scheduler
        self._tells = True
        """Whether the loop tells that a socket is readable."""
        self._watching = False
        self._retry: Handle | None = None
        self._reserve: socket | None = None
        """Holds a descriptor that is given up where a connection cannot be taken without it."""
        self._last_address: Any = None
        """Of the connection that got the descriptor of the reserve."""
        self._is_reserve_taken = False
        self._regaining: Handle | None = None
        self._regain_seconds = _WAIT_SECONDS
        self._short_at: float | None = None
        """When there was no descriptor left, if that was not long ago."""
        self._reported_at: float | None = None
        self._retry_seconds = _RETRY_SECONDS
        self._others_served = 0
        """How many have begun of shares without blame, since one of the others has."""
        self._started = False
        self._process = os.getpid()
        self._closed = False

    @abstractmethod
    def _begin(self, sock: socket, address: Any) -> None:
        """Let the handshake of this connection begin, as an entrant of `_room`."""

    @abstractmethod
    def _report(self, message: str, error: Exception) -> None:
        """Report what went wrong on this side."""

    def _begin_asking(self) -> None:
        """Begin to ask for connections, as the loop does not tell of them."""
        raise NotImplementedError

    def _let_ask(self, allowed: bool) -> None:
        """Allow or forbid to ask for a further connection."""
        del allowed  # A loop that tells is not asked.

    @property
    def listeners(self) -> tuple[socket, ...]:
        """The sockets; none once closed."""
        return () if self._closed else self._listeners

    @property
    def is_forked(self) -> bool:
        """Whether this is a copy in a child process."""
        return self._process != os.getpid()

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self._closed

    @property
    def active(self) -> bool:
        """Whether connections are taken, as far as there is room."""
        return self._started and not self._closed

    def start(self) -> None:
        """Begin to take connections, where that has not begun.

        Raises `OSError`: a socket cannot listen. It may be tried again.
        """
        if self._started or self._closed:
            return
        for listener in self._listeners:
            listener.setblocking(False)
            listener.listen(self._backlog)
        self._started = True
        self._open_reserve()
        try:
            self._watch()
        except NotImplementedError:
            self._tells = False
            self._begin_asking()

    def close(self) -> None:
        """Take no more. Handshakes that have begun go on."""
        if self._closed:
            return
        self._closed = True
        if self.is_forked:
            # A fork's copy: the selector is the parent's as well, and goes on watching for it.
            self._line.close()
            self._close_reserve()
            for listener in self._listeners:
                listener.close()
            return
        self._look_away()
        self._plan_nothing()
        self._line.close()
        self._close_reserve()
        if self._regaining is not None:
            self._regaining.cancel()
        for listener in self._listeners:
            listener.close()

    # Where the loop tells

    def _watch(self) -> None:
        self._retry = None
        if self._watching or self._is_reserve_taken or self._closed:
            return
        for listener in self._listeners:
            self._scheduler.add_reader(listener, partial(self._accept_some, listener))
        self._watching = True

    def _look_away(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._watching:
            self._watching = False
            for listener in self._listeners:
                self._scheduler.remove_reader(listener)

    def _accept_some(self, listener: socket) -> None:
        """Accept some of the waiting connections, so that accepted ones get their turn too."""
        for _ in range(max(1, min(self._backlog, _ACCEPTED_AT_ONCE))):
            if self._line.is_full or self._is_reserve_taken:
                self._look_away()
                return
            try:
                sock, address = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if self._make_way(error):
                    continue
                self._look_away()
                self._retry = self._scheduler.call_later(self._retry_seconds, self._watch)
                return
            self._offer(sock, address)

    # Where there are no descriptors left

    def _make_way(self, error: OSError) -> bool:
        """Give up descriptors because of `error`. Returns whether to accept again at once."""
        now = self._scheduler.time()
        if self._reported_at is None or now >= self._reported_at + self._retry_seconds:
            self._reported_at = now
            self._report("A connection could not be accepted", error)
        if error.errno not in _NO_DESCRIPTORS or self._closed:
            return False
        self._short_at = now
        if self._line.cut():
            return True
        if self._regaining is None:
            self._regaining = self._scheduler.call_soon(self._regain)
        if self._reserve is None:
            return False
        self._close_reserve()
        return True

    def _take_last(self, sock: socket, address: Any) -> bool:
        """Decide about a connection that got the reserved descriptor.

        Returns whether it stays: as in a full line, those of a share that has wasted places do not.
        """
        if self._room.is_stalling(share_of(address)):
            sock.close()
            self._regain()
            return False
        self._is_reserve_taken = True
        self._last_address = address
        self._let_ask(False)
        if not self._room.is_full:  # Else `_serve_line` does so.
            self._drop_for(address)
            if self._closed:  # by `on_handshake_error`
                sock.close()
                return False
        return True

    def _regain(self) -> None:
        """Get the descriptor of the reserve back, and go on taking connections once it is there."""
        if self._regaining is not None:
            self._regaining.cancel()
            self._regaining = None
        if self._closed:
            return
        if not self._open_reserve():
            if not self._line.cut() and self._is_reserve_taken:
                self._drop_for(self._last_address)
                if self._closed:  # by `on_handshake_error`
                    return
            self._regaining = self._scheduler.call_later(self._regain_seconds, self._regain)
            self._regain_seconds = min(2 * self._regain_seconds, _REGAIN_SECONDS)
            return
        self._is_reserve_taken = False
        self._regain_seconds = _WAIT_SECONDS
        self._go_on()

    def _drop_for(self, address: Any) -> None:
        """Close a connection that makes room for one of this address, if there is one."""
        if (guest := self._room.who_makes_room(address)) is not None:
            self._expel(guest)

    def _is_short(self) -> bool:
        """Return whether the process ran out of descriptors within the last second."""
        if self._short_at is None:
            return False
        if self._scheduler.time() < self._short_at + self._retry_seconds:
            return True
        self._short_at = None
        self._line.restore()
        return False

    def _open_reserve(self) -> bool:
        try:
            self._reserve = socket(self._listeners[0].family)
        except OSError:
            return False
        return True

    def _close_reserve(self) -> None:
        if self._reserve is not None:
            self._reserve.close()
            self._reserve = None

    # The room

    def _offer(self, sock: socket, address: Any) -> None:
        """Let a connection begin, or wait where there is no room for it."""
        if self._regaining is not None and not self._take_last(sock, address):
            return
        if not self._line and not self._room.is_full:
            self._begin(sock, address)
            return
        share = self._line.join(sock, address)
        self._line.shorten()
        if self._line.is_full:
            self._let_ask(False)
        patient = self._look is not None and self._room.is_stalling(share)
        if self._turn is None and not patient:
            self._turn = self._scheduler.call_soon(self._serve_line)

    def _serve_line(self) -> None:
        """Give places to those who wait, as far as there are any."""
        self._plan_nothing()
        self._is_short()
        self._fill_places()
        begun = self._displace() if self._line else 0
        self._line.shorten()
        if begun and not self._line.is_patient:
            self._turn = self._scheduler.call_soon(self._serve_line)
        elif self._line:
            self._look = self._scheduler.call_later(_WAIT_SECONDS, self._serve_line)
        self._go_on()

    def _fill_places(self) -> None:
        """Let connections begin for which there are places."""
        room = self._room
        while self._line and not room.is_full:
            first = None
            for share in self._shares_in_turn():
                rank = room.is_stalling(share), room.held(share)
                first = first or rank
                if rank != first or room.is_full:
                    break  # The first ones may have more connections that wait.
                self._begin_next_of(share)
                if self._others_served == _STALLING_TURN - 1:
                    break

    def _go_on(self) -> None:
        """Take further connections, unless something is in the way."""
        if not self._line.is_full and not self._is_reserve_taken:
            self._let_ask(True)
            if self._started and self._tells and self._retry is None:
                self._watch()

    def _displace(self) -> int:
        """Let the first of each share replace another connection, if one may. Return how many have
        begun, which are only some at once.
        """
        begun, refused = 0, sys.maxsize
        for share in self._shares_in_turn():
            held = self._room.held(share)
            own_only = held >= refused  # It holds as many as one that was refused, or more.
            if own_only and not held:
                continue
            address = self._line.address_of(share)
            guest = self._room.who_makes_room(address, own_only=own_only)
            if guest is None:
                refused = min(refused, held)
                continue
            self._begin_next_of(share)
            self._expel(guest)
            begun += 1
            if self._closed:  # by `on_handshake_error`
                break
            if begun == _DISPLACED_AT_ONCE or self._others_served == _STALLING_TURN - 1:
                break
        return begun

    def _shares_in_turn(self) -> Iterator[Hashable]:
        """Yield the shares that wait, the one first whose turn it is."""
        stalling_first = self._others_served >= _STALLING_TURN - 1
        return self._room.in_turn(self._line.shares, stalling_first=stalling_first)

    def _begin_next_of(self, share: Hashable) -> None:
        self._others_served = 0 if self._room.is_stalling(share) else self._others_served + 1
        self._begin(*self._line.next_of(share))

    def _expel(self, guest: Guest) -> None:
        self._room.expel(guest)
        cast(Entrant, guest).drop("others needed its place")

    def _plan_nothing(self) -> None:
        for handle in (self._look, self._turn):
            if handle is not None:
                handle.cancel()
        self._look = self._turn = None

    def _leave(self, guest: Guest, *, completed: bool, silent: bool = False) -> None:
        """Free the place of a connection whose handshake has ended.

        Args:
            guest: the connection.
            completed: whether its handshake is complete.
            silent: whether its time was over, and it had sent no hello.
        """
        if silent and self._line:
            self._room.expel(guest)
        self._room.leave(guest, completed=completed)
        if not self._line:
            if not self._room.is_full and not self._is_short():
                self._room.forgive()
        elif self._turn is None:
            self._turn = self._scheduler.call_soon(self._serve_line)


def _length_of_line(max_handshakes: int) -> int:
    descriptors = _DESCRIPTORS
    if sys.platform != "win32":
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if descriptors < 0:  # without limit
        descriptors = sys.maxsize
    left = descriptors // _PART_OF_DESCRIPTORS - max_handshakes
    longest = min(max_handshakes * _LINE_PER_PLACE, left)
    return max(_SHORTEST_LINE, longest)
