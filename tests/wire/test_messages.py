"""The handshake messages: what is written is read again, and what is read is written again."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.vectors.rfc8448_traces import TRACE_NAMES, load
from tests.wire import values

from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.iana import AlertDescription, HandshakeType
from handclasp.wire.messages import (
    HELLO_RETRY_REQUEST_RANDOM,
    MESSAGE_TYPES,
    Certificate,
    CertificateEntry,
    CertificateRequest,
    CertificateVerify,
    ClientHello,
    CompressedCertificate,
    EncryptedExtensions,
    EndOfEarlyData,
    Finished,
    KeyUpdate,
    Message,
    NewSessionTicket,
    ServerHello,
    message_hash,
    read_message,
    write_certificate_verify,
    write_client_hello,
    write_encrypted_extensions,
    write_finished,
    write_message,
    write_new_session_ticket,
    write_server_hello,
)
from handclasp.wire.structs import write_entries
from handclasp.wire.writer import uint16s

CODEC_FAULTS = {
    Fault.DECODE_ERROR: AlertDescription.DECODE_ERROR,
    Fault.ILLEGAL_VALUE: AlertDescription.ILLEGAL_PARAMETER,
    Fault.DUPLICATE_EXTENSION: AlertDescription.ILLEGAL_PARAMETER,
    Fault.UNKNOWN_HANDSHAKE_TYPE: AlertDescription.UNEXPECTED_MESSAGE,
}
"""All that reading a message may find, and the alert that RFC 9846 section 6.2 wants for it."""

HELLOS = (ClientHello, ServerHello)


def framed(message_type: int, body: bytes) -> bytes:
    return bytes([message_type]) + len(body).to_bytes(3, "big") + body


def fault_of(raw: bytes) -> Fault:
    with pytest.raises(ProtocolError) as caught:
        read_message(raw)
    return caught.value.fault


def read_or_refuse(raw: bytes) -> Message | None:
    """The value, or None where `raw` is refused as RFC 8446 wants; anything else fails the test."""
    try:
        return read_message(raw)
    except ProtocolError as error:
        refused = error
    assert CODEC_FAULTS[refused.fault] == refused.fault.alert
    assert refused.alert == refused.fault.alert.name.lower()
    return None


def assert_writes_again(raw: bytes, message: Message) -> None:
    again = write_message(message)
    if again != raw:
        # A hello with an empty extensions block, which is written without: the only other spelling.
        assert isinstance(message, HELLOS)
        assert not message.extensions
        assert again[4:] + b"\0\0" == raw[4:]


def written_by_its_own_function(message: Message) -> bytes:
    """The bytes by the function for this message alone, or by the table where there is none."""
    match message:
        case ClientHello(0x0303, random, session_id, suites, b"\0", extensions) if extensions:
            entries = write_entries(extensions)
            return write_client_hello(random, session_id, uint16s(suites), entries)
        case ServerHello(0x0303, random, session_id, suite, 0, extensions) if extensions:
            return write_server_hello(random, session_id, suite, extensions)
        case EncryptedExtensions(extensions):
            return write_encrypted_extensions(extensions)
        case CertificateVerify(algorithm, signature):
            return write_certificate_verify(algorithm, signature)
        case Finished(verify_data):
            return write_finished(verify_data)
        case NewSessionTicket(lifetime, age_add, nonce, ticket, extensions):
            return write_new_session_ticket(lifetime, age_add, nonce, ticket, extensions)
        case _:
            return write_message(message)


@settings(deadline=None)
@given(values.messages)
def test_both_ways_write_the_same(message: Message) -> None:
    if isinstance(message, ServerHello):
        message = replace(message, legacy_version=0x0303, legacy_compression_method=0)
    assert written_by_its_own_function(message) == write_message(message)


@settings(deadline=None)
@given(values.messages)
def test_written_messages_are_read_as_they_were(message: Message) -> None:
    raw = write_message(message)
    assert raw[0] == MESSAGE_TYPES[type(message)]
    assert int.from_bytes(raw[1:4], "big") == len(raw) - 4
    read = read_message(raw)
    assert read == message
    assert read.raw == raw
    assert write_message(read) == raw


_WITHOUT_EXTENSIONS = (Certificate, CompressedCertificate, CertificateVerify, Finished, KeyUpdate)


@settings(deadline=None)
@given(values.messages.filter(lambda message: len(write_message(message)) > 4))
def test_the_order_of_extensions_is_kept(message: Message) -> None:
    read = read_message(write_message(message))
    if not isinstance(message, _WITHOUT_EXTENSIONS):
        assert not isinstance(read, _WITHOUT_EXTENSIONS)
        assert not isinstance(message, EndOfEarlyData)
        assert not isinstance(read, EndOfEarlyData)
        assert list(read.extensions.items()) == list(message.extensions.items())


@settings(deadline=None)
@given(st.sampled_from(sorted(HandshakeType)) | values.uint8, st.binary(max_size=120))
def test_random_bytes_are_read_exactly_or_refused(message_type: int, body: bytes) -> None:
    raw = framed(message_type, body)
    message = read_or_refuse(raw)
    if message is not None:
        assert_writes_again(raw, message)


@settings(deadline=None)
@given(values.messages, st.data())
def test_mutated_messages_are_read_exactly_or_refused(
    message: Message, data: st.DataObject
) -> None:
    body = bytearray(write_message(message)[4:])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body)))
        how = data.draw(st.sampled_from(["change", "insert", "cut"]))
        if how == "insert" or at == len(body):
            body[at:at] = data.draw(st.binary(min_size=1, max_size=3))
        elif how == "change":
            body[at] ^= data.draw(st.integers(1, 255))
        else:
            del body[at : at + data.draw(st.integers(1, 3))]
    raw = framed(MESSAGE_TYPES[type(message)], bytes(body))
    read = read_or_refuse(raw)
    if read is not None:
        assert_writes_again(raw, read)


@settings(max_examples=30, deadline=None)
@given(values.messages.filter(lambda message: not isinstance(message, Finished)))
def test_every_truncation_is_refused(message: Message) -> None:
    raw = write_message(message)
    for size in range(4, len(raw)):
        if isinstance(message, HELLOS) and size == len(raw) - extensions_size(message):
            continue  # a hello of TLS 1.2 may end there
        assert fault_of(framed(raw[0], raw[4:size])) is Fault.DECODE_ERROR


def extensions_size(hello: ClientHello | ServerHello) -> int:
    kinds = hello.extensions.values()
    return 2 + sum(4 + len(data) for data in kinds) if kinds else 0


@settings(deadline=None)
@given(values.messages.filter(lambda message: not isinstance(message, Finished)))
def test_trailing_bytes_are_refused(message: Message) -> None:
    raw = write_message(message)
    assert fault_of(framed(raw[0], raw[4:] + b"\0")) is Fault.DECODE_ERROR


@pytest.mark.parametrize("trace_name", TRACE_NAMES)
def test_the_messages_of_rfc_8448(trace_name: str) -> None:
    for name, message in load(trace_name).messages.items():
        read = read_message(message.encoded)
        assert write_message(read) == message.encoded == read.raw
        if name == "hello_retry_request":
            assert isinstance(read, ServerHello)
            assert read.is_hello_retry_request
        elif name == "server_hello":
            assert isinstance(read, ServerHello)
            assert not read.is_hello_retry_request


def test_the_fields_of_an_rfc_8448_hello() -> None:
    hello = read_message(load("simple_1rtt").messages["client_hello"].encoded)
    assert isinstance(hello, ClientHello)
    assert hello.legacy_version == 0x0303
    assert hello.random.hex().startswith("cb34ecb1e78163ba")
    assert hello.legacy_session_id == b""
    assert hello.cipher_suites == (0x1301, 0x1303, 0x1302)
    assert hello.legacy_compression_methods == b"\0"
    assert list(hello.extensions) == [0, 65281, 10, 35, 51, 43, 13, 45, 28]


def test_the_hello_retry_request_random_is_the_hash_of_its_name() -> None:
    assert hashlib.sha256(b"HelloRetryRequest").digest() == HELLO_RETRY_REQUEST_RANDOM


def test_message_hash_has_a_header_of_its_own() -> None:
    assert message_hash(b"d" * 32) == b"\xfe\x00\x00\x20" + b"d" * 32


@pytest.mark.parametrize("message_type", sorted(set(range(256)) - set(MESSAGE_TYPES.values())))
def test_types_that_tls_13_does_not_have(message_type: int) -> None:
    assert fault_of(framed(message_type, b"")) is Fault.UNKNOWN_HANDSHAKE_TYPE


@pytest.mark.parametrize("value", range(2, 256))
def test_a_key_update_is_asked_for_or_not(value: int) -> None:
    assert fault_of(framed(HandshakeType.KEY_UPDATE, bytes([value]))) is Fault.ILLEGAL_VALUE


def test_the_two_key_updates() -> None:
    assert read_message(b"\x18\x00\x00\x01\x00") == KeyUpdate(False)
    assert read_message(b"\x18\x00\x00\x01\x01") == KeyUpdate(True)


@pytest.mark.parametrize(
    "message",
    [
        ClientHello(0x303, bytes(32), b"", (1,), b"\0", {7: b"a"}),
        ServerHello(0x303, bytes(32), b"", 1, 0, {7: b"a"}),
        EncryptedExtensions({7: b"a"}),
        CertificateRequest(b"", {7: b"a"}),
        Certificate(b"", (CertificateEntry(b"c", {7: b"a"}),)),
        NewSessionTicket(1, 2, b"", b"t", {7: b"a"}),
    ],
    ids=lambda message: type(message).__name__,
)
def test_an_extension_stands_once(message: Message) -> None:
    once, twice = b"\0\x07\0\x01a", b"\0\x07\0\x01a\0\x07\0\x00"
    raw = write_message(message)
    doubled = raw[4:].replace(b"\0\x05" + once, b"\0\x09" + twice)
    if isinstance(message, Certificate):
        doubled = b"\0" + (len(doubled) - 4).to_bytes(3, "big") + doubled[4:]
    assert fault_of(framed(raw[0], doubled)) is Fault.DUPLICATE_EXTENSION


def test_an_extension_may_stand_once_in_each_certificate() -> None:
    entry = CertificateEntry(b"c", {5: b"x"})
    message = Certificate(b"", (entry, entry))
    assert read_message(write_message(message)) == message


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (bytes(2) + bytes(32) + b"\x21" + bytes(33) + b"\0\x02\x13\x01\x01\0", "session id"),
        (bytes(2) + bytes(32) + b"\0" + b"\0\0" + b"\x01\0", "no cipher suites"),
        (bytes(2) + bytes(32) + b"\0" + b"\0\x03\x13\x01\x02" + b"\x01\0", "odd cipher suites"),
        (bytes(2) + bytes(32) + b"\0" + b"\0\x02\x13\x01" + b"\0", "no compression methods"),
    ],
)
def test_client_hellos_out_of_bounds(body: bytes, what: str) -> None:
    assert fault_of(framed(1, body)) is Fault.DECODE_ERROR, what


def test_a_hello_of_tls_12_may_end_without_extensions() -> None:
    body = b"\x03\x03" + bytes(32) + b"\0" + b"\0\x02\x00\x2f" + b"\x01\0"
    hello = read_message(framed(1, body))
    assert isinstance(hello, ClientHello)
    assert hello.extensions == {}
    assert hello.raw == framed(1, body)
    server = read_message(framed(2, b"\x03\x03" + bytes(32) + b"\0\x00\x2f\0"))
    assert isinstance(server, ServerHello)
    assert server.extensions == {}


@pytest.mark.parametrize(
    ("message_type", "body"),
    [
        (HandshakeType.CERTIFICATE_REQUEST, b"\0\0\0"),
        (HandshakeType.CERTIFICATE, b"\0" + b"\0\0\x05" + b"\0\0\0" + b"\0\0"),
        (HandshakeType.NEW_SESSION_TICKET, bytes(8) + b"\0" + b"\0\0" + b"\0\0"),
        (HandshakeType.END_OF_EARLY_DATA, b"\0"),
        (HandshakeType.KEY_UPDATE, b""),
        (HandshakeType.KEY_UPDATE, b"\0\0"),
    ],
)
def test_lengths_out_of_their_bounds(message_type: int, body: bytes) -> None:
    assert fault_of(framed(message_type, body)) is Fault.DECODE_ERROR


def test_values_compare_without_their_bytes() -> None:
    message = KeyUpdate(True)
    assert read_message(write_message(message)) == message
    assert read_message(write_message(message)).raw != message.raw


def test_what_is_secret_or_long_stays_out_of_repr() -> None:
    ticket = NewSessionTicket(1, 2, b"n", b"the ticket", {}, raw=b"the raw bytes")
    finished = Finished(b"the verify data", raw=b"the raw bytes")
    for shown in (repr(ticket), repr(finished)):
        assert "the" not in shown
