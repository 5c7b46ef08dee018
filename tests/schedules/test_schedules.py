"""A few hundred of the schedules, every pair of calls at least twice."""

from __future__ import annotations

import pytest
from tests.pki import Pki
from tests.schedules.schedule import PAIRS, schedule

from handclasp import ClientConfig, ServerConfig

pytestmark = pytest.mark.long

PARTS = 7


@pytest.fixture(scope="module")
def configs() -> tuple[ClientConfig, ServerConfig]:
    pki = Pki()
    return ClientConfig(trust=pki.trust), ServerConfig(credentials=pki.server("localhost"))


@pytest.mark.parametrize("part", range(PARTS))
def test_no_thread_is_stuck(configs: tuple[ClientConfig, ServerConfig], part: int) -> None:
    for number in range(part, 3 * len(PAIRS), PARTS):
        one = schedule(number, seed=14)
        one.run(*configs)
        assert not one.stuck, (number, one.stuck)
        assert not one.failures, (number, one.failures)
