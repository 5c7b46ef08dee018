"""The Certificate message, both ways, and what comes along (RFC 8446 section 4.4.2).

Along come a stapled OCSP response (RFC 6066), signed certificate timestamps (RFC 6962), a raw
public key instead of certificates (RFC 7250), and compression (RFC 8879). Each side asks for what
it wants by extensions: the client in its ClientHello, the server in its CertificateRequest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from handclasp.certificates.credentials import Credentials
from handclasp.certificates.trust import TrustStore
from handclasp.config import SharedConfig
from handclasp.config.hello_size import MAX_AUTHORITIES
from handclasp.crypto.signatures import CERTIFICATE_SIGNATURE_SCHEMES, SIGNATURE_SCHEMES
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.hooks import staple_of
from handclasp.handshake.peer import PeerCertificate
from handclasp.iana import ExtensionType, HandshakeType
from handclasp.kept import Kept, KeptResults
from handclasp.limits import Limits
from handclasp.values import value
from handclasp.wire import extensions as ext
from handclasp.wire.codecs import read_as
from handclasp.wire.compression import (
    COMPRESSION_ALGORITHMS,
    DecompressionError,
    certificate_within,
    compress,
)
from handclasp.wire.extension_table import MessageContext
from handclasp.wire.memoize import Reading
from handclasp.wire.messages import (
    HEADER_SIZE,
    Certificate,
    CertificateEntry,
    CompressedCertificate,
    write_message,
)
from handclasp.wire.rules import check_answer, check_forms

_MOST_COMPRESSED = 2**21
"""Bytes of this side's messages that are kept, with what they were compressed to.

The peer chooses among the names, algorithms and extensions of this side, and compressing takes
longer than all the rest of a handshake: it must not be able to have that done again and again.
"""

_MOST_WRITTEN = 2**20
"""Bytes of this side's messages, as they are written, that a config keeps."""

_MOST_KEPT = 2**14
"""Bytes of a peer's message, and of what it holds, that are worth keeping: it may be as long as it
likes."""

_KEPT_FOR_EACH = 3
"""Bytes that are kept for each byte of it: the message, how it came, the objects around them."""


@value(frozen=True, slots=True)
class Asked:
    """The request of this side, which bounds the answer.

    Attributes:
        extensions: those of the message that asked.
        certificate_type: "X509" or "RawPublicKey", as agreed upon.
    """

    extensions: Collection[int]
    certificate_type: str
    compression: Sequence[str]
    limits: Limits


def read_certificate(reading: Reading, raw: bytes, asked: Asked) -> PeerCertificate:
    """Return the content of a Certificate or a CompressedCertificate. Raises `ProtocolError`.

    A server sends the same message to each client that it has. What a config asks for by `asked`
    that bears on this is the same in each handshake, but for the type of certificate.
    """
    key = read_certificate, (raw, asked.certificate_type)
    shown: PeerCertificate | None = reading.known(key)
    if shown is None:
        shown = _read_certificate(raw, asked)
        size = sum(map(len, shown.chain)) + len(raw)
        if size <= _MOST_KEPT:
            reading.note(key, shown, _KEPT_FOR_EACH * size)
    return shown


def _read_certificate(raw: bytes, asked: Asked) -> PeerCertificate:
    is_plain = raw[0] == HandshakeType.CERTIFICATE
    message: Certificate | CompressedCertificate
    message = read_as(Certificate if is_plain else CompressedCertificate, raw)
    compression: str | None = None
    if isinstance(message, CompressedCertificate):
        message, compression = decompressed(message, asked)
    if message.certificate_request_context:
        # RFC 8446 4.4.2: it has a length of zero in the handshake.
        raise ProtocolError(Fault.BAD_CERTIFICATE_REQUEST_CONTEXT, "it is not empty")
    return read_entries(message, asked, compression)


def read_entries(message: Certificate, asked: Asked, compression: str | None) -> PeerCertificate:
    """Return what a message holds, whose context was checked. Raises `ProtocolError`.

    `compression` is the algorithm in which it came, if it was compressed.
    """
    entries = message.certificate_list
    if len(entries) > asked.limits.max_certificates:
        raise ProtocolError(Fault.TOO_MANY_CERTIFICATES, f"{len(entries)} certificates")
    if asked.certificate_type == "RawPublicKey" and len(entries) > 1:
        raise ProtocolError(Fault.ILLEGAL_VALUE, f"{len(entries)} entries for one raw public key")
    for entry in entries:
        if entry.extensions:
            check_answer(
                entry.extensions, MessageContext.CT, asked.extensions, asked.limits.max_extensions
            )
            check_forms(entry.extensions, MessageContext.CT)
    of_leaf: Mapping[int, bytes] = entries[0].extensions if entries else {}
    status = of_leaf.get(ExtensionType.STATUS_REQUEST)
    return PeerCertificate(
        chain=tuple([entry.cert_data for entry in entries]),
        certificate_type=asked.certificate_type,
        ocsp_response=ext.read_certificate_status(status) if status is not None else None,
        sct_list=of_leaf.get(ExtensionType.SIGNED_CERTIFICATE_TIMESTAMP),
        compression=compression,
    )


def decompressed(message: CompressedCertificate, asked: Asked) -> tuple[Certificate, str]:
    """Return the message inside (RFC 8879 section 4); check its length before inflating it."""
    named = [
        name for name in asked.compression if message.algorithm == COMPRESSION_ALGORITHMS[name]
    ]
    if not named:
        raise ProtocolError(
            Fault.ILLEGAL_VALUE, f"compressed in algorithm {message.algorithm}, not offered"
        )
    length = message.uncompressed_length
    if length > asked.limits.max_certificate_bytes:
        detail = (
            f"it announces {length} bytes, and {asked.limits.max_certificate_bytes} are accepted"
        )
        raise ProtocolError(Fault.BAD_COMPRESSED_CERTIFICATE, detail)
    try:
        return certificate_within(message, named[0]), named[0]
    except DecompressionError as error:
        raise ProtocolError(Fault.BAD_COMPRESSED_CERTIFICATE, str(error)) from None


def send_certificate(
    hs: HandshakeContext,
    config: SharedConfig,
    credentials: Credentials | None,
    asked: Mapping[int, bytes],
    asked_in: MessageContext,
    compression: Collection[int] = (),
) -> None:
    """This side's certificates, leaf first, with what the peer `asked` for by extensions.

    Args:
        credentials: None sends a message that says that there are none.
        asked: the extensions of a ClientHello (CH) or of a CertificateRequest (CR).
        compression: the algorithms that the peer named there.
    """
    hs.show(credentials.chain_der if credentials is not None else ())
    if credentials is None:
        hs.send(Certificate(b"", ()))
        return
    along: dict[int, bytes] = {}
    if credentials.staple is not None or credentials.sct_list is not None:
        along = _leaf_extensions(config, credentials, asked, asked_in)
    algorithm = ""
    for name in config.certificate_compression or ():
        if COMPRESSION_ALGORITHMS[name] in compression:
            algorithm = name
            break
    kept: Kept[Any, bytes] = config.derived.once("written certificates", _nothing_written, config)
    key = credentials.chain_der, algorithm, *along.items()
    raw = kept.get(key)
    if raw is None:
        raw = _written(credentials.chain_der, tuple(along.items()))
        if algorithm:
            raw = _smaller(algorithm, raw)
        kept.keep(key, raw, 2 * len(raw))
    hs.is_stapled = ExtensionType.STATUS_REQUEST in along
    hs.send_raw(raw)


def _nothing_written(_: object) -> Kept[Any, bytes]:
    return Kept(_MOST_WRITTEN)


def _written(chain: tuple[bytes, ...], along: tuple[tuple[int, bytes], ...]) -> bytes:
    """Return a Certificate message; `along` are the extensions of the leaf."""
    leaf, *others = chain
    entries = [CertificateEntry(leaf, dict(along)), *[CertificateEntry(der, {}) for der in others]]
    return write_message(Certificate(b"", tuple(entries)))


def write_answer(
    config: SharedConfig, credentials: Credentials, asked: Mapping[int, bytes], context: bytes
) -> Certificate:
    """Return a client's certificates for a request of this context, which no other message has.

    They are not compressed: nobody could use the result a second time.
    """
    along = _leaf_extensions(config, credentials, asked, MessageContext.CR)
    leaf, *others = credentials.chain_der
    entries = [CertificateEntry(leaf, along), *[CertificateEntry(der, {}) for der in others]]
    return Certificate(context, tuple(entries))


def has_status(message: Certificate) -> bool:
    """Return whether an OCSP response is stapled to the leaf."""
    return ExtensionType.STATUS_REQUEST in message.certificate_list[0].extensions


def _leaf_extensions(
    config: SharedConfig,
    credentials: Credentials,
    asked: Mapping[int, bytes],
    asked_in: MessageContext,
) -> dict[int, bytes]:
    extensions: dict[int, bytes] = {}
    if credentials.staple is not None and _wants_status(asked, asked_in):
        response = staple_of(credentials, config.clock())
        if response is not None:
            extensions[ExtensionType.STATUS_REQUEST] = ext.write_certificate_status(response)
    if credentials.sct_list is not None and ExtensionType.SIGNED_CERTIFICATE_TIMESTAMP in asked:
        extensions[ExtensionType.SIGNED_CERTIFICATE_TIMESTAMP] = credentials.sct_list
    return extensions


def _wants_status(asked: Mapping[int, bytes], asked_in: MessageContext) -> bool:
    data = asked.get(ExtensionType.STATUS_REQUEST)
    if data is None:
        return False
    # RFC 8446 4.4.2.1: it is empty in a CertificateRequest. OpenSSL before 1.1.1d put a response
    # of its own there, which cannot be used here, and asks anyway.
    return asked_in is MessageContext.CR or ext.read_status_request(data)


def _compressed(name: str, raw: bytes) -> bytes:
    """Return a Certificate message as CompressedCertificate, if that is any smaller."""
    body = raw[HEADER_SIZE:]
    packed = compress(name, body)
    message = CompressedCertificate(COMPRESSION_ALGORITHMS[name], len(body), packed)
    return min(raw, write_message(message), key=len)


_smaller = KeptResults(_compressed, _MOST_COMPRESSED)


def asking_extensions(
    *,
    schemes: tuple[str, ...],
    compression: tuple[str, ...],
    status_request: bytes | None,
    authorities: TrustStore | None,
    timestamps: bool = False,
) -> dict[int, bytes]:
    """Return the extensions by which a ClientHello and a CertificateRequest ask the same.

    Args:
        status_request: what that extension holds, which differs between the two; None leaves it
            out, and, unless they are asked for by themselves, the timestamps with it.
        authorities: whose names to send, unless the list is too long to be of use.
    """
    extensions: dict[int, bytes] = {
        ExtensionType.SIGNATURE_ALGORITHMS: ext.write_signature_algorithms(
            [SIGNATURE_SCHEMES[name].code for name in schemes]
        ),
        ExtensionType.SIGNATURE_ALGORITHMS_CERT: ext.write_signature_algorithms(
            CERTIFICATE_SIGNATURE_SCHEMES
        ),
    }
    if status_request is not None:
        extensions[ExtensionType.STATUS_REQUEST] = status_request
    if status_request is not None or timestamps:
        extensions[ExtensionType.SIGNED_CERTIFICATE_TIMESTAMP] = b""
    if compression:
        extensions[ExtensionType.COMPRESS_CERTIFICATE] = ext.write_compress_certificate(
            [COMPRESSION_ALGORITHMS[name] for name in compression]
        )
    if authorities is not None:
        names = authorities.subjects()
        if names and sum(map(len, names)) <= MAX_AUTHORITIES:
            data = ext.write_certificate_authorities(names)
            extensions[ExtensionType.CERTIFICATE_AUTHORITIES] = data
    return extensions
