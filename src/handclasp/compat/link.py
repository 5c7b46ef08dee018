"""The object that stands where `ssl` has its `_ssl._SSLSocket`: one connection over a transport.

How this room sits under `ssl`. The interpreter's `ssl.py` is Python code: `SSLSocket` and
`SSLObject` implement the behaviour of sockets, and delegate TLS to an object that
`SSLContext._wrap_socket` or `_wrap_bio` returns. `context.SSLContext` is a subclass that overrides
these two methods and returns a `Link`. So `SSLSocket` and `SSLObject` stay those of `ssl`, every
`isinstance` holds, and `settimeout`, `makefile`, `sendfile` and `suppress_ragged_eofs` are the
standard library's own. A `Link` has the methods of `_SSLSocket` and nothing else that `ssl.py`
could see, and drives a `Connection`, which has no socket.

Four locks, never held longer than they must be. `_state` guards each call of the engine, and is
never held while waiting. `_shaking` is held by the one thread that does the handshake. After it,
`_reading` is held by the one that reads from the transport, and `_writing` by the one that writes
to it, so that one thread can wait in `recv` while another one sends. A thread that reads and finds
that the engine has something to send (an alert, an answer to KeyUpdate) sends it only if nobody is
writing; otherwise the writer does so when it is done.

From a socket, one record is taken at a time: what stays in the kernel is seen by `select`, and what
follows close_notify is not TLS any more.
"""

from __future__ import annotations

import errno
import ssl
import weakref
from contextlib import suppress
from operator import index
from threading import RLock
from typing import TYPE_CHECKING, Any, NoReturn, cast

from handclasp.adapters.early import EarlyData
from handclasp.adapters.forks import FORKS
from handclasp.client import ClientConnection
from handclasp.compat import errors
from handclasp.compat.asyncio_ends import ENDS
from handclasp.compat.authorities import Verifier, asked_name
from handclasp.compat.ciphers import known
from handclasp.compat.facts import Facts
from handclasp.compat.libraries import settings_by_library
from handclasp.compat.log import log_refusal
from handclasp.compat.messages import MessageTrace
from handclasp.compat.sessions import OneConnection, SSLSession
from handclasp.compat.settings import DEFAULTS
from handclasp.compat.transport import PIECE, Deadline, Transport
from handclasp.compat.unfinished import Unfinished
from handclasp.compat.waiting import HandshakeWaits
from handclasp.config import ServerConfig
from handclasp.config.values import kind_of
from handclasp.crypto.suites import Buffer
from handclasp.errors import (
    ConfigurationError,
    PeerAlertError,
    ProtocolError,
    StateError,
    TLSError,
)
from handclasp.events import DataReceived, Event, PeerClosed, QuestionAsked
from handclasp.faults import Fault
from handclasp.iana import alert_name
from handclasp.server import ServerConnection
from handclasp.values import replace
from handclasp.wire.records import CHANGE_CIPHER_SPEC_RECORD

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from handclasp.compat.psk import Offer
    from handclasp.compat.settings import Made, State
    from handclasp.config import ClientConfig
    from handclasp.questions import ChooseConfig
    from handclasp.trace.hooks import Trace

_AT_ONCE = 2**18
"""Bytes of application data to seal before they are sent, where the transport takes everything."""

_MOST_READ_AT_END = 16
"""Reads in which to look for an alert, once nothing can be sent any more."""

_NOTHING = memoryview(b"")


class Link(Facts):
    """One TLS connection over a socket or a pair of BIOs, with the methods of `_ssl._SSLSocket`."""

    def __init__(
        self,
        context: Any,
        transport: Transport,
        *,
        owner: object,
        server_side: bool,
        server_hostname: str | None,
        session: object,
    ) -> None:
        self._context: Any = context
        self._transport = transport
        self._owner = None if owner is None else weakref.ref(owner)
        self.server_side = bool(server_side)
        self.server_hostname = server_hostname
        self._connection: ClientConnection | ServerConnection | None = None
        self._trace: Trace | None = None
        self._kept_trace: Trace | None = None
        self._unfinished: Unfinished | None = None
        self._give_up: weakref.finalize[..., Any] | None = None
        self._sessions: OneConnection | None = None
        self._offered: SSLSession | None = None
        self._offered_suites: tuple[str, ...] = ()
        self._may_switch, self._is_over = True, False
        self._is_ready = False
        self.address: object = None
        self._settings: Mapping[str, str] | None = None
        self._sending = ""
        self._is_logged = False
        self._shaking, self._state = RLock(), RLock()
        self._reading, self._writing = RLock(), RLock()
        self._received, self._at = b"", 0
        self._out = _NOTHING
        self._held = b""
        self._sealed = 0
        self._peer_closed = False
        self.early = EarlyData()
        self._sends_early = False
        self._forks = FORKS.count
        self._made_with, self._config, self._config12 = self._config_of(context)
        if session is not None:
            self.session = session

    # The handshake

    @property
    def has_begun(self) -> bool:
        """Whether the handshake has begun, be it over or not."""
        return self._connection is not None or self._is_over

    def do_handshake(self) -> None:
        """Complete the handshake, as far as the transport allows. Raises `OSError`."""
        self._handshake(self._transport.deadline(), "handshake")
        if self._trace is not None:
            self._raise_of_callback()

    def _handshake(self, deadline: Deadline, what: str) -> ClientConnection | ServerConnection:
        if self._is_over:
            self._raise_failure()
        try:
            connection = self._connection
            if connection is None or not self._is_ready:
                with self._shaking:
                    connection = self._connection or self._begin()
                    self._complete(connection, deadline)
        except TimeoutError as error:
            late = TimeoutError(f"The {what} operation timed out")
            self._explain_delay(late)
            raise late from error
        except ssl.SSLWantReadError as error:
            connection = self._connection
            if connection is None or self._transport.is_socket:
                raise
            raise self._waits(error, connection) from None
        except ConnectionError as error:
            self._explain_loss(error)
            raise
        except TLSError as error:
            # The way through the engine explains nothing.
            raise error.with_traceback(None) from error.__cause__
        return connection

    def _waits(
        self, error: ssl.SSLWantReadError, connection: ClientConnection | ServerConnection
    ) -> HandshakeWaits:
        """Return the exception by which a handshake waits.

        Only now does the stack show by which library: when it is given up, the loop has the stack.
        """
        if self._settings is None:
            self._settings = {} if self.server_side else settings_by_library()
        return HandshakeWaits(
            error,
            connection,
            self.server_hostname,
            server_side=self.server_side,
            named=self._settings,
        )

    def _complete(
        self, connection: ClientConnection | ServerConnection, deadline: Deadline
    ) -> None:
        """Complete the handshake, unless another thread has done so meanwhile."""
        while connection.info is None:
            if self._is_over:
                self._raise_failure()
            self._flush(connection, deadline)
            self._feed(connection, self._transport.receive(connection.missing_bytes, deadline))
            if connection.info is not None:
                self._established()
        self._flush_late(connection, deadline)
        self._is_ready = True  # Others may read and write now.

    def _explain_delay(self, made: TimeoutError) -> None:
        """Say how far the handshake has come, in the exception and in a trace file.

        It is not over: as with `ssl`, the program may call `do_handshake` again.
        """
        connection = self._connection
        if connection is None or connection.info is not None or connection.failure is not None:
            return
        with self._state:
            error = connection.explain_delay()
        if self._unfinished is not None:
            self._unfinished.is_late = True
        note_late = getattr(self._kept_trace, "late", None)
        if note_late is not None:
            note_late(error)
        self._explain(made, error)

    def _explain_loss(self, made: ConnectionError) -> None:
        """Say why the transport was lost in the handshake: the peer's alert, or how far it was."""
        connection = self._connection
        if connection is None or self._is_over:
            return
        self._add_what_the_peer_said(connection, made)
        if connection.info is None and connection.failure is None:
            # EPIPE as well: a reset came before this call.
            self._explain_end(connection, made, reset=True)

    def _explain_end(
        self, connection: ClientConnection | ServerConnection, made: ConnectionError, *, reset: bool
    ) -> None:
        try:
            with self._state:
                connection.receive_eof(reset=reset)
        except TLSError as error:
            self._is_over = True
            self._explain(made, error)

    def _explain(self, made: BaseException, error: TLSError) -> None:
        failure: Any = errors.translated(
            error, self.server_hostname, server_side=self.server_side, trace=self._kept_trace
        )
        errors.attach(made, failure)
        self._note_failure(made, failure)

    def _note_failure(self, made: BaseException, failure: TLSError) -> None:
        """Tell those who are to hear of a failure: of a client's handshake the log, and once."""
        if DEFAULTS.note_failure is not None:
            DEFAULTS.note_failure(made, self.server_hostname, server_side=self.server_side)
        connection = self._connection
        is_new = connection is not None and connection.info is None and not self._is_logged
        if self.server_side and is_new:
            self._is_logged = True
            log_refusal(failure, self.address or self._transport.peer_address())

    def explain_end_by_loop(self, made: BaseException) -> None:
        """Explain the exception by which asyncio itself ends the handshake: see `asyncio_ends`."""
        connection = self._connection
        if connection is None or connection.info is not None or self._is_over:
            return
        if isinstance(made, ConnectionAbortedError) or not isinstance(made, Exception):
            self._explain(made, connection.explain_abandonment())  # Its timeout, or a cancellation.
            self.give_up()
        elif isinstance(made, ConnectionError):
            # asyncio makes one without a number for an end in order.
            self._explain_end(connection, made, reset=made.errno == errno.ECONNRESET)

    def give_up(self) -> None:
        """Finish the trace of a handshake that is not complete: the program closes the socket."""
        give_up = self._give_up
        if give_up is not None:
            with self._state:
                give_up()

    def _begin(self) -> ClientConnection | ServerConnection:
        connection = self._made_connection()
        self._connection = connection
        if not self._transport.is_socket:
            ENDS.attach()
        if self._kept_trace is not None:
            self._unfinished = Unfinished(connection, self._kept_trace)
            self._give_up = weakref.finalize(self, self._unfinished.give_up)
        return connection

    def _made_connection(self) -> ClientConnection | ServerConnection:
        trace = self._trace = self._make_trace()
        config = self._config
        if isinstance(config, ServerConfig):
            return ServerConnection(config, trace=trace)
        if self._made_with.offer is not None:
            config = self._with_psk(config, self._made_with.offer)
        self._sessions = OneConnection(self._context, self._offered, self._context.resume)
        verify, asked = config.verify, asked_name(self.server_hostname)
        if isinstance(verify, Verifier):
            named = verify.for_name(self.server_hostname)
            if named is not verify:
                verify, config = named, replace(config, verify=named)
        if self._sends_early and verify is not None:
            self._sessions.verify_with(verify, asked)
        try:
            connection = ClientConnection(
                config, server_name=asked, trace=trace, sessions=self._sessions
            )
        except ConfigurationError as error:
            raise errors.configuration_failed(error) from None
        connection.ask_own_address = self._transport.own_address
        if self._sends_early:
            self.early.send_on(connection)
        self._may_switch = False
        return connection

    def _with_psk(self, config: ClientConfig, offer: Offer) -> ClientConfig:
        try:
            return offer.added_to(config)
        except ConfigurationError as error:
            raise errors.configuration_failed(error) from error

    def check_early_data_known(self) -> None:
        """Raise `StateError` before the handshake has ended: what comes of early data is open."""
        self.early.check_known(self._connection)

    def send_early_data(self, data: bytes) -> None:
        """Let data leave with the first flight: see `SSLSocket`. Raises `ConfigurationError`."""
        config = self._config
        begun = self._connection is not None or self._sends_early
        if isinstance(config, ServerConfig) or begun:
            way = (
                "before the handshake (do_handshake_on_connect=False)."
                if self._transport.is_socket
                else "before the handshake. asyncio begins that itself: there, send them by "
                "handclasp.aio.open_connection(early_data=...)."
            )
            raise StateError(
                "Early data leave once, with the first flight of a client: call send_early_data "
                f"one time, {way}"
            )
        if not isinstance(data, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"Early data must be bytes, not {kind_of(data)}.")
        asks = config.verify is not None
        config = replace(config, allow_early_data=True, early_data_before_callbacks=asks)
        self.early = EarlyData(config, data)
        self._config, self._sends_early = config, True

    def _make_trace(self) -> Trace | None:
        make_trace = self._context.make_trace
        trace: Trace | None = make_trace() if make_trace is not None else None
        self._kept_trace = trace
        owner = self.owner
        if owner is not None and trace is not None:
            owner.trace = trace
        callback = self._context.message_callback
        if callback is None:
            return trace
        # Without a reference to this link, which could otherwise not be collected.
        told: Any = MessageTrace(callback, self._owner or _nobody, trace)
        return cast("Trace", told)

    def _raise_of_callback(self) -> None:
        """Raise what `_msg_callback` has raised, now that the operation is over."""
        trace = self._trace
        if isinstance(trace, MessageTrace) and trace.error is not None:
            error, trace.error = trace.error, None
            raise error

    def _choose_context(
        self, connection: ClientConnection | ServerConnection, question: ChooseConfig
    ) -> Sequence[Event]:
        """Let `sni_callback` refuse the client, or set another context. Raises `TLSError`."""
        self._offered_suites = known(question.cipher_suites)
        context, alert = self._context, None
        try:
            if context.sni_callback is not None:
                alert = context.ask_about_name(self.owner, question.server_name)
        except BaseException as error:
            # An interrupt: nobody may be served whom the callback has not let in.
            with suppress(TLSError):
                connection.refuse(question, _interrupted(error))
            raise
        finally:
            self._may_switch = False
        if alert is None:
            is_of_tls12 = self._config12 is not None and "TLSv1.3" not in question.versions
            return connection.answer(question, self._config12 if is_of_tls12 else self._config)
        words = f"sni_callback refused the client with the alert {alert_name(alert)}."
        return connection.refuse(
            question, ProtocolError(Fault.UNRECOGNIZED_NAME, sentence=words, alert=alert)
        )

    def _established(self) -> None:
        connection = self._connection
        info = connection.info if connection is not None else None
        if info is not None:
            if self._give_up is not None:
                self._give_up.detach()
                self._give_up = self._unfinished = None
            self._context.note_handshake("accept" if self.server_side else "connect", info)

    # What comes in

    def _feed(self, connection: ClientConnection | ServerConnection, data: Buffer) -> None:
        """Give the engine what came, and keep what it means. Raises `OSError`."""
        try:
            with self._state:
                if data:
                    events: Sequence[Event] = connection.receive_data(data)
                else:
                    events = connection.receive_eof()
            if events and type(events[0]) is QuestionAsked:
                question: Any = events[0].question
                events = self._choose_context(connection, question)
        except TLSError as error:
            self._fail(connection, error)
        except BaseException:
            # An interrupt, perhaps in a callback. If it has ended the connection, an alert says so.
            if connection.failure is not None:
                self._end(connection)
            raise
        if len(events) == 1 and type(events[0]) is DataReceived and not self._received:
            # The usual case in few steps.
            self._received, self._at, events = events[0].data, 0, ()
        arrived: list[bytes] = []
        for event in events:
            if type(event) is DataReceived:
                arrived.append(event.data)
            elif isinstance(event, PeerClosed):
                self._peer_closed = True
            else:
                self.early.note(event)
        if arrived:
            # A BIO may hold thousands of records, whose data are joined once.
            if self._received:
                arrived.insert(0, self._received[self._at :])
            self._received, self._at = b"".join(arrived), 0
        if connection.failure is not None:
            self._is_over = True  # To be raised after what came before it.

    def _fail(self, connection: ClientConnection | ServerConnection, error: TLSError) -> NoReturn:
        """Send the alert, and raise the exception for the program. The connection is over."""
        # A peer that speaks HTTP would not understand the alert, and would show it.
        has_alert = error.fault is not Fault.PLAINTEXT_HTTP and not isinstance(
            error, PeerAlertError
        )
        self._end(connection, has_alert=has_alert)
        made: Any = errors.translated(
            error,
            self.server_hostname,
            server_side=self.server_side,
            trace=self._kept_trace,
        )
        self._note_failure(made, made)
        raise made from made.__cause__

    def _end(
        self, connection: ClientConnection | ServerConnection, *, has_alert: bool = True
    ) -> None:
        """Mark the connection as over, and send the alert, if there is one."""
        self._is_over = True
        sending = "unsent"
        if has_alert:
            with suppress(OSError):  # The failure itself is what the program has to know.
                self._flush(connection, self._transport.deadline())
                # Who reads a BIO may not do so any more: asyncio, trio and others close at once.
                sending = "" if self._transport.is_socket else "program"
        alert_left: Any = getattr(self._kept_trace, "alert_left", None)
        if alert_left is not None and sending != self._sending:
            self._sending = sending
            alert_left(sending)

    def _add_what_the_peer_said(
        self, connection: ClientConnection | ServerConnection, error: ConnectionError
    ) -> None:
        """Add the peer's alert, if it has come, to the failure of a socket that cannot send.

        It says why, and a program may never read it. Data before it stay to be read, and the next
        read raises the alert.
        """
        if self._is_over or not self._reading.acquire(blocking=False):
            return
        try:
            for _ in range(_MOST_READ_AT_END):
                data = self._transport.receive_at_once()
                if not data:
                    break
                self._feed(connection, data)
                self._raise_failure()
        except TLSError as told:
            errors.attach(error, told)
        except OSError:
            pass  # The one that there is says as much.
        finally:
            self._reading.release()

    def _raise_failure(self) -> None:
        """Raise what ended the connection once more (RFC 9846 section 6.2)."""
        connection = self._connection
        if connection is not None and connection.failure is not None:
            self._fail(connection, connection.failure)

    def read(self, size: int = 1024, buffer: Any = None) -> Any:
        """Return up to `size` bytes of data, or put them into `buffer` and return their number.

        Empty, or 0, when the peer has sent close_notify.
        """
        size = index(size)
        if buffer is None:
            if size < 0:
                raise ValueError("size should not be negative")
            return self._read(size) if size else b""
        with memoryview(buffer) as view, view.cast("B") as room:
            if view.readonly:
                # Before anything is read, which would be lost.
                kind = kind_of(buffer)
                raise TypeError(f"read() argument 2 must be a buffer to write into, not {kind}")
            most = min(size, len(room)) if size > 0 else len(room)
            data = self._read(most) if most else b""
            room[: len(data)] = data
        return len(data)

    def _read(self, size: int) -> bytes:
        connection, deadline = self._connection, None
        if connection is None or not self._is_ready:
            deadline = self._transport.deadline()
            connection = self._handshake(deadline, "read")
        with self._reading:
            if self._at < len(self._received):
                return self._take(size)
            if deadline is None:
                deadline = self._transport.deadline()
            try:
                while True:
                    if self._is_over:
                        self._raise_failure()
                    if self._peer_closed:
                        if connection.closed:
                            raise errors.closed()
                        return b""
                    data = self._transport.receive_record(deadline)
                    with self._state:
                        content = connection.open_data(data)
                    if content is not None:
                        # The usual case in few steps: a record of data and nothing to look at.
                        if len(content) <= size:
                            return content
                        self._received, self._at = content, 0
                        break
                    self._feed(connection, data)
                    if connection.wants_to_send:
                        self._flush_late(connection, deadline)
                    if self._at < len(self._received):
                        break
            except TimeoutError as error:
                raise TimeoutError("The read operation timed out") from error
            if self._trace is not None:
                self._raise_of_callback()
            return self._take(size)

    def _take(self, size: int) -> bytes:
        data, at = self._received, self._at
        if not at and len(data) <= size:
            self._received = b""
            return data
        taken = data[at : at + size]
        self._at = at + len(taken)
        if self._at >= len(data):
            self._received, self._at = b"", 0
        return taken

    def pending(self) -> int:
        """Return how many bytes can be read without the transport."""
        return len(self._received) - self._at

    # What goes out

    def write(self, data: Any) -> int:
        """Send data, and return how many bytes were taken.

        All of them, unless the socket does not block: what it does not take at once raises
        `SSLWantWriteError`, after which the same data must be given again.
        """
        connection = self._connection
        if self._is_over:
            self._raise_failure()
        if connection is None or not self._is_ready:
            connection = self._handshake(self._transport.deadline(), "write")
        content = data if type(data) is bytes else memoryview(data)
        if type(content) is memoryview:
            if not content.c_contiguous:
                raise BufferError("memoryview: underlying buffer is not C-contiguous")
            content = content.cast("B")
        with self._writing:
            try:
                written = self._write(connection, content)
            except BaseException as error:
                content = b""
                _unbind(error)
                if isinstance(error, TimeoutError):
                    raise TimeoutError("The write operation timed out") from error
                if isinstance(error, ConnectionError):
                    self._add_what_the_peer_said(connection, error)
                raise
        if connection.wants_to_send:
            self._flush_late(connection, self._transport.deadline())
        return written

    def _write(self, connection: ClientConnection | ServerConnection, data: Any) -> int:
        deadline = self._transport.deadline()
        size = len(data)
        if 0 < size <= _AT_ONCE and deadline.blocks and not self._out and not self._sealed:
            # The usual case in few steps: all of it is sealed, and leaves with one call.
            self._seal(connection, data)
            self._sealed = size
            sent = self._transport.send(self._out, deadline)
            if sent == len(self._out):
                self._out, self._sealed = _NOTHING, 0
                return size
            self._out = self._out[sent:]
        return self._write_pieces(connection, data, deadline)

    def _write_pieces(
        self, connection: ClientConnection | ServerConnection, data: Any, deadline: Deadline
    ) -> int:
        if self._sealed > len(data):
            if deadline.is_bounded:
                self._send_out(deadline)  # Where there is still no room, the timeout comes first.
            raise errors.plain(ssl.SSLError, ssl.SSL_ERROR_SSL, "bad length", "BAD_LENGTH")
        self._send_out(deadline)
        written, self._sealed = self._sealed, 0
        if written and not deadline.blocks:
            return written
        most = _AT_ONCE if deadline.blocks else PIECE
        while written < len(data):
            piece = data if not written and len(data) <= most else data[written : written + most]
            self._seal(connection, piece)
            self._sealed = written + len(piece)
            self._send_out(deadline)
            written, self._sealed = self._sealed, 0
            if not deadline.blocks:
                break
        return written

    def _seal(self, connection: ClientConnection | ServerConnection, data: Any) -> None:
        """Let the engine seal data, and take the records. Raises `SSLError`."""
        try:
            with self._state:
                self._out = memoryview(connection.seal_data(data))
        except TLSError as error:
            self._fail(connection, error)
        except ConfigurationError as error:
            text, reason = "protocol is shutdown", "PROTOCOL_IS_SHUTDOWN"
            raise errors.plain(ssl.SSLError, ssl.SSL_ERROR_SSL, text, reason) from error

    def _send_out(self, deadline: Deadline) -> None:
        """Send what was taken from the engine. `_writing` is held, or there is no engine yet."""
        while out := self._out:
            sent = self._transport.send(out, deadline)
            self._out = _NOTHING if sent == len(out) else out[sent:]

    def _flush(self, connection: ClientConnection | ServerConnection, deadline: Deadline) -> None:
        """Send all that the engine has queued, unless somebody is writing, who then does it."""
        while (self._out or connection.wants_to_send) and self._writing.acquire(blocking=False):
            try:
                self._send_out(deadline)
                with self._state:
                    self._out = memoryview(self._take_queued(connection))
                self._send_out(deadline)
            finally:
                self._writing.release()

    def _take_queued(self, connection: ClientConnection | ServerConnection) -> Buffer:
        """Take what the engine has queued; a client's change_cipher_spec waits for what follows.

        Alone in a packet, it would hold back the next one until the server acknowledges it, where a
        program leaves Nagle's algorithm on; an alert would then be lost when the program closes.
        """
        data = connection.data_to_send()
        if data == CHANGE_CIPHER_SPEC_RECORD:
            self._held = CHANGE_CIPHER_SPEC_RECORD
            return b""
        if self._held:
            data, self._held = self._held + bytes(data), b""
        return data

    def _flush_late(
        self, connection: ClientConnection | ServerConnection, deadline: Deadline
    ) -> None:
        """Send what is no condition for going on: a ticket, an answer to KeyUpdate.

        A client needs its last flight to be sent, for the server waits for it.
        """
        try:
            self._flush(connection, deadline)
        except (TimeoutError, ssl.SSLWantWriteError):
            if not self.server_side and not self._received:
                raise
        except TLSError as error:
            self._fail(connection, error)
        except OSError:
            if not self.server_side:
                raise  # A client that is gone already may have got all that it wanted.

    # The end

    def shutdown(self) -> Any:
        """Close this side, wait until the peer has closed as well, and return the socket.

        Raises:
            OSError: the peer has not closed in order, or the transport has failed.
        """
        connection = self._connection
        if connection is None or connection.info is None:
            text, reason = "shutdown while in init", "SHUTDOWN_WHILE_IN_INIT"
            raise errors.plain(ssl.SSLError, ssl.SSL_ERROR_SSL, text, reason)
        if self._is_over:
            self._raise_failure()
        deadline = self._transport.deadline()
        try:
            with self._state:
                connection.close()
            with self._writing:
                self._flush(connection, deadline)
            # Only now: somebody else may be waiting for data, and will see the peer's answer.
            with self._reading:
                while not self._peer_closed:
                    self._refuse_data()
                    data = self._transport.receive(connection.missing_bytes, deadline)
                    self._feed(connection, data)
                self._refuse_data()
                self._transport.give_back(connection.unread_after_close)
        except TimeoutError as error:
            raise TimeoutError("The read operation timed out") from error
        return self._transport.unwrapped()

    def discard_unread(self) -> None:
        """Take what a server has sent after the handshake, tickets mostly, off a socket.

        The socket is about to be closed. If there were unread bytes, the kernel would reset the
        connection, and the server might lose what it has not read yet. A server does not do this,
        and neither does a connection that is older than a fork: it may live on in another process.
        """
        connection = self._connection
        if self.server_side or connection is None or connection.info is None:
            return
        if self._peer_closed or self._forks != FORKS.count:
            return
        # Another thread that reads takes it. It could also do so between a look at the socket and
        # a read of this one, which would then wait, and keep the socket from being closed.
        if self._reading.acquire(blocking=False):
            try:
                self._transport.discard()
            finally:
                self._reading.release()

    def _refuse_data(self) -> None:
        if self._at < len(self._received):
            text = "application data after close notify"
            reason = "APPLICATION_DATA_AFTER_CLOSE_NOTIFY"
            raise errors.plain(ssl.SSLError, ssl.SSL_ERROR_SSL, text, reason)

    def __reduce__(self) -> Any:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object")

    # Settings of one connection

    @property
    def owner(self) -> Any:
        """The `SSLSocket` or `SSLObject` that this link belongs to."""
        return None if self._owner is None else self._owner()

    @property
    def context(self) -> Any:
        """The context. Another one may be set before the handshake: see `State.after`."""
        return self._context

    @context.setter
    def context(self, context: Any) -> None:
        if not isinstance(context, ssl.SSLContext) or not hasattr(context, "ask_about_name"):
            raise TypeError("The value must be a SSLContext")
        if self._may_switch:
            _, self._config, self._config12 = self._config_of(context, self._made_with)
        self._context = context

    def _config_of(self, context: Any, first: State | None = None) -> Made:
        try:
            made: Made = context.config_of(server_side=self.server_side, first=first)
        except ConfigurationError as error:
            raise errors.configuration_failed(error) from error
        return made

    @property
    def session(self) -> SSLSession | None:
        """The session of this connection, to be given to another one."""
        return self._sessions.session if self._sessions is not None else self._offered

    @session.setter
    def session(self, session: object) -> None:
        if not isinstance(session, SSLSession):
            raise TypeError("Value is not a SSLSession.")
        if not session.belongs_to(self._context):
            raise ValueError("Session refers to a different SSLContext.")
        if self.server_side:
            raise ValueError("Cannot set session for server-side SSLSocket.")
        if self._connection is not None and self._connection.info is not None:
            raise ValueError("Cannot set session after handshake.")
        self._offered = session

    def verify_client_post_handshake(self) -> None:
        """Ask the client for a certificate, with what is written next (RFC 8446 section 4.6.2).

        The answer comes while this side reads, and `getpeercert` then returns its certificate.

        Raises:
            SSLError: this is a client, the handshake is not complete or in TLS 1.2, the client
                did not offer it, or has not answered yet, or `verify_mode` is `CERT_NONE`.
        """
        connection = self._connection
        info = connection.info if connection is not None else None
        if info is None or info.version != "TLSv1.3":
            raise _failed_request("wrong ssl version")
        if not isinstance(connection, ServerConnection):
            raise _failed_request("not server")
        if connection.certificate_requests:
            was_sent = not connection.wants_to_send
            raise _failed_request("request pending" if was_sent else "still in init")
        try:
            with self._state:
                connection.request_client_certificate()
        except StateError as error:
            text = "protocol is shutdown" if connection.closed else "extension not received"
            raise _failed_request(text) from error
        except ConfigurationError as error:
            raise _failed_request("invalid config") from error
        except TLSError as error:
            self._fail(connection, error)


def _nobody() -> None:
    """Stand for the owner of a link that has none."""


def _interrupted(error: BaseException) -> ProtocolError:
    """Return the failure of a handshake whose `sni_callback` ended by an interrupt."""
    failure = ProtocolError(
        Fault.CALLBACK_FAILED,
        sentence=f"sni_callback ended by {type(error).__name__}, so the handshake was aborted.",
        alert=int(ssl.ALERT_DESCRIPTION_HANDSHAKE_FAILURE),
    )
    failure.__cause__ = error
    return failure


def _failed_request(text: str) -> ssl.SSLError:
    reason = text.replace(" ", "_").upper()
    return errors.plain(ssl.SSLError, ssl.SSL_ERROR_SSL, text, reason)


def _unbind(error: BaseException) -> None:
    """Take from an exception of a write the frames that it came through.

    A program that keeps it would keep them, and the views of its buffer in them: a bytearray that
    could not be written could then not be resized either.
    """
    for each in (error, error.__cause__, error.__context__):
        if each is not None:
            each.__traceback__ = None
