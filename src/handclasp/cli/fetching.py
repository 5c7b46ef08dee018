"""The certificate of an issuer, fetched from the place that a certificate names for it."""

from __future__ import annotations

from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.request import urlopen

from handclasp.certificates.doctor import issues
from handclasp.certificates.reading import certificates_of, pkcs7_certificates_of

if TYPE_CHECKING:
    from cryptography import x509

    from handclasp import TrustStore
    from handclasp.certificates.doctor import MendedChain

MOST_FETCHED = 4
"""The issuers that are fetched for one chain."""
_LARGEST = 256 * 1024
_SECONDS = 10.0


def fetch_missing(
    certificates: list[x509.Certificate], trust: TrustStore
) -> tuple[MendedChain, list[str]]:
    """Return the mended chain with the issuers that could be fetched, and what was done."""
    from handclasp.certificates.doctor import mend

    told: list[str] = []
    mended = mend(certificates, trust)
    while mended.missing is not None and len(told) < MOST_FETCHED:
        found = _first_issuer(mended.chain[-1], mended.missing.urls, told)
        if found is None:
            break
        certificates = [*certificates, found]
        mended = mend(certificates, trust)
    return mended, told


def _first_issuer(
    certificate: x509.Certificate, urls: tuple[str, ...], told: list[str]
) -> x509.Certificate | None:
    if not urls:
        told.append("The certificate does not say where that of its issuer is.")
    for url in urls[:MOST_FETCHED]:
        try:
            data = _fetched(url)
        except (OSError, ValueError, HTTPException) as error:
            told.append(f"{url} cannot be fetched: {error}.")
            continue
        for read in (certificates_of, pkcs7_certificates_of):
            try:
                issuer = next((each for each in read(data) if issues(each, certificate)), None)
            except ValueError:
                continue
            if issuer is not None:
                told.append(f"{url} has the issuer's certificate.")
                return issuer
        told.append(f"{url} has no certificate of the issuer.")
    return None


def _fetched(url: str) -> bytes:
    # It is one of the web, and so is any that it leads to.
    with urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310
        data: bytes = answer.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise ValueError(f"it has more than {_LARGEST:,} bytes")
    return data
