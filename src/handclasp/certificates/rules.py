"""The rules of the decision, each by itself and in words, for the explanation.

A rule looks at one certificate, or at one and its issuer, and gives a `Finding`: whether it is
held, by what evidence, and which section asks for it. Nothing here decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import MD5, SHA1, SHA224
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from handclasp.certificates import profile
from handclasp.certificates.der import octet_string
from handclasp.certificates.describe import (
    extended_key_usage_of,
    key_type_of,
    key_usage_of,
    signature_algorithm_of,
)
from handclasp.certificates.key_bounds import MIN_RSA_BITS, cost_problem, leaf_key_problem
from handclasp.certificates.name_constraints import Comparisons, TooManyError
from handclasp.certificates.names import claims_host, printable
from handclasp.certificates.policy import CertificatePolicy
from handclasp.certificates.public_suffix import is_public_suffix
from handclasp.certificates.seen import NO_NAME, Seen
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
        evidence: the values that it checked.
        section: where it stands.
        fault: what it leads to if it is broken.
        of: the certificate, if there is one to point at.
        is_issuer: whether the fault is one of an authority above the leaf, and not the leaf's own.
        is_excused_in_private: whether the profile "private" does not ask for it.
        ends_path: whether the way up ends here because nobody is known above.
        useless: which of the certificates that were sent besides are none on the way.
    """

    rule: str
    about: str
    held: bool | None
    evidence: str
    section: str
    fault: Fault
    of: Seen | None = field(default=None, repr=False, compare=False)
    is_issuer: bool = False
    is_excused_in_private: bool = False
    ends_path: bool = False
    useless: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """The input of the rules: the anchors, the names, the time and the strictness.

    Without names it is about a client, or with `any_name` about a server of any name.

    Of one walk only: `of_issuers`, `of_signatures` and `comparisons` are what was found out on it.
    """

    trust: TrustStore
    names: tuple[str, ...]
    now: datetime
    policy: CertificatePolicy
    of_issuers: dict[Seen, OfIssuer] = field(default_factory=dict["Seen", "OfIssuer"])
    of_signatures: dict[tuple[Seen, Seen], tuple[Finding, ...]] = field(
        default_factory=dict[tuple["Seen", "Seen"], tuple["Finding", ...]]
    )
    comparisons: Comparisons = field(default_factory=Comparisons)
    any_name: bool = False
    by_clock: bool = True
    """True if `now` is from this machine's clock, and not a time that somebody asked for."""

    def afresh(self, trust: TrustStore) -> Context:
        """Return a context for another walk, perhaps with other anchors."""
        return Context(
            trust,
            self.names,
            self.now,
            self.policy,
            any_name=self.any_name,
            by_clock=self.by_clock,
        )

    @property
    def web(self) -> bool:
        return self.policy.profile == "web"

    @property
    def is_server(self) -> bool:
        return self.any_name or bool(self.names)

    @property
    def purpose(self) -> x509.ObjectIdentifier:
        oids = ExtendedKeyUsageOID
        return oids.SERVER_AUTH if self.is_server else oids.CLIENT_AUTH


def leaf_findings(leaf: Seen, context: Context) -> Iterator[Finding]:
    """Return the findings of the rules for a leaf that hold on every path."""
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


def mismatches_unread(leaf: Seen, context: Context) -> tuple[Finding, ...]:
    """Return a finding for each name that a leaf with unread extensions does not cover.

    It may have twenty thousand names, so they are compared as bytes.
    """
    if leaf.names_unread is None:
        return ()
    found = [_names(leaf, name) for name in context.names]
    return tuple([finding for finding in found if not finding.held])


def step_findings(
    below: Sequence[Seen],
    issuer: Seen,
    context: Context,
    *,
    signed: bool | None,
) -> Iterator[Finding]:
    """Return the findings for an issuer: `below` are the certificates under it, the leaf first.

    `signed` is whether it signed the last of them; None says that nobody has looked.
    """
    pair = below[-1], issuer
    signing = context.of_signatures.get(pair)
    if signing is None:
        signing = context.of_signatures[pair] = tuple(_of_signature(*pair, signed=signed))
    yield from signing
    own = context.of_issuers.get(issuer)
    if own is None:
        own = context.of_issuers[issuer] = _of_issuer(issuer, context)
    yield from own.before
    if not own.is_readable:
        return
    yield _of_authority(_path_length(issuer, below))
    yield from own.between
    yield _of_authority(_name_constraints(issuer, below, context))
    yield from own.after


def _of_signature(certificate: Seen, issuer: Seen, *, signed: bool | None) -> Iterator[Finding]:
    algorithm = _signature_algorithm(certificate, issuer)
    yield algorithm
    if algorithm.held:
        yield _signature(certificate, issuer, signed=signed)


class OfIssuer(NamedTuple):
    """The rules for an issuer that do not depend on the certificates below it, around those that
    do.
    """

    is_readable: bool
    before: tuple[Finding, ...]
    between: tuple[Finding, ...] = ()
    after: tuple[Finding, ...] = ()


def _of_issuer(issuer: Seen, context: Context) -> OfIssuer:
    first = (_of_authority(_issuer_key(issuer)), _of_authority(dates(issuer, context)))
    readable = _readable(issuer)
    if not readable.held:
        # The verifier reads what it needs itself; that all can be read is a rule of the web's form.
        excused = not context.web or issuer.is_vetted
        excused = excused or issuer.unread
        told = replace(
            readable,
            rule="issuer readable",
            held=None if excused else False,
            is_issuer=True,
            is_excused_in_private=True,
        )
        return OfIssuer(False, (*first, told))
    form = _form(issuer, _NEVER_CRITICAL | {"2.5.29.14"})
    own = _issuer_key_usage(issuer, context), _issuer_purpose(issuer, context)
    return OfIssuer(
        True,
        (*first, *map(_of_authority, form), _of_authority(_is_authority(issuer, context))),
        tuple(map(_of_authority, own)),
        (_of_authority(_identifiers(issuer, context)),) if context.web else (),
    )


def _of_authority(finding: Finding) -> Finding:
    """Return a finding with the name of its authority, as a chain has several."""
    if finding.held is not False:
        return finding  # Only broken rules are reported, and there may be thousands that hold.
    evidence = finding.evidence
    if finding.about not in evidence:
        evidence = f"of the authority {finding.about}: {evidence}"
    return replace(finding, evidence=evidence, is_issuer=True)


def wildcard_findings(leaf: Seen, anchor: Seen, context: Context) -> Iterator[Finding]:
    """Return the findings for wildcards, which depend on the authority."""
    if not context.web or not _readable(leaf).held:
        return
    private = not anchor.is_vetted
    for name in context.names:
        matching = [] if name in leaf.names else leaf.names.covering(name)
        if matching:
            pattern = printable(matching[0], 60)
            broken = all(is_public_suffix(entry[2:], private=private) for entry in matching)
            problem = f"its name {pattern} would cover the hosts of many owners" if broken else ""
            evidence = f"{pattern} covers the hosts of one owner"
            fault = Fault.CERTIFICATE_NAME_MISMATCH
            yield _finding("wildcard", leaf, problem, evidence, "BR 3.2.2.6", fault)


def dates(certificate: Seen, context: Context) -> Finding:
    """Return the finding whether a certificate is valid at the time."""
    begin = certificate.certificate.not_valid_before_utc
    end, subject = certificate.certificate.not_valid_after_utc, certificate.about
    section = "RFC 5280 4.1.2.5"
    now = context.now.replace(microsecond=0)  # Dates in certificates have whole seconds.
    whose = "the clock here says" if context.by_clock else "the time asked for is"
    if now > end:
        evidence = f"{subject} expired at {end:{_MOMENT}} UTC; {whose} {now:{_MOMENT}}"
        fault = Fault.CERTIFICATE_EXPIRED
        return Finding("dates", subject, False, evidence, section, fault, certificate)
    if now < begin:
        evidence = f"{subject} is valid from {begin:{_MOMENT}} UTC on; {whose} {now:{_MOMENT}}"
        fault = Fault.CERTIFICATE_NOT_YET_VALID
        return Finding("dates", subject, False, evidence, section, fault, certificate)
    evidence = f"valid from {begin:%Y-%m-%d} to {end:%Y-%m-%d}"
    return Finding("dates", subject, True, evidence, section, Fault.CERTIFICATE_EXPIRED)


def _finding(
    rule: str,
    certificate: Seen,
    problem: str,
    evidence: str,
    section: str,
    fault: Fault = Fault.BAD_CERTIFICATE,
    *,
    is_excused_in_private: bool = False,
) -> Finding:
    """Return a finding, which holds if there is no problem."""
    return Finding(
        rule,
        certificate.about,
        not problem,
        problem or evidence,
        section,
        fault,
        certificate,
        is_excused_in_private=is_excused_in_private,
    )


def _excused(finding: Finding) -> Finding:
    return replace(finding, held=None)


def _readable(certificate: Seen) -> Finding:
    extensions, problem = certificate.all_extensions, ""
    evidence = f"{len(extensions or ())} extensions"
    if certificate.unread:
        evidence = f"{certificate.extensions_size} bytes of extensions, which are left unread"
        return _excused(_finding("readable", certificate, "", evidence, "RFC 5280 4.2"))
    if extensions is None:
        problem = f"the extensions of {certificate.about} cannot be read"
    return _finding("readable", certificate, problem, evidence, "RFC 5280 4.2")


def leaf_key(leaf: Seen) -> Finding:
    """Return the finding whether TLS 1.3 can use the leaf's key, and it is strong enough."""
    if leaf.key is None:
        problem, evidence = f"the key of {leaf.about} cannot be read", ""
    else:
        found = leaf_key_problem(leaf.certificate, leaf.key)
        problem, evidence = (f"{leaf.about} has {found}" if found else ""), _key_text(leaf)
    fault = Fault.UNSUPPORTED_CERTIFICATE
    return _finding("key", leaf, problem, evidence, "RFC 8446 4.4.2.2", fault)


def slow_key_findings(others: Sequence[Seen]) -> Iterator[Finding]:
    """Return findings for slow keys, which are refused anywhere in the chain."""
    for other in others:
        # Nothing can be verified with a key that cannot be read; the path may do without it.
        problem = cost_problem(other.key) if other.key is not None else ""
        if problem:
            text = f"{other.about} has {problem}"
            fault = Fault.UNSUPPORTED_CERTIFICATE
            yield _finding("cost of keys", other, text, "", "RFC 8446 4.4.2.2", fault)


def _key_text(certificate: Seen) -> str:
    size = getattr(certificate.key, "key_size", None)
    return key_type_of(certificate.certificate) + (f", {size} bits" if size else "")


def _names(leaf: Seen, name: str) -> Finding:
    own = leaf.names
    section, fault = "RFC 9525 6", Fault.CERTIFICATE_NAME_MISMATCH
    covering = own.covering(name)
    matching = next(iter(covering), None)
    problem = ""
    if "_" in name:
        # The verifier compares host names only (RFC 5280 4.2.1.6: "preferred name syntax").
        problem = (
            f"no certificate can be verified for {printable(name)}: host names have no underscore"
        )
    elif any(label[:1] == "-" or label[-1:] == "-" for label in name.split(".")):
        problem = f"no certificate can be verified for {printable(name)}: that is no host's name"
    elif not own:
        problem = _no_host(leaf, name)
    elif matching is not None and all(map(own.ends_in_dot, covering)):
        problem = (
            f"its name {printable(matching)}. ends with a dot, which names in certificates must "
            f"not (RFC 5280 4.2.1.6), so it is not taken for {printable(name)}"
        )
    elif matching is None:
        first = own.first(5)
        listed = ", ".join(printable(entry, 60) for entry in first)
        more = f" and {len(own) - len(first)} more" if len(own) > len(first) else ""
        problem = f"it is for {listed}{more}, not for {printable(name)}"
    return _finding("names", leaf, problem, f"{matching} covers {name}", section, fault)


def _no_host(leaf: Seen, name: str) -> str:
    """Return why a certificate without any host's name covers none."""
    if leaf.names.has_as_dns_name(name):
        return f"it has {printable(name)} as a DNS name, and only an address counts for an address"
    if leaf.names_unread is not None or leaf.extension(x509.SubjectAlternativeName) is not None:
        return (
            "its subjectAltName names no host, so it is neither for "
            f"{printable(name)} nor any other"
        )
    common = printable(leaf.common_names[0], 60) if leaf.common_names else ""
    counted = f": its common name, {common}, does not count (RFC 9525 2)" if common else ""
    return f"it has no subjectAltName, so it is for no host at all{counted}"


_NO_NAME = b"\x30\x00"

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


def _form(certificate: Seen, never_critical: frozenset[str]) -> Iterator[Finding]:
    """Check version, serial number, issuer and extensions, of leaves and authorities alike."""
    extensions = certificate.all_extensions or ()
    version = certificate.certificate.version
    problem = "" if version is x509.Version.v3 else f"it is of version {version.name}, not 3"
    yield _finding("version", certificate, problem, "3", "RFC 5280 4.1.2.1")
    serial = certificate.certificate.serial_number
    # 21 bytes pass, as some authorities forget the one that keeps a number positive.
    problem = "" if 0 <= serial < 1 << 167 else "its serial number is negative or too long"
    yield _finding("serial number", certificate, problem, f"{serial:x}"[:40], "RFC 5280 4.1.2.2")
    problem = "" if certificate.issuer_name != NO_NAME else "it names no issuer"
    issuer = printable(certificate.issuer, 60)
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


def named_leaf_findings(leaf: Seen, context: Context) -> Iterator[Finding]:
    """Return the findings for a leaf that a TLSA record names: path, dates and names do not
    count.
    """
    yield leaf_key(leaf)
    readable = _readable(leaf)
    yield readable
    if readable.held:
        usage = leaf.extension(x509.KeyUsage)
        problem = "" if usage is None or usage.digital_signature else profile.NO_SIGNATURES
        yield _key_usage(leaf, problem)


def _key_usage(leaf: Seen, problem: str) -> Finding:
    evidence = ", ".join(key_usage_of(leaf.certificate) or ()) or "not restricted"
    fault = Fault.CERTIFICATE_WRONG_PURPOSE
    return _finding("key usage", leaf, problem, evidence, "RFC 8446 4.4.2.2", fault)


def _leaf_key_usage(leaf: Seen, context: Context) -> Finding:
    usage = leaf.extension(x509.KeyUsage)
    if usage is not None and not usage.digital_signature:
        problem = profile.NO_SIGNATURES
    elif usage is not None and usage.key_cert_sign and not leaf.is_anchor:
        problem = "its key usage allows it to sign certificates"
    else:
        problem = ""
    return _key_usage(leaf, problem)


def _leaf_purpose(leaf: Seen, context: Context) -> Finding:
    role = "server" if context.is_server else "client"
    purposes = leaf.extension(x509.ExtendedKeyUsage)
    problem, excused = "", False
    if purposes is None:
        if context.web and not leaf.is_anchor:
            problem, excused = profile.no_purpose(role), True
    elif context.purpose not in purposes:
        anything = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in purposes
        extra = " (anyExtendedKeyUsage does not count)" if anything else ""
        problem = f"its extended key usage does not allow TLS {role}s{extra}"
    evidence = _purposes_of(leaf) or "not restricted"
    fault = Fault.CERTIFICATE_WRONG_PURPOSE
    section = "RFC 5280 4.2.1.12"
    return _finding(
        "purpose", leaf, problem, evidence, section, fault, is_excused_in_private=excused
    )


def _leaf_is_no_authority(leaf: Seen, context: Context) -> Finding:
    constraints = leaf.extension(x509.BasicConstraints)
    trusted = leaf.is_anchor
    problem = ""
    if constraints is not None and constraints.ca and not trusted:
        role = "server" if context.is_server else "client"
        problem = f"it is an authority's certificate and not a {role}'s"
    elif leaf.extension(x509.NameConstraints) is not None:
        problem = "it has name constraints, which only authorities may have"
    evidence = "is trusted itself" if trusted else "no authority"
    fault = Fault.CERTIFICATE_WRONG_PURPOSE
    return _finding("leaf", leaf, problem, evidence, "RFC 5280 4.2.1.9", fault)


def _leaf_issuer_key(leaf: Seen, context: Context) -> Finding:
    named = leaf.extension(x509.AuthorityKeyIdentifier) is not None
    excused = not context.web or leaf.is_anchor
    problem = "" if named or excused else "it does not name its issuer's key"
    evidence = "named" if named else "not named"
    section = "RFC 5280 4.2.1.1"
    return _finding("issuer's key", leaf, problem, evidence, section, is_excused_in_private=True)


def _common_name(leaf: Seen, context: Context) -> Finding:
    given, problem, names = "", "", leaf.names
    for given in leaf.common_names:
        copied = given.lower().removesuffix(".")
        known = copied in names or f"*.{copied}" in names or copied in context.names
        if context.web and not known and claims_host(given) and not problem:
            problem = f"its common name {printable(given, 60)} is not among its names"
    evidence = f"{printable(given, 60)}, which is never matched" if given else "none"
    return _finding(
        "common name", leaf, problem, evidence, "BR 7.1.4.3", is_excused_in_private=True
    )


def _names_form(leaf: Seen) -> Finding:
    evidence = "critical" if leaf.subject_name == NO_NAME else "not critical"
    problem = _criticality_problem(leaf)
    return _finding("names' form", leaf, problem, evidence, "RFC 5280 4.2.1.6")


def _criticality_problem(leaf: Seen) -> str:
    """Return the problem if subjectAltName is not critical exactly without a subject (RFC 5280
    4.2.1.6).
    """
    extension = leaf.entry(x509.SubjectAlternativeName)
    if extension is None or extension.critical is (leaf.subject_name == NO_NAME):
        return ""
    if extension.critical:
        return "its subjectAltName is critical, although it has a subject"
    return "its subjectAltName is not critical, although it has no subject"


_AUTHORITY_KEYS = frozenset(
    ("rsa", "secp256r1", "secp384r1", "secp521r1", "mldsa44", "mldsa65", "mldsa87")
)


def _signature_algorithm(certificate: Seen, issuer: Seen) -> Finding:
    kind, of_issuer = issuer.key_kind, True
    if kind not in _AUTHORITY_KEYS:
        problem = (
            f"{issuer.about}: authorities with a key of this kind ({kind or 'unknown'}) are "
            "not supported"
        )
    elif _is_spelled_oddly(issuer):
        problem = f"{issuer.about}: the algorithm of its key has unusual parameters"
    else:
        weak = (
            _weak_hash(certificate.certificate)
            or signature_problem(certificate.certificate)
            or _salt_problem(certificate.certificate)
        )
        problem, of_issuer = (f"{certificate.about} is {weak}" if weak else ""), False
    evidence = f"{signature_algorithm_of(certificate.certificate)}, by a key of the kind {kind}"
    fault, section = Fault.UNSUPPORTED_CERTIFICATE, "RFC 8446 4.2.3"
    found = _finding("signature algorithm", certificate, problem, evidence, section, fault)
    return replace(found, is_issuer=True) if problem and of_issuer else found


def _weak_hash(certificate: x509.Certificate) -> str:
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return ""  # `signature_problem` reports it, which does not know it, either.
    weak = isinstance(algorithm, MD5 | SHA1 | SHA224)
    return f"signed with {algorithm.name.upper()}" if algorithm and weak else ""


def _is_spelled_oddly(issuer: Seen) -> bool:
    """Return whether a key is not in the only form that the verifier accepts (RFC 8017 A.1, RFC
    5480 2).

    An RSA key for PSS alone is not, and neither is a curve that is spelled out.
    """
    usual = octet_string(issuer.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    algorithm = usual[: 2 + usual[1]]
    return not octet_string(issuer.key_info).startswith(algorithm)


def _salt_problem(certificate: x509.Certificate) -> str:
    """Return the problem if the salt of RSASSA-PSS is not as long as the digest (RFC 8446
    4.2.3).
    """
    parameters = certificate.signature_algorithm_parameters
    digest = certificate.signature_hash_algorithm
    if not isinstance(parameters, padding.PSS) or digest is None:
        return ""
    # cryptography does not show the length in its types.
    salt: object = parameters._salt_length  # pyright: ignore[reportPrivateUsage]
    fitting = salt == digest.digest_size
    return "" if fitting else f"signed in RSASSA-PSS with a salt of {salt} bytes"


def _signature(
    certificate: Seen,
    issuer: Seen,
    *,
    signed: bool | None,
) -> Finding:
    section = "RFC 5280 6.1.3"
    fault = Fault.BAD_CERTIFICATE
    if signed:
        return _finding("signature", certificate, "", f"made by {issuer.about}", section)
    if signed is None:
        problem, fault = "the chain has too many signatures to check", Fault.CERTIFICATE_UNTRUSTED
    elif issuer.is_anchor:
        problem = (
            f"{certificate.about}: an authority of its issuer's name is trusted, but did "
            "not sign it"
        )
        fault = Fault.CERTIFICATE_UNTRUSTED
    else:
        problem = f"the signature of {issuer.about} on {certificate.about} is wrong"
        if _is_other_key(certificate, issuer):
            problem = (
                f"{certificate.about} was signed with another key of {issuer.about} than the one "
                "in the certificate that was sent"
            )
    return _finding("signature", certificate, problem, "", section, fault)


def _is_other_key(certificate: Seen, issuer: Seen) -> bool:
    """Return whether the identifiers show that an issuer of the right name has another key."""
    wanted = certificate.extension(x509.AuthorityKeyIdentifier)
    own = issuer.extension(x509.SubjectKeyIdentifier)
    if wanted is None or wanted.key_identifier is None or own is None:
        return False
    return bool(wanted.key_identifier != own.digest)


def _issuer_key(issuer: Seen) -> Finding:
    key = issuer.key
    if key is None:
        problem = f"the key of {issuer.about} cannot be read"
        return _finding("key", issuer, problem, "", "RFC 5280 4.1.2.7")
    problem = cost_problem(key)
    # The verifier counts whole bytes, so that a few bits less than 2048 pass.
    if not problem and key_kind(key) == "rsa" and key.key_size < MIN_RSA_BITS - 8:
        problem = f"an RSA key of {key.key_size} bits"
    if problem:
        problem = f"{issuer.about} has {problem}"
    fault = Fault.UNSUPPORTED_CERTIFICATE
    return _finding("key", issuer, problem, _key_text(issuer), "RFC 8446 4.4.2.2", fault)


def _is_authority(issuer: Seen, context: Context) -> Finding:
    problem, excused = "", False
    extension = issuer.entry(x509.BasicConstraints)
    if extension is None or not extension.value.ca:
        problem = f"{issuer.about} issued it and is no authority"
    elif context.web and not extension.critical:
        problem, excused = f"basicConstraints of {issuer.about} are not critical", True
    section = "RFC 5280 4.2.1.9"
    return _finding(
        "authority", issuer, problem, "may issue", section, is_excused_in_private=excused
    )


def _path_length(issuer: Seen, below: Sequence[Seen]) -> Finding:
    constraints = issuer.extension(x509.BasicConstraints)
    most = constraints.path_length if constraints is not None else None
    # Stricter than RFC 5280 4.2.1.9: the verifier counts self-issued certificates, too.
    between = len(below) - 1
    problem = ""
    if most is not None and between > most:
        problem = f"{issuer.about} allows {most} authorities below it, and there are {between}"
    evidence = "unlimited" if most is None else f"{between} of at most {most} below"
    return _finding("path length", issuer, problem, evidence, "RFC 5280 4.2.1.9")


def _issuer_key_usage(issuer: Seen, context: Context) -> Finding:
    usage = issuer.extension(x509.KeyUsage)
    problem, excused = "", usage is None
    if usage is None:
        if context.web and not issuer.is_anchor:
            problem = f"{issuer.about}: an intermediate certificate has no keyUsage"
    elif not usage.key_cert_sign:
        problem = f"the key usage of {issuer.about} does not allow it to sign certificates"
    evidence = ", ".join(key_usage_of(issuer.certificate) or ()) or "not restricted"
    section = "RFC 5280 4.2.1.3"
    return _finding("key usage", issuer, problem, evidence, section, is_excused_in_private=excused)


def _issuer_purpose(issuer: Seen, context: Context) -> Finding:
    purposes = issuer.extension(x509.ExtendedKeyUsage)
    allowed = purposes is None or bool(
        {context.purpose, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(purposes)
    )
    role = "server" if context.is_server else "client"
    problem = "" if allowed else f"{issuer.about} may not issue for TLS {role}s"
    evidence = _purposes_of(issuer) or "not restricted"
    fault = Fault.CERTIFICATE_WRONG_PURPOSE
    return _finding("purpose", issuer, problem, evidence, "RFC 5280 4.2.1.12", fault)


def _name_constraints(issuer: Seen, below: Sequence[Seen], context: Context) -> Finding:
    section = "RFC 5280 4.2.1.10"
    told = context.comparisons.summary(issuer)
    if not told:
        return _excused(_finding("name constraints", issuer, "", "none", section))
    # Self-issued authorities are exempt, the leaf never is. The verifier goes by the encoding.
    above = [each for each in (*below[1:], issuer) if each.issuer_name != each.subject_name]
    try:
        found = context.comparisons.violation(issuer, [below[0], *above])
    except TooManyError:
        evidence = "there are too many to look at here; the decision checked them all"
        return _excused(_finding("name constraints", issuer, "", evidence, section))
    problem = f"{issuer.about} may not issue for these names: {found}" if found else ""
    return _finding("name constraints", issuer, problem, told, section)


def _identifiers(issuer: Seen, context: Context) -> Finding:
    kinds = {each.value.__class__: each.value for each in issuer.all_extensions or ()}
    form = profile.form_of(issuer.certificate, issuer.der, kinds)
    excused = issuer.is_vetted
    problem = f"the authority {issuer.about} {form}" if form and not excused else ""
    evidence = f"it {form}, but a root program vetted it" if form else "as they must be"
    section = "RFC 5280 4.2.1.2"
    return _finding("identifiers", issuer, problem, evidence, section, is_excused_in_private=True)


def _purposes_of(certificate: Seen, most: int = 8) -> str:
    """Return the first few purposes, for people."""
    found = extended_key_usage_of(certificate.certificate) or []
    more = [f"and {len(found) - most} more"] if len(found) > most else []
    return ", ".join([*found[:most], *more])
