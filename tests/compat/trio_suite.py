"""trio's own tests of TLS, on contexts of handclasp: `python -m tests.compat.trio_suite`.

pytest runs them in a child that has called `handclasp.compat.inject()`. The report names each
failure that `expected` does not explain, and each explanation that no test needs any more; both
make the exit status 1. trio brings its tests along; they need pyOpenSSL and trustme.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from tests.compat.cpython import report
from tests.compat.expected import SUITES_OF_TRIO

_SECONDS = 300
_INJECT = "from handclasp.compat import inject\n\ninject()\n"


def run(directory: Path) -> dict[str, tuple[str, str]]:
    """Run the suites, and return the outcome of each test with its traceback.

    Args:
        directory: an empty one.
    """
    (directory / "injecting.py").write_text(_INJECT)
    results = directory / "results.xml"
    paths = [str(directory), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    options = ["-c", os.devnull, "--rootdir", str(directory), "--junitxml", str(results)]
    plugins = ["-p", "injecting", "-p", "trio._tests.pytest_plugin"]
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *options, *plugins, "--pyargs", *SUITES_OF_TRIO],
        cwd=directory,
        stdout=subprocess.DEVNULL,
        timeout=_SECONDS,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )
    outcomes: dict[str, tuple[str, str]] = {}
    # The file is pytest's own.
    for case in ElementTree.parse(results).iter("testcase"):
        problems = [each.text or "" for each in case if each.tag in ("failure", "error")]
        skipped = any(each.tag == "skipped" for each in case)
        outcome = "failed" if problems else "skipped" if skipped else "passed"
        outcomes[f"trio {case.get('name')}"] = outcome, "\n".join(problems)
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.compat.trio_suite", description=__doc__)
    parser.add_argument("--verbose", action="store_true", help="print the tracebacks")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        outcomes = run(Path(directory))
    if not outcomes:
        print("pytest has run no test of trio: are trio, pyOpenSSL and trustme installed?")
        return 1
    bad = report(" ".join(SUITES_OF_TRIO), outcomes, verbose=options.verbose)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
