"""`python -m tests.security`: take each defence out, and see that its test fails.

In a copy of the source, one defence at a time; a test that passes all the same proves nothing,
and makes the status 1. Words on the command line choose proofs by what they have in their name.
With `--moved`, the edits are told whose code was found in another place than the table says.
With `--write`, docs/security.md gets the table.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.security.document import write
from tests.security.edits import Edit, NotFound, apply, find
from tests.security.threats import THREATS, Proof

ROOT = Path(__file__).parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.security")
    parser.add_argument("words", nargs="*")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--moved", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    if options.write:
        write(ROOT / "docs" / "security.md")
        return 0
    proofs = [
        (threat.name, proof)
        for threat in THREATS
        for proof in threat.proofs
        if all(word in f"{threat.name} {proof.test}" for word in options.words)
    ]
    if options.moved:
        return _tell_moved({edit for _, proof in proofs for edit in proof.edits})
    useless = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        verdicts = pool.map(taken_out, [proof for _, proof in proofs])
        for (name, proof), verdict in zip(proofs, verdicts, strict=True):
            useless += verdict != "fails without it"
            print(f"{verdict:18} {proof.test}  ({name})", flush=True)
    print(f"{len(proofs)} defences taken out, {useless} of them unnoticed")
    return 1 if useless else 0


def _tell_moved(edits: set[Edit]) -> int:
    """Print where the code of each edit stands now, if it has moved; 1 if it is nowhere."""
    lost = 0
    for edit in sorted(edits, key=lambda edit: edit.where):
        try:
            where = find(edit).where
        except NotFound as error:
            lost += 1
            print(f"NOT FOUND {error}")
        else:
            if where != edit.where:
                print(f"{edit.where} -> {where}  ({edit.old!r})")
    return 1 if lost else 0


def taken_out(proof: Proof) -> str:
    """What becomes of the test where the defence is not there."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "src"
        # With what is compiled already: of an edited file, Python sees that it is newer.
        shutil.copytree(ROOT / "src", source)
        for edit in proof.edits:
            try:
                apply(edit, source / "handclasp")
            except NotFound:
                return "IS NOT THERE"
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-x",
                "-p",
                "no:cacheprovider",
                f"tests/{proof.test}",
            ],
            cwd=ROOT,
            env=os.environ
            | {
                "HANDCLASP_PURE": "1",  # What is edited is Python.
                "PYTHONPATH": str(source),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            capture_output=True,
            text=True,
            check=False,
        )
    # 1: tests failed. Anything else is a test that passed, or could not be run at all.
    return {0: "PASSES WITHOUT IT", 1: "fails without it"}.get(done.returncode, "DOES NOT RUN")


if __name__ == "__main__":
    sys.exit(main())
