"""The four bytes in front of each handshake message (RFC 8446 section 4)."""

from __future__ import annotations

from typing import Protocol

from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.iana import HandshakeType, handshake_type_name
from handclasp.wire.messages import HEADER_SIZE

_HELLOS = (int(HandshakeType.CLIENT_HELLO), int(HandshakeType.SERVER_HELLO))
_CERTIFICATE = int(HandshakeType.CERTIFICATE)


class MessageLimits(Protocol):
    """The largest size of a message's body, by type."""

    @property
    def max_hello_bytes(self) -> int: ...
    @property
    def max_certificate_bytes(self) -> int: ...
    @property
    def max_other_message_bytes(self) -> int: ...


def message_size(stream: bytes | bytearray | memoryview, at: int = 0) -> int:
    """Return the size of the message at an offset by its header, which is included."""
    return HEADER_SIZE + (stream[at + 1] << 16 | stream[at + 2] << 8 | stream[at + 3])


def is_whole(stream: bytes | bytearray | memoryview) -> bool:
    """Return whether `stream` holds at least one whole message."""
    return len(stream) >= HEADER_SIZE and len(stream) >= message_size(stream)


def check_message_size(limits: MessageLimits, message_type: int, size: int) -> None:
    """Raise `ProtocolError` if a message announces more than its type may have."""
    if message_type in _HELLOS:
        limit = limits.max_hello_bytes
    elif message_type == _CERTIFICATE:
        limit = limits.max_certificate_bytes
    else:
        limit = limits.max_other_message_bytes
    if size > limit + HEADER_SIZE:
        raise ProtocolError(
            Fault.HANDSHAKE_MESSAGE_TOO_LARGE,
            f"{handshake_type_name(message_type)} of {size} bytes, {limit} are accepted",
        )
