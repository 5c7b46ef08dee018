"""Databases of NSS, in which both browsers keep the authorities that their user trusts."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.required import need_tool


def trust_database(directory: Path, ca: Path | None) -> None:
    """Make `directory` a database that trusts the authority in the file `ca` for servers."""
    certutil, database = need_tool("certutil"), f"sql:{directory}"
    directory.mkdir(parents=True)
    _run(certutil, "-N", "-d", database, "--empty-password")
    if ca is not None:
        _run(certutil, "-A", "-d", database, "-n", "authority", "-t", "C,,", "-i", str(ca))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=30)
