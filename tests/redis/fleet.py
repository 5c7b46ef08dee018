"""Servers of a fleet, and clients that visit whichever of them."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.children import Child, child
from tests.pki import Leaf, Pki, key_of_type, key_pem, pem_of

from handclasp import ClientConfig, ClientConnection, DataReceived, SessionStore, TLSError

ROOT = Path(__file__).parents[2]
VISIT_SECONDS = 20.0
SERVICE_PORT = 443
"""What all servers stand for: sessions are kept by it, and not by where a server listens."""


@dataclass
class Member:
    """One server of the fleet, in a process of its own."""

    process: Child
    port: int
    _asked: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def report(self) -> dict[str, Any]:
        """What it says of its keys now."""
        with self._lock:
            self._asked += 1
            self.process.write(b"\n")
            self.process.wait_for(rf"\A(?:.*\n){{{self._asked + 1}}}")
            lines = self.process.printed().splitlines()
            report: dict[str, Any] = json.loads(lines[self._asked])
            return report

    @property
    def keys(self) -> list[str]:
        """The ids of its ticket keys."""
        return list(self.report()["keys"])

    @property
    def guard_in_touch(self) -> bool:
        """Whether its memory of first flights can be used."""
        return bool(self.report()["guard_in_touch"])

    @property
    def first_flights(self) -> list[bool]:
        """What it heard from Redis of each flight with early data: whether it was the first."""
        return list(self.report()["first_flights"])


@dataclass
class Fleet:
    """Starts servers that share one Redis; `with` ends them all.

    Attributes:
        rotation, lifetime, poll: of the ticket keys, in seconds.
        timeout: of the memory of first flights, in seconds.
        ahead: how far ahead the clock of each server is, in seconds.
    """

    redis_url: str
    pki: Pki
    directory: Path
    rotation: float = 3600.0
    lifetime: float = 3600.0
    poll: float = 0.1
    timeout: float = 1.0
    ahead: Sequence[float] = (0.0,)
    members: list[Member] = field(default_factory=list)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Fleet:
        key = key_of_type("ecdsa-p256")
        certificate = self.pki.issue(Leaf(("localhost",)), key.public_key())
        (self.directory / "chain.pem").write_bytes(pem_of(certificate))
        (self.directory / "key.pem").write_bytes(key_pem(key))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self, count: int = 3) -> list[Member]:
        """Start servers at the same moment; they listen when this returns. The last has a loop."""
        started = [
            self._start_one(self.ahead[index % len(self.ahead)], loop=index == count - 1)
            for index in range(count)
        ]
        fresh = [Member(each, int(each.wait_for(r"^port (\d+)\n")[1])) for each in started]
        self.members += fresh
        return fresh

    def _start_one(self, ahead: float, *, loop: bool) -> Child:
        options = {
            "redis": self.redis_url,
            "directory": str(self.directory),
            "rotation": self.rotation,
            "lifetime": self.lifetime,
            "poll": self.poll,
            "timeout": self.timeout,
            "ahead": ahead,
            "wrapping_key": bytes(range(32)).hex(),
            "loop": loop,
        }
        command = [sys.executable, "-m", "tests.redis.server", json.dumps(options)]
        path = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
        return self._stack.enter_context(child(command, self.directory, env=path))


@dataclass
class Visit:
    """How a client was served.

    Attributes:
        first_flight: what it sent before it heard anything.
        said: what the server answered; empty where it went away before.
    """

    connection: ClientConnection
    first_flight: bytes
    said: dict[str, Any]

    @property
    def resumed(self) -> bool:
        return bool(self.said["resumed"])

    @property
    def early_data(self) -> str:
        return str(self.said["early_data"])


def client_config(pki: Pki, *, version: str = "TLSv1.3", early_data: bool = False) -> ClientConfig:
    """A client with a memory of its own."""
    return ClientConfig(
        trust=pki.trust, versions=(version,), sessions=SessionStore(), allow_early_data=early_data
    )


def visit(
    member: Member,
    config: ClientConfig,
    early_data: bytes = b"",
    on_first_flight: Callable[[bytes], object] | None = None,
) -> Visit:
    """A whole conversation. Raises `OSError`, also as `TLSError`, where it fails.

    `on_first_flight` gets the first flight before the server does.
    """
    connection = ClientConnection(config, server_name="localhost", port=SERVICE_PORT)
    if early_data:
        connection.send_early_data(early_data)
    first_flight = bytes(connection.data_to_send())
    if on_first_flight is not None:
        on_first_flight(first_flight)
    with socket.create_connection(("127.0.0.1", member.port), VISIT_SECONDS) as sock:
        sock.sendall(first_flight)
        said = b""
        while not said.endswith(b"\n"):
            data = sock.recv(65536)
            if not data:
                raise ConnectionError("the server went away")
            for event in connection.receive_data(data):
                if isinstance(event, DataReceived):
                    said += event.data
            sock.sendall(connection.data_to_send())
        connection.close()
        sock.sendall(connection.data_to_send())
    return Visit(connection, first_flight, json.loads(said))


def replay(member: Member, first_flight: bytes) -> bytes:
    """Send what was recorded and nothing more, and give all that the server answers."""
    with socket.create_connection(("127.0.0.1", member.port), VISIT_SECONDS) as sock:
        sock.sendall(first_flight)
        # Whoever goes away before the server has asked Redis gets no answer.
        answer = sock.recv(65536)
        sock.shutdown(socket.SHUT_WR)
        while data := sock.recv(65536):
            answer += data
        return answer


class Load:
    """Clients that come back all the time, each to one server after the other.

    Attributes:
        visits: when each ended, in seconds of `time.monotonic`, and whether it was resumed.
        early: when each ended that sent early data, and whether these were accepted.
        failures: of handshakes.

    Args:
        early_data: what they send as early data.
        pause: seconds between two visits of a client.
    """

    def __init__(
        self,
        members: Sequence[Member],
        configs: Sequence[ClientConfig],
        *,
        early_data: bytes = b"",
        pause: float = 0.0,
    ) -> None:
        self.visits: list[tuple[float, bool]] = []
        self.early: list[tuple[float, bool]] = []
        self._early_data = early_data
        self._pause = pause
        self.failures: list[Exception] = []
        self._members = tuple(members)
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(index, config))
            for index, config in enumerate(configs)
        ]

    @property
    def hit_rate(self) -> float:
        """Of visits after the first one of each client."""
        later = len(self.visits) - len(self._threads)
        return sum(resumed for _, resumed in self.visits) / later if later else 0.0

    def since(self, moment: float) -> list[bool]:
        """Of the visits that ended after this moment, whether they were resumed."""
        return [resumed for at, resumed in list(self.visits) if at > moment]

    def _run(self, number: int, config: ClientConfig) -> None:
        served: Visit | None = None
        while not self._stop.wait(self._pause):
            member = self._members[number % len(self._members)]
            number += 1
            try:
                # The first visit has no ticket to send early data under.
                early_data = self._early_data if served else b""
                served = visit(member, config, early_data)
                self.visits.append((time.monotonic(), served.resumed))
                if early_data:
                    self.early.append((time.monotonic(), served.early_data == "accepted"))
            except (OSError, TLSError, ValueError) as error:
                self.failures.append(error)

    @contextmanager
    def running(self) -> Iterator[Load]:
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join(VISIT_SECONDS)
