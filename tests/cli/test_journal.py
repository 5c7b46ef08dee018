"""The log of `serve`: its forms, its bounds, and outputs that fail."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import COMMAND, SOURCE, WAIT_SECONDS, Run, started

import handclasp
from handclasp import ClientConfig
from handclasp.certificates.authority import LocalAuthority
from handclasp.cli.journal import Form, Journal
from handclasp.serving.clerk import Clerk
from handclasp.serving.throttle import BURST, SUMMARY_SECONDS, Throttle
from handclasp.serving.visits import Request, Visit

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
REQUEST = Request("192.0.2.1", 99, AT, "GET", '/a"b\\?c', "HTTP/1.1", 200, 1234, 0.0021)
UNREADABLE = Request("2001:db8::1", 99, AT, "", "", "", 400, 0, 0.0)


@pytest.mark.parametrize(
    ("form", "first", "second"),
    [
        (
            "text",
            '2026-01-02T03:04:05Z  192.0.2.1:99  GET /a"b\\?c  200  1,234 bytes  2.1 ms',
            "2026-01-02T03:04:05Z  [2001:db8::1]:99  no request  400  0 bytes  0.0 ms",
        ),
        (
            "clf",
            '192.0.2.1 - - [02/Jan/2026:03:04:05 +0000] "GET /a\\"b\\\\?c HTTP/1.1" 200 1234',
            '2001:db8::1 - - [02/Jan/2026:03:04:05 +0000] "-" 400 -',
        ),
    ],
)
def test_lines_of_requests(
    capsys: pytest.CaptureFixture[str], form: Form, first: str, second: str
) -> None:
    journal = Journal(form)
    journal.answered(REQUEST)
    journal.answered(UNREADABLE)
    journal.remarked("a remark\x1b")
    journal.close()
    out, err = capsys.readouterr()
    assert out == f"{first}\n{second}\n"
    assert re.fullmatch(r"\S+Z  a remark\?\n", err)


def test_objects(capsys: pytest.CaptureFixture[str]) -> None:
    journal = Journal("json")
    journal.answered(REQUEST)
    journal.remarked("a remark")
    journal.close()
    out, err = capsys.readouterr()
    request, remark = map(json.loads, out.splitlines())
    assert request["event"] == "request"
    assert (request["bytes"], request["seconds"]) == (1234, 0.0021)
    assert (remark["event"], remark["text"]) == ("remark", "a remark")
    assert err == ""


@pytest.mark.parametrize("form", ["text", "json"])
def test_many_failures_are_counted(capsys: pytest.CaptureFixture[str], form: Form) -> None:
    journal = Journal(form)
    for number in range(10 * BURST):
        error = ConnectionResetError(104, "reset")
        journal.failed(Visit(f"192.0.2.{number % 3}", number, error=error))
    journal.close()
    out, err = capsys.readouterr()
    if form == "json":
        *told, summary = map(json.loads, out.splitlines())
        assert (summary["event"], summary["clients"]) == ("left_out", 3)
        assert summary["kinds"] == {"ConnectionResetError": summary["count"]}
        assert BURST <= len(told) == 10 * BURST - summary["count"] < 2 * BURST
    else:
        assert BURST <= out.count("failed  CONNECTION_RESET") < 2 * BURST
        assert re.search(r" more lines were left out in \d+ s from 3 addresses: \d+ Conn", err)


def test_the_summary_comes_in_time() -> None:
    now = 0.0
    throttle = Throttle(lambda: now)
    assert [throttle.allows("a", "b") for _ in range(BURST + 1)] == [True] * BURST + [False]
    assert throttle.take_summary() is None
    now = SUMMARY_SECONDS
    summary = throttle.take_summary()
    assert summary is not None
    assert (summary.count, summary.seconds) == (1, SUMMARY_SECONDS)
    assert throttle.take_summary(final=True) is None
    assert throttle.allows("a", "b")


def test_what_strangers_can_fill_is_bounded() -> None:
    throttle = Throttle(lambda: 0.0)
    for number in range(20_000):
        throttle.allows(f"kind {number}", f"host {number}")
    summary = throttle.take_summary(final=True)
    assert summary is not None
    assert summary.count == 20_000 - BURST
    assert len(summary.kinds) <= 100
    assert len(summary.sources) <= 10_000


def test_an_output_that_hangs_costs_bounded_memory() -> None:
    dropped, done, may_go = list[int](), list[int](), threading.Event()
    clerk = Clerk(dropped.append, most=10)

    def hang() -> None:
        may_go.wait(WAIT_SECONDS)

    clerk.put(hang)
    for number in range(1000):
        clerk.put(partial(done.append, number))
    clerk.close(0.01)  # It waits no longer than it may.
    may_go.set()
    clerk.close(WAIT_SECONDS)
    assert len(done) <= 11
    assert len(done) + sum(dropped) == 1000


def answered(port: int, authority: LocalAuthority, path: str = "/") -> bytes:
    config = ClientConfig(trust=authority.trust)
    with handclasp.connect("localhost", port, config, timeout=20) as tls:
        tls.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: tls.recv(65536), b""))


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def serving(site: Path, port: int, stdout: Any) -> subprocess.Popen[str]:
    popen = subprocess.Popen(
        [*COMMAND, "serve", str(site), "--port", str(port)],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCE},
    )
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return popen
        time.sleep(0.05)
    popen.kill()
    raise AssertionError("it does not listen")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no such device")
def test_a_full_disk_ends_nothing(authority: LocalAuthority, tmp_path: Path, port: int) -> None:
    with open("/dev/full", "w") as full:
        popen = serving(tmp_path, port, full)
    try:
        for _ in range(3):
            assert answered(port, authority).startswith(b"HTTP/1.1 200")
        time.sleep(0.5)
        popen.send_signal(signal.SIGTERM)
        _, errors = popen.communicate(timeout=WAIT_SECONDS)
    finally:
        popen.kill()
    assert popen.returncode == 0
    assert "Traceback" not in errors
    assert errors.count("No space left on device") == 1


def test_a_reader_that_does_not_read_locks_nobody_out(
    authority: LocalAuthority, tmp_path: Path, port: int
) -> None:
    """A pipe takes some kilobytes, and then a write to it waits."""
    popen = serving(tmp_path, port, subprocess.PIPE)
    try:
        config = ClientConfig(trust=authority.trust)
        path = "/" + "x" * 8000
        with handclasp.connect("localhost", port, config, timeout=20) as tls:
            for _ in range(40):
                tls.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                said = b""
                while not said.endswith(b"no such file.\n"):
                    said += tls.recv(65536)
        assert answered(port, authority).startswith(b"HTTP/1.1 200")
        popen.send_signal(signal.SIGTERM)
        assert popen.wait(WAIT_SECONDS) == 0
    finally:
        popen.kill()
        popen.communicate(timeout=WAIT_SECONDS)


def test_junk_makes_few_lines(authority: LocalAuthority, tmp_path: Path) -> None:
    with started("serve", str(tmp_path), "--port", "0") as process:
        for _ in range(300):
            with socket.create_connection(("127.0.0.1", process.port), 20) as sock:
                sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
                with suppress(OSError):
                    sock.recv(100)
        assert answered(process.port, authority).startswith(b"HTTP/1.1 200")
        process.end(signal.SIGTERM)
        lines = [process.line("") for _ in range(process.lines.qsize())]
    assert BURST <= sum("PLAINTEXT_HTTP" in line and "failed" in line for line in lines) < 150
    (summary,) = [line for line in lines if "more lines were left out" in line]
    assert "from 1 addresses" in summary


def test_forms_exclude_each_other(run: Run) -> None:
    for options, words in (
        (("--json", "--log-format", "clf"), "exclude each other"),
        (("--echo", "--log-format", "clf"), "--echo has none"),
    ):
        result = run("serve", "--port", "0", *options)
        assert (result.exit_code, words in result.stderr) == (2, True)
