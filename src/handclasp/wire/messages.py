"""The handshake messages of TLS 1.3 (RFC 8446 section 4).

Each message is a frozen value with its struct in the docstring, and a `read_` and `write_`
function. Reading and writing gives the same bytes, except that a hello with an empty list of
extensions is written without the list (RFC 5246 sections 7.4.1.2 and 7.4.1.3). `raw` holds the
whole message as it was received, with its header, because the transcript hashes the peer's bytes.

Extensions stay bytes here, in their order; `extensions` reads their content.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from struct import Struct as Packed
from typing import Any, TypeAlias

from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.iana import HandshakeType, handshake_type_name
from handclasp.values import field, value
from handclasp.wire.reader import Opener, Reader
from handclasp.wire.structs import (
    Extensions,
    Struct,
    extensions,
    fixed,
    opaque,
    optional_extensions,
    rest,
    uint,
    uint16s,
    vector,
    write_entries,
    write_extensions,
    write_fields,
)
from handclasp.wire.writer import opaque24

HEADER_SIZE = 4
"""The bytes of `msg_type` and `length` in front of each handshake message."""

HELLO_RETRY_REQUEST_RANDOM = bytes.fromhex(
    "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c"
)
"""SHA-256 of "HelloRetryRequest" (RFC 8446 section 4.1.3)."""


@value(frozen=True, slots=True)
class ClientHello:
    """The first message of the client (RFC 8446 section 4.1.2).

    struct {
        ProtocolVersion legacy_version = 0x0303;
        Random random;
        opaque legacy_session_id<0..32>;
        CipherSuite cipher_suites<2..2^16-2>;
        opaque legacy_compression_methods<1..2^8-1>;
        Extension extensions<8..2^16-1>;
    } ClientHello;
    """

    legacy_version: int
    random: bytes
    legacy_session_id: bytes
    cipher_suites: Sequence[int]
    legacy_compression_methods: bytes
    extensions: Extensions
    raw: bytes = field(default=b"", compare=False, repr=False)


@value(frozen=True, slots=True)
class ServerHello:
    """The server's choice, or a HelloRetryRequest in the same form (RFC 8446 section 4.1.3).

    struct {
        ProtocolVersion legacy_version = 0x0303;
        Random random;
        opaque legacy_session_id_echo<0..32>;
        CipherSuite cipher_suite;
        uint8 legacy_compression_method = 0;
        Extension extensions<6..2^16-1>;
    } ServerHello;
    """

    legacy_version: int
    random: bytes
    legacy_session_id_echo: bytes
    cipher_suite: int
    legacy_compression_method: int
    extensions: Extensions
    raw: bytes = field(default=b"", compare=False, repr=False)

    @property
    def is_hello_retry_request(self) -> bool:
        """Whether this is a HelloRetryRequest (RFC 8446 section 4.1.4)."""
        return self.random == HELLO_RETRY_REQUEST_RANDOM


@value(frozen=True, slots=True)
class EncryptedExtensions:
    """The server's answers to further extensions, encrypted (RFC 8446 section 4.3.1).

    struct {
        Extension extensions<0..2^16-1>;
    } EncryptedExtensions;
    """

    extensions: Extensions
    raw: bytes = field(default=b"", compare=False, repr=False)


@value(frozen=True, slots=True)
class CertificateRequest:
    """The request for a client certificate (RFC 8446 section 4.3.2).

    struct {
        opaque certificate_request_context<0..2^8-1>;
        Extension extensions<2..2^16-1>;
    } CertificateRequest;
    """

    certificate_request_context: bytes
    extensions: Extensions
    raw: bytes = field(default=b"", compare=False, repr=False)


@value(frozen=True, slots=True)
class CertificateEntry:
    """One certificate of the chain, leaf first (RFC 8446 section 4.4.2).

    struct {
        opaque cert_data<1..2^24-1>;
        Extension extensions<0..2^16-1>;
    } CertificateEntry;
    """

    cert_data: bytes = field(repr=False)
    extensions: Extensions


@value(frozen=True, slots=True)
class Certificate:
    """The sender's certificates (RFC 8446 section 4.4.2).

    struct {
        opaque certificate_request_context<0..2^8-1>;
        CertificateEntry certificate_list<0..2^24-1>;
    } Certificate;
    """

    certificate_request_context: bytes
    certificate_list: tuple[CertificateEntry, ...]
    raw: bytes = field(default=b"", compare=False, repr=False)


@value(frozen=True, slots=True)
class CompressedCertificate:
    """A Certificate without its header, compressed (RFC 8879 section 4).

    struct {
        CertificateCompressionAlgorithm algorithm;
        uint24 uncompressed_length;
        opaque compressed_certificate_message<1..2^24-1>;
    } CompressedCertificate;
    """

    algorithm: int
    uncompressed_length: int
    compressed_certificate_message: bytes = field(repr=False)
    raw: bytes = field(default=b"", compare=False, repr=False)


@value(frozen=True, slots=True)
class CertificateVerify:
    """The proof of the private key (RFC 8446 section 4.4.3).

    struct {
        SignatureScheme algorithm;
        opaque signature<0..2^16-1>;
    } CertificateVerify;
    """

    algorithm: int
    signature: bytes
    raw: bytes = field(default=b"", compare=False, repr=False)


@value(frozen=True, slots=True)
class Finished:
    """The proof of the whole handshake (RFC 8446 section 4.4.4).

    struct {
        opaque verify_data[Hash.length];
    } Finished;
    """

    verify_data: bytes = field(repr=False)
    raw: bytes = field(default=b"", compare=False, repr=False)


@value(frozen=True, slots=True)
class EndOfEarlyData:
    """The end of 0-RTT data (RFC 8446 section 4.5): struct {} EndOfEarlyData;"""

    raw: bytes = field(default=b"", compare=False, repr=False)


@value(frozen=True, slots=True)
class NewSessionTicket:
    """A ticket, with which the session can be resumed (RFC 8446 section 4.6.1).

    struct {
        uint32 ticket_lifetime;
        uint32 ticket_age_add;
        opaque ticket_nonce<0..255>;
        opaque ticket<1..2^16-1>;
        Extension extensions<0..2^16-2>;
    } NewSessionTicket;
    """

    ticket_lifetime: int
    ticket_age_add: int
    ticket_nonce: bytes
    ticket: bytes = field(repr=False)
    extensions: Extensions
    raw: bytes = field(default=b"", compare=False, repr=False)


@value(frozen=True, slots=True)
class KeyUpdate:
    """The sender switches to its next keys (RFC 8446 section 4.6.3).

    struct {
        KeyUpdateRequest request_update;   /* update_not_requested(0), update_requested(1) */
    } KeyUpdate;
    """

    request_update: bool
    raw: bytes = field(default=b"", compare=False, repr=False)


Message: TypeAlias = (
    ClientHello
    | ServerHello
    | EncryptedExtensions
    | CertificateRequest
    | Certificate
    | CompressedCertificate
    | CertificateVerify
    | Finished
    | EndOfEarlyData
    | NewSessionTicket
    | KeyUpdate
)


def read_message(raw: bytes, opener: Opener | None = None) -> Message:
    """Return the value of one whole handshake message, with its header.

    Args:
        opener: makes the reader, if each field is to be read by one.

    Raises `ProtocolError`: decode_error for a malformed message, unexpected_message for a type that
    TLS 1.3 does not have.
    """
    kind = _KINDS.get(raw[0])
    if kind is None:
        raise ProtocolError(Fault.UNKNOWN_HANDSHAKE_TYPE, handshake_type_name(raw[0]))
    struct = STRUCTS.get(kind)
    if struct is not None:
        message: Message = kind(
            *struct.read(raw, handshake_type_name(raw[0]), HEADER_SIZE, opener), raw
        )
        return message
    reader = (opener or Reader)(raw, handshake_type_name(raw[0]), HEADER_SIZE)
    message = CODECS13[kind][1](reader, raw)
    reader.end()
    return message


def write_message(message: Message) -> bytes:
    """Return the bytes of a handshake message, with its header."""
    message_type, _, write = CODECS13[type(message)]
    body = write(message)
    return (message_type << 24 | len(body)).to_bytes(4, "big") + body


# Without a value and its table, for what every handshake sends; a test holds both ways equal.


def write_client_hello(random: bytes, session_id: bytes, suites: bytes, entries: bytes) -> bytes:
    """Write a ClientHello without compression, header included (RFC 8446 section 4.1.2).

    Args:
        suites: the codes of the cipher suites, two bytes each.
        entries: the extensions, as `write_entries` writes them.
    """
    size = 41 + len(session_id) + len(suites) + len(entries)
    head = _hello_head(_CLIENT_HELLO_TYPE | size, 0x0303, random, len(session_id))
    listed = len(suites).to_bytes(2, "big"), suites
    return b"".join((head, session_id, *listed, b"\1\0", len(entries).to_bytes(2, "big"), entries))


def write_server_hello(
    random: bytes, session_id: bytes, cipher_suite: int, extensions: Extensions
) -> bytes:
    """Write a ServerHello of TLS 1.3, header included (RFC 8446 section 4.1.3)."""
    entries = write_entries(extensions)
    size = 40 + len(session_id) + len(entries)
    head = _hello_head(_SERVER_HELLO_TYPE | size, 0x0303, random, len(session_id))
    return b"".join((head, session_id, _chosen(cipher_suite, 0, len(entries)), entries))


def write_encrypted_extensions(extensions: Extensions) -> bytes:
    """EncryptedExtensions, header included (RFC 8446 section 4.3.1)."""
    entries = write_entries(extensions)
    size = len(entries).to_bytes(2, "big")
    return (_ENCRYPTED_EXTENSIONS_TYPE | len(entries) + 2).to_bytes(4, "big") + size + entries


_CLIENT_HELLO_TYPE = HandshakeType.CLIENT_HELLO << 24
_SERVER_HELLO_TYPE = HandshakeType.SERVER_HELLO << 24
_ENCRYPTED_EXTENSIONS_TYPE = HandshakeType.ENCRYPTED_EXTENSIONS << 24
_CERTIFICATE_VERIFY_TYPE = HandshakeType.CERTIFICATE_VERIFY << 24
_FINISHED_TYPE = HandshakeType.FINISHED << 24
_NEW_SESSION_TICKET_TYPE = HandshakeType.NEW_SESSION_TICKET << 24

_hello_head = Packed(">IH32sB").pack
"""msg_type and length, legacy_version, random, and the length of the session id."""

_chosen = Packed(">HBH").pack
"""The cipher suite, no compression, and the length of the extensions."""


def write_certificate_verify(algorithm: int, signature: bytes) -> bytes:
    """Write a CertificateVerify, header included (RFC 8446 section 4.4.3)."""
    size = len(signature)
    header = _CERTIFICATE_VERIFY_TYPE | 4 + size
    return (header << 32 | algorithm << 16 | size).to_bytes(8, "big") + signature


def write_finished(verify_data: bytes) -> bytes:
    """Write a Finished, header included (RFC 8446 section 4.4.4)."""
    return (_FINISHED_TYPE | len(verify_data)).to_bytes(4, "big") + verify_data


def write_new_session_ticket(
    lifetime: int, age_add: int, nonce: bytes, ticket: bytes, extensions: Extensions
) -> bytes:
    """Write a NewSessionTicket, header included (RFC 8446 section 4.6.1)."""
    end = write_extensions(extensions) if extensions else b"\0\0"
    size = 11 + len(nonce) + len(ticket) + len(end)
    head = _ticket_head(_NEW_SESSION_TICKET_TYPE | size, lifetime, age_add, len(nonce))
    return b"".join((head, nonce, len(ticket).to_bytes(2, "big"), ticket, end))


_ticket_head = Packed(">IIIB").pack


def message_hash(digest: bytes) -> bytes:
    """Return the synthetic message that replaces the first ClientHello (RFC 8446 section 4.4.1)."""
    return HandshakeType.MESSAGE_HASH.to_bytes(1, "big") + opaque24(digest)


_CLIENT_HELLO = Struct(
    ClientHello,
    uint("legacy_version", 2),
    fixed("random", 32),
    opaque("legacy_session_id", 1, 0, 32),
    uint16s("cipher_suites"),
    opaque("legacy_compression_methods", 1, 1),
    # Hellos older than TLS 1.3 may end before it (RFC 5246 section 7.4.1.2), and without extensions
    # no list is written: a client older than TLS 1.2 that sent none must find none in the
    # ServerHello (RFC 5246 section 7.4.1.4).
    optional_extensions(),
)

_SERVER_HELLO = Struct(
    ServerHello,
    uint("legacy_version", 2),
    fixed("random", 32),
    opaque("legacy_session_id_echo", 1, 0, 32),
    uint("cipher_suite", 2),
    uint("legacy_compression_method", 1),
    optional_extensions(),
)

_CERTIFICATE_ENTRY = Struct(CertificateEntry, opaque("cert_data", 3, 1), extensions())

_CERTIFICATE = Struct(
    Certificate,
    opaque("certificate_request_context", 1),
    vector("certificate_list", 3, _CERTIFICATE_ENTRY),
)

_COMPRESSED_CERTIFICATE = Struct(
    CompressedCertificate,
    uint("algorithm", 2),
    uint("uncompressed_length", 3),
    opaque("compressed_certificate_message", 3, 1),
)

_NEW_SESSION_TICKET = Struct(
    NewSessionTicket,
    uint("ticket_lifetime", 4),
    uint("ticket_age_add", 4),
    opaque("ticket_nonce", 1),
    opaque("ticket", 2, 1),
    extensions(),
)

STRUCTS: Mapping[type[Any], Struct] = {
    ClientHello: _CLIENT_HELLO,
    ServerHello: _SERVER_HELLO,
    NewSessionTicket: _NEW_SESSION_TICKET,
    EndOfEarlyData: Struct(EndOfEarlyData),
    EncryptedExtensions: Struct(EncryptedExtensions, extensions()),
    CertificateRequest: Struct(
        CertificateRequest, opaque("certificate_request_context", 1), extensions(2)
    ),
    Certificate: _CERTIFICATE,
    CompressedCertificate: _COMPRESSED_CERTIFICATE,
    CertificateVerify: Struct(CertificateVerify, uint("algorithm", 2), opaque("signature", 2)),
    # The length is that of the hash; the key schedule checks it.
    Finished: Struct(Finished, rest("verify_data")),
}
"""The structs of messages, except those with a reader of their own."""


def _read_key_update(reader: Reader, raw: bytes) -> KeyUpdate:
    request_update = reader.uint8("request_update")
    if request_update > 1:
        # RFC 8446 4.6.3: any other value is illegal_parameter.
        raise ProtocolError(Fault.ILLEGAL_VALUE, f"KeyUpdate.request_update is {request_update}")
    return KeyUpdate(bool(request_update), raw)


def _write_key_update(message: KeyUpdate) -> bytes:
    return message.request_update.to_bytes(1, "big")


Codec: TypeAlias = tuple[HandshakeType, Callable[[Reader, bytes], Any], Callable[..., bytes]]


def _codec(message_type: HandshakeType, kind: type[Any]) -> Codec:
    """Return the codec of a message that consists of its struct."""
    struct = STRUCTS[kind]

    def read(reader: Reader, raw: bytes) -> Any:
        return kind(*struct.read_with(reader), raw)

    return message_type, read, partial(write_fields, struct)


CODECS13: dict[type[Any], Codec] = {
    ClientHello: _codec(HandshakeType.CLIENT_HELLO, ClientHello),
    ServerHello: _codec(HandshakeType.SERVER_HELLO, ServerHello),
    NewSessionTicket: _codec(HandshakeType.NEW_SESSION_TICKET, NewSessionTicket),
    EndOfEarlyData: _codec(HandshakeType.END_OF_EARLY_DATA, EndOfEarlyData),
    EncryptedExtensions: _codec(HandshakeType.ENCRYPTED_EXTENSIONS, EncryptedExtensions),
    CertificateRequest: _codec(HandshakeType.CERTIFICATE_REQUEST, CertificateRequest),
    Certificate: _codec(HandshakeType.CERTIFICATE, Certificate),
    CompressedCertificate: _codec(HandshakeType.COMPRESSED_CERTIFICATE, CompressedCertificate),
    CertificateVerify: _codec(HandshakeType.CERTIFICATE_VERIFY, CertificateVerify),
    Finished: _codec(HandshakeType.FINISHED, Finished),
    KeyUpdate: (HandshakeType.KEY_UPDATE, _read_key_update, _write_key_update),
}
"""The type, reader and writer of each message of TLS 1.3."""

MESSAGE_TYPES: dict[type[Message], HandshakeType] = {
    message: codec[0] for message, codec in CODECS13.items()
}
"""The msg_type of each message class."""

_KINDS: Mapping[int, type[Any]] = {codec[0].value: kind for kind, codec in CODECS13.items()}
