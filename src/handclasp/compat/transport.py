"""The two transports of `ssl`: a socket, and a pair of memory BIOs.

Both raise what `ssl` raises where they would have to wait. A socket's timeout bounds a whole call
such as a handshake, not each of its system calls.
"""

from __future__ import annotations

import select
import socket
import ssl
import weakref
from contextlib import suppress
from struct import Struct
from time import monotonic
from typing import Protocol

from handclasp.compat.errors import plain, want_read, want_write
from handclasp.wire.records import HEADER_SIZE, RECORD_STARTS

_receive = socket.socket.recv
_send = socket.socket.send
_LONGEST = 2**14 + 2048
_read_header = Struct(">HxH").unpack_from
"""Return the first two bytes of a record as a number, and the length of its body."""
_MILLISECONDS = 1000

_SLACK = 0.9
"""The part of a timeout that must be left for the socket's own clock to be precise enough."""

PIECE = 2**16
"""Bytes to seal at a time where the transport may not take them at once."""


_MOST_DISCARDED = 4
"""Reads of what nobody wants any more: tickets take one."""


class Deadline:
    """Until when a call on a socket may take.

    Attributes:
        blocks: whether the call waits at all.
        is_bounded: whether it waits for some time and not longer.
    """

    __slots__ = ("_end", "_timeout", "blocks", "is_bounded")

    def __init__(self, timeout: float | None) -> None:
        self._timeout = timeout
        self._end = None if not timeout else monotonic() + timeout
        self.blocks = timeout is None or timeout > 0
        self.is_bounded = self._end is not None

    def wait(self, sock: socket.socket, event: int) -> None:
        """Wait for what is left of the timeout, unless it has hardly begun.

        Raises:
            TimeoutError: it is over.
        """
        if self._end is None or self._timeout is None:
            return
        left = self._end - monotonic()
        if left > self._timeout * _SLACK:
            return
        poll = select.poll()
        poll.register(sock.fileno(), event)
        if left <= 0 or not poll.poll(left * _MILLISECONDS):
            raise TimeoutError("timed out")


_NO_DEADLINE = Deadline(None)
_AT_ONCE = Deadline(0.0)


class Transport(Protocol):
    """A stream of bytes that a link reads from and writes to."""

    is_socket: bool

    def own_address(self) -> object:
        """Return the address of this end, or None where it has none. Raises `OSError`."""
        ...

    def peer_address(self) -> object:
        """Return the address of the other end, or None where it is not known."""
        ...

    def deadline(self) -> Deadline:
        """Return the bound of a call that begins now."""
        ...

    def receive(self, size: int, deadline: Deadline) -> bytes:
        """Return up to `size` bytes, or b"" at the end. Raises `SSLWantReadError`, `OSError`."""
        ...

    def receive_record(self, deadline: Deadline) -> bytes:
        """Return one record, or whatever there is, or b"" at the end. Raises as `receive`."""
        ...

    def receive_at_once(self) -> bytes:
        """Return the complete records that have come, or b"" if there is none. Raises `OSError`."""
        ...

    def send(self, data: memoryview, deadline: Deadline) -> int:
        """Send, and return how many bytes left. Raises `SSLWantWriteError`, `OSError`."""
        ...

    def give_back(self, data: bytes) -> bool:
        """Put bytes back that follow the end of TLS; return whether that is possible."""
        ...

    def unwrapped(self) -> socket.socket | None:
        """Return what `unwrap` returns."""
        ...

    def discard(self) -> None:
        """Take what has come, as far as it can be had at once, and drop it."""
        ...


class SocketTransport:
    """A socket, which belongs to its `SSLSocket`: if that is gone, nothing can be sent any more.

    One record is taken from the kernel at a time, as by OpenSSL. If the next one were taken with
    it, `select` would not report that there is more: a program that waits for the peer to close
    would wait for a close_notify that has already been read.
    """

    is_socket = True

    def __init__(self, sock: socket.socket) -> None:
        self._sock = weakref.ref(sock)
        self._part = b""

    def _here(self) -> socket.socket:
        sock = self._sock()
        if sock is None or sock.fileno() < 0:
            text = (
                "Underlying socket connection gone"
                if sock is None
                else ("Underlying socket has been closed.")
            )
            raise plain(ssl.SSLError, ssl.SSL_ERROR_INVALID_ERROR_CODE, text)
        return sock

    def own_address(self) -> object:
        sock = self._sock()
        return sock.getsockname() if sock is not None else None

    def peer_address(self) -> object:
        sock = self._sock()
        with suppress(OSError):  # The peer may have gone.
            return sock.getpeername() if sock is not None else None
        return None

    def deadline(self) -> Deadline:
        sock = self._sock()
        if sock is None or sock.fileno() < 0:
            sock = self._here()
        timeout = sock.gettimeout()
        if timeout:
            return Deadline(timeout)
        return _NO_DEADLINE if timeout is None else _AT_ONCE

    def receive(self, size: int, deadline: Deadline) -> bytes:
        sock = self._here()
        deadline.wait(sock, select.POLLIN)
        try:
            return _receive(sock, size)
        except BlockingIOError:
            raise want_read() from None

    def receive_record(self, deadline: Deadline) -> bytes:
        sock, part = self._sock(), self._part
        if sock is None:
            sock = self._here()
        end = HEADER_SIZE
        while True:
            lacking = end - len(part)
            if lacking <= 0:
                if end == HEADER_SIZE:
                    start, size = _read_header(part)
                    # One that is refused by its header has no body to wait for.
                    if size <= _LONGEST and start in RECORD_STARTS:
                        end += size
                        lacking += size
                if lacking <= 0:
                    self._part = b""
                    return part
            try:
                if deadline.is_bounded:
                    deadline.wait(sock, select.POLLIN)
                data = _receive(sock, lacking)
            except BlockingIOError:
                self._part = part
                raise want_read() from None
            except BaseException:
                self._part = part
                raise
            if not data:
                self._part = b""
                return part
            part = part + data if part else data

    def receive_at_once(self) -> bytes:
        sock = self._here()
        with suppress(BlockingIOError):
            self._part += _receive(sock, PIECE, socket.MSG_DONTWAIT)
        _, end = _last_record(self._part)
        data, self._part = self._part[:end], self._part[end:]
        return data

    def send(self, data: memoryview, deadline: Deadline) -> int:
        sock = self._sock()
        if sock is None:
            sock = self._here()
        if deadline.is_bounded:
            deadline.wait(sock, select.POLLOUT)
        try:
            return _send(sock, data)
        except BlockingIOError:
            raise want_write() from None

    def give_back(self, data: bytes) -> bool:
        return not data

    def unwrapped(self) -> socket.socket | None:
        return self._here()

    def discard(self) -> None:
        sock = self._sock()
        if sock is None or sock.fileno() < 0:
            return
        poll = select.poll()
        poll.register(sock.fileno(), select.POLLIN)
        with suppress(OSError):  # The connection may be broken.
            for _ in range(_MOST_DISCARDED):
                if not poll.poll(0) or not _receive(sock, PIECE):
                    return


class BioTransport:
    """A pair of `ssl.MemoryBIO`: what has not come yet is asked for by SSLWantReadError.

    The last of several records stays in the BIO until the next call. Some programs (uvloop) read
    only as long as something is pending, in the BIO or in the connection: if a close_notify were
    taken with the data before it, they would never ask again, and not see the end.
    """

    is_socket = False

    def __init__(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._part = b""

    def own_address(self) -> object:
        return None

    def peer_address(self) -> object:
        return None

    def deadline(self) -> Deadline:
        return _NO_DEADLINE

    def receive(self, size: int, deadline: Deadline) -> bytes:
        if self._part:
            data, self._part = self._part[:size], self._part[size:]
            return data
        data = self._incoming.read(size)
        if not data and not self._incoming.eof:
            raise want_read()
        return data

    def receive_record(self, deadline: Deadline) -> bytes:
        data = self._part + self._incoming.read() if self._part else self._incoming.read()
        last, end = _last_record(data)
        if not end:
            if self._incoming.eof or (len(data) >= HEADER_SIZE and _is_refused(data)):
                self._part = b""
                return data
            self._part = data
            raise want_read()
        taken = last or end
        self._part = data[taken:]
        if last:
            with suppress(ssl.SSLError):  # After write_eof, a BIO takes nothing back.
                self._incoming.write(self._part)
                self._part = b""
        return data[:taken] if taken < len(data) else data

    def receive_at_once(self) -> bytes:
        return b""  # A BIO takes everything.

    def send(self, data: memoryview, deadline: Deadline) -> int:
        return self._outgoing.write(data)

    def give_back(self, data: bytes) -> bool:
        data, self._part = data + self._part, b""
        if data:
            self._incoming.write(data + self._incoming.read())
        return True

    def unwrapped(self) -> socket.socket | None:
        return None

    def discard(self) -> None:
        """Leave a BIO as it is: its reader knows what is in it."""


def _is_refused(start: bytes) -> bool:
    """Return whether a record is refused by its header, so that its body need not be awaited."""
    begins_with, size = _read_header(start)
    return begins_with not in RECORD_STARTS or size > _LONGEST


def _last_record(data: bytes) -> tuple[int, int]:
    """Return where the last complete record begins and ends; zeros if there is none."""
    begin = end = 0
    while len(data) - end >= HEADER_SIZE:
        after = end + HEADER_SIZE + int.from_bytes(data[end + 3 : end + HEADER_SIZE])
        if after > len(data):
            break
        begin, end = end, after
    return begin, end
