"""The first encrypted record in both forms: its content, and the bytes on the wire."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from handclasp.iana import ContentType
from handclasp.story.facts import sender_of
from handclasp.trace.events import KeysInstalled, KeyStep, RecordSeen, TraceEvent
from handclasp.values import dataclass

HEADER_SIZE = 5
TAG_SIZE = 16
"""In bytes, for every suite of this library; those of CCM_8, which captures may have, are 8."""

_MOST_SHOWN = 256


class Section(NamedTuple):
    """Some bytes with one meaning. `kind` is their style."""

    kind: str
    meaning: str
    size: int
    hex: str
    more: int


@dataclass(frozen=True, slots=True)
class BeforeAndAfter:
    """One record in both forms.

    Attributes:
        sender: "client" or "server".
        content: in words.
        text: the beginning of the content, if it is text.
        before, after: both forms, in order.
        key, nonce: in hexadecimal, if they were recorded.
    """

    sender: str
    epoch: str
    content: str
    text: str
    before: tuple[Section, ...]
    after: tuple[Section, ...]
    key: str
    nonce: str


def first_records_of(
    events: Sequence[TraceEvent], role: str, version: str | None
) -> tuple[BeforeAndAfter, ...]:
    """Return the first protected record of the handshake, and of application data, if kept."""
    kept = [
        (number, event)
        for number, event in enumerate(events)
        if isinstance(event, RecordSeen)
        and event.epoch != "plaintext"
        and event.wire
        and event.content
    ]
    first = kept[:1]
    said = [each for each in kept if each[1].content_type == ContentType.APPLICATION_DATA][:1]
    return tuple(
        _both(event, events[:number], role, version)
        for number, event in (*first, *(each for each in said if each not in first))
    )


def _both(
    event: RecordSeen, earlier: Sequence[TraceEvent], role: str, version: str | None
) -> BeforeAndAfter:
    sender = sender_of(event, role)
    key, nonce = _key_of(event, earlier, sender)
    tag_size = _tag_size(event, earlier)
    return BeforeAndAfter(
        sender=sender,
        epoch=event.epoch,
        content=_CONTENTS.get(event.content_type, "application data"),
        text=_text(event.content),
        before=tuple(_before(event, version, tag_size)),
        after=tuple(_after(event, version, tag_size)),
        key=key,
        nonce=nonce,
    )


def _tag_size(event: RecordSeen, earlier: Sequence[TraceEvent]) -> int:
    suites = [
        each.cipher_suite
        for each in earlier
        if isinstance(each, KeysInstalled) and each.direction == event.direction
    ]
    return 8 if suites and "_CCM_8" in suites[-1] else TAG_SIZE


def _before(event: RecordSeen, version: str | None, tag_size: int) -> Iterator[Section]:
    yield _section("content", "content", event.content)
    if version == "TLSv1.3":
        yield _section("type", "type of the content", bytes([event.content_type]))
        padding = event.size - HEADER_SIZE - tag_size - 1 - len(event.content)
        if padding > 0:
            yield _section("padding", "zeros that hide its length", bytes(padding))


def _after(event: RecordSeen, version: str | None, tag_size: int) -> Iterator[Section]:
    sealed = event.wire[HEADER_SIZE:]
    yield _section("header", "header, in the clear and authenticated", event.wire[:HEADER_SIZE])
    extra = len(sealed) - tag_size - len(event.content)
    if version == "TLSv1.2" and extra > 0:
        yield _section("nonce", "explicit part of the nonce", sealed[:extra])
        sealed = sealed[extra:]
    yield _section("sealed", "encrypted", sealed[:-tag_size])
    yield _section("tag", "tag: shows any change", sealed[-tag_size:])


def _section(kind: str, meaning: str, data: bytes) -> Section:
    more = max(len(data) - _MOST_SHOWN, 0)
    return Section(kind, meaning, len(data), data[:_MOST_SHOWN].hex(" "), more)


_CONTENTS: dict[int, str] = {
    ContentType.HANDSHAKE: "handshake messages",
    ContentType.ALERT: "an alert",
}


def _key_of(event: RecordSeen, earlier: Sequence[TraceEvent], sender: str) -> tuple[str, str]:
    """Return key and nonce of the first record of an epoch: the nonce is the IV (RFC 9846 5.3).

    They are empty if they were not recorded, or if the record may not have been the first.
    """
    before = [
        each
        for each in earlier
        if isinstance(each, RecordSeen)
        and (each.epoch, each.direction) == (event.epoch, event.direction)
    ]
    steps = [
        each
        for each in earlier
        if isinstance(each, KeyStep)
        and each.inputs
        and each.inputs[0].startswith(f"{sender}_{event.epoch}_traffic_secret")
    ]
    found = {each.label: each.value.hex() for each in steps if each.value}
    if before or "key" not in found or "iv" not in found:
        return "", ""
    return found["key"], found["iv"]


def _text(content: bytes) -> str:
    """Return the beginning of a text; empty if it is not text."""
    text = content[:200].decode("ascii", "replace")
    readable = text.replace("\r\n", "\n").replace("\n", " ")
    return readable if readable.isprintable() and "\ufffd" not in readable else ""
