"""The messages on the page: one after the other, each with its fields beside its bytes.

The bytes are cut where the leaves of the field tree end, so that each piece belongs to one field;
the page's script lights the pieces of a field, and finds the field of a piece, by their numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from handclasp.trace.events import MessageSeen, TraceEvent
from handclasp.trace.facts import Facts
from handclasp.trace.fields import Field, fields_of
from handclasp.trace.markup import Markup, markup, tag
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

_MOST_BYTES = 20_000
"""A message's bytes beyond these are counted and not shown."""


def conversation(events: Sequence[TraceEvent], facts: Facts) -> Markup:
    """All messages in order, by flights."""
    began = next((event.at_ns for event in events if isinstance(event, MessageSeen)), 0)
    flights: list[Markup] = []
    number = 0
    for to_server, group in groupby(shown_events(events, facts), key=lambda shown: shown.to_server):
        items: list[Markup] = []
        for shown in group:
            number += 1
            items.append(_item(shown, facts, (shown.event.at_ns - began) / 1e6, number))
        flights.append(_flight(items, to_server=to_server))
    if not flights:
        return tag("p", "The trace holds no messages.", class_="note")
    return tag("div", flights, class_="flights")


def _flight(items: Sequence[Markup], *, to_server: bool) -> Markup:
    way = "client to server" if to_server else "server to client"
    arrow = "→" if to_server else "←"
    heading = tag("h3", tag("span", arrow, aria_hidden="true"), f" {way.capitalize()}")
    side = "client" if to_server else "server"
    return tag("section", heading, tag("ol", items), class_=f"flight {side}")


def _item(shown: Shown, facts: Facts, moment: float, number: int) -> Markup:
    event = shown.event
    name, sentence = told(event, facts)
    size = f"{len(event.raw):,} bytes" if isinstance(event, MessageSeen) else ""
    step = _step_of(event)
    head = markup(
        tag("b", name, class_="name"),
        _protection(protected=shown.protected),
        tag("span", size, class_="size"),
        tag("span", f"{moment:.1f} ms", class_="at"),
        tag("span", sentence, class_="say"),
    )
    badge = tag("a", str(step), href=f"#step-{step}", class_="badge", title=f"Step {step}")
    if not isinstance(event, MessageSeen) or not event.raw:
        return tag("li", badge, tag("div", head, class_="head"), class_="message")
    body = _opened(event, f"m{number}")
    details = tag("details", tag("summary", head, class_="head"), body)
    return tag("li", badge, details, class_="message")


def _protection(*, protected: bool) -> Markup:
    if protected:
        return tag("span", "encrypted", class_="lock")
    return tag("span", "in the clear", class_="lock open")


def _step_of(event: Drawn) -> int:
    if isinstance(event, MessageSeen):
        return _STEPS.get(event.message_type, 1)
    return 6


def _opened(event: MessageSeen, key: str) -> Markup:
    field = fields_of(event.raw, event.epoch)
    tree = tag("ul", [_node(part, 1) for part in field.parts], class_="tree", id=f"{key}-tree")
    here = tag("p", "Point at a field, or at a byte.", class_="here", aria_live="polite")
    about = field.name + (f", {field.section}" if field.section else "")
    return tag(
        "div",
        tag("p", f"{about}: {field.value}.", class_="about"),
        here,
        tag("div", tree, _bytes(field, event.raw), class_="split"),
        class_="opened",
    )


def _node(field: Field, depth: int) -> Markup:
    span = f"{field.start}" if field.size == 1 else f"{field.start}\N{EN DASH}{field.end - 1}"
    row = markup(
        tag("span", field.name, class_="f"),
        " ",
        tag("span", field.value, class_="v"),
        " ",
        tag("span", span, class_="r", title=f"bytes {span}"),
    )
    told_of = {
        "data_from": field.start,
        "data_to": field.end,
        "data_about": ". ".join(filter(None, (field.meaning.rstrip("."), field.section))) or None,
    }
    if not field.parts:
        return tag("li", tag("span", row, class_="row", **told_of))
    parts = tag("ul", [_node(part, depth + 1) for part in field.parts])
    opened = depth == 1 and field.name in ("extensions", "certificate_list")
    summary = tag("summary", row, class_="row", **told_of)
    return tag("li", tag("details", summary, parts, open=opened))


def _bytes(field: Field, raw: bytes) -> Markup:
    shown = min(len(raw), _MOST_BYTES)
    pieces = tag("div", list(_pieces(field, raw, shown)), class_="hex")
    gutters = [
        tag("div", _offsets(shown, width), class_=f"gutter w{width}", aria_hidden="true")
        for width in (8, 16)
    ]
    more = len(raw) - shown
    note = tag("p", f"... and {more:,} bytes more.", class_="note") if more else None
    return tag("div", tag("div", gutters, pieces, class_="grid"), note, class_="bytes")


def _pieces(field: Field, raw: bytes, shown: int) -> Iterator[Markup]:
    for leaf in field.leaves():
        if leaf.start < shown:
            text = raw[leaf.start : min(leaf.end, shown)].hex(" ")
            yield markup(tag("i", text, data_at=leaf.start), " ")


def _offsets(size: int, width: int) -> str:
    return "\n".join(f"{at:04x}" for at in range(0, size, width))
