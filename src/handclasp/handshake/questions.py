"""What a handshake cannot decide by itself: typed questions to the world outside.

Where the config holds a synchronous answer, the driver gives it at once. Where the answer is an
awaitable or `DEFER`, the question comes out of the connection as an event, the handshake waits,
and the application answers when it can.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from handclasp.certificates.credentials import Credentials
from handclasp.certificates.verify import VerifiedPeer

Answer = TypeVar("Answer", covariant=True)


class _Defer:
    def __repr__(self) -> str:
        return "DEFER"


DEFER: Final = _Defer()
"""Returned by a callback that will answer later, through `connection.answer`."""


@dataclass(eq=False, slots=True)
class Question(Generic[Answer]):
    """The base of all questions; `pending` is the awaitable that will give the answer, if any."""

    pending: Awaitable[Any] | None = field(default=None, init=False, repr=False)


@dataclass(eq=False, slots=True)
class ChooseCredentials(Question[Credentials | None]):
    """Which certificate should this side show?

    Attributes:
        server_name: the name that the client asks for, or None (always None on a client).
        signature_schemes: what the peer accepts, in its order.
        alpn: the protocols that the client offers (empty on a client).
        authorities: the DER names of the issuers that the peer would like, if it said so.
    """

    server_name: str | None
    signature_schemes: tuple[str, ...]
    alpn: tuple[str, ...] = ()
    authorities: tuple[bytes, ...] = ()


@dataclass(eq=False, slots=True)
class Sign(Question[bytes]):
    """Sign `content` (RFC 8446 section 4.4.3) with the key of `credentials` in `scheme`."""

    credentials: Credentials
    scheme: str
    content: bytes = field(repr=False)


@dataclass(eq=False, slots=True)
class VerifyPeer(Question[VerifiedPeer]):
    """Is this chain to be trusted?

    Attributes:
        chain: what the peer sent, leaf first, as DER; never empty.
        peer_is_server: which side is judged.
        server_name: the name that the client connects to; None on a server.
    """

    chain: tuple[bytes, ...] = field(repr=False)
    peer_is_server: bool
    server_name: str | None


Answerer = Callable[[Any], Any]
"""Answers one type of question: at once, by an awaitable, or with DEFER."""
