"""Records before there are keys, in the form of those that have some (RFC 9846 section 5.1)."""

from __future__ import annotations

from typing import Final

from handclasp.crypto.suites import Buffer
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.iana import ContentType
from handclasp.wire.records import (
    HEADER_SIZE,
    MAX_PLAINTEXT,
    PLAINTEXT_HEADERS,
    write_plaintext,
)

_APPLICATION_DATA = int(ContentType.APPLICATION_DATA)


class PlaintextReader:
    """Takes records as they are; application data are never in the clear."""

    longest = MAX_PLAINTEXT

    __slots__ = ()

    def open_record(self, buffer: Buffer, at: int, after: int) -> tuple[int, bytes]:
        """Content type and content of the record that `buffer` has from `at` to `after`."""
        content_type = buffer[at]
        if content_type == _APPLICATION_DATA:
            raise ProtocolError(Fault.APPLICATION_DATA_TOO_EARLY)
        return content_type, bytes(buffer[at + HEADER_SIZE : after])


PLAINTEXT: Final = PlaintextReader()
"""The only one there is: it holds nothing."""


class PlaintextWriter:
    """Writes records as they are."""

    __slots__ = ()

    def seal(self, content_type: int, content: bytes) -> bytes:
        """One whole record."""
        return PLAINTEXT_HEADERS[content_type] + len(content).to_bytes(2, "big") + content


PLAINTEXT_WRITER: Final = PlaintextWriter()
"""The only one there is: it holds nothing."""


class HelloWriter:
    """Writes a client's records from the first one on, which has an older version in its header."""

    __slots__ = ("_is_first",)

    def __init__(self) -> None:
        self._is_first = True

    def seal(self, content_type: int, content: bytes) -> bytes:
        """One whole record."""
        is_first, self._is_first = self._is_first, False
        if is_first:
            return write_plaintext(content_type, content, first_hello=True)
        return PLAINTEXT_WRITER.seal(content_type, content)
