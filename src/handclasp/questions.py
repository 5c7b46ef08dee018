"""The questions of a handshake: decisions that the application, a key or a store must make.

If the config gives an answer directly, `answers` uses it at once. If the answer is an awaitable or
`DEFER`, the connection returns the question as an event, the handshake waits, and the application
answers later.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Generic, TypeVar

from handclasp.certificates.credentials import Credentials
from handclasp.certificates.verify import VerifiedPeer
from handclasp.ech import EchKey
from handclasp.sessions.psk import PreSharedKey
from handclasp.values import dataclass, field

Answer = TypeVar("Answer", covariant=True)


class _Defer:
    def __repr__(self) -> str:
        return "DEFER"


DEFER: Final = _Defer()
"""The return value of a callback that answers later, through `connection.answer`.

See `Question` for an example.
"""


@dataclass(eq=False, slots=True)
class Question(Generic[Answer]):
    """The base of all questions.

    >>> server = ServerConnection(ServerConfig(choose_credentials=lambda question: DEFER))
    >>> client = ClientConnection(server_name="example.com")
    >>> [asked] = server.receive_data(client.data_to_send())
    >>> asked.question.server_name
    'example.com'
    >>> server.answer(asked.question, Credentials.load("chain.pem", "key.pem"))
    []

    The other questions are answered in the same way: `Sign`, `Decrypt`, `VerifyPeer`,
    `ReverifyPeer`, `ConfirmPeer`, `FindPsk`, `FindEchKeys`, `CheckReplay` and `ChooseConfig`.

    Attributes:
        pending: the awaitable of the answer, if any.
        answered_later: whether the answer was given by an awaitable or `DEFER`, not directly.
    """

    pending: Awaitable[Any] | None = field(default=None, init=False, repr=False)
    answered_later: bool = field(default=False, init=False, repr=False)


@dataclass(eq=False, slots=True)
class ChooseConfig(Question[Any]):
    """Choose the config of a server for this client, by its ClientHello.

    It is asked once for each connection, before anything in the hello is answered, and never about
    the second hello after a HelloRetryRequest. None keeps the config that asked; an exception
    refuses the client. The client has proved nothing yet: anybody can send any hello.

    The connection follows the chosen config from then on, except that the limits and the timeout
    for what has happened until then were those of the config that asked, and that `choose_config`
    of the chosen one is not asked. What the first config demands (`client_auth`, say) is not
    demanded any more, unless the chosen one does.

    >>> chain_and_key = Credentials.load("chain.pem", "key.pem")
    >>> by_name = {"example.com": ServerConfig(credentials=chain_and_key, alpn=["h2"])}
    >>> def choose(question):
    ...     return by_name.get(question.server_name)
    >>> config = ServerConfig(credentials=chain_and_key, choose_config=choose)

    Attributes:
        server_name: the name that the client requests, or None.
        versions: the versions that the client offers, newest first as far as it says so.
        cipher_suites: the suites that the client offers: those with a name, and a few others.
        alpn: the protocols that the client offers, as in `ChooseCredentials`.
    """

    server_name: str | None
    versions: tuple[str, ...] = ()
    cipher_suites: tuple[str, ...] = ()
    alpn: tuple[str, ...] = ()


@dataclass(eq=False, slots=True)
class ChooseCredentials(Question[Credentials | None]):
    """Choose the certificate of this side.

    A client with `sessions` also asks it before it offers a session in which the server had
    requested a certificate, with the values of that request, and before this connection begins.
    That answer must be given directly, and the session is offered if it is the same as before.

    A server also asks it about clients that resume a session or use a pre-shared key, after they
    have proved that they hold it (TLS 1.3) or named it (TLS 1.2). They get no certificate, but None
    refuses them like others. If such a client offers no signature schemes, those of the config are
    used.

    >>> by_name = {"example.com": Credentials.load("chain.pem", "key.pem")}
    >>> def choose(question):
    ...     return by_name.get(question.server_name)
    >>> config = ServerConfig(choose_credentials=choose)

    Attributes:
        server_name: the name that the client requests, or None (always None on a client).
        signature_schemes: the schemes that the peer accepts in the negotiated version, in its
            order.
        alpn: the protocols that the client offers (empty on a client): those of the config, and
            the first 64 others.
        authorities: the DER names of the issuers that the peer prefers, if it named any: those of
            the config's credentials, and the first 1,024 others.
        certificate_types: the types that the peer accepts, best first: "X509", "RawPublicKey" (RFC
            7250).
        key_transport: whether an RSA key that can decrypt is sufficient, even if it cannot sign
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
    """Sign `content` with the key of `credentials` in `scheme` (RFC 8446 section 4.4.3).

    See `Question` for an example.
    """

    credentials: Credentials
    scheme: str
    content: bytes = field(repr=False)


@dataclass(eq=False, slots=True)
class Decrypt(Question[object]):
    """Decrypt the secret of RSA key transport with the key of `credentials` (RFC 5246 7.4.7.1).

    After a failure, the answer is any value that is not a secret, such as b"" or None.

    See `Question` for an example.
    """

    credentials: Credentials
    ciphertext: bytes = field(repr=False)


@dataclass(eq=False, slots=True)
class FindPsk(Question[PreSharedKey | None]):
    """Find the external pre-shared key of this identity (RFC 8446 section 4.2.11), or None.

    The answer's own identity must be the same.

    The client has proved nothing yet: anybody can name an identity, or send a recorded hello.

    >>> import secrets
    >>> keys = {b"sensor 7": PreSharedKey(b"sensor 7", secrets.token_bytes(32))}
    >>> config = ServerConfig(find_psk=lambda question: keys.get(question.identity))
    """

    identity: bytes


@dataclass(eq=False, slots=True)
class FindEchKeys(Question[Sequence[EchKey] | None]):
    """Find a server's current keys for Encrypted Client Hello, best first (RFC 9849 section 7.1).

    The answer is a tuple or list of `EchKey`, of which at least one has `send_as_retry`; or None,
    and the server then says that it has no ECH. It is asked once for each hello with the extension,
    which may be GREASE, and never about the second hello after a HelloRetryRequest. The client has
    proved nothing yet: anybody can name any number.

    See `EchKeySource` for an example.

    Attributes:
        config_id: the number of the configuration that the client used, or a random one.
        public_name: the name in the outer hello, which everybody can read, or None.
    """

    config_id: int
    public_name: str | None


@dataclass(eq=False, slots=True)
class CheckReplay(Question[bool]):
    """Check whether this first flight with 0-RTT data is new (RFC 9846 section 8).

    It is asked after the binder has proved that somebody with the ticket's secret made the flight.

    See `Question` for an example.

    Attributes:
        token: 32 bytes that identify the flight.
        ticket_created_at: when its ticket was issued, in seconds since 1970.
    """

    token: bytes
    ticket_created_at: float


@dataclass(eq=False, slots=True)
class VerifyPeer(Question[VerifiedPeer]):
    """Verify the certificates of the peer.

    It is asked before the peer has proved that it holds their key, so the answer is about the
    certificates, not about the peer. A server also asks it about a client that resumes, whose first
    flight may be a recording. To refuse the peer, raise any exception; the detail of
    `CertificateError(Fault.CERTIFICATE_REFUSED, detail)` becomes part of the error's message.

    >>> import hashlib
    >>> known = Credentials.load("chain.pem", "key.pem").chain_der[0]
    >>> def verify(question):
    ...     if question.chain_der[0] != known:
    ...         raise ValueError("another certificate than last time")
    ...     return vouch_for(question.chain_der)
    >>> handclasp.connect("example.com", 443, ClientConfig(verify=verify)).close()

    Attributes:
        chain_der: the certificates that the peer sent, leaf first, as DER; never empty. A raw
            public key is one entry, its SubjectPublicKeyInfo.
        peer_is_server: whether the peer is the server.
        server_name: the name that the client connects to; None on a server.
        certificate_type: "X509" or "RawPublicKey" (RFC 7250).
        ocsp_response: the DER of the OCSP response that was stapled to the leaf, or None.
        sct_list: the SignedCertificateTimestampList of the leaf, or None (RFC 6962).
    """

    chain_der: tuple[bytes, ...] = field(repr=False)
    peer_is_server: bool
    server_name: str | None
    certificate_type: str = "X509"
    ocsp_response: bytes | None = field(default=None, repr=False)
    sct_list: bytes | None = field(default=None, repr=False)


class ReverifyPeer(VerifyPeer):
    """Verify again the client of a session that is to be resumed. None: it is not trusted any more.

    It is a `VerifyPeer` about a client, and the same callback answers it; but a refusal (None or an
    exception) leads to a full handshake, not to a failure. It is asked before the client's
    Finished, since the course of the handshake depends on it.

    See `Question` for an example.
    """

    __slots__ = ()

    def __init__(self, chain_der: tuple[bytes, ...], certificate_type: str = "X509") -> None:
        VerifyPeer.__init__(self, chain_der, False, None, certificate_type)


@dataclass(eq=False, slots=True)
class ConfirmPeer(Question[bool]):
    """Confirm a peer that was verified. The application can only refuse it.

    It is asked after the peer has proved its identity, which is after its Finished. In a full
    handshake of TLS 1.2, where the server's Finished comes last, it is asked about a server that
    signed before the client sends its own certificate.

    >>> def confirm(question):
    ...     return question.peer.name == "example.com"
    >>> handclasp.connect("example.com", 443, ClientConfig(confirm_peer=confirm)).close()

    Attributes:
        peer: the result of the verification.
        peer_is_server: whether the peer is the server.
        server_name: the name that the client connects to; None on a server.
        replayable: True on a server with `confirm_early_data`, before 0-RTT data are accepted.
            Somebody with the secret of the ticket has then made this first flight within the last
            seconds, and no server with this replay guard has accepted it before; but an attacker
            may have recorded and sent it. False refuses the data; the question is asked again after
            Finished.
    """

    peer: VerifiedPeer
    peer_is_server: bool
    server_name: str | None
    replayable: bool = False


Answerer = Callable[[Any], Any]
"""A function that answers one type of question: directly, by an awaitable, or with DEFER."""
