"""The record layer: bytes of the transport on one side, typed contents on the other.

Inbound, the connection feeds what arrived and pulls one record at a time, so that each record is
opened with the keys that stand when it is its turn: a handshake message may change them, or a
question may halt everything. What is not pulled is kept. Outbound, handshake messages of one
epoch gather and leave in as few records as they fit in (RFC 8446 section 5.1).

TLS 1.2 differs in what the keys protect: each record's type stays in its header, alerts and all,
and change_cipher_spec is a step of the handshake that the connection is given, where in TLS 1.3
it means nothing and is dropped.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from handclasp.crypto.suites import Buffer, CipherSuite12
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.keys.epoch import Epoch
from handclasp.keys.schedule13 import TrafficSecret
from handclasp.keys.traffic import TrafficKeys
from handclasp.limits import Limits
from handclasp.record.protection12 import Protection12
from handclasp.record.protection13 import Protection13, split_inner_plaintext
from handclasp.record.reassembly import HandshakeReassembly
from handclasp.trace.hooks import Trace
from handclasp.wire.iana import ContentType
from handclasp.wire.records import (
    HEADER_SIZE,
    MAX_CIPHERTEXT,
    MAX_PLAINTEXT,
    what_else_it_is,
    write_plaintext,
)

_APPLICATION_DATA = int(ContentType.APPLICATION_DATA)
_HANDSHAKE = int(ContentType.HANDSHAKE)
_ALERT = int(ContentType.ALERT)
_CHANGE_CIPHER_SPEC = int(ContentType.CHANGE_CIPHER_SPEC)
_HEADER = struct.Struct(">BBxH")
"""Type and major version of a record, and the length of its body."""

_LONGEST_RECORD = HEADER_SIZE + MAX_CIPHERTEXT
RESERVED_RECORDS = 4
"""Records of a key's life that are kept back for its KeyUpdate and an alert."""

_SEAL_ONE_BY_ONE = 2
"""Up to this many records, sealing each by itself is faster than preparing a buffer."""


class RecordLayer:
    """Both directions of one connection's records."""

    __slots__ = (
        "_ahead",
        "_at",
        "_data_read",
        "_data_write",
        "_dropped_change_cipher_spec",
        "_early_data_budget",
        "_early_data_charge",
        "_established",
        "_first_record",
        "_first_write",
        "_handshake_out",
        "_idle_records",
        "_limits",
        "_out",
        "_padding",
        "_partial",
        "_read",
        "_read_epoch",
        "_read_exhausted_at",
        "_read_limit",
        "_reassembly",
        "_trace",
        "_view",
        "_write",
        "_write_end",
        "_write_epoch",
        "_write_exhausted_at",
        "_write_limit",
        "change_cipher_spec_allowed",
        "is_tls12",
    )

    def __init__(
        self,
        limits: Limits,
        padding: int | Callable[[int], int],
        *,
        is_client: bool,
        trace: Trace | None = None,
    ) -> None:
        self._limits = limits
        self._padding = padding
        self._trace = trace
        self._read: Protection13 | Protection12 | None = None
        self._write: Protection13 | Protection12 | None = None
        # The same keys, where the fast ways may be taken: `open_one` and `open_data`, `send_one`.
        self._data_read: Protection13 | None = None
        self._data_write: Protection13 | Protection12 | None = None
        self._read_exhausted_at = self._write_exhausted_at = self._write_end = 0
        self._read_epoch = self._write_epoch = Epoch.PLAINTEXT
        self._read_limit = MAX_PLAINTEXT + 1
        self._write_limit = MAX_PLAINTEXT
        self._reassembly = HandshakeReassembly(limits)
        self._ahead: tuple[int, bytes] | None = None
        self._partial = bytearray()
        self._view: Buffer = b""
        self._at = 0
        self._out: list[Buffer] = []
        self._handshake_out: list[bytes] = []
        self._first_record = True
        self._first_write = is_client
        self._idle_records = 0
        self._early_data_budget = 0
        self._early_data_charge = HEADER_SIZE
        self._dropped_change_cipher_spec = False
        self.change_cipher_spec_allowed = is_client
        self.is_tls12 = False
        self._established = False

    def use_tls12(self) -> None:
        """The version is TLS 1.2. Raises `ProtocolError`."""
        # TLS 1.3 allows them before the version is known; no TLS 1.2 peer sends one there.
        if self._dropped_change_cipher_spec:
            raise ProtocolError(Fault.UNEXPECTED_CHANGE_CIPHER_SPEC)
        self.is_tls12 = True
        self._read_limit = MAX_PLAINTEXT

    # Inbound

    def open_one(self, data: Buffer) -> bytes | None:
        """The fastest way in, for an established connection: one whole record of application data.

        None where `data` is anything else, or something stands before it; `open_data` tells then.
        Raises `ProtocolError`.
        """
        read = self._data_read
        if read is None or read.sequence >= self._read_exhausted_at or len(data) > _LONGEST_RECORD:
            return None
        record = data if isinstance(data, bytes) else bytes(data)
        content = read.open_one(record, self._read_limit)
        if content is not None:
            self._idle_records = 0
        return content

    def open_data(self, data: Buffer, into: list[Buffer]) -> Buffer:
        """The fast way for an established connection: only application data, whole records.

        Appends their contents to `into`, and gives what is left of `data`: that is for `feed` and
        `next_record`, which take anything. Raises `ProtocolError`.
        """
        read = self._data_read
        if read is None or read.sequence >= self._read_exhausted_at:
            return data
        view = memoryview(data).cast("B")
        used, self._ahead = read.open_data(view, self._read_limit, into)
        if into:
            self._idle_records = 0
        return view[used:]

    @property
    def has_more(self) -> bool:
        """Whether `open_data` came upon something that `next_record` will give."""
        return self._ahead is not None

    def feed(self, data: Buffer) -> None:
        """Take what arrived. It is borrowed until `retain`."""
        self._view = memoryview(data).cast("B")
        self._at = 0

    def retain(self) -> None:
        """Keep what was not pulled, and let go of the fed buffer."""
        if self._at < len(self._view):
            self._partial += self._view[self._at :]
        self._view = b""
        self._at = 0
        # Nothing may overtake what waits, and a trace is told of each record.
        is_clear = not (self._partial or self._reassembly or self._trace is not None)
        self._data_read = self._read if is_clear and isinstance(self._read, Protection13) else None

    @property
    def retained(self) -> bytearray:
        """What waits for more bytes, or for an answer, or stands behind the end."""
        return self._partial

    def next_record(self) -> tuple[int, bytes] | None:
        """Content type and content of the next record, opened; None where more must arrive.

        Harmless records (empty application data, change_cipher_spec in its time) are dropped
        here. Raises `ProtocolError`.
        """
        while True:
            opened, self._ahead = self._ahead, None
            if opened is None:
                record = self._next_raw()
                if record is None:
                    return None
                opened = self._open(*record)
                if opened is None:
                    continue
            content_type, content = opened
            if content_type == _HANDSHAKE or not self._reassembly:
                if content:
                    if content_type != _ALERT:  # Warnings move nothing forward.
                        self._idle_records = 0
                    return opened
                self._refuse_empty(content_type)
                continue
            raise ProtocolError(Fault.INTERLEAVED_RECORD, _type_name(content_type))

    def add_handshake(self, fragment: bytes) -> None:
        """A handshake record came: its content joins the message in the making."""
        self._reassembly.add(fragment)

    def next_message(self) -> bytes | None:
        """The next whole handshake message, or None."""
        reassembly = self._reassembly
        if not reassembly:
            return None
        message = reassembly.next_message()
        if message is None and self._gather():
            message = reassembly.next_message()
        return message

    def install_read(self, epoch: Epoch, secret: TrafficSecret | TrafficKeys) -> None:
        """The peer's next record is under keys from `secret`.

        RFC 8446 section 5.1: "Handshake messages MUST NOT span key changes."
        """
        if self._reassembly:
            raise ProtocolError(Fault.HANDSHAKE_ACROSS_KEY_CHANGE)
        self._read = _protection(secret)
        self._data_read = None  # until `retain` knows that nothing waits
        self._read_exhausted_at = self._limit_of(self._read)
        self._read_epoch = epoch
        if self._trace is not None:
            self._trace.keys_installed("received", epoch.value, secret.suite.name)

    def end_flight(self) -> None:
        """It is this side's turn: the last record must not hold any of the peer's next flight.

        Where keys change, `install_read` sees to that. Raises `ProtocolError`.
        """
        if self._reassembly:
            is_whole = self._reassembly.next_message() is not None
            fault = Fault.UNEXPECTED_MESSAGE if is_whole else Fault.INTERLEAVED_RECORD
            raise ProtocolError(fault, "a message before its turn")

    def limit_read(self, record_size_limit: int) -> None:
        """The peer agreed to (inner) plaintexts of at most so many bytes (RFC 8449 section 4)."""
        self._read_limit = min(self._read_limit, record_size_limit)

    def skip_early_data(self, budget: int) -> None:
        """Drop early data that this side does not accept (RFC 8446 section 4.2.10).

        Up to `budget` bytes of records that cannot be opened are passed over, but no more than
        2^20 records: each is a guess at the tag under the handshake key, and AES-CCM bears 2^23.5
        of them (RFC 9147 section 4.5.3).
        """
        self._early_data_budget = budget
        self._early_data_charge = max(HEADER_SIZE, budget >> 20)

    def establish(self) -> None:
        """The handshake is complete: only protected records from here on."""
        self._established = True
        self.change_cipher_spec_allowed = False
        self._early_data_budget = 0
        self._reassembly.lift_total_limit()

    def forget_read_keys(self) -> None:
        """Nothing more will be opened."""
        self._read = self._data_read = None
        self._partial.clear()

    def note_idle_record(self, what: str) -> None:
        """Count a record that moves nothing forward. Raises `ProtocolError` after too many."""
        self._idle_records += 1
        if self._idle_records > self._limits.max_records_without_progress:
            raise ProtocolError(Fault.TOO_MANY_RECORDS_WITHOUT_PROGRESS, what)

    @property
    def nothing_came(self) -> bool:
        """Whether not even the header of one record was seen."""
        return self._first_record

    @property
    def records_opened(self) -> int:
        """How many records the current read key has opened."""
        return self._read.sequence if self._read is not None else 0

    @property
    def read_key_exhausted(self) -> bool:
        """Whether the peer's key has protected as many records as it should (section 5.5)."""
        return self._read is not None and self._read.sequence >= self._read_exhausted_at

    # Outbound

    def send(self, epoch: Epoch, message: bytes) -> None:
        """Queue a whole handshake message, under the key of `epoch`, which is the current one."""
        del epoch
        self._handshake_out.append(message)

    def send_change_cipher_spec(self) -> None:
        """Queue the record that means nothing (RFC 8446 section D.4)."""
        self._flush_handshake()
        record = write_plaintext(ContentType.CHANGE_CIPHER_SPEC, b"\x01")
        self._queue(record)
        if self._trace is not None:
            size = len(record)
            self._trace.record(
                "sent", Epoch.PLAINTEXT.value, _CHANGE_CIPHER_SPEC, size, 1, 0, record
            )

    def send_alert(self, alert: bytes) -> None:
        """Queue an alert of two bytes. Raises `ProtocolError` where the key can seal no more."""
        self._flush_handshake()
        self._check_key_lasts(len(alert))
        self._seal(ContentType.ALERT, alert)

    def send_one(self, data: bytes) -> bool:
        """The fast way: queue application data as one record, if that is all there is to it."""
        write = self._data_write
        if (
            write is None
            or len(data) > self._write_limit
            or write.sequence >= self._write_exhausted_at
            or self._handshake_out
        ):
            return False
        self._out.append(write.seal(_APPLICATION_DATA, data))
        return True

    def send_application_data(self, data: Buffer) -> None:
        """Queue application data, in records as large as the peer takes."""
        if self._handshake_out:
            self._flush_handshake()
        self._seal_fragments(ContentType.APPLICATION_DATA, data)

    def install_write(self, epoch: Epoch, secret: TrafficSecret | TrafficKeys) -> None:
        """Protect what is sent from here on with keys from `secret`, but not what is queued."""
        write = _protection(secret)
        self._flush_handshake()
        self._write = write
        self._data_write = None if self._padding or self._trace is not None else write
        self._write_end = self._limit_of(write)
        self._write_exhausted_at = self._write_end - RESERVED_RECORDS
        self._write_epoch = epoch
        if self._trace is not None:
            self._trace.keys_installed("sent", epoch.value, secret.suite.name)

    def revert_to_plaintext(self) -> None:
        """The early data were refused, and a second ClientHello follows (section 4.2.10)."""
        self._flush_handshake()
        self._write = self._data_write = None
        self._write_epoch = Epoch.PLAINTEXT

    @property
    def read_epoch(self) -> Epoch:
        """The epoch of what the peer sends now."""
        return self._read_epoch

    @property
    def write_epoch(self) -> Epoch:
        """The epoch of what this side sends now."""
        return self._write_epoch

    def limit_write(self, record_size_limit: int) -> None:
        """The peer takes (inner) plaintexts of at most so many bytes (RFC 8449 section 4)."""
        # In TLS 1.3 the limit counts the content type, which content sizes do not.
        content = record_size_limit if self.is_tls12 else record_size_limit - 1
        self._write_limit = min(MAX_PLAINTEXT, content)

    def records_left(self) -> int:
        """How many records the current write key may still seal (RFC 8446 section 5.5).

        Those that the queued handshake messages will take are used up already.
        """
        write = self._write
        if write is None:
            return 0
        queued = -(-sum(map(len, self._handshake_out)) // self._write_limit)
        return self._limit_of(write) - write.sequence - queued

    @property
    def room(self) -> int:
        """Bytes of content for which the current write key is still good.

        The last `RESERVED_RECORDS` are kept back, so it may be negative.
        """
        return (self.records_left() - RESERVED_RECORDS) * self._write_limit

    @property
    def room_of_a_key(self) -> int:
        """What `room` is when a key like the current one is new."""
        write = self._write
        most = self._limit_of(write) if write is not None else 0
        return (most - RESERVED_RECORDS) * self._write_limit

    @property
    def fragment_size(self) -> int:
        """Bytes of content that fit into one record to this peer."""
        return self._write_limit

    @property
    def has_output(self) -> bool:
        """Whether anything is queued."""
        return bool(self._out or self._handshake_out)

    def take(self) -> Buffer:
        """All that is queued, and empty the queue."""
        if self._handshake_out:
            self._flush_handshake()
        out = self._out
        if len(out) == 1:
            return out.pop()
        self._out = []
        return b"".join(out)

    def _limit_of(self, protection: Protection13 | Protection12) -> int:
        """How many records one key may protect: what the AEAD bears, or less by the config."""
        limit, own = protection.suite.record_limit, self._limits.max_records_per_key
        return limit if own is None else min(own, limit)

    # Inbound, inside

    def _next_raw(self) -> tuple[bytes, Buffer] | None:
        if self._partial:
            return self._next_retained()
        view, at = self._view, self._at
        body = at + HEADER_SIZE
        if len(view) < body:
            return None
        header = bytes(view[at:body])
        after = body + self._checked_length(header)
        if len(view) < after:
            return None
        self._at = after
        return header, view[body:after]

    def _gather(self) -> bool:
        """Add to a message in the making what whole records in the clear hold of it, if anything.

        Each counts as if `next_record` had given it. It could: but a peer may send a record for
        each byte of a hello, and then a record must cost next to nothing.
        """
        missing = self._reassembly.missing
        if not missing or self._partial or self._read is not None or self._trace is not None:
            return False
        view, at, found = self._view, self._at, bytearray()
        end = len(view)
        while missing > 0 and at + HEADER_SIZE < end:
            kind, major, size = _HEADER.unpack_from(view, at)
            after = at + HEADER_SIZE + size
            if kind != _HANDSHAKE or major != 3 or not 0 < size <= MAX_PLAINTEXT or after > end:
                break
            found += view[at + HEADER_SIZE : after]
            missing -= size
            at = after
        if not found:
            return False
        self._at = at
        self._idle_records = 0
        self._reassembly.add(found)
        return True

    def _next_retained(self) -> tuple[bytes, Buffer] | None:
        # Only what the first record lacks is copied over; the rest stays where it was fed.
        partial = self._partial
        if not self._top_up(HEADER_SIZE):
            return None
        header = bytes(partial[:HEADER_SIZE])
        size = HEADER_SIZE + self._checked_length(header)
        if not self._top_up(size):
            return None
        body = bytes(partial[HEADER_SIZE:size])
        del partial[:size]
        return header, body

    def _top_up(self, size: int) -> bool:
        missing = size - len(self._partial)
        if missing > 0:
            found = self._view[self._at : self._at + missing]
            self._partial += found
            self._at += len(found)
        return len(self._partial) >= size

    def _checked_length(self, header: bytes) -> int:
        content_type, major = header[0], header[1]
        if not 20 <= content_type <= 23 or major != 3:
            if self._first_record:
                start = self._start(header)
                if self._trace is not None:
                    self._trace.bytes_refused(start[:64])
                raise ProtocolError(*what_else_it_is(start))
            raise ProtocolError(
                Fault.UNEXPECTED_RECORD_TYPE, f"type {content_type}, version {major}.{header[2]}"
            )
        self._first_record = False
        length = header[3] << 8 | header[4]
        protected = self._read is not None or content_type == _APPLICATION_DATA
        limit = MAX_CIPHERTEXT if protected else MAX_PLAINTEXT
        if length > limit:
            raise ProtocolError(Fault.RECORD_OVERFLOW, f"{length} bytes, {limit} are allowed")
        return length

    def _start(self, header: bytes) -> bytes:
        start = bytes(self._partial) + bytes(self._view[self._at : self._at + 64])
        return start if len(start) >= HEADER_SIZE else header

    def _open(self, header: bytes, body: Buffer) -> tuple[int, bytes] | None:
        """The opened record, or None where it is one to drop."""
        if self._trace is not None:
            return self._open_and_tell(self._trace, header, body)
        return self._open_now(header, body)

    def _open_and_tell(self, trace: Trace, header: bytes, body: Buffer) -> tuple[int, bytes] | None:
        protected = self._read is not None and (header[0] == _APPLICATION_DATA or self.is_tls12)
        epoch = (self._read_epoch if protected else Epoch.PLAINTEXT).value
        opened: tuple[int, bytes] | None = None
        began = trace.now()
        try:
            opened = self._open_now(header, body)
            return opened
        finally:
            took = trace.now() - began if protected else 0
            wire = header + bytes(body)
            if opened is None:
                size = None if protected else len(body)
                trace.record("received", epoch, header[0], len(wire), size, took, wire)
            else:
                kind, content = opened
                shown = _shown(trace, kind, content)
                trace.record("received", epoch, kind, len(wire), len(content), took, wire, shown)

    def _open_now(self, header: bytes, body: Buffer) -> tuple[int, bytes] | None:
        content_type = header[0]
        if self._read is None or (content_type != _APPLICATION_DATA and not self.is_tls12):
            return self._open_plaintext(content_type, body)
        if self._early_data_budget and isinstance(self._read, Protection13):
            return self._open_or_skip(self._read, header, body)
        return self._read.open_record(header, body, self._read_limit)

    def _open_plaintext(self, content_type: int, body: Buffer) -> tuple[int, bytes] | None:
        if content_type == _CHANGE_CIPHER_SPEC:
            if self.is_tls12 and bytes(body) == b"\x01":
                return content_type, b"\x01"
            self._pass_over_change_cipher_spec(body)
            return None
        if content_type == _APPLICATION_DATA:
            if not self._early_data_budget:
                raise ProtocolError(Fault.APPLICATION_DATA_TOO_EARLY)
            if self._reassembly:
                raise ProtocolError(Fault.INTERLEAVED_RECORD, "application_data")
            self._spend_early_data(len(body))
            return None
        # A peer that could not use the first flight has no keys and says so in plaintext.
        if self._read is not None and not (
            content_type == _ALERT
            and self._read_epoch is Epoch.HANDSHAKE
            and self._read.sequence == 0
        ):
            raise ProtocolError(Fault.UNPROTECTED_RECORD, _type_name(content_type))
        return content_type, bytes(body)

    def _pass_over_change_cipher_spec(self, body: Buffer) -> None:
        if self.is_tls12 or not self.change_cipher_spec_allowed or bytes(body) != b"\x01":
            raise ProtocolError(Fault.UNEXPECTED_CHANGE_CIPHER_SPEC)
        if self._reassembly:
            raise ProtocolError(Fault.INTERLEAVED_RECORD, "change_cipher_spec")
        self._dropped_change_cipher_spec = True
        self.note_idle_record("change_cipher_spec")

    def _open_or_skip(
        self, read: Protection13, header: bytes, body: Buffer
    ) -> tuple[int, bytes] | None:
        sequence = read.sequence
        try:
            inner = read.open(header, body)
        except ProtocolError:
            # Early data was under another key: the sequence number has not moved for the peer.
            read.sequence = sequence
            self._spend_early_data(len(body))
            return None
        self._early_data_budget = 0
        return split_inner_plaintext(inner, self._read_limit)

    def _spend_early_data(self, size: int) -> None:
        # An empty record costs work, too.
        self._early_data_budget -= max(size, self._early_data_charge)
        if self._early_data_budget <= 0:
            raise ProtocolError(Fault.BAD_RECORD_MAC, "more early data than is passed over")

    def _refuse_empty(self, content_type: int) -> None:
        # RFC 8446 5.1: zero-length fragments are for application data only.
        if content_type != _APPLICATION_DATA:
            raise ProtocolError(Fault.EMPTY_RECORD, _type_name(content_type))
        if not self._established and self._read_epoch is not Epoch.EARLY_DATA:
            raise ProtocolError(Fault.APPLICATION_DATA_TOO_EARLY, "empty")
        self.note_idle_record("empty application data")

    # Outbound, inside

    def _flush_handshake(self) -> None:
        if self._handshake_out:
            messages = b"".join(self._handshake_out)
            self._handshake_out.clear()
            self._seal_fragments(ContentType.HANDSHAKE, messages)

    def _check_key_lasts(self, size: int) -> None:
        """Whether the key may seal so many bytes more. Raises `ProtocolError` (section 5.5)."""
        write = self._write
        if write is not None and size > (self._write_end - write.sequence) * self._write_limit:
            raise ProtocolError(Fault.KEY_EXHAUSTED)

    def _seal_fragments(self, content_type: ContentType, data: Buffer) -> None:
        self._check_key_lasts(len(data))
        size = self._write_limit if self._write is not None else MAX_PLAINTEXT
        if len(data) <= size:
            self._seal(content_type, bytes(data))
            return
        one_by_one = self._padding or self._trace is not None
        if self._write is None or one_by_one or len(data) <= size * _SEAL_ONE_BY_ONE:
            view = memoryview(data)
            for start in range(0, len(data), size):
                self._seal(content_type, bytes(view[start : start + size]))
            return
        self._queue(self._write.seal_many(content_type, memoryview(data), size))

    def _seal(self, content_type: ContentType, fragment: bytes) -> None:
        if self._trace is not None:
            self._seal_and_tell(self._trace, content_type, fragment)
        else:
            self._queue(self._seal_now(content_type, fragment))

    def _seal_and_tell(self, trace: Trace, content_type: ContentType, fragment: bytes) -> None:
        began = trace.now()
        record = self._seal_now(content_type, fragment)
        took = trace.now() - began if self._write is not None else 0
        self._queue(record)
        epoch = (self._write_epoch if self._write is not None else Epoch.PLAINTEXT).value
        shown = _shown(trace, content_type, fragment)
        size = len(record)
        trace.record("sent", epoch, content_type, size, len(fragment), took, record, shown)

    def _seal_now(self, content_type: ContentType, fragment: bytes) -> bytes:
        if self._write is None:
            return write_plaintext(content_type, fragment, first_hello=self._first_write)
        return self._write.seal(content_type, fragment, self._padding_for(len(fragment)))

    def _padding_for(self, size: int) -> int:
        policy = self._padding
        if not policy:
            return 0
        if isinstance(policy, int):
            wanted = -size % policy
        else:
            try:
                wanted = int(policy(size))
            except Exception as error:
                self._padding = 0  # the alert goes out without it
                raise ProtocolError(Fault.CALLBACK_FAILED, "record_padding") from error
        return max(0, min(wanted, self._write_limit - size))

    def _queue(self, record: Buffer) -> None:
        self._first_write = False
        self._out.append(record)


def _protection(secret: TrafficSecret | TrafficKeys) -> Protection13 | Protection12:
    if isinstance(secret, TrafficSecret):
        return Protection13(secret.keys())
    suite = secret.suite
    return Protection12(secret, suite) if isinstance(suite, CipherSuite12) else Protection13(secret)


def _shown(trace: Trace, content_type: int, content: bytes) -> bytes:
    """What of a record's content a trace is given: nothing of what is the application's own."""
    return content if content_type != _APPLICATION_DATA or trace.record_secrets else b""


def _type_name(content_type: int) -> str:
    try:
        return ContentType(content_type).name.lower()
    except ValueError:
        return f"content type {content_type}"
