"""A few hundred of the schedules, every pair of calls at least twice."""

from __future__ import annotations

import pytest
from tests.pki import Pki
from tests.schedules.__main__ import KINDS
from tests.schedules.schedule import Kind

pytestmark = pytest.mark.long

PARTS = 7


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param](Pki())


@pytest.mark.parametrize("part", range(PARTS))
def test_no_thread_is_stuck(kind: Kind, part: int) -> None:
    for number in range(part, 3 * len(kind.pairs), PARTS):
        one = kind.schedule(number, seed=14)
        one.run()
        assert not one.stuck, (number, one.stuck)
        assert not one.failures, (number, one.failures)
