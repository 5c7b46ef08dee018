"""The rules of the profiles that path building leaves open, on a path that it found.

They are about form: what a public authority must put into a certificate (RFC 5280, and the
CA/Browser Forum's Baseline Requirements, "BR"). An anchor that a root program admitted
(`TrustStore.vetted`) is taken as it is, as no server can mend it.

Authorities recur from one connection to the next, so what was found out about each is kept, by the
trust store that it led to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509

from handclasp.advice import PRIVATE_PROFILE
from handclasp.certificates.evidence import is_self_issued
from handclasp.certificates.key_bounds import cost_problem
from handclasp.certificates.names import (
    Names,
    claims_host,
    common_names,
    names_of,
    shown,
    subject_of,
)
from handclasp.certificates.policy import CertificatePolicy
from handclasp.certificates.public_suffix import is_public_suffix
from handclasp.certificates.trust import TrustStore
from handclasp.errors import CertificateError
from handclasp.faults import Blame, Fault, Verdict, advice

_MOST_KEPT = 2**14
"""Bytes of a certificate that is worth keeping: the peer may pad it with anything."""

JUDGE_AS_PRIVATE = (
    f"If its authority is a private one, verify it by the rules for those ({PRIVATE_PROFILE})."
)
PRIVATE_RULES = Verdict(Blame.PEER, "unless its authority is a private one with its own rules")
OWN_AUTHORITY = Verdict(Blame.LOCAL, "whose own authority it is")

NO_SIGNATURES = "its key usage does not allow digital signatures"

_BESIDES = 600
"""Bytes that the objects of a kept issuer take besides its certificate."""


Extensions = dict[type[Any], Any]
"""By their very class: isinstance is slow with the abstract base that extensions have."""


def extensions_of(certificate: x509.Certificate) -> Extensions:
    """Return the extensions of a certificate; raise what cryptography raises."""
    return {entry.value.__class__: entry.value for entry in certificate.extensions}


@dataclass(frozen=True, slots=True)
class Authority:
    """The facts about an issuer's certificate that need no context.

    Attributes:
        der: the certificate itself.
        form: what the web profile holds against it, or nothing.
        not_before, not_after: from when to when it is valid.
    """

    der: bytes
    form: str
    not_before: datetime
    not_after: datetime


def known_authority(der: bytes, trust: TrustStore) -> Authority | None:
    """Return what was remembered of an issuer that was on a path to an anchor before, if any."""
    return trust.issuers.get(der)


def authority(certificate: x509.Certificate, der: bytes, trust: TrustStore) -> Authority:
    """Return the facts about an issuer on a path; raise what cryptography raises."""
    return known_authority(der, trust) or examined(certificate, der)


def keep_authorities(issuers: Sequence[Authority], trust: TrustStore) -> None:
    """Remember the issuers of a chain that was accepted."""
    for issuer in issuers:
        if len(issuer.der) <= _MOST_KEPT:
            trust.issuers.keep(issuer.der, issuer, len(issuer.der) + _BESIDES)


def examined(certificate: x509.Certificate, der: bytes) -> Authority:
    """Examine an issuer that is seen for the first time; raise what cryptography raises."""
    not_before, not_after = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return Authority(der, form_of(certificate, der), not_before, not_after)


def cost_of(certificate: x509.Certificate) -> str:
    """Return why the key of an issuer is too slow to verify with, or an empty string."""
    try:
        return cost_problem(certificate.public_key())
    except Exception:
        return ""  # Nothing can be verified with this key; the path may do without it.


def form_of(certificate: x509.Certificate, der: bytes, extensions: Extensions | None = None) -> str:
    """Return why the web profile refuses an issuer's certificate, or an empty string."""
    try:
        extensions = extensions_of(certificate) if extensions is None else extensions
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
    if identifier is None and not is_self_issued(certificate, der):
        return "has no authorityKeyIdentifier and is no root (RFC 5280 4.2.1.1)"
    return ""


def check_issuers(
    path: Sequence[x509.Certificate],
    issuers: Sequence[Authority],
    trust: TrustStore,
    policy: CertificatePolicy,
) -> None:
    """Check the issuers on `path`, which are all but its first, by the web profile.

    Raises:
        CertificateError: one of them is not as it must be.
    """
    if policy.profile != "web":
        return
    for certificate, known in zip(path[1:], issuers, strict=True):
        if known.form and certificate not in trust.vetted:
            about, is_anchor = subject_of(certificate), certificate in trust.anchors
            raise CertificateError(
                Fault.BAD_CERTIFICATE,
                f"the authority {about} {known.form}",
                fix=advice(
                    f"Replace the certificate by one of an authority other than {about}, or have "
                    "that one made anew.",
                    JUDGE_AS_PRIVATE,
                ),
                verdict=OWN_AUTHORITY if is_anchor else PRIVATE_RULES,
            ).at(None, "extensions")


def check_leaf(
    path: Sequence[x509.Certificate],
    extensions: Extensions,
    policy: CertificatePolicy,
    *,
    is_client: bool,
) -> None:
    """Check a leaf's keyUsage and extendedKeyUsage beyond the verifier's checks.

    Args:
        extensions: those of the leaf, as `extensions_of` gives them.

    Raises:
        CertificateError: the leaf is not meant for this use.
    """
    check_key_usage(extensions)
    # Who trusts one certificate by itself asks no authority what it is for.
    if x509.ExtendedKeyUsage not in extensions and policy.profile == "web" and len(path) > 1:
        use, oid = ("client", "clientAuth") if is_client else ("server", "serverAuth")
        raise CertificateError(
            Fault.CERTIFICATE_WRONG_PURPOSE,
            no_purpose(use),
            fix=advice(
                "Get a certificate with the right key usage: extKeyUsage names TLS "
                f"{use}s ({oid}).",
                JUDGE_AS_PRIVATE,
            ),
            verdict=PRIVATE_RULES,
        ).at(0, "extKeyUsage")


def no_purpose(role: str) -> str:
    """Return the refusal of a leaf without any extended key usage."""
    return f"it has no extended key usage, so it is not said to be a TLS {role}'s"


def check_key_usage(extensions: Extensions) -> None:
    """Check the key usage that TLS itself requires of a leaf (RFC 8446 section 4.4.2.2).

    Raises:
        CertificateError: its key must not be used to sign.
    """
    usage = extensions.get(x509.KeyUsage)
    if usage is not None and not usage.digital_signature:
        fix = advice("Get a certificate with the right key usage (digitalSignature).", "")
        error = CertificateError(Fault.CERTIFICATE_WRONG_PURPOSE, NO_SIGNATURES, fix=fix)
        raise error.at(0, "keyUsage")


def check_server_names(
    path: Sequence[x509.Certificate],
    leaf_der: bytes,
    name: str,
    trust: TrustStore,
    policy: CertificatePolicy,
) -> None:
    """Check the names of a leaf that covers the server's `name`.

    Raises:
        CertificateError: they are not as they must be.
    """
    leaf, web = path[0], policy.profile == "web"
    if web:
        _check_common_name(leaf, leaf_der, name)
    # Reading the extensions takes time, and few certificates hold a wildcard.
    if b"*." in leaf_der:
        domain = _wildcard_s_domain(names_of(leaf), name)
        if domain and (
            "." not in domain
            or (web and is_public_suffix(domain, private=path[-1] not in trust.vetted))
        ):
            detail = f"its name *.{shown(domain, 60)} would cover the hosts of many owners"
            error = CertificateError(
                Fault.CERTIFICATE_NAME_MISMATCH,
                detail,
                fix=advice(f"Get a certificate that covers the name {shown(name, 60)}.", ""),
                verdict=Verdict(Blame.PEER),
            )
            raise error.at(0, "subjectAltName")


def _check_common_name(leaf: x509.Certificate, leaf_der: bytes, name: str) -> None:
    """Check that a common name with a host is also in subjectAltName (BR 7.1.4.3).

    It is never matched, but programs and people that read it would be misled.
    """
    names: Names | None = None
    for text in common_names(leaf, leaf_der):
        copied = text.lower().removesuffix(".")
        if copied == name or not claims_host(text):
            continue
        if names is None:
            names = names_of(leaf)
        # A wildcard's own domain is no other owner's.
        if copied not in names and f"*.{copied}" not in names:
            raise CertificateError(
                Fault.BAD_CERTIFICATE,
                f"its common name {shown(text, 60)} is not among its names",
                fix=advice(
                    "Replace the certificate by one whose common name is one of its names, or "
                    "that has none.",
                    JUDGE_AS_PRIVATE,
                ),
                verdict=PRIVATE_RULES,
            ).at(0, "subject")


def _wildcard_s_domain(names: Names, name: str) -> str:
    """Return the domain of the only wildcard that covers `name`, if there is one.

    Right above a public suffix it would cover the hosts of many owners (BR 3.2.2.6). Under a vetted
    anchor that holds for the suffixes of registries only: for those of hosting companies, public
    authorities make sure that the company itself asks.
    """
    domain = name.partition(".")[2]
    return domain if name not in names and f"*.{domain}" in names else ""
