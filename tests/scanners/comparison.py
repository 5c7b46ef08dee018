"""`python -m tests.scanners.comparison`: `handclasp scan` beside sslscan, sslyze and testssl.sh.

Each runs on each of the servers in tests/scan/configured.py. What they say is compared, by what
all of them tell: versions, suites, groups, key types of certificates, application protocols.
`--write` writes docs/scan-comparison.md. The status is 1 where `handclasp scan` does not find what
a server is configured to do, or differs from another scanner and `reasons` has no reason for it.

Runs are kept in a directory, and are not made again: a comparison that broke off continues.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.children import let_others_read
from tests.documents import write_part
from tests.programs.certificates import write_certificates
from tests.rules.source import ROOT
from tests.scan.configured import SERVERS
from tests.scanners.observed import ANY_VERSION, READERS, VERSIONS, Names, Observation, configured
from tests.scanners.reasons import Reason, reason_for
from tests.scanners.runs import SCANNERS, Run, run

PAGE = ROOT / "docs" / "scan-comparison.md"
KEPT = ROOT / "build" / "scan-comparison"
OURS = "handclasp"
_SECONDS = 400.0


@dataclass(frozen=True)
class Difference:
    """A thing of which two scanners say different things.

    Attributes:
        what: "versions", "suites of TLSv1.2", "groups of TLSv1.3", "key types", "protocols".
        ours: what `handclasp scan` alone says.
        theirs: what the other one alone says.
    """

    server: str
    scanner: str
    what: str
    ours: Names
    theirs: Names


def differences(
    server: str, scanner: str, ours: Observation, theirs: Observation
) -> Iterator[Difference]:
    """Compare two observations of one server, as far as both tell a thing."""
    nothing: Names = frozenset()
    pairs = [("versions", ours.versions, theirs.versions)]
    # The suites of a version that one of them does not see are no difference of their own.
    for version in VERSIONS:
        if version in ours.versions & theirs.versions:
            both = ours.suites.get(version, nothing), theirs.suites.get(version, nothing)
            pairs.append((f"suites of {version}", *both))
    if not ours.versions & theirs.versions:
        theirs = Observation(theirs.versions, keys=ours.keys)  # It cannot have seen the rest.
    for version, groups in theirs.groups.items():
        all_of_ours = nothing.union(*ours.groups.values())
        mine = all_of_ours if version == ANY_VERSION else ours.groups.get(version, nothing)
        pairs.append((f"groups of {version}", mine, groups))
    pairs.append(("key types", ours.keys, theirs.keys))
    if ours.alpn is not None and theirs.alpn is not None:
        pairs.append(("protocols", ours.alpn, theirs.alpn))
    for what, mine, other in pairs:
        if mine != other:
            yield Difference(server, scanner, what, mine - other, other - mine)


def departures(server: str, found: Observation) -> list[str]:
    """Return where `handclasp scan` does not find what a server is configured to do."""
    wanted = configured(SERVERS[server])
    pairs: list[tuple[str, Names | None, Names | None]] = [
        ("versions", wanted.versions, found.versions),
        ("keys", wanted.keys, found.keys),
    ]
    pairs += [(f"suites of {v}", names, found.suites.get(v)) for v, names in wanted.suites.items()]
    pairs += [(f"groups of {v}", names, found.groups.get(v)) for v, names in wanted.groups.items()]
    pairs.append(("protocols", wanted.alpn, found.alpn))
    return [
        f"{server}: {what}: {sorted(seen or ())}, and configured are {sorted(right or ())}"
        for what, right, seen in pairs
        if right != seen
    ]


def make_runs(servers: Sequence[str], scanners: Sequence[str], seconds: float, kept: Path) -> None:
    """Make the runs that are not kept yet, one after the other."""
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        home = Path(name) / "home"
        home.mkdir()
        let_others_read(home)
        write_certificates(home)
        for scanner in scanners:
            for server in servers:
                path = _path(kept, server, scanner)
                if path.exists():
                    continue
                where = Path(tempfile.mkdtemp(dir=name))
                made = run(scanner, server, home, where, seconds)
                made.write(path)
                took = f"{made.seconds:.2f} s ({made.processor_seconds:.2f})"
                print(f"{scanner} {made.version} on {server}: {made.problem or took}", flush=True)


def _path(kept: Path, server: str, scanner: str) -> Path:
    return kept / f"{server.replace(' ', '-')}.{scanner}.json"


@dataclass
class Comparison:
    """All runs, and what they say.

    Attributes:
        explained: the differences, each with its reason; None where there is none.
        wrong: where `handclasp scan` departs from the configuration, or a run has no output.
    """

    runs: dict[tuple[str, str], Run]
    explained: list[tuple[Difference, Reason | None]]
    wrong: list[str]


def compare(servers: Sequence[str], scanners: Sequence[str], kept: Path) -> Comparison:
    """Read the runs that are kept, and compare each scanner with ours."""
    made = Comparison({}, [], [])
    for server in servers:
        seen: dict[str, Observation] = {}
        for scanner in scanners:
            path = _path(kept, server, scanner)
            if not path.exists():
                continue
            made.runs[server, scanner] = found = Run.read(path)
            if found.output:
                seen[scanner] = READERS[scanner](found.output)
            elif scanner == OURS:
                made.wrong.append(f"{server}: {found.problem}")
        ours = seen.pop(OURS, None)
        if ours is None:
            continue
        made.wrong += departures(server, ours)
        for scanner, theirs in seen.items():
            for each in differences(server, scanner, ours, theirs):
                made.explained += [(part, reason_for(*_key(part))) for part in _parts(each)]
    return made


def _parts(whole: Difference) -> Iterator[Difference]:
    """Split a difference by the reasons of its names, so that each part has one."""
    by_reason: dict[Reason | None, tuple[set[str], set[str]]] = {}
    for side, names in enumerate((whole.ours, whole.theirs)):
        for name in sorted(names):
            alone: list[Names] = [frozenset(), frozenset()]
            alone[side] = frozenset({name})
            single = Difference(whole.server, whole.scanner, whole.what, *alone)
            by_reason.setdefault(reason_for(*_key(single)), (set(), set()))[side].add(name)
    for ours, theirs in by_reason.values():
        yield Difference(
            whole.server, whole.scanner, whole.what, frozenset(ours), frozenset(theirs)
        )


def _key(each: Difference) -> tuple[str, str, str, Names, Names]:
    return each.server, each.scanner, each.what, each.ours, each.theirs


def tables(made: Comparison, servers: Sequence[str], scanners: Sequence[str]) -> str:
    """Return the tables of the document."""
    heads = [f"{name} {_version(made, name)}".strip() for name in scanners]
    lines = [f"| server | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for server in servers:
        cells = [_cost(made.runs.get((server, name))) for name in scanners]
        lines.append(f"| {server} | {' | '.join(cells)} |")
    lines += ["", "| server | scanner | what | handclasp alone says | it alone says | why |"]
    lines.append("|---" * 6 + "|")
    for each, reason in made.explained:
        why = f"{reason.why} ({reason.right} is right)" if reason else "**not known**"
        sides = " | ".join(_listed(names) for names in (each.ours, each.theirs))
        lines.append(f"| {each.server} | {each.scanner} | {each.what} | {sides} | {why} |")
    return "\n".join(lines) + "\n"


def _version(made: Comparison, scanner: str) -> str:
    found = {each.version for (_, name), each in made.runs.items() if name == scanner}
    return ", ".join(sorted(filter(None, found)))


def _cost(found: Run | None) -> str:
    if found is None:
        return "not tried"
    if found.problem:
        return f"{found.problem} ({found.processor_seconds:.1f})"
    return f"{found.seconds:.2f} s ({found.processor_seconds:.2f})"


def _listed(names: Names) -> str:
    return ", ".join(sorted(names))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.scanners.comparison")
    parser.add_argument("--server", action="append", choices=list(SERVERS), help="may be repeated")
    parser.add_argument("--scanner", action="append", choices=list(SCANNERS), help="likewise")
    parser.add_argument("--seconds", type=float, default=_SECONDS, help="at most for each run")
    parser.add_argument("--kept", type=Path, default=KEPT, help="the directory of the runs")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}, of all runs")
    wants = parser.parse_args()
    servers = [name for name in SERVERS if not wants.server or name in wants.server]
    scanners = [name for name in SCANNERS if not wants.scanner or name in wants.scanner]
    make_runs(servers, scanners, wants.seconds, wants.kept)
    if wants.write:
        servers, scanners = list(SERVERS), list(SCANNERS)
    made = compare(servers, [*dict.fromkeys((OURS, *scanners))], wants.kept)
    text = tables(made, servers, scanners)
    if wants.write:
        write_part(PAGE, "tests.scanners", text)
    else:
        print(text)
    unexplained = [each for each, reason in made.explained if reason is None]
    for wrong in made.wrong:
        print(wrong, file=sys.stderr)
    for each in unexplained:
        print(f"No reason says why: {each}", file=sys.stderr)
    return 1 if unexplained or made.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
