"""Data of a server before the client's Finished (RFC 8446 section 4.4.4)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.end_to_end.pair import Pair
from tests.pki import Pki

from handclasp import (
    ClientAuth,
    ClientConfig,
    ConfigurationError,
    ConfirmPeer,
    DataReceived,
    EarlyDataReceived,
    HalfRttReady,
    HandshakeCompleted,
    Limits,
    PeerAlertError,
    PreSharedKey,
    ServerConfig,
    ServerConnection,
    SessionStore,
    StateError,
)

GREETING = b"220 ready\r\n"


class Greeting(Pair):
    """A server that speaks as soon as it may."""

    greeting = GREETING

    def carry(self, sender: Any, receiver: Any) -> bool:
        carried = super().carry(sender, receiver)
        server = self.server.connection
        assert isinstance(server, ServerConnection)
        if receiver is self.server and server.half_rtt_limit and self.greeting:
            server.send_half_rtt_data(self.greeting)
            self.greeting = b""
        return carried


@pytest.fixture(scope="module")
def server(pki: Pki) -> ServerConfig:
    return ServerConfig(credentials=pki.server("localhost"), half_rtt_data=True, max_early_data=100)


@pytest.fixture
def client(pki: Pki) -> ClientConfig:
    return ClientConfig(trust=pki.trust, sessions=SessionStore(), allow_early_data=True)


def greeted(pair: Pair) -> None:
    assert pair.established, (pair.client.error, pair.server.error)
    kinds = [type(event) for event in pair.client.events]
    assert kinds.index(HandshakeCompleted) < kinds.index(DataReceived)
    assert pair.client.data == GREETING
    pair.say(pair.server, b"and more")
    pair.say(pair.client, b"thank you")
    assert pair.client.data == GREETING + b"and more"
    assert pair.server.data == b"thank you"


@pytest.mark.parametrize("size", [None, 1, 100])
def test_it_comes_with_the_first_flight(
    client: ClientConfig, server: ServerConfig, size: int | None
) -> None:
    pair = Greeting(client, server, size=size)
    pair.carry(pair.client, pair.server)
    ready = [event for event in pair.server.events if isinstance(event, HalfRttReady)]
    assert len(ready) == 1
    assert not pair.server.saw(HandshakeCompleted)
    pair.carry(pair.server, pair.client)
    # The client has it before the server has heard of its Finished.
    assert pair.client.data == GREETING
    assert pair.server.connection.info is None
    pair.run()
    assert pair.server.info == ready[0].info
    assert pair.server.saw(HalfRttReady) == 1
    greeted(pair)


@pytest.mark.parametrize(
    "change",
    [
        {"groups": ["secp256r1"]},
        {"tickets": 0, "max_early_data": 0, "replay_guard": None},
        {"record_padding": 100},
        {"alpn": ["smtp"]},
    ],
    ids=str,
)
def test_with_other_settings(
    client: ClientConfig, server: ServerConfig, change: dict[str, Any]
) -> None:
    pair = Greeting(replace(client, alpn=["smtp"]), replace(server, **change)).run()
    greeted(pair)


def test_resumed_and_in_answer_to_early_data(client: ClientConfig, server: ServerConfig) -> None:
    greeted(Greeting(client, server).run())
    pair = Greeting(client, server)
    pair.client.connection.send_early_data(b"a question")  # type: ignore[union-attr]
    pair.carry(pair.client, pair.server)
    early = [event.data for event in pair.server.events if isinstance(event, EarlyDataReceived)]
    assert early == [b"a question"]
    pair.carry(pair.server, pair.client)
    assert pair.client.data == GREETING
    greeted(pair.run())
    assert pair.server.info.early_data_status == "accepted"


def test_refused_early_data(client: ClientConfig, server: ServerConfig) -> None:
    greeted(Greeting(client, server).run())
    pair = Greeting(client, replace(server, max_early_data=0, replay_guard=None))
    pair.client.connection.send_early_data(b"a question")  # type: ignore[union-attr]
    greeted(pair.run())
    assert pair.server.info.early_data_status == "rejected"


def test_external_keys(server: ServerConfig) -> None:
    key = PreSharedKey(b"a client", b"k" * 32)
    config = replace(server, psks=[key], credentials=None, max_early_data=0)
    greeted(Greeting(ClientConfig(psks=[key]), config, None).run())


def test_a_client_that_still_thinks_gets_nothing_before(
    client: ClientConfig, server: ServerConfig
) -> None:
    """What was sent early waits for the application's word on the server."""
    asked: list[Any] = []

    async def confirm(question: ConfirmPeer) -> bool:
        raise AssertionError

    def later(question: ConfirmPeer) -> Any:
        asked.append(question)
        return confirm(question)

    config = replace(client, confirm_peer=later, allow_early_data=False)
    pair = Greeting(config, server).run()
    assert asked
    assert pair.client.data == b""
    pair.client.question.pending.close()  # type: ignore[union-attr]
    pair.client.answer(True)
    greeted(pair.run())


def test_a_client_that_refuses(client: ClientConfig, server: ServerConfig) -> None:
    """It never hears the greeting, and the server hears why."""
    config = replace(client, confirm_peer=lambda question: False, allow_early_data=False)
    pair = Greeting(config, server).run()
    assert pair.client.data == b""
    assert isinstance(pair.server.error, PeerAlertError)
    with pytest.raises(PeerAlertError):
        pair.server.connection.send_half_rtt_data(b"x")  # type: ignore[union-attr]


# Where it is not to be had


def refused(pair: Pair) -> None:
    server = pair.server.connection
    assert isinstance(server, ServerConnection)
    assert server.half_rtt_limit == 0
    with pytest.raises(StateError, match="between HalfRttReady and HandshakeCompleted"):
        server.send_half_rtt_data(b"x")


def test_not_at_any_other_time(client: ClientConfig, server: ServerConfig) -> None:
    pair = Pair(client, server)
    refused(pair)
    pair.run()
    assert pair.established
    refused(pair)


def test_not_without_the_setting(client: ClientConfig, server: ServerConfig) -> None:
    pair = Pair(client, replace(server, half_rtt_data=False))
    pair.carry(pair.client, pair.server)
    assert not pair.server.saw(HalfRttReady)
    server_connection = pair.server.connection
    assert isinstance(server_connection, ServerConnection)
    assert server_connection.half_rtt_limit == 0
    with pytest.raises(ConfigurationError, match="half_rtt_data=True") as raised:
        server_connection.send_half_rtt_data(b"x")
    assert not isinstance(raised.value, StateError)
    with pytest.raises(StateError):
        server_connection.send_data(b"x")


def test_not_in_tls12(client: ClientConfig, server: ServerConfig) -> None:
    pair = Pair(replace(client, versions=["TLSv1.2"], allow_early_data=False), server)
    pair.carry(pair.client, pair.server)
    assert not pair.server.saw(HalfRttReady)
    refused(pair)
    assert pair.run().established


def test_not_after_closing(client: ClientConfig, server: ServerConfig) -> None:
    pair = Pair(client, server)
    pair.carry(pair.client, pair.server)
    pair.server.connection.close()
    refused(pair)


def test_not_more_than_the_key_is_good_for(client: ClientConfig, server: ServerConfig) -> None:
    pair = Pair(client, replace(server, limits=Limits(max_records_per_key=16)))
    pair.carry(pair.client, pair.server)
    connection = pair.server.connection
    assert isinstance(connection, ServerConnection)
    limit = connection.half_rtt_limit
    assert limit == 12 * 2**14
    with pytest.raises(ConfigurationError, match="wait for the handshake"):
        connection.send_half_rtt_data(bytes(limit + 1))
    connection.send_half_rtt_data(bytes(limit))
    assert connection.half_rtt_limit == 0
    assert pair.run().established
    assert len(pair.client.data) == limit
    pair.say(pair.server, bytes(limit))
    assert len(pair.client.data) == 2 * limit


@pytest.mark.parametrize("auth", [ClientAuth.OPTIONAL, ClientAuth.REQUIRED])
def test_not_where_clients_are_asked_who_they_are(pki: Pki, auth: ClientAuth) -> None:
    with pytest.raises(ConfigurationError, match="before the client is authenticated"):
        ServerConfig(
            credentials=pki.server(), client_auth=auth, trust=pki.trust, half_rtt_data=True
        )


def test_not_without_tls13(pki: Pki) -> None:
    with pytest.raises(ConfigurationError, match=r"leaves out TLS 1\.3, so half_rtt_data would"):
        ServerConfig(credentials=pki.server(), versions=["TLSv1.2"], half_rtt_data=True)
    with pytest.raises(ConfigurationError, match="True or False"):
        ServerConfig(credentials=pki.server(), half_rtt_data="yes")  # type: ignore[arg-type]
