"""asyncio streams over TLS, against themselves, the sans-IO connection and asyncio's own ssl."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

import pytest
from tests.adapters.streams import (
    Callback,
    HandServer,
    close,
    echo,
    open_local,
    plain_serving,
    port_of,
    run,
    serving,
)
from tests.pki import Leaf, Pki, key_of_type

from handclasp import aio
from handclasp.certificates.credentials import Credentials, LocalSigner
from handclasp.client import ClientConnection
from handclasp.config import ClientAuth, ClientConfig, ServerConfig
from handclasp.errors import (
    CertificateError,
    ConfigurationError,
    HandshakeTimeoutError,
    PeerAlertError,
    ProtocolError,
    StateError,
    TLSError,
    TruncationError,
)
from handclasp.events import DataReceived
from handclasp.questions import DEFER

pytestmark = pytest.mark.long

MEGABYTE = 1024 * 1024


# The plain use


def test_a_conversation(pki: Pki) -> None:
    seen: dict[str, Any] = {}

    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen["server"] = writer.get_extra_info("handclasp")
        writer.writelines([(await reader.readline()).upper(), b"bye\n"])

    async def main() -> None:
        server_config = ServerConfig(credentials=pki.server("localhost"), alpn=["shout"])
        config = ClientConfig(trust=pki.trust, alpn=["shout"])
        async with serving(shout, server_config) as port:
            reader, writer = await open_local(port, config, server_name="localhost")
            assert isinstance(reader, asyncio.StreamReader)
            assert isinstance(writer, asyncio.StreamWriter)
            info = writer.get_extra_info("handclasp")
            assert (info.version, info.alpn, info.server_name) == ("TLSv1.3", "shout", "localhost")
            assert writer.get_extra_info("peername") == ("127.0.0.1", port)
            assert writer.get_extra_info("sockname")[0] == "127.0.0.1"
            assert writer.get_extra_info("socket").fileno() > 0
            assert writer.get_extra_info("connection").established
            assert writer.get_extra_info("trace") is None
            assert writer.get_extra_info("nothing", 5) == 5
            writer.write(b"hello\n")
            assert await reader.read() == b"HELLO\nbye\n"
            await close(writer)
            assert seen["server"].alpn == "shout"

    run(main())


def test_half_close(client_config: ClientConfig, server_config: ServerConfig) -> None:
    async def answer_at_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        question = await reader.read()
        await asyncio.sleep(0.01)
        writer.write(question[::-1])
        await writer.drain()

    async def main() -> None:
        async with serving(answer_at_the_end, server_config) as port:
            reader, writer = await open_local(port, client_config)
            assert writer.can_write_eof()
            writer.write(b"question")
            writer.write_eof()
            with pytest.raises(RuntimeError):
                writer.write(b"more")
            assert await reader.read() == b"noitseuq"
            await close(writer)

    run(main())


def test_four_megabytes_both_ways_at_once(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    there, back = os.urandom(4 * MEGABYTE), os.urandom(4 * MEGABYTE)
    received: list[bytes] = []

    async def send(writer: asyncio.StreamWriter, data: bytes) -> None:
        for start in range(0, len(data), 100_000):
            writer.write(memoryview(data)[start : start + 100_000])
            await writer.drain()
        writer.write_eof()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sending = asyncio.ensure_future(send(writer, back))
        received.append(await reader.read())
        await sending

    async def main() -> None:
        async with serving(serve, server_config) as port:
            reader, writer = await open_local(port, client_config)
            sending = asyncio.ensure_future(send(writer, there))
            assert await reader.read() == back
            await sending
            await close(writer)
        assert received == [there]

    run(main())


def test_a_slow_reader_holds_the_writer_back(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    total = 8 * MEGABYTE
    written = 0

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        piece = bytes(65536)
        while written < total:
            writer.write(piece)
            await writer.drain()
            written += len(piece)

    async def main() -> None:
        async with serving(pour, server_config) as port:
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            sock.connect(("127.0.0.1", port))
            tracemalloc.start()
            reader, writer = await aio.open_connection(
                sock=sock, config=client_config, server_name="localhost"
            )
            before = -1
            while before != written:  # until nothing moves any more
                before = written
                await asyncio.sleep(0.1)
            assert not writer.transport.is_reading()  # type: ignore[attr-defined]
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert written < total
            assert peak < 2 * MEGABYTE
            assert len(await reader.read()) == total
            await close(writer)

    run(main())


def test_write_buffer_limits_reach_the_plain_transport(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def main() -> None:
        async with plain_serving(hand_serving(server_config)) as port:
            _, writer = await open_local(port, client_config)
            transport = writer.transport
            transport.set_write_buffer_limits(high=1000, low=10)
            assert transport.get_write_buffer_limits() == (10, 1000)
            writer.write(bytes(16 * MEGABYTE))
            assert transport.get_write_buffer_size() > MEGABYTE
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(writer.drain(), 0.05)
            transport.abort()
            assert transport.is_closing()
            writer.write(b"dropped")
            with pytest.raises(ConnectionResetError):
                await writer.drain()

    run(main())


def hand_serving(config: ServerConfig) -> Callback:
    """Completes the handshake, then waits for the end without reading."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await HandServer(config, reader, writer).establish()
        await asyncio.sleep(0.3)

    return serve


def test_key_updates_under_load(client_config: ClientConfig, server_config: ServerConfig) -> None:
    data = os.urandom(200_000)

    async def send(writer: asyncio.StreamWriter, request_peer: bool) -> None:
        for _ in range(20):
            writer.write(data)
            writer.transport.update_keys(request_peer)  # type: ignore[attr-defined]
            await writer.drain()
        writer.write_eof()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sending = asyncio.ensure_future(send(writer, False))
        assert await reader.read() == data * 20
        await sending

    async def main() -> None:
        async with serving(serve, server_config) as port:
            reader, writer = await open_local(port, client_config)
            sending = asyncio.ensure_future(send(writer, True))
            assert await reader.read() == data * 20
            await sending
            await close(writer)

    run(main())


def test_a_peer_that_asks_for_keys_and_never_reads_costs_no_memory(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hand = await HandServer(server_config, reader, writer).establish()
        for _ in range(300):
            hand.connection.update_keys(request_peer=True)
            hand.connection.send_data(b"x")
            hand.flush()
            await writer.drain()
        with suppress(OSError):
            await reader.read(-1)

    async def main() -> None:
        async with plain_serving(ask) as port:
            reader, writer = await open_local(port, client_config, limit=1000)
            writer.write(bytes(16 * MEGABYTE))  # more than the transport takes
            waiting = writer.transport.get_write_buffer_size()
            assert await reader.readexactly(300) == b"x" * 300
            assert writer.transport.get_write_buffer_size() <= waiting
            writer.transport.abort()

    run(main())


# Against asyncio's own


def test_our_client_and_their_server(
    client_config: ClientConfig, ssl_server: ssl.SSLContext
) -> None:
    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await echo(reader, writer)
            await close(writer)

        data = os.urandom(MEGABYTE)
        async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=ssl_server) as server:
            reader, writer = await open_local(
                port_of(server), client_config, server_name="localhost"
            )
            writer.write(data)
            assert await reader.readexactly(MEGABYTE) == data
            await close(writer)

    run(main())


def test_their_client_and_our_server(
    server_config: ServerConfig, ssl_client: ssl.SSLContext
) -> None:
    async def main() -> None:
        data = os.urandom(MEGABYTE)
        async with serving(echo, server_config) as port:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=ssl_client, server_hostname="localhost"
            )
            writer.write(data)
            assert await reader.readexactly(MEGABYTE) == data
            await close(writer)

    run(main())


# How it ends


def test_the_end_of_the_transport_is_not_the_end_of_the_data(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def cut_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hand = await HandServer(server_config, reader, writer).establish()
        hand.connection.send_data(b"some of it")
        hand.flush()

    async def main() -> None:
        async with plain_serving(cut_off) as port:
            reader, writer = await open_local(port, client_config)
            assert await reader.readexactly(10) == b"some of it"
            with pytest.raises(TruncationError) as error:
                await reader.read()
            assert error.value.fault_name == "TRUNCATED"
            with pytest.raises(TruncationError):
                await writer.drain()
            await close(writer)
            reader, writer = await open_local(port, replace(client_config, allow_truncation=True))
            assert await reader.read() == b"some of it"
            await close(writer)

    run(main())


def test_a_broken_record_ends_the_connection_with_an_alert(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    told: list[TLSError] = []

    async def break_it(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hand = await HandServer(server_config, reader, writer).establish()
        hand.flush(b"\x17\x03\x03\x00\x20" + bytes(32))
        try:
            await hand.step()
        except TLSError as error:
            told.append(error)

    async def main() -> None:
        async with plain_serving(break_it) as port:
            reader, writer = await open_local(port, client_config)
            with pytest.raises(ProtocolError) as error:
                await reader.read()
            assert error.value.alert == "bad_record_mac"
            assert writer.is_closing()
            await close(writer)
        assert [error.alert for error in told] == ["bad_record_mac"]

    run(main())


def test_the_alert_that_comes_after_the_clients_handshake(
    pki: Pki, client_config: ClientConfig
) -> None:
    config = ServerConfig(
        credentials=pki.server("127.0.0.1"), client_auth=ClientAuth.REQUIRED, trust=pki.trust
    )

    async def main() -> None:
        async with serving(echo, config) as port:
            reader, writer = await open_local(port, client_config)
            with pytest.raises(PeerAlertError) as error:
                await reader.read()
            assert error.value.alert == "certificate_required"
            await close(writer)

    run(main())


def test_close_delivers_what_was_written_though_the_peer_is_still_sending(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    got: list[bytes] = []

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            for _ in range(50):
                writer.write(bytes(65536))
                await writer.drain()
        got.append(await reader.read())

    async def main() -> None:
        async with serving(pour, server_config) as port:
            _, writer = await open_local(port, client_config)
            writer.write(b"last words" * 10_000)
            await close(writer)
        assert got == [b"last words" * 10_000]

    run(main())


def test_close_does_not_wait_forever(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def never_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await HandServer(server_config, reader, writer).establish()
        await asyncio.sleep(0.6)

    async def main() -> None:
        async with plain_serving(never_close) as port:
            _, writer = await open_local(port, client_config, close_timeout=0.1)
            writer.write(bytes(16 * MEGABYTE))
            started = asyncio.get_running_loop().time()
            await close(writer)
            assert asyncio.get_running_loop().time() - started < 0.5

    run(main())


def test_abort_looks_like_truncation(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    seen: list[OSError] = []

    async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        except OSError as error:
            seen.append(error)

    async def main() -> None:
        async with serving(read, server_config) as port:
            _, writer = await open_local(port, client_config)
            writer.transport.abort()
            await close(writer)
        assert len(seen) == 1
        assert isinstance(seen[0], TruncationError | ConnectionResetError)

    run(main())


def test_a_protocol_of_ones_own_on_the_transport(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    """set_protocol, buffered protocols, and a false eof_received that closes."""

    class Collector(asyncio.BufferedProtocol):
        def __init__(self) -> None:
            self.data = bytearray()
            self.buffer = bytearray(7)
            self.lost = asyncio.get_running_loop().create_future()

        def get_buffer(self, sizehint: int) -> bytearray:
            return self.buffer

        def buffer_updated(self, nbytes: int) -> None:
            self.data += self.buffer[:nbytes]

        def connection_lost(self, exc: Exception | None) -> None:
            self.lost.set_result(exc)

    async def main() -> None:
        async with serving(echo, server_config) as port:
            _, writer = await open_local(port, client_config)
            collector = Collector()
            writer.transport.set_protocol(collector)
            assert writer.transport.get_protocol() is collector
            writer.write(b"piece by piece" * 10)
            writer.write_eof()
            assert await collector.lost is None
            assert collector.data == b"piece by piece" * 10
            assert "closing" in repr(writer.transport)

    run(main())


# Failed handshakes


def test_open_connection_says_why_the_certificate_does_not_convince(
    server_config: ServerConfig, client_config: ClientConfig
) -> None:
    failures: list[tuple[Exception, Any]] = []

    def note(error: Exception, transport: asyncio.BaseTransport) -> None:
        failures.append((error, transport.get_extra_info("peername")))
        assert transport.get_extra_info("handclasp") is None

    async def main() -> None:
        stranger = ClientConfig(trust=Pki("another authority").trust)
        async with serving(echo, server_config, on_handshake_error=note) as port:
            for _ in range(3):
                with pytest.raises(CertificateError) as error:
                    await open_local(port, stranger)
                assert error.value.fault_name == "CERTIFICATE_UNTRUSTED"
            reader, writer = await open_local(port, client_config)
            writer.write(b"the server lives")
            assert await reader.readexactly(16) == b"the server lives"
            await close(writer)
        assert [error.alert for error, _ in failures] == ["unknown_ca"] * 3  # type: ignore[attr-defined]
        assert all(peer[0] == "127.0.0.1" for _, peer in failures)

    run(main())


def test_there_is_no_protocol_before_the_handshake_is_complete(server_config: ServerConfig) -> None:
    """A call at the wrong time, by whoever hears of the failure."""
    raised: list[Exception] = []

    def note(error: Exception, transport: asyncio.BaseTransport) -> None:
        try:
            transport.get_protocol()
        except Exception as problem:
            raised.append(problem)

    async def main() -> None:
        stranger = ClientConfig(trust=Pki("another authority").trust)
        async with serving(echo, server_config, on_handshake_error=note) as port:
            with pytest.raises(CertificateError):
                await open_local(port, stranger)

    run(main())
    assert [type(each) for each in raised] == [StateError]


@pytest.mark.parametrize(
    "hello", [b"GET / HTTP/1.1\r\n\r\n" * 200_000, b"\x16\x03\x01", b"", os.urandom(3000)]
)
def test_garbage_never_reaches_the_callback_nor_ends_the_server(
    client_config: ClientConfig, server_config: ServerConfig, hello: bytes
) -> None:
    calls: list[int] = []
    errors: list[Exception] = []

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls.append(1)

    async def main() -> None:
        note = lambda error, _transport: errors.append(error)  # noqa: E731
        async with serving(count, server_config, on_handshake_error=note) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(hello)
            writer.write_eof()
            answer = await reader.read()
            assert answer == b"" or answer[0] == 21  # an alert, not a reset
            await close(writer)
            assert calls == []
            _, writer = await open_local(port, client_config)
            await close(writer)
        assert calls == [1]
        assert len(errors) == 1
        assert isinstance(errors[0], TLSError)

    run(main())


def test_failures_are_logged_in_debug_mode_only(
    server_config: ServerConfig, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with serving(echo, server_config) as port:
            for debug in (True, False):
                asyncio.get_running_loop().set_debug(debug)
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"GET / HTTP/1.0\r\n\r\n")
                await reader.read()
                await close(writer)
                await asyncio.sleep(0.01)

    with caplog.at_level(logging.DEBUG, "handclasp"):
        run(main())
    logged = [record for record in caplog.records if record.name == "handclasp"]
    assert len(logged) == 1
    assert "plain HTTP" in logged[0].getMessage()


def test_a_broken_error_callback_is_told_to_the_loop(server_config: ServerConfig) -> None:
    complaints: list[dict[str, Any]] = []

    def broken(error: Exception, transport: Any) -> None:
        raise LookupError("my own fault")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: complaints.append(context))
        async with serving(echo, server_config, on_handshake_error=broken) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            while not complaints:
                await asyncio.sleep(0.01)

    run(main())
    assert isinstance(complaints[0]["exception"], LookupError)


def test_a_silent_peer_runs_into_the_handshake_timeout(
    pki: Pki, server_config: ServerConfig
) -> None:
    errors: list[Exception] = []

    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.read()).endswith(b"\x02\x5a")  # user_canceled

    async def main() -> None:
        config = ClientConfig(trust=pki.trust, handshake_timeout=0.1)
        async with plain_serving(silence) as port:
            with pytest.raises(HandshakeTimeoutError):
                await open_local(port, config)
        impatient = replace(server_config, handshake_timeout=0.1)
        note = lambda error, _transport: errors.append(error)  # noqa: E731
        async with serving(echo, impatient, on_handshake_error=note) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert (await reader.read()).endswith(b"\x02\x5a")
            await close(writer)
        assert [type(error) for error in errors] == [HandshakeTimeoutError]

    run(main())


def test_a_reset_during_the_handshake_is_explained(client_config: ClientConfig) -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()

    async def main() -> None:
        async with plain_serving(reset) as port:
            with pytest.raises(TruncationError) as error:
                await open_local(port, client_config)
            assert error.value.fault_name == "CLOSED_DURING_HANDSHAKE"

    run(main())


def test_arguments_that_cannot_be_honoured(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def main() -> None:
        for wrong in ({"ssl": True}, {"server_hostname": "x"}, {"ssl_handshake_timeout": 3}):
            with pytest.raises(ConfigurationError, match="config="):
                await aio.open_connection("127.0.0.1", 1, **wrong)
            with pytest.raises(ConfigurationError, match="config="):
                await aio.start_server(echo, "127.0.0.1", 0, config=server_config, **wrong)
        with pytest.raises(ConfigurationError, match="ClientConfig"):
            await open_local(1, server_config)  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match="ServerConfig"):
            await aio.start_server(echo, "127.0.0.1", 0, config=client_config)  # type: ignore[arg-type]
        async with serving(echo, server_config) as port:
            with socket.create_connection(("127.0.0.1", port)) as sock:
                with pytest.raises(ConfigurationError, match="server_name"):
                    await aio.open_connection(sock=sock, config=client_config)
                assert sock.fileno() != -1

    run(main())


@pytest.mark.parametrize("seconds", [-1, 0, float("nan"), "5", True])
@pytest.mark.parametrize("name", ["close_timeout", "hello_timeout"])
def test_times_that_are_none(
    client_config: ClientConfig, server_config: ServerConfig, seconds: Any, name: str
) -> None:
    async def main() -> None:
        settings: dict[str, Any] = {name: seconds}
        with pytest.raises(ConfigurationError, match=name):
            await aio.start_server(echo, "127.0.0.1", 0, config=server_config, **settings)
        if name == "close_timeout":
            with pytest.raises(ConfigurationError, match=name):
                await aio.open_connection("127.0.0.1", 1, config=client_config, **settings)

    run(main())


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"host": "127.0.0.1"}, ConfigurationError),
        ({"port": 443}, ConfigurationError),
        ({"reuse_port": True}, ConfigurationError),
        ({"reuse_address": False}, ConfigurationError),
        ({"family": socket.AF_INET6}, ConfigurationError),
        ({"colour": "blue"}, TypeError),
        ({"limit": 0}, ConfigurationError),
    ],
)
def test_a_server_on_a_socket_refuses_what_it_would_ignore(
    server_config: ServerConfig, given: dict[str, Any], error: type[Exception]
) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as sock:
            with pytest.raises(error):
                await aio.start_server(echo, sock=sock, config=server_config, **given)
            assert sock.fileno() >= 0

    run(main())


def test_sockets_that_are_no_streams(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def main() -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            with pytest.raises(ConfigurationError, match="stream"):
                await aio.start_server(echo, sock=sock, config=server_config)
            with pytest.raises(ConfigurationError, match="stream"):
                await aio.open_connection(sock=sock, config=client_config, server_name="x")

    run(main())


def test_an_address_and_a_socket_at_once(client_config: ClientConfig) -> None:
    async def main() -> None:
        for host, port in (("127.0.0.1", None), (None, 443), ("127.0.0.1", 443)):
            with socket.socket() as sock, pytest.raises(ConfigurationError, match="together"):
                await aio.open_connection(host, port, sock=sock, config=client_config)

    run(main())


def test_arguments_that_nobody_knows(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def main() -> None:
        with pytest.raises(TypeError, match="colour"):
            await aio.open_connection("127.0.0.1", 1, config=client_config, colour="blue")
        with pytest.raises(TypeError, match="colour"):
            await aio.start_server(echo, "127.0.0.1", 0, config=server_config, colour="blue")

    run(main())


# Cancellation


@pytest.mark.parametrize("after", range(14))
def test_open_connection_can_be_cancelled_at_every_step(
    client_config: ClientConfig, server_config: ServerConfig, after: int
) -> None:
    """The loop is let go round `after` times before the cancellation."""

    async def lenient(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):  # a client that goes away in the middle truncates
            await reader.read()

    async def main() -> None:
        async with serving(lenient, server_config) as port:
            opening = asyncio.ensure_future(open_local(port, client_config))
            for _ in range(after):
                await asyncio.sleep(0)
            opening.cancel()
            try:
                _, writer = await opening
            except asyncio.CancelledError:
                return
            await close(writer)

    run(main())


def test_cancelling_a_handshake_closes_the_transport_at_once(client_config: ClientConfig) -> None:
    ended = asyncio.Event()

    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionResetError):
            await reader.read()
        ended.set()

    async def main() -> None:
        async with plain_serving(silence) as port:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(open_local(port, client_config), 0.05)
            await asyncio.wait_for(ended.wait(), 5)

    run(main())


def test_closing_the_server_ends_handshakes_in_progress(server_config: ServerConfig) -> None:
    async def main() -> None:
        server = await aio.start_server(echo, "127.0.0.1", 0, config=server_config)
        assert server.is_serving()
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        while not server.handshakes_in_progress:
            await asyncio.sleep(0.01)
        server.close()
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        assert server.handshakes_in_progress == 0
        assert not server.is_serving()
        await server.wait_closed()
        await close(writer)

    run(main())


def test_a_failure_of_this_side_while_sending_is_told_to_the_peer(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    is_bad = False

    def padding(size: int) -> int:
        if is_bad:
            raise ValueError(size)
        return 0

    async def hears(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with pytest.raises(PeerAlertError, match="internal_error"):
            await reader.read()

    async def main() -> None:
        nonlocal is_bad
        async with serving(hears, server_config) as port:
            _, writer = await open_local(port, replace(client_config, record_padding=padding))
            is_bad = True
            with pytest.raises(ProtocolError, match="record_padding"):
                writer.write(b"late")
            await close(writer)

    run(main())


def test_serve_forever_ends_when_cancelled_and_when_closed(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def main() -> None:
        for end in ("cancel", "close"):
            server = await aio.start_server(
                echo, "127.0.0.1", 0, config=server_config, start_serving=False
            )
            forever = asyncio.ensure_future(server.serve_forever())
            await asyncio.sleep(0.01)
            reader, writer = await open_local(port_of(server), client_config)
            with pytest.raises(ConfigurationError):
                await server.serve_forever()
            server.close_clients()
            assert await reader.read() == b""
            await close(writer)
            server.close() if end == "close" else forever.cancel()
            with pytest.raises(asyncio.CancelledError):
                await forever
            assert not server.is_serving()

    run(main())


def test_abort_clients(client_config: ClientConfig, server_config: ServerConfig) -> None:
    async def main() -> None:
        async with await aio.start_server(
            answer_nothing_and_close, "127.0.0.1", 0, config=server_config
        ) as server:
            reader, writer = await open_local(port_of(server), client_config)
            await asyncio.sleep(0.01)
            server.abort_clients()
            with pytest.raises(OSError):
                await reader.read()
            await close(writer)

    run(main())


async def answer_nothing_and_close(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    with suppress(OSError):
        await reader.read()
    await close(writer)


# Questions


class RemoteSigner:
    """A key behind an `await`."""

    def __init__(self, key: Any, hold: asyncio.Event | None = None) -> None:
        self._local = LocalSigner(key)
        self._hold = hold
        self.schemes = self._local.schemes
        self.calls = 0
        self.cancelled = 0

    async def sign(self, scheme: str, data: bytes) -> bytes:
        self.calls += 1
        try:
            if self._hold is not None:
                await self._hold.wait()
            await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return self._local.sign(scheme, data)


def remote_config(pki: Pki, signer: Any, **settings: Any) -> ServerConfig:
    certificate = pki.issue(Leaf(("127.0.0.1",)), key_of_type("ecdsa-p256").public_key())
    credentials = Credentials.from_signer([certificate], signer)
    return ServerConfig(credentials=credentials, **settings)


def test_a_signing_key_behind_an_await(pki: Pki, client_config: ClientConfig) -> None:
    async def main() -> None:
        signer = RemoteSigner(key_of_type("ecdsa-p256"))
        async with serving(echo, remote_config(pki, signer)) as port:
            pairs = await asyncio.gather(*(open_local(port, client_config) for _ in range(10)))
            for reader, writer in pairs:
                writer.write(b"signed")
                assert await reader.readexactly(6) == b"signed"
                await close(writer)
        assert signer.calls == 10

    run(main())


def test_async_callbacks_on_both_sides(pki: Pki) -> None:
    server_side = pki.server("127.0.0.1")
    client_side = pki.client()

    async def choose_server(question: Any) -> Any:
        await asyncio.sleep(0.001)
        return server_side

    async def choose_client(question: Any) -> Any:
        await asyncio.sleep(0.001)
        return client_side

    async def main() -> None:
        server_config = ServerConfig(
            choose_credentials=choose_server, client_auth=ClientAuth.REQUIRED, trust=pki.trust
        )
        config = ClientConfig(trust=pki.trust, choose_credentials=choose_client)
        async with serving(echo, server_config) as port:
            reader, writer = await open_local(port, config)
            writer.write(b"both")
            assert await reader.readexactly(4) == b"both"
            info = writer.get_extra_info("handclasp")
            assert info.local_chain_der == client_side.chain_der
            await close(writer)

    run(main())


@pytest.mark.parametrize("failure", [LookupError("no key"), asyncio.CancelledError()])
def test_an_answer_that_fails_ends_the_handshake(
    pki: Pki, client_config: ClientConfig, failure: BaseException
) -> None:
    errors: list[Exception] = []

    async def fail(question: Any) -> Any:
        await asyncio.sleep(0.001)
        raise failure

    async def main() -> None:
        config = ServerConfig(choose_credentials=fail)
        note = lambda error, _transport: errors.append(error)  # noqa: E731
        async with serving(echo, config, on_handshake_error=note) as port:
            with pytest.raises(PeerAlertError) as error:
                await open_local(port, client_config)
            assert error.value.alert == "internal_error"
        assert [error.fault_name for error in errors] == ["CALLBACK_FAILED"]  # type: ignore[attr-defined]

    run(main())


def test_defer_is_refused_with_a_reason(client_config: ClientConfig) -> None:
    errors: list[Exception] = []

    async def main() -> None:
        config = ServerConfig(choose_credentials=lambda _question: DEFER)
        note = lambda error, _transport: errors.append(error)  # noqa: E731
        async with serving(echo, config, on_handshake_error=note) as port:
            with pytest.raises(PeerAlertError):
                await open_local(port, client_config)
        assert "DEFER" in str(errors[0].__cause__)

    run(main())


@pytest.mark.parametrize("end", ["client leaves", "timeout", "server closes"])
def test_the_answer_is_cancelled_when_nobody_waits_for_it_any_more(
    pki: Pki, client_config: ClientConfig, end: str
) -> None:
    async def main() -> None:
        signer = RemoteSigner(key_of_type("ecdsa-p256"), hold=asyncio.Event())
        timeout = 0.2 if end == "timeout" else None
        config = remote_config(pki, signer, handshake_timeout=timeout)
        server = await aio.start_server(echo, "127.0.0.1", 0, config=config)
        opening = asyncio.ensure_future(open_local(port_of(server), client_config))
        while not signer.calls:
            await asyncio.sleep(0.005)
        if end == "client leaves":
            opening.cancel()
        elif end == "server closes":
            server.close()
        with pytest.raises((TLSError, asyncio.CancelledError)):
            await opening
        while not signer.cancelled:
            await asyncio.sleep(0.005)
        assert signer.cancelled == 1
        server.close()
        await server.wait_closed()

    run(main())


def test_a_client_cannot_fill_the_memory_while_an_answer_is_awaited(
    pki: Pki, client_config: ClientConfig
) -> None:
    async def main() -> None:
        hold = asyncio.Event()
        signer = RemoteSigner(key_of_type("ecdsa-p256"), hold)
        config = remote_config(pki, signer)
        async with serving(echo, config) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(bytes(ClientConnection(client_config, server_name="x").data_to_send()))
            while not signer.calls:
                await asyncio.sleep(0.005)
            writer.write(b"\x17\x03\x03\x40\x00" + bytes(64 * MEGABYTE))
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(writer.drain(), 0.2)
            assert writer.transport.get_write_buffer_size() > 32 * MEGABYTE
            writer.transport.abort()
            with suppress(OSError):
                await reader.read()
            # The reading is paused, so the loss shows only when this side writes.
            hold.set()

    run(main())


# start_tls


async def starttls_server(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, config: ServerConfig
) -> None:
    assert await reader.readline() == b"STARTTLS\n"
    writer.write(b"go ahead\n")
    reader, writer = await aio.start_tls(reader, writer, config)
    await echo(reader, writer)
    await close(writer)


def test_start_tls_on_both_sides(client_config: ClientConfig, server_config: ServerConfig) -> None:
    async def main() -> None:
        async with plain_serving(lambda r, w: starttls_server(r, w, server_config)) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"STARTTLS\n")
            assert await reader.readline() == b"go ahead\n"
            reader, writer = await aio.start_tls(
                reader, writer, client_config, server_name="localhost"
            )
            gc.collect()  # the spent writer must not take the transport along
            writer.write(b"now in private")
            assert await reader.readexactly(14) == b"now in private"
            assert writer.get_extra_info("handclasp").server_name == "localhost"
            await close(writer)

    run(main())


def test_start_tls_inside_tls(client_config: ClientConfig, server_config: ServerConfig) -> None:
    data = os.urandom(MEGABYTE)

    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await starttls_server(reader, writer, server_config)

        async with serving(serve, server_config) as port:
            reader, writer = await open_local(port, client_config)
            writer.write(b"STARTTLS\n")
            assert await reader.readline() == b"go ahead\n"
            reader, writer = await aio.start_tls(
                reader, writer, client_config, server_name="localhost"
            )
            writer.write(data)
            assert await reader.readexactly(len(data)) == data
            await close(writer)

    run(main())


def test_start_tls_refuses_injected_plaintext(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    refused: list[Exception] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"go ahead\ninjected\n")
        with suppress(OSError):
            await reader.read()

    async def injected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await starttls_server(reader, writer, server_config)
        except ProtocolError as error:
            refused.append(error)

    async def main() -> None:
        async with plain_serving(serve) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"STARTTLS\n")
            assert await reader.readline() == b"go ahead\n"
            with pytest.raises(ProtocolError) as error:
                await aio.start_tls(reader, writer, client_config, server_name="localhost")
            assert error.value.fault_name == "PLAINTEXT_BEFORE_TLS"
            assert writer.is_closing()
            await close(writer)
        async with plain_serving(injected) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"STARTTLS\nDELETE everything\n")
            with suppress(ConnectionResetError):
                assert await reader.read() == b"go ahead\n"
            await close(writer)
        assert len(refused) == 1

    run(main())


# start_tls of a server whose client has said hello already


class QuickClient:
    """Sends its hello in any pieces, together with whatever is to stand before it."""

    def __init__(self, config: ClientConfig) -> None:
        self._client = ClientConnection(config, server_name="localhost")
        self.hello = bytes(self._client.data_to_send())

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        """Complete the handshake, give what comes back for five bytes, and say goodbye."""
        while not self._client.established:
            self._client.receive_data(await reader.read(65536))
        self._client.send_data(b"hello")
        writer.write(bytes(self._client.data_to_send()))
        while True:
            for event in self._client.receive_data(await reader.read(65536)):
                if isinstance(event, DataReceived):
                    self._client.close()
                    writer.write(bytes(self._client.data_to_send()))
                    return event.data


@pytest.mark.parametrize("first", [1, 2, 100, None])
def test_a_hello_between_the_go_ahead_and_start_tls(
    client_config: ClientConfig, server_config: ServerConfig, first: int | None
) -> None:
    sent = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"go ahead\n")
        await sent.wait()
        await asyncio.sleep(0.05)
        reader, writer = await aio.start_tls(reader, writer, server_config)
        await echo(reader, writer)
        await close(writer)

    async def main() -> None:
        async with plain_serving(serve) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"STARTTLS\n")
            assert await reader.readline() == b"go ahead\n"
            client = QuickClient(client_config)
            writer.write(client.hello[:first])
            sent.set()
            await asyncio.sleep(0.1)
            writer.write(client.hello[first:] if first else b"")
            assert await client.converse(reader, writer) == b"hello"
            await close(writer)

    run(main())


@pytest.mark.parametrize("reads_too_much", [True, False])
def test_a_proxy_line_and_a_hello_in_one_segment(
    client_config: ClientConfig, server_config: ServerConfig, reads_too_much: bool
) -> None:
    line = b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received = b""
        if reads_too_much:
            first = await reader.read(200)
            assert first.startswith(line)
            received = first[len(line) :]
            assert received
        else:
            assert await reader.readline() == line
        reader, writer = await aio.start_tls(reader, writer, server_config, received=received)
        await echo(reader, writer)
        await close(writer)

    async def main() -> None:
        async with plain_serving(serve) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            client = QuickClient(client_config)
            writer.write(line + client.hello)
            assert await client.converse(reader, writer) == b"hello"
            await close(writer)

    run(main())


@pytest.mark.parametrize("impatient", [True, False])
def test_with_the_go_ahead_nothing_that_came_before_it_is_taken(
    client_config: ClientConfig, server_config: ServerConfig, impatient: bool
) -> None:
    refused: list[ProtocolError] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"STARTTLS\n"
        try:
            reader, writer = await aio.start_tls(
                reader, writer, server_config, go_ahead=b"go ahead\n"
            )
        except ProtocolError as error:
            refused.append(error)
            return
        await echo(reader, writer)
        await close(writer)

    async def main() -> None:
        async with plain_serving(serve) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            client = QuickClient(client_config)
            writer.write(b"STARTTLS\n" + (client.hello if impatient else b""))
            if impatient:
                with suppress(ConnectionResetError):
                    assert await reader.read() == b""
                assert [error.fault_name for error in refused] == ["PLAINTEXT_BEFORE_TLS"]
            else:
                assert await reader.readline() == b"go ahead\n"
                writer.write(client.hello)
                assert await client.converse(reader, writer) == b"hello"
            await close(writer)

    run(main())


@pytest.mark.parametrize(("pending", "paused"), [(0, False), (0, True), (4 << 20, False)])
def test_with_the_go_ahead_nothing_is_taken_that_lay_in_the_kernel_before_it(
    client_config: ClientConfig, server_config: ServerConfig, pending: int, paused: bool
) -> None:
    """Whether the loop could read it meanwhile or not."""
    refused: list[ProtocolError] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"STARTTLS\n"
        if paused:
            cast(asyncio.ReadTransport, writer.transport).pause_reading()
        writer.transport.set_write_buffer_limits(high=2 * pending)
        writer.write(bytes(pending))
        time.sleep(0.1)
        try:
            await aio.start_tls(reader, writer, server_config, go_ahead=b"go ahead\n")
        except ProtocolError as error:
            refused.append(error)

    def inject(port: int) -> bytes:
        received = bytearray()
        with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
            sock.sendall(b"STARTTLS\n")
            time.sleep(0.05)
            sock.sendall(QuickClient(client_config).hello)
            with suppress(ConnectionResetError):
                while data := sock.recv(65536):
                    received += data
        return bytes(received)

    async def main() -> None:
        async with plain_serving(serve) as port:
            received = await asyncio.to_thread(inject, port)
        assert [error.fault_name for error in refused] == ["PLAINTEXT_BEFORE_TLS"]
        assert b"go ahead" not in received

    run(main())


def test_the_go_ahead_follows_what_was_written_before(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"STARTTLS\n"
        writer.transport.set_write_buffer_limits(high=16 << 20, low=1 << 20)
        writer.write(bytes(8 << 20))
        transport = writer.transport
        reader, writer = await aio.start_tls(reader, writer, server_config, go_ahead=b"go ahead\n")
        assert transport.get_write_buffer_limits() == (1 << 20, 16 << 20)
        await echo(reader, writer)
        await close(writer)

    async def main() -> None:
        async with plain_serving(serve) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"STARTTLS\n")
            await reader.readexactly(8 << 20)
            assert await reader.readline() == b"go ahead\n"
            client = QuickClient(client_config)
            writer.write(client.hello)
            assert await client.converse(reader, writer) == b"hello"
            await close(writer)

    run(main())


def test_a_client_refuses_what_lies_in_the_kernel_before_its_hello(
    client_config: ClientConfig,
) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            server, _ = listener.accept()
            with server:
                server.send(b"go ahead\n")
                assert await reader.readline() == b"go ahead\n"
                server.send(b"\x16\x03\x03\x00\x04")  # The loop has no turn before start_tls.
                with pytest.raises(ProtocolError) as error:
                    await aio.start_tls(reader, writer, client_config, server_name="localhost")
                assert error.value.fault_name == "PLAINTEXT_BEFORE_TLS"
                await close(writer)

    run(main())


JUNK = b"NOOP\r\n"
HELLO = b"\x16\x03\x01"

PLAINTEXTS: dict[str, tuple[bytes, dict[str, bytes], list[str], list[str]]] = {
    # What the other end has said, the arguments of a server, what is told, and what is not.
    "a client that has read one line of two": (
        b"220 go\r\n", {}, ["b'220 go", "has not read the whole answer", "all of its lines"],
        ["go_ahead", "received"],
    ),
    "a server whose client has sent more": (
        JUNK, {}, ["b'NOOP", "sent more than the command", "wait for the answer first"],
        ["go_ahead", "received"],
    ),
    "a server that has written the go-ahead itself": (
        HELLO, {"go_ahead": b"220 go\r\n"},
        ["a ClientHello", "this end, if it has written the go-ahead already", "(go_ahead=BYTES)"],
        ["received"],
    ),
    "a server with a go-ahead, whose client has sent more": (
        JUNK, {"go_ahead": b"220 go\r\n"}, ["b'NOOP", "came before the go-ahead was written"],
        ["ClientHello", "received"],
    ),
    "a server that passes on what is no TLS": (
        b"", {"received": JUNK}, ["b'NOOP", "passed on by this application", "(received=BYTES)"],
        ["go_ahead"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", PLAINTEXTS.values(), ids=PLAINTEXTS)
def test_unread_plaintext_is_told_as_what_it_is(
    client_config: ClientConfig,
    server_config: ServerConfig,
    case: tuple[bytes, dict[str, bytes], list[str], list[str]],
) -> None:
    said, arguments, told, untold = case
    is_server = arguments or said == JUNK

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            other, _ = listener.accept()
            with other:
                other.sendall(said)
                await asyncio.sleep(0.05)
                with pytest.raises(ProtocolError) as caught:
                    if is_server:
                        await aio.start_tls(reader, writer, server_config, **cast(Any, arguments))
                    else:
                        await aio.start_tls(reader, writer, client_config, server_name="localhost")
                await close(writer)
        error = caught.value
        # Neither end's implementation of TLS has said anything yet.
        assert (error.fault_name, error.blame) == ("PLAINTEXT_BEFORE_TLS", "unclear")
        assert error.alert == ""
        words = f"{error} {error.condition} {error.fix}"
        assert "somebody on the way" in words
        for each in told:
            assert each in words
        for each in [*untold, "implementation", "Application data"]:
            assert each not in words

    run(main())


def test_what_only_seems_to_be_tls_never_reaches_the_application(
    server_config: ServerConfig,
) -> None:
    failures: list[Exception] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"go ahead\n")
        try:
            await aio.start_tls(reader, writer, server_config)
        except TLSError as error:
            failures.append(error)

    async def main() -> None:
        async with plain_serving(serve) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"STARTTLS\n\x16\x03DELETE everything\n")
            with suppress(ConnectionResetError):
                await reader.read()
            await close(writer)
        assert len(failures) == 1

    run(main())


def test_start_tls_refuses_what_its_role_does_not_have(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def main() -> None:
        async with plain_serving(answer_nothing_and_close) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            wrong: list[tuple[Any, dict[str, Any]]] = [
                (client_config, {"go_ahead": b"220\r\n"}),
                (client_config, {"received": b"\x16"}),
                (server_config, {"go_ahead": b"220\r\n", "received": b"\x16"}),
                (server_config, {"close_timeout": -1}),
            ]
            for config, settings in wrong:
                with pytest.raises(ConfigurationError):
                    await aio.start_tls(reader, writer, config, **settings)
            assert not writer.is_closing()
            await close(writer)

    run(main())


def test_start_tls_where_it_cannot_begin(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def main() -> None:
        async with plain_serving(wait) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            reading = asyncio.ensure_future(reader.read(1))
            await asyncio.sleep(0)
            with pytest.raises(StateError, match="reads"):
                await aio.start_tls(reader, writer, client_config, server_name="localhost")
            reading.cancel()
            await asyncio.wait([reading])
            with pytest.raises(ConfigurationError, match="server_name"):
                await aio.start_tls(reader, writer, client_config)
            assert not writer.is_closing()
            await close(writer)
            with pytest.raises(ConfigurationError, match="closed"):
                await aio.start_tls(reader, writer, client_config, server_name="localhost")

    run(main())


def test_start_tls_that_fails_closes_the_connection(server_config: ServerConfig) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(PeerAlertError):
            await starttls_server(reader, writer, server_config)

    async def main() -> None:
        async with plain_serving(serve) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"STARTTLS\n")
            await reader.readline()
            stranger = ClientConfig(trust=Pki("another authority").trust)
            with pytest.raises(CertificateError):
                await aio.start_tls(reader, writer, stranger, server_name="localhost")
            assert writer.is_closing()

    run(main())


def test_the_plain_writer_cannot_feign_an_end_of_the_data(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await starttls_server(reader, writer, server_config)

    async def main() -> None:
        async with plain_serving(serve) as port:
            reader, plain = await asyncio.open_connection("127.0.0.1", port)
            plain.write(b"STARTTLS\n")
            await reader.readline()
            transport = plain.transport
            reader, writer = await aio.start_tls(
                reader, plain, client_config, server_name="localhost"
            )
            plain.close()
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            transport.close()
            with pytest.raises(TruncationError):
                await reader.read()
            with pytest.raises(TruncationError):
                await plain.wait_closed()
            await close(writer)

    run(main())


# Tracing and misuse


class CountingTrace:
    """What a recorder is asked to note, by name."""

    record_secrets = False

    def __init__(self) -> None:
        self.noted: list[str] = []

    def now(self) -> int:
        return 0

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_args: self.noted.append(name)


def test_each_connection_has_a_trace_of_its_own(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    made: list[CountingTrace] = []

    def make() -> Any:
        made.append(CountingTrace())
        return made[-1]

    async def main() -> None:
        async with serving(echo, server_config, make_trace=make) as port:
            for _ in range(2):
                mine: Any = CountingTrace()
                _, writer = await open_local(port, client_config, trace=mine)
                assert "settled" in mine.noted
                assert writer.get_extra_info("trace") is mine
                await close(writer)
        assert ["settled" in trace.noted for trace in made] == [True, True]

    run(main())


def test_only_bytes_can_be_written(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def main() -> None:
        async with serving(echo, server_config) as port:
            reader, writer = await open_local(port, client_config)
            with pytest.raises(TypeError, match="bytes-like"):
                writer.write("text")  # type: ignore[arg-type]
            writer.write(memoryview(b"12345678").cast("I"))
            assert await reader.readexactly(8) == b"12345678"
            await close(writer)

    run(main())


# The two adapters together


def test_a_blocking_client_and_an_asyncio_server(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    from handclasp.adapters.sockets import connect

    data = os.urandom(MEGABYTE)
    answers: list[bytes] = []

    def client(port: int) -> None:
        with connect("127.0.0.1", port, client_config, timeout=20) as tls:
            writer = threading.Thread(target=tls.sendall, args=(data,))
            writer.start()
            with tls.makefile("rb") as file:
                answers.append(file.read(len(data)))
            writer.join()

    async def main() -> None:
        async with serving(echo, server_config) as port:
            await asyncio.to_thread(client, port)
        assert answers == [data]

    run(main())
