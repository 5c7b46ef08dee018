"""The programs that most people have, on handclasp: the part of `make programs` that CI runs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from tests.required import lacking

ROOT = Path(__file__).parents[2]
PYTHON = Path(os.environ.get("PROGRAMS", ROOT / ".peers" / "programs")) / "bin" / "python"


@pytest.mark.interop
@pytest.mark.fast
@pytest.mark.parametrize(
    "name",
    ["requests", "httpx", "httpx, asyncio", "aiohttp, client", "aiohttp, server", "uvicorn"],
)
def test_a_program_works_and_refuses(name: str) -> None:
    if not PYTHON.exists():
        lacking("the programs are not installed (make programs)")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
        "HANDCLASP_REQUIRE_PEERS": "1",
    }
    made = subprocess.run(
        [PYTHON, "-m", "tests.programs", "--verbose", name],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    assert made.stdout.count(" works") == 3, made.stdout
