"""The handshake messages of TLS 1.3 (RFC 8446 section 4).

Each message is a frozen value with its struct in the docstring, and a `read_` and `write_`
function. Reading then writing gives the same bytes, save that a hello with an empty list of
extensions is written without the list (RFC 5246 sections 7.4.1.2 and 7.4.1.3). `raw` holds the
whole message as it came, header included, because the transcript hashes the peer's bytes and not
ours.

Extensions stay bytes here, in their order; `extensions` knows what is inside each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, TypeAlias

from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.values import value
from handclasp.wire.iana import HandshakeType, extension_name, handshake_type_name
from handclasp.wire.reader import Opener, Reader
from handclasp.wire.writer import opaque8, opaque16, opaque24, uint16s

HEADER_SIZE = 4
"""Bytes of `msg_type` and `length` in front of each handshake message."""

HELLO_RETRY_REQUEST_RANDOM = bytes.fromhex(
    "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c"
)
"""SHA-256 of "HelloRetryRequest" (RFC 8446 section 4.1.3)."""

Extensions: TypeAlias = Mapping[int, bytes]
"""Extension type -> extension_data, in the order of the message."""


@value(frozen=True, slots=True)
class ClientHello:
    """The client's first word (RFC 8446 section 4.1.2).

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
        """Whether this asks for another ClientHello (RFC 8446 section 4.1.4)."""
        return self.random == HELLO_RETRY_REQUEST_RANDOM


@value(frozen=True, slots=True)
class EncryptedExtensions:
    """What the server agrees to, under the first keys (RFC 8446 section 4.3.1).

    struct {
        Extension extensions<0..2^16-1>;
    } EncryptedExtensions;
    """

    extensions: Extensions
    raw: bytes = field(default=b"", compare=False, repr=False)


@value(frozen=True, slots=True)
class CertificateRequest:
    """The server asks for a client certificate (RFC 8446 section 4.3.2).

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
    """Who the sender is (RFC 8446 section 4.4.2).

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
    """Proof of the private key (RFC 8446 section 4.4.3).

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
    """Proof of the whole handshake (RFC 8446 section 4.4.4).

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
    """A session to come back with (RFC 8446 section 4.6.1).

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
    """The sender goes over to its next keys (RFC 8446 section 4.6.3).

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


def read_message(raw: bytes, opener: Opener = Reader) -> Message:
    """The value of one whole handshake message, header included, read by `opener`'s reader.

    Raises `ProtocolError`: decode_error where the message does not follow its definition,
    unexpected_message for a type that TLS 1.3 does not have.
    """
    read = _READERS.get(raw[0])
    if read is None:
        raise ProtocolError(Fault.UNKNOWN_HANDSHAKE_TYPE, handshake_type_name(raw[0]))
    reader = opener(raw, handshake_type_name(raw[0]), HEADER_SIZE)
    message: Message = read(reader, raw)
    reader.end()
    return message


def write_message(message: Message) -> bytes:
    """The bytes of a handshake message, header included."""
    message_type, _, write = CODECS13[type(message)]
    body = write(message)
    return message_type.to_bytes(1, "big") + len(body).to_bytes(3, "big") + body


def read_extensions(reader: Reader, minimum: int = 0) -> dict[int, bytes]:
    """`Extension extensions<minimum..2^16-1>` (RFC 8446 section 4.2), each type at most once."""
    vector = reader.vector16("extensions", minimum)
    extensions: dict[int, bytes] = {}
    for extension_type, data in vector.pairs("extension_type", "extension_data"):
        if extension_type in extensions:
            raise ProtocolError(
                Fault.DUPLICATE_EXTENSION, f"{extension_name(extension_type)} in {reader.path}"
            )
        extensions[extension_type] = data
    return extensions


def write_extensions(extensions: Extensions) -> bytes:
    """The vector of extensions with its length."""
    # The type and the length in one number; a length that does not fit shows in that of the vector.
    return opaque16(
        b"".join(
            [
                (kind << 16 | len(data)).to_bytes(4, "big") + data
                for kind, data in extensions.items()
            ]
        )
    )


def message_hash(digest: bytes) -> bytes:
    """The synthetic message that stands for the first ClientHello (RFC 8446 section 4.4.1)."""
    return HandshakeType.MESSAGE_HASH.to_bytes(1, "big") + opaque24(digest)


def _read_client_hello(reader: Reader, raw: bytes) -> ClientHello:
    return ClientHello(
        legacy_version=reader.uint16("legacy_version"),
        random=reader.opaque("random", 32),
        legacy_session_id=reader.opaque8("legacy_session_id", 0, 32),
        cipher_suites=reader.packed16("cipher_suites"),
        legacy_compression_methods=reader.opaque8("legacy_compression_methods", 1),
        # Hellos older than TLS 1.3 may end here (RFC 5246 section 7.4.1.2).
        extensions=read_extensions(reader) if reader.more() else {},
        raw=raw,
    )


def _write_client_hello(hello: ClientHello) -> bytes:
    return b"".join(
        [
            hello.legacy_version.to_bytes(2, "big"),
            hello.random,
            opaque8(hello.legacy_session_id),
            opaque16(uint16s(hello.cipher_suites)),
            opaque8(hello.legacy_compression_methods),
            _write_hello_extensions(hello.extensions),
        ]
    )


def _read_server_hello(reader: Reader, raw: bytes) -> ServerHello:
    return ServerHello(
        legacy_version=reader.uint16("legacy_version"),
        random=reader.opaque("random", 32),
        legacy_session_id_echo=reader.opaque8("legacy_session_id_echo", 0, 32),
        cipher_suite=reader.uint16("cipher_suite"),
        legacy_compression_method=reader.uint8("legacy_compression_method"),
        extensions=read_extensions(reader) if reader.more() else {},
        raw=raw,
    )


def _write_server_hello(hello: ServerHello) -> bytes:
    return b"".join(
        [
            hello.legacy_version.to_bytes(2, "big"),
            hello.random,
            opaque8(hello.legacy_session_id_echo),
            hello.cipher_suite.to_bytes(2, "big"),
            hello.legacy_compression_method.to_bytes(1, "big"),
            _write_hello_extensions(hello.extensions),
        ]
    )


def _write_hello_extensions(extensions: Extensions) -> bytes:
    # Without extensions there is no list of them: a client older than TLS 1.2 that sent none must
    # find none in the ServerHello (RFC 5246 section 7.4.1.4).
    return write_extensions(extensions) if extensions else b""


def _read_encrypted_extensions(reader: Reader, raw: bytes) -> EncryptedExtensions:
    return EncryptedExtensions(read_extensions(reader), raw)


def _write_encrypted_extensions(message: EncryptedExtensions) -> bytes:
    return write_extensions(message.extensions)


def _read_certificate_request(reader: Reader, raw: bytes) -> CertificateRequest:
    return CertificateRequest(
        certificate_request_context=reader.opaque8("certificate_request_context"),
        extensions=read_extensions(reader, 2),
        raw=raw,
    )


def _write_certificate_request(message: CertificateRequest) -> bytes:
    return opaque8(message.certificate_request_context) + write_extensions(message.extensions)


def _read_certificate(reader: Reader, raw: bytes) -> Certificate:
    context = reader.opaque8("certificate_request_context")
    certificates = reader.vector24("certificate_list")
    entries: list[CertificateEntry] = []
    while certificates.more():
        cert_data = certificates.opaque24("cert_data", 1)
        entries.append(CertificateEntry(cert_data, read_extensions(certificates)))
    return Certificate(context, tuple(entries), raw)


def _write_certificate(message: Certificate) -> bytes:
    entries = [
        opaque24(entry.cert_data) + write_extensions(entry.extensions)
        for entry in message.certificate_list
    ]
    return opaque8(message.certificate_request_context) + opaque24(b"".join(entries))


def _read_compressed_certificate(reader: Reader, raw: bytes) -> CompressedCertificate:
    return CompressedCertificate(
        algorithm=reader.uint16("algorithm"),
        uncompressed_length=reader.uint24("uncompressed_length"),
        compressed_certificate_message=reader.opaque24("compressed_certificate_message", 1),
        raw=raw,
    )


def _write_compressed_certificate(message: CompressedCertificate) -> bytes:
    return b"".join(
        [
            message.algorithm.to_bytes(2, "big"),
            message.uncompressed_length.to_bytes(3, "big"),
            opaque24(message.compressed_certificate_message),
        ]
    )


def _read_certificate_verify(reader: Reader, raw: bytes) -> CertificateVerify:
    return CertificateVerify(reader.uint16("algorithm"), reader.opaque16("signature"), raw)


def _write_certificate_verify(message: CertificateVerify) -> bytes:
    return message.algorithm.to_bytes(2, "big") + opaque16(message.signature)


def _read_finished(reader: Reader, raw: bytes) -> Finished:
    # The length is that of the hash in use, which the key schedule knows and compares.
    return Finished(reader.opaque("verify_data", len(raw) - HEADER_SIZE), raw)


def _write_finished(message: Finished) -> bytes:
    return message.verify_data


def _read_end_of_early_data(_reader: Reader, raw: bytes) -> EndOfEarlyData:
    return EndOfEarlyData(raw)


def _write_end_of_early_data(_message: EndOfEarlyData) -> bytes:
    return b""


def _read_new_session_ticket(reader: Reader, raw: bytes) -> NewSessionTicket:
    return NewSessionTicket(
        ticket_lifetime=reader.uint32("ticket_lifetime"),
        ticket_age_add=reader.uint32("ticket_age_add"),
        ticket_nonce=reader.opaque8("ticket_nonce"),
        ticket=reader.opaque16("ticket", 1),
        extensions=read_extensions(reader),
        raw=raw,
    )


def _write_new_session_ticket(message: NewSessionTicket) -> bytes:
    return b"".join(
        [
            message.ticket_lifetime.to_bytes(4, "big"),
            message.ticket_age_add.to_bytes(4, "big"),
            opaque8(message.ticket_nonce),
            opaque16(message.ticket),
            write_extensions(message.extensions),
        ]
    )


def _read_key_update(reader: Reader, raw: bytes) -> KeyUpdate:
    request_update = reader.uint8("request_update")
    if request_update > 1:
        # RFC 8446 4.6.3: any other value is illegal_parameter.
        raise ProtocolError(Fault.ILLEGAL_VALUE, f"KeyUpdate.request_update is {request_update}")
    return KeyUpdate(bool(request_update), raw)


def _write_key_update(message: KeyUpdate) -> bytes:
    return message.request_update.to_bytes(1, "big")


Codec: TypeAlias = tuple[HandshakeType, Callable[[Reader, bytes], Any], Callable[..., bytes]]

CODECS13: dict[type[Any], Codec] = {
    ClientHello: (HandshakeType.CLIENT_HELLO, _read_client_hello, _write_client_hello),
    ServerHello: (HandshakeType.SERVER_HELLO, _read_server_hello, _write_server_hello),
    NewSessionTicket: (
        HandshakeType.NEW_SESSION_TICKET,
        _read_new_session_ticket,
        _write_new_session_ticket,
    ),
    EndOfEarlyData: (
        HandshakeType.END_OF_EARLY_DATA,
        _read_end_of_early_data,
        _write_end_of_early_data,
    ),
    EncryptedExtensions: (
        HandshakeType.ENCRYPTED_EXTENSIONS,
        _read_encrypted_extensions,
        _write_encrypted_extensions,
    ),
    CertificateRequest: (
        HandshakeType.CERTIFICATE_REQUEST,
        _read_certificate_request,
        _write_certificate_request,
    ),
    Certificate: (HandshakeType.CERTIFICATE, _read_certificate, _write_certificate),
    CompressedCertificate: (
        HandshakeType.COMPRESSED_CERTIFICATE,
        _read_compressed_certificate,
        _write_compressed_certificate,
    ),
    CertificateVerify: (
        HandshakeType.CERTIFICATE_VERIFY,
        _read_certificate_verify,
        _write_certificate_verify,
    ),
    Finished: (HandshakeType.FINISHED, _read_finished, _write_finished),
    KeyUpdate: (HandshakeType.KEY_UPDATE, _read_key_update, _write_key_update),
}
"""Type, reader and writer of each message of TLS 1.3."""

MESSAGE_TYPES: dict[type[Message], HandshakeType] = {
    message: codec[0] for message, codec in CODECS13.items()
}
"""The msg_type of each message class."""

_READERS = {codec[0].value: codec[1] for codec in CODECS13.values()}
