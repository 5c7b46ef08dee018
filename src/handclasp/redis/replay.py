"""Against early data that comes twice, to whichever server of a fleet: a memory in Redis."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from handclasp.redis.clients import (
    check_prefix,
    check_seconds,
    open_asyncio_client,
    open_client,
)
from handclasp.sessions.replay import FRESHNESS

if TYPE_CHECKING:
    import redis.asyncio

_REMEMBERED = int(1000 * 3 * FRESHNESS)
"""Milliseconds: twice `FRESHNESS`, and as much again as the clocks of two servers may differ."""

_FOREVER = 2**40
"""Milliseconds, 34 years: what is left of it tells how long ago it was set, by Redis's clock."""


class _Names:
    """The commands for one first flight: the same for threads and for asyncio."""

    def __init__(self, prefix: str) -> None:
        self._memory = f"{check_prefix(prefix)}:flights"

    def ask(self, pipeline: Any, token: bytes) -> None:
        # A Redis that lost its memory does not know what was here a moment ago. So it notes since
        # when it remembers, and what comes before that is long enough is refused.
        pipeline.set(self._memory, "1", nx=True, px=_FOREVER)
        pipeline.pttl(self._memory)
        pipeline.set(f"{self._memory}:{token.hex()}", "1", nx=True, px=_REMEMBERED)

    @staticmethod
    def is_first(answers: Any) -> bool:
        _, left, was_set = answers
        return bool(was_set) and 0 < left <= _FOREVER - _REMEMBERED


class RedisReplayFilter:
    """A `replay_guard` for servers on threads that share ticket keys.

    Each first flight with early data costs one exchange with Redis. Whatever goes wrong with it,
    the early data are refused and the handshake goes on. They are refused as well for 30 seconds
    after Redis has begun to remember, since a replay of what came before would not be noticed.

    Args:
        client_or_url: where Redis is, or a client of redis-py, whose own time-outs and retries
            then count, and which `close` leaves open.
        prefix: what stands before all names in Redis: the same on all servers of a fleet.
        timeout: seconds for each step of the exchange; with a URL.

    Raises:
        ConfigurationError: redis-py is missing, or an argument is not as it must be.
    """

    def __init__(
        self,
        client_or_url: redis.Redis | str,
        *,
        prefix: str = "handclasp",
        timeout: float = 0.05,
    ) -> None:
        check_seconds(timeout=timeout)
        self._names = _Names(prefix)
        self._client = open_client(client_or_url, timeout)
        self._owned = isinstance(client_or_url, str)

    def is_first(self, token: bytes, ticket_created_at: float) -> bool:
        """Whether this first flight comes for the first time; False if that is not known.

        `ticket_created_at` is not looked at: Redis knows by itself since when it remembers.
        """
        try:
            with self._client.pipeline(transaction=True) as pipeline:
                self._names.ask(pipeline, token)
                return self._names.is_first(pipeline.execute())
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
    """The same for servers on an event loop, which goes on with other things meanwhile.

    A filter belongs to the loop in which it is first used. Servers on threads cannot wait for it:
    they take `RedisReplayFilter`.

    Args:
        client_or_url: where Redis is, or a client of `redis.asyncio`, which `aclose` leaves open.
        prefix: as for `RedisReplayFilter`; filters of both kinds may share one memory.
        timeout: seconds for the whole exchange, with whatever client.

    Raises:
        ConfigurationError: redis-py is missing, or an argument is not as it must be.
    """

    def __init__(
        self,
        client_or_url: redis.asyncio.Redis | str,
        *,
        prefix: str = "handclasp",
        timeout: float = 0.05,
    ) -> None:
        check_seconds(timeout=timeout)
        self._names = _Names(prefix)
        self._client = open_asyncio_client(client_or_url, timeout)
        self._owned = isinstance(client_or_url, str)
        self._timeout = timeout

    async def is_first(self, token: bytes, ticket_created_at: float) -> bool:
        """Whether this first flight comes for the first time; False if that is not known."""
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._client.pipeline(transaction=True) as pipeline,
            ):
                self._names.ask(pipeline, token)
                return self._names.is_first(await pipeline.execute())
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
