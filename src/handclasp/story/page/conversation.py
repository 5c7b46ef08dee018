"""The messages on the page: one after the other, each with its fields beside its bytes.

The bytes are cut where the leaves of the field tree end, so that each piece belongs to one field;
the page's script lights the pieces of a field, and finds the field of a piece, by their numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import NamedTuple

from handclasp.story.facts import Facts, KeyExchange, certificate_within_message, message_of
from handclasp.story.fields import Field, fields_of
from handclasp.story.narrate import Drawn, Shown, shown_events, told
from handclasp.trace.events import MessageSeen, TraceEvent
from handclasp.wire.iana import HandshakeType as Type

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
"""To which of the seven steps a message belongs."""

MOST_BYTES = 20_000
"""A message's bytes beyond these are counted and not shown."""

MOST_FIELDS = 5_000
"""So many fields of a message have a row: a hello may list tens of thousands of numbers."""

MOST_ROWS = 50_000
"""Once the messages on a page have so many rows in all, later ones are told and not opened."""

MOST_ITEMS = 300
"""So many messages and alerts are shown: a peer may send key updates and tickets without end."""

_OPEN_AT_FIRST = ("extensions", "certificate_list")


@dataclass(frozen=True, slots=True)
class Piece:
    """The bytes of one leaf field, in hexadecimal."""

    at: int
    hex: str


class Row(NamedTuple):
    """A field as a row of the tree. It is made once per field: rows have no parts of their own, so
    that the template goes through them in one loop.

    Attributes:
        has_parts: whether the next row is the first of those inside.
        is_open: whether what is inside shows at first.
        about: what it is for, and where it is defined.
        start, end: its bytes, from the first up to the one after the last.
        place: the same in words.
        closes: one for each field around it that ends here, since this is its last part.
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
    """A message taken apart.

    Attributes:
        field: the tree.
        pieces: its bytes.
        more: how many bytes are not shown.
        rows: its first `MOST_FIELDS` fields, each in front of what is inside it.
        fields_left_out: how many fields have no row.
        caption: what is taken apart, where it is not the message itself.
    """

    field: Field
    pieces: tuple[Piece, ...]
    more: int
    rows: tuple[Row, ...]
    fields_left_out: int
    caption: str = ""

    def offsets(self, width: int) -> str:
        """A column of offsets, for lines of this many bytes."""
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
    """What one side said before it waited for the other. `side` is the sender's role."""

    side: str
    items: tuple[Item, ...]


def flights_of(events: Sequence[TraceEvent], facts: Facts) -> tuple[Flight, ...]:
    """All messages in order."""
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
    """What the page calls the message, alert or record that stands at each index of `events`."""
    at = {id(event): index for index, event in enumerate(events)}
    return {at[id(shown.event)]: _key(number) for number, shown in _numbered(events, facts)}


def left_out_of(events: Sequence[TraceEvent], facts: Facts) -> int:
    """How many more there are than the page shows."""
    return max(sum(1 for _ in shown_events(events, facts)) - MOST_ITEMS, 0)


def _numbered(events: Sequence[TraceEvent], facts: Facts) -> Iterator[tuple[int, Shown]]:
    return enumerate(islice(shown_events(events, facts), MOST_ITEMS), 1)


def _key(number: int) -> str:
    return f"message-{number}"


def _item(number: int, shown: Shown, facts: Facts, began: int, *, opens: bool) -> Item:
    event = shown.event
    name, sentence = told(event, facts)
    raw = event.raw if isinstance(event, MessageSeen) else b""
    if raw and not opens:
        sentence += " Its fields are not shown: this page has very many already."
    return Item(
        key=_key(number),
        name=name,
        sentence=sentence,
        size=len(raw) or None,
        at_ns=event.at_ns - began,
        protected=shown.protected,
        step=_step_of(event),
        opened=tuple(_opened(event, facts))
        if isinstance(event, MessageSeen) and raw and opens
        else (),
    )


def _step_of(event: Drawn) -> int:
    return _STEPS.get(event.message_type, 1) if isinstance(event, MessageSeen) else 6


def _opened(event: MessageSeen, facts: Facts) -> Iterator[Opened]:
    yield taken_apart(event.raw, event.epoch, key_exchange=facts.key_exchange)
    if event.message_type == Type.COMPRESSED_CERTIFICATE:
        inside = certificate_within_message(message_of(event))
        if inside is not None:
            yield taken_apart(inside.raw, event.epoch, "What it unpacks to")


def _within(field: Field, depth: int) -> Iterator[tuple[int, Field]]:
    """All fields inside, in the order of their bytes, with how many of those are around them."""
    for part in field.parts:
        yield depth, part
        yield from _within(part, depth + 1)


def _row(field: Field, depth: int, following: int) -> Row:
    """The row of a field; `depth` and `following` are how deep it stands, and the next one."""
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
    """A message's fields and bytes."""
    field = fields_of(raw, epoch, key_exchange)
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
