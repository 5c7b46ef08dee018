"""The exchanges with Redis about first flights, and what a filter knows of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from threading import Lock
from typing import Any

from handclasp.redis.clients import Place, check_on_error, check_seconds
from handclasp.redis.marks import REMEMBERED, Answer, Marks, eviction_policy
from handclasp.redis.troubles import FleetError
from handclasp.redis.watch import Watch, moment
from handclasp.synchronous import check_clock

TRIES = 3
"""Round trips of a check, of which one must be in time: any single one may be late."""


class Flights:
    """The exchanges about first flights, and what is known of them.

    Args:
        prefix, timeout, on_error, clock: as for `RedisReplayFilter`.
        place: where Redis is.
    """

    def __init__(
        self,
        prefix: str,
        timeout: float,
        on_error: Callable[[FleetError], object] | None,
        clock: Callable[[], float],
        place: Place,
    ) -> None:
        check_seconds(timeout=timeout)
        check_on_error(on_error)
        check_clock(clock)
        self.marks = Marks(prefix, clock)
        self.watch = Watch(clock, on_error, place)
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
            if took <= self._timeout or tries == TRIES:
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
