"""The checks of a record's header, before its body has arrived (RFC 9846 section 5.1).

Every record passes one comparison in the connection's loop; what fails it comes here.
"""

from __future__ import annotations

import struct

from handclasp.crypto.suites import Buffer
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.iana import ContentType
from handclasp.trace.hooks import Trace
from handclasp.wire.records import (
    HEADER_SIZE,
    MAJOR_VERSION,
    MAX_CIPHERTEXT,
    MAX_PLAINTEXT,
    RECORD_STARTS,
    refused_start,
)

_HANDSHAKE = int(ContentType.HANDSHAKE)
_APPLICATION_DATA = int(ContentType.APPLICATION_DATA)
_read_header = struct.Struct(">BBxH").unpack_from
"""Type and major version of a record, and the length of its body."""

SHOWN_OF_A_START = 64
"""Bytes that are shown to people of what is not TLS."""


def check_header(
    start: Buffer, *, protected: bool, nothing_came: bool, from_client: bool, trace: Trace | None
) -> None:
    """Raise `ProtocolError` where a record must not start like this.

    Args:
        start: the header, and what has come behind it of the first `SHOWN_OF_A_START` bytes.
        protected: whether the peer has keys, so that any record may be as long as a protected one.
        nothing_came: whether it is the first record, which may be another protocol's first bytes.
        from_client: whether the peer is a client.
        trace: is shown the bytes that are not TLS.
    """
    content_type, major, length = _read_header(start)
    if not begins_like_tls(start):
        if nothing_came:
            raise not_tls(start, from_client=from_client, trace=trace)
        fault = Fault.UNEXPECTED_RECORD_TYPE if major == MAJOR_VERSION else Fault.NOT_A_TLS_RECORD
        raise ProtocolError(fault, f"type {content_type}, version {major}.{start[2]}")
    limit = MAX_CIPHERTEXT if protected or content_type == _APPLICATION_DATA else MAX_PLAINTEXT
    if length > limit:
        raise ProtocolError(Fault.RECORD_OVERFLOW, f"{length} bytes, {limit} are allowed")


def begins_like_tls(start: Buffer) -> bool:
    """Return whether a record can begin with these bytes, of which there may be one only."""
    major = start[1] if len(start) > 1 else MAJOR_VERSION
    return start[0] << 8 | major in RECORD_STARTS


def not_tls(start: Buffer, *, from_client: bool, trace: Trace | None) -> ProtocolError:
    """Return the error for a peer whose first bytes are another protocol's; show them to `trace`.

    `start` may be shorter than a header where the peer said no more.
    """
    shown = bytes(start)
    if trace is not None:
        trace.bytes_refused(shown)
    return refused_start(shown, from_client=from_client)


def join_fragments(buffer: Buffer, at: int, missing: int) -> tuple[bytearray, int]:
    """Return the contents of whole plaintext handshake records, to add up to `missing` bytes.

    A peer may send a record for each byte of a hello, so a record must cost next to nothing. Other
    records, and those behind the end of the message, are left where they are.

    Returns:
        The contents, and where in `buffer` they end.
    """
    found, end = bytearray(), len(buffer)
    while missing > 0 and at + HEADER_SIZE < end:
        kind, major, size = _read_header(buffer, at)
        after = at + HEADER_SIZE + size
        if kind != _HANDSHAKE or major != 3 or not 0 < size <= MAX_PLAINTEXT or after > end:
            break
        found += buffer[at + HEADER_SIZE : after]
        missing -= size
        at = after
    return found, at


def type_name(content_type: int) -> str:
    """Return the name of a content type, for people."""
    try:
        return ContentType(content_type).name.lower()
    except ValueError:
        return f"content type {content_type}"
