"""The observation of a conversation between others, as the trace that one end would have recorded.

Both directions go through the library's own record protection and key schedule. The keys come from
a key log, since the bytes on the wire do not reveal them. If a secret is missing, the trace has the
parts in the clear, and `Observation.missing` names what would reveal more.

The trace is written from the side of the client, unless the client gave up: then from that of the
server, which needs the explanation. It claims nothing without evidence: a connection has failed if
an alert in the clear shows it, or if an end leaves before it can have finished.

>>> from handclasp.capture.observe import Observation, observe
>>> from handclasp.capture.secrets import KeyLog
>>> from handclasp.capture.stream import Address, Piece, Stream
>>> client = ClientConnection(server_name="example.com")
>>> ends = Address("192.0.2.1", 49152), Address("192.0.2.2", 443)
>>> stream = Stream(0, ends, (Piece(0, 0, client.data_to_send()),))
>>> observation: Observation = observe(stream, KeyLog())
>>> observation.server_name
'example.com'
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from handclasp.capture.agreed import settle
from handclasp.capture.conversation import CLIENT, SERVER, Conversation, Side
from handclasp.capture.ending import (
    ending_of,
    failure_of,
    heed_end,
    heed_warning,
    viewer_of,
)
from handclasp.capture.outcome import gap_sentences, verdict_of
from handclasp.capture.preamble import (
    kind_of_preamble,
    opens_with_ssl2,
    preamble_sentence,
    what_instead,
)
from handclasp.capture.records import take_record
from handclasp.capture.secrets import KeyLog
from handclasp.capture.stream import CaptureError, Piece, Stream, StreamEnd
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.story.clock import doubt_of_clock
from handclasp.trace.events import (
    AlertSeen,
    Began,
    BytesMissing,
    BytesRefused,
    InnerHello,
    KeysInstalled,
    MessageSeen,
    Observed,
    RecordSeen,
    TraceEvent,
    TransportEnded,
    TransportSeen,
)
from handclasp.values import dataclass, replace
from handclasp.wire.records import HEADER_SIZE, MAX_CIPHERTEXT, what_else_it_is


@dataclass(frozen=True, slots=True)
class Observation:
    """The observation of one conversation.

    Attributes:
        events: the events, as a recorder at one of the ends would have kept them.
        began_at_ns: the start of the events' times, in nanoseconds since 1970 (UTC).
        server_name: the name that the client asked for, or None.
        missing: the hidden parts and what would reveal them, a sentence for each; empty if there
            are none.
    """

    events: tuple[TraceEvent, ...]
    began_at_ns: int
    server_name: str | None
    missing: tuple[str, ...]


def observe(stream: Stream, keylog: KeyLog) -> Observation:
    """Follow a conversation from its ClientHello on, or from the ServerHello if that is missing.

    Raises `CaptureError` if there is neither.
    """
    found = stream.starts_of_hello()
    if found is not None:
        return _observation(Conversation(stream, keylog, *found))
    server = stream.answers()
    if server is None or opens_with_ssl2(stream):
        raise CaptureError(what_instead(stream))
    return _observation(Conversation(stream, keylog, 1 - server, 0, has_hello=False))


def _observation(talk: Conversation) -> Observation:
    _follow(talk)
    heed_warning(talk)
    _answered_otherwise(talk)
    _tell_preamble(talk)
    _tell_cut_records(talk)
    seen = [(role, side.seen) for role, side in talk.sides.items()]
    talk.missing += gap_sentences(seen, is_cut=talk.stream.is_cut)
    if talk.stream.trouble:
        talk.missing.append(talk.stream.trouble)
    ending = ending_of(talk)
    heed_end(talk, ending)
    talk.viewer = viewer_of(talk, ending)
    settle(talk)
    events = [*_opening(talk, talk.viewer), *_seen_by(talk, talk.viewer)]
    if doubt := doubt_of_clock(events):
        talk.missing.append(doubt)
    not_seen = tuple(talk.missing)
    # A reader of the trace explains the failure as that of a capture, too.
    observed = Observed(talk.at, "unknown", "", not_seen)
    failure = list(failure_of(talk, ending, [*events, observed]))
    outcome, telling = verdict_of(
        talk.sides[CLIENT].seen,
        talk.sides[SERVER].seen,
        talk.version,
        has_failed=bool(failure),
        file_is_cut=bool(talk.stream.trouble),
    )
    events += [*failure, replace(observed, outcome=outcome, telling=telling)]
    return Observation(tuple(events), talk.began, talk.server_name, not_seen)


def _follow(talk: Conversation) -> None:
    hello_seen = not talk.has_hello
    if hello_seen:
        talk.missing.append(
            "The ClientHello is not in the capture: what was offered is not known, nor which "
            "secrets of a key log are those of this connection."
        )
    both: list[Piece | StreamEnd] = [*talk.stream.pieces, *talk.stream.endings]
    for piece in sorted(both, key=lambda piece: piece.at_ns):
        role = CLIENT if piece.sender == talk.client else SERVER
        side = talk.sides[role]
        talk.at = piece.at_ns - talk.began
        if isinstance(piece, StreamEnd):
            talk.first_end = talk.first_end or (talk.at, role, piece.how)
            talk.note(role, TransportEnded(talk.at, "", piece.how))
            continue
        before = min(side.skip, len(piece.data)) if role == CLIENT else 0
        if not hello_seen:
            hello_seen = role == CLIENT and before < len(piece.data)
            before = before if hello_seen else len(piece.data)
            _skip(talk, side, piece.data[:before], piece.missing)
        elif piece.missing:
            _gap(talk, side, piece.missing)
        data = piece.data[before:]
        if role == CLIENT and not talk.has_hello and not talk.sides[SERVER].spoke:
            _skip(talk, side, data)
            continue
        if data and not side.seen.is_lost:
            side.heard_at = side.heard_at or talk.at
            side.buffer += data
            _records(talk, side)
            if side.buffer:
                side.spoke_at = talk.at


def _answered_otherwise(talk: Conversation) -> None:
    """Return what a server sent instead of TLS, if it did not answer in TLS."""
    client, server = talk.sides[CLIENT], talk.sides[SERVER]
    if server.spoke or server.seen.is_lost or not talk.has_hello:
        return
    is_all = talk.stream.begins and not server.skipped_missing
    if server.skipped and not client.skipped_size and is_all:
        # The server sent first, and the client began with TLS: there was no agreement on TLS
        # before.
        _lose(talk, server, bytes(server.skipped + server.buffer))
        server.skipped.clear()
        server.skipped_size = 0
    elif server.buffer:
        header = bytes(server.buffer[:HEADER_SIZE]).ljust(HEADER_SIZE, b"\0")
        if not (20 <= header[0] <= 24 and header[1] == 3):
            _lose(talk, server, bytes(server.buffer))


def _tell_cut_records(talk: Conversation) -> None:
    """Report an end whose bytes stop within a record or message."""
    for role, side in talk.sides.items():
        if side.seen.is_lost or not (side.buffer or side.reassembly):
            continue
        what = "a record"
        if side.buffer and side.epoch == "plaintext" and not side.blind:
            at, kind = side.spoke_at or side.heard_at, side.buffer[0]
            talk.note(role, RecordSeen(at, "", "plaintext", kind, len(side.buffer)))
        if not side.spoke and side.buffer:
            hello = "ClientHello" if role == CLIENT else "first record"
            size = int.from_bytes(side.buffer[3:5], "big") + HEADER_SIZE
            of = f" of {size:,}" if len(side.buffer) >= HEADER_SIZE else ""
            what = f"its {hello}: {len(side.buffer):,} bytes{of} are there"
        elif not side.buffer:
            what = "a message"
        talk.missing.append(f"What the {role} says ends within {what}.")


def _skip(talk: Conversation, side: Side, data: bytes, missing: int = 0) -> None:
    """Count the bytes before TLS."""
    side.skip = max(0, side.skip - len(data))
    side.skipped += data[: _LOOKED_AT - len(side.skipped)]
    side.skipped_size += len(data)
    side.skipped_missing += missing


def _gap(talk: Conversation, side: Side, missing: int) -> None:
    """Stop following an end after missing bytes: the start of the next record is unknown."""
    talk.note(side.role, BytesMissing(talk.at, "", missing))
    side.seen.missing += missing
    side.seen.is_lost = True


def _tell_preamble(talk: Conversation) -> None:
    client, server = talk.sides[CLIENT], talk.sides[SERVER]
    missing = client.skipped_missing + server.skipped_missing
    if client.skipped_size or server.skipped_size or missing:
        kind = kind_of_preamble(bytes(client.skipped), bytes(server.skipped))
        sizes = client.skipped_size, server.skipped_size
        talk.missing.insert(0, preamble_sentence(sizes, missing, kind))


def _records(talk: Conversation, side: Side) -> None:
    buffer = side.buffer
    late = talk.sides[CLIENT].skipped_size or not talk.has_hello
    if not side.spoke and side.role == SERVER and late:
        # The server's last bytes before TLS may come later than the client's first bytes of TLS.
        found = None if side.is_searched else _FIRST_RECORD.search(buffer, 0, _LOOKED_AT)
        if not side.is_searched and found is None and len(buffer) < _LOOKED_AT:
            return
        side.is_searched = True
        if found is not None and found.start():
            _skip(talk, side, bytes(buffer[: found.start()]))
            del buffer[: found.start()]
    while len(buffer) >= HEADER_SIZE and not side.seen.is_lost:
        header = bytes(buffer[:HEADER_SIZE])
        size = int.from_bytes(header[3:5], "big")
        if not (20 <= header[0] <= 24 and header[1] == 3 and size <= MAX_CIPHERTEXT + 2048):
            _lose(talk, side, bytes(buffer))
            return
        if len(buffer) < HEADER_SIZE + size:
            return
        body = bytes(buffer[HEADER_SIZE : HEADER_SIZE + size])
        del buffer[: HEADER_SIZE + size]
        side.spoke = True
        side.is_alert = side.is_hidden_alert = False
        try:
            take_record(talk, side, header, body)
        except ProtocolError as error:
            why = error.message
            if error.fault is Fault.BAD_RECORD_MAC:
                why = (
                    "a record does not open. Either it was changed on the way, or bytes are "
                    "missing, or the key log is of another connection."
                )
            talk.miss(f"What the {side.role} says cannot be followed any further: {why}")
            side.seen.is_lost = True
        if not side.is_alert:
            side.spoke_at = talk.at


def _lose(talk: Conversation, side: Side, data: bytes) -> None:
    side.seen.is_lost = True
    if not side.spoke and not talk.stream.starts[_index_of(talk, side)]:
        talk.missing.append(
            f"The capture does not show where the {side.role}'s bytes begin, and the first ones in "
            f"it are no start of a record: what the {side.role} says is not read."
        )
        return
    if not side.spoke:
        talk.stranger = talk.stranger or side.role
        talk.note(side.role, BytesRefused(side.heard_at or talk.at, data[:64]))
        return
    _, detail = what_else_it_is(data[:64])
    talk.missing.append(f"What the {side.role} says is no TLS any more: {detail}.")


def _index_of(talk: Conversation, side: Side) -> int:
    return talk.client if side.role == CLIENT else 1 - talk.client


def _opening(talk: Conversation, viewer: str) -> Iterator[TraceEvent]:
    yield Began(0, viewer, talk.server_name, talk.began)
    ends = talk.stream.ends
    local = ends[talk.client if viewer == CLIENT else 1 - talk.client]
    peer = ends[1 - talk.client if viewer == CLIENT else talk.client]
    yield TransportSeen(0, local.host, local.port, peer.host, peer.port)


def _seen_by(talk: Conversation, viewer: str) -> Iterator[TraceEvent]:
    """Yield the events with their directions as seen by one of the ends."""
    for role, event in talk.events:
        if isinstance(
            event,
            RecordSeen
            | MessageSeen
            | InnerHello
            | AlertSeen
            | KeysInstalled
            | TransportEnded
            | BytesMissing
            | BytesRefused,
        ):
            yield replace(event, direction="sent" if role == viewer else "received")
        else:
            yield event


_LOOKED_AT = 4096
_FIRST_RECORD = re.compile(rb"\x16\x03[\x00-\x04]..\x02|\x15\x03[\x00-\x04]\x00\x02", re.DOTALL)
"""The beginning of a server's bytes: a ServerHello, or an alert."""
