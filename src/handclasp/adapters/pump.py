"""The pump between a plain asyncio transport and the application's protocol.

Down goes what the application writes, sealed by the connection; up comes what the peer sent,
opened by it. A `Pump` is the protocol of the plain transport, and owns the `TLSTransport` that the
application's protocol gets once the handshake is complete. See `asyncio` for the whole picture.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import threading
from asyncio import base_events
from asyncio.constants import _SendfileMode  # pyright: ignore[reportPrivateUsage]
from asyncio.transports import _FlowControlMixin  # pyright: ignore[reportPrivateUsage]
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVarTuple, cast

from handclasp.adapters.arguments import request_client_certificate
from handclasp.adapters.early import EarlyData
from handclasp.adapters.extra import TLS_NAMES, extra_info
from handclasp.adapters.progress import (
    acknowledged_bytes,
    borrowed,
    given_up,
    has_failed,
    is_readable,
    queued_bytes,
    unsent_bytes,
)
from handclasp.client import ClientConnection
from handclasp.errors import (
    ConfigurationError,
    HandshakeTimeoutError,
    PeerAlertError,
    StateError,
    TLSError,
    TruncationError,
)
from handclasp.events import (
    DataReceived,
    Event,
    HandshakeCompleted,
    PeerClosed,
    QuestionAsked,
)
from handclasp.faults import Fault
from handclasp.server import ServerConnection

if TYPE_CHECKING:
    from socket import socket

    from handclasp.questions import Question

Ts = TypeVarTuple("Ts")
Connection: TypeAlias = ClientConnection | ServerConnection
HandshakeErrorCallback: TypeAlias = Callable[[Exception, "TLSTransport"], object]

_READ_SIZE = 128 * 1024
_WRITE_SIZE = 256 * 1024
_ALERT_SECONDS = 1.0
"""Seconds that the alert of a failed connection may take to be sent."""
_FAILED_SECONDS = 5.0
"""Seconds that a server waits for a client whose handshake has failed to read the alert and close.
"""
_LOOKS = 8
"""The number of checks of a closing connection within its timeout; at least one each second."""
_FIRST_LOOK_SECONDS = 0.005
"""When to look first whether everything is out, where only that is awaited; then ever later."""
_LAST_LOOK_SECONDS = 0.25
_MAX_WAITING_INPUT = 64 * 1024
"""Bytes read while the handshake waits for an answer. Reading goes on a while, to see a loss."""

_SendfileProtocol: type[asyncio.Protocol] = vars(base_events)["_SendfileFallbackProtocol"]
"""Covers the application's protocol while `loop.sendfile` is under way."""

_log = logging.getLogger("handclasp")


class TLSTransport(_FlowControlMixin):
    """The transport that carries the application's data; made by the functions above.

    Write buffer limits and back-pressure are those of the plain transport below, and count
    encrypted bytes.

    See `create_connection` for an example.
    """

    _start_tls_compatible = False
    """asyncio's own start_tls cannot be put on top; `handclasp.aio.start_tls` can."""

    _sendfile_compatible = _SendfileMode.FALLBACK
    """`loop.sendfile` reads the file and writes what it read, as with asyncio's own TLS."""

    def __init__(self, pump: Pump, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.Transport.__init__(self)
        self._pump = pump
        self._loop = loop
        """Used by `loop.sendfile`, while writing is paused."""

    @property
    def _protocol_paused(self) -> bool:
        """Asked by `loop.sendfile`: whether the protocol has been told to pause."""
        return self._pump.pause_reported

    def __repr__(self) -> str:
        state = "closing" if self.is_closing() else "open"
        return f"<TLSTransport {state} peer={self.get_extra_info('peername')}>"

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Tell of the connection and of the plain transport below it.

        "handclasp" is the `ConnectionInfo` (None before the handshake is complete),
        "connection" the sans-IO connection and "trace" its trace, if it has one;
        "handshake_seconds" is how long the handshake took, once it is complete; "early_data" is
        what a server's client sent before the handshake was complete, and "early_data_rejected"
        what of a client's early data was not delivered. "cipher", "compression" and "peercert" are
        as with asyncio's own TLS; "ssl_object" has the methods of an `ssl.SSLObject` that only ask,
        and "sslcontext" is the config: both show that there is TLS. The rest is what the plain
        transport knows.
        """
        pump = self._pump
        connection: Connection | None = getattr(pump, "connection", None)
        if name in TLS_NAMES:
            return default if connection is None else extra_info(connection, name, default)
        if name == "handclasp":
            return None if connection is None else connection.info
        if name == "connection":
            return connection
        if name == "trace":
            return None if connection is None else connection.trace
        if name == "handshake_seconds":
            return pump.handshake_seconds
        if name == "early_data":
            return pump.early.received
        if name == "early_data_rejected":
            return pump.early.undelivered
        if name == "peername" and pump.peername:
            return pump.peername
        plain: asyncio.Transport | None = getattr(pump, "plain", None)
        return default if plain is None else plain.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Pass received data to another protocol."""
        self._pump.use(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol that receives the data."""
        application = self._pump.application
        if application is None:
            raise StateError("There is no protocol before the handshake is complete.")
        return application

    def is_reading(self) -> bool:
        """Return whether the protocol gets data as they arrive."""
        return not self.is_closing() and not self._pump.paused_by_application

    def pause_reading(self) -> None:
        """Stop the data, and in time the peer, too."""
        self._pump.pause_reading()

    def resume_reading(self) -> None:
        """Let data come again."""
        self._pump.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set how many encrypted bytes may wait before writing is paused and resumed."""
        self._pump.plain.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Return the number of encrypted bytes that wait to be sent."""
        return self._pump.plain.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the low and the high water mark."""
        return self._pump.plain.get_write_buffer_limits()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send `data`. After a loss or `close()` nothing is sent, and `drain()` tells."""
        self._pump.write(data)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send the pieces as one."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """Return True: TLS 1.3 closes each direction on its own (RFC 9846 section 6.1).

        In TLS 1.2 the peer may drop what it has yet to send: see docs/asyncio.md.
        """
        return True

    def write_eof(self) -> None:
        """Send close_notify: this side has sent all it has to say. Reading goes on."""
        self._pump.write_eof()

    def is_closing(self) -> bool:
        """Return whether the transport is closed or closing."""
        return self._pump.is_closing()

    def close(self) -> None:
        """Send what is left and close_notify; then close when the peer has.

        As long as the peer takes something, it may take its time. Where nothing moves for
        `close_timeout` seconds, the connection is given up, and `connection_lost` gets a
        `TimeoutError`, which `StreamWriter.wait_closed` raises.
        """
        self._pump.close()

    def abort(self) -> None:
        """Close at once. The peer sees that the data was cut off."""
        self._pump.abort()

    def update_keys(self, request_peer: bool = True) -> None:
        """Switch to new sending keys (RFC 8446 section 4.6.3)."""
        self._pump.update_keys(request_peer)

    def request_client_certificate(self) -> None:
        """Ask the client for its certificate (RFC 8446 section 4.6.2). Only for a server.

        This does not wait for the answer, which comes while data are received: then `info` is that
        of the client, and `connection.certificate_requests` is 0. Raises as
        `ServerConnection.request_client_certificate`.
        """
        self._pump.request_client_certificate()


class Pump(asyncio.BufferedProtocol):
    """Between the plain transport and the application's protocol; one for each connection.

    Its life: made, connected, established, closing, lost. `_error` is the exception that ended it,
    if any; waiting callers get it when the plain transport is lost.
    """

    __slots__ = (
        "_aborted",
        "_acknowledged_before",
        "_answered_at",
        "_answers",
        "_began",
        "_clients",
        "_close_timeout",
        "_closing",
        "_connected",
        "_decided",
        "_eof_written",
        "_error",
        "_finishing",
        "_give",
        "_handed_over",
        "_handing_over",
        "_handshake_timeout",
        "_held",
        "_hello_timeout",
        "_look_seconds",
        "_loop",
        "_make_application",
        "_make_connection",
        "_moved_at",
        "_needed",
        "_plain_eof",
        "_plain_paused",
        "_previous",
        "_process",
        "_timer",
        "_unsent",
        "_waiting_input",
        "_writing_paused",
        "accepted",
        "application",
        "connection",
        "early",
        "handshake_seconds",
        "pause_reported",
        "paused_by_application",
        "peername",
        "plain",
        "transport",
    )

    plain: asyncio.Transport
    connection: Connection

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        make_connection: Callable[[], Connection],
        make_application: Callable[[], asyncio.BaseProtocol],
        *,
        handshake_timeout: float | None,
        hello_timeout: float | None = None,
        close_timeout: float | None,
        early: EarlyData | None = None,
        clients: ConnectionRegistry | None = None,
        previous: tuple[asyncio.BaseProtocol, asyncio.StreamWriter] | None = None,
    ) -> None:
        self._loop = loop
        self._process = os.getpid()
        self._make_connection = make_connection
        self._make_application = make_application
        self._handshake_timeout = handshake_timeout
        self._hello_timeout = hello_timeout
        self._close_timeout = close_timeout
        self._clients = clients
        self._previous = previous
        self.transport = TLSTransport(self, loop)
        self.early = early if early is not None else EarlyData()
        self.peername: Any = None
        """Whom a server has accepted: who is gone again already has no name any more."""
        self.accepted: socket | None = None
        """A server's socket, as long as the handshake goes on."""
        self._answered_at: float | None = None
        """When this side sent its part of the handshake, which a server does after the hello."""
        self._began: float = 0.0
        self.handshake_seconds: float | None = None
        self.application: asyncio.BaseProtocol | None = None
        self._give: Callable[[bytes], object] = _drop
        """Takes the data that arrives, as long as nothing changes; see `_aim`."""
        self.paused_by_application = False
        self._held: list[Event] = []
        """What a paused application has not been told yet."""
        self._connected = False
        self._timer: asyncio.TimerHandle | None = None
        self._answers: set[asyncio.Future[Any]] = set()
        self._waiting_input = 0
        self._plain_paused = False
        self._writing_paused = False
        self._handing_over = False
        """While the plain transport takes bytes, in which it may say that it is full."""
        self._handed_over = self._needed = 0  # Bytes: in all, and up to the application's last.
        self._acknowledged_before: int | None = None  # before TLS, if known
        self.pause_reported = False
        self._unsent: int = 0
        self._moved_at: float = 0.0
        self._eof_written = False
        self._closing = False
        self._finishing = False
        """Closing, and nothing of the peer's is awaited any more: once all is out, it is over."""
        self._look_seconds = _FIRST_LOOK_SECONDS
        self._aborted = False
        self._plain_eof = False
        self._error: Exception | None = None
        self._decided = loop.create_future()

    # What the functions above call

    def prepare(self) -> None:
        """Make the connection, if there is none yet; raises where it cannot be made."""
        if getattr(self, "connection", None) is None:
            self.connection = self._make_connection()

    async def wait_decided(self) -> None:
        """Wait for the end of the handshake; when it fails, for that of the transport, too."""
        await self._decided

    async def wait_established(self) -> None:
        """Wait like `wait_decided`, and raise what made the handshake fail."""
        await self.wait_decided()
        error = self._error
        if self.application is None and error is not None:
            # The way through the engine explains nothing.
            raise error.with_traceback(None) if isinstance(error, TLSError) else error

    def is_idle(self) -> bool:
        """Return whether the peer has not yet sent a whole hello, or has failed; see `Room`."""
        idle = self._closing or not self._said_hello()
        return idle and self._connected and not self._has_input()

    def seconds_waited_for(self) -> float:
        """Return for how long this side has waited for the peer's next step; see `Room`."""
        if not self._connected or self._answered_at is None or self._answers or self._has_input():
            return 0.0
        return self._loop.time() - self._answered_at

    def _said_hello(self) -> bool:
        return self._answered_at is not None or bool(self._answers)

    def was_silent(self) -> bool:
        """Return whether the handshake has failed because no hello came in time."""
        return isinstance(self._error, HandshakeTimeoutError) and not self._said_hello()

    def drop(self, why: str) -> None:
        """Give up a handshake for the sake of others, at once."""
        if not self._closing:
            self._closing = True
            self._give_up_answers()
            self._error = self.connection.abort(Fault.HANDSHAKE_TIMEOUT, why)
            self._report(self._error)
        if self._clients is not None:
            self._clients.in_handshake.discard(self)
        self.plain.abort()

    def refuse(self, error: Exception) -> None:
        """Report that a server has refused the connection before there was a transport."""
        self._error = error
        self._closing = True
        self._report(error)

    def abort(self) -> None:
        """Close at once, in whatever state."""
        is_first = not self._aborted
        self._closing = self._aborted = True
        self._held.clear()
        self._aim()
        if self._is_forked():
            return
        self._give_up_answers()
        if self._connected:
            self.plain.abort()
            # A server that is closed already aborts what it accepts before there is a connection.
            if is_first and self._error is None and hasattr(self, "connection"):
                self.connection.note_abandonment()

    def _is_forked(self) -> bool:
        """Return whether the loop, the keys and the connection belong to the parent process.

        A copy of it that is closed, or collected, must not say goodbye in the parent's name, nor
        take the socket out of the selector that both share.
        """
        return self._process != os.getpid()

    # Protocol of the plain transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.plain = cast(asyncio.Transport, transport)
        self._connected = True
        if self._clients is not None:
            self._clients.add(self)
            if self._clients.ended:
                self.abort()
        try:
            self.prepare()
        except Exception as error:
            self._error = error
            self._report(error)
            self.plain.abort()
            return
        self._began = self._loop.time()
        self._set_handshake_timer()
        if self.plain.get_extra_info("sslcontext") is None:  # Else the kernel counts its records.
            before = acknowledged_bytes(self.plain.get_extra_info("socket"))
            if before is not None:
                self._acknowledged_before = before + unsent_bytes(self.plain)
        self._flush()
        self._needed = self._handed_over  # with a client's early data

    def connection_lost(self, exc: Exception | None) -> None:
        self._connected = False
        unexpected = exc is None and not self._closing
        if isinstance(exc, ConnectionError) and self.application is not None and not self._aborted:
            if not self.connection.peer_closed:
                self._read_rest()
            wanted = not (self._closing or self.connection.peer_closed)
            if not wanted and not self.has_lost_data(exc):
                # RFC 9846 6.1: the stream was complete; or nobody here wants more of it.
                exc = None
        self._closing = True
        self._stop_timer()
        self._give_up_answers()
        if self._clients is not None:
            self._clients.discard(self)
        if self.application is not None:
            if unexpected and not self.connection.peer_closed:
                # Somebody else has closed the plain transport: that is no end of the data.
                self._error = self._explain_loss(exc)
            self._deliver_held()
        elif self._error is None:
            self._error = self._explain_loss(exc)
            self._report(self._error)
        try:
            if self.application is not None:
                self.application.connection_lost(self._error or exc)
        finally:
            self._decide()
            if self._previous is not None:
                # The plain protocol's own `wait_closed` waits for this, too.
                self._previous[0].connection_lost(self._error or exc)
                self._previous = None

    def get_buffer(self, sizehint: int) -> memoryview:
        return _read_buffer()

    def receive(self, data: bytes) -> None:
        """Take what arrived before this was the transport's protocol."""
        if data and self._error is None:
            self._drive(self.connection.receive_data, data)

    def buffer_updated(self, nbytes: int) -> None:
        if self._error is not None:
            return
        if self._answers:
            self._waiting_input += nbytes
            self.update_reading()
        with _read_buffer()[:nbytes] as data:
            self._drive(self.connection.receive_data, data)

    def eof_received(self) -> bool:
        """Return True, which keeps the plain transport open for writing."""
        if self._closing:
            if self.application is None:
                return False
            # Without a close_notify, too: nobody here wants more. What is left may still leave.
            self._finish()
            return not self.plain.is_closing()
        self._drive(self.connection.receive_eof)
        if self.application is None:
            self._fail(self.connection.abort(Fault.CLOSED_DURING_HANDSHAKE))
        return not self._closing

    def pause_writing(self) -> None:
        self._writing_paused = True
        if not self._handing_over:
            self._report_pause()

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._flush()
        # What was flushed may have filled the transport again.
        if self._writing_paused:
            self._report_pause()
        elif self.application is not None and self.pause_reported:
            self.pause_reported = False
            self.application.resume_writing()

    # What the transport calls

    def use(self, application: asyncio.BaseProtocol) -> None:
        """Take this as the application's protocol, of either kind."""
        if isinstance(self.application, _SendfileProtocol):
            self.pause_reported = (
                False  # `loop.sendfile` got the error, and the following callers did not.
            )
        self.application = application
        self._aim()

    def is_closing(self) -> bool:
        return self._closing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not isinstance(data, (bytes, bytearray, memoryview)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"data must be bytes-like, not {type(data).__name__}")
        if self._eof_written:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self.is_closing() or self.connection.failure is not None:
            return
        try:
            if isinstance(data, bytes) and len(data) <= _WRITE_SIZE:
                self.connection.send_data(data)
                self._flush()
                self._needed = self._handed_over
                return
            with memoryview(data) as view, view.cast("B") as octets:
                for start in range(0, len(octets), _WRITE_SIZE):
                    with octets[start : start + _WRITE_SIZE] as chunk:
                        self.connection.send_data(chunk)
                    self._flush()
                    self._needed = self._handed_over
        finally:
            # Not between two pieces, where what the application does would come before the rest.
            if self._writing_paused:
                self._report_pause()

    def write_eof(self) -> None:
        self._eof_written = True
        if not self.is_closing():
            self.connection.close()
            self._flush()
            self._report_pause()

    def update_keys(self, request_peer: bool) -> None:
        if not self.is_closing():
            self.connection.update_keys(request_peer=request_peer)
            self._flush()
            self._report_pause()

    def request_client_certificate(self) -> None:
        if not self.is_closing():
            request_client_certificate(self.connection)
            self._flush()
            self._report_pause()

    def close(self) -> None:
        """Close, and linger: the peer may still be sending, and the kernel answers unread bytes
        with a reset, which may overtake the data that was written last.
        """
        if self.is_closing():
            return
        self._closing = True
        self._held.clear()
        self._aim()
        if self._is_forked():
            return
        # The close_notify does not count: who has closed already need not hear it.
        was_out = self._connected and not unsent_bytes(self.plain)
        if self.connection.failure is None:
            self.connection.close()
        self._flush()
        if was_out and (self.connection.peer_closed or self.connection.failure is not None):
            self._close_plain()
            return
        self._linger()
        if self.connection.peer_closed or self.connection.failure is not None:
            self._finish()

    def pause_reading(self) -> None:
        self.paused_by_application = True
        self._aim()
        self.update_reading()

    def resume_reading(self) -> None:
        self.paused_by_application = False
        if self._held:
            self._loop.call_soon(self._release)
        else:
            self._aim()
            self.update_reading()

    def update_reading(self) -> None:
        """Pause or resume the plain transport, for whichever reason."""
        paused = not self._closing and (
            self.paused_by_application
            or bool(self._held)
            or self._waiting_input > _MAX_WAITING_INPUT
        )
        if paused != self._plain_paused and self._connected and not self.plain.is_closing():
            self._plain_paused = paused
            if paused:
                self.plain.pause_reading()
            else:
                self.plain.resume_reading()

    # Inside: the connection's events

    def _drive(self, step: Callable[[*Ts], list[Event]], *args: *Ts) -> None:
        """Take one step of the connection, send what it has to say, and pass its events on."""
        try:
            events = step(*args)
        except Exception as error:
            self._fail(error)
            return
        if self.connection.wants_to_send and not self._writing_paused:
            # Else what there is stays in the connection, where a flood of KeyUpdates costs one
            # answer and not one each, until the peer reads again.
            self._answered_at = self._loop.time()
            self._flush()
        if self.application is None:
            # First: the application may ask as soon as it hears that the handshake is complete.
            for event in events:
                self.early.note(event)
        for event in events:
            self._note(event)
        if self.connection.failure is not None and self._error is None:
            self._fail(self.connection.failure)
        if self._writing_paused:
            self._report_pause()

    def _note(self, event: Event) -> None:
        if isinstance(event, DataReceived):
            self._give(event.data)
        elif isinstance(event, HandshakeCompleted):
            self._settle()
        elif isinstance(event, PeerClosed):
            if self._closing:
                self._finish()
            elif self.paused_by_application or self._held:
                self._held.append(event)
            else:
                self._report_peer_closed()
        elif isinstance(event, QuestionAsked):
            self._ask(event.question)

    def _settle(self) -> None:
        """Report the complete handshake to the application."""
        self._stop_timer()
        if self._closing:
            return
        self.handshake_seconds = self._loop.time() - self._began
        if self._clients is not None:
            self._clients.settle(self)
        try:
            application = self._make_application()
        except Exception as error:
            if self._clients is not None:
                self._clients.report_bug("The protocol factory failed", error, self.transport)
            self._fail(error, is_reported=True)
            return
        self.use(application)
        try:
            application.connection_made(self.transport)
        except Exception as error:
            # The plain transport tells the loop, and ends the connection; a client hears of it.
            if self._clients is None and not self._decided.done():
                self._decided.set_exception(error)
                self._decided.exception()  # Nobody may be waiting any more.
            raise
        self._report_pause()
        self._decide()

    def _report_pause(self) -> None:
        """Pause the application's writing, once: it may have filled the transport meanwhile.

        It may write, close or do anything else, so nothing of a step may be left to do. After
        `close` it hears of the loss only.
        """
        if not self._writing_paused or self.pause_reported or self._closing:
            return
        if self.application is None:
            return
        self.pause_reported = True
        try:
            self.application.pause_writing()
        except Exception as error:  # As with plain transports, the writer does not get it.
            self._report_failure(error, "protocol.pause_writing() failed")

    def _report_peer_closed(self) -> None:
        # As with plain transports: a protocol that returns a false value wants the end.
        keep_open = cast(asyncio.Protocol, _reader_of(self.application)).eof_received()
        if not keep_open:
            self.close()

    def _flush(self) -> None:
        """Write what the connection has queued.

        Where that fills the plain transport, the application is not told: that is for the caller
        to do, by `_report_pause`, once its step is complete.
        """
        data = self.connection.data_to_send()
        if self._process != os.getpid():  # The parent's records have the same nonces.
            return
        self._handed_over += len(data)
        if data and not self._plain_eof and not self.plain.is_closing():
            self._handing_over = True
            try:
                self.plain.write(data)
            finally:
                self._handing_over = False

    # Inside: where data goes

    def _aim(self) -> None:
        """Choose the protocol that receives data."""
        if self._closing or self.application is None:
            self._give = _drop
        elif self.paused_by_application or self._held:
            self._give = self._hold
        else:
            self._give = self._taker(self.application)

    def _taker(self, application: asyncio.BaseProtocol) -> Callable[[bytes], object]:
        application = _reader_of(application)
        if isinstance(application, asyncio.BufferedProtocol):
            return self._fill_buffers
        # Whatever has the methods will do: many protocols have no base class.
        return cast(asyncio.Protocol, application).data_received

    def _hold(self, data: bytes) -> None:
        self._held.append(DataReceived(data))

    def _fill_buffers(self, data: bytes) -> None:
        """Give data to a BufferedProtocol, as asyncio's transports do."""
        application = _reader_of(self.application)
        while data and isinstance(application, asyncio.BufferedProtocol):
            with memoryview(application.get_buffer(len(data))).cast("B") as buffer:
                size = min(len(buffer), len(data))
                if not size:
                    raise RuntimeError("get_buffer() returned an empty buffer")
                buffer[:size] = data[:size]
            data = data[size:]
            application.buffer_updated(size)
            if self._closing:
                return
            if self.paused_by_application and data:
                self._held.insert(0, DataReceived(data))
                self._aim()
                return
            application = _reader_of(self.application)
        if data and application is not None:  # exchanged on the way
            self._taker(application)(data)

    def _release(self) -> None:
        """Deliver the data that was held while reading was paused, until it is paused again."""
        try:
            while self._held and not self.paused_by_application and not self._closing:
                self._report_held()
        except Exception as error:
            self._break_off(error)
        self._aim()
        self.update_reading()

    def _deliver_held(self) -> None:
        """Deliver the data that arrived before the connection was lost, even if reading is
        paused.
        """
        closing, self._closing = self._closing, False
        try:
            while self._held:
                self.paused_by_application = False
                self._report_held()
        except Exception as error:  # `connection_lost` is called anyway.
            self._report_failure(error)
        finally:
            self._closing = closing

    def _report_failure(
        self, error: Exception, message: str = "The protocol failed to take data"
    ) -> None:
        """Let the loop's exception handler know that the protocol failed to take something."""
        self._loop.call_exception_handler(
            {
                "message": message,
                "exception": error,
                "transport": self.transport,
                "protocol": self.application,
            }
        )

    def _report_held(self) -> None:
        event, application = self._held.pop(0), self.application
        if isinstance(event, DataReceived) and application is not None:
            self._taker(application)(event.data)
        else:
            self._report_peer_closed()

    # Inside: questions

    def _ask(self, question: Question[object]) -> None:
        if question.pending is None:
            error = ConfigurationError(
                "DEFER is for those who drive a connection themselves; under asyncio "
                "a callback is a coroutine function or returns an awaitable."
            )
            self._drive(self.connection.refuse, question, error)
            return
        # The awaitable itself becomes the task, so that a task cancelled before its first step
        # still counts as awaited. It belongs to the task now: nobody else may close it.
        answer = asyncio.ensure_future(question.pending, loop=self._loop)
        question.pending = answer
        self._answers.add(answer)
        answer.add_done_callback(partial(self._answer, question))

    def _answer(self, question: Question[object], answer: asyncio.Future[Any]) -> None:
        self._answers.discard(answer)
        error = asyncio.CancelledError() if answer.cancelled() else answer.exception()
        if self._closing:
            return
        self._waiting_input = 0
        try:
            if error is None:
                self._drive(self.connection.answer, question, answer.result())
            else:
                self._drive(self.connection.refuse, question, error)
        except Exception as failure:  # Else the plain transport does so, but it has not called.
            self._break_off(failure)
        self.update_reading()

    def _break_off(self, error: Exception) -> None:
        """End the connection as a plain transport does where its protocol raises."""
        self._report_failure(error, "Fatal error: a method of the protocol failed")
        self._error = self._error or error
        self._closing = True
        self._held.clear()
        self._aim()
        if self._connected:
            self.plain.abort()

    def _give_up_answers(self) -> None:
        for answer in list(self._answers):
            answer.cancel()

    # Inside: the end

    def _fail(self, error: Exception, *, is_reported: bool = False) -> None:
        """End the connection because of `error`: the alert leaves, then the transport closes.

        After `close`, what was written before it leaves first, as long as the peer takes it.
        """
        if self._error is not None or self._aborted:
            return
        self._flush()
        self._error = error
        if self._closing:
            if isinstance(error, PeerAlertError):  # It wants nothing more.
                self.plain.abort()
            else:
                self._finish()
            return
        self._closing = True
        self._aim()
        self._give_up_answers()
        if not is_reported:
            self._report(error)
        if self.application is None and self._clients is not None:
            # The client may have sent more than was read: see `close`.
            self._close_timeout = min(self._close_timeout or _FAILED_SECONDS, _FAILED_SECONDS)
            self._linger()
        else:
            self._close_after_alert()

    def _report(self, error: Exception) -> None:
        """Tell the server of a failed handshake; a client hears from `wait_established`."""
        if self.application is None and self._clients is not None and not self._aborted:
            self._clients.report(error, self.transport)

    def _linger(self) -> None:
        """Wait for the peer to close, reading on and dropping what comes, but not forever."""
        self.update_reading()
        self._watch_progress()
        if not self._connected:  # What had come before the loss is being told.
            return
        with suppress(OSError):  # the peer may be gone already
            if self.plain.can_write_eof():
                self._plain_eof = True
                self.plain.write_eof()

    def _finish(self) -> None:
        """Close the plain transport once everything is out, and wait for nothing else.

        Until then what comes is read and dropped: the kernel answers with a reset what comes after
        the close, such as the answer to a KeyUpdate, and forgets what it had yet to send.
        """
        if not self._connected or self.plain.is_closing():
            return
        begun, self._finishing = self._finishing, True
        if self._is_out(unsent_bytes(self.plain)):
            self._close_plain()
        elif not begun:
            self._watch_progress()

    def _is_out(self, unsent: int) -> bool:
        """Return whether the peer has everything; close_notify counts as data, and may be on its
        way.
        """
        return unsent <= self._plain_eof

    def has_lost_data(self, exc: Exception) -> bool:
        """Return whether the peer may lack some of the application's data when `exc` has ended the
        connection.

        Where the system does not tell what has arrived, a reset may have destroyed it, unless the
        peer has closed before; and an end without close_notify, what has yet to leave.
        """
        sock = self.plain.get_extra_info("socket")
        acknowledged = acknowledged_bytes(sock)
        if acknowledged is not None and self._acknowledged_before is not None:
            return acknowledged - self._acknowledged_before < self._needed
        after_end = self.connection.peer_closed and isinstance(exc, ConnectionResetError)
        if not after_end and not isinstance(exc, TruncationError):
            return True
        return self._writing_paused or (self._closing and not self._is_out(queued_bytes(sock)))

    def _close_plain(self) -> None:
        """Close the plain transport once what is written has left."""
        self._watch_progress()
        self.plain.close()

    def _close_after_alert(self) -> None:
        """Close the plain transport of a failed connection, which waits for nobody."""
        self._stop_timer()
        if self._connected:
            timeout = self._close_timeout
            seconds = _ALERT_SECONDS if timeout is None else min(_ALERT_SECONDS, timeout)
            self._timer = self._loop.call_later(seconds, self.plain.abort)
        self.plain.close()

    def _watch_progress(self) -> None:
        """Give up once nothing moves any more for as long as `close_timeout`."""
        self._stop_timer()
        if self._connected and (self._close_timeout is not None or self._finishing):
            self._unsent = -1  # not known yet: most peers close before anybody has to look
            self._moved_at = self._loop.time()
            self._look_again()

    def _look_again(self) -> None:
        timeout = self._close_timeout
        seconds = 1.0 if timeout is None else min(1.0, timeout / _LOOKS)
        if self._finishing:
            seconds = min(seconds, self._look_seconds)
            self._look_seconds = min(2 * self._look_seconds, _LAST_LOOK_SECONDS)
        self._timer = self._loop.call_later(seconds, self._check_progress)

    def _check_progress(self) -> None:
        self._timer = None
        unsent, now, timeout = unsent_bytes(self.plain), self._loop.time(), self._close_timeout
        if self._finishing and not self.plain.is_closing():
            if self._is_out(unsent):
                self._close_plain()
                return
            if has_failed(self.plain.get_extra_info("socket")):
                # After the peer's end, nobody reads, which would have told.
                reset = ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
                if self.has_lost_data(reset):
                    self._error = self._error or reset
                self.plain.abort()
                return
        if unsent != self._unsent:
            if self._unsent >= 0:  # Else it is the first look, and nothing is known to have moved.
                self._moved_at = now
            self._unsent = unsent
        elif timeout is not None and now >= self._moved_at + timeout:
            self._error = self._error or given_up(unsent, timeout)
            self.plain.abort()
            return
        self._look_again()

    def _set_handshake_timer(self) -> None:
        limits = [self._handshake_timeout, None if self._said_hello() else self._hello_timeout]
        if (seconds := min((each for each in limits if each is not None), default=None)) is None:
            return
        left = self._began + seconds - self._loop.time()
        self._timer = self._loop.call_later(left, self._time_out)

    def _time_out(self) -> None:
        self._timer = None
        if self._said_hello() and not self._is_late():
            self._set_handshake_timer()  # It was the time for the hello, which has come.
            return
        self._fail(self.connection.abort(Fault.HANDSHAKE_TIMEOUT))

    def _is_late(self) -> bool:
        timeout = self._handshake_timeout
        return timeout is not None and self._loop.time() >= self._began + timeout

    def _has_input(self) -> bool:
        """Return whether the kernel holds data from the peer, or its end, that is unread."""
        sock = self.accepted
        return sock is not None and sock.fileno() >= 0 and is_readable(sock)

    def _decide(self) -> None:
        """Note that the handshake has completed or failed."""
        if not self._decided.done():
            self._decided.set_result(None)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _read_rest(self) -> None:
        """Take what the kernel still has of a connection on which writing failed.

        The peer's answer may be in it, or the alert that says why it has gone.
        """
        sock = self.plain.get_extra_info("socket")
        if sock is None or self.plain.get_extra_info("sslcontext") is not None:
            return
        self.paused_by_application = True  # Held until the loss is reported, which must not fail.
        self._aim()
        with suppress(OSError, ValueError), borrowed(sock) as same:
            while self._error is None and not self.connection.peer_closed:
                count = same.recv_into(_read_buffer())
                if not count:
                    return
                with _read_buffer()[:count] as data:
                    self._drive(self.connection.receive_data, data)

    def _explain_loss(self, exc: Exception | None) -> Exception:
        """Return the error that describes the loss of the transport at this point."""
        if not self._aborted:
            try:
                self.connection.receive_eof(reset=isinstance(exc, ConnectionResetError))
            except TLSError as error:
                error.__cause__ = exc
                return error
        return ConnectionAbortedError("The connection was aborted on this side.")


class ConnectionRegistry:
    """The connections of one server, and where their failed handshakes are reported."""

    def __init__(
        self, on_error: HandshakeErrorCallback | None, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._on_error = on_error
        self._loop = loop
        self._established: set[Pump] = set()
        self.in_handshake: set[Pump] = set()
        self.ended = False
        self.gone = asyncio.Event()
        """Set while there are none."""
        self.gone.set()

    def all(self) -> list[Pump]:
        return [*self.in_handshake, *self._established]

    def add(self, pump: Pump) -> None:
        self.gone.clear()
        self.in_handshake.add(pump)

    def settle(self, pump: Pump) -> None:
        self.in_handshake.discard(pump)
        self._established.add(pump)

    def discard(self, pump: Pump) -> None:
        self.in_handshake.discard(pump)
        self._established.discard(pump)
        if not self.in_handshake and not self._established:
            self.gone.set()

    def end_handshakes(self) -> None:
        self.ended = True
        for pump in list(self.in_handshake):
            pump.abort()

    def report(self, error: Exception, transport: TLSTransport) -> None:
        if self._on_error is not None:
            try:
                self._on_error(error, transport)
            except Exception as failure:
                self.report_bug("The callback on_handshake_error failed", failure, transport)
        elif not isinstance(error, OSError):
            self.report_bug("A TLS handshake could not begin", error, transport)
        elif self._loop.get_debug():
            _log.debug("%r: TLS handshake failed: %s", transport, error)

    def report_bug(self, message: str, error: Exception, transport: TLSTransport) -> None:
        """Report a failure of the application itself to the loop's exception handler."""
        self._loop.call_exception_handler(
            {"message": message, "exception": error, "transport": transport}
        )


class _ReadBuffer(threading.local):
    """A loop reads one connection at a time, so all connections of a thread share a buffer.

    It carries what is on the wire, never plaintext.
    """

    def __init__(self) -> None:
        self.view = memoryview(bytearray(_READ_SIZE))


_shared = _ReadBuffer()


def _read_buffer() -> memoryview:
    return _shared.view


def _reader_of(application: Any) -> Any:
    """Return the protocol that gets what arrives, which `loop.sendfile` covers with one of its own.

    That one takes nothing, and what had arrived must not be lost with the connection.
    """
    while isinstance(application, _SendfileProtocol):
        application = vars(application)["_proto"]
    return application


def _drop(data: bytes) -> None:
    """Discard data: there is no application yet, or it has closed."""
