"""The calls on an `ssl.SSLSocket` of a context of handclasp."""

from __future__ import annotations

import socket
import ssl
import tempfile
from pathlib import Path
from typing import Any

from tests.compat.pairs import Files, client_context, server_context
from tests.pki import Pki
from tests.schedules.schedule import LARGE, Kind, Schedule

from handclasp import ClientConfig, ServerConfig
from handclasp.compat import link, transport

_BUSY = "APPLICATION_DATA_AFTER_CLOSE_NOTIFY"


def compat(pki: Pki) -> Kind:
    """Return what threads do with an `SSLSocket`."""
    with tempfile.TemporaryDirectory() as directory:
        files = Files(pki, Path(directory))
        client, server = client_context("handclasp", files), server_context("handclasp", files)

    def wrap(sock: socket.socket, is_client: bool, at_once: bool) -> ssl.SSLSocket:
        name = "localhost" if is_client else None
        context = client if is_client else server
        return context.wrap_socket(
            sock,
            server_side=not is_client,
            server_hostname=name,
            do_handshake_on_connect=at_once,
        )

    return Kind(
        ClientConfig(trust=pki.trust),
        ServerConfig(credentials=pki.server("localhost")),
        wrap,
        readers={"recv": _recv, "recv_into": _recv_into, "makefile.read": _read_file},
        others={
            "do_handshake": lambda schedule, tls, size: tls.do_handshake(),
            "send": _send,
            "sendall": _sendall,
            "makefile.write": _write_file,
            "pending": _look,
        },
        endings={
            "unwrap": _unwrap,
            "close": lambda schedule, tls, size: tls.close(),
            "SHUT_WR": lambda schedule, tls, size: tls.shutdown(socket.SHUT_WR),
            "SHUT_RDWR": lambda schedule, tls, size: tls.shutdown(socket.SHUT_RDWR),
        },
        # `ssl` itself looks twice at a connection that another thread may end in between.
        expected=(OSError, ValueError, AttributeError),
        files=frozenset({link.__file__, transport.__file__, ssl.__file__}),
    )


def _recv(schedule: Schedule, tls: ssl.SSLSocket, size: int) -> None:
    while data := tls.recv(size):
        schedule.note(read=len(data))


def _recv_into(schedule: Schedule, tls: ssl.SSLSocket, size: int) -> None:
    buffer = bytearray(size)
    while count := tls.recv_into(buffer):
        schedule.note(read=count)


def _read_file(schedule: Schedule, tls: ssl.SSLSocket, size: int) -> None:
    with tls.makefile("rb", buffering=0) as file:
        while data := file.read(size):
            schedule.note(read=len(data))


def _sendall(schedule: Schedule, tls: ssl.SSLSocket, size: int) -> None:
    for _ in range(3):
        schedule.note(written=size)
        tls.sendall(LARGE[:size])


def _send(schedule: Schedule, tls: ssl.SSLSocket, size: int) -> None:
    for _ in range(3):
        schedule.note(written=tls.send(LARGE[:size]))


def _write_file(schedule: Schedule, tls: ssl.SSLSocket, size: int) -> None:
    with tls.makefile("wb", buffering=1000) as file:
        schedule.note(written=size)
        file.write(LARGE[:size])


def _look(schedule: Schedule, tls: Any, size: int) -> None:
    tls.do_handshake()
    for _ in range(5):
        tls.pending()
        repr(tls)
        tls.get_channel_binding()
        tls.getpeercert()


def _unwrap(schedule: Schedule, tls: ssl.SSLSocket, size: int) -> None:
    while True:
        try:
            schedule.given_back.append(tls.unwrap())
            return
        except ssl.SSLError as error:
            if error.reason != _BUSY:
                raise
            tls.recv(1_000_000)
