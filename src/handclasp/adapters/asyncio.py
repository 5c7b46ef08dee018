"""TLS for asyncio, with its StreamReader and StreamWriter.

How it works. A `Pump` is the protocol of the plain transport: it passes received data to the
connection, the connection's output to the plain transport, and events to the application. The
application's protocol (asyncio's own `StreamReaderProtocol`) is connected to a `TLSTransport` after
the handshake is complete. Nothing is buffered in between: pausing the reading pauses the plain
transport, and a full buffer of the plain transport pauses the application's protocol, so
backpressure works in both directions.

This file has the public functions; the transport and the pump are in `pump`, and a server's loop of
accepting connections in `accepting` and `loop_accepting`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from socket import socket
from typing import Any, TypeAlias, TypeVar

from handclasp.adapters.addresses import note_addresses
from handclasp.adapters.arguments import (
    DEFAULT_BACKLOG,
    DEFAULT_CLOSE_TIMEOUT,
    DEFAULT_HELLO_TIMEOUT,
    DEFAULT_MAX_HANDSHAKES,
    StrPath,
    check_connected,
    check_host_and_port,
    check_listener,
    check_make_trace,
    check_protocol_factory,
    check_server,
    check_stream_socket,
    check_streams,
    check_streams_server,
    check_unix,
    check_upgrade,
    check_without_peer,
    client_config,
    close_seconds,
    either_config,
    looks_like_tls,
    seconds_or_none,
    server_config,
    server_connection,
)
from handclasp.adapters.early import EarlyData
from handclasp.adapters.hints import refuse_arguments, refuse_ssl_arguments
from handclasp.adapters.loop_accepting import LoopAcceptor
from handclasp.adapters.plaintext import refused_plaintext
from handclasp.adapters.progress import peek
from handclasp.adapters.proxies import ProxyProtocol, proxies_of
from handclasp.adapters.pump import (
    Connection,
    ConnectionRegistry,
    HandshakeErrorCallback,
    Pump,
    TLSTransport,
)
from handclasp.adapters.spent import plain_transport, spend
from handclasp.adapters.streamreader import StreamReader, TLSStreamReaderProtocol
from handclasp.adapters.unix import bind_unix, removal_of
from handclasp.client import ClientConnection, check_server_name
from handclasp.config import ClientConfig, ServerConfig
from handclasp.errors import ConfigurationError, ProtocolError, StateError
from handclasp.faults import Fault
from handclasp.server import ServerConnection
from handclasp.trace.hooks import Trace, check_trace

__all__ = [
    "open_connection",
    "open_unix_connection",
    "start_server",
    "start_unix_server",
    "start_tls",
    "create_connection",
    "create_unix_connection",
    "create_server",
    "create_unix_server",
    "TLSServer",
    "TLSTransport",
]

ProtocolT = TypeVar("ProtocolT", bound=asyncio.BaseProtocol)
StreamPair: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
ClientConnectedCallback: TypeAlias = Callable[
    [asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None] | None
]

DEFAULT_LIMIT = 2**16
"""Bytes that a StreamReader holds before it pauses the reading, as in asyncio."""

_TURNS_OF_A_READ = 3
"""Of the loop: it sees that a read is complete, tells the transport, which tells its protocol."""


async def open_connection(
    host: str | None = None,
    port: int | str | None = None,
    *,
    config: ClientConfig | None = None,
    server_name: str | None = None,
    limit: int = DEFAULT_LIMIT,
    sock: socket | None = None,
    trace: Trace | None = None,
    close_timeout: float | None = DEFAULT_CLOSE_TIMEOUT,
    early_data: bytes | None = None,
    **kwds: Any,
) -> StreamPair:
    """Connect to a TLS server; return after the handshake is complete.

    `writer.write_eof()` sends close_notify and leaves reading open; `writer.close()` sends the
    remaining data and close_notify, then waits for the peer to close. `writer.get_extra_info`
    supports "handclasp" (the `ConnectionInfo`), "connection", "early_data_rejected" and the names
    of `ssl` and of asyncio; see `TLSTransport.get_extra_info`. If the peer ends the transport
    without close_notify, reading returns the data that arrived and then raises `TruncationError`. A
    cancelled call leaves nothing open.

    >>> async def main():
    ...     reader, writer = await aio.open_connection("example.com", 443)
    ...     print(writer.get_extra_info("handclasp").version)
    ...     writer.close()
    ...     await writer.wait_closed()
    >>> asyncio.run(main())
    TLSv1.3

    Args:
        host, port: the address of the server, unless a connected `sock` is given.
        config: the settings; None uses the safe defaults. Its callbacks may be coroutines.
        server_name: the name that the certificate must cover, if it is not `host`.
        limit: bytes that the reader buffers before the peer has to wait.
        sock: a connected stream socket, which the connection then owns.
        trace: records the events of the connection; see `Recorder`.
        close_timeout: seconds without progress after which closing is aborted and
            `writer.wait_closed()` raises `TimeoutError`: while data are sent, which may take any
            time as long as there is progress, and then until the peer closes. None disables the
            timeout.
        early_data: the data to send before the handshake is complete, as for `wrap_client`;
            "early_data_rejected" is the part that was not delivered.
        kwds: for `loop.create_connection`, such as `happy_eyeballs_delay` or `local_addr`.

    Raises:
        OSError: the server could not be reached.
        TLSError: the handshake failed; `HandshakeTimeoutError` if it took too long.
        ConfigurationError: a setting that cannot be honoured.
    """
    streams = _Streams(limit, asyncio.get_running_loop())
    where = _where_to_connect(host, port, sock)
    client = _Connecting(config, host, server_name, port, trace, close_timeout, early_data)
    transport = await client.connect(lambda: streams.protocol, "create_connection", where | kwds)
    return streams.on(transport)


async def open_unix_connection(
    path: StrPath | None = None,
    *,
    config: ClientConfig | None = None,
    server_name: str | None = None,
    limit: int = DEFAULT_LIMIT,
    sock: socket | None = None,
    trace: Trace | None = None,
    close_timeout: float | None = DEFAULT_CLOSE_TIMEOUT,
    early_data: bytes | None = None,
    **unknown: Any,
) -> StreamPair:
    """Connect to a TLS server at a UNIX socket; everything else is as in `open_connection`.

    See `start_unix_server` for an example.

    Args:
        path: the path of the socket, unless a connected `sock` is given.
        server_name: the name that the certificate must cover: a path is not a name.
    """
    refuse_arguments(unknown)
    streams = _Streams(limit, asyncio.get_running_loop())
    client = _Connecting(config, None, server_name, None, trace, close_timeout, early_data)
    transport = await client.connect(
        lambda: streams.protocol, "create_unix_connection", _unix_path_or_sock(path, sock)
    )
    return streams.on(transport)


async def create_connection(
    protocol_factory: Callable[[], ProtocolT],
    host: str | None = None,
    port: int | str | None = None,
    *,
    config: ClientConfig | None = None,
    server_name: str | None = None,
    sock: socket | None = None,
    trace: Trace | None = None,
    close_timeout: float | None = DEFAULT_CLOSE_TIMEOUT,
    early_data: bytes | None = None,
    **kwds: Any,
) -> tuple[TLSTransport, ProtocolT]:
    """Connect as `loop.create_connection` does, with a protocol instead of streams.

    The result is a `TLSTransport` and the protocol.

    When the handshake is complete, the factory is called, and then the protocol's
    `connection_made`; everything else is as in `open_connection`.

    >>> class Greeter(asyncio.Protocol):
    ...     def connection_made(self, transport):
    ...         self.transport, self.is_over = transport, asyncio.Event()
    ...         transport.write(b"hello")
    ...     def data_received(self, data):
    ...         print(data)
    ...         self.transport.close()
    ...     def connection_lost(self, error):
    ...         self.is_over.set()
    >>> async def main():
    ...     transport, protocol = await aio.create_connection(Greeter, "example.com", 443)
    ...     await protocol.is_over.wait()
    >>> asyncio.run(main())
    b'hello'
    """
    where = _where_to_connect(host, port, sock)
    client = _Connecting(config, host, server_name, port, trace, close_timeout, early_data)
    return await _connect_protocol(client, protocol_factory, "create_connection", where | kwds)


async def create_unix_connection(
    protocol_factory: Callable[[], ProtocolT],
    path: StrPath | None = None,
    *,
    config: ClientConfig | None = None,
    server_name: str | None = None,
    sock: socket | None = None,
    trace: Trace | None = None,
    close_timeout: float | None = DEFAULT_CLOSE_TIMEOUT,
    early_data: bytes | None = None,
    **unknown: Any,
) -> tuple[TLSTransport, ProtocolT]:
    """Connect to a UNIX socket with a protocol; see the functions above.

    See `create_unix_server` for an example.
    """
    refuse_arguments(unknown)
    client = _Connecting(config, None, server_name, None, trace, close_timeout, early_data)
    return await _connect_protocol(
        client, protocol_factory, "create_unix_connection", _unix_path_or_sock(path, sock)
    )


async def start_server(
    client_connected_cb: ClientConnectedCallback,
    host: str | Sequence[str] | None = None,
    port: int | str | None = None,
    *,
    config: ServerConfig | None = None,
    limit: int = DEFAULT_LIMIT,
    sock: socket | None = None,
    backlog: int = DEFAULT_BACKLOG,
    make_trace: Callable[[], Trace | None] | None = None,
    on_handshake_error: HandshakeErrorCallback | None = None,
    close_timeout: float | None = DEFAULT_CLOSE_TIMEOUT,
    max_handshakes: int = DEFAULT_MAX_HANDSHAKES,
    hello_timeout: float | None = DEFAULT_HELLO_TIMEOUT,
    proxy_protocol: ProxyProtocol = False,
    start_serving: bool = True,
    **kwds: Any,
) -> TLSServer:
    """Serve TLS; `client_connected_cb(reader, writer)` runs after each complete handshake.

    A failed handshake ends only its own connection. Early data are in
    `writer.get_extra_info("early_data")`, and the reader does not return them again. See
    `TLSServer` for an example.

    Args:
        client_connected_cb: a function or coroutine function, as for `asyncio.start_server`.
        host, port: the address to listen on, unless a bound `sock` is given.
        config: the settings, which a server must have. Its callbacks may be coroutines.
        limit: bytes that a reader buffers before its client has to wait.
        sock, backlog: a bound stream socket; the length of the accept queue.
        make_trace: a function, such as `Recorder`, that returns the trace of each connection.
        on_handshake_error: is called with the exception and the transport, whose "peername" is the
            client's address. By default, asyncio's debug mode logs failures.
        close_timeout: as for `open_connection`.
        max_handshakes: the largest number of concurrent handshakes: see docs/asyncio.md.
        hello_timeout: seconds for the client's hello; None: no such limit.
        proxy_protocol: True, or the networks of load balancers such as "10.0.0.0/8", if each
            connection begins with a PROXY header: see "Behind a load balancer" in docs/asyncio.md.
        start_serving: False waits for `TLSServer.start_serving` or `serve_forever`.
        kwds: for `loop.create_server`, such as `reuse_port`.

    Raises `OSError`: the address cannot be listened on; `ConfigurationError`: a wrong setting.
    """
    check_streams_server(limit, client_connected_cb)
    return await create_server(
        lambda: _stream_protocol(limit, client_connected_cb),
        host,
        port,
        config=config,
        sock=sock,
        backlog=backlog,
        make_trace=make_trace,
        on_handshake_error=on_handshake_error,
        close_timeout=close_timeout,
        max_handshakes=max_handshakes,
        hello_timeout=hello_timeout,
        proxy_protocol=proxy_protocol,
        start_serving=start_serving,
        **kwds,
    )


async def start_unix_server(
    client_connected_cb: ClientConnectedCallback,
    path: StrPath | None = None,
    *,
    config: ServerConfig | None = None,
    limit: int = DEFAULT_LIMIT,
    sock: socket | None = None,
    **kwds: Any,
) -> TLSServer:
    """Serve TLS at a UNIX socket.

    >>> async def greet(reader, writer):
    ...     writer.write(b"hello")
    ...     writer.close()
    >>> async def main():
    ...     config = ServerConfig(credentials=Credentials.load("chain.pem", "key.pem"))
    ...     async with await aio.start_unix_server(greet, "tls.sock", config=config):
    ...         name = "example.com"
    ...         reader, writer = await aio.open_unix_connection("tls.sock", server_name=name)
    ...         print(await reader.read())
    ...         writer.close()
    ...         await writer.wait_closed()
    >>> asyncio.run(main())
    b'hello'

    Args:
        path: the path to listen on, unless a bound `sock` is given. An existing socket is replaced.
        kwds: as for `create_unix_server`.
    """
    check_streams_server(limit, client_connected_cb)
    return await create_unix_server(
        lambda: _stream_protocol(limit, client_connected_cb), path, config=config, sock=sock, **kwds
    )


async def create_server(
    protocol_factory: Callable[[], asyncio.BaseProtocol],
    host: str | Sequence[str] | None = None,
    port: int | str | None = None,
    *,
    config: ServerConfig | None = None,
    sock: socket | None = None,
    backlog: int = DEFAULT_BACKLOG,
    make_trace: Callable[[], Trace | None] | None = None,
    on_handshake_error: HandshakeErrorCallback | None = None,
    close_timeout: float | None = DEFAULT_CLOSE_TIMEOUT,
    max_handshakes: int = DEFAULT_MAX_HANDSHAKES,
    hello_timeout: float | None = DEFAULT_HELLO_TIMEOUT,
    proxy_protocol: ProxyProtocol = False,
    start_serving: bool = True,
    **kwds: Any,
) -> TLSServer:
    """Serve as `loop.create_server` does, with a protocol for each connection.

    When a handshake is complete, the factory is called, and then the protocol's `connection_made`;
    everything else is as in `start_server`. If the factory fails, the loop's exception handler is
    called, and the connection ends.

    >>> async def main():
    ...     config = ServerConfig(credentials=Credentials.load("chain.pem", "key.pem"))
    ...     server = await aio.create_server(asyncio.Protocol, "localhost", 0, config=config)
    ...     print(server.is_serving())
    ...     server.close()
    >>> asyncio.run(main())
    True
    """
    refuse_ssl_arguments(kwds)
    check_make_trace(make_trace, kwds)
    settings = _Serving(
        protocol_factory,
        config,
        make_trace,
        on_handshake_error,
        close_timeout,
        max_handshakes,
        hello_timeout,
        backlog,
        proxy_protocol,
    )
    loop = asyncio.get_running_loop()
    if sock is None:
        listeners = await _bind(loop, host=host, port=port, **kwds)
    else:
        check_listener(sock, host, port, kwds)
        listeners = [sock]
    return settings.serve(listeners, start_serving)


async def create_unix_server(
    protocol_factory: Callable[[], asyncio.BaseProtocol],
    path: StrPath | None = None,
    *,
    config: ServerConfig | None = None,
    sock: socket | None = None,
    backlog: int = DEFAULT_BACKLOG,
    make_trace: Callable[[], Trace | None] | None = None,
    on_handshake_error: HandshakeErrorCallback | None = None,
    close_timeout: float | None = DEFAULT_CLOSE_TIMEOUT,
    max_handshakes: int = DEFAULT_MAX_HANDSHAKES,
    hello_timeout: float | None = DEFAULT_HELLO_TIMEOUT,
    proxy_protocol: ProxyProtocol = False,
    start_serving: bool = True,
    cleanup_socket: bool = True,
    **unknown: Any,
) -> TLSServer:
    """Serve at a UNIX socket, with a protocol for each connection.

    >>> async def main():
    ...     config = ServerConfig(credentials=Credentials.load("chain.pem", "key.pem"))
    ...     server = await aio.create_unix_server(asyncio.Protocol, "tls.sock", config=config)
    ...     transport, protocol = await aio.create_unix_connection(
    ...         asyncio.Protocol, "tls.sock", server_name="example.com"
    ...     )
    ...     transport.close()
    ...     server.close()
    >>> asyncio.run(main())

    Args:
        path, sock: as for `start_unix_server`.
        cleanup_socket: remove the socket's file when the server is closed, if it is still the
            same, as asyncio does from Python 3.13 on.
    """
    check_make_trace(make_trace, unknown)
    refuse_arguments(unknown)
    settings = _Serving(
        protocol_factory,
        config,
        make_trace,
        on_handshake_error,
        close_timeout,
        max_handshakes,
        hello_timeout,
        backlog,
        proxy_protocol,
    )
    where = _unix_path_or_sock(path, sock)
    if sock is not None:
        check_without_peer(sock)
    listener = where["sock"] if "path" not in where else bind_unix(where["path"])
    cleanup = removal_of(listener) if cleanup_socket else None
    return settings.serve([listener], start_serving, cleanup)


async def start_tls(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    config: ClientConfig | ServerConfig | None = None,
    *,
    server_name: str | None = None,
    port: int | None = None,
    limit: int = DEFAULT_LIMIT,
    trace: Trace | None = None,
    close_timeout: float | None = DEFAULT_CLOSE_TIMEOUT,
    go_ahead: bytes | None = None,
    received: bytes = b"",
) -> StreamPair:
    """Upgrade a plain connection to TLS; return a new pair, which replaces the old one.

    After that, reading from the old reader and writing to the old writer raises `StateError`, and
    closing the old writer does not affect the connection. See `handclasp.aio` for an example.

    An attacker on the network may send plaintext just before TLS begins, so that it seems to have
    come through TLS (the STARTTLS injection, RFC 3207 section 6). Hence the application never gets
    unread data of `reader`. A server sends nothing before the client's hello, so for a client
    unread data end the connection. For a server they may be the beginning of the hello of a fast
    client; anything else ends the connection as well. With `go_ahead` there may be no unread data
    in `reader` or in the kernel: data that had arrived on this machine when it was written are
    refused.

    Args:
        reader, writer: the plain pair, with nobody reading.
        config: a `ClientConfig` (or None) makes this side the client, a `ServerConfig` the server.
        server_name, port: for the client: as for `wrap_client`.
        limit, trace, close_timeout: as for `open_connection`.
        go_ahead: for a server: the bytes to write before TLS begins, such as b"220 Go ahead\\r\\n".
        received: for a server: the part of the client's hello that was already read, for example in
            one segment with a PROXY line.

    Raises:
        ProtocolError: there was unread plaintext (`Fault.PLAINTEXT_BEFORE_TLS`), or the peer had
            closed; nothing was sent.
        TLSError: the handshake failed. In both cases the connection is closed.
        StateError: somebody is reading, or the connection is closed.
        ConfigurationError: a setting cannot be honoured.
    """
    check_streams(reader, writer)
    config = either_config(config, "asyncio")
    is_server = isinstance(config, ServerConfig)
    check_upgrade(is_server, server_name, port, go_ahead, received)
    check_trace(trace)
    plain = plain_transport(writer)
    loop = asyncio.get_running_loop()
    streams = _Streams(limit, loop)
    pump = Pump(
        loop,
        lambda: _connection_of(config, server_name, port, trace, plain),
        lambda: streams.protocol,
        handshake_timeout=config.handshake_timeout,
        close_timeout=close_seconds(close_timeout),
        # Both hear of the end, and a StreamWriter that is collected would bring it about.
        previous=(plain.get_protocol(), writer),
    )
    return streams.on(await _upgrade(pump, reader, writer, plain, is_server, go_ahead, received))


async def _upgrade(
    pump: Pump,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    plain: asyncio.Transport,
    is_server: bool,
    go_ahead: bytes | None,
    received: bytes,
) -> TLSTransport:
    """Put the pump on the plain transport, with nothing awaited between the check and that."""
    if plain.is_closing():
        raise StateError("start_tls on a connection that is closed.")
    pump.prepare()
    if go_ahead is None:
        await writer.drain()
    else:
        await _flush(writer, plain)
    unread = _take_unread(reader, plain)
    is_argument, received = bool(received), bytes(received) + unread
    may_be_tls = is_server and go_ahead is None
    refused = bool(received) and not (may_be_tls and looks_like_tls(received))
    if refused or (not may_be_tls and peek(plain)):
        error = refused_plaintext(
            received or peek(plain),
            is_server=is_server,
            has_go_ahead=go_ahead is not None,
            is_argument=is_argument,
        )
        plain.abort()
        raise error
    try:
        if go_ahead is not None:
            plain.write(go_ahead)
        plain.set_protocol(pump)
        spend(reader, writer, pump.transport)
        pump.connection_made(plain)
        pump.receive(received)
        plain.resume_reading()
        await pump.wait_established()
    except BaseException:
        pump.abort()
        raise
    return pump.transport


async def _flush(writer: asyncio.StreamWriter, plain: asyncio.Transport) -> None:
    """Wait until all has left, so that what is written next leaves at once.

    And until the loop has delivered what it has read: a proactor's may be on its way.
    """
    low, high = plain.get_write_buffer_limits()
    try:
        plain.set_write_buffer_limits(0)
        await writer.drain()
    finally:
        plain.set_write_buffer_limits(high, low)
    for _ in range(_TURNS_OF_A_READ):
        await asyncio.sleep(0)


class _Connecting:
    """The parameters of a connection to be made."""

    def __init__(
        self,
        config: ClientConfig | None,
        host: str | None,
        server_name: str | None,
        port: int | str | None,
        trace: Trace | None,
        close_timeout: float | None,
        early_data: bytes | None,
    ) -> None:
        self._config = client_config(config)
        check_trace(trace)
        self._name = host if server_name is None else server_name
        check_server_name(self._config, self._name)  # before anything is connected
        self._port = port
        self._trace = trace
        self._close_timeout = close_seconds(close_timeout)
        self._early = EarlyData(self._config, early_data)

    async def connect(
        self,
        make_application: Callable[[], asyncio.BaseProtocol],
        method: str,
        where: dict[str, Any],
    ) -> TLSTransport:
        """Connect by this method of the loop, and complete the handshake."""
        refuse_ssl_arguments(where)
        loop = asyncio.get_running_loop()
        pump = Pump(
            loop,
            lambda: self._connection(pump.plain),
            make_application,
            handshake_timeout=self._config.handshake_timeout,
            close_timeout=self._close_timeout,
            early=self._early,
        )
        if "sock" in where:
            check_connected(where["sock"])
            # What is wrong shows itself while the socket is still its owner's.
            pump.connection = self._connection(_info_of(where["sock"]))
        try:
            await getattr(loop, method)(lambda: pump, **where)
            await pump.wait_established()
        except BaseException:
            pump.abort()
            raise
        return pump.transport

    def _connection(self, plain: asyncio.BaseTransport) -> ClientConnection:
        port = _port_number(self._port, plain)
        connection = _client_of(self._config, self._name, port, self._trace, plain)
        self._early.send_on(connection)
        return connection


async def _connect_protocol(
    client: _Connecting, factory: Callable[[], ProtocolT], method: str, where: dict[str, Any]
) -> tuple[TLSTransport, ProtocolT]:
    check_protocol_factory(factory)
    made: list[ProtocolT] = []

    def make() -> ProtocolT:
        made.append(factory())
        return made[0]

    return await client.connect(make, method, where), made[0]


class _Serving:
    """The parameters that the connections of a server share; checked at the call."""

    def __init__(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        config: ServerConfig | None,
        make_trace: Callable[[], Trace | None] | None,
        on_handshake_error: HandshakeErrorCallback | None,
        close_timeout: float | None,
        max_handshakes: int,
        hello_timeout: float | None,
        backlog: int,
        proxy_protocol: ProxyProtocol,
    ) -> None:
        check_protocol_factory(protocol_factory)
        self._make_application = protocol_factory
        self._config = server_config(config, "asyncio")
        check_server(max_handshakes, backlog, on_handshake_error)
        self._backlog = backlog
        self._make_trace = make_trace
        self._on_handshake_error = on_handshake_error
        self._close_timeout = close_seconds(close_timeout)
        self._max_handshakes = max_handshakes
        self._hello_timeout = seconds_or_none("hello_timeout", hello_timeout)
        self._proxies = proxies_of(proxy_protocol)

    def serve(
        self,
        listeners: Sequence[socket],
        start: bool,
        cleanup: Callable[[], None] | None = None,
    ) -> TLSServer:
        """Start a server on these sockets, which it owns from then on."""
        loop = asyncio.get_running_loop()
        clients = ConnectionRegistry(self._on_handshake_error, loop)

        def make_pump() -> Pump:
            pump = Pump(
                loop,
                lambda: self._connection(pump.transport),
                self._make_application,
                handshake_timeout=self._config.handshake_timeout,
                hello_timeout=self._hello_timeout,
                close_timeout=self._close_timeout,
                clients=clients,
            )
            return pump

        limits = (self._config.handshake_timeout, self._hello_timeout)
        acceptor = LoopAcceptor(
            listeners,
            self._backlog,
            self._max_handshakes,
            make_pump,
            loop,
            self._proxies,
            min((each for each in limits if each is not None), default=None),
        )
        return TLSServer(acceptor, clients, loop, start=start, cleanup=cleanup)

    def _connection(self, transport: asyncio.BaseTransport) -> ServerConnection:
        trace = None if self._make_trace is None else self._make_trace()
        return _server_of(self._config, trace, transport)


async def _bind(loop: asyncio.AbstractEventLoop, **where: Any) -> list[socket]:
    """Return sockets bound as asyncio's own servers bind them, without such a server."""
    server = await loop.create_server(asyncio.Protocol, start_serving=False, **where)
    try:
        return [each.dup() for each in server.sockets]
    finally:
        server.close()


def _where_to_connect(
    host: str | None, port: int | str | None, sock: socket | None
) -> dict[str, Any]:
    check_host_and_port(host, port, {})
    if sock is None:
        if host is None and port is None:
            raise ConfigurationError("Either host and port or sock must be given.")
        return {"host": host, "port": port}
    check_stream_socket(sock, host, port)
    return {"sock": sock}


def _unix_path_or_sock(path: StrPath | None, sock: socket | None) -> dict[str, Any]:
    check_unix(path, sock)
    return {"sock": sock} if path is None else {"path": path}


def _info_of(sock: socket) -> asyncio.BaseTransport:
    """Tell what a transport of this socket will tell of its ends."""
    info: dict[str, object] = {}
    for name, ask in (("sockname", sock.getsockname), ("peername", sock.getpeername)):
        with suppress(OSError):  # A peer that is gone again has no address.
            info[name] = ask()
    return asyncio.BaseTransport(info)


def _server_of(
    config: ServerConfig, trace: Trace | None, transport: asyncio.BaseTransport
) -> ServerConnection:
    connection = server_connection(config, "asyncio", trace)
    _note_ends(transport, trace)
    return connection


def _connection_of(
    config: ClientConfig | ServerConfig,
    server_name: str | None,
    port: int | None,
    trace: Trace | None,
    plain: asyncio.Transport,
) -> Connection:
    if isinstance(config, ServerConfig):
        return _server_of(config, trace, plain)
    return _client_of(config, server_name, port, trace, plain)


def _client_of(
    config: ClientConfig,
    server_name: str | None,
    port: int | None,
    trace: Trace | None,
    plain: asyncio.BaseTransport,
) -> ClientConnection:
    connection = ClientConnection(config, server_name=server_name, port=port, trace=trace)
    connection.ask_own_address = partial(plain.get_extra_info, "sockname")
    _note_ends(plain, trace)
    return connection


def _note_ends(plain: asyncio.BaseTransport, trace: Trace | None) -> None:
    if trace is not None:
        note_addresses(trace, plain.get_extra_info("sockname"), plain.get_extra_info("peername"))


class ServerStateError(RuntimeError, StateError):
    """A call to a server at the wrong time; a `RuntimeError`, as with asyncio's own."""


class TLSServer(asyncio.AbstractServer):
    """The counterpart of `asyncio.Server` for TLS; closing it also ends handshakes in progress.

    >>> async def echo(reader, writer):
    ...     writer.write(await reader.read(100))
    ...     writer.close()
    >>> async def main():
    ...     config = ServerConfig(credentials=Credentials.load("chain.pem", "key.pem"))
    ...     async with await aio.start_server(echo, "localhost", 0, config=config) as server:
    ...         print(isinstance(server, aio.TLSServer), server.is_serving())
    >>> asyncio.run(main())
    True True
    """

    def __init__(
        self,
        acceptor: LoopAcceptor,
        clients: ConnectionRegistry,
        loop: asyncio.AbstractEventLoop,
        *,
        start: bool,
        cleanup: Callable[[], None] | None = None,
    ) -> None:
        self._acceptor = acceptor
        self._cleanup = cleanup
        self._clients = clients
        self._loop = loop
        self._forever: asyncio.Future[None] | None = None
        if start:
            try:
                acceptor.start()
            except BaseException:
                self.close()
                raise

    def __repr__(self) -> str:
        return f"<TLSServer sockets={self.sockets!r}>"

    @property
    def sockets(self) -> Sequence[socket]:
        """The sockets that listen; empty once closed."""
        return self._acceptor.listeners

    @property
    def handshakes_in_progress(self) -> int:
        """The number of connections whose handshake is not complete."""
        return len(self._clients.in_handshake)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop that the server runs on."""
        return self._loop

    def is_serving(self) -> bool:
        """Return whether the server accepts connections."""
        return self._acceptor.active

    async def start_serving(self) -> None:
        """Begin to accept connections, after `start_serving=False`.

        Raises `RuntimeError` if the server is closed.
        """
        self._check_open()
        self._acceptor.start()

    async def serve_forever(self) -> None:
        """Accept connections until cancelled or closed, which both end in `CancelledError`.

        Raises `RuntimeError` if it is running already, or the server is closed.
        """
        if self._forever is not None:
            raise ServerStateError(f"server {self!r} is already being awaited on serve_forever()")
        self._check_open()
        self._acceptor.start()
        self._forever = self._loop.create_future()
        try:
            await self._forever
        finally:
            self._forever = None
            self.close()
            await self.wait_closed()

    def close(self) -> None:
        """Stop listening and end the handshakes in progress; complete connections live on."""
        self._acceptor.close()
        cleanup, self._cleanup = self._cleanup, None
        if cleanup is not None and not self._acceptor.is_forked:
            cleanup()
        self._clients.end_handshakes()
        if self._forever is not None:
            self._forever.cancel()

    def _check_open(self) -> None:
        if self._acceptor.closed:
            raise ServerStateError(f"server {self!r} is closed")

    async def wait_closed(self) -> None:
        """Wait until the server is closed; from Python 3.12 on, until its connections are, too."""
        await self._acceptor.wait_closed()
        if sys.version_info >= (3, 12):  # as asyncio's own servers
            await self._clients.gone.wait()

    def close_clients(self) -> None:
        """Close all connections as their `transport.close()` does."""
        for pump in self._clients.all():
            pump.close()

    def abort_clients(self) -> None:
        """Abort all connections as their `transport.abort()` does."""
        for pump in self._clients.all():
            pump.abort()

    async def __aenter__(self) -> TLSServer:
        return self

    async def __aexit__(
        self,
        *exc: object,
    ) -> None:
        self.close()
        await self.wait_closed()


class _Streams:
    """A client's reader and protocol, which exist before there is a transport."""

    def __init__(self, limit: int, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._reader = StreamReader(limit, loop)
        self.protocol = TLSStreamReaderProtocol(self._reader, loop=loop)

    def on(self, transport: TLSTransport) -> StreamPair:
        writer = asyncio.StreamWriter(transport, self.protocol, self._reader, self._loop)
        return self._reader, writer


def _stream_protocol(limit: int, callback: ClientConnectedCallback) -> asyncio.BaseProtocol:
    loop = asyncio.get_running_loop()
    return TLSStreamReaderProtocol(StreamReader(limit, loop), callback, loop=loop)


def _take_unread(reader: asyncio.StreamReader, plain: asyncio.WriteTransport) -> bytes:
    """Return what the reader holds; where that is the end, raise.

    A read that needs no waiting proves that there is something, or the end.
    """
    reading = reader.read(sys.maxsize)
    try:
        reading.send(None)
    except StopIteration as done:
        unread: bytes = done.value
    except RuntimeError:
        raise StateError("start_tls while somebody reads from the reader.") from None
    else:
        return b""
    finally:
        reading.close()
    if reader.at_eof():
        plain.abort()
        raise ProtocolError(Fault.CLOSED_DURING_HANDSHAKE)
    return unread


def _port_number(port: int | str | None, plain: asyncio.BaseTransport) -> int | None:
    """Return the port under which sessions are stored: the given one, or that of the
    service name.
    """
    if port is None or isinstance(port, int):
        return port
    if port.isascii() and port.isdecimal():
        return int(port)
    address: Any = plain.get_extra_info("peername")
    # A UNIX socket has a path for an address.
    return None if address is None or isinstance(address, str | bytes) else int(address[1])
