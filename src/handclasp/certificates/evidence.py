"""The evidence that a peer sent: as it arrived, and parsed as certificates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from handclasp.certificates.der import issuer_and_subject
from handclasp.certificates.names import LONGEST_NAME, MOST_NAME_BYTES
from handclasp.certificates.reading import keep_warnings_out
from handclasp.deferred import DeferredModule
from handclasp.errors import CertificateError, ConfigurationError
from handclasp.faults import Fault

if TYPE_CHECKING:
    from cryptography import x509
else:
    x509 = DeferredModule("cryptography.x509")


class Evidence(NamedTuple):
    """The certificates as DER, leaf first, and what came with the leaf."""

    chain: tuple[bytes, ...]
    ocsp_response: bytes | None = None
    sct_list: bytes | None = None

    @property
    def size(self) -> int:
        """All of it, in bytes."""
        return (
            sum(map(len, self.chain)) + len(self.ocsp_response or b"") + len(self.sct_list or b"")
        )


def chain_of(given: Sequence[bytes | x509.Certificate]) -> tuple[bytes, ...]:
    """Return a chain as DER from any accepted form; raise `ConfigurationError` otherwise."""
    # A tuple, which handshakes give, is known at once; an abstract class is asked in Python.
    if not isinstance(given, tuple) and (
        isinstance(given, bytes | str) or not isinstance(given, Sequence)  # pyright: ignore[reportUnnecessaryIsInstance]
    ):
        kind = type(given).__name__
        raise ConfigurationError(f"A chain must be a list of certificates, leaf first, not {kind}.")
    return tuple([each if isinstance(each, bytes) else _encoded_if_one(each) for each in given])


def _encoded_if_one(given: object) -> bytes:
    from cryptography import x509

    if not isinstance(given, x509.Certificate):
        kind = type(given).__name__
        raise ConfigurationError(f"A chain holds certificates, as DER or parsed, not {kind}.")
    return encoded(given)


def parse(chain: tuple[bytes, ...]) -> list[x509.Certificate]:
    """Return the certificates of a chain.

    Raises:
        CertificateError: it is empty, or one is not readable DER.
    """
    from cryptography import x509

    if not chain:
        raise CertificateError(Fault.BAD_CERTIFICATE, "the chain is empty")
    keep_warnings_out()
    certificates: list[x509.Certificate] = []
    names_read: set[bytes] = set()
    for number, der in enumerate(chain, 1):
        try:
            certificate = x509.load_der_x509_certificate(der)
            # What cryptography would read later, and fail at.
            _ = certificate.version
            _read_short_names(certificate, der, names_read)
        except Exception as error:
            # Whatever a parser raises on a peer's bytes means the same.
            raise _unreadable(number, chain) from error
        certificates.append(certificate)
    return certificates


def _read_short_names(certificate: x509.Certificate, der: bytes, names_read: set[bytes]) -> None:
    """Read the names of a certificate; raise what cryptography raises.

    It makes an object of each part of a name, and a chain may hold ten thousand of them. Long names
    are read before a chain is accepted, and words go without them. A name that can be read can be
    read wherever else it stands.
    """
    issuer, subject = issuer_and_subject(der)
    if len(issuer) <= LONGEST_NAME and issuer not in names_read:
        _ = certificate.issuer
        names_read.add(issuer)
    if len(subject) <= LONGEST_NAME and subject not in names_read:
        _ = certificate.subject
        names_read.add(subject)


def read_all_names(
    certificates: Sequence[x509.Certificate], chain: Sequence[bytes], *, is_refused: bool = False
) -> None:
    """Read the names that `parse` left, before a chain is accepted in whatever way.

    All that reads an accepted chain relies on that: CRLs, `getpeercert`, reports. Each name is read
    once, and `MOST_NAME_BYTES` of them in the whole chain: who has one certificate that is
    accepted may add any others to it.

    Args:
        is_refused: the chain is refused anyway, and what is beyond the bound is left unread.

    Raises:
        CertificateError: one of them cannot be read, or there are more bytes of them.
    """
    names_read: set[bytes] = set()
    left = MOST_NAME_BYTES
    for number, (certificate, der) in enumerate(zip(certificates, chain, strict=True), 1):
        if len(der) <= LONGEST_NAME:
            continue
        issuer, subject = issuer_and_subject(der)
        size = sum(map(len, {issuer, subject} - names_read))
        if size > left and is_refused:
            continue
        if size > left:
            detail = (
                f"the issuers and subjects of {len(chain)} certificates take more than "
                f"{MOST_NAME_BYTES} bytes, which is the most that is accepted"
            )
            raise CertificateError(Fault.BAD_CERTIFICATE, detail)
        left -= size
        try:
            _ = subject in names_read or certificate.subject
            _ = issuer in names_read or certificate.issuer
        except Exception as error:
            raise _unreadable(number, chain) from error
        names_read |= {issuer, subject}


def _unreadable(number: int, chain: Sequence[bytes]) -> CertificateError:
    detail = f"certificate {number} of {len(chain)} is not readable DER"
    return CertificateError(Fault.BAD_CERTIFICATE, detail)


def is_self_issued(certificate: x509.Certificate, der: bytes) -> bool:
    """Return whether issuer and subject are the same name (RFC 5280 section 3.2)."""
    issuer, subject = issuer_and_subject(der)
    if issuer == subject:
        return True
    # The same values may be spelled as different kinds of string.
    longest = max(len(issuer), len(subject))
    return longest <= LONGEST_NAME and certificate.issuer == certificate.subject


def encoded(certificate: x509.Certificate) -> bytes:
    """Return the DER of a certificate."""
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.DER)
