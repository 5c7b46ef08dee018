"""Who leaves where there is no more room, by a clock of the test's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from handclasp.adapters.room import SILENT_SECONDS, SLOW_SECONDS, Room, share_of


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
