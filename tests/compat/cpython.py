"""CPython's own tests of `ssl` and of its users, on contexts of handclasp.

    python -m tests.compat.cpython                  the suites below, with this interpreter
    python -m tests.compat.cpython test.test_ssl    one of them, or one class or test

Every test runs in a child that has called `handclasp.compat.inject()`. A test that hangs ends its
child and counts as failed, and the others go on in a new one. The report names each failure that
`expected` does not explain, and each explanation that no test needs any more; both make the exit
status 1.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import subprocess
import sys
import threading
import unittest
from collections.abc import Iterator
from typing import Any

from tests.compat.expected import EXPECTED, SUITES

_SECONDS = 60
"""How long one test may take; the longest of CPython's takes five seconds on a slow machine."""


def names_in(suite: unittest.TestSuite | unittest.TestCase) -> Iterator[str]:
    """Yield the full names of the tests in a suite."""
    if isinstance(suite, unittest.TestSuite):
        for each in suite:
            yield from names_in(each)
    else:
        yield suite.id()


class _Result(unittest.TestResult):
    """Prints one line of JSON for each test."""

    def __init__(self, out: Any) -> None:
        super().__init__()
        self._out = out
        self._told: dict[str, str] = {}

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self._tell(test, "started")

    def stopTest(self, test: unittest.TestCase) -> None:
        super().stopTest(test)
        problems = [text for failed, text in (*self.errors, *self.failures) if _is(failed, test)]
        outcome = "failed" if problems else self._told.pop(test.id(), "passed")
        self._tell(test, outcome, "\n".join(problems))

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        self._told[test.id()] = "skipped"

    def _tell(self, test: unittest.TestCase, outcome: str, text: str = "") -> None:
        self._out.write(json.dumps([test.id(), outcome, text]) + "\n")
        self._out.flush()


def _is(failed: unittest.TestCase, test: unittest.TestCase) -> bool:
    """Return whether a failure is of this test, or of a `subTest` of it."""
    return failed is test or getattr(failed, "test_case", None) is test


def run_child(names: list[str]) -> None:
    """Run the tests that are named on standard input; report on standard output."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from handclasp.compat import inject

    inject()
    suite = unittest.defaultTestLoader.loadTestsFromNames(names)
    if names == json.loads(os.environ.get("CPYTHON_LIST", "[]")):
        out.write(json.dumps(list(names_in(suite))) + "\n")
        out.flush()
        return
    suite.run(_Result(out))
    out.flush()
    os._exit(0)  # A thread that a test left behind must not hold the child.


def _child(names: list[str], **environment: str) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.compat.cpython", "--child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **environment},
    )
    assert child.stdin is not None
    child.stdin.write(json.dumps(names))
    child.stdin.close()
    return child


def list_tests(names: list[str]) -> list[str]:
    """Return the full names of all tests in modules, classes or tests."""
    child = _child(names, CPYTHON_LIST=json.dumps(names))
    assert child.stdout is not None
    line = child.stdout.readline()
    child.wait()
    found: list[str] = json.loads(line)
    return found


def run(names: list[str], seconds: float = _SECONDS) -> dict[str, tuple[str, str]]:
    """Run tests, and return the outcome of each with its traceback."""
    outcomes: dict[str, tuple[str, str]] = {}
    left = list(names)
    while left:
        child, current = _child(left), ""
        for name, outcome, text in _lines_of(child, seconds):
            current = name
            if outcome != "started":
                outcomes[name] = outcome, text
        if current and current not in outcomes:
            outcomes[current] = "failed", f"no result after {seconds} seconds"
        now_left = [name for name in left if name not in outcomes]
        if len(now_left) == len(left):
            outcomes.update(dict.fromkeys(now_left, ("failed", "the child did not start it")))
            break
        left = now_left
    return outcomes


def _lines_of(child: subprocess.Popen[str], seconds: float) -> Iterator[tuple[str, str, str]]:
    """Yield what a child reports, and end it if it is silent for too long."""
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        assert child.stdout is not None
        for line in child.stdout:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    try:
        while (line := lines.get(timeout=seconds)) is not None:
            yield tuple(json.loads(line))
    except queue.Empty:
        pass
    finally:
        child.kill()
        child.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="modules, classes or tests; all suites without")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--verbose", action="store_true", help="print the tracebacks")
    parser.add_argument("--seconds", type=float, default=_SECONDS, help="for one test")
    arguments = parser.parse_args()
    if arguments.child:
        run_child(json.loads(sys.stdin.read()))
        return 0
    bad = 0
    for suite in arguments.names or SUITES:
        tests = list_tests([suite])
        bad += report(suite, run(tests, arguments.seconds), verbose=arguments.verbose)
    return 1 if bad else 0


def report(suite: str, outcomes: dict[str, tuple[str, str]], *, verbose: bool) -> int:
    """Print the outcomes; return how many are not as expected."""
    kinds = [outcome for outcome, _ in outcomes.values()]
    failed = {name: text for name, (outcome, text) in outcomes.items() if outcome == "failed"}
    explained = [name for name in failed if name in EXPECTED]
    needless = [name for name in outcomes if name in EXPECTED and name not in failed]
    counts = f"{kinds.count('passed')} passed, {kinds.count('skipped')} skipped"
    print(f"{suite}: {counts}, {len(failed)} failed, {len(explained)} of them as expected")
    for name, text in failed.items():
        print(f"  {'expected' if name in EXPECTED else 'FAILED'} {name}")
        if name in EXPECTED:
            print(f"      {EXPECTED[name]}")
        elif verbose:
            print("      " + "\n      ".join(text.splitlines()))
        else:
            print(f"      {text.strip().splitlines()[-1] if text.strip() else ''}")
    for name in needless:
        print(f"  PASSED, though it is expected to fail: {name}")
    return len(failed) - len(explained) + len(needless)


if __name__ == "__main__":
    sys.exit(main())
