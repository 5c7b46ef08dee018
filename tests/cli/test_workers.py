"""`serve --workers`: processes that share a port, and end together."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import pytest
from tests.cli.conftest import Run, started

import handclasp
from handclasp import ClientConfig, SessionStore
from handclasp.certificates.authority import LocalAuthority
from handclasp.serving.supervisor import MOST_QUICK_ENDINGS

pytestmark = pytest.mark.long

WAIT_SECONDS = 20


def workers_of(pid: int, count: int) -> list[int]:
    """The processes that it has forked, waited for."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        told = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if len(told) == count:
            return [int(each) for each in told]
        time.sleep(0.05)
    raise AssertionError("the workers did not come up")


def echoed(port: int, authority: LocalAuthority) -> bytes:
    config = ClientConfig(trust=authority.trust)
    with handclasp.connect("localhost", port, config, timeout=WAIT_SECONDS) as tls:
        tls.sendall(b"hello")
        return tls.recv(5)


def wait_until_gone(port: int) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.05)
    raise AssertionError("somebody still listens")


def test_each_worker_serves_and_all_end_on_a_signal(authority: LocalAuthority) -> None:
    with started("serve", "--echo", "--port", "0", "--workers", "2") as process:
        workers_of(process.popen.pid, 2)
        assert {echoed(process.port, authority) for _ in range(6)} == {b"hello"}
        assert process.end(signal.SIGTERM) == 0
        wait_until_gone(process.port)


def test_a_signal_right_after_the_start_ends_the_workers(authority: LocalAuthority) -> None:
    """It comes before they heed any: it must not be noted by a handler of the parent's."""
    with started("serve", "--echo", "--port", "0", "--workers", "4", "--grace", "20") as process:
        began = time.monotonic()
        assert process.end(signal.SIGTERM) == 0
        assert time.monotonic() - began < 15
        wait_until_gone(process.port)


@pytest.mark.parametrize("version", ["TLSv1.3", "TLSv1.2"])
def test_each_worker_resumes_the_others_clients(authority: LocalAuthority, version: str) -> None:
    """Which worker a visit comes to is the system's choice: of nine, hardly ever one alone."""
    config = ClientConfig(trust=authority.trust, sessions=SessionStore(), versions=[version])
    with started("serve", "--echo", "--port", "0", "--workers", "2") as process:
        workers_of(process.popen.pid, 2)
        resumed = list[bool]()
        for _ in range(9):
            with handclasp.connect("localhost", process.port, config, timeout=WAIT_SECONDS) as tls:
                tls.sendall(b"hello")
                tls.recv(5)
                resumed.append(tls.info.resumed)
        assert resumed == [False] + [True] * 8


def test_the_workers_end_with_the_parent(authority: LocalAuthority) -> None:
    with started("serve", "--echo", "--port", "0", "--workers", "2") as process:
        assert echoed(process.port, authority) == b"hello"
        os.kill(process.popen.pid, signal.SIGKILL)
        process.popen.wait(WAIT_SECONDS)
        wait_until_gone(process.port)


def test_another_worker_starts_for_one_that_was_killed(authority: LocalAuthority) -> None:
    with started("serve", "--echo", "--port", "0", "--workers", "2") as process:
        before = workers_of(process.popen.pid, 2)
        os.kill(before[1], signal.SIGKILL)
        line = process.line("Worker 2")
        assert f"(process {before[1]}) was ended by SIGKILL; another one starts" in line
        deadline = time.monotonic() + WAIT_SECONDS
        while before[1] in (now := workers_of(process.popen.pid, 2)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert now[0] == before[0]
        assert {echoed(process.port, authority) for _ in range(6)} == {b"hello"}
        assert process.end(signal.SIGTERM) == 0


def test_it_gives_up_in_the_end_and_says_so(authority: LocalAuthority) -> None:
    with started("serve", "--echo", "--port", "0", "--workers", "2") as process:
        for _ in range(MOST_QUICK_ENDINGS):
            newest = workers_of(process.popen.pid, 2)[-1]
            os.kill(newest, signal.SIGKILL)
            line = process.line("Worker 2 ")
        assert "giving up" in line
        assert process.popen.wait(WAIT_SECONDS) == 1
        wait_until_gone(process.port)


def test_a_second_server_on_the_port_is_refused(run: Run, authority: LocalAuthority) -> None:
    with started("serve", "--echo", "--port", "0", "--workers", "2") as process:
        for workers in ("1", "2"):
            result = run("serve", "--echo", "--port", str(process.port), "--workers", workers)
            assert result.exit_code == 2
            assert "is in use already" in result.stderr
        assert echoed(process.port, authority) == b"hello"


@pytest.mark.parametrize("option", [("--trace", "traces"), ("--early-data",)])
def test_what_processes_cannot_honour_is_refused(
    run: Run, option: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("serve", "--workers", "2", "--port", "0", *option)
    assert result.exit_code == 2
    assert "leave out --workers" in result.stderr
