"""Protection against replays of early data: a memory of first flights (RFC 9846 section 8.2)."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from itertools import pairwise
from threading import Lock
from typing import Any, Protocol

from handclasp.errors import ConfigurationError
from handclasp.process import this_process
from handclasp.synchronous import check_clock

FRESHNESS = 10.0
"""Seconds by which a client's account of its ticket's age may differ from the server's."""

_REMEMBERED = 3 * FRESHNESS

_MOST_SPANS = 8
"""Times between which flights were forgotten: one, and another for each time the clock was set."""


class ReplayGuard(Protocol):
    """A memory of first flights: `ReplayFilter`, or the filter of a fleet (`handclasp.redis`).

    A guard may have an attribute `waits_in`: "thread", "asyncio" or "trio". The servers of another
    kind then refuse the config. Servers on blocking sockets also refuse an async `is_first`.

    >>> class TakeNone:
    ...     def is_first(self, token, ticket_created_at):
    ...         return False  # A memory of one's own says whether it has seen the token.
    >>> config = ServerConfig(
    ...     credentials=Credentials.load("chain.pem", "key.pem"),
    ...     max_early_data=16384,
    ...     replay_guard=TakeNone(),
    ... )
    """

    def is_first(self, token: bytes, ticket_created_at: float) -> Any:
        """Return whether these 32 bytes, which identify a first flight, are seen for the first
        time.

        True, or an awaitable of it, accepts the early data, and DEFER announces an answer to the
        `CheckReplay` question. Any other result and any exception refuse them, and the handshake
        continues without. `ticket_created_at` is in seconds since 1970.
        """
        ...


class ReplayFilter:
    """A memory of the first flights that this process has seen. Safe for threads.

    Flights older than twice `FRESHNESS` need not be remembered, since they are not fresh; they are
    kept for three times as long, in case the clock is set. If it is set back to a time of forgotten
    flights, early data are refused until it has passed that time by as much. A ticket that is older
    than this filter may have been used before: its early data are refused. A forked process refuses
    all early data, since it does not know the flights of its parent and its siblings
    (`handclasp.redis` has a filter for all of them).

    >>> config = ServerConfig(
    ...     credentials=Credentials.load("chain.pem", "key.pem"),
    ...     max_early_data=16384,
    ...     replay_guard=ReplayFilter(capacity=10_000),
    ... )

    Args:
        capacity: flights to remember; beyond that, early data are refused for a while.
        clock: seconds since 1970.
        remembers_from: the age of this filter, in seconds since 1970; None: it begins now. 0 is
            right only where the ticket keys are made together with the filter, as in `TicketKeys`.

    Raises:
        ConfigurationError: a capacity that is no whole number from 1 on, a clock that cannot be
            called, or a time that is no number of seconds since 1970.
    """

    def __init__(
        self,
        capacity: int = 100_000,
        *,
        clock: Callable[[], float] = time.time,
        remembers_from: float | None = None,
    ) -> None:
        if type(capacity) is not int or capacity < 1:
            raise ConfigurationError(
                "The capacity of a replay filter is a whole number of first flights from 1 on."
            )
        check_clock(clock)
        if remembers_from is not None and not _is_time(remembers_from):
            raise ConfigurationError(
                "remembers_from must be seconds since 1970, as of time.time(), or None for now."
            )
        self._capacity = capacity
        self._clock = clock
        self._started_at = clock() if remembers_from is None else remembers_from
        self._process = this_process()
        self._seen: OrderedDict[bytes, float] = OrderedDict()
        self._forgotten: list[tuple[float, float]] = []
        self._lock = Lock()
        self._guard: ReplayGuard | None = None
        self._guards_differ = False

    @property
    def belongs_to_keys(self) -> bool:
        """Whether it was made together with ticket keys, and so never chosen by anybody."""
        return self._started_at == 0.0

    def is_first(self, token: bytes, ticket_created_at: float) -> bool:
        """Return whether this first flight is new; False as well if that is unknown."""
        now = self._clock()
        if ticket_created_at < self._started_at or this_process() != self._process:
            return False
        with self._lock:
            while self._seen:
                oldest, at = next(iter(self._seen.items()))
                # One from the future is of a time when the clock was ahead, and not fresh either.
                if abs(now - at) < _REMEMBERED:
                    break
                del self._seen[oldest]
                self._note_forgotten(at)
            if token in self._seen or len(self._seen) >= self._capacity:
                return False
            if any(
                first - _REMEMBERED < now < last + _REMEMBERED for first, last in self._forgotten
            ):
                return False  # The clock was set back: what was forgotten may be fresh again.
            self._seen[token] = now
            return True

    def _note_forgotten(self, at: float) -> None:
        """Add a time to the spans, of which those with the least between them become one."""
        spans = sorted([*self._forgotten, (at, at)])
        if len(spans) > 1:
            gaps = [later[0] - earlier[1] for earlier, later in pairwise(spans)]
            least = min(gaps)
            if least < _REMEMBERED or len(spans) > _MOST_SPANS:
                place = gaps.index(least)
                earlier, later = spans[place : place + 2]
                spans[place : place + 2] = [(earlier[0], max(earlier[1], later[1]))]
        self._forgotten = spans

    def add_guard(self, guard: ReplayGuard) -> None:
        """Note that some config asks `guard` about flights that this filter is asked about, too."""
        if self._guard is None:
            self._guard = guard
        elif self._guard is not guard:
            self._guards_differ = True

    def confirms(self, guard: ReplayGuard | None, token: bytes, ticket_created_at: float) -> bool:
        """Return whether a flight that another guard has just called new is new here as well.

        In a forked process this filter does not know. The guard's answer then counts, unless it is
        also a filter of one process, or a config has another guard.
        """
        if this_process() != self._process:
            is_alone = guard is self._guard and not self._guards_differ
            return is_alone and not isinstance(guard, ReplayFilter)
        return self.is_first(token, ticket_created_at)

    def __len__(self) -> int:
        return len(self._seen)


def _is_time(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return 0 <= value < math.inf
