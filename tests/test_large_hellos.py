"""A hello of several packets: where the server gives no other reason, it may be the cause."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable

import pytest
import trio
from tests.capture.test_no_tls import told_of
from tests.capture.test_observe import ENDS, make_captured
from tests.pki import Pki

import handclasp
from handclasp import ClientConfig, ClientConnection, Fault, ServerConfig, TLSError, aio, compat
from handclasp.advice import worded
from handclasp.capture.observe import observe
from handclasp.capture.secrets import KeyLog
from handclasp.capture.stream import Address, Piece, Stream, StreamEnd
from handclasp.trio import TLSStream

SUSPECTED = "cannot take such a hello"
ADVISED = "offer X25519 as the only group"
DECODE_ERROR = b"\x15\x03\x03\x00\x02\x02\x32"
HANDSHAKE_FAILURE = b"\x15\x03\x03\x00\x02\x02\x28"
GROUPS: list[tuple[list[str], bool]] = [
    (["X25519MLKEM768", "X25519"], True),
    (["X25519", "X25519MLKEM768"], False),  # Without a share of the hybrid.
    (["X25519"], False),
]


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


def config_of(groups: list[str]) -> ClientConfig:
    shares = groups if groups[0] != "X25519" else ["X25519"]
    return ClientConfig(groups=groups, key_shares=shares)


def failure_of(client: ClientConnection, answer: bytes) -> TLSError:
    if answer == b"silence":
        return client.abort(Fault.HANDSHAKE_TIMEOUT)
    with pytest.raises(TLSError) as caught:
        if answer in (b"end", b"reset"):
            client.receive_eof(reset=answer == b"reset")
        else:
            client.receive_data(answer)
    return caught.value


@pytest.mark.parametrize(("groups", "is_large"), GROUPS)
@pytest.mark.parametrize("answer", [b"end", b"reset", b"silence", DECODE_ERROR, HANDSHAKE_FAILURE])
def test_a_client(groups: list[str], answer: bytes, *, is_large: bool) -> None:
    client = ClientConnection(config_of(groups), server_name="localhost")
    assert (len(client.data_to_send()) > 1400) == is_large
    error = failure_of(client, answer)
    is_suspected = is_large and answer != HANDSHAKE_FAILURE
    assert (SUSPECTED in str(error)) == is_suspected, str(error)
    assert (f"{ADVISED} (--group X25519)" in worded(error.fix, "connect")) == is_suspected


@pytest.mark.parametrize(("groups", "is_large"), GROUPS)
@pytest.mark.parametrize("answer", [b"end", b"reset", DECODE_ERROR])
def test_a_capture(groups: list[str], answer: bytes, pki: Pki, *, is_large: bool) -> None:
    heard = make_captured(config_of(groups), ServerConfig(credentials=pki.server()))
    heard._say(0, bytes(heard.client.data_to_send()))
    at = heard.pieces[-1].at_ns + 1
    pieces = tuple(heard.pieces)
    endings: tuple[StreamEnd, ...] = ()
    if answer == DECODE_ERROR:
        pieces += (Piece(at, 1, answer),)
    else:
        endings = (StreamEnd(at, 1, answer.decode()),)
    diagnosis, _ = told_of(observe(Stream(0, ENDS, pieces, endings), KeyLog()))
    assert (SUSPECTED in diagnosis.cause) == is_large
    assert (ADVISED in diagnosis.fix) == is_large


@pytest.mark.parametrize("answer", [b"end", b"reset", b"silence"])
def test_a_server_that_has_answered_read_the_hello(answer: bytes, pki: Pki) -> None:
    heard = make_captured(config_of(["X25519MLKEM768"]), ServerConfig(credentials=pki.server()))
    heard.server.receive_data(heard.client.data_to_send())
    heard.client.receive_data(heard.server.data_to_send()[:200])
    assert SUSPECTED not in str(failure_of(heard.client, answer))


HYBRID = config_of(["X25519MLKEM768", "X25519"])


@pytest.mark.parametrize(
    ("address", "is_suspected"),
    [
        (("192.0.2.1", 5000), True),
        (("2001:db8::1", 5000, 0, 0), True),
        (("127.0.0.7", 5000), False),
        (("::1", 5000, 0, 0), False),
        (("::ffff:127.0.0.1", 5000, 0, 0), False),
        ("", False),
        (b"\0of the system", False),
        (("fe80::1%eth0", 5000, 0, 2), True),
        (None, True),
        ((3, 1), True),
    ],
)
def test_the_way_of_the_hello(address: object, *, is_suspected: bool) -> None:
    """Within one machine no packet is that small."""
    client = ClientConnection(HYBRID, server_name="localhost")
    client.ask_own_address = lambda: address
    client.data_to_send()
    assert (SUSPECTED in str(failure_of(client, b"end"))) == is_suspected


def test_a_transport_that_does_not_tell_its_address() -> None:
    def ask() -> object:
        raise OSError

    client = ClientConnection(HYBRID, server_name="localhost")
    client.ask_own_address = ask
    client.data_to_send()
    assert SUSPECTED in str(failure_of(client, b"end"))


def test_a_capture_of_the_loopback_interface(pki: Pki) -> None:
    heard = make_captured(HYBRID, ServerConfig(credentials=pki.server()))
    heard._say(0, bytes(heard.client.data_to_send()))
    piece = heard.pieces[-1]
    ends = Address("127.0.0.1", 5000), Address("127.0.0.1", 443)
    ending = StreamEnd(piece.at_ns + 1, 1, "reset")
    diagnosis, _ = told_of(observe(Stream(0, ends, tuple(heard.pieces), (ending,)), KeyLog()))
    assert SUSPECTED not in diagnosis.cause
    assert ADVISED not in diagnosis.fix


def fail_on_a_socket(sock: socket.socket) -> None:
    handclasp.wrap_client(sock, HYBRID, server_name="localhost")


def fail_on_asyncio(sock: socket.socket) -> None:
    sock.setblocking(False)
    asyncio.run(aio.open_connection(sock=sock, config=HYBRID, server_name="localhost"))


def fail_on_trio(sock: socket.socket) -> None:
    async def connect() -> None:
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(sock))
        await TLSStream(stream, HYBRID, server_name="localhost").do_handshake()

    sock.setblocking(False)
    trio.run(connect)


def fail_with_compat(sock: socket.socket) -> None:
    compat.create_default_context().wrap_socket(sock, server_hostname="localhost")


@pytest.mark.parametrize("answer", [DECODE_ERROR, b""])
@pytest.mark.parametrize(
    "fail", [fail_on_a_socket, fail_on_asyncio, fail_on_trio, fail_with_compat]
)
def test_a_server_on_this_machine(fail: Callable[[socket.socket], None], answer: bytes) -> None:
    def refuse() -> None:
        far, _ = listener.accept()
        with far:
            hello = far.recv(5)
            while len(hello) < 5 + int.from_bytes(hello[3:5]):
                hello += far.recv(65536)
            far.sendall(answer)
            sizes.append(len(hello))

    sizes: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=refuse)
        thread.start()
        sock = socket.create_connection(listener.getsockname(), timeout=10)
        with sock, pytest.raises((OSError, trio.BrokenResourceError)) as caught:
            fail(sock)
        thread.join()
    assert sizes[0] > 1400
    error = caught.value.__cause__ or caught.value
    told = " ".join([str(error), *getattr(error, "__notes__", ())])
    assert SUSPECTED not in told
    assert ADVISED not in told
