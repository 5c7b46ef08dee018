"""The bound on instructions: a regression fails, a little more or less does not."""

from __future__ import annotations

import json

import pytest
from bench.instructions import ACTIONS, BOUND, RECORDED, compare


@pytest.mark.parametrize(("factor", "status"), [(0.5, 0), (1.0, 0), (BOUND, 0), (BOUND + 0.01, 1)])
def test_too_many_fail(factor: float, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    recorded = dict.fromkeys(ACTIONS, 1_000_000)
    counts = {**recorded, "read_1mb": int(1_000_000 * factor)}
    assert compare("pure Python", counts, recorded) == status
    assert ("times as many" in capsys.readouterr().out) is bool(status)


def test_every_action_is_recorded() -> None:
    recorded = json.loads(RECORDED.read_text())
    assert set(recorded) == {"pure Python", "records in C"}
    assert all(set(counts) == set(ACTIONS) for counts in recorded.values())
