"""Protection against replays of early data to a fleet of servers: a memory in Redis."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as NoAnswer
from contextlib import suppress
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self
from weakref import finalize

from handclasp.deferred import DeferredModule
from handclasp.redis.clients import (
    STEP_TIMEOUT,
    address_of,
    check_asyncio_client,
    check_on_error,
    check_seconds,
    open_client,
)
from handclasp.redis.connections import CHECK_SECONDS, MOST, Connections
from handclasp.redis.marks import REMEMBERED, Answer, Marks, eviction_policy
from handclasp.redis.troubles import FleetError
from handclasp.redis.watch import Watch, moment
from handclasp.synchronous import check_clock

if TYPE_CHECKING:
    import redis.asyncio
else:
    redis = DeferredModule("redis")

_PAUSE = 1.0
"""Seconds between two attempts to reach a Redis that is away, by a client of the application."""

_TRIES = 3
"""Round trips of a check, of which one must be in time: any single one may be late."""


class _Flights:
    """The exchanges about first flights, and what is known of them.

    Args:
        prefix, timeout, on_error, clock: as for `RedisReplayFilter`.
        address: where Redis is, for people.
    """

    def __init__(
        self,
        prefix: str,
        timeout: float,
        on_error: Callable[[FleetError], object] | None,
        clock: Callable[[], float],
        address: str,
    ) -> None:
        check_seconds(timeout=timeout)
        check_on_error(on_error)
        check_clock(clock)
        self.marks = Marks(prefix, clock)
        self.watch = Watch(clock, on_error, address)
        self.is_closed = False
        self._counting = Lock()
        self._asked = self._unanswered = 0
        self._timeout = timeout
        self._clock = clock
        self._late = False
        self._remembers_since: float | None = None
        self._eviction = ""

    # For threads

    def check(self, client: Any) -> None:
        """Connect, and ask for a flight that nobody sends, as a real one is asked for."""
        client.ping()
        tries = 0
        while True:
            began = time.perf_counter()
            answer = self._exchange(client, os.urandom(32))
            took, tries = time.perf_counter() - began, tries + 1
            if took <= self._timeout or tries == _TRIES:
                break
        self.note(answer, took)
        self.note_eviction(client.info("memory"))

    def ask(self, client: Any, token: bytes) -> bool:
        """Return whether this first flight is new."""
        answer = self._exchange(client, token)
        self.note(answer)
        return answer.is_first

    def _exchange(self, client: Any, token: bytes) -> Answer:
        with client.pipeline(transaction=True) as pipeline:
            self.marks.ask(pipeline, token)
            answer = self.marks.judge(pipeline.execute())
        if answer.repair is not None:
            answer.repair(client)
        return answer

    # What is known

    def note(self, answer: Answer, took: float | None = None) -> None:
        """Note an answer; `took` is its time, in seconds, if that was measured for a check."""
        self._remembers_since = answer.remembers_since or self._clock()
        if took is not None:
            self._late = took > self._timeout
        if answer.trouble is not None:
            self.watch.note_failure(answer.trouble)
        elif not self._late:
            self.watch.note_success()
        elif took is not None:
            self.watch.note_failure(
                FleetError(
                    f"its answers take {1000 * took:.0f} ms, and a handshake waits for "
                    f"{1000 * self._timeout:.0f} ms, the timeout of this filter"
                )
            )

    def note_failure(self, error: Exception) -> None:
        """Note that an exchange failed."""
        self.watch.note_failure(error)

    def begin_anew(self) -> None:
        """Replace locks, in a forked process."""
        self._counting = Lock()
        self.watch.begin_anew()

    def is_hopeless(self, connected: bool) -> bool:
        """Return whether there will be no answer in time, by what is known."""
        return self._late or (not connected and self.watch.outage is not None)

    def count(self, *, is_answered: bool) -> None:
        """Count a flight."""
        with self._counting:
            self._asked += 1
            self._unanswered += not is_answered

    def note_eviction(self, info: Any) -> None:
        """Note the policy of evictions in an INFO, and report a dangerous one that is new."""
        policy = eviction_policy(info)
        is_new, self._eviction = policy != self._eviction, policy
        if is_new and policy:
            self.watch.report(FleetError(self._eviction_text()))

    def _eviction_text(self) -> str:
        return (
            f"Redis may forget first flights when it is full (maxmemory-policy {self._eviction}), "
            "and would take a replay of one: set it to noeviction"
        )

    def status(self) -> str:
        """Return the state in one line."""
        if self.is_closed:
            return f"Closed{self._counted()}."
        warning = f" {self._eviction_text()}." if self._eviction else ""
        if not self.watch.in_touch:
            return f"{self.watch.outage_text()}: early data are refused{self._counted()}.{warning}"
        return f"In touch with Redis{self._counted()}.{self._young()}{warning}{self.watch.history}"

    def _counted(self) -> str:
        if not self._asked:
            return ""
        flights = f"{self._asked} first flight{'' if self._asked == 1 else 's'}"
        return f"; {flights}, {self._unanswered or 'none'} of them without an answer in time"

    def _young(self) -> str:
        since = self._remembers_since or 0.0
        until = since + REMEMBERED
        if self._clock() >= until:
            return ""
        return (
            f" Early data are refused until {moment(until)}: Redis remembers first flights only "
            f"since {moment(since)}."
        )


class _Filter:
    """The state of a filter, as it tells it."""

    _flights: _Flights

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
        address = address_of(open_client(client_or_url))
        self._flights = _Flights(prefix, timeout, on_error, clock, address)
        self._timeout = timeout
        self._connections = Connections(client_or_url, self._flights, self._flights.marks.memory)
        finalize(self, self._connections.forget).atexit = False

    def is_first(self, token: bytes, ticket_created_at: float) -> bool:
        """Return whether this first flight is new; False if that is unknown.

        `ticket_created_at` is not used: Redis itself knows since when it remembers.
        """
        future = self._connections.ask(token)
        is_first: bool | None = None
        if future is not None:
            try:
                is_first = future.result(self._timeout)
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
        is_url = isinstance(client_or_url, str)
        if not is_url:
            check_asyncio_client(client_or_url)
        address = address_of(open_client(client_or_url) if is_url else client_or_url)
        self._flights = _Flights(prefix, timeout, on_error, clock, address)
        self._timeout = timeout
        self._asks: Connections | _Tasks
        if isinstance(client_or_url, str):
            self._asks = Connections(client_or_url, self._flights, self._flights.marks.memory)
            finalize(self, self._asks.forget).atexit = False
        else:
            self._asks = _Tasks(client_or_url, self._flights, timeout)

    async def is_first(self, token: bytes, ticket_created_at: float) -> bool:
        """Return whether this first flight is new; False if that is unknown."""
        asked = self._asks.ask(token)
        is_first: bool | None = None
        if asked is not None:
            future = asked if isinstance(asked, asyncio.Task) else asyncio.wrap_future(asked)
            # A task goes on after that, so that its connection stays.
            await asyncio.wait([future], timeout=self._timeout)
            if future.done():
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


class _Tasks:
    """Exchanges by a client of `redis.asyncio`, each in a task: no handshake ends one.

    Args:
        client: the client.
        flights: what is known.
        timeout: seconds for which a handshake waits.
    """

    def __init__(self, client: Any, flights: _Flights, timeout: float) -> None:
        self._client = client
        self._flights = flights
        self._timeout = timeout
        self._running: set[asyncio.Task[bool | None]] = set()
        self._next_check = self._next_try = 0.0
        self._late = 0

    def ask(self, token: bytes) -> asyncio.Task[bool | None] | None:
        """Start a task that asks for this token; None if no answer can be expected."""
        if len(self._running) >= MOST:
            return None
        if self._flights.is_hopeless(connected=False):
            self._try_again()
            return None
        return self._start(self._ask(token))

    def _try_again(self) -> None:
        """Ask, now and then, for a flight that nobody sends: the next ones learn from it."""
        now = time.monotonic()
        if not self._running and now >= self._next_try:
            self._next_try = now + _PAUSE
            self._start(self._ask(os.urandom(32)))

    def _start(self, work: Coroutine[Any, Any, bool | None]) -> asyncio.Task[bool | None]:
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def aclose(self) -> None:
        """End the tasks."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _ask(self, token: bytes) -> bool | None:
        began = time.monotonic()
        try:
            # Its own time-outs may be longer, or none.
            async with asyncio.timeout(5 * STEP_TIMEOUT + self._timeout):
                answer = await self._exchange(token)
        except Exception as error:
            self._flights.note_failure(error)
            return None
        took = time.monotonic() - began
        # The first one that is late may have connected.
        self._late = self._late + 1 if took > self._timeout else 0
        self._flights.note(answer, took if self._late != 1 else None)
        if began >= self._next_check:
            self._next_check = began + CHECK_SECONDS
            self._start(self._check())
        return answer.is_first

    async def _check(self) -> None:
        with suppress(Exception):  # The next flight tells what is wrong.
            async with asyncio.timeout(5 * STEP_TIMEOUT):
                self._flights.note_eviction(await self._client.info("memory"))

    async def _exchange(self, token: bytes) -> Answer:
        async with self._client.pipeline(transaction=True) as pipeline:
            self._flights.marks.ask(pipeline, token)
            answer = self._flights.marks.judge(await pipeline.execute())
        if answer.repair is not None:
            await answer.repair(self._client)
        return answer
