"""Which process this is: a fork copies all of memory, and some things must not exist twice.

A session that is good for one use must not be used by parent and child, and what one process calls
its first callback is another one's own. So whatever is bound to a process is bound to the name that
`this_process` gives, and whoever finds another name than before starts with nothing.
"""

from __future__ import annotations

import os
from threading import Lock

_NAME_SIZE = 16


class _Process:
    """The name, and the process id that it was drawn under."""

    __slots__ = ("name", "pid")

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        self.name = os.urandom(_NAME_SIZE)
        self.pid = os.getpid()


_this = _Process()

if hasattr(os, "register_at_fork"):
    # Exact even where a child gets the process id that an ancestor once had.
    os.register_at_fork(after_in_child=_this.renew)


def this_process() -> bytes:
    """16 random bytes that name this process: a forked child has others than its parent."""
    if _this.pid != os.getpid():
        # A fork by foreign code, which does not tell Python of it.
        _this.renew()
    return _this.name


class ProcessLock:
    """A lock between the threads of one process, which is free in a forked child.

    A fork copies a lock as it is, and of the threads only the one that forks: what another one held
    then, nobody in the child could ever give back.
    """

    __slots__ = ("_locks",)

    def __init__(self) -> None:
        self._locks = {this_process(): Lock()}

    def acquire(self, blocking: bool = True) -> bool:
        """Take it; gives whether it was free, which without `blocking` it need not be."""
        return self._lock.acquire(blocking)

    def release(self) -> None:
        """Give it back."""
        self._lock.release()

    def __enter__(self) -> None:
        # As `_lock`, without the calls.
        lock = self._locks.get(_this.name) if _this.pid == os.getpid() else None
        (self._lock if lock is None else lock).acquire()

    def __exit__(self, *_: object) -> None:
        lock = self._locks.get(_this.name) if _this.pid == os.getpid() else None
        (self._lock if lock is None else lock).release()

    @property
    def _lock(self) -> Lock:
        """That of this process. Two threads of a child that ask at once get the same one."""
        process = this_process()
        lock = self._locks.get(process)
        return lock if lock is not None else self._locks.setdefault(process, Lock())
