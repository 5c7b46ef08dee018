"""TLS over a socket: `connect`, `wrap_client`, `wrap_server` and the `TLSSocket`.

Its methods are those of the standard library's sockets; `duplex` moves the bytes.
"""

from __future__ import annotations

import errno
import io
import os
import socket
from contextlib import suppress
from operator import index
from types import TracebackType
from typing import IO, TYPE_CHECKING, Literal, Never, NoReturn, cast, overload

from handclasp.adapters.addresses import note_addresses
from handclasp.adapters.arguments import (
    check_connected,
    check_host_and_port,
    check_plain_socket,
    client_config,
    request_client_certificate,
    server_config,
    server_connection,
)
from handclasp.adapters.buffers import WRITE_SIZE
from handclasp.adapters.duplex import Duplex
from handclasp.adapters.early import EarlyData
from handclasp.adapters.hints import no_attribute, refuse_arguments
from handclasp.adapters.polling import seconds
from handclasp.adapters.socketfile import SocketFile
from handclasp.client import ClientConnection, check_server_name
from handclasp.config import ClientConfig, ServerConfig
from handclasp.errors import ConfigurationError, StateError
from handclasp.info import ConnectionInfo
from handclasp.server import ServerConnection
from handclasp.trace.hooks import Trace, check_trace

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer
else:
    ReadableBuffer = WriteableBuffer = bytes | bytearray | memoryview

__all__ = ["connect", "wrap_client", "wrap_server", "TLSSocket"]

_FILE_CHUNK = 128 * 1024
"""Bytes of a file that `sendfile` reads at once."""


def connect(
    host: str,
    port: int,
    config: ClientConfig | None = None,
    *,
    server_name: str | None = None,
    timeout: float | None = None,
    trace: Trace | None = None,
    early_data: bytes | None = None,
    **unknown: Never,
) -> TLSSocket:
    """Connect to a TLS server and complete the handshake.

    The addresses of `host` are tried one after the other. If the handshake fails, the socket is
    closed before the exception is raised.

    >>> with handclasp.connect("example.com", 443) as tls:
    ...     tls.sendall(b"hello")
    ...     tls.recv(5)
    b'hello'

    Args:
        host: a name or an IP address.
        port: the TCP port.
        config: the settings; None uses the safe defaults.
        server_name: the name that the certificate must cover, if it is not `host`.
        timeout: seconds for connecting to one address, then for the handshake (which
            `config.handshake_timeout` also bounds), and then for each operation of the socket. None
            uses the default of the `socket` module, which is no timeout.
        trace: notes what happens; see `Recorder`.
        early_data: see `wrap_client`.

    Raises:
        OSError: no address could be reached.
        TLSError: the handshake failed; the subclass tells which side found the fault.
        ConfigurationError: a setting that cannot be honoured.
    """
    # A mistake made here raises before the server hears of it.
    check_host_and_port(host, port, unknown)
    config = client_config(config)
    name = check_server_name(config, host if server_name is None else server_name)
    check_trace(trace)
    EarlyData(config, early_data)
    if timeout is None:
        sock = socket.create_connection((host, port))
    else:
        sock = socket.create_connection((host, port), timeout)
    try:
        # A handshake flight followed by a request must not wait for the peer's delayed ACK.
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
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
    **unknown: Never,
) -> TLSSocket:
    """Speak TLS as the client over a connected stream socket.

    The `TLSSocket` then owns the connection, until `unwrap()` returns a plain socket. As with
    `ssl`, `sock` is detached: nothing can be sent on it in the clear, and closing it does nothing.
    (Instances of a subclass of `socket.socket` may override methods, so they are used directly, and
    `unwrap()` returns the same object. Do not use them meanwhile.)

    If an argument is invalid, `ConfigurationError` is raised and the socket is unchanged. If the
    handshake fails, the alert is sent as far as possible, and the socket is closed, as there is no
    `TLSSocket` that the caller could close. With `handshake=False` there is one, and it stays open
    until `close()` or the end of its `with` block, whether or not the handshake fails. Both are as
    with `ssl`.

    >>> sock = socket.create_connection(("example.com", 443))
    >>> with handclasp.wrap_client(sock, server_name="example.com") as tls:
    ...     tls.info.version
    'TLSv1.3'

    Args:
        sock: connected, of type SOCK_STREAM, with the timeout for the `TLSSocket`. A non-blocking
            one requires `handshake=False`.
        config: how to speak; None takes the safe defaults.
        server_name: the name or IP address that the server's certificate must cover.
        port: the port of the server: with `config.sessions`, the sessions of each port are
            separate.
        trace: notes what happens; see `Recorder`.
        handshake: False leaves the handshake to `do_handshake()` or the first `recv` or `send`,
            in whichever thread.
        early_data: bytes to send before the handshake is complete (0-RTT), as far as a session
            of a `config` with `allow_early_data=True` allows. An attacker who records them can
            send them to the server again, so a repetition must do no harm. This library never sends
            them a second time: `TLSSocket.early_data_rejected` holds the bytes that were not
            delivered.

    Raises:
        TLSError: the handshake failed; `HandshakeTimeoutError` if it took too long.
        ConfigurationError: see above.
    """
    refuse_arguments(unknown)
    config = client_config(config)
    _check_socket(sock, handshake)
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
    **unknown: Never,
) -> TLSSocket:
    """Speak TLS as the server over an accepted stream socket.

    A server that accepts in a loop passes `handshake=False`, so that a silent client does not delay
    the others, and completes the handshake where it serves the client, in a thread or a process. It
    catches `OSError` there, as one failed handshake must not end the server, and closes the
    `TLSSocket`, which stays open otherwise: use a `with` block. Everything else is as in
    `wrap_client`.

    Here `listener` is a listening socket:

    >>> config = ServerConfig(credentials=Credentials.load("chain.pem", "key.pem"))
    >>> sock, address = listener.accept()
    >>> with handclasp.wrap_server(sock, config) as tls:
    ...     tls.recv(65536)
    b'hello'
    """
    refuse_arguments(unknown)
    config = server_config(config, "thread")
    _check_socket(sock, handshake)
    connection = server_connection(config, "thread", trace)
    _note_ends(sock, trace)
    return _wrap(TLSSocket(sock, connection, config.handshake_timeout, EarlyData()), handshake)


class TLSSocket:
    """A TLS connection over a socket, with the methods that sockets have.

    `connect`, `wrap_client` and `wrap_server` make it. One thread may read while another writes;
    several readers or several writers take turns, a `sendall` as a whole. Timeouts are those of
    sockets: seconds for one call of `recv`, `sendall` and so on, waiting for a turn included.
    docs/sockets.md compares every method with those of `socket` and `ssl`.

    A `with` block ends with `close()`. If it ends with an exception, no close_notify is sent: the
    peer then sees that the data was truncated, and does not mistake a part of a message for the
    whole.

    >>> with handclasp.connect("example.com", 443) as tls, tls.makefile("rw") as file:
    ...     print("hello", file=file, flush=True)
    ...     file.readline().strip()
    'hello'

    Attributes:
        connection: the sans-IO connection inside. Calls that change its state go through the
            methods of this class, which hold the lock.
    """

    def __init__(
        self,
        sock: socket.socket,
        connection: ClientConnection | ServerConnection,
        handshake_timeout: float | None,
        early: EarlyData,
    ) -> None:
        self.connection = connection
        sock = _take_over(sock)
        connection.ask_own_address = sock.getsockname
        self._duplex = Duplex(sock, connection, handshake_timeout, early)
        self._sock = sock
        self._files = 0
        self._close_wanted = False

    def __repr__(self) -> str:
        if self._duplex.closed:
            state = "closed"
        elif (failure := self.connection.failure) is not None:
            state = f"failed: {failure.fault_name}"
        elif (info := self.connection.info) is None:
            state = "handshake not complete"
        else:
            state = f"{info.version} {info.cipher_suite}"
        return f"<TLSSocket fd={self.fileno()} {state}>"

    if not TYPE_CHECKING:  # Else every attribute would seem to be there.

        def __getattr__(self, name: str) -> NoReturn:
            """Raise `AttributeError`, with a hint if `ssl.SSLSocket` has this attribute."""
            raise no_attribute(self, name)

    def __getstate__(self) -> NoReturn:
        """Raise `TypeError`, as sockets do: neither `copy` nor `pickle` can make a second one."""
        raise TypeError(f"cannot pickle {type(self).__name__!r} object")

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
            self._duplex.release(notify=False)

    @property
    def info(self) -> ConnectionInfo:
        """The negotiated parameters of the connection.

        Raises:
            StateError: the handshake is not complete (after `handshake=False` only).
        """
        info = self.connection.info
        if info is None:
            raise StateError("The handshake is not complete: call do_handshake() first.")
        return info

    @property
    def early_data(self) -> bytes:
        """For a server: the data that the client sent before the handshake was complete (0-RTT).

        `recv` does not return it again. It is not forward secret, and an attacker who recorded it
        may have sent it to another server as well: act upon it only if that does no harm. It is
        complete when the handshake is; b"" if there is none, and always for a client.

        Raises:
            StateError: the handshake is not complete (after `handshake=False` only).
        """
        self._duplex.early.check_known(self.connection)
        return self._duplex.early.received

    @property
    def early_data_rejected(self) -> bytes:
        """For a client: the part of its `early_data` that was not delivered.

        All of it if no session allowed early data, or if the server refused it (see
        `info.early_data_status`); otherwise the bytes beyond the limit of the session. The
        application must send it again itself.

        Raises:
            StateError: the handshake is not complete (after `handshake=False` only).
        """
        self._duplex.early.check_known(self.connection)
        return self._duplex.early.undelivered

    def do_handshake(self) -> None:
        """Complete the handshake, if it is not complete yet.

        It must be done within `config.handshake_timeout` seconds, and within the timeout of the
        socket if that is shorter.

        Raises:
            HandshakeTimeoutError: it took too long.
            TLSError: it failed. The alert was sent as far as that was possible. The socket stays
                open until `close()`.
            WantRead, WantWrite: the socket is non-blocking, and the handshake waits for the peer.
        """
        self._duplex.handshake()

    # Reading

    def recv(self, size: int = 1024, flags: int = 0) -> bytes:
        """Read up to `size` bytes; b"" once the peer has closed (RFC 9846 section 6.1).

        Raises:
            TruncationError: the transport ended without close_notify.
            TLSError: the connection failed.
            TimeoutError: nothing arrived within the timeout. Reading can continue later.
            WantRead, WantWrite: the socket is non-blocking, and nothing has arrived yet.
        """
        if flags or type(size) is not int or size < 0:
            size = _checked_size("recv", size, flags)
        duplex = self._duplex
        return duplex.read(duplex.take_bytes, size)

    def recv_into(self, buffer: WriteableBuffer, nbytes: int | None = 0, flags: int = 0) -> int:
        """Read up to `nbytes` bytes (0 or None: as many as fit) into `buffer`; return their number.

        Raises as `recv` does.
        """
        nbytes = _checked_size("recv_into", nbytes or 0, flags)
        target = _writable_octets(buffer)
        if nbytes > len(target):
            raise ValueError("buffer too small for requested bytes")
        if nbytes:
            target = target[:nbytes]
        duplex = self._duplex
        try:
            return duplex.read(duplex.take_into, target)
        except BaseException:
            target.release()  # The traceback would keep the caller from resizing the buffer.
            raise

    def pending(self) -> int:
        """Return how many bytes `recv` can return without reading from the transport.

        A selector does not see them: call this before waiting with one.
        """
        return self._duplex.pending

    # Writing

    def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        """Send the first bytes of `data`, up to 128 KiB; return their number.

        Raises as `sendall` does. With a non-blocking socket, the returned bytes have been passed to
        the operating system. After `WantWrite`, call again with the same data, or with more that
        begins with it: it is already encrypted, and cannot be dropped.
        """
        _refuse_flags("send", flags)
        duplex = self._duplex
        if isinstance(data, bytes):
            return duplex.write(duplex.seal_first, data)
        with _octets(data) as octets:
            return duplex.write(duplex.seal_first, octets)

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        """Send all of `data`.

        The plaintext is encrypted 128 KiB at a time, so memory stays bounded for any size.

        Raises:
            TimeoutError: the peer did not read in time. A part of a record may have been sent, so
                nothing more can be sent on this connection; reading and closing still work.
            WantWrite: the socket is non-blocking, and the transport is full. A part may have been
                sent; call again with the same data to continue.
            OSError: the socket has been closed, perhaps by another thread just now.
            StateError: this side has closed its half already (that is a `BrokenPipeError`, too),
                or the call after `WantWrite` has other data.
            PeerAlertError: the peer ended the connection with an alert.
            TLSError: the connection has failed.
        """
        if flags:
            _refuse_flags("sendall", flags)
        duplex = self._duplex
        if isinstance(data, bytes):
            duplex.write(duplex.seal_all, data)
            return
        with _octets(data) as octets:
            duplex.write(duplex.seal_all, octets)

    def sendfile(self, file: IO[bytes], offset: int = 0, count: int | None = None) -> int:
        """Send `file` from `offset` on, `count` bytes at most (None: to its end).

        Return the number of bytes sent; the file's position is then behind them, also after an
        exception. The file must be open in binary mode.

        Raises:
            ValueError: the file is in text mode, `count` is not positive, or the socket is
                non-blocking.
            TypeError: `count` is not a whole number.
            OSError: as `sendall` does.
        """
        _check_sendfile(file, count)
        if self.timeout == 0:
            raise ValueError("non-blocking sockets are not supported")
        can_seek = _can_seek(file)
        if offset or can_seek:
            file.seek(offset)
        sent = 0
        try:
            while count is None or sent < count:
                data = file.read(_FILE_CHUNK if count is None else min(_FILE_CHUNK, count - sent))
                if not data:
                    break
                self.sendall(data)
                sent += len(data)
            return sent
        finally:
            if sent and can_seek:
                file.seek(offset + sent)

    def update_keys(self, request_peer: bool = True) -> None:
        """Switch to new sending keys (RFC 8446 section 4.6.3).

        `request_peer` asks the peer to do the same. Raises as `sendall` does, but never
        `WantWrite`: a message that the transport does not take at once is sent with the next call.
        """
        self._duplex.send_by(
            lambda connection: connection.update_keys(request_peer=request_peer), later=True
        )

    def request_client_certificate(self) -> None:
        """Ask the client for its certificate (RFC 8446 section 4.6.2). Only for a server.

        This does not wait for the answer, which comes while data are received: then `info` is that
        of the client, and `connection.certificate_requests` is 0. Raises as `update_keys`, and as
        `ServerConnection.request_client_certificate`.
        """
        self._duplex.send_by(request_client_certificate, later=True)

    # Ending

    def shutdown(self, how: int) -> None:
        """Close one half: SHUT_WR sends close_notify, and reading goes on (RFC 9846 section 6.1).

        In TLS 1.2 the peer may drop what it has yet to send: see docs/sockets.md.

        The transport stays open both ways. SHUT_RDWR sends close_notify and shuts the transport
        down, too, which wakes a thread that waits in `recv`. It does not wait for the peer: data
        that the operating system does not take at once are lost. SHUT_RD alone means nothing in
        TLS.

        Raises as `sendall` does, and ConfigurationError for SHUT_RD.
        """
        if how == socket.SHUT_RD:
            raise ConfigurationError("TLS cannot close the reading half alone: SHUT_WR or RDWR.")
        if how not in (socket.SHUT_WR, socket.SHUT_RDWR):
            raise io.UnsupportedOperation(errno.EINVAL, "shutdown needs SHUT_WR or SHUT_RDWR.")
        if how == socket.SHUT_RDWR:
            self._duplex.shut_down()
        else:
            self._duplex.send_by(lambda connection: connection.close())

    def shutdown_write(self) -> None:
        """Send close_notify: this side has sent everything, and reading goes on; see `shutdown`."""
        self.shutdown(socket.SHUT_WR)

    def unwrap(self) -> socket.socket:
        """End TLS on both sides and return a plain socket, which stays open.

        Sends close_notify and waits for the peer's. Nothing behind the peer's close_notify is
        consumed: it is read record by record, and the following data stay in the plain socket. Only
        if an earlier `recv` read the close_notify, plaintext may have come with it:
        `connection.unread_after_close` holds that.

        Raises:
            StateError: there is unread data, or data before the peer's close_notify. It is not
                lost: call `recv` until b"", then `unwrap()` again.
            TruncationError: the peer ended the transport without close_notify, unless the
                config allows that.
            TLSError, TimeoutError: as for `recv`.
        """
        return self._duplex.end()

    def close(self) -> None:
        """Send close_notify and close the socket.

        If the operating system cannot send everything at once, this waits for as long as the peer
        keeps reading, and stops when the peer has read nothing for the timeout of the socket (30 s
        without one). A non-blocking socket does not wait, and raises no error, as with `ssl`: the
        peer then sees a truncated stream. The peer does not have to answer; `unwrap()` waits for
        that. While a file from `makefile` is open, closing waits for it, as with sockets. If the
        program has set SO_LINGER, its seconds bound the whole wait instead of the timeout; 0 means
        no wait, and the peer gets a reset.

        After a fork, a process that has not used the socket since closes its own copy only, and
        sends nothing: the other process may be using the connection.

        Raises:
            TimeoutError: the operating system could not take the last bytes, such as the
                close_notify, because the peer did not read. The socket is closed anyway. A
                non-blocking socket never raises it.
        """
        self._close_wanted = True
        if not self._files:
            self._duplex.release(notify=True)

    def detach(self) -> int:
        """Return the file descriptor, which stays open; the socket is closed. -1 if it is closed
        already.

        Nothing is sent to the peer, and unread data are lost.
        """
        self._close_wanted = True
        return self._duplex.detach()

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
        """Return a file over this socket, as `socket.makefile` does: modes of "r", "w" and "b".

        The file is text unless the mode has a "b". Closing it leaves the socket open.
        """
        if not set(mode) <= {"r", "w", "b"}:
            raise ValueError(f"invalid mode {mode!r} (only r, w, b allowed)")
        self._duplex.check_open()
        writing = "w" in mode
        reading = "r" in mode or not writing
        size = io.DEFAULT_BUFFER_SIZE if buffering is None or buffering < 1 else buffering
        raw = SocketFile(
            self,
            self._duplex,
            reading=reading,
            writing=writing,
            keeps=min(size, WRITE_SIZE),
            on_close=self._file_closed,
        )
        self._files += 1
        if buffering == 0:
            if "b" not in mode:
                raw.close()
                raise ValueError("unbuffered streams must be binary")
            return cast(IO[bytes], raw)
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
        """Return the file descriptor, or -1 once closed. A readable descriptor does not mean that
        `recv` returns at once, and an unreadable one does not mean that it waits: see `pending`.
        """
        return -1 if self._duplex.closed else self._sock.fileno()

    @property
    def family(self) -> socket.AddressFamily:
        """The address family of the plain socket."""
        return self._sock.family

    @property
    def type(self) -> socket.SocketKind:
        """SOCK_STREAM."""
        return self._sock.type

    @property
    def proto(self) -> int:
        """The protocol of the plain socket."""
        return self._sock.proto

    @property
    def timeout(self) -> float | None:
        """Seconds for each operation; None for no timeout, 0 for non-blocking."""
        return self._duplex.timeout

    def settimeout(self, timeout: float | None) -> None:
        """Set the timeout of each operation in seconds; None for no timeout.

        0 makes the socket non-blocking: a call that would have to wait raises `WantRead` or
        `WantWrite`. The seconds include waiting for other threads that use the socket.

        Raises `TypeError`, `ValueError` and `OverflowError` as sockets do.
        """
        timeout = seconds(timeout)
        self._duplex.check_open()
        self._duplex.timeout = timeout

    def gettimeout(self) -> float | None:
        """Return the timeout of each operation in seconds; None for no timeout, 0 for
        non-blocking.
        """
        return self._duplex.timeout

    def setblocking(self, flag: bool) -> None:
        """Set the timeout to None (True) or to 0 (False)."""
        self.settimeout(None if flag else 0.0)

    def getblocking(self) -> bool:
        """Return False if the timeout is 0."""
        return self._duplex.timeout != 0

    def get_inheritable(self) -> bool:
        """Return whether child processes inherit the file descriptor."""
        return os.get_inheritable(self._open_descriptor())

    def set_inheritable(self, inheritable: bool) -> None:
        """Let child processes inherit the file descriptor, or not."""
        os.set_inheritable(self._open_descriptor(), inheritable)

    def dup(self) -> NoReturn:
        """Raise `NotImplementedError`, as `ssl.SSLSocket` does: keys cannot be in two places."""
        raise NotImplementedError("A TLSSocket cannot be duplicated.")

    def getpeername(self) -> object:
        """Return the address of the peer."""
        self._duplex.check_open()
        return self._sock.getpeername()

    def getsockname(self) -> object:
        """Return the address of this side."""
        self._duplex.check_open()
        return self._sock.getsockname()

    def getsockopt(self, level: int, option: int, buflen: int | None = None) -> int | bytes:
        """Return an option of the plain socket."""
        self._duplex.check_open()
        if buflen is None:
            return self._sock.getsockopt(level, option)
        return self._sock.getsockopt(level, option, buflen)

    def setsockopt(
        self,
        level: int,
        option: int,
        value: int | ReadableBuffer | None,
        optlen: int | None = None,
    ) -> None:
        """Set an option of the plain socket."""
        self._duplex.check_open()
        if optlen is None:
            self._sock.setsockopt(level, option, value)  # type: ignore[arg-type]
        else:
            self._sock.setsockopt(level, option, None, optlen)

    def export_keying_material(self, label: str, context: bytes | None, length: int) -> bytes:
        """Return `length` bytes that only the two ends of this connection know (RFC 9846 section
        7.5).

        The arguments and exceptions are those of `Connection.export_keying_material`.
        """
        with self._duplex.state_lock:
            return self.connection.export_keying_material(label, context, length)

    def channel_binding(
        self, kind: Literal["tls-exporter", "tls-server-end-point"] = "tls-exporter"
    ) -> bytes:
        """Return bytes that bind an authentication to this connection (RFC 9266, RFC 5929)."""
        with self._duplex.state_lock:
            return self.connection.channel_binding(kind)

    def _open_descriptor(self) -> int:
        self._duplex.check_open()
        return self._sock.fileno()

    def _file_closed(self) -> None:
        self._files -= 1
        if self._close_wanted and not self._files:
            self._duplex.release(notify=True)


def _check_socket(sock: socket.socket, handshake: bool) -> None:
    check_plain_socket(sock)
    if sock.type != socket.SOCK_STREAM:
        raise ConfigurationError("TLS needs a stream socket (SOCK_STREAM).")
    check_connected(sock)
    if handshake and sock.gettimeout() == 0:
        raise ConfigurationError(
            "A non-blocking socket cannot complete the handshake at once: pass handshake=False, "
            "and call do_handshake() until it raises neither WantRead nor WantWrite."
        )


def _take_over(sock: socket.socket) -> socket.socket:
    """Move the descriptor to a socket of our own: nobody else must send on it, in the clear.

    A subclass may have ways of its own to send and receive, so that its instances are used
    themselves.
    """
    if type(sock) is not socket.socket:
        return sock
    family, kind, proto, timeout = sock.family, sock.type, sock.proto, sock.gettimeout()
    own = socket.socket(family, kind, proto, fileno=sock.detach())
    own.settimeout(timeout)  # The default of new sockets may be another.
    return own


def _note_ends(sock: socket.socket, trace: Trace | None) -> None:
    if trace is not None:
        with suppress(OSError):  # A peer that is gone again has no address.
            note_addresses(trace, sock.getsockname(), sock.getpeername())


def _wrap(tls: TLSSocket, handshake: bool) -> TLSSocket:
    if handshake:
        try:
            tls.do_handshake()
        except BaseException:
            tls._duplex.release(notify=False)  # pyright: ignore[reportPrivateUsage]
            raise
    return tls


def _refuse_flags(what: str, flags: int) -> None:
    if flags:
        raise ValueError(f"non-zero flags not allowed in calls to {what}(): TLS has none")


def _checked_size(what: str, size: int, flags: int) -> int:
    _refuse_flags(what, flags)
    size = index(size)
    if size < 0:
        raise ValueError(f"negative buffersize in {what}")
    return size


def _octets(data: ReadableBuffer) -> memoryview:
    """Return a view of the bytes of `data`. Raise `TypeError` and `BufferError` as sockets do."""
    view = memoryview(data)
    if not view.c_contiguous:
        raise BufferError("memoryview: underlying buffer is not C-contiguous")
    return view.cast("B") if view.nbytes else memoryview(b"")


def _writable_octets(buffer: WriteableBuffer) -> memoryview:
    """Return a writable view of the bytes of `buffer`. Raise `TypeError` as sockets do."""
    view = memoryview(buffer)
    if view.readonly or not view.c_contiguous:
        raise TypeError(f"recv_into() needs a read-write bytes-like object, not {buffer!r:.60}")
    return view.cast("B") if view.nbytes else memoryview(bytearray())


def _can_seek(file: IO[bytes]) -> bool:
    """Return whether a file has a position; some have only a `read` method."""
    if hasattr(file, "seekable"):
        return file.seekable()
    return hasattr(file, "seek")


def _check_sendfile(file: IO[bytes], count: int | None) -> None:
    if "b" not in getattr(file, "mode", "b"):
        raise ValueError("files should be opened in binary mode")
    if count is not None:
        if not isinstance(count, int):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"count must be a positive integer (got {count!r})")
        if count <= 0:
            raise ValueError(f"count must be a positive integer (got {count!r})")
