"""`python -m tests.fuzz --seconds 60`: fuzz every target in turn, led by coverage.

Each target runs under libFuzzer (through atheris) in a process of its own, for its share of the
time, over and over until the time is up. Its corpus starts from real conversations, made here and
now, and grows in `.fuzz/corpus/NAME`, so that the next run goes on where this one stopped. A
finding is kept in `.fuzz/findings`, told at the end, and makes the status 1; to see it again:

    python -m tests.fuzz --again .fuzz/findings/NAME-crash-...

With `--cost` it is led by cost instead: see `costs`.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from tests.fuzz import costs
from tests.fuzz.spending import spendings
from tests.fuzz.targets import TARGETS

FOLDER = Path(".fuzz")
_TURN = 60
"""Seconds for which a target runs before the next one does."""
_PROGRESS = re.compile(r"^#\d+\s.*\bcov: (\d+) ft: \d+ corp: (\d+)", re.MULTILINE)
_EXECUTED = re.compile(r"^stat::number_of_executed_units: (\d+)", re.MULTILINE)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--target", action="append", help="only these")
    parser.add_argument("--again", type=Path, help="run the target on this one input")
    parser.add_argument("--cost", action="store_true", help="look for what costs most")
    options = parser.parse_args()
    known = spendings() if options.cost else TARGETS
    if not set(options.target or ()) <= set(known):
        parser.error(f"--target: one of {', '.join(known)}")
    if options.cost:
        if options.again is not None:
            return costs.again(options.again)
        return costs.fuzz_costs(options.target or list(known), options.seconds)
    if options.again is not None:
        name = options.again.name.partition("-")[0]
        TARGETS[name].run(options.again.read_bytes())
        print(f"{name}: nothing wrong any more")
        return 0
    names = options.target or list(TARGETS)
    for name in names:
        plant(name)
    return fuzz(names, options.seconds)


def plant(name: str) -> None:
    """Put the seeds into the corpus."""
    folder = FOLDER / "corpus" / name
    folder.mkdir(parents=True, exist_ok=True)
    for seed in TARGETS[name].seeds():
        (folder / f"seed-{hashlib.sha256(seed).hexdigest()[:16]}").write_bytes(seed)


def fuzz(names: list[str], seconds: int) -> int:
    """Each target for its share, in turns; then a table of what was done."""
    (FOLDER / "findings").mkdir(parents=True, exist_ok=True)
    runs, spent, state, findings = Counter[str](), Counter[str](), dict[str, str](), set[str]()
    ends = time.monotonic() + seconds
    turn = min(_TURN, max(1, seconds // len(names)))
    while (left := ends - time.monotonic()) >= 1:
        name = min(names, key=lambda each: spent[each] / TARGETS[each].weight)
        began = time.monotonic()
        finished, output = run(name, int(min(turn, left)))
        spent[name] += round(time.monotonic() - began) or 1
        runs[name] += sum(int(count) for count in _EXECUTED.findall(output))
        for edges, inputs in _PROGRESS.findall(output)[-1:]:
            state[name] = f"{edges:>6} edges, {inputs:>5} inputs"
        print(f"{name:12} {spent[name]:6} s {runs[name]:9} runs  {state.get(name, '')}", flush=True)
        if not finished:
            findings.add(name)
            print(f"{output[:3000]}\n...\n{output[-1500:]}", flush=True)
    print(f"\n{sum(spent.values())} s, {sum(runs.values())} runs")
    for name in sorted(findings):
        print(f"a finding in {name}: see .fuzz/findings")
    return 1 if findings else 0


def run(name: str, seconds: int) -> tuple[bool, str]:
    """Fuzz one target; whether nothing was found, and what the engine said."""
    command = [
        *(sys.executable, "-m", "tests.fuzz.engine", name, str(FOLDER / "corpus" / name)),
        f"-max_total_time={seconds}",
        f"-artifact_prefix={FOLDER / 'findings' / name}-",
        "-timeout=20",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
        *(["-max_len=9000"] if name in ("trace", "chain", "files") else []),
    ]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    return done.returncode == 0, done.stdout + done.stderr


if __name__ == "__main__":
    sys.exit(main())
