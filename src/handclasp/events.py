"""The events that `receive_data` returns to the application.

>>> def on_event(event: Event):
...     match event:
...         case HandshakeCompleted(info) | HalfRttReady(info):
...             print(info.version)
...         case ClientAuthenticated(info):
...             print(info.peer_chain)
...         case DataReceived(data) | EarlyDataReceived(data):
...             print(data)
...         case EarlyDataRejected(data):
...             ...  # They may be sent again, with `send_data`.
...         case QuestionAsked(question):
...             ...  # The handshake goes on after `answer`.
...         case PeerClosed() | KeysUpdated():
...             ...
>>> on_event(DataReceived(b"hello"))
b'hello'
"""

from __future__ import annotations

from collections.abc import Callable

from handclasp.info import ConnectionInfo
from handclasp.questions import Question
from handclasp.values import dataclass


@dataclass(frozen=True, slots=True)
class HandshakeCompleted:
    """The handshake is complete: the peer is authenticated, and data may flow both ways.

    See `handclasp.events` for an example.
    """

    info: ConnectionInfo


@dataclass(frozen=True, slots=True, repr=False, init=False)
class DataReceived:
    """Decrypted application data; one call of `receive_data` returns at most one of these.

    See `handclasp.events` for an example.
    """

    data: bytes

    def __init__(self, data: bytes) -> None:
        set_data(self, data)

    def __repr__(self) -> str:
        return f"DataReceived({len(self.data)} bytes)"


set_data: Callable[[DataReceived, bytes], None] = vars(DataReceived)["data"].__set__
"""Set the data of a new event: `object.__setattr__` would look up the name for each record."""


@dataclass(frozen=True, slots=True, repr=False)
class EarlyDataReceived:
    """A client's 0-RTT data, before the handshake is complete (RFC 9846 section 2.3).

    They are not forward secret, and only the server's replay guard protects against a replay: act
    upon them only if a repetition does no harm.

    See `handclasp.events` for an example.
    """

    data: bytes

    def __repr__(self) -> str:
        return f"EarlyDataReceived({len(self.data)} bytes)"


@dataclass(frozen=True, slots=True, repr=False)
class EarlyDataRejected:
    """The server rejected the 0-RTT data, which are returned here and may be sent again.

    See `handclasp.events` for an example.
    """

    data: bytes

    def __repr__(self) -> str:
        return f"EarlyDataRejected({len(self.data)} bytes)"


@dataclass(frozen=True, slots=True)
class HalfRttReady:
    """A server may send before the handshake is complete: `ServerConnection.send_half_rtt_data`.

    The client is not authenticated yet, and its hello may be a replay. `info` holds the parameters
    that apply if it is not.

    See `handclasp.events` for an example.
    """

    info: ConnectionInfo


@dataclass(frozen=True, slots=True)
class ClientAuthenticated:
    """The client has answered `ServerConnection.request_client_certificate`.

    `info` holds what it has proved with this answer, and is that of the connection from now on. If
    `info.peer_chain_der` is empty, the client declined.

    See `handclasp.events` for an example.
    """

    info: ConnectionInfo


@dataclass(frozen=True, slots=True)
class PeerClosed:
    """The peer sent close_notify: it will send nothing more (RFC 9846 section 6.1).

    This side may keep sending until it closes as well.

    See `handclasp.events` for an example.
    """


@dataclass(frozen=True, slots=True)
class QuestionAsked:
    """The handshake waits for `connection.answer(question, value)`.

    If `question.pending` is an awaitable, awaiting it returns the value.

    See `handclasp.events` for an example.
    """

    question: Question[object]


@dataclass(frozen=True, slots=True)
class KeysUpdated:
    """The peer has switched to new sending keys (RFC 8446 section 4.6.3).

    See `handclasp.events` for an example.
    """


Event = (
    HandshakeCompleted
    | DataReceived
    | PeerClosed
    | QuestionAsked
    | KeysUpdated
    | EarlyDataReceived
    | EarlyDataRejected
    | HalfRttReady
    | ClientAuthenticated
)
"""Any of these events. See `handclasp.events` for an example."""
