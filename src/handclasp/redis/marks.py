"""The memory of first flights in Redis: the commands for a flight, and what their answers mean.

Each flight sets a mark of its own, which lives for 30 seconds. A further name, the memory, tells
since when marks are remembered, and by which process of Redis: after a restart, or when a replica
has taken over, marks may be missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from handclasp.redis.clients import check_prefix, text_of
from handclasp.redis.troubles import FleetError
from handclasp.sessions.replay import FRESHNESS

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

_NO_TTL = -1
"""The answer of PTTL for a name that lives for ever."""

REMEMBERED = _REMEMBERED / 1000
"""Seconds for which a first flight is remembered, and before which a new memory refuses all."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The meaning of what Redis answers about one first flight.

    Attributes:
        is_first: whether it is new, and an earlier one would be remembered.
        repair: a command to send now, by a function of the client; its result may be an awaitable.
        remembers_since: the begin of the memory, in seconds since 1970; None if it begins now.
        trouble: why no answer can be relied on.
    """

    is_first: bool = False
    repair: Callable[[Any], Any] | None = None
    remembers_since: float | None = None
    trouble: FleetError | None = None


def begin_of_memory(left: Any, now: float) -> float | None:
    """Return since when first flights are remembered, from the remaining life of the memory's
    entry.

    None if there is no memory: it begins with the next flight.
    """
    if not isinstance(left, int) or not 0 < left <= _FOREVER:
        return None
    return now - (_FOREVER - left) / 1000


def eviction_policy(memory: Any) -> str:
    """Return the policy by which Redis may evict marks, by its INFO; empty if it evicts none."""
    policy = _field(memory, "maxmemory_policy")
    if policy in ("", "noeviction") or _field(memory, "maxmemory") in ("", "0"):
        return ""
    return policy


class Marks:
    """The commands for one first flight: the same for threads and for asyncio.

    Args:
        prefix: the prefix of all names.
        clock: seconds since 1970, of this server.
    """

    def __init__(self, prefix: str, clock: Callable[[], float]) -> None:
        self.memory = f"{check_prefix(prefix)}:flights"
        self._clock = clock

    def ask(self, pipeline: Any, token: bytes) -> None:
        """Put the commands into a transaction."""
        mark = f"{self.memory}:{token.hex()}"
        pipeline.get(self.memory)
        pipeline.pttl(self.memory)
        # It ends at a time of this server's, and Redis says how far away that is by its own clock.
        # Were that clock set ahead, marks would end too early: as old as they were, and unnoticed.
        pipeline.set(mark, "1", nx=True, pxat=int(1000 * self._clock()) + _REMEMBERED)
        pipeline.pttl(mark)
        pipeline.info("server")

    def judge(self, answers: Any) -> Answer:
        """Return the meaning of the answers to `ask`.

        Raises:
            FleetError: they are not those of Redis.
        """
        if len(answers) != 5 or not isinstance(answers[1], int) or not isinstance(answers[3], int):
            raise FleetError("what answers is no Redis of 6.2 or newer")
        memory, left, was_set, mark_left, server = answers
        run_id = _field(server, "run_id")
        if not run_id:
            raise FleetError("Redis does not tell its run_id, by which a restart is noticed")
        if was_set and not _REMEMBERED - _DIFFER < mark_left < _REMEMBERED + _DIFFER:
            return Answer(repair=self._begin_again, trouble=_clocks_differ(mark_left))
        since = begin_of_memory(left, self._clock())
        if text_of(memory) != run_id or since is None:
            return Answer(repair=lambda client: client.set(self.memory, run_id, px=_FOREVER))
        is_first = bool(was_set) and left <= _FOREVER - _REMEMBERED
        return Answer(is_first, remembers_since=since)

    def _begin_again(self, client: Any) -> Any:
        """Let the memory begin anew at the next flight: what it remembered may have ended.

        That holds when the clocks agree again, too, and nothing else would tell of it then.
        """
        return client.pexpire(self.memory, 0)


def _clocks_differ(mark_left: int) -> FleetError:
    if mark_left == _NO_TTL:
        return FleetError("Redis remembers a flight for ever, though it was given an end")
    difference = abs(mark_left - _REMEMBERED) / 1000
    # A mark that is over already is gone, and does not tell for how long.
    seconds = f"{difference:.0f}" if mark_left >= 0 else f"at least {_REMEMBERED // 1000}"
    return FleetError(
        f"its clock and that of this server differ by {seconds} seconds, and {_DIFFER // 1000} or "
        "more are too many for early data"
    )


def _field(info: Any, name: str) -> str:
    """Return a value of an INFO as text; empty if it is not there."""
    if not isinstance(info, Mapping):
        return ""
    value = cast("Mapping[str, object]", info).get(name, "")
    return str(value)[:64]
