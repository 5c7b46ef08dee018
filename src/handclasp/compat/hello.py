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


def missing(data: bytes | bytearray) -> int:
    """Return how many bytes of the first message lack at least; 0 if it is there.

    Also 0 for anything else than the start of a ClientHello, and for one that is too long.
    """
    message, at = bytearray(), 0
    while at < len(data):
        if data[at] != ContentType.HANDSHAKE or len(data) > MOST_HELD:
            return 0
        if len(data) - at < HEADER_SIZE:
            return HEADER_SIZE - (len(data) - at)
        size = int.from_bytes(data[at + 3 : at + 5])
        if not size:
            return 0
        if len(data) - at - HEADER_SIZE < size:
            return size - (len(data) - at - HEADER_SIZE)
        message += data[at + HEADER_SIZE : at + HEADER_SIZE + size]
        at += HEADER_SIZE + size
        if message[0] != HandshakeType.CLIENT_HELLO or len(message) >= _size_of(message):
            return 0
    return HEADER_SIZE


def read_hello(data: bytes | bytearray) -> Hello | None:
    """Return what the first message says; None if it is no ClientHello that can be read."""
    message, at = bytearray(), 0
    while at + HEADER_SIZE <= len(data) and data[at] == ContentType.HANDSHAKE:
        size = int.from_bytes(data[at + 3 : at + 5])
        message += data[at + HEADER_SIZE : at + HEADER_SIZE + size]
        at += HEADER_SIZE + size
    size = _size_of(message)
    if not message or message[0] != HandshakeType.CLIENT_HELLO or len(message) < size:
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
