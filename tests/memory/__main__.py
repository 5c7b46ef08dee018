"""`python -m tests.memory --strangers 5000`: resident memory after strangers of each kind.

In both versions. Makes the status 1 where it grew by more than 5 MiB. Words on the command line
choose kinds by what they have in their name.

Before each measurement, what the allocator holds in reserve goes back to the system. The reserve is
some 12 MiB after certificates of 100 KB, and came and went by 6 MiB whatever was kept.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.memory.strangers import KINDS, VERSIONS, Scene

WARM = 300
"""Strangers after which everything is imported, and the bounded memories are in use."""

MOST_KIB = 5 * 1024


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.memory")
    parser.add_argument("words", nargs="*")
    parser.add_argument("--strangers", type=int, default=5_000)
    options = parser.parse_args(arguments)
    scene, leaking = Scene(), 0
    for name, kind in KINDS.items():
        if not all(word in name for word in options.words):
            continue
        for version in VERSIONS:
            for number in range(WARM):
                kind(scene, version, number)
            before = resident_kib()
            for number in range(WARM, WARM + options.strangers):
                kind(scene, version, number)
            grown = resident_kib() - before
            leaking += grown > MOST_KIB
            print(f"{name}, {version}: {before} KiB, then {grown:+} KiB", flush=True)
    return 1 if leaking else 0


def resident_kib() -> int:
    """Resident memory of this process without garbage, and without what nobody uses."""
    gc.collect()
    return_reserve()
    status = Path("/proc/self/status").read_text("ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1])


def return_reserve() -> None:
    """Have the C library's allocator give back what it keeps for later, where it can (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


if __name__ == "__main__":
    sys.exit(main())
