"""What programs of `ssl` rely on without saying so; each was seen to break one of them."""

from __future__ import annotations

import copy
import errno
import gc
import os
import pickle
import select
import socket
import ssl
import threading
import weakref
from collections.abc import Callable, Generator
from contextlib import nullcontext, suppress
from typing import Any

import pytest
from tests.compat.pairs import (
    SSL_TAKES_AN_EOF_FOR_A_CLOSE,
    Bios,
    Files,
    client_context,
    server_context,
)

from handclasp.compat import create_default_context

KINDS = pytest.mark.parametrize("kind", ["ssl", "handclasp"])
"""The standard library does each of these as well."""


class Connected:
    """Two connected sockets after the handshake."""

    def __init__(self, server: ssl.SSLContext, client: ssl.SSLContext) -> None:
        ends = socket.socketpair()
        for each in ends:
            each.settimeout(20)
        made: list[ssl.SSLSocket] = []
        thread = threading.Thread(
            target=lambda: made.append(server.wrap_socket(ends[0], server_side=True))
        )
        thread.start()
        self.client = client.wrap_socket(ends[1], server_hostname="localhost")
        thread.join()
        self.server = made[0]

    def close(self) -> None:
        self.client.close()
        self.server.close()


@pytest.fixture
def pair(files: Files, kind: str) -> Generator[Connected]:
    made = Connected(server_context(kind, files), client_context("ssl", files))
    # The tickets are out of the way.
    made.server.sendall(b"ready")
    assert made.client.recv(5) == b"ready"
    yield made
    made.close()


@KINDS
def test_select_sees_what_was_not_read(pair: Connected) -> None:
    pair.client.sendall(b"one")
    pair.client.sendall(b"two")
    assert pair.server.recv(1000) == b"one"
    assert pair.server.pending() == 0
    assert select.select([pair.server], [], [], 5)[0]
    assert pair.server.recv(1000) == b"two"


@KINDS
def test_select_sees_the_end(pair: Connected) -> None:
    pair.client.sendall(b"last")
    with suppress(ssl.SSLError), suppress(TimeoutError):
        pair.client.settimeout(0.05)
        pair.client.unwrap()
    assert pair.server.recv(1000) == b"last"
    assert select.select([pair.server], [], [], 5)[0]
    assert pair.server.recv(1000) == b""


@KINDS
def test_part_of_a_record_is_pending(pair: Connected) -> None:
    pair.client.sendall(b"abcdef")
    assert pair.server.recv(2) == b"ab"
    assert pair.server.pending() == 4
    buffer = bytearray(3)
    assert pair.server.recv_into(buffer) == 3
    assert buffer == b"cde"
    assert pair.server.read(100) == b"f"


@KINDS
def test_one_thread_reads_while_another_writes(pair: Connected) -> None:
    """A lock that is held while waiting in `recv` would make the write wait for ever."""
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pair.server.recv(100)))
    reader.start()
    pair.server.sendall(b"question")
    assert pair.client.recv(100) == b"question"
    pair.client.sendall(b"answer")
    reader.join(20)
    assert received == [b"answer"]


def test_the_handshake_of_a_reader_is_complete_before_it_has_read(files: Files) -> None:
    """What else waits for the handshake must not wait for data as well."""
    server, client = server_context("handclasp", files), client_context("ssl", files)
    ends = socket.socketpair()
    for each in ends:
        each.settimeout(20)
    sock = server.wrap_socket(ends[0], server_side=True, do_handshake_on_connect=False)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(sock.recv(100)))
    reader.start()
    with client.wrap_socket(ends[1], server_hostname="localhost") as peer:
        others = [
            threading.Thread(target=call)
            for call in (sock.do_handshake, lambda: sock.sendall(b"question"))
        ]
        for other in others:
            other.start()
        for other in others:
            other.join(10)
        assert not any(other.is_alive() for other in others)
        assert peer.recv(100) == b"question"
        peer.sendall(b"answer")
        reader.join(20)
    assert received == [b"answer"]
    sock.close()


def test_unwrap_ends_the_read_of_another_thread(files: Files) -> None:
    """It must say that it has finished before it waits for its turn to read."""
    made = Connected(server_context("handclasp", files), client_context("ssl", files))
    reader = threading.Thread(target=lambda: suppressed(made.server.recv))
    reader.start()
    ending = threading.Thread(target=lambda: suppressed(made.server.unwrap))
    ending.start()
    assert made.client.recv(100) == b""
    made.client.unwrap()
    for each in (reader, ending):
        each.join(10)
    assert not reader.is_alive()
    assert not ending.is_alive()
    made.close()


def test_what_is_sent_while_it_closes_is_not_in_the_clear(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As another thread may do it; `ssl` has then forgotten the connection already."""
    made = Connected(server_context("handclasp", files), client_context("ssl", files))
    close = socket.socket._real_close  # type: ignore[attr-defined]

    def send_first(sock: Any, *arguments: Any) -> None:
        if sock.fileno() >= 0:
            sock.send(b"secret")
        close(sock, *arguments)

    monkeypatch.setattr(socket.socket, "_real_close", send_first)
    made.server.close()
    monkeypatch.undo()
    assert made.client.recv(100) == b"secret"
    with pytest.raises(OSError, match="Bad file descriptor"):
        made.server.send(b"secret")
    made.client.close()


@pytest.mark.parametrize("how", [socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR])
def test_what_is_sent_after_a_shutdown_is_not_in_the_clear(files: Files, how: int) -> None:
    made = Connected(server_context("handclasp", files), client_context("ssl", files))
    made.server.shutdown(how)
    if how == socket.SHUT_RD:
        made.server.sendall(b"secret")
        assert made.client.recv(100) == b"secret"
    else:
        with pytest.raises(BrokenPipeError):
            made.server.sendall(b"secret")
    made.close()


def test_what_is_sent_during_a_shutdown_is_not_in_the_clear(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Connected(server_context("handclasp", files), client_context("ssl", files))
    shut = socket.socket.shutdown

    def send_first(sock: Any, how: int) -> None:
        sock.send(b"secret")
        shut(sock, how)

    monkeypatch.setattr(socket.socket, "shutdown", send_first)
    made.server.shutdown(socket.SHUT_WR)
    monkeypatch.undo()
    assert made.client.recv(100) == b"secret"
    made.close()


def suppressed(call: Callable[[], object]) -> None:
    with suppress(ssl.SSLZeroReturnError):
        call()


@KINDS
def test_plaintext_after_unwrap(pair: Connected) -> None:
    """ftplib's CCC: what follows close_notify belongs to the plain socket."""
    plain: list[Any] = []
    thread = threading.Thread(target=lambda: plain.append(pair.server.unwrap()))
    thread.start()
    sock = pair.client.unwrap()
    sock.send(b"in the clear")
    thread.join(20)
    assert plain[0].recv(100) == b"in the clear"


@KINDS
def test_a_socket_that_does_not_block(pair: Connected) -> None:
    pair.server.setblocking(False)
    with pytest.raises(ssl.SSLWantReadError):
        pair.server.recv(1)
    data, sent = bytes(range(256)) * 4096, 0
    with pytest.raises(ssl.SSLWantWriteError):
        while True:
            sent += pair.server.send(data[sent:])
    received = bytearray()
    pair.client.settimeout(0.05)
    while sent < len(data) or len(received) < len(data):
        with suppress(TimeoutError):
            received += pair.client.recv(65536)
        with suppress(ssl.SSLWantWriteError):
            if sent < len(data):
                # The record that was sealed before counts, and leaves only once.
                sent += pair.server.send(data[sent:])
    assert received == data


@KINDS
def test_timeouts(pair: Connected) -> None:
    pair.server.settimeout(0.05)
    with pytest.raises(TimeoutError, match="timed out"):
        pair.server.recv(1)
    pair.client.sendall(b"later")
    assert pair.server.recv(9) == b"later"
    with pytest.raises(TimeoutError, match="timed out"):
        pair.server.sendall(bytes(10_000_000))


@KINDS
def test_a_handshake_times_out_as_a_whole(files: Files, kind: str) -> None:
    ours, other = socket.socketpair()
    with ours, other:
        ours.settimeout(0.1)
        with pytest.raises(TimeoutError, match="handshake operation timed out"):
            client_context(kind, files).wrap_socket(ours, server_hostname="localhost")


@KINDS
@pytest.mark.parametrize("suppresses", [True, False])
def test_an_end_without_close_notify(files: Files, kind: str, suppresses: bool) -> None:
    pair = Connected(server_context("ssl", files), client_context(kind, files))
    client: Any = pair.client
    client.suppress_ragged_eofs = suppresses
    pair.server.sendall(b"x")
    assert client.recv(9) == b"x"
    pair.server.close()
    if suppresses or (kind == "ssl" and SSL_TAKES_AN_EOF_FOR_A_CLOSE):
        assert client.recv(9) == b""
    else:
        with pytest.raises(ssl.SSLEOFError) as caught:
            client.recv(9)
        assert caught.value.args[0] == ssl.SSL_ERROR_EOF
    pair.close()


@KINDS
def test_a_client_that_is_gone_before_its_tickets(files: Files, kind: str) -> None:
    ends = socket.socketpair()
    client = client_context("ssl", files)

    def visit() -> None:
        client.wrap_socket(ends[1], server_hostname="localhost").close()

    thread = threading.Thread(target=visit)
    thread.start()
    with server_context(kind, files).wrap_socket(ends[0], server_side=True) as sock:
        thread.join()
        with suppress(ConnectionResetError):
            assert sock.recv(9) == b""


@KINDS
def test_a_read_of_the_wrong_kind_loses_nothing(pair: Connected) -> None:
    pair.client.sendall(b"kept")
    wrong: Any
    for wrong in (2.5, "4"):
        with pytest.raises(TypeError):
            pair.server.recv(wrong)
    with pytest.raises(TypeError):
        pair.server.recv_into(b"read-only")
    assert pair.server.recv(9) == b"kept"


@KINDS
def test_values_of_the_wrong_kind(pair: Connected, files: Files, kind: str) -> None:
    """The client is of `ssl`, and the exceptions are those of `ssl` on either end."""
    wrong: Any
    for wrong in (memoryview(bytes(9))[::2], memoryview(bytes(9))[::-1]):
        with pytest.raises(BufferError):
            pair.server.send(wrong)
    for wrong in ("text", 3, None):
        with pytest.raises(TypeError):
            pair.server.send(wrong)
    for wrong in (3, None, b"tls-unique", []):
        with pytest.raises(TypeError):
            pair.server.get_channel_binding(wrong)
    with pytest.raises(ValueError, match="not implemented"):
        pair.server.get_channel_binding("unknown")
    context = server_context(kind, files)
    for setting in ("verify_flags", "num_tickets"):
        for wrong in ("x", "0", 1.5, None, b"0"):
            with pytest.raises(TypeError):
                setattr(context, setting, wrong)
    assert pair.server.send(memoryview(b"sentence").cast("B", (2, 4))) == 8
    assert pair.client.recv(9) == b"sentence"


@KINDS
def test_plaintext_in_mid_connection_is_refused_at_once(pair: Connected) -> None:
    """Its length would be 8239 bytes; nobody waits for them."""
    os.write(pair.client.fileno(), b"GET / HTTP/1.1\r\n\r\n")
    pair.server.settimeout(5)
    with pytest.raises(ssl.SSLError):
        pair.server.recv(9)


@KINDS
def test_plaintext_in_a_bio_is_refused_at_once(files: Files, kind: str) -> None:
    pair = Bios(server_context(kind, files), client_context("ssl", files)).handshake()
    pair.to_server.write(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(ssl.SSLError) as caught:
        pair.server.read(9)
    assert not isinstance(caught.value, ssl.SSLWantReadError)


@pytest.mark.parametrize("trusts", [True, False])
def test_a_change_cipher_spec_leaves_with_what_follows(files: Files, *, trusts: bool) -> None:
    """Alone in a packet, it would hold back the rest, or an alert, by Nagle's algorithm."""
    client = client_context("handclasp", files) if trusts else create_default_context()
    pair = Bios(server_context("ssl", files), client)
    for end in (pair.client, pair.server):
        with pytest.raises(ssl.SSLWantReadError):
            end.do_handshake()
    flight = pair.to_client.read()
    hello = 5 + int.from_bytes(flight[3:5])
    pair.to_client.write(flight[:hello])
    with pytest.raises(ssl.SSLWantReadError):
        pair.client.do_handshake()
    assert pair.to_server.read() == b""
    pair.to_client.write(flight[hello:])
    with nullcontext() if trusts else pytest.raises(ssl.SSLCertVerificationError):
        pair.client.do_handshake()
    sent = pair.to_server.read()
    assert sent[:6] == b"\x14\x03\x03\x00\x01\x01"
    assert len(sent) > 6 + 5


@KINDS
def test_bytes_behind_the_end_stay_in_the_bio(files: Files, kind: str) -> None:
    pair = Bios(server_context(kind, files), client_context("ssl", files)).handshake()
    with pytest.raises(ssl.SSLWantReadError):
        pair.client.unwrap()
    pair.to_server.write(b"in the clear")
    assert pair.server.read(9) == b""
    pair.server.unwrap()
    assert pair.to_server.read() == b"in the clear"


def expect_end(pair: Bios, kind: str) -> None:
    """The server reads the end of its BIO, which came without close_notify."""
    if kind == "ssl" and SSL_TAKES_AN_EOF_FOR_A_CLOSE:
        assert pair.server.read(9) == b""
        return
    with pytest.raises(ssl.SSLEOFError):
        pair.server.read(9)


@KINDS
def test_the_end_of_a_bio(files: Files, kind: str) -> None:
    pair = Bios(server_context(kind, files), client_context("ssl", files)).handshake()
    pair.to_server.write_eof()
    expect_end(pair, kind)


@KINDS
@pytest.mark.parametrize("cut", [0, 3, 40])
def test_the_end_stays_pending_behind_data(files: Files, kind: str, cut: int) -> None:
    """A program that reads only what is pending, as uvloop does, sees the data and the end."""
    pair = Bios(server_context(kind, files), client_context("ssl", files)).handshake()
    pair.client.write(b"x" * 99)
    pair.client.write(b"y" * 99)
    with pytest.raises(ssl.SSLWantReadError):
        pair.client.unwrap()
    sent, got = pair.to_server.read(), []
    for piece in (sent[:cut], sent[cut:]):
        pair.to_server.write(piece)
        with suppress(ssl.SSLWantReadError):
            while pair.to_server.pending or pair.server.pending():
                got.append(pair.server.read(1000))
    assert b"".join(got) == b"x" * 99 + b"y" * 99
    assert got[-1] == b""


@KINDS
def test_data_after_write_eof(files: Files, kind: str) -> None:
    """A BIO that takes nothing back loses no data."""
    pair = Bios(server_context(kind, files), client_context("ssl", files)).handshake()
    pair.client.write(b"x" * 99)
    pair.client.write(b"y" * 99)
    pair.to_server.write_eof()
    assert pair.server.read(99) == b"x" * 99
    assert pair.server.read(99) == b"y" * 99
    expect_end(pair, kind)


@KINDS
def test_nothing_is_kept_alive(files: Files, kind: str) -> None:
    ours, other = socket.socketpair()
    with other:
        sock = client_context(kind, files).wrap_socket(
            ours, server_hostname="localhost", do_handshake_on_connect=False
        )
        gone = weakref.ref(sock)
        gc.disable()
        try:
            sock.close()
            del sock
            assert gone() is None
        finally:
            gc.enable()


@KINDS
def test_copies_are_refused(pair: Connected, files: Files, kind: str) -> None:
    for each in (client_context(kind, files), pair.server, pair.server._sslobj):  # type: ignore[attr-defined]
        for copied in (copy.copy, pickle.dumps):
            with pytest.raises(TypeError):
                copied(each)


def test_a_password_for_a_key_that_needs_none(files: Files) -> None:
    asked: list[int] = []

    def password() -> str:
        asked.append(1)
        return "secret"

    context = create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.leaf("plain"), password="not needed")
    context.load_cert_chain(files.leaf("protected", password=b"secret"), password=password)
    assert len(asked) == 1


def test_many_threads_on_one_context(files: Files) -> None:
    server, client = server_context("handclasp", files), client_context("handclasp", files)
    failures: list[BaseException] = []

    def talk() -> None:
        try:
            pair = Connected(server, client)
            for size in (1, 1000, 40_000):
                pair.client.sendall(bytes(size))
                left = size
                while left:
                    left -= len(pair.server.recv(left))
            pair.close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=talk) for _ in range(50)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert failures == []
    assert client.session_stats()["connect_good"] == 50


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_two_threads_on_one_socket(files: Files, version: Any) -> None:
    client = client_context("handclasp", files, maximum_version=version)
    pair = Connected(server_context("handclasp", files), client)
    total = 2_000_000

    def send(sock: ssl.SSLSocket) -> None:
        for start in range(0, total, 50_000):
            sock.sendall(start.to_bytes(4) * 12_500)

    counts: dict[int, int] = {}

    def receive(sock: ssl.SSLSocket) -> None:
        count = 0
        while count < total:
            count += len(sock.recv(30_000))
        counts[id(sock)] = count

    threads = [
        threading.Thread(target=work, args=(sock,))
        for sock in (pair.client, pair.server)
        for work in (send, receive)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert list(counts.values()) == [total, total]
    pair.close()


def test_a_close_leaves_what_has_come_to_a_thread_that_reads(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That thread may take it just when the close has seen it, which then would wait for more."""
    pair = Connected(server_context("handclasp", files), client_context("handclasp", files))
    pair.client.settimeout(None)
    reading = pair.client._sslobj._reading  # type: ignore[attr-defined]

    def read() -> None:
        with suppress(OSError):  # The connection ends under it.
            pair.client.recv(1)

    threads = [threading.Thread(target=read, daemon=True)]
    threads[0].start()
    while reading.acquire(blocking=False):
        reading.release()

    class SeesMore:
        def register(self, *_: object) -> None: ...

        def poll(self, _: object) -> list[object]:
            return [self]

    with monkeypatch.context() as patched:
        patched.setattr(select, "poll", SeesMore)
        threads.append(threading.Thread(target=pair.client.close, daemon=True))
        threads[1].start()
        threads[1].join(10)
        is_closed = not threads[1].is_alive()
    pair.server.close()  # Ends what still waits.
    for each in threads:
        each.join(10)
    assert is_closed
    pair.close()


@KINDS
@pytest.mark.parametrize("blocks", [True, False])
def test_a_buffer_that_could_not_be_written_can_be_resized(pair: Connected, blocks: bool) -> None:
    """Programs keep the exception, as tornado's streams do, and clear what they wanted to send."""
    pair.client.close()
    pair.server.setblocking(blocks)
    data = bytearray(10_000_000)
    kept: list[OSError] = []
    while len(kept) < 2:
        try:
            pair.server.send(data)
        except OSError as error:
            kept.append(error)
    del data[:]


@KINDS
def test_a_write_repeated_with_fewer_bytes_after_a_timeout(pair: Connected) -> None:
    """As long as there is no room, it is the timeout that is raised again."""
    server, client = pair.server, pair.client
    server.settimeout(0.05)
    data = b"x" * 4_000_000
    with pytest.raises(TimeoutError):
        server.sendall(data)
    for again in (data, b"x"):
        with pytest.raises(TimeoutError, match="The write operation timed out"):
            server.send(again)
    reading = threading.Thread(target=lambda: drain(client), daemon=True)
    reading.start()
    server.settimeout(20)
    with pytest.raises(ssl.SSLError, match="BAD_LENGTH"):
        server.send(b"x")
    server.close()
    reading.join(20)
    assert not reading.is_alive()


def drain(sock: ssl.SSLSocket) -> None:
    with suppress(OSError):
        while sock.recv(65536):
            pass


@pytest.mark.parametrize("kind", ["handclasp"])
def test_a_connection_goes_on_after_a_write_with_fewer_bytes(pair: Connected) -> None:
    """Nothing is lost, and nothing sent twice. (With `ssl` the connection is over.)"""
    server, client = pair.server, pair.client
    server.setblocking(False)
    data = b"x" * 4_000_000
    sent = 0
    with pytest.raises(ssl.SSLWantWriteError):
        while True:
            sent += server.send(data)
    with pytest.raises(ssl.SSLError, match="BAD_LENGTH"):
        server.send(b"x")
    got: list[int] = []

    def count() -> None:
        while data := client.recv(65536):
            got.append(len(data))

    reading = threading.Thread(target=count, daemon=True)
    reading.start()
    server.settimeout(20)
    server.sendall(data)
    server.close()
    reading.join(20)
    assert sum(got) == sent + len(data)


@pytest.mark.parametrize("kind", ["handclasp"])
def test_closing_while_another_thread_reads(pair: Connected) -> None:
    """The end of the data is told by the peer alone, so that here it is an error."""
    pair.server.settimeout(0.3)
    raised: list[OSError] = []
    waits = threading.Event()

    def read() -> None:
        waits.set()
        try:
            pair.server.recv(1)
        except OSError as error:
            raised.append(error)

    reading = threading.Thread(target=read)
    reading.start()
    waits.wait(20)
    select.select([], [], [], 0.1)
    pair.server.close()
    reading.join(20)
    assert [error.errno for error in raised] == [errno.EBADF]


@KINDS
def test_the_session_of_a_server(pair: Connected, kind: str) -> None:
    assert (pair.server.session is None) is (kind == "handclasp")
