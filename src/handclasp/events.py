"""What a connection tells the application: the answers of `receive_data`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from handclasp.handshake.questions import Question
from handclasp.info import ConnectionInfo


@dataclass(frozen=True, slots=True)
class HandshakeCompleted:
    """The peer is who it says it is, and data may flow both ways."""

    info: ConnectionInfo


@dataclass(frozen=True, slots=True, repr=False, init=False)
class DataReceived:
    """Decrypted application data; at most one of these comes out of one `receive_data` call."""

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

    They are not forward secret, and whether they come for the first time rests on the server's
    replay guard alone: only what may safely be done twice should be done upon them.
    """

    data: bytes

    def __repr__(self) -> str:
        return f"EarlyDataReceived({len(self.data)} bytes)"


@dataclass(frozen=True, slots=True, repr=False)
class EarlyDataRejected:
    """The server took none of the 0-RTT data, which are given back: send them again, or do not."""

    data: bytes

    def __repr__(self) -> str:
        return f"EarlyDataRejected({len(self.data)} bytes)"


@dataclass(frozen=True, slots=True)
class HalfRttReady:
    """A server may send before the handshake is complete: `ServerConnection.send_half_rtt_data`.

    Nothing shows yet that the client is there, or that its hello comes for the first time. `info`
    is what will have been agreed upon if it is.
    """

    info: ConnectionInfo


@dataclass(frozen=True, slots=True)
class PeerClosed:
    """The peer sent close_notify: it will send nothing more (RFC 8446 section 6.1).

    This side may go on sending until it closes, too.
    """


@dataclass(frozen=True, slots=True)
class QuestionAsked:
    """The handshake waits for `connection.answer(question, value)`.

    Where `question.pending` is an awaitable, awaiting it gives the value.
    """

    question: Question[object]


@dataclass(frozen=True, slots=True)
class KeysUpdated:
    """The peer sends under new keys from here on (RFC 8446 section 4.6.3)."""


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
