"""The figures of one recorded handshake, read from its own messages by the library's own codec."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile
from typing import Literal, TypeVar

from handclasp.errors import ProtocolError
from handclasp.info import ConnectionInfo
from handclasp.trace.events import (
    AlertSeen,
    Began,
    MessageSeen,
    QuestionAnswered,
    RecordSeen,
    Settled,
    TraceEvent,
)
from handclasp.wire import extensions, messages, messages12
from handclasp.wire.codecs import AnyMessage, read_message12
from handclasp.wire.compression import (
    COMPRESSION_ALGORITHMS,
    DecompressionError,
    available_algorithms,
    certificate_within,
)
from handclasp.wire.iana import (
    ContentType,
    ExtensionType,
    HandshakeType,
    cipher_suite_name,
    cipher_suite_names,
    group_name,
    version_name,
)
from handclasp.wire.reader import Opener, Reader

KeyExchange = Literal["agreement", "transport"]
"""Both sides give a public half of the secret; or the client makes it, and encrypts it to the key
in the server's certificate (RSA key transport, TLS 1.2 alone)."""

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Share:
    """A public value of the key exchange: its group, and its size in bytes."""

    group: str
    size: int

    def __str__(self) -> str:
        return f"{self.group} ({self.size:,} bytes)"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a recorded handshake was made of. Sizes are in bytes, times in nanoseconds.

    Attributes:
        role: "client" or "server": the side that recorded.
        version: what the server took, such as "TLSv1.3"; None if it came to no ServerHello.
        cipher_suites: what the (last) ClientHello offers, by name.
        key_exchange: how the two came to one secret; None if it came to no ServerHello.
        client_shares: the public values in that hello; in TLS 1.2 the one in ClientKeyExchange.
        server_share: the public value in the ServerHello, or in TLS 1.2 in the ServerKeyExchange;
            None where there was none.
        encrypted_secret_size: the secret that the client made, as it was sent; None where it made
            none.
        certificate_sizes: the certificates that the server sent, leaf first.
        round_trips: how often the client had to wait for the server before it was done.
        handshake_ns: from the first message to the moment when this side was done; None if it
            never was.
        handshake_sent, handshake_received: bytes on the wire until then.
        sign_ns, verify_ns: how long signing and verifying the peer's certificates took here.
        info: what was agreed upon; None if nothing was.
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


def facts_of(events: Sequence[TraceEvent]) -> Facts:
    """The facts of what a recorder noted; of a handshake that failed, as far as it came."""
    read = _handshake_messages(events)
    hello = _last(read, messages.ClientHello)
    answer = _last(read, messages.ServerHello)
    if answer is not None and answer.is_hello_retry_request:
        answer = None
    version = version_of(answer) if answer is not None else None
    key_exchange = key_exchange_of(answer) if answer is not None else None
    server_key_exchange = _last(read, messages12.ServerKeyExchange)
    client_key_exchange = _last(read, messages12.ClientKeyExchange)
    client_shares = client_shares_of(hello) if hello is not None else ()
    server_share = server_share_of(answer) if answer is not None else None
    encrypted_secret_size: int | None = None
    if version == "TLSv1.2":
        server_share = server_share_of(server_key_exchange) if server_key_exchange else None
        client_shares = _shares12(client_key_exchange, server_share)
        if client_key_exchange is not None and key_exchange == "transport":
            encrypted_secret_size = encrypted_secret_size_of(client_key_exchange)
    settled = next((event for event in events if isinstance(event, Settled)), None)
    role = role_of(events)
    return Facts(
        role=role,
        version=version,
        cipher_suites=cipher_suite_names(hello.cipher_suites) if hello else (),
        key_exchange=key_exchange,
        client_shares=client_shares,
        server_share=server_share,
        encrypted_secret_size=encrypted_secret_size,
        certificate_sizes=_server_certificate_sizes(events, role),
        round_trips=_round_trips(events, role),
        handshake_ns=_handshake_ns(events, settled),
        handshake_sent=_wire_bytes(events, settled, "sent", version),
        handshake_received=_wire_bytes(events, settled, "received", version),
        sign_ns=_answer_ns(events, "Sign"),
        verify_ns=_answer_ns(events, "VerifyPeer"),
        info=settled.info if settled is not None else None,
    )


def certificate_was_requested(events: Sequence[TraceEvent]) -> bool:
    """Whether the server asked the client for a certificate (RFC 8446 section 4.3.2)."""
    return any(
        event.message_type == HandshakeType.CERTIFICATE_REQUEST for event in _messages(events)
    )


def role_of(events: Sequence[TraceEvent]) -> str:
    """Which side recorded, as it says; else: a client sends the first hello, a server gets it."""
    for event in events:
        if isinstance(event, Began):
            return event.role
    first = next(_messages(events), None)
    return "server" if first is not None and first.direction == "received" else "client"


def sender_of(event: MessageSeen | RecordSeen | AlertSeen, role: str) -> str:
    """The role of whoever sent it, seen from the recording side's role."""
    if event.direction == "sent":
        return role
    return "client" if role == "server" else "server"


def message_of(event: MessageSeen) -> AnyMessage | None:
    """The value of a recorded message; None where it does not follow its definition."""
    if not event.raw:
        return None
    try:
        return read_recorded(event.raw, event.epoch)
    except ProtocolError:
        return None


def read_recorded(raw: bytes, epoch: str, opener: Opener = Reader) -> AnyMessage:
    """The value of a message that was recorded in an epoch. Raises `ProtocolError`.

    A type number alone does not say which form a message has. But in TLS 1.3 nothing except the
    hellos is ever in the clear, and what TLS 1.2 sends under its keys has the same form in both.
    """
    is_of_tls12 = epoch == "plaintext" or raw[0] == HandshakeType.HELLO_REQUEST
    if is_of_tls12 and raw[0] not in _HELLOS:
        return read_message12(raw, opener)
    return messages.read_message(raw, opener)


def version_of(hello: messages.ServerHello) -> str | None:
    """The name of the version that the server took (RFC 8446 section 4.2.1)."""
    data = hello.extensions.get(ExtensionType.SUPPORTED_VERSIONS)
    try:
        number = extensions.read_selected_version(data) if data is not None else None
    except ProtocolError:
        return None
    return version_name(hello.legacy_version if number is None else number)


def key_exchange_of(hello: messages.ServerHello) -> KeyExchange:
    """How the two sides come to one secret: in TLS 1.2 the cipher suite says so."""
    is_transport = cipher_suite_name(hello.cipher_suite).startswith("TLS_RSA_WITH_")
    return "transport" if is_transport else "agreement"


def client_shares_of(hello: messages.ClientHello) -> tuple[Share, ...]:
    """The public values in a ClientHello, without those of reserved groups (RFC 8701)."""
    data = hello.extensions.get(ExtensionType.KEY_SHARE)
    try:
        entries = extensions.read_key_share_client_hello(data) if data is not None else ()
    except ProtocolError:
        return ()
    shares = [Share(group_name(entry.group), len(entry.key_exchange)) for entry in entries]
    return tuple(share for share in shares if not share.group.startswith("GREASE"))


def server_share_of(message: messages.ServerHello | messages12.ServerKeyExchange) -> Share | None:
    """The public value in a ServerHello, or in TLS 1.2 in a ServerKeyExchange."""
    if isinstance(message, messages12.ServerKeyExchange):
        return Share(group_name(message.group), len(message.point))
    data = message.extensions.get(ExtensionType.KEY_SHARE)
    if data is None:
        return None
    try:
        entry = extensions.read_key_share_server_hello(data)
    except ProtocolError:
        return None
    return Share(group_name(entry.group), len(entry.key_exchange))


def encrypted_secret_size_of(message: messages12.ClientKeyExchange) -> int | None:
    """How many bytes the encrypted secret has in a ClientKeyExchange of RSA key transport."""
    try:
        return len(messages12.read_encrypted_secret(message.exchange_keys))
    except ProtocolError:
        return None


def certificate_sizes_of(message: AnyMessage | None) -> tuple[int, ...] | None:
    """The sizes of the certificates in a message; None where there are none to be read."""
    certificates = certificates_of(message)
    return None if certificates is None else tuple(map(len, certificates))


def certificates_of(message: AnyMessage | None) -> tuple[bytes, ...] | None:
    """The certificates in a message, as DER; None where there are none to be read.

    A Certificate of either version is read, also if it came compressed (RFC 8879).
    """
    if isinstance(message, messages12.Certificate12):
        return message.certificate_list
    if isinstance(message, messages.CompressedCertificate):
        message = certificate_within_message(message)
    if isinstance(message, messages.Certificate):
        return tuple(entry.cert_data for entry in message.certificate_list)
    return None


def chain_in(raw: bytes, epoch: str) -> tuple[bytes, ...]:
    """The same of a message as it was recorded in an epoch; none where it cannot be read."""
    if not raw:
        return ()
    try:
        return certificates_of(read_recorded(raw, epoch)) or ()
    except ProtocolError:
        return ()


def certificate_within_message(message: AnyMessage | None) -> messages.Certificate | None:
    """The Certificate in a CompressedCertificate (RFC 8879); None where it cannot be unpacked."""
    if not isinstance(message, messages.CompressedCertificate):
        return None
    # What was refused is recorded, too, and must not be inflated now.
    if message.uncompressed_length > _MOST_INFLATED:
        return None
    for name in available_algorithms():
        if COMPRESSION_ALGORITHMS[name] == message.algorithm:
            try:
                return certificate_within(message, name)
            except (DecompressionError, ProtocolError):
                return None
    return None


_HELLOS = (HandshakeType.CLIENT_HELLO, HandshakeType.SERVER_HELLO)
_CERTIFICATE_TYPES = (HandshakeType.CERTIFICATE, HandshakeType.COMPRESSED_CERTIFICATE)
_MOST_INFLATED = 2**17
"""Bytes: as much as `Limits.certificate` allows unless it is changed."""


def _messages(events: Sequence[TraceEvent]) -> Iterator[MessageSeen]:
    return (event for event in events if isinstance(event, MessageSeen))


def _handshake_messages(events: Sequence[TraceEvent]) -> list[AnyMessage]:
    """What can be read, without a hello for a renegotiation, which never takes place."""
    return [
        message
        for event in _messages(events)
        if not (event.message_type in _HELLOS and event.epoch == "application")
        and (message := message_of(event)) is not None
    ]


def _last(read: Sequence[AnyMessage], kind: type[M]) -> M | None:
    return next((message for message in reversed(read) if isinstance(message, kind)), None)


def _shares12(
    message: messages12.ClientKeyExchange | None, server_share: Share | None
) -> tuple[Share, ...]:
    """The client's public value in TLS 1.2: its group is the one that the server named."""
    if message is None or server_share is None:
        return ()
    try:
        point = messages12.read_ecdh_point(message.exchange_keys)
    except ProtocolError:
        return ()
    return (Share(server_share.group, len(point)),)


def _server_certificate_sizes(events: Sequence[TraceEvent], role: str) -> tuple[int, ...]:
    for event in _messages(events):
        is_certificate = event.message_type in _CERTIFICATE_TYPES
        if is_certificate and sender_of(event, role) == "server":
            sizes = certificate_sizes_of(message_of(event))
            if sizes is not None:
                return sizes
    return ()


def _round_trips(events: Sequence[TraceEvent], role: str) -> int:
    """The server's flights until this side was done: the client waits for each of them."""
    until_done = takewhile(lambda event: not isinstance(event, Settled), events)
    # Nobody waits for tickets, which a server may send before it is done itself.
    senders = [
        sender_of(event, role)
        for event in until_done
        if isinstance(event, MessageSeen) and event.message_type != HandshakeType.NEW_SESSION_TICKET
    ]
    return sum(sender == "server" for sender, _ in groupby(senders))


def _handshake_ns(events: Sequence[TraceEvent], settled: Settled | None) -> int | None:
    first = next(_messages(events), None)
    return settled.at_ns - first.at_ns if settled is not None and first is not None else None


def _wire_bytes(
    events: Sequence[TraceEvent], settled: Settled | None, direction: str, version: str | None
) -> int:
    """A record that leaves right after the last step still belongs to the handshake.

    In TLS 1.2 that is a server's Finished, which is under the keys of application data already.
    """
    until = settled.at_ns if settled is not None else None
    late = {ContentType.HANDSHAKE} if version == "TLSv1.2" and direction == "sent" else set[int]()
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


def _answer_ns(events: Sequence[TraceEvent], question: str) -> int | None:
    times = [
        event.elapsed_ns
        for event in events
        if isinstance(event, QuestionAnswered) and event.question == question
    ]
    return sum(times) if times else None
