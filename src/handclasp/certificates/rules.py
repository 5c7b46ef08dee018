"""The rules of the decision, each by itself and in words, for the explanation.

A rule looks at one certificate, or at one and its issuer, and gives a `Finding`: whether it is
held, by what evidence, and which section asks for it. Nothing here decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import MD5, SHA1, SHA224
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from handclasp.certificates import profile
from handclasp.certificates.der import octet_string, public_key_info
from handclasp.certificates.describe import (
    extended_key_usage_of,
    key_type_of,
    key_usage_of,
    signature_algorithm_of,
)
from handclasp.certificates.key_bounds import MIN_RSA_BITS, cost_problem, leaf_key_problem
from handclasp.certificates.name_constraints import TooManyError, listed, violation
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
    yield leaf_key(leaf)
    yield dates(leaf, context)
    readable = _readable(leaf)
    yield readable
    if not readable.held:
        return
    for name in context.names:
        yield _names(leaf, name)
    yield from _form(leaf, _NEVER_CRITICAL)
    yield _leaf_key_usage(leaf, context)
    yield _leaf_purpose(leaf, context)
    yield _leaf_is_no_authority(leaf, context)
    yield _leaf_issuer_key(leaf, context)
    if context.names:
        yield _names_form(leaf)
        yield _common_name(leaf, context)


def step_findings(
    below: Sequence[x509.Certificate],
    issuer: x509.Certificate,
    context: Context,
    *,
    signed: bool | None,
) -> Iterator[Finding]:
    """What is asked of an issuer: `below` are the certificates under it, the leaf first.

    `signed` is whether it signed the last of them; None says that nobody has looked.
    """
    certificate = below[-1]
    algorithm = _signature_algorithm(certificate, issuer)
    yield algorithm
    if algorithm.held:
        yield _signature(certificate, issuer, context, signed=signed)
    yield _issuer_key(issuer)
    yield dates(issuer, context)
    readable = _readable(issuer)
    if not readable.held:
        # The verifier reads what it needs itself; that all can be read is a rule of the web's form.
        excused = not context.web or issuer in context.trust.vetted
        yield replace(readable, rule="issuer readable", held=None if excused else False)
        return
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
    if not context.web or not _readable(leaf).held:
        return
    names = certificate_names(leaf)
    private = anchor not in context.trust.vetted
    for name in context.names:
        matching = [] if name in names else [entry for entry in names if covers(entry, name)]
        if matching:
            pattern = shown(matching[0], 60)
            broken = all(is_public_suffix(entry[2:], private=private) for entry in matching)
            problem = f"its name {pattern} would cover the hosts of many owners" if broken else ""
            evidence = f"{pattern} covers the hosts of one owner"
            fault = Fault.CERTIFICATE_NAME_MISMATCH
            yield _finding("wildcard", leaf, problem, evidence, "BR 3.2.2.6", fault)


def dates(certificate: x509.Certificate, context: Context) -> Finding:
    """Whether a certificate is valid at the time."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    subject = subject_of(certificate)
    section = "RFC 5280 4.1.2.5"
    now = context.now.replace(microsecond=0)  # Dates in certificates have whole seconds.
    if now > end:
        evidence = f"{subject} expired at {end:{_MOMENT}} UTC; the clock here says {now:{_MOMENT}}"
        return Finding("dates", subject, False, evidence, section, Fault.CERTIFICATE_EXPIRED)
    if now < begin:
        evidence = (
            f"{subject} is valid from {begin:{_MOMENT}} UTC on; the clock here says {now:{_MOMENT}}"
        )
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


def _excused(finding: Finding) -> Finding:
    return replace(finding, held=None)


def _readable(certificate: x509.Certificate) -> Finding:
    try:
        evidence = f"{len(certificate.extensions)} extensions"
        problem = ""
    except Exception:
        # cryptography reads them late, and raises ValueError, TypeError and others.
        problem, evidence = f"the extensions of {subject_of(certificate)} cannot be read", ""
    return _finding("readable", certificate, problem, evidence, "RFC 5280 4.2")


def leaf_key(leaf: x509.Certificate) -> Finding:
    """Whether TLS 1.3 can use its key, and it is strong enough."""
    try:
        key: Any = leaf.public_key()
    except Exception:
        problem, evidence = f"the key of {subject_of(leaf)} cannot be read", ""
    else:
        found = leaf_key_problem(leaf, key)
        problem, evidence = (f"{subject_of(leaf)} has {found}" if found else ""), _key_text(leaf)
    fault = Fault.UNSUPPORTED_CERTIFICATE
    return _finding("key", leaf, problem, evidence, "RFC 8446 4.4.2.2", fault)


def slow_key_findings(others: Sequence[x509.Certificate]) -> Iterator[Finding]:
    """Keys that would be slow to verify with are refused wherever they stand in the chain."""
    for other in others:
        try:
            problem = cost_problem(other.public_key())
        except Exception:
            problem = ""  # Nothing can be verified with this key; the path may do without it.
        if problem:
            text = f"{subject_of(other)} has {problem}"
            fault = Fault.UNSUPPORTED_CERTIFICATE
            yield _finding("cost of keys", other, text, "", "RFC 8446 4.4.2.2", fault)


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
    elif any(label[:1] == "-" or label[-1:] == "-" for label in name.split(".")):
        problem = f"no certificate can be verified for {shown(name)}: that is no host's name"
    elif not own:
        problem = (
            f"its subjectAltName names no host, so it is neither for {shown(name)} nor any other"
        )
    elif matching is None:
        listed = ", ".join(shown(entry, 60) for entry in own[:5])
        more = f" and {len(own) - 5} more" if len(own) > 5 else ""
        problem = f"it is for {listed}{more}, not for {shown(name)}"
    return _finding("names", leaf, problem, f"{matching} covers {name}", section, fault)


_MOMENT = "%Y-%m-%d %H:%M:%S"
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
    # 21 bytes pass, as some authorities forget the one that keeps a number positive.
    problem = "" if 0 <= serial < 1 << 167 else "its serial number is negative or too long"
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
    given, problem = "", ""
    names = certificate_names(leaf)
    for attribute in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        given = str(attribute.value)
        copied = given.lower().removesuffix(".")
        known = copied in names or f"*.{copied}" in names or copied in context.names
        if context.web and not known and claims_host(given) and not problem:
            problem = f"its common name {shown(given, 60)} is not among its names"
    evidence = f"{shown(given, 60)}, which is never matched" if given else "none"
    return _finding("common name", leaf, problem, evidence, "BR 7.1.4.3")


def _names_form(leaf: x509.Certificate) -> Finding:
    evidence = "critical" if not list(leaf.subject) else "not critical"
    problem = _criticality_problem(leaf)
    return _finding("names' form", leaf, problem, evidence, "RFC 5280 4.2.1.6")


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


_AUTHORITY_KEYS = frozenset(
    ("rsa", "secp256r1", "secp384r1", "secp521r1", "mldsa44", "mldsa65", "mldsa87")
)


def _signature_algorithm(certificate: x509.Certificate, issuer: x509.Certificate) -> Finding:
    kind = _kind_of(issuer)
    if kind not in _AUTHORITY_KEYS:
        problem = (
            f"{subject_of(issuer)}: authorities with a key of this kind ({kind or 'unknown'}) are "
            "not supported"
        )
    elif _is_spelled_oddly(issuer):
        problem = f"{subject_of(issuer)}: the algorithm of its key has unusual parameters"
    else:
        weak = (
            _weak_hash(certificate) or signature_problem(certificate) or _salt_problem(certificate)
        )
        problem = f"{subject_of(certificate)} is {weak}" if weak else ""
    evidence = f"{signature_algorithm_of(certificate)}, by a key of the kind {kind}"
    fault, section = Fault.UNSUPPORTED_CERTIFICATE, "RFC 8446 4.2.3"
    return _finding("signature algorithm", certificate, problem, evidence, section, fault)


def _weak_hash(certificate: x509.Certificate) -> str:
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return ""  # It is told by `signature_problem`, which does not know it, either.
    weak = isinstance(algorithm, MD5 | SHA1 | SHA224)
    return f"signed with {algorithm.name.upper()}" if algorithm and weak else ""


def _is_spelled_oddly(issuer: x509.Certificate) -> bool:
    """Whether its key is not in the one form that the verifier takes (RFC 8017 A.1, RFC 5480 2).

    An RSA key for PSS alone is not, and neither is a curve that is spelled out.
    """
    usual = octet_string(
        issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    algorithm = usual[: 2 + usual[1]]
    return not octet_string(public_key_info(issuer)).startswith(algorithm)


def _salt_problem(certificate: x509.Certificate) -> str:
    """RFC 8446 4.2.3: the salt of RSASSA-PSS is as long as the digest."""
    parameters = certificate.signature_algorithm_parameters
    digest = certificate.signature_hash_algorithm
    if not isinstance(parameters, padding.PSS) or digest is None:
        return ""
    # cryptography does not show the length in its types.
    salt: object = parameters._salt_length  # pyright: ignore[reportPrivateUsage]
    fitting = salt == digest.digest_size
    return "" if fitting else f"signed in RSASSA-PSS with a salt of {salt} bytes"


def _signature(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    context: Context,
    *,
    signed: bool | None,
) -> Finding:
    section = "RFC 5280 6.1.3"
    fault = Fault.BAD_CERTIFICATE
    if signed:
        return _finding("signature", certificate, "", f"made by {subject_of(issuer)}", section)
    if signed is None:
        problem, fault = "the chain has too many signatures to check", Fault.CERTIFICATE_UNTRUSTED
    elif issuer in context.trust.anchors:
        problem = (
            f"{subject_of(certificate)}: an authority of its issuer's name is trusted, but did "
            "not sign it"
        )
        fault = Fault.CERTIFICATE_UNTRUSTED
    else:
        problem = f"the signature of {subject_of(issuer)} on {subject_of(certificate)} is wrong"
    return _finding("signature", certificate, problem, "", section, fault)


def _issuer_key(issuer: x509.Certificate) -> Finding:
    try:
        key: Any = issuer.public_key()
    except Exception:
        problem = f"the key of {subject_of(issuer)} cannot be read"
        return _finding("key", issuer, problem, "", "RFC 5280 4.1.2.7")
    problem = cost_problem(key)
    # The verifier counts whole bytes, so that a few bits less than 2048 pass.
    if not problem and key_kind(key) == "rsa" and key.key_size < MIN_RSA_BITS - 8:
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
    # Stricter than RFC 5280 4.2.1.9: the verifier counts self-issued certificates, too.
    between = len(below) - 1
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
    section = "RFC 5280 4.2.1.10"
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.NameConstraints)
    except x509.ExtensionNotFound:
        return _excused(_finding("name constraints", issuer, "", "none", section))
    # Self-issued authorities are exempt, the leaf never is.
    above = [each for each in (*below[1:], issuer) if each.subject != each.issuer]
    try:
        found = violation(constraints, [below[0], *above])
    except TooManyError:
        evidence = "there are too many to look at here; the decision looked at them all"
        return _excused(_finding("name constraints", issuer, "", evidence, section))
    problem = f"{subject_of(issuer)} may not issue for these names: {found}" if found else ""
    permitted, excluded = constraints.value.permitted_subtrees, constraints.value.excluded_subtrees
    within = f"all names are within {listed(permitted)}" if permitted else "all names are allowed"
    evidence = f"{within}, none in {listed(excluded)}" if excluded else within
    return _finding("name constraints", issuer, problem, evidence, section)


def _identifiers(issuer: x509.Certificate, context: Context) -> Finding:
    form = profile.authority_of(issuer).form
    excused = issuer in context.trust.vetted
    problem = f"the authority {subject_of(issuer)} {form}" if form and not excused else ""
    evidence = f"it {form}, but a root program vetted it" if form else "as they must be"
    return _finding("identifiers", issuer, problem, evidence, "RFC 5280 4.2.1.2")


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
