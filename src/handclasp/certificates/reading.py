"""Reading what somebody else wrote with cryptography, so that one exception stands for all.

cryptography reads most fields of a certificate late, when they are asked for, and raises more than
ValueError then: InvalidVersion, DuplicateExtension, UnsupportedGeneralNameType,
UnsupportedAlgorithm, InternalError, TypeError, KeyError, OverflowError. Which one, is no promise.
So nothing here lists them: every look at a certificate, key or list of a peer or of a file goes
through one of these functions, or through code that takes any exception for the same.

It also warns of some things that a peer may write, such as a common name of 65 letters. That must
reach neither stderr nor the registry of warnings, and must not be a matter of `python -W error`
whether a certificate is accepted: see `keep_warnings_out`.

>>> from handclasp.certificates.reading import (
...     certificate_of, certificates_of, is_issued_by, keep_warnings_out, load_certificate,
...     read_or_none, read_or_value_error,
... )
>>> with open("chain.pem", "rb") as chain, open("ca.pem", "rb") as authority:
...     [leaf], [issuer] = certificates_of(chain.read()), certificates_of(authority.read())
>>> is_issued_by(leaf, issuer)
True
>>> keep_warnings_out()
>>> read_or_none(lambda: load_certificate(b"no certificate")) is None
True
>>> read_or_value_error(lambda: leaf.serial_number) == leaf.serial_number
True
>>> certificate_of(b"no certificate")
Traceback (most recent call last):
    ...
ValueError: ...
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from handclasp.deferred import DeferredModule

if TYPE_CHECKING:
    from cryptography import x509
else:
    x509 = DeferredModule("cryptography.x509")

Read = TypeVar("Read")

_MESSAGES = (
    "Attribute's length must be >= |"
    "Parsed a serial number which wasn't positive|"
    "Invalid ASN.1 \\(UTF-8 characters in a VisibleString\\) in the explicit text"
)
"""The beginning of all warnings of cryptography about others' data: the bounds of names (RFC 5280
appendix A.1), of serial numbers (section 4.1.2.2), and the strings of policies (section 4.2.1.4).
"""

_OWN_MODULES = r"handclasp\."
_FILTER: Any = (
    "ignore",
    re.compile(_MESSAGES, re.IGNORECASE),
    UserWarning,
    re.compile(_OWN_MODULES),
    0,
)
"""The entry that `warnings.filterwarnings` makes of it."""


def keep_warnings_out() -> None:
    """Have the warnings about what a peer wrote ignored; called before a certificate is read.

    cryptography names its caller as the place of such a warning, so one filter of the process does
    it, for these messages in modules of this package: whatever other code does, with or without
    cryptography, warns as before. `warnings.catch_warnings` around each look would not do: it
    changes the filters of all threads, and puts old ones back.

    The first filter that fits decides, and `simplefilter("error")`, or a test runner, may have put
    another one in front since. So it is checked each time, and put in front again; it is never
    there twice. What is ignored is not counted in any `__warningregistry__`.
    """
    filters = warnings.filters
    if not filters or filters[0] != _FILTER:
        warnings.filterwarnings("ignore", _MESSAGES, UserWarning, _OWN_MODULES)


keep_warnings_out()  # Certificates that the user has parsed are read without being loaded here.


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


def load_certificate(der: bytes) -> x509.Certificate:
    """Load one certificate in DER; raise what cryptography raises."""
    from cryptography import x509

    keep_warnings_out()
    return x509.load_der_x509_certificate(der)


def certificate_of(der: bytes) -> x509.Certificate:
    """Load one certificate in DER; raise only `ValueError`."""
    return read_or_value_error(lambda: load_certificate(der))


def certificates_of(data: bytes) -> list[x509.Certificate]:
    """Load all certificates of PEM text, or the one of DER; raise only `ValueError`.

    A last one that has no end is an error, as with OpenSSL. cryptography ignores it, so that half a
    file would be taken for a whole one.
    """
    from cryptography import x509

    if b"-----BEGIN " not in data:
        return [certificate_of(data)]
    if (line := cut_off_at(data)) is not None:
        raise ValueError(f"the certificate that begins in line {line} is cut off")
    keep_warnings_out()
    return read_or_value_error(lambda: x509.load_pem_x509_certificates(data))


def cut_off_at(data: bytes) -> int | None:
    """Return the number of the line in which the last certificate of PEM text begins, if that has
    no end; else None.

    >>> from handclasp.certificates.reading import cut_off_at
    >>> cut_off_at(b"-----BEGIN CERTIFICATE-----\\nMIIB")
    1
    """
    at = data.rfind(b"-----BEGIN ")
    if at < 0 or data[max(at - 1, 0) : at] not in (b"", b"\n", b"\r"):
        return None
    first, _, rest = data[at:].partition(b"\n")
    label = first.rstrip().removeprefix(b"-----BEGIN ").removesuffix(b"-----")
    if rest and (b"CERTIFICATE" not in label or b"-----END %b-----" % label in rest):
        return None
    return data.count(b"\n", 0, at) + 1


def pkcs7_certificates_of(data: bytes) -> list[x509.Certificate]:
    """Load the certificates of a PKCS #7 message without signers; raise only `ValueError`.

    Authorities publish their certificates in this form, too (RFC 5280 section 4.2.2.1).

    >>> from handclasp.certificates.reading import pkcs7_certificates_of
    >>> pkcs7_certificates_of(b"anything")
    Traceback (most recent call last):
        ...
    ValueError: Unable to parse PKCS7 data
    """
    from cryptography.hazmat.primitives.serialization import pkcs7

    keep_warnings_out()
    load = (
        pkcs7.load_pem_pkcs7_certificates
        if b"-----BEGIN " in data
        else pkcs7.load_der_pkcs7_certificates
    )
    return read_or_value_error(lambda: load(data))


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
