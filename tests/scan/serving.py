"""Servers of this machine for scans: each connection has a thread of its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import handclasp
from handclasp import ServerConfig

Serve = Callable[[socket.socket], None]


@contextmanager
def listening(serve: Serve) -> Iterator[int]:
    """A port of 127.0.0.0/8 whose every connection is served by a thread of its own."""
    listener = socket.create_server(("", 0), backlog=64)
    threads: list[threading.Thread] = []

    def one(sock: socket.socket) -> None:
        with sock:
            sock.settimeout(10)
            with suppress(OSError):  # The scanner hangs up as soon as it knows enough.
                serve(sock)

    def accept() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=one, args=(sock,)))
            threads[-1].start()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for each in (thread, *threads):
            each.join(30)


def ours(config: ServerConfig, answer: bytes = b"") -> Serve:
    def serve(sock: socket.socket) -> None:
        with handclasp.wrap_server(sock, config) as tls:
            if tls.recv(65536) and answer:
                tls.sendall(answer)

    return serve
