"""One schedule: two to six threads, each with one kind of call on the same `TLSSocket`."""

from __future__ import annotations

import random
import socket
import sys
import threading
import time
from collections.abc import Callable
from itertools import combinations_with_replacement

from tests.schedules.pauses import Pauses
from tests.schedules.peer import EchoPeer

from handclasp import (
    ClientConfig,
    ClientConnection,
    ServerConfig,
    ServerConnection,
    StateError,
    TLSSocket,
    wrap_client,
    wrap_server,
)

PATIENCE = 60.0
"""Seconds after which a thread counts as stuck: the slowest one took 4 on a busy machine."""

_LARGE = bytes(300_000)


class Schedule:
    """Runs one schedule.

    Attributes:
        stuck: the calls that have not returned.
        failures: what was raised that no caller of a socket expects.
        given_back: plain sockets that `unwrap` has returned.
    """

    def __init__(self, calls: list[str], chance: random.Random) -> None:
        self._calls = calls
        self._chance = chance
        self._paused = chance.random() < 0.5
        self._ends = any(call in ENDINGS for call in calls)
        self._lock = threading.Lock()
        self._written = self._read = 0
        self.stuck: list[str] = []
        self.failures: list[str] = []
        self.given_back: list[socket.socket] = []

    def run(self, client: ClientConfig, server: ServerConfig) -> None:
        ours, theirs = socket.socketpair()
        at_once = self._chance.random() < 0.25
        if self._chance.random() < 0.5:
            peer = EchoPeer(theirs, ServerConnection(server))
            tls = wrap_client(ours, client, server_name="localhost", handshake=at_once)
        else:
            peer = EchoPeer(theirs, ClientConnection(client, server_name="localhost"))
            tls = wrap_server(ours, server, handshake=at_once)
        try:
            sys.setswitchinterval(10 ** self._chance.uniform(-6, -3))
            self._let_run(tls, peer)
        finally:
            sys.setswitchinterval(0.005)
            tls.close()
            for plain in self.given_back:
                plain.close()
            peer.stop()

    def _let_run(self, tls: TLSSocket, peer: EchoPeer) -> None:
        threads = [self._start(tls, call) for call in self._calls]
        if not self._ends:
            # Otherwise the peer might say in the middle of the handshake that it has finished.
            threads.append(self._start(tls, "do_handshake"))
        readers = [t for t, call in zip(threads, self._calls, strict=False) if call in READERS]
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

    def _start(self, tls: TLSSocket, call: str) -> threading.Thread:
        pause = self._chance.choice((0.0, 0.0, self._chance.uniform(0, 0.003)))
        # Otherwise threads only ever change where the interpreter lets them, and seldom stay away.
        pauses = Pauses(random.Random(self._chance.random())) if self._paused else None
        # A reader of single bytes would take minutes.
        size = self._chance.choice((1000 if call in READERS else 1, 5000, 20_000, len(_LARGE)))

        def work() -> None:
            time.sleep(pause)
            if pauses is not None:
                pauses.start()
            try:
                CALLS[call](self, tls, size)
            except (OSError, StateError) as error:
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


def _recv(schedule: Schedule, tls: TLSSocket, size: int) -> None:
    while data := tls.recv(size):
        schedule.note(read=len(data))


def _recv_into(schedule: Schedule, tls: TLSSocket, size: int) -> None:
    buffer = bytearray(size)
    while count := tls.recv_into(buffer):
        schedule.note(read=count)


def _read_file(schedule: Schedule, tls: TLSSocket, size: int) -> None:
    with tls.makefile("rb", buffering=0) as file:
        while data := file.read(size):
            schedule.note(read=len(data))


def _sendall(schedule: Schedule, tls: TLSSocket, size: int) -> None:
    for _ in range(3):
        schedule.note(written=size)
        tls.sendall(_LARGE[:size])


def _send(schedule: Schedule, tls: TLSSocket, size: int) -> None:
    for _ in range(3):
        schedule.note(written=tls.send(_LARGE[:size]))


def _write_file(schedule: Schedule, tls: TLSSocket, size: int) -> None:
    with tls.makefile("wb", buffering=1000) as file:
        schedule.note(written=size)
        file.write(_LARGE[:size])


def _update_keys(schedule: Schedule, tls: TLSSocket, size: int) -> None:
    for number in range(3):
        tls.update_keys(request_peer=number == size % 3)


def _look(schedule: Schedule, tls: TLSSocket, size: int) -> None:
    tls.do_handshake()
    for _ in range(5):
        tls.pending()
        repr(tls)
        tls.channel_binding()


def _unwrap(schedule: Schedule, tls: TLSSocket, size: int) -> None:
    while True:
        try:
            schedule.given_back.append(tls.unwrap())
            return
        except StateError:
            tls.recv(1_000_000)


READERS: dict[str, Callable[[Schedule, TLSSocket, int], None]] = {
    "recv": _recv,
    "recv_into": _recv_into,
    "makefile.read": _read_file,
}
OTHERS: dict[str, Callable[[Schedule, TLSSocket, int], None]] = {
    "do_handshake": lambda schedule, tls, size: tls.do_handshake(),
    "send": _send,
    "sendall": _sendall,
    "makefile.write": _write_file,
    "update_keys": _update_keys,
    "pending": _look,
}
ENDINGS: dict[str, Callable[[Schedule, TLSSocket, int], None]] = {
    "unwrap": _unwrap,
    "close": lambda schedule, tls, size: tls.close(),
    "SHUT_WR": lambda schedule, tls, size: tls.shutdown(socket.SHUT_WR),
    "SHUT_RDWR": lambda schedule, tls, size: tls.shutdown(socket.SHUT_RDWR),
}
CALLS = READERS | OTHERS | ENDINGS
PAIRS = list(combinations_with_replacement(CALLS, 2))


def schedule(number: int, seed: int) -> Schedule:
    """The schedule of this number: with each pair of calls in turn, and up to four more."""
    chance = random.Random(f"{seed} {number}")
    calls = list(PAIRS[number % len(PAIRS)])
    others = list(CALLS if any(call in ENDINGS for call in calls) else READERS | OTHERS)
    calls += chance.choices(others, k=chance.randrange(5))
    chance.shuffle(calls)
    return Schedule(calls, chance)
