"""Nothing is left of strangers who were refused, and little of those who were not.

The same with 5,000 of each kind, measured as resident memory, is `make memory`.
"""

from __future__ import annotations

import gc
import tracemalloc

import pytest
from tests.memory.strangers import KINDS, VERSIONS, Scene

STRANGERS = 60
ALLOWANCE = 2**20
"""Bytes: of refused ones alone, 6 MB came by."""


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", KINDS)
def test_memory_after_strangers(scene: Scene, name: str, version: str) -> None:
    kind = KINDS[name]
    for number in range(3):
        kind(scene, version, number)  # What is imported late, and made once, is there now.
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(3, STRANGERS):
            kind(scene, version, number)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < ALLOWANCE
