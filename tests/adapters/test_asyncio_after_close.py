"""What comes after `close()` under asyncio: what was written arrives, and `wait_closed` tells."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import tempfile
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.adapters.loops import needs_sendfile
from tests.adapters.streams import HandServer, close, open_local, plain_serving, port_of, reset, run
from tests.adapters.test_asyncio_endings import by_hand

from handclasp import aio, wrap_client
from handclasp.client import ClientConnection
from handclasp.config import ClientConfig, ServerConfig
from handclasp.errors import PeerAlertError, ProtocolError
from handclasp.faults import Fault

MEGABYTE = 1024 * 1024
SIZE = 4 * MEGABYTE

needs_linux = pytest.mark.skipif(
    not os.path.exists("/proc/net/tcp"), reason="how much is unsent, the tests know of Linux only"
)


class Client:
    """A client with a small window, in a thread of its own, that reads slowly."""

    def __init__(self, config: ClientConfig, port: int) -> None:
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        plain.settimeout(20)
        plain.connect(("127.0.0.1", port))
        self.wire = socket.socket(fileno=os.dup(plain.fileno()))
        self.tls = wrap_client(plain, config, server_name="localhost")
        self.got = 0

    def read(self, meanwhile: Callable[[int], object] = lambda turn: None) -> int:
        turn = 0
        while data := self.tls.recv(16384):
            self.got += len(data)
            turn += 1
            meanwhile(turn)
            time.sleep(0.001)
        return self.got

    def reset(self) -> None:
        self.tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.end()

    def end(self) -> None:
        self.wire.close()
        os.close(self.tls.detach())


Behaviour = Callable[[Client], Any]


def closing_towards(
    client_config: ClientConfig,
    server_config: ServerConfig,
    behaviour: Behaviour,
    *,
    timeout: float | None = 5,
    size: int = SIZE,
) -> tuple[Any, BaseException | None, float]:
    """Write and close; gives what the client's behaviour gave, what `wait_closed` raised, when."""
    outcome: asyncio.Future[tuple[BaseException | None, float]]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        writer.write(bytes(size))
        began = loop.time()
        writer.close()
        error: BaseException | None = None
        try:
            await writer.wait_closed()
        except OSError as failure:
            error = failure
        outcome.set_result((error, loop.time() - began))

    def visit(port: int) -> Any:
        client = Client(client_config, port)
        try:
            return behaviour(client)
        finally:
            if client.tls.fileno() >= 0:
                client.end()

    async def main() -> Any:
        nonlocal outcome
        outcome = asyncio.get_running_loop().create_future()
        server = await aio.start_server(
            serve, "127.0.0.1", 0, config=server_config, close_timeout=timeout
        )
        given = await asyncio.to_thread(visit, port_of(server))
        error, took = await outcome
        server.close()
        return given, error, took

    result: tuple[Any, BaseException | None, float] = run(main())
    return result


@pytest.fixture
def towards(
    client_config: ClientConfig, server_config: ServerConfig
) -> Callable[..., tuple[Any, BaseException | None, float]]:
    def call(behaviour: Behaviour, **kwds: Any) -> tuple[Any, BaseException | None, float]:
        return closing_towards(client_config, server_config, behaviour, **kwds)

    return call


Towards = Callable[..., tuple[Any, BaseException | None, float]]


# What the peer says meanwhile


@pytest.mark.parametrize("timeout", [5, None])
@pytest.mark.parametrize(
    ("what", "error"),
    [("updates", ProtocolError), ("junk", ProtocolError), ("data", None), ("nothing", None)],
)
def test_everything_arrives_whatever_the_peer_says(
    towards: Towards, what: str, error: type[OSError] | None, timeout: float | None
) -> None:
    def behave(client: Client) -> int:
        says: dict[str, Callable[[], object]] = {
            "updates": lambda: client.tls.update_keys(),
            "junk": lambda: client.wire.send(b"junk!" * 9),
            "data": lambda: client.tls.send(b"x" * 200),
            "nothing": lambda: None,
        }
        got = client.read(lambda turn: says[what]() if turn % 4 == 1 else None)
        client.wire.close()
        client.tls.close()
        return got

    got, failure, _ = towards(behave, timeout=timeout)
    assert got == SIZE
    assert type(failure) is (error or type(None))


def test_junk_once_everything_is_there_is_told(towards: Towards) -> None:
    def behave(client: Client) -> int:
        got = client.read()
        client.wire.send(b"junk!" * 9)
        return got

    got, failure, _ = towards(behave, size=1000)
    assert got == 1000
    assert type(failure) is ProtocolError


@pytest.mark.parametrize("pause", [0.0, 0.2])
def test_a_refusal_of_the_clients_certificate_is_told(
    pki: Any, client_config: ClientConfig, pause: float
) -> None:
    config = ServerConfig(
        credentials=pki.server("localhost"), client_auth="required", trust=pki.trust
    )

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise AssertionError

    async def main() -> None:
        server = await aio.start_server(
            never, "127.0.0.1", 0, config=config, on_handshake_error=lambda error, transport: None
        )
        _, writer = await open_local(port_of(server), client_config, server_name="localhost")
        writer.write(b"POST /order")
        await asyncio.sleep(pause)
        writer.close()
        with pytest.raises(PeerAlertError):
            await writer.wait_closed()
        server.close()

    run(main())


def test_an_alert_is_told_though_a_reset_follows(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def refuse(hand: HandServer) -> None:
        hand.writer.transport.pause_reading()
        await asyncio.sleep(0.1)
        hand.connection.abort(Fault.INTERNAL_ERROR)
        hand.flush()
        await asyncio.sleep(0.05)
        reset(hand.writer)

    async def main() -> None:
        async with plain_serving(by_hand(server_config, refuse)) as port:
            _, writer = await open_local(port, client_config, server_name="localhost")
            writer.write(bytes(SIZE * 4))
            writer.close()
            with pytest.raises(PeerAlertError, match="internal_error"):
                await writer.wait_closed()

    run(main())


# How the peer's transport ends


def test_a_reset_with_data_unsent_is_an_error(towards: Towards) -> None:
    def behave(client: Client) -> None:
        client.tls.recv(16384)
        client.reset()

    _, failure, took = towards(behave, size=4 * SIZE)
    assert isinstance(failure, ConnectionError)
    assert took < 4


def test_an_end_without_close_notify_changes_nothing(towards: Towards) -> None:
    def behave(client: Client) -> int:
        client.wire.shutdown(socket.SHUT_WR)
        return client.read()

    got, failure, _ = towards(behave)
    assert (got, failure) == (SIZE, None)


@needs_linux
@pytest.mark.parametrize("first", ["an end", "a close_notify"])
def test_a_peer_that_ends_and_crashes_has_not_received_everything(
    towards: Towards, first: str
) -> None:
    def behave(client: Client) -> None:
        if first == "an end":
            client.wire.shutdown(socket.SHUT_WR)
        else:
            client.tls.shutdown_write()
        client.tls.recv(16384)
        time.sleep(0.3)
        client.reset()

    # The kernel holds all of it, so that writing cannot fail.
    _, failure, took = towards(behave, size=MEGABYTE)
    assert isinstance(failure, ConnectionError)
    assert took < 4


@needs_linux
def test_junk_behind_the_peers_close_notify_resets_nothing(towards: Towards) -> None:
    def behave(client: Client) -> int:
        client.tls.shutdown_write()
        return client.read(lambda turn: client.wire.send(b"plain!") if turn % 8 == 1 else None)

    got, failure, _ = towards(behave, size=MEGABYTE)
    assert (got, failure) == (MEGABYTE, None)


def test_a_peer_that_had_closed_before_does_not_hold_the_close(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    """Its close_notify came, its transport stays open, and everything it was sent has arrived."""

    async def say_goodbye(hand: HandServer) -> None:
        hand.connection.close()
        hand.flush()
        await closed.wait()

    async def main() -> None:
        async with plain_serving(by_hand(server_config, say_goodbye)) as port:
            reader, writer = await open_local(port, client_config, server_name="localhost")
            assert await reader.read() == b""
            writer.close()
            await asyncio.wait_for(writer.wait_closed(), 2)
            closed.set()

    closed = asyncio.Event()
    run(main())


# Time


def test_a_peer_that_says_junk_and_takes_nothing_is_given_up(towards: Towards) -> None:
    def behave(client: Client) -> None:
        client.tls.recv(16384)
        client.wire.send(b"junk!" * 9)
        time.sleep(1.5)

    _, failure, took = towards(behave, timeout=0.5, size=4 * SIZE)
    assert type(failure) is ProtocolError
    assert took < 1.5


# What this side does


def test_abort_after_close_is_the_end_at_once(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def never_read(hand: HandServer) -> None:
        hand.writer.transport.pause_reading()
        await released.wait()

    async def main() -> None:
        async with plain_serving(by_hand(server_config, never_read)) as port:
            _, writer = await open_local(port, client_config, server_name="localhost")
            writer.write(bytes(4 * SIZE))
            writer.close()
            await asyncio.sleep(0.05)
            writer.transport.abort()
            await asyncio.wait_for(writer.wait_closed(), 2)
            released.set()

    released = asyncio.Event()
    run(main())


def test_whoever_no_longer_waits_for_the_end_does_not_cut_it_off(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes(SIZE))
        writer.close()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(writer.wait_closed(), 0.05)
        served.set()

    async def main() -> None:
        server = await aio.start_server(serve, "127.0.0.1", 0, config=server_config)
        port = port_of(server)

        def visit() -> int:
            client = Client(client_config, port)
            client.wire.close()
            with client.tls:
                time.sleep(0.2)
                return client.read()

        assert await asyncio.to_thread(visit) == SIZE
        server.close()
        await served.wait()

    served = asyncio.Event()
    run(main())


def test_clients_that_are_closed_in_their_handshake_are_gone_soon(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise AssertionError

    async def main() -> None:
        server = await aio.start_server(never, "127.0.0.1", 0, config=server_config)
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        hello = ClientConnection(client_config, server_name="localhost")
        writer.write(hello.data_to_send())
        answer = await reader.read(65536)
        assert answer
        server.close_clients()
        rest = await asyncio.wait_for(reader.read(), 2)
        hello.receive_data(answer + rest)
        assert hello.peer_closed
        await close(writer)
        server.close()
        while server.handshakes_in_progress:
            await asyncio.sleep(0.01)

    run(main())


@needs_sendfile
def test_a_file_being_sent_ends_with_the_close(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    """As with asyncio's own: sendfile() raises, and what it has written arrives."""
    outcome: list[BaseException] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with tempfile.TemporaryFile() as file:
            file.truncate(64 * MEGABYTE)
            loop = asyncio.get_running_loop()
            sending = asyncio.ensure_future(loop.sendfile(writer.transport, file))
            await asyncio.sleep(0.1)
            writer.close()
            try:
                await sending
            except ConnectionError as error:
                outcome.append(error)
            await writer.wait_closed()
            served.set()

    async def main() -> None:
        server = await aio.start_server(serve, "127.0.0.1", 0, config=server_config)
        port = port_of(server)

        def visit() -> int:
            client = Client(client_config, port)
            client.wire.close()
            with client.tls:
                time.sleep(0.3)
                return client.read()

        assert 0 < await asyncio.to_thread(visit) < 64 * MEGABYTE
        assert outcome
        server.close()
        await served.wait()

    served = asyncio.Event()
    run(main())


@pytest.mark.parametrize("kind", ["plain", "handclasp"])
def test_a_paused_protocol_is_resumed_and_told_of_the_end_once(
    client_config: ClientConfig, server_config: ServerConfig, kind: str
) -> None:
    log: list[str] = []

    class Pouring(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            transport.write(bytes(4 * SIZE))
            transport.close()

        def pause_writing(self) -> None:
            log.append("pause")

        def resume_writing(self) -> None:
            log.append("resume")

        def connection_lost(self, exc: Exception | None) -> None:
            log.append(f"lost {exc}")
            lost.set()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server: Any
        if kind == "plain":
            server = await loop.create_server(Pouring, "127.0.0.1", 0)
            reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        else:
            server = await aio.create_server(Pouring, "127.0.0.1", 0, config=server_config)
            reader, writer = await open_local(
                port_of(server), client_config, server_name="localhost"
            )
        assert len(await reader.read()) == 4 * SIZE
        await close(writer)
        await lost.wait()
        server.close()
        await server.wait_closed()
        assert log == ["pause", "resume", "lost None"]

    lost = asyncio.Event()
    run(main())
