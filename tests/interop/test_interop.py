"""Every cell of the matrix as a test: handclasp against each peer, in both roles.

A peer that is not installed is a skip with the reason, or a failure where HANDCLASP_REQUIRE_PEERS
is 1. What a peer lacks is a skip with the reason: `matrix.py` shows the same cells as a table.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from .matrix import Cell, cells, run
from .peers.features import FAST
from .peers.registry import LOCAL
from .scenarios import Scenarios

_REQUIRED = os.environ.get("HANDCLASP_REQUIRE_PEERS") == "1"


def _parameters() -> Iterator[object]:
    for cell in cells():
        marks = [pytest.mark.interop]
        if cell.feature in FAST & cell.peer.fast_features:
            marks.append(pytest.mark.fast)
        name = f"{cell.peer.name}-{cell.role}-{cell.feature}"
        yield pytest.param(cell, marks=marks, id=name)


@pytest.mark.parametrize("cell", list(_parameters()))
def test_conversation(cell: Cell, scenarios: Scenarios) -> None:
    if (reason := cell.peer.unavailable()) is not None:
        if _REQUIRED and not cell.peer.is_optional:
            pytest.fail(f"{cell.peer.title} is required: {reason}")
        pytest.skip(reason)
    if (reason := cell.lacking(LOCAL)) is not None:
        pytest.skip(f"{cell.peer.title} lacks it: {reason}")
    run(cell, LOCAL, scenarios)
