"""The flights of a handshake: the messages that one end sends without waiting for the other.

Each arrow of a diagram is one flight. Records are drawn only if no message stands for them:
application data, records that could not be opened, and before TLS 1.3 a change_cipher_spec.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Generic, NamedTuple, TypeAlias, TypeGuard, TypeVar

from handclasp.iana import ContentType
from handclasp.story.facts import Facts, has_change_cipher_spec
from handclasp.trace.events import (
    AlertSeen,
    BytesMissing,
    BytesRefused,
    InnerHello,
    KeysInstalled,
    MessageSeen,
    Observed,
    RecordSeen,
    TraceEvent,
)
from handclasp.values import dataclass, replace

_MOST_UNFINISHED = 4
"""The number of records that are drawn of one message that is not whole."""

_MOST_DATA = 6
"""The number of flights of application data that are drawn: the diagram is about the handshake."""

MOST_ITEMS = 300
"""The number of messages and alerts that are shown: a peer may send any number of key updates and
tickets.
"""

Drawn: TypeAlias = MessageSeen | InnerHello | AlertSeen | RecordSeen | BytesMissing
"""The events of the diagram; of records only change_cipher_spec, and only before TLS 1.3, and those
of a message that is not whole.
"""


D = TypeVar("D", covariant=True)


class Shown(NamedTuple, Generic[D]):
    """One event of the diagram, and its direction."""

    event: D
    to_server: bool
    protected: bool


def shown_events(events: Sequence[TraceEvent], facts: Facts) -> Iterator[Shown[Drawn]]:
    """Yield the events of the diagram, with their directions.

    An alert is protected once its direction has keys, unless its record came in the clear.
    """
    keyed: set[str] = set()
    before: TraceEvent | None = None
    unfinished = _unfinished(events)
    for event in events:
        if isinstance(event, KeysInstalled):
            keyed.add(event.direction)
        elif _is_drawn(event, facts) or (isinstance(event, RecordSeen) and id(event) in unfinished):
            if isinstance(event, AlertSeen):
                protected = event.direction in keyed and not _is_clear_alert(before, event)
            elif isinstance(event, BytesMissing):
                protected = event.direction in keyed
            elif isinstance(event, InnerHello):
                protected = False  # It is drawn with the outer one, whose arrow brings it.
            else:
                protected = event.epoch != "plaintext"
            to_server = (event.direction == "sent") == (facts.role == "client")
            yield Shown(event, to_server, protected)
        before = event


def _unfinished(events: Sequence[TraceEvent]) -> set[int]:
    """Return the identities of the first records of a message whose end is not there.

    What is received, and all of a capture, comes before the message that it makes.
    """
    observed = any(isinstance(event, Observed) for event in events)
    last: dict[str, list[int]] = {"sent": [], "received": []}
    for event in events:
        if isinstance(event, MessageSeen):
            last[event.direction] = []
        elif isinstance(event, RecordSeen) and (event.content_type, event.epoch) == _PLAIN:
            last[event.direction].append(id(event))
    return {
        each
        for direction, records in last.items()
        if observed or direction == "received"
        for each in records[:_MOST_UNFINISHED]
    }


_PLAIN = (ContentType.HANDSHAKE, "plaintext")


def _is_clear_alert(before: TraceEvent | None, alert: AlertSeen) -> bool:
    """Return whether the record before an alert is the one that holds it, without protection."""
    return (
        isinstance(before, RecordSeen)
        and before.content_type == ContentType.ALERT
        and before.direction == alert.direction
        and before.epoch == "plaintext"
    )


def _is_drawn(event: TraceEvent, facts: Facts) -> TypeGuard[Drawn]:
    if isinstance(event, RecordSeen):
        # In TLS 1.3 it has no meaning: it is sent for middleboxes that expect it.
        is_change = event.content_type == ContentType.CHANGE_CIPHER_SPEC and not is_closed(event)
        return is_change and has_change_cipher_spec(facts.version)
    return isinstance(event, MessageSeen | InnerHello | AlertSeen | BytesMissing)


def is_closed(event: TraceEvent) -> bool:
    """Return whether it is a record that could not be opened."""
    if not isinstance(event, RecordSeen) or event.epoch == "plaintext":
        return False
    return event.content_size is None


@dataclass(slots=True)
class Data:
    """Application data in one direction, of any number of records; `size` without overhead.

    `name` is the name of records that could not be opened, whose `size` is unknown.
    """

    at_ns: int
    until_ns: int
    epoch: str
    records: int
    size: int
    opened: bool = True
    name: str = ""


Content: TypeAlias = Drawn | Data | BytesRefused
"""The entries of a flight."""


class _Piece(NamedTuple):
    event: Content
    to_server: bool
    protected: bool


@dataclass(slots=True)
class Flight:
    """The messages that one side sends without waiting, all in the clear or all encrypted.

    `size` is the bytes of its `records` on the wire. `sending` is that of an `AlertSeen`, which is
    a flight of its own if it was not sent, as far as this side knows.
    """

    to_server: bool
    protected: bool
    events: list[Content]
    records: int = 0
    size: int = 0
    sending: str = ""


def flights_of(events: Sequence[TraceEvent], facts: Facts) -> list[Flight]:
    """Return the flights in order, each with the records that carried it."""
    shown = _with_data(events, facts)
    flights = [
        Flight(to_server, protected, [each.event for each in group], sending=sending)
        for (to_server, protected, sending), group in groupby(
            shown, key=lambda each: (each.to_server, each.protected, _sending(each.event))
        )
    ]
    ways: dict[tuple[bool, bool], list[Flight]] = {}
    for flight in flights:
        ways.setdefault((flight.to_server, flight.protected), []).append(flight)
    for record in events:
        if isinstance(record, RecordSeen) and not is_silent(record, facts):
            way = ((record.direction == "sent") == (facts.role == "client"),
                   record.epoch != "plaintext")  # fmt: skip
            carried = _flight_of(record, ways.get(way, []))
            if carried is not None:
                carried.records += 1
                carried.size += record.size
    return flights


def _sending(event: Content) -> str:
    return event.sending if isinstance(event, AlertSeen) else ""


def _flight_of(record: RecordSeen, own: Sequence[Flight]) -> Flight | None:
    """Return the flight of a record: it leaves after its content was made, and arrives before the
    content is read.
    """
    if record.direction == "sent":
        place = bisect_right(own, record.at_ns, key=lambda each: each.events[0].at_ns) - 1
        return own[place] if place >= 0 else None
    place = bisect_left(own, record.at_ns, key=_end)
    return own[place] if place < len(own) else None


def _end(flight: Flight) -> int:
    last = flight.events[-1]
    return last.until_ns if isinstance(last, Data) else last.at_ns


def _with_data(events: Sequence[TraceEvent], facts: Facts) -> list[_Piece]:
    """Return the events with the application data among them, joined while the direction stays the
    same.
    """
    shown: list[_Piece] = [
        _Piece(each.event, each.to_server, each.protected) for each in shown_events(events, facts)
    ]
    places = {id(event): place for place, event in enumerate(events)}
    for place, event in enumerate(events):
        if isinstance(event, BytesRefused):
            to_server = (event.direction == "sent") == (facts.role == "client")
            shown.append(_Piece(event, to_server, protected=False))
        if isinstance(event, RecordSeen) and (
            event.content_type == ContentType.APPLICATION_DATA or is_closed(event)
        ):
            moment, opened = event.at_ns, not is_closed(event)
            name = "" if opened else _closed_name(event, facts)
            data = Data(moment, moment, event.epoch, 1, event.content_size or 0, opened, name)
            to_server = (event.direction == "sent") == (facts.role == "client")
            shown.append(_Piece(data, to_server, protected=True))
            places[id(data)] = place
    # All records of one packet have the same time.
    shown.sort(key=lambda each: (each.event.at_ns, places.get(id(each.event), 0)))
    together: list[_Piece] = []
    for each in shown:
        last = together[-1] if together else None
        if last is not None and isinstance(each.event, Data) and last.to_server == each.to_server:
            before = last.event
            same = isinstance(before, Data) and (
                (before.opened, before.name) == (each.event.opened, each.event.name)
            )
            if isinstance(before, Data) and same and before.epoch == each.event.epoch:
                before.until_ns = each.event.until_ns
                before.records += 1
                before.size += each.event.size
                continue
        together.append(each)
    return together


def shown_or_closed(events: Sequence[TraceEvent], facts: Facts) -> Iterator[Shown[Drawn | Data]]:
    """Yield the events of the diagram, and the records among them that could not be opened; those
    that follow each other are one.
    """
    if not any(is_closed(event) for event in events):
        yield from shown_events(events, facts)
        return
    for event, to_server, protected in _with_data(events, facts):
        if not isinstance(event, BytesRefused) and not (isinstance(event, Data) and event.opened):
            yield Shown(event, to_server, protected)


def _closed_name(record: RecordSeen, facts: Facts) -> str:
    """Return the name of a record that could not be opened: before TLS 1.3, the header shows the
    type of its content.
    """
    if record.epoch == "early":
        return "early data, encrypted"
    if not has_change_cipher_spec(facts.version):
        return "something encrypted"
    return _CLOSED.get(record.content_type, "something encrypted")


_CLOSED: Mapping[int, str] = {
    ContentType.CHANGE_CIPHER_SPEC: "a protected ChangeCipherSpec",
    ContentType.ALERT: "a protected alert",
    ContentType.HANDSHAKE: "a protected handshake message",
    ContentType.APPLICATION_DATA: "protected application data",
}


def worth_drawing(flights: Sequence[Flight]) -> tuple[list[Flight], str]:
    """Return the first `MOST_ITEMS` events of the flights, without later ones of data alone, and
    what is left out, in a sentence or two.
    """
    with_messages, about_data = _without_later_data(flights)
    drawn, left = _first_items(with_messages)
    plural = "" if left == 1 else "s"
    about_items = f"Not drawn: {left:,} more message{plural} or alert{plural}." if left else ""
    return drawn, " ".join(filter(None, (about_items, about_data)))


def _first_items(flights: Sequence[Flight]) -> tuple[list[Flight], int]:
    """Return the flights with the events that are drawn, and the number of the others."""
    drawn: list[Flight] = []
    room, left = MOST_ITEMS, 0
    for flight in flights:
        kept = flight.events[:room]
        left += len(flight.events) - len(kept)
        room -= len(kept)
        if kept:
            drawn.append(replace(flight, events=kept))
    return drawn, left


def _without_later_data(flights: Sequence[Flight]) -> tuple[list[Flight], str]:
    """Return the flights without later ones of data alone, and a sentence about those."""
    drawn: list[Flight] = []
    left: list[Flight] = []
    seen = 0
    for flight in flights:
        of_data = all(isinstance(event, Data) for event in flight.events)
        seen += of_data
        (left if of_data and seen > _MOST_DATA else drawn).append(flight)
    data = [each for flight in left for each in flight.events if isinstance(each, Data)]
    plural = "" if len(left) == 1 else "s"
    if all(each.opened for each in data):
        size = sum(each.size for each in data)
        told = f"Not drawn: {len(left):,} more turn{plural} of application data, {size:,} bytes."
    else:
        size = sum(flight.size for flight in left)
        told = (
            f"Not drawn: {len(left):,} more turn{plural} of protected records, {size:,} bytes on "
            "the wire."
        )
    return drawn, told if left else ""


def is_silent(record: RecordSeen, facts: Facts) -> bool:
    """Return whether it is a change_cipher_spec of TLS 1.3, which has no meaning."""
    is_change = record.content_type == ContentType.CHANGE_CIPHER_SPEC
    return is_change and not has_change_cipher_spec(facts.version)


def silent_in_words(events: Sequence[TraceEvent], facts: Facts) -> str:
    """Return a sentence on the bytes that are not drawn, so that the sizes add up; empty if all
    are.
    """
    sizes = [
        sum(
            each.size
            for each in events
            if isinstance(each, RecordSeen) and each.direction == way and is_silent(each, facts)
        )
        for way in ("sent", "received")
    ]
    if not any(sizes):
        return ""
    sent, received = sizes
    if sent == received:
        return f"{sent} bytes each way are change_cipher_spec records"
    if sent and received:
        told = f"{sent} bytes sent and {received} received"
    else:
        told = f"{sent} bytes sent" if sent else f"{received} bytes received"
    return f"{told} are change_cipher_spec records"
