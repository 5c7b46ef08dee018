"""Filters whose Redis is some milliseconds away: which answer comes in time, and what is said."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from tests.redis.far_away import far_away
from tests.redis.redis_server import RedisServer, eventually

import redis
from handclasp.redis import AsyncRedisReplayFilter, FleetError, RedisReplayFilter, RedisTicketKeys
from handclasp.redis.connections import KEPT, MOST, Connections

Filter = RedisReplayFilter | AsyncRedisReplayFilter
Make = Callable[..., Filter]
FLIGHTS = 10


@contextmanager
def used(guard: Filter) -> Iterator[Callable[[int], list[bool]]]:
    """A function that asks for so many new flights, one after the other."""

    async def ask_later(asked: list[Awaitable[bool]]) -> list[bool]:
        return [await each for each in asked]

    def ask(count: int) -> list[bool]:
        answers = (guard.is_first(os.urandom(32), 0.0) for _ in range(count))
        if isinstance(guard, RedisReplayFilter):
            return [bool(answer) for answer in answers]
        return asyncio.run(ask_later([each for each in answers if not isinstance(each, bool)]))

    try:
        yield ask
    finally:
        if isinstance(guard, RedisReplayFilter):
            guard.close()
        else:
            asyncio.run(guard.aclose())


both = pytest.mark.parametrize("make", [RedisReplayFilter, AsyncRedisReplayFilter])


@both
@pytest.mark.parametrize("milliseconds", [3, 12, 20, 40])
def test_a_redis_nearer_than_the_timeout_is_used(
    redis_server: RedisServer, make: Make, milliseconds: int
) -> None:
    """By the default timeout of 50 ms, although to connect takes longer than that."""
    redis_server.remember_long()
    with far_away(redis_server.port, milliseconds / 1000) as port:
        guard = make(f"redis://127.0.0.1:{port}/0")
        with used(guard) as ask:
            eventually("it is in touch", lambda: guard.in_touch)
            # On a busy machine, some may be late.
            eventually("most are answered", lambda: sum(ask(FLIGHTS)) > FLIGHTS / 2)


@both
@pytest.mark.parametrize("milliseconds", [60, 100])
def test_a_redis_further_away_is_told_of_and_costs_nothing(
    redis_server: RedisServer, make: Make, milliseconds: int
) -> None:
    redis_server.remember_long()
    errors: list[FleetError] = []
    with far_away(redis_server.port, milliseconds / 1000) as port:
        guard = make(f"redis://127.0.0.1:{port}/0", on_error=errors.append)
        with used(guard) as ask:
            eventually("it is noticed", lambda: "and a handshake waits for 50 ms" in guard.status)
            assert not guard.in_touch
            assert len(errors) == 1
            began = time.perf_counter()
            assert ask(FLIGHTS) == [False] * FLIGHTS
            assert time.perf_counter() - began < FLIGHTS * 0.05
            assert f"{FLIGHTS} first flights, {FLIGHTS} of them without an answer" in guard.status


@both
def test_a_longer_timeout_reaches_further(redis_server: RedisServer, make: Make) -> None:
    redis_server.remember_long()
    with far_away(redis_server.port, 0.1) as port:
        guard = make(f"redis://127.0.0.1:{port}/0", timeout=0.3)
        with used(guard) as ask:
            eventually("it is in touch", lambda: guard.in_touch)
            # On a busy machine, one may be late even so.
            eventually("all are answered", lambda: ask(3) == [True] * 3)


def test_a_client_of_asyncio_connects_although_nobody_waits_for_it(
    redis_server: RedisServer,
) -> None:
    redis_server.remember_long()

    async def run(port: int) -> tuple[list[bool], str]:
        async with redis.asyncio.Redis(port=port) as client:
            guard = AsyncRedisReplayFilter(client)
            answers = [await guard.is_first(os.urandom(32), 0.0)]
            deadline = time.monotonic() + 20
            while not guard.in_touch and time.monotonic() < deadline:
                await asyncio.sleep(0.01)
            answers += [await guard.is_first(os.urandom(32), 0.0) for _ in range(5)]
            status = guard.status
            await guard.aclose()
        return answers, status

    with far_away(redis_server.port, 0.02) as port:
        answers, status = asyncio.run(run(port))
    assert sum(answers[1:]) >= 4, status
    assert status.startswith("In touch with Redis; 6 first flights")


def test_ticket_keys_come_from_far_away(redis_server: RedisServer) -> None:
    with (
        far_away(redis_server.port, 0.1) as port,
        RedisTicketKeys(f"redis://127.0.0.1:{port}/0") as keys,
    ):
        assert keys.ready(10)


def test_many_flights_at_once_share_the_connections(redis_server: RedisServer) -> None:
    redis_server.remember_long()
    with RedisReplayFilter(redis_server.url, timeout=5.0) as guard:
        with ThreadPoolExecutor(64) as pool:
            answers = list(pool.map(lambda _: guard.is_first(os.urandom(32), 0.0), range(500)))
        assert all(answers)
        with redis_server.client() as client:
            clients: list[object] = client.client_list()
        assert KEPT < len(clients) <= MOST + 1


def test_a_redis_that_stops_answering_costs_little_and_is_told_of(
    redis_server: RedisServer,
) -> None:
    redis_server.remember_long()
    errors: list[FleetError] = []
    with RedisReplayFilter(redis_server.url, on_error=errors.append) as guard:
        eventually("it is in touch", lambda: guard.in_touch)
        redis_server.freeze()
        try:
            while guard.in_touch:
                began = time.perf_counter()
                assert not guard.is_first(os.urandom(32), 0.0)
                assert time.perf_counter() - began < 1.0
            began = time.perf_counter()
            assert not any(guard.is_first(os.urandom(32), 0.0) for _ in range(20))
            assert time.perf_counter() - began < 20 * 0.05 / 3
        finally:
            redis_server.thaw()
        eventually("it answers again", lambda: guard.in_touch)
        assert "It was away from" in guard.status
    assert [error.kind for error in errors] == ["TimeoutError"]


class Silent:
    """Does not answer until a test is over."""

    def __init__(self) -> None:
        self.is_over = threading.Event()
        self.busy = 0

    def check(self, client: Any) -> None:
        """All is well."""

    def ask(self, client: Any, token: bytes) -> bool:
        self.busy += 1
        self.is_over.wait(20)
        return True

    def note_failure(self, error: Exception) -> None:
        """Nothing fails."""

    def begin_anew(self) -> None:
        """Nothing is forked."""

    def is_hopeless(self, connected: bool) -> bool:
        return False


def test_questions_that_wait_are_few() -> None:
    """A Redis that is silent for a while, and more flights meanwhile than it could answer."""
    silent = Silent()
    connections = Connections(redis.Redis(), silent, "handclasp:flights")
    try:
        busy = [connections.ask(bytes(32)) for _ in range(MOST)]
        eventually("all threads are busy", lambda: silent.busy == MOST)
        waiting = [connections.ask(bytes(32)) for _ in range(1000)]
        assert all(busy)
        assert 0 < sum(future is not None for future in waiting) <= 256
        assert len(threads_of_filters()) == MOST
    finally:
        silent.is_over.set()
        connections.close()


class Full(Silent):
    """Takes as many clients as are always there, and no more."""

    def __init__(self) -> None:
        super().__init__()
        self.checks = 0
        self.failures = 0

    def check(self, client: Any) -> None:
        self.checks += 1
        if self.checks > KEPT:
            raise redis.ConnectionError("max number of clients reached")

    def note_failure(self, error: Exception) -> None:
        self.failures += 1


def test_a_redis_that_takes_no_more_clients_is_not_away() -> None:
    full = Full()
    connections = Connections(redis.Redis(), full, "handclasp:flights")
    try:
        for _ in range(KEPT):
            assert connections.ask(bytes(32)) is not None
        eventually("they are busy", lambda: full.busy == KEPT)
        assert connections.ask(bytes(32)) is not None
        eventually("one more has tried", lambda: full.checks > KEPT)
        eventually("and has given up", lambda: len(threads_of_filters()) == KEPT)
        assert full.failures == 0
    finally:
        full.is_over.set()
        connections.close()


@both
def test_nobody_waits_for_a_redis_that_is_not_there(make: Make) -> None:
    guard = make("redis://127.0.0.1:1/0", timeout=20.0)
    with used(guard) as ask:
        began = time.perf_counter()
        assert ask(3) == [False] * 3
        assert time.perf_counter() - began < 10
        assert "3 first flights, 3 of them without an answer in time" in guard.status


# The end of a filter


def threads_of_filters() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "handclasp:flights"]


@both
def test_close_ends_the_threads(redis_server: RedisServer, make: Make) -> None:
    guard = make(redis_server.url)
    with used(guard):
        eventually("it is in touch", lambda: guard.in_touch)
        assert len(threads_of_filters()) == KEPT
    assert threads_of_filters() == []
    assert guard.status == "Closed."
    assert not guard.in_touch
    assert repr(guard).endswith("('handclasp:flights': Closed.)")


def test_a_filter_that_is_forgotten_ends_its_threads() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        guard = RedisReplayFilter(f"redis://127.0.0.1:{listener.getsockname()[1]}")
        assert threads_of_filters()
        del guard
    eventually("they have ended", lambda: not threads_of_filters())


def test_a_closed_filter_takes_nothing(redis_server: RedisServer) -> None:
    redis_server.remember_long()
    guard = RedisReplayFilter(redis_server.url)
    guard.close()
    assert not guard.is_first(bytes(32), 0.0)
