"""The pump between a plain asyncio transport and the application's protocol.

Down goes what the application writes, sealed by the connection; up comes what the peer sent,
opened by it. A `Pump` is the protocol of the plain transport, and owns the `TLSTransport` that the
application's protocol gets once the handshake is complete. See `asyncio` for the whole picture.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVarTuple, cast

from handclasp.adapters.early import EarlyData
from handclasp.connection import ClientConnection, ServerConnection
from handclasp.errors import ConfigurationError, TLSError
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

Ts = TypeVarTuple("Ts")
Connection: TypeAlias = ClientConnection | ServerConnection
HandshakeErrorCallback: TypeAlias = Callable[[Exception, "TLSTransport"], object]

_READ_SIZE = 128 * 1024
_WRITE_SIZE = 256 * 1024
_MAX_WAITING_INPUT = 64 * 1024
"""Bytes read while the handshake waits for an answer. Reading goes on a while, to see a loss."""

_log = logging.getLogger("handclasp")


class TLSTransport(asyncio.Transport):
    """The transport that carries the application's data; made by the functions above.

    Write buffer limits and back-pressure are those of the plain transport below, and count
    encrypted bytes.
    """

    _start_tls_compatible = False
    """asyncio's own start_tls cannot be put on top; `handclasp.aio.start_tls` can."""

    def __init__(self, pump: Pump) -> None:
        super().__init__()
        self._pump = pump

    def __repr__(self) -> str:
        state = "closing" if self.is_closing() else "open"
        return f"<TLSTransport {state} peer={self.get_extra_info('peername')}>"

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """ "handclasp" is the `ConnectionInfo` (None before the handshake is complete) and
        "connection" the sans-IO connection; "early_data" is what a server's client sent before
        the handshake was complete, and "early_data_rejected" what of a client's early data was
        not delivered. The rest is what the plain transport knows."""
        if name == "handclasp":
            connection = getattr(self._pump, "connection", None)
            return None if connection is None else connection.info
        if name == "connection":
            return getattr(self._pump, "connection", None)
        if name == "early_data":
            return self._pump.early.received
        if name == "early_data_rejected":
            return self._pump.early.undelivered
        if name == "peername":
            return self._pump.peername or self._pump.plain.get_extra_info(name, default)
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


class Pump(asyncio.BufferedProtocol):
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
        early: EarlyData | None = None,
        clients: Clients | None = None,
        previous: tuple[asyncio.BaseProtocol, asyncio.StreamWriter] | None = None,
    ) -> None:
        self._loop = loop
        self._make_connection = make_connection
        self._make_application = make_application
        self._handshake_timeout = handshake_timeout
        self._close_timeout = close_timeout
        self._clients = clients
        self._previous = previous
        self.transport = TLSTransport(self)
        self.early = early if early is not None else EarlyData()
        self.peername: Any = None
        """Whom a server has accepted: who is gone again already has no name any more."""
        self.application: asyncio.BaseProtocol | None = None
        self.paused_by_application = False
        self._connected = False
        self._timer: asyncio.TimerHandle | None = None
        self._answers: set[asyncio.Future[Any]] = set()
        self._waiting_input = 0
        self._plain_paused = False
        self._writing_paused = False
        self._eof_written = False
        self._closing = False
        self._aborted = False
        self._plain_eof = False
        self._error: Exception | None = None
        self._decided = loop.create_future()

    # What the functions above call

    async def wait_decided(self) -> None:
        """Wait for the end of the handshake; when it fails, for that of the transport, too."""
        await self._decided

    async def wait_established(self) -> None:
        """Wait like `wait_decided`, and raise what made the handshake fail."""
        await self.wait_decided()
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
            self._report(error)
            self.plain.abort()
            return
        if self._handshake_timeout is not None:
            self._timer = self._loop.call_later(self._handshake_timeout, self._time_out)
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connected = False
        unexpected = exc is None and not self._closing
        self._closing = True
        self._stop_timer()
        self._give_up_answers()
        if self._clients is not None:
            self._clients.discard(self)
        if self.application is not None:
            if unexpected and not self.connection.peer_closed:
                # Somebody else has closed the plain transport: that is no end of the data.
                self._error = self._explain_loss(exc)
            self.application.connection_lost(self._error or exc)
        else:
            if self._error is None:
                self._error = self._explain_loss(exc)
                self._report(self._error)
        self._decide()
        if self._previous is not None:
            # The plain protocol's own `wait_closed` waits for this, too.
            self._previous[0].connection_lost(self._error or exc)
            self._previous = None

    def get_buffer(self, sizehint: int) -> memoryview:
        return _read_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        if self._error is not None:
            return
        if self._answers:
            self._waiting_input += nbytes
            self.update_reading()
        with _read_buffer()[:nbytes] as data:
            self._drive(self.connection.receive_data, data)

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
        if self.application is not None:
            self.application.pause_writing()

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._flush()
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
        if isinstance(data, bytes) and len(data) <= _WRITE_SIZE:
            self.connection.send_data(data)
            self._flush()
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
            self.connection.update_keys(request_peer=request_peer)
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
            self.paused_by_application or self._waiting_input > _MAX_WAITING_INPUT
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
            self._flush()
        if self.application is None:
            # First: the application may ask as soon as it hears that the handshake is complete.
            for event in events:
                self.early.note(event)
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
            keep_open = self.application.eof_received()
            if not keep_open:
                self.close()

    def _flush(self) -> None:
        """Write what the connection has queued."""
        data = self.connection.data_to_send()
        if data and not self._plain_eof and not self.plain.is_closing():
            self.plain.write(data)

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
        # still counts as awaited. It is the task's from here on: nobody else may close it.
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
        if error is None:
            self._drive(self.connection.answer, question, answer.result())
        else:
            self._drive(self.connection.refuse, question, error)
        self.update_reading()

    def _give_up_answers(self) -> None:
        for answer in list(self._answers):
            answer.cancel()

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
        self._report(error)
        if self.application is None and self._clients is not None:
            # The client may have sent more than was read: see `close`.
            self._linger()
        else:
            self._close_plain(min(1.0, self._close_timeout))

    def _report(self, error: Exception) -> None:
        """Tell the server of a failed handshake; a client hears from `wait_established`."""
        if self.application is None and self._clients is not None and not self._aborted:
            self._clients.report(error, self.transport)

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
        """What it means that the transport has ended here."""
        if not self._aborted:
            try:
                self.connection.receive_eof(reset=isinstance(exc, ConnectionResetError))
            except TLSError as error:
                error.__cause__ = exc
                return error
        return ConnectionAbortedError("The connection was aborted on this side.")


class Clients:
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
                self._tell_loop("The callback on_handshake_error failed", failure, transport)
        elif not isinstance(error, OSError):
            self._tell_loop("A TLS handshake could not begin", error, transport)
        elif self._loop.get_debug():
            _log.debug("%r: TLS handshake failed: %s", transport, error)

    def _tell_loop(self, message: str, error: Exception, transport: TLSTransport) -> None:
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
