"""Recorded handshakes, of each kind that tests tell about, and fixtures of them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from tests.pki import Pki

from handclasp import (
    ClientConfig,
    ClientConnection,
    ConnectionInfo,
    Recorder,
    ServerConfig,
    ServerConnection,
)
from handclasp.trace.events import HandshakeResult


@dataclass(frozen=True)
class Recorded:
    """What both sides noted of one conversation, in which the client said `DATA`."""

    client: Recorder
    server: Recorder

    @property
    def info_of_server(self) -> ConnectionInfo:
        return next(e.info for e in self.server.events if isinstance(e, HandshakeResult))


DATA = b"over the wall"


def shuttle(client: ClientConnection, server: ServerConnection) -> None:
    """Carry bytes to and fro until both are silent."""
    while True:
        to_server, to_client = bytes(client.data_to_send()), b""
        if to_server:
            server.receive_data(to_server)
        to_client = bytes(server.data_to_send())
        if to_client:
            client.receive_data(to_client)
        if not to_server and not to_client:
            return


def converse(
    client_config: ClientConfig, server_config: ServerConfig, *, secrets: bool = False
) -> Recorded:
    recorded = Recorded(Recorder(record_secrets=secrets), Recorder(record_secrets=secrets))
    client = ClientConnection(client_config, server_name="localhost", trace=recorded.client)
    server = ServerConnection(server_config, trace=recorded.server)
    shuttle(client, server)
    client.send_data(DATA)
    shuttle(client, server)
    client.close()
    shuttle(client, server)
    return recorded


@pytest.fixture(scope="session")
def pki() -> Pki:
    return Pki()


@pytest.fixture(scope="session")
def plain(pki: Pki) -> Recorded:
    """An ordinary handshake."""
    return converse(
        ClientConfig(trust=pki.trust, alpn=("h2", "http/1.1")),
        ServerConfig(credentials=pki.server(), alpn=("http/1.1",)),
    )


@pytest.fixture(scope="session")
def retried(pki: Pki) -> Recorded:
    """A handshake with a HelloRetryRequest."""
    return converse(
        ClientConfig(trust=pki.trust, groups=("X25519", "secp384r1"), key_shares=("X25519",)),
        ServerConfig(credentials=pki.server(), groups=("secp384r1",)),
    )
