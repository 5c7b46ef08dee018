"""A program cancels at any await of a conversation: nothing hangs, and nothing is left behind.

A handshake that is given up so has a trace that says so.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
import trio
from tests.adapters import triostreams
from tests.adapters.streams import answer_nothing, close, plain_serving, port_of, run

from handclasp import ClientConfig, Recorder, ServerConfig, aio, wrap_client, wrap_server
from handclasp.trace.events import Failed, HandshakeResult
from handclasp.trio import TLSStream, open_tls_stream, serve_tls

DATA = b"x" * 600_000
_SECONDS = 10


class CancelledAt:
    """Awaits a call, and cancels it where it waits for the `number`th time."""

    def __init__(self, number: int, cancel: Callable[[], object]) -> None:
        self._left = number
        self._cancel = cancel
        self.reached = False

    async def during(self, call: Coroutine[Any, Any, None]) -> None:
        await _Stepped(call, self._count)

    def _count(self) -> None:
        self._left -= 1
        if not self._left:
            self.reached = True
            self._cancel()


class _Stepped:
    """A coroutine that tells of each suspension before its event loop knows of it."""

    def __init__(self, call: Coroutine[Any, Any, None], suspended: Callable[[], None]) -> None:
        self._call = call
        self._suspended = suspended

    def __await__(self) -> Generator[Any, Any, None]:
        step: Callable[[], Any] = partial(self._call.send, None)
        while True:
            try:
                waited_for = step()
            except StopIteration:
                return
            self._suspended()
            try:
                result = yield waited_for
            except BaseException as error:
                step = partial(self._call.throw, error)
            else:
                step = partial(self._call.send, result)


def assert_ended(trace: Recorder) -> None:
    """A handshake that was begun has an end in its trace."""
    kinds = [type(event) for event in trace.events]
    if kinds and HandshakeResult not in kinds:
        assert_abandoned(trace)


def assert_abandoned(trace: Recorder) -> Failed:
    """Return its end, which is the only failure in it."""
    [failure] = [event for event in trace.events if isinstance(event, Failed)]
    assert trace.events[-1] is failure
    assert (failure.fault, failure.alert) == ("HANDSHAKE_ABANDONED", "")
    return failure


def at_every_await(conversation: Callable[[int], bool], *, least: int) -> None:
    """Hold the conversation again and again, until no await is left to cancel at."""
    number, before = 1, descriptors()
    while conversation(number):
        assert descriptors() == before
        number += 1
        assert number < 500
    assert number > least


def descriptors() -> int:
    gc.collect()
    return len(os.listdir("/dev/fd")) if os.path.isdir("/dev/fd") else 0


# asyncio


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    await close(writer)


@pytest.mark.parametrize("side", ["client", "server"])
def test_asyncio(client_config: ClientConfig, server_config: ServerConfig, side: str) -> None:
    async def talk(port: int, trace: Recorder) -> None:
        reader, writer = await aio.open_connection(
            "127.0.0.1", port, config=client_config, server_name="localhost", trace=trace
        )
        try:
            writer.write(DATA)
            await asyncio.gather(writer.drain(), reader.readexactly(len(DATA)))
            writer.write_eof()
            assert await reader.read() == b""
        finally:
            await close(writer)

    async def main(number: int) -> bool:
        trace, cancelled = Recorder(), None
        served: list[asyncio.Task[Any]] = []

        async def counted(call: Coroutine[Any, Any, None]) -> None:
            nonlocal cancelled
            task = asyncio.current_task()
            assert task is not None
            cancelled = CancelledAt(number, task.cancel)
            with suppress(asyncio.CancelledError):
                await cancelled.during(call)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            served.append(task)
            with suppress(OSError):
                try:
                    await (counted if side == "server" else _plainly)(echo(reader, writer))
                finally:
                    writer.transport.abort()

        async with await aio.start_server(serve, "127.0.0.1", 0, config=server_config) as server:
            with suppress(OSError, asyncio.IncompleteReadError):
                call = talk(port_of(server), trace)
                await asyncio.wait_for((counted if side == "client" else _plainly)(call), _SECONDS)
            server.close()
            await asyncio.gather(*served)
        assert_ended(trace)
        return cancelled is not None and cancelled.reached

    at_every_await(lambda number: bool(run(main(number))), least=5)


async def _plainly(call: Awaitable[None]) -> None:
    await call


def test_a_client_of_asyncio_that_is_cancelled(client_config: ClientConfig) -> None:
    trace = Recorder()

    async def main() -> None:
        async with plain_serving(answer_nothing) as port:
            opening = aio.open_connection(
                "127.0.0.1", port, config=client_config, server_name="localhost", trace=trace
            )
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(opening, 0.05)

    run(main())
    assert "the server had said nothing at all" in assert_abandoned(trace).message


@pytest.mark.parametrize("aborts", [1, 2])
def test_a_server_of_asyncio_that_aborts(server_config: ServerConfig, aborts: int) -> None:
    trace = Recorder()

    async def main() -> None:
        server = await aio.start_server(
            answer_nothing, "127.0.0.1", 0, config=server_config, make_trace=lambda: trace
        )
        async with server:
            reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
            while not server.handshakes_in_progress:
                await asyncio.sleep(0.005)
            for _ in range(aborts):
                server.abort_clients()
            with suppress(ConnectionError):
                await reader.read()
            await close(writer)

    run(main())
    assert_abandoned(trace)


# trio


async def trio_echo(stream: TLSStream[Any]) -> None:
    async for data in stream:
        await stream.send_all(data)
    await stream.aclose()


@pytest.mark.parametrize("side", ["client", "server"])
def test_trio(client_config: ClientConfig, server_config: ServerConfig, side: str) -> None:
    async def talk(port: int, trace: Recorder) -> None:
        stream = await open_tls_stream(
            "127.0.0.1", port, client_config, server_name="localhost", trace=trace
        )
        async with stream:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stream.send_all, DATA)
                left = len(DATA)
                while left and (data := await stream.receive_some()):
                    left -= len(data)
            await stream.send_eof()
            assert await stream.receive_some() == b""

    async def main(number: int) -> bool:
        trace, cancelled = Recorder(), None

        async def counted(call: Coroutine[Any, Any, None]) -> None:
            nonlocal cancelled
            with trio.CancelScope() as scope:
                cancelled = CancelledAt(number, scope.cancel)
                await cancelled.during(call)

        async def serve(stream: Any) -> None:
            with suppress(trio.BrokenResourceError):
                await (counted if side == "server" else _plainly)(trio_echo(stream))
            await trio.aclose_forcefully(stream)

        async with trio.open_nursery() as nursery:
            work = partial(serve_tls, serve, 0, server_config, host="127.0.0.1")
            listeners = await nursery.start(work)
            call = talk(listeners[0].socket.getsockname()[1], trace)
            with trio.fail_after(_SECONDS), suppress(trio.BrokenResourceError):
                try:
                    await (counted if side == "client" else _plainly)(call)
                except* trio.BrokenResourceError:
                    assert side == "server"
            nursery.cancel_scope.cancel()
        assert_ended(trace)
        return cancelled is not None and cancelled.reached

    at_every_await(lambda number: bool(triostreams.run(partial(main, number))), least=10)


def test_a_client_of_trio_that_is_cancelled(client_config: ClientConfig) -> None:
    trace = Recorder()

    async def main() -> None:
        listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
        async with listener:
            port = listener.socket.getsockname()[1]
            with trio.move_on_after(0.05):
                await open_tls_stream(
                    "127.0.0.1", port, client_config, server_name="localhost", trace=trace
                )

    triostreams.run(main)
    assert_abandoned(trace)


@pytest.mark.parametrize("begins", [True, False])
def test_a_server_of_trio_that_is_cancelled(server_config: ServerConfig, begins: bool) -> None:
    """One that has read nothing has nothing to tell."""
    trace = Recorder()

    async def main() -> None:
        near, far = await triostreams.socket_pair()
        stream = TLSStream(near, server_config, trace=trace)
        if begins:
            with trio.move_on_after(0.05):
                await stream.do_handshake()
        for _ in range(2):
            await trio.aclose_forcefully(stream)
        await far.aclose()

    triostreams.run(main)
    if begins:
        assert_abandoned(trace)
    else:
        assert not any(isinstance(event, Failed) for event in trace.events)


# Blocking sockets


@pytest.mark.skipif(sys.platform == "win32", reason="this system has no timer that signals")
@pytest.mark.parametrize("side", ["client", "server"])
def test_a_socket_whose_handshake_is_interrupted(
    client_config: ClientConfig, server_config: ServerConfig, side: str
) -> None:
    """While it waits for the peer: Ctrl-C, or any other exception of a signal handler."""
    trace = Recorder()

    class Interrupt(BaseException):
        pass

    def interrupt(number: int, frame: object) -> None:
        raise Interrupt

    near, far = socket.socketpair()
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with near, far, pytest.raises(Interrupt):
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            if side == "client":
                wrap_client(near, client_config, server_name="localhost", trace=trace)
            else:
                wrap_server(near, server_config, trace=trace)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert_abandoned(trace)
