"""A row of the table, and how it is measured."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

Action = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Row:
    """What handclasp does, and what does the same for comparison.

    Attributes:
        name: what is done.
        ours: handclasp's way.
        other: whose the other way is ("ssl").
        theirs: the other way.
    """

    name: str
    ours: Action
    other: str
    theirs: Action


def compare(row: Row, rounds: int) -> dict[str, float]:
    """Both in turn, so that a drift of the machine meets both alike.

    Gives the two medians in microseconds, and as "ratio" the other's over ours.
    """
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for action, collected in zip((row.ours, row.theirs), times, strict=True):
            started = time.perf_counter()
            action()
            collected.append((time.perf_counter() - started) * 1e6)
    own, other = statistics.median(times[0]), statistics.median(times[1])
    return {"handclasp_us": own, f"{row.other}_us": other, "ratio": other / own}
