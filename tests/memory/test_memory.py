"""What `make memory` measures: it sees a small leak, and no reserve of the allocator."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.memory import __main__ as memory
from tests.memory.strangers import Kind, Scene

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="resident memory is read as Linux tells it"
)

STRANGERS = 5_000


def status_of(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> int:
    """What becomes of `make memory` with strangers of this kind alone."""
    monkeypatch.setattr(memory, "KINDS", {"a kind": kind})
    monkeypatch.setattr(memory, "VERSIONS", ("TLSv1.3",))
    return memory.main(["--strangers", str(STRANGERS)])


def test_two_kilobytes_that_each_stranger_leaves_are_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left: list[bytes] = []

    def leaving(scene: Scene, version: str, number: int) -> None:
        left.append(bytes(2_000))

    assert status_of(leaving, monkeypatch) == 1


def test_what_is_given_back_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last stranger has 20 MB in use for a while, and leaves 100 KB at their end."""
    left: list[bytes] = []

    def borrowing(scene: Scene, version: str, number: int) -> None:
        if number == memory.WARM + STRANGERS - 1:
            used = [b"x" * 100_000 for _ in range(200)]
            left.append(used.pop())

    assert status_of(borrowing, monkeypatch) == 0
