"""TLS over a socket: `connect`, `wrap_client`, `wrap_server` and the `TLSSocket`.

The socket of the standard library is the model of its methods; `duplex` is what moves the bytes.
"""

from __future__ import annotations

import errno
import io
import os
import socket
from contextlib import suppress
from operator import index
from types import TracebackType
from typing import IO, TYPE_CHECKING, Literal, NoReturn, cast, overload

from handclasp.adapters.addresses import note_addresses
from handclasp.adapters.arguments import (
    check_connected,
    check_host_and_port,
    client_config,
    server_config,
)
from handclasp.adapters.duplex import WRITE_SIZE, Duplex
from handclasp.adapters.early import EarlyData
from handclasp.adapters.polling import seconds
from handclasp.adapters.socketfile import SocketFile
from handclasp.client import ClientConnection, check_server_name
from handclasp.config import ClientConfig, ServerConfig
from handclasp.errors import ConfigurationError, StateError
from handclasp.server import ServerConnection

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

    from handclasp.info import ConnectionInfo
    from handclasp.trace.hooks import Trace

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
    # A mistake made here raises before the server hears of it.
    check_host_and_port(host, port)
    config = client_config(config)
    name = check_server_name(config, host if server_name is None else server_name)
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
) -> TLSSocket:
    """Speak TLS as the client over a connected stream socket.

    From here on the connection belongs to the `TLSSocket`, until `unwrap()` gives a plain socket
    back. As with `ssl`, `sock` is detached: nothing can be sent on it in the clear, and closing it
    does nothing. (Instances of a subclass of `socket.socket` may have ways of their own, so they
    are used as they are, and `unwrap()` returns the same one. Do not use them meanwhile.)

    Where something is wrong with the arguments, `ConfigurationError` is raised and the socket is
    left as it was. Once bytes may have been exchanged the socket is of no use to anybody: when the
    handshake fails it is closed, after the alert was sent as far as that is possible.

    Args:
        sock: connected, of type SOCK_STREAM, with the timeout that the `TLSSocket` is to have. One
            that does not block needs `handshake=False`.
        config: how to speak; None takes the safe defaults.
        server_name: the name or IP address that the server's certificate must cover.
        port: where the server listens: with `config.sessions`, the sessions of each port are
            kept apart.
        trace: notes what happens; see `Recorder`.
        handshake: False leaves the handshake to `do_handshake()` or the first `recv` or `send`,
            in whichever thread.
        early_data: bytes to send before the handshake is complete (0-RTT), as far as a session
            of a `config` with `early_data=True` allows. Whoever records them can send them to the
            server again, so they must be fit to be done twice. None are ever sent a second time
            here: `TLSSocket.early_data_rejected` tells what has not been delivered.

    Raises:
        TLSError: the handshake failed; `HandshakeTimeoutError` where it took too long.
        ConfigurationError: see above.
    """
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
) -> TLSSocket:
    """Speak TLS as the server over an accepted stream socket.

    A server that accepts in a loop passes `handshake=False`, so that a client that says nothing
    keeps nobody else waiting, and completes the handshake where it serves the client, in a thread
    or a process. It catches `OSError` there, for one failed handshake must not end it; the socket
    is closed by then. Everything else is as in `wrap_client`.
    """
    config = server_config(config)
    _check_socket(sock, handshake)
    connection = ServerConnection(config, trace=trace)
    _note_ends(sock, trace)
    return _wrap(TLSSocket(sock, connection, config.handshake_timeout, EarlyData()), handshake)


class TLSSocket:
    """A TLS connection over a socket, with the methods that sockets have.

    `connect`, `wrap_client` and `wrap_server` make it. One thread may read while another writes;
    several readers or several writers take turns, a `sendall` as a whole. Timeouts are those of
    sockets: seconds for one call of `recv`, `sendall` and so on, waiting for a turn included.
    docs/sockets.md compares every method with those of `socket` and `ssl`.

    A `with` block ends with `close()`. If it ends with an exception, no close_notify is sent: the
    peer then sees that the data was cut off, and does not take half of a message for the whole.

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
        self._duplex = Duplex(sock, connection, handshake_timeout, early)
        self._sock = sock
        self._files = 0
        self._close_wanted = False

    def __repr__(self) -> str:
        if self._duplex.closed:
            state = "closed"
        elif (info := self.connection.info) is None:
            state = "handshake not complete"
        else:
            state = f"{info.version} {info.cipher_suite}"
        return f"<TLSSocket fd={self.fileno()} {state}>"

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
        """What the handshake agreed upon.

        Raises:
            StateError: the handshake is not complete (after `handshake=False` only).
        """
        info = self.connection.info
        if info is None:
            raise StateError("The handshake is not complete: call do_handshake() first.")
        return info

    @property
    def early_data(self) -> bytes:
        """For a server: what the client sent before the handshake was complete (0-RTT).

        `recv` does not give it again. It is not forward secret, and somebody who recorded it may
        have sent it to another server as well: act upon it only where that does no harm. Complete
        once the handshake is; b"" where there is none, as always for a client.
        """
        return self._duplex.early.received

    @property
    def early_data_rejected(self) -> bytes:
        """For a client: what of its `early_data` has not been delivered.

        All of it where there was no session that allows early data, or where the server refused
        it (`info.early_data` tells); else what was more than the session allows. Nothing of it is
        sent again unless you send it. It is known once the handshake is complete.
        """
        return self._duplex.early.undelivered

    def do_handshake(self) -> None:
        """Complete the handshake, if it is not complete yet.

        It must be done within `config.handshake_timeout` seconds, and within the timeout of the
        socket if that is shorter.

        Raises:
            HandshakeTimeoutError: it took too long.
            TLSError: it failed. The alert was sent as far as that was possible.
            WantRead, WantWrite: the socket does not block, and the handshake waits for the peer.
        """
        self._duplex.handshake()

    # Reading

    def recv(self, size: int = 1024, flags: int = 0) -> bytes:
        """Read up to `size` bytes; b"" once the peer has closed (RFC 8446 section 6.1).

        Raises:
            TruncationError: the transport ended without close_notify.
            TLSError: the connection failed.
            TimeoutError: nothing came within the timeout. Reading may go on later.
            WantRead, WantWrite: the socket does not block, and nothing has come yet.
        """
        if flags or type(size) is not int or size < 0:
            size = _checked_size("recv", size, flags)
        duplex = self._duplex
        return duplex.read(duplex.take_bytes, size)

    def recv_into(self, buffer: WriteableBuffer, nbytes: int | None = 0, flags: int = 0) -> int:
        """Read up to `nbytes` bytes (0 or None: as many as fit) into `buffer`; returns how many.

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
        """Bytes that `recv` gives without reading from the transport.

        A selector does not know of them: ask here before waiting for one.
        """
        return self._duplex.pending

    # Writing

    def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        """Send the first bytes of `data`, up to 128 KiB; returns how many.

        Raises as `sendall` does. With a socket that does not block, what is returned has left to
        the operating system. After `WantWrite`, call again with the same data, or more that begins
        with it: it is sealed, and cannot be dropped.
        """
        _refuse_flags("send", flags)
        duplex = self._duplex
        if isinstance(data, bytes):
            return duplex.write(duplex.seal_first, data)
        with _octets(data) as octets:
            return duplex.write(duplex.seal_first, octets)

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        """Send all of `data`.

        The plaintext is sealed 128 KiB at a time, so memory stays bounded whatever its size.

        Raises:
            TimeoutError: the peer did not read in time. A record may have left in part, so
                nothing more can be sent on this connection; it can be read from and closed.
            WantWrite: the socket does not block, and the transport is full. A part may have left;
                call again with the same data, which goes on where this call has stopped.
            OSError: the socket has been closed, perhaps by another thread just now.
            StateError: this side has closed its half already (that is a `BrokenPipeError`, too),
                or the call after `WantWrite` has other data.
            PeerAlertError: the peer gave up, and said why before its end of the transport closed.
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

        Returns how many bytes were sent; the file's position is behind them then, also where an
        exception ends it. The file is opened in binary mode.

        Raises:
            ValueError: the file is in text mode, `count` is not positive, or the socket does not
                block.
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
        """Send under new keys from here on (RFC 8446 section 4.6.3).

        `request_peer` asks the peer to do the same. Raises as `sendall` does, but never
        `WantWrite`: what the transport does not take at once leaves with the next call.
        """
        self._duplex.send_by(
            lambda connection: connection.update_keys(request_peer=request_peer), later=True
        )

    # Ending

    def shutdown(self, how: int) -> None:
        """Close one half: SHUT_WR sends close_notify, and reading goes on (RFC 8446 section 6.1).

        The transport stays open both ways. SHUT_RDWR sends close_notify and shuts the transport
        down, too, which wakes a thread that waits in `recv`. It does not wait for the peer: what
        the operating system does not take at once is lost. SHUT_RD alone means nothing in TLS.

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
        """Send close_notify: this side has sent all it has to say. Reading goes on."""
        self.shutdown(socket.SHUT_WR)

    def unwrap(self) -> socket.socket:
        """End TLS on both sides and return a plain socket, which goes on living.

        Sends close_notify and waits for the peer's. Nothing behind the peer's close_notify is
        consumed: it is waited for record by record, and what follows stays in the plain socket.
        Only where an earlier `recv` met the close_notify may plaintext have come with it:
        `connection.unread_after_close` holds that.

        Raises:
            StateError: there is data that was never read, or that comes before the peer's
                close_notify. It is not lost: `recv` until b"", then call `unwrap()` again.
            TruncationError: the peer ended the transport without close_notify, unless the
                config allows that.
            TLSError, TimeoutError: as for `recv`.
        """
        return self._duplex.end()

    def close(self) -> None:
        """Send close_notify and close the socket.

        Where the operating system cannot send everything at once, this waits for as long as the
        peer goes on reading. Once the peer has read nothing for the timeout of the socket (30 s
        without one), it gives up. A socket that does not block gives up at once and without an
        error, as with `ssl`: the peer then sees a truncated stream. The peer does not have to
        answer; `unwrap()` waits for that. While a file from `makefile` is open, closing waits for
        it, as with sockets. The seconds of SO_LINGER, where the program has set it, bound the whole
        in place of the timeout; with 0 there is no waiting, and the peer gets a reset.

        After a fork, a process that has not used the socket since closes its own copy only, and
        sends nothing: the other process may be using the connection.

        Raises:
            TimeoutError: not even the operating system took the last bytes, such as the
                close_notify, as the peer did not read. The socket is closed all the same. Never
                of a socket that does not block.
        """
        self._close_wanted = True
        if not self._files:
            self._duplex.release(notify=True)

    def detach(self) -> int:
        """Return the file descriptor, and be closed without closing that. -1 if closed already.

        The peer is told nothing, and what was not read is lost.
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
        """A file over this socket, as `socket.makefile` gives: modes of "r", "w" and "b".

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
        """The file descriptor, or -1 once closed. Ready to read does not mean that `recv` returns
        at once, nor not ready that it waits: see `pending`."""
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
        """Seconds for each operation; None: without end; 0: never wait."""
        return self._duplex.timeout

    def settimeout(self, timeout: float | None) -> None:
        """Set the seconds for each operation. None waits without end.

        0 makes the socket non-blocking: a call that would have to wait raises `WantRead` or
        `WantWrite`. The seconds include waiting for other threads that use the socket.

        Raises `TypeError`, `ValueError` and `OverflowError` as sockets do.
        """
        timeout = seconds(timeout)
        self._duplex.check_open()
        self._duplex.timeout = timeout

    def gettimeout(self) -> float | None:
        """The seconds for each operation; None: without end; 0: never wait."""
        return self._duplex.timeout

    def setblocking(self, flag: bool) -> None:
        """True is `settimeout(None)`, False is `settimeout(0)`."""
        self.settimeout(None if flag else 0.0)

    def getblocking(self) -> bool:
        """False where the timeout is 0."""
        return self._duplex.timeout != 0

    def get_inheritable(self) -> bool:
        """Whether child processes inherit the file descriptor."""
        return os.get_inheritable(self._open_descriptor())

    def set_inheritable(self, inheritable: bool) -> None:
        """Let child processes inherit the file descriptor, or not."""
        os.set_inheritable(self._open_descriptor(), inheritable)

    def dup(self) -> NoReturn:
        """Raise `NotImplementedError`, as `ssl.SSLSocket` does: keys cannot be in two places."""
        raise NotImplementedError("A TLSSocket cannot be duplicated.")

    def getpeername(self) -> object:
        """The address of the peer."""
        self._duplex.check_open()
        return self._sock.getpeername()

    def getsockname(self) -> object:
        """The address of this side."""
        self._duplex.check_open()
        return self._sock.getsockname()

    def getsockopt(self, level: int, option: int, buflen: int | None = None) -> int | bytes:
        """An option of the plain socket."""
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
        """`length` bytes that only the two ends of this connection know (RFC 8446 section 7.5)."""
        with self._duplex.state_lock:
            return self.connection.export_keying_material(label, context, length)

    def channel_binding(
        self, kind: Literal["tls-exporter", "tls-server-end-point"] = "tls-exporter"
    ) -> bytes:
        """Bytes that bind an authentication to this connection (RFC 9266, RFC 5929)."""
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
    # The family `ssl` has its own subclass, on which poll tells nothing about its plaintext.
    if not isinstance(sock, socket.socket) or hasattr(sock, "unwrap"):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(
            "Only a plain socket can be wrapped. For TLS inside TLS use ClientConnection."
        )
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
    """A view of the bytes of `data`. Raises `TypeError` and `BufferError` as sockets do."""
    view = memoryview(data)
    if not view.c_contiguous:
        raise BufferError("memoryview: underlying buffer is not C-contiguous")
    return view.cast("B") if view.nbytes else memoryview(b"")


def _writable_octets(buffer: WriteableBuffer) -> memoryview:
    """A view to write to, of the bytes of `buffer`. Raises `TypeError` as sockets do."""
    view = memoryview(buffer)
    if view.readonly or not view.c_contiguous:
        raise TypeError(f"recv_into() needs a read-write bytes-like object, not {buffer!r:.60}")
    return view.cast("B") if view.nbytes else memoryview(bytearray())


def _can_seek(file: IO[bytes]) -> bool:
    """Whether a file has a position; some have nothing but a `read` method."""
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
