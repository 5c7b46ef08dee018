"""`handclasp watch` where a file or a stream fails: the programs go on, and the reports say why."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import COMMAND, WAIT_SECONDS, Run, heed_interrupts, started
from tests.cli.test_connect import server, tls_server
from tests.cli.test_watch import ANSWER, fetch, watched_json

import handclasp
from handclasp import ClientConfig, Credentials, TrustStore
from handclasp.trace.keylog import open_keylog

pytestmark = pytest.mark.usefixtures("temporary")

NEEDS_FULL = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no such device")

FETCH_TWICE = """
import ssl, sys, urllib.request
context = ssl.create_default_context(cafile=sys.argv[2])
for _ in range(2):
    print(urllib.request.urlopen(sys.argv[1], context=context).read().decode(), flush=True)
raise SystemExit(7)
"""
"""A program with two connections, each of which depends on the relay, and a status of its own."""


@pytest.fixture
def credentials(pair: tuple[str, str]) -> Credentials:
    return Credentials.load(*pair)


def fetch_twice(url: str, ca: str) -> list[str]:
    return [sys.executable, "-c", FETCH_TWICE, url, ca]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("unset SSLKEYLOGFILE", "named to the program is empty"),
        ('rm "$SSLKEYLOGFILE"; unset SSLKEYLOGFILE', "named to the program is not there"),
        ('rm "$SSLKEYLOGFILE"; mkfifo "$SSLKEYLOGFILE"; unset SSLKEYLOGFILE', "is a pipe, not a"),
        ('echo hello > "$SSLKEYLOGFILE"; unset SSLKEYLOGFILE', "has no secret in it"),
    ],
    ids=["empty", "removed", "pipe", "other"],
)
def test_the_report_says_why_there_are_no_secrets(
    change: str, told: str, credentials: Credentials, ca: str
) -> None:
    with server(tls_server(credentials, ANSWER)) as port:
        program = fetch(f"https://localhost:{port}/", ca)
        [report], errors = watched_json("--", "sh", "-c", f'{change}; exec "$@"', "sh", *program)
    assert errors == b"hello\n"
    [hidden] = report["hidden"]
    assert told in hidden
    assert "--intercept shows" in hidden
    assert "--keylog" not in hidden  # That is for HOST:PORT.


def handclasp_after(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a process that has run some code before."""
    command = [sys.executable, "-c", f"{code}\nfrom handclasp.cli import main; main()", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=WAIT_SECONDS, check=False
    )


_NOWHERE = """
import tempfile
def mkdtemp(**options):
    raise FileNotFoundError(2, "No usable temporary directory found")
tempfile.mkdtemp = mkdtemp
"""


def test_a_program_runs_without_a_key_log_where_none_can_be_made(
    credentials: Credentials, ca: str
) -> None:
    with server(tls_server(credentials, ANSWER)) as port:
        program = fetch(f"https://localhost:{port}/", ca)
        made = handclasp_after(_NOWHERE, "watch", "--json", "--", *program)
    assert made.returncode == 0
    assert "No key log could be made: No usable temporary directory found." in made.stderr
    [hidden] = json.loads(made.stdout)["hidden"]
    assert "No key log could be made" in hidden
    made = handclasp_after(_NOWHERE, "watch", "--intercept", "--", *program)
    assert made.returncode == 2
    assert "--intercept cannot be written for the client: No usable temporary" in made.stderr


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("directory", "is a directory, not a file"),
        ("pipe", "is a pipe, not a file"),
        ("/dev/zero", "is a device, not a file"),
        ("loop", "cannot be read: Too many levels of symbolic links"),
        ("none/keys.log", "there is no directory"),
        ("file/keys.log", "there is no directory"),
    ],
)
def test_what_can_be_no_key_log_is_refused_before_there_are_connections(
    place: str, told: str, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    made = run("watch", "localhost:1", "--keylog", str(tmp_path / place))
    assert made.exit_code == 2
    assert "handclasp: --keylog" in made.stderr
    assert told in made.stderr


def test_a_key_log_that_is_removed_meanwhile_costs_nothing_but_secrets(
    credentials: Credentials, ca: str, tmp_path: Path
) -> None:
    path = tmp_path / "keys.log"
    keylog = open_keylog(path)
    with server(tls_server(credentials, b"hello"), connections=3) as port:
        arguments = ["--json", "--ca", ca, "--keylog", str(path)]
        with started("watch", f"localhost:{port}", *arguments) as process:

            def visit() -> list[str]:
                config = ClientConfig(trust=TrustStore.from_pem(ca), keylog=keylog)
                address = ("127.0.0.1", process.port)
                with handclasp.connect(*address, config, server_name="localhost") as tls:
                    assert tls.recv(100) == b"hello"
                found: list[str] = json.loads(process.line(r"^\{"))["hidden"]
                return found

            assert visit() == []
            path.unlink()
            [told] = visit()
            assert f"The key log {path} has been removed." in told
            # Another file in its place is read from its beginning, even if it is longer.
            path.write_bytes(b"# a comment\n" * 1000)
            keylog = open_keylog(path)
            assert visit() == []
            assert process.end(signal.SIGTERM) == 0


@NEEDS_FULL
@pytest.mark.parametrize(
    ("options", "stream"), [(["--json"], "stdout"), (["-v"], "stderr")], ids=["json", "lines"]
)
def test_reports_that_cannot_be_written_cost_nothing(
    options: list[str], stream: str, credentials: Credentials, ca: str, tmp_path: Path
) -> None:
    pages = tmp_path / "pages"
    with server(tls_server(credentials, ANSWER), connections=2) as port:
        program = fetch_twice(f"https://localhost:{port}/", ca)
        command = [*COMMAND, "watch", *options, "--page", str(pages), "--", *program]
        other = "stderr" if stream == "stdout" else "stdout"
        with open("/dev/full", "wb") as full:
            streams: dict[str, Any] = {stream: full, other: subprocess.PIPE}
            made = subprocess.run(command, timeout=WAIT_SECONDS, check=False, **streams)
    said = (made.stdout or b"") + (made.stderr or b"")
    assert made.returncode == 7
    assert said.count(b"hello\n") == 2
    assert b"Traceback" not in said
    assert len(list(pages.iterdir())) == 2
    assert said.count(b"Standard output fails, and lines are lost") == (stream == "stdout")


@pytest.mark.parametrize("options", [["--json"], []], ids=["json", "lines"])
def test_a_reader_of_the_reports_that_has_gone_costs_nothing(
    options: list[str], credentials: Credentials, ca: str, tmp_path: Path
) -> None:
    """As with `| head -1`."""
    reader, writer = os.pipe()
    os.close(reader)
    program_output = tmp_path / "output"
    with server(tls_server(credentials, ANSWER), connections=2) as port:
        program = fetch_twice(f"https://localhost:{port}/", ca)
        shell = ["sh", "-c", f'exec "$@" > {program_output} 2>&1', "sh", *program]
        command = [*COMMAND, "watch", *options, "--", *shell]
        with os.fdopen(writer, "wb") as gone:
            made = subprocess.run(
                command, stdout=gone, stderr=gone, timeout=WAIT_SECONDS, check=False
            )
    assert made.returncode == 7
    assert program_output.read_bytes() == b"hello\n" * 2


def test_pages_and_a_capture_on_a_full_disk_leave_the_status_to_the_program(
    credentials: Credentials, ca: str, tmp_path: Path
) -> None:
    pytest.importorskip("resource")
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))"
    capture, pages = tmp_path / "all.pcapng", tmp_path / "pages"
    with server(tls_server(credentials, ANSWER), connections=2) as port:
        program = fetch_twice(f"https://localhost:{port}/", ca)
        files = ["--pcapng", str(capture), "--page", str(pages)]
        made = handclasp_after(limit, "watch", "--json", *files, "--", *program)
    told = made.stderr
    assert made.returncode == 7, told
    assert told.count("hello\n") == 2
    assert "Traceback" not in told
    assert f"cannot write {capture}: File too large" in told
    assert f"The capture {capture} is not whole: File too large." in told
    # Each is told once, however many connections follow.
    assert told.count("cannot write") == 2
    assert f"cannot write {pages}/0001-localhost.html: File too large." in told
    assert f"2 pages could not be written to {pages}." in told


_SLOW_REPORTS = """
import time
from handclasp.cli import main, watch
watch._REPORT_SECONDS = 1.0
tell_news = watch._tell_news
def tell(settings, sighting):
    time.sleep(0.2)
    tell_news(settings, sighting)
watch._tell_news = tell
main()
"""
_ASKS = """
import os, socket, sys, time, urllib.parse
proxy = urllib.parse.urlsplit(os.environ["https_proxy"])
for _ in range(20):
    sock = socket.create_connection((proxy.hostname, proxy.port))
    sock.sendall(b"CONNECT 127.0.0.1:1 HTTP/1.1" + bytes([13, 10, 13, 10]))
    while sock.recv(1000):
        pass
print("asked", file=sys.stderr, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("is_hurried", [False, True])
def test_many_reports_are_all_made_after_a_signal_unless_another_one_follows(
    is_hurried: bool,
) -> None:
    """Together they take longer than each of them may."""
    watched = ["--json", "--", sys.executable, "-c", _ASKS]
    with subprocess.Popen(
        [sys.executable, "-c", _SLOW_REPORTS, "watch", *watched],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=heed_interrupts,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stderr.readline() == b"asked\n"
            process.send_signal(signal.SIGINT)
            numbers: set[int] = set()
            for line in process.stdout:
                numbers.add(json.loads(line)["connection"])
                if is_hurried:
                    process.send_signal(signal.SIGINT)
            status = process.wait(WAIT_SECONDS)
        finally:
            process.kill()
    assert status in (128 + signal.SIGINT, 128 + signal.SIGKILL)
    assert (numbers == set(range(1, 21))) is not is_hurried
