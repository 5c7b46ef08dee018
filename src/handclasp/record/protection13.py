"""Sealing and opening the records of one direction and one key (RFC 8446 section 5.2).

The nonce is the IV xored with the sequence number; both are kept as integers, because xoring byte
by byte costs more than the cipher does. A key is used for one counter only and never again: the
counter cannot wrap, since the layer above changes keys long before (section 5.5).
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag

from handclasp.crypto.suites import IV_SIZE, TAG_SIZE, Buffer
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.keys.traffic import TrafficKeys
from handclasp.wire.records import HEADER_SIZE

_OUTER_HEADER = b"\x17\x03\x03"
_OVERHEAD = TAG_SIZE + 1
_SEQUENCE_END = 2**64 - 1


class Protection13:
    """One key at work, in one direction."""

    __slots__ = ("_aead", "_iv", "sequence", "suite")

    def __init__(self, keys: TrafficKeys) -> None:
        self.suite = keys.suite
        self.sequence = 0
        self._aead = keys.suite.aead(keys.key)
        self._iv = int.from_bytes(keys.iv, "big")

    def seal(self, content_type: int, content: bytes, padding: int = 0) -> bytes:
        """One whole record of at most 2^14 bytes of content, with `padding` zeros (5.4)."""
        size = len(content) + padding + _OVERHEAD
        header = _OUTER_HEADER + size.to_bytes(2, "big")
        inner = b"%b%c%b" % (content, content_type, bytes(padding))
        return header + self._aead.encrypt(self._nonce(), inner, header)

    def open(self, header: bytes, ciphertext: Buffer) -> bytes:
        """TLSInnerPlaintext of one record: content, content type and padding.

        Raises `ProtocolError` (bad_record_mac); every cause looks the same.
        """
        if len(ciphertext) < _OVERHEAD:
            # RFC 8446 5.2: no valid record is shorter than its tag and its content type.
            raise ProtocolError(Fault.BAD_RECORD_MAC, f"{len(ciphertext)} bytes")
        try:
            return self._aead.decrypt(self._nonce(), ciphertext, header)
        except InvalidTag:
            raise ProtocolError(Fault.BAD_RECORD_MAC) from None

    def open_record(self, header: bytes, ciphertext: Buffer, limit: int) -> tuple[int, bytes]:
        """Content type and content of one record, of at most `limit` bytes of inner plaintext.

        Raises `ProtocolError` as `open` and `split_inner_plaintext` do.
        """
        return split_inner_plaintext(self.open(header, ciphertext), limit)

    def seal_many(self, content_type: int, content: memoryview, fragment_size: int) -> bytearray:
        """`content` as records of `fragment_size` bytes each, written in place into one buffer."""
        total = len(content)
        count = -(-total // fragment_size)
        out = bytearray(total + count * (HEADER_SIZE + _OVERHEAD))
        view = memoryview(out)
        suffix = bytes([content_type])
        at = 0
        for start in range(0, total, fragment_size):
            inner = bytes(content[start : start + fragment_size]) + suffix
            header = _OUTER_HEADER + (len(inner) + TAG_SIZE).to_bytes(2, "big")
            body = at + HEADER_SIZE
            after = body + len(inner) + TAG_SIZE
            view[at:body] = header
            self._aead.encrypt_into(self._nonce(), inner, header, view[body:after])
            at = after
        return out

    def _nonce(self) -> bytes:
        sequence = self.sequence
        if sequence >= _SEQUENCE_END:
            raise ProtocolError(Fault.KEY_EXHAUSTED)
        self.sequence = sequence + 1
        return (self._iv ^ sequence).to_bytes(IV_SIZE, "big")


def split_inner_plaintext(inner: bytes, limit: int) -> tuple[int, bytes]:
    """The content type and the content of a TLSInnerPlaintext.

    Raises `ProtocolError`: record_overflow over `limit` bytes in all, unexpected_message where
    there is nothing but padding (RFC 8446 section 5.4).
    """
    if len(inner) > limit:
        raise ProtocolError(Fault.RECORD_OVERFLOW, f"{len(inner)} bytes of inner plaintext")
    if not inner[-1]:
        inner = inner.rstrip(b"\0")
        if not inner:
            raise ProtocolError(Fault.NO_INNER_CONTENT_TYPE)
    return inner[-1], inner[:-1]
