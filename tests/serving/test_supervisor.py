"""The process that watches over workers, with a system that fails."""

from __future__ import annotations

import errno
import os
import sys
from typing import NoReturn

import pytest

from handclasp.serving import supervisor
from handclasp.serving.service import StatusLine
from handclasp.serving.supervisor import MOST_QUICK_ENDINGS, Supervisor

pytestmark = pytest.mark.skipif(os.name != "posix", reason="workers are forked")


class Watched:
    """A supervisor of one worker, and what it says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(supervisor, "_FIRST_DELAY_SECONDS", 0.01)
        self.remarks: list[str] = []
        self.times_ready = 0
        self.supervisor = Supervisor(
            1,
            lambda number, lifeline: None,
            stopping=lambda: None,
            remark=self.remarks.append,
            failed=lambda error: None,
            grace=1,
            status=StatusLine(lambda: "Serving."),
        )

    def run(self) -> bool:
        return self.supervisor.run(self._ready)

    def _ready(self) -> None:
        self.times_ready += 1


def no_fork() -> NoReturn:
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def test_a_system_that_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each attempt is later than the one before, and after the last one nothing is left running."""
    attempts = list[int]()

    def counted_fork() -> NoReturn:
        attempts.append(len(attempts))
        assert len(attempts) <= MOST_QUICK_ENDINGS
        no_fork()

    monkeypatch.setattr(os, "fork", counted_fork)
    watched = Watched(monkeypatch)
    assert not watched.run()
    said = f"Worker 1 cannot start: {os.strerror(errno.EAGAIN)}"
    delays = [0.01 * 2**number for number in range(MOST_QUICK_ENDINGS - 1)]
    assert watched.remarks == [
        *(f"{said}; another one starts in {delay:g} s." for delay in delays),
        f"{said}, the {MOST_QUICK_ENDINGS}th failure in a row: giving up.",
    ]
    assert not watched.times_ready


def test_a_system_that_starts_one_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ready when the first worker runs; this one ends at once, as often as it may."""
    failures = [None]

    def late_fork() -> int:
        if failures:
            failures.pop()
            no_fork()
        # Another program: pytest has threads, with which it must not fork.
        return os.posix_spawn(sys.executable, [sys.executable, "-Ssc", ""], os.environ)

    monkeypatch.setattr(os, "fork", late_fork)
    watched = Watched(monkeypatch)
    assert not watched.run()
    assert watched.times_ready == 1
    assert "cannot start" in watched.remarks[0]
    assert "exited with status 0, the 5th failure in a row" in watched.remarks[-1]
