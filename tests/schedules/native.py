"""The calls on a `TLSSocket`."""

from __future__ import annotations

import socket

from tests.pki import Pki
from tests.schedules.pauses import FILES
from tests.schedules.schedule import LARGE, Kind, Schedule

from handclasp import (
    ClientConfig,
    ServerConfig,
    StateError,
    TLSSocket,
    wrap_client,
    wrap_server,
)


def native(pki: Pki) -> Kind:
    """Return what threads do with a `TLSSocket`."""
    client = ClientConfig(trust=pki.trust)
    server = ServerConfig(credentials=pki.server("localhost"))

    def wrap(sock: socket.socket, is_client: bool, at_once: bool) -> TLSSocket:
        if is_client:
            return wrap_client(sock, client, server_name="localhost", handshake=at_once)
        return wrap_server(sock, server, handshake=at_once)

    return Kind(
        client,
        server,
        wrap,
        readers={"recv": _recv, "recv_into": _recv_into, "makefile.read": _read_file},
        others={
            "do_handshake": lambda schedule, tls, size: tls.do_handshake(),
            "send": _send,
            "sendall": _sendall,
            "makefile.write": _write_file,
            "update_keys": _update_keys,
            "pending": _look,
        },
        endings={
            "unwrap": _unwrap,
            "close": lambda schedule, tls, size: tls.close(),
            "SHUT_WR": lambda schedule, tls, size: tls.shutdown(socket.SHUT_WR),
            "SHUT_RDWR": lambda schedule, tls, size: tls.shutdown(socket.SHUT_RDWR),
        },
        expected=(OSError, StateError),
        files=FILES,
    )


def _recv(schedule: Schedule, tls: TLSSocket, size: int) -> None:
    while data := tls.recv(size):
        schedule.note(read=len(data))


def _recv_into(schedule: Schedule, tls: TLSSocket, size: int) -> None:
    buffer = bytearray(size)
    while count := tls.recv_into(buffer):
        schedule.note(read=count)


def _read_file(schedule: Schedule, tls: TLSSocket, size: int) -> None:
    with tls.makefile("rb", buffering=0) as file:
        while data := file.read(size):
            schedule.note(read=len(data))


def _sendall(schedule: Schedule, tls: TLSSocket, size: int) -> None:
    for _ in range(3):
        schedule.note(written=size)
        tls.sendall(LARGE[:size])


def _send(schedule: Schedule, tls: TLSSocket, size: int) -> None:
    for _ in range(3):
        schedule.note(written=tls.send(LARGE[:size]))


def _write_file(schedule: Schedule, tls: TLSSocket, size: int) -> None:
    with tls.makefile("wb", buffering=1000) as file:
        schedule.note(written=size)
        file.write(LARGE[:size])


def _update_keys(schedule: Schedule, tls: TLSSocket, size: int) -> None:
    for number in range(3):
        tls.update_keys(request_peer=number == size % 3)


def _look(schedule: Schedule, tls: TLSSocket, size: int) -> None:
    tls.do_handshake()
    for _ in range(5):
        tls.pending()
        repr(tls)
        tls.channel_binding()


def _unwrap(schedule: Schedule, tls: TLSSocket, size: int) -> None:
    while True:
        try:
            schedule.given_back.append(tls.unwrap())
            return
        except StateError:
            tls.recv(1_000_000)
