"""A certificate in a few words, on top of `certificates.describe`; all of it is safe to print."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from handclasp import wording
from handclasp.wording import listed

if TYPE_CHECKING:
    from cryptography import x509

    from handclasp import TrustStore


def subject_of(certificate: x509.Certificate) -> str:
    """Return the subject of a certificate."""
    return _described(certificate, "subject")["subject"] or "(no subject)"


def issuer_of(certificate: x509.Certificate) -> str:
    """Return the issuer of a certificate."""
    return _described(certificate, "issuer")["issuer"] or "(no issuer)"


def key_of(certificate: x509.Certificate) -> str:
    """Kind and size of its public key."""
    described = _described(certificate, "key_type", "key_size")
    kind, size = described["key_type"], described["key_size"]
    return f"{kind}, {size} bits" if size and str(size) not in kind else str(kind)


def names_of(certificate: x509.Certificate, most: int = 4) -> str:
    """Return the first few names of a certificate."""
    from handclasp.certificates.describe import first_names

    names, count = first_names(certificate, most)
    return listed(names, most, none="no name at all", count=count)


def dates_of(certificate: x509.Certificate, now: datetime) -> str:
    """Return the dates of a certificate, and their distance from now."""
    from handclasp.certificates.reading import read_or_none

    dates = read_or_none(
        lambda: (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
    )
    if dates is None:
        return "from and to when cannot be read"
    begin, end = dates
    span = f"{begin:%Y-%m-%d} to {end:%Y-%m-%d}"
    if now < begin:
        return f"{span}, not valid yet"
    if now > end:
        return f"{span}, expired {_days((now - end).days)} ago"
    return f"{span}, {_days((end - now).days)} left"


def trust_anchor_of(
    chain: Sequence[x509.Certificate], trust: TrustStore
) -> x509.Certificate | None:
    """Return the authority in `trust` to which a verified chain leads; None if that is unclear."""
    for certificate in chain:
        if certificate in trust.anchors:
            return certificate
        for anchor in trust.anchors:
            if anchor.subject == certificate.issuer and _issued(anchor, certificate):
                return anchor
    return None


def printable(text: str, limit: int = 300) -> str:
    """Without control characters, which would otherwise reach the terminal, and not too long."""
    return wording.printable(text, limit)


def _described(certificate: x509.Certificate, *keys: str) -> dict[str, Any]:
    from handclasp.certificates.describe import described

    return described(certificate, *keys)


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    from handclasp.certificates.reading import is_issued_by

    return bool(is_issued_by(certificate, issuer))


def _days(count: int) -> str:
    return f"{count} day" if count == 1 else f"{count} days"
