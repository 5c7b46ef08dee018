"""A program that is missing skips the test that needs it, or fails it where all is required."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.required import need_tool

ROOT = Path(__file__).parents[1]
STORIES = (
    "tests/failures/test_stories.py::test_our_server_and_what_is_no_tls[ssh]",
    "tests/failures/test_stories.py::test_our_server_and_what_is_no_tls[http]",
)


def test_a_missing_program_skips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HANDCLASP_REQUIRE_PEERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-program is not installed"):
        need_tool("no-such-program")
    monkeypatch.setenv("HANDCLASP_REQUIRE_PEERS", "1")
    with pytest.raises(pytest.fail.Exception, match="required: no-such-program"):
        need_tool("no-such-program")


def test_it_is_asked_for_before_a_thread_begins() -> None:
    """In a thread, the skip would be an exception that nobody sees, and the test would hang."""
    said: list[BaseException] = []

    def ask() -> None:
        try:
            need_tool("python3")
        except BaseException as error:
            said.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert isinstance(said[0], AssertionError)


@pytest.mark.parametrize(("required", "outcome"), [("0", "2 skipped"), ("1", "2 failed")])
def test_on_a_machine_without_any(required: str, outcome: str, tmp_path: Path) -> None:
    """Whole tests whose program comes in a thread: they end at once, one way or the other."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *STORIES],
        cwd=ROOT,
        env={
            "PATH": str(tmp_path),
            "PYTHONPATH": str(ROOT / "src"),
            "HANDCLASP_REQUIRE_PEERS": required,
        },
        capture_output=True,
        timeout=100,
        check=False,
        text=True,
    )
    assert outcome in done.stdout, done.stdout + done.stderr
