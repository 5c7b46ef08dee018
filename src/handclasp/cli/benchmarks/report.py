"""The results as a table for a terminal, as Markdown, and as JSON."""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from handclasp.cli.benchmarks.measure import Measured
from handclasp.cli.benchmarks.stacks import Stack

TITLES = {
    "handshakes": "Handshakes, both ends in memory",
    "sides": "What one side takes of a handshake",
    "records": "Records, in memory, per side",
    "streams": "Over sockets",
    "start": "To be ready",
    "memory": "Memory",
    "servers": "Servers and threads",
}


def about(stacks: Sequence[Stack]) -> dict[str, Any]:
    """Return the machine and the versions, without which no figure has a meaning."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "build": _build(),
        "versions": {stack.name: stack.version for stack in stacks},
        "notes": {stack.name: stack.note for stack in stacks if stack.note},
        "cryptography": _openssl_of_cryptography(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }


def where(stacks: Sequence[Stack]) -> str:
    """Return the machine, the interpreter and the libraries in a line."""
    told = about(stacks)
    return (
        f"{told['cpu']}, {told['cores']} cores, Python {told['python']} ({told['build']}), "
        f"{told['versions']['ssl']}"
    )


def to_json(measured: Sequence[Measured], stacks: Sequence[Stack]) -> dict[str, Any]:
    """Return the whole run as one object."""
    return {"about": about(stacks), "rows": [each.to_json() for each in measured]}


def to_markdown(measured: Sequence[Measured], stacks: Sequence[Stack]) -> str:
    """Return the tables of the run, a section for each."""
    lines: list[str] = []
    for table in tables(measured, stacks):
        lines += ["", f"### {table.title}", ""]
        lines.append(f"| {' | '.join(table.head)} |")
        lines.append(f"|---|{'---:|' * (len(table.head) - 1)}")
        lines += [f"| {' | '.join(cells)} |" for cells in table.rows]
        lines += ["", *table.notes] if table.notes else []
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Table:
    """A section of the run, as text. `ratios` are the columns that have those."""

    title: str
    head: list[str]
    rows: list[list[str]]
    ratios: list[int]
    notes: list[str]


def tables(measured: Sequence[Measured], stacks: Sequence[Stack]) -> Iterator[Table]:
    """Return a table for each section: the times of the stacks, then the comparisons."""
    for section, group in groupby(measured, key=lambda each: each.section):
        yield _table(section, list(group), stacks)


def _table(section: str, rows: Sequence[Measured], stacks: Sequence[Stack]) -> Table:
    told = [stack for stack in stacks if any(stack.name in row.median for row in rows)]
    names = [stack.name for stack in told]
    if any("floor" in row.median for row in rows):
        names.append("floor")
    columns = [("", [row.name for row in rows])]
    columns += [(name, [shown(row, name) for row in rows]) for name in names]
    ratios: list[int] = []
    for other in dict.fromkeys(other for row in rows for other in row.compared):
        if other in names:
            ratios.append(len(columns))
            columns.append((f"x {other}", [_number(row.ratio_to(other)) for row in rows]))
            if any(other in row.targets for row in rows):
                columns.append(("target", [_number(row.targets.get(other)) for row in rows]))
    head = [title for title, _ in columns]
    lines = [list(line) for line in zip(*(cells for _, cells in columns), strict=True)]
    notes = [f"{stack.name} {stack.note}." for stack in told if stack.note]
    # What a stack leaves out, it leaves out of handshakes.
    return Table(TITLES[section], head, lines, ratios, [] if section == "records" else notes)


def shown(row: Measured, name: str) -> str:
    """Return the median of a stack, with its unit; empty if there is none."""
    value = row.median.get(name)
    if value is None:
        return ""
    if row.unit != "us":
        return f"{value:.1f} {row.unit}" if value < 100 else f"{value:.0f} {row.unit}"
    if value >= 10_000:
        return f"{value / 1000:.1f} ms"
    return f"{value:.1f} µs" if value < 100 else f"{value:.0f} µs"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or sys.platform


def _build() -> str:
    """Return the optimizations that the interpreter was configured with.

    A distribution may optimize by other means, of which `sysconfig` says nothing.
    """
    given = str(sysconfig.get_config_var("CONFIG_ARGS") or "")
    options = ("--enable-optimizations", "--with-lto")
    chosen = [option for option in options if option in given]
    return " ".join(chosen) or "configured without --enable-optimizations"


def _openssl_of_cryptography() -> str:
    import cryptography
    from cryptography.hazmat.backends.openssl.backend import backend

    return f"{cryptography.__version__} ({backend.openssl_version_text()})"
