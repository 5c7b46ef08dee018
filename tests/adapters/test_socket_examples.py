"""The examples of docs/sockets.md do what it says, as they stand there."""

from __future__ import annotations

import http.server
import re
import selectors
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.adapters.pairs import Aside, plain_pair, read_all, read_exactly

from handclasp import ClientConfig, ServerConfig, TLSError, connect, wrap_client, wrap_server

DOCUMENT = Path(__file__).parents[2] / "docs" / "sockets.md"


def example(word: str) -> dict[str, Any]:
    """What the one example in which `word` stands defines."""
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    (found,) = [block for block in blocks if word in block]
    names: dict[str, Any] = {}
    exec(found, names)
    return names


class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(server: Any) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_an_https_server_answers_while_somebody_says_nothing(
    client_config: ClientConfig, server_config: ServerConfig, kind: str
) -> None:
    kept: Any = example("HTTPSServer")["HTTPSServer"]
    if kind == "processes":
        forking = getattr(socketserver, "ForkingMixIn", None)
        if forking is None:
            pytest.skip("there are no forks here")
        bases = (forking, http.server.HTTPServer)
        # The same, over another class.
        namespace = {"get_request": rebased(kept, bases), "daemon_threads": True}
        kept = type("Forking", bases, namespace)
        server = kept(("127.0.0.1", 0), Hello)
        server.config = server_config
    else:
        server = kept(("127.0.0.1", 0), Hello, server_config)
    with serving(server) as port, socket.create_connection(("127.0.0.1", port)) as silent:
        for _ in range(2):
            with connect(
                "127.0.0.1", port, client_config, server_name="localhost", timeout=10
            ) as tls:
                tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
                assert read_all(tls).endswith(b"\r\n\r\nhello")
        # A forked child holds a copy of this socket, too: to close it here would end nothing.
        silent.shutdown(socket.SHUT_RDWR)


def rebased(kept: Any, bases: tuple[Any, ...]) -> Any:
    """The `get_request` of the example, for a class that it is not written for."""
    wrap = kept.get_request.__globals__["handclasp"].wrap_server

    def get_request(self: Any) -> tuple[Any, Any]:
        sock, address = bases[-1].get_request(self)
        sock.settimeout(60)
        return wrap(sock, self.config, handshake=False), address

    return get_request


def test_a_server_with_threads_closes_the_socket_of_a_client_that_fails(
    client_config: ClientConfig, server_config: ServerConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    serve = example("def serve_in_threads")["serve_in_threads"]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        running = Aside(serve, listener, server_config, lambda tls: tls.sendall(tls.recv(10)))
        for _ in range(2):
            with socket.create_connection((host, port), 10) as plain:
                plain.sendall(b"GET / HTTP/1.0\r\n\r\n")
                assert plain.recv(100)  # the alert
                with suppress(ConnectionResetError):
                    assert plain.recv(100) == b""
        with connect(host, port, client_config, server_name="localhost", timeout=10) as tls:
            tls.sendall(b"hello")
            assert read_exactly(tls, 5) == b"hello"
        listener.shutdown(socket.SHUT_RDWR)
        with pytest.raises(OSError):
            running.result()
    assert capsys.readouterr().out.count("plain HTTP") == 2


@pytest.mark.parametrize("more", [b"", b"injected\r\n"])
def test_starttls(client_config: ClientConfig, server_config: ServerConfig, more: bytes) -> None:
    start_tls = example("def start_tls")["start_tls"]
    with plain_pair() as (left, right):

        def serve() -> bytes:
            assert right.recv(100) == b"STARTTLS\r\n"
            right.sendall(b"220 go ahead\r\n" + more)
            with wrap_server(right, server_config) as tls:
                return tls.recv(100)

        server = Aside(serve)
        if more:
            with pytest.raises(TLSError):
                start_tls(left, client_config, "localhost")
            with pytest.raises(OSError):
                server.result()
            return
        with start_tls(left, client_config, "localhost") as tls:
            tls.sendall(b"in private")
        assert server.result() == b"in private"


def test_one_call_of_a_socket_that_does_not_block(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    until_done = example("def until_done")["until_done"]
    with plain_pair() as (left, right):
        right.setblocking(False)
        server = wrap_server(right, server_config, handshake=False)

        def serve() -> None:
            with server, selectors.DefaultSelector() as selector:
                selector.register(server, selectors.EVENT_READ)
                data = until_done(selector, server, server.recv, 100)
                until_done(selector, server, server.sendall, data * 500_000)
                until_done(selector, server, server.shutdown_write)

        serving = Aside(serve)
        with wrap_client(left, client_config, server_name="localhost") as tls:
            tls.sendall(b"hello")
            time.sleep(0.05)
            assert len(read_all(tls)) == 2_500_000
        serving.result()


def test_a_server_that_does_not_block(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    serve = example("def serve(listener")["serve"]
    stop = KeyboardInterrupt()

    class Listener(socket.socket):
        def accept(self) -> Any:
            sock, address = super().accept()
            if sock.recv(1, socket.MSG_PEEK) == b"q":
                sock.close()
                raise stop
            return sock, address

    def open_one() -> Any:
        return connect("127.0.0.1", port, client_config, server_name="localhost", timeout=10)

    def run() -> None:
        with pytest.raises(KeyboardInterrupt):
            serve(listener, server_config)

    with Listener() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        server = Aside(run)
        data = bytes(range(256)) * 8192
        with open_one() as first, open_one() as second:
            writing = Aside(first.sendall, data)
            second.sendall(b"at the same time")
            assert read_exactly(second, 16) == b"at the same time"
            assert read_exactly(first, len(data)) == data
            writing.result()
            first.shutdown_write()
            assert first.recv(1) == b""
            third = open_one()
            socket.socket(fileno=third.detach()).close()  # without a word
            second.sendall(b"still there")
            assert read_exactly(second, 11) == b"still there"
        with socket.create_connection(("127.0.0.1", port)) as last:
            last.sendall(b"q")
            server.result()
