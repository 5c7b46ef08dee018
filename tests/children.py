"""Programs that a test starts, and which are gone when it ends, with all that they started."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir

WAIT_SECONDS = 30.0
_POLL_SECONDS = 0.02


def let_others_read(directory: Path) -> None:
    """Let servers that run as other users read a directory of a test.

    pytest makes those above it for its own user alone: two, and a third in each of its workers.
    """
    for each in (directory, *directory.parents):
        if not each.is_relative_to(gettempdir()) or each == Path(gettempdir()):
            break
        each.chmod(0o755)


@dataclass(frozen=True)
class Child:
    """A program that runs in a process group of its own; what it prints goes into files."""

    popen: subprocess.Popen[bytes]
    output: Path
    errors: Path

    def printed(self) -> str:
        return self.output.read_text(errors="replace")

    def complained(self) -> str:
        return self.errors.read_text(errors="replace")

    def wait_for(self, pattern: str, *, start: int = 0) -> re.Match[str]:
        """The first match in standard output from the offset `start` on, or in standard error."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            ended = self.popen.poll() is not None
            found = re.compile(pattern, re.MULTILINE).search(self.printed(), start)
            found = found or re.search(pattern, self.complained(), re.MULTILINE)
            if found is not None:
                return found
            if ended or time.monotonic() > deadline:
                raise AssertionError(f"{pattern!r} was not printed: {self.said()}")
            time.sleep(_POLL_SECONDS)

    def write(self, data: bytes) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write(data)
        self.popen.stdin.flush()

    def end_input(self) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.close()

    def wait(self, seconds: float = WAIT_SECONDS) -> int:
        """The exit status, once the program ends by itself."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still there after {seconds:.0f} s: {self.said()}") from None

    def said(self) -> str:
        return f"{self.printed()[-1000:]} | {self.complained()[-2000:]}"


@contextmanager
def child(
    command: Sequence[str], directory: Path, *, env: Mapping[str, str] | None = None
) -> Iterator[Child]:
    """Start a program.

    Args:
        directory: where the files with its output go; it exists already.
        env: what to change in the environment.
    """
    stem = f"{Path(command[0]).name}-{time.monotonic_ns()}"
    output, errors = directory / f"{stem}.out", directory / f"{stem}.err"
    with output.open("wb") as out, errors.open("wb") as err:
        popen = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=err,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
    try:
        yield Child(popen, output, errors)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(popen.pid, signal.SIGKILL)
        popen.wait(WAIT_SECONDS)
        if popen.stdin is not None:
            with suppress(OSError):  # Input that nobody read any more.
                popen.stdin.close()
