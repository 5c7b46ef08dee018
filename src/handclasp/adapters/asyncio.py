"""TLS for asyncio, with the StreamReader and StreamWriter that everybody knows.

How it works. A `Pump` is the protocol of the plain transport: what arrives goes into the
connection, what the connection wants to send goes into the plain transport, and events go up. The
application's protocol (asyncio's own `StreamReaderProtocol`) sits on a `TLSTransport` and hears
nothing until the handshake is complete. Nothing is buffered in between: pausing the reading pauses
the plain transport, and when the plain transport's buffer is full the application's protocol is
told, so back-pressure runs through in both directions.

This file holds what is called; the transport and the pump are in `pump`, and how a server takes
its connections is in `accepting`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from socket import socket
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from handclasp.adapters.accepting import Acceptor
from handclasp.adapters.early import EarlyData
from handclasp.adapters.ends import note_ends
from handclasp.adapters.pump import Clients, Connection, HandshakeErrorCallback, Pump, TLSTransport
from handclasp.config import ClientConfig, ServerConfig
from handclasp.connection import ClientConnection, ServerConnection
from handclasp.errors import ConfigurationError, ProtocolError
from handclasp.faults import Fault

if TYPE_CHECKING:
    from handclasp.trace.hooks import Trace

__all__ = ["open_connection", "start_server", "start_tls", "TLSServer", "TLSTransport"]

StreamPair: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
ClientConnectedCallback: TypeAlias = Callable[
    [asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None] | None
]

DEFAULT_LIMIT = 2**16
"""Bytes that a StreamReader holds before it pauses the reading, as in asyncio."""

DEFAULT_CLOSE_TIMEOUT = 5.0
"""Seconds that a closed connection waits for its last bytes to leave and for the peer to close."""

DEFAULT_MAX_HANDSHAKES = 512
"""More than a core completes in a second, so that honest clients seldom come to be that many."""


async def open_connection(
    host: str | None = None,
    port: int | str | None = None,
    *,
    config: ClientConfig | None = None,
    server_name: str | None = None,
    limit: int = DEFAULT_LIMIT,
    sock: socket | None = None,
    trace: Trace | None = None,
    close_timeout: float = DEFAULT_CLOSE_TIMEOUT,
    early_data: bytes | None = None,
    **kwds: Any,
) -> StreamPair:
    """Connect to a TLS server; returns once the handshake is complete.

    `writer.write_eof()` sends close_notify and leaves reading open; `writer.close()` sends what is
    left and close_notify, then waits for the peer to close, for at most `close_timeout` seconds.
    `writer.get_extra_info` knows "handclasp" (the `ConnectionInfo`), "connection" and
    "early_data_rejected" besides what asyncio gives. When the peer ends the transport without
    close_notify, reading raises `TruncationError`. A cancelled call leaves nothing open.

    Args:
        host, port: where to connect, unless a connected `sock` is given.
        config: how to speak; None takes the safe defaults. Its callbacks may be coroutines.
        server_name: the name that the certificate must cover, if it is not `host`.
        limit: bytes that the reader holds before the peer has to wait.
        sock: a connected socket; it belongs to the connection from here on.
        trace: notes what happens; see `Recorder`.
        close_timeout: see above.
        early_data: what to send before the handshake is complete, as for `wrap_client`;
            "early_data_rejected" is what of it has not been delivered.
        kwds: for `loop.create_connection`, such as `happy_eyeballs_delay` or `local_addr`.

    Raises:
        OSError: no connection.
        TLSError: the handshake failed; `HandshakeTimeoutError` where it took too long.
        ConfigurationError: a setting that cannot be honoured.
    """
    _refuse_ssl_arguments(kwds)
    config = _client_config(config)
    name = host if server_name is None else server_name
    early = EarlyData(config, early_data)
    loop = asyncio.get_running_loop()
    streams = _Streams(limit, loop)
    pump = Pump(
        loop,
        lambda: _client_of(config, name, port, trace, early, pump.plain),
        lambda: streams.protocol,
        handshake_timeout=config.handshake_timeout,
        close_timeout=close_timeout,
        early=early,
    )
    try:
        where: dict[str, Any] = {"sock": sock} if sock else {"host": host, "port": port}
        await loop.create_connection(lambda: pump, **where, **kwds)
        await pump.wait_established()
    except BaseException:
        pump.abort()
        raise
    return streams.on(pump.transport)


async def start_server(
    client_connected_cb: ClientConnectedCallback,
    host: str | Sequence[str] | None = None,
    port: int | str | None = None,
    *,
    config: ServerConfig,
    limit: int = DEFAULT_LIMIT,
    sock: socket | None = None,
    backlog: int = 100,
    trace: Callable[[], Trace | None] | None = None,
    on_handshake_error: HandshakeErrorCallback | None = None,
    close_timeout: float = DEFAULT_CLOSE_TIMEOUT,
    max_handshakes: int = DEFAULT_MAX_HANDSHAKES,
    **kwds: Any,
) -> TLSServer:
    """Serve TLS; `client_connected_cb(reader, writer)` runs after each complete handshake.

    A handshake that fails never reaches the callback, and ends its own connection only. Where the
    config accepts early data, `writer.get_extra_info("early_data")` is what the client sent before
    the handshake was complete, which the reader does not give again.

    Args:
        client_connected_cb: a function or coroutine function, as for `asyncio.start_server`.
        host, port: where to listen, unless a bound `sock` is given.
        config: how to speak. Its callbacks may be coroutines: a signing key may be far away.
        limit: bytes that a reader holds before its client has to wait.
        sock: a bound socket.
        backlog: how many connections the kernel queues.
        trace: called for each connection; gives the `Recorder` that notes what happens there.
        on_handshake_error: called with the exception and the transport, from which
            `get_extra_info("peername")` tells who it was. By default failures are logged only in
            asyncio's debug mode: on the open internet they are everyday life.
        close_timeout: as for `open_connection`.
        max_handshakes: how many may be in their handshake at once. Others wait in the kernel's
            queue, so that those who connect and say nothing cost so much and no more.
        kwds: for `loop.create_server`, such as `reuse_port` or `start_serving`.

    Raises:
        OSError: the address cannot be listened on.
        ConfigurationError: a setting that cannot be honoured.
    """
    _check_server(config, max_handshakes, kwds)
    loop = asyncio.get_running_loop()
    clients = Clients(on_handshake_error, loop)

    def make_pump() -> Pump:
        pump = Pump(
            loop,
            lambda: _server_of(config, None if trace is None else trace(), pump.plain),
            lambda: _server_protocol(limit, client_connected_cb, loop),
            handshake_timeout=config.handshake_timeout,
            close_timeout=close_timeout,
            clients=clients,
        )
        return pump

    start = kwds.pop("start_serving", True)
    listeners = [sock] if sock else await _bind(loop, host=host, port=port, **kwds)
    acceptor = Acceptor(listeners, backlog, max_handshakes, make_pump, loop)
    return TLSServer(acceptor, clients, loop, start=start)


async def start_tls(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    config: ClientConfig | ServerConfig | None = None,
    *,
    server_name: str | None = None,
    port: int | None = None,
    limit: int = DEFAULT_LIMIT,
    trace: Trace | None = None,
    close_timeout: float = DEFAULT_CLOSE_TIMEOUT,
) -> StreamPair:
    """Speak TLS on a plain connection from here on; returns a new pair, the old one is spent.

    The role is that of the config: a `ClientConfig` (or None) makes this side the TLS client, a
    `ServerConfig` the server.

    Whoever is on the way may send plaintext just before TLS begins, so that it seems to have come
    through TLS (the STARTTLS injection). Hence bytes that are in `reader` and unread end the
    connection.

    Args:
        reader, writer: the plain pair, with nothing unread and nobody reading.
        config: how to speak, and in which role.
        server_name: the name that the certificate must cover; for the client.
        port: where the server listens, so that the sessions of each port are kept apart; for the
            client.
        limit, trace, close_timeout: as for `open_connection`.

    Raises:
        ProtocolError: there was unread plaintext, or the peer had closed; nothing was sent.
        TLSError: the handshake failed. In both cases the connection is closed.
        ConfigurationError: somebody is reading, or a setting cannot be honoured.
    """
    config = ClientConfig() if config is None else config
    loop = asyncio.get_running_loop()
    plain = cast(asyncio.Transport, writer.transport)
    if plain.is_closing():
        raise ConfigurationError("start_tls on a connection that is closed.")
    await writer.drain()
    _refuse_unread(reader, plain)
    connection = _connection_of(config, server_name, port, trace, plain)
    streams = _Streams(limit, loop)
    pump = Pump(
        loop,
        lambda: connection,
        lambda: streams.protocol,
        handshake_timeout=config.handshake_timeout,
        close_timeout=close_timeout,
        # Both hear of the end, and a StreamWriter that is collected would bring it about.
        previous=(plain.get_protocol(), writer),
    )
    try:
        plain.set_protocol(pump)
        pump.connection_made(plain)
        plain.resume_reading()
        await pump.wait_established()
    except BaseException:
        pump.abort()
        raise
    return streams.on(pump.transport)


async def _bind(loop: asyncio.AbstractEventLoop, **where: Any) -> list[socket]:
    """Sockets as asyncio's own servers bind them, without such a server."""
    server = await loop.create_server(asyncio.Protocol, start_serving=False, **where)
    try:
        return [each.dup() for each in server.sockets]
    finally:
        server.close()


def _client_of(
    config: ClientConfig,
    server_name: str | None,
    port: int | str | None,
    trace: Trace | None,
    early: EarlyData,
    plain: asyncio.Transport,
) -> ClientConnection:
    number = _port_number(port, plain)
    connection = ClientConnection(config, server_name=server_name, port=number, trace=trace)
    _note_ends(plain, trace)
    early.send_on(connection)
    return connection


def _server_of(
    config: ServerConfig, trace: Trace | None, plain: asyncio.Transport
) -> ServerConnection:
    connection = ServerConnection(config, trace=trace)
    _note_ends(plain, trace)
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
    connection = ClientConnection(config, server_name=server_name, port=port, trace=trace)
    _note_ends(plain, trace)
    return connection


def _note_ends(plain: asyncio.Transport, trace: Trace | None) -> None:
    if trace is not None:
        note_ends(trace, plain.get_extra_info("sockname"), plain.get_extra_info("peername"))


class TLSServer(asyncio.AbstractServer):
    """What `asyncio.Server` is, for TLS: closing it also ends the handshakes in progress."""

    def __init__(
        self,
        acceptor: Acceptor,
        clients: Clients,
        loop: asyncio.AbstractEventLoop,
        *,
        start: bool,
    ) -> None:
        self._acceptor = acceptor
        self._clients = clients
        self._loop = loop
        self._forever: asyncio.Future[None] | None = None
        if start:
            try:
                acceptor.start()
            except BaseException:
                acceptor.close()
                raise

    def __repr__(self) -> str:
        return f"<TLSServer sockets={self.sockets!r}>"

    @property
    def sockets(self) -> Sequence[socket]:
        """The sockets that listen; empty once closed."""
        return self._acceptor.listeners

    @property
    def handshakes_in_progress(self) -> int:
        """How many connections have not completed their handshake yet."""
        return len(self._clients.in_handshake)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop that the server runs on."""
        return self._loop

    def is_serving(self) -> bool:
        """Whether the server accepts connections."""
        return self._acceptor.active

    async def start_serving(self) -> None:
        """Begin to accept connections, where `start_serving=False` was given."""
        self._acceptor.start()

    async def serve_forever(self) -> None:
        """Accept connections until cancelled or closed, which both end in `CancelledError`."""
        if self._forever is not None:
            raise ConfigurationError("serve_forever() is running already.")
        self._acceptor.start()
        self._forever = self._loop.create_future()
        if not self._acceptor.active:  # closed before, by a signal's handler perhaps
            self._forever.cancel()
        try:
            await self._forever
        finally:
            self._forever = None
            self.close()
            await self.wait_closed()

    def close(self) -> None:
        """Stop listening and end the handshakes in progress; complete connections live on."""
        self._acceptor.close()
        self._clients.end_handshakes()
        if self._forever is not None:
            self._forever.cancel()

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
        self._reader = asyncio.StreamReader(limit, loop)
        self.protocol = asyncio.StreamReaderProtocol(self._reader, loop=loop)

    def on(self, transport: TLSTransport) -> StreamPair:
        writer = asyncio.StreamWriter(transport, self.protocol, self._reader, self._loop)
        return self._reader, writer


def _server_protocol(
    limit: int, callback: ClientConnectedCallback, loop: asyncio.AbstractEventLoop
) -> asyncio.BaseProtocol:
    return asyncio.StreamReaderProtocol(asyncio.StreamReader(limit, loop), callback, loop=loop)


def _refuse_unread(reader: asyncio.StreamReader, plain: asyncio.WriteTransport) -> None:
    """A read that needs no waiting proves that there is something, or the end."""
    reading = reader.read(1)
    try:
        reading.send(None)
    except StopIteration as done:
        plain.abort()
        if done.value:
            raise ProtocolError(
                Fault.APPLICATION_DATA_TOO_EARLY, "plaintext was unread when start_tls began"
            ) from None
        raise ProtocolError(Fault.CLOSED_DURING_HANDSHAKE) from None
    except RuntimeError:
        raise ConfigurationError("start_tls while somebody reads from the reader.") from None
    finally:
        reading.close()


def _port_number(port: int | str | None, plain: asyncio.Transport) -> int | None:
    """The port by which sessions are kept: the one that was given, be it by its service's name."""
    if port is None or isinstance(port, int):
        return port
    if port.isascii() and port.isdecimal():
        return int(port)
    address: Any = plain.get_extra_info("peername")
    # A UNIX socket has a path for an address.
    return None if address is None or isinstance(address, str | bytes) else int(address[1])


def _client_config(config: ClientConfig | None) -> ClientConfig:
    if config is None:
        return ClientConfig()
    if not isinstance(config, ClientConfig):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError("A client needs a ClientConfig.")
    return config


def _check_server(config: ServerConfig, max_handshakes: int, kwds: dict[str, Any]) -> None:
    _refuse_ssl_arguments(kwds)
    if not isinstance(config, ServerConfig):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError("start_server needs a ServerConfig with credentials.")
    if type(max_handshakes) is not int or max_handshakes < 1:
        raise ConfigurationError("max_handshakes must be a whole number, at least 1.")


def _refuse_ssl_arguments(kwds: dict[str, Any]) -> None:
    for name in kwds:
        if name == "server_hostname" or name.startswith("ssl"):
            raise ConfigurationError(f"{name} is for the ssl module; here config= says it all.")
