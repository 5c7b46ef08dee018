"""Record protection in forms that only other implementations use."""

from __future__ import annotations

from handclasp.crypto.suites import Buffer
from handclasp.errors import ProtocolError
from handclasp.iana import ContentType
from handclasp.keys.traffic import TrafficKeys
from handclasp.record.protection12 import Protection12
from handclasp.record.protection13 import MAX_INNER_PLAINTEXT, Protection13, split_inner_plaintext
from handclasp.wire.records import HEADER_SIZE

_FIRST_WITH_HEADER = 25
"""The first draft of TLS 1.3 in which the header of a record is authenticated."""


class ShortTag12(Protection12):
    """The protection with the tags of CCM_8 (RFC 6655 section 3)."""

    tag_size = 8

    __slots__ = ()


class Draft13(Protection13):
    """The protection of a draft of TLS 1.3."""

    __slots__ = ("_draft",)

    def __init__(self, keys: TrafficKeys, draft: int) -> None:
        super().__init__(keys.suite.aead(keys.key), keys.iv, MAX_INNER_PLAINTEXT)
        self._draft = draft

    def open(self, header: Buffer, ciphertext: Buffer) -> bytes:
        """Open as in TLS 1.3. An implementation may announce a draft and follow a later one."""
        sequence = self.sequence
        if self._draft < _FIRST_WITH_HEADER:
            try:
                return super().open(b"", ciphertext)
            except ProtocolError:
                self.sequence = sequence
        return super().open(header, ciphertext)

    def open_record(self, buffer: Buffer, at: int, after: int) -> tuple[int, bytes]:
        """Open one record as in TLS 1.3, by `open`."""
        body = at + HEADER_SIZE
        if buffer[at] != ContentType.APPLICATION_DATA:
            return super().open_record(buffer, at, after)
        return split_inner_plaintext(self.open(buffer[at:body], buffer[body:after]), self.limit)


class ShortTag13(Protection13):
    """The protection with the tags of CCM_8, whose records may be shorter than those of other
    suites.
    """

    shortest = 8 + 1

    __slots__ = ()
