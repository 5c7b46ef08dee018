"""TLS for Python: the handshake between a client and a server, readable, fast and visible.

Start with `connect` for a client over a socket, `wrap_server` for a server, `handclasp.aio` for
asyncio, and `ClientConnection` or `ServerConnection` to bring your own transport.
"""

from __future__ import annotations

TYPE_CHECKING = False  # Type checkers know it by its name; `typing` takes long to import.

if TYPE_CHECKING:
    from handclasp import aio
    from handclasp import asgi as asgi
    from handclasp import trio as trio
    from handclasp.adapters.sockets import TLSSocket, connect, wrap_client, wrap_server
    from handclasp.alerts import Cause
    from handclasp.certificates.alternative_names import AlternativeNames, alternative_names
    from handclasp.certificates.credentials import Credentials, LocalSigner, Signer, StapleSource
    from handclasp.certificates.dane import TlsaRecord
    from handclasp.certificates.describe import describe_certificate
    from handclasp.certificates.explanation import Explanation, explain
    from handclasp.certificates.policy import CertificatePolicy
    from handclasp.certificates.reloading import ReloadingCredentials
    from handclasp.certificates.revocation import RevocationLists
    from handclasp.certificates.rules import Finding
    from handclasp.certificates.staple import OcspStaple
    from handclasp.certificates.transparency import CtLog
    from handclasp.certificates.trust import TrustStore
    from handclasp.certificates.verify import (
        VerifiedPeer,
        accept_unverified,
        verify_client_chain,
        verify_raw_public_key,
        verify_server_chain,
        vouch_for,
    )
    from handclasp.certificates.walk import PathTried
    from handclasp.client import ClientConnection
    from handclasp.config import ClientAuth, ClientConfig, ServerConfig
    from handclasp.connection import Connection
    from handclasp.crypto.secret import Secret
    from handclasp.ech import (
        EchConfigList,
        EchKey,
        EchKeySource,
        EchRejectedError,
        ReloadingEchKeys,
    )
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
        FindEchKeys,
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
    from handclasp.story.recorder import Recorder
    from handclasp.trace.hooks import Trace
    from handclasp.wire.ech import EchConfig

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
    "ReloadingEchKeys",
    "EchKeySource",
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
    "FindEchKeys",
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
    "AlternativeNames",
    "alternative_names",
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

_NAMES = {
    "adapters.sockets": "TLSSocket connect wrap_client wrap_server",
    "alerts": "Cause",
    "certificates.alternative_names": "AlternativeNames alternative_names",
    "certificates.credentials": "Credentials LocalSigner Signer StapleSource",
    "certificates.dane": "TlsaRecord",
    "certificates.describe": "describe_certificate",
    "certificates.explanation": "Explanation explain",
    "certificates.policy": "CertificatePolicy",
    "certificates.reloading": "ReloadingCredentials",
    "certificates.revocation": "RevocationLists",
    "certificates.rules": "Finding",
    "certificates.staple": "OcspStaple",
    "certificates.transparency": "CtLog",
    "certificates.trust": "TrustStore",
    "certificates.verify": (
        "VerifiedPeer accept_unverified verify_client_chain verify_raw_public_key "
        "verify_server_chain vouch_for"
    ),
    "certificates.walk": "PathTried",
    "client": "ClientConnection",
    "config": "ClientAuth ClientConfig ServerConfig",
    "connection": "Connection",
    "crypto.secret": "Secret",
    "ech": "EchConfigList EchKey EchKeySource EchRejectedError ReloadingEchKeys",
    "errors": (
        "CertificateError ConfigurationError HandshakeTimeoutError PeerAlertError "
        "ProtocolError StateError TLSError TruncationError WantRead WantWrite"
    ),
    "events": (
        "ClientAuthenticated DataReceived EarlyDataReceived EarlyDataRejected Event "
        "HalfRttReady HandshakeCompleted KeysUpdated PeerClosed QuestionAsked"
    ),
    "faults": "Blame Fault",
    "info": "ConnectionInfo",
    "lifecycle": "State",
    "limits": "Limits",
    "questions": (
        "DEFER CheckReplay ChooseConfig ChooseCredentials ConfirmPeer Decrypt "
        "FindEchKeys FindPsk Question ReverifyPeer Sign VerifyPeer"
    ),
    "server": "ServerConnection",
    "sessions.psk": "PreSharedKey",
    "sessions.replay": "ReplayFilter ReplayGuard",
    "sessions.session": "RequestedCertificate Session",
    "sessions.store": "SessionCache SessionStore",
    "sessions.ticket_keys": "TicketKey TicketKeys TicketKeySource",
    "story.recorder": "Recorder",
    "trace.hooks": "Trace",
    "wire.ech": "EchConfig",
}
"""The public names of each module, which is imported when one of them is needed."""

_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}

if not TYPE_CHECKING:

    def __getattr__(name):
        from importlib import import_module

        if name in ("aio", "asgi", "trio"):
            return import_module(f"handclasp.{name}")
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f"handclasp.{_HOMES[name]}"), name)
        globals()[name] = found  # So that it is looked for once.
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
