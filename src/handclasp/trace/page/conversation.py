"""The messages on the page: one after the other, each with its fields beside its bytes.

The bytes are cut where the leaves of the field tree end, so that each piece belongs to one field;
the page's script lights the pieces of a field, and finds the field of a piece, by their numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

from handclasp.trace.events import MessageSeen, TraceEvent
from handclasp.trace.facts import Facts, KeyExchange, certificate_within_message, message_of
from handclasp.trace.fields import Field, fields_of
from handclasp.trace.narrate import Drawn, Shown, shown_events, told
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

MOST_ITEMS = 300
"""So many messages and alerts are shown: a peer may send key updates and tickets without end."""

_OPEN_AT_FIRST = ("extensions", "certificate_list")


@dataclass(frozen=True, slots=True)
class Piece:
    """The bytes of one leaf field, in hexadecimal."""

    at: int
    hex: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A message taken apart.

    Attributes:
        field: the tree.
        pieces: its bytes.
        more: how many bytes are not shown.
        caption: what is taken apart, where it is not the message itself.
        open_at_first: names of the fields in the first row that show what is in them.
    """

    field: Field
    pieces: tuple[Piece, ...]
    more: int
    caption: str = ""
    open_at_first: tuple[str, ...] = _OPEN_AT_FIRST

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
    return tuple(
        Flight(
            "client" if to_server else "server",
            tuple(_item(number, shown, facts, began) for number, shown in flight),
        )
        for to_server, flight in groupby(numbered, key=lambda each: each[1].to_server)
    )


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


def _item(number: int, shown: Shown, facts: Facts, began: int) -> Item:
    event = shown.event
    name, sentence = told(event, facts)
    raw = event.raw if isinstance(event, MessageSeen) else b""
    return Item(
        key=_key(number),
        name=name,
        sentence=sentence,
        size=len(raw) or None,
        at_ns=event.at_ns - began,
        protected=shown.protected,
        step=_step_of(event),
        opened=tuple(_opened(event, facts)) if isinstance(event, MessageSeen) and raw else (),
    )


def _step_of(event: Drawn) -> int:
    return _STEPS.get(event.message_type, 1) if isinstance(event, MessageSeen) else 6


def _opened(event: MessageSeen, facts: Facts) -> Iterator[Opened]:
    yield taken_apart(event.raw, event.epoch, key_exchange=facts.key_exchange)
    if event.message_type == Type.COMPRESSED_CERTIFICATE:
        inside = certificate_within_message(message_of(event))
        if inside is not None:
            yield taken_apart(inside.raw, event.epoch, "What it unpacks to")


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
    return Opened(field, pieces, max(len(raw) - MOST_BYTES, 0), caption)
