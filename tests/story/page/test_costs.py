"""What it cost: the sums are those of the trace, and bars are as long as times."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.recorded import Recorded

from handclasp.story.page.costs import WIDTH, costs_of
from handclasp.trace.events import (
    RecordSeen,
    WorkDone,
)


def test_the_sums_are_those_of_the_trace(with_secrets: Recorded) -> None:
    events = with_secrets.client.events
    costs = costs_of(events)
    assert costs is not None
    work = [event.elapsed_ns for event in events if isinstance(event, WorkDone)]
    sealed = [e for e in events if isinstance(e, RecordSeen) and e.epoch != "plaintext"]
    assert costs.public_ns == sum(work)
    assert costs.symmetric_ns == sum(event.work_ns for event in sealed)
    assert costs.records == len(sealed)
    assert costs.content == sum(event.content_size or 0 for event in sealed)
    assert [bar.elapsed_ns for bar in costs.bars] == [*work, costs.symmetric_ns]
    assert [bar.public for bar in costs.bars] == [True] * len(work) + [False]


@given(
    st.lists(st.integers(1, 10**11), min_size=1, max_size=8),
    st.integers(1, 10**10),
)
def test_bars_are_as_long_as_their_times_are_on_the_scale(work: list[int], record: int) -> None:
    costs = costs_of(
        [
            *(WorkDone(0, "sign", "ed25519", elapsed) for elapsed in work),
            RecordSeen(0, "sent", "application", 23, 50, 30, record),
        ]
    )
    assert costs is not None
    assert all(0 < bar.width <= WIDTH + 0.1 for bar in costs.bars)
    by_time = sorted(costs.bars, key=lambda bar: bar.elapsed_ns)
    widths = [bar.width for bar in by_time]
    assert widths == sorted(widths)
    assert costs.grid[0].x == 0
    assert costs.grid[-1].x == pytest.approx(WIDTH, abs=0.1)


def test_ten_times_as_long_is_one_line_further() -> None:
    work = [WorkDone(0, "sign", "x", 10_000), WorkDone(0, "sign", "x", 1_000_000)]
    record = RecordSeen(0, "sent", "application", 23, 50, 30, 1_000)
    costs = costs_of([*work, record])
    assert costs is not None
    assert [line.label for line in costs.grid] == ["1 µs", "10 µs", "100 µs", "1 ms"]
    assert costs.bars[0].width == costs.grid[1].x
    assert costs.bars[1].width == costs.grid[3].x
    assert costs.times == 1_010


def test_a_part_that_was_not_measured_gives_no_plot() -> None:
    record = RecordSeen(0, "sent", "application", 23, 50, 30, 1_000)
    assert costs_of([record]) is None
    assert costs_of([WorkDone(0, "sign", "x", 5)]) is None
    assert (
        costs_of([WorkDone(0, "sign", "x", 5), RecordSeen(0, "sent", "plaintext", 22, 9)]) is None
    )
