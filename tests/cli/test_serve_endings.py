"""How `serve` ends, and how its connections do: what has begun comes to its end."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.adapters.pairs import MEGABYTE, read_exactly, read_slowly
from tests.cli.conftest import Process, started
from tests.serving.world import World, files_of, running

from handclasp import ClientConfig, TLSSocket, wrap_client
from handclasp.certificates.authority import LocalAuthority
from handclasp.serving.limits import Limits

pytestmark = pytest.mark.long

SIZE = 6 * MEGABYTE
WORKERS = pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
KINDS = [(), pytest.param(("--workers", "2"), marks=WORKERS)]


@pytest.fixture(params=KINDS, ids=["alone", "workers"])
def files(
    request: pytest.FixtureRequest, tmp_path: Path, authority: LocalAuthority
) -> Iterator[Process]:
    (tmp_path / "large").write_bytes(bytes(SIZE))
    (tmp_path / "small").write_bytes(b"small")
    for name in ("large", "small"):
        (tmp_path / name).chmod(0o644)
    with started("serve", str(tmp_path), "--port", "0", *request.param) as process:
        yield process


@contextmanager
def visiting(process: Process, authority: LocalAuthority) -> Iterator[TLSSocket]:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.settimeout(20)
        sock.connect(("127.0.0.1", process.port))
        config = ClientConfig(trust=authority.trust)
        with wrap_client(sock, config, server_name="localhost") as tls:
            yield tls


def ask(tls: TLSSocket, name: str) -> int:
    """Ask for a file, and read the head of the answer; gives how many bytes follow."""
    tls.sendall(f"GET /{name} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += read_exactly(tls, 1)
    assert head.startswith(b"HTTP/1.1 200 OK")
    return int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])


def wait_until_refused(process: Process) -> None:
    """Until it listens no more."""
    for _ in range(400):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", process.port)):
                return
        time.sleep(0.02)
    raise AssertionError("it still listens")


# Signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_answer_that_has_begun_is_finished(
    files: Process, authority: LocalAuthority, number: int
) -> None:
    with visiting(files, authority) as tls, visiting(files, authority) as idle:
        assert ask(idle, "small") == len(read_exactly(idle, 5))
        assert ask(tls, "large") == SIZE
        files.popen.send_signal(number)
        assert idle.recv(1) == b""  # at once, with a close_notify
        wait_until_refused(files)
        assert files.popen.poll() is None
        assert read_slowly(tls) == SIZE
    assert files.popen.wait(20) == 0


def test_a_client_that_updates_keys_gets_all_of_it(
    files: Process, authority: LocalAuthority
) -> None:
    with visiting(files, authority) as tls:
        assert ask(tls, "large") == SIZE
        files.popen.send_signal(signal.SIGTERM)
        updates = (64, 128, 192)
        got = read_slowly(tls, lambda turn: tls.update_keys() if turn in updates else None)
        assert got == SIZE
    assert files.popen.wait(5) == 0


def test_a_second_signal_ends_it_at_once(files: Process, authority: LocalAuthority) -> None:
    with visiting(files, authority) as tls:
        assert ask(tls, "large") == SIZE
        files.popen.send_signal(signal.SIGTERM)
        wait_until_refused(files)
        time.sleep(0.3)
        assert files.popen.poll() is None
        began = time.monotonic()
        assert files.end(signal.SIGTERM) == 0
        assert time.monotonic() - began < 10
        with pytest.raises(OSError):
            while tls.recv(65536):
                pass


@WORKERS
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_processes_is_one_signal(
    tmp_path: Path, authority: LocalAuthority, number: int
) -> None:
    """A terminal sends Ctrl-C to all of them, a service manager SIGTERM."""
    (tmp_path / "large").write_bytes(bytes(SIZE))
    (tmp_path / "large").chmod(0o644)
    arguments = ("serve", str(tmp_path), "--port", "0", "--workers", "2")
    with started(*arguments) as process, visiting(process, authority) as tls:
        assert ask(tls, "large") == SIZE
        pid = process.popen.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in (*map(int, children), pid):
            os.kill(each, number)
        assert read_slowly(tls) == SIZE
        tls.close()
        assert process.popen.wait(20) == 0


def test_the_workers_end_with_their_parent(tmp_path: Path, authority: LocalAuthority) -> None:
    (tmp_path / "large").write_bytes(bytes(SIZE))
    (tmp_path / "large").chmod(0o644)
    arguments = ("serve", str(tmp_path), "--port", "0", "--workers", "2")
    with started(*arguments) as process, visiting(process, authority) as tls:
        assert ask(tls, "large") == SIZE
        process.popen.kill()
        wait_until_refused(process)
        with pytest.raises(OSError):
            while tls.recv(65536):
                pass


@pytest.mark.parametrize("options", KINDS, ids=["alone", "workers"])
def test_an_echo_goes_on_until_its_client_pauses(
    authority: LocalAuthority, options: tuple[str, ...]
) -> None:
    with started("serve", "--echo", "--port", "0", *options) as process:
        with visiting(process, authority) as tls:
            for turn in range(20):
                tls.sendall(b"x" * 20_000)
                assert len(read_exactly(tls, 20_000)) == 20_000
                if turn == 5:
                    process.popen.send_signal(signal.SIGTERM)
                time.sleep(0.02)
            assert tls.recv(1) == b""
        assert process.popen.wait(20) == 0


def test_whoever_reads_the_last_answer_gets_all_of_it_though_it_ends_the_connection(
    files: Process, authority: LocalAuthority
) -> None:
    """The whole file is in the kernel when the handler closes, and the client has more to say."""
    with visiting(files, authority) as tls:
        tls.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        got = read_slowly(tls, lambda turn: tls.update_keys() if turn in (350, 380) else None)
        assert got > SIZE


# Slow readers


def wide(listener: socket.socket) -> None:
    """Its kernel takes megabytes, and asks for more once much of that is gone."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MEGABYTE)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    (tmp_path / "large").write_bytes(bytes(12 * MEGABYTE))
    return tmp_path


@contextmanager
def asking(world: World, field: str = "Connection: close\r\n") -> Iterator[TLSSocket]:
    """A client that has asked for the large file, and takes little at once."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        sock.settimeout(20)
        sock.connect(("127.0.0.1", world.port))
        config = ClientConfig(trust=world.pki.trust)
        with wrap_client(sock, config, server_name="localhost") as tls:
            tls.sendall(f"GET /large HTTP/1.1\r\nHost: localhost\r\n{field}\r\n".encode())
            yield tls


@pytest.mark.skipif(not os.path.exists("/proc/net/tcp"), reason="the system does not tell")
def test_whoever_reads_is_not_cut_off_however_slowly(large: Path) -> None:
    limits = Limits(stall_timeout=1.2)
    with running(files_of(large), limits, prepare=wide) as world, asking(world) as tls:
        assert read_slowly(tls) > 12 * MEGABYTE
        world.heard.wait_until(lambda heard: heard.requests)
        assert world.heard.requests[0].size == 12 * MEGABYTE
        assert not world.heard.requests[0].is_cut_off


def test_whoever_takes_nothing_is_let_go(large: Path) -> None:
    limits = Limits(stall_timeout=0.3)
    with running(files_of(large), limits, prepare=wide) as world, asking(world):
        world.heard.wait_until(lambda heard: heard.endings and heard.requests)
        assert world.heard.requests[0].size < 12 * MEGABYTE
        assert world.heard.requests[0].is_cut_off


# What is told of an answer that did not arrive


@pytest.fixture
def medium(tmp_path: Path) -> Path:
    """A file that the kernel takes as a whole, far ahead of its client."""
    (tmp_path / "large").write_bytes(bytes(2 * MEGABYTE))
    return tmp_path


def test_what_a_server_that_ends_cuts_off_is_told(medium: Path) -> None:
    with ExitStack() as ending:
        world = ending.enter_context(running(files_of(medium), prepare=wide))
        with asking(world) as tls:
            assert tls.recv(100)
            time.sleep(0.3)  # The kernel has all of it, and the client little.
            assert not world.heard.requests
            ending.close()
    [request] = world.heard.requests
    assert request.is_cut_off
    assert request.status == 200
    assert 0 < request.size < 2 * MEGABYTE


@pytest.mark.parametrize("size", [2 * MEGABYTE, 12 * MEGABYTE])
def test_what_a_client_does_not_take_is_told(tmp_path: Path, size: int) -> None:
    (tmp_path / "large").write_bytes(bytes(size))
    with running(files_of(tmp_path), prepare=wide) as world:
        with asking(world) as tls:
            assert tls.recv(100)
            time.sleep(0.3)
            os.close(tls.detach())  # With unread bytes: a reset.
        world.heard.wait_until(lambda heard: heard.requests)
        [told] = world.heard.requests
        assert told.is_cut_off
        assert 0 < told.size < size


def test_a_request_waits_until_the_answer_before_is_sent(medium: Path) -> None:
    with running(files_of(medium), prepare=wide) as world, asking(world, "") as tls:
        tls.sendall(b"GET /none HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        time.sleep(0.3)
        assert not world.heard.requests
        assert read_slowly(tls) > 2 * MEGABYTE
        world.heard.wait_until(lambda heard: len(heard.requests) == 2)
        assert [each.status for each in world.heard.requests] == [200, 404]
        assert not any(each.is_cut_off for each in world.heard.requests)


@pytest.mark.parametrize("form", ["text", "json", "clf"])
def test_the_line_of_an_answer_that_the_grace_cuts_off(
    tmp_path: Path, authority: LocalAuthority, form: str
) -> None:
    (tmp_path / "large").write_bytes(bytes(SIZE))
    (tmp_path / "large").chmod(0o644)
    options = ("--grace", "0.5", "--log-format", form)
    with started("serve", str(tmp_path), "--port", "0", *options) as process:
        with visiting(process, authority) as tls:
            assert ask(tls, "large") == SIZE
            assert process.end(signal.SIGTERM) == 0
        line = process.line("GET")
        patterns = {
            "text": r"GET /large  200  cut off after ([\d,]+) bytes  ",
            "json": r'"status": 200, "bytes": (\d+), "cut_off": true',
            "clf": r'"GET /large HTTP/1.1" 200 (\d+)$',
        }
        found = re.search(patterns[form], line)
        assert found, line
        assert 0 < int(found[1].replace(",", "")) < SIZE
