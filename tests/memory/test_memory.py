"""What `make memory` measures: it sees a small leak, and no reserve of the allocator.

Each in a process of its own: the heap of a whole test run has room for a leak.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.memory import __main__ as memory
from tests.memory.strangers import Scene

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="resident memory is read as Linux tells it"
)

STRANGERS = 5_000
ROOT = Path(__file__).parents[2]
left: list[bytes] = []


def leaving(scene: Scene, version: str, number: int) -> None:
    """Each stranger leaves 2 KB."""
    left.append(bytes(2_000))


def borrowing(scene: Scene, version: str, number: int) -> None:
    """The last stranger has 20 MB in use for a while, and leaves 100 KB at their end."""
    if number == memory.WARM + STRANGERS - 1:
        used = [b"x" * 100_000 for _ in range(200)]
        left.append(used.pop())


def status_of(kind: str) -> int:
    """What becomes of `make memory` with strangers of this kind alone."""
    program = f"""
import sys
from tests.memory import __main__ as memory, test_memory

memory.KINDS = {{"a kind": test_memory.{kind}}}
memory.VERSIONS = ("TLSv1.3",)
sys.exit(memory.main(["--strangers", "{STRANGERS}"]))
"""
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode


def test_two_kilobytes_that_each_stranger_leaves_are_noticed() -> None:
    assert status_of("leaving") == 1


def test_what_is_given_back_is_not_counted() -> None:
    assert status_of("borrowing") == 0
