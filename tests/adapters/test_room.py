"""Who leaves where there is no more room, by a clock of the test's own."""

from __future__ import annotations

import socket
from collections.abc import Hashable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from handclasp.adapters.room import SILENT_SECONDS, SLOW_SECONDS, Line, Room, share_of


@dataclass(eq=False)
class Guest:
    name: str
    idle: bool = True
    waited: float = 60.0

    def is_idle(self) -> bool:
        return self.idle

    def seconds_waited_for(self) -> float:
        return self.waited


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def room_of(*guests: tuple[str, Guest], later: float = 60.0) -> tuple[Room, Clock]:
    """A room that these have entered one after the other, and `later` seconds after that."""
    clock = Clock()
    room = Room(len(guests), clock)
    for host, guest in guests:
        room.enter(guest, (host, 1))
        clock.now += 0.001
    clock.now += later
    assert room.is_full
    return room, clock


def test_the_oldest_of_the_largest_share_leaves_first() -> None:
    alone, first, second = Guest("alone"), Guest("first"), Guest("second")
    room, _ = room_of(("10.0.0.1", alone), ("10.0.0.2", first), ("10.0.0.2", second))
    assert room.who_makes_room(("10.0.0.3", 1)) is first
    room.leave(first)
    room.leave(first)
    assert not room.is_full
    assert room.who_makes_room(("10.0.0.3", 1)) is alone


def test_who_has_sent_no_hello_leaves_before_who_is_slow() -> None:
    slow, silent = Guest("slow", idle=False), Guest("silent")
    room, _ = room_of(("10.0.0.1", slow), ("10.0.0.1", silent))
    assert room.who_makes_room(("10.0.0.2", 1)) is silent
    room.leave(silent)
    assert room.who_makes_room(("10.0.0.2", 1)) is slow


def test_nobody_takes_the_place_of_a_smaller_share() -> None:
    alone = Guest("alone")
    crowd = [Guest(str(number), idle=False, waited=0.0) for number in range(3)]
    room, _ = room_of(("10.0.0.1", alone), *(("10.0.0.2", guest) for guest in crowd))
    assert room.who_makes_room(("10.0.0.2", 1)) is None
    crowd[1].waited = SLOW_SECONDS
    assert room.who_makes_room(("10.0.0.2", 1)) is crowd[1]


def test_who_waits_for_this_side_keeps_its_place() -> None:
    room, _ = room_of(("10.0.0.1", Guest("busy", idle=False, waited=0.0)))
    assert room.who_makes_room(("10.0.0.2", 1)) is None


@pytest.mark.parametrize(
    ("guest", "seconds"),
    [(Guest("silent"), SILENT_SECONDS), (Guest("slow", idle=False), SLOW_SECONDS)],
)
def test_there_is_time_to_say_what_comes_next(guest: Guest, seconds: float) -> None:
    room, clock = room_of(("10.0.0.1", guest), later=seconds - 0.01)
    assert room.who_makes_room(("10.0.0.2", 1)) is None
    clock.now += 0.02
    assert room.who_makes_room(("10.0.0.2", 1)) is guest


def test_a_share_that_wastes_places_is_known_until_it_uses_as_many() -> None:
    guests = [Guest(str(number)) for number in range(4)]
    room, _ = room_of(*(("10.0.0.1", guest) for guest in guests))
    assert not room.is_stalling("10.0.0.1")
    for guest in guests[:2]:
        room.expel(guest)
        room.leave(guest, completed=True)  # It has left already.
    assert room.held("10.0.0.1") == 2
    for guest in guests[2:]:
        assert room.is_stalling("10.0.0.1")
        assert not room.is_stalling("10.0.0.2")
        room.leave(guest, completed=True)
    assert not room.is_stalling("10.0.0.1")


def test_what_a_share_has_wasted_is_forgiven() -> None:
    guest = Guest("silent")
    room, _ = room_of(("10.0.0.1", guest))
    room.expel(guest)
    room.forgive()
    assert not room.is_stalling("10.0.0.1")


def test_unix_sockets_cannot_be_blamed_for_each_other() -> None:
    guest, clock = Guest("silent"), Clock()
    room = Room(1, clock)
    room.enter(guest, "")
    room.expel(guest)
    assert not room.is_stalling(share_of(""))


def test_so_many_shares_are_remembered_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handclasp.adapters.room._MAX_STALLING", 2)
    hosts = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    guests = [Guest(host) for host in hosts]
    room, _ = room_of(*zip(hosts, guests, strict=True))
    for guest in guests:
        room.expel(guest)
    assert [room.is_stalling(host) for host in hosts] == [False, True, True]


def wasting(room: Room, *hosts: str) -> Room:
    for host in hosts:
        guest = Guest(host)
        room.enter(guest, (host, 1))
        room.expel(guest)
    return room


def test_shares_that_have_wasted_places_come_after_all_others() -> None:
    room = wasting(Room(9), "a", "b", "c")
    for host in "ade":
        room.enter(Guest(host), (host, 1))
    room.enter(Guest("more"), ("d", 1))
    assert list(room.in_turn("abcdef")) == ["f", "e", "d", "b", "c", "a"]
    assert list(room.in_turn("abcdef", stalling_first=True)) == ["b", "f", "e", "d", "c", "a"]
    room.forgive()
    assert list(room.in_turn("abcdef")) == ["b", "c", "f", "a", "e", "d"]


def test_whoever_has_a_network_is_blamed_for_all_of_it() -> None:
    """A /48 has 65,536 shares, each of which has wasted nothing at first."""
    hosts = [f"2001:db8:0:{number:x}::1" for number in range(17)]
    fresh, stranger = share_of(("2001:db8:0:ffff::1", 1)), share_of(("2001:db8:1::1", 1))
    room = wasting(Room(9), *hosts[:16])
    assert not room.is_stalling(fresh)  # Its customers may be strangers to each other.
    wasting(room, hosts[16])
    assert room.is_stalling(fresh)
    assert not room.is_stalling(stranger)
    assert list(room.in_turn([fresh, stranger])) == [stranger, fresh]
    guest = Guest("uses its place")
    room.enter(guest, ("2001:db8:0:ffff::1", 1))
    room.leave(guest, completed=True)
    assert not room.is_stalling(fresh)
    wasting(room, hosts[0])
    assert room.is_stalling(fresh)
    room.forgive()
    assert not room.is_stalling(fresh)


def test_so_many_networks_are_remembered_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handclasp.adapters.room._MAX_STALLING", 2)
    room = Room(9)
    for network in "abc":
        wasting(room, *(f"2001:db8:{network}:{number:x}::1" for number in range(17)))
    known = [room.is_stalling(share_of((f"2001:db8:{each}:ffff::", 1))) for each in "abc"]
    assert known == [False, True, True]


class Waiting:
    """A line of four, in which each connection has a name."""

    def __init__(self, sockets: ExitStack, *stalling: str) -> None:
        self.line = Line(4, stalling.__contains__)
        self.peers: dict[str, socket.socket] = {}
        self._sockets = sockets
        self._names: dict[socket.socket, str] = {}

    def join(self, *names: str) -> None:
        """Each is the address and the number of a connection, as in "a1"."""
        for name in names:
            here, there = socket.socketpair()
            self._sockets.enter_context(there)
            self._sockets.enter_context(here)
            self._names[here] = name
            self.peers[name] = there
            self.line.join(here, (name[0], 1))
            self.line.shorten()

    def next_of(self, share: Hashable) -> str:
        return self._names[self.line.next_of(share)[0]]

    @property
    def closed(self) -> list[str]:
        return [name for sock, name in self._names.items() if sock.fileno() < 0]


@pytest.fixture
def sockets() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_each_share_has_its_turn_and_the_first_to_come_is_the_first_of_it(
    sockets: ExitStack,
) -> None:
    waiting = Waiting(sockets)
    waiting.join("a1", "a2", "b1", "a3")
    order = []
    while waiting.line:
        order.append(waiting.next_of(next(iter(waiting.line.shares))))
    assert order == ["a1", "b1", "a2", "a3"]


def test_of_a_share_that_wastes_places_the_newest_goes_first_and_who_speaks_before_it(
    sockets: ExitStack,
) -> None:
    waiting = Waiting(sockets, "a")
    waiting.join("a1", "a2", "a3", "a4")
    assert waiting.next_of("a") == "a4"
    waiting.peers["a2"].send(b"\x16")
    assert [waiting.next_of("a") for _ in range(3)] == ["a2", "a3", "a1"]


def test_a_full_line_closes_who_wastes_places(sockets: ExitStack) -> None:
    waiting = Waiting(sockets, "a", "b")
    waiting.join("a1", "a2", "a3", "b1", "b2")
    assert waiting.closed == ["a1"]
    assert not waiting.line.is_full
    waiting.join("a4", "c1", "c2")
    assert waiting.closed == ["a1", "a2", "a3", "b1"]
    waiting.join("c3", "c4")
    assert waiting.closed == ["a1", "a2", "a3", "b1", "b2", "a4"]
    assert not waiting.line.is_full
    waiting.line.close()
    assert waiting.closed == list(waiting.peers)


def test_a_full_line_closes_who_is_silent_before_who_speaks(sockets: ExitStack) -> None:
    waiting = Waiting(sockets, "a")
    waiting.join("a1", "a2", "a3", "a4")
    for name in ("a1", "a2"):
        waiting.peers[name].send(b"\x16")
    waiting.join("a5", "a6")
    assert waiting.closed == ["a3", "a4"]
    for name in ("a5", "a6"):
        waiting.peers[name].send(b"\x16")
    waiting.join("a7", "a8", "a9")
    assert waiting.closed == ["a3", "a4", "a7", "a8", "a9"]


def test_a_line_is_cut_where_the_system_has_no_room_for_it(sockets: ExitStack) -> None:
    waiting = Waiting(sockets, "a")
    assert not waiting.line.cut()
    waiting.join("b1", "a1", "a2", "a3")
    assert waiting.line.cut()
    assert waiting.closed == ["a1"]
    waiting.join("a4")
    assert waiting.closed == ["a1", "a2"]  # It stays that short.
    waiting.line.restore()
    waiting.join("a5")
    assert len(waiting.line) == 4
    assert [waiting.line.cut() for _ in range(4)] == [True, True, True, False]
    assert waiting.closed == ["a1", "a2", "a3", "a4", "a5"]  # Whoever wastes nothing stays.
    waiting.join("b2", "b3", "b4")
    assert waiting.line.is_full
    waiting.line.restore()
    assert not waiting.line.is_full
    waiting.line.close()


def test_a_full_line_of_those_who_waste_nothing_lets_others_wait_outside(
    sockets: ExitStack,
) -> None:
    waiting = Waiting(sockets)
    waiting.join("a1", "a2", "a3", "a4")
    assert not waiting.line.is_full
    waiting.join("b1")
    assert not waiting.line.is_full  # It comes before most of the others.
    waiting.join("b2")
    assert waiting.line.is_full
    assert waiting.closed == []
    waiting.next_of("a")
    waiting.next_of("a")
    assert not waiting.line.is_full


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("10.0.0.1", 1), ("10.0.0.1", 2), True),
        (("10.0.0.1", 1), ("10.0.0.2", 1), False),
        (("2001:db8::1", 1, 0, 0), ("2001:db8::ffff:1", 2, 0, 0), True),
        (("2001:db8::1", 1, 0, 0), ("2001:db8:0:1::1", 1, 0, 0), False),
        (("fe80::1%eth0", 1, 0, 2), ("fe80::2%eth0", 1, 0, 2), True),
        (("::ffff:10.0.0.1", 1, 0, 0), ("10.0.0.1", 1), True),
        (("::ffff:10.0.0.1", 1, 0, 0), ("::ffff:10.0.0.2", 1, 0, 0), False),
        ("", "", True),
        (b"", None, True),
    ],
)
def test_shares(one: Any, other: Any, same: bool) -> None:
    assert (share_of(one) == share_of(other)) is same
