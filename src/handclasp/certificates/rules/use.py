"""The rules for what a certificate may be used for: by a leaf, and by the authorities above it."""

from __future__ import annotations

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from handclasp.certificates.describe import extended_key_usage_of, key_usage_of
from handclasp.certificates.rules.rule import (
    Checked,
    Context,
    IssuerRule,
    LeafRule,
    Outcome,
    Problem,
    Step,
    StepRule,
)
from handclasp.certificates.seen import Seen
from handclasp.faults import Fault
from handclasp.wording import listed

_MOST_PURPOSES = 8
"""The purposes that are listed for people."""


def _key_usages(certificate: Seen, context: Context) -> str:
    return ", ".join(key_usage_of(certificate.certificate) or ()) or "not restricted"


def _purposes(certificate: Seen, context: Context) -> str:
    found = extended_key_usage_of(certificate.certificate) or []
    return listed(found, _MOST_PURPOSES, none="not restricted")


def _key_usage(leaf: Seen, context: Context) -> Outcome:
    """Check the key usage: TLS itself asks for digital signatures, also under a TLSA record."""
    usage = leaf.extension(x509.KeyUsage)
    if usage is None:
        return None
    if not usage.digital_signature:
        return Problem("its key usage does not allow digital signatures")
    if usage.key_cert_sign and not leaf.is_anchor and not context.by_record:
        return Problem("its key usage allows it to sign certificates")
    return None


KEY_USAGE = LeafRule(
    name="key usage",
    section="RFC 8446 4.4.2.2",
    fault=Fault.CERTIFICATE_WRONG_PURPOSE,
    field="keyUsage",
    is_for_records=True,
    check=_key_usage,
    evidence=_key_usages,
)


def _purpose(leaf: Seen, context: Context) -> Outcome:
    purposes, role = leaf.extension(x509.ExtendedKeyUsage), context.role
    if purposes is None:
        # Who trusts one certificate by itself asks no authority what it is for.
        if not context.web or leaf.is_anchor:
            return None
        text = f"it has no extended key usage, so it is not said to be a TLS {role}'s"
        return Problem(text, is_excused_in_private=True)
    if context.purpose in purposes:
        return None
    is_any = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in purposes
    more = " (anyExtendedKeyUsage does not count)" if is_any else ""
    return Problem(f"its extended key usage does not allow TLS {role}s{more}")


PURPOSE = LeafRule(
    name="purpose",
    section="RFC 5280 4.2.1.12",
    fault=Fault.CERTIFICATE_WRONG_PURPOSE,
    field="extKeyUsage",
    check=_purpose,
    evidence=_purposes,
)


def _no_authority(leaf: Seen, context: Context) -> Outcome:
    constraints = leaf.extension(x509.BasicConstraints)
    if constraints is not None and constraints.ca and not leaf.is_anchor:
        return Problem(f"it is an authority's certificate and not a {context.role}'s")
    if leaf.extension(x509.NameConstraints) is not None:
        return Problem("it has name constraints, which only authorities may have")
    return None


NO_AUTHORITY = LeafRule(
    name="leaf",
    section="RFC 5280 4.2.1.9",
    fault=Fault.CERTIFICATE_WRONG_PURPOSE,
    field="basicConstraints",
    checked=Checked.BY_VERIFIER,
    check=_no_authority,
    evidence=lambda leaf, _: "is trusted itself" if leaf.is_anchor else "no authority",
)


def _authority(issuer: Seen, context: Context) -> Outcome:
    extension = issuer.entry(x509.BasicConstraints)
    if extension is None or not extension.value.ca:
        return Problem(f"{issuer.about} issued it and is no authority")
    if context.web and not extension.critical:
        text = f"basicConstraints of {issuer.about} are not critical"
        return Problem(text, is_excused_in_private=True)
    return None


AUTHORITY = IssuerRule(
    name="authority",
    section="RFC 5280 4.2.1.9",
    field="basicConstraints",
    checked=Checked.BY_VERIFIER,
    check=_authority,
    evidence=lambda issuer, _: "may issue",
)


def _length_allowed(issuer: Seen) -> int | None:
    constraints = issuer.extension(x509.BasicConstraints)
    return constraints.path_length if constraints is not None else None


def _path_length(step: Step, context: Context) -> Outcome:
    # Stricter than RFC 5280 4.2.1.9: the verifier counts self-issued certificates, too.
    most, between = _length_allowed(step.issuer), len(step.below) - 1
    if most is None or between <= most:
        return None
    return Problem(
        f"{step.issuer.about} allows {most} authorities below it, and there are {between}"
    )


def _length_found(step: Step, context: Context) -> str:
    most = _length_allowed(step.issuer)
    return "unlimited" if most is None else f"{len(step.below) - 1} of at most {most} below"


PATH_LENGTH = StepRule(
    name="path length",
    section="RFC 5280 4.2.1.9",
    field="basicConstraints",
    check=_path_length,
    evidence=_length_found,
)


def _issuer_key_usage(issuer: Seen, context: Context) -> Outcome:
    usage = issuer.extension(x509.KeyUsage)
    if usage is not None:
        if usage.key_cert_sign:
            return None
        return Problem(f"the key usage of {issuer.about} does not allow it to sign certificates")
    if not context.web or issuer.is_anchor:
        return None
    text = f"{issuer.about}: an intermediate certificate has no keyUsage"
    return Problem(text, is_excused_in_private=True)


ISSUER_KEY_USAGE = IssuerRule(
    name="key usage",
    section="RFC 5280 4.2.1.3",
    field="keyUsage",
    checked=Checked.BY_VERIFIER,
    check=_issuer_key_usage,
    evidence=_key_usages,
)


def _issuer_purpose(issuer: Seen, context: Context) -> Outcome:
    purposes = issuer.extension(x509.ExtendedKeyUsage)
    wanted = {context.purpose, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    if purposes is None or wanted & set(purposes):
        return None
    return Problem(f"{issuer.about} may not issue for TLS {context.role}s")


ISSUER_PURPOSE = IssuerRule(
    name="purpose",
    section="RFC 5280 4.2.1.12",
    fault=Fault.CERTIFICATE_WRONG_PURPOSE,
    field="extKeyUsage",
    checked=Checked.BY_VERIFIER,
    check=_issuer_purpose,
    evidence=_purposes,
)
