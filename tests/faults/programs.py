"""The programs of the table: how each fetches a page, and which words it has for a failure."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.rules.source import ROOT

PYTHON = ROOT / ".peers" / "programs" / "bin" / "python"
SECONDS = 4.0
"""The time that a program gives up after, where it can be told."""

_LIMIT = 40
_REQUESTS = """
import sys, requests
try:
    print(requests.get(sys.argv[2], verify=sys.argv[1], timeout=float(sys.argv[3])).text)
except requests.exceptions.RequestException as error:
    sys.exit(str(error))
"""

Fetch = Callable[[str], str | None]
"""Fetches a URL; returns the words for a failure, and None if there was none."""


@dataclass(frozen=True)
class Program:
    """One column of the table.

    Attributes:
        start: yields the version and what fetches pages; raises `LookupError` where the program is
            not installed. It gets the file of the authority that the program is to trust.
    """

    name: str
    start: Callable[[str], Any]


def _version(*command: str) -> str:
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if done.returncode == 0:
            return done.stdout.strip().splitlines()[0]
    raise LookupError(command[0])


def failure_of(command: Sequence[str]) -> str | None:
    """Run a program; return what it says, or None if it succeeds."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT)
    except subprocess.TimeoutExpired:
        return f"(nothing for {_LIMIT} seconds)"
    return None if done.returncode == 0 else " ".join((done.stderr or done.stdout).split())


def curl_command(ca: str, *options: str) -> list[str]:
    """The command of curl, but for the URL."""
    return ["curl", "-sS", "--max-time", f"{SECONDS:g}", "--cacert", ca, *options]


@contextmanager
def _curl(ca: str) -> Iterator[tuple[str, Fetch]]:
    words = _version("curl", "--version").split()
    library = next(word for word in words if "SSL" in word or "TLS" in word)
    version = f"{words[1]}, {library}"

    def fetch(url: str) -> str | None:
        said = failure_of([*curl_command(ca), url])
        return said and re.sub(r" More details here:.*", "", said)

    yield version, fetch


@contextmanager
def _requests(ca: str) -> Iterator[tuple[str, Fetch]]:
    code = "import requests, ssl; print(requests.__version__, ssl.OPENSSL_VERSION, sep=', ')"
    version = " ".join(_version(str(PYTHON), "-c", code).split()[:3])

    def fetch(url: str) -> str | None:
        said = failure_of([str(PYTHON), "-c", _REQUESTS, ca, url, f"{SECONDS:g}"])
        if said is None:
            return None
        # What urllib3 has wrapped around it says nothing of TLS.
        inner = re.search(r"(?:\d, ['\"])(\[SSL.*?) \(_ssl\.c:\d+\)", said)
        return inner[1] if inner is not None else re.sub(r"^HTTPSConnectionPool\(.*?\): ", "", said)

    yield version, fetch


@contextmanager
def _go(ca: str) -> Iterator[tuple[str, Fetch]]:
    go = shutil.which("go") or str(ROOT / ".venv" / "bin" / "go")
    version = _version(go, "version").split()[2].removeprefix("go")
    with tempfile.TemporaryDirectory() as directory:
        program = str(Path(directory) / "fetch")
        environment = {**os.environ, "GOTOOLCHAIN": "local", "GOPROXY": "off"}
        environment["GOCACHE"] = str(ROOT / ".peers" / "go-build")
        build = [go, "build", "-o", program, "."]
        subprocess.run(
            build, cwd=Path(__file__).parent / "go", env=environment, check=True, timeout=600
        )

        def fetch(url: str) -> str | None:
            said = failure_of([program, ca, url])
            return said and re.sub(r'^Get "[^"]*": ', "", said)

        yield version, fetch


@contextmanager
def _chromium(ca: str) -> Iterator[tuple[str, Fetch]]:
    version = _version("chromium", "--version").split()[1]
    from tests.browser.driven import WebDriverException, driven_chromium

    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        browser = stack.enter_context(driven_chromium(Path(directory), Path(ca)))
        browser.driver.set_page_load_timeout(SECONDS)

        def fetch(url: str) -> str | None:
            try:
                browser.open(url)
            except WebDriverException as error:
                said = str(error)
                found = re.search(r"net::\w+", said)
                if found is not None:
                    return found[0]
                return "(still loading)" if "timeout" in said.lower() else said.splitlines()[0]
            found = re.search(r"net::ERR_\w+", browser.driver.page_source)
            return found[0] if found is not None else None

        yield version, fetch


@contextmanager
def _firefox(ca: str) -> Iterator[tuple[str, Fetch]]:
    version = _version("firefox-esr", "--version").split()[-1]
    from tests.browser.driven_firefox import driven_firefox
    from websocket import WebSocketTimeoutException

    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        browser = stack.enter_context(driven_firefox(Path(directory), Path(ca)))

        def fetch(url: str) -> str | None:
            try:
                browser.open(url)
            except AssertionError as error:  # Its answer, which is no success.
                said = str(error)
                found = re.search(r"\b(?:SEC|SSL|MOZILLA_PKIX)_ERROR_\w+|NS_ERROR_NET\w+", said)
                return found[0] if found is not None else said[:200]
            except WebSocketTimeoutException:
                return "(still loading)"
            return None

        yield version, fetch


PROGRAMS = (
    Program("curl", _curl),
    Program("requests", _requests),
    Program("Go", _go),
    Program("Chromium", _chromium),
    Program("Firefox", _firefox),
)
