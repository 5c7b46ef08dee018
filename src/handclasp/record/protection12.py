"""Sealing and opening the records of TLS 1.2, one direction and one key (RFC 5246 section 6.2.3.3).

With GCM, 4 bytes of the nonce come from the key block and 8 go with each record (RFC 5288
section 3). For those 8 the sequence number is taken, which no key sees twice. With
ChaCha20-Poly1305 the nonce is as in TLS 1.3, and nothing of it is sent (RFC 7905 section 2).
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag

from handclasp.crypto.suites import IV_SIZE, TAG_SIZE, Buffer, CipherSuite12
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.iana import ContentType
from handclasp.keys.traffic import TrafficKeys
from handclasp.wire.records import HEADER_SIZE, MAX_CIPHERTEXT, MAX_PLAINTEXT

_APPLICATION_DATA = int(ContentType.APPLICATION_DATA)
_SEQUENCE_END = 2**64 - 1
_EXPLICIT_SIZE = 8


class Protection12:
    """One key at work, in one direction; a tag has `tag_size` bytes, a content at most `limit`.

    Attributes:
        sequence, until, limit: as those of `PureRecordKey`.
    """

    tag_size = TAG_SIZE
    longest = MAX_CIPHERTEXT

    __slots__ = ("_aead", "_explicit", "_fixed", "_iv", "limit", "sequence", "suite", "until")

    def __init__(self, keys: TrafficKeys, suite: CipherSuite12) -> None:
        self.suite = suite
        self.sequence = 0
        self.until = _SEQUENCE_END
        self.limit = MAX_PLAINTEXT
        self._aead = suite.aead(keys.key)
        self._explicit = suite.fixed_iv_size < IV_SIZE
        self._fixed = bytes(keys.iv) if self._explicit else b""
        self._iv = int.from_bytes(keys.iv, "big")

    def seal(self, content_type: int, content: bytes, padding: int = 0) -> bytes:
        """One whole record of at most 2^14 bytes of content; there is no padding in TLS 1.2."""
        if padding:
            raise ValueError("records of TLS 1.2 cannot be padded")
        sequence = self._next()
        head = bytes((content_type, 3, 3))
        associated = sequence + head + len(content).to_bytes(2, "big")
        if self._explicit:
            sealed = self._aead.encrypt(self._fixed + sequence, content, associated)
            return b"".join(
                [head, (_EXPLICIT_SIZE + len(sealed)).to_bytes(2, "big"), sequence, sealed]
            )
        sealed = self._aead.encrypt(self._nonce(sequence), content, associated)
        return head + len(sealed).to_bytes(2, "big") + sealed

    def seal_data(self, data: Buffer, into: list[Buffer]) -> bool:
        """One record of data, or None where it is for the long way, as `RecordKey.seal_data`."""
        if type(data) is bytes and 0 < len(data) <= self.limit and self.sequence < self.until:
            into.append(self.seal(_APPLICATION_DATA, data))
            return True
        return False

    def seal_many(self, content_type: int, content: memoryview, fragment_size: int) -> bytes:
        """`content` as records of `fragment_size` bytes each."""
        return b"".join(
            [
                self.seal(content_type, bytes(content[start : start + fragment_size]))
                for start in range(0, len(content), fragment_size)
            ]
        )

    def open_record(self, buffer: Buffer, at: int, after: int) -> tuple[int, bytes]:
        """Content type and content of the record that `buffer` has from `at` to `after`.

        Raises `ProtocolError`: bad_record_mac, every cause alike, or record_overflow.
        """
        body = at + HEADER_SIZE
        explicit = _EXPLICIT_SIZE if self._explicit else 0
        size = after - body - explicit - self.tag_size
        if size < 0:
            raise ProtocolError(Fault.BAD_RECORD_MAC, f"{after - body} bytes")
        sequence = self._next()
        # RFC 5246 6.2.3.3: seq_num + TLSCompressed.type + version + length.
        associated = sequence + buffer[at : at + 3] + size.to_bytes(2, "big")
        nonce = self._fixed + buffer[body : body + explicit] if explicit else self._nonce(sequence)
        try:
            content = self._aead.decrypt(nonce, buffer[body + explicit : after], associated)
        except InvalidTag:
            raise ProtocolError(Fault.BAD_RECORD_MAC) from None
        if len(content) > self.limit:
            raise ProtocolError(Fault.RECORD_OVERFLOW, f"{len(content)} bytes of content")
        return buffer[at], content

    def _next(self) -> bytes:
        sequence = self.sequence
        if sequence >= _SEQUENCE_END:
            raise ProtocolError(Fault.KEY_EXHAUSTED)
        self.sequence = sequence + 1
        return sequence.to_bytes(_EXPLICIT_SIZE, "big")

    def _nonce(self, sequence: bytes) -> bytes:
        return (self._iv ^ int.from_bytes(sequence, "big")).to_bytes(IV_SIZE, "big")
