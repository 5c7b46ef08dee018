"""A row of the table, and how it is measured."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

MIN_ROUNDS = 30
"""Measurements in each row, at least, of this library and of what it is compared with."""
FEW_ROUNDS = 5
"""Measurements of another stack that takes `SLOW` times as long as any of these."""
SLOW = 3

IN_A_ROW = 5
"""Measurements of a stack one after the other, in each round."""

COMPARED = ("ssl",)
"""The stacks with which this library is compared, unless others are named."""

Clock = Callable[[], float]
Prepare = Callable[[], Any]
Run = Callable[[Any], object]


class Timed(Protocol):
    """The action of one stack in a row, and the part that is measured."""

    def seconds(self, clock: Clock) -> float:
        """Do it once, and tell how long it took."""
        ...


def nothing() -> None:
    """Prepare nothing, as for most actions."""


@dataclass(frozen=True, slots=True)
class Action:
    """Work all of which counts. `prepare` does not; what it gives is handed to `run`."""

    run: Run
    prepare: Prepare = nothing

    def seconds(self, clock: Clock) -> float:
        given = self.prepare()
        started = clock()
        self.run(given)
        return clock() - started


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        section, name: where it stands, and what is done.
        actions: by the stack's name; "handclasp" is what is compared with others.
        floor: the bare primitive calls that nothing can do without, if there is such a thing.
        targets: how many times as fast as another stack this should be, where that was set.
        in_this_thread: whether all work is done here, so that its processor time can be taken:
            other load on the machine then counts for nothing.
        in_a_row: how often a stack has its turn before the next one: in use, the processor's caches
            hold what one of them needs, and not what all of them do.
    """

    section: str
    name: str
    actions: Mapping[str, Timed]
    floor: Action | None = None
    targets: Mapping[str, float] = field(default_factory=dict[str, float])
    in_this_thread: bool = False
    in_a_row: int = IN_A_ROW


@dataclass(frozen=True, slots=True)
class Measured:
    """The results of a row, in microseconds by stack, including "floor".

    Attributes:
        compared: the stacks that this library is compared with.
    """

    section: str
    name: str
    median: Mapping[str, float]
    best: Mapping[str, float]
    targets: Mapping[str, float] = field(default_factory=dict[str, float])
    unit: str = "us"
    more_is_better: bool = False
    rounds: int = 0
    compared: Sequence[str] = COMPARED

    @property
    def ratio(self) -> float | None:
        """Return the ratio of this library to `ssl`."""
        return self.ratio_to("ssl")

    def ratio_to(self, stack: str) -> float | None:
        """Return the time of a stack over that of handclasp: above 1, handclasp is faster."""
        own, other = self.median.get("handclasp"), self.median.get(stack)
        if not own or not other:
            return None
        return own / other if self.more_is_better else other / own

    def to_json(self) -> dict[str, Any]:
        """Return one object of `handclasp bench --json`."""
        return {
            "section": self.section,
            "name": self.name,
            "unit": self.unit,
            "median": {name: round(value, 3) for name, value in self.median.items()},
            "best": {name: round(value, 3) for name, value in self.best.items()},
            "ratios": {
                stack: round(ratio, 3)
                for stack in self.compared
                if (ratio := self.ratio_to(stack)) is not None
            },
            "targets": dict(self.targets),
            "rounds": self.rounds,
        }


def measure(row: Row, rounds: int, seconds: float, compared: Sequence[str] = COMPARED) -> Measured:
    """Every stack a few times each round, the next one first each time.

    Args:
        rounds: how many rounds there are to be.
        seconds: for the whole row; what is slow gets fewer rounds, `MIN_ROUNDS` at least. A stack
            that is slow beside the others comes after them: it would take their caches away.
        compared: the stacks that this library is compared with.
    """
    actions = dict(row.actions)
    if row.floor is not None:
        actions["floor"] = row.floor
    clock = time.thread_time if row.in_this_thread else time.perf_counter
    # What is imported and cached once is no part of it.
    first = {name: min(each.seconds(clock) for _ in range(3)) for name, each in actions.items()}
    limit = SLOW * max(took for name, took in first.items() if name in ("handclasp", *compared))
    order = [name for name in actions if first[name] <= limit]
    slow = [name for name in actions if name not in order]
    times: dict[str, list[float]] = {name: [] for name in actions}
    deadline = time.perf_counter() + seconds
    gc.collect()
    done = 0
    while done < rounds and (done < MIN_ROUNDS or time.perf_counter() < deadline):
        for name in order:
            times[name] += [actions[name].seconds(clock) * 1e6 for _ in range(row.in_a_row)]
        order.append(order.pop(0))
        done += 1
    for name in slow:
        times[name] = [actions[name].seconds(clock) * 1e6 for _ in range(FEW_ROUNDS)]
    return Measured(
        row.section,
        row.name,
        {name: statistics.median(values) for name, values in times.items()},
        {name: min(values) for name, values in times.items()},
        row.targets,
        rounds=done * row.in_a_row,
        compared=compared,
    )
