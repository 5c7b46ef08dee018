"""Sealing and opening the records of one direction and one key (RFC 9846 section 5.2).

The nonce is the IV xored with the sequence number; both are kept as integers, because xoring byte
by byte costs more than the cipher does. A key is used for one counter only and never again: the
counter cannot wrap, since the layer above changes keys long before (section 5.5).
"""

from __future__ import annotations

from struct import Struct
from typing import Self

from cryptography.exceptions import InvalidTag

from handclasp.crypto.suites import IV_SIZE, TAG_SIZE, Buffer, CipherSuite
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.iana import ContentType
from handclasp.keys.traffic import TrafficKeys
from handclasp.record.framing import type_name
from handclasp.wire.records import HEADER_SIZE, MAX_CIPHERTEXT, MAX_PLAINTEXT

_APPLICATION_DATA = int(ContentType.APPLICATION_DATA)
_ALERT = int(ContentType.ALERT)
_CHANGE_CIPHER_SPEC = int(ContentType.CHANGE_CIPHER_SPEC)
_CONTENT_TYPES = [bytes([kind]) for kind in range(256)]
_OUTER_HEADER = b"\x17\x03\x03"
_read_header = Struct(">HxH").unpack_from
"""Content type with the major version, and the length."""

_DATA_START = _APPLICATION_DATA << 8 | 3
_from_bytes = int.from_bytes
_OVERHEAD = TAG_SIZE + 1
_SEQUENCE_END = 2**64 - 1

_SHORT = 2**13
"""Up to so many bytes, copies are faster to make and to use than views."""

MAX_INNER_PLAINTEXT = MAX_PLAINTEXT + 1
"""Bytes of content, content type and padding in one record (RFC 9846 section 5.4)."""


class Protection13:
    """One key at work, in one direction; no record has less than `shortest` bytes (5.2).

    Attributes:
        sequence: how many records it has sealed or opened.
        limit: the most bytes of inner plaintext that it opens, or of content that it seals.
        takes_plain_alert: whether the peer's first record may be an alert in the clear.
    """

    shortest = _OVERHEAD
    longest = MAX_CIPHERTEXT

    __slots__ = ("_aead", "_iv", "limit", "sequence", "suite", "takes_plain_alert")

    def __init__(
        self, suite: CipherSuite, key: bytes, iv: bytes, limit: int = MAX_INNER_PLAINTEXT
    ) -> None:
        self.suite = suite
        self.sequence = 0
        self.limit = limit
        self.takes_plain_alert = False
        self._aead = suite.aead(key)
        self._iv = _from_bytes(iv, "big")

    @classmethod
    def of(cls, keys: TrafficKeys) -> Self:
        """Return the protection by these keys."""
        return cls(keys.suite, keys.key, keys.iv)

    def seal(self, content_type: int, content: bytes, padding: int = 0) -> bytes:
        """One whole record of at most 2^14 bytes of content, with `padding` zeros (5.4)."""
        sequence = self.sequence
        if sequence >= _SEQUENCE_END:
            raise ProtocolError(Fault.KEY_EXHAUSTED)
        self.sequence = sequence + 1
        header = _OUTER_HEADER + (len(content) + padding + _OVERHEAD).to_bytes(2, "big")
        inner = content + _CONTENT_TYPES[content_type]
        if padding:
            inner += bytes(padding)
        nonce = (self._iv ^ sequence).to_bytes(IV_SIZE, "big")
        return header + self._aead.encrypt(nonce, inner, header)

    def open(self, header: Buffer, ciphertext: Buffer) -> bytes:
        """TLSInnerPlaintext of one record: content, content type and padding.

        Raises `ProtocolError` (bad_record_mac); every cause looks the same.
        """
        if len(ciphertext) < self.shortest:
            # RFC 9846 5.2: no valid record is shorter than its tag and its content type.
            raise ProtocolError(Fault.BAD_RECORD_MAC, f"{len(ciphertext)} bytes")
        sequence = self.sequence
        if sequence >= _SEQUENCE_END:
            raise ProtocolError(Fault.KEY_EXHAUSTED)
        self.sequence = sequence + 1
        nonce = (self._iv ^ sequence).to_bytes(IV_SIZE, "big")
        try:
            return self._aead.decrypt(nonce, ciphertext, header)
        except InvalidTag:
            raise ProtocolError(Fault.BAD_RECORD_MAC) from None

    def open_record(self, buffer: Buffer, at: int, after: int) -> tuple[int, bytes]:
        """Content type and content of the record that `buffer` has from `at` to `after`.

        Raises `ProtocolError` as `open` and `split_inner_plaintext` do.
        """
        body, sequence = at + HEADER_SIZE, self.sequence
        if buffer[at] != _APPLICATION_DATA:
            if buffer[at] != _CHANGE_CIPHER_SPEC:
                self._check_unprotected(buffer[at])
            return buffer[at], bytes(buffer[body:after])
        if after - body < self.shortest or sequence >= _SEQUENCE_END:
            self.open(buffer[at:body], buffer[body:after])  # It says what is wrong.
        self.sequence = sequence + 1
        nonce = (self._iv ^ sequence).to_bytes(IV_SIZE, "big")
        try:
            inner = self._aead.decrypt(nonce, buffer[body:after], buffer[at:body])
        except InvalidTag:
            raise ProtocolError(Fault.BAD_RECORD_MAC) from None
        if not inner[-1] or len(inner) > self.limit:
            return split_inner_plaintext(inner, self.limit)
        return inner[-1], inner[:-1]

    def open_one(self, record: Buffer) -> bytes | None:
        """Return the content of `record`, if it is one whole record of application data.

        Most small reads are just that, and `open_data` takes a tenth longer for one. None where
        `record` has another form, and b"" where it turns out to hold anything else: the first is
        for `open_data` and the second for `open_record`, and nothing has been counted.

        Raises:
            ProtocolError: bad_record_mac.
        """
        size, sequence = len(record) - HEADER_SIZE, self.sequence
        if size <= _OVERHEAD or _read_header(record) != (_DATA_START, size):
            return None
        if size > self.limit + TAG_SIZE or sequence >= _SEQUENCE_END:
            return None
        header = record[:HEADER_SIZE]
        body = record[HEADER_SIZE:] if size <= _SHORT else memoryview(record)[HEADER_SIZE:]
        nonce = (self._iv ^ sequence).to_bytes(IV_SIZE, "big")
        try:
            inner = self._aead.decrypt(nonce, body, header)
        except InvalidTag:
            raise ProtocolError(Fault.BAD_RECORD_MAC) from None
        if inner[-1] != _APPLICATION_DATA:
            inner = inner.rstrip(b"\0")  # padding
            if len(inner) < 2 or inner[-1] != _APPLICATION_DATA:
                return b""
        self.sequence = sequence + 1
        return inner[:-1]

    def open_data(self, buffer: Buffer, into: list[Buffer]) -> int:
        """Open the records of application data at the front of `buffer`, as long as they are whole.

        Appends their contents to `into`, and gives how many bytes were used. What else may come is
        for `open_record`: a record that is not whole, empty, longer than `limit` allows or of
        another type is left where it is.

        This is `open_record` once more, without any call but the cipher's: with that one alone, a
        read of 256 KB took 1.1 times as long.

        Raises:
            ProtocolError: bad_record_mac.
        """
        at, end, longest = 0, len(buffer), self.limit + TAG_SIZE
        view = memoryview(buffer) if end > _SHORT else buffer
        while end - at > HEADER_SIZE:
            start, size = _read_header(buffer, at)
            body = at + HEADER_SIZE
            after = body + size
            if start != _DATA_START or after > end or not _OVERHEAD < size <= longest:
                break
            sequence = self.sequence
            if sequence >= _SEQUENCE_END:
                break
            nonce = (self._iv ^ sequence).to_bytes(IV_SIZE, "big")
            try:
                inner = self._aead.decrypt(nonce, view[body:after], buffer[at:body])
            except InvalidTag:
                raise ProtocolError(Fault.BAD_RECORD_MAC) from None
            if inner[-1] != _APPLICATION_DATA:
                inner = inner.rstrip(b"\0")  # padding
                if len(inner) < 2 or inner[-1] != _APPLICATION_DATA:
                    break
            self.sequence = sequence + 1
            if size > _SHORT and after - at < end:
                # What is long is not copied before it is joined with others.
                into.append(memoryview(inner)[:-1])
            else:
                into.append(inner[:-1])
            at = after
        return at

    def _check_unprotected(self, content_type: int) -> None:
        """Refuse what a peer may not send in the clear, besides change_cipher_spec."""
        # A peer that could not use the first flight has no keys and says so in plaintext.
        may_be_alert = self.takes_plain_alert and self.sequence == 0
        if content_type != _ALERT or not may_be_alert:
            raise ProtocolError(Fault.UNPROTECTED_RECORD, type_name(content_type))

    def seal_many(self, content_type: int, content: memoryview, fragment_size: int) -> bytearray:
        """`content` as records of `fragment_size` bytes each, written in place into one buffer."""
        total = len(content)
        count = -(-total // fragment_size)
        sequence, iv, aead = self.sequence, self._iv, self._aead
        if sequence > _SEQUENCE_END - count:
            raise ProtocolError(Fault.KEY_EXHAUSTED)
        self.sequence = sequence + count
        sealed = bytearray(total + count * (HEADER_SIZE + _OVERHEAD))
        out = memoryview(sealed)
        # One header and one buffer for what is sealed, as all but the last record are of one size.
        size, at = 0, 0
        header, inner = b"", memoryview(bytearray(fragment_size + 1))
        for start in range(0, total, fragment_size):
            piece = content[start : start + fragment_size]
            if len(piece) != size:
                size = len(piece)
                header = _OUTER_HEADER + (size + _OVERHEAD).to_bytes(2, "big")
                inner = inner[: size + 1]
                inner[size] = content_type
            inner[:size] = piece
            body = at + HEADER_SIZE
            after = body + size + _OVERHEAD
            out[at:body] = header
            nonce = (iv ^ sequence).to_bytes(IV_SIZE, "big")
            aead.encrypt_into(nonce, inner, header, out[body:after])
            sequence += 1
            at = after
        return sealed


def split_inner_plaintext(inner: bytes, limit: int) -> tuple[int, bytes]:
    """Return the content type and the content of a TLSInnerPlaintext.

    Raises `ProtocolError`: record_overflow over `limit` bytes in all, unexpected_message where
    there is nothing but padding (RFC 9846 section 5.4).
    """
    if len(inner) > limit:
        raise ProtocolError(Fault.RECORD_OVERFLOW, f"{len(inner)} bytes of inner plaintext")
    if not inner[-1]:
        inner = inner.rstrip(b"\0")
        if not inner:
            raise ProtocolError(Fault.NO_INNER_CONTENT_TYPE)
    return inner[-1], inner[:-1]
