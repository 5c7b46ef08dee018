"""README's first example: what the failure of a program says, without handclasp and with it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.children import child
from tests.programs.test_programs import PYTHON, ROOT
from tests.required import lacking

README = (ROOT / "README.md").read_text("utf-8")
PROGRAM = next(
    block for block in re.findall(r"```python\n(.*?)```", README, re.S) if "get(" in block
)
WITHOUT, WITH = [
    block.splitlines()
    for block in re.findall(r"```text\n(.*?)```", README, re.S)
    if "SSLCertVerificationError" in block
]


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """The server that README names, on a free port."""
    command = re.search(r"`handclasp (serve --fault [a-z-]+ --port) 8443`", README)
    assert command is not None
    arguments = [sys.executable, "-m", "handclasp", *command[1].split(), "0"]
    with child(arguments, tmp_path) as server:
        yield int(server.wait_for(r"^Listening on https://localhost:(\d+)/")[1])


@pytest.mark.interop
@pytest.mark.fast
@pytest.mark.parametrize("injects", [False, True], ids=["without", "with"])
def test_the_failure_of_a_program(port: int, tmp_path: Path, injects: bool) -> None:
    if not PYTHON.exists():
        lacking("the programs are not installed (make programs)")
    lines = PROGRAM.replace("8443", str(port)).splitlines(keepends=True)
    text = "".join([line for line in lines if injects or "handclasp" not in line])
    (tmp_path / "fetch.py").write_text(text)
    made = subprocess.run(
        [PYTHON, tmp_path / "fetch.py"],
        env={
            **{name: value for name, value in os.environ.items() if "CA_BUNDLE" not in name},
            "PYTHONPATH": str(ROOT / "src"),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    told = re.sub(r"_ssl.c:\d+", "_ssl.c:1006", made.stderr).splitlines()
    for line in WITH if injects else WITHOUT:
        assert line in told
    assert "requests.exceptions.SSLError" in made.stderr
