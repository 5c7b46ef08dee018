"""Forks: a child's copies are closed without harm to the parent's, and workers share a socket."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable

import pytest
from tests.adapters.streams import close, echo, open_local, port_of, run

from handclasp import aio
from handclasp.config import ClientConfig, ServerConfig

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here"),
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),
]


def in_child(work: Callable[[], object]) -> int:
    """The exit status of a child that does this: 0 where nothing was raised."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await echo(reader, writer)
    await close(writer)


@pytest.mark.parametrize("end", ["close", "abort"])
def test_a_child_that_closes_its_copies_leaves_the_parents_alone(
    client_config: ClientConfig, server_config: ServerConfig, end: str
) -> None:
    async def main() -> None:
        async with await aio.start_server(serve, "127.0.0.1", 0, config=server_config) as server:
            reader, writer = await open_local(port_of(server), client_config)
            writer.write(b"before")
            assert await reader.readexactly(6) == b"before"

            def end_copies() -> None:
                getattr(writer.transport, end)()
                server.close_clients()
                server.abort_clients()
                server.close()
                assert writer.is_closing()

            assert in_child(end_copies) == 0
            writer.write(b"after")
            assert await reader.readexactly(5) == b"after"
            _, second = await open_local(port_of(server), client_config)
            await close(second)
            await close(writer)

    run(main())


@pytest.mark.parametrize("call", ["write", "write_eof", "update_keys"])
def test_a_child_sends_nothing(
    client_config: ClientConfig, server_config: ServerConfig, call: str
) -> None:
    """Its records would have the nonces of the parent's."""

    async def main() -> None:
        async with await aio.start_server(serve, "127.0.0.1", 0, config=server_config) as server:
            reader, writer = await open_local(port_of(server), client_config)
            argument = [b"of the child"] if call == "write" else []
            use = getattr(writer.transport, call)
            assert in_child(lambda: use(*argument)) == 0
            writer.write(b"of the parent")
            assert await reader.readexactly(13) == b"of the parent"
            await close(writer)

    run(main())


def test_a_child_leaves_the_parents_unix_socket_where_it_is(
    client_config: ClientConfig, server_config: ServerConfig, tmp_path: object
) -> None:
    path = f"{tmp_path}/socket"

    async def main() -> None:
        server = await aio.start_unix_server(serve, path, config=server_config)
        async with server:
            assert in_child(server.close) == 0
            _, writer = await aio.open_unix_connection(
                path, config=client_config, server_name="localhost"
            )
            await close(writer)
        assert not os.path.exists(path)

    run(main())


def test_workers_share_a_socket_that_was_bound_before(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    stop, tell = os.pipe()
    workers = []
    for _ in range(2):
        worker = os.fork()
        if worker == 0:
            try:
                os.close(tell)
                asyncio.run(work(listener, server_config, stop))
            finally:
                os._exit(0)
        workers.append(worker)
    port = listener.getsockname()[1]
    listener.close()

    async def visit() -> None:
        reader, writer = await open_local(port, client_config)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        await close(writer)

    async def main() -> None:
        await asyncio.gather(*(visit() for _ in range(10)))

    try:
        run(main())
    finally:
        os.close(tell)
        os.close(stop)
        for worker in workers:
            os.waitpid(worker, 0)


async def work(listener: socket.socket, config: ServerConfig, stop: int) -> None:
    server = await aio.start_server(serve, sock=listener, config=config)
    await asyncio.to_thread(os.read, stop, 1)
    server.close()
