"""The bytes that show why a handshake failed.

>>> from handclasp.story.evidence import Evidence, alert_number, evidence_of, is_of_certificates
>>> from handclasp.story.situation import situation_of
>>> recorder = Recorder()
>>> try:
...     handclasp.connect("example.com", 443, ClientConfig(alpn=["pop3"]), trace=recorder)
... except TLSError:
...     failed = recorder.events[-1]
>>> is_of_certificates(failed.fault), alert_number(recorder.events)
(False, 120)
>>> evidence: Evidence
>>> for evidence in evidence_of(recorder.events, failed, situation_of(recorder.events)):
...     print(evidence.what, evidence.octets.hex())
the alert that was received 0278
application_layer_protocol_negotiation in the client's ClientHello 00100007000504706f7033
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from handclasp.alerts import Situation, likely_causes
from handclasp.certificates.describe import field_in_words
from handclasp.certificates.fields import field_in
from handclasp.iana import AlertDescription, ContentType, HandshakeType, alert_name
from handclasp.story.clock import CERTIFICATE_MESSAGES
from handclasp.story.facts import role_of
from handclasp.story.fields import Field, fields_of
from handclasp.story.recorded import chain_in
from handclasp.trace.events import (
    AlertSeen,
    BytesRefused,
    Failed,
    MessageSeen,
    RecordSeen,
    TraceEvent,
    TransportEnded,
)
from handclasp.values import dataclass, field


@dataclass(frozen=True, slots=True)
class Evidence:
    """Bytes that show the cause of a failure.

    Attributes:
        what: their place, such as "cipher_suites in the client's ClientHello".
        says: their meaning, in words.
        octets: the bytes, or the first `MOST_SHOWN` of them.
        size: the number of all bytes.
        start: their offset in the message; None if they are not part of a message.
        section: the section that defines them.
        at: the index of the event that holds them.
    """

    what: str
    says: str
    octets: bytes = field(repr=False)
    size: int
    start: int | None
    section: str
    at: int


TAKEN_OUT = "removed by redact"
"""The text for bytes that were replaced by zeros; see `handclasp.story.redact`."""
MOST_SHOWN = 48
"""The number of bytes of evidence that are shown; the trace has the rest."""
_LONGEST_NUMBER, _SIZE_IN_FRONT = 8, 3
"""The size up to which zeros may be a number, such as the length in front of a field, which
`redact` keeps.
"""
_WHERE: Mapping[str, tuple[str, ...]] = {
    # The evidence is the first of these fields that exists, in the last message of that name.
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
    # The ServerHello confirms the inner hello in its random, or does not (RFC 9849 section 7.2).
    "ECH_REJECTED": ("random",),
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
    "OCSP_RESPONSE_MISSING",
)


def is_of_certificates(fault: str) -> bool:
    """Return whether a fault of the catalogue is about certificates."""
    return fault.startswith(_OF_CERTIFICATES)


_CONTENT_NAMES = {int(kind): kind.name.lower() for kind in ContentType}
_FROM_THE_WIRE = ("NOT_TLS", "PLAINTEXT_HTTP", "SSLV2_HELLO")
_OF_THIS_SIDE = (
    "CALLBACK_FAILED",
    "INTERNAL_ERROR",
    "INTERRUPTED",
    "KEY_EXHAUSTED",
    "KEY_LOG_FAILED",
    "OWN_SIGNATURE_WRONG",
)
"""Faults that nothing of what the other end sent can show."""
_ENDS = (
    "CLOSED_DURING_HANDSHAKE",
    "RESET_DURING_HANDSHAKE",
    "TRUNCATED",
    "HANDSHAKE_TIMEOUT",
    "HANDSHAKE_ABANDONED",
)


def evidence_of(
    events: Sequence[TraceEvent], failed: Failed, situation: Situation
) -> Iterator[Evidence]:
    """Yield the evidence for the cause of a failure, given the facts that were known then."""
    if failed.origin == "peer":
        yield from _of_alert(events)
        causes = likely_causes(alert_number(events), situation)
        is_one_of = bool(causes) and bool(causes[0].topic) and not causes[0].stands_out
        told = causes if is_one_of else causes[:1]
        for fault in dict.fromkeys([cause.fault for cause in told]):
            where: tuple[int | None, str] = (None, "")
            if fault in ("CERTIFICATE_EXPIRED", "CERTIFICATE_NOT_YET_VALID"):
                number = _out_of_dates(situation)
                if number is None and situation.now is not None and situation.chain.validity:
                    continue  # It is about none of the certificates that were sent.
                where = number, ""
            yield from _of_fault(events, fault, "sent", situation, where)
        return
    if failed.fault in _OF_THIS_SIDE:
        return
    if failed.fault in _FROM_THE_WIRE:
        yield from _of_wire(events)
    elif failed.fault in _ENDS:
        yield from _of_end(events, failed.fault)
    else:
        where = failed.certificate, failed.field
        found = list(_of_fault(events, failed.fault, "received", situation, where))
        yield from found or _of_last(events)


def _out_of_dates(situation: Situation) -> int | None:
    """Return the place of a certificate that was sent and was not valid at the time."""
    now = situation.now
    if now is None:
        return None
    validity = enumerate(situation.chain.validity)
    return next((at for at, (_, begin, end) in validity if not begin <= now <= end), None)


def alert_number(events: Sequence[TraceEvent]) -> int:
    """Return the number of the received alert that is the failure: the one that it names.

    If it names none of them, it is the last, other than a closing one.
    """
    numbers = [
        event.description
        for event in events
        if isinstance(event, AlertSeen)
        and event.direction == "received"
        and event.description != AlertDescription.CLOSE_NOTIFY
    ]
    failed = next((event for event in events if isinstance(event, Failed)), None)
    for number in numbers:
        if failed is not None and alert_name(number) == failed.alert:
            return number
    return numbers[-1] if numbers else AlertDescription.INTERNAL_ERROR


def _of_fault(
    events: Sequence[TraceEvent],
    fault: str,
    direction: str,
    situation: Situation,
    where: tuple[int | None, str] = (None, ""),
) -> Iterator[Evidence]:
    """Yield the field that a fault of the catalogue is about.

    Args:
        where: the certificate and the field in it; if unknown, they are derived from the fault.
    """
    if fault in _WHERE:
        kinds: tuple[HandshakeType, ...] = (HandshakeType.CLIENT_HELLO, HandshakeType.SERVER_HELLO)
        names = _WHERE[fault]
    elif is_of_certificates(fault):
        kinds = CERTIFICATE_MESSAGES
        names = ("certificate_list", "compressed_certificate_message")
        if fault == "OCSP_RESPONSE_MISSING":
            names = ("extensions", *names)  # In TLS 1.3 the response would be among them.
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
            if kinds is CERTIFICATE_MESSAGES:
                found = _in_certificate(event, at, fault, where, situation.role)
            if found is not None:
                yield found
            else:
                yield from _of_message(event, at, names, situation.role)
            return


_FIELDS: Mapping[str, tuple[str, ...]] = {
    # The evidence is the first of these fields that the certificate has.
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
"""For refusals that do not name a field."""


def _in_certificate(
    event: MessageSeen, at: int, fault: str, where: tuple[int | None, str], role: str
) -> Evidence | None:
    """Return the evidence in one certificate of a message; None if there is none to point at."""
    number, given = where
    names = (given, "extensions") if given else _FIELDS.get(fault, ())
    if given and number is None:
        names = ("issuer",)  # The certificate of an authority here, which the chain names.
    chain = chain_in(event.raw, event.epoch)
    if number is None:
        number = len(chain) - 1 if names == ("issuer",) else 0
    if not 0 <= number < len(chain):
        return None
    der = chain[number]
    if der and not any(der) and fault != "BAD_CERTIFICATE":
        # The certificate was readable when the fault was found. After redaction, it is unknown
        # which of several fields it had.
        which = f"{names[0]} of " if len(names) == 1 else ""
        what = f"{which}{_whose(event, number, role)}"
        return Evidence(what, TAKEN_OUT, b"", 0, None, "", at)
    for name in names:
        found = field_in(der, name)
        if found is not None:
            start, end = found
            octets = der[start:end]
            # A compressed message has no offset for it.
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
    number = alert_number(events)
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
            section = "RFC 9846 section 6"
            yield Evidence("the alert that was received", says, octets, 2, None, section, at)
            return


def _of_wire(events: Sequence[TraceEvent]) -> Iterator[Evidence]:
    """Return the first bytes that are not TLS, if there were any."""
    for at, event in enumerate(events):
        if isinstance(event, BytesRefused):
            octets = event.data[:MOST_SHOWN]
            says = "".join(chr(octet) if 32 <= octet < 127 else "." for octet in octets)
            size = len(event.data)
            yield Evidence("the first bytes that were received", says, octets, size, None, "", at)
            return


def _of_end(events: Sequence[TraceEvent], fault: str) -> Iterator[Evidence]:
    """Return how many bytes had been exchanged at the end."""
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
        "HANDSHAKE_TIMEOUT": "nothing more within the time",
        "HANDSHAKE_ABANDONED": "nothing more until the program gave up",
    }.get(fault, "the end of the transport (FIN)")
    received = f"{sizes['received']:,} bytes in records" if sizes["received"] else "nothing"
    says = f"{received} received, {sizes['sent']:,} bytes sent before it"
    yield Evidence(how, says, b"", 0, None, "", max(end, last, 0))
    if last >= 0:
        yield from _of_last(events)


def _of_last(events: Sequence[TraceEvent]) -> Iterator[Evidence]:
    """Return the last complete message, or else the last record."""
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
            yield Evidence("the last record", says, octets, size, None, "", at)
            return
