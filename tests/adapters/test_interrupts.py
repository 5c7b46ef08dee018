"""An exception of a signal handler at any line of a call leaves a connection that works or fails.

Never one that hangs, that has lost bytes without saying so, or that trips over its own remains.
"""

from __future__ import annotations

import dis
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Any

import pytest

from handclasp import ClientConfig, DataReceived, ServerConfig, ServerConnection, TLSSocket
from handclasp.adapters import sockets
from handclasp.adapters.sockets import wrap_client
from handclasp.errors import TLSError

ADAPTERS = os.path.dirname(sockets.__file__)
INBOUND = b"".join(b"%05d" % number for number in range(200))
OUTBOUND = b"outbound " * 30


class Interrupt(BaseException):
    """What a signal handler raises."""


class Injector:
    """Raises `Interrupt` at the n-th line (or instruction) of whatever runs in this thread."""

    def __init__(self, at: int, *, instructions: bool = False) -> None:
        self._left = at
        self._instructions = instructions

    def run(self, call: Callable[[], Any]) -> bool:
        """Whether `call` had ended before it came to that line."""
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            call()
        except Interrupt:
            return False
        finally:
            sys.settrace(before)
        return True

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename == __file__:
            return None
        frame.f_trace_opcodes = self._instructions
        return self._step

    def _step(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == ("opcode" if self._instructions else "line") and not returns(frame):
            self._left -= 1
            if self._left == 0:
                raise Interrupt
        return self._step


NEVER_INTERRUPTED = {dis.opmap["RETURN_VALUE"], dis.opmap["NOP"]}


def returns(frame: FrameType) -> bool:
    """Whether this is the return itself, or a mere `try`: CPython lets no signal handler run."""
    return frame.f_code.co_code[frame.f_lasti] in NEVER_INTERRUPTED


class AdapterInjector(Injector):
    """Leaves alone whatever is not in the adapters: it is told of there as they see it."""

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        if os.path.dirname(frame.f_code.co_filename) != ADAPTERS:
            return None
        return super()._enter(frame, event, argument)


class Peer:
    """The server, driven by hand in the same thread."""

    def __init__(self, config: ServerConfig) -> None:
        ours, self.sock = socket.socketpair()
        self.ours = ours
        self.connection = ServerConnection(config)
        self.sock.settimeout(10)
        ours.settimeout(10)

    def serve_handshake(self) -> None:
        while not self.connection.established and (data := self.sock.recv(65536)):
            self.connection.receive_data(data)
            self.sock.sendall(self.connection.data_to_send())

    def serve_what_there_is_of_it(self) -> None:
        with suppress(OSError):
            self.serve_handshake()

    def send(self, data: bytes) -> None:
        self.connection.send_data(data)
        self.sock.sendall(self.connection.data_to_send())

    def receive(self) -> bytes:
        """What has arrived; a record that cannot be opened raises."""
        self.sock.settimeout(0.01)
        received = b""
        try:
            while data := self.sock.recv(65536):
                for event in self.connection.receive_data(data):
                    if isinstance(event, DataReceived):
                        received += event.data
        except (TimeoutError, ConnectionResetError):
            pass
        return received


@contextmanager
def connected(client: ClientConfig, server: ServerConfig) -> Iterator[tuple[TLSSocket, Peer]]:
    peer = Peer(server)
    tls = wrap_client(peer.ours, client, server_name="localhost", handshake=False)
    thread = threading.Thread(target=peer.serve_handshake)
    thread.start()
    tls.do_handshake()
    thread.join(10)
    with peer.sock, peer.ours:
        yield tls, peer


def in_another_thread(call: Callable[[], Any]) -> Any:
    """The result of `call`, or what it raised: a lock that was left behind would show here."""
    outcome: list[Any] = []

    def work() -> None:
        try:
            outcome.append(call())
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(10)
    assert outcome, "a call after the interrupt is stuck"
    return outcome[0]


def read_on(tls: TLSSocket, size: int) -> bytes | OSError:
    data = b""
    while len(data) < size:
        try:
            piece = tls.recv(size - len(data))
        except OSError as error:
            return error
        assert piece, "the end of the data, of which nobody has told"
        data += piece
    return data


def into_buffer(tls: TLSSocket) -> None:
    tls.recv_into(bytearray(50))


READS: dict[str, Callable[[TLSSocket], Any]] = {
    "a part": lambda tls: tls.recv(100),
    "a whole record": lambda tls: tls.recv(5000),
    "into a buffer": into_buffer,
}


def interrupted_read(
    tls: TLSSocket, peer: Peer, read: Callable[[TLSSocket], Any], injector: Injector
) -> bool:
    peer.send(INBOUND)
    if injector.run(lambda: read(tls)):
        return True
    rest = in_another_thread(lambda: read_on(tls, len(INBOUND)))
    assert isinstance(rest, OSError) or rest == INBOUND, rest
    assert not isinstance(rest, TimeoutError), "bytes were lost, and nobody said so"
    if isinstance(rest, TLSError):
        assert rest.fault_name == "INTERRUPTED"
        assert "defect" not in rest.fix
    sent = in_another_thread(lambda: tls.sendall(OUTBOUND))
    assert sent is None or isinstance(sent, OSError), sent
    finish(tls, peer)
    return False


def interrupted_write(
    tls: TLSSocket, peer: Peer, write: Callable[[TLSSocket], Any], injector: Injector
) -> bool:
    if injector.run(lambda: write(tls)):
        return True
    sent = in_another_thread(lambda: tls.sendall(b"second"))
    received = peer.receive()
    if sent is None:
        assert received in (b"second", OUTBOUND + b"second")
    else:
        assert isinstance(sent, OSError), sent
        assert received in (b"", OUTBOUND)
    if not peer.connection.failure:
        peer.send(INBOUND)
        rest = in_another_thread(lambda: read_on(tls, len(INBOUND)))
        assert rest == INBOUND or isinstance(rest, TLSError)
    finish(tls, peer)
    return False


def finish(tls: TLSSocket, peer: Peer) -> None:
    closed = in_another_thread(tls.close)
    assert closed is None or isinstance(closed, OSError), closed
    assert tls.fileno() == peer.ours.fileno() == -1


WRITES: dict[str, Callable[[TLSSocket], Any]] = {
    "sendall": lambda tls: tls.sendall(OUTBOUND),
    "send": lambda tls: tls.send(OUTBOUND),
    "sendall of a view": lambda tls: tls.sendall(memoryview(OUTBOUND)),
}
CALLS: list[tuple[Any, str, Any]] = [(interrupted_read, name, call) for name, call in READS.items()]
CALLS += [(interrupted_write, name, call) for name, call in WRITES.items()]


@pytest.mark.parametrize(("attempt", "name", "call"), CALLS, ids=[name for _, name, _ in CALLS])
def test_at_every_line(
    client_config: ClientConfig, server_config: ServerConfig, attempt: Any, name: str, call: Any
) -> None:
    at, done = 0, False
    while not done:
        at += 1
        with connected(client_config, server_config) as (tls, peer):
            done = attempt(tls, peer, call, Injector(at))
            tls.close()
    assert at > 30


@pytest.mark.parametrize(("attempt", "name", "call"), CALLS, ids=[name for _, name, _ in CALLS])
def test_between_instructions(
    client_config: ClientConfig, server_config: ServerConfig, attempt: Any, name: str, call: Any
) -> None:
    """At each eleventh, from a place that differs; all of them take a minute."""
    at, done = len(name) % 11, False
    while not done:
        at += 11
        with connected(client_config, server_config) as (tls, peer):
            done = attempt(tls, peer, call, Injector(at, instructions=True))
            tls.close()


def test_a_handshake_at_every_line(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    """Another thread completes it then, or hears that it cannot: it never waits in vain."""
    at, done = 0, False
    while not done:
        at += 1
        peer = Peer(server_config)
        serving = threading.Thread(target=peer.serve_what_there_is_of_it)
        tls = wrap_client(peer.ours, client_config, server_name="localhost", handshake=False)
        with peer.sock, tls:
            serving.start()
            done = AdapterInjector(at).run(tls.do_handshake)
            outcomes = [in_another_thread(call) for call in (tls.do_handshake, tls.update_keys)]
            for each in outcomes:
                assert not isinstance(each, TimeoutError), at
                assert each is None or isinstance(each, OSError), (at, each)
            in_another_thread(tls.close)
            serving.join(10)
    assert at > 100


def keep(call: Callable[[], Any], kept: list[Any]) -> None:
    kept.append(call())


ENDS: dict[str, Callable[[TLSSocket], Any]] = {
    "close": lambda tls: tls.close(),
    "unwrap": lambda tls: tls.unwrap(),
    "shutdown": lambda tls: tls.shutdown(socket.SHUT_RDWR),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_an_end_at_every_line(
    client_config: ClientConfig, server_config: ServerConfig, end: Callable[[TLSSocket], Any]
) -> None:
    """Nothing is left open, nor a lock that others wait for."""
    given_back: list[Any] = []
    at, done = 0, False
    while not done:
        at += 1
        with connected(client_config, server_config) as (tls, peer):
            peer.connection.close()
            peer.sock.sendall(peer.connection.data_to_send())
            descriptor = tls.fileno()
            done = AdapterInjector(at).run(partial(keep, partial(end, tls), given_back))
            read = in_another_thread(lambda: tls.recv(1))
            assert read == b"" or isinstance(read, OSError), (at, read)
            sent = in_another_thread(lambda: tls.sendall(OUTBOUND))
            assert sent is None or isinstance(sent, OSError), (at, sent)
            assert not any(isinstance(each, TimeoutError) for each in (read, sent)), at
            in_another_thread(tls.close)
            if not done:
                with pytest.raises(OSError, match="Bad file descriptor"):
                    os.fstat(descriptor)
    if given_back[-1] is not None:
        given_back[-1].close()
    assert at > 30


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers here")
def test_a_signal_while_a_read_waits_harms_nothing(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    def handler(number: int, frame: FrameType | None) -> None:
        raise Interrupt

    before = signal.signal(signal.SIGALRM, handler)
    try:
        with connected(client_config, server_config) as (tls, peer):
            for _ in range(5):
                signal.setitimer(signal.ITIMER_REAL, 0.01)
                with pytest.raises(Interrupt):
                    tls.recv(100)
                peer.send(INBOUND)
                assert read_on(tls, len(INBOUND)) == INBOUND
                tls.sendall(OUTBOUND)
                assert peer.receive() == OUTBOUND
            tls.close()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_signal_handler_that_uses_the_socket_is_refused_or_served(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    """A read inside of a read would take its bytes; a write goes the other way, and is served."""
    told: list[Any] = []

    def handler(number: int, frame: FrameType | None) -> None:
        for call in (lambda: tls.recv(1), lambda: tls.sendall(OUTBOUND)):
            try:
                told.append(call())
            except ValueError as error:
                told.append(error)
        peer.send(INBOUND)

    before = signal.signal(signal.SIGALRM, handler)
    try:
        with connected(client_config, server_config) as (tls, peer):
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            assert read_on(tls, len(INBOUND)) == INBOUND
            assert peer.receive() == OUTBOUND
            tls.close()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert "inside" in str(told[0])
    assert told[1] is None
