"""The story of one recorded handshake, as text for a terminal or a pipe.

A sequence diagram: time goes down, an arrow is a flight, `-` what anyone on the way can read and
`=` what is encrypted. Every line is plain ASCII and fits the width.
"""

from __future__ import annotations

import textwrap
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple, TypeAlias, TypeGuard

from handclasp.advice import worded
from handclasp.errors import ProtocolError
from handclasp.story.exchanges import client_fields, server_form
from handclasp.story.facts import (
    Facts,
    certificates_of,
    client_shares_of,
    facts_of,
    has_change_cipher_spec,
    message_of,
    observed_in,
    role_of,
    secret_in_words,
    sender_of,
    server_share_of,
    version_of,
)
from handclasp.story.unfold import cost_lines, decision_lines, field_lines, key_lines
from handclasp.trace.events import (
    AlertSeen,
    BytesMissing,
    BytesRefused,
    Failed,
    HandshakeResult,
    KeysInstalled,
    MessageSeen,
    RecordSeen,
    TraceEvent,
)
from handclasp.wire import extensions, messages, messages12
from handclasp.wire.codecs import AnyMessage
from handclasp.wire.iana import (
    AlertDescription,
    AlertLevel,
    ContentType,
    ExtensionType,
    HandshakeType,
    alert_name,
    cipher_suite_name,
    group_name,
    handshake_type_name,
    signature_scheme_name,
    version_name,
)
from handclasp.wire.raw_keys import is_raw_public_key

_MARGIN = "  "
_UNFOLDED = 12
_ROOM_UNFOLDED = 52
"""Columns that the longest name of a cipher suite takes in a list of them."""
_MOST_DATA = 6
"""Turns of application data that are drawn: the story is the handshake's."""


def narrate(
    events: Sequence[TraceEvent], width: int = 80, detail: int = 0, *, failure: bool = True
) -> str:
    """The handshake in `events` as a sequence diagram with one plain sentence for each message.

    Args:
        events: what a recorder noted.
        width: columns to fill, at least 60.
        detail: 0 for the story; 1 with the fields of each message, and after the diagram every
            choice, every step of the key schedule, and what it all cost; 2 with the bytes, too.
        failure: whether to end with how it failed, if it did.
    """
    facts = facts_of(events)
    canvas = _Canvas(max(width, 60))
    lines = [canvas.title("client", "server"), canvas.between("")]
    began = next((event.at_ns for event in events if isinstance(event, MessageSeen)), 0)
    flights, more = _worth_drawing(_flights(events, facts))
    for flight in flights:
        for event in flight.events:
            moment = (event.at_ns - began) / 1e6
            lines += _lines(canvas, event, facts, moment)
            if detail and isinstance(event, MessageSeen):
                lines += canvas.unfolded(event, facts, with_bytes=detail > 1)
        lines += [canvas.arrow(flight), canvas.between("")]
    lines.append(canvas.title("client", "server"))
    lines += ["", *canvas.paragraph(_ending(facts, events)), *canvas.paragraph(more)]
    lines += _failure(canvas, events) if failure else []
    if detail:
        for title, told in _behind(events, canvas.width):
            lines += ["", title, *told] if told else []
    return "\n".join(line.rstrip() for line in lines) + "\n"


def story_of(message: AnyMessage | None, sender: str, facts: Facts) -> str:
    """One plain sentence on what a message says.

    Args:
        message: None where it could not be read.
        sender: "client" or "server".
        facts: of the handshake that it belongs to.
    """
    try:
        if isinstance(message, messages12.Message12):
            return _story_of_tls12(message, sender, facts)
        return _story_of(message, sender, facts)
    except ProtocolError:
        return f"The {sender} sends something that does not follow its definition."


Drawn: TypeAlias = MessageSeen | AlertSeen | RecordSeen | BytesMissing
"""What the story has; of records only a change_cipher_spec, and only before TLS 1.3."""


class Shown(NamedTuple):
    """One event of the story, and its way."""

    event: Drawn
    to_server: bool
    protected: bool


class Told(NamedTuple):
    """Its name, and one plain sentence on it."""

    name: str
    sentence: str


def shown_events(events: Sequence[TraceEvent], facts: Facts) -> Iterator[Shown]:
    """What the story has, with its way.

    An alert is protected once its direction has keys, unless its record came in the clear.
    """
    keyed: set[str] = set()
    before: TraceEvent | None = None
    for event in events:
        if isinstance(event, KeysInstalled):
            keyed.add(event.direction)
        elif _is_drawn(event, facts):
            if isinstance(event, AlertSeen):
                protected = event.direction in keyed and not _is_clear_alert(before, event)
            elif isinstance(event, BytesMissing):
                protected = event.direction in keyed
            else:
                protected = event.epoch != "plaintext"
            to_server = (event.direction == "sent") == (facts.role == "client")
            yield Shown(event, to_server, protected)
        before = event


def _is_clear_alert(before: TraceEvent | None, alert: AlertSeen) -> bool:
    """Whether the record in front of an alert is the one that it came in, without protection."""
    return (
        isinstance(before, RecordSeen)
        and before.content_type == ContentType.ALERT
        and before.direction == alert.direction
        and before.epoch == "plaintext"
    )


def told(event: Drawn, facts: Facts) -> Told:
    """An event of the story in words."""
    sender = sender_of(event, facts.role)
    if isinstance(event, BytesMissing):
        plural = "" if event.size == 1 else "s"
        return Told(
            f"{event.size:,} byte{plural} missing",
            f"So much of what the {sender} said is not in the capture.",
        )
    if isinstance(event, AlertSeen):
        return Told(f"Alert: {alert_name(event.description)}", _alert_story(event, sender, facts))
    if isinstance(event, RecordSeen):
        return Told("ChangeCipherSpec", f"All that the {sender} sends from here on is encrypted.")
    message = message_of(event)
    name = handshake_type_name(event.message_type)
    if isinstance(message, messages.ServerHello) and message.is_hello_retry_request:
        name = "HelloRetryRequest"
    if message is None and event.raw:
        return Told(name, _unread_story(event, sender, facts))
    return Told(name, story_of(message, sender, facts))


def _unread_story(event: MessageSeen, sender: str, facts: Facts) -> str:
    """One sentence on a message that is not read: broken, or in a form that is not known here."""
    if event.message_type == HandshakeType.SERVER_HELLO and event.raw[4:5] == b"\x7f":
        version = version_name(int.from_bytes(event.raw[4:6], "big"))
        return f"We take {version}, in which a ServerHello has another form."
    if event.message_type == HandshakeType.SERVER_KEY_EXCHANGE:
        form = server_form(event.raw)
        if form is not None:
            return form[0].story
        return "The server's part of the key exchange, in a form that is not read here."
    if event.message_type not in _READ_IN_ALL or not _is_ours(facts.version):
        return f"The {sender} sends something in a form that is not read here."
    return f"The {sender} sends something that does not follow its definition."


_READ_IN_ALL = frozenset(HandshakeType)


def _is_ours(version: str | None) -> bool:
    return version in (None, "TLSv1.2", "TLSv1.3")


@dataclass(slots=True)
class _Flight:
    """What one side says without waiting for the other, all in the clear or all encrypted.

    `size` is in bytes on the wire, of so many `records`.
    """

    to_server: bool
    protected: bool
    events: list[_Drawn]
    records: int = 0
    size: int = 0


def _flights(events: Sequence[TraceEvent], facts: Facts) -> list[_Flight]:
    """The flights in order, each with the records that carried it."""
    shown = _with_data(events, facts)
    flights = [
        _Flight(to_server, protected, [each.event for each in group])
        for (to_server, protected), group in groupby(
            shown, key=lambda each: (each.to_server, each.protected)
        )
    ]
    ways: dict[tuple[bool, bool], list[_Flight]] = {}
    for flight in flights:
        ways.setdefault((flight.to_server, flight.protected), []).append(flight)
    for record in events:
        if isinstance(record, RecordSeen) and not _is_silent(record, facts):
            way = ((record.direction == "sent") == (facts.role == "client"),
                   record.epoch != "plaintext")  # fmt: skip
            carried = _flight_of(record, ways.get(way, []))
            if carried is not None:
                carried.records += 1
                carried.size += record.size
    return flights


def _is_silent(record: RecordSeen, facts: Facts) -> bool:
    """In TLS 1.3 a change_cipher_spec carries nothing of what is told."""
    is_change = record.content_type == ContentType.CHANGE_CIPHER_SPEC
    return is_change and not has_change_cipher_spec(facts.version)


def _flight_of(record: RecordSeen, own: Sequence[_Flight]) -> _Flight | None:
    """A record leaves after what it holds was made, and comes before that is read."""
    if record.direction == "sent":
        place = bisect_right(own, record.at_ns, key=lambda each: each.events[0].at_ns) - 1
        return own[place] if place >= 0 else None
    place = bisect_left(own, record.at_ns, key=_end)
    return own[place] if place < len(own) else None


def _end(flight: _Flight) -> int:
    last = flight.events[-1]
    return last.until_ns if isinstance(last, _Data) else last.at_ns


def _worth_drawing(flights: Sequence[_Flight]) -> tuple[list[_Flight], str]:
    """All flights but later ones of data alone, and a sentence on those."""
    drawn: list[_Flight] = []
    left: list[_Flight] = []
    seen = 0
    for flight in flights:
        of_data = all(isinstance(event, _Data) for event in flight.events)
        seen += of_data
        (left if of_data and seen > _MOST_DATA else drawn).append(flight)
    data = [each for flight in left for each in flight.events if isinstance(each, _Data)]
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


def _with_data(events: Sequence[TraceEvent], facts: Facts) -> list[_Shown]:
    """What is shown, and among it application data, as much in one piece as went one way."""
    shown: list[_Shown] = [
        _Shown(each.event, each.to_server, each.protected) for each in shown_events(events, facts)
    ]
    places = {id(event): place for place, event in enumerate(events)}
    for place, event in enumerate(events):
        if isinstance(event, BytesRefused):
            to_server = (event.direction == "sent") == (facts.role == "client")
            shown.append(_Shown(event, to_server, protected=False))
        if isinstance(event, RecordSeen) and (
            event.content_type == ContentType.APPLICATION_DATA or _is_closed(event)
        ):
            moment, opened = event.at_ns, not _is_closed(event)
            name = "" if opened else _closed_name(event, facts)
            data = _Data(moment, moment, event.epoch, 1, event.content_size or 0, opened, name)
            to_server = (event.direction == "sent") == (facts.role == "client")
            shown.append(_Shown(data, to_server, protected=True))
            places[id(data)] = place
    # Of what came in one packet, all has one time.
    shown.sort(key=lambda each: (each.event.at_ns, places.get(id(each.event), 0)))
    together: list[_Shown] = []
    for each in shown:
        last = together[-1] if together else None
        if last is not None and isinstance(each.event, _Data) and last.to_server == each.to_server:
            before = last.event
            same = isinstance(before, _Data) and (
                (before.opened, before.name) == (each.event.opened, each.event.name)
            )
            if isinstance(before, _Data) and same and before.epoch == each.event.epoch:
                before.until_ns = each.event.until_ns
                before.records += 1
                before.size += each.event.size
                continue
        together.append(each)
    return together


@dataclass(slots=True)
class _Data:
    """Application data in one direction, of any number of records; `size` without overhead.

    `name` is what a closed record is called, of which `size` is not known.
    """

    at_ns: int
    until_ns: int
    epoch: str
    records: int
    size: int
    opened: bool = True
    name: str = ""


def _closed_name(record: RecordSeen, facts: Facts) -> str:
    """Before TLS 1.3, the header of a record says what is inside."""
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


def _is_closed(event: TraceEvent) -> bool:
    """Whether it is a record that could not be opened."""
    if not isinstance(event, RecordSeen) or event.epoch == "plaintext":
        return False
    return event.content_size is None


class _Shown(NamedTuple):
    event: _Drawn
    to_server: bool
    protected: bool


_Drawn: TypeAlias = Drawn | _Data | BytesRefused


def _behind(events: Sequence[TraceEvent], width: int) -> Iterator[tuple[str, list[str]]]:
    """What stands behind the story, by title."""
    yield "What was chosen, and why", list(decision_lines(events, width))
    yield "From the secret to the keys", list(key_lines(events, width))
    yield "What it cost on this side", list(cost_lines(events, width))


class _Canvas:
    """Two life lines, and what stands between them."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._inside = width - 2 * len(_MARGIN) - 2

    def title(self, left: str, right: str) -> str:
        return left + right.rjust(self.width - len(left))

    def between(self, text: str) -> str:
        return f"{_MARGIN}|{text.ljust(self._inside)}|"

    def arrow(self, flight: _Flight) -> str:
        stroke = "=" if flight.protected else "-"
        told = ""
        if flight.records:
            plural = "" if flight.records == 1 else "s"
            told = f" {flight.size:,} bytes in {flight.records} record{plural} "
        shaft = told.center(self._inside - 1, stroke)
        return self.between(f"{shaft}>" if flight.to_server else f"<{shaft}")

    def unfolded(self, event: MessageSeen, facts: Facts, *, with_bytes: bool) -> Iterator[str]:
        margin = " " * min(_UNFOLDED, max(1, self._inside - 1 - _ROOM_UNFOLDED))
        lines = field_lines(
            event.raw,
            event.epoch,
            self._inside - len(margin) - 1,
            with_bytes=with_bytes,
            key_exchange=facts.key_exchange,
        )
        for line in lines:
            yield self.between(f"{margin}{line}")

    def message(self, moment: float, name: str, size: str) -> str:
        left = f"{_elapsed(moment):>10}  {name}"
        return self.between(f"{left}{size.rjust(self._inside - len(left) - 1)} ")

    def sentence(self, text: str) -> Iterator[str]:
        for line in textwrap.wrap(text, self._inside - 13):
            yield self.between(f"{'':12}{line}")

    def paragraph(self, text: str) -> list[str]:
        return textwrap.wrap(text, self.width)


def _is_drawn(event: TraceEvent, facts: Facts) -> TypeGuard[Drawn]:
    if isinstance(event, RecordSeen):
        # In TLS 1.3 it says nothing: it is there for middleboxes that look for it.
        is_change = event.content_type == ContentType.CHANGE_CIPHER_SPEC and not _is_closed(event)
        return is_change and has_change_cipher_spec(facts.version)
    return isinstance(event, MessageSeen | AlertSeen | BytesMissing)


def _lines(canvas: _Canvas, event: _Drawn, facts: Facts, moment: float) -> Iterable[str]:
    if isinstance(event, _Data):
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
        yield from canvas.sentence(f"What comes is something else. It begins with: {start}")
        return
    name, sentence = told(event, facts)
    size = f"{len(event.raw):,} bytes" if isinstance(event, MessageSeen) else ""
    yield canvas.message(moment, name, size)
    yield from canvas.sentence(sentence)


def _alert_story(alert: AlertSeen, sender: str, facts: Facts) -> str:
    """RFC 8446 6: the level says nothing there; before it, a warning may be passed over."""
    if alert.description == AlertDescription.CLOSE_NOTIFY:
        return f"Nothing more will follow from the {sender}."
    if alert.description == AlertDescription.USER_CANCELED:
        return f"The {sender} breaks off, for no reason of TLS."
    if alert.level == AlertLevel.WARNING and facts.version == "TLSv1.2":
        return "A warning: the two may go on."
    return "This is the end."


def _story_of(message: messages.Message | None, sender: str, facts: Facts) -> str:
    match message:
        case messages.ClientHello():
            return _hello_story(message)
        case messages.ServerHello():
            return _answer_story(message, facts)
        case messages.EncryptedExtensions():
            return _extensions_story(message, facts)
        case messages.CertificateRequest():
            return "The server asks who the client is: it wants to see a certificate, too."
        case messages.Certificate() | messages.CompressedCertificate():
            return _certificate_story(message, sender)
        case messages.CertificateVerify():
            scheme = signature_scheme_name(message.algorithm)
            whose = "that key's" if sender in facts.raw_keys else "the certificate's"
            return (
                f"Proof that the {sender} holds {whose} private key: its signature over "
                f"everything so far, {len(message.signature):,} bytes of {scheme}."
            )
        case messages.Finished():
            return (
                f"The {sender} seals everything that was said with the new keys: if one byte had "
                "been changed on the way, it would show here."
            )
        case messages.NewSessionTicket():
            return "A ticket with which the client can come back without starting all over."
        case messages.KeyUpdate():
            also = ", and asks the other side to do the same" if message.request_update else ""
            return f"The {sender} goes over to fresh keys{also}."
        case messages.EndOfEarlyData():
            return "The client's early data ends here."
        case None:
            return f"The {sender} sends something that does not follow its definition."


def _story_of_tls12(message: messages12.Message12, sender: str, facts: Facts) -> str:
    match message:
        case messages12.Certificate12():
            return _certificate_story(message, sender)
        case messages12.CertificateStatus():
            return (
                "The server passes on what the issuer says on whether the certificate was "
                f"revoked: {len(message.response):,} bytes, signed by the issuer."
            )
        case messages12.ServerKeyExchange():
            scheme = signature_scheme_name(message.algorithm)
            return (
                f"My public half of a secret: {server_share_of(message)}, signed with the "
                f"certificate's private key, {len(message.signature):,} bytes of {scheme}."
            )
        case messages12.CertificateRequest12():
            return "The server asks who the client is: it wants to see a certificate, too."
        case messages12.ServerHelloDone():
            return "The server has said all that it has to say so far."
        case messages12.ClientKeyExchange():
            return _client_key_exchange_story(message, facts)
        case messages12.NewSessionTicket12():
            return "A ticket with which the client can come back without starting all over."
        case messages12.HelloRequest():
            return "The server would like to shake hands anew; the client need not."


def _client_key_exchange_story(message: messages12.ClientKeyExchange, facts: Facts) -> str:
    if client_fields(message.exchange_keys, facts.key_exchange) is None:
        return "The client sends its part of the secret, in a way that cannot be read here."
    size = facts.encrypted_secret_size
    if facts.key_exchange == "psk":
        return "Which of the keys that both have from before I go by. Nothing of it is sent."
    if size is not None and facts.key_exchange == "psk transport":
        return (
            "A part of the secret, which I made alone, encrypted to the public key in the "
            f"certificate: {size:,} bytes. The other part is the key that both have from before."
        )
    if size is not None:
        return (
            "The secret, which I made alone, encrypted to the public key in the certificate: "
            f"{size:,} bytes that only the holder of the private key can open."
        )
    if facts.client_shares:
        return f"My half of the secret: {facts.client_shares[0]}; both sides can now work it out."
    if facts.key_exchange == "agreement":
        return "My public half of the secret; both sides can now work it out."
    return "The client sends its part of the secret, in a way that cannot be read here."


def _hello_story(hello: messages.ClientHello) -> str:
    name = hello.extensions.get(ExtensionType.SERVER_NAME)
    host = extensions.read_server_name(name) if name is not None else None
    shares = " and ".join(map(str, client_shares_of(hello)))
    # Some numbers are no suites but signals, and others mean nothing at all.
    suites = [
        suite
        for suite in map(cipher_suite_name, hello.cipher_suites)
        if suite.startswith("TLS_") and not suite.endswith("_SCSV")
    ]
    told = (
        f"Hello{f', I am looking for {host}' if host else ''}. I can do {len(suites)} cipher "
        f"suite{'s' if len(suites) != 1 else ''}"
    )
    if ExtensionType.KEY_SHARE not in hello.extensions:
        told += "."  # TLS 1.2 comes to that later, and a pre-shared key may go alone.
    elif shares:
        one = len(client_shares_of(hello)) == 1
        half = "is my public half" if one else "are my public halves"
        told += f"; here {half} of a secret: {shares}."
    else:
        told += "; no share yet."
    return told + _earlier_story(hello)


def _earlier_story(hello: messages.ClientHello) -> str:
    """What a client brings from before, which the server may take or not."""
    told = ""
    if ExtensionType.PRE_SHARED_KEY in hello.extensions:
        told = " And I have a key that you may know from before."
    elif hello.extensions.get(ExtensionType.SESSION_TICKET):
        told = " And I have a ticket from an earlier session."
    if ExtensionType.EARLY_DATA in hello.extensions:
        told += (
            " My first words follow at once, under that key (0-RTT): whoever records them can "
            "send them again."
        )
    return told


def _answer_story(hello: messages.ServerHello, facts: Facts) -> str:
    if hello.is_hello_retry_request:
        data = hello.extensions.get(ExtensionType.KEY_SHARE)
        group = extensions.read_key_share_hello_retry_request(data) if data is not None else None
        wish = f" with a share of {group_name(group)}" if group is not None else ""
        return f"Not quite: say hello again{wish}."
    suite = cipher_suite_name(hello.cipher_suite)
    version = version_of(hello)
    if version == "TLSv1.2":
        resumed = facts.key_exchange == "session"
        return f"We take TLS 1.2 and {suite}" + (
            ", and go on with the secret of our earlier session." if resumed else "."
        )
    if version is None or not version.startswith("TLSv1.3"):
        return f"We take {version or 'a version that is not known here'} and {suite}."
    answer = f"We take {suite}" if version == "TLSv1.3" else f"We take {version} and {suite}"
    if ExtensionType.PRE_SHARED_KEY in hello.extensions:
        answer += " and the key that you brought"
    share = server_share_of(hello)
    half = f" My half of the secret: {share}; both sides can now work it out." if share else ""
    return f"{answer}.{half}"


def _extensions_story(message: messages.EncryptedExtensions, facts: Facts) -> str:
    data = message.extensions.get(ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION)
    if data is not None:
        protocol = extensions.read_alpn(data)[0].decode("ascii", "backslashreplace")
        told = f"we shall speak {protocol}"
    elif set(message.extensions) - {ExtensionType.EARLY_DATA}:
        told = "the rest of what is settled"
    else:
        told = "there is nothing else to settle"
    if ExtensionType.EARLY_DATA in message.extensions:
        told += "; and we take your early data"
    # With early data, the client's came before.
    whose = "The" if facts.early_data == "none" else "The server's"
    return f"{whose} first encrypted words: {told}."


def _certificate_story(
    message: messages.Certificate | messages.CompressedCertificate | messages12.Certificate12,
    sender: str,
) -> str:
    chain = certificates_of(message)
    if chain is None:
        return f"The {sender} shows who it is, in a way that cannot be read here."
    if not chain:
        return f"The {sender} shows no certificate."
    if is_raw_public_key(chain[0]):
        return (
            f"The {sender} shows a raw public key, without a certificate: {len(chain[0]):,} bytes, "
            "which the other side must know already."
        )
    sizes = tuple(map(len, chain))
    plural = "s" if len(sizes) > 1 else ""
    how = ""
    if isinstance(message, messages.CompressedCertificate):
        how = ", compressed on the way"
    elif isinstance(message, messages12.Certificate12):
        how = ", for all to read"
    return (
        f"The {sender} shows who it is: {len(sizes)} certificate{plural} with its name, its "
        f"public key and its issuer, {sum(sizes):,} bytes{how}."
    )


def _ending(facts: Facts, events: Sequence[TraceEvent]) -> str:
    observed = observed_in(events)
    if facts.info is None or facts.handshake_ns is None:
        if observed is not None:
            return observed.telling
        closed = [event for event in events if isinstance(event, RecordSeen) and _is_closed(event)]
        if len({event.direction for event in closed}) == 2:
            return "Whether the handshake was completed is hidden in what could not be opened."
        return "The handshake was not completed."
    retry = " after a second hello" if facts.info.hello_retry else ""
    group = secret_in_words(facts.key_exchange, facts.info)
    silent = silent_in_words(events, facts)
    undrawn = f" {silent}, which say nothing in TLS 1.3; they are not drawn." if silent else ""
    return (
        f"Complete{retry} in {facts.handshake_ns / 1e6:.1f} ms: {facts.info.version}, "
        f"{facts.info.cipher_suite}, {group}. On the wire: {facts.handshake_sent:,} "
        f"bytes sent, {facts.handshake_received:,} received by the {facts.role}.{undrawn}"
    )


def silent_in_words(events: Sequence[TraceEvent], facts: Facts) -> str:
    """What of the bytes on the wire is not drawn, so that they add up; empty if all is."""
    sizes = [
        sum(
            each.size
            for each in events
            if isinstance(each, RecordSeen) and each.direction == way and _is_silent(each, facts)
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
            yield from canvas.paragraph(f"{who} {when}{alert}. {event.message}")
            if event.fix:
                yield from canvas.paragraph(worded(event.fix, "reader"))


def _elapsed(milliseconds: float) -> str:
    return f"{milliseconds:.1f} ms" if milliseconds < 10_000 else f"{milliseconds / 1000:.1f} s"
