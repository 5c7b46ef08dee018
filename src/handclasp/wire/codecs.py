"""The codecs of all handshake messages, by class, for callers that know which message to expect.

The type number alone does not determine the form of a message: a Certificate of TLS 1.2 differs
from one of TLS 1.3. The class does.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.iana import HandshakeType, handshake_type_name
from handclasp.wire.messages import (
    CODECS13,
    HEADER_SIZE,
    STRUCTS,
    CertificateVerify,
    ClientHello,
    Codec,
    Finished,
    Message,
    ServerHello,
)
from handclasp.wire.messages12 import CODECS12, Message12
from handclasp.wire.reader import Opener, Reader
from handclasp.wire.structs import scan

AnyMessage: TypeAlias = Message | Message12

_CODECS: dict[type[Any], Codec] = {**CODECS13, **CODECS12}

MESSAGE_TYPES: dict[type[Any], HandshakeType] = {kind: codec[0] for kind, codec in _CODECS.items()}
"""The msg_type of each message class."""

_NAMES = {kind: handshake_type_name(number) for kind, number in MESSAGE_TYPES.items()}

_MESSAGES_OF_TLS12: dict[int, type[Any]] = {
    MESSAGE_TYPES[kind]: kind
    for kind in (ClientHello, ServerHello, CertificateVerify, Finished, *CODECS12)
}


def read_as(kind: type[Any], raw: bytes, opener: Opener | None = None) -> Any:
    """Return the value of one whole message of this class, with its header.

    Args:
        opener: makes the reader, if each field is to be read by one.

    Raises `ProtocolError` (decode_error) if it is malformed.
    """
    struct = STRUCTS.get(kind)
    if struct is not None:
        values: list[Any] = []
        if opener is None and scan(struct, raw, HEADER_SIZE, len(raw), values) == len(raw):
            return kind(*values, raw)
        return kind(*struct.read(raw, _NAMES[kind], HEADER_SIZE, opener or Reader), raw)
    reader = (opener or Reader)(raw, _NAMES[kind], HEADER_SIZE)
    message = _CODECS[kind][1](reader, raw)
    reader.end()
    return message


def read_message12(raw: bytes, opener: Opener | None = None) -> AnyMessage:
    """Return the value of any whole message of TLS 1.2; raise `ProtocolError`."""
    kind = _MESSAGES_OF_TLS12.get(raw[0])
    if kind is None:
        raise ProtocolError(Fault.UNKNOWN_HANDSHAKE_TYPE, handshake_type_name(raw[0]))
    message: AnyMessage = read_as(kind, raw, opener)
    return message


def write_message(message: AnyMessage) -> bytes:
    """Return the bytes of a handshake message, with its header."""
    message_type, _, write = _CODECS[type(message)]
    body = write(message)
    return (message_type << 24 | len(body)).to_bytes(4, "big") + body
