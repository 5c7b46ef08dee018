"""The records that carried the messages: what their headers say, and what is inside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from handclasp.iana import ContentType
from handclasp.story.facts import Facts, has_change_cipher_spec, sender_of
from handclasp.story.page.first_record import HEADER_SIZE
from handclasp.trace.events import RecordSeen, TraceEvent

MOST_RECORDS = 300
"""The number of records that are listed: a connection may have any number."""


class Record(NamedTuple):
    """One record as the page lists it.

    Attributes:
        sender: "client" or "server".
        header: the five bytes in hexadecimal; empty if they were not kept.
        kind: the type that the header says, with its number.
        length: the length that the header says, in bytes.
        inside: a sentence about the content.
    """

    sender: str
    header: str
    kind: str
    length: int
    inside: str


def records_of(events: Sequence[TraceEvent], facts: Facts) -> tuple[Record, ...]:
    """Return the first `MOST_RECORDS` records."""
    return tuple(islice(_records(events, facts), MOST_RECORDS))


def count_records(events: Sequence[TraceEvent]) -> int:
    """Return the number of records, with those that are not listed."""
    return sum(isinstance(event, RecordSeen) for event in events)


def _records(events: Sequence[TraceEvent], facts: Facts) -> Iterator[Record]:
    for event in events:
        if isinstance(event, RecordSeen):
            number = _number_in_header(event, facts.version)
            yield Record(
                sender=sender_of(event, facts.role),
                header=event.wire[:HEADER_SIZE].hex(" "),
                kind=f"{_name_of(number)} ({number})",
                length=event.size - HEADER_SIZE,
                inside=_inside(event, number, facts.version),
            )


def _number_in_header(event: RecordSeen, version: str | None) -> int:
    """Return the type in the header: TLS 1.3 hides that of protected records (RFC 9846 5.2)."""
    if event.wire:
        return event.wire[0]
    is_tls13 = version is not None and not has_change_cipher_spec(version)
    hides = is_tls13 and event.epoch != "plaintext"
    return ContentType.APPLICATION_DATA if hides else event.content_type


def _inside(event: RecordSeen, number: int, version: str | None) -> str:
    if event.content_type == ContentType.CHANGE_CIPHER_SPEC:
        if has_change_cipher_spec(version):
            return "From the next record on, this side encrypts."
        nothing = "it says nothing: it is there for old middleboxes (RFC 8446 D.4)."
        return f"In TLS 1.3, {nothing}"
    if event.epoch == "plaintext":
        return "In the clear."
    if event.content_size is None:
        return "Encrypted, and not opened."
    what = f"{_name_of(event.content_type)}, {event.content_size:,} bytes"
    hidden = " The header does not say so." if number != event.content_type else ""
    return f"Encrypted with the keys of the epoch {event.epoch}; inside: {what}.{hidden}"


def _name_of(number: int) -> str:
    try:
        return ContentType(number).name.lower()
    except ValueError:
        return "an unknown type"
