"""Watches real programs, and writes the tables of docs/watch.md: `python -m tests.watch --write`.

Each program makes one connection to a server of this machine by `handclasp watch`, and a second one
to a server whose authority it does not know. What is not installed stands in the table as that.
"""

from __future__ import annotations

import argparse
import http.server
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.browser.databases import trust_database
from tests.documents import write_part
from tests.programs.certificates import write_certificates
from tests.programs.daemons import running
from tests.rules.source import ROOT
from tests.watch.figures import child, figures, watching

PAGE = ROOT / "docs" / "watch.md"
PYTHON = ROOT / ".peers" / "programs" / "bin" / "python"
GO = ROOT / ".peers" / "go-peer"
JAVA = ROOT / ".peers" / "java"
_SECONDS = 60

_CODE = {
    "requests": "import sys, requests; print(requests.get(sys.argv[1], verify=sys.argv[2]))",
    "httpx": "import sys, ssl, httpx; "
    "context = ssl.create_default_context(cafile=sys.argv[2]); "
    "print(httpx.get(sys.argv[1], verify=context))",
    "curl_cffi": "import sys; from curl_cffi import requests; "
    "print(requests.get(sys.argv[1], verify=sys.argv[2], impersonate='chrome'))",
    "aiohttp": """
import asyncio, ssl, sys, aiohttp
async def main():
    context = ssl.create_default_context(cafile=sys.argv[2])
    async with aiohttp.ClientSession(trust_env=True) as session:
        async with session.get(sys.argv[1], ssl=context) as answer:
            print(answer.status)
asyncio.run(main())
""",
}


@dataclass
class Place:
    """The directory of a run, and the servers in it."""

    home: Path
    port: int
    postgres: int | None
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/"


@dataclass(frozen=True)
class Program:
    """One row: a program, its version, and its command for a file of authorities.

    Attributes:
        server: the server of a relay, for programs that follow no proxy; the command then gets the
            port of the relay.
        is_intercepted: whether it has to trust the authority of the relay, by --intercept.
    """

    name: str
    version: Callable[[], str]
    command: Callable[[Place, str, int], Sequence[str]]
    server: Callable[[Place], int | None] | None = None
    is_intercepted: bool = False

    @property
    def way(self) -> str:
        """How its connection comes through `watch`."""
        if self.is_intercepted:
            return "relay, `--intercept`"
        return "proxy" if self.server is None else "relay"


def printed(*command: str) -> str:
    """The first line that a program prints; empty where it cannot be run."""
    with suppress(OSError, subprocess.TimeoutExpired):
        made = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if made.returncode == 0:
            return (made.stdout + made.stderr).strip().splitlines()[0]
    return ""


def library(name: str) -> Callable[[], str]:
    code = f"import importlib.metadata as m, ssl; print(m.version({name!r}), ssl.OPENSSL_VERSION)"
    return lambda: " ".join(printed(str(PYTHON), "-c", code).split()[:3])


def _curl_cffi() -> str:
    """The version of the binding, and of the TLS library in it."""
    code = "import curl_cffi as c; print(c.__version__, c.Curl().version().decode().split()[1])"
    return printed(sys.executable, "-c", code)


def python(
    name: str, version: Callable[[], str] | None = None, interpreter: str = str(PYTHON)
) -> Program:
    def command(place: Place, ca: str, port: int) -> Sequence[str]:
        return [interpreter, "-c", _CODE[name], place.url, ca]

    return Program(name, version or library(name), command)


def _pip(place: Place, ca: str, port: int) -> Sequence[str]:
    options = ["--index-url", f"{place.url}simple/", "--cert", ca, "--retries", "0", "-qq"]
    options += ["--disable-pip-version-check", "--no-cache-dir", "-d", str(place.home / "got")]
    return [str(PYTHON), "-m", "pip", "download", "--no-deps", *options, "handclasp-watched"]


def _peer(program: Sequence[str]) -> Callable[[Place, str, int], Sequence[str]]:
    def command(place: Place, ca: str, port: int) -> Sequence[str]:
        payload = place.home / "payload"
        payload.write_bytes(b"GET / HTTP/1.0\r\n\r\n")
        flags = ["--ca", ca, "--payload", str(payload), "--tls", "TLSv1.3", "--style", "http"]
        flags += ["--connections", "1", "--rounds", "1"]
        return [*program, "client", *flags, "--port", str(port)]

    return command


def _with_and_without_keys(name: str, program: Sequence[str]) -> Iterator[Program]:
    """A program that writes no key log, from end to end and by --intercept."""
    for is_intercepted in (False, True):
        yield Program(
            name,
            lambda: printed(*program, "version"),
            _peer(program),
            lambda place: place.port,
            is_intercepted,
        )


def _chromium(place: Place, ca: str, port: int) -> Sequence[str]:
    home = Path(tempfile.mkdtemp(dir=place.home))
    trust_database(home / ".pki" / "nssdb", Path(ca))
    # Without this rule, what is on this machine goes by no proxy.
    proxied = '--proxy-server="$https_proxy" "--proxy-bypass-list=<-loopback>"'
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    options += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    options += [f"--user-data-dir={home / 'profile'}", "--timeout=10000", "--dump-dom", place.url]
    return ["sh", "-c", f'HOME={home} exec chromium {proxied} "$@"', "sh", *options]


def _firefox(place: Place, ca: str, port: int) -> Sequence[str]:
    profile = Path(tempfile.mkdtemp(dir=place.home)) / "profile"
    trust_database(profile, Path(ca))
    settings = {
        "network.proxy.type": "5",  # that of the environment
        "network.proxy.allow_hijacking_localhost": "true",
        "network.captive-portal-service.enabled": "false",
        "network.connectivity-service.enabled": "false",
    }
    lines = [f'user_pref("{name}", {value});\n' for name, value in settings.items()]
    (profile / "user.js").write_text("".join(lines))
    options = ["--headless", "--no-remote", "--profile", str(profile)]
    options += ["--screenshot", str(profile / "page.png"), place.url]
    return ["timeout", "30", "env", f"HOME={profile}", "firefox-esr", *options]


def _psql(place: Place, ca: str, port: int) -> Sequence[str]:
    where = f"host=localhost port={port} user=postgres dbname=postgres"
    return ["psql", f"{where} sslmode=verify-full sslrootcert={ca}", "-c", "select 1"]


PROGRAMS = (
    Program(
        "curl",
        lambda: " ".join(printed("curl", "--version").split()[1:5:3]),
        lambda place, ca, port: ["curl", "-sS", "--cacert", ca, place.url],
    ),
    python("requests"),
    python("httpx"),
    python("aiohttp"),
    python("curl_cffi", _curl_cffi, sys.executable),  # It is among the peers of interop.
    Program(
        "git",
        lambda: printed("git", "--version").removeprefix("git version "),
        lambda place, ca, port: ["git", "-c", f"http.sslCAInfo={ca}", "ls-remote", place.url],
    ),
    Program("pip", library("pip"), _pip),
    Program(
        "wget",
        lambda: " ".join(printed("wget", "--version").split()[2:3]),
        lambda place, ca, port: ["wget", "-q", "-O-", f"--ca-certificate={ca}", place.url],
    ),
    Program(
        "Chromium",
        lambda: " ".join(printed("chromium", "--version").split()[1:2]),
        _chromium,
    ),
    Program(
        "Firefox",
        lambda: printed("firefox-esr", "--version").removeprefix("Mozilla Firefox "),
        _firefox,
    ),
    *_with_and_without_keys("Go", [str(GO)]),
    *_with_and_without_keys("Java", ["java", "-cp", str(JAVA), "Peer"]),
    Program(
        "psql",
        lambda: " ".join(printed("psql", "--version").split()[2:3]),
        _psql,
        lambda place: place.postgres,
    ),
)


@contextmanager
def https_server(home: Path) -> Iterator[int]:
    """A server with a page, an index for pip and a repository for git, which are all the root."""
    files = home / "www"
    files.mkdir()
    (files / "index.html").write_text("hello\n")
    _repository(home, files)
    _package(files)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(home / "server-chain.pem", home / "server-key.pem")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(files))

        def setup(self) -> None:
            self.request = context.wrap_socket(self.request, server_side=True)
            super().setup()

        def log_message(self, *arguments: Any) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *arguments: Any) -> None:
            pass  # A client that refuses the certificate is what half of the rows are about.

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _repository(home: Path, files: Path) -> None:
    """Make a repository with a commit, for clients of plain HTTP."""
    work = home / "work"
    author = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    with suppress(OSError):
        for arguments in (
            ["init", "-q", str(work)],
            ["-C", str(work), *author, "commit", "-q", "--allow-empty", "-m", "x"],
            ["-C", str(work), "update-server-info"],
        ):
            subprocess.run(["git", *arguments], check=False, capture_output=True)
        for path in (work / ".git").iterdir():
            path.rename(files / path.name)


def _package(files: Path) -> None:
    name, about = "handclasp_watched-1.0", "Name: handclasp-watched\nVersion: 1.0\n"
    simple = files / "simple" / "handclasp-watched"
    simple.mkdir(parents=True)
    (simple / "index.html").write_text(f'<a href="{name}-py3-none-any.whl">{name}</a>')
    with zipfile.ZipFile(simple / f"{name}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.dist-info/METADATA", f"Metadata-Version: 2.1\n{about}")
        wheel.writestr(f"{name}.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{name}.dist-info/RECORD", "")


def watched(program: Program, place: Place, ca: str) -> dict[str, Any]:
    """What `handclasp watch` says of the program's last connection; of two halves, its own.

    Only the other half has the certificate of the server.
    """
    options = ["--json", "--ca", str(place.home / "ca.pem")]
    if program.server is None:
        command = [sys.executable, "-m", "handclasp", "watch", *options]
        made = subprocess.run(
            [*command, "--", *program.command(place, ca, 0)],
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
        lines = made.stdout.splitlines()
    else:
        lines = _by_relay(program, place, ca, options)
    told: list[dict[str, Any]] = [each for each in map(json.loads, lines) if each["tls"]]
    own: dict[str, Any] = next(
        (each for each in reversed(told) if each["intercepted"] != "server"), {}
    )
    others = [each for each in told if each["intercepted"] == "server"]
    return {**own, "peer": others[-1]["peer"]} if own and others else own


def _by_relay(program: Program, place: Place, ca: str, options: Sequence[str]) -> list[bytes]:
    server = program.server(place) if program.server is not None else None
    if server is None:
        return []
    intercept = ["--intercept"] if program.is_intercepted else []
    command = watching(f"localhost:{server}", *options, *intercept)
    with tempfile.TemporaryFile() as output:
        with child(*command, output=output) as relay:
            is_trusted = Path(ca).name == "ca.pem"
            trusted = relay.authority() if intercept and is_trusted else ca
            subprocess.run(
                program.command(place, trusted, relay.port),
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
            time.sleep(0.2)
        output.seek(0)
        return output.read().splitlines()


def row(program: Program, place: Place) -> str:
    """One row of the table."""
    version = program.version()
    if not version:
        return f"| {program.name} | not installed | | | | | | |"
    good = watched(program, place, str(place.home / "ca.pem"))
    bad = watched(program, place, str(place.home / "wrong-ca.pem"))
    if not good:
        return f"| {program.name} | {version} | no connection was seen | | | | | |"
    peer = good.get("peer")
    certificate = ", ".join(peer["names"]) if peer else "hidden"
    failure = bad.get("failure") or {}
    told = failure.get("cause") or " ".join(bad.get("notes") or ["not seen"])
    words = " ".join(told.split()).replace("|", "\\|")
    # The time is another one in each run.
    words = re.sub(r"left (right|[\d,]+ ms) after", "left after", words)
    cause = words.split(":")[0].split(". ")[0].rstrip(".")
    blame = f" ({failure['blame']})" if failure else ""
    cells = [f"{program.name} {version}", program.way, good["version"], good["cipher_suite"]]
    cells += [good["group"] or "", certificate, good["outcome"], f"{cause}{blame}"]
    return f"| {' | '.join(map(str, cells))} |"


def tables() -> str:
    """Both tables, as they stand in the document."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        home.chmod(0o711)  # PostgreSQL, as another user, opens its files, and nobody lists them.
        write_certificates(home)
        port = stack.enter_context(https_server(home))
        ports, _ = stack.enter_context(running(["postgres"], home))
        place = Place(home, port, ports.get("postgres"))
        head = ["program", "by", "version", "suite", "group", "certificate", "outcome"]
        head.append("with an authority that it does not know")
        lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
        for program in PROGRAMS:
            lines.append(row(program, place))
            print(lines[-1], flush=True)
    return "\n".join(lines) + "\n\n" + figures()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.watch")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    wants = parser.parse_args()
    for name in list(os.environ):
        # Programs of requests prefer the authorities of these to those of their arguments.
        if re.search("SSLKEYLOGFILE|CA_BUNDLE|SSL_CERT|PIP_", name):
            del os.environ[name]
    made = tables()
    if wants.write:
        write_part(PAGE, "tests.watch", made)
    else:
        print(made)


if __name__ == "__main__":
    main()
