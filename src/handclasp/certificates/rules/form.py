"""The rules for the form of a certificate: that it can be read, its dates, and what it must hold.

The identifiers are what a public authority must put into a certificate (RFC 5280, and the
CA/Browser Forum's Baseline Requirements, "BR"). An anchor that a root program admitted
(`TrustStore.vetted`) is taken as it is, as no server can mend it.
"""

from __future__ import annotations

from cryptography import x509

from handclasp.certificates.names import MOST_EXTENSION_BYTES, MOST_NAME_BYTES
from handclasp.certificates.rules.rule import (
    UNASKED,
    CertificateRule,
    Checked,
    Context,
    Excused,
    Held,
    IssuerRule,
    LeafRule,
    Outcome,
    Problem,
    Rank,
    SentRule,
)
from handclasp.certificates.seen import NO_NAME, Seen
from handclasp.faults import Fault
from handclasp.wording import printable


def _of_issuers(rule: CertificateRule) -> IssuerRule:
    """Return a rule for the leaf as one for issuers, too."""
    return IssuerRule(
        name=rule.name,
        section=rule.section,
        fault=rule.fault,
        field=rule.field,
        checked=rule.checked,
        check=rule.check,
        evidence=rule.evidence,
    )


def _of_sent(rule: CertificateRule) -> SentRule:
    """Return a rule for the leaf as one for what was sent besides: it bounds what reading costs."""
    return SentRule(
        name=rule.name,
        section=rule.section,
        field=rule.field,
        checked=rule.checked,
        rank=Rank.COST,
        check=rule.check,
    )


def _name_size(certificate: Seen, context: Context) -> Outcome:
    """Check that the names are not so long that reading them takes many milliseconds.

    Whatever reads a subject or an issuer makes an object of each of its parts.
    """
    if certificate.name_bytes <= MOST_NAME_BYTES:
        return UNASKED  # It says nothing of nearly all certificates.
    return Problem(
        f"{certificate.about}: issuer and subject take {certificate.name_bytes} bytes; "
        f"{MOST_NAME_BYTES} are accepted"
    )


NAME_SIZE = LeafRule(
    name="size of names",
    section="RFC 5280 4.1.2.4",
    field="subject",
    checked=Checked.FIRST,
    rank=Rank.KEY,
    is_for_records=True,
    check=_name_size,
)
SENT_NAME_SIZE = _of_sent(NAME_SIZE)


def _extensions_size(certificate: Seen, context: Context) -> Outcome:
    """Check that the extensions are not so many that reading them takes many milliseconds.

    The text of DNS names does not count: thousands of them are read in a millisecond.
    """
    if not certificate.is_oversized:
        return UNASKED  # It says nothing of nearly all certificates.
    return Problem(
        f"{certificate.about}: its extensions take {certificate.extensions_size} bytes; "
        f"{MOST_EXTENSION_BYTES} are accepted, not counting the text of DNS names"
    )


EXTENSIONS_SIZE = LeafRule(
    name="size of extensions",
    section="RFC 5280 4.2",
    field="extensions",
    checked=Checked.FIRST,
    rank=Rank.KEY,
    is_for_records=True,
    check=_extensions_size,
)
SENT_EXTENSIONS_SIZE = _of_sent(EXTENSIONS_SIZE)

_MOMENT = "%Y-%m-%d %H:%M:%S"


def _dates(certificate: Seen, context: Context) -> Outcome:
    """Check that a certificate is valid at the time."""
    begin = certificate.certificate.not_valid_before_utc
    end, about = certificate.certificate.not_valid_after_utc, certificate.about
    now = context.now.replace(microsecond=0)  # Dates in certificates have whole seconds.
    whose = "the clock here says" if context.by_clock else "the time asked for is"
    if now > end:
        text = f"{about} expired at {end:{_MOMENT}} UTC; {whose} {now:{_MOMENT}}"
        return Problem(text, Fault.CERTIFICATE_EXPIRED, "notAfter")
    if now < begin:
        text = f"{about} is valid from {begin:{_MOMENT}} UTC on; {whose} {now:{_MOMENT}}"
        return Problem(text, Fault.CERTIFICATE_NOT_YET_VALID, "notBefore")
    return None


def _dates_shown(certificate: Seen, context: Context) -> str:
    begin = certificate.certificate.not_valid_before_utc
    return f"valid from {begin:%Y-%m-%d} to {certificate.certificate.not_valid_after_utc:%Y-%m-%d}"


DATES = LeafRule(
    name="dates",
    section="RFC 5280 4.1.2.5",
    fault=Fault.CERTIFICATE_EXPIRED,
    rank=Rank.DATES,
    checked=Checked.BY_VERIFIER,
    check=_dates,
    evidence=_dates_shown,
)
ISSUER_DATES = _of_issuers(DATES)


def _unread(certificate: Seen) -> Excused:
    return Excused(f"{certificate.extensions_size} bytes of extensions, which are left unread")


def _unreadable(certificate: Seen) -> str:
    return f"the extensions of {certificate.about} cannot be read"


def _readable(leaf: Seen, context: Context) -> Outcome:
    """Check that the extensions can be read; the verifier skips those that it does not need."""
    extensions = leaf.all_extensions
    if leaf.unread:
        return _unread(leaf)
    return Problem(_unreadable(leaf)) if extensions is None else None


READABLE = LeafRule(
    name="readable",
    section="RFC 5280 4.2",
    field="extensions",
    rank=Rank.READABLE,
    is_gate=True,
    is_for_records=True,
    check=_readable,
    evidence=lambda leaf, _: f"{len(leaf.all_extensions or ())} extensions",
)


def _issuer_readable(issuer: Seen, context: Context) -> Outcome:
    """Check the same of an issuer, which only the web's form asks for.

    What the verifier needs it reads itself.
    """
    if issuer.all_extensions is not None:
        return UNASKED
    if issuer.unread:
        return _unread(issuer)
    if not context.web or issuer.is_vetted:
        return Excused(_unreadable(issuer))
    return Problem(_unreadable(issuer), is_excused_in_private=True)


ISSUER_READABLE = IssuerRule(
    name="issuer readable",
    section="RFC 5280 4.2",
    field="extensions",
    rank=Rank.FORM,
    is_gate=True,
    check=_issuer_readable,
)


def _version(certificate: Seen, context: Context) -> Outcome:
    version = certificate.certificate.version
    is_right = version is x509.Version.v3
    return None if is_right else Problem(f"it is of version {version.name}, not 3")


VERSION = LeafRule(
    name="version",
    section="RFC 5280 4.1.2.1",
    field="version",
    checked=Checked.BY_VERIFIER,
    check=_version,
    evidence=lambda certificate, _: "3",
)
ISSUER_VERSION = _of_issuers(VERSION)


def _serial_number(certificate: Seen, context: Context) -> Outcome:
    # 21 bytes pass, as some authorities forget the one that keeps a number positive.
    is_right = 0 <= certificate.certificate.serial_number < 1 << 167
    return None if is_right else Problem("its serial number is negative or too long")


SERIAL_NUMBER = LeafRule(
    name="serial number",
    section="RFC 5280 4.1.2.2",
    field="serialNumber",
    checked=Checked.BY_VERIFIER,
    check=_serial_number,
    evidence=lambda certificate, _: f"{certificate.certificate.serial_number:x}"[:40],
)
ISSUER_SERIAL_NUMBER = _of_issuers(SERIAL_NUMBER)


def _names_issuer(certificate: Seen, context: Context) -> Outcome:
    return None if certificate.issuer_name != NO_NAME else Problem("it names no issuer")


NAMES_ISSUER = LeafRule(
    name="issuer",
    section="RFC 5280 4.1.2.4",
    field="issuer",
    checked=Checked.BY_VERIFIER,
    check=_names_issuer,
    evidence=lambda certificate, _: printable(certificate.issuer, 60),
)
ISSUER_NAMES_ISSUER = _of_issuers(NAMES_ISSUER)


_SUBJECT_KEY = "2.5.29.14"
_EXTENDED_KEY_USAGE = "2.5.29.37"
_UNDERSTOOD = frozenset(
    (
        "1.3.6.1.5.5.7.1.1",
        _SUBJECT_KEY,
        "2.5.29.15",
        "2.5.29.17",
        "2.5.29.19",
        "2.5.29.30",
        "2.5.29.35",
        "2.5.29.37",
    )
)
_NEVER_CRITICAL = frozenset(("1.3.6.1.5.5.7.1.1", "2.5.29.35", "2.5.29.37"))
"""The critical extensions that the verifier understands, and those that it wants not critical."""


def _critical(certificate: Seen, never: frozenset[str]) -> Problem | None:
    critical = [
        each.oid.dotted_string for each in certificate.all_extensions or () if each.critical
    ]
    unknown = [oid for oid in critical if oid not in _UNDERSTOOD]
    misplaced = [oid for oid in critical if oid in never]
    if unknown:
        return Problem(f"its critical extension {unknown[0]} is not understood here")
    if misplaced:
        return Problem(f"its extension {misplaced[0]} must not be critical")
    return None


def _leaf_critical(leaf: Seen, context: Context) -> Outcome:
    return _critical_marks(leaf, context, _NEVER_CRITICAL)


def _issuer_critical(issuer: Seen, context: Context) -> Outcome:
    return _critical_marks(issuer, context, _NEVER_CRITICAL | {_SUBJECT_KEY})


def _critical_marks(certificate: Seen, context: Context, never: frozenset[str]) -> Outcome:
    """Check the critical extensions; private authorities may mark extended key usage so."""
    lenient = _critical(certificate, never - {_EXTENDED_KEY_USAGE})
    if lenient is not None or not context.web:
        return lenient
    strict = _critical(certificate, never)
    return None if strict is None else Problem(strict.text, is_excused_in_private=True)


def _counted(certificate: Seen, context: Context) -> str:
    extensions = certificate.all_extensions or ()
    return f"{len(extensions)} extensions, {sum(each.critical for each in extensions)} critical"


EXTENSIONS = LeafRule(
    name="extensions",
    section="RFC 5280 4.2",
    field="extensions",
    checked=Checked.BY_VERIFIER,
    check=_leaf_critical,
    evidence=_counted,
)
ISSUER_EXTENSIONS = IssuerRule(
    name="extensions",
    section="RFC 5280 4.2",
    field="extensions",
    checked=Checked.BY_VERIFIER,
    check=_issuer_critical,
    evidence=_counted,
)


def _issuers_key(leaf: Seen, context: Context) -> Outcome:
    is_excused = not context.web or leaf.is_anchor
    if is_excused or leaf.extension(x509.AuthorityKeyIdentifier) is not None:
        return None
    return Problem("it does not name its issuer's key", is_excused_in_private=True)


def _issuers_key_named(leaf: Seen, context: Context) -> str:
    is_named = leaf.extension(x509.AuthorityKeyIdentifier) is not None
    return "named" if is_named else "not named"


ISSUERS_KEY = LeafRule(
    name="issuer's key",
    section="RFC 5280 4.2.1.1",
    field="authorityKeyIdentifier",
    checked=Checked.BY_VERIFIER,
    check=_issuers_key,
    evidence=_issuers_key_named,
)


def _identifiers(issuer: Seen, context: Context) -> Outcome:
    """Check the form that the profile of the web asks of an authority."""
    if not context.web:
        return UNASKED
    problem = _form_problem(issuer)
    if problem and issuer.is_vetted:
        return Held(f"it {problem}, but a root program vetted it")
    if not problem:
        return None
    text = f"the authority {issuer.about} {problem}"
    return Problem(text, is_excused_in_private=True)


def _form_problem(issuer: Seen) -> str:
    identifier = issuer.extension(x509.AuthorityKeyIdentifier)
    if issuer.entry(x509.SubjectKeyIdentifier) is None:
        return "has no subjectKeyIdentifier (RFC 5280 4.2.1.2)"
    if identifier is not None and identifier.key_identifier is None:
        return "has an authorityKeyIdentifier without a key identifier (BR 7.1.2.11.1)"
    if identifier is not None and identifier.authority_cert_serial_number is not None:
        return "has an authorityKeyIdentifier with a serial number (BR 7.1.2.11.1)"
    if identifier is not None and identifier.authority_cert_issuer is not None:
        return "has an authorityKeyIdentifier with an issuer's name (BR 7.1.2.11.1)"
    if issuer.entry(x509.PolicyConstraints) is not None:
        # Critical ones never come this far: the verifier does not know them.
        return "has policyConstraints that are not critical (RFC 5280 4.2.1.11)"
    if identifier is None and not issuer.is_self_issued:
        return "has no authorityKeyIdentifier and is no root (RFC 5280 4.2.1.1)"
    return ""


IDENTIFIERS = IssuerRule(
    name="identifiers",
    section="RFC 5280 4.2.1.2",
    field="extensions",
    rank=Rank.FORM,
    check=_identifiers,
    evidence=lambda issuer, _: "as they must be",
)
