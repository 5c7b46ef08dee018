"""The facts that the recording side knew at the failure, read from its messages.

>>> from handclasp.story.situation import situation_of
>>> recorder = Recorder()
>>> handclasp.connect("example.com", 443, trace=recorder).close()
>>> situation_of(recorder.events).role
'client'
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from handclasp.alerts import (
    ABOUT_CERTIFICATES,
    ClientAuthStatus,
    OwnChain,
    RejectedEch,
    Situation,
    Stage,
)
from handclasp.certificates.describe import chain_in_words, covers_name
from handclasp.errors import ProtocolError
from handclasp.faults.large_hello import is_large_hello, is_within_machine
from handclasp.iana import (
    EMPTY_RENEGOTIATION_INFO_SCSV,
    AlertDescription,
    ExtensionType,
    HandshakeType,
    certificate_type_name,
    cipher_suite_name,
    cipher_suite_names,
    group_names,
    meant,
    signature_scheme_names,
    version_name,
    version_names,
)
from handclasp.story.clock import CERTIFICATE_MESSAGES, believable_time
from handclasp.story.facts import observed_in, role_of
from handclasp.story.recorded import certificate_within_message, chain_in, message_of, version_of
from handclasp.trace.events import (
    AlertSeen,
    BytesMissing,
    HandshakeResult,
    InnerHello,
    MessageSeen,
    RecordSeen,
    TraceEvent,
    TransportSeen,
)
from handclasp.values import dataclass
from handclasp.wire import extensions, messages
from handclasp.wire.ech import read_ech_config_list, read_encrypted_client_hello


def situation_of(events: Sequence[TraceEvent]) -> Situation:
    """Return the facts that the recording side knew at the end, read from the messages."""
    role = role_of(events)
    hello = _last_hello(events)
    answer = _answer(events)
    settled = any(isinstance(event, HandshakeResult) for event in events)
    stage: Stage = "established" if settled else "handshake"
    if role == "client" and answer is None:
        stage = "hello"
    offer = _offer_of(hello) if hello is not None else _Offer()
    own = OwnChain(*chain_in_words(chain := _chain_shown(events)))
    own_schemes = offer.certificate_schemes if role == "client" else ()
    return Situation(
        role=role,
        stage=stage,
        version=version_of(answer) if answer is not None else None,
        versions=offer.versions,
        offers_psk=None if hello is None else ExtensionType.PRE_SHARED_KEY in hello.extensions,
        hello_is_large=stage == "hello" and _is_large(events, offer.groups),
        offers_ech=_offers_ech(hello, events),
        rejected_ech=_rejected_ech(hello, events) if role == "server" else None,
        is_part_unseen=_is_part_unseen(role, events),
        lacks_renegotiation_info=_lacks_renegotiation_info(hello, answer),
        offers_up_to=hello is not None and ExtensionType.SUPPORTED_VERSIONS not in hello.extensions,
        cipher_suites=offer.cipher_suites,
        groups=offer.groups,
        signature_schemes=offer.signature_schemes,
        alpn=offer.alpn,
        server_name=offer.server_name,
        certificate=_certificate(events),
        certificate_schemes=own_schemes,
        declined_renegotiation=_has_declined(events),
        external_key=_has_external_key(hello if stage == "hello" else None, answer, events),
        chain=own,
        is_for_name=covers_name(chain, offer.server_name) if role == "server" else None,
        is_stapled=_is_stapled(events),
        now=believable_time(events, own.validity),
        server_certificate_types=offer.server_types if hello is not None else (),
        client_certificate_types=offer.client_types if hello is not None else (),
    )


def _rejected_ech(
    hello: messages.ClientHello | None, events: Sequence[TraceEvent]
) -> RejectedEch | None:
    """Return what the server did not open, if it sent configurations in return."""
    answers = (
        message_of(event)
        for event in events
        if isinstance(event, MessageSeen)
        and event.message_type == HandshakeType.ENCRYPTED_EXTENSIONS
    )
    answer = next(answers, None)
    offered = _ech_in(hello.extensions) if hello is not None else None
    sent = _ech_in(answer.extensions) if isinstance(answer, messages.EncryptedExtensions) else None
    if not offered or not sent:
        return None
    try:
        encrypted = read_encrypted_client_hello(offered)
        configs = read_ech_config_list(sent)
    except ProtocolError:
        return None
    if encrypted is None:
        return None
    return RejectedEch(encrypted.config_id, tuple([each.config_id for each in configs]))


def _ech_in(found: Mapping[int, bytes]) -> bytes | None:
    return found.get(ExtensionType.ENCRYPTED_CLIENT_HELLO)


def _offers_ech(hello: messages.ClientHello | None, events: Sequence[TraceEvent]) -> bool:
    """Return whether another hello may be encrypted in this one.

    A client knows whether its own extension is GREASE (RFC 9849 section 6.2); others do not.
    """
    if hello is None or ExtensionType.ENCRYPTED_CLIENT_HELLO not in hello.extensions:
        return False
    if role_of(events) == "client" and observed_in(events) is None:
        return any(isinstance(event, InnerHello) for event in events)
    return True


def _lacks_renegotiation_info(
    hello: messages.ClientHello | None, answer: messages.ServerHello | None
) -> bool:
    """Return whether a server of TLS 1.2 or older left out renegotiation_info although a client
    asked for it (RFC 5746 section 3.4).
    """
    if hello is None or answer is None or (version_of(answer) or "").startswith("TLSv1.3"):
        return False
    asks = (
        ExtensionType.RENEGOTIATION_INFO in hello.extensions
        or EMPTY_RENEGOTIATION_INFO_SCSV in hello.cipher_suites
    )
    return asks and ExtensionType.RENEGOTIATION_INFO not in answer.extensions


def _has_declined(events: Sequence[TraceEvent]) -> bool:
    """Return whether this side refused a renegotiation."""
    return any(
        isinstance(event, AlertSeen)
        and event.direction == "sent"
        and event.description == AlertDescription.NO_RENEGOTIATION_RESERVED
        for event in events
    )


def _has_external_key(
    hello: messages.ClientHello | None,
    answer: messages.ServerHello | None,
    events: Sequence[TraceEvent],
) -> bool:
    """Return whether an external pre-shared key is in use, or is offered in the last hello.

    RFC 8446 section 4.2.11: a key that belongs to no ticket has the age 0.
    """
    settled = next((event for event in events if isinstance(event, HandshakeResult)), None)
    if settled is not None and settled.info.psk_identity is not None:
        return True
    if answer is not None:
        suite = cipher_suite_name(answer.cipher_suite)
        return version_of(answer) == "TLSv1.2" and "PSK_WITH_" in suite
    data = hello.extensions.get(ExtensionType.PRE_SHARED_KEY) if hello is not None else None
    try:
        offered = extensions.read_offered_psks(data) if data is not None else None
    except ProtocolError:
        return False
    return offered is not None and any(
        not each.obfuscated_ticket_age for each in offered.identities
    )


@dataclass(slots=True)
class _Offer:
    """The content of a ClientHello, by name."""

    versions: tuple[str, ...] = ()
    cipher_suites: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    signature_schemes: tuple[str, ...] = ()
    alpn: tuple[str, ...] = ()
    server_name: str | None = None
    certificate_schemes: tuple[str, ...] = ()
    server_types: tuple[str, ...] = ("X509",)
    client_types: tuple[str, ...] = ("X509",)


_NAMES_OF_EXTENSIONS: Mapping[ExtensionType, str] = {
    ExtensionType.SUPPORTED_VERSIONS: "versions",
    ExtensionType.SUPPORTED_GROUPS: "groups",
    ExtensionType.SIGNATURE_ALGORITHMS: "signature_schemes",
    ExtensionType.SIGNATURE_ALGORITHMS_CERT: "certificate_schemes",
    ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION: "alpn",
    ExtensionType.SERVER_NAME: "server_name",
    ExtensionType.SERVER_CERTIFICATE_TYPE: "server_types",
    ExtensionType.CLIENT_CERTIFICATE_TYPE: "client_types",
}


def _offer_of(hello: messages.ClientHello) -> _Offer:
    offer = _Offer(
        versions=(version_name(hello.legacy_version),),
        cipher_suites=tuple(
            name
            for name in meant(cipher_suite_names(hello.cipher_suites))
            if name.startswith("TLS_")
        ),
    )
    for kind, name in _NAMES_OF_EXTENSIONS.items():
        data = hello.extensions.get(kind)
        if data is not None:
            try:
                setattr(offer, name, _extension_value(kind, data))
            except ProtocolError:
                continue
    return offer


def _extension_value(kind: ExtensionType, data: bytes) -> tuple[str, ...] | str | None:
    match kind:
        case ExtensionType.SUPPORTED_VERSIONS:
            names = version_names(sorted(extensions.read_supported_versions(data)))
            return tuple(name for name in names if name.startswith(("TLS", "SSL")))
        case ExtensionType.SUPPORTED_GROUPS:
            return meant(group_names(extensions.read_supported_groups(data)))
        case ExtensionType.SIGNATURE_ALGORITHMS | ExtensionType.SIGNATURE_ALGORITHMS_CERT:
            schemes = extensions.read_signature_algorithms(data)
            return meant(signature_scheme_names(schemes))
        case ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION:
            return tuple(map(_printable, extensions.read_alpn(data)))
        case ExtensionType.SERVER_CERTIFICATE_TYPE | ExtensionType.CLIENT_CERTIFICATE_TYPE:
            codes = extensions.read_certificate_types(data, kind.name.lower())
            return tuple(map(certificate_type_name, codes))
        case _:
            name = extensions.read_server_name(data)
            return None if name is None else _printable(name.encode("utf-8", "backslashreplace"))


def _printable(name: bytes) -> str:
    """Return a peer's name, escaped: it must not reach a terminal as it is."""
    return "".join(chr(octet) if 32 <= octet < 127 else f"\\x{octet:02x}" for octet in name)


def _certificate(events: Sequence[TraceEvent]) -> ClientAuthStatus:
    is_hidden = False
    alert = None
    for event in events:
        if isinstance(event, MessageSeen) and event.direction == "sent":
            if event.message_type == HandshakeType.COMPRESSED_CERTIFICATE:
                return "shown"
            if event.message_type == HandshakeType.CERTIFICATE:
                return "shown" if len(event.raw) > _EMPTY_CERTIFICATE else "withheld"
        elif isinstance(event, RecordSeen) and event.direction == "sent":
            # In a capture without keys, its content is hidden.
            is_hidden = is_hidden or (event.epoch == "handshake" and event.content_size is None)
        elif isinstance(event, AlertSeen) and event.direction == "received":
            alert = event.description
    # What a capture does not show, the other end has seen, and its alert tells of it.
    if is_hidden or _may_be_unseen(events):
        if alert == AlertDescription.CERTIFICATE_REQUIRED:
            return "withheld"
        if is_hidden or alert in _OF_A_CERTIFICATE:
            return "shown"
    return "unasked"


def _may_be_unseen(events: Sequence[TraceEvent]) -> bool:
    """Return whether a capture lets nobody say that this side has sent no certificate."""
    observed = observed_in(events)
    if observed is None:
        return False
    sent = {
        event.message_type
        for event in events
        if isinstance(event, MessageSeen) and event.direction == "sent"
    }
    return not sent or (bool(observed.not_seen) and sent.isdisjoint(_AFTER_A_CERTIFICATE))


def _is_part_unseen(role: str, events: Sequence[TraceEvent]) -> bool:
    """Return whether a capture lacks the hello of this side, or other bytes that it sent."""
    if observed_in(events) is None:
        return False
    first = HandshakeType.CLIENT_HELLO if role == "client" else HandshakeType.SERVER_HELLO
    sent = [each for each in events if getattr(each, "direction", "") == "sent"]
    has_hello = any(isinstance(each, MessageSeen) and each.message_type == first for each in sent)
    return not has_hello or any(isinstance(each, BytesMissing) for each in sent)


# Each of these comes after the certificate of its end.
_AFTER_A_CERTIFICATE = (
    HandshakeType.SERVER_HELLO_DONE,
    HandshakeType.CLIENT_KEY_EXCHANGE,
    HandshakeType.FINISHED,
)
_OF_A_CERTIFICATE = ABOUT_CERTIFICATES - {
    AlertDescription.HANDSHAKE_FAILURE,
    AlertDescription.DECRYPT_ERROR,
}


def _is_stapled(events: Sequence[TraceEvent]) -> bool | None:
    """Return whether this side has sent an OCSP response; None if that is unknown."""
    found: bool | None = None
    for event in events:
        if not isinstance(event, MessageSeen) or event.direction != "sent":
            continue
        if event.message_type == HandshakeType.CERTIFICATE_STATUS:
            return True
        if event.message_type in CERTIFICATE_MESSAGES:
            message = message_of(event)
            if isinstance(message, messages.CompressedCertificate):
                message = certificate_within_message(message)
            if message is None:
                return None
            # In TLS 1.2 it is a message of its own.
            entries = message.certificate_list if isinstance(message, messages.Certificate) else ()
            found = any(ExtensionType.STATUS_REQUEST in entry.extensions for entry in entries)
    return found


def _chain_shown(events: Sequence[TraceEvent]) -> tuple[bytes, ...]:
    for event in events:
        if (
            isinstance(event, MessageSeen)
            and event.direction == "sent"
            and event.message_type in CERTIFICATE_MESSAGES
        ):
            return chain_in(event.raw, event.epoch)
    return ()


_EMPTY_CERTIFICATE = 8
"""The largest size in bytes of a Certificate message without certificates."""


def _last_hello(events: Sequence[TraceEvent]) -> messages.ClientHello | None:
    for event in events[::-1]:
        if isinstance(event, MessageSeen) and event.message_type == HandshakeType.CLIENT_HELLO:
            message = message_of(event)
            return message if isinstance(message, messages.ClientHello) else None
    return None


def _is_large(events: Sequence[TraceEvent], groups: Sequence[str]) -> bool:
    """Return whether the hello may take several packets on its way."""
    ends = next((each for each in events if isinstance(each, TransportSeen)), None)
    if ends is not None and is_within_machine((ends.local_address, ends.local_port)):
        return False
    return is_large_hello(_hello_size(events), groups)


def _hello_size(events: Sequence[TraceEvent]) -> int:
    sizes = [
        len(event.raw)
        for event in events
        if isinstance(event, MessageSeen) and event.message_type == HandshakeType.CLIENT_HELLO
    ]
    return sizes[-1] if sizes else 0


def _answer(events: Sequence[TraceEvent]) -> messages.ServerHello | None:
    for event in events:
        if isinstance(event, MessageSeen) and event.message_type == HandshakeType.SERVER_HELLO:
            message = message_of(event)
            if isinstance(message, messages.ServerHello) and not message.is_hello_retry_request:
                return message
    return None
