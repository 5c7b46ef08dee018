"""The few things in DER (X.690) that are needed here and that cryptography does not give out.

Only for DER that cryptography has parsed before: nothing is checked again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from handclasp.deferred import DeferredModule

if TYPE_CHECKING:
    from cryptography import x509
else:
    x509 = DeferredModule("cryptography.x509")

_VERSION, _EXTENSIONS = 0xA0, 0xA3
"""The tags of TBSCertificate.version, which certificates of version 1 leave out, and extensions."""

_BOOLEAN, _SEQUENCE = 0x01, 0x30
_LONG_FORM = 0x80


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


def names_and_extensions_size(certificate: bytes) -> tuple[bytes, bytes, int]:
    """Return the names of issuer and subject, and about how many bytes the extensions take.

    All that follows the subjectPublicKeyInfo is counted: the identifiers of version 2, too.
    """
    tbs, _ = _content(certificate, 0)
    _, end = _content(certificate, tbs)
    issuer, validity, subject, key, after = _positions(certificate, tbs)[1:]
    return certificate[issuer:validity], certificate[subject:key], end - after


def extensions_size(certificate: bytes) -> int:
    """Return about how many bytes the extensions take in a certificate in DER."""
    return names_and_extensions_size(certificate)[2]


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
    ends: list[int] = []  # Of serialNumber and the five, each of which starts at the end before.
    for _ in range(6):
        length = der[at + 1]
        at = at + 2 + length if length < _LONG_FORM else _content(der, at)[1]
        ends.append(at)
    signature, issuer, validity, subject, key, after = ends
    return signature, issuer, validity, subject, key, after


def elements(der: bytes) -> list[tuple[int, bytes]]:
    """Return tag and content of each element of a SEQUENCE.

    Unlike in the other functions here, `der` may be anything: it may not have been parsed yet.

    Raises:
        ValueError: it is not a SEQUENCE of complete elements.
    """
    found: list[tuple[int, bytes]] = []
    at, end = 0, -1
    try:
        at, end = _content(der, 0)
        is_whole = der[0] == _SEQUENCE and end == len(der)
        while is_whole and at < end:
            length, start = der[at + 1], at + 2
            stop = start + length
            if length >= _LONG_FORM:
                start, stop = _content(der, at)
            found.append((der[at], der[start:stop]))
            at = stop
    except IndexError:
        is_whole = False
    if not is_whole or at != end:
        raise ValueError("not a SEQUENCE of complete elements")
    return found


def size_without(der: bytes, tag: int, most: int) -> int:
    """Return how many bytes of a SEQUENCE are not the contents of elements of this tag.

    The elements are counted until there are more than `most` such bytes. As for `elements`, `der`
    may be anything: of what is not a SEQUENCE of complete elements, every byte counts.
    """
    size = 0
    try:
        at, end = _content(der, 0)
        while at < end and size <= most:
            start, stop = _content(der, at)
            size += start - at if der[at] == tag else stop - at
            at = stop
        is_whole = der[0] == _SEQUENCE and end == len(der) and at <= end
    except IndexError:
        is_whole = False
    return size if is_whole else len(der)


def octet_string(der: bytes) -> bytes:
    """Return the content of an OCTET STRING."""
    start, end = _content(der, 0)
    return der[start:end]


def _content(der: bytes, at: int) -> tuple[int, int]:
    """Return where the content of the element at `at` starts, and where it ends."""
    length, start = der[at + 1], at + 2
    if length >= _LONG_FORM:
        # The long form: the low bits count the bytes that hold the length.
        after = start + length - _LONG_FORM
        length, start = int.from_bytes(der[start:after], "big"), after
    return start, start + length
