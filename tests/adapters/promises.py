"""What asyncio's documentation promises of streams, transports, protocols and servers, row by row.

A scenario runs on a `Stack`, asyncio with `ssl` or handclasp, and gives what a program would see.
docs/asyncio.md has the table of them; `python -m tests.adapters.promises` prints it.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import os
import socket
import ssl
import struct
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handclasp import aio
from handclasp.config import ClientConfig, ServerConfig

Scenario = Callable[["Stack"], Awaitable[Any]]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Stack:
    """asyncio's functions with the settings of one of the two."""

    def __init__(self, name: str, client: dict[str, Any], server: dict[str, Any]) -> None:
        self.name = name
        self.is_ours = name == "handclasp"
        self.client, self.server = client, server
        self.module: Any = aio if self.is_ours else asyncio

    def loop(self) -> Any:
        return aio if self.is_ours else asyncio.get_running_loop()

    async def open(self, *where: Any, **kwds: Any) -> Any:
        return await self.module.open_connection(*where, **self.client, **kwds)

    async def serve(self, callback: Any, *where: Any, **kwds: Any) -> Any:
        return await self.module.start_server(callback, *where, **self.server, **kwds)

    async def create_connection(self, factory: Any, *where: Any, **kwds: Any) -> Any:
        return await self.loop().create_connection(factory, *where, **self.client, **kwds)

    async def create_server(self, factory: Any, *where: Any, **kwds: Any) -> Any:
        return await self.loop().create_server(factory, *where, **self.server, **kwds)

    @asynccontextmanager
    async def pair(self, serve: Serve | None = None, **kwds: Any) -> AsyncIterator[Any]:
        """The client's reader and writer, of a server that echoes if it has nothing else to do."""

        async def body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await (serve or echo)(reader, writer)
            finally:
                await leave(writer)

        server = await self.serve(body, "127.0.0.1", 0)
        async with server:
            reader, writer = await self.open("127.0.0.1", port_of(server), **kwds)
            try:
                yield reader, writer
            finally:
                await leave(writer)
                await asyncio.sleep(0.01)


def ours(client: ClientConfig, server: ServerConfig) -> Stack:
    return Stack("handclasp", {"config": client, "server_name": "localhost"}, {"config": server})


def theirs(client: ssl.SSLContext, server: ssl.SSLContext) -> Stack:
    return Stack(
        "asyncio and ssl", {"ssl": client, "server_hostname": "localhost"}, {"ssl": server}
    )


async def leave(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


def port_of(server: Any) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


async def error_of(awaitable: Awaitable[Any]) -> str:
    """The standard class of what is raised; "nothing"."""
    try:
        await awaitable
    except (Exception, asyncio.CancelledError) as error:
        return kind_of(error)
    return "nothing"


def error_in(call: Callable[[], Any]) -> str:
    try:
        call()
    except Exception as error:
        return kind_of(error)
    return "nothing"


def kind_of(error: BaseException) -> str:
    return next(
        each.__name__
        for each in type(error).__mro__
        if each.__module__ in ("builtins", "asyncio.exceptions") and each is not OSError
    )


@dataclass(frozen=True)
class Row:
    """One promise; where the two differ, `standard` and `here` are what each gives.

    `on_uvloop` has both, or the exceptions, where uvloop itself is unlike asyncio.
    """

    part: str
    name: str
    scenario: Scenario
    verdict: str = "same"
    note: str = ""
    standard: Any = None
    here: Any = None
    on_uvloop: tuple[Any, Any] | None = None

    @property
    def line(self) -> str:
        test = f"`{self.scenario.__name__}`"
        return f"| {self.name} | {self.verdict} | {self.note or '-'} | {test} |"


ROWS: list[Row] = []


def row(part: str, *names: str, **more: Any) -> Callable[[Scenario], Scenario]:
    def add(scenario: Scenario) -> Scenario:
        ROWS.append(Row(part, ", ".join(f"`{name}`" for name in names), scenario, **more))
        return scenario

    return add


def differs(verdict: str, note: str, standard: Any, here: Any) -> dict[str, Any]:
    return {"verdict": verdict, "note": note, "standard": standard, "here": here}


FUNCTIONS = "Functions"
READER = "StreamReader"
WRITER = "StreamWriter"
TRANSPORT = "Transports"
PROTOCOL = "Protocols"
SERVER = "Servers"
ENDS = "How connections end"


# Functions


@row(FUNCTIONS, "open_connection(host, port)")
async def opens(stack: Stack) -> Any:
    async with stack.pair() as (reader, writer):
        writer.write(b"hello")
        return type(reader).__name__, type(writer).__name__, await reader.readexactly(5)


@row(FUNCTIONS, "open_connection(limit=)")
async def limits_a_line(stack: Stack) -> Any:
    async with stack.pair(limit=100) as (reader, writer):
        writer.write(bytes(1000) + b"\n")
        return await error_of(reader.readline())


@row(FUNCTIONS, "open_connection(limit=0)")
async def refuses_no_limit(stack: Stack) -> Any:
    return await error_of(stack.open("127.0.0.1", 1, limit=0))


@row(FUNCTIONS, "open_connection(sock=)")
async def opens_on_a_socket(stack: Stack) -> Any:
    async with await stack.serve(serve_echo, "127.0.0.1", 0) as server:
        sock = socket.create_connection(("127.0.0.1", port_of(server)))
        sock.setblocking(False)
        reader, writer = await stack.open(sock=sock)
        writer.write(b"hello")
        got = await reader.readexactly(5)
        await leave(writer)
        return got, sock.fileno() if sys.platform != "win32" else -1


async def serve_echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await echo(reader, writer)
    await leave(writer)


@row(FUNCTIONS, "open_connection(host, port, sock=)", "open_connection(sock=datagram)")
async def refuses_contradictions(stack: Stack) -> Any:
    with socket.socket() as sock, socket.socket(type=socket.SOCK_DGRAM) as datagram:
        return [
            await error_of(stack.open("127.0.0.1", 1, sock=sock)),
            await error_of(stack.open(sock=datagram)),
        ]


@row(FUNCTIONS, "open_connection()", "start_server()")
async def refuses_nowhere(stack: Stack) -> Any:
    return await error_of(stack.open()), await error_of(stack.serve(serve_echo))


@row(FUNCTIONS, "open_connection(local_addr=)", "open_connection(family=)")
async def opens_from_an_address(stack: Stack) -> Any:
    async with stack.pair(local_addr=("127.0.0.1", 0), family=socket.AF_INET) as (_, writer):
        return writer.get_extra_info("sockname")[0]


@row(
    FUNCTIONS,
    "open_connection(happy_eyeballs_delay=, interleave=)",
    on_uvloop=("TypeError", "TypeError"),
)
async def opens_with_happy_eyeballs(stack: Stack) -> Any:
    async with stack.pair(happy_eyeballs_delay=0.25, interleave=1) as (_, writer):
        return writer.get_extra_info("peername")[0]


@row(FUNCTIONS, "open_connection(unknown=)", "start_server(unknown=)")
async def refuses_unknown_words(stack: Stack) -> Any:
    return (
        await error_of(stack.open("127.0.0.1", 1, unknown=1)),
        await error_of(stack.serve(serve_echo, "127.0.0.1", 0, unknown=1)),
    )


@row(FUNCTIONS, "a port where nobody listens")
async def finds_nobody(stack: Stack) -> Any:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return await error_of(stack.open("127.0.0.1", sock.getsockname()[1]))


@row(
    FUNCTIONS,
    "ssl=",
    "server_hostname=",
    "ssl_handshake_timeout=",
    "ssl_shutdown_timeout=",
    **differs(
        "different",
        "`config=`, `server_name=`, `config.handshake_timeout` and `close_timeout=` say the same; "
        "what is for the ssl module is refused, so that nobody believes it to be in force",
        "taken",
        "ValueError",
    ),
)
async def takes_ssl_settings(stack: Stack) -> Any:
    if not stack.is_ours:
        async with stack.pair(ssl_handshake_timeout=5, ssl_shutdown_timeout=5):
            return "taken"
    for name in ("ssl", "server_hostname", "ssl_handshake_timeout", "ssl_shutdown_timeout"):
        if name != "server_hostname":
            assert await error_of(stack.open("127.0.0.1", 1, **{name: 5})) == "ValueError"
        assert await error_of(stack.serve(serve_echo, "127.0.0.1", 0, **{name: 5})) == "ValueError"
    return "ValueError"


@row(FUNCTIONS, "start_server(client_connected_cb)")
async def calls_functions_and_coroutine_functions(stack: Stack) -> Any:
    got = []

    def function(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    for callback in (function, say_hello):
        async with await stack.serve(callback, "127.0.0.1", 0) as server:
            reader, writer = await stack.open("127.0.0.1", port_of(server))
            got.append(await reader.read())
            await leave(writer)
    return got


async def say_hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"hello")
    await writer.drain()
    await leave(writer)


@row(FUNCTIONS, "start_server(host=[several])", "start_server(backlog=, reuse_port=)")
async def listens_at_several_addresses(stack: Stack) -> Any:
    hosts = ["127.0.0.1", "127.0.0.2"]
    more: dict[str, Any] = {"reuse_port": True} if hasattr(socket, "SO_REUSEPORT") else {}
    async with await stack.serve(serve_echo, hosts, 0, backlog=5, **more) as server:
        return sorted(each.getsockname()[0] for each in server.sockets)


@row(
    FUNCTIONS,
    "start_server(backlog=)",
    "create_server(backlog=) by default",
    **differs(
        "different",
        "1,024 where asyncio has 100, which fill up in one turn of a busy loop: a client that "
        "meets a full queue tries again a second later",
        100,
        1024,
    ),
)
async def lets_clients_queue(stack: Stack) -> Any:
    loop: Any = asyncio.get_running_loop()
    calls: list[Callable[..., Any]] = (
        [aio.create_server, aio.start_server] if stack.is_ours else [loop.create_server]
    )
    (backlog,) = {inspect.signature(call).parameters["backlog"].default for call in calls}
    return backlog


@row(FUNCTIONS, "start_server(sock=)", "start_server(start_serving=False)")
async def serves_on_a_socket(stack: Stack) -> Any:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    server = await stack.serve(serve_echo, sock=sock, start_serving=False)
    before = server.is_serving()
    async with server:
        await server.start_serving()
        after = server.is_serving()
        _, writer = await stack.open("127.0.0.1", sock.getsockname()[1])
        await leave(writer)
    return before, after, server.is_serving(), sock.fileno()


@row(FUNCTIONS, "start_server(host, port, sock=)", "start_server(sock=datagram)")
async def refuses_contradictions_of_servers(stack: Stack) -> Any:
    with socket.socket() as sock, socket.socket(type=socket.SOCK_DGRAM) as datagram:
        return [
            await error_of(stack.serve(serve_echo, "127.0.0.1", 0, sock=sock)),
            await error_of(stack.serve(serve_echo, sock=datagram)),
        ]


@row(
    FUNCTIONS,
    "start_server(sock=, reuse_port=)",
    **differs(
        "different",
        "asyncio ignores what it cannot do to a socket that is bound",
        "nothing",
        "ValueError",
    ),
)
async def refuses_settings_of_a_bound_socket(stack: Stack) -> Any:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    with sock:
        return await error_of(serve_once(stack, sock=sock, reuse_port=True))


async def serve_once(stack: Stack, *where: Any, **kwds: Any) -> None:
    async with await stack.serve(serve_echo, *where, **kwds):
        pass


@row(FUNCTIONS, "open_unix_connection", "start_unix_server")
async def speaks_at_a_unix_socket(stack: Stack) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "socket"
        server = await stack.module.start_unix_server(serve_echo, path, **stack.server)
        async with server:
            reader, writer = await stack.module.open_unix_connection(path, **stack.client)
            writer.write(b"hello")
            got = await reader.readexactly(5)
            await leave(writer)
        again = await stack.module.start_unix_server(serve_echo, str(path), **stack.server)
        again.close()
        return got


@row(
    FUNCTIONS,
    "start_unix_server(cleanup_socket=)",
    **differs(
        "more",
        "on any Python; asyncio has it from 3.13 on",
        sys.version_info < (3, 13),
        False,
    ),
)
async def removes_its_unix_socket(stack: Stack) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "socket")
        (await stack.module.start_unix_server(serve_echo, path, **stack.server)).close()
        return os.path.exists(path)


@row(FUNCTIONS, "loop.create_connection", "loop.create_server")
async def connects_protocols(stack: Stack) -> Any:
    async with await stack.create_server(Noting, "127.0.0.1", 0) as server:
        transport, protocol = await stack.create_connection(Noting, "127.0.0.1", port_of(server))
        assert protocol.transport is transport
        transport.write(b"hello")
        await asyncio.sleep(0.05)
        transport.close()
        await protocol.lost
        return protocol.calls[0], protocol.calls[-1]


class Noting(asyncio.Protocol):
    """Notes what it is told."""

    keep_open: bool | None = None

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.lost = asyncio.get_running_loop().create_future()
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.calls.append("made")

    def data_received(self, data: bytes) -> None:
        self.calls.append(data)

    def eof_received(self) -> bool | None:
        self.calls.append("eof")
        return self.keep_open

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append(None if exc is None else kind_of(exc))
        self.lost.set_result(None)

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")


@row(
    FUNCTIONS,
    "loop.sendfile(transport, file, offset, count)",
    on_uvloop=("NotImplementedError", "NotImplementedError"),
)
async def sends_a_file(stack: Stack) -> Any:
    data = os.urandom(200_000)
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        async with stack.pair() as (reader, writer):
            transport = writer.transport
            reading = asyncio.ensure_future(reader.readexactly(150_000))
            sent = await asyncio.get_running_loop().sendfile(transport, file, 1000, 150_000)
            return sent, await reading == data[1000:151_000], file.tell()


@row(FUNCTIONS, "loop.sendfile(fallback=False)")
async def sends_no_file_by_the_kernel(stack: Stack) -> Any:
    with tempfile.TemporaryFile() as file:
        async with stack.pair() as (_, writer):
            loop = asyncio.get_running_loop()
            return await error_of(loop.sendfile(writer.transport, file, fallback=False))


@row(
    FUNCTIONS,
    "writer.start_tls()",
    "loop.start_tls()",
    **differs(
        "different",
        "on a plain connection, `aio.start_tls(reader, writer, config)` gives a new pair, and the "
        "old one raises `StateError` from then on; inside of TLS asyncio cannot begin once more, "
        "and `aio.start_tls` can",
        "taken",
        "TypeError",
    ),
)
async def begins_tls_inside(stack: Stack) -> Any:
    """asyncio takes the call on its own TLS transports, from 3.11 on."""
    if not stack.is_ours:
        return "taken"
    async with stack.pair() as (_, writer):
        return await error_of(writer.start_tls(ssl.create_default_context()))


# Readers


async def send_lines(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"one\ntwo\nthree;four")


@row(READER, "read()")
async def reads_everything(stack: Stack) -> Any:
    async with stack.pair(send_lines) as (reader, _):
        return await reader.read(), await reader.read(), reader.at_eof()


@row(READER, "read(n)", "read(0)", "at_eof()")
async def reads_some(stack: Stack) -> Any:
    async with stack.pair(send_lines) as (reader, _):
        got = [await reader.read(0), await reader.read(3), reader.at_eof()]
        return [*got, await reader.read(), reader.at_eof(), await reader.read(5)]


@row(READER, "readline()", "async for line in reader")
async def reads_lines(stack: Stack) -> Any:
    async with stack.pair(send_lines) as (reader, _):
        return [await reader.readline()] + [line async for line in reader]


@row(READER, "readexactly(n)")
async def reads_exactly(stack: Stack) -> Any:
    async with stack.pair(send_lines) as (reader, _):
        got = [await reader.readexactly(4), await error_of(reader.readexactly(-1))]
        return [*got, await error_of(reader.readexactly(100)), await reader.read()]


@row(READER, "readuntil(separator)")
async def reads_until(stack: Stack) -> Any:
    async with stack.pair(send_lines) as (reader, _):
        got = [await reader.readuntil(), await reader.readuntil(b";")]
        return [*got, await error_of(reader.readuntil(b"")), await error_of(reader.readuntil())]


@row(READER, "two readers at once")
async def reads_twice_at_once(stack: Stack) -> Any:
    async with stack.pair() as (reader, _):
        first = asyncio.ensure_future(reader.read(1))
        await asyncio.sleep(0)
        error = await error_of(reader.read(1))
        first.cancel()
        return error, await error_of(first)


@row(READER, "exception()")
async def has_no_exception(stack: Stack) -> Any:
    async with stack.pair() as (reader, _):
        return reader.exception()


# Writers


@row(WRITER, "write(data)", "writelines(pieces)", "drain()")
async def writes(stack: Stack) -> Any:
    async with stack.pair() as (reader, writer):
        writer.write(b"he")
        writer.write(bytearray(b"l"))
        writer.writelines([b"l", memoryview(b"o")])
        writer.write(b"")
        return await writer.drain(), await reader.readexactly(5)


@row(WRITER, "write(str)", "write(None)")
async def writes_bytes_only(stack: Stack) -> Any:
    async with stack.pair() as (_, writer):
        text: Any = "text"
        return error_in(lambda: writer.write(text)), error_in(lambda: writer.write(None))


@row(
    WRITER,
    "can_write_eof()",
    "write_eof()",
    **differs(
        "more",
        "TLS closes each direction by itself (RFC 9846 section 6.1): this side sends close_notify "
        "and reads on",
        (False, "NotImplementedError"),
        (True, b"to the end"),
    ),
)
async def closes_one_direction(stack: Stack) -> Any:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())

    async with stack.pair(answer if stack.is_ours else None) as (reader, writer):
        writer.write(b"to the end")
        error = error_in(writer.write_eof)
        return writer.can_write_eof(), error if error != "nothing" else await reader.read()


@row(WRITER, "close()", "is_closing()", "wait_closed()")
async def closes(stack: Stack) -> Any:
    async with stack.pair() as (reader, writer):
        before = writer.is_closing()
        writer.close()
        after = writer.is_closing()
        writer.close()
        return before, after, await writer.wait_closed(), await reader.read()


@row(WRITER, "write() after close()", "drain() after close()")
async def writes_after_the_end(stack: Stack) -> Any:
    async with stack.pair() as (_, writer):
        writer.close()
        await writer.wait_closed()
        return error_in(lambda: writer.write(b"late")), await error_of(writer.drain())


@row(
    WRITER,
    "transport",
    "get_extra_info(unknown, default)",
    on_uvloop=((False, 5), (True, 5)),
)
async def tells_of_its_transport(stack: Stack) -> Any:
    async with stack.pair() as (_, writer):
        return isinstance(writer.transport, asyncio.Transport), writer.get_extra_info("x", 5)


# Transports


@row(TRANSPORT, "get_extra_info('peername', 'sockname', 'socket')")
async def tells_of_the_socket(stack: Stack) -> Any:
    async with stack.pair() as (_, writer):
        sock = writer.get_extra_info("socket")
        names = writer.get_extra_info("peername")[0], writer.get_extra_info("sockname")[0]
        return *names, sock.fileno() > 0, sock.family, sock.type


@row(TRANSPORT, "get_extra_info('cipher', 'compression')")
async def tells_of_the_cipher(stack: Stack) -> Any:
    async with stack.pair() as (_, writer):
        name, version, bits = writer.get_extra_info("cipher")
        return (
            name.startswith("TLS_"),
            version,
            bits in (128, 256),
            writer.get_extra_info("compression", "none"),
        )


@row(TRANSPORT, "get_extra_info('peercert')")
async def tells_of_the_certificate(stack: Stack) -> Any:
    async with stack.pair() as (_, writer):
        certificate = dict(writer.get_extra_info("peercert"))
        # Each stack's server has a certificate of its own.
        for name in ("serialNumber", "notBefore", "notAfter", "subject"):
            certificate.pop(name)
        names = certificate.pop("subjectAltName")
        return certificate, ("DNS", "localhost") in names


@row(
    TRANSPORT,
    "get_extra_info('ssl_object')",
    **differs(
        "different",
        "a view with the methods that ask (`version`, `cipher`, `compression`, "
        "`selected_alpn_protocol`, `getpeercert`, `get_channel_binding`) and none that act; it is "
        "no `ssl.SSLObject`",
        ("TLSv1.3", None, False, True, False),
        ("TLSv1.3", None, False, False, False),
    ),
)
async def tells_of_an_ssl_object(stack: Stack) -> Any:
    async with stack.pair() as (_, writer):
        view = writer.get_extra_info("ssl_object")
        assert view.cipher() == writer.get_extra_info("cipher")
        assert view.getpeercert() == writer.get_extra_info("peercert")
        assert ssl.DER_cert_to_PEM_cert(view.getpeercert(binary_form=True))
        assert view.get_channel_binding("tls-unique") is None or not stack.is_ours
        return (
            view.version(),
            view.selected_alpn_protocol(),
            view.server_side,
            isinstance(view, ssl.SSLObject),
            view.session_reused,
        )


@row(
    TRANSPORT,
    "get_extra_info('sslcontext')",
    **differs(
        "different",
        "the config: it shows that there is TLS, and is no `ssl.SSLContext`",
        "SSLContext",
        "ClientConfig",
    ),
)
async def tells_of_its_settings(stack: Stack) -> Any:
    async with stack.pair() as (_, writer):
        return type(writer.get_extra_info("sslcontext")).__name__


@row(
    TRANSPORT,
    "get_extra_info('handclasp', 'connection')",
    **differs("more", "the `ConnectionInfo` and the sans-IO connection", None, "TLSv1.3"),
)
async def tells_of_the_handshake(stack: Stack) -> Any:
    async with stack.pair() as (_, writer):
        info = writer.get_extra_info("handclasp")
        return info and info.version


@row(TRANSPORT, "set_protocol()", "get_protocol()")
async def exchanges_protocols(stack: Stack) -> Any:
    async with stack.pair() as (_, writer):
        noting = Noting()
        before = writer.transport.get_protocol()
        writer.transport.set_protocol(noting)
        writer.write(b"hello")
        await asyncio.sleep(0.05)
        same = writer.transport.get_protocol() is noting
        writer.transport.set_protocol(before)
        return noting.calls, same


@row(TRANSPORT, "is_reading()", "pause_reading()", "resume_reading()")
async def pauses_reading(stack: Stack) -> Any:
    async with stack.pair() as (_, writer):
        noting, transport, states = Noting(), writer.transport, []
        before = transport.get_protocol()
        transport.set_protocol(noting)
        transport.pause_reading()
        transport.pause_reading()
        writer.write(b"hello")
        await asyncio.sleep(0.05)
        states.append((transport.is_reading(), list(noting.calls)))
        transport.resume_reading()
        transport.resume_reading()
        await asyncio.sleep(0.05)
        states.append((transport.is_reading(), list(noting.calls)))
        transport.set_protocol(before)
        return states


@row(
    TRANSPORT,
    "get_write_buffer_size()",
    "get_write_buffer_limits()",
    "set_write_buffer_limits()",
    **differs(
        "different",
        "the marks are those of the plain transport below, of which asyncio's own TLS has two sets",
        (0, (128 * 1024, 512 * 1024), (10, 1000), "ValueError"),
        (0, (16 * 1024, 64 * 1024), (10, 1000), "ValueError"),
    ),
    on_uvloop=(
        (80, (131072, 524288), (10, 1000), "ValueError"),
        (0, (16, 65536), (10, 1000), "ValueError"),
    ),
)
async def has_marks(stack: Stack) -> Any:
    async with stack.pair() as (_, writer):
        transport = writer.transport
        size, before = transport.get_write_buffer_size(), transport.get_write_buffer_limits()
        transport.set_write_buffer_limits(high=1000, low=10)
        error = error_in(lambda: transport.set_write_buffer_limits(high=1, low=2))
        return size, before, transport.get_write_buffer_limits(), error


@row(TRANSPORT, "abort()")
async def aborts(stack: Stack) -> Any:
    async with stack.pair() as (reader, writer):
        writer.transport.abort()
        closing = writer.is_closing()
        return closing, await error_of(writer.wait_closed()), await reader.read()


# Protocols


@row(PROTOCOL, "connection_made", "data_received", "eof_received", "connection_lost")
async def tells_a_protocol(stack: Stack) -> Any:
    async with await stack.serve(say_hello, "127.0.0.1", 0) as server:
        _, protocol = await stack.create_connection(Noting, "127.0.0.1", port_of(server))
        await protocol.lost
        return protocol.calls


@row(
    PROTOCOL,
    "eof_received() -> True",
    **differs(
        "more",
        "the connection stays open for writing, as plain ones do; asyncio closes TLS anyway",
        ["made", b"hello", "eof", None],
        ["made", b"hello", "eof"],
    ),
)
async def keeps_open_after_the_end(stack: Stack) -> Any:
    class Keeping(Noting):
        keep_open = True

    async def hello_and_wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        if stack.is_ours:
            writer.write_eof()
            with suppress(OSError):
                await reader.read()
        await leave(writer)

    loop = asyncio.get_running_loop()
    loop_warning = loop.get_debug()
    loop.set_debug(False)
    try:
        async with await stack.serve(hello_and_wait, "127.0.0.1", 0) as server:
            transport, protocol = await stack.create_connection(
                Keeping, "127.0.0.1", port_of(server)
            )
            while "eof" not in protocol.calls:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            calls = list(protocol.calls)
            transport.close()
            await protocol.lost
            return calls
    finally:
        loop.set_debug(loop_warning)


@row(PROTOCOL, "pause_writing", "resume_writing")
async def pauses_writing(stack: Stack) -> Any:
    taken = asyncio.Event()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await taken.wait()
        with suppress(OSError):
            while await reader.read(2**20):
                pass
        await leave(writer)

    async with await stack.serve(take, "127.0.0.1", 0) as server:
        transport, protocol = await stack.create_connection(Noting, "127.0.0.1", port_of(server))
        while "pause" not in protocol.calls:
            transport.write(bytes(65536))
        paused = list(protocol.calls)
        taken.set()
        while "resume" not in protocol.calls:
            await asyncio.sleep(0.01)
        transport.close()
        await protocol.lost
        return paused, protocol.calls[:3]


@row(PROTOCOL, "BufferedProtocol.get_buffer", "BufferedProtocol.buffer_updated")
async def fills_buffers(stack: Stack) -> Any:
    class Filling(asyncio.BufferedProtocol):
        def __init__(self) -> None:
            self.buffer, self.data = bytearray(3), b""
            self.lost = asyncio.get_running_loop().create_future()

        def get_buffer(self, sizehint: int) -> bytearray:
            return self.buffer

        def buffer_updated(self, nbytes: int) -> None:
            self.data += self.buffer[:nbytes]

        def connection_lost(self, exc: Exception | None) -> None:
            self.lost.set_result(exc)

    async with await stack.serve(say_hello, "127.0.0.1", 0) as server:
        _, protocol = await stack.create_connection(Filling, "127.0.0.1", port_of(server))
        return await protocol.lost, protocol.data


# Servers


@row(
    SERVER,
    "sockets",
    "is_serving()",
    "get_loop()",
    "close()",
    "wait_closed()",
    on_uvloop=(((1, True, False), True, (), False), ((1, True, True), True, (), False)),
)
async def is_a_server(stack: Stack) -> Any:
    server = await stack.serve(serve_echo, "127.0.0.1", 0)
    before = len(server.sockets), server.is_serving(), isinstance(server, asyncio.AbstractServer)
    same_loop = server.get_loop() is asyncio.get_running_loop()
    server.close()
    server.close()
    await server.wait_closed()
    return before, same_loop, tuple(server.sockets), server.is_serving()


@row(
    SERVER,
    "close() while a client is in its handshake",
    **differs(
        "different",
        "the handshake is ended, so that `wait_closed()` waits for no client that says nothing; a "
        "client whose last message is on its way sees a reset. asyncio lets it go on",
        "goes on",
        "is ended",
    ),
)
async def closes_during_a_handshake(stack: Stack) -> Any:
    server = await stack.serve(serve_echo, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
    await asyncio.sleep(0.05)
    server.close()
    try:
        await asyncio.wait_for(reader.read(1), 0.2)
    except TimeoutError:
        return "goes on"
    except ConnectionError:
        pass
    finally:
        await leave(writer)
    return "is ended"


@row(SERVER, "async with server")
async def is_a_context(stack: Stack) -> Any:
    async with await stack.serve(serve_echo, "127.0.0.1", 0) as server:
        serving = server.is_serving()
    return serving, server.is_serving()


@row(SERVER, "serve_forever()")
async def serves_forever(stack: Stack) -> Any:
    server = await stack.serve(serve_echo, "127.0.0.1", 0, start_serving=False)
    forever = asyncio.ensure_future(server.serve_forever())
    await asyncio.sleep(0.01)
    states = [server.is_serving(), await error_of(server.serve_forever())]
    forever.cancel()
    states += [await error_of(forever), server.is_serving()]
    return [*states, await error_of(server.serve_forever())]


@row(
    SERVER,
    "start_serving() once closed",
    **differs(
        "different",
        "a RuntimeError, as serve_forever has it; asyncio stumbles over its sockets",
        "TypeError",
        "RuntimeError",
    ),
)
async def starts_once_closed(stack: Stack) -> Any:
    server = await stack.serve(serve_echo, "127.0.0.1", 0)
    server.close()
    return await error_of(server.start_serving())


@row(
    SERVER,
    "close_clients()",
    "abort_clients()",
    **differs(
        "more",
        "on any Python; asyncio has them from 3.13 on",
        sys.version_info >= (3, 13),
        True,
    ),
)
async def closes_its_clients(stack: Stack) -> Any:
    server = await stack.serve(serve_echo, "127.0.0.1", 0)
    has_them = hasattr(server, "close_clients") and hasattr(server, "abort_clients")
    reader, writer = await stack.open("127.0.0.1", port_of(server))
    if has_them:
        await asyncio.sleep(0.05)
        server.close_clients()
        assert await reader.read() == b""
    await leave(writer)
    server.close()
    return has_them


# Endings


@row(ENDS, "data, then the end")
async def delivers_all_before_the_end(stack: Stack) -> Any:
    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes(5_000_000))

    async with stack.pair(pour) as (reader, writer):
        size = len(await reader.read())
        writer.close()
        return size, await error_of(writer.wait_closed())


@row(
    ENDS,
    "the transport ends without close_notify",
    **differs(
        "different",
        "data may be missing (RFC 9846 section 6.1): what has arrived is read, and then "
        "`TruncationError` raised, where asyncio tells of a complete stream; "
        "`ClientConfig(allow_truncation=True)` has it so",
        (b"one\n", b""),
        (b"one\n", "TruncationError"),
    ),
)
async def notices_truncation(stack: Stack) -> Any:
    async def cut_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"one\n")
        await writer.drain()
        await asyncio.sleep(0.05)
        sock = writer.get_extra_info("socket")
        with socket.socket(fileno=os.dup(sock.fileno())) as copy:
            copy.shutdown(socket.SHUT_WR)
        await asyncio.sleep(0.05)
        writer.transport.abort()

    async with stack.pair(cut_off) as (reader, _):
        await asyncio.sleep(0.15)
        first = await reader.readline()
        try:
            return first, await reader.read(10)
        except OSError as error:
            return first, type(error).__name__


@row(
    ENDS,
    "data, then a reset, readline(), read(n)",
    **differs(
        "more",
        "what has arrived is read first, whatever the timing, and then `ConnectionResetError` "
        "raised, which asyncio raises at once",
        ["ConnectionResetError", "ConnectionResetError", "ConnectionResetError"],
        [b"one\n", b"tw", "ConnectionResetError"],
    ),
)
async def reads_what_came_before_a_reset(stack: Stack) -> Any:
    async with stack.pair(_send_and_reset) as (reader, _):
        await _lost(reader)
        reads = (reader.readline(), reader.read(10), reader.read(10))
        return [await _outcome(each) for each in reads]


@row(
    ENDS,
    "data, then a reset, read()",
    "data, then a reset, readexactly(n), readuntil()",
    **differs(
        "more",
        "where the end is missing, each raises `ConnectionResetError`, as with asyncio, for what "
        "it returns would pass for the whole (`IncompleteReadError`, too, is for a stream that "
        "has ended in order); and `read(n)` gives what has arrived then",
        ["ConnectionResetError"] * 6,
        [*["ConnectionResetError"] * 4, b"one\n", b"tw"],
    ),
)
async def keeps_what_came_before_a_reset(stack: Stack) -> Any:
    async with stack.pair(_send_and_reset) as (reader, _):
        await _lost(reader)
        reads = (
            *(reader.read(), reader.readexactly(10), reader.readuntil(b"#"), reader.read()),
            *(reader.read(4), reader.read(10)),
        )
        return [await _outcome(each) for each in reads]


async def _send_and_reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"one\ntw")
    await writer.drain()
    await asyncio.sleep(0.05)
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _lost(reader: asyncio.StreamReader) -> None:
    while reader.exception() is None:
        await asyncio.sleep(0.01)


async def _outcome(read: Awaitable[bytes]) -> Any:
    try:
        return await read
    except OSError as error:
        return type(error).__name__


@row(
    ENDS,
    "a peer that closes while this side writes",
    **differs(
        "same",
        "`drain()` raises",
        "ConnectionError",
        "ConnectionError",
    ),
)
async def notices_that_nobody_reads(stack: Stack) -> Any:
    async def go(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with stack.pair(go) as (_, writer):
        for _ in range(1000):
            writer.write(bytes(65536))
            try:
                await writer.drain()
            except OSError:
                return "ConnectionError"
            await asyncio.sleep(0)
        return "nothing"


def table() -> str:
    """The rows as docs/asyncio.md has them."""
    lines: list[str] = []
    for part in dict.fromkeys(each.part for each in ROWS):
        lines += ["", f"### {part}", "", "| asyncio's | here | | test |", "|---|---|---|---|"]
        lines += [each.line for each in ROWS if each.part == part]
    return "\n".join(lines[1:]) + "\n"


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m tests.adapters.promises").parse_args()
    print(table(), end="")
