"""The relay: bytes, ends and resets pass through as they came, in bounded memory."""

from __future__ import annotations

import asyncio
import hashlib
import random
import socket
import threading
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
from tests.capture.relaying import WAIT_SECONDS, RelayThread, plain_server, read_all, reset

from handclasp.capture import relay as relay_module
from handclasp.capture.proxy_head import ProxyRequest, ProxyRequestError, read_request
from handclasp.capture.relay import RECORDED_BYTES, Relayed, Route
from handclasp.capture.stream import Address
from handclasp.starttls import opening
from handclasp.starttls.dialogue import DialogueError

LOCAL = "127.0.0.1"
LARGE = random.Random(20).randbytes(8 * 1024 * 1024)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def echo(sock: socket.socket) -> None:
    """Send back everything once the client has ended its half."""
    data = read_all(sock)
    sock.sendall(data)


def greet(sock: socket.socket) -> None:
    sock.sendall(b"x")
    with suppress(ConnectionResetError):
        while sock.recv(1 << 16):
            pass


def test_a_large_transfer_and_a_half_close_pass_through() -> None:
    with (
        plain_server(echo) as port,
        RelayThread(Address(LOCAL, port)) as relay,
        relay.connect() as sock,
    ):
        sock.sendall(LARGE)
        sock.shutdown(socket.SHUT_WR)
        assert digest(read_all(sock)) == digest(LARGE)
    [relayed] = relay.ended
    assert relayed.relayed_bytes == [len(LARGE), len(LARGE)]
    stream = relayed.stream()
    recorded = b"".join(piece.data for piece in stream.pieces)
    assert 0.9 * relayed.limit < len(recorded) <= relayed.limit
    assert LARGE.startswith(recorded)
    assert "bytes after these were relayed" in stream.trouble
    assert stream.endings == ()


def test_what_is_recorded_has_its_sender_and_the_ends() -> None:
    with (
        plain_server(echo) as port,
        RelayThread(Address(LOCAL, port)) as relay,
        relay.connect() as sock,
    ):
        client = Address(*sock.getsockname())
        sock.sendall(b"hello")
        sock.shutdown(socket.SHUT_WR)
        read_all(sock)
    stream = relay.ended[0].stream()
    assert [(piece.sender, piece.data) for piece in stream.pieces] == [(0, b"hello"), (1, b"hello")]
    assert [(end.sender, end.how) for end in stream.endings] == [(0, "end"), (1, "end")]
    assert stream.ends == (client, Address(LOCAL, port))
    assert stream.trouble == ""
    assert [each.at_ns for each in stream.pieces] == sorted(each.at_ns for each in stream.pieces)
    assert stream.pieces[0].at_ns <= stream.endings[0].at_ns <= stream.endings[1].at_ns


def test_a_reset_of_the_client_reaches_the_server() -> None:
    seen: list[type[BaseException]] = []
    got_byte = threading.Event()

    def serve(sock: socket.socket) -> None:
        sock.recv(1)
        got_byte.set()
        try:
            sock.recv(1)
        except ConnectionResetError as error:
            seen.append(type(error))

    with plain_server(serve) as port, RelayThread(Address(LOCAL, port)) as relay:
        sock = relay.connect()
        sock.sendall(b"x")
        assert got_byte.wait(WAIT_SECONDS)
        reset(sock)
    assert seen == [ConnectionResetError]
    assert [(end.sender, end.how) for end in relay.ended[0].stream().endings] == [(0, "reset")]


def test_a_reset_of_the_server_reaches_the_client() -> None:
    def serve(sock: socket.socket) -> None:
        sock.recv(1)
        sock.sendall(b"last words")
        time.sleep(0.05)  # A reset overtakes what is not delivered yet, with or without a relay.
        reset(sock)

    with (
        plain_server(serve) as port,
        RelayThread(Address(LOCAL, port)) as relay,
        relay.connect() as sock,
    ):
        sock.sendall(b"x")
        assert sock.recv(100) == b"last words"
        with pytest.raises(ConnectionResetError):
            sock.recv(100)


def test_a_reset_after_a_half_close_reaches_the_server() -> None:
    seen: list[type[BaseException]] = []

    def serve(sock: socket.socket) -> None:
        assert read_all(sock) == b"x"
        deadline = time.monotonic() + WAIT_SECONDS
        try:
            while time.monotonic() < deadline:
                time.sleep(0.05)
                if error := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    raise OSError(error, "")
        except OSError as error:
            seen.append(type(error))

    with plain_server(serve) as port, RelayThread(Address(LOCAL, port)) as relay:
        sock = relay.connect()
        sock.sendall(b"x")
        sock.shutdown(socket.SHUT_WR)
        time.sleep(0.1)
        reset(sock)
    assert len(seen) == 1


def test_a_client_that_does_not_read_stops_the_server() -> None:
    sent = [0]

    def serve(sock: socket.socket) -> None:
        sock.settimeout(1)
        try:
            while sent[0] < 256 * 1024 * 1024:
                sent[0] += sock.send(bytes(1 << 16))
        except TimeoutError:
            return

    with (
        plain_server(serve) as port,
        RelayThread(Address(LOCAL, port)) as relay,
        relay.connect() as sock,
    ):
        sock.recv(1)
        time.sleep(2)
        assert sent[0] < 64 * 1024 * 1024  # What the kernel's buffers hold.
    assert relay.ended[0].stream().trouble


def test_a_server_that_cannot_be_reached_is_reported_and_the_client_reset() -> None:
    with socket.create_server((LOCAL, 0)) as gone:
        port = gone.getsockname()[1]
    # The reset may come while connect() still waits.
    with (
        RelayThread(Address(LOCAL, port)) as relay,
        pytest.raises(ConnectionResetError),
        relay.connect() as sock,
    ):
        sock.recv(1)
    assert isinstance(relay.ended[0].refusal, ConnectionRefusedError)


def test_a_tunnel_through_the_proxy() -> None:
    with plain_server(echo) as port, RelayThread(None) as relay, relay.connect() as sock:
        sock.sendall(f"CONNECT {LOCAL}:{port} HTTP/1.1\r\n\r\nfirst".encode())
        assert sock.recv(100) == b"HTTP/1.1 200 Connection established\r\n\r\n"
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == b"first"
    [relayed] = relay.ended
    assert relayed.target == Address(LOCAL, port)
    assert [piece.data for piece in relayed.stream().pieces] == [b"first", b"first"]


def test_a_page_through_the_proxy() -> None:
    heard: list[bytes] = []

    def serve(sock: socket.socket) -> None:
        heard.append(sock.recv(1000))
        sock.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with plain_server(serve) as port, RelayThread(None) as relay, relay.connect() as sock:
        sock.sendall(f"GET http://{LOCAL}:{port}/x HTTP/1.1\r\n\r\n".encode())
        assert read_all(sock).startswith(b"HTTP/1.1 204")
    host = f"Host: {LOCAL}:{port}\r\n".encode()
    assert heard == [b"GET /x HTTP/1.1\r\n" + host + b"Connection: close\r\n\r\n"]


def test_a_head_in_single_bytes_is_not_searched_over_and_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[int] = []

    def counted(data: bytes) -> ProxyRequest | None:
        read.append(len(data))
        return read_request(data)

    monkeypatch.setattr(relay_module, "read_request", counted)
    with plain_server(lambda sock: sock.sendall(b"x")) as port:
        head = f"CONNECT {LOCAL}:{port} HTTP/1.1\r\n\r\n".encode()
        with RelayThread(None) as relay, relay.connect() as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in head:
                sock.sendall(bytes([byte]))
                time.sleep(0.002)  # so that each is a read of its own
            assert sock.recv(100).startswith(b"HTTP/1.1 200")
    assert len(read) < 10


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x00\x05hello", b"400"),
        (b"CONNECT no-such-host.invalid:443 HTTP/1.1\r\n\r\n", b"502"),
    ],
)
def test_the_proxy_answers_what_it_cannot_do(request_bytes: bytes, status: bytes) -> None:
    with RelayThread(None) as relay, relay.connect() as sock:
        sock.sendall(request_bytes)
        assert read_all(sock).startswith(b"HTTP/1.1 " + status)
    assert relay.ended[0].refusal is not None


def test_a_client_that_leaves_the_proxy_is_reported() -> None:
    with RelayThread(None) as relay:
        relay.connect().close()
    assert isinstance(relay.ended[0].refusal, ProxyRequestError)


def test_a_dialogue_comes_before_the_bytes_of_the_client() -> None:
    def serve(sock: socket.socket) -> None:
        sock.sendall(b"+OK\r\n")
        assert sock.recv(100) == b"STLS\r\n"
        sock.sendall(b"+OK\r\n")
        sock.sendall(sock.recv(100))

    with plain_server(serve) as port:
        route = Route(Address(LOCAL, port), opening("pop3", LOCAL))
        with (
            RelayThread(Address("ignored", 1), route=lambda target: route) as relay,
            relay.connect() as sock,
        ):
            sock.sendall(b"hello")
            assert sock.recv(100) == b"hello"


def test_a_dialogue_that_fails_is_the_refusal() -> None:
    with plain_server(lambda sock: sock.sendall(b"-ERR busy\r\n")) as port:
        route = Route(Address(LOCAL, port), opening("pop3", LOCAL))
        with (
            RelayThread(Address("ignored", 1), route=lambda target: route) as relay,
            pytest.raises(ConnectionResetError),
            relay.connect() as sock,
        ):
            sock.recv(1)
    assert isinstance(relay.ended[0].refusal, DialogueError)


def test_what_is_open_when_the_relay_ends_is_reset_and_reported() -> None:
    with plain_server(greet) as port:
        with RelayThread(Address(LOCAL, port), patience=0.0) as relay:
            sock = relay.connect()
            assert sock.recv(1) == b"x"
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
        sock.close()
    assert len(relay.ended) == 1


@pytest.mark.parametrize("patience", [0.0, 0.1])
def test_reports_are_waited_for(patience: float) -> None:
    reported: list[int] = []

    async def report(relayed: Relayed) -> None:
        await asyncio.sleep(0.3)
        reported.append(relayed.number)

    with (
        plain_server(greet) as port,
        RelayThread(Address(LOCAL, port), ended=report, patience=patience) as relay,
    ):
        for _ in range(3):
            with relay.connect() as sock:
                assert sock.recv(1) == b"x"
    assert sorted(reported) == [1, 2, 3]


def test_a_connection_on_which_nothing_moves_is_reset() -> None:
    with (
        plain_server(greet) as port,
        RelayThread(Address(LOCAL, port), idle=0.5) as relay,
        relay.connect() as sock,
    ):
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
    stream = relay.ended[0].stream()
    assert "Nothing moved for 0.5 s" in stream.trouble
    assert stream.endings == ()  # Neither end did it.


def test_a_receiver_that_is_slow_is_not_idle() -> None:
    size = 4 * 1024 * 1024

    def serve(sock: socket.socket) -> None:
        sock.sendall(bytes(size))

    with (
        plain_server(serve) as port,
        RelayThread(Address(LOCAL, port), idle=1.0) as relay,
        relay.connect() as sock,
    ):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        got, until = 0, time.monotonic() + 2.5
        while part := sock.recv(16 * 1024):
            got += len(part)
            if time.monotonic() < until:
                time.sleep(0.02)
    assert got == size
    assert relay.ended[0].cut == ""


def test_a_silent_connection_is_not_cut_by_default() -> None:
    with (
        plain_server(greet) as port,
        RelayThread(Address(LOCAL, port)) as relay,
        relay.connect() as sock,
    ):
        time.sleep(1.2)
        assert sock.recv(1) == b"x"
        sock.sendall(b"x")
    assert relay.ended[0].cut == ""


def test_a_server_that_cannot_be_reached_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lookup(*about: object, **more: object) -> object:
        await asyncio.sleep(60)
        raise AssertionError

    monkeypatch.setattr(relay_module, "_REACH_SECONDS", 0.2)
    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", lookup)
    with RelayThread(None) as relay, relay.connect() as sock:
        sock.sendall(b"CONNECT slow.example:443 HTTP/1.1\r\n\r\n")
        answer = read_all(sock)
    assert answer.startswith(b"HTTP/1.1 502")
    assert b"there was no answer in 0.2 s" in answer
    assert "no answer" in str(relay.ended[0].refusal)


def recording(limit: int = RECORDED_BYTES) -> Relayed:
    return Relayed(1, 0, limit, None, (Address(LOCAL, 1), Address(LOCAL, 2)))


@pytest.mark.parametrize("limit", [16 * 1024, RECORDED_BYTES])
@pytest.mark.parametrize("senders", [1, 2], ids=["one end", "by turns"])
@pytest.mark.parametrize("size", [1, 40, 5000])
def test_a_record_takes_no_more_memory_than_its_limit(limit: int, senders: int, size: int) -> None:
    tracemalloc.start()
    try:
        relayed = recording(limit)
        before = tracemalloc.get_traced_memory()[0]
        for number in range(2 * limit // size):
            relayed.note(number % senders, bytes(size))
        stream = relayed.stream()
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert relayed.unrecorded
    assert stream.trouble
    assert used <= limit + 4096
    assert used > limit / 2


def test_a_handshake_in_single_bytes_is_recorded_whole() -> None:
    relayed = recording()
    sent = LARGE[:20_000]
    for byte in sent:
        relayed.note(0, bytes([byte]))
    relayed.note(1, b"answer")
    stream = relayed.stream()
    assert b"".join(piece.data for piece in stream.pieces) == sent + b"answer"
    assert stream.pieces[-1].sender == 1
    assert relayed.unrecorded == 0


def test_the_first_reads_have_times_of_their_own() -> None:
    relayed = recording()
    for _ in range(100):
        relayed.note(0, b"x")
    assert len(relayed.stream().pieces) == 100


def resident_kib() -> int:
    found = Path("/proc/self/status").read_text().partition("VmRSS:")[2]
    return int(found.split()[0])


@pytest.mark.long
def test_a_thousand_connections_at_once_in_bounded_memory() -> None:
    limit, count = 16 * 1024, 1000
    with plain_server(echo) as port, RelayThread(Address(LOCAL, port), limit=limit) as relay:
        before = resident_kib()
        socks = [relay.connect() for _ in range(count)]
        for sock in socks:
            sock.sendall(bytes(64 * 1024))
        for sock in socks:
            sock.shutdown(socket.SHUT_WR)
        for sock in socks:
            assert len(read_all(sock)) == 64 * 1024
            sock.close()
        used = resident_kib() - before
    assert len(relay.ended) == count
    # The server of this test holds 64 KiB of each besides, and a thread.
    assert used < count * (limit // 1024 + 64 + 64 + 48)
