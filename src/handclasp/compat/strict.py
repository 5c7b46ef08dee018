"""VERIFY_X509_STRICT: the rules of RFC 5280 that OpenSSL adds to a path by this flag."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from handclasp.certificates.evidence import is_self_issued
from handclasp.certificates.reading import certificate_of
from handclasp.errors import CertificateError
from handclasp.faults import Fault

if TYPE_CHECKING:
    from cryptography import x509


def check_strictly(path: Sequence[bytes]) -> None:
    """Check a verified path, leaf first, by the rules that VERIFY_X509_STRICT adds.

    A single certificate that is trusted by itself is exempt, as it is for OpenSSL.

    Raises:
        CertificateError: a certificate does not follow one of them.
    """
    if len(path) < 2:
        return
    for number, der in enumerate(path):
        certificate = certificate_of(der)
        is_last = number == len(path) - 1
        for problem in _problems(certificate, is_last=is_last or is_self_issued(certificate, der)):
            detail = f"certificate {number + 1} of the path {problem} (VERIFY_X509_STRICT)"
            raise CertificateError(Fault.BAD_CERTIFICATE, detail)


def _problems(certificate: x509.Certificate, *, is_last: bool) -> Iterator[str]:
    from cryptography import x509

    found: dict[type[Any], Any] = {type(each.value): each for each in certificate.extensions}
    constraints, usage = found.get(x509.BasicConstraints), found.get(x509.KeyUsage)
    is_authority = constraints is not None and constraints.value.ca
    signs_certificates = usage is not None and usage.value.key_cert_sign
    if certificate.version is not x509.Version.v3:
        yield "is not of version 3"
    if is_authority:
        if constraints is not None and not constraints.critical:
            yield "is an authority's, and its basicConstraints are not critical (4.2.1.9)"
        if usage is None:
            yield "is an authority's, and has no keyUsage (4.2.1.3)"
        if x509.SubjectKeyIdentifier not in found:
            yield "is an authority's, and has no subjectKeyIdentifier (4.2.1.2)"
    elif signs_certificates:
        yield "is no authority's, and its keyUsage allows it to sign certificates (4.2.1.3)"
    has_length = constraints is not None and constraints.value.path_length is not None
    if has_length and not (is_authority and signs_certificates):
        yield "has a path length and does not sign certificates (4.2.1.9)"
    yield from _name_problems(certificate, found, is_authority=is_authority)
    identifier = found.get(x509.AuthorityKeyIdentifier)
    if identifier is not None and identifier.critical:
        yield "has a critical authorityKeyIdentifier (4.2.1.1)"
    if not is_last and (identifier is None or identifier.value.key_identifier is None):
        yield "has no authorityKeyIdentifier (4.2.1.1)"
    own = found.get(x509.SubjectKeyIdentifier)
    if own is not None and own.critical:
        yield "has a critical subjectKeyIdentifier (4.2.1.2)"


def _name_problems(
    certificate: x509.Certificate, found: dict[type[Any], Any], *, is_authority: bool
) -> Iterator[str]:
    from cryptography import x509

    if not certificate.issuer.rdns:
        yield "names no issuer (4.1.2.4)"
    names = found.get(x509.SubjectAlternativeName)
    if not certificate.subject.rdns:
        if is_authority or names is None:
            yield "names no subject (4.1.2.6)"
        elif not names.critical:
            yield "names no subject, and its subjectAltName is not critical (4.2.1.6)"
    if names is not None and not list(names.value):
        yield "has an empty subjectAltName (4.2.1.6)"
