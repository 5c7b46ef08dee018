"""Servers of this machine for scans: each connection has a thread of its own."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

from tests.capture.relaying import plain_server

import handclasp
from handclasp import ServerConfig

Serve = Callable[[socket.socket], None]


def listening(serve: Serve) -> AbstractContextManager[int]:
    """A port of 127.0.0.0/8 whose every connection is served by a thread of its own."""

    def until_it_hangs_up(sock: socket.socket) -> None:
        with suppress(OSError):  # The scanner does as soon as it knows enough.
            serve(sock)

    return plain_server(until_it_hangs_up, host="")


def ours(config: ServerConfig, answer: bytes = b"") -> Serve:
    def serve(sock: socket.socket) -> None:
        with handclasp.wrap_server(sock, config) as tls:
            if tls.recv(65536) and answer:
                tls.sendall(answer)

    return serve
