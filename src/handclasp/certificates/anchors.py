"""Trust anchors out of bytes: PEM bundles or single DER certificates.

What the user names must be right, each certificate of it. A system's store is taken as it is,
without the entries that cannot be read.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from handclasp.certificates.loading import capital, other_format, read_file
from handclasp.certificates.reading import certificate_of, read_or_value_error
from handclasp.deferred import DeferredModule
from handclasp.errors import ConfigurationError, path_errors
from handclasp.wording import printable

if TYPE_CHECKING:
    from cryptography import x509
else:
    x509 = DeferredModule("cryptography.x509")

_BEGIN = b"-----BEGIN CERTIFICATE-----"
_END = b"-----END CERTIFICATE-----"
_SEQUENCE = b"\x30"
_CERTIFICATE_NAME = re.compile(r".+\.(pem|crt|cer|der)|[0-9a-f]{8}\.[0-9]+", re.IGNORECASE)


def every_certificate(data: bytes, source: str) -> tuple[x509.Certificate, ...]:
    """Return the certificates in PEM text, or the one in DER, without duplicates.

    Raises:
        ConfigurationError: there is none, or one cannot be read.
    """
    found = _parsed(data, source)
    if not found:
        _check_format(data, source)
        raise ConfigurationError(
            f"{capital(source)} must hold certificates, in PEM "
            '("-----BEGIN CERTIFICATE-----") or DER, and there is none in it.'
        )
    return found


def certificates_at(path: Path) -> tuple[x509.Certificate, ...]:
    """Return the certificates in a file or in a directory's *.pem, *.crt, *.cer, *.der,
    HASH.NUMBER.

    In a directory, files without a certificate (such as keys) are skipped.

    Raises:
        ConfigurationError: something is missing or unreadable, or there is no certificate.
    """
    source = f"the CA file {path}"
    with path_errors(f"read {source}"):
        is_directory = path.is_dir()
    if not is_directory:
        return every_certificate(read_file(path, source), source)
    with path_errors(f"read the CA directory {path}"):
        files = sorted(file for file in path.iterdir() if _CERTIFICATE_NAME.fullmatch(file.name))
    found: dict[x509.Certificate, None] = {}
    for file in files:
        if file.is_file():
            source = f"the CA file {file}"
            found.update(dict.fromkeys(_parsed(read_file(file, source), source)))
    if not found:
        raise ConfigurationError(
            f"The CA directory {path} must hold certificates (*.pem, *.crt, *.cer or *.der), and "
            "there is none in it."
        )
    return tuple(found)


def readable_certificates(contents: Iterable[bytes], source: str) -> tuple[x509.Certificate, ...]:
    """Return the readable certificates of a system's store; raise `ConfigurationError`
    without any.
    """
    ders = dict.fromkeys(der for data in contents for der in _ders_in(data))
    found: list[x509.Certificate] = []
    for der in ders:
        with suppress(ValueError):
            found.append(certificate_of(der))
    if not found:
        raise ConfigurationError(f"No trusted certificate could be read from {source}.")
    return tuple(found)


def _parsed(data: bytes, source: str) -> tuple[x509.Certificate, ...]:
    ders = _ders_in(data)
    found: dict[x509.Certificate, None] = {}
    for number, der in enumerate(ders, 1):
        try:
            certificate = certificate_of(der)
            # It is read late, and the verifier needs it.
            read_or_value_error(partial(getattr, certificate, "subject"))
            found[certificate] = None
        except ValueError as error:
            _check_format(data, source)
            raise ConfigurationError(
                f"Certificate {number} of {len(ders)} in {source} cannot be read "
                f"({printable(str(error), 80)}): mend it or take it out."
            ) from None
    return tuple(found)


def _check_format(data: bytes, source: str) -> None:
    if (other := other_format(data, "authorities")) is not None:
        raise ConfigurationError(f"Cannot use {source}: {other}")


def _ders_in(data: bytes) -> list[bytes]:
    """Yield each certificate on its own, so that a broken entry does not affect the others."""
    if data.startswith(_SEQUENCE):
        return [data]
    return [_decoded(part.partition(_END)[0]) for part in data.split(_BEGIN)[1:]]


def _decoded(text: bytes) -> bytes:
    # A third faster than cryptography's own reader of PEM, which for a whole system's store counts.
    try:
        return binascii.a2b_base64(text)
    except binascii.Error:
        return b""  # It is reported as a certificate that cannot be read.
