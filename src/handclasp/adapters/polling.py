"""Waiting for a socket or for another thread, with a deadline.

>>> import threading
>>> from handclasp.adapters.polling import HasFileno, acquire, deadline_after, seconds, wait
>>> def wait_for_data(sock: HasFileno, timeout: float) -> None:
...     wait(sock, readable=True, writable=False, deadline=deadline_after(seconds(timeout)))
>>> here, there = socket.socketpair()
>>> there.sendall(b"hello")
>>> wait_for_data(here, 10)
>>> lock = threading.RLock()
>>> acquire(lock, deadline_after(10), WantRead)
>>> here.close(); there.close()
"""

from __future__ import annotations

import errno
import select
import threading
import time
from collections.abc import Callable
from math import ceil, isnan
from operator import index
from typing import Protocol

from handclasp.errors import WantRead, WantWrite

AT_ONCE = float("-inf")
"""The deadline of a socket that does not block: there is no waiting, not even a moment."""

_LONGEST_TIMEOUT = 2**63 / 10**9
"""Seconds; the standard library counts them as nanoseconds in 64 bits."""

_LONGEST_POLL = 2**31 - 1
"""Milliseconds that `poll` takes."""


def seconds(timeout: float | None) -> float | None:
    """Check a timeout as `socket.settimeout` does.

    Raises:
        TypeError: neither a number nor None.
        ValueError: it is negative, or not a number (NaN).
        OverflowError: more than 292 years, such as infinity, of either sign.
    """
    if timeout is None:
        return None
    value = timeout if isinstance(timeout, float) else float(index(timeout))
    if isnan(value):
        raise ValueError("Invalid value NaN (not a number)")
    if abs(value) >= _LONGEST_TIMEOUT:
        raise OverflowError("timeout is too large")
    if value < 0:
        raise ValueError("Timeout value out of range")
    return abs(value)


def deadline_after(timeout: float) -> float:
    """Return the point of `time.monotonic` that is `timeout` seconds away, or `AT_ONCE` for 0."""
    return time.monotonic() + timeout if timeout else AT_ONCE


class HasFileno(Protocol):
    """A socket, or what stands for one."""

    def fileno(self) -> int:
        """Return the descriptor; -1 if it is closed."""
        ...


def wait(sock: HasFileno, *, readable: bool, writable: bool, deadline: float | None) -> None:
    """Wait until the socket is ready (or broken, which the next call will tell).

    Raises:
        TimeoutError: the deadline has passed.
        WantRead, WantWrite: the deadline is `AT_ONCE`. Where both are waited for, it is WantRead.
        OSError: the socket is closed.
    """
    if deadline == AT_ONCE:
        raise WantRead() if readable else WantWrite()
    while True:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError("timed out")
        fd = sock.fileno()
        if fd < 0:
            raise OSError(errno.EBADF, "The TLS socket is closed.")
        if _ready(fd, readable, writable, left):
            return


def acquire(lock: threading.RLock, deadline: float | None, want: Callable[[], OSError]) -> None:
    """Acquire a lock that another thread holds.

    Raises:
        TimeoutError: the deadline has passed.
        OSError: what `want` gives, where the deadline is `AT_ONCE`.
    """
    if deadline is None:
        lock.acquire()
    elif deadline == AT_ONCE:
        raise want()
    else:
        left = min(max(0.0, deadline - time.monotonic()), threading.TIMEOUT_MAX)
        if not lock.acquire(timeout=left):
            raise TimeoutError("timed out")


if hasattr(select, "poll"):

    def _ready(fd: int, readable: bool, writable: bool, left: float | None) -> bool:
        poll = select.poll()
        poll.register(fd, select.POLLIN * readable | select.POLLOUT * writable)
        return bool(poll.poll(None if left is None else min(ceil(left * 1000), _LONGEST_POLL)))

else:  # Windows

    def _ready(fd: int, readable: bool, writable: bool, left: float | None) -> bool:
        longest = None if left is None else min(left, _LONGEST_POLL / 1000)
        found = select.select([fd] * readable, [fd] * writable, [fd], longest)
        return any(found)
