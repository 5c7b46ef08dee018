"""Exchanges with Redis by a client of `redis.asyncio`, which has no threads in the background."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from handclasp.redis.clients import STEP_TIMEOUT
from handclasp.redis.connections import CHECK_SECONDS, FIRST_PAUSE, LONGEST_PAUSE, MOST
from handclasp.redis.flights import TRIES, Flights
from handclasp.redis.marks import Answer


class Tasks:
    """Exchanges by a client of `redis.asyncio`, each in a task: no handshake ends one.

    While there will be no answer in time, flights are not asked for. One task then tries again and
    again until Redis can be used.

    Args:
        client: the client.
        flights: what is known.
        timeout: seconds for which a handshake waits.
    """

    def __init__(self, client: Any, flights: Flights, timeout: float) -> None:
        self._client = client
        self._flights = flights
        self._timeout = timeout
        self._running: set[asyncio.Task[bool | None]] = set()
        self._retrying: asyncio.Task[bool | None] | None = None
        self._next_check = 0.0
        self._late = 0
        self._is_answered = False

    def ask(self, token: bytes) -> asyncio.Task[bool | None] | None:
        """Start a task that asks for this token; None if no answer can be expected."""
        if self._is_hopeless():
            self._retry()  # It may have ended with another loop.
            return None
        if len(self._running) >= MOST:
            return None
        return self._start(self._ask(token))

    def _is_hopeless(self) -> bool:
        return self._flights.is_hopeless(self._is_answered)

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
        answer = await self._exchange(token)
        if answer is None:
            self._retry()
            return None
        took = time.monotonic() - began
        # The first one that is late may have connected.
        self._late = self._late + 1 if took > self._timeout else 0
        self._flights.note(answer, took if self._late != 1 else None)
        if self._is_hopeless():
            self._retry()
        if began >= self._next_check:
            self._next_check = began + CHECK_SECONDS
            self._start(self._check())
        return answer.is_first

    async def _check(self) -> None:
        with suppress(Exception):  # The next flight tells what is wrong.
            async with asyncio.timeout(5 * STEP_TIMEOUT):
                self._flights.note_eviction(await self._client.info("memory"))

    async def _exchange(self, token: bytes) -> Answer | None:
        """Return the answer for a token; None if there is none, which is noted."""
        try:
            # The client's own time-outs may be longer, or none.
            async with asyncio.timeout(5 * STEP_TIMEOUT + self._timeout):
                async with self._client.pipeline(transaction=True) as pipeline:
                    self._flights.marks.ask(pipeline, token)
                    answer = self._flights.marks.judge(await pipeline.execute())
                if answer.repair is not None:
                    await answer.repair(self._client)
        except Exception as error:
            self._is_answered = False
            self._flights.note_failure(error)
            return None
        self._is_answered = True
        return answer

    # While there is no answer in time

    def _retry(self) -> None:
        """Have one task try until Redis can be used, unless there is one."""
        if self._retrying is None or self._retrying.done():
            self._retrying = self._start(self._try_until_usable())

    async def _try_until_usable(self) -> None:
        pause = FIRST_PAUSE
        while not self._flights.is_closed:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            for _ in range(TRIES):
                began = time.monotonic()
                answer = await self._exchange(os.urandom(32))
                if answer is None:
                    break
                self._flights.note(answer, time.monotonic() - began)
                if not self._is_hopeless():
                    self._late = 0
                    return
