"""A protocol that raises: its connection is over, as with asyncio, however the handshake ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.adapters.streams import open_local, port_of, run
from tests.pki import Pki

from handclasp import ClientAuth, aio
from handclasp.config import ClientConfig, ServerConfig


def at_once(question: Any) -> bool:
    return True


async def later(question: Any) -> bool:
    await asyncio.sleep(0)
    return True


class Raising(asyncio.Protocol):
    """Raises in one of its methods."""

    def __init__(self, where: str) -> None:
        self._where = where
        self.heard: list[str] = []
        self.lost = asyncio.get_running_loop().create_future()

    def _hear(self, what: str) -> None:
        self.heard.append(what)
        if what == self._where:
            raise ZeroDivisionError(what)

    def connection_made(self, transport: Any) -> None:
        self._hear("connection_made")
        transport.write(b"a greeting")

    def data_received(self, data: bytes) -> None:
        self._hear("data_received")

    def eof_received(self) -> None:
        self._hear("eof_received")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.lost.set_result(exc)


@pytest.fixture(params=[at_once, later])
def confirm(request: pytest.FixtureRequest) -> Callable[..., Any]:
    found: Callable[..., Any] = request.param
    return found


@pytest.mark.parametrize("where", ["connection_made", "data_received", "eof_received"])
def test_a_server_ends_the_connection(
    pki: Pki,
    client_config: ClientConfig,
    server_config: ServerConfig,
    where: str,
    confirm: Callable[..., Any],
) -> None:
    config = replace(
        server_config, client_auth=ClientAuth.REQUIRED, trust=pki.trust, confirm_peer=confirm
    )

    async def main() -> None:
        made, reported = [], []

        def make() -> Raising:
            made.append(Raising(where))
            return made[-1]

        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))
        server = await aio.create_server(make, "127.0.0.1", 0, config=config)
        client = replace(client_config, credentials=pki.client())
        # What it sends may come with the end of its handshake.
        reader, writer = await open_local(port_of(server), client)
        writer.write(b"data")
        writer.write_eof()
        with pytest.raises(OSError):  # The end does not come in order.
            while await reader.read(100):
                pass
            pytest.fail("the end came in order")
        protocol = made[0]
        error = await asyncio.wait_for(protocol.lost, 5)
        assert isinstance(error, ZeroDivisionError)
        assert reported == [error]
        assert protocol.heard[-1] == where
        writer.transport.abort()
        server.close()
        await asyncio.wait_for(server.wait_closed(), 5)

    run(main())


def test_a_client_ends_the_connection(
    client_config: ClientConfig, server_config: ServerConfig, confirm: Callable[..., Any]
) -> None:
    """The greeting of the server comes with the end of the handshake, or just after it."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        await reader.read()
        writer.close()

    async def main() -> None:
        reported: list[BaseException] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))
        async with await aio.start_server(greet, "127.0.0.1", 0, config=server_config) as server:
            transport, protocol = await aio.create_connection(
                lambda: Raising("data_received"),
                "127.0.0.1",
                port_of(server),
                config=replace(client_config, confirm_peer=confirm),
                server_name="localhost",
            )
            error = await asyncio.wait_for(protocol.lost, 5)
            assert isinstance(error, ZeroDivisionError)
            assert reported == [error]
            assert transport.is_closing()

    run(main())


def test_a_client_whose_protocol_cannot_begin(
    client_config: ClientConfig, server_config: ServerConfig, confirm: Callable[..., Any]
) -> None:
    async def main() -> None:
        made: list[Raising] = []

        def make() -> Raising:
            made.append(Raising("connection_made"))
            return made[-1]

        reported: list[BaseException] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))
        handler = lambda reader, writer: writer.close()  # noqa: E731
        async with await aio.start_server(handler, "127.0.0.1", 0, config=server_config) as server:
            with pytest.raises(ZeroDivisionError):
                await aio.create_connection(
                    make,
                    "127.0.0.1",
                    port_of(server),
                    config=replace(client_config, confirm_peer=confirm),
                    server_name="localhost",
                )
            error = await asyncio.wait_for(made[0].lost, 5)
            assert reported == [error]
            assert made[0].heard == ["connection_made"]

    run(main())


def test_data_that_was_held_ends_the_connection_too(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    """A protocol that has paused reading gets what came meanwhile from the loop."""

    class Pausing(Raising):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport
            transport.pause_reading()

    async def main() -> None:
        made: list[Pausing] = []

        def make() -> Pausing:
            made.append(Pausing("data_received"))
            return made[-1]

        reported: list[BaseException] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))
        async with await aio.create_server(make, "127.0.0.1", 0, config=server_config) as server:
            _, writer = await open_local(port_of(server), client_config)
            writer.write(b"data")
            await asyncio.sleep(0.05)
            made[0].transport.resume_reading()
            error = await asyncio.wait_for(made[0].lost, 5)
            assert isinstance(error, ZeroDivisionError)
            assert reported == [error]
            writer.transport.abort()

    run(main())
