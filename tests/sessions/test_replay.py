"""A memory of first flights."""

from __future__ import annotations

import math
import os
from threading import Thread
from typing import Any

import pytest

from handclasp.errors import ConfigurationError
from handclasp.sessions.replay import FRESHNESS, ReplayFilter


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_each_flight_counts_once() -> None:
    guard = ReplayFilter(clock=Clock())
    assert guard.is_first(b"a" * 32, 1000)
    assert not guard.is_first(b"a" * 32, 1000)
    assert guard.is_first(b"b" * 32, 1000)


def test_what_was_before_it_is_not_known() -> None:
    guard = ReplayFilter(clock=Clock())
    assert not guard.is_first(b"a" * 32, 999.9)


def test_it_forgets_what_is_not_fresh_any_more() -> None:
    clock = Clock()
    guard = ReplayFilter(clock=clock)
    assert guard.is_first(b"a" * 32, 1000)
    # What was 10 s too early may come until 10 s too late, and the clock may be set in between.
    for step in (2 * FRESHNESS, -FRESHNESS, 2 * FRESHNESS - 1):
        clock.now += step
        assert not guard.is_first(b"a" * 32, 1000)
    clock.now += 1
    assert guard.is_first(b"b" * 32, 1000)
    assert len(guard) == 1


@pytest.mark.parametrize("back", [31.0, 45.0, 3600.0])
def test_what_was_forgotten_is_not_first_when_the_clock_is_set_back(back: float) -> None:
    """It was set ahead, or simply went on, and is then set back to a time when that was fresh."""
    clock = Clock()
    guard = ReplayFilter(clock=clock)
    assert guard.is_first(b"a" * 32, 1000)
    clock.now += back
    assert guard.is_first(b"b" * 32, 1000)
    clock.now -= back
    for _ in range(25):
        assert not guard.is_first(b"a" * 32, 1000)
        clock.now += 1
    # It refuses until half a minute after what it forgot, and not for longer.
    clock.now += 5 if back > 60 else 5 + back
    assert guard.is_first(b"c" * 32, 1000)


def test_a_clock_that_was_far_ahead_does_not_stop_it_for_long() -> None:
    """Nor does what came at that time fill it."""
    clock, year = Clock(), 365 * 86400.0
    guard = ReplayFilter(4, clock=clock)
    assert guard.is_first(b"a" * 32, 1000)
    clock.now += year
    for number in range(4):
        assert guard.is_first(bytes([number]) * 32, 1000)
    clock.now -= year - 5
    assert not guard.is_first(b"a" * 32, 1000)
    clock.now += 3 * FRESHNESS
    assert guard.is_first(b"b" * 32, 1000)
    assert len(guard) == 1


def test_what_it_knows_of_the_forgotten_is_bounded() -> None:
    """However often the clock is set, and however far apart the flights are."""
    clock = Clock()
    guard = ReplayFilter(clock=clock)
    taken: list[tuple[bytes, float]] = []
    for number in range(200):
        clock.now += 100.0 if number % 7 else 10_000.0
        token = number.to_bytes(32, "big")
        assert guard.is_first(token, 1000)
        taken.append((token, clock.now))
    for token, at in taken:
        clock.now = at
        assert not guard.is_first(token, 1000)
    assert len(guard) <= 1
    assert len(guard._forgotten) <= 8


def test_full_is_no() -> None:
    clock = Clock()
    guard = ReplayFilter(2, clock=clock)
    answers = [guard.is_first(bytes([number]) * 32, 1000) for number in range(4)]
    assert answers == [True, True, False, False]
    assert len(guard) == 2
    clock.now += 3 * FRESHNESS
    assert guard.is_first(b"x" * 32, 1000)


def test_threads_race_for_one_yes() -> None:
    guard, answers = ReplayFilter(clock=Clock()), list[bool]()
    threads = [
        Thread(target=lambda: answers.append(guard.is_first(b"a" * 32, 1000))) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers.count(True) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_process_takes_none() -> None:
    """Its siblings have the same ticket keys, and it cannot know what they take."""
    guard = ReplayFilter(clock=Clock())
    if (child := os.fork()) == 0:
        os._exit(int(guard.is_first(b"a" * 32, 1000)))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert guard.is_first(b"a" * 32, 1000)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_process_id_may_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a namespace of its own a child may be called as its parent is."""
    guard, parent = ReplayFilter(clock=Clock()), os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent)
    if (child := os.fork()) == 0:
        os._exit(int(guard.is_first(b"a" * 32, 1000)))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert guard.is_first(b"a" * 32, 1000)


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"capacity": value}, "whole number") for value in ("x", True, 0, -1, 2.0, math.nan)]
    + [({"clock": value}, "clock must be a function") for value in (3, None)]
    + [
        ({"remembers_from": value}, "remembers_from must be seconds since 1970")
        for value in ("x", True, -1, math.nan, math.inf)
    ],
    ids=str,
)
def test_settings_that_cannot_be_honoured(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        ReplayFilter(**settings)
