"""A count of the forks of this process, as parent or child, since it loaded this module.

A socket that is older than a fork belongs to two processes. Each may close its copy without harm to
the other's, but only one of them can go on talking: both copies have the same keys and count their
records on their own.
"""

from __future__ import annotations

import os


class _Forks:
    """A count that every copy of a connection can compare with the one of its last use."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0

    def note(self) -> None:
        """Count a fork, on both sides of it."""
        self.count += 1


FORKS = _Forks()

if hasattr(os, "register_at_fork"):  # Windows has no forks.
    os.register_at_fork(after_in_parent=FORKS.note, after_in_child=FORKS.note)
