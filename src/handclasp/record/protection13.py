"""Sealing and opening the records of one direction and one key (RFC 9846 section 5.2).

`record_key` has the key itself: it seals, and opens data by the most direct way. Here is what opens
any record, and says what is wrong with it. A key is used for one counter only and never again: the
counter cannot wrap, since the layer above changes keys long before (section 5.5).
"""

from __future__ import annotations

from typing import Self

from cryptography.exceptions import InvalidTag

from handclasp.crypto.suites import IV_SIZE, Buffer
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.iana import ContentType
from handclasp.keys.traffic import TrafficKeys
from handclasp.record.framing import type_name
from handclasp.record.record_key import OUTER_HEADER, OVERHEAD, SEQUENCE_END, RecordKey
from handclasp.wire.records import HEADER_SIZE, MAX_CIPHERTEXT, MAX_PLAINTEXT

_APPLICATION_DATA = int(ContentType.APPLICATION_DATA)
_ALERT = int(ContentType.ALERT)
_CHANGE_CIPHER_SPEC = int(ContentType.CHANGE_CIPHER_SPEC)
_CONTENT_TYPES = [bytes([kind]) for kind in range(256)]

MAX_INNER_PLAINTEXT = MAX_PLAINTEXT + 1
"""Bytes of content, content type and padding in one record (RFC 9846 section 5.4)."""


class Protection13(RecordKey):
    """One key at work, in one direction; no record has less than `shortest` bytes (5.2)."""

    shortest = OVERHEAD
    longest = MAX_CIPHERTEXT

    __slots__ = ()

    @classmethod
    def of(cls, keys: TrafficKeys) -> Self:
        """Return the protection by these keys."""
        return cls(keys.suite.aead(keys.key), keys.iv, MAX_INNER_PLAINTEXT)

    def seal(self, content_type: int, content: bytes, padding: int = 0) -> bytes:
        """One whole record of at most 2^14 bytes of content, with `padding` zeros (5.4)."""
        sequence = self.sequence
        if sequence >= SEQUENCE_END:
            raise ProtocolError(Fault.KEY_EXHAUSTED)
        self.sequence = sequence + 1
        header = OUTER_HEADER + (len(content) + padding + OVERHEAD).to_bytes(2, "big")
        inner = content + _CONTENT_TYPES[content_type]
        if padding:
            inner += bytes(padding)
        nonce = (self.iv ^ sequence).to_bytes(IV_SIZE, "big")
        return header + self.aead.encrypt(nonce, inner, header)

    def open(self, header: Buffer, ciphertext: Buffer) -> bytes:
        """TLSInnerPlaintext of one record: content, content type and padding.

        Raises `ProtocolError` (bad_record_mac); every cause looks the same.
        """
        if len(ciphertext) < self.shortest:
            # RFC 9846 5.2: no valid record is shorter than its tag and its content type.
            raise ProtocolError(Fault.BAD_RECORD_MAC, f"{len(ciphertext)} bytes")
        sequence = self.sequence
        if sequence >= SEQUENCE_END:
            raise ProtocolError(Fault.KEY_EXHAUSTED)
        self.sequence = sequence + 1
        nonce = (self.iv ^ sequence).to_bytes(IV_SIZE, "big")
        try:
            return self.aead.decrypt(nonce, ciphertext, header)
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
        if after - body < self.shortest or sequence >= SEQUENCE_END:
            self.open(buffer[at:body], buffer[body:after])  # It says what is wrong.
        nonce = (self.iv ^ sequence).to_bytes(IV_SIZE, "big")
        try:
            inner = self.aead.decrypt(nonce, buffer[body:after], buffer[at:body])
        except InvalidTag:
            raise ProtocolError(Fault.BAD_RECORD_MAC) from None
        self.sequence = sequence + 1
        if not inner[-1] or len(inner) > self.limit:
            return split_inner_plaintext(inner, self.limit)
        return inner[-1], inner[:-1]

    def _check_unprotected(self, content_type: int) -> None:
        """Refuse what a peer may not send in the clear, besides change_cipher_spec."""
        # A peer that could not use the first flight has no keys and says so in plaintext.
        may_be_alert = self.takes_plain_alert and self.sequence == 0
        if content_type != _ALERT or not may_be_alert:
            raise ProtocolError(Fault.UNPROTECTED_RECORD, type_name(content_type))


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
