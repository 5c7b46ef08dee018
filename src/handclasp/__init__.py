"""TLS for Python: the handshake between a client and a server, readable, fast and visible.

Start with `connect` for a client over a socket, `wrap_server` for a server, `handclasp.aio` for
asyncio, and `ClientConnection` or `ServerConnection` to bring your own transport.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from handclasp.adapters.sockets import TLSSocket, connect, wrap_client, wrap_server
from handclasp.alerts import Cause
from handclasp.certificates.credentials import Credentials, LocalSigner, Signer, StapleSource
from handclasp.certificates.policy import CertificatePolicy
from handclasp.certificates.reloading import ReloadingCredentials
from handclasp.certificates.trust import TrustStore
from handclasp.certificates.verify import (
    VerifiedPeer,
    accept_unverified,
    verify_client_chain,
    verify_raw_public_key,
    verify_server_chain,
    vouch_for,
)
from handclasp.client import ClientConnection
from handclasp.config import ClientAuth, ClientConfig, ServerConfig
from handclasp.connection import Connection
from handclasp.crypto.secret import Secret
from handclasp.ech import EchConfigList, EchKey, EchRejectedError
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
    ClientAuthenticated,
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
from handclasp.faults import Blame, Fault
from handclasp.info import ConnectionInfo
from handclasp.lifecycle import State
from handclasp.limits import Limits
from handclasp.questions import (
    DEFER,
    CheckReplay,
    ChooseConfig,
    ChooseCredentials,
    ConfirmPeer,
    Decrypt,
    FindPsk,
    Question,
    ReverifyPeer,
    Sign,
    VerifyPeer,
)
from handclasp.server import ServerConnection
from handclasp.sessions.psk import PreSharedKey
from handclasp.sessions.replay import ReplayFilter, ReplayGuard
from handclasp.sessions.session import RequestedCertificate, Session
from handclasp.sessions.store import SessionCache, SessionStore
from handclasp.sessions.ticket_keys import TicketKey, TicketKeys, TicketKeySource
from handclasp.trace.hooks import Trace
from handclasp.wire.ech import EchConfig

if TYPE_CHECKING:
    from handclasp import aio
    from handclasp.certificates.dane import TlsaRecord
    from handclasp.certificates.describe import describe_certificate
    from handclasp.certificates.explanation import Explanation, explain
    from handclasp.certificates.revocation import RevocationLists
    from handclasp.certificates.rules import Finding
    from handclasp.certificates.staple import OcspStaple
    from handclasp.certificates.transparency import CtLog
    from handclasp.certificates.walk import PathTried
    from handclasp.story.recorder import Recorder

__version__ = "0.1.0.dev0"

__all__ = [
    "connect",
    "wrap_client",
    "wrap_server",
    "TLSSocket",
    "aio",
    "ClientAuthenticated",
    "ClientConfig",
    "ServerConfig",
    "ClientAuth",
    "Credentials",
    "ReloadingCredentials",
    "Signer",
    "LocalSigner",
    "StapleSource",
    "OcspStaple",
    "TrustStore",
    "CertificatePolicy",
    "RevocationLists",
    "CtLog",
    "TlsaRecord",
    "Limits",
    "SessionStore",
    "SessionCache",
    "Session",
    "RequestedCertificate",
    "Secret",
    "TicketKeys",
    "TicketKey",
    "TicketKeySource",
    "ReplayFilter",
    "ReplayGuard",
    "PreSharedKey",
    "EchConfig",
    "EchConfigList",
    "EchKey",
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
    "ChooseConfig",
    "ChooseCredentials",
    "Sign",
    "Decrypt",
    "VerifyPeer",
    "ReverifyPeer",
    "ConfirmPeer",
    "FindPsk",
    "CheckReplay",
    "VerifiedPeer",
    "verify_server_chain",
    "verify_client_chain",
    "verify_raw_public_key",
    "accept_unverified",
    "vouch_for",
    "explain",
    "Explanation",
    "Finding",
    "PathTried",
    "describe_certificate",
    "DEFER",
    "TLSError",
    "ProtocolError",
    "CertificateError",
    "TruncationError",
    "HandshakeTimeoutError",
    "EchRejectedError",
    "PeerAlertError",
    "ConfigurationError",
    "StateError",
    "WantRead",
    "WantWrite",
    "Fault",
    "Blame",
    "Cause",
    "Recorder",
    "Trace",
]


_IMPORTED_WHEN_NEEDED = {
    "CtLog": "certificates.transparency",
    "Explanation": "certificates.explanation",
    "Finding": "certificates.rules",
    "OcspStaple": "certificates.staple",
    "PathTried": "certificates.walk",
    "Recorder": "story.recorder",
    "RevocationLists": "certificates.revocation",
    "TlsaRecord": "certificates.dane",
    "describe_certificate": "certificates.describe",
    "explain": "certificates.explanation",
}
"""Names whose modules take long to import, which few programs need."""


def __getattr__(name: str) -> Any:
    if name in ("aio", "asgi", "trio"):
        return import_module(f"handclasp.{name}")
    if name in _IMPORTED_WHEN_NEEDED:
        return getattr(import_module(f"handclasp.{_IMPORTED_WHEN_NEEDED[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
