"""Filters with a client of `redis.asyncio` of the application, whose Redis is slow or silent."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoAnswer
from types import SimpleNamespace
from typing import Any

import pytest
from redis.backoff import NoBackoff
from tests.redis.far_away import far_away
from tests.redis.redis_server import RedisServer

import redis
from handclasp.redis import AsyncRedisReplayFilter, FleetError, RedisReplayFilter
from handclasp.redis.connections import Connections

FLIGHTS = 20


def client_of(port: int, timeout: float = 0.5) -> Any:
    once = redis.asyncio.retry.Retry(NoBackoff(), 0)
    return redis.asyncio.Redis(port=port, retry=once, socket_timeout=timeout)


async def eventually_on_loop(what: str, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, f"still not after 20 s: {what}"
        await asyncio.sleep(0.01)


async def ask(guard: AsyncRedisReplayFilter, count: int) -> list[bool]:
    return [await guard.is_first(os.urandom(32), 0.0) for _ in range(count)]


def test_a_silent_redis_is_waited_for_until_it_is_noticed(redis_server: RedisServer) -> None:
    """And no flight has to come for the filter to notice that it answers again."""
    redis_server.remember_long()
    errors: list[FleetError] = []

    async def run() -> None:
        async with (
            client_of(redis_server.port) as client,
            AsyncRedisReplayFilter(client, timeout=10.0, on_error=errors.append) as guard,
        ):
            assert await ask(guard, 2) == [True] * 2
            redis_server.freeze()
            try:
                assert await ask(guard, 1) == [False]
                assert not guard.in_touch
                began = time.perf_counter()
                assert await ask(guard, FLIGHTS) == [False] * FLIGHTS
                # Each of them would have waited until the client's own timeout.
                assert time.perf_counter() - began < FLIGHTS * 0.5 / 2
            finally:
                redis_server.thaw()
            await eventually_on_loop("it is in touch", lambda: guard.in_touch)
            assert await ask(guard, 1) == [True]
            assert "It was away from" in guard.status

    asyncio.run(run())
    assert [error.kind for error in errors] == ["TimeoutError"]


def test_a_redis_too_far_away_is_not_waited_for(redis_server: RedisServer) -> None:
    redis_server.remember_long()
    errors: list[FleetError] = []

    async def run(port: int) -> None:
        async with (
            client_of(port, 5.0) as client,
            AsyncRedisReplayFilter(client, timeout=0.2, on_error=errors.append) as guard,
        ):
            while not errors:
                assert await ask(guard, 1) == [False]
            began = time.perf_counter()
            assert await ask(guard, FLIGHTS) == [False] * FLIGHTS
            assert time.perf_counter() - began < FLIGHTS * 0.2 / 2
            assert "and a handshake waits for 200 ms" in guard.status

    with far_away(redis_server.port, 0.3) as port:
        asyncio.run(run(port))
    assert len(errors) == 1


def test_a_redis_that_comes_nearer_is_used(redis_server: RedisServer) -> None:
    """The slowness was noticed; nobody asks, and yet its end is noticed, too."""
    redis_server.remember_long()

    async def run() -> None:
        async with (
            client_of(redis_server.port, 5.0) as client,
            AsyncRedisReplayFilter(client, timeout=0.2) as guard,
        ):
            await ask(guard, 1)
            guard._flights._late = True  # As it is after answers that were late.
            assert await ask(guard, 1) == [False]
            await eventually_on_loop("it is used", lambda: not guard._flights._late)
            assert await ask(guard, 1) == [True]

    asyncio.run(run())


def test_a_handshake_that_waits_when_the_filter_closes_is_refused(
    redis_server: RedisServer,
) -> None:
    async def run() -> bool:
        async with client_of(redis_server.port, 20.0) as client:
            guard = AsyncRedisReplayFilter(client, timeout=20.0)
            waiting = asyncio.create_task(guard.is_first(bytes(32), 0.0))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await guard.aclose()
            return await waiting

    redis_server.freeze()
    try:
        assert asyncio.run(run()) is False
    finally:
        redis_server.thaw()


@pytest.mark.parametrize("kind", [RedisReplayFilter, AsyncRedisReplayFilter])
def test_the_time_to_ask_is_part_of_the_timeout(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """To ask may start a thread, which takes as long as the machine likes."""
    clock = [100.0]
    waits: list[float] = []

    class Waiting(Future[bool | None]):
        def result(self, timeout: float | None = None) -> bool | None:
            assert timeout is not None
            waits.append(timeout)
            raise NoAnswer

    def ask_slowly(self: object, token: bytes) -> Future[bool | None]:
        clock[0] += 0.04
        return Waiting()

    async def wait(futures: object, *, timeout: float) -> None:
        waits.append(timeout)

    monkeypatch.setattr(Connections, "ask", ask_slowly)
    guard = kind("redis://127.0.0.1:1", timeout=0.05)
    try:
        with monkeypatch.context() as patched:
            stopped = SimpleNamespace(monotonic=lambda: clock[0])
            patched.setattr("handclasp.redis.replay.time", stopped)
            if kind is RedisReplayFilter:
                assert guard.is_first(bytes(32), 0.0) is False
            else:
                patched.setattr("handclasp.redis.replay.asyncio.wait", wait)
                assert asyncio.run(guard.is_first(bytes(32), 0.0)) is False
    finally:
        guard.close() if kind is RedisReplayFilter else asyncio.run(guard.aclose())
    assert waits == [pytest.approx(0.01)]
