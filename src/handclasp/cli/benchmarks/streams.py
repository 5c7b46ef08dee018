"""Over real sockets: a socket pair, and asyncio streams on the loopback interface.

The floor is the same without TLS.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import handclasp
from handclasp.cli.benchmarks.measure import Action, Row
from handclasp.cli.benchmarks.stacks import NAME, LibraryFactory, OwnFactory, Setup

ECHO_BYTES = 1024
BULK_BYTES = 65_536
BULK_TIMES = 16


def rows(setup: Setup) -> Iterator[Row]:
    """Echoes of 1 KB and 1 MB one way, over both."""
    own, library = OwnFactory(setup), LibraryFactory(ssl, setup)
    plain = socket.socketpair()
    pairs = {"handclasp": _own_pair(own), "ssl": _library_pair(library)}
    for name, run in (("echo 1 KB", _echo), ("1 MB one way", _bulk)):
        actions = {stack: Action(partial(run, pair)) for stack, pair in pairs.items()}
        yield Row("streams", f"sockets: {name}", actions, Action(partial(run, plain)))
    for first, second in (*pairs.values(), plain):
        first.close()
        second.close()
    yield from _asyncio_rows(own, library)


def _own_pair(factory: OwnFactory) -> tuple[Any, Any]:
    near, far = socket.socketpair()
    return _together(
        lambda: handclasp.wrap_client(near, factory.client_config, server_name=NAME),
        lambda: handclasp.wrap_server(far, factory.server_config),
    )


def _library_pair(factory: LibraryFactory) -> tuple[Any, Any]:
    near, far = socket.socketpair()
    client, server = factory.contexts
    return _together(
        lambda: client.wrap_socket(near, server_hostname=NAME),
        lambda: server.wrap_socket(far, server_side=True),
    )


def _together(client: Callable[[], Any], server: Callable[[], Any]) -> tuple[Any, Any]:
    made: list[Any] = []
    thread = threading.Thread(target=lambda: made.append(server()))
    thread.start()
    near = client()
    thread.join()
    return near, made[0]


def _echo(pair: tuple[Any, Any], _: object) -> None:
    near, far = pair
    near.sendall(bytes(ECHO_BYTES))
    _receive(far, ECHO_BYTES)
    far.sendall(bytes(ECHO_BYTES))
    _receive(near, ECHO_BYTES)


def _bulk(pair: tuple[Any, Any], _: object) -> None:
    near, far = pair
    data = bytes(BULK_BYTES)
    for _ in range(BULK_TIMES):  # Each one fits into the socket's buffer.
        near.sendall(data)
        _receive(far, BULK_BYTES)


def _receive(end: Any, size: int) -> None:
    while size:
        size -= len(end.recv(size))


def _asyncio_rows(own: OwnFactory, library: LibraryFactory) -> Iterator[Row]:
    loop = asyncio.new_event_loop()
    try:
        client, server = library.contexts
        plain = loop.run_until_complete(
            _streams(
                lambda talk: asyncio.start_server(talk, "127.0.0.1", 0),
                lambda port: asyncio.open_connection("127.0.0.1", port),
            )
        )
        pairs = {
            "handclasp": loop.run_until_complete(
                _streams(
                    lambda talk: handclasp.aio.start_server(
                        talk, "127.0.0.1", 0, config=own.server_config
                    ),
                    lambda port: handclasp.aio.open_connection(
                        "127.0.0.1", port, config=own.client_config, server_name=NAME
                    ),
                )
            ),
            "ssl": loop.run_until_complete(
                _streams(
                    lambda talk: asyncio.start_server(talk, "127.0.0.1", 0, ssl=server),
                    lambda port: asyncio.open_connection(
                        "127.0.0.1", port, ssl=client, server_hostname=NAME
                    ),
                )
            ),
        }
        for name, size, times in (("echo 1 KB", ECHO_BYTES, 1), ("echo 1 MB", BULK_BYTES, 16)):
            actions = {
                stack: Action(partial(_run, loop, pair, size, times))
                for stack, pair in pairs.items()
            }
            floor = Action(partial(_run, loop, plain, size, times))
            yield Row("streams", f"asyncio: {name}", actions, floor)
        loop.run_until_complete(_end([writer for _, writer in (*pairs.values(), plain)]))
    finally:
        loop.close()


async def _streams(
    start: Callable[[Any], Awaitable[Any]], connect: Callable[[int], Awaitable[tuple[Any, Any]]]
) -> tuple[Any, Any]:
    server = await start(_send_back)
    reader, writer = await connect(server.sockets[0].getsockname()[1])
    await _round_trips(reader, writer, 1, 1)  # So that the server has it, too.
    server.close()  # It listens no more; this connection goes on.
    return reader, writer


async def _send_back(reader: Any, writer: Any) -> None:
    while data := await reader.read(BULK_BYTES):
        writer.write(data)
        await writer.drain()
    writer.close()


async def _end(writers: list[Any]) -> None:
    for writer in writers:
        writer.close()
        with suppress(OSError):  # The other end may have gone first.
            await writer.wait_closed()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)


def _run(
    loop: asyncio.AbstractEventLoop, pair: tuple[Any, Any], size: int, times: int, _: object
) -> None:
    loop.run_until_complete(_round_trips(*pair, size, times))


async def _round_trips(reader: Any, writer: Any, size: int, times: int) -> None:
    for _ in range(times):
        writer.write(bytes(size))
        await writer.drain()
        await reader.readexactly(size)
