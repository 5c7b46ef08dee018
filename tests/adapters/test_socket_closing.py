"""What `TLSSocket.close` leaves to the operating system, and what it waits for."""

from __future__ import annotations

import os
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
from tests.adapters.pairs import (
    MEGABYTE,
    Aside,
    HandServer,
    plain_pair,
    read_all,
    read_slowly,
)

from handclasp import (
    ClientConfig,
    ServerConfig,
    SessionStore,
    TLSSocket,
    wrap_client,
    wrap_server,
)
from handclasp.events import DataReceived

pytestmark = pytest.mark.skipif(
    not os.path.exists("/proc/net/tcp"), reason="how much is unsent, the tests know of Linux only"
)

SIZE = MEGABYTE
Pair = tuple[TLSSocket, TLSSocket]


@contextmanager
def slow_pair(client_config: ClientConfig, server_config: ServerConfig) -> Iterator[Pair]:
    """A client with a small window, whose server's kernel takes more than that."""
    with plain_pair() as (left, right):
        left.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        right.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * SIZE)
        server = Aside(wrap_server, right, server_config)
        client = wrap_client(left, client_config, server_name="localhost")
        with client, server.result() as accepted:
            yield client, accepted


@pytest.fixture
def pair(client_config: ClientConfig, server_config: ServerConfig) -> Iterator[Pair]:
    with slow_pair(client_config, server_config) as both:
        yield both


def send(server: TLSSocket) -> None:
    """Send what the kernel takes and the peer's window does not; the reader has yet to begin."""
    server.sendall(bytes(SIZE))


# Whatever the peer sends meanwhile


@pytest.mark.parametrize("version", ["TLSv1.3", "TLSv1.2"])
@pytest.mark.parametrize("what", ["nothing", "answers", "updates", "data", "junk"])
def test_a_slow_reader_gets_everything_whatever_it_sends(
    client_config: ClientConfig, server_config: ServerConfig, what: str, version: str
) -> None:
    if version == "TLSv1.2" and what in ("answers", "updates"):
        pytest.skip("TLS 1.2 has no KeyUpdate")
    only: Any = {"versions": (version,)}
    configs = replace(client_config, **only), replace(server_config, **only)
    with slow_pair(*configs) as (client, server):
        plain = socket.socket(fileno=os.dup(client.fileno()))
        actions: dict[str, Callable[[], object]] = {
            "updates": lambda: client.update_keys(),
            "data": lambda: client.sendall(b"x" * 500),
            "junk": lambda: plain.send(b"junk!" * 9),
        }
        action = actions.get(what, lambda: None)
        if what == "answers":
            server.update_keys()
        send(server)
        closing = Aside(server.close)
        with plain:
            got = read_slowly(client, lambda turn: action() if turn % 8 == 1 else None)
        closing.result()
        assert got == SIZE


def test_a_server_that_is_late_with_its_tickets_gets_everything(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    def send_and_close(sock: socket.socket) -> None:
        config = replace(client_config, sessions=SessionStore())
        client = wrap_client(sock, config, server_name="localhost")
        client.sendall(bytes(SIZE))
        client.close()

    with plain_pair() as (left, right):
        right.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        left.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * SIZE)
        hand = HandServer(right, server_config)
        sending = Aside(send_and_close, left)
        hand.step()
        time.sleep(0.1)  # The client has sent everything by now.
        got = 0
        while not hand.connection.peer_closed:
            got += sum(len(each.data) for each in hand.step() if isinstance(each, DataReceived))
            time.sleep(0.001)
        sending.result()
        assert got == SIZE


def test_another_thread_that_reads_does_not_cut_it_off(pair: Pair) -> None:
    client, server = pair
    server.update_keys()
    reader = Aside(server.recv, 1)
    send(server)
    closing = Aside(server.close)
    assert read_slowly(client) == SIZE
    closing.result()
    with pytest.raises(OSError, match="closed"):
        reader.result()


def test_a_file_that_was_open_waits_as_well(pair: Pair) -> None:
    client, server = pair
    server.update_keys()
    file = server.makefile("wb")
    server.close()
    file.write(bytes(SIZE))
    closing = Aside(file.close)
    assert read_slowly(client) == SIZE
    closing.result()


def test_a_side_that_had_closed_its_half_waits_as_well(pair: Pair) -> None:
    client, server = pair
    server.update_keys()
    send(server)
    server.shutdown_write()
    closing = Aside(server.close)
    assert read_slowly(client) == SIZE
    closing.result()


# How long


def test_the_timeout_bounds_the_time_without_progress(pair: Pair) -> None:
    client, server = pair
    server.settimeout(0.3)
    send(server)
    began = time.monotonic()
    server.close()  # What the operating system has, it goes on delivering.
    assert 0.3 <= time.monotonic() - began < 5
    assert server.fileno() == -1
    assert len(read_all(client)) == SIZE


def test_progress_takes_its_time(pair: Pair) -> None:
    client, server = pair
    server.settimeout(0.2)
    server.update_keys()
    send(server)
    closing = Aside(server.close)
    began = time.monotonic()
    got = read_slowly(client, lambda turn: time.sleep(0.01))
    closing.result()
    assert got == SIZE
    assert time.monotonic() - began > 0.4


def closed_at_once(close: Callable[[], object]) -> bool:
    began = time.monotonic()
    close()
    return time.monotonic() - began < 2


def test_a_socket_that_does_not_block_does_not_wait(pair: Pair) -> None:
    client, server = pair
    send(server)
    server.setblocking(False)
    assert closed_at_once(server.close)
    assert len(read_all(client)) == SIZE


def test_a_block_that_an_exception_ends_does_not_wait(pair: Pair) -> None:
    _, server = pair
    send(server)

    def fail() -> None:
        with pytest.raises(ZeroDivisionError), server:
            raise ZeroDivisionError

    assert closed_at_once(fail)


def test_a_reset_that_the_program_wants_comes_at_once(pair: Pair) -> None:
    client, server = pair
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    send(server)
    assert closed_at_once(server.close)
    with pytest.raises(ConnectionResetError):
        read_all(client)


def set_linger(tls: TLSSocket, seconds: int) -> None:
    tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, seconds))


@pytest.mark.parametrize("timeout", [None, 0.1, 20])
def test_the_program_says_how_long_a_close_may_take(pair: Pair, timeout: float | None) -> None:
    client, server = pair
    server.settimeout(timeout)
    set_linger(server, 1)
    send(server)
    began = time.monotonic()
    server.close()
    assert 0.9 < time.monotonic() - began < 1.8
    assert len(read_all(client)) == SIZE


def test_a_slow_reader_does_not_stretch_what_the_program_said(pair: Pair) -> None:
    client, server = pair
    set_linger(server, 1)
    send(server)
    closing = Aside(server.close)
    began = time.monotonic()
    ended: list[float] = []

    def look(turn: int) -> None:
        time.sleep(0.04)
        if closing.done() and not ended:
            ended.append(time.monotonic() - began)

    assert read_slowly(client, look) == SIZE
    closing.result()
    assert 0.9 < ended[0] < 1.8 < time.monotonic() - began


def test_a_close_that_may_take_long_ends_when_the_peer_has_everything(pair: Pair) -> None:
    client, server = pair
    set_linger(server, 20)
    send(server)
    closing = Aside(server.close)
    assert len(read_all(client)) == SIZE
    assert closed_at_once(closing.result)


def test_what_does_not_fit_by_then_is_told(pair: Pair) -> None:
    _, server = pair
    stuff(server)
    set_linger(server, 1)
    began = time.monotonic()
    with pytest.raises(TimeoutError, match="too little for 1 s"):
        server.close()
    assert 0.9 < time.monotonic() - began < 1.8
    assert server.fileno() == -1


def reset(tls: TLSSocket) -> None:
    set_linger(tls, 0)
    tls.close()


@pytest.mark.parametrize(
    "end", [lambda tls: tls.shutdown(socket.SHUT_RDWR), reset], ids=["shutdown", "reset"]
)
@pytest.mark.parametrize("timeout", [None, 20])
def test_an_end_that_is_wanted_at_once_waits_for_no_room(
    pair: Pair, end: Callable[[TLSSocket], object], timeout: float | None
) -> None:
    _, server = pair
    stuff(server)
    server.settimeout(timeout)
    reader = Aside(server.recv, 1)
    time.sleep(0.05)
    assert closed_at_once(lambda: end(server))
    with suppress(OSError):  # after a close
        assert reader.result() == b""


def stuff(tls: TLSSocket) -> None:
    """Send until not even a close_notify finds room."""
    timeout = tls.timeout
    tls.setblocking(False)
    tls.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    refused = 0
    while refused < 60:  # The kernels take a moment to move what there is room for.
        try:
            tls.send(bytes(1000))
            refused = 0
        except BlockingIOError:
            refused += 1
            time.sleep(0.01)
    tls.settimeout(timeout)


def test_a_peer_that_goes_away_ends_the_waiting(pair: Pair) -> None:
    client, server = pair
    send(server)
    closing = Aside(server.close)
    time.sleep(0.05)
    assert not closing.done()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(client.detach())
    assert closed_at_once(closing.result)


def test_an_interrupt_of_the_waiting_closes_the_socket(pair: Pair) -> None:
    client, server = pair
    send(server)

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(KeyboardInterrupt):
            server.close()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert server.fileno() == -1
    assert len(read_all(client)) == SIZE


def test_what_the_peer_has_received_needs_no_waiting(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ordinary close looks once, and neither shuts down nor waits."""
    client, server = pair
    server.sendall(b"little")

    def wait(*args: Any, **kwds: Any) -> None:
        raise AssertionError

    monkeypatch.setattr("handclasp.adapters.duplex.wait", wait)
    server.close()
    monkeypatch.undo()
    assert read_all(client) == b"little"


# Forks


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_copy_is_closed_at_once_and_disturbs_nothing(pair: Pair) -> None:
    client, server = pair
    server.update_keys()
    send(server)
    process = os.fork()
    if not process:
        status = 1
        try:
            status = 0 if closed_at_once(server.close) else 2
        finally:
            os._exit(status)
    assert os.waitpid(process, 0)[1] == 0
    server.update_keys(request_peer=False)  # The connection is this process's.
    closing = Aside(server.close)
    assert read_slowly(client) == SIZE
    closing.result()
