"""Clients that are many, slow or silent do not lock out the others."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from tests.adapters.pairs import MEGABYTE
from tests.serving.world import World, files_of, read_answer, running

from handclasp import TLSSocket
from handclasp.serving import http
from handclasp.serving.crowd import SETTLING_SECONDS, Crowd
from handclasp.serving.echo import EchoProtocol
from handclasp.serving.limits import Limits

ASK = b"GET /file.txt HTTP/1.1\r\nHost: localhost\r\n\r\n"
ASK_LARGE = ASK.replace(b"file.txt", b"large.bin")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "file.txt").write_bytes(b"text")
    (tmp_path / "large.bin").write_bytes(bytes(32 * MEGABYTE))
    return tmp_path


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def is_closed(tls: TLSSocket) -> bool:
    """Whether the server has closed, which may be on the way."""
    tls.settimeout(10)
    try:
        return tls.recv(100) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def test_silent_clients_do_not_lock_anybody_out(site: Path, stack: ExitStack) -> None:
    """Before TLS, after the handshake, and in the midst of a head."""
    world = stack.enter_context(running(files_of(site)))
    for _ in range(200):
        stack.enter_context(socket.create_connection(("127.0.0.1", world.port), 20))
    for _ in range(40):
        tls = stack.enter_context(world.connection())
        tls.sendall(b"GET / HTTP/1.1\r\nX: ")
    began = time.monotonic()
    assert world.ask("/file.txt").body == b"text"
    assert time.monotonic() - began < 5


@pytest.mark.long  # A new connection is left alone for a while: twenty of them take five seconds.
def test_idle_clients_make_room_for_new_ones(site: Path, stack: ExitStack) -> None:
    world = stack.enter_context(running(files_of(site), Limits(max_connections=5)))
    clients = list[TLSSocket]()
    for _ in range(20):
        clients.append(stack.enter_context(world.connection()))
        clients[-1].sendall(ASK)
        assert read_answer(clients[-1]).status == 200
        time.sleep(1.2 * SETTLING_SECONDS)
    assert is_closed(clients[0])
    clients[-1].sendall(ASK)
    assert read_answer(clients[-1]).status == 200
    (remark,) = world.heard.remarks
    assert "The server is full: 5 connections are open" in remark


def slow_client(world: World, stack: ExitStack, source: str = "127.0.0.1") -> TLSSocket:
    """One that has asked for much, and reads nothing."""
    tls = stack.enter_context(world.connection(source))
    tls.sendall(ASK_LARGE)
    tls.recv(1000)
    return tls


def test_one_address_cannot_take_all_places(site: Path, stack: ExitStack) -> None:
    world = stack.enter_context(running(files_of(site), Limits(max_connections=4)))
    for _ in range(4):
        slow_client(world, stack)
    # Another one of the same address is refused,
    with world.connection() as tls:
        assert read_answer(tls).status == 503
    # and one of another address is not.
    with world.connection("127.0.0.2") as tls:
        tls.sendall(ASK)
        assert read_answer(tls).status == 200


def test_a_client_that_takes_nothing_is_cut_off(
    site: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_LOOK_SECONDS", 0.1)
    world = stack.enter_context(running(files_of(site), Limits(stall_timeout=0.5)))
    slow_client(world, stack)
    world.heard.wait_until(lambda heard: heard.requests and heard.endings)
    assert 0 < world.heard.requests[0].size < 32 * MEGABYTE


@pytest.mark.parametrize("asked", [b"", b"GET", ASK])
def test_time_is_bounded(site: Path, stack: ExitStack, asked: bytes) -> None:
    limits = Limits(header_timeout=0.4, idle_timeout=0.6)
    world = stack.enter_context(running(files_of(site), limits))
    tls = stack.enter_context(world.connection())
    began = time.monotonic()
    tls.sendall(asked)
    if asked == ASK:
        assert read_answer(tls).status == 200
    elif asked:
        assert read_answer(tls).status == 408
    assert is_closed(tls)
    assert 0.3 < time.monotonic() - began < 5


def test_an_idle_echo_ends(stack: ExitStack) -> None:
    limits = Limits(idle_timeout=0.5)
    world = stack.enter_context(running(lambda serving: lambda: EchoProtocol(serving), limits))
    tls = stack.enter_context(world.connection())
    tls.sendall(b"x")
    assert tls.recv(1) == b"x"
    assert is_closed(tls)


def test_an_echo_to_a_client_that_takes_nothing_is_bounded(stack: ExitStack) -> None:
    limits = Limits(stall_timeout=0.5)
    world = stack.enter_context(running(lambda serving: lambda: EchoProtocol(serving), limits))
    tls = stack.enter_context(world.connection())
    tls.settimeout(5)
    with suppress(OSError):
        while True:
            tls.sendall(bytes(65536))
    world.heard.wait_until(lambda heard: heard.endings or heard.failures)


# The crowd by itself


class Member:
    def __init__(self, idle: float | None = None) -> None:
        self.idle = idle
        self.has_left = False

    def idle_seconds(self) -> float | None:
        return self.idle

    def leave(self) -> None:
        self.has_left = True


def crowd_of(*members: tuple[Member, str], told: list[int] | None = None) -> Crowd:
    crowd = Crowd(len(members), lambda: 0.0, (told if told is not None else []).append)
    for member, host in members:
        assert crowd.join(member, (host, 1))
    return crowd


def test_who_is_idle_longest_leaves_first() -> None:
    old, older, busy, fresh = Member(5), Member(9), Member(), Member(0.01)
    crowd = crowd_of((old, "a"), (older, "a"), (busy, "a"), (fresh, "a"))
    assert crowd.join(Member(), ("a", 1))
    assert (older.has_left, old.has_left) == (True, False)
    assert crowd.join(Member(), ("a", 1))
    assert old.has_left
    assert not crowd.join(Member(), ("a", 1))
    assert not busy.has_left
    assert not fresh.has_left


def test_idle_ones_of_smaller_shares_stay() -> None:
    lonely = Member(99)
    crowd = crowd_of((lonely, "b"), (Member(), "a"), (Member(), "a"))
    assert not crowd.join(Member(), ("a", 1))
    assert not lonely.has_left


def test_busy_ones_leave_for_a_share_that_holds_much_less() -> None:
    first, second = Member(), Member()
    crowd = crowd_of((first, "a"), (second, "a"))
    assert crowd.join(Member(), ("b", 1))
    assert (first.has_left, second.has_left) == (True, False)
    assert not crowd.join(Member(), ("b", 1))
    assert not crowd.join(Member(), ("c", 1))


def test_networks_of_ipv6_are_one_share() -> None:
    crowd = crowd_of(*((Member(), f"2001:db8::{number}") for number in range(1, 3)))
    assert not crowd.join(Member(), ("2001:db8::9", 1))
    assert crowd.join(Member(), ("2001:db8:1::1", 1))


def test_it_is_said_once_a_minute() -> None:
    times, told = [0.0, 1.0, 59.0, 61.0, 62.0], list[int]()
    crowd = Crowd(1, lambda: times.pop(0), told.append)
    for _ in range(6):  # For the first one there is room.
        crowd.join(Member(), ("a", 1))
    assert told == [1, 1]
