"""The half of the loop that knows records: bytes of TCP in, and what is in them out.

`_walk` goes over the records in a buffer by offset, and opens each by the object that stands in the
record layer's `reader` at its turn: a message may change it, or a question may halt everything.
Handshake messages go to `HandshakeLoop`, which cuts them out and resumes the coroutine.
"""

from __future__ import annotations

from struct import Struct
from typing import Any

from handclasp.crypto.suites import Buffer
from handclasp.errors import ProtocolError
from handclasp.events import EarlyDataReceived, Event, HalfRttReady, QuestionAsked
from handclasp.faults import Fault
from handclasp.handshake.loop import HandshakeLoop
from handclasp.handshake.post import PostHandshake
from handclasp.iana import ContentType
from handclasp.info import ConnectionInfo
from handclasp.keys.epoch import Epoch
from handclasp.limits import Limits
from handclasp.questions import Question
from handclasp.record.dressed import SKIPPED
from handclasp.record.framing import SHOWN_OF_A_START, check_header, join_fragments, type_name
from handclasp.record.layer import RecordLayer
from handclasp.record.plaintext import PLAINTEXT
from handclasp.record.protection13 import Protection13
from handclasp.trace.hooks import Trace
from handclasp.wire.records import HEADER_SIZE, RECORD_STARTS

_read_header = Struct(">HxH").unpack_from
"""Content type with the major version, and the length."""

_HANDSHAKE = int(ContentType.HANDSHAKE)
_ALERT = int(ContentType.ALERT)
_APPLICATION_DATA = int(ContentType.APPLICATION_DATA)
_CHANGE_CIPHER_SPEC_START = int(ContentType.CHANGE_CIPHER_SPEC) << 8 | 3


class RecordLoop(HandshakeLoop):
    """Receives the records of one connection. A subclass says what alerts mean."""

    __slots__ = (
        "_data",
        "_data_key",
        "_early_size",
        "_events",
        "_max_early_data",
        "_needed",
        "_peer_closed",
        "_post",
        "_records",
        "_trace",
        "_unread",
    )

    def __init__(self, records: RecordLayer, limits: Limits, trace: Trace | None) -> None:
        super().__init__(records, limits)
        self._records = records
        self._trace = trace
        self._post: PostHandshake | None = None
        self._events: list[Event] = []
        self._data: list[Buffer] = []
        # The key, where data may take the short way.
        self._data_key: Protection13 | None = None
        self._peer_closed = False
        # Bytes of early data: what has gone in one direction or come in the other, and what a
        # server takes.
        self._early_size: int = 0
        self._max_early_data: int = 0
        # The beginning of a record that is not whole, or all that waits for an answer; and how
        # many bytes of it there must be before it is read again.
        self._unread = bytearray()
        self._needed = HEADER_SIZE

    def _asked(self, question: Question[Any]) -> None:
        self._events.append(QuestionAsked(question))

    def _may_send_half_rtt(self, info: ConnectionInfo) -> None:
        self._events.append(HalfRttReady(info))

    def _receive_alert(self, content: Buffer) -> None:
        """Take an alert. Raises `TLSError` where it ends the connection."""
        raise NotImplementedError

    def _walk(self, buffer: Buffer) -> None:
        """Open the whole records in `buffer` and take what is in them; keep what is left.

        A header that cannot be TLS is refused before its body has come. Where a question is asked,
        or the peer closes, what stands behind is left untouched. Raises `TLSError`.
        """
        records, at, end = self._records, 0, len(buffer)
        self._needed = HEADER_SIZE
        while end - at >= HEADER_SIZE and self._question is None and not self._peer_closed:
            start, size = _read_header(buffer, at)
            after, reader = at + HEADER_SIZE + size, records.reader
            if size > reader.longest or start not in RECORD_STARTS:
                self._check_header(buffer, at)
            records.nothing_came = False
            if after > end:
                self._needed = after - at
                break
            content_type, content = reader.open_record(buffer, at, after)
            at = after
            if content_type == _HANDSHAKE and content:
                records.records_without_progress = 0
                records.warning = None
                self._receive_handshake(content)
                if self._message_size and reader is PLAINTEXT:
                    fragments, at = join_fragments(buffer, at, self._missing)
                    self._receive_handshake(fragments)
            elif content_type == _APPLICATION_DATA and content and self._post is not None:
                self._receive_data(content)
            elif start == _CHANGE_CIPHER_SPEC_START:
                self._receive_change_cipher_spec_record(content)
            else:
                self._receive_other(content_type, content)
        if at < end:
            self._unread = bytearray(buffer[at:])

    def _receive_data(self, content: Buffer) -> None:
        if self._unparsed:
            raise ProtocolError(Fault.INTERLEAVED_RECORD, type_name(_APPLICATION_DATA))
        if self._handshake is not None:
            # RFC 8446 4.6.2: a client's messages of one answer come one after the other.
            detail = "application data where CertificateVerify or Finished belongs"
            raise ProtocolError(Fault.UNEXPECTED_MESSAGE, detail)
        # What came before data is no flood.
        self._records.records_without_progress = 0
        if self._post is not None:
            self._post.messages_without_data = 0
        self._data.append(content)

    def _choose_data_key(self) -> None:
        """Let a read that is nothing but data be opened by its key alone, where nothing waits.

        Nor may anything have been counted that data would set back to 0.
        """
        records, post = self._records, self._post
        self._data_key, key = None, records.read_key
        if self._trace is not None or not isinstance(key, Protection13):
            return
        if self._unread or self._unparsed or self._peer_closed or self._handshake is not None:
            return
        if post is None or post.messages_without_data or records.records_without_progress:
            return
        # Under a server's new key comes a ticket first, which is no data.
        if key.sequence or not post.is_client:
            self._data_key = key

    def _complete_record(self, data: Buffer) -> Buffer:
        """Bring what waits to its end with the first of `data`; gives what is left of it.

        Only what the record lacks is copied over, so that one byte at a time costs no more.
        """
        at, end = 0, len(data)
        while self._unread and at < end:
            if self._question is not None or self._peer_closed:
                self._unread += data[at:]
                return b""
            lacking = self._needed - len(self._unread)
            if self._records.nothing_came:
                lacking = max(lacking, SHOWN_OF_A_START)  # to be shown where it is no TLS
            self._unread += data[at : at + lacking]
            at = min(at + lacking, end)
            if len(self._unread) < self._needed:
                break
            whole, self._unread = bytes(self._unread), bytearray()
            self._walk(whole)
        return data[at:]

    def _keep_for_later(self, data: Buffer) -> None:
        """Keep what comes while a question is open, but not so much as to fill the memory."""
        if len(self._unread) > self._limits.max_handshake_bytes:
            raise ProtocolError(Fault.HANDSHAKE_TOO_LARGE, "while a question was open")
        self._unread += data

    def _check_header(self, buffer: Buffer, at: int) -> None:
        records = self._records
        check_header(
            buffer[at : at + SHOWN_OF_A_START],
            protected=records.read_key is not None,
            nothing_came=records.nothing_came,
            from_client=not records.is_client,
            trace=self._trace,
        )

    def _receive_other(self, content_type: int, content: Buffer) -> None:
        """Take what is neither data nor part of a message, or is empty. Raises `TLSError`."""
        records = self._records
        if self._unparsed and content_type != _HANDSHAKE:
            inner = _APPLICATION_DATA if content_type == SKIPPED else content_type
            raise ProtocolError(Fault.INTERLEAVED_RECORD, type_name(inner))
        if content_type == SKIPPED:
            return
        if not content:
            self._receive_empty(content_type)
        elif content_type == _ALERT:
            self._receive_alert(content)  # Warnings move nothing forward.
        elif content_type == _APPLICATION_DATA:
            records.records_without_progress = 0
            self._receive_early_data(bytes(content))
        else:
            raise ProtocolError(Fault.UNEXPECTED_RECORD_TYPE, f"type {content_type}, protected")

    def _receive_empty(self, content_type: int) -> None:
        # RFC 9846 5.1: zero-length fragments are for application data only.
        records = self._records
        if content_type != _APPLICATION_DATA:
            raise ProtocolError(Fault.EMPTY_RECORD, type_name(content_type))
        if not records.is_established and records.read_epoch is not Epoch.EARLY_DATA:
            raise ProtocolError(Fault.APPLICATION_DATA_TOO_EARLY, "empty")
        records.note_record_without_progress("empty application data")

    def _receive_change_cipher_spec_record(self, content: Buffer) -> None:
        """Take a step of TLS 1.2; in TLS 1.3 it means nothing, and is allowed at its time only."""
        records = self._records
        if records.is_tls12:
            if records.read_key is not None and not content:
                raise ProtocolError(Fault.EMPTY_RECORD, "change_cipher_spec")
        elif not records.change_cipher_spec_allowed:
            raise ProtocolError(Fault.UNEXPECTED_CHANGE_CIPHER_SPEC)
        if content != b"\x01":
            raise ProtocolError(Fault.UNEXPECTED_CHANGE_CIPHER_SPEC)
        if self._unparsed:
            raise ProtocolError(Fault.INTERLEAVED_RECORD, "change_cipher_spec")
        if records.is_tls12:
            records.records_without_progress = 0
            records.warning = None
            self._receive_change_cipher_spec()
            return
        records.change_cipher_spec_dropped = True
        records.note_record_without_progress("change_cipher_spec")

    def _receive_early_data(self, content: bytes) -> None:
        """Take data before the handshake is complete, as a server that agreed to them does."""
        if self._records.read_epoch is not Epoch.EARLY_DATA:
            raise ProtocolError(Fault.APPLICATION_DATA_TOO_EARLY)
        self._early_size += len(content)
        if self._early_size > self._max_early_data:
            raise ProtocolError(Fault.TOO_MUCH_EARLY_DATA, f"over {self._max_early_data} bytes")
        self._events.append(EarlyDataReceived(content))
