"""The events that `receive_data` returns to the application."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handclasp.handshake.questions import Question

if TYPE_CHECKING:
    from handclasp.info import ConnectionInfo


@dataclass(frozen=True, slots=True)
class HandshakeCompleted:
    """The handshake is complete: the peer is authenticated, and data may flow both ways."""

    info: ConnectionInfo


@dataclass(frozen=True, slots=True, repr=False, init=False)
class DataReceived:
    """Decrypted application data; one call of `receive_data` returns at most one of these."""

    data: bytes

    def __init__(self, data: bytes) -> None:
        _set_data(self, data)

    def __repr__(self) -> str:
        return f"DataReceived({len(self.data)} bytes)"


# Where dataclasses look up `object.__setattr__` and the name: there is one for each record.
_set_data: Callable[[DataReceived, bytes], None] = vars(DataReceived)["data"].__set__


@dataclass(frozen=True, slots=True, repr=False)
class EarlyDataReceived:
    """A client's 0-RTT data, before the handshake is complete (RFC 8446 section 2.3).

    They are not forward secret, and only the server's replay guard protects against a replay: act
    upon them only if a repetition does no harm.
    """

    data: bytes

    def __repr__(self) -> str:
        return f"EarlyDataReceived({len(self.data)} bytes)"


@dataclass(frozen=True, slots=True, repr=False)
class EarlyDataRejected:
    """The server rejected the 0-RTT data, which are returned here and may be sent again."""

    data: bytes

    def __repr__(self) -> str:
        return f"EarlyDataRejected({len(self.data)} bytes)"


@dataclass(frozen=True, slots=True)
class HalfRttReady:
    """A server may send before the handshake is complete: `ServerConnection.send_half_rtt_data`.

    The client is not authenticated yet, and its hello may be a replay. `info` holds the parameters
    that apply if it is not.
    """

    info: ConnectionInfo


@dataclass(frozen=True, slots=True)
class PeerClosed:
    """The peer sent close_notify: it will send nothing more (RFC 8446 section 6.1).

    This side may keep sending until it closes as well.
    """


@dataclass(frozen=True, slots=True)
class QuestionAsked:
    """The handshake waits for `connection.answer(question, value)`.

    If `question.pending` is an awaitable, awaiting it returns the value.
    """

    question: Question[object]


@dataclass(frozen=True, slots=True)
class KeysUpdated:
    """The peer has switched to new sending keys (RFC 8446 section 4.6.3)."""


Event = (
    HandshakeCompleted
    | DataReceived
    | PeerClosed
    | QuestionAsked
    | KeysUpdated
    | EarlyDataReceived
    | EarlyDataRejected
    | HalfRttReady
)
