"""The two things in DER (X.690) that are needed here and that cryptography does not give out.

Only for DER that cryptography has parsed before: nothing is checked again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509

_VERSION = 0xA0
"""The tag of TBSCertificate.version, which certificates of version 1 leave out."""


def public_key_info(certificate: x509.Certificate) -> bytes:
    """The SubjectPublicKeyInfo as it stands in the certificate.

    cryptography would write it anew from the key: an RSASSA-PSS key as rsaEncryption, a compressed
    point as an uncompressed one. Digests over it would then be wrong.
    """
    tbs = certificate.tbs_certificate_bytes
    at, _ = _content(tbs, 0)
    if tbs[at] == _VERSION:
        _, at = _content(tbs, at)
    for _ in ("serialNumber", "signature", "issuer", "validity", "subject"):
        _, at = _content(tbs, at)
    _, end = _content(tbs, at)
    return tbs[at:end]


def octet_string(der: bytes) -> bytes:
    """What an OCTET STRING holds."""
    start, end = _content(der, 0)
    return der[start:end]


def _content(der: bytes, at: int) -> tuple[int, int]:
    """Where the content of the element at `at` starts, and where it ends."""
    length, start = der[at + 1], at + 2
    if length >= 0x80:
        # The long form: the low bits count the bytes that hold the length.
        after = start + length - 0x80
        length, start = int.from_bytes(der[start:after], "big"), after
    return start, start + length
