"""The program of docs/fleet.md: two servers of it, a real Redis, and a client of both."""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.pki import Leaf, Pki, key_of_type, key_pem, pem_of
from tests.redis.fleet import ROOT
from tests.redis.redis_server import RedisServer

import handclasp
from handclasp import ClientConfig, SessionStore

PROGRAM = ROOT / "examples" / "fleet" / "server.py"


@pytest.fixture
def pki() -> Pki:
    return Pki()


@pytest.fixture
def files(tmp_path: Path, pki: Pki) -> Path:
    key = key_of_type("ecdsa-p256")
    chain = pem_of(pki.issue(Leaf(("localhost",)), key.public_key()))
    for name, content in (
        ("chain.pem", chain),
        ("key.pem", key_pem(key)),
        ("wrapping.key", secrets.token_bytes(32)),
    ):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_bytes(content)
    return tmp_path


@contextmanager
def running(files: Path, url: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The program, once it listens, and its port."""
    command = [sys.executable, str(PROGRAM), "--port", "0", "--grace", "20"]
    command += ["--cert", str(files / "chain.pem"), "--key", str(files / "key.pem")]
    command += ["--wrapping-key", str(files / "wrapping.key")]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "HANDCLASP_REDIS": url}
    )
    try:
        assert process.stderr is not None
        said = ""
        while (found := re.search(r"listening on \[\('127.0.0.1', (\d+)\)", said)) is None:
            line = process.stderr.readline()
            assert line, said
            said += line
        yield process, int(found[1])
    finally:
        process.kill()
        process.communicate()


def test_servers_resume_each_others_sessions(
    redis_server: RedisServer, files: Path, pki: Pki
) -> None:
    redis_server.remember_long()
    config = ClientConfig(trust=pki.trust, sessions=SessionStore(), allow_early_data=True)
    with ExitStack() as stack:
        ports = [stack.enter_context(running(files, redis_server.url))[1] for _ in range(2)]
        visits: list[tuple[bool, str]] = []
        for port in (*ports, ports[0]):
            sock = socket.create_connection(("127.0.0.1", port), 20)
            # To a client they are one server, behind one name and port.
            with handclasp.wrap_client(
                sock, config, server_name="localhost", port=443, early_data=b"hello"
            ) as tls:
                tls.sendall(tls.early_data_rejected)
                assert tls.recv(100) == b"hello"
                visits.append((tls.info.resumed, tls.info.early_data_status))
    assert [resumed for resumed, _ in visits] == [False, True, True]
    assert "accepted" in [status for _, status in visits]


def test_it_stops_when_its_clients_have_left(
    redis_server: RedisServer, files: Path, pki: Pki
) -> None:
    config = ClientConfig(trust=pki.trust)
    with running(files, redis_server.url) as (process, port):
        with handclasp.connect("127.0.0.1", port, config, server_name="localhost") as tls:
            tls.sendall(b"hello")
            assert tls.recv(100) == b"hello"
            process.send_signal(signal.SIGTERM)
            assert process.stderr is not None
            while "stopping; 1 connections" not in process.stderr.readline():
                assert process.poll() is None
            tls.sendall(b"a late one")
            assert tls.recv(100) == b"a late one"
        began = time.monotonic()
        _, said = process.communicate(timeout=20)
        assert process.returncode == 0, said
        assert "stopped" in said
        assert time.monotonic() - began < 15


def test_a_check_of_health_is_not_logged(redis_server: RedisServer, files: Path) -> None:
    """A balancer connects, and resets the connection, every two seconds."""
    with running(files, redis_server.url) as (process, port):
        check = socket.create_connection(("127.0.0.1", port), 20)
        check.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        check.close()
        # A client that says something else comes after it, and is logged.
        with socket.create_connection(("127.0.0.1", port), 20) as other:
            other.sendall(b"GET / HTTP/1.1\r\n\r\n")
            while other.recv(100):
                pass
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
    assert said.count("WARNING handshake with") == 1


def test_the_document_shows_the_program_as_it_stands() -> None:
    text = (ROOT / "docs" / "fleet.md").read_text("utf-8")
    assert f"```python\n{PROGRAM.read_text('utf-8')}```\n" in text
