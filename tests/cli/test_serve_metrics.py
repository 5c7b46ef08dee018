"""`handclasp serve --metrics`: at a port or in a file, of one process or of several."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import time
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from tests.cli.conftest import Process, Run, started
from tests.cli.test_workers import workers_of

import handclasp
from handclasp import ClientConfig, TLSSocket
from handclasp.certificates.authority import LocalAuthority

SECONDS = 20.0


def visit(process: Process, authority: LocalAuthority, method: str = "GET") -> None:
    config = ClientConfig(trust=authority.trust)
    with handclasp.connect("localhost", process.port, config, timeout=SECONDS) as tls:
        tls.sendall(f"{method} / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        while tls.recv(65536):
            pass


def drop(tls: TLSSocket) -> None:
    """Close without waiting for the other end."""
    with suppress(OSError):
        tls.settimeout(0.01)
        tls.close()


def scraped(process: Process) -> str:
    (url,) = re.findall(r"^Metrics are at (http://\S+)", "\n".join(process.said), re.MULTILINE)
    with urllib.request.urlopen(url, timeout=SECONDS) as answer:
        return str(answer.read().decode())


def test_a_page(tmp_path: Path, authority: LocalAuthority) -> None:
    with started("serve", str(tmp_path), "--port", "0", "--metrics", "0") as process:
        for method in ("GET", "GET", "POST", "XYZZY"):
            visit(process, authority, method)
        with socket.create_connection(("127.0.0.1", process.port)) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
            sock.recv(100)
        process.line("PLAINTEXT_HTTP")
        time.sleep(1.2)
        text = scraped(process)
        assert re.search(r'handclasp_handshakes_total\{.*version="TLSv1.3"\} 4.0', text)
        assert 'handclasp_handshake_failures_total{fault="PLAINTEXT_HTTP",role="server"} 1' in text
        assert 'handclasp_requests_total{method="GET",status="200"} 2.0' in text
        assert 'handclasp_requests_total{method="other",status="405"} 1.0' in text
        assert "handclasp_connections 0.0" in text
        assert "process_resident_memory_bytes" in text
        (left,) = re.findall(r"^handclasp_certificate_seconds_left (\S+)", text, re.MULTILINE)
        assert float(left) > 0
        assert process.end(signal.SIGTERM) == 0


def test_a_file(tmp_path: Path, authority: LocalAuthority) -> None:
    path = tmp_path / "out" / "handclasp.prom"
    path.parent.mkdir()
    with started("serve", str(tmp_path), "--port", "0", "--metrics", str(path)) as process:
        assert "handclasp_connections 0.0" in path.read_text()
        visit(process, authority)
        assert process.end(signal.SIGTERM) == 0
        assert 'handclasp_requests_total{method="GET",status="200"} 1.0' in path.read_text()
        assert list(path.parent.iterdir()) == [path]


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_the_numbers_of_workers_are_added(tmp_path: Path, authority: LocalAuthority) -> None:
    """Also those of a worker that was killed; its open connections are gone."""
    options = ("--metrics", "0", "--workers", "2")
    with started("serve", str(tmp_path), "--port", "0", *options) as process, ExitStack() as stack:
        for _ in range(10):
            visit(process, authority)
        config = ClientConfig(trust=authority.trust)
        for _ in range(10):
            tls = handclasp.connect("localhost", process.port, config, timeout=SECONDS)
            stack.callback(drop, tls)
            tls.sendall(b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            tls.recv(65536)
        os.kill(workers_of(process.popen.pid, 2)[1], signal.SIGKILL)
        process.line("another one starts")
        text = scraped(process)
        assert re.search(r"^handclasp_handshakes_total\{.*\} 20.0", text, re.MULTILINE)
        assert 'handclasp_requests_total{method="GET",status="200"} 10.0' in text
        (left,) = re.findall(r"^handclasp_connections (\S+)", text, re.MULTILINE)
        assert float(left) < 10
        assert process.end(signal.SIGTERM) == 0


def seconds_left(text: str) -> list[float]:
    found = re.findall(r"^handclasp_certificate_seconds_left (\S+)", text, re.MULTILINE)
    return [float(each) for each in found]


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_workers_tell_when_the_certificate_ends(
    temporary: Path, tmp_path: Path, authority: LocalAuthority
) -> None:
    """A worker that has just started counts from nothing, and 0 would mean that it ends now. Its
    files are those of the one before it.
    """
    options = ("--metrics", "0", "--workers", "2", "--echo")
    with started("serve", "--port", "0", *options) as process:
        process.line("Metrics are at")
        files: set[str] = set()
        for _ in range(3):
            assert min(seconds_left(scraped(process))) > 86_400
            with handclasp.connect("localhost", process.port, ClientConfig(trust=authority.trust)):
                pass
            before = workers_of(process.popen.pid, 2)
            os.kill(before[1], signal.SIGKILL)
            process.line("another one starts")
            deadline = time.monotonic() + SECONDS
            while before[1] in workers_of(process.popen.pid, 2):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            (directory,) = temporary.glob("handclasp-metrics-*")
            files |= {each.name for each in directory.iterdir()}
        assert {each.rpartition("_")[2] for each in files} <= {"0.db", "1.db", "2.db"}
        assert min(seconds_left(scraped(process))) > 86_400
        assert process.end(signal.SIGTERM) == 0


def test_the_first_state_of_a_file_tells_when_the_certificate_ends(
    tmp_path: Path, authority: LocalAuthority
) -> None:
    path = tmp_path / "handclasp.prom"
    with started("serve", "--echo", "--port", "0", "--metrics", str(path)) as process:
        assert min(seconds_left(path.read_text())) > 86_400
        assert process.end(signal.SIGTERM) == 0


@pytest.mark.parametrize("given", ["", "x", "70000", "1.2.3.4:x", "no/such/place.prom"])
def test_what_cannot_be_a_place_for_metrics(run: Run, tmp_path: Path, given: str) -> None:
    result = run("serve", str(tmp_path), "--port", "0", "--metrics", given)
    assert result.exit_code == 2
    assert "--metrics" in result.output


def test_a_port_that_is_taken(run: Run, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("serve", str(tmp_path), "--port", "0", "--metrics", str(port))
    assert result.exit_code == 2
    assert f"Port {port} of 127.0.0.1 is in use already: choose another one with --metrics" in (
        result.output
    )


def test_the_extra_is_named(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("handclasp.serving.exposition", "handclasp.serving.metering", "handclasp.metrics"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    result = run("serve", str(tmp_path), "--port", "0", "--metrics", "0")
    assert result.exit_code == 2
    assert "--metrics needs prometheus_client: pip install 'handclasp[metrics]'." in result.output
