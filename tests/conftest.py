"""What holds for every test."""

from __future__ import annotations

import gc

import pytest
from hypothesis import HealthCheck, settings

# How long drawing takes says more about a busy machine than about the strategy.
settings.register_profile("any machine", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse names that differ from process to process: those that share the tests compare them."""
    unstable = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if unstable:
        raise pytest.UsageError(f"The name of a test holds an address: {unstable[0]}")


def pytest_collection_finish() -> None:
    """Leave the thousands of tests out of later collections.

    Tests that look for leaks collect garbage, and each look at all that was collected here would
    take a second.
    """
    gc.collect()
    gc.freeze()
