"""TLS for asyncio, with the StreamReader and StreamWriter that everybody knows.

How it works. A `_Pump` is the protocol of the plain transport: what arrives goes into the
connection, what the connection wants to send goes into the plain transport, and events go up. The
application's protocol (asyncio's own `StreamReaderProtocol`) sits on a `TLSTransport` and hears
nothing until the handshake is complete. Nothing is buffered in between: pausing the reading pauses
the plain transport, and when the plain transport's buffer is full the application's protocol is
told, so back-pressure runs through in both directions.

The order of reading: `open_connection`, `start_server` and `start_tls`, the transport, the pump.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from socket import socket
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from handclasp.config import ClientConfig, ServerConfig
from handclasp.connection import ClientConnection, ServerConnection
from handclasp.errors import ConfigurationError, ProtocolError, TLSError
from handclasp.events import (
    DataReceived,
    Event,
    HandshakeCompleted,
    PeerClosed,
    QuestionAsked,
)
from handclasp.faults import Fault

if TYPE_CHECKING:
    from handclasp.handshake.questions import Question
    from handclasp.trace.hooks import Trace

__all__ = ["open_connection", "start_server", "start_tls", "TLSServer", "TLSTransport"]

Connection: TypeAlias = ClientConnection | ServerConnection
StreamPair: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
ClientConnectedCallback: TypeAlias = Callable[
    [asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None] | None
]
HandshakeErrorCallback: TypeAlias = Callable[[Exception, "TLSTransport"], object]

DEFAULT_LIMIT = 2**16
"""Bytes that a StreamReader holds before it pauses the reading, as in asyncio."""

DEFAULT_CLOSE_TIMEOUT = 5.0
"""Seconds that a closed connection waits for its last bytes to leave and for the peer to close."""

_READ_SIZE = 128 * 1024
_WRITE_SIZE = 256 * 1024
_MAX_WAITING_INPUT = 64 * 1024
"""Bytes read while the handshake waits for an answer. Reading goes on a while, to see a loss."""

_MAX_OWED_OUTPUT = 64 * 1024
"""Bytes of answers (to KeyUpdates) to a peer that does not read, before reading stops as well."""

_log = logging.getLogger("handclasp")


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
    **kwds: Any,
) -> StreamPair:
    """Connect to a TLS server; returns once the handshake is complete.

    `writer.write_eof()` sends close_notify and leaves reading open; `writer.close()` sends what is
    left and close_notify, then waits for the peer to close, for at most `close_timeout` seconds.
    `writer.get_extra_info` knows "handclasp" (the `ConnectionInfo`) and "connection" besides what
    asyncio gives. When the peer ends the transport without close_notify, reading raises
    `TruncationError`. A cancelled call leaves nothing open.

    Args:
        host, port: where to connect, unless a connected `sock` is given.
        config: how to speak; None takes the safe defaults. Its callbacks may be coroutines.
        server_name: the name that the certificate must cover, if it is not `host`.
        limit: bytes that the reader holds before the peer has to wait.
        sock: a connected socket; it belongs to the connection from here on.
        trace: notes what happens; see `Recorder`.
        close_timeout: see above.
        kwds: for `loop.create_connection`, such as `happy_eyeballs_delay` or `local_addr`.

    Raises:
        OSError: no connection.
        TLSError: the handshake failed; `HandshakeTimeoutError` where it took too long.
        ConfigurationError: a setting that cannot be honoured.
    """
    _refuse_ssl_arguments(kwds)
    config = _client_config(config)
    name = host if server_name is None else server_name
    loop = asyncio.get_running_loop()
    streams = _Streams(limit, loop)
    pump = _Pump(
        loop,
        lambda: ClientConnection(config, server_name=name, trace=trace),
        lambda: streams.protocol,
        handshake_timeout=config.handshake_timeout,
        close_timeout=close_timeout,
    )
    try:
        if sock is None:
            await loop.create_connection(lambda: pump, host, port, **kwds)
        else:
            await loop.create_connection(lambda: pump, sock=sock, **kwds)
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
    **kwds: Any,
) -> TLSServer:
    """Serve TLS; `client_connected_cb(reader, writer)` runs after each complete handshake.

    A handshake that fails never reaches the callback, and ends its own connection only.

    Args:
        client_connected_cb: a function or coroutine function, as for `asyncio.start_server`.
        host, port: where to listen, unless a bound `sock` is given.
        config: how to speak. Its callbacks may be coroutines: a signing key may be far away.
        limit: bytes that a reader holds before its client has to wait.
        sock: a bound socket.
        backlog: how many connections the kernel queues.
        trace: called for each connection; gives the `Recorder` that notes what happens there.
        on_handshake_error: called with the exception and the transport, from which
            `get_extra_info("peername")` tells who it was. By default failures are logged in
            asyncio's debug mode only, for on the open internet they are everyday life.
        close_timeout: as for `open_connection`.
        kwds: for `loop.create_server`, such as `reuse_port` or `start_serving`.

    Raises:
        OSError: the address cannot be listened on.
        ConfigurationError: a setting that cannot be honoured.
    """
    _refuse_ssl_arguments(kwds)
    if not isinstance(config, ServerConfig):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError("start_server needs a ServerConfig with credentials.")
    loop = asyncio.get_running_loop()
    clients = _Clients(on_handshake_error, loop)

    def make_pump() -> _Pump:
        return _Pump(
            loop,
            lambda: ServerConnection(config, trace=None if trace is None else trace()),
            lambda: _server_protocol(limit, client_connected_cb, loop),
            handshake_timeout=config.handshake_timeout,
            close_timeout=close_timeout,
            clients=clients,
        )

    if sock is None:
        server = await loop.create_server(make_pump, host, port, backlog=backlog, **kwds)
    else:
        server = await loop.create_server(make_pump, sock=sock, backlog=backlog, **kwds)
    return TLSServer(server, clients)


async def start_tls(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    config: ClientConfig | ServerConfig | None = None,
    *,
    server_name: str | None = None,
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
        limit, trace, close_timeout: as for `open_connection`.

    Raises:
        ProtocolError: there was unread plaintext, or the peer had closed; nothing was sent.
        TLSError: the handshake failed. In both cases the connection is closed.
        ConfigurationError: somebody is reading, or a setting cannot be honoured.
    """
    config = ClientConfig() if config is None else config
    loop = asyncio.get_running_loop()
    plain = writer.transport
    if plain.is_closing():
        raise ConfigurationError("start_tls on a connection that is closed.")
    await writer.drain()
    _refuse_unread(reader, plain)
    streams = _Streams(limit, loop)

    def make_connection() -> Connection:
        if isinstance(config, ServerConfig):
            return ServerConnection(config, trace=trace)
        return ClientConnection(config, server_name=server_name, trace=trace)

    pump = _Pump(
        loop,
        make_connection,
        lambda: streams.protocol,
        handshake_timeout=config.handshake_timeout,
        close_timeout=close_timeout,
        # A StreamWriter that is collected closes its transport.
        keep=writer,
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


class TLSServer(asyncio.AbstractServer):
    """What `asyncio.Server` is, for TLS: closing it also ends the handshakes in progress."""

    def __init__(self, server: asyncio.Server, clients: _Clients) -> None:
        self._server = server
        self._clients = clients
        self._forever: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"<TLSServer {self._server!r}>"

    @property
    def sockets(self) -> Iterable[Any]:
        """The sockets that listen; empty once closed."""
        return self._server.sockets

    @property
    def handshakes_in_progress(self) -> int:
        """How many connections have not completed their handshake yet."""
        return len(self._clients.in_handshake)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop that the server runs on."""
        return self._server.get_loop()

    def is_serving(self) -> bool:
        """Whether the server accepts connections."""
        return self._server.is_serving()

    async def start_serving(self) -> None:
        """Begin to accept connections, where `start_serving=False` was given."""
        await self._server.start_serving()

    async def serve_forever(self) -> None:
        """Accept connections until cancelled or closed, which both end in `CancelledError`."""
        if self._forever is not None:
            raise ConfigurationError("serve_forever() is running already.")
        await self._server.start_serving()
        self._forever = self.get_loop().create_future()
        try:
            await self._forever
        finally:
            self._forever = None
            self.close()
            await self.wait_closed()

    def close(self) -> None:
        """Stop listening and end the handshakes in progress; complete connections live on."""
        self._server.close()
        self._clients.end_handshakes()
        if self._forever is not None:
            self._forever.cancel()

    async def wait_closed(self) -> None:
        """Wait until the server is closed; from Python 3.12 on, until its connections are, too."""
        await self._server.wait_closed()

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
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        await self.wait_closed()


class TLSTransport(asyncio.Transport):
    """The transport that carries the application's data; made by the functions above.

    Write buffer limits and back-pressure are those of the plain transport below, and count
    encrypted bytes.
    """

    _start_tls_compatible = False
    """asyncio's own start_tls cannot be put on top; `handclasp.aio.start_tls` can."""

    def __init__(self, pump: _Pump) -> None:
        super().__init__()
        self._pump = pump

    def __repr__(self) -> str:
        state = "closing" if self.is_closing() else "open"
        return f"<TLSTransport {state} peer={self.get_extra_info('peername')}>"

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """ "handclasp" is the `ConnectionInfo` (None before the handshake is complete) and
        "connection" the sans-IO connection; the rest is what the plain transport knows."""
        if name == "handclasp":
            connection = getattr(self._pump, "connection", None)
            return None if connection is None else connection.info
        if name == "connection":
            return getattr(self._pump, "connection", None)
        return self._pump.plain.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Give what arrives to another protocol from here on."""
        self._pump.application = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol that gets what arrives."""
        application = self._pump.application
        if application is None:
            raise ConfigurationError("There is no protocol before the handshake is complete.")
        return application

    def is_reading(self) -> bool:
        """Whether the protocol gets data when some arrives."""
        return not self.is_closing() and not self._pump.paused_by_application

    def pause_reading(self) -> None:
        """Stop the data, and in time the peer, too."""
        self._pump.paused_by_application = True
        self._pump.update_reading()

    def resume_reading(self) -> None:
        """Let data come again."""
        self._pump.paused_by_application = False
        self._pump.update_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """How many encrypted bytes may wait before writing is paused, and resumed."""
        self._pump.plain.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Encrypted bytes that wait."""
        return self._pump.plain.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """The low and the high mark."""
        return self._pump.plain.get_write_buffer_limits()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send `data`. After a loss or `close()` nothing is sent, and `drain()` tells."""
        self._pump.write(data)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send the pieces as one."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """True: TLS 1.3 closes each direction by itself (RFC 8446 section 6.1)."""
        return True

    def write_eof(self) -> None:
        """Send close_notify: this side has sent all it has to say. Reading goes on."""
        self._pump.write_eof()

    def is_closing(self) -> bool:
        """Whether the transport is closed or about to be."""
        return self._pump.is_closing()

    def close(self) -> None:
        """Send what is left and close_notify; then close when the peer has, or after a while."""
        self._pump.close()

    def abort(self) -> None:
        """Close at once. The peer sees that the data was cut off."""
        self._pump.abort()

    def update_keys(self, request_peer: bool = True) -> None:
        """Send under new keys from here on (RFC 8446 section 4.6.3)."""
        self._pump.update_keys(request_peer)


class _Streams:
    """A client's reader and protocol, which exist before there is a transport."""

    def __init__(self, limit: int, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._reader = asyncio.StreamReader(limit, loop)
        self.protocol = asyncio.StreamReaderProtocol(self._reader, loop=loop)

    def on(self, transport: TLSTransport) -> StreamPair:
        writer = asyncio.StreamWriter(transport, self.protocol, self._reader, self._loop)
        return self._reader, writer


class _Clients:
    """The connections of one server, and where their failed handshakes are reported."""

    def __init__(
        self, on_error: HandshakeErrorCallback | None, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._on_error = on_error
        self._loop = loop
        self._established: set[_Pump] = set()
        self.in_handshake: set[_Pump] = set()
        self.ended = False

    def all(self) -> list[_Pump]:
        return [*self.in_handshake, *self._established]

    def add(self, pump: _Pump) -> None:
        self.in_handshake.add(pump)

    def settle(self, pump: _Pump) -> None:
        self.in_handshake.discard(pump)
        self._established.add(pump)

    def discard(self, pump: _Pump) -> None:
        self.in_handshake.discard(pump)
        self._established.discard(pump)

    def end_handshakes(self) -> None:
        self.ended = True
        for pump in list(self.in_handshake):
            pump.abort()

    def report(self, error: Exception, transport: TLSTransport) -> None:
        if self._on_error is not None:
            try:
                self._on_error(error, transport)
            except Exception as failure:
                self._tell_loop("The callback on_handshake_error failed", failure, transport)
        elif not isinstance(error, OSError):
            self._tell_loop("A TLS handshake could not begin", error, transport)
        elif self._loop.get_debug():
            _log.debug("%r: TLS handshake failed: %s", transport, error)

    def _tell_loop(self, message: str, error: Exception, transport: TLSTransport) -> None:
        self._loop.call_exception_handler(
            {"message": message, "exception": error, "transport": transport}
        )


class _Pump(asyncio.BufferedProtocol):
    """Between the plain transport and the application's protocol; one for each connection.

    Its life: made, connected, established, closing, lost. `_error` is what ended it, if anything
    went wrong; it is told to whoever waits when the plain transport is lost.
    """

    plain: asyncio.Transport
    connection: Connection

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        make_connection: Callable[[], Connection],
        make_application: Callable[[], asyncio.BaseProtocol],
        *,
        handshake_timeout: float | None,
        close_timeout: float,
        clients: _Clients | None = None,
        keep: object = None,
    ) -> None:
        self._loop = loop
        self._make_connection = make_connection
        self._make_application = make_application
        self._handshake_timeout = handshake_timeout
        self._close_timeout = close_timeout
        self._clients = clients
        self._keep = keep
        self.transport = TLSTransport(self)
        self.application: asyncio.BaseProtocol | None = None
        self.paused_by_application = False
        self._connected = False
        self._timer: asyncio.TimerHandle | None = None
        self._answers: set[asyncio.Future[Any]] = set()
        self._waiting_input = 0
        self._owed_output = 0
        self._plain_paused = False
        self._writing_paused = False
        self._eof_written = False
        self._closing = False
        self._aborted = False
        self._plain_eof = False
        self._error: Exception | None = None
        self._decided = loop.create_future()

    # What the functions above call

    async def wait_established(self) -> None:
        """Wait for the end of the handshake; when it fails, for that of the transport, too."""
        await self._decided
        if self.application is None and self._error is not None:
            raise self._error

    def abort(self) -> None:
        """Close at once, in whatever state."""
        self._closing = self._aborted = True
        self._give_up_answers()
        if self._connected:
            self.plain.abort()

    # Protocol of the plain transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.plain = cast(asyncio.Transport, transport)
        self._connected = True
        if self._clients is not None:
            self._clients.add(self)
            if self._clients.ended:
                self.abort()
        try:
            self.connection = self._make_connection()
        except Exception as error:
            self._error = error
            self.plain.abort()
            return
        if self._handshake_timeout is not None:
            self._timer = self._loop.call_later(self._handshake_timeout, self._time_out)
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connected = False
        self._closing = True
        self._stop_timer()
        self._give_up_answers()
        if self._clients is not None:
            self._clients.discard(self)
        if self.application is not None:
            self.application.connection_lost(self._error or exc)
        else:
            if self._error is None:
                self._error = self._explain_loss(exc)
            if self._clients is not None and not self._aborted:
                self._clients.report(self._error, self.transport)
        self._decide()
        self._keep = None

    def get_buffer(self, sizehint: int) -> memoryview:
        return _read_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        if self._error is not None:
            return
        self._note_waiting_input(nbytes)
        with _read_buffer()[:nbytes] as data:
            self._drive(lambda: self.connection.receive_data(data))

    def eof_received(self) -> bool:
        """True keeps the plain transport open for writing."""
        if self._closing:
            return False
        self._drive(self.connection.receive_eof)
        if self.application is None:
            self._fail(self.connection.abort(Fault.CLOSED_DURING_HANDSHAKE))
        return not self._closing

    def pause_writing(self) -> None:
        self._writing_paused = True
        self.update_reading()
        if self.application is not None:
            self.application.pause_writing()

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._owed_output = 0
        self.update_reading()
        if self.application is not None:
            self.application.resume_writing()

    # What the transport calls

    def is_closing(self) -> bool:
        return self._closing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not isinstance(data, (bytes, bytearray, memoryview)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"data must be bytes-like, not {type(data).__name__}")
        if self._eof_written:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self.is_closing() or self.connection.failure is not None:
            return
        with memoryview(data) as view, view.cast("B") as octets:
            for start in range(0, len(octets), _WRITE_SIZE):
                with octets[start : start + _WRITE_SIZE] as chunk:
                    self.connection.send_data(chunk)
                self._flush()

    def write_eof(self) -> None:
        self._eof_written = True
        if not self.is_closing():
            self.connection.close()
            self._flush()

    def update_keys(self, request_peer: bool) -> None:
        if not self.is_closing():
            self.connection.update_keys(request_peer)
            self._flush()

    def close(self) -> None:
        """Linger: the peer may still be sending, and the kernel answers bytes that nobody reads
        with a reset, which may overtake what was written last."""
        if self.is_closing():
            return
        self._closing = True
        if self.connection.failure is None:
            self.connection.close()
            self._flush()
        if self.connection.peer_closed or self.connection.failure is not None:
            self._close_plain(self._close_timeout)
        else:
            self._linger()

    def update_reading(self) -> None:
        """Pause or resume the plain transport, for whichever reason."""
        paused = not self._closing and (
            self.paused_by_application
            or self._waiting_input > _MAX_WAITING_INPUT
            or self._owed_output > _MAX_OWED_OUTPUT
        )
        if paused != self._plain_paused and self._connected and not self.plain.is_closing():
            self._plain_paused = paused
            if paused:
                self.plain.pause_reading()
            else:
                self.plain.resume_reading()

    # Inside: the connection's events

    def _drive(self, step: Callable[[], list[Event]]) -> None:
        """Take one step of the connection, send what it has to say, and pass its events on."""
        try:
            events = step()
        except Exception as error:
            self._fail(error)
            return
        self._note_owed_output(self._flush())
        for event in events:
            self._note(event)
        if self.connection.failure is not None and self._error is None:
            self._fail(self.connection.failure)

    def _note(self, event: Event) -> None:
        if isinstance(event, DataReceived):
            if self.application is not None and not self._closing:
                _deliver(self.application, event.data)
        elif isinstance(event, HandshakeCompleted):
            self._settle()
        elif isinstance(event, PeerClosed):
            self._note_peer_closed()
        elif isinstance(event, QuestionAsked):
            self._ask(event.question)

    def _settle(self) -> None:
        """The handshake is complete: the application may know."""
        self._stop_timer()
        if self._closing:
            return
        if self._clients is not None:
            self._clients.settle(self)
        self.application = self._make_application()
        self.application.connection_made(self.transport)
        if self._writing_paused:
            self.application.pause_writing()
        self._decide()

    def _note_peer_closed(self) -> None:
        if self._closing:
            self._close_plain(self._close_timeout)
        elif isinstance(self.application, (asyncio.Protocol, asyncio.BufferedProtocol)):
            # As with plain transports: a protocol that returns a false value wants the end.
            if not self.application.eof_received():
                self.close()

    def _flush(self) -> int:
        """Write what the connection has queued; returns how many bytes that was."""
        data = self.connection.data_to_send()
        if data and not self._plain_eof and not self.plain.is_closing():
            self.plain.write(data)
        return len(data)

    # Inside: questions

    def _ask(self, question: Question[object]) -> None:
        if question.pending is None:
            self._drive(
                lambda: self.connection.refuse(
                    question,
                    ConfigurationError(
                        "DEFER is for those who drive a connection themselves; under asyncio "
                        "a callback is a coroutine function or returns an awaitable."
                    ),
                )
            )
            return
        # The awaitable itself becomes the task, so that a task cancelled before its first step
        # still counts as awaited.
        answer = asyncio.ensure_future(question.pending, loop=self._loop)
        self._answers.add(answer)
        answer.add_done_callback(partial(self._answer, question))

    def _answer(self, question: Question[object], answer: asyncio.Future[Any]) -> None:
        self._answers.discard(answer)
        error = asyncio.CancelledError() if answer.cancelled() else answer.exception()
        if self._closing:
            return
        self._waiting_input = 0
        if error is None:
            self._drive(lambda: self.connection.answer(question, answer.result()))
        else:
            self._drive(lambda: self.connection.refuse(question, error))
        self.update_reading()

    def _give_up_answers(self) -> None:
        for answer in list(self._answers):
            answer.cancel()

    def _note_waiting_input(self, size: int) -> None:
        if self._answers:
            self._waiting_input += size
            self.update_reading()

    def _note_owed_output(self, size: int) -> None:
        if self._writing_paused and size:
            self._owed_output += size
            self.update_reading()

    # Inside: the end

    def _fail(self, error: Exception) -> None:
        """End the connection because of `error`: the alert leaves, then the transport closes."""
        if self._error is not None:
            return
        self._flush()
        if self._closing:
            # Nobody waits for more: what goes wrong now is no news.
            self._close_plain(self._close_timeout)
            return
        self._error = error
        self._closing = True
        self._give_up_answers()
        if self.application is None and self._clients is not None:
            # The client may have sent more than was read: see `close`.
            self._linger()
        else:
            self._close_plain(min(1.0, self._close_timeout))

    def _linger(self) -> None:
        """Wait for the peer to close, reading on and dropping what comes, but not forever."""
        self.update_reading()
        self._abort_after(self._close_timeout)
        with suppress(OSError):  # the peer may be gone already
            if self.plain.can_write_eof():
                self._plain_eof = True
                self.plain.write_eof()

    def _close_plain(self, timeout: float) -> None:
        """Close the plain transport once what is written has left, but do not wait forever."""
        self._abort_after(timeout)
        self.plain.close()

    def _abort_after(self, timeout: float) -> None:
        self._stop_timer()
        if self._connected:
            self._timer = self._loop.call_later(timeout, self.plain.abort)

    def _time_out(self) -> None:
        self._timer = None
        self._fail(self.connection.abort(Fault.HANDSHAKE_TIMEOUT))

    def _decide(self) -> None:
        """The handshake is over, one way or the other."""
        if not self._decided.done():
            self._decided.set_result(None)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _explain_loss(self, exc: Exception | None) -> Exception:
        """What the end of the transport means in the middle of the handshake."""
        if not self._aborted:
            try:
                self.connection.receive_eof()
            except TLSError as error:
                error.__cause__ = exc
                return error
        return ConnectionAbortedError("The connection was closed before the handshake was over.")


class _ReadBuffer(threading.local):
    """A loop reads one connection at a time, so all connections of a thread share a buffer.

    It carries what is on the wire, never plaintext.
    """

    def __init__(self) -> None:
        self.view = memoryview(bytearray(_READ_SIZE))


_shared = _ReadBuffer()


def _read_buffer() -> memoryview:
    return _shared.view


def _deliver(application: asyncio.BaseProtocol, data: bytes) -> None:
    """Give data to a protocol of either kind."""
    if isinstance(application, asyncio.Protocol):
        application.data_received(data)
    elif isinstance(application, asyncio.BufferedProtocol):
        with memoryview(data) as view:
            at = 0
            while at < len(view):
                with memoryview(application.get_buffer(len(view) - at)) as buffer:
                    size = min(len(buffer), len(view) - at)
                    buffer[:size] = view[at : at + size]
                application.buffer_updated(size)
                at += size


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


def _client_config(config: ClientConfig | None) -> ClientConfig:
    if config is None:
        return ClientConfig()
    if not isinstance(config, ClientConfig):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError("A client needs a ClientConfig.")
    return config


def _refuse_ssl_arguments(kwds: dict[str, Any]) -> None:
    for name in kwds:
        if name == "server_hostname" or name.startswith("ssl"):
            raise ConfigurationError(f"{name} is for the ssl module; here config= says it all.")
