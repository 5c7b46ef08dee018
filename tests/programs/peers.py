"""The servers in Python that programs talk to, and the relay before the real ones."""

from __future__ import annotations

import asyncio
import json
import select
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.programs.case import Case, in_thread

HOST = "localhost"
BODY = b"hello from the server\n" * 4000
Prelude = Callable[[socket.socket, socket.socket | None], None]


class Handler(BaseHTTPRequestHandler):
    """Answers with a body of 88 kB, and echoes what is posted."""

    protocol_version = "HTTP/1.1"
    # It writes head and body apart: the kernel would keep the body back for the 40 ms that the
    # client takes to acknowledge the head, with TLS by `ssl` just as well.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self.path.startswith("/json"):
            self.answer(json.dumps({"ok": True}).encode(), "application/json")
        else:
            self.answer(BODY)

    def do_POST(self) -> None:
        self.answer(self.rfile.read(int(self.headers.get("content-length", 0))))

    def answer(self, body: bytes, kind: str = "text/plain") -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Stay silent."""


class HTTPServer(ThreadingHTTPServer):
    """Handshakes in the thread of each request, so that a refusing client stops nobody."""

    daemon_threads = True
    context: ssl.SSLContext

    def finish_request(self, request: Any, client_address: Any) -> None:
        with suppress(OSError):
            tls = self.context.wrap_socket(request, server_side=True)
            handle: Any = self.RequestHandlerClass
            handle(tls, client_address, self)
            with suppress(OSError):
                tls.unwrap()
            tls.close()

    def shutdown_request(self, request: Any) -> None:
        with suppress(OSError):
            request.close()


def http_port(case: Case, handler: type[BaseHTTPRequestHandler] = Handler) -> int:
    """Start an HTTPS server and return its port: nginx, unless both ends must be ours."""
    server = HTTPServer(("127.0.0.1", 0), handler)
    server.context = case.server_context()
    in_thread(server.serve_forever)
    return int(server.server_address[1])


def web_port(case: Case) -> int:
    """Return the port of nginx, or of our own server where both ends must be ours."""
    return http_port(case) if case.way == "both" else case.ports["nginx"]


def serve(case: Case, talk: Callable[[ssl.SSLSocket], None], prelude: Prelude | None = None) -> int:
    """Serve each connection by a function in a thread, and return the port."""

    def one(sock: socket.socket) -> None:
        with sock, suppress(OSError, ValueError):
            if prelude is not None:
                prelude(sock, None)
            with context.wrap_socket(sock, server_side=True) as tls:
                talk(tls)

    context = case.server_context()
    return _listen(one)


def relay(case: Case, daemon: str, prelude: Prelude | None = None) -> int:
    """Return the port of a real server, or of a relay before it where both ends must be ours.

    The relay ends TLS by handclasp and speaks OpenSSL's to the server. `prelude` speaks what comes
    before TLS in the clear.
    """
    port = case.ports[daemon]
    if case.way != "both":
        return port
    context = case.server_context()

    def one(sock: socket.socket) -> None:
        with sock, socket.create_connection(("127.0.0.1", port)) as plain, suppress(OSError):
            if prelude is not None:
                prelude(sock, plain)
            with (
                context.wrap_socket(sock, server_side=True) as front,
                case.unverified.wrap_socket(plain) as back,
            ):
                _pass_on(front, back)

    return _listen(one)


def _pass_on(front: ssl.SSLSocket, back: ssl.SSLSocket) -> None:
    """Pass data on in both directions until an end closes.

    In one thread: before Python 3.13, two threads cannot share a connection of OpenSSL.
    """
    ends = {front: back, back: front}
    while True:
        ready = [each for each in ends if each.pending()]
        for source in ready or select.select(list(ends), [], [])[0]:
            source.settimeout(0)
            try:
                data = source.recv(65536)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                continue
            finally:
                source.settimeout(20)
            if not data:
                return
            ends[source].sendall(data)


def _listen(one: Callable[[socket.socket], None]) -> int:
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            sock, _ = listener.accept()
            in_thread(one, sock)

    in_thread(accept)
    return int(listener.getsockname()[1])


def postgres_prelude(front: socket.socket, back: socket.socket | None) -> None:
    """Pass SSLRequest and the answer of one byte on."""
    assert back is not None
    back.sendall(_exactly(front, 8))
    front.sendall(_exactly(back, 1))


def mysql_prelude(front: socket.socket, back: socket.socket | None) -> None:
    """Pass the greeting and the client's SSLRequest on, each a packet with a header of four."""
    assert back is not None
    for source, target in ((back, front), (front, back)):
        header = _exactly(source, 4)
        size = struct.unpack("<I", header[:3] + b"\0")[0]
        target.sendall(header + _exactly(source, size))


def nats_prelude(front: socket.socket, back: socket.socket | None) -> None:
    """Pass the line of INFO on."""
    assert back is not None
    while (byte := _exactly(back, 1)) != b"\n":
        front.sendall(byte)
    front.sendall(byte)


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise ConnectionError("the other end has closed")
        data += piece
    return data


class Loop:
    """An event loop in a thread, for servers of asyncio beside a program that blocks."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda *_: None)
        self.thread = in_thread(self._run)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def call(self, coroutine: Awaitable[Any], seconds: float = 30) -> Any:
        async def run() -> Any:
            return await coroutine

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(seconds)


def free_port() -> int:
    """Return a port that was free a moment ago, for servers that take no listening socket."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def wait_for(port: int, seconds: float = 60, alive: Callable[[], bool] = lambda: True) -> None:
    """Wait until something listens on a port. Raises `TimeoutError`."""
    pause = threading.Event()
    for _ in range(int(seconds * 10)):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if not alive():
            break
        pause.wait(0.1)
    raise TimeoutError(f"nothing listens on port {port}")
