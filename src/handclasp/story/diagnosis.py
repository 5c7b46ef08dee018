"""Why a recorded handshake failed: the cause, the bytes that show it, whose fault it is.

`diagnose` looks at nothing but the events, so it serves a live connection, a trace that was read
back and a capture of other programs alike. What the library found itself is in the trace as
`Failed`; an alert of the peer is read in the light of what this side had offered and shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from handclasp.alerts import Cause, ClientAuthStatus, OwnChain, Situation, Stage, likely_causes
from handclasp.certificates.describe import chain_in_words, covers_name, field_in_words
from handclasp.certificates.fields import field_in
from handclasp.errors import PeerAlertError, ProtocolError
from handclasp.faults import Blame, Fault, Verdict, fault_named
from handclasp.story.facts import (
    certificate_within_message,
    chain_in,
    message_of,
    role_of,
    version_of,
)
from handclasp.story.fields import Field, fields_of
from handclasp.trace.events import (
    AlertSeen,
    BytesRefused,
    Failed,
    HandshakeResult,
    MessageSeen,
    RecordSeen,
    TraceEvent,
    TransportEnded,
)
from handclasp.wire import extensions, messages
from handclasp.wire.iana import (
    AlertDescription,
    ContentType,
    ExtensionType,
    HandshakeType,
    alert_name,
    certificate_type_name,
    cipher_suite_name,
    cipher_suite_names,
    group_names,
    meant,
    signature_scheme_names,
    version_name,
    version_names,
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Bytes that show the cause.

    Attributes:
        what: where they stand, such as "cipher_suites in the client's ClientHello".
        says: what they mean, in words.
        octets: the bytes, or the first `MOST_SHOWN` of them.
        size: how many there are.
        start: where they begin in the message; None where they stand in none.
        section: where they are defined.
        at: the index of the event that holds them.
    """

    what: str
    says: str
    octets: bytes = field(repr=False)
    size: int
    start: int | None
    section: str
    at: int


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The story of one failure, seen from the side that recorded.

    Attributes:
        fault: its name in the catalogue, or "PEER_" and the alert that was received.
        alert: the alert that was sent or received; empty where there was none.
        found_by: "local" or "peer": who gave up.
        cause: what happened, in a sentence or two.
        blame: whose fault it is, as far as that can be known.
        condition: when it is somebody else's, or, where it is unclear, who it may be and why.
        fix: what to change on either end.
        others: what else may be behind it, where an alert has several causes.
        evidence: the bytes that show it.
        after_handshake: whether the handshake had been complete.
    """

    fault: str
    alert: str
    found_by: str
    cause: str
    blame: Blame
    condition: str
    fix: str
    others: tuple[Cause, ...]
    evidence: tuple[Evidence, ...]
    after_handshake: bool


TAKEN_OUT = "taken out by redact"
"""What evidence says of bytes that were replaced by zeros; see `handclasp.story.redact`."""

_LONGEST_NUMBER, _SIZE_IN_FRONT = 8, 3
"""Bytes up to which zeros may be a number; those of the size in front of a field, which stays."""

MOST_SHOWN = 48
"""Bytes of evidence that are shown; the trace has the rest."""


def diagnose(events: Sequence[TraceEvent]) -> Diagnosis | None:
    """The story of the failure in `events`; None where nothing failed."""
    failed = next((event for event in events if isinstance(event, Failed)), None)
    if failed is None:
        return None
    settled = any(isinstance(event, HandshakeResult) for event in events)
    situation = situation_of(events)
    evidence = tuple(_evidence(events, failed, situation))
    if failed.origin == "peer":
        number = _alert_number(events)
        error = PeerAlertError(number, situation)
        return Diagnosis(
            fault=failed.fault,
            alert=failed.alert,
            found_by="peer",
            cause=error.explanation,
            blame=error.blame,
            condition=error.condition,
            fix=error.fix,
            others=error.others,
            evidence=evidence,
            after_handshake=settled,
        )
    blame, condition = _verdict(failed, situation.role)
    return Diagnosis(
        fault=failed.fault,
        alert=failed.alert if _was_sent(failed.fault) else "",
        found_by="local",
        cause=failed.message,
        blame=blame,
        condition=condition,
        fix=failed.fix,
        others=(),
        evidence=evidence,
        after_handshake=settled,
    )


def _was_sent(fault: str) -> bool:
    """Traces of earlier versions name an alert of all faults, also where none was sent."""
    known = fault_named(fault)
    return known is None or known.sends_alert


def _verdict(failed: Failed, role: str) -> Verdict:
    """As it was noted; traces of earlier versions have no blame, or one that is not known."""
    try:
        if failed.blame:
            return Verdict(Blame(failed.blame), failed.condition)
        return Fault[failed.fault].verdict("server" if role == "server" else "client")
    except (KeyError, ValueError):
        return Verdict(Blame.UNCLEAR)


def situation_of(events: Sequence[TraceEvent]) -> Situation:
    """What the side that recorded knew at the end, read from the messages."""
    role = role_of(events)
    hello = _last_hello(events)
    answer = _answer(events)
    settled = any(isinstance(event, HandshakeResult) for event in events)
    stage: Stage = "established" if settled else "handshake"
    if role == "client" and answer is None:
        stage = "hello"
    offer = _offer_of(hello) if hello is not None else _Offer()
    chain = _chain_shown(events)
    own_schemes = offer.certificate_schemes if role == "client" else ()
    return Situation(
        role=role,
        stage=stage,
        version=version_of(answer) if answer is not None else None,
        versions=offer.versions,
        cipher_suites=offer.cipher_suites,
        groups=offer.groups,
        signature_schemes=offer.signature_schemes,
        alpn=offer.alpn,
        server_name=offer.server_name,
        certificate=_certificate(events),
        certificate_schemes=own_schemes,
        declined_renegotiation=_has_declined(events),
        external_key=_has_external_key(hello if stage == "hello" else None, answer, events),
        chain=OwnChain(*chain_in_words(chain)),
        is_for_name=covers_name(chain, offer.server_name) if role == "server" else None,
        is_stapled=_is_stapled(events),
        server_certificate_types=offer.server_types if hello is not None else (),
        client_certificate_types=offer.client_types if hello is not None else (),
    )


def _has_declined(events: Sequence[TraceEvent]) -> bool:
    """Whether this side was asked for a renegotiation, and said no."""
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
    """Whether the keys come from one that both were given, or one is offered in a last hello.

    RFC 8446 4.2.11: an age of 0 is that of a key which is no ticket's.
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
    """What a ClientHello holds, by name."""

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
    """A name that somebody made up, which must not reach a terminal as it is."""
    return "".join(chr(octet) if 32 <= octet < 127 else f"\\x{octet:02x}" for octet in name)


def _certificate(events: Sequence[TraceEvent]) -> ClientAuthStatus:
    for event in events:
        if isinstance(event, MessageSeen) and event.direction == "sent":
            if event.message_type == HandshakeType.COMPRESSED_CERTIFICATE:
                return "shown"
            if event.message_type == HandshakeType.CERTIFICATE:
                return "shown" if len(event.raw) > _EMPTY_CERTIFICATE else "withheld"
    return "unasked"


def _is_stapled(events: Sequence[TraceEvent]) -> bool | None:
    """Whether this side has sent an OCSP response; None where that cannot be told."""
    found: bool | None = None
    for event in events:
        if not isinstance(event, MessageSeen) or event.direction != "sent":
            continue
        if event.message_type == HandshakeType.CERTIFICATE_STATUS:
            return True
        if event.message_type in _CERTIFICATES:
            message = message_of(event)
            if isinstance(message, messages.CompressedCertificate):
                message = certificate_within_message(message)
            if message is None:
                return None
            # In TLS 1.2 it would be a message of its own.
            entries = message.certificate_list if isinstance(message, messages.Certificate) else ()
            found = any(ExtensionType.STATUS_REQUEST in entry.extensions for entry in entries)
    return found


def _chain_shown(events: Sequence[TraceEvent]) -> tuple[bytes, ...]:
    for event in events:
        if (
            isinstance(event, MessageSeen)
            and event.direction == "sent"
            and event.message_type in _CERTIFICATES
        ):
            return chain_in(event.raw, event.epoch)
    return ()


_CERTIFICATES = (HandshakeType.CERTIFICATE, HandshakeType.COMPRESSED_CERTIFICATE)

_EMPTY_CERTIFICATE = 8
"""Bytes of a Certificate message without a certificate, at most."""


def _last_hello(events: Sequence[TraceEvent]) -> messages.ClientHello | None:
    for event in events[::-1]:
        if isinstance(event, MessageSeen) and event.message_type == HandshakeType.CLIENT_HELLO:
            message = message_of(event)
            return message if isinstance(message, messages.ClientHello) else None
    return None


def _answer(events: Sequence[TraceEvent]) -> messages.ServerHello | None:
    for event in events:
        if isinstance(event, MessageSeen) and event.message_type == HandshakeType.SERVER_HELLO:
            message = message_of(event)
            if isinstance(message, messages.ServerHello) and not message.is_hello_retry_request:
                return message
    return None


def _alert_number(events: Sequence[TraceEvent]) -> int:
    numbers = [
        event.description
        for event in events
        if isinstance(event, AlertSeen)
        and event.direction == "received"
        and event.description != AlertDescription.CLOSE_NOTIFY
    ]
    return numbers[-1] if numbers else AlertDescription.INTERNAL_ERROR


# Evidence

_HELLO = "ClientHello"
_WHERE: Mapping[str, tuple[str, ...]] = {
    # The first of these fields that is there, in the last message of that name.
    "NO_SHARED_VERSION": ("supported_versions", "legacy_version"),
    "NO_SHARED_CIPHER_SUITE": ("cipher_suites",),
    "NO_SHARED_GROUP": ("supported_groups",),
    "NO_SHARED_SIGNATURE_SCHEME": ("signature_algorithms",),
    "NO_SHARED_APPLICATION_PROTOCOL": ("application_layer_protocol_negotiation",),
    "UNRECOGNIZED_NAME": ("server_name",),
    "NO_SHARED_CERTIFICATE_TYPE": (
        "server_certificate_type",
        "client_certificate_type",
        "extensions",
    ),
    "EXTENDED_MASTER_SECRET_MISSING": ("extensions",),
    "INAPPROPRIATE_FALLBACK": ("cipher_suites",),
}
_OF_CERTIFICATES = (
    "CERTIFICATE_",
    "BAD_CERTIFICATE",
    "UNSUPPORTED_CERTIFICATE",
    "CLIENT_CERTIFICATE_",
    "EMPTY_SERVER_CERTIFICATE",
    "PIN_MISMATCH",
    "TLSA_MISMATCH",
    "TIMESTAMPS_MISSING",
    "REVOCATION_UNKNOWN",
)


def is_of_certificates(fault: str) -> bool:
    """Whether a fault of the catalogue is about certificates."""
    return fault.startswith(_OF_CERTIFICATES)


_CONTENT_NAMES = {int(kind): kind.name.lower() for kind in ContentType}
_FROM_THE_WIRE = ("NOT_TLS", "PLAINTEXT_HTTP", "SSLV2_HELLO")
_ENDS = ("CLOSED_DURING_HANDSHAKE", "RESET_DURING_HANDSHAKE", "TRUNCATED", "HANDSHAKE_TIMEOUT")


def _evidence(
    events: Sequence[TraceEvent], failed: Failed, situation: Situation
) -> Iterator[Evidence]:
    if failed.origin == "peer":
        yield from _of_alert(events)
        causes = likely_causes(_alert_number(events), situation)
        is_one_of = bool(causes) and bool(causes[0].topic) and not causes[0].stands_out
        told = causes if is_one_of else causes[:1]
        for fault in dict.fromkeys([cause.fault for cause in told]):
            yield from _of_fault(events, fault, "sent", situation)
        return
    if failed.fault in _FROM_THE_WIRE:
        yield from _of_wire(events)
    elif failed.fault in _ENDS:
        yield from _of_end(events, failed.fault)
    else:
        where = failed.certificate, failed.field
        found = list(_of_fault(events, failed.fault, "received", situation, where))
        yield from found or _of_last(events)


def _of_fault(
    events: Sequence[TraceEvent],
    fault: str,
    direction: str,
    situation: Situation,
    where: tuple[int | None, str] = (None, ""),
) -> Iterator[Evidence]:
    """The field that a fault of the catalogue is about.

    Args:
        where: in which certificate that is, and in which field of it; what is not known is taken
            from the kind of fault.
    """
    if fault in _WHERE:
        kinds: tuple[HandshakeType, ...] = (HandshakeType.CLIENT_HELLO, HandshakeType.SERVER_HELLO)
        names = _WHERE[fault]
    elif is_of_certificates(fault):
        kinds = _CERTIFICATES
        names = ("certificate_list", "compressed_certificate_message")
    else:
        return
    for at in range(len(events) - 1, -1, -1):
        event = events[at]
        if (
            isinstance(event, MessageSeen)
            and event.direction == direction
            and event.message_type in kinds
        ):
            found = None
            if kinds is _CERTIFICATES:
                found = _in_certificate(event, at, fault, where, situation.role)
            if found is not None:
                yield found
            else:
                yield from _of_message(event, at, names, situation.role)
            return


_FIELDS: Mapping[str, tuple[str, ...]] = {
    # The first of these fields that the certificate has.
    "CERTIFICATE_EXPIRED": ("notAfter",),
    "CERTIFICATE_NOT_YET_VALID": ("notBefore",),
    "CERTIFICATE_NAME_MISMATCH": ("subjectAltName", "subject"),
    "CERTIFICATE_UNTRUSTED": ("issuer",),
    "CERTIFICATE_WRONG_PURPOSE": ("extKeyUsage", "keyUsage", "extensions"),
    "CERTIFICATE_REVOKED": ("serialNumber",),
    "REVOCATION_UNKNOWN": ("serialNumber",),
    "UNSUPPORTED_CERTIFICATE": ("subjectPublicKeyInfo",),
    "PIN_MISMATCH": ("subjectPublicKeyInfo",),
    "TLSA_MISMATCH": ("subjectPublicKeyInfo",),
}
"""Where the refusal itself does not say."""


def _in_certificate(
    event: MessageSeen, at: int, fault: str, where: tuple[int | None, str], role: str
) -> Evidence | None:
    """The field of one certificate in a message; None where there is none to point at."""
    number, given = where
    names = (given, "extensions") if given else _FIELDS.get(fault, ())
    if given and number is None:
        names = ("issuer",)  # It is in an authority's certificate here; the chain names that.
    chain = chain_in(event.raw, event.epoch)
    if number is None:
        number = len(chain) - 1 if names == ("issuer",) else 0
    if not 0 <= number < len(chain):
        return None
    der = chain[number]
    if der and not any(der) and fault != "BAD_CERTIFICATE":
        # It was read when that was found.
        # Of several fields, nobody knows any more which the certificate had.
        which = f"{names[0]} of " if len(names) == 1 else ""
        what = f"{which}{_whose(event, number, role)}"
        return Evidence(what, TAKEN_OUT, b"", 0, None, "", at)
    for name in names:
        found = field_in(der, name)
        if found is not None:
            start, end = found
            octets = der[start:end]
            # In a message that came compressed, it stands nowhere.
            inside = event.raw.find(der)
            place = None if inside < 0 else inside + start
            what = f"{name} of {_whose(event, number, role)}"
            says, section = field_in_words(der, name)
            return Evidence(what, says, octets[:MOST_SHOWN], len(octets), place, section, at)
    return None


def _whose(event: MessageSeen, number: int, role: str) -> str:
    other = "server" if role == "client" else "client"
    sender = role if event.direction == "sent" else other
    which = "the certificate" if number == 0 else f"certificate {number + 1}"
    return f"{which} in the {sender}'s Certificate"


def _of_message(event: MessageSeen, at: int, names: Sequence[str], role: str) -> Iterator[Evidence]:
    tree = fields_of(event.raw, event.epoch)
    other = "server" if role == "client" else "client"
    sender = role if event.direction == "sent" else other
    where = f"the {sender}'s {tree.name}"
    for name in names:
        found = _named(tree, name)
        if found is not None:
            yield _of_field(event, at, found, f"{name} in {where}")
            return
    yield _of_field(event, at, tree, where)


def _named(tree: Field, name: str) -> Field | None:
    if tree.name == name:
        return tree
    return next((found for part in tree.parts if (found := _named(part, name))), None)


def _of_field(event: MessageSeen, at: int, told: Field, what: str) -> Evidence:
    octets = event.raw[told.start : told.end]
    if len(octets) > _LONGEST_NUMBER and not any(octets[_SIZE_IN_FRONT:]):
        return Evidence(what, TAKEN_OUT, b"", 0, None, told.section, at)
    return Evidence(
        what, told.value, octets[:MOST_SHOWN], len(octets), told.start, told.section, at
    )


def _of_alert(events: Sequence[TraceEvent]) -> Iterator[Evidence]:
    number = _alert_number(events)
    for at in range(len(events) - 1, -1, -1):
        event = events[at]
        if (
            isinstance(event, AlertSeen)
            and event.direction == "received"
            and event.description == number
        ):
            octets = bytes([event.level & 0xFF, event.description & 0xFF])
            level = {1: "warning", 2: "fatal"}.get(event.level, f"level {event.level}")
            says = f"{level}, {alert_name(event.description)}"
            section = "RFC 8446 section 6"
            yield Evidence("the alert that was received", says, octets, 2, None, section, at)
            return


def _of_wire(events: Sequence[TraceEvent]) -> Iterator[Evidence]:
    """What came that is no TLS."""
    for at, event in enumerate(events):
        if isinstance(event, BytesRefused):
            octets = event.data[:MOST_SHOWN]
            says = "".join(chr(octet) if 32 <= octet < 127 else "." for octet in octets)
            size = len(event.data)
            yield Evidence("the first bytes that were received", says, octets, size, None, "", at)
            return


def _of_end(events: Sequence[TraceEvent], fault: str) -> Iterator[Evidence]:
    """How much had been said when it ended."""
    sizes = {"sent": 0, "received": 0}
    last, end = -1, -1
    for at, event in enumerate(events):
        if isinstance(event, RecordSeen):
            sizes[event.direction] += event.size
            last = at if event.direction == "received" else last
        elif isinstance(event, TransportEnded):
            end = at
    how = {
        "RESET_DURING_HANDSHAKE": "a TCP reset",
        "HANDSHAKE_TIMEOUT": "no more within the time",
    }.get(fault, "the end of the transport (FIN)")
    received = f"{sizes['received']:,} bytes in records" if sizes["received"] else "nothing"
    says = f"{received} received, {sizes['sent']:,} bytes sent before it"
    yield Evidence(how, says, b"", 0, None, "", max(end, last, 0))
    if last >= 0:
        yield from _of_last(events)


def _of_last(events: Sequence[TraceEvent]) -> Iterator[Evidence]:
    """What came last: a message that was read whole, or else a record that did not get so far."""
    for at in range(len(events) - 1, -1, -1):
        event = events[at]
        if isinstance(event, MessageSeen) and event.direction == "received":
            yield from _of_message(event, at, (), role_of(events))
            return
        if isinstance(event, RecordSeen) and event.direction == "received":
            name = _CONTENT_NAMES.get(event.content_type, f"content type {event.content_type}")
            says = f"{name}, {event.size:,} bytes with its header, {event.epoch} keys"
            if event.epoch == "plaintext":
                says = f"{name}, {event.size:,} bytes with its header, in the clear"
            octets = event.wire[:MOST_SHOWN]
            size = event.size
            yield Evidence("the record that came last", says, octets, size, None, "", at)
            return
