"""One key at work in one direction of TLS 1.3: its nonces, and data by the most direct way.

`RecordKey` comes in two forms, which do the same: `PureRecordKey`, which is the reference, and that
of `_speedups.c`, where it was built (`handclasp.speedups`). Either calls the AEADs of
`cryptography`, once for each record.

The nonce is the IV xored with the sequence number. Both are kept as integers here, because xoring
byte by byte costs more than the cipher does.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, NoReturn

from cryptography.exceptions import InvalidTag

from handclasp.crypto.suites import IV_SIZE, TAG_SIZE, Aead, Buffer
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.iana import ContentType
from handclasp.speedups import ACCELERATED
from handclasp.wire.records import HEADER_SIZE

OUTER_HEADER = b"\x17\x03\x03"
"""The beginning of every protected record, before its length (RFC 9846 section 5.2)."""

OVERHEAD = TAG_SIZE + 1
"""The bytes that a record has at least beside its content: tag and content type."""

SEQUENCE_END = 2**64 - 1
"""The number that no record has: a counter never wraps (RFC 9846 section 5.3)."""

SHORT = 2**13
"""The most bytes of which copies are faster to make and to use than views."""

_APPLICATION_DATA = int(ContentType.APPLICATION_DATA)
EMPTY_RECORD = int.from_bytes(OUTER_HEADER + bytes(2), "big")
"""The header of a record without a body, as a number: with a size added, it is that of another."""

_DATA_START = _APPLICATION_DATA << 8 | 3
_read_header = Struct(">HxH").unpack_from
"""Content type with the major version, and the length."""

_from_bytes = int.from_bytes


def exhausted() -> NoReturn:
    """Refuse to seal, as there is no number left for a nonce. `_speedups` calls it by its name."""
    raise ProtocolError(Fault.KEY_EXHAUSTED)


class PureRecordKey:
    """One key at work, in one direction, and what takes or gives data by the most direct way.

    Anything else is the matter of `Protection13`, and of the connection where it has one record
    alone: in Python, each call on its way would take a twentieth of the time.

    Attributes:
        aead: the cipher, an object of `cryptography`.
        iv: what the numbers of the records are xored with.
        sequence: how many records it has sealed or opened.
        until: where `sequence` is that much, data take the long way, on which keys are changed.
        limit: the most bytes of inner plaintext that it opens, or of content that it seals.
        takes_plain_alert: whether the peer's first record may be an alert in the clear.
    """

    __slots__ = ("aead", "iv", "limit", "sequence", "takes_plain_alert", "until")

    def __init__(self, aead: Aead, iv: bytes, limit: int) -> None:
        self.sequence = 0
        self.until = SEQUENCE_END
        self.limit = limit
        self.takes_plain_alert = False
        self.aead = aead
        self.iv = _from_bytes(iv, "big")

    def seal_many(self, content_type: int, content: Buffer, fragment_size: int) -> Buffer:
        """`content` as records of `fragment_size` bytes each, written in place into one buffer."""
        content = memoryview(content)
        total = len(content)
        count = -(-total // fragment_size)
        sequence, iv, aead = self.sequence, self.iv, self.aead
        if sequence > SEQUENCE_END - count:
            exhausted()
        self.sequence = sequence + count
        sealed = bytearray(total + count * (HEADER_SIZE + OVERHEAD))
        out = memoryview(sealed)
        # One header and one buffer for what is sealed, as all but the last record are of one size.
        size, at = 0, 0
        header, inner = b"", memoryview(bytearray(fragment_size + 1))
        for start in range(0, total, fragment_size):
            piece = content[start : start + fragment_size]
            if len(piece) != size:
                size = len(piece)
                header = OUTER_HEADER + (size + OVERHEAD).to_bytes(2, "big")
                inner = inner[: size + 1]
                inner[size] = content_type
            inner[:size] = piece
            body = at + HEADER_SIZE
            after = body + size + OVERHEAD
            out[at:body] = header
            nonce = (iv ^ sequence).to_bytes(IV_SIZE, "big")
            aead.encrypt_into(nonce, inner, header, out[body:after])
            sequence += 1
            at = after
        return sealed

    def open_one(self, data: Buffer) -> bytes | None:
        """Open one whole record of application data; None if `data` is anything else.

        Where it returns None nothing has changed, as in `open_data`.
        """
        if type(data) is not bytes:
            data = memoryview(data).cast("B")
            if len(data) <= SHORT:
                data = bytes(data)
        size, sequence = len(data) - HEADER_SIZE, self.sequence
        header = data[:HEADER_SIZE]
        if (
            header != (EMPTY_RECORD + size).to_bytes(HEADER_SIZE, "big")
            or not OVERHEAD < size <= self.limit + TAG_SIZE
            or sequence >= self.until
        ):
            return None
        body = data[HEADER_SIZE:] if size <= SHORT else memoryview(data)[HEADER_SIZE:]
        nonce = (self.iv ^ sequence).to_bytes(IV_SIZE, "big")
        try:
            inner = self.aead.decrypt(nonce, body, header)
        except InvalidTag:
            return None
        if inner[-1] != _APPLICATION_DATA:
            inner = inner.rstrip(b"\0")  # padding
            if len(inner) < 2 or inner[-1] != _APPLICATION_DATA:
                return None
        self.sequence = sequence + 1
        return inner[:-1]

    def open_data(self, buffer: Buffer) -> tuple[bytes, int]:
        """Open the records of application data at the front of `buffer`, as long as they are whole.

        Returns their contents as one, and how many bytes were used. Anything else is left where it
        is and counts for nothing: a record that is not whole, empty, longer than `limit` allows, of
        another type, or that does not open. `Protection13.open_record` takes it, or says what is
        wrong.

        This is `open_record` once more, without any call but the cipher's: with that one alone, a
        read of 256 KB took 1.1 times as long.
        """
        contents: list[Buffer] = []
        at, end, longest = 0, len(buffer), self.limit + TAG_SIZE
        view = memoryview(buffer) if end > SHORT else buffer
        sequence, until, iv, decrypt = self.sequence, self.until, self.iv, self.aead.decrypt
        # Many records one after the other are of one size: only what differs is read.
        header: Buffer = b""
        size = 0
        while end - at > HEADER_SIZE and sequence < until:
            body = at + HEADER_SIZE
            if buffer[at:body] != header:
                header = buffer[at:body]
                start, size = _read_header(header)
                if start != _DATA_START or not OVERHEAD < size <= longest:
                    break
            after = body + size
            if after > end:
                break
            nonce = (iv ^ sequence).to_bytes(IV_SIZE, "big")
            try:
                inner = decrypt(nonce, view[body:after], header)
            except InvalidTag:
                break
            if inner[-1] != _APPLICATION_DATA:
                inner = inner.rstrip(b"\0")  # padding
                if len(inner) < 2 or inner[-1] != _APPLICATION_DATA:
                    break
            self.sequence = sequence = sequence + 1
            if size > SHORT and after - at < end:
                # What is long is not copied before it is joined with others.
                contents.append(memoryview(inner)[:-1])
            else:
                contents.append(inner[:-1])
            at = after
        return b"".join(contents), at


if TYPE_CHECKING or ACCELERATED:
    from handclasp._speedups import RecordKey as RecordKey
else:
    RecordKey = PureRecordKey
