"""What holds for every test."""

from __future__ import annotations

import gc


def pytest_collection_finish() -> None:
    """Leave the thousands of tests out of later collections.

    Tests that look for leaks collect garbage, and each look at all that was collected here would
    take a second.
    """
    gc.collect()
    gc.freeze()
