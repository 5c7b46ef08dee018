"""Runs the programs and writes docs/interop-programs.md: `python -m tests.programs`.

Names of programs choose rows (the page is then left alone). `--one` runs a single cell in this
process and shows its traceback. Exits 1 if a cell failed without a known reason, or, where
HANDCLASP_REQUIRE_PEERS is 1, if something is not installed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.programs.case import WAYS, Case, Way, related
from tests.programs.certificates import write_certificates
from tests.programs.daemons import DAEMONS, running
from tests.programs.page import as_page
from tests.programs.registry import Program, programs

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "interop-programs.md"
_SECONDS = 90
_OF_MACHINE = {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE", "PIP_CERT"}
"""Variables by which a machine has its own authorities trusted; they win over what we pass."""


Verdict = Literal["works", "fails", "not possible", "not installed"]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a program in one way."""

    program: Program
    way: Way
    verdict: Verdict
    reason: str = ""
    seconds: float = 0.0


def main() -> int:
    """Run what the arguments choose."""
    parser = argparse.ArgumentParser(prog="python -m tests.programs", description=__doc__)
    parser.add_argument("names", nargs="*", help="programs; by default all")
    parser.add_argument("--way", choices=WAYS, action="append")
    parser.add_argument("--write", type=Path, metavar="FILE", help=f"default: {PAGE.name}")
    parser.add_argument("--verbose", action="store_true", help="show tracebacks of failures")
    parser.add_argument("--one", nargs=3, metavar=("NAME", "WAY", "HOME"), help="used inside")
    flags = parser.parse_args()
    if flags.one:
        return _run_here(*flags.one)
    unknown = set(flags.names) - {each.name for each in programs()}
    if unknown:
        parser.error(f"no such program: {', '.join(sorted(unknown))}")
    chosen = [each for each in programs() if not flags.names or each.name in flags.names]
    results, servers = _run_all(chosen, flags.way or WAYS, verbose=flags.verbose)
    page = flags.write or (None if flags.names or flags.way else PAGE)
    if page is not None:
        page.write_text(as_page(results, servers))
    bad = {"fails", "not installed"}
    if os.environ.get("HANDCLASP_REQUIRE_PEERS") != "1":
        bad.discard("not installed")
    return int(any(each.verdict in bad for each in results))


def _run_all(
    chosen: Sequence[Program], ways: Sequence[Way], *, verbose: bool
) -> tuple[list[Result], dict[str, str]]:
    wanted = [name for name in DAEMONS if any(each.daemon == name for each in chosen)]
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="programs-") as directory:
        home = Path(directory)
        home.chmod(0o755)  # servers that run as another user read their files there
        write_certificates(home)
        with running(wanted, home) as (ports, missing):
            (home / "ports.json").write_text(json.dumps(ports))
            for program in chosen:
                for way in ways:
                    result = _result(program, way, home, missing, verbose=verbose)
                    results.append(result)
                    print(
                        f"{result.seconds:5.1f} s  {program.name:24} {way:9}"
                        f"{result.verdict} {result.reason}",
                        flush=True,
                    )
    return results, {name: DAEMONS[name].version_line() for name in wanted}


def _result(
    program: Program, way: Way, home: Path, missing: dict[str, str], *, verbose: bool
) -> Result:
    if reason := program.not_possible.get(way):
        return Result(program, way, "not possible", reason)
    needs_daemon = program.daemon is not None and not (way == "both" and program.alone_for_both)
    stopped = missing.get(program.daemon or "") if needs_daemon else None
    if reason := program.missing() or stopped:
        return Result(program, way, "not installed", reason)
    start = time.monotonic()
    command = [sys.executable, "-m", "tests.programs", "--one", program.name, way, str(home)]
    # The session of its own lets a child be ended with all that it started.
    child = subprocess.Popen(
        command,
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name not in _OF_MACHINE},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = child.communicate(timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, 9)
        output, _ = child.communicate()
        output += f"\n\nREASON no end within {_SECONDS} s"
    seconds = time.monotonic() - start
    if child.returncode == 0:
        return Result(program, way, "works", "", seconds)
    if verbose:
        print(output)
    return Result(program, way, "fails", output.rpartition("REASON ")[2].strip()[-300:], seconds)


def _run_here(name: str, way: Way, home: str) -> int:
    program = next(each for each in programs() if each.name == name)
    case = Case(way, Path(home), json.loads((Path(home) / "ports.json").read_text()))
    try:
        program.run(case)
        if not program.own_checks:
            case.check(is_server=program.is_server)
    except BaseException as error:
        traceback.print_exception(error)
        first = [f"{type(each).__name__}: {each}" for each in related(error)][:2]
        print("REASON", " ".join(" <- ".join(first).split()), flush=True)
        status = 1
    else:
        status = 0
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of servers and event loops must not hold the process.
    os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
