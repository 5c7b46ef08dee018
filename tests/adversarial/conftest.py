"""Our two roles under attack, each with a check that it refuses exactly as the catalogue says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.adversarial.encounter import Encounter
from tests.pki import Pki

from handclasp import (
    ClientAuth,
    ClientConfig,
    ClientConnection,
    Fault,
    HandshakeCompleted,
    ProtocolError,
    ServerConfig,
    ServerConnection,
)
from handclasp.iana import AlertLevel
from handclasp.testing.scripted import ScriptedClient, ScriptedServer

ClientRefuses = Callable[..., Encounter]
ServerRefuses = Callable[..., Encounter]


@pytest.fixture(scope="session")
def pki() -> Pki:
    return Pki()


@pytest.fixture(scope="session")
def client_config(pki: Pki) -> ClientConfig:
    return ClientConfig(trust=pki.trust, alpn=["h2", "http/1.1"])


@pytest.fixture(scope="session")
def server_config(pki: Pki) -> ServerConfig:
    return ServerConfig(credentials=pki.server("localhost"))


@pytest.fixture(scope="session")
def asking_config(pki: Pki) -> ServerConfig:
    """A server that requires a client certificate."""
    return ServerConfig(
        credentials=pki.server("localhost"), client_auth=ClientAuth.REQUIRED, trust=pki.trust
    )


@pytest.fixture
def meet_server(pki: Pki, client_config: ClientConfig) -> Callable[..., Encounter]:
    """Our client, in front of a scripted server."""

    def meet(
        *,
        config: ClientConfig | None = None,
        kind: type[ScriptedServer] = ScriptedServer,
        **script: Any,
    ) -> Encounter:
        credentials = script.pop("credentials", None) or pki.server("localhost")
        connection = ClientConnection(config or client_config, server_name="localhost")
        return Encounter(connection, kind(credentials, **script))

    return meet


@pytest.fixture
def meet_client(server_config: ServerConfig) -> Callable[..., Encounter]:
    """Our server, in front of a scripted client."""

    def meet(
        *,
        config: ServerConfig | None = None,
        kind: type[ScriptedClient] = ScriptedClient,
        **script: Any,
    ) -> Encounter:
        return Encounter(ServerConnection(config or server_config), kind(**script))

    return meet


@pytest.fixture
def client_refuses(meet_server: Callable[..., Encounter]) -> ClientRefuses:
    """Our client meets a scripted server, and must refuse it with this fault and its alert."""

    def check(fault: Fault, **script: Any) -> Encounter:
        encounter = meet_server(**script)
        refused(encounter, fault)
        assert not any(isinstance(event, HandshakeCompleted) for event in encounter.events)
        return encounter

    return check


@pytest.fixture
def server_refuses(meet_client: Callable[..., Encounter]) -> ServerRefuses:
    """Our server meets a scripted client, and must refuse it with this fault and its alert."""

    def check(fault: Fault, **script: Any) -> Encounter:
        encounter = meet_client(**script)
        refused(encounter, fault)
        assert not any(isinstance(event, HandshakeCompleted) for event in encounter.events)
        return encounter

    return check


def refused(encounter: Encounter, fault: Fault) -> None:
    """The connection failed with this fault, stays failed, and told the peer by its alert."""
    error = encounter.error
    assert isinstance(error, ProtocolError), error
    assert error.fault is fault, error
    assert error.origin == "local"
    assert encounter.peer.alerts == [(AlertLevel.FATAL, fault.alert)]
    connection = encounter.connection
    assert connection.failure is error
    assert not connection.established
    with pytest.raises(ProtocolError) as again:
        connection.receive_data(b"\x17\x03\x03\x00\x01x")
    assert again.value is error
    assert connection.data_to_send() == b""
