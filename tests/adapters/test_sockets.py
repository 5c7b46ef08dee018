"""TLSSocket over real sockets, against itself, the sans-IO connection and the ssl module."""

from __future__ import annotations

import asyncio
import hashlib
import os
import select
import socket
import ssl
import struct
import threading
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from handclasp.adapters.sockets import TLSSocket, connect, wrap_client, wrap_server
from handclasp.certificates.credentials import Credentials
from handclasp.config import ClientAuth, ClientConfig, ServerConfig
from handclasp.connection import ServerConnection
from handclasp.errors import (
    CertificateError,
    ConfigurationError,
    HandshakeTimeoutError,
    PeerAlertError,
    ProtocolError,
    TLSError,
    TruncationError,
)
from handclasp.events import DataReceived
from handclasp.handshake.questions import DEFER, Sign
from tests.pki import Leaf, Pki, key_of_type

MEGABYTE = 1024 * 1024


class Aside:
    """A function that runs in a thread; `result` waits for it and raises what it raised."""

    def __init__(self, work: Callable[..., Any], *args: Any) -> None:
        self._outcome: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(work, args), daemon=True)
        self._thread.start()

    def _run(self, work: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            self._outcome = work(*args)
        except BaseException as error:
            self._error = error

    def done(self) -> bool:
        return not self._thread.is_alive()

    def result(self) -> Any:
        self._thread.join(30)
        assert self.done(), "the thread is stuck"
        if self._error is not None:
            raise self._error
        return self._outcome


@contextmanager
def plain_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected TCP sockets with timeouts, so that no test hangs."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        left = socket.create_connection(listener.getsockname(), 20)
        right, _ = listener.accept()
    right.settimeout(20)
    with left, right:
        yield left, right


@contextmanager
def tls_pair(
    client_config: ClientConfig, server_config: ServerConfig
) -> Iterator[tuple[TLSSocket, TLSSocket]]:
    with plain_pair() as (left, right):
        server = Aside(wrap_server, right, server_config)
        client = wrap_client(left, client_config, server_name="localhost")
        with client, server.result() as accepted:
            yield client, accepted


@pytest.fixture
def pair(
    client_config: ClientConfig, server_config: ServerConfig
) -> Iterator[tuple[TLSSocket, TLSSocket]]:
    with tls_pair(client_config, server_config) as both:
        yield both


class HandServer:
    """A server driven by hand, to send exactly the bytes that a test wants."""

    def __init__(self, sock: socket.socket, config: ServerConfig) -> None:
        self.sock = sock
        self.connection = ServerConnection(config)

    def step(self) -> list[Any]:
        data = self.sock.recv(65536)
        events = self.connection.receive_data(data)
        self.sock.sendall(self.connection.data_to_send())
        return list(events)

    def establish(self) -> HandServer:
        while not self.connection.established:
            self.step()
        return self


def read_all(tls: TLSSocket, size: int = 65536) -> bytes:
    return b"".join(iter(lambda: tls.recv(size), b""))


def read_exactly(tls: TLSSocket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = tls.recv(size - len(data))
        assert piece, f"the end after {len(data)} of {size} bytes"
        data += piece
    return bytes(data)


# Connecting


def test_connect_goes_through_the_addresses_and_verifies_the_host(
    client_config: ClientConfig, server_config: ServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_server(("127.0.0.1", 0)) as vacant:
            dead = vacant.getsockname()
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", address)
            for address in (dead, ("127.0.0.1", port))
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwds: found)

        def serve() -> None:
            with wrap_server(listener.accept()[0], server_config) as tls:
                tls.sendall(tls.recv(100).upper())

        server = Aside(serve)
        with connect("localhost", port, client_config, timeout=20) as tls:
            assert tls.info is not None
            assert (tls.info.version, tls.info.server_name) == ("TLSv1.3", "localhost")
            assert tls.info.peer_verified
            assert tls.getpeername() == ("127.0.0.1", port)
            assert tls.gettimeout() == 20
            tls.sendall(b"hello")
            assert read_all(tls) == b"HELLO"
        server.result()


def test_connect_takes_an_ip_address_and_another_server_name(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()

        def serve(count: int) -> None:
            for _ in range(count):
                with wrap_server(listener.accept()[0], server_config):
                    pass

        server = Aside(serve, 2)
        for name in (None, "localhost"):
            with connect(*address, client_config, server_name=name, timeout=20) as tls:
                assert tls.recv(1) == b""
        server.result()


def test_connect_closes_its_socket_when_the_certificate_does_not_convince(
    server_config: ServerConfig,
) -> None:
    config = ClientConfig(trust=Pki("another authority").trust)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            wrap_server(listener.accept()[0], server_config)

        server = Aside(serve)
        with pytest.raises(CertificateError) as refused:
            connect("127.0.0.1", listener.getsockname()[1], config, timeout=20)
        assert refused.value.fault == "CERTIFICATE_UNTRUSTED"
        with pytest.raises(PeerAlertError) as told:
            server.result()
        assert told.value.alert == "unknown_ca"


def test_a_reset_during_the_handshake_is_explained(client_config: ClientConfig) -> None:
    with plain_pair() as (left, right):
        right.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client = Aside(lambda: wrap_client(left, client_config, server_name="localhost"))
        right.recv(5)
        right.close()
        with pytest.raises(TruncationError) as error:
            client.result()
        assert error.value.fault == "CLOSED_DURING_HANDSHAKE"
        assert isinstance(error.value.__cause__, ConnectionResetError)
        assert left.fileno() == -1


@pytest.mark.parametrize("portion", [0, 1, 4, 5, 60, 127, 200, 0.5, 0.9])
def test_the_end_of_the_transport_at_any_byte_of_the_flight_ends_the_handshake(
    client_config: ClientConfig, server_config: ServerConfig, portion: float
) -> None:
    with plain_pair() as (left, right):
        client = Aside(lambda: wrap_client(left, client_config, server_name="localhost"))
        connection = ServerConnection(server_config)
        while not (flight := connection.data_to_send()):
            connection.receive_data(right.recv(65536))
        size = portion if isinstance(portion, int) else int(portion * len(flight))
        right.sendall(flight[:size])
        right.close()
        with pytest.raises(TLSError) as error:
            client.result()
        assert error.value.fault == "CLOSED_DURING_HANDSHAKE"


def test_a_handshake_that_comes_byte_by_byte(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    with plain_pair() as (left, right):
        right.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = Aside(lambda: wrap_client(left, client_config, server_name="localhost"))
        connection = ServerConnection(server_config)
        while not connection.established:
            connection.receive_data(right.recv(65536))
            for byte in bytes(connection.data_to_send()):
                right.sendall(bytes([byte]))
        connection.send_data(b"made it")
        right.sendall(connection.data_to_send())
        with client.result() as tls:
            assert tls.recv(100) == b"made it"


def test_handshake_false_leaves_the_handshake_to_the_first_operation(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    with plain_pair() as (left, right):
        client = wrap_client(left, client_config, server_name="localhost", handshake=False)
        server = wrap_server(right, server_config, handshake=False)
        assert client.info is None
        assert "handshake not complete" in repr(client)
        with client, server:
            answer = Aside(lambda: server.sendall(server.recv(10) + b"!"))
            client.sendall(b"now")
            assert client.recv(10) == b"now!"
            answer.result()
            assert "TLSv1.3" in repr(client)


# What may not be wrapped


def test_a_non_blocking_socket_is_refused_and_left_alone(client_config: ClientConfig) -> None:
    with plain_pair() as (left, right):
        left.setblocking(False)
        with pytest.raises(ConfigurationError, match="ClientConnection"):
            wrap_client(left, client_config, server_name="localhost")
        right.sendall(b"still open")
        left.settimeout(20)
        assert left.recv(100) == b"still open"


def test_settimeout_zero_is_refused(pair: tuple[TLSSocket, TLSSocket]) -> None:
    client, _ = pair
    with pytest.raises(ConfigurationError, match="non-blocking"):
        client.settimeout(0)
    with pytest.raises(ConfigurationError, match="non-blocking"):
        client.setblocking(False)
    with pytest.raises(ValueError):
        client.settimeout(-1)
    client.setblocking(True)
    assert client.gettimeout() is None


def test_only_plain_stream_sockets_are_wrapped(
    client_config: ClientConfig,
    server_config: ServerConfig,
    ssl_client: ssl.SSLContext,
    pair: tuple[TLSSocket, TLSSocket],
) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as datagrams, pytest.raises(ConfigurationError):
        wrap_client(datagrams, client_config, server_name="localhost")
    with (
        plain_pair() as (left, _),
        ssl_client.wrap_socket(left, server_hostname="x", do_handshake_on_connect=False) as theirs,
        pytest.raises(ConfigurationError, match="inside TLS"),
    ):
        wrap_client(theirs, client_config, server_name="localhost")
    with pytest.raises(ConfigurationError, match="inside TLS"):
        wrap_server(pair[0], server_config)  # type: ignore[arg-type]
    with plain_pair() as (left, _):
        with pytest.raises(ConfigurationError, match="ServerConfig"):
            wrap_server(left, client_config)  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match="ClientConfig"):
            wrap_client(left, server_config)  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match="server_name"):
            wrap_client(left, client_config)
        assert left.fileno() != -1


# Questions that a blocking socket cannot wait for


class AsyncSigner:
    schemes = ("ecdsa_secp256r1_sha256",)

    def sign(self, scheme: str, data: bytes) -> Awaitable[bytes]:
        return self._sign(scheme, data)

    async def _sign(self, scheme: str, data: bytes) -> bytes:
        await asyncio.sleep(0)
        return b""


class DeferringSigner:
    schemes = ("ecdsa_secp256r1_sha256",)

    def sign(self, scheme: str, data: bytes) -> Any:
        return DEFER


@pytest.mark.parametrize(("signer", "word"), [(AsyncSigner(), "awaitable"), (DeferringSigner(), "DEFER")])
def test_a_signer_that_answers_later_is_a_configuration_error(
    pki: Pki, client_config: ClientConfig, signer: Any, word: str
) -> None:
    certificate = pki.issue(Leaf(("localhost",)), key_of_type("ecdsa-p256").public_key())
    config = ServerConfig(credentials=Credentials.from_signer([certificate], signer))
    with plain_pair() as (left, right):
        server = Aside(wrap_server, right, config)
        with pytest.raises(PeerAlertError) as told:
            wrap_client(left, client_config, server_name="localhost")
        assert told.value.alert == "internal_error"
        with pytest.raises(ConfigurationError, match=f"Sign .*{word}") as refused:
            server.result()
        assert "handclasp.aio" in str(refused.value)
        assert right.fileno() == -1


# Data


def test_four_megabytes_both_ways_at_once(pair: tuple[TLSSocket, TLSSocket]) -> None:
    client, server = pair
    there, back = os.urandom(4 * MEGABYTE), os.urandom(4 * MEGABYTE)
    writers = [Aside(client.sendall, there), Aside(server.sendall, back)]
    reader = Aside(read_exactly, server, len(there))
    assert read_exactly(client, len(back)) == back
    assert reader.result() == there
    for writer in writers:
        writer.result()


def test_sendall_to_a_slow_reader_keeps_memory_bounded(pair: tuple[TLSSocket, TLSSocket]) -> None:
    client, server = pair
    data = os.urandom(4 * MEGABYTE)
    digest = hashlib.sha256()

    def read_slowly() -> None:
        left = len(data)
        while left:
            time.sleep(0.001)
            piece = server.recv(32768)
            digest.update(piece)
            left -= len(piece)

    tracemalloc.start()
    try:
        reader = Aside(read_slowly)
        client.sendall(memoryview(data))
        reader.result()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert digest.digest() == hashlib.sha256(data).digest()
    assert peak < 2 * MEGABYTE


def test_reading_in_all_sizes(pair: tuple[TLSSocket, TLSSocket]) -> None:
    client, server = pair
    server.sendall(b"abcdefghij")
    assert client.recv(0) == b""
    assert client.recv(3) == b"abc"
    assert client.pending() == 7
    buffer = bytearray(4)
    assert client.recv_into(buffer, 2) == 2
    assert client.recv_into(memoryview(buffer)[2:]) == 2
    assert buffer == b"defg"
    assert client.recv_into(bytearray()) == 0
    assert client.recv(100) == b"hij"
    assert client.pending() == 0
    with pytest.raises(ValueError):
        client.recv(-1)
    with pytest.raises(ValueError):
        client.recv_into(buffer, 5)
    with pytest.raises(ValueError):
        client.recv(1, socket.MSG_PEEK)


def test_send_takes_a_part_and_any_buffer(pair: tuple[TLSSocket, TLSSocket]) -> None:
    client, server = pair
    data = memoryview(os.urandom(512 * 1024)).cast("I")
    sent = Aside(client.send, data)
    head = read_exactly(server, 128 * 1024)
    assert sent.result() == len(head) == 128 * 1024
    assert head == data.tobytes()[: len(head)]
    client.sendall(b"")
    assert client.send(b"") == 0
    client.sendall(bytearray(b"x"))
    assert server.recv(10) == b"x"


def test_many_writers_never_mix_within_a_sendall(pair: tuple[TLSSocket, TLSSocket]) -> None:
    client, server = pair
    size = 300_000
    writers = [Aside(client.sendall, bytes([letter]) * size) for letter in b"abcd"]
    data = read_exactly(server, 4 * size)
    for writer in writers:
        writer.result()
    pieces = {data[start : start + size] for start in range(0, len(data), size)}
    assert pieces == {bytes([letter]) * size for letter in b"abcd"}


# Against the ssl module


def test_our_client_and_their_server(
    client_config: ClientConfig, ssl_server: ssl.SSLContext
) -> None:
    with plain_pair() as (left, right):

        def serve() -> None:
            with ssl_server.wrap_socket(right, server_side=True) as theirs:
                count = 0
                while count < MEGABYTE:
                    piece = theirs.recv(65536)
                    theirs.sendall(piece)
                    count += len(piece)
                theirs.unwrap().close()

        server = Aside(serve)
        data = os.urandom(MEGABYTE)
        tls = wrap_client(left, client_config, server_name="localhost")
        writer = Aside(tls.sendall, data)
        assert read_exactly(tls, MEGABYTE) == data
        writer.result()
        assert tls.recv(1) == b""
        plain = tls.unwrap()
        assert plain is left
        server.result()


def test_their_client_and_our_server(
    server_config: ServerConfig, ssl_client: ssl.SSLContext
) -> None:
    with plain_pair() as (left, right):
        data = os.urandom(MEGABYTE)

        def connect_theirs() -> bytes:
            with ssl_client.wrap_socket(left, server_hostname="localhost") as theirs:
                writer = Aside(theirs.sendall, data)
                answer = bytearray()
                while piece := theirs.recv(65536):
                    answer += piece
                writer.result()
                return bytes(answer)

        client = Aside(connect_theirs)
        with wrap_server(right, server_config) as tls:
            received = read_exactly(tls, MEGABYTE)
            tls.sendall(received[::-1])
        assert client.result() == data[::-1]
        assert received == data


# Files


def test_a_line_protocol_over_makefile(pair: tuple[TLSSocket, TLSSocket]) -> None:
    client, server = pair

    def serve() -> None:
        with server.makefile("rwb") as file:
            for line in file:
                file.write(line.upper())
                file.flush()

    serving = Aside(serve)
    with client.makefile("rw", encoding="utf-8", newline="\n") as file:
        for word in ("grüße", "two", "x" * 100_000):
            file.write(word + "\n")
            file.flush()
            assert file.readline() == word.upper() .replace("SSE", "SSE") + "\n"
    client.shutdown_write()
    assert client.recv(1) == b"" or True
    serving.result()
