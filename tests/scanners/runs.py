"""One scanner on one server: its command, its time, and what it wrote for programs to read."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.children import child, let_others_read
from tests.programs.peers import free_port, wait_for
from tests.scan.configured import SERVERS, Setup

SSLYZE = Path(__file__).parents[2] / ".peers" / "scanners" / "bin" / "sslyze"
"""It has an environment of its own (`make scanners`)."""
_READY_SECONDS = 60


@dataclass(frozen=True)
class Aim:
    """A server to scan: the directory with the authority, the port, and how TLS begins there."""

    home: Path
    port: int
    starttls: str | None


@dataclass(frozen=True)
class Scanner:
    """A program that scans.

    Attributes:
        path: of the program; None if it is not installed.
        version: the arguments that make it print its version.
        command: its arguments for a server; the second argument is the file to write into, or
            where it writes to standard output only, to leave alone.
        starttls: its words for the protocols.
        prints: whether what counts comes on standard output.
    """

    path: Callable[[], str | None]
    version: Sequence[str]
    command: Callable[[Aim, Path, str], list[str]]
    starttls: dict[str, str]
    prints: bool = False


@dataclass(frozen=True)
class Run:
    """What came of one run.

    Attributes:
        version: of the scanner.
        seconds, processor_seconds: that it took, with its children.
        output: what it wrote; empty where it was not done in time, or failed.
        problem: why there is no output; empty where there is.
    """

    version: str
    seconds: float
    processor_seconds: float
    output: str
    problem: str = ""

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Run:
        return cls(**json.loads(path.read_text()))


def _sslyze_path() -> str | None:
    return str(SSLYZE) if SSLYZE.exists() else shutil.which("sslyze")


def _handclasp(aim: Aim, told: Path, starttls: str) -> list[str]:
    options = ["--server-name", "localhost", "--ca", f"{aim.home}/ca.pem", "--json"]
    options += ["--starttls", starttls] if starttls else []
    return ["-m", "handclasp", "scan", f"127.0.0.1:{aim.port}", *options]


def _sslscan(aim: Aim, told: Path, starttls: str) -> list[str]:
    options = [f"--starttls-{starttls}"] if starttls else []
    return ["--sni-name=localhost", f"--xml={told}", *options, f"127.0.0.1:{aim.port}"]


def _sslyze(aim: Aim, told: Path, starttls: str) -> list[str]:
    options = [f"--certinfo_ca_file={aim.home}/ca.pem", "--sni=localhost", f"--json_out={told}"]
    options += [f"--starttls={starttls}"] if starttls else []
    return [*options, f"127.0.0.1:{aim.port}"]


def _testssl(aim: Aim, told: Path, starttls: str) -> list[str]:
    options = ["--quiet", "--color", "0", "--nodns", "none", "--warnings", "off"]
    options += ["--add-ca", f"{aim.home}/ca.pem", "--jsonfile", str(told), "--ip", "127.0.0.1"]
    options += ["-t", starttls] if starttls else []
    return [*options, "-p", "-E", "-f", "-S", f"localhost:{aim.port}"]


SCANNERS: dict[str, Scanner] = {
    "handclasp": Scanner(
        lambda: sys.executable,
        ("-m", "handclasp", "--version"),
        _handclasp,
        {"imap": "imap", "postgres": "postgres"},
        prints=True,
    ),
    "sslscan": Scanner(
        lambda: shutil.which("sslscan"),
        ("--version",),
        _sslscan,
        {"imap": "imap", "postgres": "psql"},
    ),
    "sslyze": Scanner(_sslyze_path, (), _sslyze, {"imap": "imap", "postgres": "postgres"}),
    "testssl.sh": Scanner(
        lambda: shutil.which("testssl"),
        ("--version",),
        _testssl,
        {"imap": "imap", "postgres": "postgres"},
    ),
}
"""The scanners by name. testssl.sh looks at protocols, suites, forward secrecy and certificates."""


def version_of(name: str) -> str:
    """Return the version that a scanner says; empty if it is not installed."""
    scanner, path = SCANNERS[name], SCANNERS[name].path()
    if path is None:
        return ""
    if name == "sslyze":
        python = Path(path).with_name("python")
        asked = [
            str(python),
            "-c",
            "from importlib import metadata as m; print(m.version('sslyze'))",
        ]
    else:
        asked = [path, *scanner.version]
    made = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=120)
    found = re.search(r"(?<![\w.])\d+\.\d+(?:\.\w+)*", re.sub(r"\x1b\[\d*m", "", made.stdout))
    return found[0] if found else ""


def run(name: str, server: str, home: Path, where: Path, seconds: float) -> Run:
    """Start a server afresh, let a scanner at it for at most so many seconds, and end both."""
    configured, port, scanner = SERVERS[server], free_port(), SCANNERS[name]
    path = scanner.path()
    if path is None:
        return Run("", 0, 0, "", "not installed")
    let_others_read(where)
    with child(configured.start(Setup(home, where, port)), where) as process:
        wait_for(port, _READY_SECONDS, lambda: process.popen.poll() is None)
        aim, told = Aim(home, port, configured.starttls), where / f"{name}.told"
        word = scanner.starttls[configured.starttls] if configured.starttls else ""
        began = time.monotonic()
        said, processor, done = _timed([path, *scanner.command(aim, told, word)], where, seconds)
        took = time.monotonic() - began
    output = said if scanner.prints else told.read_text() if told.exists() else ""
    problem = "" if output else f"no output: {said[-300:]}"
    if not done:
        output, problem = "", f"not done after {seconds:g} s"
    return Run(version_of(name), round(took, 2), round(processor, 2), output, problem)


def _timed(command: Sequence[str], where: Path, seconds: float) -> tuple[str, float, bool]:
    """Run a command; return its output, its processor time, and whether it ended by itself."""
    printed = where / "printed"
    with printed.open("wb") as out:
        popen = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT if "handclasp" not in command else None,
            start_new_session=True,
        )
    ended = threading.Event()
    late = threading.Timer(seconds, _kill, (popen.pid, ended))
    late.start()
    try:
        _, _, usage = os.wait4(popen.pid, 0)
    finally:
        late.cancel()
        _kill(popen.pid, threading.Event())
    popen.returncode = 0  # wait4 has taken it.
    processor = usage.ru_utime + usage.ru_stime
    return printed.read_text(errors="replace"), processor, not ended.is_set()


def _kill(group: int, ended: threading.Event) -> None:
    ended.set()
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
