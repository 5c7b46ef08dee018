"""How connections end under asyncio: nothing is lost that the peer did not lose itself."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from tests.adapters.streams import (
    Callback,
    HandServer,
    Pair,
    close,
    open_local,
    plain_serving,
    reset,
    run,
    serving,
)

from handclasp import aio
from handclasp.config import ClientConfig, ServerConfig
from handclasp.errors import PeerAlertError, ProtocolError, TruncationError

MEGABYTE = 1024 * 1024
KERNEL_TELLS = sys.platform == "linux"
"""Whether it is known after a reset what had been acknowledged."""

Open = Callable[..., Awaitable[Pair]]


@pytest.fixture(params=["asyncio and ssl", "handclasp"])
def open_to(
    request: pytest.FixtureRequest, client_config: ClientConfig, ssl_client: ssl.SSLContext
) -> Open:
    """Opens a client of either stack; `timeout` is the time that closing may take."""

    async def open_theirs(port: int, timeout: float = 5) -> Pair:
        return await asyncio.open_connection(
            "127.0.0.1",
            port,
            ssl=ssl_client,
            server_hostname="localhost",
            ssl_shutdown_timeout=timeout,
        )

    async def open_ours(port: int, timeout: float = 5) -> Pair:
        return await open_local(port, client_config, server_name="localhost", close_timeout=timeout)

    return open_ours if request.param == "handclasp" else open_theirs


def by_hand(config: ServerConfig, then: Callable[[HandServer], Awaitable[None]]) -> Callback:
    """A server that completes the handshake and goes on as the test wants."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await then(await HandServer(config, reader, writer).establish())

    return serve


# Closing for a slow reader


class SlowReader:
    """Reads plaintext piece by piece over a small window, and notes how it ended."""

    def __init__(self, config: ClientConfig, pause: float) -> None:
        self._config = config
        self._pause = pause
        self.got = 0
        self.ended: BaseException | None = None

    async def read(self, port: int) -> None:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        reader, writer = await aio.open_connection(
            sock=sock, config=self._config, server_name="localhost", limit=16384
        )
        try:
            while data := await reader.read(65536):
                self.got += len(data)
                await asyncio.sleep(self._pause)
        except OSError as error:
            self.ended = error
        await close(writer)


@pytest.mark.parametrize("drains", [True, False])
def test_a_slow_reader_gets_everything_though_it_takes_longer_than_the_timeout(
    client_config: ClientConfig, server_config: ServerConfig, drains: bool
) -> None:
    total, timeout = 6 * MEGABYTE, 0.4
    took: list[float] = []

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        piece = bytes(50_000)
        for start in range(0, total, len(piece)):
            writer.write(piece[: total - start])
            if drains:
                await writer.drain()
        started = asyncio.get_running_loop().time()
        writer.close()
        await writer.wait_closed()
        took.append(asyncio.get_running_loop().time() - started)

    async def main() -> None:
        async with serving(pour, server_config, close_timeout=timeout) as port:
            slow = SlowReader(client_config, 0.01)
            await slow.read(port)
        assert slow.ended is None
        assert slow.got == total
        assert took[0] > timeout

    run(main())


def test_the_clients_of_a_server_that_closes_them_get_everything(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    total, timeout = 4 * MEGABYTE, 0.3

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes(total))
        await reader.read()

    async def main() -> None:
        server = await aio.start_server(
            pour, "127.0.0.1", 0, config=server_config, close_timeout=timeout
        )
        slow = SlowReader(client_config, 0.01)
        reading = asyncio.ensure_future(slow.read(server.sockets[0].getsockname()[1]))
        while not slow.got:
            await asyncio.sleep(0.01)
        server.close()
        server.close_clients()
        await reading
        assert (slow.got, slow.ended) == (total, None)
        await server.wait_closed()

    run(main())


def test_giving_up_on_a_peer_that_does_not_read_is_an_error(
    open_to: Open, server_config: ServerConfig
) -> None:
    async def never_read(hand: HandServer) -> None:
        hand.writer.transport.pause_reading()
        await released.wait()

    async def main() -> None:
        async with plain_serving(by_hand(server_config, never_read)) as port:
            _, writer = await open_to(port, timeout=0.3)
            writer.write(bytes(16 * MEGABYTE))
            writer.close()
            with pytest.raises(TimeoutError):
                await writer.wait_closed()
            released.set()

    released = asyncio.Event()
    run(main())


def test_giving_up_on_a_peer_that_does_not_close_is_an_error(
    open_to: Open, server_config: ServerConfig
) -> None:
    async def never_close(hand: HandServer) -> None:
        await released.wait()

    async def main() -> None:
        async with plain_serving(by_hand(server_config, never_close)) as port:
            _, writer = await open_to(port, timeout=0.3)
            writer.write(b"all of it")
            writer.close()
            with pytest.raises(TimeoutError):
                await writer.wait_closed()
            released.set()

    released = asyncio.Event()
    run(main())


def test_the_error_says_how_much_may_be_lost(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def never_read(hand: HandServer) -> None:
        hand.writer.transport.pause_reading()
        await released.wait()

    async def main() -> None:
        async with plain_serving(by_hand(server_config, never_read)) as port:
            for size, what in ((16 * MEGABYTE, r"\d{7,8} encrypted bytes"), (0, "did not close")):
                _, writer = await open_local(port, client_config, close_timeout=0.2)
                writer.write(bytes(size))
                writer.close()
                with pytest.raises(TimeoutError, match=what):
                    await writer.wait_closed()
            released.set()

    released = asyncio.Event()
    run(main())


def test_without_a_timeout_closing_waits_for_the_peer(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def close_late(hand: HandServer) -> None:
        await asyncio.sleep(0.3)

    async def main() -> None:
        async with plain_serving(by_hand(server_config, close_late)) as port:
            for forever in (None, float("inf")):
                _, writer = await open_local(port, client_config, close_timeout=forever)
                writer.close()
                await writer.wait_closed()

    run(main())


# Data first, then the error


async def send_and_cut_off(hand: HandServer) -> None:
    hand.connection.send_data(b"one\ntwo\nthr")
    hand.flush()
    hand.writer.write_eof()
    await hand.reader.read()


async def send_and_reset(hand: HandServer) -> None:
    hand.connection.send_data(b"one\ntwo\nthr")
    hand.flush()
    await asyncio.sleep(0.05)
    reset(hand.writer)


async def send_and_break(hand: HandServer) -> None:
    hand.connection.send_data(b"one\ntwo\nthr")
    hand.flush(b"\x17\x03\x03\x00\x20" + bytes(32))
    with suppress(OSError):
        await hand.step()


@pytest.mark.parametrize(
    ("end", "error"),
    [
        (send_and_cut_off, TruncationError),
        (send_and_reset, ConnectionResetError),
        (send_and_break, ProtocolError),
    ],
)
@pytest.mark.parametrize("late", [True, False])
def test_what_came_before_a_loss_can_be_read(
    client_config: ClientConfig,
    server_config: ServerConfig,
    end: Callable[[HandServer], Awaitable[None]],
    error: type[OSError],
    late: bool,
) -> None:
    async def main() -> None:
        async with plain_serving(by_hand(server_config, end)) as port:
            reader, writer = await open_local(port, client_config)
            if late:
                while not writer.is_closing():
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.05)
            assert await reader.readuntil(b"\n") == b"one\n"
            assert await reader.readline() == b"two\n"
            with pytest.raises(error):
                await reader.readline()
            with pytest.raises(error):
                await reader.readexactly(4)
            assert not reader.at_eof()
            assert await reader.read(100) == b"thr"
            for _ in range(2):
                with pytest.raises(error):
                    await reader.read(100)
            assert isinstance(reader.exception(), error)
            assert not reader.at_eof()
            with pytest.raises(error):
                await writer.drain()
            writer.close()
            if error is ProtocolError or (error is ConnectionResetError and not KERNEL_TELLS):
                with pytest.raises(error):
                    await writer.wait_closed()
            else:  # This side had written nothing that could be lost.
                await writer.wait_closed()

    run(main())


@pytest.mark.parametrize(
    ("end", "error"),
    [
        (send_and_cut_off, TruncationError),
        (send_and_reset, ConnectionResetError),
        (send_and_break, ProtocolError),
    ],
)
@pytest.mark.parametrize("late", [True, False])
def test_reading_to_an_end_that_is_missing_loses_nothing(
    client_config: ClientConfig,
    server_config: ServerConfig,
    end: Callable[[HandServer], Awaitable[None]],
    error: type[OSError],
    late: bool,
) -> None:
    """`read()` returns whole streams only, and leaves what it has of others to `read(n)`."""

    async def main() -> None:
        async with plain_serving(by_hand(server_config, end)) as port:
            reader, writer = await open_local(port, client_config)
            if late:
                while not writer.is_closing():
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.05)
            for _ in range(2):
                with pytest.raises(error):
                    await reader.read()
            assert not reader.at_eof()
            assert await reader.readline() == b"one\n"
            assert await reader.read(100) == b"two\nthr"
            with pytest.raises(error):
                await reader.read()
            await close(writer)

    run(main())


def test_reading_to_the_end_that_is_cancelled_loses_nothing(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    size = 3 * MEGABYTE
    go_on = asyncio.Event()

    async def send(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes(size))
        await go_on.wait()
        writer.write(b"the end")

    async def main() -> None:
        async with serving(send, server_config) as port:
            reader, writer = await open_local(port, client_config)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(), 0.3)
            go_on.set()
            assert await reader.read() == bytes(size) + b"the end"
            assert reader.at_eof()
            await close(writer)

    run(main())


def test_lines_before_a_loss_and_no_end_of_the_file_after_them(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    lines: list[bytes] = []

    async def main() -> None:
        async with plain_serving(by_hand(server_config, send_and_cut_off)) as port:
            reader, writer = await open_local(port, client_config)
            with pytest.raises(TruncationError):
                async for line in reader:
                    lines.append(line)  # noqa: PERF401 (those before the error count)
            await close(writer)
        assert lines == [b"one\n", b"two\n"]

    run(main())


def test_a_reset_after_close_notify_is_a_clean_end(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def close_and_reset(hand: HandServer) -> None:
        hand.connection.send_data(b"all of it")
        hand.connection.close()
        hand.flush()
        await asyncio.sleep(0.05)
        reset(hand.writer)

    async def main() -> None:
        async with plain_serving(by_hand(server_config, close_and_reset)) as port:
            reader, writer = await open_local(port, client_config)
            while not writer.is_closing():
                await asyncio.sleep(0.01)
            assert await reader.read() == b"all of it"
            assert reader.at_eof()
            assert reader.exception() is None
            writer.close()
            await writer.wait_closed()

    run(main())


def test_what_this_side_could_not_send_before_the_reset_is_an_error_all_the_same(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def close_and_reset(hand: HandServer) -> None:
        hand.connection.send_data(b"all of it")
        hand.connection.close()
        hand.flush()
        hand.writer.transport.pause_reading()
        await asyncio.sleep(0.1)
        reset(hand.writer)

    async def main() -> None:
        async with plain_serving(by_hand(server_config, close_and_reset)) as port:
            reader, writer = await open_local(port, client_config)
            writer.write(bytes(16 * MEGABYTE))
            assert await reader.read() == b"all of it"
            while not writer.is_closing():
                await asyncio.sleep(0.01)
            assert await reader.read() == b""
            with pytest.raises(ConnectionError):
                await writer.wait_closed()

    run(main())


def test_what_the_peer_said_last_is_read_though_writing_fails(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    """As with a server that refuses an upload: it answers and leaves, and the rest breaks."""
    answer = os.urandom(30_000)

    async def answer_and_leave(hand: HandServer) -> None:
        hand.connection.send_data(answer)
        hand.connection.close()
        hand.flush()
        await hand.writer.drain()
        while hand.writer.transport.get_write_buffer_size():
            await asyncio.sleep(0.01)
        reset(hand.writer)

    async def main() -> None:
        async with plain_serving(by_hand(server_config, answer_and_leave)) as port:
            reader, writer = await open_local(port, client_config, limit=1000)
            transport: Any = writer.transport
            transport.pause_reading()
            await asyncio.sleep(0.2)  # it has arrived, and nobody has looked yet
            while not writer.is_closing():
                writer.write(bytes(10_000))
                await asyncio.sleep(0.01)
            assert await reader.read() == answer
            await close(writer)

    run(main())


def test_what_the_peer_refused_is_told_though_writing_fails(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def refuse_and_leave(hand: HandServer) -> None:
        hand.flush(b"\x17\x03\x03\x00\x20" + bytes(32))
        with suppress(OSError):
            await hand.step()  # our client's bad_record_mac, as a stand-in for any alert
        reset(hand.writer)

    async def main() -> None:
        async with plain_serving(by_hand(server_config, refuse_and_leave)) as port:
            _, writer = await open_local(port, client_config)
            with pytest.raises(ProtocolError) as error:
                while True:
                    writer.write(b"more")
                    await writer.drain()
                    await asyncio.sleep(0.01)
            assert not isinstance(error.value, PeerAlertError)
            await close(writer)

    run(main())
