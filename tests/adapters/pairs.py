"""Two ends of a connection over sockets, and threads to drive them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from handclasp.adapters.sockets import TLSSocket, wrap_client, wrap_server
from handclasp.config import ClientConfig, ServerConfig
from handclasp.server import ServerConnection

MEGABYTE = 1024 * 1024


class Aside:
    """A function that runs in a thread; `result` waits for it and raises what it raised."""

    def __init__(self, work: Callable[..., Any], *args: Any) -> None:
        self._outcome: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(work, args), daemon=True)
        self._thread.start()

    def _run(self, work: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            self._outcome = work(*args)
        except BaseException as error:
            self._error = error

    def done(self) -> bool:
        return not self._thread.is_alive()

    def result(self) -> Any:
        self._thread.join(30)
        assert self.done(), "the thread is stuck"
        if self._error is not None:
            raise self._error
        return self._outcome


@contextmanager
def plain_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected TCP sockets with timeouts, so that no test hangs."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        left = socket.create_connection(listener.getsockname(), 20)
        right, _ = listener.accept()
    right.settimeout(20)
    with left, right:
        yield left, right


@contextmanager
def tls_pair(
    client_config: ClientConfig, server_config: ServerConfig
) -> Iterator[tuple[TLSSocket, TLSSocket]]:
    with plain_pair() as (left, right):
        server = Aside(wrap_server, right, server_config)
        client = wrap_client(left, client_config, server_name="localhost")
        with client, server.result() as accepted:
            yield client, accepted


class HandServer:
    """A server driven by hand, to send exactly the bytes that a test wants."""

    def __init__(self, sock: socket.socket, config: ServerConfig) -> None:
        self.sock = sock
        self.connection = ServerConnection(config)

    def step(self) -> list[Any]:
        data = self.sock.recv(65536)
        events = self.connection.receive_data(data)
        self.sock.sendall(self.connection.data_to_send())
        return list(events)

    def establish(self) -> HandServer:
        while not self.connection.established:
            self.step()
        return self


def read_all(tls: TLSSocket, size: int = 65536) -> bytes:
    return b"".join(iter(lambda: tls.recv(size), b""))


def read_exactly(tls: TLSSocket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = tls.recv(size - len(data))
        assert piece, f"the end after {len(data)} of {size} bytes"
        data += piece
    return bytes(data)


def read_slowly(tls: TLSSocket, meanwhile: Callable[[int], object] = lambda turn: None) -> int:
    """Read to the end, at some 6 MB/s."""
    got = turn = 0
    while data := tls.recv(16384):
        got += len(data)
        turn += 1
        meanwhile(turn)
        time.sleep(0.002)
    return got
