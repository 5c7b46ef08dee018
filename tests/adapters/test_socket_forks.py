"""After a fork, each process can close its copy of a TLS socket without harm to the other's."""

from __future__ import annotations

import os
import signal
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.adapters.pairs import Aside, plain_pair, read_all, read_exactly, tls_pair

from handclasp import (
    ClientConfig,
    ServerConfig,
    StateError,
    TLSSocket,
    TruncationError,
    connect,
    wrap_client,
    wrap_server,
)

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here"),
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),
]


@contextmanager
def child(work: Callable[[], None]) -> Iterator[None]:
    """A forked process that runs `work`, which must end well."""
    process = os.fork()
    if process == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    try:
        yield
    except BaseException:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        raise
    assert os.waitpid(process, 0)[1] == 0


@pytest.fixture
def pair(
    client_config: ClientConfig, server_config: ServerConfig
) -> Iterator[tuple[TLSSocket, TLSSocket]]:
    with tls_pair(client_config, server_config) as both:
        yield both


CLOSES: dict[str, Callable[[TLSSocket], Any]] = {
    "close": TLSSocket.close,
    "detach": lambda tls: os.close(tls.detach()),
}


@pytest.mark.parametrize("close", CLOSES.values(), ids=CLOSES)
def test_the_parent_closes_and_the_child_goes_on(
    pair: tuple[TLSSocket, TLSSocket], close: Callable[[TLSSocket], Any]
) -> None:
    client, server = pair
    client.sendall(b"in the buffer of ")
    first = server.recv(2)

    def echo() -> None:
        with server:
            while data := server.recv(1000):
                server.sendall(data)

    with child(echo):
        client.sendall(b"both")  # The parent must leave it to the child.
        time.sleep(0.02)
        close(server)
        client.sendall(b", and more")
        client.shutdown_write()
        assert first + read_all(client) == b"in the buffer of both, and more"


def test_the_child_closes_and_the_parent_goes_on(pair: tuple[TLSSocket, TLSSocket]) -> None:
    client, server = pair
    client.sendall(b"for the parent")
    with child(server.close):
        pass
    assert read_exactly(server, 14) == b"for the parent"
    server.sendall(b"from the parent")
    assert read_exactly(client, 15) == b"from the parent"
    server.close()  # It has used the connection since, so this is the end of it.
    assert client.recv(1) == b""


def test_a_process_that_has_not_used_it_since_says_nothing_at_the_end(
    pair: tuple[TLSSocket, TLSSocket],
) -> None:
    client, server = pair
    with child(server.close):
        pass
    server.close()
    with pytest.raises(TruncationError):
        client.recv(1)


def test_an_explicit_end_needs_no_other_use(pair: tuple[TLSSocket, TLSSocket]) -> None:
    client, server = pair
    with child(server.close):
        pass
    server.shutdown_write()
    server.close()
    assert client.recv(1) == b""


def test_a_thread_that_waits_in_the_parent_does_not_matter_to_the_child_that_closes(
    pair: tuple[TLSSocket, TLSSocket],
) -> None:
    client, server = pair
    reader = Aside(server.recv, 100)
    time.sleep(0.05)

    def use_and_close() -> None:
        with pytest.raises(OSError, match="at the fork"):
            server.recv(1)
        with pytest.raises(OSError):
            server.sendall(b"x")
        server.close()

    with child(use_and_close):
        pass
    client.sendall(b"hello")
    assert reader.result() == b"hello"


def test_a_call_that_goes_on_over_a_fork_is_ended_by_a_close(
    pair: tuple[TLSSocket, TLSSocket],
) -> None:
    client, server = pair
    reader = Aside(server.recv, 100)
    time.sleep(0.05)
    with child(server.close):
        pass
    server.close()
    with pytest.raises(OSError, match="closed"):
        reader.result()
    assert client.recv(1) == b""


SIXTEEN = bytes(16 << 20)
CALLS: dict[str, tuple[Callable[[TLSSocket], Any], Callable[[TLSSocket], Any]]] = {
    # A call that waits, and what the peer does then to end it.
    "recv": (lambda tls: tls.recv(100), lambda peer: peer.sendall(b"QUIT")),
    "recv of the end": (lambda tls: tls.recv(100), TLSSocket.shutdown_write),
    "recv_into": (lambda tls: tls.recv_into(bytearray(9)), lambda peer: peer.sendall(b"QUIT")),
    "a file": (lambda tls: tls.makefile("rb").readline(), lambda peer: peer.sendall(b"QUIT\n")),
    "sendall": (lambda tls: tls.sendall(SIXTEEN), lambda peer: read_exactly(peer, len(SIXTEEN))),
    "a timeout": (lambda tls: recv_in_vain(tls, 0.3), lambda peer: None),
    "unwrap with data unread": (lambda tls: unwrap_in_vain(tls), lambda peer: peer.sendall(b"x")),
}


def recv_in_vain(tls: TLSSocket, timeout: float) -> None:
    tls.settimeout(timeout)
    with pytest.raises(TimeoutError):
        tls.recv(1)


def unwrap_in_vain(tls: TLSSocket) -> None:
    with pytest.raises(StateError):
        tls.unwrap()


@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_began_before_the_fork_and_ends_after_it_is_a_use(
    pair: tuple[TLSSocket, TLSSocket], call: str
) -> None:
    client, server = pair
    work, end = CALLS[call]
    waiting = Aside(work, server)
    time.sleep(0.05)
    with child(server.close):
        pass
    assert not waiting.done()
    end(client)
    waiting.result()
    server.close()
    assert client.recv(1) == b""


def test_a_handshake_that_began_before_the_fork_and_ends_after_it_is_a_use(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    with plain_pair() as (left, right):
        server = wrap_server(right, server_config, handshake=False)
        waiting = Aside(server.do_handshake)
        time.sleep(0.05)
        with child(server.close):
            pass
        with wrap_client(left, client_config, server_name="localhost") as client:
            waiting.result()
            server.close()
            assert client.recv(1) == b""


def test_a_child_that_shuts_it_down_says_goodbye(pair: tuple[TLSSocket, TLSSocket]) -> None:
    client, server = pair
    lock = server._duplex._write_lock  # As if a thread of the parent were about to write.
    held = threading.Event()
    done = threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            done.wait(20)

    holder = Aside(hold)
    held.wait(20)
    with child(lambda: server.shutdown(socket.SHUT_RDWR)):
        pass
    done.set()
    holder.result()
    assert client.recv(1) == b""


class Echo(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        for line in self.rfile:
            self.wfile.write(line.upper())


@pytest.mark.parametrize("kind", ["ssl", "handclasp", "handclasp, handshake in the child"])
def test_a_forking_server_answers(
    client_config: ClientConfig, server_config: ServerConfig, ssl_server: ssl.SSLContext, kind: str
) -> None:
    class Server(socketserver.ForkingMixIn, socketserver.TCPServer):
        block_on_close = True

        def get_request(self) -> tuple[Any, Any]:
            sock, address = super().get_request()
            if kind == "ssl":
                return ssl_server.wrap_socket(sock, server_side=True), address
            return wrap_server(sock, server_config, handshake="child" not in kind), address

    with Server(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            for number in range(3):
                port, name = server.server_address[1], "localhost"
                with connect("127.0.0.1", port, client_config, server_name=name, timeout=10) as tls:
                    tls.sendall(b"line %d\n" % number)
                    assert read_exactly(tls, 7) == b"LINE %d\n" % number
                    tls.shutdown_write()
                    if kind != "ssl":  # which never says that it has finished
                        assert tls.recv(1) == b""
        finally:
            server.shutdown()
            thread.join(10)


def test_detach_leaves_the_blocking_mode_of_the_other_copy_alone(
    pair: tuple[TLSSocket, TLSSocket],
) -> None:
    """The mode belongs to the open file, which both processes have."""
    client, server = pair
    for tls in pair:
        tls.settimeout(None)
    with child(client.close):
        for tls, blocks in ((client, False), (server, True)):
            if tls is server:
                tls.do_handshake()  # Now it is this process's.
            descriptor = tls.detach()
            assert os.get_blocking(descriptor) == blocks
            os.close(descriptor)
