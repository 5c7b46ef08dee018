"""The programs among the tests: asked for help, they print it, and do nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
NAMED = (
    "tests.adapters.promises",
    "tests.adversarial.key_transport_timing",
    "tests.compat.trio_suite",
    "tests.release.man_page",
    "tests.release.pythons",
)
PROGRAMS = sorted({*NAMED, *(f"tests.{each.parent.name}" for each in TESTS.glob("*/__main__.py"))})


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_is_printed(program: str) -> None:
    command = [sys.executable, "-m", program, "--help"]
    done = subprocess.run(command, cwd=TESTS.parent, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("usage: ")
    assert (done.returncode, done.stderr) == (0, "")
