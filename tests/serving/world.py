"""A server of the room `serving` in a thread of this process, and a client that speaks to it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.pki import Pki

import handclasp
from handclasp import ClientConfig, Recorder, ServerConfig, TLSSocket
from handclasp.asgi import RefuseEarlyData
from handclasp.serving.background import Background
from handclasp.serving.files import Files
from handclasp.serving.http import HTTP
from handclasp.serving.limits import Limits
from handclasp.serving.server import Server, Talk
from handclasp.serving.site import Site
from handclasp.serving.visits import Request, Visit

SECONDS = 20.0


class Heard:
    """An observer that keeps everything, and lets a test wait for it."""

    def __init__(self) -> None:
        self.visits: list[Visit] = []
        self.failures: list[Visit] = []
        self.endings: list[Visit] = []
        self.requests: list[Request] = []
        self.remarks: list[str] = []
        self._changed = threading.Condition()

    def connected(self, visit: Visit) -> None:
        self._note(self.visits, visit)

    def failed(self, visit: Visit) -> None:
        self._note(self.failures, visit)

    def ended(self, visit: Visit) -> None:
        self._note(self.endings, visit)

    def answered(self, request: Request) -> None:
        self._note(self.requests, request)

    def remarked(self, text: str) -> None:
        self._note(self.remarks, text)

    def wait_until(self, holds: Callable[[Heard], object]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: holds(self), SECONDS), vars(self)

    def _note(self, kept: list[Any], what: object) -> None:
        with self._changed:
            kept.append(what)
            self._changed.notify_all()


@dataclass
class Answer:
    """An answer to a request."""

    status: int
    fields: Mapping[str, str]
    body: bytes


@dataclass
class World:
    """A server that is up."""

    port: int
    pki: Pki
    heard: Heard = field(default_factory=Heard)

    @contextmanager
    def connection(self, source: str = "127.0.0.1", **settings: Any) -> Iterator[TLSSocket]:
        config = ClientConfig(trust=self.pki.trust, alpn=("http/1.1",), **settings)
        with (
            socket.create_connection(
                ("127.0.0.1", self.port), SECONDS, source_address=(source, 0)
            ) as sock,
            handclasp.wrap_client(sock, config, server_name="localhost") as tls,
        ):
            yield tls

    def say(self, said: bytes) -> bytes:
        """Send this over a connection of its own; everything that is answered."""
        with self.connection() as tls:
            tls.sendall(said)
            return b"".join(iter(lambda: tls.recv(65536), b""))

    def ask(self, path: str, *fields: str, method: str = "GET") -> Answer:
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *fields]
        return parsed(self.say("\r\n".join([*lines, "", ""]).encode()))


def parsed(answer: bytes) -> Answer:
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in rest)}
    return Answer(int(first.split()[1]), fields, body)


def read_answer(tls: TLSSocket) -> Answer:
    """One answer with a Content-Length, of a connection that stays open."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = tls.recv(65536)
        assert piece, data
        data += piece
    answer = parsed(data)
    while len(answer.body) < int(answer.fields["content-length"]):
        answer.body += tls.recv(65536)
    return answer


def files_of(directory: Path, private: Sequence[Path] = (), **settings: Any) -> Talk:
    """The protocol that serves a directory."""
    files = RefuseEarlyData(Files(Site(str(directory), private), **settings))
    return lambda serving: HTTP(files, serving)


def application(app: Any) -> Talk:
    """The protocol that serves an ASGI application."""
    return lambda serving: HTTP(app, serving)


@contextmanager
def running(
    talk: Talk,
    limits: Limits | None = None,
    heard: Any = None,
    prepare: Callable[[socket.socket], object] = lambda listener: None,
    **settings: Any,
) -> Iterator[World]:
    """A server."""
    pki = Pki()
    listener = socket.create_server(("127.0.0.1", 0))
    prepare(listener)
    config = ServerConfig(credentials=pki.server(), alpn=("http/1.1",), **settings)
    world = World(listener.getsockname()[1], pki, heard or Heard())

    def make() -> Server:
        return Server([listener], config, talk, world.heard, limits=limits, make_trace=Recorder)

    with Background(make):
        yield world
