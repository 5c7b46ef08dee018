"""Messages of both versions by their class, and of TLS 1.2 by their type."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.iana import HandshakeType
from handclasp.wire import messages, messages12
from handclasp.wire.codecs import MESSAGE_TYPES, read_as, read_message12, write_message

OF_TLS12 = {
    HandshakeType.HELLO_REQUEST,
    HandshakeType.CLIENT_HELLO,
    HandshakeType.SERVER_HELLO,
    HandshakeType.NEW_SESSION_TICKET,
    HandshakeType.CERTIFICATE,
    HandshakeType.SERVER_KEY_EXCHANGE,
    HandshakeType.CERTIFICATE_REQUEST,
    HandshakeType.SERVER_HELLO_DONE,
    HandshakeType.CERTIFICATE_VERIFY,
    HandshakeType.CLIENT_KEY_EXCHANGE,
    HandshakeType.FINISHED,
    HandshakeType.CERTIFICATE_STATUS,
}


def test_one_type_has_two_forms() -> None:
    assert MESSAGE_TYPES[messages.Certificate] == MESSAGE_TYPES[messages12.Certificate12]
    in_13 = write_message(messages.Certificate(b"", (messages.CertificateEntry(b"x", {}),)))
    in_12 = write_message(messages12.Certificate12((b"x",)))
    assert in_13 != in_12
    assert read_as(messages12.Certificate12, in_12).certificate_list == (b"x",)
    with pytest.raises(ProtocolError):
        read_as(messages12.Certificate12, in_13)


@pytest.mark.parametrize("message_type", range(256))
def test_the_types_of_tls12(message_type: int) -> None:
    raw = bytes([message_type]) + b"\0\0\x01\0"
    try:
        read_message12(raw)
    except ProtocolError as error:
        known = error.fault is not Fault.UNKNOWN_HANDSHAKE_TYPE
    else:
        known = True
    assert known == (message_type in OF_TLS12)


@given(st.sampled_from(sorted(OF_TLS12)), st.binary(max_size=80))
def test_no_bytes_raise_anything_else(message_type: int, body: bytes) -> None:
    with suppress(ProtocolError):
        read_message12(bytes([message_type]) + len(body).to_bytes(3, "big") + body)
