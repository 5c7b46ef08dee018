"""Runs every cell, prints the tables and writes docs/interop.md.

`python -m tests.interop.matrix`; `--peer`, `--role` and `--feature` choose rows and columns (the
page is then left alone), `--local NAME` puts another stack in handclasp's place. Exits 1 if any
cell failed, or, where HANDCLASP_REQUIRE_PEERS is 1, if a peer is not installed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .pair import converse
from .peers.base import ROOT, Peer, Role
from .peers.features import FAST, FEATURES
from .peers.registry import LOCAL, PEERS, peer_named
from .scenarios import Scenarios
from .table import as_page, as_text

Verdict = Literal["pass", "fail", "peer lacks it", "not installed"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One feature with one peer in one role; `role` is the peer's."""

    peer: Peer
    role: Role
    feature: str

    def lacking(self, local: Peer) -> str | None:
        """Why there is nothing to run."""
        if (reason := self.peer.lacking(self.feature, self.role)) is not None:
            return reason
        other: Role = "server" if self.role == "client" else "client"
        swapped = {"key-update": "key-update-peer", "key-update-peer": "key-update"}
        reason = local.lacking(swapped.get(self.feature, self.feature), other)
        return None if reason is None else f"{local.title}: {reason}"


@dataclass(frozen=True, slots=True)
class Result:
    cell: Cell
    verdict: Verdict
    reason: str = ""
    seconds: float = 0.0


def cells(peers: Sequence[Peer] = PEERS, features: Sequence[str] = FEATURES) -> Iterator[Cell]:
    for peer in peers:
        for role in peer.roles:
            for feature in features:
                yield Cell(peer, role, feature)


def run(cell: Cell, local: Peer, scenarios: Scenarios) -> None:
    """Raises what went wrong."""
    scenario = scenarios.build(cell.feature, cell.peer, cell.role, local)
    server, client = (cell.peer, local) if cell.role == "server" else (local, cell.peer)
    with tempfile.TemporaryDirectory(prefix="interop-") as workdir:
        converse(server, client, scenario, Path(workdir))


def doubt(cell: Cell, local: Peer, scenarios: Scenarios) -> Result:
    """A cell that a peer is said to lack and that passes all the same is a false statement."""
    reason = None if cell.peer.unavailable() else cell.lacking(local)
    if reason is None:
        return Result(cell, "not installed", "nothing to doubt")
    try:
        run(cell, local, scenarios)
    except Exception:
        return Result(cell, "peer lacks it", reason)
    return Result(cell, "fail", f"it passes, in spite of: {reason}")


def judge(cell: Cell, local: Peer, scenarios: Scenarios) -> Result:
    if (reason := cell.peer.unavailable()) is not None:
        return Result(cell, "not installed", reason)
    if (reason := cell.lacking(local)) is not None:
        return Result(cell, "peer lacks it", reason)
    start = time.monotonic()
    try:
        run(cell, local, scenarios)
    except Exception as error:
        return Result(cell, "fail", _one_line(error), time.monotonic() - start)
    return Result(cell, "pass", "", time.monotonic() - start)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, metavar="FILE", help="default: docs/interop.md")
    parser.add_argument("--peer", action="append", choices=[peer.name for peer in PEERS])
    parser.add_argument("--role", choices=["client", "server"], help="the peer's")
    parser.add_argument("--feature", action="append", choices=FEATURES)
    parser.add_argument("--fast", action="store_true", help="the features that CI runs")
    parser.add_argument("--local", default=LOCAL.name, help="in handclasp's place")
    parser.add_argument(
        "--doubt", action="store_true", help="run what peers are said to lack: none may pass"
    )
    parser.add_argument("--verbose", action="store_true")
    flags = parser.parse_args()
    local = peer_named(flags.local)
    if (reason := local.unavailable()) is not None:
        print(reason, file=sys.stderr)
        return 2
    peers = [p for p in PEERS if (not flags.peer or p.name in flags.peer) and p is not local]
    features = flags.feature or FEATURES
    results = []
    with tempfile.TemporaryDirectory(prefix="interop-") as directory:
        scenarios = Scenarios(Path(directory))
        for cell in cells(peers, features):
            if flags.role and cell.role != flags.role:
                continue
            if flags.fast and cell.feature not in FAST & cell.peer.fast_features:
                continue
            result = (doubt if flags.doubt else judge)(cell, local, scenarios)
            results.append(result)
            if flags.verbose:
                print(
                    f"{result.seconds:5.1f} s  {cell.peer.name:10} {cell.role:7}"
                    f"{cell.feature:35} {result.verdict} {result.reason}",
                    flush=True,
                )
    print(as_text(results, local))
    partial = flags.peer or flags.feature or flags.role or flags.fast or flags.doubt
    partial = partial or local is not LOCAL
    page = flags.write or (None if partial else ROOT / "docs" / "interop.md")
    if page is not None:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(as_page(results, local))
    missing_fails = os.environ.get("HANDCLASP_REQUIRE_PEERS") == "1"
    bad: set[Verdict] = {"fail", "not installed"} if missing_fails else {"fail"}
    return int(
        any(
            result.verdict in bad and (result.verdict == "fail" or not result.cell.peer.is_optional)
            for result in results
        )
    )


def _one_line(error: Exception) -> str:
    text = f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:900]


if __name__ == "__main__":
    sys.exit(main())
