"""What came out, as a table for a terminal, as Markdown, and as JSON."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from handclasp.cli.benchmarks.measure import Measured
from handclasp.cli.benchmarks.stacks import Stack

TITLES = {
    "handshakes": "Handshakes, both ends in memory",
    "records": "Records, in memory, per side",
    "streams": "Over sockets",
    "start": "To be ready",
    "memory": "Memory",
    "servers": "Servers and threads",
}


def about(stacks: Sequence[Stack]) -> dict[str, Any]:
    """The machine and the versions: what a figure means nothing without."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {stack.name: stack.version for stack in stacks},
        "cryptography": _openssl_of_cryptography(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }


def to_json(measured: Sequence[Measured], stacks: Sequence[Stack]) -> dict[str, Any]:
    """The whole run as one object."""
    return {"about": about(stacks), "rows": [each.to_json() for each in measured]}


def to_markdown(measured: Sequence[Measured], stacks: Sequence[Stack]) -> str:
    """The tables of the run, a section each."""
    lines: list[str] = []
    for section, group in groupby(measured, key=lambda each: each.section):
        rows = list(group)
        names = [stack.name for stack in stacks if any(stack.name in row.median for row in rows)]
        head = ["", *names, *(["floor"] if any("floor" in row.median for row in rows) else [])]
        lines += ["", f"### {TITLES[section]}", ""]
        lines.append(f"| {' | '.join([*head, 'x ssl', 'target'])} |")
        lines.append(f"|---|{'---:|' * (len(head) + 1)}")
        for row in rows:
            cells = [row.name, *[shown(row, name) for name in head[1:]]]
            lines.append(f"| {' | '.join([*cells, ratio(row), target(row)])} |")
    return "\n".join(lines) + "\n"


def shown(row: Measured, name: str) -> str:
    """The median of a stack, with its unit; nothing where there is none."""
    value = row.median.get(name)
    if value is None:
        return ""
    if row.unit != "us":
        return f"{value:.1f} {row.unit}" if value < 100 else f"{value:.0f} {row.unit}"
    if value >= 10_000:
        return f"{value / 1000:.1f} ms"
    return f"{value:.1f} µs" if value < 100 else f"{value:.0f} µs"


def ratio(row: Measured) -> str:
    """How many times as fast as `ssl`, or how many times less it takes."""
    return "" if row.ratio is None else f"{row.ratio:.2f}"


def target(row: Measured) -> str:
    return "" if row.target is None else f"{row.target:.2f}"


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or sys.platform


def _openssl_of_cryptography() -> str:
    import cryptography
    from cryptography.hazmat.backends.openssl.backend import backend

    return f"{cryptography.__version__} ({backend.openssl_version_text()})"
