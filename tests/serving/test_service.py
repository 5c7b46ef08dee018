"""What a service manager passes to a server and hears from it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.pki import Leaf, Pki, key_of_type, key_pem, pem_of

import handclasp
from handclasp import ClientConfig
from handclasp.serving.service import inherited_listeners, notify

pytestmark = pytest.mark.skipif(os.name != "posix", reason="services are those of POSIX")

SOURCE = str(Path(handclasp.__file__).resolve().parent.parent)
SECONDS = 30.0

PASSING = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.executable, [sys.executable, "-m", "handclasp", *sys.argv[2:]])
"""


class Place:
    """A pair of files for a server, and the socket of a manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pki = Pki()
        self.chain, self.key = path / "chain.pem", path / "key.pem"
        self.put(90)
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(str(path / "notify"))
        self.manager.settimeout(SECONDS)

    def put(self, days: float) -> None:
        """Replace the pair by a new one that is valid for so many days from now."""
        key = key_of_type("ecdsa-p256", time.monotonic_ns() % 3)
        end = datetime.now(UTC) + timedelta(days=days)
        leaf = Leaf(not_before=end - timedelta(days=100), not_after=end)
        new = self.path / "new.pem"
        for path, data in (
            (self.key, key_pem(key)),
            (self.chain, pem_of(self.pki.issue(leaf, key.public_key()))),
        ):
            new.write_bytes(data)
            new.chmod(0o600)
            new.rename(path)

    def heard(self) -> list[str]:
        return self.manager.recv(4096).decode().split("\n")

    @contextmanager
    def serving(self, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
        """`serve` on a passed socket, once it has said that it is ready."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.set_inheritable(True)
            port = listener.getsockname()[1]
            given = ("serve", "--echo", "--cert", str(self.chain), "--key", str(self.key))
            popen = subprocess.Popen(
                [sys.executable, "-c", PASSING, str(listener.fileno()), *given, *arguments],
                pass_fds=[listener.fileno()],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env={
                    **os.environ,
                    "PYTHONPATH": SOURCE,
                    "NOTIFY_SOCKET": str(self.path / "notify"),
                },
            )
        try:
            ready, status = self.heard()
            assert ready == "READY=1"
            assert "valid until" in status
            yield popen, port
        finally:
            popen.kill()
            popen.communicate(timeout=SECONDS)

    def end_of_certificate(self, port: int) -> datetime:
        config = ClientConfig(trust=self.pki.trust)
        with handclasp.connect("localhost", port, config, timeout=20) as tls:
            return tls.info.peer_chain[0].not_valid_after_utc


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.manager.close()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_service_from_start_to_end(place: Place, workers: str) -> None:
    with place.serving("--workers", workers) as (popen, port):
        assert popen.stdout is not None
        assert f"localhost:{port}" in popen.stdout.readline()
        first = place.end_of_certificate(port)
        place.put(95)
        popen.send_signal(signal.SIGHUP)
        assert place.heard()[0] == "RELOADING=1"
        while (states := place.heard())[0] != "READY=1":  # A look may come before.
            assert states[0].startswith("STATUS=")
        end = datetime.now(UTC) + timedelta(days=95)
        assert (
            states[1] == f"STATUS=Serving, with a certificate that is valid until {end:%Y-%m-%d}."
        )
        assert place.end_of_certificate(port) > first
        popen.send_signal(signal.SIGTERM)
        assert place.heard() == ["STOPPING=1"]
        rest, _ = popen.communicate(timeout=SECONDS)
        assert popen.returncode == 0
        assert rest.count("The certificate was renewed: localhost, valid") == 1


@pytest.mark.long  # The files are looked at every two seconds.
def test_renewals_without_a_signal(place: Place) -> None:
    with place.serving("--json") as (popen, port):
        first = place.end_of_certificate(port)
        place.put(-1)
        time.sleep(2.5)
        assert place.end_of_certificate(port) == first
        place.put(5)
        time.sleep(2.5)
        assert place.end_of_certificate(port) < first
        popen.send_signal(signal.SIGTERM)
        rest, _ = popen.communicate(timeout=SECONDS)
    assert rest.count("was not renewed: The new certificate expired at") == 1
    assert '"event": "certificate"' in rest
    assert '"days_left": 4, "renewed": true, "warning": true' in rest


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_renewal_without_a_signal_changes_the_status(place: Place, workers: str) -> None:
    with place.serving("--workers", workers):
        place.put(95)
        end = datetime.now(UTC) + timedelta(days=95)
        assert place.heard() == [
            f"STATUS=Serving, with a certificate that is valid until {end:%Y-%m-%d}."
        ]


@pytest.mark.long
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_key_that_others_can_read_is_told_once(place: Place, workers: str) -> None:
    """It is read again each second, since its certificate has expired."""
    with place.serving("--json", "--workers", workers) as (popen, _):
        place.put(-1)
        place.key.chmod(0o644)
        time.sleep(4)
        popen.send_signal(signal.SIGTERM)
        rest, _ = popen.communicate(timeout=SECONDS)
    said = [line for line in rest.splitlines() if "can be read by every user" in line]
    assert len(said) == 1, rest
    told = json.loads(said[0])
    assert told["event"] == "remark"
    assert told["text"].startswith("Warning: The key file ")


def passed(kind: str, path: Path) -> socket.socket:
    """A socket of this kind, for a server."""
    if kind == "unix":
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(path / "server"))
        sock.listen()
        return sock
    is_datagram = kind == "datagram"
    sock = socket.socket(type=socket.SOCK_DGRAM if is_datagram else socket.SOCK_STREAM)
    sock.bind(("127.0.0.1", 0))
    return sock


@pytest.mark.parametrize(("kind", "workers"), [("datagram", 1), ("datagram", 2), ("bound", 1)])
def test_a_socket_that_does_not_listen_is_refused(place: Place, kind: str, workers: int) -> None:
    with passed(kind, place.path) as sock:
        sock.set_inheritable(True)
        command = ["serve", "--echo", "--workers", str(workers)]
        done = subprocess.run(
            [sys.executable, "-c", PASSING, str(sock.fileno()), *command],
            pass_fds=[sock.fileno()],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": SOURCE, "NOTIFY_SOCKET": str(place.path / "notify")},
            timeout=SECONDS,
        )
    assert done.returncode == 2
    assert done.stderr == (
        "handclasp: LISTEN_FDS: descriptor 3 is not a listening socket of TCP or UNIX streams, as "
        "ListenStream= makes one with Accept=no.\n"
    )
    place.manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        place.manager.recv(100)


def test_a_unix_socket_is_named_by_its_path(place: Place) -> None:
    with passed("unix", place.path) as sock:
        sock.set_inheritable(True)
        with subprocess.Popen(
            [sys.executable, "-c", PASSING, str(sock.fileno()), "serve", "--echo"],
            pass_fds=[sock.fileno()],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": SOURCE, "HANDCLASP_HOME": str(place.path / "home")},
        ) as popen:
            assert popen.stdout is not None
            line = popen.stdout.readline()
            assert line == f"Listening on the UNIX socket {place.path}/server (TLS echo)\n"
            popen.terminate()
            rest, _ = popen.communicate(timeout=SECONDS)
            assert "PORT" not in rest


def test_there_may_be_no_manager(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    notify("READY=1")


@pytest.mark.skipif(sys.platform != "linux", reason="abstract names are Linux's")
def test_a_manager_with_an_abstract_name(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"handclasp-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        notify("READY=1", "STATUS=well")
        assert manager.recv(100) == b"READY=1\nSTATUS=well"


@pytest.mark.parametrize(("count", "pid"), [("", ""), ("1", "1"), ("x", "own"), ("0", "own")])
def test_sockets_for_others_are_left_alone(
    monkeypatch: pytest.MonkeyPatch, count: str, pid: str
) -> None:
    monkeypatch.setenv("LISTEN_FDS", count)
    monkeypatch.setenv("LISTEN_PID", pid.replace("own", str(os.getpid())))
    assert inherited_listeners() == []
    assert "LISTEN_FDS" not in os.environ


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_few_descriptors_cost_no_processor(place: Place) -> None:
    """60 clients, where there are 30 descriptors: `accept` fails, and must not be tried at once."""
    import resource

    with place.serving() as (popen, port):
        resource.prlimit(popen.pid, resource.RLIMIT_NOFILE, (30, 30))
        clients = list[socket.socket]()
        try:
            for _ in range(60):
                clients.append(socket.create_connection(("127.0.0.1", port), 20))
            time.sleep(1)
            before = seconds_of(popen.pid)
            time.sleep(3)
            assert seconds_of(popen.pid) - before < 1.5
        finally:
            for each in clients:
                each.close()
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            with suppress(OSError):
                assert place.end_of_certificate(port)
                return
        raise AssertionError("it does not recover")


def seconds_of(pid: int) -> float:
    """The time of a processor that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
