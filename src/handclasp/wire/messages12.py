"""The handshake messages of TLS 1.2 that are not those of TLS 1.3 (RFC 5246 section 7.4).

ClientHello, ServerHello, CertificateVerify and Finished have the same form in both, and are in
`messages`. Names that both versions use for messages of different form end in 12.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.iana import HandshakeType
from handclasp.values import field, value
from handclasp.wire.messages import HEADER_SIZE, Codec
from handclasp.wire.reader import Opener, Reader
from handclasp.wire.writer import opaque8, opaque16, opaque24, uint16s

NAMED_CURVE = 3
"""ECCurveType: the number names the group; other types are obsolete (RFC 8422 section 5.4)."""

RSA_SIGN = 1
ECDSA_SIGN = 64
"""ClientCertificateType (RFC 5246 section 7.4.4, RFC 8422 section 5.5)."""

_OCSP = 1


@value(frozen=True, slots=True)
class HelloRequest:
    """The request to renegotiate (RFC 5246 section 7.4.1.1): struct {} HelloRequest;"""

    raw: bytes = field(default=b"", compare=False, repr=False)


@value(frozen=True, slots=True)
class Certificate12:
    """The sender's certificates, or its raw public key (RFC 5246 section 7.4.2).

    struct {
        select (certificate_type) {     /* as agreed upon in the hellos: RFC 7250 section 3 */
            case RawPublicKey: opaque ASN.1_subjectPublicKeyInfo<1..2^24-1>;
            case X.509: ASN.1Cert certificate_list<0..2^24-1>;  /* opaque ASN.1Cert<1..2^24-1> */
        };
    } Certificate;

    One of the two is empty, and no message can be read as either of both: a key begins with the
    tag of a SEQUENCE, 0x30, and a list that does has a certificate of more than 3 MB.
    """

    certificate_list: tuple[bytes, ...] = field(repr=False)
    raw_public_key: bytes = field(default=b"", repr=False)
    raw: bytes = field(default=b"", compare=False, repr=False)


@value(frozen=True, slots=True)
class CertificateStatus:
    """The OCSP response for the server's certificate (RFC 6066 section 8).

    struct {
        CertificateStatusType status_type = ocsp(1);
        opaque OCSPResponse<1..2^24-1>;
    } CertificateStatus;
    """

    response: bytes = field(repr=False)
    raw: bytes = field(default=b"", compare=False, repr=False)


@value(frozen=True, slots=True)
class ServerKeyExchange:
    """The server's public value of the key exchange, signed (RFC 8422 section 5.4).

    struct {
        struct {
            ECCurveType curve_type = named_curve(3);
            NamedCurve namedcurve;
            opaque point<1..2^8-1>;
        } ServerECDHParams;
        SignatureScheme algorithm;
        opaque signature<0..2^16-1>;
    } ServerKeyExchange;
    """

    group: int
    point: bytes = field(repr=False)
    algorithm: int
    signature: bytes = field(repr=False)
    raw: bytes = field(default=b"", compare=False, repr=False)

    @property
    def params(self) -> bytes:
        """ServerECDHParams, which the signature covers, after both random values."""
        return write_ecdh_params(self.group, self.point)


@value(frozen=True, slots=True)
class CertificateRequest12:
    """The request for a client certificate (RFC 5246 section 7.4.4).

    struct {
        ClientCertificateType certificate_types<1..2^8-1>;
        SignatureAndHashAlgorithm supported_signature_algorithms<2..2^16-2>;
        DistinguishedName certificate_authorities<0..2^16-1>;
    } CertificateRequest;
    """

    certificate_types: bytes
    supported_signature_algorithms: Sequence[int]
    certificate_authorities: tuple[bytes, ...]
    raw: bytes = field(default=b"", compare=False, repr=False)


@value(frozen=True, slots=True)
class ServerHelloDone:
    """The end of the server's flight (RFC 5246 section 7.4.5): struct {} ServerHelloDone;"""

    raw: bytes = field(default=b"", compare=False, repr=False)


@value(frozen=True, slots=True)
class ClientKeyExchange:
    """The client's part of the key exchange (RFC 5246 section 7.4.7, RFC 8422 section 5.7).

    struct {
        select (KeyExchangeAlgorithm) {
            case ec_diffie_hellman: opaque ecdh_Yc<1..2^8-1>;
            case rsa:               opaque encrypted_pre_master_secret<0..2^16-1>;
        };
    } ClientKeyExchange;

    The cipher suite determines which it is: see `read_ecdh_point`, `read_encrypted_secret`.
    """

    exchange_keys: bytes = field(repr=False)
    raw: bytes = field(default=b"", compare=False, repr=False)


@value(frozen=True, slots=True)
class NewSessionTicket12:
    """A ticket, with which the session can be resumed (RFC 5077 section 3.3), or none if it is
    empty.

    struct {
        uint32 ticket_lifetime_hint;
        opaque ticket<0..2^16-1>;
    } NewSessionTicket;
    """

    ticket_lifetime_hint: int
    ticket: bytes = field(repr=False)
    raw: bytes = field(default=b"", compare=False, repr=False)


Message12: TypeAlias = (
    HelloRequest
    | Certificate12
    | CertificateStatus
    | ServerKeyExchange
    | CertificateRequest12
    | ServerHelloDone
    | ClientKeyExchange
    | NewSessionTicket12
)


def write_ecdh_params(group: int, point: bytes) -> bytes:
    """Write ServerECDHParams (RFC 8422 section 5.4)."""
    return NAMED_CURVE.to_bytes(1, "big") + group.to_bytes(2, "big") + opaque8(point)


def read_ecdh_point(exchange_keys: bytes, opener: Opener = Reader) -> bytes:
    """Read the client's public value of a ClientKeyExchange of ECDHE."""
    reader = opener(exchange_keys, "ClientKeyExchange")
    point = reader.opaque8("ecdh_Yc", 1)
    reader.end()
    return point


def write_ecdh_point(point: bytes) -> bytes:
    """Write the content of a ClientKeyExchange of ECDHE."""
    return opaque8(point)


def read_encrypted_secret(exchange_keys: bytes, opener: Opener = Reader) -> bytes:
    """Read the EncryptedPreMasterSecret of a ClientKeyExchange of RSA (RFC 5246 7.4.7.1)."""
    reader = opener(exchange_keys, "ClientKeyExchange")
    encrypted = reader.opaque16("encrypted_pre_master_secret")
    reader.end()
    return encrypted


def write_encrypted_secret(encrypted: bytes) -> bytes:
    """Write the content of a ClientKeyExchange of RSA."""
    return opaque16(encrypted)


def _read_hello_request(_reader: Reader, raw: bytes) -> HelloRequest:
    return HelloRequest(raw)


def _write_nothing(_message: HelloRequest | ServerHelloDone) -> bytes:
    return b""


def _read_certificate(reader: Reader, raw: bytes) -> Certificate12:
    if raw.startswith(_SEQUENCE, _CONTENT) and len(raw) < _LEAST_LIST_LIKE_A_KEY:
        return Certificate12((), reader.opaque24("subjectPublicKeyInfo", 1), raw)
    vector = reader.vector24("certificate_list")
    certificates: list[bytes] = []
    while vector.more():
        certificates.append(vector.opaque24("ASN.1Cert", 1))
    return Certificate12(tuple(certificates), raw=raw)


_SEQUENCE = b"\x30"
_CONTENT = HEADER_SIZE + 3
_LEAST_LIST_LIKE_A_KEY = 0x300000


def _write_certificate(message: Certificate12) -> bytes:
    if message.raw_public_key:
        return opaque24(message.raw_public_key)
    return opaque24(b"".join([opaque24(each) for each in message.certificate_list]))


def _read_certificate_status(reader: Reader, raw: bytes) -> CertificateStatus:
    status_type = reader.uint8("status_type")
    if status_type != _OCSP:
        raise ProtocolError(Fault.ILLEGAL_VALUE, f"CertificateStatus is of type {status_type}")
    return CertificateStatus(reader.opaque24("OCSPResponse", 1), raw)


def _write_certificate_status(message: CertificateStatus) -> bytes:
    return _OCSP.to_bytes(1, "big") + opaque24(message.response)


def _read_server_key_exchange(reader: Reader, raw: bytes) -> ServerKeyExchange:
    curve_type = reader.uint8("curve_type")
    if curve_type != NAMED_CURVE:
        raise ProtocolError(Fault.ILLEGAL_VALUE, f"ServerKeyExchange.curve_type is {curve_type}")
    return ServerKeyExchange(
        group=reader.uint16("namedcurve"),
        point=reader.opaque8("point", 1),
        algorithm=reader.uint16("algorithm"),
        signature=reader.opaque16("signature"),
        raw=raw,
    )


def _write_server_key_exchange(message: ServerKeyExchange) -> bytes:
    return message.params + message.algorithm.to_bytes(2, "big") + opaque16(message.signature)


def _read_certificate_request(reader: Reader, raw: bytes) -> CertificateRequest12:
    types = reader.opaque8("certificate_types", 1)
    schemes = reader.packed16("supported_signature_algorithms")
    vector = reader.vector16("certificate_authorities")
    authorities = tuple(vector.opaques16("DistinguishedName", 1))
    return CertificateRequest12(types, schemes, authorities, raw)


def _write_certificate_request(message: CertificateRequest12) -> bytes:
    return b"".join(
        [
            opaque8(message.certificate_types),
            opaque16(uint16s(message.supported_signature_algorithms)),
            opaque16(b"".join([opaque16(name) for name in message.certificate_authorities])),
        ]
    )


def _read_server_hello_done(_reader: Reader, raw: bytes) -> ServerHelloDone:
    return ServerHelloDone(raw)


def _read_client_key_exchange(reader: Reader, raw: bytes) -> ClientKeyExchange:
    return ClientKeyExchange(reader.opaque("exchange_keys", len(raw) - HEADER_SIZE), raw)


def _write_client_key_exchange(message: ClientKeyExchange) -> bytes:
    return message.exchange_keys


def _read_new_session_ticket(reader: Reader, raw: bytes) -> NewSessionTicket12:
    return NewSessionTicket12(reader.uint32("ticket_lifetime_hint"), reader.opaque16("ticket"), raw)


def _write_new_session_ticket(message: NewSessionTicket12) -> bytes:
    return message.ticket_lifetime_hint.to_bytes(4, "big") + opaque16(message.ticket)


CODECS12: dict[type[Any], Codec] = {
    HelloRequest: (HandshakeType.HELLO_REQUEST, _read_hello_request, _write_nothing),
    Certificate12: (HandshakeType.CERTIFICATE, _read_certificate, _write_certificate),
    CertificateStatus: (
        HandshakeType.CERTIFICATE_STATUS,
        _read_certificate_status,
        _write_certificate_status,
    ),
    ServerKeyExchange: (
        HandshakeType.SERVER_KEY_EXCHANGE,
        _read_server_key_exchange,
        _write_server_key_exchange,
    ),
    CertificateRequest12: (
        HandshakeType.CERTIFICATE_REQUEST,
        _read_certificate_request,
        _write_certificate_request,
    ),
    ServerHelloDone: (HandshakeType.SERVER_HELLO_DONE, _read_server_hello_done, _write_nothing),
    ClientKeyExchange: (
        HandshakeType.CLIENT_KEY_EXCHANGE,
        _read_client_key_exchange,
        _write_client_key_exchange,
    ),
    NewSessionTicket12: (
        HandshakeType.NEW_SESSION_TICKET,
        _read_new_session_ticket,
        _write_new_session_ticket,
    ),
}
"""The type, reader and writer of each message of TLS 1.2 alone."""
