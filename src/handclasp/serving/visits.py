"""The reports of a server: connections, requests, and remarks about itself."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, cast

from handclasp.values import dataclass

if TYPE_CHECKING:
    from handclasp import ConnectionInfo, Recorder, ServerConnection


@dataclass(frozen=True, slots=True)
class Visit:
    """One connection: the client, and the outcome.

    Attributes:
        host, port: the address of the client.
        info: what was agreed upon; None where the handshake failed.
        error: what failed, in the handshake or after it.
        recorder: what was recorded: all of it if that was asked for, else the beginning.
        connection: the TLS connection itself, for use in the thread of the event loop.
        seconds: the duration of the handshake; None where it failed.
    """

    host: str
    port: int
    info: ConnectionInfo | None = None
    error: OSError | None = None
    recorder: Recorder | None = None
    connection: ServerConnection | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One request over HTTP, and its answer.

    Attributes:
        host, port: the address of the client.
        at: when it came.
        method, target, version: of the request line; empty where that could not be read.
        status: of the answer; 0 where there was none.
        size: bytes of the answer's body that were sent, as far as the system tells.
        seconds: from the head of the request to the end of the answer.
        is_cut_off: whether the client did not get all of the answer.
    """

    host: str
    port: int
    at: datetime
    method: str
    target: str
    version: str
    status: int
    size: int
    seconds: float
    is_cut_off: bool = False


class Observer(Protocol):
    """Hears what happens on a server; called in the thread of its event loop."""

    def connected(self, visit: Visit) -> None:
        """Hear of a complete handshake."""
        ...

    def failed(self, visit: Visit) -> None:
        """Hear of a handshake that failed, or of a connection that failed with an alert later."""
        ...

    def ended(self, visit: Visit) -> None:
        """Hear of the end of a connection that did not fail."""
        ...

    def answered(self, request: Request) -> None:
        """Hear of a request that was answered, or that ended without an answer."""
        ...

    def remarked(self, text: str) -> None:
        """Hear a sentence of the server about itself."""
        ...


def address_of(peer: Any) -> tuple[str, int]:
    """Return host and port of a client; of a UNIX socket, which has none, nothing and 0."""
    if not isinstance(peer, tuple):
        return "", 0
    host, port = cast("tuple[str, int]", peer[:2])
    return host, port
