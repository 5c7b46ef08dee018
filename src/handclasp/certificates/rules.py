"""The rules of the decision, each by itself and in words, for the explanation.

A rule looks at one certificate, or at one and its issuer, and gives a `Finding`: whether it is
held, by what evidence, and which section asks for it. Nothing here decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.hashes import MD5, SHA1, SHA224
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from handclasp.certificates import profile
from handclasp.certificates.der import public_key_info
from handclasp.certificates.describe import extended_key_usage_of, key_type_of, key_usage_of
from handclasp.certificates.evidence import encoded
from handclasp.certificates.key_bounds import MIN_RSA_BITS, cost_problem, key_problem
from handclasp.certificates.name_constraints import violation
from handclasp.certificates.names import certificate_names, claims_host, covers, shown, subject_of
from handclasp.certificates.policy import CertificatePolicy
from handclasp.certificates.public_suffix import is_public_suffix
from handclasp.certificates.signature_bounds import signature_problem
from handclasp.certificates.trust import TrustStore
from handclasp.crypto.signatures import key_kind
from handclasp.faults import Fault


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule and what it says of one certificate.

    Attributes:
        rule: its name, for people and programs: "dates", "names", "signature"...
        about: whose certificate.
        held: True, False, or None where it does not apply.
        evidence: the values that it looked at.
        section: where it stands.
        fault: what it leads to if it is broken.
    """

    rule: str
    about: str
    held: bool | None
    evidence: str
    section: str
    fault: Fault


@dataclass(frozen=True, slots=True)
class Context:
    """What the rules go by: whom to trust, for which names (none: a client), when, how strictly."""

    trust: TrustStore
    names: tuple[str, ...]
    now: datetime
    policy: CertificatePolicy

    @property
    def web(self) -> bool:
        return self.policy.profile == "web"

    @property
    def purpose(self) -> x509.ObjectIdentifier:
        oids = ExtendedKeyUsageOID
        return oids.SERVER_AUTH if self.names else oids.CLIENT_AUTH


def leaf_findings(leaf: x509.Certificate, context: Context) -> Iterator[Finding]:
    """What is asked of a leaf whatever its path."""
    yield _key(leaf)
    yield dates(leaf, context)
    for name in context.names:
        yield _names(leaf, name)
    yield from _form(leaf, _NEVER_CRITICAL)
    yield _leaf_key_usage(leaf, context)
    yield _leaf_purpose(leaf, context)
    yield _leaf_is_no_authority(leaf, context)
    yield _leaf_issuer_key(leaf, context)
    if context.names:
        yield _common_name(leaf, context)


def step_findings(
    below: Sequence[x509.Certificate], issuer: x509.Certificate, context: Context, *, signed: bool
) -> Iterator[Finding]:
    """What is asked of an issuer: `below` are the certificates under it, the leaf first."""
    certificate = below[-1]
    algorithm = _signature_algorithm(certificate, issuer)
    yield algorithm
    if algorithm.held:
        yield _signature(certificate, issuer, context, signed=signed)
    yield _issuer_key(issuer)
    yield dates(issuer, context)
    yield from _form(issuer, _NEVER_CRITICAL | {"2.5.29.14"})
    yield _is_authority(issuer, context)
    yield _path_length(issuer, below)
    yield _issuer_key_usage(issuer, context)
    yield _issuer_purpose(issuer, context)
    yield _name_constraints(issuer, below)
    if context.web:
        yield _identifiers(issuer, context)


def wildcard_findings(
    leaf: x509.Certificate, anchor: x509.Certificate, context: Context
) -> Iterator[Finding]:
    """What is asked of wildcards, which depends on who vouches for them."""
    if not context.web:
        return
    names = certificate_names(leaf)
    private = anchor not in context.trust.vetted
    for name in context.names:
        matching = [] if name in names else [entry for entry in names if covers(entry, name)]
        if matching:
            held = not all(is_public_suffix(entry[2:], private=private) for entry in matching)
            evidence = f"{shown(matching[0], 60)} covers the hosts of " + (
                "one owner" if held else "many owners"
            )
            fault = Fault.CERTIFICATE_NAME_MISMATCH
            yield Finding("wildcard", subject_of(leaf), held, evidence, "BR 3.2.2.6", fault)


def dates(certificate: x509.Certificate, context: Context) -> Finding:
    """Whether a certificate is valid at the time."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    subject = subject_of(certificate)
    section = "RFC 5280 4.1.2.5"
    now = context.now.replace(microsecond=0)  # Dates in certificates have whole seconds.
    if now > end:
        evidence = f"{subject} expired at {end:%Y-%m-%d %H:%M:%S} UTC"
        return Finding("dates", subject, False, evidence, section, Fault.CERTIFICATE_EXPIRED)
    if now < begin:
        evidence = f"{subject} is valid from {begin:%Y-%m-%d %H:%M:%S} UTC on"
        return Finding("dates", subject, False, evidence, section, Fault.CERTIFICATE_NOT_YET_VALID)
    evidence = f"valid from {begin:%Y-%m-%d} to {end:%Y-%m-%d}"
    return Finding("dates", subject, True, evidence, section, Fault.CERTIFICATE_EXPIRED)


def _finding(
    rule: str,
    certificate: x509.Certificate,
    problem: str,
    evidence: str,
    section: str,
    fault: Fault = Fault.BAD_CERTIFICATE,
) -> Finding:
    """Held if there is no problem."""
    about = subject_of(certificate)
    return Finding(rule, about, not problem, problem or evidence, section, fault)


def _key(leaf: x509.Certificate) -> Finding:
    try:
        key: Any = leaf.public_key()
    except Exception:
        problem, evidence = f"the key of {subject_of(leaf)} cannot be read", ""
    else:
        found = key_problem(key)
        problem, evidence = (f"{subject_of(leaf)} has {found}" if found else ""), _key_text(leaf)
    fault = Fault.UNSUPPORTED_CERTIFICATE
    return _finding("key", leaf, problem, evidence, "RFC 8446 4.4.2.2", fault)


def _key_text(certificate: x509.Certificate) -> str:
    size = getattr(certificate.public_key(), "key_size", None)
    return key_type_of(certificate) + (f", {size} bits" if size else "")


def _names(leaf: x509.Certificate, name: str) -> Finding:
    own = certificate_names(leaf)
    section, fault = "RFC 9525 6", Fault.CERTIFICATE_NAME_MISMATCH
    matching = next((pattern for pattern in own if covers(pattern, name)), None)
    problem = ""
    if "_" in name:
        # The verifier compares host names only (RFC 5280 4.2.1.6: "preferred name syntax").
        problem = f"no certificate can be verified for {shown(name)}: host names have no underscore"
    elif not own:
        problem = (
            f"its subjectAltName names no host, so it is neither for {shown(name)} nor any other"
        )
    elif matching is None:
        listed = ", ".join(shown(entry, 60) for entry in own[:5])
        more = f" and {len(own) - 5} more" if len(own) > 5 else ""
        problem = f"it is for {listed}{more}, not for {shown(name)}"
    return _finding("names", leaf, problem, f"{matching} covers {name}", section, fault)


_UNDERSTOOD = frozenset(
    (
        "1.3.6.1.5.5.7.1.1",
        "2.5.29.14",
        "2.5.29.15",
        "2.5.29.17",
        "2.5.29.19",
        "2.5.29.30",
        "2.5.29.35",
        "2.5.29.37",
    )
)
_NEVER_CRITICAL = frozenset(("1.3.6.1.5.5.7.1.1", "2.5.29.35", "2.5.29.37"))


def _form(certificate: x509.Certificate, never_critical: frozenset[str]) -> Iterator[Finding]:
    """Version, serial number, issuer and extensions, of leaves and authorities alike."""
    extensions = list(certificate.extensions)
    version = certificate.version
    problem = "" if version is x509.Version.v3 else f"it is of version {version.name}, not 3"
    yield _finding("version", certificate, problem, "3", "RFC 5280 4.1.2.1")
    serial = certificate.serial_number
    problem = "" if 0 <= serial < 1 << 160 else "its serial number is negative or too long"
    yield _finding("serial number", certificate, problem, f"{serial:x}"[:40], "RFC 5280 4.1.2.2")
    problem = "" if list(certificate.issuer) else "it names no issuer"
    issuer = shown(certificate.issuer.rfc4514_string(), 60)
    yield _finding("issuer", certificate, problem, issuer, "RFC 5280 4.1.2.4")
    strange = [e.oid.dotted_string for e in extensions if e.critical]
    unknown = [oid for oid in strange if oid not in _UNDERSTOOD]
    misplaced = [oid for oid in strange if oid in never_critical]
    if unknown:
        problem = f"its critical extension {unknown[0]} is not understood here"
    elif misplaced:
        problem = f"its extension {misplaced[0]} must not be critical"
    else:
        problem = ""
    evidence = f"{len(extensions)} extensions, {len(strange)} critical"
    yield _finding("extensions", certificate, problem, evidence, "RFC 5280 4.2")


def _leaf_key_usage(leaf: x509.Certificate, context: Context) -> Finding:
    usage = _extension(leaf, x509.KeyUsage)
    if usage is not None and not usage.digital_signature:
        problem = "its key usage does not allow digital signatures"
    elif usage is not None and usage.key_cert_sign and leaf not in context.trust.anchors:
        problem = "its key usage allows it to sign certificates"
    else:
        problem = ""
    evidence = ", ".join(key_usage_of(leaf) or ()) or "not restricted"
    fault = Fault.CERTIFICATE_WRONG_PURPOSE
    return _finding("key usage", leaf, problem, evidence, "RFC 8446 4.4.2.2", fault)


def _leaf_purpose(leaf: x509.Certificate, context: Context) -> Finding:
    role = "server" if context.names else "client"
    purposes = _extension(leaf, x509.ExtendedKeyUsage)
    problem = ""
    if purposes is None:
        if context.web and leaf not in context.trust.anchors:
            problem = f"it has no extended key usage, so it is not said to be a TLS {role}'s"
    elif context.purpose not in purposes:
        anything = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in purposes
        extra = " (anyExtendedKeyUsage does not count)" if anything else ""
        problem = f"its extended key usage does not allow TLS {role}s{extra}"
    evidence = ", ".join(extended_key_usage_of(leaf) or ()) or "not restricted"
    fault = Fault.CERTIFICATE_WRONG_PURPOSE
    return _finding("purpose", leaf, problem, evidence, "RFC 5280 4.2.1.12", fault)


def _leaf_is_no_authority(leaf: x509.Certificate, context: Context) -> Finding:
    constraints = _extension(leaf, x509.BasicConstraints)
    trusted = leaf in context.trust.anchors
    problem = ""
    if constraints is not None and constraints.ca and not trusted:
        role = "server" if context.names else "client"
        problem = f"it is an authority's certificate and not a {role}'s"
    elif _extension(leaf, x509.NameConstraints) is not None:
        problem = "it has name constraints, which only authorities may have"
    evidence = "is trusted itself" if trusted else "no authority"
    fault = Fault.CERTIFICATE_WRONG_PURPOSE
    return _finding("leaf", leaf, problem, evidence, "RFC 5280 4.2.1.9", fault)


def _leaf_issuer_key(leaf: x509.Certificate, context: Context) -> Finding:
    named = _extension(leaf, x509.AuthorityKeyIdentifier) is not None
    excused = not context.web or leaf in context.trust.anchors
    problem = "" if named or excused else "it does not name its issuer's key"
    evidence = "named" if named else "not named"
    return _finding("issuer's key", leaf, problem, evidence, "RFC 5280 4.2.1.1")


def _common_name(leaf: x509.Certificate, context: Context) -> Finding:
    section, given = "BR 7.1.4.3", ""
    problem = ""
    names = certificate_names(leaf)
    for attribute in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        given = str(attribute.value)
        copied = given.lower().removesuffix(".")
        known = copied in names or f"*.{copied}" in names or copied in context.names
        if context.web and not known and claims_host(given):
            problem = f"its common name {shown(given, 60)} is not among its names"
    evidence = f"{shown(given, 60)}, which is never matched" if given else "none"
    finding = _finding("common name", leaf, problem, evidence, section)
    alternatives = _criticality_problem(leaf)
    return (
        _finding("names' form", leaf, alternatives, "", "RFC 5280 4.2.1.6")
        if (alternatives and not problem)
        else finding
    )


def _criticality_problem(leaf: x509.Certificate) -> str:
    """RFC 5280 4.2.1.6: subjectAltName is critical exactly if there is no subject."""
    try:
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ""
    if extension.critical is (not list(leaf.subject)):
        return ""
    if extension.critical:
        return "its subjectAltName is critical, although it has a subject"
    return "its subjectAltName is not critical, although it has no subject"


def _signature_algorithm(certificate: x509.Certificate, issuer: x509.Certificate) -> Finding:
    kind = _kind_of(issuer)
    fault = Fault.UNSUPPORTED_CERTIFICATE
    section = "RFC 8446 4.2.3"
    if kind.startswith("secp") and _PRIME_FIELD in public_key_info(issuer):
        problem = f"the key of {subject_of(issuer)} spells its curve out instead of naming it"
    elif kind in ("", "ed25519", "ed448"):
        problem = (
            f"{subject_of(issuer)}: authorities with a key of this kind ({kind or 'unknown'}) are "
            "not supported"
        )
    else:
        weak = _weak_hash(certificate) or signature_problem(certificate)
        problem = f"{subject_of(certificate)} is {weak}" if weak else ""
    return _finding("signature algorithm", certificate, problem, f"by {kind}", section, fault)


_PRIME_FIELD = bytes.fromhex("06072a8648ce3d0101")
"""The object identifier of fields, which only curves that are spelled out have in their keys."""


def _weak_hash(certificate: x509.Certificate) -> str:
    algorithm = certificate.signature_hash_algorithm
    weak = isinstance(algorithm, MD5 | SHA1 | SHA224)
    return f"signed with {algorithm.name.upper()}" if algorithm and weak else ""


def _signature(
    certificate: x509.Certificate, issuer: x509.Certificate, context: Context, *, signed: bool
) -> Finding:
    section = "RFC 5280 6.1.3"
    if signed:
        evidence = f"made by {subject_of(issuer)}"
        return _finding("signature", certificate, "", evidence, section)
    if issuer in context.trust.anchors:
        problem = (
            f"{subject_of(certificate)}: an authority of its issuer's name is trusted, but did "
            "not sign it"
        )
        return _finding("signature", certificate, problem, "", section, Fault.CERTIFICATE_UNTRUSTED)
    problem = f"the signature of {subject_of(issuer)} on {subject_of(certificate)} is wrong"
    return _finding("signature", certificate, problem, "", section)


def _issuer_key(issuer: x509.Certificate) -> Finding:
    try:
        key: Any = issuer.public_key()
    except Exception:
        return _finding("key", issuer, f"the key of {subject_of(issuer)} cannot be read", "", "")
    problem = cost_problem(key)
    if not problem and key_kind(key) == "rsa" and key.key_size < MIN_RSA_BITS:
        problem = f"an RSA key of {key.key_size} bits"
    if problem:
        problem = f"{subject_of(issuer)} has {problem}"
    fault = Fault.UNSUPPORTED_CERTIFICATE
    return _finding("key", issuer, problem, _key_text(issuer), "RFC 8446 4.4.2.2", fault)


def _is_authority(issuer: x509.Certificate, context: Context) -> Finding:
    problem = ""
    try:
        extension = issuer.extensions.get_extension_for_class(x509.BasicConstraints)
    except x509.ExtensionNotFound:
        problem = f"{subject_of(issuer)} issued it and is no authority"
    else:
        if not extension.value.ca:
            problem = f"{subject_of(issuer)} issued it and is no authority"
        elif context.web and not extension.critical:
            problem = f"basicConstraints of {subject_of(issuer)} are not critical"
    return _finding("authority", issuer, problem, "may issue", "RFC 5280 4.2.1.9")


def _path_length(issuer: x509.Certificate, below: Sequence[x509.Certificate]) -> Finding:
    constraints = _extension(issuer, x509.BasicConstraints)
    most = constraints.path_length if constraints is not None else None
    # RFC 5280 4.2.1.9: self-issued certificates do not count, and neither does the leaf.
    between = sum(1 for each in below[1:] if each.subject != each.issuer)
    problem = ""
    if most is not None and between > most:
        problem = (
            f"{subject_of(issuer)} allows {most} authorities below it, and there are {between}"
        )
    evidence = "unlimited" if most is None else f"{between} of at most {most} below"
    return _finding("path length", issuer, problem, evidence, "RFC 5280 4.2.1.9")


def _issuer_key_usage(issuer: x509.Certificate, context: Context) -> Finding:
    usage = _extension(issuer, x509.KeyUsage)
    problem = ""
    if usage is None:
        if context.web and issuer not in context.trust.anchors:
            problem = f"{subject_of(issuer)}: an intermediate certificate has no keyUsage"
    elif not usage.key_cert_sign:
        problem = f"the key usage of {subject_of(issuer)} does not allow it to sign certificates"
    evidence = ", ".join(key_usage_of(issuer) or ()) or "not restricted"
    return _finding("key usage", issuer, problem, evidence, "RFC 5280 4.2.1.3")


def _issuer_purpose(issuer: x509.Certificate, context: Context) -> Finding:
    purposes = _extension(issuer, x509.ExtendedKeyUsage)
    allowed = purposes is None or bool(
        {context.purpose, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(purposes)
    )
    role = "server" if context.names else "client"
    problem = "" if allowed else f"{subject_of(issuer)} may not issue for TLS {role}s"
    evidence = ", ".join(extended_key_usage_of(issuer) or ()) or "not restricted"
    fault = Fault.CERTIFICATE_WRONG_PURPOSE
    return _finding("purpose", issuer, problem, evidence, "RFC 5280 4.2.1.12", fault)


def _name_constraints(issuer: x509.Certificate, below: Sequence[x509.Certificate]) -> Finding:
    constraints = _extension(issuer, x509.NameConstraints)
    section = "RFC 5280 4.2.1.10"
    if constraints is None:
        about, fault = subject_of(issuer), Fault.BAD_CERTIFICATE
        return Finding("name constraints", about, None, "none", section, fault)
    # Self-issued authorities are exempt, the leaf never is.
    bound = [below[0], *[each for each in below[1:] if each.subject != each.issuer]]
    found = violation(constraints, bound)
    problem = f"{subject_of(issuer)} may not issue for these names: {found}" if found else ""
    return _finding("name constraints", issuer, problem, "all names are within", section)


def _identifiers(issuer: x509.Certificate, context: Context) -> Finding:
    form = profile.authority(issuer, encoded(issuer)).form
    problem = "" if issuer in context.trust.vetted or not form else form
    if problem:
        problem = f"the authority {subject_of(issuer)} {problem}"
    return _finding("identifiers", issuer, problem, "as they must be", "RFC 5280 4.2.1.2")


def _kind_of(certificate: x509.Certificate) -> str:
    try:
        return key_kind(certificate.public_key())
    except Exception:
        return ""


def _extension(certificate: x509.Certificate, kind: type[Any]) -> Any:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
