"""A client's sessions: which one to offer, and where to keep the next one.

A session is offered only if the connection that it came from would be accepted again: the server's
certificates are judged anew, by today's clock, trust and policy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache, partial
from itertools import count
from typing import Any, cast
from weakref import WeakKeyDictionary

from handclasp.certificates.trust import TrustStore
from handclasp.config import THIS_PROCESS, ClientConfig
from handclasp.crypto.suites import CIPHER_SUITES
from handclasp.errors import CertificateError, ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.peer import PeerCertificate
from handclasp.handshake.questions import VerifyPeer
from handclasp.info import ConnectionInfo
from handclasp.sessions.session import Session, milliseconds
from handclasp.sessions.store import SessionCache
from handclasp.values import value

_MOST_TRIED = 8


@value(frozen=True, slots=True)
class Resumable:
    """What a client may resume, and where to keep what comes: its store, under one key.

    `unfit` says of each session that was looked at before `session` why it was passed over.
    """

    store: SessionCache
    key: str
    session: Session | None
    unfit: tuple[str, ...] = ()

    def refused(self) -> None:
        """The server did not resume the session. Raises `ProtocolError`."""
        self.forget(self.session)

    def forget(self, *sessions: Session | None) -> None:
        """Take sessions out of the store. Raises `ProtocolError`."""
        for session in sessions:
            if session is not None:
                _call(partial(self.store.discard, self.key, session))

    def keep(self, session: Session) -> None:
        """Keep a session of TLS 1.2. Raises `ProtocolError`."""
        _call(lambda: self.store.put(self.key, session))


def find_resumable(
    config: ClientConfig,
    server_name: str | None,
    port: int | None,
    trust: TrustStore | None,
    verify: Callable[[VerifyPeer], object],
) -> Resumable | None:
    """The newest session that is fit to be offered, out of the config's store.

    Args:
        verify: judges a server at once; asked unless the user verifies by a callback, which is
            asked when the server has taken the session.

    Raises:
        ProtocolError: the store failed.
    """
    store = config.sessions
    if store is None:
        return None
    key = _key(config, server_name, port, trust)
    unfit: list[str] = []
    for _ in range(_MOST_TRIED):
        session = cast("Session | None", _call(lambda: store.take(key)))
        if session is None:
            break
        reason = _why_unfit(config, session, server_name, verify)
        if reason is None:
            return Resumable(store, key, session, tuple(unfit))
        unfit.append(reason)
        Resumable(store, key, session).refused()
    return Resumable(store, key, None, tuple(unfit))


def maker_of_sessions(info: ConnectionInfo, authenticated_at: int) -> Callable[..., Session]:
    """Makes the sessions of a connection, given what each ticket or session id brings.

    Args:
        authenticated_at: when the server last proved who it is, as in `Session`.
    """
    return partial(
        Session,
        version=info.version,
        cipher_suite=info.cipher_suite,
        authenticated_at=authenticated_at,
        server_name=info.server_name,
        alpn=info.alpn,
        peer_chain=info.peer_chain_der,
        certificate_type=info.peer_certificate_type,
        ocsp_response=info.ocsp_response,
        sct_list=info.sct_list,
        local_chain=info.local_chain_der,
        signature_scheme=info.signature_scheme,
    )


def shown_in(session: Session) -> PeerCertificate:
    """What the server showed when the session was made."""
    return PeerCertificate(
        session.peer_chain, session.certificate_type, session.ocsp_response, session.sct_list
    )


def _why_unfit(
    config: ClientConfig,
    session: Session,
    server_name: str | None,
    verify: Callable[[VerifyPeer], object],
) -> str | None:
    """Why this session is not to be offered; None where it may be."""
    if not session.is_current(milliseconds(config.clock())):
        return "too old"
    if session.version not in config.versions or not _suite_is_allowed(config, session):
        return "of a version or cipher suite that is not offered any more"
    if not session.peer_chain or config.verify is not None:
        return None
    shown = shown_in(session)
    question = VerifyPeer(
        shown.chain,
        True,
        server_name,
        shown.certificate_type,
        shown.ocsp_response,
        shown.sct_list,
    )
    try:
        verify(question)
    except CertificateError:
        return "its certificate would not be accepted any more"
    return None


def _suite_is_allowed(config: ClientConfig, session: Session) -> bool:
    if session.version == "TLSv1.2":
        return session.cipher_suite in config.cipher_suites
    suite = CIPHER_SUITES.get(session.cipher_suite)
    # RFC 8446 4.2.11: a key goes with any suite of its hash.
    return suite is not None and any(
        CIPHER_SUITES[name].hash_name == suite.hash_name
        for name in config.cipher_suites
        if name in CIPHER_SUITES
    )


def _key(
    config: ClientConfig, server_name: str | None, port: int | None, trust: TrustStore | None
) -> str:
    """Names all that a session is bound to; what has no name elsewhere is bound to this process."""
    callbacks = [
        _number_of(callback)
        for callback in (config.verify, config.confirm_peer, config.choose_credentials)
        if callback is not None
    ]
    return _name_of(
        server_name,
        port,
        config.verify_peer,
        trust.fingerprint if trust is not None else None,
        config.alpn,
        tuple([each.chain for each in config.credential_list]),
        config.raw_public_keys,
        tuple([psk.identity for psk in config.psks]),
        config.require_extended_master_secret,
        (THIS_PROCESS, *callbacks) if callbacks else (),
    )


@lru_cache(maxsize=256)
def _name_of(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode("utf-8")).hexdigest()


_NUMBERS: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
_COUNTER = count()


def _number_of(callback: object) -> int:
    """Tells a callback from all others that this process ever has; its `id` may come again."""
    try:
        return _NUMBERS.setdefault(callback, next(_COUNTER))
    except TypeError:
        return next(_COUNTER)  # It cannot be known again, and so nothing is resumed with it.


def _call(store: Callable[[], object]) -> object:
    try:
        return store()
    except Exception as error:
        raise ProtocolError(Fault.CALLBACK_FAILED, "sessions") from error
