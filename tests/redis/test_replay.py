"""The memory of first flights, with a real Redis that goes away now and then."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.redis.fleet import ROOT
from tests.redis.redis_server import RedisServer, eventually

import redis
from handclasp.errors import ConfigurationError
from handclasp.redis import AsyncRedisReplayFilter, FleetError, RedisReplayFilter
from handclasp.sessions.replay import FRESHNESS

MEMORY = "handclasp:flights"
LONG_AGO = 2**40 - 60_000
"""What is left to live for the memory of a Redis that has remembered for a minute."""


@pytest.fixture
def remembering(redis_server: RedisServer) -> RedisServer:
    redis_server.remember_long()
    return redis_server


def ask(url: str, *tokens: bytes, timeout: float = 1.0) -> list[bool]:
    """What the filter for threads says of each, and that the one for asyncio agrees on repeats."""
    with RedisReplayFilter(url, timeout=timeout) as guard:
        return [guard.is_first(token, time.time()) for token in tokens]


def ask_on_a_loop(url: str, *tokens: bytes, timeout: float = 1.0) -> list[bool]:
    async def run() -> list[bool]:
        async with AsyncRedisReplayFilter(url, timeout=timeout) as guard:
            return [await guard.is_first(token, time.time()) for token in tokens]

    return asyncio.run(run())


both = pytest.mark.parametrize("asking", [ask, ask_on_a_loop], ids=["threads", "loop"])


@both
def test_the_first_time_is_the_only_one(remembering: RedisServer, asking: type) -> None:
    assert asking(remembering.url, b"a" * 32, b"b" * 32, b"a" * 32) == [True, True, False]
    # Whichever filter it was.
    assert ask(remembering.url, b"a" * 32) == [False]
    assert ask_on_a_loop(remembering.url, b"b" * 32, b"c" * 32) == [False, True]


class Machine:
    """A server's clock, by the seconds that it is away from Redis's."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


def ask_by(clock: Machine, url: str, token: bytes) -> bool:
    with RedisReplayFilter(url, timeout=1.0, clock=clock) as guard:
        return guard.is_first(token, 0.0)


def ask_on_a_loop_by(clock: Machine, url: str, token: bytes) -> bool:
    async def run() -> bool:
        async with AsyncRedisReplayFilter(url, timeout=1.0, clock=clock) as guard:
            return await guard.is_first(token, 0.0)

    return asyncio.run(run())


by_clocks = pytest.mark.parametrize(
    "asking_by", [ask_by, ask_on_a_loop_by], ids=["threads", "loop"]
)


@by_clocks
def test_a_redis_that_is_ahead_has_forgotten_too_early(
    remembering: RedisServer, asking_by: Callable[[Machine, str, bytes], bool]
) -> None:
    """Its clock was set ahead: all marks are gone, and by that clock it is no wonder."""
    clock, flight = Machine(), b"a" * 32
    assert asking_by(clock, remembering.url, flight)
    with remembering.client() as client:
        clock.ahead = -31.0  # As seen from Redis: it is this one that is ahead.
        client.delete(f"{MEMORY}:{flight.hex()}")
        assert not asking_by(clock, remembering.url, flight)
        assert not asking_by(clock, remembering.url, b"b" * 32)
        # It is set right again: what came before is forgotten, and may be fresh still.
        clock.ahead = 0.0
        assert not asking_by(clock, remembering.url, flight)
        assert client.pexpire(MEMORY, LONG_AGO)
        assert asking_by(clock, remembering.url, b"c" * 32)


@by_clocks
@pytest.mark.parametrize(
    ("ahead", "is_taken"), [(-60, False), (-11, False), (-8, True), (8, True), (11, False)]
)
def test_clocks_may_differ_by_less_than_ten_seconds(
    remembering: RedisServer,
    asking_by: Callable[[Machine, str, bytes], bool],
    ahead: float,
    is_taken: bool,
) -> None:
    clock = Machine()
    clock.ahead = ahead
    assert asking_by(clock, remembering.url, b"a" * 32) is is_taken


def test_what_one_clock_marks_lasts_as_long_as_it_is_fresh_by_another(
    remembering: RedisServer,
) -> None:
    """Set by a server that is almost ten seconds behind, for one that is as much ahead."""
    clock, flight = Machine(), b"a" * 32
    clock.ahead = -9.5
    assert ask_by(clock, remembering.url, flight)
    with remembering.client() as client:
        left = client.pttl(f"{MEMORY}:{flight.hex()}")
    # By the slow one's clock it came ten seconds too early: 20 s are left in which it is fresh.
    assert left > 1000 * 2 * FRESHNESS


@by_clocks
def test_a_memory_does_not_get_older_by_a_clock_that_is_set_right(
    redis_server: RedisServer, asking_by: Callable[[Machine, str, bytes], bool]
) -> None:
    """Redis is restarted, and is behind: what it begins then would look a minute old later."""
    clock = Machine()
    clock.ahead = 60.0
    assert not asking_by(clock, redis_server.url, b"a" * 32)
    with redis_server.client() as client:
        assert not client.exists(MEMORY)
    clock.ahead = 0.0
    assert not asking_by(clock, redis_server.url, b"b" * 32)


def test_flights_are_remembered_for_as_long_as_they_are_fresh(remembering: RedisServer) -> None:
    ask(remembering.url, b"a" * 32)
    with remembering.client() as client:
        left = client.pttl(f"{MEMORY}:{b'a'.hex() * 32}")
    assert 2000 * FRESHNESS < left <= 3000 * FRESHNESS


@both
def test_a_memory_that_has_just_begun_proves_nothing(
    redis_server: RedisServer, asking: type
) -> None:
    assert asking(redis_server.url, b"a" * 32, b"b" * 32) == [False, False]
    with redis_server.client() as client:
        assert client.pexpire(MEMORY, 2**40 - 29_000)
        assert asking(redis_server.url, b"c" * 32) == [False]
        assert client.pexpire(MEMORY, 2**40 - 30_001)
        # What came before is remembered all the same.
        assert asking(redis_server.url, b"a" * 32, b"d" * 32) == [False, True]


def test_of_many_at_once_one_is_first(remembering: RedisServer) -> None:
    with RedisReplayFilter(remembering.url, timeout=5.0) as guard, ThreadPoolExecutor(8) as pool:
        tokens = [os.urandom(32) for _ in range(20)] * 8
        answers = list(pool.map(lambda token: guard.is_first(token, 0.0), tokens))
    assert answers.count(True) == 20


@both
def test_without_redis_nothing_is_first(remembering: RedisServer, asking: type) -> None:
    remembering.kill()
    assert asking(remembering.url, b"a" * 32) == [False]


@both
def test_a_redis_that_does_not_answer_costs_little(remembering: RedisServer, asking: type) -> None:
    remembering.freeze()
    try:
        began = time.monotonic()
        assert asking(remembering.url, b"a" * 32, timeout=0.05) == [False]
        assert time.monotonic() - began < 1.0
    finally:
        remembering.thaw()


@both
def test_it_goes_on_when_redis_is_back(remembering: RedisServer, asking: type) -> None:
    """With the connections of before, which are dead."""

    async def run() -> list[bool]:
        answers: list[bool] = []
        async with AsyncRedisReplayFilter(remembering.url, timeout=1.0) as guard:
            answers.append(await guard.is_first(b"a" * 32, 0.0))
            begin_again(remembering)
            answers.append(await guard.is_first(b"b" * 32, 0.0))
        return answers

    if asking is ask_on_a_loop:
        assert asyncio.run(run()) == [True, True]
        return
    with RedisReplayFilter(remembering.url, timeout=1.0) as guard:
        assert guard.is_first(b"a" * 32, 0.0)
        begin_again(remembering)
        assert guard.is_first(b"b" * 32, 0.0)


def begin_again(server: RedisServer) -> None:
    server.kill()
    server.start()
    server.remember_long()


def test_a_redis_that_starts_from_a_snapshot_has_forgotten_the_rest(
    remembering: RedisServer,
) -> None:
    """What it remembers began long ago, but ended before the last flights."""
    with remembering.client() as client:
        assert client.save()
    assert ask(remembering.url, b"a" * 32) == [True]
    remembering.kill()
    remembering.start()
    with remembering.client() as client:
        assert client.pttl(MEMORY) < 2**40 - 30_000
    assert ask(remembering.url, b"a" * 32) == [False]
    with remembering.client() as client:
        assert client.pttl(MEMORY) > 2**40 - 30_000
        client.delete(f"{MEMORY}:{b'a'.hex() * 32}")
    assert ask(remembering.url, b"a" * 32) == [False]


FORKED = """
import os, sys, time
from handclasp.redis import RedisReplayFilter

guard = RedisReplayFilter(sys.argv[1], timeout=10)
assert guard.is_first(b"a" * 32, 0.0)
if pid := os.fork():
    assert os.waitpid(pid, 0)[1] == 0
    assert not guard.is_first(b"b" * 32, 0.0)
    guard.close()
else:
    try:
        assert guard.is_first(b"b" * 32, 0.0)
        guard.close()
    except BaseException:
        os._exit(1)
    os._exit(0)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_forked_process_has_connections_of_its_own(remembering: RedisServer) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKED, remembering.url]
    subprocess.run(command, check=True, timeout=30, env={"PYTHONPATH": str(ROOT / "src")})


def test_where_clocks_differ_an_operator_reads_it(remembering: RedisServer) -> None:
    errors: list[FleetError] = []
    clock = Machine()
    clock.ahead = 12.0
    with RedisReplayFilter(
        remembering.url, timeout=1.0, clock=clock, on_error=errors.append
    ) as guard:
        eventually("it is noticed", lambda: not guard.in_touch and errors)
        assert "its clock and that of this server differ by 12 seconds" in guard.status
        clock.ahead = 0.0

        def is_over() -> bool:
            assert not guard.is_first(os.urandom(32), 0.0)
            return guard.in_touch

        eventually("it is over", is_over)
        assert "Early data are refused until" in guard.status


def test_a_memory_begins_when_a_server_starts(redis_server: RedisServer) -> None:
    """And not with the first flight, which would have to wait for half a minute after that."""
    with RedisReplayFilter(redis_server.url) as guard:
        eventually("it is in touch", lambda: guard.in_touch)
        assert "Redis remembers first flights only since" in guard.status
        with redis_server.client() as client:
            assert client.exists(MEMORY)
            client.pexpire(MEMORY, LONG_AGO)
            assert guard.is_first(b"a" * 32, 0.0)
        assert guard.status.startswith("In touch with Redis; 1 first flight, none of them without")


def test_what_is_there_but_of_another_kind_refuses(remembering: RedisServer) -> None:
    with remembering.client() as client:
        client.delete(MEMORY)
        client.rpush(MEMORY, "not", "a", "text")
    assert ask(remembering.url, b"a" * 32) == [False]


def test_clients_of_the_application_stay_open(remembering: RedisServer) -> None:
    with redis.Redis(port=remembering.port, decode_responses=True) as client:
        with RedisReplayFilter(client) as guard:
            assert guard.is_first(b"a" * 32, 0.0)
        assert client.ping()

    async def run() -> None:
        async with redis.asyncio.Redis(port=remembering.port) as client:
            async with AsyncRedisReplayFilter(client, timeout=1.0) as guard:
                assert await guard.is_first(b"b" * 32, 0.0)
            assert await client.ping()

    asyncio.run(run())


def test_settings_that_cannot_be() -> None:
    with pytest.raises(ConfigurationError, match="not for asyncio"):
        RedisReplayFilter(redis.asyncio.Redis())  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"a client of redis.asyncio, not redis\.client"):
        AsyncRedisReplayFilter(redis.Redis())  # type: ignore[arg-type]
    for kind in (RedisReplayFilter, AsyncRedisReplayFilter):
        with pytest.raises(ConfigurationError, match="no URL"):
            kind("http://localhost")
        with pytest.raises(ConfigurationError, match="timeout"):
            kind("redis://localhost", timeout=0)
        with pytest.raises(ConfigurationError, match="prefix"):
            kind("redis://localhost", prefix="")
        with pytest.raises(ConfigurationError, match="clock must be a function"):
            kind("redis://localhost", clock=3)  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match="on_error must answer at once"):
            kind("redis://localhost", on_error=_async_hook)


async def _async_hook(error: FleetError) -> None:
    """Log it: nobody would wait for this."""
