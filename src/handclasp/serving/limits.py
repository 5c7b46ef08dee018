"""The bounds of a server, each of which an option of `handclasp serve` sets."""

from __future__ import annotations

import sys

from handclasp.values import dataclass

MAX_CONNECTIONS = 1000
MAX_HANDSHAKES = 100

_DESCRIPTORS_BESIDE = 16
"""Descriptors that are not a client's: listeners, the log, files of the program."""

if sys.platform != "win32":
    import resource

    _MOST_DESCRIPTORS = 65_536

    def raise_descriptor_limit() -> None:
        """Let this process have as many descriptors as it may, as Go's programs do."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _MOST_DESCRIPTORS if hard < 0 else min(hard, _MOST_DESCRIPTORS)
        if 0 <= soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

    def connections_possible() -> int:
        """Return for how many clients there are descriptors, with one more for the file of each."""
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return sys.maxsize if soft < 0 else max(1, (soft - _DESCRIPTORS_BESIDE) // 2)

else:

    def raise_descriptor_limit() -> None:
        """Do nothing: there is no such limit."""

    def connections_possible() -> int:
        """Return a number that is no limit."""
        return sys.maxsize


@dataclass(frozen=True, slots=True)
class Limits:
    """The number of clients at once, and the time that each may take, in seconds.

    Attributes:
        max_connections: established connections of a process.
        max_handshakes: connections of a process that are in their handshake.
        header_timeout: for the whole head of a request, from its first byte on, or from the
            handshake on for the first one.
        idle_timeout: between two requests; for an echo, between two messages.
        stall_timeout: during which a client takes nothing of an answer.
        grace: for the answers that have begun when the server is to end.
    """

    max_connections: int = MAX_CONNECTIONS
    max_handshakes: int = MAX_HANDSHAKES
    header_timeout: float = 10.0
    idle_timeout: float = 60.0
    stall_timeout: float = 30.0
    grace: float = 60.0
