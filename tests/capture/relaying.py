"""A relay in a thread of its own, and plain servers for it."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from handclasp.capture.relay import Relay, Relayed

WAIT_SECONDS = 30


class RelayThread:
    """A relay that runs beside a test; `ended` holds its connections once the block is over."""

    def __init__(
        self,
        target: Any,
        *,
        patience: float = 5.0,
        make: Callable[..., Relay] = Relay,
        **settings: Any,
    ) -> None:
        self.ended: list[Relayed] = []
        self.port = 0
        self._make = make
        self._patience = patience
        self._settings = {"ended": self.ended.append, **settings}
        self._target = target
        self._ready = threading.Event()
        self._stop: Callable[[], Any] = lambda: None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> RelayThread:
        self._thread.start()
        assert self._ready.wait(WAIT_SECONDS)
        return self

    def __exit__(self, *about: object) -> None:
        self._stop()
        self._thread.join(WAIT_SECONDS)
        assert not self._thread.is_alive()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), WAIT_SECONDS)

    async def _run(self) -> None:
        stopped, loop = asyncio.Event(), asyncio.get_running_loop()
        self._stop = lambda: loop.call_soon_threadsafe(stopped.set)
        async with self._make(self._target, **self._settings) as relay:
            self.port = relay.port
            self._ready.set()
            await stopped.wait()
            await relay.close(self._patience)


@contextmanager
def plain_server(
    serve: Callable[[socket.socket], None], *, host: str = "127.0.0.1"
) -> Iterator[int]:
    """A port where each connection is served by a thread; all have ended when the block has."""
    listener = socket.create_server((host, 0), backlog=1024)
    threads: list[threading.Thread] = []

    def one(sock: socket.socket) -> None:
        with sock:
            sock.settimeout(WAIT_SECONDS)
            serve(sock)

    def accept() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=one, args=(sock,)))
            threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in [accepting, *threads]:
            thread.join(WAIT_SECONDS)
            assert not thread.is_alive()


def reset(sock: socket.socket) -> None:
    """Close a socket by a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def read_all(sock: socket.socket) -> bytes:
    parts: list[bytes] = []
    while part := sock.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)
