"""Crowds and faults at the same time, with the program as it is run: `make operations`."""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from tests.cli.conftest import Process, authority, home, started
from tests.cli.test_workers import workers_of

import handclasp
from handclasp import ClientConfig, TLSSocket
from handclasp.certificates.authority import LocalAuthority

__all__ = ["authority", "home"]

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(os.name != "posix", reason="these are faults of POSIX systems"),
]

SECONDS = 60.0
ASK = b"GET /file.txt HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "file.txt").write_bytes(b"text")
    return tmp_path


def visit(port: int, config: ClientConfig) -> TLSSocket:
    """A connection over which one request was answered."""
    tls = handclasp.connect("localhost", port, config, timeout=SECONDS)
    tls.sendall(ASK)
    said = b""
    while not said.endswith(b"text"):
        data = tls.recv(65536)
        assert data, said
        said += data
    return tls


@contextmanager
def served(site: Path, *options: str) -> Iterator[Process]:
    with started("serve", str(site), "--port", "0", *options) as process:
        yield process


@pytest.mark.parametrize("descriptors", [None, 256])
def test_a_thousand_clients_that_stay(
    site: Path, authority: LocalAuthority, descriptors: int | None
) -> None:
    """Each gets its answer, whether there is room for all of them or not."""
    resource = pytest.importorskip("resource")
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    config = ClientConfig(trust=authority.trust)
    options = ("--max-connections", "100") if descriptors else ()
    with served(site, *options) as process, ExitStack() as stack:
        if descriptors:
            limits = (descriptors, descriptors)
            resource.prlimit(process.popen.pid, resource.RLIMIT_NOFILE, limits)
        for _ in range(1000):
            tls = visit(process.port, config)
            stack.callback(_drop, tls)
        began = time.monotonic()
        visit(process.port, config).close()
        assert time.monotonic() - began < 5
        if descriptors:
            assert "The server is full: 100 connections" in process.line("full")
        assert process.end(signal.SIGTERM) == 0


def test_honest_clients_among_junk(site: Path, authority: LocalAuthority) -> None:
    config = ClientConfig(trust=authority.trust)
    stop = threading.Event()

    def junk(port: int, seed: int) -> None:
        chance = random.Random(seed)
        while not stop.is_set():
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as sock:
                sock.sendall(chance.randbytes(chance.randrange(200)))
                sock.settimeout(0.05)
                sock.recv(100)

    with served(site) as process, ExitStack() as stack:
        for _ in range(100):  # They drip.
            tls = stack.enter_context(visit(process.port, config))
            tls.sendall(b"GET / HTTP/1.1\r\nX: ")
        threads = [threading.Thread(target=junk, args=(process.port, n)) for n in range(4)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(20):
                began = time.monotonic()
                visit(process.port, config).close()
                assert time.monotonic() - began < 10
        finally:
            stop.set()
            for thread in threads:
                thread.join(SECONDS)
        assert process.end(signal.SIGTERM) == 0


def test_workers_that_are_killed_all_the_time(site: Path, authority: LocalAuthority) -> None:
    config = ClientConfig(trust=authority.trust)
    with served(site, "--workers", "2") as process:
        answered = 0
        for turn in range(40):
            if turn % 10 == 5:
                os.kill(workers_of(process.popen.pid, 2)[turn % 20 == 5], signal.SIGKILL)
                process.line("another one starts")
            with suppress(OSError, AssertionError):  # The killed one's clients lose their answer.
                visit(process.port, config).close()
                answered += 1
        assert answered >= 30
        assert process.end(signal.SIGTERM) == 0


def _drop(tls: TLSSocket) -> None:
    """Close without waiting for the other end."""
    with suppress(OSError):
        tls.settimeout(0.01)
        tls.close()
