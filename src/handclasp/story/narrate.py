"""A recorded handshake as text for a terminal or a pipe.

It is a sequence diagram: time goes down, an arrow is a flight, `-` means readable by anyone on the
network, and `=` encrypted. Every line is plain ASCII and fits the width.

>>> from handclasp.story.narrate import narrate
>>> recorder = Recorder()
>>> handclasp.connect("example.com", 443, trace=recorder).close()
>>> print(narrate(recorder.events).partition("Hello,")[0].rstrip())
client                                                                    server
  |                                                                          |
  |    ... ms  ClientHello                                       ... bytes |
  |
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from handclasp.advice import for_reader, worded
from handclasp.certificates.describe import covers_name
from handclasp.iana import ContentType
from handclasp.story.clock import CERTIFICATE_MESSAGES
from handclasp.story.facts import (
    NOTHING_SENT,
    Facts,
    facts_of,
    nothing_sent,
    observed_in,
    role_of,
    secret_in_words,
    sender_of,
)
from handclasp.story.flights import (
    Content,
    Data,
    Flight,
    flights_of,
    is_closed,
    silent_in_words,
    worth_drawing,
)
from handclasp.story.recorded import chain_in
from handclasp.story.sentences import told
from handclasp.story.situation import situation_of
from handclasp.story.unfold import cost_lines, decision_lines, field_lines, key_lines
from handclasp.trace.events import (
    AlertSeen,
    BytesRefused,
    Failed,
    HandshakeResult,
    InnerHello,
    MessageSeen,
    RecordSeen,
    TraceEvent,
    TransportEnded,
)

_MARGIN = "  "
_UNFOLDED = 12
_ROOM_UNFOLDED = 52
"""The columns of the longest cipher suite name in a list."""
_MOST_UNFOLDED = 5_000
"""The lines for the fields of all messages: a hello may list tens of thousands of numbers."""


def narrate(
    events: Sequence[TraceEvent], width: int = 80, detail: int = 0, *, failure: bool = True
) -> str:
    """Return the handshake as a sequence diagram, with one plain sentence for each message.

    Args:
        events: the recorded events.
        width: the columns to fill, at least 60.
        detail: 0 for the diagram; 1 also for the fields of each message, and after the diagram all
            choices, all steps of the key schedule, and the costs; 2 also for the bytes.
        failure: whether to end with the reason for a failure.
    """
    facts = facts_of(events)
    canvas = _Canvas(max(width, 60))
    lines = [canvas.title("client", "server"), canvas.between("")]
    began = next((event.at_ns for event in events if isinstance(event, MessageSeen)), 0)
    flights, more = worth_drawing(flights_of(events, facts))
    fields = _Unfolded(canvas, facts, with_bytes=detail > 1)
    for flight in flights:
        for event in flight.events:
            moment = (event.at_ns - began) / 1e6
            lines += _lines(canvas, event, facts, moment)
            hello = event.message if isinstance(event, InnerHello) else event
            if detail and isinstance(hello, MessageSeen):
                lines += fields.lines(hello)
        lines += [canvas.arrow(flight), canvas.between("")]
    lines.append(canvas.title("client", "server"))
    lines += ["", *canvas.paragraph(_ending(facts, events)), *canvas.paragraph(more)]
    if facts.early_data == "rejected":
        lines += ["", *canvas.paragraph(_early_data_rejected(facts))]
    lines += _failure(canvas, events) if failure else []
    if detail:
        for title, told in _behind(events, canvas.width):
            lines += ["", title, *told] if told else []
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _behind(events: Sequence[TraceEvent], width: int) -> Iterator[tuple[str, list[str]]]:
    """Return the parts after the diagram, by title."""
    yield "What was chosen, and why", list(decision_lines(events, width))
    yield "From the secret to the keys", list(key_lines(events, width))
    yield "What it cost on this side", list(cost_lines(events, width))


class _Canvas:
    """Two lifelines, and the text between them."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._inside = width - 2 * len(_MARGIN) - 2

    def title(self, left: str, right: str) -> str:
        return left + right.rjust(self.width - len(left))

    def between(self, text: str) -> str:
        return f"{_MARGIN}|{text.ljust(self._inside)}|"

    def arrow(self, flight: Flight) -> str:
        stroke = "=" if flight.protected else "-"
        told = ""
        if flight.records:
            plural = "" if flight.records == 1 else "s"
            told = f" {flight.size:,} bytes in {flight.records} record{plural} "
        if flight.sending:
            left = "not sent" if flight.sending == "unsent" else "left to the program"
            return self.between(f"({told.strip() or 'alert'}, {left})".center(self._inside))
        shaft = told.center(self._inside - 1, stroke)
        return self.between(f"{shaft}>" if flight.to_server else f"<{shaft}")

    @property
    def room_unfolded(self) -> int:
        """The columns for the fields of a message."""
        return self._inside - len(self._margin_unfolded) - 1

    def unfolded(self, line: str) -> str:
        return self.between(f"{self._margin_unfolded}{line}")

    @property
    def _margin_unfolded(self) -> str:
        return " " * min(_UNFOLDED, max(1, self._inside - 1 - _ROOM_UNFOLDED))

    def message(self, moment: float, name: str, size: str) -> str:
        left = f"{_elapsed(moment):>10}  {name}"
        return self.between(f"{left}{size.rjust(self._inside - len(left) - 1)} ")

    def sentence(self, text: str) -> Iterator[str]:
        for line in textwrap.wrap(text, self._inside - 13):
            yield self.between(f"{'':12}{line}")

    def paragraph(self, text: str) -> list[str]:
        return textwrap.wrap(text, self.width)


class _Unfolded:
    """The fields of the messages, as far as there is room for their lines."""

    def __init__(self, canvas: _Canvas, facts: Facts, *, with_bytes: bool) -> None:
        self._canvas = canvas
        self._facts = facts
        self._with_bytes = with_bytes
        self._room = _MOST_UNFOLDED

    def lines(self, event: MessageSeen) -> Iterator[str]:
        canvas = self._canvas
        if not self._room:
            yield canvas.unfolded(f"(not unfolded: there are {_MOST_UNFOLDED:,} lines already)")
            return
        lines = field_lines(
            event.raw,
            event.epoch,
            canvas.room_unfolded,
            with_bytes=self._with_bytes,
            key_exchange=self._facts.key_exchange,
        )
        for line in islice(lines, self._room):
            yield canvas.unfolded(line)
            self._room -= 1
        left = sum(1 for _ in lines)
        if left:
            yield canvas.unfolded(f"({left:,} more lines)")


def _lines(canvas: _Canvas, event: Content, facts: Facts, moment: float) -> Iterable[str]:
    if isinstance(event, Data):
        name = "early data" if event.epoch == "early" else "application data"
        if event.opened:
            yield canvas.message(moment, name, f"{event.size:,} bytes")
        else:
            yield canvas.message(moment, event.name or "something encrypted", "not opened")
        return
    if isinstance(event, BytesRefused):
        yield canvas.message(moment, "no TLS", "")
        text = event.data.decode("ascii", "replace").encode("ascii", "replace").decode("ascii")
        start = "".join(each if each.isprintable() else "." for each in text)
        yield from canvas.sentence(f"The received data are not TLS. They begin with: {start}")
        return
    name, sentence = told(event, facts)
    size = f"{len(event.raw):,} bytes" if isinstance(event, MessageSeen | InnerHello) else ""
    yield canvas.message(moment, name, size)
    yield from canvas.sentence(sentence)


def _ending(facts: Facts, events: Sequence[TraceEvent]) -> str:
    return " ".join(filter(None, (_outcome(facts, events), leaving_in_words(events, facts))))


_LEFT_AT_ONCE = (
    "The client closed the connection at once, without any data: perhaps it refused the server's "
    "certificate, which is not for the name that it asked for. Then the server needs a certificate "
    "for that name, or the client has to connect by a name that is in the certificate."
)


def leaving_in_words(events: Sequence[TraceEvent], facts: Facts | None = None) -> str:
    """Return why a client may have left right after its handshake; empty if it did not.

    Some clients compare the name only when the handshake is complete, and send no alert. So this is
    for a client that completes it and closes without data, after a certificate for another name,
    as its server or a capture sees it.

    >>> from handclasp.story.narrate import leaving_in_words
    >>> leaving_in_words(Recorder().events)
    ''
    """
    if any(_holds_data(event) for event in events):
        return ""
    facts = facts_of(events) if facts is None else facts
    return _LEFT_AT_ONCE if _left_at_once(events, facts) else ""


def _holds_data(event: TraceEvent) -> bool:
    return isinstance(event, RecordSeen) and event.content_type == ContentType.APPLICATION_DATA


def _left_at_once(events: Sequence[TraceEvent], facts: Facts) -> bool:
    observed, situation = observed_in(events), situation_of(events)
    if observed is None:
        is_complete = facts.info is not None and facts.role == "server"
    else:
        is_complete = observed.outcome.endswith("complete")
    if not is_complete or situation.offers_ech:
        return False
    chain: tuple[bytes, ...] = ()
    closed_by = ""
    for event in events:
        if isinstance(event, TransportEnded):
            is_client = (event.direction == "sent") == (facts.role == "client")
            closed_by = closed_by or ("client" if is_client else "server")
            continue
        if not isinstance(event, MessageSeen | RecordSeen | AlertSeen):
            continue
        sender = sender_of(event, facts.role)
        if isinstance(event, MessageSeen):
            if event.message_type in CERTIFICATE_MESSAGES and sender == "server":
                chain = chain_in(event.raw, event.epoch)
        elif isinstance(event, AlertSeen) or event.content_type == ContentType.ALERT:
            closed_by = closed_by or sender
    return closed_by == "client" and covers_name(chain, situation.server_name) is False


def _outcome(facts: Facts, events: Sequence[TraceEvent]) -> str:
    observed = observed_in(events)
    if facts.info is None or facts.handshake_ns is None:
        if observed is not None:
            return observed.telling
        closed = [event for event in events if isinstance(event, RecordSeen) and is_closed(event)]
        if len({event.direction for event in closed}) == 2:
            return (
                "Whether the handshake was completed is hidden in records that could not be opened."
            )
        return NOTHING_SENT if nothing_sent(events) else "The handshake was not completed."
    retry = " after a second hello" if facts.info.hello_retry else ""
    group = secret_in_words(facts.key_exchange, facts.info)
    silent = silent_in_words(events, facts)
    undrawn = f" {silent}, which say nothing in TLS 1.3; they are not drawn." if silent else ""
    return (
        f"Complete{retry} in {facts.handshake_ns / 1e6:.1f} ms: {facts.info.version}, "
        f"{facts.info.cipher_suite}, {group}. On the wire: {facts.handshake_sent:,} "
        f"bytes sent, {facts.handshake_received:,} received by the {facts.role}.{undrawn}"
    )


def _early_data_rejected(facts: Facts) -> str:
    why = f": {facts.early_data_refusal}" if facts.early_data_refusal else ""
    return (
        f"The server rejected the early data{why}. The client has to send them again if they are "
        "to arrive."
    )


def _failure(canvas: _Canvas, events: Sequence[TraceEvent]) -> Iterator[str]:
    settled = any(isinstance(event, HandshakeResult) for event in events)
    role = role_of(events)
    for event in events:
        if isinstance(event, Failed):
            other = "server" if role == "client" else "client"
            who = f"The {role if event.origin == 'local' else other} gave up"
            when = "after the handshake" if settled else "during the handshake"
            yield ""
            alert = f" ({event.alert})" if event.alert else ""
            yield from canvas.paragraph(f"{who} {when}{alert}. {for_reader(event.message, role)}")
            if event.fix:
                yield from canvas.paragraph(worded(event.fix, "reader"))


def _elapsed(milliseconds: float) -> str:
    return f"{milliseconds:.1f} ms" if milliseconds < 10_000 else f"{milliseconds / 1000:.1f} s"
