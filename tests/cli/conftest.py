"""The command, in this process and as a process of its own; an authority in a fresh directory."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.required import need_terminal

import handclasp
from handclasp.certificates.authority import LocalAuthority

SOURCE = str(Path(handclasp.__file__).resolve().parent.parent)
COMMAND = [sys.executable, "-m", "handclasp"]
WAIT_SECONDS = 30

Run = Callable[..., Result]


@dataclass
class Process:
    """A server command that is up, and what it says: the lines to come, and all so far."""

    popen: subprocess.Popen[str]
    port: int
    lines: Queue[str]
    announced: str = ""
    said: list[str] = field(default_factory=list[str])

    def line(self, pattern: str) -> str:
        """The next line that matches, waited for."""
        seen: list[str] = []
        while True:
            try:
                line = self.lines.get(timeout=WAIT_SECONDS)
            except Empty:
                raise AssertionError(f"no line like {pattern!r} in {seen}") from None
            if re.search(pattern, line):
                return line
            seen.append(line)

    def end(self, number: int) -> int:
        """Send a signal; the exit status."""
        self.popen.send_signal(number)
        return self.popen.wait(WAIT_SECONDS)


def heed_interrupts() -> None:
    """For `preexec_fn`: shells start what runs in the background with SIGINT ignored, and Python
    then leaves it so. A test that sends one must not depend on how it was started itself.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """$HANDCLASP_HOME, one for all tests: nothing may touch the user's own authority."""
    path = _home(tmp_path_factory)
    monkeypatch.setenv("HANDCLASP_HOME", str(path))
    return path


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of key logs and authorities, which is empty after each run; no proxy is set."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr(tempfile, "tempdir", None)
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "SSLKEYLOGFILE"):
        monkeypatch.delenv(name, raising=False)
    return place


_HOMES: list[Path] = []


def _home(factory: pytest.TempPathFactory) -> Path:
    if not _HOMES:
        _HOMES.append(factory.mktemp("handclasp-home"))
    return _HOMES[0]


@pytest.fixture
def authority(home: Path) -> LocalAuthority:
    return LocalAuthority.open_or_create(home)


@pytest.fixture
def ca(home: Path, authority: LocalAuthority) -> str:
    """The path of the authority's certificate."""
    return str(home / "ca.pem")


@pytest.fixture
def run() -> Run:
    """Runs the command in this process."""
    from handclasp.cli.application import application

    def invoke(*arguments: str, **options: Any) -> Result:
        return CliRunner().invoke(application, list(arguments), prog_name="handclasp", **options)

    return invoke


@pytest.fixture
def pair(authority: LocalAuthority, tmp_path: Path) -> tuple[str, str]:
    """The paths of a certificate for localhost and its key."""
    issued = authority.issue(["localhost", "127.0.0.1"])
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(issued.chain_pem)
    key.write_bytes(issued.key_pem)
    return str(chain), str(key)


@contextmanager
def started(*arguments: str) -> Iterator[Process]:
    """A server command as a process of its own, up and listening."""
    environment = {**os.environ, "PYTHONPATH": SOURCE, "PYTHONWARNINGS": "error"}
    popen = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    process = Process(popen, 0, Queue())
    reader = threading.Thread(target=_read_lines, args=(process,))
    reader.start()
    try:
        line = process.line(r"^Listening on ")
        found = re.search(r":(\d+)(?:/|;| \(TLS echo\)$)", line)
        assert found, line
        process.port = int(found[1])
        process.announced = line
        yield process
    finally:
        popen.kill()
        popen.wait(WAIT_SECONDS)
        reader.join(WAIT_SECONDS)
        if popen.stdout is not None:
            popen.stdout.close()


def _read_lines(process: Process) -> None:
    assert process.popen.stdout is not None
    for line in process.popen.stdout:
        process.said.append(line.rstrip("\n"))
        process.lines.put(process.said[-1])


def handclasp_process(
    *arguments: str, stdin: bytes = b"", timeout: float = WAIT_SECONDS
) -> subprocess.CompletedProcess[bytes]:
    """Runs the command as a process of its own until it ends."""
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    return subprocess.run(
        [*COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        env=environment,
        timeout=timeout,
        check=False,
    )


def at_a_terminal(columns: int, *arguments: str) -> list[str]:
    """What a command prints on a terminal of so many columns."""
    import termios

    ours, theirs = need_terminal()
    termios.tcsetwinsize(theirs, (24, columns))
    kept = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        env={**kept, "PYTHONPATH": SOURCE},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    deadline = threading.Timer(WAIT_SECONDS, process.kill)
    deadline.start()
    # A terminal holds as little as 4 KiB, so what is told is read while the command runs.
    told = b""
    try:
        while data := os.read(ours, 65536):
            told += data
    except OSError:
        pass  # Linux says so at the end.
    status = process.wait()
    deadline.cancel()
    os.close(ours)
    assert status >= 0, f"the command did not end: {told.decode()}"
    return told.decode().splitlines()
