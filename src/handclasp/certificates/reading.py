"""Reading what somebody else wrote with cryptography, so that one exception stands for all.

cryptography reads most fields of a certificate late, when they are asked for, and raises more than
ValueError then: InvalidVersion, DuplicateExtension, UnsupportedGeneralNameType,
UnsupportedAlgorithm, InternalError, TypeError, KeyError, OverflowError. Which one, is no promise.
So nothing here lists them: every look at a certificate, key or list of a peer or of a file goes
through one of these functions, or through code that takes any exception for the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

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


def is_issued_by(certificate: object, issuer: object) -> bool | None:
    """Return whether `issuer`'s key signed the certificate, and its subject is named as the issuer.

    Both are certificates of cryptography. None where it does not know the algorithm.
    """
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        certificate.verify_directly_issued_by(issuer)  # type: ignore[attr-defined]
    except UnsupportedAlgorithm:
        return None
    except Exception:
        return False
    return True
