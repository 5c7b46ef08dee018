"""The log of a server: each client whose handshake failed, once, and nothing else."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest
from tests.adapters.pairs import Aside
from tests.compat.pairs import Files, client_context, meet, server_context

from handclasp import TLSError, compat
from handclasp.compat import log
from handclasp.compat.log import LOGGER

WRONG_HELLO = b"\x16\x03\x01\0\5\1\0\0\1\0"


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def records() -> Iterator[list[Any]]:
    """What a server's operator reads."""
    logger, handler = logging.getLogger(LOGGER), Kept()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler.records
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def connected() -> tuple[socket.socket, socket.socket]:
    """Return the sockets of a server and its client, over TCP."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        return listener.accept()[0], client


def test_the_client_of_a_socket(files: Files, records: list[Any]) -> None:
    server, client = connected()
    host, port = client.getsockname()
    with server, client:
        client.sendall(WRONG_HELLO)
        with pytest.raises(ssl.SSLError):
            server_context("handclasp", files).wrap_socket(server, server_side=True)
    [record] = records
    assert record.name == "handclasp.compat"
    assert record.levelno == logging.INFO
    told = f"The client at {host}:{port} did not complete the handshake: DECODE_ERROR: A message"
    assert record.getMessage().startswith(told)
    assert record.peer == (host, port)
    assert isinstance(record.failure, TLSError)


def test_a_client_is_logged_once(files: Files, records: list[Any]) -> None:
    incoming = ssl.MemoryBIO()
    server = server_context("handclasp", files).wrap_bio(
        incoming, ssl.MemoryBIO(), server_side=True
    )
    incoming.write(WRONG_HELLO)
    for _ in range(3):
        with pytest.raises(ssl.SSLError):
            server.do_handshake()
    [record] = records
    assert record.getMessage().startswith("A client did not complete the handshake: DECODE_ERROR")
    assert record.peer is None


def test_a_silent_client(files: Files, records: list[Any]) -> None:
    server, client = connected()
    server.settimeout(0.05)
    with server, client, pytest.raises(TimeoutError):
        server_context("handclasp", files).wrap_socket(server, server_side=True)
    [record] = records
    assert "HANDSHAKE_TIMEOUT" in record.getMessage()


def test_nothing_is_logged_of_others(files: Files, records: list[Any]) -> None:
    """Neither of a handshake that is complete, nor of a client's, which has its exception."""
    met = meet(server_context("handclasp", files), client_context("handclasp", files))
    assert met.server == b"hello"
    refusing = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    refusing.load_cert_chain(files.leaf("other"))
    refused = meet(refusing, client_context("handclasp", files), server_hostname="other.example")
    assert isinstance(refused.client, ssl.SSLCertVerificationError)
    assert not records


@pytest.mark.parametrize("sent", [WRONG_HELLO, b""])
def test_asyncio_after_inject(files: Files, records: list[Any], sent: bytes) -> None:
    """Only asyncio knows the address, and drops its object where a client has left."""
    context = server_context("handclasp", files)

    async def main() -> tuple[str, int]:
        async with await asyncio.start_server(
            lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context
        ) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(sent)
            writer.write_eof()
            assert not await reader.read()
            own: tuple[str, int] = writer.get_extra_info("sockname")
            writer.close()
            return own

    with compat.injected():
        host, port = asyncio.run(main())
    [record] = records
    assert record.peer == (host, port)
    assert f"The client at {host}:{port} did not" in record.getMessage()


def test_a_log_that_fails_ends_no_server(files: Files) -> None:
    def fail(record: logging.LogRecord) -> bool:
        raise RuntimeError(record)

    logger = logging.getLogger(LOGGER)
    logger.addFilter(fail)
    logger.setLevel(logging.INFO)
    server, client = connected()
    try:
        with server, client:
            client.sendall(WRONG_HELLO)
            with pytest.raises(ssl.SSLError):
                server_context("handclasp", files).wrap_socket(server, server_side=True)
    finally:
        logger.removeFilter(fail)
        logger.setLevel(logging.NOTSET)


def test_a_client_of_a_unix_socket(files: Files, records: list[Any]) -> None:
    server, client = socket.socketpair()
    with server, client:
        client.sendall(WRONG_HELLO)
        serving = Aside(
            lambda: server_context("handclasp", files).wrap_socket(server, server_side=True)
        )
        with pytest.raises(ssl.SSLError):
            serving.result()
    assert records[0].getMessage().startswith("A client did not")


@pytest.mark.parametrize(
    ("address", "told"),
    [
        (("127.0.0.1", 443), "127.0.0.1:443"),
        (("::1", 443, 0, 0), "[::1]:443"),
        ("/run/socket", "/run/socket"),
        (b"\0abstract", "b'\\x00abstract'"),
        ((3, 1024), "(3, 1024)"),
    ],
)
def test_an_address_of_any_family(address: object, told: str) -> None:
    assert log._named(address) == told
