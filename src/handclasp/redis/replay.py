"""Protection against replays of early data to a fleet of servers: a memory in Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as NoAnswer
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Self
from weakref import finalize

from handclasp.deferred import DeferredModule
from handclasp.redis.clients import check_asyncio_client, open_client, place_of
from handclasp.redis.connections import Connections
from handclasp.redis.flights import Flights
from handclasp.redis.tasks import Tasks
from handclasp.redis.troubles import FleetError

if TYPE_CHECKING:
    import redis.asyncio
else:
    redis = DeferredModule("redis")


class _Filter:
    """The state of a filter, as it tells it."""

    _flights: Flights

    @property
    def in_touch(self) -> bool:
        """Whether the last exchange with Redis went well, and in time."""
        return self._flights.watch.in_touch and not self._flights.is_closed

    @property
    def status(self) -> str:
        """The state of the filter in one line, for a log or an operator."""
        return self._flights.status()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._flights.marks.memory!r}: {self.status})"


class RedisReplayFilter(_Filter):
    """A `replay_guard` for servers on threads that share ticket keys.

    It would block an event loop: servers of asyncio refuse it, and use `AsyncRedisReplayFilter`.

    Threads in the background, two to sixteen, connect and ask Redis; they start at once, and again
    in a forked process. Each first flight with early data costs one exchange, for which a handshake
    waits at most `timeout`. If there is no answer until then, or Redis is known to be away, the
    early data are refused and the handshake continues. They are also refused for 30 seconds after
    Redis has begun to remember, since a replay of earlier flights would not be noticed. The memory
    begins anew when Redis is started again, when a replica takes over, and when the clocks of Redis
    and of a server differ by ten seconds or more, since its entries expire by the clock of Redis.
    Redis must be 6.2 or newer.

    >>> from handclasp.redis import RedisReplayFilter
    >>> guard = RedisReplayFilter("redis://redis.example.com/0")
    >>> config = ServerConfig(
    ...     credentials=Credentials.load("chain.pem", "key.pem"),
    ...     max_early_data=16384,
    ...     replay_guard=guard,
    ... )
    >>> guard.close()
    >>> guard.status
    'Closed.'

    Args:
        client_or_url: where Redis is, as for `RedisTicketKeys`, or a client of redis-py, whose own
            time-outs and retries then count, and which `close` leaves open.
        prefix: what stands before all names in Redis: the same on all servers of a fleet.
        timeout: seconds for which a handshake waits. It must be longer than a round trip to Redis.
        on_error: a function that a thread calls with a `FleetError`, once for each outage, and
            once if Redis may evict marks.
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
        on_error: Callable[[FleetError], object] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        place = place_of(open_client(client_or_url))
        self._flights = Flights(prefix, timeout, on_error, clock, place)
        self._timeout = timeout
        self._connections = Connections(client_or_url, self._flights, self._flights.marks.memory)
        finalize(self, self._connections.forget).atexit = False

    def is_first(self, token: bytes, ticket_created_at: float) -> bool:
        """Return whether this first flight is new; False if that is unknown.

        `ticket_created_at` is not used: Redis itself knows since when it remembers.
        """
        until = time.monotonic() + self._timeout  # To ask may start a thread, which takes time.
        future = self._connections.ask(token)
        is_first: bool | None = None
        if future is not None:
            try:
                is_first = future.result(max(0.0, until - time.monotonic()))
            except (NoAnswer, CancelledError):
                future.cancel()
        self._flights.count(is_answered=is_first is not None)
        return bool(is_first)

    def close(self) -> None:
        """End the threads, and close the connections, if they were made from a URL."""
        self._flights.is_closed = True
        self._connections.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncRedisReplayFilter(_Filter):
    """A `replay_guard` for servers on an event loop, which is not blocked meanwhile.

    With a URL, it has threads in the background as `RedisReplayFilter` has, and may be used in
    several loops. With a client of `redis.asyncio`, it belongs to the loop of the client, and has
    no threads: the first flight connects, and may come too early for an answer. The loop is of
    asyncio: servers on threads use `RedisReplayFilter` instead, and so does a guard for trio, in a
    thread.

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
        timeout: as for `RedisReplayFilter`.
        on_error: as for `RedisReplayFilter`: with a URL, a thread calls it, and not the loop.
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
        on_error: Callable[[FleetError], object] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if isinstance(client_or_url, str):
            place = place_of(open_client(client_or_url))
        else:
            check_asyncio_client(client_or_url)
            place = place_of(client_or_url)
        self._flights = Flights(prefix, timeout, on_error, clock, place)
        self._timeout = timeout
        self._asks: Connections | Tasks
        if isinstance(client_or_url, str):
            self._asks = Connections(client_or_url, self._flights, self._flights.marks.memory)
            finalize(self, self._asks.forget).atexit = False
        else:
            self._asks = Tasks(client_or_url, self._flights, timeout)

    async def is_first(self, token: bytes, ticket_created_at: float) -> bool:
        """Return whether this first flight is new; False if that is unknown."""
        until = time.monotonic() + self._timeout  # To ask may start a thread, which takes time.
        asked = self._asks.ask(token)
        is_first: bool | None = None
        if asked is not None:
            future = asked if isinstance(asked, asyncio.Task) else asyncio.wrap_future(asked)
            # A task goes on after that, so that its connection stays.
            await asyncio.wait([future], timeout=max(0.0, until - time.monotonic()))
            if future.done() and not future.cancelled():
                is_first = future.result()
            elif not isinstance(asked, asyncio.Task):
                future.cancel()
        self._flights.count(is_answered=is_first is not None)
        return bool(is_first)

    async def aclose(self) -> None:
        """End the threads or tasks, and close the connections, if they were made from a URL."""
        self._flights.is_closed = True
        if isinstance(self._asks, Connections):
            await asyncio.to_thread(self._asks.close)
        else:
            await self._asks.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
