"""Following a conversation of others from outside, as the trace that one of them would have made.

Both directions go through the library's own record protection and key schedule; the keys come
from a key log, since nothing on the wire gives them away. Where a secret is missing, what is in
the clear is told all the same, and `Observation.missing` says what it would take to see more.

The trace is seen from the client, unless it was the client that gave up: then from the server,
which is the one that has to find out why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from handclasp.capture.secrets import KeyLog, Secrets
from handclasp.capture.stream import CaptureError, Ending, Piece, Stream
from handclasp.crypto.secret import Secret
from handclasp.crypto.suites import CIPHER_SUITES12_BY_CODE, CIPHER_SUITES_BY_CODE
from handclasp.errors import PeerAlertError, ProtocolError, TruncationError
from handclasp.faults import Fault
from handclasp.info import ConnectionInfo
from handclasp.keys.schedule12 import MasterSecret12, Randoms
from handclasp.keys.schedule13 import TrafficSecret
from handclasp.limits import Limits
from handclasp.record.protection12 import Protection12
from handclasp.record.protection13 import Protection13, split_inner_plaintext
from handclasp.record.reassembly import HandshakeReassembly
from handclasp.trace.diagnosis import situation_of
from handclasp.trace.events import (
    AlertSeen,
    Began,
    BytesRefused,
    Failed,
    KeysInstalled,
    MessageSeen,
    RecordSeen,
    Settled,
    TraceEvent,
    TransportEnded,
    TransportSeen,
)
from handclasp.trace.facts import (
    certificates_of,
    key_exchange_of,
    read_recorded,
    server_share_of,
    version_of,
)
from handclasp.wire import extensions, messages, messages12
from handclasp.wire.codecs import AnyMessage
from handclasp.wire.iana import (
    AlertDescription,
    ContentType,
    ExtensionType,
    HandshakeType,
    cipher_suite_name,
    group_name,
    signature_scheme_name,
)
from handclasp.wire.raw_keys import is_raw_public_key
from handclasp.wire.records import HEADER_SIZE, MAX_CIPHERTEXT, MAX_PLAINTEXT, what_else_it_is

CLIENT, SERVER = "client", "server"


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
    """Follow a conversation from its ClientHello on.

    Raises `CaptureError` where there is none.
    """
    found = stream.starts_of_hello()
    if found is None:
        raise CaptureError(_what_instead(stream))
    client, start = found
    return _Observer(stream, keylog, client, start).observation()


def _what_instead(stream: Stream) -> str:
    first = next((piece for piece in stream.pieces if piece.data), None)
    if first is None:
        return "Nothing was said on this connection."
    if len(first.data) >= HEADER_SIZE and 20 <= first.data[0] <= 23 and first.data[1] == 3:
        return "The capture begins in the middle of a TLS connection: its ClientHello is not there."
    start = first.data if len(first.data) >= HEADER_SIZE else first.data.ljust(HEADER_SIZE, b"\0")
    fault, detail = what_else_it_is(start)
    return f"There is no TLS on this connection. {fault.sentence} ({detail})"


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
    is_lost: bool = False
    """It cannot be followed any more."""
    finished: bool = False
    ended: str | None = None


_LIMITS = Limits()
_NEEDS_A_KEY_LOG = (
    "From here on everything is encrypted, and the secrets of this connection are not at hand. "
    "To see more, let one of the two ends log them while the connection is made (SSLKEYLOGFILE for "
    "browsers, curl and others; openssl s_client -keylogfile; handclasp connect --keylog), and "
    "give the file as --keylog."
)


class _Observer:
    """Goes through the pieces in order; `_events` are kept with the sender, as yet without view."""

    def __init__(self, stream: Stream, keylog: KeyLog, client: int, start: int) -> None:
        self._stream = stream
        self._keylog = keylog
        self._client = client
        self._sides = {role: _Side(role, HandshakeReassembly(_LIMITS)) for role in (CLIENT, SERVER)}
        self._sides[CLIENT].skip = start
        self._began = stream.pieces[0].at_ns
        self._at = 0
        self._events: list[tuple[str, TraceEvent]] = []
        self._missing: list[str] = []
        self._secrets: Secrets = {}
        self._randoms: dict[str, bytes] = {}
        self._version: str | None = None
        self._suite_code = 0
        self._seen: list[tuple[str, AnyMessage]] = []
        self._gave_up: str | None = None
        self._alert: int | None = None
        if start:
            self._missing.append(
                f"{start} bytes came before TLS, in the clear, as with STARTTLS; they are left out."
            )

    def observation(self) -> Observation:
        self._follow()
        self._settle()
        viewer = SERVER if self._gave_up == CLIENT else CLIENT
        events = [*self._opening(viewer), *self._seen_by(viewer)]
        events += self._failure(viewer, events)
        return Observation(tuple(events), self._began, self._server_name(), tuple(self._missing))

    # The pieces

    def _follow(self) -> None:
        hello_seen = False
        both: list[Piece | Ending] = [*self._stream.pieces, *self._stream.endings]
        for piece in sorted(both, key=lambda piece: piece.at_ns):
            role = CLIENT if piece.sender == self._client else SERVER
            side = self._sides[role]
            self._at = piece.at_ns - self._began
            if isinstance(piece, Ending):
                side.ended = side.ended or piece.how
                self._note(role, TransportEnded(self._at, "", piece.how))
                continue
            data = piece.data
            if side.skip:
                data, side.skip = data[side.skip :], max(0, side.skip - len(data))
            hello_seen = hello_seen or (role == CLIENT and bool(data))
            if not hello_seen or side.is_lost:
                continue
            side.buffer += data
            self._records(side)

    def _records(self, side: _Side) -> None:
        buffer = side.buffer
        while len(buffer) >= HEADER_SIZE and not side.is_lost:
            header = bytes(buffer[:HEADER_SIZE])
            size = int.from_bytes(header[3:5], "big")
            if not (20 <= header[0] <= 24 and header[1] == 3 and size <= MAX_CIPHERTEXT + 2048):
                self._lose(side, bytes(buffer))
                return
            if len(buffer) < HEADER_SIZE + size:
                return
            body = bytes(buffer[HEADER_SIZE : HEADER_SIZE + size])
            del buffer[: HEADER_SIZE + size]
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
                side.is_lost = True

    def _lose(self, side: _Side, data: bytes) -> None:
        side.is_lost = True
        start = data[:64].ljust(HEADER_SIZE, b"\0")
        if not any(role == side.role for role, _ in self._events):
            self._note(side.role, BytesRefused(self._at, data[:64]))
            return
        _, detail = what_else_it_is(start)
        self._missing.append(f"What the {side.role} says is no TLS any more: {detail}.")

    def _record(self, side: _Side, header: bytes, body: bytes) -> None:
        kind, size = header[0], HEADER_SIZE + len(body)
        if side.blind:
            if kind != ContentType.CHANGE_CIPHER_SPEC:
                self._miss(side.blind)
            if kind == ContentType.CHANGE_CIPHER_SPEC:
                self._note(side.role, RecordSeen(self._at, "", "plaintext", kind, size, 1))
            else:
                self._note(side.role, RecordSeen(self._at, "", side.epoch, kind, size))
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
        kind, content = opened
        self._note(side.role, RecordSeen(self._at, "", side.epoch, kind, size, len(content)))
        self._content(side, kind, content)

    def _plain_record(self, side: _Side, kind: int, body: bytes, size: int) -> None:
        if kind == ContentType.APPLICATION_DATA:
            self._early_record(side, body, size)
            return
        if side.epoch == "early":  # Refused, and a second ClientHello follows.
            side.epoch, side.protection = "plaintext", None
        self._note(side.role, RecordSeen(self._at, "", "plaintext", kind, size, len(body)))
        if kind == ContentType.CHANGE_CIPHER_SPEC:
            if self._version not in (None, "TLSv1.3"):  # There, it is for middleboxes alone.
                self._change_cipher_spec(side)
            return
        if kind == ContentType.HANDSHAKE and side.protection is not None:
            # Neither end takes it, and anyone can have put it there.
            raise ProtocolError(Fault.UNPROTECTED_RECORD)
        self._content(side, kind, body)

    def _early_record(self, side: _Side, body: bytes, size: int) -> None:
        """The first data of a client before the server's answer: its suite is the session's."""
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
            return
        # The secret is not known; the handshake goes on in one of the next.
        self._note(side.role, RecordSeen(self._at, "", "early", kind, size))

    def _open(self, side: _Side, header: bytes, body: bytes) -> tuple[int, bytes] | None:
        """What is inside; None of early data under a key that is not known, or not taken."""
        protection = side.protection
        if isinstance(protection, Protection12):
            return protection.open_record(header, body, MAX_PLAINTEXT)
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
                and not side.is_lost
                and (raw := side.reassembly.next_message()) is not None
            ):
                self._message(side, raw)
        elif kind == ContentType.ALERT and len(content) == 2:
            self._note(side.role, AlertSeen(self._at, "", content[0], content[1]))
            is_end = content[1] not in (
                AlertDescription.CLOSE_NOTIFY,
                AlertDescription.USER_CANCELED,
            ) and not (content[0] == 1 and self._version == "TLSv1.2")
            if is_end and self._gave_up is None:
                self._gave_up, self._alert = side.role, content[1]

    def _message(self, side: _Side, raw: bytes) -> None:
        self._note(side.role, MessageSeen(self._at, "", side.epoch, raw[0], raw))
        try:
            message = read_recorded(raw, side.epoch)
        except ProtocolError:
            return
        self._seen.append((side.role, message))
        match message:
            case messages.ClientHello():
                if side.protection is None:  # Else it is for a renegotiation.
                    self._randoms[CLIENT] = message.random
                    self._secrets = self._keylog.of(message.random)
            case messages.ServerHello():
                self._server_hello(message)
            case messages.EndOfEarlyData():
                self._install(side, "handshake", "CLIENT_HANDSHAKE_TRAFFIC_SECRET")
            case messages.KeyUpdate() if side.secret is not None:
                self._change_keys(side, "application")
                side.secret = side.secret.next()
                side.protection = Protection13(side.secret.keys())
            case messages.Finished():
                self._finished(side)
            case _:
                pass

    def _server_hello(self, hello: messages.ServerHello) -> None:
        if hello.is_hello_retry_request or self._version is not None:
            return
        self._version = version_of(hello)
        self._suite_code = hello.cipher_suite
        self._randoms[SERVER] = hello.random
        if self._version == "TLSv1.3":
            self._install(self._sides[SERVER], "handshake", "SERVER_HANDSHAKE_TRAFFIC_SECRET")
            if self._sides[CLIENT].epoch != "early":
                label = "CLIENT_HANDSHAKE_TRAFFIC_SECRET"
                self._install(self._sides[CLIENT], "handshake", label)

    def _finished(self, side: _Side) -> None:
        side.finished = True
        side.reassembly.lift_total_limit()
        if self._version == "TLSv1.3":
            label = f"{side.role.upper()}_TRAFFIC_SECRET_0"
            self._install(side, "application", label)

    # Keys

    def _change_keys(self, side: _Side, epoch: str) -> None:
        """Other keys stand from here on; no message reaches across them (RFC 8446 section 5.1)."""
        side.epoch = epoch
        if side.reassembly:
            why = Fault.HANDSHAKE_ACROSS_KEY_CHANGE.sentence
            self._miss(f"What the {side.role} says cannot be followed any further: {why}")
            side.is_lost = True

    def _install(self, side: _Side, epoch: str, label: str) -> None:
        self._change_keys(side, epoch)
        suite = CIPHER_SUITES_BY_CODE.get(self._suite_code)
        secret = self._secrets.get(label)
        side.protection = None
        if suite is None:
            side.blind = f"{cipher_suite_name(self._suite_code)} is not known here."
        elif secret is None:
            side.blind = _NEEDS_A_KEY_LOG
        elif len(secret) == suite.hash_size:
            side.secret = TrafficSecret(suite, Secret(secret))
            side.protection = Protection13(side.secret.keys())
            self._note(side.role, KeysInstalled(self._at, "", epoch, suite.name))
            return
        else:
            side.blind = f"The secret {label} in the key log has a wrong size."

    def _change_cipher_spec(self, side: _Side) -> None:
        """From here on this end's records are protected (RFC 5246 section 7.1)."""
        self._change_keys(side, "application")
        suite = CIPHER_SUITES12_BY_CODE.get(self._suite_code)
        master = self._secrets.get("CLIENT_RANDOM")
        if self._version != "TLSv1.2" or suite is None:
            name = cipher_suite_name(self._suite_code)
            side.blind = (
                f"What {self._version or 'this version'} protects with {name} cannot be opened "
                "here: only AEAD suites of TLS 1.2 and 1.3 can."
            )
        elif master is None:
            side.blind = _NEEDS_A_KEY_LOG
        else:
            randoms = Randoms(self._randoms[CLIENT], self._randoms[SERVER])
            block = MasterSecret12(suite, randoms, Secret(master), extended=True).key_block()
            keys = block.client if side.role == CLIENT else block.server
            side.protection = Protection12(keys, suite)
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
                event, RecordSeen | MessageSeen | AlertSeen | KeysInstalled | TransportEnded
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
        for sender, message in reversed(self._seen):
            found = getattr(message, "extensions", None)
            if sender == role and isinstance(message, kind) and found is not None:
                data = found.get(extension)
                return None if data is None else bytes(data)
        return None

    def _settle(self) -> None:
        """Where both were seen to finish, what they agreed upon."""
        if self._version is None or not all(side.finished for side in self._sides.values()):
            return
        last = max(
            index
            for index, (_, event) in enumerate(self._events)
            if isinstance(event, MessageSeen) and event.message_type == HandshakeType.FINISHED
        )
        settled = Settled(self._events[last][1].at_ns, self._info())
        self._events.insert(last + 1, (CLIENT, settled))

    def _info(self) -> ConnectionInfo:
        answer = next(
            message
            for _, message in self._seen
            if isinstance(message, messages.ServerHello) and not message.is_hello_retry_request
        )
        chain = {role: self._chain(role) for role in (CLIENT, SERVER)}
        viewer = SERVER if self._gave_up == CLIENT else CLIENT
        other = CLIENT if viewer == SERVER else SERVER
        return ConnectionInfo(
            version=self._version or "",
            cipher_suite=cipher_suite_name(answer.cipher_suite),
            group=self._group(answer),
            signature_scheme=self._signature(SERVER),
            alpn=self._alpn(answer),
            server_name=self._server_name(),
            resumed=self._is_resumed(answer, chain[SERVER]),
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
        if self._version == "TLSv1.3":
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

    def _is_resumed(self, answer: messages.ServerHello, chain: Sequence[bytes]) -> bool:
        if self._version == "TLSv1.3":
            return ExtensionType.PRE_SHARED_KEY in answer.extensions
        return not chain and key_exchange_of(answer) != "transport"

    def _early_data(self) -> str:
        kind = ExtensionType.EARLY_DATA
        hellos = [each for _, each in self._seen if isinstance(each, messages.ClientHello)]
        if not any(kind in hello.extensions for hello in hellos):  # A second one never has it.
            return "none"
        taken = self._extension(SERVER, messages.EncryptedExtensions, kind) is not None
        return "accepted" if taken else "rejected"

    def _failure(self, viewer: str, events: Sequence[TraceEvent]) -> Iterator[TraceEvent]:
        """How it failed, if it did, as `viewer` would have noted it."""
        if self._alert is not None:
            error = PeerAlertError(self._alert, situation_of(events))
            yield Failed(
                self._at, "peer", error.fault, error.alert, error.message, error.explanation,
                error.fix,
            )  # fmt: skip
            return
        refused = next((event for event in events if isinstance(event, BytesRefused)), None)
        settled = any(isinstance(event, Settled) for event in events)
        other = self._sides[SERVER if viewer == CLIENT else CLIENT]
        if refused is not None:
            fault, detail = what_else_it_is(refused.data.ljust(HEADER_SIZE, b"\0"))
            yield _failed(self._at, ProtocolError(fault, detail))
        elif other.ended is not None and not settled and not self._may_be_complete():
            is_reset = other.ended == "reset"
            fault = Fault.RESET_DURING_HANDSHAKE if is_reset else Fault.CLOSED_DURING_HANDSHAKE
            yield _failed(self._at, TruncationError(fault))

    def _may_be_complete(self) -> bool:
        """Whether, as far as can be seen without keys, both ends came as far as sending data."""
        return any(side.blind for side in self._sides.values()) and all(
            any(
                isinstance(event, RecordSeen)
                and role == who
                and event.content_type == ContentType.APPLICATION_DATA
                and event.epoch in ("application", "handshake")
                and event.size > _AS_SMALL_AS_AN_ALERT
                for who, event in self._events
            )
            for role in (CLIENT, SERVER)
        )


_AS_SMALL_AS_AN_ALERT = HEADER_SIZE + 2 + 1 + 16
"""Bytes of a protected alert in TLS 1.3: no other record is so small, save for empty data."""


def _failed(at_ns: int, error: ProtocolError) -> Failed:
    return Failed(
        at_ns, "local", error.fault, error.alert, error.message, error.explanation, error.fix
    )


def _type_of(chain: tuple[bytes, ...]) -> str:
    return "RawPublicKey" if chain and is_raw_public_key(chain[0]) else "X509"
