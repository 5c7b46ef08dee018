"""The socket of a faulty peer, with an end of its time."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress
from threading import Event
from time import monotonic
from typing import Protocol

from handclasp.testing.outcome import refusal_in

SLOW_INTERVAL = 0.25
"""Seconds between two bytes that are sent slowly."""

MAX_RECEIVED = 1 << 22
"""Bytes that are received of one connection; more of them end it."""

FLOOD = 10_000
"""Messages of a flood; a peer that endures them is served."""

FLOOD_BATCH = 16
"""Messages of a flood that are sent before the answers are read."""

_READ = 1 << 16
_LAST_WORDS_SECONDS = 5.0


class Peer(Protocol):
    """A faulty peer without a socket."""

    @property
    def alerts(self) -> Sequence[tuple[int, int]]:
        """The alerts that it has received: their levels and numbers."""
        ...

    def take(self) -> bytes:
        """Return what it has queued."""
        ...

    def feed(self, data: bytes) -> None:
        """Take what the other end has sent."""
        ...


class Wire:
    """A connected socket that is used until the other end leaves or the time is up.

    Args:
        seconds: the time.
        stopping: set to end it early, before the socket is shut down.

    Attributes:
        late: whether the time was up.
    """

    def __init__(self, sock: socket.socket, seconds: float, stopping: Event) -> None:
        self.late = False
        self._sock = sock
        self._until = monotonic() + seconds
        self._stopping = stopping
        self._received = 0

    def send(self, data: bytes) -> bool:
        """Send all of `data`; return False if the other end has left or the time is up."""
        if not data:
            return True
        try:
            self._sock.settimeout(self._left())
            self._sock.sendall(data)
        except OSError:
            return False
        return True

    def send_slowly(self, data: bytes) -> bool:
        """Send byte by byte; return False if the other end has left or the time is up."""
        for number in range(len(data)):
            if self._has_left() or not self.send(data[number : number + 1]):
                return False
            if self._stopping.wait(min(SLOW_INTERVAL, self._left())):
                return False
        return True

    def receive(self) -> bytes:
        """Return some bytes; none if the other end has left or the time is up."""
        try:
            self._sock.settimeout(self._left())
            data = self._sock.recv(_READ)
        except OSError:
            self.late = self.late or monotonic() >= self._until
            return b""
        self._received += len(data)
        return data if self._received <= MAX_RECEIVED else b""

    def has_news(self) -> bool:
        """Return whether there is something to receive at once, or the end of it."""
        # `select` takes no descriptor from 1024 on, and a large test run has such.
        try:
            self._sock.settimeout(0)
            self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def exchange(self, peer: Peer) -> bool:
        """Send what a peer has queued, and feed it what has come.

        Return whether the other end is still there, and has refused nothing.
        """
        is_there = self.send(peer.take())
        while self.has_news():  # Tickets, for example.
            data = self.receive()
            if not data:
                return False
            peer.feed(data)
        return is_there and not refusal_in(peer.alerts)

    def finish(self) -> None:
        """End this direction, and leave the other end a few seconds for its last words."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)
        self._until = min(self._until, monotonic() + _LAST_WORDS_SECONDS)

    def _has_left(self) -> bool:
        try:
            self._sock.settimeout(0)
            return not self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _left(self) -> float:
        if self._stopping.is_set():
            raise TimeoutError
        left = self._until - monotonic()
        if left <= 0:
            self.late = True
            raise TimeoutError
        return left
