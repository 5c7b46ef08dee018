"""Waiting for a socket, with a deadline."""

from __future__ import annotations

import errno
import select
import socket
import time
from math import ceil


def wait(sock: socket.socket, *, readable: bool, writable: bool, deadline: float | None) -> None:
    """Wait until the socket is ready (or broken, which the next call will tell)."""
    left = None if deadline is None else deadline - time.monotonic()
    if left is not None and left <= 0:
        raise TimeoutError(errno.ETIMEDOUT, "timed out")
    fd = sock.fileno()
    if fd < 0:
        raise OSError(errno.EBADF, "The TLS socket is closed.")
    if not _ready(fd, readable, writable, left):
        raise TimeoutError(errno.ETIMEDOUT, "timed out")


if hasattr(select, "poll"):

    def _ready(fd: int, readable: bool, writable: bool, left: float | None) -> bool:
        poll = select.poll()
        poll.register(fd, select.POLLIN * readable | select.POLLOUT * writable)
        return bool(poll.poll(None if left is None else ceil(left * 1000)))

else:  # Windows

    def _ready(fd: int, readable: bool, writable: bool, left: float | None) -> bool:
        found = select.select([fd] * readable, [fd] * writable, [fd], left)
        return any(found)
