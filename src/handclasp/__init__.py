"""TLS for Python: the handshake between a client and a server, readable, fast and visible.

Start with `connect` for a client over a socket, `wrap_server` for a server, `handclasp.aio` for
asyncio, and `ClientConnection` or `ServerConnection` to bring your own transport.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from handclasp.adapters.sockets import TLSSocket, connect, wrap_client, wrap_server
from handclasp.certificates.credentials import Credentials, Signer
from handclasp.certificates.policy import CertificatePolicy
from handclasp.certificates.trust import TrustStore
from handclasp.certificates.verify import VerifiedPeer
from handclasp.client import ClientConnection
from handclasp.config import ClientAuth, ClientConfig, ServerConfig
from handclasp.connection import Connection
from handclasp.errors import (
    CertificateError,
    ConfigurationError,
    HandshakeTimeoutError,
    PeerAlertError,
    ProtocolError,
    StateError,
    TLSError,
    TruncationError,
    WantRead,
    WantWrite,
)
from handclasp.events import (
    DataReceived,
    EarlyDataReceived,
    EarlyDataRejected,
    Event,
    HalfRttReady,
    HandshakeCompleted,
    KeysUpdated,
    PeerClosed,
    QuestionAsked,
)
from handclasp.faults import Fault
from handclasp.handshake.questions import (
    DEFER,
    ChooseCredentials,
    ConfirmPeer,
    FindPsk,
    Question,
    Sign,
    VerifyPeer,
)
from handclasp.info import ConnectionInfo
from handclasp.lifecycle import State
from handclasp.limits import Limits
from handclasp.server import ServerConnection
from handclasp.sessions.psk import PreSharedKey
from handclasp.sessions.session import Session
from handclasp.sessions.store import SessionStore
from handclasp.sessions.ticket_keys import TicketKeys

if TYPE_CHECKING:
    from handclasp import aio
    from handclasp.story.recorder import Recorder

__version__ = "0.1.0.dev0"

__all__ = [
    "connect",
    "wrap_client",
    "wrap_server",
    "TLSSocket",
    "aio",
    "ClientConfig",
    "ServerConfig",
    "ClientAuth",
    "Credentials",
    "Signer",
    "TrustStore",
    "CertificatePolicy",
    "Limits",
    "SessionStore",
    "Session",
    "TicketKeys",
    "PreSharedKey",
    "Connection",
    "ClientConnection",
    "ServerConnection",
    "State",
    "ConnectionInfo",
    "Event",
    "HandshakeCompleted",
    "DataReceived",
    "EarlyDataReceived",
    "EarlyDataRejected",
    "HalfRttReady",
    "PeerClosed",
    "KeysUpdated",
    "QuestionAsked",
    "Question",
    "ChooseCredentials",
    "Sign",
    "VerifyPeer",
    "ConfirmPeer",
    "FindPsk",
    "VerifiedPeer",
    "DEFER",
    "TLSError",
    "ProtocolError",
    "CertificateError",
    "TruncationError",
    "HandshakeTimeoutError",
    "PeerAlertError",
    "ConfigurationError",
    "StateError",
    "WantRead",
    "WantWrite",
    "Fault",
    "Recorder",
]


def __getattr__(name: str) -> Any:
    # Whoever does not use them need not wait for their import.
    if name == "aio":
        return import_module("handclasp.aio")
    if name == "Recorder":
        return import_module("handclasp.story.recorder").Recorder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
