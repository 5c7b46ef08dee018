"""Objects with threads and connections, which a forked process must not use as they are."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class BeginsAnew(Protocol):
    """An object that can do without the threads and connections of its parent process."""

    def begin_anew(self) -> None:
        """Forget them; called in the child."""


def begin_anew_in_children(each: BeginsAnew) -> None:
    """Let this object begin anew in each process that is forked from this one."""
    _ALL.add(each)


_ALL: WeakSet[BeginsAnew] = WeakSet()


def _begin_anew() -> None:
    for each in list(_ALL):
        each.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
