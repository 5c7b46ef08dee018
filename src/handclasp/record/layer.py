"""The port over TCP: which keys protect the records of each direction, and what is queued.

The connection walks over the records that come, and opens each by the object that stands in
`reader` when it is its turn: a handshake message may change it, or a question may halt everything.
What this side sends is sealed by the object in `writer`. Handshake messages of one epoch gather and
leave in as few records as they fit in (RFC 9846 section 5.1).

TLS 1.2 has another protection behind the same two methods, and differs in little else: there each
record's type stays in its header, alerts and all, and change_cipher_spec is a step of the
handshake, where in TLS 1.3 it means nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from handclasp.crypto.suites import Buffer, CipherSuite12
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.iana import ContentType
from handclasp.keys.epoch import Epoch
from handclasp.keys.schedule13 import TrafficSecret
from handclasp.keys.traffic import TrafficKeys
from handclasp.limits import Limits
from handclasp.record.dressed import (
    EarlyDataBudget,
    PaddedWriter,
    RecordReader,
    RecordWriter,
    SkippingReader,
    TracedReader,
    TracedWriter,
)
from handclasp.record.plaintext import PLAINTEXT, PLAINTEXT_WRITER, HelloWriter
from handclasp.record.protection12 import Protection12
from handclasp.record.protection13 import MAX_INNER_PLAINTEXT, Protection13
from handclasp.speedups import ACCELERATED
from handclasp.trace.hooks import Trace
from handclasp.wire.framing import is_whole
from handclasp.wire.records import CHANGE_CIPHER_SPEC_RECORD, MAX_PLAINTEXT

_PLAINTEXT_EPOCH, _HANDSHAKE_EPOCH = Epoch.PLAINTEXT, Epoch.HANDSHAKE
_HANDSHAKE = int(ContentType.HANDSHAKE)
_ALERT = int(ContentType.ALERT)
_APPLICATION_DATA = int(ContentType.APPLICATION_DATA)
_CHANGE_CIPHER_SPEC = int(ContentType.CHANGE_CIPHER_SPEC)


RESERVED_RECORDS = 4
"""Records of a key's life that are kept back for its KeyUpdate and an alert."""

_SEAL_ONE_BY_ONE = 0 if ACCELERATED else 2
"""Up to this many records, sealing each by itself is faster than preparing a buffer."""

Protection = Protection13 | Protection12


class RecordLayer:
    """Both directions of one connection's records.

    Attributes:
        reader, writer: what opens the next record of the peer, and what seals this side's.
        read_key, write_key: the keys at work in them, where there are any.
        read_epoch, write_epoch: whose keys they are.
        read_exhausted_at: how many records of a key should be enough.
        data_key: the write key while the connection is open, if nothing is padded or traced.
        write_limit: bytes of content that fit into one record to this peer.
        out: the records that are queued.
        messages: the handshake messages that are queued behind them.
        send: queues a whole handshake message under the current key: the list's own method.
        unparsed: what has come of handshake messages behind the one in hand.
        nothing_came: whether not even the header of one record was seen.
        records_without_progress: how many in a row moved nothing forward.
        warning: the last warning alert after which no more of the handshake came.
        change_cipher_spec_allowed: whether the peer may send the record that means nothing.
        change_cipher_spec_dropped: whether it has.
        is_client: whether this side is the client.
        is_tls12: whether the version is known to be TLS 1.2.
        is_established: whether the handshake is complete.
    """

    __slots__ = (
        "_early_data",
        "_limits",
        "_most_records",
        "_padding",
        "_read_limit",
        "_trace",
        "_write_end",
        "change_cipher_spec_allowed",
        "change_cipher_spec_dropped",
        "data_key",
        "is_client",
        "is_established",
        "is_tls12",
        "messages",
        "nothing_came",
        "out",
        "read_epoch",
        "read_exhausted_at",
        "read_key",
        "reader",
        "records_without_progress",
        "send",
        "unparsed",
        "warning",
        "write_epoch",
        "write_key",
        "write_limit",
        "writer",
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
        own = limits.max_records_per_key
        # How many records one key may protect by the config: its cipher may bear less.
        self._most_records = sys.maxsize if own is None else own
        self._padding = padding
        self._trace = trace
        self.read_key: Protection | None = None
        self.write_key: Protection | None = None
        self.read_epoch = self.write_epoch = _PLAINTEXT_EPOCH
        self.data_key: Protection | None = None
        self.read_exhausted_at = self._write_end = 0
        self._read_limit = MAX_INNER_PLAINTEXT
        self.write_limit = MAX_PLAINTEXT
        self._early_data: EarlyDataBudget | None = None
        self.out: list[Buffer] = []
        self.messages: list[bytes] = []
        self.send = self.messages.append
        self.unparsed: Buffer = b""
        self.records_without_progress = 0
        self.warning: int | None = None
        self.nothing_came = True
        self.change_cipher_spec_allowed = is_client
        self.change_cipher_spec_dropped = False
        self.is_client = is_client
        self.is_tls12 = self.is_established = False
        self.reader: RecordReader = PLAINTEXT
        self.writer: RecordWriter = HelloWriter() if is_client else PLAINTEXT_WRITER
        if trace is not None:
            self.reader = TracedReader(PLAINTEXT, trace, _PLAINTEXT_EPOCH, is_tls12=False)
            self.writer = TracedWriter(self.writer, trace, _PLAINTEXT_EPOCH)

    def follow(self, limits: Limits, padding: int | Callable[[int], int]) -> None:
        """Take the limits and the padding of another config, before there are any keys."""
        most = limits.max_records_per_key
        self._limits, self._padding = limits, padding
        self._most_records = sys.maxsize if most is None else most

    def use_tls12(self) -> None:
        """Use the records of TLS 1.2, which was chosen. Raises `ProtocolError`."""
        # TLS 1.3 allows them before the version is known; no TLS 1.2 peer sends one there.
        if self.change_cipher_spec_dropped:
            raise ProtocolError(Fault.UNEXPECTED_CHANGE_CIPHER_SPEC)
        self.is_tls12 = True
        self._read_limit = MAX_PLAINTEXT

    # Inbound

    def install_read(self, epoch: Epoch, secret: TrafficSecret | TrafficKeys) -> None:
        """Open the peer's next record with keys from `secret`.

        RFC 9846 section 5.1: "Handshake messages MUST NOT span key changes."
        """
        if self.unparsed:
            raise ProtocolError(Fault.HANDSHAKE_ACROSS_KEY_CHANGE)
        read: Protection
        if isinstance(secret, TrafficSecret):
            key, iv = secret.key_and_iv()
            read = Protection13(secret.suite.aead(key), iv, self._read_limit)
        else:
            read = _protection(secret, self._read_limit)
        self.read_key = self.reader = read
        self.read_epoch = epoch
        self.read_exhausted_at = most = min(self._most_records, secret.suite.record_limit)
        read.until = most - 1  # The long way, for the last one, asks for new keys.
        if epoch is _HANDSHAKE_EPOCH and isinstance(read, Protection13):
            read.takes_plain_alert = True
        if self._early_data is not None or self._trace is not None:
            self._choose_reader()
            if self._trace is not None:
                self._trace.keys_installed("received", epoch.value, secret.suite.name)

    def end_flight(self) -> None:
        """It is this side's turn: the last record must not hold any of the peer's next flight.

        Where keys change, `install_read` sees to that. Raises `ProtocolError`.
        """
        if self.unparsed:
            fault = (
                Fault.UNEXPECTED_MESSAGE if is_whole(self.unparsed) else Fault.INTERLEAVED_RECORD
            )
            raise ProtocolError(fault, "a message before its turn")

    def limit_read(self, record_size_limit: int) -> None:
        """Refuse larger (inner) plaintexts, as the peer agreed (RFC 8449 section 4)."""
        self._read_limit = min(self._read_limit, record_size_limit)
        if self.read_key is not None:
            self.read_key.limit = self._read_limit

    def skip_early_data(self, budget: int) -> None:
        """Pass over up to `budget` bytes of early data that this side does not accept."""
        self._early_data = EarlyDataBudget(budget) if budget else None
        self._choose_reader()

    def establish(self) -> None:
        """Allow only protected records, as the handshake is complete."""
        self.is_established = True
        self.change_cipher_spec_allowed = False
        if self.writer is self.write_key:
            self.data_key = self.write_key
        if self._early_data is not None:
            self.skip_early_data(0)

    def forget_read_keys(self) -> None:
        """Nothing more will be opened."""
        self.read_key = None
        self.reader = PLAINTEXT

    def note_record_without_progress(self, what: str) -> None:
        """Count a record that moves nothing forward. Raises `ProtocolError` after too many."""
        self.records_without_progress += 1
        if self.records_without_progress > self._limits.max_records_without_progress:
            raise ProtocolError(Fault.TOO_MANY_RECORDS_WITHOUT_PROGRESS, what)

    @property
    def records_opened(self) -> int:
        """The number of records that the current read key has opened."""
        return self.read_key.sequence if self.read_key is not None else 0

    @property
    def read_key_exhausted(self) -> bool:
        """Whether the peer's key has protected as many records as it should (section 5.5)."""
        return self.read_key is not None and self.read_key.sequence >= self.read_exhausted_at

    def _choose_reader(self) -> None:
        """Choose the reader: the current key, in the wrappers that this connection needs."""
        key = self.read_key
        reader: RecordReader = key if key is not None else PLAINTEXT
        budget = self._early_data
        if budget is not None and budget.left and not isinstance(key, Protection12):
            reader = SkippingReader(key, budget)
        if self._trace is not None:
            reader = TracedReader(reader, self._trace, self.read_epoch, is_tls12=self.is_tls12)
        self.reader = reader

    # Outbound

    def send_change_cipher_spec(self) -> None:
        """Queue the record that means nothing in TLS 1.3 (RFC 8446 section D.4)."""
        if self.messages:
            self.flush()
        record = CHANGE_CIPHER_SPEC_RECORD
        self.out.append(record)
        if self._trace is not None:
            epoch, size = _PLAINTEXT_EPOCH.value, len(record)
            self._trace.record("sent", epoch, _CHANGE_CIPHER_SPEC, size, 1, 0, record)

    def send_alert(self, alert: bytes) -> None:
        """Queue an alert of two bytes. Raises `ProtocolError` where the key can seal no more."""
        self.flush()
        self._seal_fragments(_ALERT, alert)

    def send_application_data(self, data: Buffer) -> None:
        """Queue application data, in records as large as the peer takes."""
        self.flush()
        self._seal_fragments(_APPLICATION_DATA, data)

    def install_write(self, epoch: Epoch, secret: TrafficSecret | TrafficKeys) -> None:
        """Protect later records, but not queued ones, with keys from `secret`."""
        write: Protection
        if isinstance(secret, TrafficSecret):
            key, iv = secret.key_and_iv()
            write = Protection13(secret.suite.aead(key), iv, self.write_limit)
        else:
            write = _protection(secret, self.write_limit)
        if self.messages:
            self.flush()
        self.write_key = self.writer = write
        if self.data_key is not None:
            self.data_key = write
        self.write_epoch = epoch
        self._write_end = end = min(self._most_records, secret.suite.record_limit)
        write.until = end - RESERVED_RECORDS
        if self._padding and isinstance(write, Protection13):
            self.writer = PaddedWriter(write, self._padding)
        if self._trace is not None:
            self.writer = TracedWriter(self.writer, self._trace, epoch)
            self._trace.keys_installed("sent", epoch.value, secret.suite.name)

    def revert_to_plaintext(self) -> None:
        """Write plaintext again: early data were refused, and a second hello follows (4.2.10)."""
        self.flush()
        self.write_key = None
        self.write_epoch = _PLAINTEXT_EPOCH
        self.writer = PLAINTEXT_WRITER
        if self._trace is not None:
            self.writer = TracedWriter(self.writer, self._trace, _PLAINTEXT_EPOCH)

    def limit_write(self, record_size_limit: int) -> None:
        """Send no larger (inner) plaintexts, as the peer asked (RFC 8449 section 4)."""
        # In TLS 1.3 the limit counts the content type, which content sizes do not.
        content = record_size_limit if self.is_tls12 else record_size_limit - 1
        self.write_limit = min(MAX_PLAINTEXT, content)
        if self.write_key is not None:
            self.write_key.limit = self.write_limit

    def records_left(self) -> int:
        """Return how many records the current write key may still seal (RFC 9846 section 5.5).

        Those that the queued handshake messages will take are used up already.
        """
        write = self.write_key
        if write is None:
            return 0
        queued = -(-sum(map(len, self.messages)) // self.write_limit)
        return self._write_end - write.sequence - queued

    @property
    def room(self) -> int:
        """Bytes of content for which the current write key is still good.

        The last `RESERVED_RECORDS` are kept back, so it may be negative.
        """
        return (self.records_left() - RESERVED_RECORDS) * self.write_limit

    @property
    def room_of_a_key(self) -> int:
        """The value of `room` for a fresh key like the current one."""
        most = self._write_end if self.write_key is not None else 0
        return (most - RESERVED_RECORDS) * self.write_limit

    def take(self) -> Buffer:
        """Return everything that is queued, and empty the queue."""
        if self.messages:
            self.flush()
        out = self.out
        if len(out) == 1:
            return out.pop()
        self.out = []
        return b"".join(out)

    def flush(self) -> None:
        """Put the queued handshake messages into records. Raises `ProtocolError`."""
        queue, write = self.messages, self.write_key
        if not queue:
            return
        messages = b"".join(queue)
        queue.clear()
        fits = len(messages) <= self.write_limit
        if fits and (write is None or write.sequence < self._write_end):
            self.out.append(self.writer.seal(_HANDSHAKE, messages))
        else:
            self._seal_fragments(_HANDSHAKE, messages)

    # Inside

    def _seal_fragments(self, content_type: int, data: Buffer) -> None:
        write, size = self.write_key, MAX_PLAINTEXT
        if write is not None:
            size = self.write_limit
            if len(data) > (self._write_end - write.sequence) * size:
                # RFC 9846 5.5: no key protects more than its cipher bears.
                raise ProtocolError(Fault.KEY_EXHAUSTED)
        if len(data) <= size:
            self.out.append(self.writer.seal(content_type, bytes(data)))
            return
        view = memoryview(data)
        if write is None or self.writer is not write or len(data) <= size * _SEAL_ONE_BY_ONE:
            for start in range(0, len(data), size):
                fragment = bytes(view[start : start + size])
                self.out.append(self.writer.seal(content_type, fragment))
            return
        self.out.append(write.seal_many(content_type, view, size))


def _protection(keys: TrafficKeys, limit: int) -> Protection:
    suite = keys.suite
    made = Protection12(keys, suite) if isinstance(suite, CipherSuite12) else Protection13.of(keys)
    made.limit = limit
    return made
