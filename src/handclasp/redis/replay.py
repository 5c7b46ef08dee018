"""Protection against replays of early data to a fleet of servers: a memory in Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from handclasp.deferred import DeferredModule
from handclasp.redis.clients import (
    check_prefix,
    check_seconds,
    open_asyncio_client,
    open_client,
)
from handclasp.sessions.replay import FRESHNESS

if TYPE_CHECKING:
    import redis.asyncio
else:
    redis = DeferredModule("redis")

_REMEMBERED = int(1000 * 3 * FRESHNESS)
"""Milliseconds: twice `FRESHNESS`, and as much again as two clocks may differ.

A mark ends at so many after the time of the server that set it, which is at most `FRESHNESS` before
the time that the client's account of its ticket's age stands for. At no other server is the flight
fresh for longer than `FRESHNESS` after that time.
"""

_DIFFER = int(1000 * FRESHNESS)
"""Milliseconds by which Redis's clock and the server's must not differ: marks end by the former."""

_FOREVER = 2**40
"""Milliseconds, 34 years: what is left of it tells how long ago it was set, by Redis's clock."""


REMEMBERED = _REMEMBERED / 1000
"""Seconds for which a first flight is remembered, and before which a new memory refuses all."""


def begin_of_memory(left: Any, now: float) -> float | None:
    """Return since when first flights are remembered, from the remaining life of the memory's
    entry.

    None if there is no memory: it begins with the next flight.
    """
    if not isinstance(left, int) or not 0 < left <= _FOREVER:
        return None
    return now - (_FOREVER - left) / 1000


class _Names:
    """The commands for one first flight: the same for threads and for asyncio."""

    def __init__(self, prefix: str, clock: Callable[[], float]) -> None:
        self._memory = f"{check_prefix(prefix)}:flights"
        self._clock = clock

    def ask(self, pipeline: Any, token: bytes) -> None:
        mark = f"{self._memory}:{token.hex()}"
        # A Redis that lost its memory does not know what was here a moment ago. So it notes since
        # when it remembers, and what comes before that is long enough is refused.
        pipeline.set(self._memory, "1", nx=True, px=_FOREVER)
        pipeline.pttl(self._memory)
        # It ends at a time of this server's, and Redis says how far away that is by its own clock.
        # Were that clock set ahead, marks would end too early: as old as they were, and unnoticed.
        pipeline.set(mark, "1", nx=True, pxat=int(1000 * self._clock()) + _REMEMBERED)
        pipeline.pttl(mark)

    @staticmethod
    def is_first(answers: Any) -> bool:
        _, left, was_set, _ = answers
        return bool(was_set) and 0 < left <= _FOREVER - _REMEMBERED

    @staticmethod
    def clocks_differ(answers: Any) -> bool:
        """Return whether Redis's clock and this server's differ too much, by a mark that was just
        set.
        """
        _, _, was_set, left = answers
        return bool(was_set) and not _REMEMBERED - _DIFFER < left < _REMEMBERED + _DIFFER

    def begin_again(self, client: Any) -> Any:
        """Let the memory begin anew at the next flight: what it remembered may have ended.

        That holds when the clocks agree again, too, and nothing else would tell of it then.
        """
        return client.pexpire(self._memory, 0)


class RedisReplayFilter:
    """A `replay_guard` for servers on threads that share ticket keys.

    It would block an event loop: servers of asyncio refuse it, and use `AsyncRedisReplayFilter`.

    Each first flight with early data costs one exchange with Redis. If that fails, the early data
    are refused and the handshake continues. They are also refused for 30 seconds after Redis has
    begun to remember, since a replay of earlier flights would not be noticed. The memory begins
    anew when the clocks of Redis and of a server differ by ten seconds or more, since its entries
    expire by the clock of Redis. Redis must be 6.2 or newer.

    >>> from handclasp.redis import RedisReplayFilter
    >>> guard = RedisReplayFilter("redis://redis.example.com/0")
    >>> config = ServerConfig(
    ...     credentials=Credentials.load("chain.pem", "key.pem"),
    ...     max_early_data=16384,
    ...     replay_guard=guard,
    ... )
    >>> guard.close()

    Args:
        client_or_url: where Redis is, or a client of redis-py, whose own time-outs and retries
            then count, and which `close` leaves open.
        prefix: what stands before all names in Redis: the same on all servers of a fleet.
        timeout: seconds for each step of the exchange; with a URL.
        clock: seconds since 1970: the clock of the config.

    Raises:
        ConfigurationError: redis-py is missing, or an argument is not as it must be.
    """

    waits_in: ClassVar[str] = "thread"

    def __init__(
        self,
        client_or_url: redis.Redis | str,
        *,
        prefix: str = "handclasp",
        timeout: float = 0.05,
        clock: Callable[[], float] = time.time,
    ) -> None:
        check_seconds(timeout=timeout)
        self._names = _Names(prefix, clock)
        self._client = open_client(client_or_url, timeout)
        self._owned = isinstance(client_or_url, str)

    def is_first(self, token: bytes, ticket_created_at: float) -> bool:
        """Return whether this first flight is new; False if that is unknown.

        `ticket_created_at` is not used: Redis itself knows since when it remembers.
        """
        try:
            with self._client.pipeline(transaction=True) as pipeline:
                self._names.ask(pipeline, token)
                answers = pipeline.execute()
            if self._names.clocks_differ(answers):
                self._names.begin_again(self._client)
                return False
            return self._names.is_first(answers)
        except Exception:
            return False

    def close(self) -> None:
        """Close the connections, if they were made from a URL."""
        if self._owned:
            self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncRedisReplayFilter:
    """A `replay_guard` for servers on an event loop, which is not blocked meanwhile.

    A filter belongs to the loop in which it is first used, and the loop is of asyncio. Servers on
    threads use `RedisReplayFilter` instead, and so does a guard for trio, in a thread.

    >>> from handclasp.redis import AsyncRedisReplayFilter
    >>> async def main():
    ...     guard = AsyncRedisReplayFilter("redis://redis.example.com/0")
    ...     config = ServerConfig(
    ...         credentials=Credentials.load("chain.pem", "key.pem"),
    ...         max_early_data=16384,
    ...         replay_guard=guard,
    ...     )
    ...     await guard.aclose()
    >>> asyncio.run(main())

    Args:
        client_or_url: where Redis is, or a client of `redis.asyncio`, which `aclose` leaves open.
        prefix: as for `RedisReplayFilter`; filters of both kinds may share one memory.
        timeout: seconds for the whole exchange, with any client.
        clock: as for `RedisReplayFilter`.

    Raises:
        ConfigurationError: redis-py is missing, or an argument is not as it must be.
    """

    waits_in: ClassVar[str] = "asyncio"

    def __init__(
        self,
        client_or_url: redis.asyncio.Redis | str,
        *,
        prefix: str = "handclasp",
        timeout: float = 0.05,
        clock: Callable[[], float] = time.time,
    ) -> None:
        check_seconds(timeout=timeout)
        self._names = _Names(prefix, clock)
        self._client = open_asyncio_client(client_or_url, timeout)
        self._owned = isinstance(client_or_url, str)
        self._timeout = timeout

    async def is_first(self, token: bytes, ticket_created_at: float) -> bool:
        """Return whether this first flight is new; False if that is unknown."""
        try:
            async with asyncio.timeout(self._timeout):
                async with self._client.pipeline(transaction=True) as pipeline:
                    self._names.ask(pipeline, token)
                    answers = await pipeline.execute()
                if self._names.clocks_differ(answers):
                    await self._names.begin_again(self._client)
                    return False
                return self._names.is_first(answers)
        except Exception:
            return False

    async def aclose(self) -> None:
        """Close the connections, if they were made from a URL."""
        if self._owned:
            await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
