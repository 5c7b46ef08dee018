"""A row of the table, and how it is measured."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

MIN_ROUNDS = 30
"""Measurements of each stack in each row, at least."""

Prepare = Callable[[], Any]
Run = Callable[[Any], object]


def nothing() -> None:
    """What most actions need to have prepared."""


@dataclass(frozen=True, slots=True)
class Action:
    """What one stack does in a row. `prepare` is not timed; what it gives is handed to `run`."""

    run: Run
    prepare: Prepare = nothing


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        section, name: where it stands, and what is done.
        actions: by the stack's name; "handclasp" and "ssl" are compared.
        floor: the bare primitive calls that nothing can do without, if there is such a thing.
        target: how many times as fast as `ssl` this should be, where a target was set.
        in_this_thread: whether all work is done here, so that its processor time can be taken:
            other load on the machine then counts for nothing.
    """

    section: str
    name: str
    actions: Mapping[str, Action]
    floor: Action | None = None
    target: float | None = None
    in_this_thread: bool = False


@dataclass(frozen=True, slots=True)
class Measured:
    """What came out for a row, in microseconds by stack; "floor" is among them.

    `ratio` is the time of `ssl` over that of handclasp: above 1, handclasp is faster.
    """

    section: str
    name: str
    median: Mapping[str, float]
    best: Mapping[str, float]
    target: float | None = None
    unit: str = "us"
    more_is_better: bool = False
    rounds: int = 0
    notes: tuple[str, ...] = field(default=())

    @property
    def ratio(self) -> float | None:
        own, other = self.median.get("handclasp"), self.median.get("ssl")
        if not own or not other:
            return None
        return own / other if self.more_is_better else other / own

    def to_json(self) -> dict[str, Any]:
        """As one object of `handclasp bench --json`."""
        return {
            "section": self.section,
            "name": self.name,
            "unit": self.unit,
            "median": {name: round(value, 3) for name, value in self.median.items()},
            "best": {name: round(value, 3) for name, value in self.best.items()},
            "ratio": None if self.ratio is None else round(self.ratio, 3),
            "target": self.target,
            "rounds": self.rounds,
        }


def measure(row: Row, rounds: int, seconds: float) -> Measured:
    """Every stack once a round, the next one first each time.

    Args:
        rounds: how many rounds there are to be.
        seconds: for the whole row; what is slow gets fewer rounds, `MIN_ROUNDS` at least.
    """
    actions = dict(row.actions)
    if row.floor is not None:
        actions["floor"] = row.floor
    times: dict[str, list[float]] = {name: [] for name in actions}
    order = list(actions)
    for name in order:  # What is imported and cached once is no part of it.
        for _ in range(3):
            actions[name].run(actions[name].prepare())
    clock = time.thread_time if row.in_this_thread else time.perf_counter
    deadline = time.perf_counter() + seconds
    gc.collect()
    done = 0
    while done < rounds and (done < MIN_ROUNDS or time.perf_counter() < deadline):
        for name in order:
            action = actions[name]
            given = action.prepare()
            started = clock()
            action.run(given)
            times[name].append((clock() - started) * 1e6)
        order.append(order.pop(0))
        done += 1
    return Measured(
        row.section,
        row.name,
        {name: statistics.median(values) for name, values in times.items()},
        {name: min(values) for name, values in times.items()},
        row.target,
        rounds=done,
    )
