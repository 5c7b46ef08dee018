"""The figures of one recorded handshake, read from its own messages by the library's own codec."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from handclasp.errors import ProtocolError
from handclasp.info import ConnectionInfo
from handclasp.trace.events import (
    MessageSeen,
    QuestionAnswered,
    RecordSeen,
    Settled,
    TraceEvent,
)
from handclasp.wire import extensions, messages
from handclasp.wire.compression import (
    COMPRESSION_ALGORITHMS,
    DecompressionError,
    available_algorithms,
    certificate_within,
)
from handclasp.wire.iana import ExtensionType, HandshakeType, cipher_suite_name, group_name


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
        cipher_suites: what the (last) ClientHello offers, by name.
        client_shares: the public values in that hello.
        server_share: the public value in the ServerHello, or None where there was none.
        certificate_sizes: the certificates that the server sent, leaf first.
        handshake_ns: from the first message to the moment when this side was done; None if it
            never was.
        handshake_sent, handshake_received: bytes on the wire until then.
        sign_ns, verify_ns: how long signing and verifying the peer's certificates took here.
        info: what was agreed upon; None if nothing was.
    """

    role: str
    cipher_suites: tuple[str, ...]
    client_shares: tuple[Share, ...]
    server_share: Share | None
    certificate_sizes: tuple[int, ...]
    handshake_ns: int | None
    handshake_sent: int
    handshake_received: int
    sign_ns: int | None
    verify_ns: int | None
    info: ConnectionInfo | None


def facts_of(events: Sequence[TraceEvent]) -> Facts:
    """The facts of what a recorder noted; of a handshake that failed, as far as it came."""
    read = [message for event in _messages(events) if (message := message_of(event)) is not None]
    hellos = [message for message in read if isinstance(message, messages.ClientHello)]
    settled = next((event for event in events if isinstance(event, Settled)), None)
    role = role_of(events)
    return Facts(
        role=role,
        cipher_suites=tuple(map(cipher_suite_name, hellos[-1].cipher_suites)) if hellos else (),
        client_shares=client_shares_of(hellos[-1]) if hellos else (),
        server_share=next(
            (
                server_share_of(message)
                for message in read
                if isinstance(message, messages.ServerHello) and not message.is_hello_retry_request
            ),
            None,
        ),
        certificate_sizes=_server_certificate_sizes(events, role),
        handshake_ns=_handshake_ns(events, settled),
        handshake_sent=_wire_bytes(events, settled, "sent"),
        handshake_received=_wire_bytes(events, settled, "received"),
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
    """Which side recorded: a client sends the first hello, a server receives it."""
    first = next(_messages(events), None)
    return "server" if first is not None and first.direction == "received" else "client"


def sender_of(event: MessageSeen, role: str) -> str:
    """The role of whoever sent the message, seen from the recording side's role."""
    if event.direction == "sent":
        return role
    return "client" if role == "server" else "server"


def message_of(event: MessageSeen) -> messages.Message | None:
    """The value of a recorded message; None where it does not follow its definition."""
    if not event.raw:
        return None
    try:
        return messages.read_message(event.raw)
    except ProtocolError:
        return None


def client_shares_of(hello: messages.ClientHello) -> tuple[Share, ...]:
    """The public values in a ClientHello, without those of reserved groups (RFC 8701)."""
    data = hello.extensions.get(ExtensionType.KEY_SHARE)
    try:
        entries = extensions.read_key_share_client_hello(data) if data is not None else ()
    except ProtocolError:
        return ()
    shares = [Share(group_name(entry.group), len(entry.key_exchange)) for entry in entries]
    return tuple(share for share in shares if not share.group.startswith("GREASE"))


def server_share_of(hello: messages.ServerHello) -> Share | None:
    """The public value in a ServerHello."""
    data = hello.extensions.get(ExtensionType.KEY_SHARE)
    if data is None:
        return None
    try:
        entry = extensions.read_key_share_server_hello(data)
    except ProtocolError:
        return None
    return Share(group_name(entry.group), len(entry.key_exchange))


def certificate_of(message: messages.Message | None) -> messages.Certificate | None:
    """A Certificate, also if it came compressed (RFC 8879) and can be read here."""
    if isinstance(message, messages.Certificate):
        return message
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


_CERTIFICATE_TYPES = (HandshakeType.CERTIFICATE, HandshakeType.COMPRESSED_CERTIFICATE)
_MOST_INFLATED = 2**17
"""Bytes: as much as `Limits.certificate` allows unless it is changed."""


def _messages(events: Sequence[TraceEvent]) -> Iterator[MessageSeen]:
    return (event for event in events if isinstance(event, MessageSeen))


def _server_certificate_sizes(events: Sequence[TraceEvent], role: str) -> tuple[int, ...]:
    for event in _messages(events):
        is_certificate = event.message_type in _CERTIFICATE_TYPES
        if is_certificate and sender_of(event, role) == "server":
            certificate = certificate_of(message_of(event))
            if certificate is not None:
                return tuple(len(entry.cert_data) for entry in certificate.certificate_list)
    return ()


def _handshake_ns(events: Sequence[TraceEvent], settled: Settled | None) -> int | None:
    first = next(_messages(events), None)
    return settled.at_ns - first.at_ns if settled is not None and first is not None else None


def _wire_bytes(events: Sequence[TraceEvent], settled: Settled | None, direction: str) -> int:
    """A record that leaves right after the last step still belongs to the handshake."""
    until = settled.at_ns if settled is not None else None
    return sum(
        event.size
        for event in events
        if isinstance(event, RecordSeen)
        and event.direction == direction
        and (until is None or event.at_ns <= until or event.epoch != "application")
    )


def _answer_ns(events: Sequence[TraceEvent], question: str) -> int | None:
    times = [
        event.elapsed_ns
        for event in events
        if isinstance(event, QuestionAnswered) and event.question == question
    ]
    return sum(times) if times else None
