"""Reading what somebody else wrote with cryptography, so that one exception stands for all.

cryptography reads most fields of a certificate late, when they are asked for, and raises more than
ValueError then: InvalidVersion, DuplicateExtension, UnsupportedGeneralNameType,
UnsupportedAlgorithm, InternalError, TypeError, KeyError, OverflowError. Which one, is no promise.
So nothing here lists them: every look at a certificate, key or list of a peer or of a file goes
through one of these functions, or through code that takes any exception for the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from cryptography import x509

Read = TypeVar("Read")


def read_or_value_error(read: Callable[[], Read]) -> Read:
    """Return what `read` gives. Raises `ValueError` and nothing else where it cannot be read."""
    try:
        return read()
    except Exception as error:
        if isinstance(error, ValueError):
            raise
        raise ValueError(f"{type(error).__name__}: {error}") from None


def read_or_none(read: Callable[[], Read]) -> Read | None:
    """Return what `read` gives; None where it cannot be read."""
    try:
        return read()
    except Exception:
        return None


def certificate_of(der: bytes) -> x509.Certificate:
    """One certificate in DER. Raises `ValueError` and nothing else."""
    from cryptography import x509

    return read_or_value_error(lambda: x509.load_der_x509_certificate(der))


def certificates_of(data: bytes) -> list[x509.Certificate]:
    """All certificates of PEM text, or the one of DER. Raises `ValueError` and nothing else."""
    from cryptography import x509

    if b"-----BEGIN " not in data:
        return [certificate_of(data)]
    return read_or_value_error(lambda: x509.load_pem_x509_certificates(data))


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool | None:
    """Return whether `issuer`'s key signed the certificate, and its subject is named as the issuer.

    None where cryptography does not know the algorithm.
    """
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        certificate.verify_directly_issued_by(issuer)
    except UnsupportedAlgorithm:
        return None
    except Exception:
        return False
    return True
