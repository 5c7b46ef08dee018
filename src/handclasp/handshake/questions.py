"""What a handshake cannot decide by itself: typed questions to the world outside.

Where the config holds a synchronous answer, `answers` gives it at once. Where the answer is an
awaitable or `DEFER`, the question comes out of the connection as an event, the handshake waits,
and the application answers when it can.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from handclasp.certificates.credentials import Credentials
from handclasp.certificates.verify import VerifiedPeer
from handclasp.sessions.psk import PreSharedKey

Answer = TypeVar("Answer", covariant=True)


class _Defer:
    def __repr__(self) -> str:
        return "DEFER"


DEFER: Final = _Defer()
"""Returned by a callback that will answer later, through `connection.answer`."""


@dataclass(eq=False, slots=True)
class Question(Generic[Answer]):
    """The base of all questions.

    Attributes:
        pending: the awaitable that will give the answer, if any.
        answered_later: whether the answer was not given at once, but by an awaitable or `DEFER`.
    """

    pending: Awaitable[Any] | None = field(default=None, init=False, repr=False)
    answered_later: bool = field(default=False, init=False, repr=False)


@dataclass(eq=False, slots=True)
class ChooseCredentials(Question[Credentials | None]):
    """Which certificate should this side show?

    A client with `sessions` asks it once more before it offers one in which the server had asked:
    as the server did then, and before this connection begins. Only an answer at once counts there,
    and the session is offered if it is the same as it was.

    A server asks it about clients that resume a session or have a pre-shared key as well, when they
    have shown that they hold it (TLS 1.3) or named it (TLS 1.2). They are shown no certificate, but
    None refuses them as it refuses others. Where such a client names no signature schemes, those
    of the config stand there.

    Attributes:
        server_name: the name that the client asks for, or None (always None on a client).
        signature_schemes: what the peer accepts in the version agreed upon, in its order.
        alpn: the protocols that the client offers (empty on a client): those of the config, and
            the first 64 others.
        authorities: the DER names of the issuers that the peer would like, if it said so: those
            of the config's credentials, and the first 1,024 others.
        certificate_types: what the peer takes, best first: "X509", "RawPublicKey" (RFC 7250).
        key_transport: whether an RSA key that can decrypt will do, whatever it can sign
            (TLS 1.2 with RSA key transport only).
    """

    server_name: str | None
    signature_schemes: tuple[str, ...]
    alpn: tuple[str, ...] = ()
    authorities: tuple[bytes, ...] = ()
    certificate_types: tuple[str, ...] = ("X509",)
    key_transport: bool = False


@dataclass(eq=False, slots=True)
class Sign(Question[bytes]):
    """Sign `content` with the key of `credentials` in `scheme` (RFC 8446 section 4.4.3)."""

    credentials: Credentials
    scheme: str
    content: bytes = field(repr=False)


@dataclass(eq=False, slots=True)
class Decrypt(Question[object]):
    """Decrypt the secret of RSA key transport with the key of `credentials` (RFC 5246 7.4.7.1).

    A failure is answered by anything that is no secret, such as b"" or None.
    """

    credentials: Credentials
    ciphertext: bytes = field(repr=False)


@dataclass(eq=False, slots=True)
class FindPsk(Question[PreSharedKey | None]):
    """Which external pre-shared key has this identity (RFC 8446 section 4.2.11)? None: no one.

    Nothing is proved when it is asked: anybody can name an identity, or send a recorded hello.
    """

    identity: bytes


@dataclass(eq=False, slots=True)
class CheckReplay(Question[bool]):
    """Does this first flight with 0-RTT data come for the first time (RFC 8446 section 8)?

    Asked when the binder shows that somebody with the ticket's secret made the flight at some time.

    Attributes:
        token: 32 bytes that stand for the flight.
        ticket_created_at: when its ticket was made, in seconds since 1970.
    """

    token: bytes
    ticket_created_at: float


@dataclass(eq=False, slots=True)
class VerifyPeer(Question[VerifiedPeer]):
    """Are these certificates to be trusted?

    Asked before the peer has proved that it holds their key: what is known then is what they say,
    not who is there. On a server it is asked once more when a client comes back, whose first flight
    may be a recording.

    Attributes:
        chain: what the peer sent, leaf first, as DER; never empty. A raw public key is one entry,
            its SubjectPublicKeyInfo.
        peer_is_server: which side is judged.
        server_name: the name that the client connects to; None on a server.
        certificate_type: "X509" or "RawPublicKey" (RFC 7250).
        ocsp_response: the DER of an OCSP response that came stapled to the leaf, or None.
        sct_list: the SignedCertificateTimestampList that came with the leaf, or None (RFC 6962).
    """

    chain: tuple[bytes, ...] = field(repr=False)
    peer_is_server: bool
    server_name: str | None
    certificate_type: str = "X509"
    ocsp_response: bytes | None = field(default=None, repr=False)
    sct_list: bytes | None = field(default=None, repr=False)


@dataclass(eq=False, slots=True)
class ReverifyPeer(Question[VerifiedPeer | None]):
    """Is this client, trusted when its session was made, still to be trusted? None: not any more.

    Answered like `VerifyPeer`, by the config; a refusal means a full handshake, not a failure.
    Asked before the client's Finished, since it decides how the handshake goes on.
    """

    chain: tuple[bytes, ...] = field(repr=False)
    certificate_type: str = "X509"


@dataclass(eq=False, slots=True)
class ConfirmPeer(Question[bool]):
    """This peer was verified: does the application take it? It can refuse, and add nothing.

    Asked when the peer has proved that it is there, which is after its Finished; but in a full
    handshake of TLS 1.2 about a server that signed, where its Finished comes last, before the
    client shows anything of itself.

    Attributes:
        peer: the verdict so far.
        peer_is_server: which side was judged.
        server_name: the name that the client connects to; None on a server.
        replayable: the exception, on a server with `confirm_early_data`: the client wants to send
            0-RTT data, and nothing shows yet that it is there. What is known: somebody with the
            secret of its ticket made this first flight within seconds of now, and no server with
            this replay guard has taken it before. What is not known: whether this is the client or
            somebody who recorded it. False refuses the data; the question comes again after
            Finished.
    """

    peer: VerifiedPeer
    peer_is_server: bool
    server_name: str | None
    replayable: bool = False


Answerer = Callable[[Any], Any]
"""Answers one type of question: at once, by an awaitable, or with DEFER."""
