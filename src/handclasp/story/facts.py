"""The figures of one recorded handshake, read from its own messages by the library's own codec.

>>> from handclasp.story import facts
>>> recorder = Recorder()
>>> with handclasp.connect("example.com", 443, trace=recorder) as tls:
...     info = tls.info
>>> found: facts.Facts = facts.facts_of(recorder.events)
>>> found.version, facts.role_of(recorder.events)
('TLSv1.3', 'client')
>>> facts.secret_in_words(facts.key_exchange_of_info(info), info)
'X25519MLKEM768'
>>> facts.has_change_cipher_spec(found.version), facts.certificate_was_requested(recorder.events)
(False, False)
>>> facts.observed_in(recorder.events) is None
True
>>> facts.nothing_sent(recorder.events), facts.nothing_sent([]), facts.NOTHING_SENT[:24]
(False, True, 'No byte of TLS was sent ')
>>> from handclasp.trace.events import MessageSeen
>>> hello = next(event for event in recorder.events if isinstance(event, MessageSeen))
>>> facts.sender_of(hello, "client")
'client'
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, takewhile
from typing import Literal, TypeVar

from handclasp.errors import ProtocolError
from handclasp.iana import (
    AlertDescription,
    ContentType,
    ExtensionType,
    HandshakeType,
    cipher_suite_name,
    cipher_suite_names,
    group_name,
)
from handclasp.info import ConnectionInfo
from handclasp.story.recorded import (
    HELLOS,
    KeyExchange,
    Share,
    certificates_of,
    client_shares_of,
    encrypted_secret_size_of,
    key_exchange_by_suite,
    key_exchange_of,
    message_of,
    server_share_of,
    version_of,
)
from handclasp.trace.events import (
    AlertSeen,
    Began,
    BytesMissing,
    BytesRefused,
    DecisionTaken,
    Failed,
    HandshakeResult,
    InnerHello,
    MessageSeen,
    Observed,
    QuestionAnswered,
    RecordSeen,
    TraceEvent,
)
from handclasp.trace.hooks import INNER_CLIENT_HELLO
from handclasp.values import dataclass
from handclasp.wire import extensions, messages, messages12
from handclasp.wire.codecs import AnyMessage
from handclasp.wire.raw_keys import is_raw_public_key

EarlierKey = Literal["ticket", "session id", "external key", "key"]
"""The earlier key of a client: a ticket; a session ID (TLS 1.2); an external pre-shared key; or a
pre-shared key of which the trace does not show whether it belongs to a ticket.
"""
M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Facts:
    """The figures of a recorded handshake. Sizes are in bytes, times in nanoseconds.

    Attributes:
        role: the side that recorded, "client" or "server".
        version: the version that the server chose, such as "TLSv1.3"; None without a ServerHello.
        cipher_suites: the names of the suites that the (last) ClientHello offers.
        cipher_suite: the suite that the server chose.
        key_exchange: the kind of key exchange; None without a ServerHello.
        client_shares: the public values in that hello; in TLS 1.2 that of the ClientKeyExchange.
        server_share: the public value in the ServerHello, or in TLS 1.2 in the ServerKeyExchange;
            None if there was none.
        encrypted_secret_size: the size of the encrypted secret of the client (RSA key transport);
            None if there was none.
        certificate_sizes: the certificates that the server sent, leaf first.
        round_trips: the number of flights of the server that the client had to wait for, until this
            side was done.
        handshake_ns: the time from the first message to the completion on this side; None if it was
            not completed.
        handshake_sent, handshake_received: the bytes on the wire until then.
        sign_ns, verify_ns: the times that signing and verifying the peer's certificates took on
            this side.
        info: the negotiated parameters; None if the handshake was not completed.
        earlier_key: the kind of the client's earlier key, if the server accepted it.
        server_name: the name in the ClientHello; None if there is no readable one.
        groups_offered: the names of the groups that the (last) ClientHello offers.
        early_data: "none", "offered" (the result is unknown), "accepted" or "rejected".
        retried: whether the server sent a HelloRetryRequest.
        client_certificate: "not asked", "asked" (and none was sent) or "shown".
        raw_keys: the roles that sent a raw public key instead of certificates.
    """

    role: str
    version: str | None
    cipher_suites: tuple[str, ...]
    key_exchange: KeyExchange | None
    client_shares: tuple[Share, ...]
    server_share: Share | None
    encrypted_secret_size: int | None
    certificate_sizes: tuple[int, ...]
    round_trips: int
    handshake_ns: int | None
    handshake_sent: int
    handshake_received: int
    sign_ns: int | None
    verify_ns: int | None
    info: ConnectionInfo | None
    earlier_key: EarlierKey | None = None
    server_name: str | None = None
    groups_offered: tuple[str, ...] = ()
    cipher_suite: str | None = None
    early_data: str = "none"
    retried: bool = False
    client_certificate: Literal["not asked", "asked", "shown"] = "not asked"
    raw_keys: frozenset[str] = frozenset()

    @property
    def early_data_refusal(self) -> str:
        """The reason why early data were rejected, as far as the recording side knows it."""
        return self.info.early_data_refusal if self.info is not None else ""

    @property
    def is_anonymous(self) -> bool:
        """Whether neither side is authenticated (DH_anon and ECDH_anon of TLS 1.2)."""
        return "_anon_" in (self.cipher_suite or "")

    @property
    def has_psk(self) -> bool:
        """Whether the suite of TLS 1.2 mixes an external pre-shared key into the secret."""
        return "PSK_WITH_" in (self.cipher_suite or "")

    @property
    def is_by_key(self) -> bool:
        """Whether an earlier key authenticates the two, and no certificate."""
        by_suite = self.has_psk and self.key_exchange != "psk transport"
        return self.earlier_key is not None or self.key_exchange == "psk" or by_suite

    @property
    def expects_certificate(self) -> bool:
        """Whether the server has to send a certificate, as far as is known."""
        return not (self.is_by_key or self.is_anonymous)


def facts_of(events: Sequence[TraceEvent]) -> Facts:
    """Return the facts of a recorded handshake; of a failed one, as far as it got."""
    read = _handshake_messages(events)
    hello = _last(read, messages.ClientHello)
    answer = _last(read, messages.ServerHello)
    retried = any(
        isinstance(each, messages.ServerHello) and each.is_hello_retry_request for each in read
    )
    if answer is not None and answer.is_hello_retry_request:
        answer = None
    settled = next((event for event in events if isinstance(event, HandshakeResult)), None)
    info = settled.info if settled is not None else None
    version = version_of(answer) if answer is not None else None
    earlier_key = _earlier_key(hello, answer, version, info)
    key_exchange = None
    if answer is not None:
        key_exchange = key_exchange_of(answer, resumed=earlier_key is not None)
    server_key_exchange = _last(read, messages12.ServerKeyExchange)
    client_key_exchange = _last(read, messages12.ClientKeyExchange)
    client_shares = client_shares_of(hello) if hello is not None else ()
    server_share = server_share_of(answer) if answer is not None else None
    encrypted_secret_size: int | None = None
    if version == "TLSv1.2":
        server_share = server_share_of(server_key_exchange) if server_key_exchange else None
        client_shares = _shares12(client_key_exchange, server_share)
        if client_key_exchange is not None and key_exchange in _TRANSPORTS:
            encrypted_secret_size = encrypted_secret_size_of(client_key_exchange)
    role = role_of(events)
    shown = dict(_chains(events, role))
    return Facts(
        role=role,
        version=version,
        cipher_suites=cipher_suite_names(hello.cipher_suites) if hello else (),
        key_exchange=key_exchange,
        client_shares=client_shares,
        server_share=server_share,
        encrypted_secret_size=encrypted_secret_size,
        certificate_sizes=tuple(map(len, shown.get("server", ()))),
        round_trips=_round_trips(events, role),
        handshake_ns=_handshake_ns(events, settled),
        handshake_sent=_wire_bytes(events, settled, "sent", version),
        handshake_received=_wire_bytes(events, settled, "received", version),
        sign_ns=_answer_ns(events, "Sign"),
        verify_ns=_answer_ns(events, "VerifyPeer"),
        info=info,
        earlier_key=earlier_key,
        server_name=_server_name(hello),
        groups_offered=_groups_offered(hello),
        cipher_suite=cipher_suite_name(answer.cipher_suite) if answer is not None else None,
        early_data=_early_data(read, info),
        retried=retried,
        client_certificate=_client_certificate(events, shown),
        raw_keys=frozenset(
            role for role, chain in shown.items() if chain and is_raw_public_key(chain[0])
        ),
    )


_TRANSPORTS = ("transport", "psk transport")


def observed_in(events: Sequence[TraceEvent]) -> Observed | None:
    """Return the event that marks a trace from a capture; None if one of the ends recorded."""
    return next((event for event in reversed(events) if isinstance(event, Observed)), None)


NOTHING_SENT = "No byte of TLS was sent or received: the connection did not come that far."
"""The sentence about a trace for which `nothing_sent` returns True."""


def nothing_sent(events: Sequence[TraceEvent]) -> bool:
    """Return whether a trace has neither bytes nor a failure, as where nothing listened."""
    seen = MessageSeen | RecordSeen | AlertSeen | BytesRefused | BytesMissing | Failed | Observed
    return not any(isinstance(event, seen) for event in events)


def has_change_cipher_spec(version: str | None) -> bool:
    """Return whether ChangeCipherSpec has a meaning: in TLS 1.3 it only serves middleboxes."""
    return version is not None and not version.startswith("TLSv1.3")


def key_exchange_of_info(info: ConnectionInfo) -> KeyExchange | None:
    """Return the kind of key exchange of a connection; see `Facts.key_exchange`."""
    if info.version.startswith("TLSv1.3"):  # or a draft of it
        return "psk" if info.group is None else "agreement"
    return "session" if info.resumed else key_exchange_by_suite(info.cipher_suite)


def secret_in_words(key_exchange: KeyExchange | None, info: ConnectionInfo) -> str:
    """Return the origin of the secret in a few words: the group, if there was one."""
    match key_exchange:
        case "transport":
            return "a secret made by the client"
        case "psk transport":
            return "a secret made by the client, and the pre-shared key"
        case "session":
            return "the secret of the earlier session"
        case "psk":
            return "the pre-shared key alone"
        case _:
            if info.group is None and ("DHE_" in info.cipher_suite or "_DH_" in info.cipher_suite):
                return "Diffie-Hellman in a group of the server's choice"
            return info.group or "in an unknown way"


def server_chain_of(events: Sequence[TraceEvent]) -> tuple[bytes, ...]:
    """Return the certificates that the server sent, as DER, leaf first; none if none can be read.

    They are there in a handshake that failed, too, once they came.

    >>> from handclasp.story.facts import server_chain_of
    >>> recorder = Recorder()
    >>> handclasp.connect("example.com", 443, trace=recorder).close()
    >>> server_chain_of(recorder.events) == Credentials.load("chain.pem", "key.pem").chain_der
    True
    """
    return dict(_chains(events, role_of(events))).get("server", ())


def certificate_was_requested(events: Sequence[TraceEvent]) -> bool:
    """Return whether the server asked the client for a certificate (RFC 8446 section 4.3.2)."""
    return any(
        event.message_type == HandshakeType.CERTIFICATE_REQUEST for event in _messages(events)
    )


def encrypted_hello_in(
    events: Sequence[TraceEvent],
) -> Literal["accepted", "rejected", "offered", "unknown"] | None:
    """Return what became of a hello that the client encrypted (RFC 9849).

    >>> from handclasp.story.facts import encrypted_hello_in
    >>> recorder = Recorder()
    >>> with handclasp.connect("example.com", 443, trace=recorder) as tls:
    ...     print(encrypted_hello_in(recorder.events))
    None

    "offered" means that the record does not show whether the server took it; "unknown", that there
    may be none, as random bytes look the same (GREASE). None: it is known that there is none.
    """
    hellos = [
        each for each in _handshake_messages(events) if isinstance(each, messages.ClientHello)
    ]
    if not hellos or ExtensionType.ENCRYPTED_CLIENT_HELLO not in hellos[0].extensions:
        return None
    alerts = [each.description for each in events if isinstance(each, AlertSeen)]
    if AlertDescription.ECH_REQUIRED in alerts:
        return "rejected"
    if not any(isinstance(event, InnerHello) for event in events):
        is_own = role_of(events) == "client" and observed_in(events) is None
        return None if is_own else "unknown"
    settled = next((each for each in events if isinstance(each, HandshakeResult)), None)
    if settled is None:
        return "offered"
    return "accepted" if settled.info.ech_accepted else "rejected"


def inner_hello_counts(events: Sequence[TraceEvent]) -> bool:
    """Return whether the ClientHello that was encrypted is the one that the server answered.

    >>> from handclasp.story.facts import inner_hello_counts
    >>> recorder = Recorder()
    >>> handclasp.connect("example.com", 443, trace=recorder).close()
    >>> inner_hello_counts(recorder.events)
    False
    """
    for event in events:
        if isinstance(event, DecisionTaken) and event.what == "ech":
            return event.chosen == INNER_CLIENT_HELLO
    return encrypted_hello_in(events) == "accepted"


def names_in_hello(events: Sequence[TraceEvent]) -> tuple[str | None, str | None]:
    """Return the server's name in the first ClientHello, and in the one that is encrypted inside of
    it: None where it names none, or was not opened (RFC 9849 section 5).

    >>> from handclasp.story.facts import names_in_hello
    >>> recorder = Recorder()
    >>> with handclasp.connect("example.com", 443, trace=recorder) as tls:
    ...     print(names_in_hello(recorder.events))
    ('example.com', None)
    """
    outer = [each for each in _handshake_messages(events) if isinstance(each, messages.ClientHello)]
    inner = [
        message
        for each in events
        if isinstance(each, InnerHello)
        and isinstance(message := message_of(each.message), messages.ClientHello)
    ]
    return _server_name(next(iter(outer), None)), _server_name(next(iter(inner), None))


def role_of(events: Sequence[TraceEvent]) -> str:
    """Return the side that recorded, from its own event or the direction of the first hello."""
    for event in events:
        if isinstance(event, Began):
            return event.role
    first = next(_messages(events), None)
    return "server" if first is not None and first.direction == "received" else "client"


def sender_of(
    event: MessageSeen | InnerHello | RecordSeen | AlertSeen | BytesMissing, role: str
) -> str:
    """Return the role of the sender of an event, given the role of the recording side."""
    if event.direction == "sent":
        return role
    return "client" if role == "server" else "server"


_CERTIFICATE_TYPES = (HandshakeType.CERTIFICATE, HandshakeType.COMPRESSED_CERTIFICATE)


def _messages(events: Sequence[TraceEvent]) -> Iterator[MessageSeen]:
    return (event for event in events if isinstance(event, MessageSeen))


def _handshake_messages(events: Sequence[TraceEvent]) -> list[AnyMessage]:
    """Return the readable messages, without hellos for a renegotiation, which never takes place."""
    return [
        message
        for event in _messages(events)
        if not (event.message_type in HELLOS and event.epoch == "application")
        and (message := message_of(event)) is not None
    ]


def _last(read: Sequence[AnyMessage], kind: type[M]) -> M | None:
    return next((message for message in reversed(read) if isinstance(message, kind)), None)


def _shares12(
    message: messages12.ClientKeyExchange | None, server_share: Share | None
) -> tuple[Share, ...]:
    """Return the client's public value in TLS 1.2, in the group that the server named."""
    if message is None or server_share is None:
        return ()
    try:
        point = messages12.read_ecdh_point(message.exchange_keys)
    except ProtocolError:
        return ()
    return (Share(server_share.group, len(point)),)


def _chains(events: Sequence[TraceEvent], role: str) -> Iterator[tuple[str, tuple[bytes, ...]]]:
    """Return the first readable chain of each side, by its role."""
    seen: set[str] = set()
    for event in _messages(events):
        sender = sender_of(event, role)
        if event.message_type in _CERTIFICATE_TYPES and sender not in seen:
            chain = certificates_of(message_of(event))
            if chain is not None:
                seen.add(sender)
                yield sender, chain


def _client_certificate(
    events: Sequence[TraceEvent], shown: Mapping[str, tuple[bytes, ...]]
) -> Literal["not asked", "asked", "shown"]:
    # A certificate that cannot be read, such as a redacted one, is followed by its signature, too.
    if shown.get("client") or _client_signed(events):
        return "shown"
    return "asked" if certificate_was_requested(events) else "not asked"


def _client_signed(events: Sequence[TraceEvent]) -> bool:
    role = role_of(events)
    return any(
        event.message_type == HandshakeType.CERTIFICATE_VERIFY
        and sender_of(event, role) == "client"
        for event in _messages(events)
    )


def _earlier_key(
    hello: messages.ClientHello | None,
    answer: messages.ServerHello | None,
    version: str | None,
    info: ConnectionInfo | None,
) -> EarlierKey | None:
    if hello is None or answer is None:
        return None
    if version != "TLSv1.2":
        if ExtensionType.PRE_SHARED_KEY not in answer.extensions:
            return None
        if info is None:
            return "key"
        return "ticket" if info.resumed and info.psk_identity is None else "external key"
    # RFC 5246 7.4.1.3: a server that resumes a session echoes its ID; with a ticket, the ID that
    # the client sent.
    echoed = hello.legacy_session_id and hello.legacy_session_id == answer.legacy_session_id_echo
    if not (echoed or (info is not None and info.resumed)):
        return None
    return "ticket" if hello.extensions.get(ExtensionType.SESSION_TICKET) else "session id"


def _server_name(hello: messages.ClientHello | None) -> str | None:
    data = hello.extensions.get(ExtensionType.SERVER_NAME) if hello is not None else None
    try:
        return extensions.read_server_name(data) if data is not None else None
    except ProtocolError:
        return None


def _groups_offered(hello: messages.ClientHello | None) -> tuple[str, ...]:
    data = hello.extensions.get(ExtensionType.SUPPORTED_GROUPS) if hello is not None else None
    try:
        return tuple(map(group_name, extensions.read_supported_groups(data))) if data else ()
    except ProtocolError:
        return ()


def _early_data(read: Sequence[AnyMessage], info: ConnectionInfo | None) -> str:
    if info is not None:
        return info.early_data_status
    hellos = [each for each in read if isinstance(each, messages.ClientHello)]
    if not any(ExtensionType.EARLY_DATA in each.extensions for each in hellos):
        return "none"
    answer = _last(read, messages.EncryptedExtensions)
    if answer is None:
        return "offered"
    return "accepted" if ExtensionType.EARLY_DATA in answer.extensions else "rejected"


def _round_trips(events: Sequence[TraceEvent], role: str) -> int:
    """Return the number of the server's flights until this side was done: the client waits for
    each.
    """
    until_done = takewhile(lambda event: not isinstance(event, HandshakeResult), events)
    # No client waits for tickets, which a server may send before its handshake is complete.
    senders = [
        sender_of(event, role)
        for event in until_done
        if isinstance(event, MessageSeen) and event.message_type != HandshakeType.NEW_SESSION_TICKET
    ]
    return sum(sender == "server" for sender, _ in groupby(senders))


def _handshake_ns(events: Sequence[TraceEvent], settled: HandshakeResult | None) -> int | None:
    first = next(_messages(events), None)
    return settled.at_ns - first.at_ns if settled is not None and first is not None else None


def _wire_bytes(
    events: Sequence[TraceEvent],
    settled: HandshakeResult | None,
    direction: str,
    version: str | None,
) -> int:
    """Return the bytes on the wire in one direction until the handshake was complete on this side.

    A record that leaves right after the last step still belongs to the handshake. In TLS 1.2 that
    is a server's Finished, which is already under the keys of application data.
    """
    until = settled.at_ns if settled is not None else None
    late = {ContentType.HANDSHAKE} if version == "TLSv1.2" and direction == "sent" else set[int]()
    if until is not None:
        events = list(takewhile(lambda event: not _is_data_after(event, until), events))
    return sum(
        event.size
        for event in events
        if isinstance(event, RecordSeen)
        and event.direction == direction
        and (
            until is None
            or event.at_ns <= until
            or event.epoch != "application"
            or event.content_type in late
        )
    )


def _is_data_after(event: TraceEvent, until: int) -> bool:
    """Return whether the handshake is over: later messages belong to a renegotiation."""
    return (
        isinstance(event, RecordSeen)
        and event.at_ns > until
        and event.content_type == ContentType.APPLICATION_DATA
        and event.epoch == "application"
    )


def _answer_ns(events: Sequence[TraceEvent], question: str) -> int | None:
    times = [
        event.elapsed_ns
        for event in events
        if isinstance(event, QuestionAnswered) and event.question == question
    ]
    return sum(times) if times else None
