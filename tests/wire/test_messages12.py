"""The messages of TLS 1.2: written and read, byte for byte, and refused where they are not so."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.values import uint16

from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.wire import messages12 as m12
from handclasp.wire.codecs import MESSAGE_TYPES, read_as, write_message

raw = st.just(b"")
ders = st.binary(min_size=1, max_size=40)
MESSAGES: dict[str, st.SearchStrategy[Any]] = {
    "hello_request": st.builds(m12.HelloRequest, raw=raw),
    "certificate": st.builds(m12.Certificate12, st.lists(ders, max_size=4).map(tuple), raw=raw),
    "certificate_status": st.builds(m12.CertificateStatus, ders, raw=raw),
    "server_key_exchange": st.builds(
        m12.ServerKeyExchange,
        group=uint16,
        point=st.binary(min_size=1, max_size=255),
        algorithm=uint16,
        signature=st.binary(max_size=300),
        raw=raw,
    ),
    "certificate_request": st.builds(
        m12.CertificateRequest12,
        certificate_types=st.binary(min_size=1, max_size=9),
        supported_signature_algorithms=st.lists(uint16, min_size=1, max_size=9).map(tuple),
        certificate_authorities=st.lists(ders, max_size=4).map(tuple),
        raw=raw,
    ),
    "server_hello_done": st.builds(m12.ServerHelloDone, raw=raw),
    "new_session_ticket": st.builds(
        m12.NewSessionTicket12, st.integers(0, 2**32 - 1), st.binary(max_size=300), raw=raw
    ),
    "client_key_exchange": st.builds(m12.ClientKeyExchange, st.binary(max_size=300), raw=raw),
}
kinds = pytest.mark.parametrize("name", MESSAGES)


def fault_of(kind: type[Any], body: bytes) -> Fault:
    with pytest.raises(ProtocolError) as caught:
        read_as(kind, bytes([MESSAGE_TYPES[kind]]) + len(body).to_bytes(3, "big") + body)
    return caught.value.fault


@kinds
@given(st.data())
def test_what_is_written_is_read_again(name: str, data: st.DataObject) -> None:
    message = data.draw(MESSAGES[name])
    written = write_message(message)
    assert written[0] == MESSAGE_TYPES[type(message)]
    again = read_as(type(message), written)
    assert again == message
    assert again.raw == written
    assert write_message(again) == written


@kinds
@given(st.data())
def test_whatever_is_read_is_written_again(name: str, data: st.DataObject) -> None:
    kind = type(data.draw(MESSAGES[name]))
    body = data.draw(st.binary(max_size=60))
    message = bytes([MESSAGE_TYPES[kind]]) + len(body).to_bytes(3, "big") + body
    with suppress(ProtocolError):
        assert write_message(read_as(kind, message)) == message


@kinds
@given(st.data())
def test_cut_or_longer_is_refused(name: str, data: st.DataObject) -> None:
    message = data.draw(MESSAGES[name])
    if isinstance(message, m12.ClientKeyExchange):
        return  # Its inside is read by the suite, below.
    body = write_message(message)[4:]
    assert fault_of(type(message), body + b"\0") is Fault.DECODE_ERROR
    if body:
        cut = body[: data.draw(st.integers(0, len(body) - 1))]
        assert fault_of(type(message), cut) is Fault.DECODE_ERROR


@given(st.binary(min_size=1, max_size=255))
def test_the_point_of_a_client(point: bytes) -> None:
    written = m12.write_ecdh_point(point)
    assert m12.read_ecdh_point(written) == point
    for wrong in (written + b"\0", written[:-1], b"", b"\0"):
        with pytest.raises(ProtocolError, match="ClientKeyExchange"):
            m12.read_ecdh_point(wrong)


@given(st.binary(max_size=600))
def test_the_secret_of_a_client(encrypted: bytes) -> None:
    written = m12.write_encrypted_secret(encrypted)
    assert m12.read_encrypted_secret(written) == encrypted
    for wrong in (written + b"\0", written[:-1], b""):
        with pytest.raises(ProtocolError, match="ClientKeyExchange"):
            m12.read_encrypted_secret(wrong)


@pytest.mark.parametrize("curve_type", [0, 1, 2, 4, 255])
def test_groups_are_named(curve_type: int) -> None:
    # RFC 8422 5.4: explicit curves are gone, and were a way to break into clients.
    body = bytes([curve_type]) + b"\0\x17\x01\x04\x04\x03\0\0"
    assert fault_of(m12.ServerKeyExchange, body) is Fault.ILLEGAL_VALUE


def test_a_status_of_another_type() -> None:
    assert fault_of(m12.CertificateStatus, b"\x02\0\0\x01x") is Fault.ILLEGAL_VALUE


def test_what_the_server_signs() -> None:
    message = m12.ServerKeyExchange(0x001D, b"point", 0x0403, b"signature")
    assert message.params == b"\x03\x00\x1d\x05point"


def test_secrets_do_not_show() -> None:
    assert "abc" not in repr(m12.ClientKeyExchange(b"abc"))
