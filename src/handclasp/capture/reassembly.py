"""Handshake messages in records, which split and join them at any byte (RFC 9846 section 5.1)."""

from __future__ import annotations

import sys

from handclasp.crypto.suites import Buffer
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.limits import Limits
from handclasp.wire.framing import check_message_size, message_size
from handclasp.wire.messages import HEADER_SIZE


class HandshakeReassembly:
    """Collects fragments and returns whole messages.

    The work is linear for fragments of any size, and no memory is reserved before the bytes arrive:
    a message that announces too much is refused by its header.
    """

    __slots__ = ("_buffer", "_checked", "_limits", "_remaining")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self._remaining = limits.max_handshake_bytes
        self._checked = False

    def __bool__(self) -> bool:
        """Return whether there are bytes that belong to no message yet."""
        return bool(self._buffer)

    def add(self, fragment: Buffer) -> None:
        """Append the content of handshake records; raise `ProtocolError`."""
        self._remaining -= len(fragment)
        if self._remaining < 0:
            raise ProtocolError(
                Fault.HANDSHAKE_TOO_LARGE, f"over {self._limits.max_handshake_bytes} bytes"
            )
        self._buffer += fragment

    def next_message(self) -> bytes | None:
        """Return the next whole message with its header, or None; raise `ProtocolError`."""
        buffer = self._buffer
        if len(buffer) < HEADER_SIZE:
            return None
        size = message_size(buffer)
        if not self._checked:
            check_message_size(self._limits, buffer[0], size)
            self._checked = True
        if len(buffer) < size:
            return None
        self._checked = False
        if len(buffer) == size:
            self._buffer = bytearray()
            return bytes(buffer)
        message = bytes(buffer[:size])
        del buffer[:size]
        return message

    def lift_total_limit(self) -> None:
        """Drop the total limit after the handshake: a long connection may have any number of
        messages.
        """
        self._remaining = sys.maxsize
