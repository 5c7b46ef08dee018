"""Following a conversation of others from outside, as the trace that one of them would have made.

Both directions go through the library's own record protection and key schedule; the keys come
from a key log, since nothing on the wire gives them away. Where a secret is missing, what is in
the clear is told all the same, and `Observation.missing` says what it would take to see more.

The trace is seen from the client, unless it was the client that gave up: then from the server,
which is the one that has to find out why. Nothing is claimed that was not seen: a connection is
failed where an alert in the clear says so, or where an end leaves before it can have finished.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from handclasp.capture.outcome import Seen, gap_sentences, verdict_of
from handclasp.capture.preamble import (
    kind_of_preamble,
    opens_with_ssl2,
    preamble_sentence,
    what_instead,
)
from handclasp.capture.protection import Draft13, ShortTag12, ShortTag13
from handclasp.capture.reassembly import HandshakeReassembly
from handclasp.capture.secrets import KeyLog, Secrets
from handclasp.capture.stream import CaptureError, Piece, Stream, StreamEnd
from handclasp.capture.suites import suite12_of, suite13_of, tag_size_of, why_closed
from handclasp.crypto.secret import Secret
from handclasp.crypto.suites import CIPHER_SUITES_BY_CODE, TAG_SIZE
from handclasp.errors import HandshakeTimeoutError, PeerAlertError, ProtocolError, TruncationError
from handclasp.faults import Blame, Fault, Role, Verdict
from handclasp.info import ConnectionInfo
from handclasp.keys.schedule12 import MasterSecret12, Randoms
from handclasp.keys.schedule13 import TrafficSecret
from handclasp.limits import Limits
from handclasp.record.protection12 import Protection12
from handclasp.record.protection13 import Protection13, split_inner_plaintext
from handclasp.story.diagnosis import situation_of
from handclasp.story.facts import (
    certificates_of,
    read_recorded,
    server_share_of,
    version_of,
)
from handclasp.trace.events import (
    AlertSeen,
    Began,
    BytesMissing,
    BytesRefused,
    Failed,
    HandshakeResult,
    KeysInstalled,
    MessageSeen,
    Observed,
    RecordSeen,
    TraceEvent,
    TransportEnded,
    TransportSeen,
)
from handclasp.wire import extensions, messages, messages12
from handclasp.wire.codecs import AnyMessage
from handclasp.wire.iana import (
    AlertDescription,
    ContentType,
    ExtensionType,
    HandshakeType,
    alert_name,
    cipher_suite_name,
    group_name,
    signature_scheme_name,
    version_name,
)
from handclasp.wire.raw_keys import is_raw_public_key
from handclasp.wire.records import HEADER_SIZE, MAX_CIPHERTEXT, MAX_PLAINTEXT, what_else_it_is

CLIENT, SERVER = "client", "server"
_OTHER: Mapping[str, Role] = {CLIENT: "server", SERVER: "client"}


@dataclass(frozen=True, slots=True)
class Observation:
    """What can be told of one conversation.

    Attributes:
        events: as a recorder at one of the ends would have noted them.
        began_at_ns: what the events' times count from, in nanoseconds since 1970 (UTC).
        server_name: the name that the client asked for, or None.
        missing: what could not be seen and what it would take, a sentence each; empty if nothing.
    """

    events: tuple[TraceEvent, ...]
    began_at_ns: int
    server_name: str | None
    missing: tuple[str, ...]


def observe(stream: Stream, keylog: KeyLog) -> Observation:
    """Follow a conversation from its ClientHello on, or from the ServerHello if that is not there.

    Raises `CaptureError` where there is neither.
    """
    found = stream.starts_of_hello()
    if found is not None:
        return _Observer(stream, keylog, *found).observation()
    server = stream.answers()
    if server is None or opens_with_ssl2(stream):
        raise CaptureError(what_instead(stream))
    return _Observer(stream, keylog, 1 - server, 0, has_hello=False).observation()


Protection = Protection13 | Protection12


@dataclass(slots=True)
class _Side:
    """What one end says: its bytes so far, and the keys that stand."""

    role: str
    reassembly: HandshakeReassembly
    buffer: bytearray = field(default_factory=bytearray)
    skip: int = 0
    epoch: str = "plaintext"
    protection: Protection | None = None
    secret: TrafficSecret | None = None
    blind: str = ""
    """Protected from here on under keys that are not known, and why not."""
    later: Protection13 | None = None
    """Application keys that are known although those of the handshake are not."""
    is_keyed: bool = False
    """Whether it has said something under keys, early data aside."""
    seen: Seen = field(default_factory=Seen)
    skipped: bytearray = field(default_factory=bytearray)
    """The beginning of what it said before TLS."""
    skipped_size: int = 0
    skipped_missing: int = 0
    is_searched: bool = False
    """Whether it is settled where TLS begins in what it says, behind other things."""
    spoke: bool = False
    """Whether it said anything of TLS."""
    spoke_at: int = 0
    """When it said something last, alerts aside."""
    is_alert: bool = False
    """Whether its last record is an alert, or is taken for one by its size."""
    is_hidden_alert: bool = False
    """Whether its last record is closed, and is taken for an alert by its type or size."""
    heard_at: int = 0
    """When the first bytes came that are looked at as TLS."""


_LIMITS = Limits()
_NEEDS_A_KEY_LOG = (
    "From here on everything is encrypted, and the secrets of this connection are not at hand. "
    "To see more, let one of the two ends log them while the connection is made (SSLKEYLOGFILE for "
    "browsers, curl and others; openssl s_client -keylogfile; handclasp connect --keylog), and "
    "give the file as --keylog."
)
_NOT_IN_THIS_KEY_LOG = (
    "The key log has secrets, but none of this connection: what is encrypted stays closed. A line "
    "of this connection has the random of its ClientHello as its second word: "
)


class _Observer:
    """Goes through the pieces in order; `_events` are kept with the sender, as yet without view."""

    def __init__(
        self, stream: Stream, keylog: KeyLog, client: int, start: int, *, has_hello: bool = True
    ) -> None:
        self._has_hello = has_hello
        self._stream = stream
        self._keylog = keylog
        self._client = client
        self._sides = {role: _Side(role, HandshakeReassembly(_LIMITS)) for role in (CLIENT, SERVER)}
        self._sides[CLIENT].skip = start
        # An end may close before anything is said: a server that is full, for one.
        parts: list[Piece | StreamEnd] = [*stream.pieces, *stream.endings]
        self._began = min([each.at_ns for each in parts])
        self._at = 0
        self._events: list[tuple[str, TraceEvent]] = []
        self._missing: list[str] = []
        self._secrets: Secrets = {}
        self._randoms: dict[str, bytes] = {}
        self._version: str | None = None
        self._suite_code = 0
        self._seen: list[tuple[str, AnyMessage]] = []
        self._answer: messages.ServerHello | None = None
        self._last: dict[tuple[str, type[AnyMessage]], AnyMessage] = {}
        self._gave_up: str | None = None
        self._alert: int | None = None
        self._stranger: str | None = None
        """The end that said something else than TLS, if one did."""
        self._viewer: Role = "client"
        self._warned: tuple[str, int, int] | None = None
        """Who sent a warning at the end so far, which one, and after how many messages."""
        self._first_end: tuple[int, str, str] | None = None
        for role, index in ((CLIENT, client), (SERVER, 1 - client)):
            self._sides[role].seen.is_captured = stream.captured[index]

    def observation(self) -> Observation:
        self._follow()
        self._heed_warning()
        self._answered_otherwise()
        self._tell_preamble()
        self._settle()
        self._tell_cut_records()
        seen = [(role, side.seen) for role, side in self._sides.items()]
        self._missing += gap_sentences(seen, is_cut=self._stream.is_cut)
        if self._stream.trouble:
            self._missing.append(self._stream.trouble)
        ending = self._ending()
        viewer = self._viewer = self._viewer_of(ending)
        events = [*self._opening(viewer), *self._seen_by(viewer)]
        failure = list(self._failure(ending, events))
        outcome, telling = verdict_of(
            self._sides[CLIENT].seen,
            self._sides[SERVER].seen,
            self._version,
            has_failed=bool(failure),
            file_is_cut=bool(self._stream.trouble),
        )
        not_seen = tuple(self._missing)
        events += [*failure, Observed(self._at, outcome, telling, not_seen)]
        return Observation(tuple(events), self._began, self._server_name(), not_seen)

    @property
    def _is_13(self) -> bool:
        """Whether the two speak TLS 1.3, or a draft of it."""
        return self._version is not None and self._version.startswith("TLSv1.3")

    # The pieces

    def _follow(self) -> None:
        hello_seen = not self._has_hello
        if hello_seen:
            self._missing.append(
                "The ClientHello is not in the capture: what was offered is not known, nor which "
                "secrets of a key log are those of this connection."
            )
        both: list[Piece | StreamEnd] = [*self._stream.pieces, *self._stream.endings]
        for piece in sorted(both, key=lambda piece: piece.at_ns):
            role = CLIENT if piece.sender == self._client else SERVER
            side = self._sides[role]
            self._at = piece.at_ns - self._began
            if isinstance(piece, StreamEnd):
                self._first_end = self._first_end or (self._at, role, piece.how)
                self._note(role, TransportEnded(self._at, "", piece.how))
                continue
            before = min(side.skip, len(piece.data)) if role == CLIENT else 0
            if not hello_seen:
                hello_seen = role == CLIENT and before < len(piece.data)
                before = before if hello_seen else len(piece.data)
                self._skip(side, piece.data[:before], piece.missing)
            elif piece.missing:
                self._gap(side, piece.missing)
            data = piece.data[before:]
            if role == CLIENT and not self._has_hello and not self._sides[SERVER].spoke:
                self._skip(side, data)
                continue
            if data and not side.seen.is_lost:
                side.heard_at = side.heard_at or self._at
                side.buffer += data
                self._records(side)
                if side.buffer:
                    side.spoke_at = self._at

    def _answered_otherwise(self) -> None:
        """What a server said instead of TLS, if it was waited for in vain."""
        client, server = self._sides[CLIENT], self._sides[SERVER]
        if server.spoke or server.seen.is_lost or not self._has_hello:
            return
        if server.skipped and not client.skipped_size and not server.skipped_missing:
            # It spoke first, and the client began with TLS: nothing was agreed upon before.
            self._lose(server, bytes(server.skipped + server.buffer))
            server.skipped.clear()
            server.skipped_size = 0
        elif server.buffer:
            header = bytes(server.buffer[:HEADER_SIZE]).ljust(HEADER_SIZE, b"\0")
            if not (20 <= header[0] <= 24 and header[1] == 3):
                self._lose(server, bytes(server.buffer))

    def _tell_cut_records(self) -> None:
        """Where what an end says breaks off within a record or message, that is said."""
        for role, side in self._sides.items():
            if side.seen.is_lost or not (side.buffer or side.reassembly):
                continue
            what = "a record"
            if not side.spoke and side.buffer:
                hello = "ClientHello" if role == CLIENT else "first record"
                size = int.from_bytes(side.buffer[3:5], "big") + HEADER_SIZE
                of = f" of {size:,}" if len(side.buffer) >= HEADER_SIZE else ""
                what = f"its {hello}: {len(side.buffer):,} bytes{of} are there"
            elif not side.buffer:
                what = "a message"
            self._missing.append(f"What the {role} says ends within {what}.")

    def _skip(self, side: _Side, data: bytes, missing: int = 0) -> None:
        """What comes before TLS is counted."""
        side.skip = max(0, side.skip - len(data))
        side.skipped += data[: _LOOKED_AT - len(side.skipped)]
        side.skipped_size += len(data)
        side.skipped_missing += missing

    def _gap(self, side: _Side, missing: int) -> None:
        """Where bytes are missing, nobody knows where the next record begins."""
        self._note(side.role, BytesMissing(self._at, "", missing))
        side.seen.missing += missing
        side.seen.is_lost = True

    def _tell_preamble(self) -> None:
        client, server = self._sides[CLIENT], self._sides[SERVER]
        missing = client.skipped_missing + server.skipped_missing
        if client.skipped_size or server.skipped_size or missing:
            kind = kind_of_preamble(bytes(client.skipped), bytes(server.skipped))
            sizes = client.skipped_size, server.skipped_size
            self._missing.insert(0, preamble_sentence(sizes, missing, kind))

    def _records(self, side: _Side) -> None:
        buffer = side.buffer
        late = self._sides[CLIENT].skipped_size or not self._has_hello
        if not side.spoke and side.role == SERVER and late:
            # Its last words before TLS may come later than the client's first ones of it.
            found = None if side.is_searched else _FIRST_RECORD.search(buffer)
            if not side.is_searched and found is None and len(buffer) < _LOOKED_AT:
                return
            side.is_searched = True
            if found is not None and found.start():
                self._skip(side, bytes(buffer[: found.start()]))
                del buffer[: found.start()]
        while len(buffer) >= HEADER_SIZE and not side.seen.is_lost:
            header = bytes(buffer[:HEADER_SIZE])
            size = int.from_bytes(header[3:5], "big")
            if not (20 <= header[0] <= 24 and header[1] == 3 and size <= MAX_CIPHERTEXT + 2048):
                self._lose(side, bytes(buffer))
                return
            if len(buffer) < HEADER_SIZE + size:
                return
            body = bytes(buffer[HEADER_SIZE : HEADER_SIZE + size])
            del buffer[: HEADER_SIZE + size]
            side.spoke = True
            side.is_alert = side.is_hidden_alert = False
            try:
                self._record(side, header, body)
            except ProtocolError as error:
                why = error.message
                if error.fault_member is Fault.BAD_RECORD_MAC:
                    why = (
                        "a record does not open. Either it was changed on the way, or bytes are "
                        "missing, or the key log is of another connection."
                    )
                self._miss(f"What the {side.role} says cannot be followed any further: {why}")
                side.seen.is_lost = True
            if not side.is_alert:
                side.spoke_at = self._at

    def _lose(self, side: _Side, data: bytes) -> None:
        side.seen.is_lost = True
        start = data[:64].ljust(HEADER_SIZE, b"\0")
        if not side.spoke:
            self._stranger = self._stranger or side.role
            self._note(side.role, BytesRefused(side.heard_at or self._at, data[:64]))
            return
        _, detail = what_else_it_is(start)
        self._missing.append(f"What the {side.role} says is no TLS any more: {detail}.")

    def _record(self, side: _Side, header: bytes, body: bytes) -> None:
        kind, size = header[0], HEADER_SIZE + len(body)
        if kind == ContentType.ALERT and len(body) == _ALERT_SIZE:
            # No suite makes so short a record: it is in the clear, whatever keys there are.
            self._note(side.role, RecordSeen(self._at, "", "plaintext", kind, size, len(body)))
            self._alert_seen(side, body, in_the_clear=True)
            return
        if side.blind:
            self._closed_record(side, header, body)
            return
        is_protected = side.protection is not None and (
            kind == ContentType.APPLICATION_DATA or isinstance(side.protection, Protection12)
        )
        if not is_protected:
            self._plain_record(side, kind, body, size)
            return
        opened = self._open(side, header, body)
        if opened is None:
            self._note(side.role, RecordSeen(self._at, "", side.epoch, kind, size))
            return
        side.is_keyed = side.is_keyed or side.epoch != "early"
        kind, content = opened
        self._note(side.role, RecordSeen(self._at, "", side.epoch, kind, size, len(content)))
        self._content(side, kind, content)

    def _closed_record(self, side: _Side, header: bytes, body: bytes) -> None:
        """One that is protected under keys that are not known."""
        kind, size = header[0], HEADER_SIZE + len(body)
        if kind == ContentType.CHANGE_CIPHER_SPEC and len(body) == 1:
            self._note(side.role, RecordSeen(self._at, "", "plaintext", kind, size, 1))
            return
        if self._is_13 and kind != ContentType.APPLICATION_DATA:
            # All that is protected has this type outside (RFC 8446 section 5.2).
            self._note(side.role, RecordSeen(self._at, "", "plaintext", kind, size, len(body)))
            raise ProtocolError(Fault.UNPROTECTED_RECORD)
        if side.later is not None and self._opens_later(side, header, body):
            return
        self._miss(side.blind)
        side.is_keyed = True
        self._note(side.role, RecordSeen(self._at, "", side.epoch, kind, size))
        self._weigh(side, kind, size)

    def _weigh(self, side: _Side, kind: int, size: int) -> None:
        """What type and size of a closed record say of how far its sender has come.

        A Finished is as long as the hash of the suite (RFC 8446 section 4.4.4), and records may be
        padded, so that a long one may be a short message, but never the other way around.
        """
        seen = side.seen
        if not self._is_13:
            seen.may_have_finished = seen.may_have_finished or kind == ContentType.HANDSHAKE
            side.is_alert = side.is_hidden_alert = kind == ContentType.ALERT
            return
        suite = suite13_of(self._suite_code)
        frame = HEADER_SIZE + 1 + tag_size_of(cipher_suite_name(self._suite_code))
        finished = frame + _MESSAGE_HEADER + (suite.hash_size if suite is not None else 32)
        alert = frame + _ALERT_SIZE
        seen.weigh(size - frame + 1, is_full=size >= frame + MAX_PLAINTEXT)
        looks_padded = side.role == CLIENT and size < finished and size - frame not in _SHORT
        side.is_alert = side.is_hidden_alert = size <= alert or looks_padded
        if side.role == CLIENT and self._extension(*_EARLY_DATA_OFFER) is not None:
            seen.is_obscure = True
            return
        seen.may_have_finished = seen.may_have_finished or size >= finished
        other = self._sides[SERVER if side.role == CLIENT else CLIENT].seen
        if other.is_done and seen.is_done:
            is_short = size <= alert + _ALERT_PADDING
            seen.went_on = seen.went_on or not is_short
            seen.was_short = seen.was_short or is_short

    def _opens_later(self, side: _Side, header: bytes, body: bytes) -> bool:
        """Whether it is the first under the application's keys, after a Finished nobody read."""
        if side.later is None:
            return False
        side.later.sequence = 0
        try:
            kind, content = split_inner_plaintext(side.later.open(header, body), MAX_PLAINTEXT + 1)
        except ProtocolError:
            return False
        side.protection, side.later, side.blind = side.later, None, ""
        self._change_keys(side, "application")
        side.seen.may_have_finished = True
        size = HEADER_SIZE + len(body)
        name = cipher_suite_name(self._suite_code)
        self._note(side.role, KeysInstalled(self._at, "", "application", name))
        self._note(side.role, RecordSeen(self._at, "", side.epoch, kind, size, len(content)))
        self._content(side, kind, content)
        return True

    def _plain_record(self, side: _Side, kind: int, body: bytes, size: int) -> None:
        if kind == ContentType.APPLICATION_DATA:
            self._early_record(side, body, size)
            return
        if side.epoch == "early":  # Refused, and a second ClientHello follows.
            side.epoch, side.protection = "plaintext", None
        self._note(side.role, RecordSeen(self._at, "", "plaintext", kind, size, len(body)))
        if kind == ContentType.CHANGE_CIPHER_SPEC:
            if self._version is not None and not self._is_13:  # There, it is for middleboxes.
                self._change_cipher_spec(side)
            return
        if kind == ContentType.HANDSHAKE and side.protection is not None:
            # Neither end takes it, and anyone can have put it there.
            raise ProtocolError(Fault.UNPROTECTED_RECORD)
        self._content(side, kind, body)

    def _early_record(self, side: _Side, body: bytes, size: int) -> None:
        """The first data of a client before the server's answer: its suite is the session's."""
        if not self._offers_early_data():
            self._miss(
                f"The {side.role} sends protected records although no ServerHello was seen: what "
                "was agreed upon is not known, and they stay closed."
            )
            kind = int(ContentType.APPLICATION_DATA)
            self._note(side.role, RecordSeen(self._at, "", "handshake", kind, size))
            return
        secret = self._secrets.get("CLIENT_EARLY_TRAFFIC_SECRET", b"")
        kind = int(ContentType.APPLICATION_DATA)
        header = bytes([kind, 3, 3]) + len(body).to_bytes(2, "big")
        for suite in CIPHER_SUITES_BY_CODE.values():
            if side.role != CLIENT or suite.hash_size != len(secret):
                continue
            protection = Protection13(TrafficSecret(suite, Secret(secret)).keys())
            try:
                inner, content = split_inner_plaintext(
                    protection.open(header, body), MAX_PLAINTEXT + 1
                )
            except ProtocolError:
                continue
            side.protection, side.epoch = protection, "early"
            self._note(CLIENT, KeysInstalled(self._at, "", "early", suite.name))
            self._note(CLIENT, RecordSeen(self._at, "", "early", inner, size, len(content)))
            self._content(side, inner, content)
            return
        if side.role == CLIENT and self._is_13:
            # There is none, or it came before the capture begins.
            self._install(side, "handshake", "CLIENT_HANDSHAKE_TRAFFIC_SECRET")
            self._record(side, header, body)
            return
        # The secret is not known; the handshake goes on in one of the next.
        if self._secrets and not secret:
            self._miss(_lacks("CLIENT_EARLY_TRAFFIC_SECRET", "the client's early data"))
        self._note(side.role, RecordSeen(self._at, "", "early", kind, size))

    def _offers_early_data(self) -> bool:
        hello = self._extension(*_EARLY_DATA_OFFER)
        return hello is not None and not self._sides[SERVER].seen.missing

    def _may_open_early_data(self) -> bool:
        """Whether early data may come after the ServerHello, under a key that is known."""
        return self._offers_early_data() and "CLIENT_EARLY_TRAFFIC_SECRET" in self._secrets

    def _open(self, side: _Side, header: bytes, body: bytes) -> tuple[int, bytes] | None:
        """What is inside; None of early data under a key that is not known, or not taken."""
        protection = side.protection
        if isinstance(protection, Protection12):
            return protection.open_record(header + body, 0, len(header) + len(body))
        if protection is None:
            return None
        sequence = protection.sequence
        try:
            inner = protection.open(header, body)
        except ProtocolError:
            if side.role != CLIENT:
                raise
            return self._open_past_early_data(side, protection, sequence, header, body)
        return split_inner_plaintext(inner, MAX_PLAINTEXT + 1)

    def _open_past_early_data(
        self, side: _Side, protection: Protection13, sequence: int, header: bytes, body: bytes
    ) -> tuple[int, bytes] | None:
        """Early data that the server did not take, or that we cannot read, comes to an end."""
        if side.epoch == "early":
            self._install(side, "handshake", "CLIENT_HANDSHAKE_TRAFFIC_SECRET")
            return self._open(side, header, body) if side.protection is not None else None
        if side.epoch == "handshake" and sequence == 0:
            protection.sequence = 0
            return None
        raise ProtocolError(Fault.BAD_RECORD_MAC)

    # What is inside

    def _content(self, side: _Side, kind: int, content: bytes) -> None:
        if kind == ContentType.HANDSHAKE:
            side.reassembly.add(content)
            while (
                side.reassembly
                and not side.seen.is_lost
                and (raw := side.reassembly.next_message()) is not None
            ):
                self._message(side, raw)
        elif kind == ContentType.ALERT and len(content) == _ALERT_SIZE:
            self._alert_seen(side, content)
        elif kind == ContentType.CHANGE_CIPHER_SPEC and not self._is_13:
            self._change_cipher_spec(side)  # Of a renegotiation.

    def _alert_seen(self, side: _Side, content: bytes, *, in_the_clear: bool = False) -> None:
        side.is_alert = True
        self._note(side.role, AlertSeen(self._at, "", content[0], content[1]))
        if in_the_clear and side.is_keyed:
            self._miss(
                f"The {side.role} has keys when its alert {alert_name(content[1])} comes in the "
                "clear: the other end does not take it, and anyone on the way can have put it "
                "there."
            )
            return
        if content[1] == AlertDescription.USER_CANCELED:
            self._first_end = self._first_end or (self._at, side.role, "canceled")
        if content[1] in (AlertDescription.CLOSE_NOTIFY, AlertDescription.USER_CANCELED):
            return
        if content[0] == _WARNING and not self._is_13:
            # Whether its sender gave up shows in what follows (RFC 5246 section 7.2.2).
            self._warned = side.role, content[1], len(self._seen)
        elif self._gave_up is None:
            self._gave_up, self._alert = side.role, content[1]

    def _heed_warning(self) -> None:
        """A warning after which the handshake did not go on was more than one."""
        is_done = all(side.seen.is_done for side in self._sides.values())
        if self._gave_up is None and self._warned is not None and not is_done:
            role, alert, said = self._warned
            if len(self._seen) == said and self._first_end is not None:
                self._gave_up, self._alert = role, alert

    def _message(self, side: _Side, raw: bytes) -> None:
        self._note(side.role, MessageSeen(self._at, "", side.epoch, raw[0], raw))
        try:
            message = read_recorded(raw, side.epoch)
        except ProtocolError:
            self._old_server_hello(raw)
            return
        self._seen.append((side.role, message))
        self._last[side.role, type(message)] = message
        match message:
            case messages.ClientHello():
                # Or one for a renegotiation, whose keys stand from its ChangeCipherSpec on.
                self._randoms[CLIENT] = message.random
                self._secrets = self._keylog.of(message.random)
            case messages.ServerHello():
                self._server_hello(message)
            case messages.EndOfEarlyData():
                self._install(side, "handshake", "CLIENT_HANDSHAKE_TRAFFIC_SECRET")
            case messages.KeyUpdate() if side.secret is not None:
                self._change_keys(side, "application")
                side.secret = side.secret.next()
                side.protection = self._protection13(side.secret)
            case messages.Finished():
                self._finished(side)
            case _:
                pass

    def _server_hello(self, hello: messages.ServerHello) -> None:
        if hello.is_hello_retry_request:
            return
        self._answer = self._answer or hello
        if self._version is None:
            self._agree(version_of(hello), hello.cipher_suite, hello.random)
        elif not self._is_13:  # A renegotiation.
            self._suite_code, self._randoms[SERVER] = hello.cipher_suite, hello.random

    def _old_server_hello(self, raw: bytes) -> None:
        """In drafts of TLS 1.3 before the 22nd, a ServerHello has another form."""
        is_draft = raw[0] == HandshakeType.SERVER_HELLO and raw[4:5] == b"\x7f"
        if is_draft and len(raw) >= _OLD_SERVER_HELLO and self._version is None:
            version = version_name(int.from_bytes(raw[4:6], "big"))
            self._agree(version, int.from_bytes(raw[38:40], "big"), raw[6:38])

    def _agree(self, version: str | None, suite_code: int, random: bytes) -> None:
        self._version, self._suite_code = version, suite_code
        self._randoms[SERVER] = random
        if self._is_13:
            self._install(self._sides[SERVER], "handshake", "SERVER_HANDSHAKE_TRAFFIC_SECRET")
            client = self._sides[CLIENT]
            if client.epoch != "early" and not self._may_open_early_data():
                self._install(client, "handshake", "CLIENT_HANDSHAKE_TRAFFIC_SECRET")

    def _finished(self, side: _Side) -> None:
        side.seen.finished = True
        side.reassembly.lift_total_limit()
        if self._is_13:
            label = f"{side.role.upper()}_TRAFFIC_SECRET_0"
            self._install(side, "application", label)

    # Keys

    def _change_keys(self, side: _Side, epoch: str) -> None:
        """Other keys stand from here on; no message reaches across them (RFC 8446 section 5.1)."""
        side.epoch = epoch
        if side.reassembly:
            why = Fault.HANDSHAKE_ACROSS_KEY_CHANGE.sentence
            self._miss(f"What the {side.role} says cannot be followed any further: {why}")
            side.seen.is_lost = True

    def _install(self, side: _Side, epoch: str, label: str) -> None:
        self._change_keys(side, epoch)
        version, draft = self._version or "", _draft_of(self._version)
        suite, secret = suite13_of(self._suite_code), self._secrets.get(label)
        side.protection = side.later = None
        if suite is None:
            side.blind = why_closed(version, self._suite_code)
        elif draft < _FIRST_DRAFT_READ:
            side.blind = (
                f"What {version} protects is not opened here, with or without a key log: its keys "
                f"are derived otherwise. Drafts are opened from the {_FIRST_DRAFT_READ}th on."
            )
        elif secret is None:
            side.blind = self._why_blind(label, f"what the {side.role} says under its {epoch} keys")
            after = self._secrets.get(f"{side.role.upper()}_TRAFFIC_SECRET_0", b"")
            if epoch == "handshake" and len(after) == suite.hash_size:
                side.secret = TrafficSecret(suite, Secret(after))
                side.later = self._protection13(side.secret)
        elif len(secret) == suite.hash_size:
            side.blind = ""
            side.secret = TrafficSecret(suite, Secret(secret))
            side.protection = self._protection13(side.secret)
            self._note(side.role, KeysInstalled(self._at, "", epoch, suite.name))
        else:
            side.blind = f"The secret {label} in the key log has a wrong size."

    def _protection13(self, secret: TrafficSecret) -> Protection13:
        keys, draft = secret.keys(), _draft_of(self._version)
        if draft < _LAST_DRAFT:
            return Draft13(keys, draft)
        return (
            Protection13(keys) if tag_size_of(secret.suite.name) == TAG_SIZE else ShortTag13(keys)
        )

    def _why_blind(self, label: str, what: str) -> str:
        """Why a secret is not there: no key log, none of this connection, or a line is missing."""
        if not self._has_hello:
            return f"Without the ClientHello, {what} stays closed."
        if self._secrets:
            return _lacks(label, what)
        if len(self._keylog):
            return f"{_NOT_IN_THIS_KEY_LOG}{self._randoms.get(CLIENT, b'').hex()}."
        return _NEEDS_A_KEY_LOG

    def _change_cipher_spec(self, side: _Side) -> None:
        """From here on this end's records are protected (RFC 5246 section 7.1)."""
        self._change_keys(side, "application")
        suite = suite12_of(self._suite_code) if self._version == "TLSv1.2" else None
        master = self._secrets.get("CLIENT_RANDOM")
        side.protection = None
        if suite is None:
            side.blind = why_closed(self._version or "this version", self._suite_code)
        elif master is None:
            side.blind = self._why_blind("CLIENT_RANDOM", "what is encrypted")
        else:
            side.blind = ""
            randoms = Randoms(self._randoms[CLIENT], self._randoms[SERVER])
            block = MasterSecret12(suite, randoms, Secret(master), extended=True).key_block()
            keys = block.client if side.role == CLIENT else block.server
            is_short = tag_size_of(suite.name) != TAG_SIZE
            side.protection = (ShortTag12 if is_short else Protection12)(keys, suite)
            self._note(side.role, KeysInstalled(self._at, "", "application", suite.name))

    def _miss(self, sentence: str) -> None:
        if sentence not in self._missing:
            self._missing.append(sentence)

    # The end

    def _note(self, role: str, event: TraceEvent) -> None:
        self._events.append((role, event))

    def _opening(self, viewer: str) -> Iterator[TraceEvent]:
        yield Began(0, viewer, self._server_name())
        ends = self._stream.ends
        local = ends[self._client if viewer == CLIENT else 1 - self._client]
        peer = ends[1 - self._client if viewer == CLIENT else self._client]
        yield TransportSeen(0, local.host, local.port, peer.host, peer.port)

    def _seen_by(self, viewer: str) -> Iterator[TraceEvent]:
        """The events with the direction that they have for one of the ends."""
        for role, event in self._events:
            if isinstance(
                event,
                RecordSeen
                | MessageSeen
                | AlertSeen
                | KeysInstalled
                | TransportEnded
                | BytesMissing
                | BytesRefused,
            ):
                yield replace(event, direction="sent" if role == viewer else "received")
            else:
                yield event

    def _server_name(self) -> str | None:
        data = self._extension(CLIENT, messages.ClientHello, ExtensionType.SERVER_NAME)
        try:
            return extensions.read_server_name(data) if data is not None else None
        except ProtocolError:
            return None

    def _extension(
        self, role: str, kind: type[AnyMessage], extension: ExtensionType
    ) -> bytes | None:
        """What an extension holds in the last message of a kind. It is asked for once per record of
        early data, so it takes the same time however many messages there were."""
        found = getattr(self._last.get((role, kind)), "extensions", None)
        data = found.get(extension) if found is not None else None
        return None if data is None else bytes(data)

    def _settle(self) -> None:
        """Where both were seen to finish, what they agreed upon."""
        answer = self._answer
        if answer is None:
            return
        finished: set[str] = set()
        for index, (role, event) in enumerate(self._events):
            if isinstance(event, MessageSeen) and event.message_type == HandshakeType.FINISHED:
                finished.add(role)
            if len(finished) == len(self._sides):
                self._events.insert(
                    index + 1, (CLIENT, HandshakeResult(event.at_ns, self._info(answer)))
                )
                return

    def _info(self, answer: messages.ServerHello) -> ConnectionInfo:
        chain = {role: self._chain(role) for role in (CLIENT, SERVER)}
        viewer = SERVER if self._gave_up == CLIENT else CLIENT
        other = _OTHER[viewer]
        return ConnectionInfo(
            version=self._version or "",
            cipher_suite=cipher_suite_name(answer.cipher_suite),
            group=self._group(answer),
            signature_scheme=self._signature(SERVER),
            alpn=self._alpn(answer),
            server_name=self._server_name(),
            resumed=self._is_resumed(answer),
            early_data=self._early_data(),
            hello_retry=any(
                isinstance(message, messages.ServerHello) and message.is_hello_retry_request
                for _, message in self._seen
            ),
            peer_chain_der=chain[other],
            peer_verified=False,
            local_chain_der=chain[viewer],
            client_signature_scheme=self._signature(CLIENT),
            peer_certificate_type=_type_of(chain[other]),
            local_certificate_type=_type_of(chain[viewer]),
        )

    def _group(self, answer: messages.ServerHello) -> str | None:
        if self._is_13:
            share = server_share_of(answer)
            return share.group if share is not None else None
        for _, message in self._seen:
            if isinstance(message, messages12.ServerKeyExchange):
                return group_name(message.group)
        return None

    def _signature(self, role: str) -> str | None:
        for sender, message in self._seen:
            if sender == role and isinstance(
                message, messages.CertificateVerify | messages12.ServerKeyExchange
            ):
                return signature_scheme_name(message.algorithm)
        return None

    def _chain(self, role: str) -> tuple[bytes, ...]:
        for sender, message in self._seen:
            if sender == role and (found := certificates_of(message)) is not None:
                return found
        return ()

    def _alpn(self, answer: messages.ServerHello) -> str | None:
        kind = ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION
        data = self._extension(SERVER, messages.EncryptedExtensions, kind)
        data = data if data is not None else answer.extensions.get(kind)
        try:
            names = extensions.read_alpn(data) if data is not None else ()
        except ProtocolError:
            return None
        return names[0].decode("ascii", "backslashreplace") if names else None

    def _is_resumed(self, answer: messages.ServerHello) -> bool:
        if self._is_13:
            return ExtensionType.PRE_SHARED_KEY in answer.extensions
        # Only a full handshake has it, with a certificate or without.
        return not any(isinstance(each, messages12.ServerHelloDone) for _, each in self._seen)

    def _early_data(self) -> str:
        kind = ExtensionType.EARLY_DATA
        hellos = [each for _, each in self._seen if isinstance(each, messages.ClientHello)]
        if not any(kind in hello.extensions for hello in hellos):  # A second one never has it.
            return "none"
        taken = self._extension(SERVER, messages.EncryptedExtensions, kind) is not None
        return "accepted" if taken else "rejected"

    def _ending(self) -> tuple[str, str] | None:
        """Who ended the transport before the handshake can have been complete, and how.

        None where nobody did, or where something is missing that could have completed it.
        """
        client, server = (self._sides[role].seen for role in (CLIENT, SERVER))
        is_open = self._first_end is None or (client.is_done and server.is_done)
        if is_open or not (client.is_whole and server.is_whole) or self._first_end is None:
            return None
        if client.is_obscure and not client.is_done:
            return None
        at_ns, role, how = self._first_end
        if role == CLIENT and not self._stream.acknowledged[self._client]:
            return SERVER, _UNACKNOWLEDGED
        waited = at_ns - max(side.spoke_at for side in self._sides.values())
        if (waited >= _LONG_WAIT or how == "canceled") and role != self._next_to_speak():
            # It is the other end that did not go on.
            return self._next_to_speak(), f"{waited / 1e9:.1f} s"
        for each in self._sides.values():
            if each.is_hidden_alert and not each.seen.is_done:
                return each.role, how
        return role, how

    def _next_to_speak(self) -> str:
        """Whose turn it is in a handshake that is not complete."""
        client, server = self._sides[CLIENT], self._sides[SERVER]
        if client.buffer:
            return CLIENT
        if server.buffer or server.reassembly or not server.spoke:
            return SERVER
        said_all = server.seen.is_done or (SERVER, messages12.ServerHelloDone) in self._last
        if self._version is not None and not said_all:
            return SERVER
        return SERVER if server.spoke_at < client.spoke_at else CLIENT

    def _viewer_of(self, ending: tuple[str, str] | None) -> Role:
        """The end that the story is seen from: the one that has to find out what the other did.

        An alert on something that is no TLS only follows from that.
        """
        gave_up = self._stranger or self._gave_up or (ending[0] if ending is not None else None)
        return _OTHER[gave_up] if gave_up is not None else "client"

    def _failure(
        self, ending: tuple[str, str] | None, events: Sequence[TraceEvent]
    ) -> Iterator[TraceEvent]:
        """How it failed, if it did, as the viewer would have noted it."""
        refused = next((event for event in events if isinstance(event, BytesRefused)), None)
        if refused is not None:
            fault, detail = what_else_it_is(refused.data.ljust(HEADER_SIZE, b"\0"))
            yield self._found(ProtocolError(fault, detail), events)
        elif self._alert is not None:
            yield _told_by_peer(self._at, self._alert, events)
        elif ending is not None and ending[1] == "canceled":
            yield _told_by_peer(self._at, AlertDescription.USER_CANCELED, events)
        elif ending is not None and ending[1] == _UNACKNOWLEDGED:
            detail = "TCP never acknowledged anything that the client said"
            failed = self._found(HandshakeTimeoutError(Fault.HANDSHAKE_TIMEOUT, detail), events)
            condition = "which lost what was sent, unless the other host is gone"
            yield replace(failed, blame=Blame.NETWORK.value, condition=condition)
        elif ending is not None and ending[1] not in ("end", "reset"):
            yield self._found(self._gave_up_waiting(ending[1]), events)
        elif ending is not None:
            is_reset = ending[1] == "reset"
            fault = Fault.RESET_DURING_HANDSHAKE if is_reset else Fault.CLOSED_DURING_HANDSHAKE
            if self._sides[ending[0]].is_hidden_alert:
                yield self._refused_unseen(ending[0], fault, events)
            else:
                yield self._found(TruncationError(fault), events)

    def _refused_unseen(self, role: str, fault: Fault, events: Sequence[TraceEvent]) -> Failed:
        """That an end gave up with an alert that nobody can read."""
        detail = f"the last record of the {role} is closed and probably an alert"
        failed = self._found(TruncationError(fault, detail), events)
        condition = (
            f"the {role} gave up, and its reason is probably in its last record, an alert that "
            "cannot be read without the keys"
        )
        return replace(failed, blame=Blame.UNCLEAR.value, condition=condition)

    def _gave_up_waiting(self, how_long: str) -> HandshakeTimeoutError:
        """The viewer waited for the other end, in vain."""
        other = _OTHER[self._viewer]
        more = " more" if self._sides[other].spoke else ""
        detail = f"the {self._viewer} gave up after {how_long}; the {other} had said nothing{more}"
        verdict = _SOON_GIVEN_UP if float(how_long.split()[0]) < 1 else None
        return HandshakeTimeoutError(Fault.HANDSHAKE_TIMEOUT, detail, verdict=verdict)

    def _found(self, error: ProtocolError, events: Sequence[TraceEvent]) -> Failed:
        """What the viewer found, with the alert that it was seen to send, if any."""
        other = self._sides[_OTHER[self._viewer]]
        error.found_by(self._viewer, nothing_came=not other.spoke)
        sent = [
            each.description
            for each in events
            if isinstance(each, AlertSeen) and each.direction == "sent"
        ]
        alert = alert_name(sent[-1]) if sent else ""
        return replace(Failed.of(self._at, error), origin="local", alert=alert)


_SOON_GIVEN_UP = Verdict(
    Blame.UNCLEAR, "the other end, if it was to answer sooner; this end, if it was to wait longer"
)
_UNACKNOWLEDGED = "unacknowledged"
_MESSAGE_HEADER = 4
_ALERT_SIZE = 2
_WARNING = 1
_ALERT_PADDING = 16
"""Bytes with which Java pads whatever it protects."""

_SHORT = (4, 8)
"""Sizes of a client's messages that are shorter than Finished: EndOfEarlyData, and a Certificate
that is empty."""

_EARLY_DATA_OFFER = CLIENT, messages.ClientHello, ExtensionType.EARLY_DATA
_LONG_WAIT = 1_000_000_000
"""Nanoseconds after which whoever leaves has waited for the other end."""

_OLD_SERVER_HELLO = 40
"""Bytes up to and with the cipher suite."""

_FIRST_DRAFT_READ, _LAST_DRAFT = 20, 29
"""From the 20th on, the labels of the key schedule are those of TLS 1.3."""

_LOOKED_AT = 4096
_FIRST_RECORD = re.compile(rb"\x16\x03[\x00-\x04]..\x02|\x15\x03[\x00-\x04]\x00\x02", re.DOTALL)
"""How a server begins: with a ServerHello, or with an alert."""


def _draft_of(version: str | None) -> int:
    """The number of a draft of TLS 1.3; of all else one behind the last."""
    name, _, number = (version or "").partition(" draft ")
    return int(number) if name == "TLSv1.3" and number.isdecimal() else _LAST_DRAFT


def _lacks(label: str, what: str) -> str:
    return f"The key log has secrets of this connection, but not {label}: {what} stays closed."


def _told_by_peer(at_ns: int, alert: int, events: Sequence[TraceEvent]) -> Failed:
    return Failed.of(at_ns, PeerAlertError(alert, situation_of(events)))


def _type_of(chain: tuple[bytes, ...]) -> str:
    return "RawPublicKey" if chain and is_raw_public_key(chain[0]) else "X509"
