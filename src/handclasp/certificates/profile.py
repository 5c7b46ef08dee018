"""The rules of the profiles that path building leaves open, on a path that it found.

They are about form: what a public authority must put into a certificate (RFC 5280, and the
CA/Browser Forum's Baseline Requirements, "BR"). An anchor that a root program admitted
(`TrustStore.vetted`) is taken as it is, as no server can mend it.

Authorities recur from one connection to the next, so what was found out about each is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from handclasp.certificates.evidence import encoded
from handclasp.certificates.key_bounds import cost_problem
from handclasp.certificates.names import (
    certificate_names,
    claims_host,
    shown,
    subject_of,
)
from handclasp.certificates.policy import CertificatePolicy
from handclasp.certificates.public_suffix import is_public_suffix
from handclasp.certificates.trust import TrustStore
from handclasp.errors import CertificateError
from handclasp.faults import Fault

_MOST_KEPT = 2**14
"""Bytes of a certificate that is worth keeping: the peer may pad it with anything."""


Extensions = dict[type[Any], Any]
"""By their very class: isinstance is slow with the abstract base that extensions have."""


def extensions_of(certificate: x509.Certificate) -> Extensions:
    """The extensions of a certificate. Raises what cryptography raises."""
    return {entry.value.__class__: entry.value for entry in certificate.extensions}


@dataclass(frozen=True, slots=True)
class Authority:
    """What is known of an issuer's certificate without any context.

    Attributes:
        der: the certificate itself.
        cost: what makes its key too slow to verify with, or nothing.
        form: what the web profile holds against it, or nothing.
        not_before, not_after: from when to when it is valid.
    """

    der: bytes
    cost: str
    form: str
    not_before: datetime
    not_after: datetime


def authority(certificate: x509.Certificate, der: bytes) -> Authority:
    """What is known of an issuer with this certificate. Raises what cryptography raises."""
    return _kept(der) if len(der) <= _MOST_KEPT else _examined(certificate, der)


@lru_cache(maxsize=512)
def authority_of(certificate: x509.Certificate) -> Authority:
    """The same of a certificate that comes up again and again, such as an anchor's."""
    return authority(certificate, encoded(certificate))


@lru_cache(maxsize=512)
def _kept(der: bytes) -> Authority:
    return _examined(x509.load_der_x509_certificate(der), der)


def _examined(certificate: x509.Certificate, der: bytes) -> Authority:
    try:
        cost = cost_problem(certificate.public_key())
    except Exception:
        cost = ""  # Nothing can be verified with this key; the path may do without it.
    not_before, not_after = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return Authority(der, cost, _form(certificate), not_before, not_after)


def _form(certificate: x509.Certificate) -> str:
    try:
        extensions = extensions_of(certificate)
    except Exception:
        return "has extensions that cannot be read"
    identifier = extensions.get(x509.AuthorityKeyIdentifier)
    if x509.SubjectKeyIdentifier not in extensions:
        return "has no subjectKeyIdentifier (RFC 5280 4.2.1.2)"
    if identifier is not None and identifier.key_identifier is None:
        return "has an authorityKeyIdentifier without a key identifier (BR 7.1.2.11.1)"
    if identifier is not None and identifier.authority_cert_serial_number is not None:
        return "has an authorityKeyIdentifier with a serial number (BR 7.1.2.11.1)"
    if identifier is not None and identifier.authority_cert_issuer is not None:
        return "has an authorityKeyIdentifier with an issuer's name (BR 7.1.2.11.1)"
    if x509.PolicyConstraints in extensions:
        # Critical ones never come this far: the verifier does not know them.
        return "has policyConstraints that are not critical (RFC 5280 4.2.1.11)"
    if identifier is None and certificate.subject != certificate.issuer:
        return "has no authorityKeyIdentifier and is no root (RFC 5280 4.2.1.1)"
    return ""


def check_issuers(
    path: Sequence[x509.Certificate],
    issuers: Sequence[Authority],
    trust: TrustStore,
    policy: CertificatePolicy,
) -> None:
    """What the web profile asks of the issuers on `path`, which are all but its first.

    Raises:
        CertificateError: one of them is not as it must be.
    """
    if policy.profile != "web":
        return
    for certificate, known in zip(path[1:], issuers, strict=True):
        if known.form and certificate not in trust.vetted:
            detail = f"the authority {subject_of(certificate)} {known.form}"
            raise CertificateError(Fault.BAD_CERTIFICATE, detail)


def check_leaf(
    path: Sequence[x509.Certificate],
    extensions: Extensions,
    policy: CertificatePolicy,
    *,
    is_client: bool,
) -> None:
    """What is asked of a leaf's keyUsage and extendedKeyUsage besides what the verifier asks.

    Args:
        extensions: those of the leaf, as `extensions_of` gives them.

    Raises:
        CertificateError: the leaf is not meant for this use.
    """
    usage = extensions.get(x509.KeyUsage)
    if usage is not None and not usage.digital_signature:
        # RFC 8446 4.4.2.2: the bit MUST be set if the extension is present.
        detail = "its key usage does not allow digital signatures"
        raise CertificateError(Fault.CERTIFICATE_WRONG_PURPOSE, detail)
    # Who trusts one certificate by itself asks no authority what it is for.
    if x509.ExtendedKeyUsage not in extensions and policy.profile == "web" and len(path) > 1:
        role = "client" if is_client else "server"
        detail = f"it has no extended key usage, so it is not said to be a TLS {role}'s"
        raise CertificateError(Fault.CERTIFICATE_WRONG_PURPOSE, detail)


def check_server_names(
    path: Sequence[x509.Certificate],
    leaf_der: bytes,
    name: str,
    trust: TrustStore,
    policy: CertificatePolicy,
) -> None:
    """What is asked of the names of a leaf that covers the server's `name`.

    Raises:
        CertificateError: they are not as they must be.
    """
    leaf, web = path[0], policy.profile == "web"
    if web:
        _check_common_name(leaf, name)
    # Reading the extensions takes time, and few certificates hold a wildcard.
    if b"*." in leaf_der:
        domain = _wildcard_s_domain(certificate_names(leaf), name)
        if domain and (
            "." not in domain
            or (web and is_public_suffix(domain, private=path[-1] not in trust.vetted))
        ):
            detail = f"its name *.{shown(domain, 60)} would cover the hosts of many owners"
            raise CertificateError(Fault.CERTIFICATE_NAME_MISMATCH, detail)


def _check_common_name(leaf: x509.Certificate, name: str) -> None:
    """BR 7.1.4.3: a common name that names a host is a copy of one in subjectAltName.

    It is never matched, but programs and people that read it would be told something else.
    """
    for attribute in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        text = str(attribute.value)
        copied = text.lower().removesuffix(".")
        if copied == name or not claims_host(text):
            continue
        names = certificate_names(leaf)
        # A wildcard's own domain is no other owner's.
        if copied not in names and f"*.{copied}" not in names:
            detail = f"its common name {shown(text, 60)} is not among its names"
            raise CertificateError(Fault.BAD_CERTIFICATE, detail)


def _wildcard_s_domain(names: Sequence[str], name: str) -> str:
    """The domain of the wildcard without which `name` is not covered, if there is such a one.

    Right above a public suffix it would cover the hosts of many owners (BR 3.2.2.6). Under a vetted
    anchor that holds for the suffixes of registries only: for those of hosting companies, public
    authorities make sure that the company itself asks.
    """
    domain = name.partition(".")[2]
    return domain if name not in names and f"*.{domain}" in names else ""
