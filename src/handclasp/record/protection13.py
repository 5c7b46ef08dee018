"""Sealing and opening the records of one direction and one key (RFC 8446 section 5.2).

The nonce is the IV xored with the sequence number; both are kept as integers, because xoring byte
by byte costs more than the cipher does. A key is used for one counter only and never again: the
counter cannot wrap, since the layer above changes keys long before (section 5.5).
"""

from __future__ import annotations

from struct import Struct

from cryptography.exceptions import InvalidTag

from handclasp.crypto.suites import IV_SIZE, TAG_SIZE, Buffer
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.keys.traffic import TrafficKeys
from handclasp.wire.iana import ContentType
from handclasp.wire.records import HEADER_SIZE

_APPLICATION_DATA = int(ContentType.APPLICATION_DATA)
_CONTENT_TYPES = [bytes([kind]) for kind in range(256)]
_OUTER_HEADER = b"\x17\x03\x03"
_read_header = Struct(">HxH").unpack
"""Content type with the major version, and the length."""

_DATA_START = _APPLICATION_DATA << 8 | 3
_SHORT = 2**13
_OVERHEAD = TAG_SIZE + 1
_SEQUENCE_END = 2**64 - 1


class Protection13:
    """One key at work, in one direction; no record has less than `shortest` bytes (5.2)."""

    shortest = _OVERHEAD

    __slots__ = ("_aead", "_iv", "sequence", "suite")

    def __init__(self, keys: TrafficKeys) -> None:
        self.suite = keys.suite
        self.sequence = 0
        self._aead = keys.suite.aead(keys.key)
        self._iv = int.from_bytes(keys.iv, "big")

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
            # RFC 8446 5.2: no valid record is shorter than its tag and its content type.
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

    def open_record(self, header: bytes, ciphertext: Buffer, limit: int) -> tuple[int, bytes]:
        """Content type and content of one record, of at most `limit` bytes of inner plaintext.

        Raises `ProtocolError` as `open` and `split_inner_plaintext` do.
        """
        return split_inner_plaintext(self.open(header, ciphertext), limit)

    def open_one(self, data: bytes, limit: int) -> bytes | None:
        """The content of `data`, if it is one whole record of application data, and not empty.

        None where it is anything else, which is then for `open_data` to open: nothing has been
        counted. Raises `ProtocolError` (bad_record_mac).
        """
        size = len(data) - HEADER_SIZE
        sequence = self.sequence
        if not _OVERHEAD < size <= limit + TAG_SIZE or sequence >= _SEQUENCE_END:
            return None
        header = data[:HEADER_SIZE]
        start, announced = _read_header(header)
        if announced != size or start != _DATA_START:
            return None
        # Little is faster to copy than to view.
        body = data[HEADER_SIZE:] if size <= _SHORT else memoryview(data)[HEADER_SIZE:]
        nonce = (self._iv ^ sequence).to_bytes(IV_SIZE, "big")
        try:
            inner = self._aead.decrypt(nonce, body, header)
        except InvalidTag:
            raise ProtocolError(Fault.BAD_RECORD_MAC) from None
        if inner[-1] != _APPLICATION_DATA:
            inner = inner.rstrip(b"\0")  # padding
            if len(inner) < 2 or inner[-1] != _APPLICATION_DATA:
                return None
        self.sequence = sequence + 1
        return inner[:-1]

    def open_data(
        self, data: Buffer, limit: int, into: list[Buffer]
    ) -> tuple[int, tuple[int, bytes] | None]:
        """Open the records of application data at the front of `data`, as long as they are whole.

        Their contents are appended to `into`. What else may come is for the caller to look at: a
        record that is not whole, empty, longer than `limit` allows or of another type is left
        where it is, and the content of one that turned out to hold something else is given, with
        its type. Nothing is called for each record but the cipher.

        Returns:
            How many bytes of `data` were used, and the last record's type and content, or None.

        Raises:
            ProtocolError: as `open_record`.
        """
        view: Buffer = memoryview(data) if len(data) > _SHORT else bytes(data)
        at, end = 0, len(view)
        iv, aead, longest = self._iv, self._aead, limit + TAG_SIZE
        while end - at > HEADER_SIZE:
            body = at + HEADER_SIZE
            header = view[at:body]
            start, size = _read_header(header)
            after = body + size
            sequence = self.sequence
            if (
                start != _DATA_START
                or after > end
                or not _OVERHEAD < size <= longest
                or sequence >= _SEQUENCE_END
            ):
                break
            self.sequence = sequence + 1
            nonce = (iv ^ sequence).to_bytes(IV_SIZE, "big")
            try:
                inner = aead.decrypt(nonce, view[body:after], header)
            except InvalidTag:
                raise ProtocolError(Fault.BAD_RECORD_MAC) from None
            if inner[-1] != _APPLICATION_DATA:
                return after, split_inner_plaintext(inner, limit)
            # What is long is not copied before it is joined with others.
            into.append(inner[:-1] if size <= _SHORT else memoryview(inner)[:-1])
            at = after
        return at, None

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
