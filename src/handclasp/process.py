"""The identity of this process: a fork copies all memory, and some things must not exist twice.

Parent and child must not both use a session that is for one use, and a first flight that is new to
one of them may not be new to the other. So state that belongs to a process is bound to the name
that `this_process` returns, and starts empty when the name has changed.
"""

from __future__ import annotations

import os
from threading import Lock

_NAME_SIZE = 16


class _Process:
    """The name, and the process ID for which it was drawn."""

    __slots__ = ("name", "pid")

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        self.name = os.urandom(_NAME_SIZE)
        self.pid = os.getpid()


_this = _Process()

if hasattr(os, "register_at_fork"):
    # This is exact even if a child gets the process ID of an ancestor.
    os.register_at_fork(after_in_child=_this.renew)


def this_process() -> bytes:
    """Return 16 random bytes that name this process: a forked child has other ones."""
    if _this.pid != os.getpid():
        # Foreign code has forked without informing Python.
        _this.renew()
    return _this.name


class ProcessLock:
    """A lock between the threads of one process, which is free in a forked child.

    A fork copies locks in their state, but only the thread that forks: a lock that another thread
    held could never be released in the child.
    """

    __slots__ = ("_locks",)

    def __init__(self) -> None:
        self._locks = {this_process(): Lock()}

    def acquire(self, blocking: bool = True) -> bool:
        """Acquire the lock; return whether that succeeded, which it may not without `blocking`."""
        return self._lock.acquire(blocking)

    def release(self) -> None:
        """Release the lock."""
        self._lock.release()

    def __enter__(self) -> None:
        # The same as `_lock`, without its calls.
        lock = self._locks.get(_this.name) if _this.pid == os.getpid() else None
        (self._lock if lock is None else lock).acquire()

    def __exit__(self, *_: object) -> None:
        lock = self._locks.get(_this.name) if _this.pid == os.getpid() else None
        (self._lock if lock is None else lock).release()

    @property
    def _lock(self) -> Lock:
        """Return the lock of this process; concurrent threads of a child get the same one."""
        process = this_process()
        lock = self._locks.get(process)
        return lock if lock is not None else self._locks.setdefault(process, Lock())
