"""Sessions as `ssl` hands them out: `SSLSocket.session`, to be given to another connection."""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Callable
from hmac import compare_digest
from typing import TYPE_CHECKING, Any

from handclasp.errors import TLSError
from handclasp.questions import VerifyPeer

if TYPE_CHECKING:
    from handclasp.sessions.session import Session
    from handclasp.sessions.store import SessionCache

_MILLISECONDS = 1000


class SSLSession:
    """A session that can be resumed, with the attributes of `ssl.SSLSession`.

    It belongs to the context of the connection that it comes from, as with `ssl`. Whatever it says,
    the certificates of the server are verified again when it is used.
    """

    __slots__ = ("__weakref__", "_context", "_id", "_session")

    def __init__(self, session: Session, context: Any, identity: bytes = b"") -> None:
        self._session = session
        self._context = weakref.ref(context)
        named = session.ticket or session.session_id
        self._id = identity or hashlib.sha256(named).digest()

    @property
    def id(self) -> bytes:
        """The session ID."""
        return self._id

    @property
    def time(self) -> int:
        """When the session was made, in seconds since 1970."""
        return self._session.received_at // _MILLISECONDS

    @property
    def timeout(self) -> int:
        """For how many seconds the session can be resumed."""
        return self._session.lifetime

    @property
    def ticket_lifetime_hint(self) -> int:
        """For how many seconds the server keeps its ticket."""
        return self._session.lifetime if self._session.ticket else 0

    @property
    def has_ticket(self) -> bool:
        """Whether the server sent a ticket."""
        return bool(self._session.ticket)

    @property
    def stored(self) -> Session:
        """The session as a store keeps it."""
        return self._session

    def belongs_to(self, context: object) -> bool:
        """Return whether the session comes from a connection of this context."""
        return self._context() is context

    def __eq__(self, other: object) -> bool:
        return self._id == other._id if isinstance(other, SSLSession) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._id)

    def __reduce__(self) -> Any:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object")


class OneConnection:
    """The store of one client connection: the session that it was given, and those that it gets.

    Args:
        offered: the session to resume, if any.
        others: the store of the context, for connections that were given none.
    """

    def __init__(
        self, context: Any, offered: SSLSession | None, others: SessionCache | None
    ) -> None:
        self._context = weakref.ref(context)
        self._offered = offered
        self._others = others
        self._latest: SSLSession | None = None
        self._verify: Callable[[VerifyPeer], object] | None = None
        self._server_name: str | None = None

    def verify_with(self, verify: Callable[[VerifyPeer], object], server_name: str | None) -> None:
        """Offer only sessions of servers whom `verify` accepts now.

        It is asked in any case once the server has taken a session, but early data have left then.
        """
        self._verify, self._server_name = verify, server_name

    def put(self, key: str, session: Session) -> None:
        """Keep a session that the server has just offered."""
        context, offered = self._context(), self._offered
        if context is not None:
            # A new ticket does not make another session of what was resumed in TLS 1.2.
            same = offered is not None and compare_digest(offered.stored.secret, session.secret)
            self._latest = SSLSession(session, context, offered.id if same and offered else b"")
        if self._others is not None:
            self._others.put(key, session)

    def take(self, key: str) -> Session | None:
        """Return the session to resume, once."""
        if self._offered is not None:
            found = self._offered.stored if self._latest is None else None
        else:
            found = self._others.take(key) if self._others is not None else None
        return found if found is not None and self._is_accepted(found) else None

    def _is_accepted(self, session: Session) -> bool:
        if self._verify is None or not session.peer_chain_der:
            return True  # Without certificates, the engine compares the pre-shared keys.
        question = VerifyPeer(
            session.peer_chain_der,
            True,
            self._server_name,
            session.certificate_type,
            session.ocsp_response,
            session.sct_list,
        )
        try:
            self._verify(question)
        except TLSError:
            return False
        return True

    def discard(self, key: str, session: Session) -> None:
        """Forget a session that was not resumed."""
        if self._offered is not None and self._offered.stored is session:
            self._offered = None
        elif self._others is not None:
            self._others.discard(key, session)

    @property
    def session(self) -> SSLSession | None:
        """The newest session of this connection."""
        return self._latest or self._offered
