"""Scans by several processes: each host is scanned once, whatever becomes of the processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.children import Child, child
from tests.cli.conftest import COMMAND, SOURCE
from tests.pki import Pki
from tests.scan.serving import listening, ours

from handclasp import ServerConfig

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked")

ADDRESSES = [f"127.0.0.{number}" for number in range(1, 13)]


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


@pytest.fixture
def arguments(pki: Pki, tmp_path: Path) -> list[str]:
    (tmp_path / "ca.pem").write_bytes(pki.ca_pem)
    out = str(tmp_path / "out.jsonl")
    ca = str(tmp_path / "ca.pem")
    return ["--ca", ca, "--server-name", "localhost", "--workers", "2", "--out", out]


def scanning(
    arguments: list[str], hosts: list[str], tmp_path: Path
) -> AbstractContextManager[Child]:
    command = [*COMMAND, "scan", *hosts, *arguments]
    return child(command, tmp_path, env={"PYTHONPATH": SOURCE, "PYTHONWARNINGS": "error"})


@dataclass
class Peers:
    """Servers behind addresses of 127.0.0.0/8, which wait before they answer while they are held.

    Attributes:
        connections: how many came to each address.
        held: the addresses that wait.
    """

    serve: Callable[[socket.socket], None]
    connections: Counter[str] = field(default_factory=Counter[str])
    held: set[str] = field(default_factory=set[str])

    def __call__(self, sock: socket.socket) -> None:
        host = sock.getsockname()[0]
        self.connections[host] += 1
        while host in self.held:
            time.sleep(0.01)
        self.serve(sock)


@pytest.fixture
def peers(pki: Pki) -> Peers:
    config = ServerConfig(credentials=pki.server("localhost"), versions=["TLSv1.3"])
    return Peers(ours(config))


@pytest.fixture
def hosts(peers: Peers) -> Iterator[list[str]]:
    with listening(peers) as port:
        yield [f"{address}:{port}" for address in ADDRESSES]
        peers.held.clear()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def workers_of(process: Child, count: int = 2) -> list[int]:
    pid = process.popen.pid
    children = Path(f"/proc/{pid}/task/{pid}/children")
    until(lambda: len(children.read_text().split()) == count)
    return [int(each) for each in children.read_text().split()]


def is_running(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


def results(tmp_path: Path) -> dict[str, str | None]:
    """The hosts in the file of results, with their errors; each stands there once."""
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    found = {each["host"]: each["error"] for each in map(json.loads, lines)}
    assert len(found) == len(lines)
    return found


def test_two_processes_scan_each_host_once(
    arguments: list[str], hosts: list[str], tmp_path: Path, peers: Peers
) -> None:
    peers.held.update(ADDRESSES)
    with scanning([*arguments, "--concurrency", "4"], hosts, tmp_path) as process:
        workers_of(process)
        until(lambda: len(peers.connections) == 4)
        peers.held.clear()
        assert process.wait() == 0, process.said()
    assert results(tmp_path) == dict.fromkeys(ADDRESSES)
    assert len(set(peers.connections.values())) == 1


def test_the_hosts_of_a_killed_worker_are_scanned_again(
    arguments: list[str], hosts: list[str], tmp_path: Path, peers: Peers
) -> None:
    peers.held.update(ADDRESSES)
    with scanning(arguments, hosts, tmp_path) as process:
        killed, other = workers_of(process)
        until(lambda: len(peers.connections) == len(ADDRESSES))
        os.kill(killed, signal.SIGKILL)
        says = (
            rf"A worker \(process {killed}\) was ended by signal 9; its 6 hosts are scanned again."
        )
        process.wait_for(says)
        peers.held.clear()
        assert process.wait() == 0, process.said()
        assert not is_running(other)
    assert results(tmp_path) == dict.fromkeys(ADDRESSES)


def test_ctrl_c_ends_the_workers_and_the_same_command_continues(
    arguments: list[str], hosts: list[str], tmp_path: Path, peers: Peers
) -> None:
    peers.held.update(ADDRESSES[3:])
    with scanning(arguments, hosts, tmp_path) as process:
        workers = workers_of(process)
        until(lambda: (tmp_path / "out.jsonl").exists() and len(results(tmp_path)) == 3)
        os.killpg(process.popen.pid, signal.SIGINT)
        assert process.wait() == 1
        assert "Interrupted after 3 of 12. The same command continues." in process.complained()
        assert "Traceback" not in process.complained()
    assert not any(map(is_running, workers))
    peers.held.clear()
    peers.connections.clear()
    with scanning(arguments, hosts, tmp_path) as process:
        assert process.wait() == 0, process.said()
    assert results(tmp_path) == dict.fromkeys(ADDRESSES)
    assert peers.connections.keys() == set(ADDRESSES[3:])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_workers_end_with_their_parent(
    arguments: list[str], hosts: list[str], tmp_path: Path, peers: Peers, number: signal.Signals
) -> None:
    peers.held.update(ADDRESSES)
    with scanning(arguments, hosts, tmp_path) as process:
        workers = workers_of(process)
        until(lambda: len(peers.connections) == len(ADDRESSES))
        os.kill(process.popen.pid, number)
        until(lambda: not any(map(is_running, workers)))


SCRIPT = """
import os, signal, sys
from handclasp.scan import ScanSettings, Target
from handclasp.scan.workers import WorkersEndedError, scan_in_workers

def render(report):
    if report.target.host in sys.argv[1:] and os.getpid() != parent:
        os._exit(3)
    return [report.target.host, report.error]

parent = os.getpid()
targets = [Target(f"127.0.0.{number}", 1) for number in range(1, 13)]
found = scan_in_workers(targets, ScanSettings(concurrency=4), render, workers=2, remark=print)
try:
    for host, error in sorted(found):
        print(host, error)
except WorkersEndedError as error:
    print(error)
"""


def scripted(tmp_path: Path, *deadly: str) -> list[str]:
    command = [sys.executable, "-c", SCRIPT, *deadly]
    with child(command, tmp_path, env={"PYTHONPATH": SOURCE}) as process:
        assert process.wait() == 0, process.said()
        return process.printed().splitlines()


def test_a_host_that_ends_every_worker_is_reported_and_no_other_is(tmp_path: Path) -> None:
    printed = scripted(tmp_path, "127.0.0.2")
    failed = [line for line in printed if "Two processes ended" in line]
    assert failed == [
        "127.0.0.2 Two processes ended while they scanned it; the second exited with status 3."
    ]
    assert len([line for line in printed if "no connection: " in line]) == 11


def test_a_scan_whose_workers_end_again_and_again_is_given_up(tmp_path: Path) -> None:
    printed = scripted(tmp_path, *ADDRESSES)
    assert printed[-1] == (
        "6 worker processes in a row ended without any result; the last exited with status 3."
    )
