"""A server that asks for the client's certificate after the handshake, over each adapter."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
import trio
import trio.testing
from tests.adapters.pairs import read_exactly, tls_pair
from tests.adapters.streams import open_local, run, serving
from tests.pki import Pki

from handclasp import ClientConfig, Credentials, ServerConfig, StateError
from handclasp.certificates.verify import vouch_for
from handclasp.trio import TLSStream


@pytest.fixture(scope="session")
def own(pki: Pki) -> Credentials:
    return pki.client("alice")


@pytest.fixture
def client(client_config: ClientConfig, own: Credentials) -> ClientConfig:
    return replace(client_config, credentials=own, post_handshake_auth=True)


@pytest.fixture
def server(server_config: ServerConfig, pki: Pki) -> ServerConfig:
    return replace(server_config, client_auth="required", trust=pki.trust, post_handshake_auth=True)


def asynchronous(client: ClientConfig, server: ServerConfig, own: Credentials) -> Any:
    """The same configs, whose callbacks take their time under this event loop."""

    async def choose(_: object) -> Credentials:
        await _sleep()
        return own

    async def verify(question: Any) -> object:
        await _sleep()
        return vouch_for(question.chain_der)

    return (
        replace(client, credentials=None, choose_credentials=choose),
        replace(server, trust=None, verify=verify),
    )


async def _sleep() -> None:
    try:
        await trio.sleep(0.01)
    except RuntimeError:
        await asyncio.sleep(0.01)


def test_over_blocking_sockets(
    client: ClientConfig, server: ServerConfig, own: Credentials
) -> None:
    with tls_pair(client, server) as (here, there):
        there.request_client_certificate()
        assert there.connection.certificate_requests == 1  # type: ignore[union-attr]
        there.sendall(b"who are you?")
        assert read_exactly(here, 12) == b"who are you?"
        here.sendall(b"alice")
        assert there.info.peer_chain_der == ()
        assert read_exactly(there, 5) == b"alice"
        assert there.info.peer_chain_der == own.chain_der
        assert there.connection.certificate_requests == 0  # type: ignore[union-attr]
        with pytest.raises(StateError, match="only a server"):
            here.request_client_certificate()


@pytest.mark.parametrize("callbacks", ["none", "asynchronous"])
def test_under_asyncio(
    client: ClientConfig, server: ServerConfig, own: Credentials, callbacks: str
) -> None:
    if callbacks == "asynchronous":
        client, server = asynchronous(client, server, own)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        transport: Any = writer.transport
        transport.request_client_certificate()
        writer.write(b"who are you?")
        answer = await reader.readexactly(2**20)
        assert answer == bytes(2**20)
        assert transport.get_extra_info("handclasp").peer_chain_der == own.chain_der
        assert ("commonName", "alice") in transport.get_extra_info("peercert")["subject"][0]
        writer.write(b"welcome")
        writer.close()

    async def main() -> None:
        async with serving(serve, server) as port:
            reader, writer = await open_local(port, client)
            assert await reader.readexactly(12) == b"who are you?"
            writer.write(bytes(2**20))
            assert await reader.read() == b"welcome"
            transport: Any = writer.transport
            with pytest.raises(StateError):
                transport.request_client_certificate()
            writer.close()
            await writer.wait_closed()

    run(main())


@pytest.mark.parametrize("callbacks", ["none", "asynchronous"])
def test_under_trio(
    client: ClientConfig, server: ServerConfig, own: Credentials, callbacks: str
) -> None:
    if callbacks == "asynchronous":
        client, server = asynchronous(client, server, own)

    async def main() -> None:
        left, right = trio.testing.memory_stream_pair()
        here = TLSStream(left, client, server_name="localhost")
        there = TLSStream(right, server)

        async def serve() -> None:
            await there.request_client_certificate()
            await there.send_all(b"who are you?")
            assert await _exactly(there, 2**18) == bytes(2**18)
            assert there.info.peer_chain_der == own.chain_der
            await there.send_all(b"welcome")

        async def ask() -> None:
            assert await _exactly(here, 12) == b"who are you?"
            await here.send_all(bytes(2**18))
            assert await _exactly(here, 7) == b"welcome"
            with pytest.raises(StateError):
                await here.request_client_certificate()

        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(serve)
                nursery.start_soon(ask)

    trio.run(main)


async def _exactly(stream: TLSStream[Any], size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        data += await stream.receive_some(size - len(data))
    return bytes(data)
