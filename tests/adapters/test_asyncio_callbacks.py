"""What a protocol does in a callback comes after what was under way, and loses none of it."""

from __future__ import annotations

import asyncio
import socket
import sys
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
from tests.adapters.loops import needs_sendfile
from tests.adapters.streams import (
    HandServer,
    close,
    descriptors_left,
    open_local,
    plain_serving,
    reset,
    run,
    serving,
)

from handclasp import aio
from handclasp.adapters.progress import has_failed
from handclasp.config import ClientConfig, ServerConfig
from handclasp.errors import TruncationError

MEGABYTE = 1024 * 1024
BLOCK = b"." * (8 * MEGABYTE)


class Acting(asyncio.Protocol):
    """Does something when it is told to pause for the first time; `calls` has what it is told."""

    def __init__(self, transport: Any, act: Callable[[Any], object]) -> None:
        self.transport = transport
        self.calls: list[Any] = []
        self.lost = asyncio.get_running_loop().create_future()
        self._act = act
        self._stream = transport.get_protocol()
        transport.set_protocol(self)

    def pause_writing(self) -> None:
        self.calls.append("pause")
        if self.calls.count("pause") == 1:
            self._act(self.transport)

    def resume_writing(self) -> None:
        self.calls.append("resume")

    def data_received(self, data: bytes) -> None:
        self.calls.append(data)

    def eof_received(self) -> bool:
        self.calls.append("eof")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append("lost")
        self.lost.set_result(exc)
        self._stream.connection_lost(exc)  # `StreamWriter.wait_closed` waits for it.


# Failing at the start


class FailingAtTheStart(asyncio.Protocol):
    def __init__(self) -> None:
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        raise ZeroDivisionError

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


def test_a_client_hears_that_its_protocol_failed_to_start(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    told: list[Any] = []
    protocols: list[FailingAtTheStart] = []

    def make() -> FailingAtTheStart:
        protocols.append(FailingAtTheStart())
        return protocols[0]

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
        async with serving(take_all, server_config) as port:
            with pytest.raises(ZeroDivisionError):
                await aio.create_connection(
                    make, "127.0.0.1", port, config=client_config, server_name="localhost"
                )
            assert isinstance(await protocols[0].lost, ZeroDivisionError)

    async def take_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with pytest.raises(TruncationError):
            await reader.read()

    run(main())
    assert [type(error) for error in told] == [ZeroDivisionError]


# Acting when told to pause


def grow(data: bytearray) -> Callable[[Any], None]:
    """Changes what is being written, which can be done once it is taken."""
    return lambda _transport: data.extend(b"more")


OWN = bytearray(BLOCK)


@pytest.mark.parametrize("data", [BLOCK, OWN], ids=["bytes", "bytearray"])
@pytest.mark.parametrize(
    ("act", "mark"),
    [
        (lambda transport: transport.write(b"MARK"), b"MARK"),
        (lambda transport: transport.writelines([b"MA", b"RK"]), b"MARK"),
        (lambda transport: transport.close(), b""),
        (lambda transport: transport.write_eof(), b""),
        (lambda transport: transport.update_keys(), b""),
        (grow(OWN), b""),
    ],
    ids=["write", "writelines", "close", "write_eof", "update_keys", "changes it"],
)
def test_what_a_protocol_does_when_told_to_pause_comes_after_the_block(
    client_config: ClientConfig,
    server_config: ServerConfig,
    act: Callable[[Any], object],
    mark: bytes,
    data: bytes | bytearray,
) -> None:
    got = bytearray()
    block = bytes(data)

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(MEGABYTE):
            got.extend(piece)

    async def main() -> None:
        async with serving(take, server_config) as port:
            _, writer = await open_local(port, client_config)
            protocol = Acting(writer.transport, act)
            writer.transport.write(data)
            assert protocol.calls == ["pause"]  # It is told at once, as with plain transports.
            if not writer.transport.is_closing():
                while "resume" not in protocol.calls:
                    await asyncio.sleep(0.01)
                writer.transport.close()
            assert await protocol.lost is None

    run(main())
    assert bytes(got) == block + mark


def test_a_protocol_that_fails_to_pause_is_told_of_to_the_loop_and_not_to_the_writer(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    got: list[int] = []
    told: list[dict[str, Any]] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(len(await reader.read()))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context))
        async with serving(take, server_config) as port:
            _, writer = await open_local(port, client_config)
            protocol = Acting(writer.transport, lambda _transport: 1 / 0)
            writer.transport.write(BLOCK)
            writer.transport.close()
            assert await protocol.lost is None

    run(main())
    assert got == [len(BLOCK)]
    assert [type(each["exception"]) for each in told] == [ZeroDivisionError]
    assert told[0]["message"] == "protocol.pause_writing() failed"


def test_what_arrived_with_the_question_whose_answer_fills_the_transport_is_not_lost(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    """The protocol closes when it is told to pause; the data of that step come before."""

    async def main() -> None:
        ready, done = asyncio.Event(), asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            hand = await HandServer(server_config, reader, writer).establish()
            await ready.wait()
            hand.connection.update_keys(request_peer=True)
            hand.connection.send_data(b"hello")
            hand.flush()
            await done.wait()
            reset(writer)

        async with plain_serving(serve) as port:
            _, writer = await open_local(port, client_config)
            transport: Any = writer.transport
            protocol = Acting(transport, lambda transport: transport.close())
            transport.set_write_buffer_limits(high=64 * MEGABYTE)
            before = -1
            while transport.get_write_buffer_size() != before or not before:  # Something moves.
                before = transport.get_write_buffer_size()
                if not before:
                    transport.write(BLOCK)
                await asyncio.sleep(0.05)
            transport.set_write_buffer_limits(high=transport.get_write_buffer_size())
            assert protocol.calls == []
            ready.set()
            while "pause" not in protocol.calls:
                await asyncio.sleep(0.01)
            done.set()
            await protocol.lost
        assert protocol.calls == [b"hello", "pause", "lost"]

    run(main())


# A file under way


@needs_sendfile
@pytest.mark.parametrize("end", ["reset", "close"])
def test_what_came_while_a_file_was_sent_is_not_lost_with_the_connection(
    client_config: ClientConfig, server_config: ServerConfig, end: str
) -> None:
    async def main() -> None:
        outcome: list[Any] = []
        begun, done = asyncio.Event(), asyncio.Event()

        async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            protocol = Acting(writer.transport, lambda _transport: begun.set())
            loop = asyncio.get_running_loop()
            with tempfile.TemporaryFile() as file:
                file.truncate(64 * MEGABYTE)
                sending = asyncio.ensure_future(loop.sendfile(writer.transport, file))
                while writer.transport.get_write_buffer_size() < 65536:
                    await asyncio.sleep(0.01)
                begun.set()
                outcome.extend(await asyncio.gather(sending, return_exceptions=True))
            await protocol.lost
            outcome.append([call for call in protocol.calls if call not in ("pause", "resume")])
            done.set()

        async with serving(pour, server_config) as port:
            _, writer = await open_local(port, client_config)
            transport: Any = writer.transport
            transport.pause_reading()
            await begun.wait()
            writer.write(b"the next request")
            if end == "close":
                writer.write_eof()
            while transport.get_write_buffer_size():
                await asyncio.sleep(0.01)
            reset(writer)
            await done.wait()
        error, calls = outcome
        assert isinstance(error, ConnectionError)
        assert calls == [b"the next request", *["eof"][: end == "close"], "lost"]

    run(main())


@needs_sendfile
def test_a_protocol_that_reads_while_a_file_is_sent_gets_what_comes(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    """As a `StreamReader` does, of which somebody else reads so much that it resumes."""

    async def main() -> None:
        async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            protocol = Acting(writer.transport, lambda _transport: None)
            loop = asyncio.get_running_loop()
            with tempfile.TemporaryFile() as file:
                file.truncate(32 * MEGABYTE)
                sending = asyncio.ensure_future(loop.sendfile(writer.transport, file))
                await asyncio.sleep(0)
                writer.transport.resume_reading()  # type: ignore[attr-defined]
                assert await sending == 32 * MEGABYTE
            assert b"ping" in protocol.calls
            writer.transport.close()
            await protocol.lost

        async with serving(pour, server_config) as port:
            reader, writer = await open_local(port, client_config)
            await reader.readexactly(MEGABYTE)
            writer.write(b"ping")
            assert len(await reader.read()) == 31 * MEGABYTE
            await close(writer)

    run(main())


@needs_sendfile
def test_pausing_that_a_file_was_told_of_is_not_taken_back_from_the_protocol(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    """asyncio's stream protocols assert that who is told to resume was told to pause."""

    async def main() -> None:
        sent = asyncio.Event()

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await sent.wait()
            await reader.read()

        async with serving(take, server_config) as port:
            _, writer = await open_local(port, client_config)
            transport: Any = writer.transport
            transport.set_write_buffer_limits(high=0)
            protocol = Acting(transport, lambda _transport: None)
            with tempfile.TemporaryFile() as file:
                file.truncate(16384)
                while not transport.get_write_buffer_size():
                    file.seek(0)
                    await asyncio.get_running_loop().sendfile(transport, file)
            sent.set()
            while transport.get_write_buffer_size():
                await asyncio.sleep(0.01)
            transport.close()
            await protocol.lost
            assert protocol.calls == ["lost"]

    run(main())


# A protocol that fails


class Failing(Acting):
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        raise ConnectionError("It cannot take this.")


NO_LIMIT = pytest.mark.skipif(sys.platform == "win32", reason="no limit of descriptors")


@pytest.mark.parametrize("left", [None, pytest.param(0, marks=NO_LIMIT)])
def test_a_protocol_that_fails_with_the_rest_of_a_lost_connection_hears_of_the_loss(
    client_config: ClientConfig, server_config: ServerConfig, left: int | None
) -> None:
    """Writing fails before the last words of the peer are read, which the protocol cannot take."""
    told: list[Any] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context["exception"]))

        paused = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            hand = await HandServer(server_config, reader, writer).establish()
            await paused.wait()
            hand.connection.send_data(b"last words")
            hand.flush()
            reset(writer)

        async with plain_serving(serve) as port:
            _, writer = await open_local(port, client_config)
            transport: Any = writer.transport
            protocol = Failing(transport, lambda _transport: None)
            sock: socket.socket = writer.get_extra_info("socket")
            transport.pause_reading()
            paused.set()
            while not has_failed(sock):
                await asyncio.sleep(0.01)
            transport.resume_reading()  # Nothing is read before this callback returns.
            with descriptors_left(left) if left is not None else nullcontext():
                transport.write(b"more")
                await protocol.lost
            assert isinstance(await protocol.lost, ConnectionError)
        assert protocol.calls == [b"last words", "lost"]

    run(main())
    assert [str(error) for error in told] == ["It cannot take this."]
