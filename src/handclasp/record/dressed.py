"""Protections for what is not always so: padding, early data that are refused, a trace.

Each has the two methods of a plain protection, does one thing more, and leaves the rest to the one
that it holds. What a connection has no use for is not there, and costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from handclasp.crypto.suites import Buffer
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.iana import ContentType
from handclasp.keys.epoch import Epoch
from handclasp.record.plaintext import PLAINTEXT
from handclasp.record.protection13 import Protection13, split_inner_plaintext
from handclasp.trace.hooks import Trace
from handclasp.wire.records import HEADER_SIZE, MAX_CIPHERTEXT

_APPLICATION_DATA = int(ContentType.APPLICATION_DATA)

SKIPPED: Final = -1
"""The content type of a record that was skipped."""


class RecordReader(Protocol):
    """Opens the peer's records.

    Attributes:
        longest: the most bytes of a record's body that need no second look.
    """

    @property
    def longest(self) -> int: ...

    def open_record(self, buffer: Buffer, at: int, after: int) -> tuple[int, Buffer]:
        """Content type and content of the record that `buffer` has from `at` to `after`.

        What is longer than a few kilobytes may be a memoryview. Raises `ProtocolError`.
        """
        ...


class RecordWriter(Protocol):
    """Makes this side's records."""

    def seal(self, content_type: int, content: bytes) -> bytes:
        """One whole record, of no more content than the peer takes. Raises `ProtocolError`."""
        ...


class PaddedWriter:
    """Pads what it protects (RFC 9846 section 5.4), by a multiple or by a policy.

    Args:
        protection: has the most bytes of content and padding that the peer takes, as `limit`.
        policy: pads each record up to a multiple of so many bytes, or is asked for each content.
    """

    __slots__ = ("_policy", "_protection")

    def __init__(self, protection: Protection13, policy: int | Callable[[int], int]) -> None:
        self._protection = protection
        self._policy = policy

    def seal(self, content_type: int, content: bytes) -> bytes:
        """One whole record. After a policy has failed, there is no padding any more."""
        return self._protection.seal(content_type, content, self._padding_for(len(content)))

    def _padding_for(self, size: int) -> int:
        policy = self._policy
        if isinstance(policy, int):
            wanted = -size % policy if policy else 0
        else:
            try:
                wanted = int(policy(size))
            except Exception as error:
                self._policy = 0  # the alert goes out without it
                raise ProtocolError(Fault.CALLBACK_FAILED, "record_padding") from error
        return max(0, min(wanted, self._protection.limit - size))


class EarlyDataBudget:
    """The amount of refused early data that may still be skipped (RFC 8446 section 4.2.10).

    Up to `budget` bytes of records that cannot be opened, but no more than 2^20 records: each is a
    guess at the tag under the handshake key, and AES-CCM bears 2^23.5 of them (RFC 9147 section
    4.5.3).
    """

    __slots__ = ("_charge", "left")

    def __init__(self, budget: int) -> None:
        self.left = budget
        self._charge = max(HEADER_SIZE, budget >> 20)

    def spend(self, size: int) -> None:
        """Pass over one record. Raises `ProtocolError` where nothing is left."""
        # An empty record costs work, too.
        self.left -= max(size, self._charge)
        if self.left <= 0:
            raise ProtocolError(Fault.BAD_RECORD_MAC, "more early data than is skipped")


class SkippingReader:
    """Skips early data that this side does not accept, until a record opens."""

    longest = MAX_CIPHERTEXT

    __slots__ = ("_budget", "_protection")

    def __init__(self, protection: Protection13 | None, budget: EarlyDataBudget) -> None:
        self._protection = protection
        self._budget = budget

    def open_record(self, buffer: Buffer, at: int, after: int) -> tuple[int, Buffer]:
        """Open a record; return `SKIPPED` for one under a key of early data."""
        protection, size = self._protection, after - at - HEADER_SIZE
        if protection is None:
            if buffer[at] != _APPLICATION_DATA:
                return PLAINTEXT.open_record(buffer, at, after)
            self._budget.spend(size)
            return SKIPPED, b""
        if buffer[at] != _APPLICATION_DATA or not self._budget.left:
            return protection.open_record(buffer, at, after)
        sequence, body = protection.sequence, at + HEADER_SIZE
        try:
            inner = protection.open(buffer[at:body], buffer[body:after])
        except ProtocolError:
            # Early data was under another key: the sequence number has not moved for the peer.
            protection.sequence = sequence
            self._budget.spend(size)
            return SKIPPED, b""
        self._budget.left = 0
        return split_inner_plaintext(inner, protection.limit)


class TracedReader:
    """Tells a trace of each record that comes: also of those that do not open."""

    __slots__ = ("_epoch", "_every_type", "_reader", "_trace", "longest")

    def __init__(self, reader: RecordReader, trace: Trace, epoch: Epoch, *, is_tls12: bool) -> None:
        self._reader = reader
        self._trace = trace
        self._epoch = epoch
        self._every_type = is_tls12
        self.longest = reader.longest

    def open_record(self, buffer: Buffer, at: int, after: int) -> tuple[int, Buffer]:
        """Open a record with the inner reader."""
        protected = buffer[at] == _APPLICATION_DATA or self._every_type
        epoch = self._epoch if protected else Epoch.PLAINTEXT
        return _open_traced(self._trace, self._reader, epoch, buffer, at, after)


def _open_traced(
    trace: Trace, reader: RecordReader, epoch: Epoch, buffer: Buffer, at: int, after: int
) -> tuple[int, Buffer]:
    """Open a record, and report it with what it cost, also where it does not open."""
    protected = epoch is not Epoch.PLAINTEXT
    opened: tuple[int, Buffer] = (SKIPPED, b"")
    began = trace.now()
    try:
        opened = reader.open_record(buffer, at, after)
        return opened
    finally:
        took = trace.now() - began if protected else 0
        wire = bytes(buffer[at:after])
        kind, content = opened
        if kind == SKIPPED:
            size = None if protected else len(wire) - HEADER_SIZE
            trace.record("received", epoch.value, buffer[at], len(wire), size, took, wire)
        else:
            size, shown = len(content), shown_to(trace, kind, content)
            trace.record("received", epoch.value, kind, len(wire), size, took, wire, shown)


class TracedWriter:
    """Tells a trace of each record that is sent."""

    __slots__ = ("_epoch", "_trace", "_writer")

    def __init__(self, writer: RecordWriter, trace: Trace, epoch: Epoch) -> None:
        self._writer = writer
        self._trace = trace
        self._epoch = epoch

    def seal(self, content_type: int, content: bytes) -> bytes:
        """Seal a record with the inner writer."""
        return _seal_traced(self._trace, self._writer, self._epoch, content_type, content)


def _seal_traced(
    trace: Trace, writer: RecordWriter, epoch: Epoch, content_type: int, content: bytes
) -> bytes:
    """Seal a record, and report it with what it cost."""
    began = trace.now()
    record = writer.seal(content_type, content)
    took = trace.now() - began if epoch is not Epoch.PLAINTEXT else 0
    shown, size = shown_to(trace, content_type, content), len(record)
    trace.record("sent", epoch.value, content_type, size, len(content), took, record, shown)
    return record


def shown_to(trace: Trace, content_type: int, content: Buffer) -> bytes:
    """Return the part of a record's content for the trace: no application data."""
    if content_type == _APPLICATION_DATA and not trace.record_secrets:
        return b""
    return bytes(content)
