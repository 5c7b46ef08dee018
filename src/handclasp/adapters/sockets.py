"""TLS over a blocking socket: `connect`, `wrap_client`, `wrap_server` and the `TLSSocket`.

How it works. The plain socket is switched to non-blocking and every wait is a poll of our own, so
that one thread may read while another writes and neither ever blocks inside the kernel with a
lock in its hand. Three locks, always taken in this order:

- the read lock: one thread at a time reads from the transport and takes plaintext;
- the write lock: bytes leave the connection (`data_to_send`) and enter the socket under it only,
  hence in order. A writer keeps it while it waits for the peer to read;
- the state lock: around each call into the connection, never kept while waiting.

What a reader has to send (the answer to a KeyUpdate, an alert) it sends without blocking: if the
socket is full or a writer is at work, the bytes stay queued for whoever comes next. A reader that
waited for its answer to leave would stop reading, and two such peers would wait for each other
forever.
"""

from __future__ import annotations

import errno
import inspect
import io
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import IO, TYPE_CHECKING, Literal, NoReturn, TypeAlias, cast, overload

from handclasp.adapters.buffers import READ_BUFFERS, READ_SIZE, Plaintext
from handclasp.adapters.early import EarlyData
from handclasp.adapters.ends import note_ends
from handclasp.adapters.polling import wait
from handclasp.adapters.socketfile import SocketFile
from handclasp.config import ClientConfig, ServerConfig
from handclasp.connection import ClientConnection, ServerConnection
from handclasp.crypto.suites import Buffer
from handclasp.errors import ConfigurationError, TLSError
from handclasp.events import DataReceived, Event, PeerClosed, QuestionAsked
from handclasp.faults import Fault

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

    from handclasp.info import ConnectionInfo
    from handclasp.trace.hooks import Trace

__all__ = ["connect", "wrap_client", "wrap_server", "TLSSocket"]

Connection: TypeAlias = ClientConnection | ServerConnection

_WRITE_SIZE = 128 * 1024
"""Plaintext bytes sealed at once: what `sendall` needs beyond the caller's own data."""

_MAX_DRAINED = 256 * 1024
"""Bytes thrown away before a close, so that the kernel does not answer them with a reset."""


def connect(
    host: str,
    port: int,
    config: ClientConfig | None = None,
    *,
    server_name: str | None = None,
    timeout: float | None = None,
    trace: Trace | None = None,
    early_data: bytes | None = None,
) -> TLSSocket:
    """Connect to a TLS server and complete the handshake.

    The addresses of `host` are tried one after the other. When the handshake fails, the socket is
    closed before the exception leaves.

    Args:
        host: a name or an IP address.
        port: the TCP port.
        config: how to speak; None takes the safe defaults.
        server_name: the name that the certificate must cover, if it is not `host`.
        timeout: seconds for connecting to one address, then for the handshake (which
            `config.handshake_timeout` bounds, too), and then for each operation of the socket.
            None takes the default of the `socket` module, which is to wait without end.
        trace: notes what happens; see `Recorder`.
        early_data: see `wrap_client`.

    Raises:
        OSError: no address could be reached.
        TLSError: the handshake failed; the subclass says who found out.
        ConfigurationError: a setting that cannot be honoured.
    """
    config = _client_config(config)
    if timeout is None:
        sock = socket.create_connection((host, port))
    else:
        sock = socket.create_connection((host, port), timeout)
    try:
        # A handshake flight followed by a request must not wait for the peer's delayed ACK.
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        name = host if server_name is None else server_name
        return wrap_client(
            sock, config, server_name=name, port=port, trace=trace, early_data=early_data
        )
    except BaseException:
        sock.close()
        raise


def wrap_client(
    sock: socket.socket,
    config: ClientConfig | None = None,
    *,
    server_name: str | None = None,
    port: int | None = None,
    trace: Trace | None = None,
    handshake: bool = True,
    early_data: bytes | None = None,
) -> TLSSocket:
    """Speak TLS as the client over a connected stream socket.

    From here on the socket belongs to the `TLSSocket`, until `unwrap()` gives it back. Where
    something is wrong with the arguments, `ConfigurationError` is raised and the socket is left as
    it was. Once bytes may have been exchanged the socket is of no use to anybody: when the
    handshake fails it is closed, after the alert was sent as far as that is possible.

    Args:
        sock: connected, of type SOCK_STREAM and blocking (with or without a timeout).
        config: how to speak; None takes the safe defaults.
        server_name: the name or IP address that the server's certificate must cover.
        port: where the server listens: with `config.sessions`, the sessions of each port are
            kept apart.
        trace: notes what happens; see `Recorder`.
        handshake: False leaves the handshake to `do_handshake()` or the first `recv` or `send`.
        early_data: bytes to send before the handshake is complete (0-RTT), as far as a session
            of a `config` with `early_data=True` allows. Whoever records them can send them to the
            server again, so they must be fit to be done twice. None are ever sent a second time
            here: `TLSSocket.early_data_rejected` tells what has not been delivered.

    Raises:
        TLSError: the handshake failed; `HandshakeTimeoutError` where it took too long.
        ConfigurationError: see above.
    """
    config = _client_config(config)
    _check_socket(sock)
    early = EarlyData(config, early_data)
    connection = ClientConnection(config, server_name=server_name, port=port, trace=trace)
    _note_ends(sock, trace)
    early.send_on(connection)
    return _wrap(TLSSocket(sock, connection, config.handshake_timeout, early), handshake)


def wrap_server(
    sock: socket.socket,
    config: ServerConfig,
    *,
    trace: Trace | None = None,
    handshake: bool = True,
) -> TLSSocket:
    """Speak TLS as the server over an accepted stream socket.

    A server that accepts in a loop catches `OSError` around this call, for one failed handshake
    must not end it; the accepted socket is closed by then. Everything else is as in
    `wrap_client`.
    """
    if not isinstance(config, ServerConfig):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError("wrap_server needs a ServerConfig with credentials.")
    _check_socket(sock)
    connection = ServerConnection(config, trace=trace)
    _note_ends(sock, trace)
    return _wrap(TLSSocket(sock, connection, config.handshake_timeout, EarlyData()), handshake)


class TLSSocket:
    """A TLS connection over a blocking socket, with the methods that sockets have.

    `connect`, `wrap_client` and `wrap_server` make it. One thread may read while another writes;
    several readers or several writers take turns, a `sendall` as a whole. Timeouts are those of
    sockets: seconds for one call of `recv`, `sendall` and so on.

    A `with` block ends with `close()`. If it ends with an exception, no close_notify is sent: the
    peer then sees that the data was cut off, and does not take half of a message for the whole.

    Attributes:
        connection: the sans-IO connection inside. Calls that change its state go through the
            methods of this class, which hold the lock.
    """

    def __init__(
        self,
        sock: socket.socket,
        connection: Connection,
        handshake_timeout: float | None,
        early: EarlyData,
    ) -> None:
        self.connection = connection
        self._early = early
        self._sock = sock
        self._timeout = sock.gettimeout()
        self._handshake_timeout = handshake_timeout
        self._read_lock = threading.Lock()
        self._write_lock = threading.Lock()
        self._state_lock = threading.Lock()
        self._plaintext = Plaintext()
        self._unsent: deque[Buffer] = deque()
        self._flush_wanted = False
        self._peer_closed = False
        self._shut = False
        self._read_failure: OSError | ConfigurationError | None = None
        self._write_failure: BaseException | None = None
        self._gone = False
        self._files = 0
        self._close_wanted = False
        sock.setblocking(False)

    def __repr__(self) -> str:
        if self._gone:
            state = "closed"
        elif (info := self.connection.info) is None:
            state = "handshake not complete"
        else:
            state = f"{info.version} {info.cipher_suite}"
        return f"<TLSSocket fd={self.fileno()} {state}>"

    def __enter__(self) -> TLSSocket:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc_type is None:
            self.close()
        else:
            self._release(notify=False)

    @property
    def info(self) -> ConnectionInfo:
        """What the handshake agreed upon.

        Raises:
            ConfigurationError: the handshake is not complete (after `handshake=False` only).
        """
        info = self.connection.info
        if info is None:
            raise ConfigurationError("The handshake is not complete: call do_handshake() first.")
        return info

    @property
    def early_data(self) -> bytes:
        """For a server: what the client sent before the handshake was complete (0-RTT).

        `recv` does not give it again. It is not forward secret, and somebody who recorded it may
        have sent it to another server as well: act upon it only where that does no harm. Complete
        once the handshake is; b"" where there is none, as always for a client.
        """
        return self._early.received

    @property
    def early_data_rejected(self) -> bytes:
        """For a client: what of its `early_data` has not been delivered.

        All of it where there was no session that allows early data, or where the server refused
        it (`info.early_data` tells); else what was more than the session allows. Nothing of it is
        sent again unless you send it. It is known once the handshake is complete.
        """
        return self._early.undelivered

    def do_handshake(self) -> None:
        """Complete the handshake, if it is not complete yet.

        It must be done within `config.handshake_timeout` seconds, and within the timeout of the
        socket if that is shorter.

        Raises:
            HandshakeTimeoutError: it took too long.
            TLSError: it failed. The alert was sent as far as that was possible.
        """
        if self.connection.info is None:
            with self._read_lock:
                self._handshake()

    # Reading

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Read up to `size` bytes; b"" once the peer has closed (RFC 8446 section 6.1).

        Raises:
            TruncationError: the transport ended without close_notify.
            TLSError: the connection failed.
            TimeoutError: nothing came within the timeout. Reading may go on later.
        """
        _refuse_flags(flags)
        if size < 0:
            raise ValueError("recv needs a size that is not negative.")
        with self._read_lock:
            if size:
                self._fill()
            return self._plaintext.take(size)

    def recv_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> int:
        """Read up to `nbytes` bytes (0: as many as fit) into `buffer`; returns how many.

        Raises as `recv` does.
        """
        _refuse_flags(flags)
        with memoryview(buffer) as view, view.cast("B") as octets:
            if nbytes < 0 or nbytes > len(octets):
                raise ValueError("recv_into needs a size from 0 to that of the buffer.")
            with self._read_lock, octets[: nbytes or len(octets)] as target:
                if target:
                    self._fill()
                return self._plaintext.take_into(target)

    def pending(self) -> int:
        """Bytes that `recv` gives without reading from the transport."""
        return len(self._plaintext)

    # Writing

    def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        """Send the first bytes of `data`, up to 128 KiB; returns how many.

        Raises as `sendall` does.
        """
        _refuse_flags(flags)
        with memoryview(data) as view, view.cast("B") as octets, octets[:_WRITE_SIZE] as first:
            self._write(first)
            return len(first)

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        """Send all of `data`.

        The plaintext is sealed 128 KiB at a time, so memory stays bounded whatever its size.

        Raises:
            TimeoutError: the peer did not read in time. A record may have left in part, so
                nothing more can be sent on this connection; it can be read from and closed.
            ConfigurationError: this side has closed its half already.
            PeerAlertError: the peer gave up, and said why before its end of the transport closed.
            TLSError: the connection has failed.
        """
        _refuse_flags(flags)
        if isinstance(data, bytes):
            self._write(data)
            return
        with memoryview(data) as view, view.cast("B") as octets:
            self._write(octets)

    def update_keys(self, request_peer: bool = True) -> None:
        """Send under new keys from here on (RFC 8446 section 4.6.3).

        `request_peer` asks the peer to do the same. Raises as `sendall` does.
        """
        self._send_by(lambda connection: connection.update_keys(request_peer=request_peer))

    # Ending

    def shutdown(self, how: int) -> None:
        """Close one half: SHUT_WR sends close_notify, and reading goes on (RFC 8446 section 6.1).

        The transport stays open both ways. SHUT_RDWR sends close_notify and shuts the transport
        down, too, which wakes a thread that waits in `recv`. SHUT_RD alone means nothing in TLS.

        Raises as `sendall` does, and ConfigurationError for SHUT_RD.
        """
        if how == socket.SHUT_RD:
            raise ConfigurationError("TLS cannot close the reading half alone: SHUT_WR or RDWR.")
        if how not in (socket.SHUT_WR, socket.SHUT_RDWR):
            raise ValueError("shutdown needs SHUT_WR or SHUT_RDWR.")
        self._close_notify()
        if how == socket.SHUT_RDWR:
            self._shut = True
            self._sock.shutdown(socket.SHUT_RDWR)

    def shutdown_write(self) -> None:
        """Send close_notify: this side has sent all it has to say. Reading goes on."""
        self.shutdown(socket.SHUT_WR)

    def unwrap(self) -> socket.socket:
        """End TLS on both sides and return the plain socket, which goes on living.

        Sends close_notify and waits for the peer's. Nothing behind the peer's close_notify is
        consumed: it is waited for byte by byte, and what follows it stays in the plain socket.
        Only where an earlier `recv` met the close_notify may plaintext have come with it:
        `connection.unread_after_close` holds that.

        Raises:
            ConfigurationError: there is data that was never read, or that comes before the peer's
                close_notify. It is not lost: `recv` until b"", then call `unwrap()` again.
            TruncationError: the peer ended the transport without close_notify, unless the
                config allows that.
            TLSError, TimeoutError: as for `recv`.
        """
        deadline = self._deadline()
        self._close_notify()
        with self._read_lock:
            while not self._plaintext and not self._peer_closed:
                self._receive(deadline, size=1)
            if self._plaintext:
                raise ConfigurationError(
                    f"unwrap() with {len(self._plaintext)} bytes unread, or more: "
                    'recv() until b"" before ending TLS.'
                )
            self._check_open()
            self._gone = True
        self._sock.settimeout(self._timeout)
        return self._sock

    def close(self) -> None:
        """Send close_notify if that is possible at once, and close the socket.

        Does not wait for the peer; `unwrap()` does. While a file from `makefile` is open, closing
        waits for it, as with sockets.
        """
        self._close_wanted = True
        if not self._files:
            self._release(notify=True)

    # What sockets have besides

    @overload
    def makefile(
        self,
        mode: Literal["r", "w", "rw", "wr", ""] = "r",
        buffering: int | None = None,
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> IO[str]: ...
    @overload
    def makefile(
        self,
        mode: Literal["b", "rb", "br", "wb", "bw", "rwb", "rbw", "wrb", "wbr", "brw", "bwr"],
        buffering: int | None = None,
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> IO[bytes]: ...

    def makefile(
        self,
        mode: str = "r",
        buffering: int | None = None,
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> IO[str] | IO[bytes]:
        """A file over this socket, as `socket.makefile` gives: modes of "r", "w" and "b".

        The file is text unless the mode has a "b". Closing it leaves the socket open.
        """
        if not set(mode) <= {"r", "w", "b"}:
            raise ValueError(f"invalid mode {mode!r} (only r, w, b allowed)")
        self._check_open()
        writing = "w" in mode
        reading = "r" in mode or not writing
        raw = SocketFile(self, reading=reading, writing=writing, on_close=self._file_closed)
        self._files += 1
        if buffering == 0:
            if "b" not in mode:
                raw.close()
                raise ValueError("unbuffered streams must be binary")
            return cast(IO[bytes], raw)
        size = io.DEFAULT_BUFFER_SIZE if buffering is None or buffering < 0 else buffering
        buffered: io.BufferedRWPair | io.BufferedReader | io.BufferedWriter
        if reading and writing:
            buffered = io.BufferedRWPair(raw, raw, size)
        elif reading:
            buffered = io.BufferedReader(raw, size)
        else:
            buffered = io.BufferedWriter(raw, size)
        if "b" in mode:
            return cast(IO[bytes], buffered)
        return io.TextIOWrapper(cast(IO[bytes], buffered), encoding, errors, newline)

    def fileno(self) -> int:
        """The file descriptor, or -1 once closed. Ready to read does not mean that `recv` returns
        at once, nor not ready that it waits: see `pending`."""
        return -1 if self._gone else self._sock.fileno()

    def settimeout(self, timeout: float | None) -> None:
        """Seconds for each operation; None waits without end. 0 is refused."""
        if timeout is not None and timeout < 0:
            raise ValueError("A timeout is not negative.")
        if timeout == 0:
            raise ConfigurationError(_NON_BLOCKING)
        self._timeout = timeout

    def gettimeout(self) -> float | None:
        """Seconds for each operation; None: without end."""
        return self._timeout

    def setblocking(self, flag: bool) -> None:
        """True takes the timeout away; False is refused."""
        self.settimeout(None if flag else 0.0)

    def getblocking(self) -> bool:
        """True, always."""
        return True

    def getpeername(self) -> object:
        """The address of the peer."""
        return self._sock.getpeername()

    def getsockname(self) -> object:
        """The address of this side."""
        return self._sock.getsockname()

    def getsockopt(self, level: int, option: int) -> int:
        """An option of the plain socket."""
        return self._sock.getsockopt(level, option)

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        """Set an option of the plain socket."""
        self._sock.setsockopt(level, option, value)

    def export_keying_material(self, label: str, context: bytes | None, length: int) -> bytes:
        """`length` bytes that only the two ends of this connection know (RFC 8446 section 7.5)."""
        with self._state_lock:
            return self.connection.export_keying_material(label, context, length)

    def channel_binding(
        self, kind: Literal["tls-exporter", "tls-server-end-point"] = "tls-exporter"
    ) -> bytes:
        """Bytes that bind an authentication to this connection (RFC 9266, RFC 5929)."""
        with self._state_lock:
            return self.connection.channel_binding(kind)

    # Inside: the handshake

    def _handshake(self) -> None:
        """Under the read lock."""
        if self.connection.info is not None:
            return
        timeouts = [t for t in (self._timeout, self._handshake_timeout) if t is not None]
        deadline = time.monotonic() + min(timeouts) if timeouts else None
        try:
            self._flush()
            while self.connection.info is None:
                self._receive(deadline)
                self._check_progress()
            with self._write_lock:
                self._collect()
                self._push_all(deadline)
        except TLSError:
            raise
        except TimeoutError:
            with self._state_lock:
                error = self.connection.abort(Fault.HANDSHAKE_TIMEOUT)
            self._read_failure = error
            self._flush()
            raise error from None
        finally:
            if self._flush_wanted:
                self._flush()

    def _check_progress(self) -> None:
        if self._peer_closed and self.connection.info is None:
            with self._state_lock:
                raise self.connection.abort(Fault.CLOSED_DURING_HANDSHAKE)

    # Inside: reading, under the read lock

    def _fill(self) -> None:
        """Wait until there is plaintext or the end of it."""
        self._check_open()
        if self._plaintext.size:
            return
        if self.connection.info is None:
            self._handshake()
        deadline = self._deadline()
        while not self._plaintext.size and not self._peer_closed:
            self._receive(deadline)

    def _receive(self, deadline: float | None, size: int = READ_SIZE) -> None:
        """Read from the transport once, waiting for it, and let the connection see it."""
        if self._read_failure is not None:
            raise self._read_failure.with_traceback(None)
        while True:
            buffer = READ_BUFFERS.take()
            try:
                self._check_open()
                count = self._sock.recv_into(buffer, size)
                self._check_open()  # `close` in another thread ends a wait like this one
                with buffer[:count] as data:
                    self._process(data)
                return
            except BlockingIOError:
                pass
            except ConnectionResetError as reset:
                self._note_reset(reset)
                return
            finally:
                READ_BUFFERS.give_back(buffer)
            self._wait_for_input(deadline)

    def _process(self, data: memoryview) -> None:
        """Give the connection what arrived (nothing: the end) and send what it has to say."""
        if not data and self._shut:
            # This side shut the transport down: that is no truncation by the peer.
            self._peer_closed = True
            return
        connection = self.connection
        try:
            with self._state_lock:
                events = connection.receive_data(data) if data else connection.receive_eof()
                owes = connection.wants_to_send
            self._read_failure = connection.failure
            if not data:
                self._peer_closed = True
            for event in events:
                if isinstance(event, DataReceived):
                    self._plaintext.add(event.data)
                else:
                    self._note(event)
        except TLSError as error:
            self._read_failure = error
            self._flush()
            raise
        except BaseException:
            # An interrupt may have taken plaintext along: the stream must not go on without it.
            if self._read_failure is None:
                with self._state_lock:
                    self._read_failure = connection.abort(Fault.INTERNAL_ERROR)
            raise
        if owes or self._unsent:
            self._flush()

    def _note(self, event: Event) -> None:
        if isinstance(event, PeerClosed):
            self._peer_closed = True
        elif isinstance(event, QuestionAsked):
            self._refuse_question(event)
        else:
            self._early.note(event)

    def _refuse_question(self, event: QuestionAsked) -> NoReturn:
        """A blocking socket has nobody who could answer later."""
        question = event.question
        if inspect.iscoroutine(question.pending):
            question.pending.close()
        what = "DEFER" if question.pending is None else "an awaitable"
        error = ConfigurationError(
            f"The callback for {type(question).__name__} answered with {what}, but a blocking "
            "socket cannot wait for that. Answer at once, or use handclasp.aio or the connection."
        )
        self._read_failure = error
        with self._state_lock, suppress(TLSError):
            self.connection.refuse(question, error)
        self._flush()
        raise error

    def _note_reset(self, reset: ConnectionResetError) -> None:
        if self.connection.info is not None:
            self._read_failure = reset
            raise reset
        # Many servers reset where they should send an alert; the catalogue explains it better.
        try:
            with self._state_lock:
                self.connection.receive_eof(reset=True)
        except TLSError as error:
            self._read_failure = error
            raise error from reset
        self._read_failure = reset
        raise reset

    def _wait_for_input(self, deadline: float | None) -> None:
        """Wait until there is something to read, and meanwhile send what a reader owes."""
        writable = False
        if self._unsent and self._write_lock.acquire(blocking=False):
            # No writer is at work who would send this.
            writable = bool(self._unsent)
            self._write_lock.release()
        wait(self._sock, readable=True, writable=writable, deadline=deadline)
        if writable:
            self._flush()

    # Inside: writing

    def _write(self, octets: bytes | memoryview) -> None:
        self._check_open()
        if self.connection.info is None:
            self.do_handshake()
        if not octets:
            return
        deadline = self._deadline()
        try:
            with self._write_lock:
                if len(octets) <= _WRITE_SIZE:
                    self._seal_and_push(octets, deadline)
                else:
                    self._seal_and_push_pieces(octets, deadline)
        except (BrokenPipeError, ConnectionResetError) as error:
            self._raise_what_the_peer_said(error)
        finally:
            if self._flush_wanted:
                self._flush()

    def _seal_and_push(self, octets: bytes | memoryview, deadline: float | None) -> None:
        """Under the write lock."""
        self._check_writable()
        connection = self.connection
        with self._state_lock:
            connection.send_data(octets)
            data = connection.data_to_send()
        self._unsent.append(data)
        self._push_all(deadline)

    def _seal_and_push_pieces(self, octets: bytes | memoryview, deadline: float | None) -> None:
        with memoryview(octets) as view:
            for start in range(0, len(view), _WRITE_SIZE):
                with view[start : start + _WRITE_SIZE] as piece:
                    self._seal_and_push(piece, deadline)

    def _send_by(self, queue: Callable[[Connection], None]) -> None:
        """Let the connection queue something and send it."""
        self._check_open()
        self.do_handshake()
        try:
            with self._write_lock:
                self._check_writable()
                with self._state_lock:
                    queue(self.connection)
                self._collect()
                self._push_all(self._deadline())
        finally:
            if self._flush_wanted:
                self._flush()

    def _close_notify(self) -> None:
        self._send_by(lambda connection: connection.close())

    def _check_writable(self) -> None:
        failure = self.connection.failure
        if failure is not None:
            raise failure.with_traceback(None)
        if self._write_failure is not None:
            raise BrokenPipeError(
                errno.EPIPE, "Nothing more can be sent: an earlier send did not end well."
            ) from self._write_failure

    def _flush(self) -> None:
        """Send what is queued as far as that needs no waiting. Never raises, never blocks.

        Whoever wants a flush says so first and tries for the lock then; whoever lets go of the
        lock looks afterwards whether somebody said so. Hence no wish is lost between the two.
        """
        self._flush_wanted = True
        while self._flush_wanted and self._write_lock.acquire(blocking=False):
            try:
                self._flush_wanted = False
                # What a full transport cannot take stays in the connection, where a flood of
                # KeyUpdates costs one answer and not one each.
                if self._push():
                    self._collect()
                    self._push()
            except OSError as error:
                self._fail_writing(error)
            finally:
                self._write_lock.release()

    def _collect(self) -> None:
        """Take what the connection has queued. Under the write lock."""
        with self._state_lock:
            data = self.connection.data_to_send()
        if data and self._write_failure is None:
            self._unsent.append(data)

    def _push(self) -> bool:
        """Send until nothing is left (True) or the transport is full. Under the write lock."""
        unsent = self._unsent
        while unsent:
            first = unsent[0]
            try:
                count = self._sock.send(first)
            except BlockingIOError:
                return False
            if count < len(first):
                unsent[0] = memoryview(first)[count:]
            else:
                unsent.popleft()
        return True

    def _push_all(self, deadline: float | None) -> None:
        """Send everything, waiting for the peer to read. Under the write lock."""
        try:
            while not self._push():
                wait(self._sock, readable=False, writable=True, deadline=deadline)
        except BaseException as error:
            # A record may be half sent, and a KeyboardInterrupt leaves it so as well.
            self._fail_writing(error)
            raise

    def _fail_writing(self, error: BaseException) -> None:
        self._write_failure = error
        self._unsent.clear()

    def _raise_what_the_peer_said(self, error: OSError) -> NoReturn:
        """The peer is gone: if it sent an alert before, that tells more than `error` does."""
        if self._read_lock.acquire(blocking=False):
            try:
                while not self._plaintext and not self._peer_closed:
                    self._receive(time.monotonic())
            except TLSError as reason:
                raise reason from error
            except OSError:
                pass
            finally:
                self._read_lock.release()
        raise error

    # Inside: the end

    def _deadline(self) -> float | None:
        return None if self._timeout is None else time.monotonic() + self._timeout

    def _check_open(self) -> None:
        if self._gone:
            raise OSError(errno.EBADF, "The TLS socket is closed.")

    def _file_closed(self) -> None:
        self._files -= 1
        if self._close_wanted and not self._files:
            self._release(notify=True)

    def _release(self, *, notify: bool) -> None:
        """Close the socket, with close_notify if wanted and possible."""
        if self._gone:
            return
        self._close_wanted = True
        if notify and self._can_notify():
            with self._state_lock, suppress(ConfigurationError, TLSError):
                self.connection.close()
            self._flush()
        self._gone = True
        with suppress(OSError):
            if self._read_lock.locked() or self._write_lock.locked():
                # Somebody waits in another thread, and would do so on a descriptor that is gone.
                self._sock.shutdown(socket.SHUT_RDWR)
            else:
                self._drain()
        self._sock.close()

    def _can_notify(self) -> bool:
        connection = self.connection
        return connection.established and connection.failure is None and self._write_failure is None

    def _drain(self) -> None:
        """Throw away what has arrived already, such as tickets that nobody read.

        Where unread bytes are left at the close, the kernel resets the connection, and the
        reset may overtake what this side sent last.
        """
        buffer = READ_BUFFERS.take()
        try:
            drained = 0
            while drained < _MAX_DRAINED and (count := self._sock.recv_into(buffer)):
                drained += count
        finally:
            READ_BUFFERS.give_back(buffer)


_NON_BLOCKING = (
    "The socket is non-blocking, and a TLSSocket has no way to say that it wants to read or write. "
    "Give it a timeout, or use ClientConnection or ServerConnection with your own loop."
)


def _client_config(config: ClientConfig | None) -> ClientConfig:
    if config is None:
        return ClientConfig()
    if not isinstance(config, ClientConfig):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError("A client needs a ClientConfig.")
    return config


def _check_socket(sock: socket.socket) -> None:
    # The family `ssl` has its own subclass, on which poll tells nothing about its plaintext.
    if not isinstance(sock, socket.socket) or hasattr(sock, "unwrap"):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(
            "Only a plain socket can be wrapped. For TLS inside TLS use ClientConnection."
        )
    if sock.type != socket.SOCK_STREAM:
        raise ConfigurationError("TLS needs a stream socket (SOCK_STREAM).")
    if sock.gettimeout() == 0:
        raise ConfigurationError(_NON_BLOCKING)


def _note_ends(sock: socket.socket, trace: Trace | None) -> None:
    if trace is not None:
        with suppress(OSError):  # A peer that is gone again has no address.
            note_ends(trace, sock.getsockname(), sock.getpeername())


def _wrap(tls: TLSSocket, handshake: bool) -> TLSSocket:
    if handshake:
        try:
            tls.do_handshake()
        except BaseException:
            tls._release(notify=False)  # pyright: ignore[reportPrivateUsage]
            raise
    return tls


def _refuse_flags(flags: int) -> None:
    if flags:
        raise ValueError("Flags for recv and send mean nothing in TLS.")
