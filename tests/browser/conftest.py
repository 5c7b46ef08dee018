"""A fresh authority, and the demo as a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.children import Child, child

import handclasp
from handclasp.certificates.authority import LocalAuthority

SOURCE = str(Path(handclasp.__file__).resolve().parent.parent)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where the authority is; the user's own is never touched."""
    return tmp_path / "authority"


@pytest.fixture
def authority(home: Path) -> LocalAuthority:
    return LocalAuthority.open_or_create(home)


@pytest.fixture
def ca(home: Path, authority: LocalAuthority) -> Path:
    """The file with the authority's certificate."""
    return home / "ca.pem"


@dataclass(frozen=True)
class Demo:
    """`handclasp demo`, up and waiting for a browser."""

    process: Child
    url: str

    def visits(self) -> list[str]:
        """What it told of connections so far."""
        return [line for line in self.process.printed().splitlines() if line.startswith("A visit")]


@pytest.fixture
def demo(home: Path, authority: LocalAuthority, tmp_path: Path) -> Iterator[Demo]:
    env = {"HANDCLASP_HOME": str(home), "PYTHONPATH": SOURCE, "PYTHONWARNINGS": "error"}
    command = [sys.executable, "-m", "handclasp", "demo", "--no-browser", "--port", "0"]
    with child(command, tmp_path, env=env) as process:
        url = process.wait_for(r"^Listening on (https://localhost:\d+/)$")[1]
        process.wait_for("Ctrl-C ends it")
        yield Demo(process, url)
