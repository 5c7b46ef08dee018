"""The calls on a `TLSSocket`."""

from __future__ import annotations

import socket

from tests.pki import Pki
from tests.schedules.calls import ENDINGS, OTHERS, READERS, unwrapping
from tests.schedules.pauses import FILES
from tests.schedules.schedule import Kind, Schedule

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
        readers=READERS,
        others=OTHERS | {"update_keys": _update_keys, "pending": _look},
        endings=ENDINGS | {"unwrap": _unwrap},
        expected=(OSError, StateError),
        files=FILES,
    )


def _update_keys(schedule: Schedule, tls: TLSSocket, size: int) -> None:
    for number in range(3):
        tls.update_keys(request_peer=number == size % 3)


def _look(schedule: Schedule, tls: TLSSocket, size: int) -> None:
    tls.do_handshake()
    for _ in range(5):
        tls.pending()
        repr(tls)
        tls.channel_binding()


_unwrap = unwrapping(lambda error: isinstance(error, StateError))
