"""A client's sessions: which one to offer, and where to keep the next one.

A session is offered only if the connection that it came from would come about again: the server's
certificates are verified anew, by today's clock, trust and policy, and what the server asked this
side for is answered anew, with the very certificates that it was shown then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache, partial
from itertools import count
from types import MethodType
from typing import Any
from weakref import ref

from handclasp.certificates.credentials import Credentials
from handclasp.certificates.trust import TrustStore
from handclasp.config import ClientConfig
from handclasp.config.hello_size import fits_hello
from handclasp.crypto.suites import CIPHER_SUITES
from handclasp.errors import ConfigurationError, TLSError
from handclasp.handshake.hooks import call_hook, wrong_answer
from handclasp.handshake.negotiation import choose_scheme_to_show
from handclasp.handshake.peer import PeerCertificate, decide_at_once, question_about
from handclasp.info import ConnectionInfo
from handclasp.process import this_process
from handclasp.questions import ChooseCredentials, VerifyPeer
from handclasp.sessions.session import RequestedCertificate, Session, milliseconds
from handclasp.sessions.store import KEY_OF_PROCESS, SessionCache
from handclasp.synchronous import is_coroutine
from handclasp.values import value

_MOST_TRIED = 8


class ComparableCallback:
    """A callback of this library, which decides by the values that it was made of, and by no other.

    Sessions that depend on it are resumed by every process in which those values are the same, and
    not by this one alone.
    """

    __slots__ = ()

    def binding(self) -> tuple[object, ...]:
        """Return the values by which it decides now."""
        raise NotImplementedError


_OF_ANOTHER_CLIENT = "this side would not show the same certificate any more"


@value(frozen=True, slots=True)
class ClientSessions:
    """The session that a client may resume, and the store for new ones, under one key.

    `unfit` says of each session that was checked before `session` why it was skipped.
    """

    store: SessionCache
    key: str
    session: Session | None
    unfit: tuple[str, ...] = ()

    def refused(self) -> None:
        """Forget the session, which the server did not resume. Raises `ProtocolError`."""
        self.forget(self.session)

    def forget(self, *sessions: Session | None) -> None:
        """Take sessions out of the store. Raises `ProtocolError`."""
        for session in sessions:
            if session is not None:
                call_hook("sessions.discard()", self.store.discard, self.key, session)

    def keep(self, session: Session) -> None:
        """Keep a session of TLS 1.2. Raises `ProtocolError`."""
        call_hook("sessions.put()", self.store.put, self.key, session)


def find_sessions(
    config: ClientConfig,
    server_name: str | None,
    port: int | None,
    trust: TrustStore | None,
    verify: Callable[[VerifyPeer], object],
    choose: Callable[[ChooseCredentials], object],
    store: SessionCache | None = None,
) -> ClientSessions | None:
    """Return the newest session in the config's store that may be offered.

    Args:
        store: one of this connection alone, in place of the config's.
        verify: verifies a server at once; asked unless the user verifies by a callback, which is
            asked when the server has taken the session.
        choose: says what this side shows, by a callback or without.

    Raises:
        ProtocolError: the store failed.
    """
    store = config.sessions if store is None else store
    if store is None:
        return None
    key = _key(config, server_name, port, trust)
    unfit: list[str] = []
    found: Session | None = None
    of_others: list[Session] = []
    for _ in range(_MOST_TRIED):
        session = _take(store, key)
        if session is None:
            break
        reason = _why_unfit(config, session, server_name, trust, verify, choose)
        if reason is None:
            found = session
            break
        unfit.append(reason)
        ClientSessions(store, key, session).refused()
        if reason == _OF_ANOTHER_CLIENT:
            of_others.append(session)
    for other in reversed(of_others):
        # It was not used, and may be of use when this side is again who it was.
        ClientSessions(store, key, None).keep(other)
    return ClientSessions(store, key, found, tuple(unfit))


def maker_of_sessions(
    info: ConnectionInfo,
    clock: Callable[[], datetime],
    *,
    resumed: Session | None = None,
    question: ChooseCredentials | None = None,
    psk_fingerprint: bytes = b"",
) -> Callable[..., Session]:
    """Makes the sessions of a connection, given what each ticket or session id brings.

    Args:
        clock: tells when both sides proved who they are, where that was now.
        resumed: the session that the connection itself resumes; both sides proved who they are
            when that was made.
        question: what the server asked this side for, if it did.
        psk_fingerprint: of the external key by which the server proved itself, as in `Session`.
    """
    if resumed is not None:
        requested, psk_fingerprint = resumed.requested, resumed.psk_fingerprint
        authenticated_at = resumed.authenticated_at
    else:
        requested = _requested(question) if question is not None else None
        authenticated_at = milliseconds(clock())
    return partial(
        Session,
        version=info.version,
        cipher_suite=info.cipher_suite,
        authenticated_at=authenticated_at,
        server_name=info.server_name,
        alpn=info.alpn,
        peer_chain_der=info.peer_chain_der,
        certificate_type=info.peer_certificate_type,
        ocsp_response=info.ocsp_response,
        sct_list=info.sct_list,
        local_chain_der=info.local_chain_der,
        signature_scheme=info.signature_scheme,
        requested=requested,
        psk_fingerprint=psk_fingerprint,
    )


def shown_to(question: ChooseCredentials, info: ConnectionInfo) -> dict[str, Any]:
    """Return the fields of a `Session` that tell what a server asked for, and what it got."""
    return {
        "requested": _requested(question),
        "local_chain_der": info.local_chain_der,
    }


def _requested(question: ChooseCredentials) -> RequestedCertificate:
    return RequestedCertificate(
        question.signature_schemes, question.authorities, question.certificate_types
    )


def may_come_back(question: ChooseCredentials | None) -> bool:
    """Return whether to keep the sessions of a connection, given what the server asked, if it did.

    A hello that resumes a session says who this side is before the server has asked. Where that
    is not known at once, there is no telling whether it is the same as before.
    """
    return question is None or not question.answered_later


def shown_in(session: Session) -> PeerCertificate:
    """Return what the server showed when the session was made."""
    return PeerCertificate(
        session.peer_chain_der, session.certificate_type, session.ocsp_response, session.sct_list
    )


def _take(store: SessionCache, key: str) -> Session | None:
    """Return the newest session under this key. Raises `ProtocolError` where the store fails."""
    name = "sessions.take()"
    session = call_hook(name, store.take, key)
    if session is not None and not isinstance(session, Session):
        raise wrong_answer(name, session, "a Session or None")
    return session


def _why_unfit(
    config: ClientConfig,
    session: Session,
    server_name: str | None,
    trust: TrustStore | None,
    verify: Callable[[VerifyPeer], object],
    choose: Callable[[ChooseCredentials], object],
) -> str | None:
    """Return why this session is not to be offered; None where it may be."""
    if not session.is_current(milliseconds(config.clock())):
        return "too old"
    if not (session.can_be_named and fits_hello(config, session.ticket)):
        return "no hello has room for its name"
    is_offered = session.cipher_suite in config.cipher_suites or _goes_with_another(config, session)
    if session.version not in config.versions or not is_offered:
        return "of a version or cipher suite that is not offered any more"
    if session.signature_scheme not in (None, *config.signature_schemes):
        return "the server signed in a scheme that is not accepted any more"
    reason = _why_not_the_server(config, session, server_name, trust, verify)
    if reason is not None:
        return reason
    shows = _would_show(config, session, choose) if session.requested is not None else ()
    is_same = shows == session.local_chain_der
    return None if is_same else _OF_ANOTHER_CLIENT


def _why_not_the_server(
    config: ClientConfig,
    session: Session,
    server_name: str | None,
    trust: TrustStore | None,
    verify: Callable[[VerifyPeer], object],
) -> str | None:
    """Return why the server of this session would not be accepted; None where it would be.

    A session says itself how its server proved who it is, so it must name a proof that holds.
    """
    if not session.peer_chain_der:
        known = {key.fingerprint for key in config.psks}
        return None if session.psk_fingerprint in known else "nothing says whose it is"
    if session.certificate_type not in config.peer_certificate_types:
        return "the server showed a type of certificate that is not accepted any more"
    if config.verify is not None:
        return None
    shown = shown_in(session)
    try:
        if decide_at_once(config, trust, shown, server_name) is None:
            verify(question_about(shown, server_name, peer_is_server=True))
    except (TLSError, ConfigurationError):
        return "its certificate would not be accepted any more"
    return None


def _would_show(
    config: ClientConfig, session: Session, choose: Callable[[ChooseCredentials], object]
) -> tuple[bytes, ...] | None:
    """Return what this side would show now if it were asked the same; None if that is unknown.

    The answer must come at once: the hello goes out now, and early data with it.
    """
    requested = session.requested
    if requested is None:
        return ()
    question = ChooseCredentials(
        None,
        requested.signature_schemes,
        authorities=requested.authorities,
        certificate_types=requested.certificate_types,
    )
    try:
        answer = choose(question)
    except Exception:
        return None  # In a full handshake it is asked again, and fails where that can be reported.
    if is_coroutine(answer):
        answer.close()
    if not isinstance(answer, Credentials | None):
        return None
    schemes, version = config.signature_schemes, session.version
    scheme = choose_scheme_to_show(answer, question, schemes, version)
    return answer.chain_der if answer is not None and scheme is not None else ()


def _goes_with_another(config: ClientConfig, session: Session) -> bool:
    """Return whether a session may be resumed with a suite of the config that is not its own."""
    if session.version == "TLSv1.2":
        return False
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
    """Names all that a session is bound to; what has no name elsewhere is bound to this process.

    A session's own word is not taken for what it was authenticated with: see `_why_unfit`.
    """
    callbacks, is_of_process = _callbacks_of(config)
    chains: tuple[tuple[bytes, ...], ...] = ()
    if config.credentials:
        chains = tuple([each.chain_der for each in config.credential_list])
    fingerprint = trust.fingerprint if trust is not None else None
    settings: tuple[object, ...] = config.derived.once(
        "what sessions are bound to", _settings, config
    )
    name = _name_of(server_name, port, fingerprint, chains, settings, callbacks)
    return KEY_OF_PROCESS + name if is_of_process else name


def _callbacks_of(config: ClientConfig) -> tuple[tuple[object, ...], bool]:
    """Return what tells the callbacks of a config from others, and whether only here."""
    if not (config.verify or config.confirm_peer or config.choose_credentials):
        return (), False
    given = config.verify, config.confirm_peer, config.choose_credentials
    callbacks: list[object] = [each for each in given if each is not None]
    comparable = [each.binding() for each in callbacks if isinstance(each, ComparableCallback)]
    if len(comparable) == len(callbacks):
        return tuple(comparable), False
    return (this_process(), *map(_number_of, callbacks)), True


def _settings(config: ClientConfig) -> tuple[object, ...]:
    """Return the settings of a config that its sessions depend on."""
    return (
        config.verify_peer,
        config.alpn,
        config.raw_public_keys,
        config.peer_certificate_types,
        config.own_certificate_types,
        tuple([psk.fingerprint for psk in config.psks]),
        config.require_extended_master_secret,
    )


@lru_cache(maxsize=256)
def _name_of(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode("utf-8")).hexdigest()


_NUMBERS: dict[int, tuple[ref[Any], int]] = {}
"""By the `id` of what has a number; the reference tells whether it is the same thing still."""

_COUNTER = count()


def _number_of(callback: object) -> object:
    """Tells a callback from all others that this process ever has.

    A bound method is made anew each time that somebody names it: what counts is whose it is, and
    which. A value that may change, which Python's own rule is not to hash, is another one at every
    look.
    """
    if isinstance(callback, MethodType):
        return _number_of_thing(callback.__self__), _number_of_thing(callback.__func__)
    return next(_COUNTER) if type(callback).__hash__ is None else _number_of_thing(callback)


def _number_of_thing(thing: object) -> int:
    """Compare by identity: equal callbacks may decide differently, and an `id` may recur."""
    number, place = next(_COUNTER), id(thing)

    def forget(reference: ref[Any]) -> None:
        known = _NUMBERS.get(place)
        if known is not None and known[0] is reference:
            del _NUMBERS[place]

    try:
        known = _NUMBERS.setdefault(place, (ref(thing, forget), number))
    except TypeError:
        return number  # It cannot be known again, and so nothing is resumed with it.
    return known[1] if known[0]() is thing else number
