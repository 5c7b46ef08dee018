"""Threads that share a socket, ends of all kinds, and sockets that do not block."""

from __future__ import annotations

import errno
import math
import os
import select
import selectors
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from tests.adapters.pairs import (
    MEGABYTE,
    Aside,
    HandServer,
    plain_pair,
    read_all,
    tls_pair,
)

from handclasp import (
    ClientConfig,
    ConfigurationError,
    HandshakeTimeoutError,
    ServerConfig,
    StateError,
    TLSSocket,
    TruncationError,
    WantRead,
    WantWrite,
    wrap_client,
    wrap_server,
)


@pytest.fixture
def pair(
    client_config: ClientConfig, server_config: ServerConfig
) -> Iterator[tuple[TLSSocket, TLSSocket]]:
    with tls_pair(client_config, server_config) as both:
        yield both


class NarrowSocket(socket.socket):
    """A socket that takes `room` more bytes, and no more at a time than `step`."""

    room: float = math.inf
    step: int = 1 << 30

    def send(self, data: Any, *flags: Any) -> int:
        size = int(min(len(data), self.room, self.step))
        if not size:
            raise BlockingIOError
        self.room -= size
        return super().send(data[:size], *flags)


@contextmanager
def narrow_client(
    client_config: ClientConfig, server_config: ServerConfig
) -> Iterator[tuple[TLSSocket, NarrowSocket, HandServer]]:
    with plain_pair() as (left, right), NarrowSocket(fileno=left.detach()) as sock:
        hand = Aside(lambda: HandServer(right, server_config).establish())
        sock.settimeout(20)
        yield wrap_client(sock, client_config, server_name="localhost"), sock, hand.result()


# Threads


@pytest.mark.parametrize("role", ["client", "server"])
def test_a_reader_and_a_writer_share_an_open_handshake(
    client_config: ClientConfig, server_config: ServerConfig, role: str
) -> None:
    """The peer says nothing before it has heard something, so the writer must not wait for it."""
    for _ in range(20):
        with plain_pair() as (left, right):
            client = wrap_client(left, client_config, server_name="localhost", handshake=False)
            server = wrap_server(right, server_config, handshake=False)
            ours, theirs = (client, server) if role == "client" else (server, client)
            with client, server:
                reader = Aside(ours.recv, 100)
                echo = Aside(lambda theirs=theirs: theirs.sendall(theirs.recv(100)))
                writer = Aside(ours.sendall, b"first")
                writer.result()
                echo.result()
                assert reader.result() == b"first"


@pytest.mark.parametrize("call", ["recv", "recv_into", "makefile"])
def test_each_of_four_readers_waits_for_its_own_timeout(
    pair: tuple[TLSSocket, TLSSocket], call: str
) -> None:
    client, _ = pair
    client.settimeout(1)
    calls: dict[str, Callable[[], Any]] = {
        "recv": lambda: client.recv(1),
        "recv_into": lambda: client.recv_into(bytearray(1)),
        "makefile": lambda: client.makefile("rb").read(1),
    }
    assert all(0.9 < took < 3 for took in times_of_four(calls[call]))


def test_each_of_four_writers_waits_for_its_own_timeout(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    with narrow_client(client_config, server_config) as (client, sock, _):
        client.settimeout(1)
        sock.room = 10
        # Whoever starts a little later is told sooner: the record of the first is in the way.
        assert 0.9 < max(times_of_four(lambda: client.sendall(b"x"))) < 3
        with suppress(OSError):
            client.close()


def test_each_of_four_threads_waits_for_the_handshake_as_long_as_its_timeout(
    client_config: ClientConfig,
) -> None:
    with plain_pair() as (left, _):
        left.settimeout(1)
        client = wrap_client(left, client_config, server_name="localhost", handshake=False)
        assert all(0.9 < took < 3 for took in times_of_four(lambda: client.recv(1)))
        client.close()


def times_of_four(call: Callable[[], Any]) -> list[float]:
    """How long each of four threads waits until it is told that its time is up."""

    def timed() -> float:
        began = time.monotonic()
        # A writer that gives up leaves half a record behind, and nobody can send after that.
        with pytest.raises((TimeoutError, BrokenPipeError)):
            call()
        return time.monotonic() - began

    threads = [Aside(timed) for _ in range(4)]
    return [thread.result() for thread in threads]


def test_a_timeout_of_decades_waits(pair: tuple[TLSSocket, TLSSocket]) -> None:
    client, server = pair
    client.settimeout(1e9)
    readers = [Aside(client.recv, 1) for _ in range(2)]
    server.sendall(b"ab")
    assert sorted(reader.result() for reader in readers) == [b"a", b"b"]


def test_a_writer_that_another_thread_closes_on_sees_an_os_error(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    for attempt in range(30):
        with tls_pair(client_config, server_config) as (client, server):

            def write_on(client: TLSSocket = client) -> None:
                while True:
                    client.sendall(b"x" * 100)

            writers = [Aside(write_on) for _ in range(2)]
            reader = Aside(lambda server=server: read_all(server))
            time.sleep(0.0002 * (attempt % 10))
            client.close()
            for writer in writers:
                with pytest.raises(OSError) as raised:
                    writer.result()
                assert raised.value.errno == errno.EBADF
            with suppress(TruncationError):
                reader.result()


def test_a_close_ends_a_writer_that_waits_and_one_that_waits_for_it(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    with narrow_client(client_config, server_config) as (client, sock, _):
        sock.room = 10
        writers = [Aside(client.sendall, b"x" * 100) for _ in range(2)]
        time.sleep(0.05)
        client.close()
        for writer in writers:
            with pytest.raises(OSError, match="closed"):
                writer.result()


def test_sending_after_the_own_close_is_the_callers_fault_and_a_broken_pipe(
    pair: tuple[TLSSocket, TLSSocket],
) -> None:
    client, _ = pair
    client.shutdown_write()
    for call in (lambda: client.sendall(b"x"), lambda: client.send(b"x"), client.update_keys):
        with pytest.raises(StateError, match="closed") as raised:
            call()
        assert isinstance(raised.value, BrokenPipeError)
        assert isinstance(raised.value, ConfigurationError)
        assert raised.value.errno == errno.EPIPE


# The end


def test_close_loses_nothing_for_a_slow_reader(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    with plain_pair() as (left, right):
        left.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 200_000)
        right.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 50_000)
        hand = Aside(wrap_server, right, server_config)
        client = wrap_client(left, client_config, server_name="localhost")
        server = hand.result()
        pieces = [os.urandom(50_000) for _ in range(40)]
        client.settimeout(2.0)  # which bounds the time without progress

        def send_and_close() -> None:
            for piece in pieces:
                client.sendall(piece)
            client.close()

        sender = Aside(send_and_close)
        received = bytearray()
        while data := server.recv(16_384):
            received += data
            time.sleep(0.004)
        sender.result()
        assert received == b"".join(pieces)
        server.close()


def test_close_waits_for_as_long_as_the_peer_goes_on_reading(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    with narrow_client(client_config, server_config) as (client, sock, hand):
        client.settimeout(0.5)
        sock.room, sock.step = 0, 1
        closing = Aside(client.close)
        for _ in range(24):  # the bytes of the record with the close_notify
            time.sleep(0.04)
            assert not closing.done()
            sock.room += 1
        closing.result()
        hand.step()
        assert hand.connection.peer_closed


def test_close_lets_a_peer_go_on_that_waits_to_be_read(pair: tuple[TLSSocket, TLSSocket]) -> None:
    """An echo server whose client has sent more than both buffers hold, and reads nothing."""
    client, server = pair

    def echo() -> None:
        while data := server.recv(65536):
            server.sendall(data)

    answering = Aside(echo)
    client.setblocking(False)
    with pytest.raises(WantWrite):
        while True:
            client.send(bytes(100_000))
            time.sleep(0.001)
    client.setblocking(True)
    client.close()
    with suppress(OSError):  # The client is gone when the rest of the echo comes.
        answering.result()


def test_close_that_gives_up_says_so_and_closes_all_the_same(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    with narrow_client(client_config, server_config) as (client, sock, hand):
        client.settimeout(0.2)
        sock.room = 5
        began = time.monotonic()
        with pytest.raises(TimeoutError, match="timed out"):
            client.close()
        assert 0.2 <= time.monotonic() - began < 2.2
        assert client.fileno() == sock.fileno() == -1
        client.close()
        hand.step()
        with pytest.raises(TruncationError):
            hand.connection.receive_eof()


def shutdown_and_close(tls: TLSSocket) -> None:
    tls.shutdown(socket.SHUT_RDWR)
    tls.close()


ENDS: dict[str, Callable[[TLSSocket], object]] = {
    "close": TLSSocket.close,
    "with": lambda tls: tls.__exit__(None, None, None),
    "shutdown, close": shutdown_and_close,
    "makefile": lambda tls: [file.close() for file in (tls.makefile("rb"), tls)],
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_socket_that_does_not_block_is_closed_without_an_error(
    client_config: ClientConfig, server_config: ServerConfig, end: Callable[[TLSSocket], object]
) -> None:
    """A server that throws out a client which does not read must not fail itself."""
    with narrow_client(client_config, server_config) as (client, sock, hand):
        client.settimeout(0)
        sock.room = 5
        with pytest.raises(WantWrite):
            client.sendall(b"not read")
        end(client)
        assert client.fileno() == sock.fileno() == -1
        hand.step()
        with pytest.raises(TruncationError):
            hand.connection.receive_eof()


def test_a_block_that_could_not_be_ended_in_order_says_so(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    with narrow_client(client_config, server_config) as (client, sock, _):
        client.settimeout(0.05)
        with pytest.raises(TimeoutError), client:
            sock.room = 0


def test_close_does_not_mind_that_the_peer_is_gone(
    pair: tuple[TLSSocket, TLSSocket],
) -> None:
    client, server = pair
    reset(server.detach())
    time.sleep(0.01)
    client.close()


def test_shutdown_of_both_halves_wakes_a_writer(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    with narrow_client(client_config, server_config) as (client, sock, _):
        sock.room = 10
        writer = Aside(client.sendall, b"x" * 100)
        time.sleep(0.05)
        client.shutdown(socket.SHUT_RDWR)
        sock.room = math.inf
        with pytest.raises(BrokenPipeError):
            writer.result()
        client.close()


def test_detach_tells_the_peer_nothing(pair: tuple[TLSSocket, TLSSocket]) -> None:
    client, server = pair
    descriptor = client.detach()
    assert client.fileno() == client.detach() == -1
    with pytest.raises(OSError, match="closed"):
        client.recv(1)
    with socket.socket(fileno=descriptor) as plain:
        assert plain.getpeername() == server.getsockname()
    with pytest.raises((TruncationError, ConnectionResetError)):
        server.recv(1)


# What came before a bad end


def reset(descriptor: int) -> None:
    """Close with a reset."""
    with socket.socket(fileno=descriptor) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@contextmanager
def client_after(
    client_config: ClientConfig,
    server_config: ServerConfig,
    data: bytes,
    *,
    closes: bool,
    ends: str,
) -> Iterator[TLSSocket]:
    """A client whose server has sent `data`, perhaps close_notify, and ended the transport."""
    with plain_pair() as (left, right):
        hand = Aside(lambda: HandServer(right, server_config).establish())
        client = wrap_client(left, client_config, server_name="localhost")
        connection = hand.result().connection
        connection.send_data(data)
        if closes:
            connection.close()
        right.sendall(connection.data_to_send())
        if ends == "reset":
            reset(right.detach())
        else:
            right.close()
        time.sleep(0.02)
        with client:
            yield client


@pytest.mark.parametrize("size", [7, 65536])
@pytest.mark.parametrize("ends", ["reset", "eof"])
def test_a_reset_after_close_notify_is_a_clean_end(
    client_config: ClientConfig, server_config: ServerConfig, ends: str, size: int
) -> None:
    """RFC 9846 section 6.1: the stream was complete."""
    data = os.urandom(1000)
    with client_after(client_config, server_config, data, closes=True, ends=ends) as client:
        assert read_all(client, size) == data
        assert client.recv(10) == b""
        with suppress(OSError):
            client.sendall(b"nobody hears this")
        assert client.recv(10) == b""


def test_unwrap_after_close_notify_and_a_reset_gives_the_socket_back(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    with client_after(client_config, server_config, b"", closes=True, ends="reset") as client:
        with client.unwrap() as plain:
            assert plain.fileno() != -1
        with pytest.raises(OSError, match="closed"):
            client.recv(1)


@pytest.mark.parametrize("wrote", [False, True])
@pytest.mark.parametrize("ends", ["reset", "eof"])
def test_authenticated_data_comes_before_the_error(
    client_config: ClientConfig, server_config: ServerConfig, ends: str, wrote: bool
) -> None:
    data = b"a line\nanother\n" * 100
    with client_after(client_config, server_config, data, closes=False, ends=ends) as client:
        if wrote:
            with suppress(OSError):
                client.sendall(b"nobody hears this")
        with client.makefile("rb") as lines:
            for _ in range(200):
                assert lines.readline() in (b"a line\n", b"another\n")
        for _ in range(2):
            with pytest.raises((TruncationError, ConnectionResetError)):
                client.recv(10)


# Sockets that do not block


@contextmanager
def open_ended_pair(
    client_config: ClientConfig, server_config: ServerConfig
) -> Iterator[tuple[TLSSocket, TLSSocket]]:
    with plain_pair() as (left, right):
        for sock in (left, right):
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 20_000)
        client = wrap_client(left, client_config, server_name="localhost", handshake=False)
        server = wrap_server(right, server_config, handshake=False)
        yield client, server


class Task:
    """What one side still wants to do; calls again after WantRead and WantWrite."""

    def __init__(self, tls: TLSSocket, *steps: Callable[[], Any]) -> None:
        self.tls, self.steps = tls, list(steps)

    def run(self) -> int:
        """Go as far as possible; gives the events to wait for, 0 at the end."""
        try:
            while self.steps:
                if self.steps[0]() is not Ellipsis:
                    self.steps.pop(0)
        except WantRead:
            return selectors.EVENT_READ
        except WantWrite:
            return selectors.EVENT_WRITE
        return 0


def run_with_selector(*tasks: Task) -> None:
    with selectors.DefaultSelector() as selector:
        for task in tasks:
            if wants := task.run():
                selector.register(task.tls, wants, task)
        while selector.get_map():
            ready = selector.select(10)
            assert ready, "nobody goes on"
            for key, _ in ready:
                selector.unregister(key.fileobj)
                if wants := key.data.run():
                    selector.register(key.fileobj, wants, key.data)


@pytest.mark.parametrize("call", ["send", "sendall"])
def test_two_ends_in_one_thread_with_a_selector(
    client_config: ClientConfig, server_config: ServerConfig, call: str
) -> None:
    data = os.urandom(2 * MEGABYTE)
    received = bytearray()
    sent = 0
    with open_ended_pair(client_config, server_config) as (client, server):

        def send() -> Any:
            nonlocal sent
            if call == "sendall":
                client.sendall(data)
                return None
            sent += client.send(data[sent:])
            return ... if sent < len(data) else None

        def receive() -> Any:
            piece = server.recv(50_000)
            received.extend(piece)
            return ... if piece else None

        run_with_selector(
            Task(client, client.do_handshake, send, client.shutdown_write, lambda: client.recv(1)),
            Task(server, server.do_handshake, receive, server.shutdown_write),
        )
        assert received == data
        client.close()
        server.close()


def test_a_socket_that_does_not_block_says_what_it_waits_for(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    with open_ended_pair(client_config, server_config) as (client, server):
        assert (client.getblocking(), client.gettimeout(), client.timeout) == (False, 0, 0)
        with pytest.raises(WantRead) as want:
            client.do_handshake()
        assert isinstance(want.value, BlockingIOError)
        assert want.value.errno == errno.EAGAIN
        run_with_selector(Task(client, client.do_handshake), Task(server, server.do_handshake))
        with pytest.raises(WantRead):
            server.recv(1)
        assert client.send(b"ten bytes.") == 10
        assert select.select([server], [], [], 10)[0]
        assert server.recv(4) == b"ten "
        assert server.pending() == 6
        assert server.recv(100) == b"bytes."
        with pytest.raises(WantRead):
            server.recv_into(bytearray(1))
        with pytest.raises(WantRead):
            client.unwrap()
        server.setblocking(True)
        client.settimeout(20)
        assert server.recv(1) == b""
        server.shutdown_write()
        client.unwrap().close()
        server.close()


def test_what_a_full_transport_did_not_take_is_not_sealed_again(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    with narrow_client(client_config, server_config) as (client, sock, hand):
        client.setblocking(False)
        sock.room = 50
        for _ in range(3):
            with pytest.raises(WantWrite):
                client.send(b"x" * 100)
        with pytest.raises(StateError, match="same data"):
            sock.room = 500
            client.send(b"x" * 99)
        for others in (b"y" * 100, b"x" * 99 + b"y", b"y" * 1000, b""):
            with pytest.raises(StateError, match="same data"):
                client.send(others)
            with pytest.raises(StateError, match="same data"):
                client.sendall(others)
        assert client.send(memoryview(bytearray(b"x" * 100 + b"more"))) == 100
        sock.room = 50
        with pytest.raises(WantWrite):
            client.sendall(b"y" * 100)
        client.update_keys(request_peer=False)
        sock.room = math.inf
        client.sendall(b"y" * 100)
        client.sendall(b"z")
        sock.room = 3
        for _ in range(2):
            with pytest.raises(WantWrite):
                client.shutdown_write()
        sock.room = math.inf
        client.shutdown_write()
        client.close()
        received = b""
        while not hand.connection.peer_closed:
            received += b"".join(getattr(event, "data", b"") for event in hand.step())
        assert received == b"x" * 100 + b"y" * 100 + b"z"


def test_the_handshake_of_a_socket_that_does_not_block_times_out(
    client_config: ClientConfig,
) -> None:
    config = ClientConfig(trust=client_config.trust, handshake_timeout=0.1)
    with plain_pair() as (left, _):
        left.setblocking(False)
        client = wrap_client(left, config, server_name="localhost", handshake=False)
        with pytest.raises(WantRead):
            client.do_handshake()
        time.sleep(0.11)
        for _ in range(2):
            with pytest.raises(HandshakeTimeoutError):
                client.do_handshake()
        client.close()


def test_a_turn_that_has_not_come_is_something_to_wait_for(
    pair: tuple[TLSSocket, TLSSocket],
) -> None:
    client, server = pair
    reader = Aside(client.recv, 10)
    time.sleep(0.02)
    client.settimeout(0)
    with pytest.raises(WantRead):
        client.recv(10)
    server.sendall(b"x")
    assert reader.result() == b"x"


def test_a_callback_of_the_handshake_cannot_use_the_socket(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    told: list[BaseException] = []

    def verify(question: Any) -> Any:
        for call in (lambda: client.recv(1), lambda: client.sendall(b"x"), client.do_handshake):
            try:
                call()
            except StateError as error:
                told.append(error)
        raise ValueError("enough")

    with plain_pair() as (left, right):
        server = Aside(wrap_server, right, server_config)
        config = ClientConfig(verify=verify)
        client = wrap_client(left, config, server_name="localhost", handshake=False)
        with pytest.raises(OSError):
            client.do_handshake()
        client.close()
        with pytest.raises(OSError):
            server.result()
    assert len(told) == 3
