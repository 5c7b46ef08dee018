"""The messages on the page: each with its fields beside its bytes.

The bytes are split at the leaves of the field tree, so that each piece belongs to one field. The
page's script highlights the pieces of a field, and finds the field of a piece, by their numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from typing import NamedTuple

from handclasp.iana import HandshakeType as Type
from handclasp.story.certificate_fields import with_certificates
from handclasp.story.facts import Facts
from handclasp.story.fields import Field, fields_of
from handclasp.story.flights import MOST_ITEMS, Data, Drawn, Shown, shown_or_closed
from handclasp.story.recorded import KeyExchange, certificate_within_message, message_of
from handclasp.story.sentences import told
from handclasp.trace.events import InnerHello, MessageSeen, TraceEvent
from handclasp.values import dataclass

_STEPS: dict[int, int] = {
    Type.CLIENT_HELLO: 1,
    Type.SERVER_HELLO: 1,
    Type.ENCRYPTED_EXTENSIONS: 1,
    Type.HELLO_REQUEST: 1,
    Type.CERTIFICATE_REQUEST: 2,
    Type.CERTIFICATE: 2,
    Type.COMPRESSED_CERTIFICATE: 2,
    Type.CERTIFICATE_STATUS: 2,
    Type.CERTIFICATE_VERIFY: 2,
    Type.SERVER_KEY_EXCHANGE: 4,
    Type.CLIENT_KEY_EXCHANGE: 4,
    Type.SERVER_HELLO_DONE: 4,
    Type.FINISHED: 5,
    Type.END_OF_EARLY_DATA: 6,
    Type.KEY_UPDATE: 7,
    Type.NEW_SESSION_TICKET: 7,
}
"""The step, of the seven, that a message belongs to."""

MOST_BYTES = 20_000
"""The number of bytes of a message that are shown; the others are counted."""

MOST_FIELDS = 5_000
"""The number of fields of a message that have a row: a hello may list tens of thousands of numbers.
"""

MOST_ROWS = 50_000
"""The number of rows on a page; messages beyond it are shown without their fields."""

_OPEN_AT_FIRST = ("extensions", "certificate_list")


@dataclass(frozen=True, slots=True)
class Piece:
    """The bytes of one leaf field, in hexadecimal."""

    at: int
    hex: str


class Row(NamedTuple):
    """A field as a row of the tree.

    Attributes:
        has_parts: whether the next row is its first part.
        is_open: whether its parts are visible at first.
        about: its purpose, and the section that defines it.
        start, end: the offsets of its first byte and of the byte after its last.
        place: the same in words.
        closes: an entry for each field around it whose last part it is.
    """

    has_parts: bool
    is_open: bool
    name: str
    value: str
    about: str
    start: int
    end: int
    place: str
    closes: range


@dataclass(frozen=True, slots=True)
class Opened:
    """A message split into fields.

    Attributes:
        field: the tree.
        pieces: its bytes.
        more: the number of bytes that are not shown.
        rows: its first `MOST_FIELDS` fields, each before its parts. Rows have no parts, so that one
            loop of the template is enough.
        fields_left_out: the number of fields without a row.
        caption: the name of the content, if it is not the message itself.
    """

    field: Field
    pieces: tuple[Piece, ...]
    more: int
    rows: tuple[Row, ...]
    fields_left_out: int
    caption: str = ""

    def offsets(self, width: int) -> str:
        """Return a column of offsets, for lines of this many bytes."""
        shown = self.field.size - self.more
        return "\n".join(f"{at:04x}" for at in range(0, shown, width))


@dataclass(frozen=True, slots=True)
class Item:
    """One message, alert or change of keys as the page shows it."""

    key: str
    name: str
    sentence: str
    size: int | None
    at_ns: int
    protected: bool
    step: int
    opened: tuple[Opened, ...]


@dataclass(frozen=True, slots=True)
class Flight:
    """The messages that one side sent before it waited. `side` is the sender's role."""

    side: str
    items: tuple[Item, ...]


def flights_of(events: Sequence[TraceEvent], facts: Facts) -> tuple[Flight, ...]:
    """Return all messages in order."""
    began = next((event.at_ns for event in events if isinstance(event, MessageSeen)), 0)
    numbered = _numbered(events, facts)
    flights: list[Flight] = []
    rows = 0
    for to_server, flight in groupby(numbered, key=lambda each: each[1].to_server):
        items: list[Item] = []
        for number, shown in flight:
            item = _item(number, shown, facts, began, opens=rows < MOST_ROWS)
            rows += sum(len(each.rows) for each in item.opened)
            items.append(item)
        flights.append(Flight("client" if to_server else "server", tuple(items)))
    return tuple(flights)


def anchors_of(events: Sequence[TraceEvent], facts: Facts) -> dict[int, str]:
    """Return the anchors on the page of the messages, alerts and records, by index of `events`."""
    at = {id(event): index for index, event in enumerate(events)}
    return {
        at[id(shown.event)]: _key(number)
        for number, shown in _numbered(events, facts)
        if not isinstance(shown.event, Data)
    }


def left_out_of(events: Sequence[TraceEvent], facts: Facts) -> int:
    """Return the number of messages and alerts that are not shown."""
    return max(sum(1 for _ in shown_or_closed(events, facts)) - MOST_ITEMS, 0)


def _numbered(
    events: Sequence[TraceEvent], facts: Facts
) -> Iterator[tuple[int, Shown[Drawn | Data]]]:
    return enumerate(islice(shown_or_closed(events, facts), MOST_ITEMS), 1)


def _key(number: int) -> str:
    return f"message-{number}"


def _item(
    number: int, shown: Shown[Drawn | Data], facts: Facts, began: int, *, opens: bool
) -> Item:
    event = shown.event
    name, sentence = _closed(event) if isinstance(event, Data) else told(event, facts)
    message = event.message if isinstance(event, InnerHello) else event
    raw = message.raw if isinstance(message, MessageSeen) else b""
    if raw and not opens:
        sentence += " Its fields are not shown: this page has very many already."
    return Item(
        key=_key(number),
        name=name,
        sentence=sentence,
        size=len(raw) or None,
        at_ns=event.at_ns - began,
        protected=shown.protected or isinstance(event, InnerHello),
        step=_step_of(message),
        opened=tuple(_opened(message, facts))
        if isinstance(message, MessageSeen) and raw and opens
        else (),
    )


def _closed(data: Data) -> tuple[str, str]:
    """Return the name of records that could not be opened, and a sentence about them."""
    records = "One record" if data.records == 1 else f"{data.records:,} records"
    return data.name, f"{records}, which could not be opened without the keys."


def _step_of(event: Drawn | Data) -> int:
    return _STEPS.get(event.message_type, 1) if isinstance(event, MessageSeen) else 6


def _opened(event: MessageSeen, facts: Facts) -> Iterator[Opened]:
    yield taken_apart(event.raw, event.epoch, key_exchange=facts.key_exchange)
    if event.message_type == Type.COMPRESSED_CERTIFICATE:
        inside = certificate_within_message(message_of(event))
        if inside is not None:
            yield taken_apart(inside.raw, event.epoch, "What it unpacks to")


def _within(field: Field, depth: int) -> Iterator[tuple[int, Field]]:
    """Yield all fields inside, in the order of their bytes, with their depth."""
    for part in field.parts:
        yield depth, part
        yield from _within(part, depth + 1)


def _row(field: Field, depth: int, following: int) -> Row:
    """Return the row of a field; `following` is the depth of the next one."""
    return Row(
        has_parts=following > depth,
        is_open=depth == 0 and field.name in _OPEN_AT_FIRST,
        name=field.name,
        value=field.value,
        about=f"{field.meaning} {field.section}." if field.meaning else f"{field.section}.",
        start=field.start,
        end=field.end,
        place=f"{field.start}\u2013{field.end - 1}" if field.size > 1 else f"{field.start}",
        closes=range(depth - following),
    )


def taken_apart(
    raw: bytes, epoch: str, caption: str = "", *, key_exchange: KeyExchange | None = None
) -> Opened:
    """Return a message's fields and bytes."""
    field = with_certificates(fields_of(raw, epoch, key_exchange), raw)
    pieces = tuple(
        Piece(leaf.start, raw[leaf.start : min(leaf.end, MOST_BYTES)].hex(" "))
        for leaf in field.leaves()
        if leaf.start < MOST_BYTES
    )
    more = max(len(raw) - MOST_BYTES, 0)
    left_out = max(sum(1 for _ in _within(field, 0)) - MOST_FIELDS, 0)
    return Opened(field, pieces, more, tuple(_rows(field)), left_out, caption)


def _rows(field: Field) -> Iterator[Row]:
    walked = list(islice(_within(field, 0), MOST_FIELDS))
    depths = [*(depth for depth, _ in walked[1:]), 0]
    for (depth, each), following in zip(walked, depths, strict=True):
        yield _row(each, depth, following)
