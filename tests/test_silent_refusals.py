"""A server that closes without a word after it asked for a certificate and got none."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
from tests.compat.pairs import Files
from tests.pki import Pki

from handclasp import (
    ClientAuth,
    ClientConfig,
    ClientConnection,
    Fault,
    ServerConfig,
    ServerConnection,
    TruncationError,
    aio,
)
from handclasp.advice import worded

REQUESTED = "the server had asked for a client certificate, and this side sent none"


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


def server_config(pki: Pki, auth: ClientAuth) -> ServerConfig:
    trust = None if auth is ClientAuth.NONE else pki.trust
    return ServerConfig(credentials=pki.server(), client_auth=auth, trust=trust)


def client_before_the_answer(
    pki: Pki, version: str, auth: ClientAuth, *, shows: bool = False
) -> ClientConnection:
    """Return a client that has sent its whole handshake, of which the hello alone arrived."""
    credentials = pki.client() if shows else None
    config = ClientConfig(trust=pki.trust, versions=[version], credentials=credentials)
    client = ClientConnection(config, server_name="localhost")
    server = ServerConnection(server_config(pki, auth))
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())
    return client


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(
    ("version", "fault"),
    [("TLSv1.3", "TRUNCATED"), ("TLSv1.2", "CLOSED_DURING_HANDSHAKE")],
)
def test_a_certificate_that_was_withheld(
    pki: Pki, version: str, fault: str, *, reset: bool
) -> None:
    client = client_before_the_answer(pki, version, ClientAuth.REQUIRED)
    with pytest.raises(TruncationError) as caught:
        client.receive_eof(reset=reset)
    error = caught.value
    is_reset = reset and version == "TLSv1.2"
    assert error.fault_name == ("RESET_DURING_HANDSHAKE" if is_reset else fault)
    assert REQUESTED in error.message
    assert error.blame == "unclear"
    assert str(error.condition).startswith("this end, if the server")
    assert "--cert" in worded(error.fix, "connect")


@pytest.mark.parametrize("version", ["TLSv1.3", "TLSv1.2"])
@pytest.mark.parametrize(("auth", "shows"), [(ClientAuth.NONE, False), (ClientAuth.REQUIRED, True)])
def test_one_that_was_shown_or_not_asked_for(
    pki: Pki, version: str, auth: ClientAuth, *, shows: bool
) -> None:
    client = client_before_the_answer(pki, version, auth, shows=shows)
    with pytest.raises(TruncationError) as caught:
        client.receive_eof()
    assert REQUESTED not in caught.value.message


def test_a_server_that_said_more_has_completed_the_handshake(pki: Pki) -> None:
    """It requires none, so that this is not its reason to close later."""
    client = ClientConnection(ClientConfig(trust=pki.trust), server_name="localhost")
    server = ServerConnection(server_config(pki, ClientAuth.OPTIONAL))
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())
    server.receive_data(client.data_to_send())
    server.send_data(b"welcome")
    client.receive_data(server.data_to_send())
    with pytest.raises(TruncationError) as caught:
        client.receive_eof()
    assert client.info is not None
    assert REQUESTED not in caught.value.message


def test_an_asyncio_server_of_ssl(pki: Pki, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Files(pki, tmp_path).leaf("server"))
    context.load_verify_locations(cadata=pki.ca_pem.decode())
    context.verify_mode = ssl.CERT_REQUIRED

    async def connect() -> TruncationError | None:
        server = await asyncio.start_server(
            lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context
        )
        async with server:
            port = server.sockets[0].getsockname()[1]
            config = ClientConfig(trust=pki.trust)
            try:
                reader, writer = await aio.open_connection(
                    "127.0.0.1", port, config=config, server_name="localhost"
                )
                with pytest.raises(TruncationError) as caught:
                    await reader.read()
                writer.close()
            except TruncationError as error:
                return error
            return caught.value

    error = asyncio.run(connect())
    assert error is not None
    assert REQUESTED in error.message
    assert error.fault is Fault.TRUNCATED
