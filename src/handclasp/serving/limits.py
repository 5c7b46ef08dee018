"""The bounds of a server, each of which an option of `handclasp serve` sets."""

from __future__ import annotations

from handclasp.values import dataclass

MAX_CONNECTIONS = 1000
MAX_HANDSHAKES = 100


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
