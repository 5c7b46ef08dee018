"""The ClientHello before a server has chosen its settings: for `sni_callback`.

Only what `sni_callback` and `shared_ciphers` need is read. The engine gets the same bytes and
checks them as any others: what cannot be read here is refused there.
"""

from __future__ import annotations

from typing import NamedTuple

from handclasp.errors import ProtocolError
from handclasp.iana import ContentType, ExtensionType, HandshakeType
from handclasp.wire import extensions as ext
from handclasp.wire.codecs import read_as
from handclasp.wire.messages import ClientHello
from handclasp.wire.records import HEADER_SIZE

_MESSAGE_HEADER = 4
MOST_HELD = 2**17
"""Bytes of a hello that are held back; the engine refuses a longer one anyway."""


class Hello(NamedTuple):
    """The parts of a ClientHello that a program of `ssl` may ask for."""

    server_name: str | None
    cipher_suites: tuple[int, ...]


class FirstMessage:
    """The first bytes of a client, as long as they may belong to its ClientHello.

    Each byte is read once, however small the records and the pieces are that it comes in.

    Attributes:
        data: the bytes as they came.
        missing: how many bytes the message lacks at least. 0 if it is there, and for anything else
            than the start of a ClientHello, or one that is too long.
    """

    def __init__(self) -> None:
        self.data = bytearray()
        self.missing = HEADER_SIZE
        self._message = bytearray()
        self._at = 0

    def add(self, data: bytes) -> None:
        """Take what has come; what follows the message is not kept."""
        if self.missing:
            self.data += data
            self.missing = self._advance()

    def _advance(self) -> int:
        """Take the records that are complete, and return what is missing after them."""
        data, message = self.data, self._message
        if len(data) > MOST_HELD:
            return 0
        while self._at < len(data):
            if data[self._at] != ContentType.HANDSHAKE:
                return 0
            begin = self._at + HEADER_SIZE
            if len(data) < begin:
                return begin - len(data)
            end = begin + int.from_bytes(data[begin - 2 : begin])
            if end == begin:
                return 0
            if len(data) < end:
                return end - len(data)
            message += data[begin:end]
            self._at = end
            if message[0] != HandshakeType.CLIENT_HELLO or len(message) >= _size_of(message):
                return 0
        return HEADER_SIZE

    def read(self) -> Hello | None:
        """Return what the message says; None if it is no ClientHello that can be read."""
        message, size = self._message, _size_of(self._message)
        if len(message) < size or message[0] != HandshakeType.CLIENT_HELLO:
            return None
        try:
            hello: ClientHello = read_as(ClientHello, bytes(message[:size]))
            name = hello.extensions.get(ExtensionType.SERVER_NAME)
            asked = ext.read_server_name(name) if name is not None else None
            return Hello(asked, tuple(hello.cipher_suites))
        except ProtocolError:
            return None


def _size_of(message: bytearray) -> int:
    if len(message) < _MESSAGE_HEADER:
        return _MESSAGE_HEADER
    return _MESSAGE_HEADER + int.from_bytes(message[1:_MESSAGE_HEADER])
