"""The few things in DER (X.690) that are needed here and that cryptography does not give out.

Only for DER that cryptography has parsed before: nothing is checked again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509

_VERSION, _EXTENSIONS = 0xA0, 0xA3
"""The tags of TBSCertificate.version, which certificates of version 1 leave out, and extensions."""

_BOOLEAN = 1


def public_key_info(certificate: x509.Certificate) -> bytes:
    """Return the SubjectPublicKeyInfo, in the encoding of the certificate.

    cryptography would write it anew from the key: an RSASSA-PSS key as rsaEncryption, a compressed
    point as an uncompressed one. Digests over it would then be wrong.
    """
    tbs = certificate.tbs_certificate_bytes
    at, end = _positions(tbs, 0)[4:]
    return tbs[at:end]


def key_info_in(certificate: bytes) -> bytes:
    """Return the SubjectPublicKeyInfo of a certificate in DER."""
    at, end = _positions(certificate, _content(certificate, 0)[0])[4:]
    return certificate[at:end]


def issuer_and_subject(certificate: bytes) -> tuple[bytes, bytes]:
    """Return the names of issuer and subject in the encoding of a certificate in DER."""
    issuer, validity, subject, key, _ = _positions(certificate, _content(certificate, 0)[0])[1:]
    return certificate[issuer:validity], certificate[subject:key]


def extensions_size(certificate: bytes) -> int:
    """Return about how many bytes the extensions take in a certificate in DER.

    All that follows the subjectPublicKeyInfo is counted: the identifiers of version 2, too.
    """
    tbs = _content(certificate, 0)[0]
    return _content(certificate, tbs)[1] - _positions(certificate, tbs)[5]


def extension_values(certificate: x509.Certificate, oid: bytes) -> list[bytes]:
    """Return the extnValue of each extension of this kind, whatever the other extensions are.

    cryptography gives none of them out where one cannot be read. `oid` is an OBJECT IDENTIFIER with
    its tag and length.
    """
    tbs = certificate.tbs_certificate_bytes
    at, end = _positions(tbs, 0)[5], _content(tbs, 0)[1]
    while at < end and tbs[at] != _EXTENSIONS:
        _, at = _content(tbs, at)  # One of the unique identifiers.
    if at >= end:
        return []
    at, end = _content(tbs, _content(tbs, at)[0])
    values: list[bytes] = []
    while at < end:
        kind, after = _content(tbs, at)
        value = _content(tbs, kind)[1]
        if tbs[value] == _BOOLEAN:
            _, value = _content(tbs, value)
        if tbs[kind : kind + len(oid)] == oid:
            start, stop = _content(tbs, value)
            values.append(tbs[start:stop])
        at = after
    return values


def _positions(der: bytes, tbs: int) -> tuple[int, int, int, int, int, int]:
    """Return where signature, issuer, validity, subject and subjectPublicKeyInfo start in the
    TBSCertificate at `tbs`, and where the last of them ends.
    """
    at, _ = _content(der, tbs)
    if der[at] == _VERSION:
        _, at = _content(der, at)
    _, signature = _content(der, at)  # After the serialNumber.
    _, issuer = _content(der, signature)
    _, validity = _content(der, issuer)
    _, subject = _content(der, validity)
    _, key = _content(der, subject)
    return signature, issuer, validity, subject, key, _content(der, key)[1]


def octet_string(der: bytes) -> bytes:
    """Return the content of an OCTET STRING."""
    start, end = _content(der, 0)
    return der[start:end]


def _content(der: bytes, at: int) -> tuple[int, int]:
    """Return where the content of the element at `at` starts, and where it ends."""
    length, start = der[at + 1], at + 2
    if length >= 0x80:
        # The long form: the low bits count the bytes that hold the length.
        after = start + length - 0x80
        length, start = int.from_bytes(der[start:after], "big"), after
    return start, start + length
