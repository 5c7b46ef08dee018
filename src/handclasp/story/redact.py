"""Traces that can be passed on: without secrets, and by choice without names and addresses.

Removed values are overwritten and keep their size, so that the messages can still be read, and
every byte still has its field. Sizes also reveal something: if even the choice between a few
servers must stay hidden, do not pass on a trace.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from ipaddress import ip_address

from handclasp.errors import PeerAlertError
from handclasp.faults import Fault
from handclasp.iana import ContentType, alert_name
from handclasp.info import ConnectionInfo
from handclasp.story.evidence import is_of_certificates
from handclasp.story.exchanges import server_form
from handclasp.story.facts import facts_of
from handclasp.story.fields import Field, fields_of
from handclasp.story.recorded import KeyExchange, message_of
from handclasp.story.words import UNREAD
from handclasp.trace.events import (
    Began,
    BytesRefused,
    DecisionTaken,
    Failed,
    HandshakeResult,
    InnerHello,
    KeyStep,
    MessageSeen,
    RecordSeen,
    Refused,
    SecretDerived,
    TraceEvent,
    TransportSeen,
    WireSeen,
)
from handclasp.values import replace
from handclasp.wire.messages import HEADER_SIZE as MESSAGE_HEADER_SIZE
from handclasp.wire.records import HEADER_SIZE


def redacted(
    events: Sequence[TraceEvent], *, names: bool = False, addresses: bool = False
) -> list[TraceEvent]:
    """Return the events without secrets: without the values of keys and application data.

    Args:
        names: also remove everything that names a side: server names, certificates and their
            evidence, the names of authorities and of pre-shared keys, tickets, and values from
            which they could be guessed (signatures, hashes of the transcript), as well as the bytes
            of the transport.
        addresses: also remove IP addresses, of the transport and as server names; those in
            certificates are names.
    """
    labels = _Labels(events) if names else None
    kept = [without for event in events if (without := _without_secrets(event)) is not None]
    if labels is not None:
        key_exchange = facts_of(events).key_exchange
        kept = [
            _without_names(event, labels, key_exchange)
            for event in kept
            if not isinstance(event, WireSeen)
        ]
    if addresses:
        kept = [_without_addresses(event) for event in kept]
    return kept


def _without_secrets(event: TraceEvent) -> TraceEvent | None:
    match event:
        case SecretDerived():
            return None
        case KeyStep():
            return replace(event, value=b"")
        case RecordSeen(content_type=ContentType.APPLICATION_DATA):
            return replace(event, wire=b"", content=b"")
        case BytesRefused():
            # Enough to recognize the protocol; the rest may be a request with a password.
            return replace(event, data=event.data[:HEADER_SIZE])
        case _:
            return event


def _without_names(
    event: TraceEvent, labels: _Labels, key_exchange: KeyExchange | None
) -> TraceEvent:
    match event:
        case Began():
            return replace(event, server_name=_masked(event.server_name))
        case MessageSeen():
            return replace(event, raw=_blanked(event, key_exchange))
        case InnerHello():
            return replace(event, raw=_blanked(event.message, key_exchange))
        case RecordSeen():
            return replace(event, wire=b"", content=b"")
        case KeyStep():
            # A hash of the transcript confirms a guessed name.
            return replace(event, context=b"")
        case DecisionTaken(what="credentials"):
            return _relabelled(event, labels)
        case HandshakeResult():
            return replace(event, info=_nameless(event.info))
        case Failed():
            return _in_general(event)
        case _:
            return event


def _without_addresses(event: TraceEvent) -> TraceEvent:
    match event:
        case TransportSeen():
            return replace(
                event,
                local_address=_documentation_address(event.local_address, 1),
                peer_address=_documentation_address(event.peer_address, 2),
            )
        case Began() if _is_address(event.server_name):
            return replace(event, server_name=_masked(event.server_name))
        case HandshakeResult() if _is_address(event.info.server_name):
            info = replace(event.info, server_name=_masked(event.info.server_name))
            return replace(event, info=info)
        case Failed():
            return _in_general(event)
        case _:
            return event


def _in_general(failed: Failed) -> Failed:
    """Return the catalogue's text for such a failure, without the details of this one."""
    number = next((each for each in range(256) if alert_name(each) == failed.alert), None)
    if failed.origin == "peer" and number is not None:
        told = PeerAlertError(number)
        return replace(failed, message=told.message, explanation=told.explanation, fix=told.fix)
    fix = failed.fix
    if is_of_certificates(failed.fault):
        with suppress(KeyError):  # The fault belongs to another version of this library.
            fix = Fault[failed.fault].fix
    return replace(failed, message=failed.explanation, fix=fix)


# Messages

_KEPT = {
    "legacy_session_id", "legacy_session_id_echo", "legacy_compression_methods",
    "key_exchange", "point", "ecdh_Yc", "dh_p", "dh_g", "dh_Ys", "dh_Yc",
    "encrypted_pre_master_secret", "protocol_name",
    "ec_point_format_list", "ke_modes", "certificate_types", "PskBinderEntry", "ticket_nonce",
    "renegotiated_connection",
}  # fmt: skip
"""The fields, besides numbers, that are kept: the others name somebody, or are unknown."""

_KEPT_BY_ITSELF = {"random", "verify_data"}
_LONGEST_NUMBER = 4


def _blanked(event: MessageSeen, key_exchange: KeyExchange | None) -> bytes:
    raw = event.raw
    if message_of(event) is None and server_form(raw) is None:
        # A malformed message can hold anything anywhere.
        return raw[:MESSAGE_HEADER_SIZE] + bytes(max(len(raw) - MESSAGE_HEADER_SIZE, 0))
    blanked = bytearray(raw)
    for field, owner in _leaves(fields_of(raw, event.epoch, key_exchange), ""):
        if not _may_stay(field, owner):
            blanked[field.start : field.end] = _blank(raw[field.start : field.end], owner)
    return bytes(blanked)


def _leaves(field: Field, owner: str) -> Iterator[tuple[Field, str]]:
    if not field.parts:
        yield field, owner
    for part in field.parts:
        yield from _leaves(part, field.name)


def _may_stay(field: Field, owner: str) -> bool:
    if field.name == "content":
        return owner in _KEPT
    if field.name in _KEPT_BY_ITSELF:
        return True
    return field.size <= _LONGEST_NUMBER and field.name != UNREAD


def _blank(data: bytes, owner: str) -> bytes:
    return re.sub(rb"[^.]", b"x", data) if owner == "host_name" else bytes(len(data))


def _masked(name: str | None) -> str | None:
    """Return a name of the same shape, as in the messages."""
    return re.sub(r"[^.]", "x", name) if name is not None else None


def _nameless(info: ConnectionInfo) -> ConnectionInfo:
    def blank(data: bytes | None) -> bytes | None:
        return bytes(len(data)) if data is not None else None

    def all_blank(chain: tuple[bytes, ...]) -> tuple[bytes, ...]:
        return tuple(bytes(len(der)) for der in chain)

    return replace(
        info,
        server_name=_masked(info.server_name),
        peer_chain_der=all_blank(info.peer_chain_der),
        local_chain_der=all_blank(info.local_chain_der),
        verified_chain_der=all_blank(info.verified_chain_der),
        psk_identity=blank(info.psk_identity),
        ocsp_response=blank(info.ocsp_response),
        sct_list=blank(info.sct_list),
    )


# Decisions


_MOST_REASONS = 64
"""The number of different reasons that are searched for names; this library gives a handful in one
trace.
"""


class _Labels:
    """Labels for the certificates in decisions, which keep the kind of key."""

    def __init__(self, events: Sequence[TraceEvent]) -> None:
        self._labels: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        for event in events:
            if isinstance(event, DecisionTaken) and event.what == "credentials":
                chosen = (event.chosen,) if event.chosen is not None else ()
                # A forged trace may refuse what was never offered.
                refused = [each.name for each in event.refused]
                for name in (*event.offered, *event.acceptable, *chosen, *refused):
                    self._add(name)
        # Longer names come first: one may be the beginning of another.
        self._longest_first = sorted(self._labels, key=len, reverse=True)

    def _add(self, name: str) -> None:
        kind = name[name.rfind(" (") :] if " (" in name else ""
        self._labels.setdefault(name, f"certificate {len(self._labels) + 1}{kind}")

    def __getitem__(self, name: str) -> str:
        return self._labels[name]

    def of_all(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the labels of these names."""
        return tuple([self._labels[name] for name in names])

    def in_words(self, text: str) -> str:
        """Return a reason, with labels for the names in it.

        Each reason is searched for every name, so the number of reasons is bounded: a forged trace
        may have thousands of both.
        """
        told = self._texts.get(text)
        if told is None:
            if len(self._texts) >= _MOST_REASONS:
                return "a reason that is left out"
            told = text
            for name in self._longest_first:
                told = told.replace(name, self._labels[name])
            self._texts[text] = told
        return told


def _relabelled(event: DecisionTaken, labels: _Labels) -> DecisionTaken:
    return replace(
        event,
        offered=labels.of_all(event.offered),
        acceptable=labels.of_all(event.acceptable),
        chosen=labels[event.chosen] if event.chosen is not None else None,
        why=labels.in_words(event.why),
        refused=tuple(
            [Refused(labels[each.name], labels.in_words(each.why)) for each in event.refused]
        ),
    )


# Addresses


def _is_address(name: str | None) -> bool:
    try:
        return name is not None and bool(ip_address(name))
    except ValueError:
        return False


def _documentation_address(address: str, number: int) -> str:
    """Return an address for documentation (RFC 5737, RFC 3849)."""
    return f"2001:db8::{number}" if ":" in address else f"192.0.2.{number}"
