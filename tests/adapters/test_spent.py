"""Whoever goes on with the pair of streams that `start_tls` was given is told so."""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, cast

import pytest
from tests.adapters.streams import Pair, close, echo, open_local, plain_serving, run, serving

from handclasp import ClientConfig, ConnectionInfo, ServerConfig, StateError, TLSError, aio

NEW = "start_tls returned a new pair: use that"

Use = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]


async def drain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await writer.drain()


async def drain_without_its_reader(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    cast(Any, writer)._reader = None  # as writers are made by hand
    await writer.drain()


USES: dict[str, Use] = {
    "write": lambda _, writer: writer.write(b"PASS secret\r\n"),
    "writelines": lambda _, writer: writer.writelines([b"PASS ", b"secret\r\n"]),
    "drain": drain,
    "drain without its reader": drain_without_its_reader,
    "write_eof": lambda _, writer: writer.write_eof(),
    "transport.write": lambda _, writer: writer.transport.write(b"PASS secret\r\n"),
    "transport.writelines": lambda _, writer: writer.transport.writelines([b"PASS\r\n"]),
    "transport.pause_reading": lambda _, writer: cast(Any, writer.transport).pause_reading(),
    "transport.resume_reading": lambda _, writer: cast(Any, writer.transport).resume_reading(),
    "transport.set_protocol": lambda _, writer: writer.transport.set_protocol(asyncio.Protocol()),
    "read": lambda reader, _: reader.read(1),
    "readline": lambda reader, _: reader.readline(),
    "readexactly": lambda reader, _: reader.readexactly(1),
    "start_tls": lambda reader, writer: aio.start_tls(reader, writer, server_name="localhost"),
    "asyncio's start_tls": lambda _, writer: writer.start_tls(ssl.create_default_context()),
}


async def starttls_server(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, config: ServerConfig
) -> None:
    assert await reader.readline() == b"STARTTLS\n"
    writer.write(b"go ahead\n")
    reader, writer = await aio.start_tls(reader, writer, config)
    await echo(reader, writer)
    await close(writer)


def upgraded(
    client_config: ClientConfig,
    server_config: ServerConfig,
    work: Callable[[Pair, Pair], Awaitable[None]],
    *,
    inside: bool = False,
) -> None:
    """Run `work` with the old pair of a client and the new one, over plain TCP or inside TLS."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await starttls_server(reader, writer, server_config)

    async def main() -> None:
        server = serving(serve, server_config) if inside else plain_serving(serve)
        async with server as port:
            if inside:
                old = await open_local(port, client_config)
            else:
                old = await asyncio.open_connection("127.0.0.1", port)
            old[1].write(b"STARTTLS\n")
            assert await old[0].readline() == b"go ahead\n"
            new = await aio.start_tls(*old, client_config, server_name="localhost")
            await work(old, new)
            await close(new[1])

    run(main())


async def assert_it_talks(pair: Pair) -> None:
    reader, writer = pair
    writer.write(b"in private")
    await writer.drain()
    assert await reader.readexactly(10) == b"in private"


@pytest.mark.parametrize("inside", [False, True], ids=["over TCP", "inside TLS"])
@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_the_old_pair_refuses_to_be_used(
    client_config: ClientConfig, server_config: ServerConfig, use: Use, inside: bool
) -> None:
    async def work(old: Pair, new: Pair) -> None:
        with pytest.raises(StateError, match=NEW):
            result = use(*old)
            if asyncio.iscoroutine(result):
                await result
        await assert_it_talks(new)

    upgraded(client_config, server_config, work, inside=inside)


def test_closing_the_old_writer_leaves_the_connection_alone(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def work(old: Pair, new: Pair) -> None:
        old[1].close()
        await old[1].wait_closed()  # It does not wait for the new pair.
        assert not old[1].can_write_eof()
        assert not old[1].is_closing()
        await assert_it_talks(new)

    upgraded(client_config, server_config, work)


def test_collecting_the_old_pair_leaves_the_connection_alone(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def work(old: Pair, new: Pair) -> None:
        del old
        gc.collect()
        await assert_it_talks(new)

    upgraded(client_config, server_config, work)


def test_the_old_writer_still_tells_of_the_connection(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def work(old: Pair, new: Pair) -> None:
        assert old[1].get_extra_info("peername") == new[1].get_extra_info("peername")
        assert old[1].get_extra_info("handclasp") is None
        assert isinstance(new[1].get_extra_info("handclasp"), ConnectionInfo)
        assert "Spent" in repr(old[1])
        waiting = asyncio.ensure_future(old[1].wait_closed())
        await close(new[1])
        await waiting
        assert old[1].is_closing()

    upgraded(client_config, server_config, work)


def test_aborting_the_old_transport_ends_the_connection(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def work(old: Pair, new: Pair) -> None:
        old[1].transport.abort()
        assert new[1].is_closing()

    upgraded(client_config, server_config, work)


def test_nothing_leaves_by_the_old_writer_in_the_middle_of_the_handshake(
    client_config: ClientConfig,
) -> None:
    heard = bytearray()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.read())

    async def main() -> None:
        async with plain_serving(listen) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            starting = asyncio.ensure_future(
                aio.start_tls(reader, writer, client_config, server_name="localhost")
            )
            while not heard and not starting.done():
                await asyncio.sleep(0)
                with suppress(StateError):
                    writer.write(b"")
                if "Spent" in repr(writer):
                    break
            with pytest.raises(StateError, match=NEW):
                writer.write(b"PASS secret\r\n")
            starting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting
            await close(writer)
        assert heard[:1] == b"\x16"
        assert b"PASS" not in heard

    run(main())


def test_after_a_handshake_that_failed_the_old_writer_tells_why(
    client_config: ClientConfig,
) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"\x15\x03\x03\x00\x02\x02\x28")  # handshake_failure

    async def main() -> None:
        async with plain_serving(refuse) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with pytest.raises(TLSError):
                await aio.start_tls(reader, writer, client_config, server_name="localhost")
            assert writer.is_closing()
            with pytest.raises(TLSError, match="handshake_failure"):
                await writer.drain()
            with pytest.raises(StateError, match=NEW):
                writer.write(b"PASS secret\r\n")
            await close(writer)

    run(main())
