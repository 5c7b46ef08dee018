"""TLSSocket over real sockets, against itself, the sans-IO connection and the ssl module."""

from __future__ import annotations

import asyncio
import hashlib
import os
import select
import socket
import ssl
import struct
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from tests.adapters.pairs import (
    MEGABYTE,
    Aside,
    HandServer,
    plain_pair,
    read_all,
    read_exactly,
    tls_pair,
)
from tests.pki import Leaf, Pki, key_of_type

from handclasp.adapters.sockets import TLSSocket, connect, wrap_client, wrap_server
from handclasp.certificates.credentials import Credentials
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
from handclasp.events import DataReceived, KeysUpdated
from handclasp.questions import DEFER
from handclasp.server import ServerConnection


@pytest.fixture
def pair(
    client_config: ClientConfig, server_config: ServerConfig
) -> Iterator[tuple[TLSSocket, TLSSocket]]:
    with tls_pair(client_config, server_config) as both:
        yield both


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
        host, port = listener.getsockname()

        def serve(count: int) -> None:
            for _ in range(count):
                with wrap_server(listener.accept()[0], server_config):
                    pass

        server = Aside(serve, 2)
        for name in (None, "localhost"):
            with connect(host, port, client_config, server_name=name, timeout=20) as tls:
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
        assert refused.value.fault_name == "CERTIFICATE_UNTRUSTED"
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
        assert error.value.fault_name == "RESET_DURING_HANDSHAKE"
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
        # The kernel resets what it closes with bytes unread, such as what our client says next.
        assert error.value.fault_name in ("CLOSED_DURING_HANDSHAKE", "RESET_DURING_HANDSHAKE")


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
        with pytest.raises(ConfigurationError, match="not complete"):
            _ = client.info
        assert "handshake not complete" in repr(client)
        with client, server:
            answer = Aside(lambda: server.sendall(server.recv(10) + b"!"))
            client.sendall(b"now")
            assert client.recv(10) == b"now!"
            answer.result()
            assert "TLSv1.3" in repr(client)


@pytest.mark.parametrize("use", ["do_handshake", "recv", "sendall", "wrap"])
@pytest.mark.parametrize("kind", ["handclasp", "ssl"])
def test_who_closes_the_socket_of_a_failed_handshake(
    server_config: ServerConfig, ssl_server: ssl.SSLContext, kind: str, use: str
) -> None:
    """As with `ssl`: the call that wraps, where it raises, and otherwise the program."""
    at_once = use == "wrap"

    def wrap(sock: socket.socket) -> Any:
        if kind == "handclasp":
            return wrap_server(sock, server_config, handshake=at_once)
        return ssl_server.wrap_socket(sock, server_side=True, do_handshake_on_connect=at_once)

    uses: dict[str, Callable[[Any], object]] = {
        "do_handshake": lambda tls: tls.do_handshake(),
        "recv": lambda tls: tls.recv(10),
        "sendall": lambda tls: tls.sendall(b"hello"),
    }
    with plain_pair() as (left, right):
        left.sendall(b"GET / HTTP/1.0\r\n\r\n")
        descriptor = right.fileno()
        if at_once:
            with pytest.raises(OSError):
                wrap(right)
            with pytest.raises(OSError, match="descriptor"):
                os.fstat(descriptor)
            return
        tls = wrap(right)
        if kind == "handclasp" or use == "do_handshake":
            # With `ssl` only do_handshake completes the handshake.
            with pytest.raises(OSError):
                uses[use](tls)
        assert tls.fileno() == descriptor
        if kind == "handclasp":
            assert "failed: PLAINTEXT_HTTP" in repr(tls)
        tls.close()
        assert tls.fileno() == -1
        if kind == "handclasp":
            assert "closed" in repr(tls)


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_one_direction_closes_and_the_other_goes_on(
    client_config: ClientConfig, server_config: ServerConfig, version: str
) -> None:
    """RFC 5246 section 7.2.1 lets a peer drop its data in TLS 1.2; this library's does not."""
    only = replace(client_config, versions=[version])
    with tls_pair(only, server_config) as (client, server):
        assert client.info.version == version
        client.sendall(b"question")
        client.shutdown_write()
        assert read_all(server) == b"question"
        server.sendall(b"answer")
        server.shutdown(socket.SHUT_WR)
        assert read_all(client) == b"answer"


def test_one_direction_closes_in_tls12_with_openssl(
    client_config: ClientConfig, ssl_server: ssl.SSLContext
) -> None:
    with plain_pair() as (left, right):
        other = Aside(lambda: ssl_server.wrap_socket(right, server_side=True))
        only = replace(client_config, versions=["TLSv1.2"])
        with wrap_client(left, only, server_name="localhost") as client, other.result() as server:
            client.shutdown_write()
            assert server.recv(10) == b""
            server.sendall(b"answer")
            assert client.recv(10) == b"answer"


# What may not be wrapped


def test_a_non_blocking_socket_needs_handshake_false_and_is_left_alone_without(
    client_config: ClientConfig,
) -> None:
    with plain_pair() as (left, right):
        left.setblocking(False)
        with pytest.raises(ConfigurationError, match="handshake=False"):
            wrap_client(left, client_config, server_name="localhost")
        right.sendall(b"still open")
        left.settimeout(20)
        assert left.recv(100) == b"still open"


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


@pytest.mark.parametrize(
    ("signer", "word"), [(AsyncSigner(), "awaitable"), (DeferringSigner(), "DEFER")]
)
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
        with tls.unwrap() as plain:
            assert type(plain) is socket.socket
            assert plain.gettimeout() == 20
        server.result()


def test_their_client_and_our_server(
    server_config: ServerConfig, ssl_client: ssl.SSLContext
) -> None:
    with plain_pair() as (left, right):
        data = os.urandom(MEGABYTE)

        def connect_theirs() -> bytes:
            with ssl_client.wrap_socket(left, server_hostname="localhost") as theirs:
                theirs.sendall(data)
                return b"".join(iter(lambda: theirs.recv(65536), b""))

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
            assert file.readline() == word.encode().upper().decode() + "\n"
    client.shutdown_write()
    serving.result()


def test_files_keep_the_socket_open_until_they_are_closed(
    pair: tuple[TLSSocket, TLSSocket],
) -> None:
    client, server = pair
    file = client.makefile("rb")
    client.close()
    assert client.fileno() != -1
    server.sendall(b"a line\n")
    assert file.readline() == b"a line\n"
    file.close()
    assert client.fileno() == -1
    assert server.recv(1) == b""
    with pytest.raises(OSError, match="closed"):
        client.recv(1)
    with pytest.raises(OSError, match="closed"):
        client.sendall(b"x")
    with pytest.raises(OSError, match="closed"):
        client.makefile()


def test_a_file_over_a_closed_socket_still_sees_truncation(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    with plain_pair() as (left, right):
        hand = Aside(lambda: HandServer(right, server_config).establish())
        client = wrap_client(left, client_config, server_name="localhost")
        hand.result()
        with client.makefile("rb") as file:
            client.close()
            right.close()
            with pytest.raises(TruncationError):
                file.read()


def test_makefile_modes(pair: tuple[TLSSocket, TLSSocket]) -> None:
    client, server = pair
    with pytest.raises(ValueError, match="mode"):
        client.makefile("a")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="binary"):
        client.makefile("r", buffering=0)
    with client.makefile("wb", buffering=0) as raw, server.makefile("rb", buffering=4) as file:
        assert (raw.writable(), raw.readable(), file.readable()) == (True, False, True)
        assert raw.fileno() == client.fileno()
        raw.write(b"unbuffered")
        assert file.read(10) == b"unbuffered"
        with pytest.raises(OSError):
            raw.read(1)
    server.settimeout(0.05)
    with server.makefile("rb") as file:
        with pytest.raises(TimeoutError):
            file.readline()
        with pytest.raises(OSError, match="timed out object"):
            file.readline()


# The end


@pytest.mark.parametrize("sends", [lambda tls: tls.sendall(b"late"), TLSSocket.update_keys])
def test_a_failure_of_this_side_while_sending_is_told_to_the_peer(
    client_config: ClientConfig, server_config: ServerConfig, sends: Callable[[TLSSocket], None]
) -> None:
    is_bad = False

    def padding(size: int) -> int:
        if is_bad:
            raise ValueError(size)
        return 0

    config = replace(client_config, record_padding=padding)
    with tls_pair(config, server_config) as (client, server):
        is_bad = True
        with pytest.raises(ProtocolError, match="record_padding"):
            sends(client)
        with pytest.raises(PeerAlertError, match="internal_error"):
            server.recv(1)


def test_half_close_leaves_the_other_half_open(pair: tuple[TLSSocket, TLSSocket]) -> None:
    client, server = pair
    client.sendall(b"question")
    client.shutdown(socket.SHUT_WR)
    client.shutdown_write()
    assert read_all(server) == b"question"
    server.sendall(b"answer")
    server.close()
    assert read_all(client) == b"answer"
    assert client.recv(1) == b""
    with pytest.raises(ConfigurationError, match="closed"):
        client.sendall(b"more")


def test_shutdown_of_other_halves(pair: tuple[TLSSocket, TLSSocket]) -> None:
    client, server = pair
    with pytest.raises(ConfigurationError):
        client.shutdown(socket.SHUT_RD)
    with pytest.raises(ValueError):
        client.shutdown(17)
    reader = Aside(client.recv, 10)
    client.shutdown(socket.SHUT_RDWR)
    assert reader.result() == b""
    assert server.recv(1) == b""


def test_the_end_of_the_transport_is_not_the_end_of_the_data(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    for allow, ending in ((False, pytest.raises(TruncationError)), (True, None)):
        with plain_pair() as (left, right):
            config = ClientConfig(trust=client_config.trust, allow_truncation=allow)
            hand = Aside(lambda: HandServer(right, server_config).establish())
            tls = wrap_client(left, config, server_name="localhost")
            connection = hand.result().connection
            connection.send_data(b"some of it")
            right.sendall(connection.data_to_send())
            right.close()
            assert read_exactly(tls, 10) == b"some of it"
            for _ in range(2):
                if ending is None:
                    assert tls.recv(10) == b""
                else:
                    with ending as error:
                        tls.recv(10)
                    assert error.value.fault_name == "TRUNCATED"
            tls.close()


def test_leaving_the_block_by_an_exception_does_not_feign_an_orderly_end(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    with tls_pair(client_config, server_config) as (client, server):
        with pytest.raises(ZeroDivisionError), client:
            client.sendall(b"half a mess")
            raise ZeroDivisionError
        assert read_exactly(server, 11) == b"half a mess"
        with pytest.raises(TruncationError):
            server.recv(1)


def test_unwrap_ends_tls_on_both_sides_and_the_plain_socket_lives_on(
    pair: tuple[TLSSocket, TLSSocket],
) -> None:
    client, server = pair
    client.settimeout(15)
    other = Aside(server.unwrap)
    with client.unwrap() as plain, other.result() as peer:
        assert plain.gettimeout() == 15
        assert (client.fileno(), "closed" in repr(client)) == (-1, True)
        plain.sendall(b"in the clear")
        assert peer.recv(100) == b"in the clear"
        client.close()
        peer.sendall(b"close() of the spent TLSSocket has not touched it")
        assert plain.recv(100).startswith(b"close()")
    with pytest.raises(OSError, match="closed"):
        client.recv(1)


def test_unwrap_takes_nothing_of_what_follows_close_notify(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    with plain_pair() as (left, right):
        hand = Aside(lambda: HandServer(right, server_config).establish())
        client = wrap_client(left, client_config, server_name="localhost")
        connection = hand.result().connection
        connection.close()
        unwrapping = Aside(client.unwrap)
        connection.receive_data(right.recv(100))
        right.sendall(bytes(connection.data_to_send()) + b"PLAIN")
        with unwrapping.result() as plain:
            assert plain.recv(100) == b"PLAIN"


class Counting(socket.socket):
    """Counts how often it is read from."""

    reads = 0

    def recv_into(self, *args: Any) -> int:
        self.reads += 1
        return super().recv_into(*args)


def test_unwrap_reads_records_and_not_bytes(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    with plain_pair() as (left, right), Counting(fileno=left.detach()) as sock:
        sock.settimeout(20)
        accepted = Aside(wrap_server, right, server_config)
        client = wrap_client(sock, client_config, server_name="localhost")
        with accepted.result() as server:
            data = os.urandom(16384)
            server.sendall(data)
            sock.reads = 0
            with pytest.raises(StateError, match="unread"):
                client.unwrap()
            assert sock.reads < 20  # They wait for a part of the record here and there.
            assert read_exactly(client, len(data)) == data
            client.close()


def test_unwrap_does_not_lose_unread_data(pair: tuple[TLSSocket, TLSSocket]) -> None:
    client, server = pair
    server.sendall(b"buffered ")
    assert client.recv(1) == b"b"
    with pytest.raises(ConfigurationError, match="8 bytes unread"):
        client.unwrap()
    server.sendall(b"late")
    assert read_exactly(client, 8) == b"uffered "
    with pytest.raises(ConfigurationError, match="unread"):
        client.unwrap()
    assert read_exactly(client, 4) == b"late"
    server.shutdown_write()
    assert client.recv(1) == b""
    with client.unwrap() as plain:
        assert plain.fileno() != -1


def test_close_wakes_a_reader_in_another_thread(pair: tuple[TLSSocket, TLSSocket]) -> None:
    client, server = pair
    reader = Aside(client.recv, 1)
    time.sleep(0.05)
    client.close()
    with pytest.raises(OSError, match="closed"):
        reader.result()
    assert server.recv(1) == b""


def test_close_does_not_let_unread_bytes_destroy_what_was_sent(
    pair: tuple[TLSSocket, TLSSocket],
) -> None:
    client, server = pair
    server.sendall(b"never read")
    client.sendall(b"last words")
    select.select([client.fileno()], [], [], 20)
    client.close()
    assert read_all(server) == b"last words"


# Alerts


def test_the_alert_that_comes_after_the_clients_handshake(
    pki: Pki, client_config: ClientConfig
) -> None:
    config = ServerConfig(
        credentials=pki.server("localhost"), client_auth=ClientAuth.REQUIRED, trust=pki.trust
    )
    for operation in ("recv", "sendall"):
        with plain_pair() as (left, right):
            server = Aside(wrap_server, right, config)
            with wrap_client(left, client_config, server_name="localhost") as client:
                with pytest.raises(ProtocolError) as found:
                    server.result()
                assert found.value.fault_name == "CLIENT_CERTIFICATE_MISSING"
                with pytest.raises(PeerAlertError) as told:
                    if operation == "recv":
                        client.recv(1)
                    while True:  # until the kernel has noticed that the peer is gone
                        client.sendall(b"x" * 1000)
                assert told.value.alert == "certificate_required"
                with pytest.raises(PeerAlertError):
                    client.recv(1)
                with pytest.raises(PeerAlertError):
                    client.sendall(b"x")


def test_a_broken_record_is_refused_with_an_alert(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    with plain_pair() as (left, right):
        hand = Aside(lambda: HandServer(right, server_config).establish())
        client = wrap_client(left, client_config, server_name="localhost")
        connection = hand.result().connection
        connection.send_data(b"fine")
        good = bytes(connection.data_to_send())
        right.sendall(good + b"\x17\x03\x03\x00\x20" + bytes(32))
        assert client.recv(100) == b"fine"
        with pytest.raises(ProtocolError) as error:
            client.recv(100)
        assert error.value.alert == "bad_record_mac"
        with pytest.raises(PeerAlertError):
            connection.receive_data(right.recv(100))
        with pytest.raises(ProtocolError):
            client.sendall(b"x")
        client.close()


# Time


def test_a_silent_server_runs_into_the_handshake_timeout(pki: Pki) -> None:
    config = ClientConfig(trust=pki.trust, handshake_timeout=0.2)
    with plain_pair() as (left, right):
        started = time.monotonic()
        with pytest.raises(HandshakeTimeoutError) as error:
            wrap_client(left, config, server_name="localhost")
        assert 0.15 < time.monotonic() - started < 5
        assert isinstance(error.value, TimeoutError)
        assert left.fileno() == -1
        sent = b"".join(iter(lambda: right.recv(65536), b""))
        assert sent.endswith(b"\x15\x03\x03\x00\x02\x02\x5a")  # user_canceled


def test_a_dribbling_server_does_not_stretch_the_handshake_timeout(
    pki: Pki, server_config: ServerConfig
) -> None:
    config = ClientConfig(trust=pki.trust, handshake_timeout=0.4)
    with plain_pair() as (left, right):
        client = Aside(lambda: wrap_client(left, config, server_name="localhost"))
        connection = ServerConnection(server_config)
        while not (flight := connection.data_to_send()):
            connection.receive_data(right.recv(65536))
        started = time.monotonic()
        for byte in bytes(flight):
            if client.done():
                break
            right.sendall(bytes([byte]))
            time.sleep(0.02)
        with pytest.raises(HandshakeTimeoutError):
            client.result()
        assert time.monotonic() - started < 5


def test_the_socket_timeout_bounds_the_handshake_too(client_config: ClientConfig) -> None:
    with plain_pair() as (left, _):
        left.settimeout(0.1)
        with pytest.raises(HandshakeTimeoutError):
            wrap_client(left, client_config, server_name="localhost")


def test_reading_goes_on_after_a_timeout_in_the_middle_of_a_record(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    with plain_pair() as (left, right):
        hand = Aside(lambda: HandServer(right, server_config).establish())
        client = wrap_client(left, client_config, server_name="localhost")
        connection = hand.result().connection
        connection.send_data(b"whole")
        record = bytes(connection.data_to_send())
        client.settimeout(0.05)
        for cut in (record[:3], record[3:20]):
            right.sendall(cut)
            with pytest.raises(TimeoutError):
                client.recv(100)
        right.sendall(record[20:])
        client.settimeout(20)
        assert client.recv(100) == b"whole"
        client.close()


def test_nothing_can_be_sent_after_a_send_that_timed_out(
    pair: tuple[TLSSocket, TLSSocket],
) -> None:
    client, server = pair
    client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.sendall(bytes(64 * MEGABYTE))
    with pytest.raises(BrokenPipeError, match="earlier send"):
        client.sendall(b"x")
    with pytest.raises(BrokenPipeError, match="earlier send"):
        client.update_keys()
    server.sendall(b"the other way still works")
    assert client.recv(100) == b"the other way still works"
    client.close()
    with pytest.raises(TruncationError):
        while server.recv(65536):
            pass


# Key updates


def test_key_updates_under_load_from_both_sides(pair: tuple[TLSSocket, TLSSocket]) -> None:
    client, server = pair
    size, pieces = 40_000, 50
    there, back = os.urandom(size), os.urandom(size)

    def write(tls: TLSSocket, data: bytes, request: bool) -> None:
        for number in range(pieces):
            tls.sendall(data)
            if number % 3 == 0:
                tls.update_keys(request_peer=request or number % 2 == 0)

    writers = [Aside(write, client, there, True), Aside(write, server, back, False)]
    reader = Aside(read_exactly, server, size * pieces)
    assert read_exactly(client, size * pieces) == back * pieces
    assert reader.result() == there * pieces
    for writer in writers:
        writer.result()


def test_a_reader_that_owes_a_key_update_never_waits_for_the_peer_to_read(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    with plain_pair() as (left, right):
        hand = Aside(lambda: HandServer(right, server_config).establish())
        client = wrap_client(left, client_config, server_name="localhost")
        connection = hand.result().connection

        stuffing = bytes(16 * MEGABYTE)
        writer = Aside(client.sendall, stuffing)
        wait_until_full(client)
        # The server does not read, and asks for new keys with each piece that it sends.
        for _ in range(100):
            connection.update_keys(request_peer=True)
            connection.send_data(b"x" * 10)
            right.sendall(connection.data_to_send())
            assert read_exactly(client, 10) == b"x" * 10
        assert not writer.done()

        connection.close()
        received, updates = 0, 0
        while received < len(stuffing):
            for event in connection.receive_data(right.recv(MEGABYTE)):
                if isinstance(event, DataReceived):
                    received += len(event.data)
                else:
                    updates += 1
        assert received == len(stuffing)
        assert 1 <= updates <= 100
        writer.result()
        client.close()


class StuffedSocket(socket.socket):
    """A socket that takes nothing more while `is_full`, to the last byte."""

    is_full = False

    def send(self, *args: Any) -> int:
        if self.is_full:
            raise BlockingIOError
        return super().send(*args)


@contextmanager
def client_with_full_buffer(
    client_config: ClientConfig, server_config: ServerConfig
) -> Iterator[tuple[TLSSocket, StuffedSocket, ServerConnection, socket.socket]]:
    """A client whose socket is full after the handshake, and the server, driven by hand."""
    with plain_pair() as (left, right), StuffedSocket(fileno=left.detach()) as sock:
        hand = Aside(lambda: HandServer(right, server_config).establish())
        sock.settimeout(20)
        client = wrap_client(sock, client_config, server_name="localhost")
        connection = hand.result().connection
        sock.is_full = True
        yield client, sock, connection, right


def test_what_a_reader_owes_leaves_as_soon_as_the_peer_reads(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    """No writer is at work here that would take the answer along."""
    with client_with_full_buffer(client_config, server_config) as (client, sock, connection, right):
        for _ in range(50):
            connection.update_keys(request_peer=True)
            connection.send_data(b"x")
            right.sendall(connection.data_to_send())
            assert client.recv(10) == b"x"

        reader = Aside(client.recv, 10)
        time.sleep(0.02)
        sock.is_full = False
        updates = 0
        right.settimeout(0.5)
        with pytest.raises(TimeoutError):
            while events := connection.receive_data(right.recv(MEGABYTE)):
                updates += len(events)
        assert 1 <= updates <= 2, "one answer for what came while it could not leave"
        connection.send_data(b"done")
        right.sendall(connection.data_to_send())
        assert reader.result() == b"done"
        client.close()


def test_what_a_reader_owes_leaves_with_the_next_read(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    """The reader need not wait for it: there is always more to read."""
    with client_with_full_buffer(client_config, server_config) as (client, sock, connection, right):
        connection.update_keys(request_peer=True)
        for data in (b"one", b"two"):
            connection.send_data(data)
            right.sendall(connection.data_to_send())
            select.select([sock], [], [], 20)
            assert client.recv(10) == data
            sock.is_full = False
        assert connection.receive_data(right.recv(MEGABYTE)) == [KeysUpdated()]
        client.close()


def wait_writable(sock: socket.socket | TLSSocket) -> bool:
    return bool(select.select([], [sock], [], 0)[1])


def wait_until_full(sock: socket.socket | TLSSocket) -> None:
    deadline = time.monotonic() + 10
    full = 0
    while full < 10 and time.monotonic() < deadline:
        full = 0 if wait_writable(sock) else full + 1
        time.sleep(0.005)
    assert full, "the transport never filled up"


# The rest of the surface


def test_both_ends_export_the_same(pair: tuple[TLSSocket, TLSSocket]) -> None:
    client, server = pair
    label = "EXPORTER-test"
    ours = client.export_keying_material(label, b"context", 40)
    assert ours == server.export_keying_material(label, b"context", 40)
    assert len(ours) == 40
    assert client.channel_binding() == server.channel_binding("tls-exporter")
    end_point = client.channel_binding("tls-server-end-point")
    assert end_point == server.channel_binding("tls-server-end-point")


def test_socket_options_and_addresses(pair: tuple[TLSSocket, TLSSocket]) -> None:
    client, server = pair
    client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    assert client.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert client.getsockname() == server.getpeername()
    assert client.getblocking()
    assert "TLS_AES" in repr(client)
    assert client.connection.established


def test_a_callback_that_fails_is_chained(client_config: ClientConfig) -> None:
    def refuse(question: Any) -> Any:
        raise LookupError("no such key")

    config = ServerConfig(choose_credentials=refuse)
    with plain_pair() as (left, right):
        server = Aside(wrap_server, right, config)
        with pytest.raises(PeerAlertError):
            wrap_client(left, client_config, server_name="localhost")
        with pytest.raises(ProtocolError) as error:
            server.result()
        assert error.value.fault_name == "CALLBACK_FAILED"
        assert isinstance(error.value.__cause__, LookupError)
