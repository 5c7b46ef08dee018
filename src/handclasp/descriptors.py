"""The limit of open files of this process, for what has many connections at once.

>>> from handclasp.descriptors import connections_possible, raise_descriptor_limit
>>> raise_descriptor_limit()
>>> connections_possible() > 0
True
"""

from __future__ import annotations

import sys

_DESCRIPTORS_BESIDE = 16
"""Descriptors that are not a connection's: listeners, the log, files of the program."""

if sys.platform != "win32":
    import resource

    _MOST_DESCRIPTORS = 65_536

    def raise_descriptor_limit() -> None:
        """Let this process have as many descriptors as it may, as Go's programs do.

        See `handclasp.descriptors` for an example.
        """
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _MOST_DESCRIPTORS if hard < 0 else min(hard, _MOST_DESCRIPTORS)
        if 0 <= soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

    def connections_possible() -> int:
        """Return for how many connections there are descriptors, and one file for each.

        See `handclasp.descriptors` for an example.
        """
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return sys.maxsize if soft < 0 else max(1, (soft - _DESCRIPTORS_BESIDE) // 2)

else:

    def raise_descriptor_limit() -> None:
        """Do nothing: there is no such limit.

        See `handclasp.descriptors` for an example.
        """

    def connections_possible() -> int:
        """Return a number that is no limit.

        See `handclasp.descriptors` for an example.
        """
        return sys.maxsize
