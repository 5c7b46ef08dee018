"""One schedule: two to six threads, each with one kind of call on the same socket."""

from __future__ import annotations

import random
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement
from typing import Any

from tests.schedules.pauses import Pauses
from tests.schedules.peer import EchoPeer

from handclasp import ClientConfig, ClientConnection, ServerConfig, ServerConnection

Call = Callable[["Schedule", Any, int], None]
"""A call on a socket, with a size; it tells the schedule what it has read and written."""

PATIENCE = 60.0
"""Seconds after which a thread counts as stuck: the slowest one took 4 on a busy machine."""

LARGE = bytes(300_000)


@dataclass(frozen=True)
class Kind:
    """A kind of socket, with the calls that threads make on it.

    Attributes:
        client: the config of a client; of the peer, and of our side unless `wrap` has another.
        server: likewise of a server.
        wrap: makes the socket over a plain one: as a client or not, with the handshake or before.
        readers: calls that read until the end.
        others: calls that end by themselves.
        endings: calls that end the connection.
        expected: what the calls may raise where the connection is ended meanwhile.
        files: where threads pause.
    """

    client: ClientConfig
    server: ServerConfig
    wrap: Callable[[socket.socket, bool, bool], Any]
    readers: dict[str, Call]
    others: dict[str, Call]
    endings: dict[str, Call]
    expected: tuple[type[Exception], ...]
    files: frozenset[str]

    @cached_property
    def calls(self) -> dict[str, Call]:
        return self.readers | self.others | self.endings

    @cached_property
    def pairs(self) -> list[tuple[str, str]]:
        return list(combinations_with_replacement(self.calls, 2))

    def schedule(self, number: int, seed: int) -> Schedule:
        """The schedule of this number: with each pair of calls in turn, and up to four more."""
        chance = random.Random(f"{seed} {number}")
        calls = list(self.pairs[number % len(self.pairs)])
        ends = any(call in self.endings for call in calls)
        others = list(self.calls if ends else self.readers | self.others)
        calls += chance.choices(others, k=chance.randrange(5))
        chance.shuffle(calls)
        return Schedule(self, calls, chance)


class Schedule:
    """Runs one schedule.

    Attributes:
        stuck: the calls that have not returned.
        failures: what was raised that no caller of a socket expects.
        given_back: plain sockets that `unwrap` has returned.
    """

    def __init__(self, kind: Kind, calls: list[str], chance: random.Random) -> None:
        self._kind = kind
        self.calls = calls
        self._chance = chance
        self._paused = chance.random() < 0.5
        self._ends = any(call in kind.endings for call in calls)
        self._lock = threading.Lock()
        self._written = self._read = 0
        self.stuck: list[str] = []
        self.failures: list[str] = []
        self.given_back: list[socket.socket] = []

    def run(self) -> None:
        kind = self._kind
        ours, theirs = socket.socketpair()
        at_once = self._chance.random() < 0.25
        is_client = self._chance.random() < 0.5
        peer = EchoPeer(
            theirs,
            ServerConnection(kind.server)
            if is_client
            else ClientConnection(kind.client, server_name="localhost"),
        )
        tls = kind.wrap(ours, is_client, at_once)
        try:
            sys.setswitchinterval(10 ** self._chance.uniform(-6, -3))
            self._let_run(tls, peer)
        finally:
            sys.setswitchinterval(0.005)
            tls.close()
            for plain in self.given_back:
                plain.close()
            peer.stop()

    def _let_run(self, tls: Any, peer: EchoPeer) -> None:
        threads = [self._start(tls, call) for call in self.calls]
        if not self._ends:
            # Otherwise the peer might say in the middle of the handshake that it has finished.
            threads.append(self._start(tls, "do_handshake"))
        readers = [
            t for t, call in zip(threads, self.calls, strict=False) if call in self._kind.readers
        ]
        until = time.monotonic() + PATIENCE
        for thread in threads:
            if thread not in readers:
                thread.join(max(0.0, until - time.monotonic()))
        if readers and not self._ends:
            while self._read < self._written and time.monotonic() < until:
                time.sleep(0.0002)
            if self._read < self._written:
                self.stuck.append(f"{self._read} of {self._written} bytes were read")
        if not any(thread.is_alive() for thread in threads if thread not in readers):
            peer.finish()
        for thread in threads:
            thread.join(max(0.1, until - time.monotonic()))
        self.stuck += [thread.name for thread in threads if thread.is_alive()]

    def _start(self, tls: Any, call: str) -> threading.Thread:
        pause = self._chance.choice((0.0, 0.0, self._chance.uniform(0, 0.003)))
        # Otherwise threads only ever change where the interpreter lets them, and seldom stay away.
        chance = random.Random(self._chance.random())
        pauses = Pauses(chance, self._kind.files) if self._paused else None
        # A reader of single bytes would take minutes.
        size = self._chance.choice(
            (1000 if call in self._kind.readers else 1, 5000, 20_000, len(LARGE))
        )

        def work() -> None:
            time.sleep(pause)
            if pauses is not None:
                pauses.start()
            try:
                self._kind.calls[call](self, tls, size)
            except self._kind.expected as error:
                if not self._ends:
                    self._fail(call, error)
            except BaseException as error:
                self._fail(call, error)

        thread = threading.Thread(target=work, name=call, daemon=True)
        thread.start()
        return thread

    def _fail(self, call: str, error: BaseException) -> None:
        self.failures.append(f"{call}: {type(error).__name__}: {error}")

    def note(self, *, read: int = 0, written: int = 0) -> None:
        with self._lock:
            self._read += read
            self._written += written
