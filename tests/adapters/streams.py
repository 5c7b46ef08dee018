"""Clients and servers for the tests of the asyncio adapter."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from typing import Any

from handclasp import aio
from handclasp.config import ClientConfig, ServerConfig
from handclasp.server import ServerConnection

if sys.platform != "win32":
    import resource

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Callback = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run in debug mode, and fail where anything is left over: a task, a timer, a complaint."""
    complaints: list[dict[str, Any]] = []

    async def main() -> Any:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: complaints.append(context))
        result = await asyncio.wait_for(work, 30)
        gc.collect()
        for _ in range(3):
            await asyncio.sleep(0)
        await _transports_closed(loop)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, left
        return result

    result = asyncio.run(main(), debug=True)
    assert not complaints, complaints
    return result


async def _transports_closed(loop: asyncio.AbstractEventLoop) -> None:
    """Wait for the end that has yet to hear that its peer is gone.

    A server that is closed does not wait for its connections before Python 3.12. One that
    stays open after five seconds shows as a ResourceWarning.
    """
    transports: Mapping[int, asyncio.Transport] = getattr(loop, "_transports", {})

    def is_open(transport: asyncio.Transport) -> bool:
        return bool(transport.get_extra_info("socket").fileno() != -1)

    with suppress(TimeoutError):
        async with asyncio.timeout(5):
            while any(map(is_open, list(transports.values()))):
                await asyncio.sleep(0.005)


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


@asynccontextmanager
async def serving(callback: Callback, config: ServerConfig, **kwds: Any) -> AsyncIterator[int]:
    """A server that waits for its callbacks to end; gives its port, raises what they raise."""
    outcomes: set[asyncio.Task[None]] = set()

    async def watched(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        outcomes.add(asyncio.ensure_future(body(reader, writer)))

    async def body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await callback(reader, writer)
        finally:
            await close(writer)

    async with await aio.start_server(watched, "127.0.0.1", 0, config=config, **kwds) as server:
        yield port_of(server)
        server.close()
        await asyncio.sleep(0)
        if outcomes:
            await asyncio.gather(*outcomes)


async def let_accepts_finish() -> None:
    """A server that closes in the middle of an accept trips over an assertion of asyncio's own
    (Server._attach) and leaks that socket, whatever the protocol."""
    while any("_accept_connection" in repr(task.get_coro()) for task in asyncio.all_tasks()):
        await asyncio.sleep(0)


def port_of(server: Any) -> int:
    port: int = next(iter(server.sockets)).getsockname()[1]
    return port


async def open_local(port: int, config: ClientConfig, **kwds: Any) -> Pair:
    return await aio.open_connection("127.0.0.1", port, config=config, **kwds)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def answer_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


@asynccontextmanager
async def plain_serving(callback: Callback) -> AsyncIterator[int]:
    tasks: set[asyncio.Task[None]] = set()

    async def watched(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def body() -> None:
            try:
                await callback(reader, writer)
            finally:
                await close(writer)

        tasks.add(asyncio.ensure_future(body()))

    async with await asyncio.start_server(watched, "127.0.0.1", 0) as server:
        yield port_of(server)
        await let_accepts_finish()
        server.close()
        if tasks:
            await asyncio.gather(*tasks)


class HandServer:
    """A server driven by hand over plain streams, to send exactly what a test wants."""

    def __init__(self, config: ServerConfig, reader: Any, writer: Any) -> None:
        self.connection = ServerConnection(config)
        self.reader, self.writer = reader, writer

    async def step(self) -> list[Any]:
        data = await self.reader.read(65536)
        events = self.connection.receive_data(data) if data else self.connection.receive_eof()
        self.flush()
        return list(events)

    def flush(self, *more: bytes) -> None:
        self.writer.write(b"".join([bytes(self.connection.data_to_send()), *more]))

    async def establish(self) -> HandServer:
        while not self.connection.established:
            await self.step()
        return self


def reset(writer: asyncio.StreamWriter) -> None:
    """End a plain connection with a TCP reset."""
    writer.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    writer.transport.abort()


@contextmanager
def descriptors_left(number: int) -> Iterator[None]:
    """So many descriptors can be opened, and no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        # The lowest ones are taken first, so that as many are left as the limit says.
        highest = max(map(int, os.listdir("/dev/fd")))
        while (descriptor := os.dup(0)) < highest:
            stack.callback(os.close, descriptor)
        os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptor + number, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
