"""What lies in the kernel: of what was written, and of what the peer has sent."""

from __future__ import annotations

import asyncio
import select
import struct
import sys
from contextlib import suppress
from socket import MSG_PEEK, SOL_SOCKET, socket
from typing import Any

if sys.platform == "linux":
    from fcntl import ioctl
    from termios import TIOCOUTQ

_SO_NWRITE = 0x1024
"""macOS: bytes in the send buffer; the `socket` module has no name for it."""


def unsent_bytes(transport: asyncio.WriteTransport) -> int:
    """Return the bytes that wait in the transport and, where it tells, in the kernel.

    The kernel takes megabytes ahead of a slow reader, and asks for more only once much of that
    is gone, so that the transport's own buffer may stand still while the peer reads all the time.
    """
    return transport.get_write_buffer_size() + _queued(transport.get_extra_info("socket"))


def _queued(sock: Any) -> int:
    """Bytes of the kernel's send queue that the peer's kernel has not acknowledged."""
    if sock is None:
        return 0
    with suppress(OSError, ValueError):  # closed meanwhile, or of a kind that cannot tell
        if sys.platform == "linux":
            (size,) = struct.unpack("i", ioctl(sock.fileno(), TIOCOUTQ, bytes(4)))
            return int(size)
        if sys.platform == "darwin":
            return int(sock.getsockopt(SOL_SOCKET, _SO_NWRITE))
    return 0


def has_unread(transport: asyncio.BaseTransport) -> bool:
    """Return whether the kernel holds bytes that a plain transport has not read yet."""
    sock = transport.get_extra_info("socket")
    if sock is None or transport.get_extra_info("sslcontext") is not None:
        return False  # What lies under TLS is nobody's plaintext.
    with suppress(OSError), sock.dup() as copy:  # BlockingIOError: nothing
        return bool(copy.recv(1, MSG_PEEK))
    return False


if hasattr(select, "poll"):

    def is_readable(sock: socket) -> bool:
        """Return whether something has arrived on an open socket, or its end."""
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return bool(poll.poll(0))

else:  # Windows

    def is_readable(sock: socket) -> bool:
        """Return whether something has arrived on an open socket, or its end."""
        return bool(select.select([sock], [], [], 0)[0])
