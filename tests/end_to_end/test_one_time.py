"""One-time secrets: over 10,000 connections, resumed ones included, nothing ever repeats."""

from __future__ import annotations

import pytest
from tests.end_to_end.pair import split_records
from tests.pki import Pki

from handclasp import ClientConfig, ClientConnection, ServerConfig, ServerConnection, Session
from handclasp.iana import ExtensionType
from handclasp.wire.extensions import read_key_share_client_hello
from handclasp.wire.messages import ClientHello, read_message

pytestmark = pytest.mark.long


class Noting:
    """A store that keeps the newest session, notes every ticket, and resumes every other time."""

    def __init__(self) -> None:
        self.tickets: list[bytes] = []
        self._newest: Session | None = None
        self._turn = False

    def put(self, _: str, session: Session) -> None:
        self.tickets.append(session.ticket)
        self._newest = session

    def take(self, _: str) -> Session | None:
        self._turn = not self._turn
        session, self._newest = self._newest, None
        return session if self._turn else None

    def discard(self, *_: object) -> None:
        pass


def meet(client_config: ClientConfig, server_config: ServerConfig) -> tuple[ClientHello, bool]:
    """One handshake and nothing more; gives the hello, and whether a session was resumed."""
    client = ClientConnection(client_config, server_name="localhost")
    server = ServerConnection(server_config)
    first = bytes(client.data_to_send())
    server.receive_data(first)
    for _ in range(2):
        client.receive_data(server.data_to_send())
        server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())
    assert client.info is not None
    assert server.established
    hello = read_message(split_records(first)[0][1])
    assert isinstance(hello, ClientHello)
    return hello, client.info.resumed


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("version", "count"), [("TLSv1.3", 8000), ("TLSv1.2", 2000)])
def test_nothing_ever_repeats(pki: Pki, version: str, count: int) -> None:
    lines: list[str] = []
    store = Noting()
    client = ClientConfig(
        trust=pki.trust,
        sessions=store,
        versions=[version],
        groups=["X25519", "secp256r1"],
        keylog=lines.append,
    )
    server = ServerConfig(credentials=pki.server("localhost"), tickets=1)
    randoms: set[bytes] = set()
    shares: set[bytes] = set()
    resumed = 0
    for _ in range(count):
        hello, was_resumed = meet(client, server)
        resumed += was_resumed
        randoms.add(hello.random)
        if version == "TLSv1.3":
            data = hello.extensions[ExtensionType.KEY_SHARE]
            shares.update(
                entry.key_exchange
                for entry in read_key_share_client_hello(data)
                if len(entry.key_exchange) > 1  # Not that of GREASE.
            )
    assert resumed >= count // 3
    assert len(randoms) == count
    assert len(shares) == (count if version == "TLSv1.3" else 0)
    assert len(set(store.tickets)) == len(store.tickets) >= count - resumed
    secrets = [line.split()[2] for line in lines]
    labels = 5 if version == "TLSv1.3" else 1
    assert len(secrets) == labels * count
    # In TLS 1.2, a session's connections share the master secret; the keys come with the randoms.
    assert len(set(secrets)) == (len(secrets) if version == "TLSv1.3" else count - resumed)
