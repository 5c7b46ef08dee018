"""Sockets and asyncio with Encrypted Client Hello: what waits for a handshake that is rejected."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest
from tests.end_to_end.ech import CONFIGS, KEY, OTHER, SECRET, ech_server
from tests.pki import Pki

import handclasp
from handclasp import (
    ClientConfig,
    EchConfigList,
    EchKey,
    EchRejectedError,
    ServerConfig,
    TLSError,
    aio,
)

DATA = b"for the secret server alone"


class Server:
    """A server with the current key, and all that its clients sent to it."""

    def __init__(self, config: ServerConfig) -> None:
        self.received = b""
        self.alerts: list[str] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self._config = config
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            sock, _ = self.listener.accept()
            sock.settimeout(20)
            try:
                with handclasp.wrap_server(sock, self._config) as tls:
                    while data := tls.recv(4096):
                        self.received += data
            except TLSError as error:
                self.alerts.append(error.alert)

    def join(self) -> None:
        self._thread.join(20)
        self.listener.close()


@pytest.fixture
def pki() -> Pki:
    return Pki()


@pytest.fixture
def server(pki: Pki, request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server with ECH, or one of TLS 1.2 where the test asks for that."""
    config = ech_server(pki)
    if getattr(request, "param", "") == "TLSv1.2":
        config = replace(config, ech=(), versions=["TLSv1.2"])
    server = Server(config)
    yield server
    server.join()


def client_config(pki: Pki, key: EchKey) -> ClientConfig:
    return ClientConfig(trust=pki.trust, ech=EchConfigList(key.configs))


@pytest.mark.parametrize("server", ["TLSv1.3", "TLSv1.2"], indirect=True)
def test_what_waits_for_the_handshake_is_not_sent(pki: Pki, server: Server) -> None:
    sock = socket.create_connection(("127.0.0.1", server.port), 20)
    config = client_config(pki, OTHER)
    tls = handclasp.wrap_client(sock, config, server_name=SECRET, handshake=False)
    with pytest.raises(EchRejectedError):
        tls.sendall(DATA)
    with pytest.raises(EchRejectedError):
        tls.sendall(DATA)
    tls.close()
    server.join()
    assert server.received == b""
    assert server.alerts == ["ech_required"]


def test_asyncio_sends_nothing_either(pki: Pki, server: Server) -> None:
    async def connect() -> None:
        with pytest.raises(EchRejectedError) as caught:
            await aio.open_connection(
                "127.0.0.1", server.port, config=client_config(pki, OTHER), server_name=SECRET
            )
        assert caught.value.retry_configs == CONFIGS

    asyncio.run(connect())
    server.join()
    assert server.received == b""
    assert server.alerts == ["ech_required"]


def test_data_go_to_a_server_that_took_the_hello(pki: Pki, server: Server) -> None:
    config = client_config(pki, KEY)
    with handclasp.connect("127.0.0.1", server.port, config, server_name=SECRET) as tls:
        tls.sendall(DATA)
        assert tls.info.ech_accepted
    server.join()
    assert server.received == DATA
