"""Protocols on a TLS transport: told what asyncio's transports tell, when they tell it."""

from __future__ import annotations

import asyncio
import os
import tempfile
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from tests.adapters.loops import needs_sendfile
from tests.adapters.streams import (
    HandServer,
    close,
    open_local,
    plain_serving,
    port_of,
    run,
    serving,
)

from handclasp import aio
from handclasp.client import ClientConnection
from handclasp.config import ClientConfig, ServerConfig

MEGABYTE = 1024 * 1024


# Being told to pause


def test_a_callback_that_writes_a_lot_at_once(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes(8 * MEGABYTE))
        writer.close()

    async def main() -> None:
        async with await aio.start_server(pour, "127.0.0.1", 0, config=server_config) as server:
            reader, writer = await open_local(port_of(server), client_config)
            assert len(await reader.read()) == 8 * MEGABYTE
            await close(writer)

    run(main())


@pytest.mark.skipif(not hasattr(asyncio, "eager_task_factory"), reason="no eager tasks")
def test_an_eager_task_that_writes_a_lot_at_once(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(8):
            writer.write(bytes(MEGABYTE))
            await writer.drain()
        await close(writer)

    async def main() -> None:
        factory: Any = asyncio.eager_task_factory  # type: ignore[attr-defined,unused-ignore]
        asyncio.get_running_loop().set_task_factory(factory)
        async with await aio.start_server(pour, "127.0.0.1", 0, config=server_config) as server:
            reader, writer = await open_local(port_of(server), client_config)
            assert len(await reader.read()) == 8 * MEGABYTE
            await close(writer)

    run(main())


class Told(asyncio.Protocol):
    """Notes whether it may write, and asserts as asyncio's FlowControlMixin does."""

    def __init__(self) -> None:
        self.paused = False
        self.pauses = 0
        self.refill = 0
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def pause_writing(self) -> None:
        assert not self.paused
        self.paused = True
        self.pauses += 1

    def resume_writing(self) -> None:
        assert self.paused
        self.paused = False
        if self.refill:
            self.refill -= 1
            self.transport.write(bytes(16 * MEGABYTE))


def test_pausing_is_told_once_and_taken_back_once(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    got: list[int] = []

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(len(await reader.read()))

    async def main() -> None:
        async with serving(count, server_config) as port:
            _, writer = await open_local(port, client_config)
            told = Told()
            told.connection_made(writer.transport)
            told.refill = 2
            writer.transport.set_protocol(told)
            writer.write(bytes(16 * MEGABYTE))
            while told.refill or told.paused:
                await asyncio.sleep(0.01)
            writer.write_eof()
            while not got:
                await asyncio.sleep(0.01)
            writer.close()
            while not writer.transport.is_closing():
                await asyncio.sleep(0.01)
        assert got == [48 * MEGABYTE]
        assert told.pauses == 3

    run(main())


# Pausing the reading


class Pausing(asyncio.Protocol):
    """Pauses the reading at once, and after each piece of data."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        self.calls.append(data)
        self.transport.pause_reading()

    def eof_received(self) -> bool:
        self.calls.append("eof")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


class PausingBuffered(asyncio.BufferedProtocol):
    """The same with a buffer of three bytes."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.buffer = bytearray(3)
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.pause_reading()

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.calls.append(bytes(self.buffer[:nbytes]))
        self.transport.pause_reading()

    eof_received = Pausing.eof_received
    connection_lost = Pausing.connection_lost


async def finish_with(port: int, config: ClientConfig, *, end: str = "close") -> Any:
    """A client by hand, whose Finished, data and end come in one segment."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    client = ClientConnection(config, server_name="localhost")
    writer.write(bytes(client.data_to_send()))
    while not client.established:
        client.receive_data(await reader.read(65536))
    client.send_data(b"hello")
    if end == "close":
        client.close()
    flight = bytes(client.data_to_send())
    writer.write(flight + (b"\x17\x03\x03\x00\x20" + bytes(32) if end == "break" else b""))
    return writer


@pytest.mark.parametrize("kind", [Pausing, PausingBuffered])
def test_pausing_holds_for_data_that_came_with_finished(
    client_config: ClientConfig, server_config: ServerConfig, kind: Any
) -> None:
    made: list[Any] = []

    def make() -> Any:
        made.append(kind())
        return made[-1]

    async def main() -> None:
        async with await aio.create_server(make, "127.0.0.1", 0, config=server_config) as server:
            writer = await finish_with(port_of(server), client_config)
            while not made:
                await asyncio.sleep(0.01)
            (protocol,) = made
            pieces = [b"hello"] if kind is Pausing else [b"hel", b"lo"]
            expected = [*pieces, "eof"]
            for number in range(len(expected) + 1):
                await asyncio.sleep(0.05)
                assert protocol.calls == expected[:number]
                assert protocol.transport.is_reading() == (number == len(expected))
                protocol.transport.resume_reading()
                assert protocol.calls == expected[:number]  # not before the loop's next turn
            protocol.transport.close()
            writer.close()
            assert await protocol.lost is None

    run(main())


@pytest.mark.parametrize("kind", [Pausing, PausingBuffered])
def test_a_loss_gives_a_paused_protocol_what_had_come_before(
    client_config: ClientConfig, server_config: ServerConfig, kind: Any
) -> None:
    made: list[Any] = []

    def make() -> Any:
        made.append(kind())
        return made[-1]

    async def main() -> None:
        async with await aio.create_server(make, "127.0.0.1", 0, config=server_config) as server:
            writer = await finish_with(port_of(server), client_config, end="break")
            while not made:
                await asyncio.sleep(0.01)
            (protocol,) = made
            error = await protocol.lost
            assert error.alert == "bad_record_mac"
            assert b"".join(protocol.calls) == b"hello"
            writer.close()

    run(main())


class Failing(Pausing):
    """It pauses at once, and cannot take what had come before the loss."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        raise ZeroDivisionError


def test_a_protocol_that_fails_with_what_had_come_before_hears_of_the_loss_all_the_same(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    made: list[Any] = []
    told: list[Any] = []

    def make() -> Any:
        made.append(Failing())
        return made[-1]

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context.get("exception")))
        async with await aio.create_server(make, "127.0.0.1", 0, config=server_config) as server:
            writer = await finish_with(port_of(server), client_config, end="break")
            while not made:
                await asyncio.sleep(0.01)
            (protocol,) = made
            error = await protocol.lost
            assert error.alert == "bad_record_mac"
            assert [type(each) for each in told] == [ZeroDivisionError]
            writer.close()

    run(main())


@needs_sendfile
def test_a_file_waits_for_a_peer_that_reads_nothing(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    """`loop.sendfile` must not read all of it into memory; nor fail where writing is paused."""
    size = 24 * MEGABYTE
    held: list[int] = []

    async def main() -> None:
        begun = asyncio.Event()

        async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(bytes(4 * MEGABYTE))  # Enough to be told to pause.
            with tempfile.TemporaryFile() as file:
                file.truncate(size)
                sending = asyncio.ensure_future(
                    asyncio.get_running_loop().sendfile(writer.transport, file)
                )
                await asyncio.sleep(0)
                begun.set()
                for _ in range(20):
                    await asyncio.sleep(0.01)
                    held.append(writer.transport.get_write_buffer_size())
                assert not sending.done()
                begun.clear()
                assert await sending == size
            await close(writer)

        async with await aio.start_server(pour, "127.0.0.1", 0, config=server_config) as server:
            reader, writer = await open_local(port_of(server), client_config)
            await begun.wait()
            while begun.is_set():  # The reader's own buffer fills, and then nothing is read.
                await asyncio.sleep(0.01)
            assert len(await reader.read()) == 4 * MEGABYTE + size
            await close(writer)
        assert max(held) < 5 * MEGABYTE

    run(main())


def test_a_paused_protocol_that_closes_hears_nothing_more(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    made: list[Any] = []

    def make() -> Any:
        made.append(Pausing())
        return made[-1]

    async def main() -> None:
        async with await aio.create_server(make, "127.0.0.1", 0, config=server_config) as server:
            writer = await finish_with(port_of(server), client_config)
            while not made:
                await asyncio.sleep(0.01)
            (protocol,) = made
            protocol.transport.close()
            writer.close()
            assert await protocol.lost is None
            assert protocol.calls == []

    run(main())


# Protocols of every kind


def test_a_protocol_without_a_base_class(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    class Duck:
        def __init__(self) -> None:
            self.data = b""
            self.lost = asyncio.get_running_loop().create_future()

        def connection_made(self, transport: Any) -> None:
            transport.write(b"quack")
            transport.write_eof()

        def data_received(self, data: bytes) -> None:
            self.data += data

        def eof_received(self) -> None:
            pass

        def connection_lost(self, exc: Exception | None) -> None:
            self.lost.set_result(exc)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())

    async def main() -> None:
        async with serving(echo, server_config) as port:
            factory: Any = Duck
            _, duck = await aio.create_connection(factory, "127.0.0.1", port, config=client_config)
            assert await duck.lost is None
            assert duck.data == b"quack"

    run(main())


def test_a_buffer_without_room_is_an_error_and_no_endless_loop(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    class NoRoom(asyncio.BufferedProtocol):
        def __init__(self) -> None:
            self.lost = asyncio.get_running_loop().create_future()

        def get_buffer(self, sizehint: int) -> bytearray:
            return bytearray()

        def connection_lost(self, exc: Exception | None) -> None:
            self.lost.set_result(exc)

    async def talk(hand: HandServer) -> None:
        hand.connection.send_data(b"hello")
        hand.flush()
        await hand.reader.read()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await talk(await HandServer(server_config, reader, writer).establish())

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(None)
        async with plain_serving(serve) as port:
            _, protocol = await aio.create_connection(
                NoRoom, "127.0.0.1", port, config=client_config
            )
            assert isinstance(await protocol.lost, RuntimeError)

    run(main())


def test_exchanging_the_protocol_in_the_middle_of_data(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    class Tail(asyncio.Protocol):
        data = b""

        def data_received(self, data: bytes) -> None:
            self.data += data

    class Head(asyncio.BufferedProtocol):
        def __init__(self) -> None:
            self.buffer = bytearray(4)
            self.tail = Tail()

        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def get_buffer(self, sizehint: int) -> bytearray:
            return self.buffer

        def buffer_updated(self, nbytes: int) -> None:
            self.transport.set_protocol(self.tail)

    data = os.urandom(100)

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await reader.read()

    async def main() -> None:
        async with serving(send, server_config) as port:
            transport, head = await aio.create_connection(
                Head, "127.0.0.1", port, config=client_config
            )
            while len(head.tail.data) < 96:
                await asyncio.sleep(0.01)
            assert bytes(head.buffer) + head.tail.data == data
            transport.close()

    run(main())


# Factories that fail


@pytest.mark.parametrize("hears_of_handshakes", [True, False])
def test_a_factory_that_fails_is_told_to_the_loop_of_a_server(
    client_config: ClientConfig, server_config: ServerConfig, hears_of_handshakes: bool
) -> None:
    """It is the program's own defect, and the handshake has completed."""
    told: list[dict[str, Any]] = []
    heard: list[Exception] = []

    def factory() -> asyncio.Protocol:
        raise LookupError("a defect of the program")

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        callback = (lambda error, _: heard.append(error)) if hears_of_handshakes else None
        server = await aio.create_server(
            factory, "127.0.0.1", 0, config=server_config, on_handshake_error=callback
        )
        async with server:
            reader, writer = await open_local(port_of(server), client_config)
            with pytest.raises(OSError):
                await reader.read()
            await close(writer)
            server.close()

    run(main())
    assert [context["message"] for context in told] == ["The protocol factory failed"]
    assert isinstance(told[0]["exception"], LookupError)
    assert heard == []


def test_a_factory_that_fails_is_raised_for_a_client(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    def factory() -> asyncio.Protocol:
        raise LookupError("a defect of the program")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await reader.read()

    async def main() -> None:
        async with serving(answer, server_config) as port:
            with pytest.raises(LookupError):
                await aio.create_connection(factory, "127.0.0.1", port, config=client_config)

    run(main())


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_one_direction_closes_and_the_other_goes_on(
    client_config: ClientConfig, server_config: ServerConfig, version: str
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.read() == b"question"
        writer.write(b"answer")

    async def main() -> None:
        async with serving(answer, server_config) as port:
            reader, writer = await open_local(port, replace(client_config, versions=[version]))
            assert writer.get_extra_info("handclasp").version == version
            assert writer.can_write_eof()
            writer.write(b"question")
            writer.write_eof()
            assert await reader.read() == b"answer"
            await close(writer)

    run(main())
