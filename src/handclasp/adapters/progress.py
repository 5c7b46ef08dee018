"""The kernel's view: of written data, of the peer's data, and of the socket.

>>> from handclasp.adapters import progress
>>> here, there = socket.socketpair()
>>> progress.has_peer(here), progress.is_connected(here), progress.is_listening(here)
(True, True, False)
>>> progress.is_readable(here), progress.is_writable(here), progress.has_failed(here)
(False, True, False)
>>> progress.shorten_linger(here, 5)
>>> progress.linger_seconds(here), progress.queued_bytes(here), progress.unsent_in_kernel(here)
(5, 0, 0)
>>> progress.given_up(5, 1).strerror
'Closing was given up: the peer took nothing for 1 second, and 5 encrypted bytes may not ...'
>>> progress.acknowledged_bytes(here) is None  # It is no TCP socket.
True
>>> there.sendall(b"hello")
>>> with progress.borrowed(here) as same:
...     same.recv(100)
b'hello'
>>> async def main():
...     reader, writer = await asyncio.open_connection(sock=here)
...     print(progress.unsent_bytes(writer.transport), progress.peek(writer.transport))
...     writer.close()
...     await writer.wait_closed()
>>> asyncio.run(main())
0 b''
>>> there.close()
"""

from __future__ import annotations

import errno
import select
import struct
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from socket import (
    AF_INET,
    AF_INET6,
    IPPROTO_TCP,
    MSG_PEEK,
    SO_ACCEPTCONN,
    SO_LINGER,
    SOL_SOCKET,
    socket,
)
from typing import TYPE_CHECKING, Any

from handclasp.deferred import DeferredModule

if TYPE_CHECKING:
    import asyncio
else:
    asyncio = DeferredModule("asyncio")

if sys.platform == "linux":
    from fcntl import ioctl
    from socket import TCP_INFO
    from termios import TIOCOUTQ

_SO_NWRITE = 0x1024
"""macOS: bytes in the send buffer; the `socket` module has no name for it."""

_ACKNOWLEDGED = 120
_NOT_SENT = 144
"""Linux: where `tcpi_bytes_acked` and `tcpi_notsent_bytes` are in the `tcp_info` (linux/tcp.h)."""

MAX_DRAINED = 16 * 1024 * 1024
"""Bytes thrown away before a close, so that the kernel does not answer them with a reset."""

_INITIAL_WINDOW = 14600
"""Bytes that TCP sends at once, without waiting for the peer (RFC 6928 section 2)."""


def unsent_bytes(transport: asyncio.WriteTransport) -> int:
    """Return the bytes that wait in the transport and, where it tells, in the kernel.

    The kernel takes megabytes ahead of a slow reader, and asks for more only once much of that
    is gone, so that the transport's own buffer may stand still while the peer reads all the time.
    """
    return transport.get_write_buffer_size() + queued_bytes(transport.get_extra_info("socket"))


def queued_bytes(sock: Any) -> int:
    """Return the bytes of the kernel's send queue that the peer's kernel has not acknowledged.

    The end of the stream counts as one byte. 0 where the system does not tell.
    """
    if sock is None:
        return 0
    with suppress(OSError, ValueError):  # closed meanwhile, or of a kind that cannot tell
        if sys.platform == "linux":
            (size,) = struct.unpack("i", ioctl(sock.fileno(), TIOCOUTQ, bytes(4)))
            return int(size)
        if sys.platform == "darwin":
            return int(sock.getsockopt(SOL_SOCKET, _SO_NWRITE))
    return 0


def acknowledged_bytes(sock: Any) -> int | None:
    """Return how many bytes the peer's kernel has acknowledged on a TCP connection, in all.

    The kernel remembers it after a reset, too. None where the system does not tell, and for other
    kinds of sockets. Both ends of a connection may count one more for its SYN: compare two calls.
    """
    if sock is None or sys.platform != "linux":
        return None
    with suppress(OSError, ValueError):  # closed meanwhile, or of another kind
        info = sock.getsockopt(IPPROTO_TCP, TCP_INFO, _ACKNOWLEDGED + 8)
        if len(info) == _ACKNOWLEDGED + 8:
            return int.from_bytes(info[_ACKNOWLEDGED:], sys.byteorder)
    return None


def given_up(unsent: int | None, timeout: float) -> TimeoutError:
    """Return the error of a close during which nothing has moved for `timeout` seconds.

    Args:
        unsent: bytes that the peer may not have; 0 where only its close_notify is missing; None
            where the system does not tell.
    """
    seconds = "1 second" if timeout == 1 else f"{timeout:g} seconds"
    if unsent == 0:
        what = f"the peer took everything, but did not close within {seconds}."
    else:
        lost = "what was written" if unsent is None else f"{unsent} encrypted bytes"
        what = f"the peer took nothing for {seconds}, and {lost} may not have reached it."
    return TimeoutError(errno.ETIMEDOUT, f"Closing was given up: {what}")


def unsent_in_kernel(sock: socket) -> int:
    """Return the bytes that the kernel of a TCP socket holds back, mostly until the peer reads.

    0 where the system does not tell, and for other kinds of sockets.
    """
    with suppress(OSError):  # It is of another kind.
        if sys.platform == "linux":
            # Not an ioctl, for which Python would let another thread go first.
            info = sock.getsockopt(IPPROTO_TCP, TCP_INFO, _NOT_SENT + 4)
            return int.from_bytes(info[_NOT_SENT:], sys.byteorder)
        if sock.family in (AF_INET, AF_INET6):
            return max(0, queued_bytes(sock) - _INITIAL_WINDOW)
    return 0


def linger_seconds(sock: socket) -> int | None:
    """Return how many seconds a close may take (SO_LINGER); None where the program did not say.

    0 asks for a reset in place of an end.
    """
    with suppress(OSError):
        setting = sock.getsockopt(SOL_SOCKET, SO_LINGER, 8)
        if len(setting) == 8:
            wanted, seconds = struct.unpack("iI", setting)
            return int(seconds) if wanted else None
    return None


def shorten_linger(sock: socket, seconds: float) -> None:
    """Let the kernel wait for `seconds` only when the socket is closed, and never reset it."""
    left = max(0, round(seconds))
    with suppress(OSError):
        sock.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("iI", left > 0, left))


@contextmanager
def borrowed(sock: Any) -> Generator[socket]:
    """Give the socket that an asyncio transport lends out in a form that can be read from.

    It has the same descriptor: a copy would need another one, and there may be none left. Raises
    `OSError` or `ValueError` where it is closed.
    """
    same = socket(fileno=sock.fileno())
    try:
        same.setblocking(False)
        yield same
    finally:
        same.detach()


def peek(transport: asyncio.BaseTransport) -> bytes:
    """Return the first bytes in the kernel that a plain transport has not read yet."""
    sock = transport.get_extra_info("socket")
    if sock is None or transport.get_extra_info("sslcontext") is not None:
        return b""  # What lies under TLS is nobody's plaintext.
    with suppress(OSError, ValueError), borrowed(sock) as same:  # BlockingIOError: nothing
        return same.recv(16, MSG_PEEK)
    return b""


if hasattr(select, "poll"):

    def is_readable(sock: socket) -> bool:
        """Return whether something has arrived on an open socket, or its end."""
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return bool(poll.poll(0))

    def is_writable(sock: Any) -> bool:
        """Return whether an open socket has room for a short message."""
        poll = select.poll()
        poll.register(sock, select.POLLOUT)
        return bool(poll.poll(0))

    def has_failed(sock: Any) -> bool:
        """Return whether an error waits on a socket, such as a reset, that nobody has read."""
        if sock is None or sock.fileno() < 0:
            return False
        poll = select.poll()
        poll.register(sock.fileno(), 0)
        return any(state & select.POLLERR for _, state in poll.poll(0))

else:  # Windows

    def is_readable(sock: socket) -> bool:
        """Return whether something has arrived on an open socket, or its end."""
        return bool(select.select([sock], [], [], 0)[0])

    def is_writable(sock: Any) -> bool:
        """Return whether an open socket has room for a short message."""
        return bool(select.select([], [sock], [], 0)[1])

    def has_failed(sock: Any) -> bool:
        """Return whether an error waits on a socket; it does not tell here."""
        return False


def is_listening(sock: socket) -> bool:
    """Return whether a socket accepts connections; False where the system does not tell."""
    with suppress(OSError):
        return bool(sock.getsockopt(SOL_SOCKET, SO_ACCEPTCONN))
    return False


def has_peer(sock: socket) -> bool:
    """Return whether a socket is connected to somebody who has not gone yet."""
    with suppress(OSError):
        sock.getpeername()
        return True
    return False


def is_connected(sock: socket) -> bool:
    """Return whether a socket that does not listen has had a peer, or is about to have one.

    It is True of a closed socket, too: that is another mistake.
    """
    if has_peer(sock):
        return True
    # Who has reset the connection has no address any more either. The error that waits then is
    # for the one who reads. Where nothing waits at all, the socket is still connecting.
    if sock.fileno() < 0 or has_failed(sock) or not is_readable(sock):
        return True
    try:
        sock.recv(1, MSG_PEEK)
    except OSError as error:
        return error.errno not in (errno.ENOTCONN, errno.EINVAL)  # the latter of UNIX sockets
    return True
