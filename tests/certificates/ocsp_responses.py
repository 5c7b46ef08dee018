"""OCSP responses for tests: good ones, and whatever an attacker or a careless responder makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.pki import DAY, Authority, Leaf, authority_certificate, key_of_type, leaf_builder, sign

HOUR = timedelta(hours=1)
GOOD = ocsp.OCSPCertStatus.GOOD
REVOKED = ocsp.OCSPCertStatus.REVOKED
UNKNOWN = ocsp.OCSPCertStatus.UNKNOWN
BY_HASH = ocsp.OCSPResponderEncoding.HASH
BY_NAME = ocsp.OCSPResponderEncoding.NAME

ECDSA_WITH = {
    "sha1": bytes.fromhex("06072a8648ce3d0401"),
    "sha224": bytes.fromhex("06082a8648ce3d040301"),
    "sha256": bytes.fromhex("06082a8648ce3d040302"),
}


@dataclass(frozen=True)
class Response:
    """What to put into a response. The defaults make a good one, signed by the issuer."""

    status: ocsp.OCSPCertStatus = GOOD
    this_update: timedelta = -HOUR
    next_update: timedelta | None = DAY
    revoked: timedelta = -2 * HOUR
    reason: x509.ReasonFlags | None = None
    id_hash: hashes.HashAlgorithm = field(default_factory=hashes.SHA1)
    encoding: ocsp.OCSPResponderEncoding = BY_HASH
    responder: x509.Certificate | None = None
    key: Any = None
    forger: Any = None
    included: Sequence[x509.Certificate] = ()
    extension: tuple[x509.ExtensionType, bool] | None = None

    def about(self, leaf: x509.Certificate, authority: Authority) -> bytes:
        response = self.signed(leaf, authority)
        if self.forger is not None:
            return wrapped(response.tbs_response_bytes, self.forger, self.included)
        return response.public_bytes(Encoding.DER)

    def signed(self, leaf: x509.Certificate, authority: Authority) -> ocsp.OCSPResponse:
        now, revoked = authority.now, self.status is REVOKED
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                cert=leaf,
                issuer=authority.certificate,
                algorithm=self.id_hash,
                cert_status=self.status,
                this_update=now + self.this_update,
                next_update=None if self.next_update is None else now + self.next_update,
                revocation_time=now + self.revoked if revoked else None,
                revocation_reason=self.reason if revoked else None,
            )
            .responder_id(self.encoding, self.responder or authority.certificate)
        )
        if self.included:
            builder = builder.certificates(self.included)
        if self.extension is not None:
            builder = builder.add_extension(*self.extension)
        key = self.key or authority.key
        return builder.sign(key, hash_for(key))


def hash_for(key: Any) -> hashes.SHA256 | None:
    needs_one = isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    return hashes.SHA256() if needs_one else None


def responder(
    authority: Authority,
    *,
    key_type: str = "ecdsa-p384",
    purpose: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.OCSP_SIGNING,
    issuer_key: Any = None,
    hash_: Any = None,
    extra: tuple[x509.ExtensionType, bool] | None = None,
    **leaf: Any,
) -> tuple[x509.Certificate, Any]:
    """A responder's certificate of an authority, and its key."""
    key = key_of_type(key_type)
    described = Leaf((), common_name="the responder", purpose=purpose, **leaf)
    builder = leaf_builder(
        described, key.public_key(), authority.certificate.subject, authority.now
    )
    if extra is not None:
        builder = builder.add_extension(extra[0], critical=extra[1])
    signer = issuer_key or authority.key
    certificate = builder.sign(signer, hash_) if hash_ is not None else sign(builder, signer)
    return certificate, key


def namesake(authority: Authority, key_type: str) -> Authority:
    """Another authority of the same name with another key."""
    name = authority.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    key = key_of_type(key_type, number=77)
    subject = authority.certificate.subject
    certificate = authority_certificate(str(name), key.public_key(), subject, key, authority.now)
    return Authority(certificate, key, (), authority.now)


def with_serial_of(leaf: x509.Certificate, authority: Authority) -> x509.Certificate:
    """A certificate of another authority with the serial number and the key of `leaf`."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(leaf.subject)
        .issuer_name(authority.certificate.subject)
        .public_key(leaf.public_key())
        .serial_number(leaf.serial_number)
        .not_valid_before(authority.now - DAY)
        .not_valid_after(authority.now + DAY)
    )
    return sign(builder, authority.key)


def several(responses: Sequence[ocsp.OCSPResponse], key: Any) -> bytes:
    """One response with the answers of all, signed anew with a P-256 key.

    cryptography builds none with more than one answer.
    """
    singles = [elements(inside(elements(inside(r.tbs_response_bytes))[2]))[0] for r in responses]
    first = elements(inside(responses[0].tbs_response_bytes))
    return wrapped(tlv(0x30, first[0], first[1], tlv(0x30, *singles), *first[3:]), key)


def wrapped(
    data: bytes,
    key: Any,
    included: Sequence[x509.Certificate] = (),
    hash_: hashes.HashAlgorithm | None = None,
) -> bytes:
    """A response around ResponseData that says ECDSA, whatever key signs it, with any hash."""
    hash_ = hash_ or hashes.SHA256()
    is_ec = isinstance(key, ec.EllipticCurvePrivateKey)
    signature = key.sign(data, ec.ECDSA(hash_)) if is_ec else key.sign(data)
    parts = [data, tlv(0x30, ECDSA_WITH[hash_.name]), tlv(0x03, b"\0", signature)]
    if included:
        certificates = [certificate.public_bytes(Encoding.DER) for certificate in included]
        parts.append(tlv(0xA0, tlv(0x30, *certificates)))
    kind = bytes.fromhex("06092b0601050507300101")
    basic = tlv(0x04, tlv(0x30, *parts))
    return tlv(0x30, b"\x0a\x01\x00", tlv(0xA0, tlv(0x30, kind, basic)))


def tlv(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    if len(content) < 128:
        return bytes((tag, len(content))) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def inside(element: bytes) -> bytes:
    return element[_header(element)[0] :]


def elements(content: bytes) -> list[bytes]:
    found: list[bytes] = []
    while content:
        header, length = _header(content)
        found.append(content[: header + length])
        content = content[header + length :]
    return found


def _header(element: bytes) -> tuple[int, int]:
    if element[1] < 128:
        return 2, element[1]
    size = element[1] & 0x7F
    return 2 + size, int.from_bytes(element[2 : 2 + size], "big")


def ends_at(authority: Authority, after: timedelta) -> datetime:
    """A time as DER has it: whole seconds."""
    return (authority.now + after).replace(microsecond=0)
