"""The rules for the names in a leaf, and for the names that an authority may certify."""

from __future__ import annotations

from cryptography import x509

from handclasp.certificates.name_constraints import TooManyError
from handclasp.certificates.names import claims_host
from handclasp.certificates.public_suffix import is_public_suffix
from handclasp.certificates.rules.rule import (
    UNASKED,
    Checked,
    Context,
    Excused,
    LeafRule,
    Outcome,
    Problem,
    Rank,
    Step,
    StepRule,
    Way,
    WayRule,
)
from handclasp.certificates.seen import NO_NAME, Seen
from handclasp.faults import Fault
from handclasp.wording import listed, printable


def _names(leaf: Seen, context: Context) -> Outcome:
    if not context.names:
        return UNASKED
    problems = [_name_problem(leaf, name) for name in context.names]
    text = "; ".join(filter(None, problems))
    return Problem(text) if text else None


def _name_problem(leaf: Seen, name: str) -> str:
    """Return why a leaf does not cover a name, or an empty string."""
    own, problem = leaf.names, ""
    covering = own.covering(name)
    matching = next(iter(covering), None)
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
    elif matching is None and (top := _covering_domain(leaf, name)) and "." not in top:
        problem = _too_wide(top)
    elif matching is None:
        told = listed(own.first(5), 5, count=len(own))
        problem = f"it is for {told}, not for {printable(name)}"
    return problem


def _names_covered(leaf: Seen, context: Context) -> str:
    return "; ".join(f"{leaf.names.covering(name)[0]} covers {name}" for name in context.names)


def _starred(leaf: Seen) -> str:
    """Return a DNS name with a wildcard that counts for nothing (RFC 9525 section 6.3)."""
    if leaf.names_unread is not None:
        return ""
    values = (each.value for each in leaf.alternatives if isinstance(each, x509.DNSName))
    return printable(next((value for value in values if "*" in value), ""), 60)


def _no_host(leaf: Seen, name: str) -> str:
    """Return why a certificate without any host's name covers none."""
    if leaf.names.has_as_dns_name(name):
        return f"it has {printable(name)} as a DNS name, and only an address counts for an address"
    if leaf.names_unread is not None or leaf.extension(x509.SubjectAlternativeName) is not None:
        starred = _starred(leaf)
        if starred:
            return (
                f"its subjectAltName has {starred}, in which * is not the whole first label, so it "
                f"is neither for {printable(name)} nor any other"
            )
        return (
            "its subjectAltName names no host, so it is neither for "
            f"{printable(name)} nor any other"
        )
    common = printable(leaf.common_names[0], 60) if leaf.common_names else ""
    counted = f": its common name, {common}, does not count (RFC 9525 2)" if common else ""
    return f"it has no subjectAltName, so it is for no host at all{counted}"


NAMES = LeafRule(
    name="names",
    section="RFC 9525 6",
    fault=Fault.CERTIFICATE_NAME_MISMATCH,
    field="subjectAltName",
    rank=Rank.NAMES,
    checked=Checked.BY_VERIFIER,
    check=_names,
    evidence=_names_covered,
)


def _form(leaf: Seen, context: Context) -> Outcome:
    """Check that subjectAltName is critical exactly if there is no subject (RFC 5280 4.2.1.6).

    Private authorities may mark it so in any case, but not leave the mark out: a verifier that goes
    by the subject must not accept a certificate that has none.
    """
    if not context.names:
        return UNASKED
    extension = leaf.entry(x509.SubjectAlternativeName)
    if extension is None or extension.critical is (leaf.subject_name == NO_NAME):
        return None
    if extension.critical and not context.web:
        return None
    if extension.critical:
        text = "its subjectAltName is critical, although it has a subject"
        return Problem(text, is_excused_in_private=True)
    return Problem("its subjectAltName is not critical, although it has no subject")


FORM = LeafRule(
    name="names' form",
    section="RFC 5280 4.2.1.6",
    field="subjectAltName",
    checked=Checked.BY_VERIFIER,
    check=_form,
    evidence=lambda leaf, _: "critical" if leaf.subject_name == NO_NAME else "not critical",
)


def _common_name(leaf: Seen, context: Context) -> Outcome:
    """Check that a common name with a host is also in subjectAltName.

    It is never matched, but programs and people that read it would be misled.
    """
    if not context.names:
        return UNASKED
    if not context.web:
        return None
    for given in leaf.common_names:
        copied = given.lower().removesuffix(".")
        # To read all names takes time, and most common names claim no host.
        if copied in context.names or not claims_host(given):
            continue
        # A wildcard's own domain is no other owner's.
        if copied not in leaf.names and f"*.{copied}" not in leaf.names:
            text = f"its common name {printable(given, 60)} is not among its names"
            return Problem(text, is_excused_in_private=True)
    return None


def _common_name_given(leaf: Seen, context: Context) -> str:
    names = leaf.common_names
    return f"{printable(names[-1], 60)}, which is never matched" if names else "none"


COMMON_NAME = LeafRule(
    name="common name",
    section="BR 7.1.4.3",
    field="subject",
    rank=Rank.COMMON_NAME,
    check=_common_name,
    evidence=_common_name_given,
)


def _covering_domain(leaf: Seen, name: str) -> str:
    """Return the domain of the only wildcard that covers `name`, if there is one."""
    domain = name.partition(".")[2]
    return domain if name not in leaf.names and f"*.{domain}" in leaf.names else ""


def _wildcard(way: Way, context: Context) -> Outcome:
    """Check that a wildcard covers the hosts of one owner (BR 3.2.2.6).

    It may not stand right above a public suffix. Under a vetted anchor that holds for the suffixes
    of registries only: for those of hosting companies, public authorities make sure that the
    company itself asks.
    """
    # Reading the names takes time, and few certificates hold a wildcard.
    if b"*." not in way.leaf.der or way.leaf.all_extensions is None:
        return UNASKED
    outcome: Outcome = UNASKED
    for name in context.names:
        domain = _covering_domain(way.leaf, name)
        if not domain:
            continue
        is_too_wide = "." not in domain
        if context.web and not is_too_wide:
            private = way.path[-1] not in context.trust.vetted
            is_too_wide, outcome = bool(is_public_suffix(domain, private=private)), None
        if is_too_wide:
            return Problem(_too_wide(domain))
    return outcome


def _too_wide(domain: str) -> str:
    return f"its name {printable(f'*.{domain}', 60)} would cover the hosts of many owners"


def _wildcard_used(way: Way, context: Context) -> str:
    domains = [_covering_domain(way.leaf, name) for name in context.names]
    pattern = printable(next(f"*.{domain}" for domain in domains if domain), 60)
    return f"{pattern} covers the hosts of one owner"


WILDCARD = WayRule(
    name="wildcard",
    section="BR 3.2.2.6",
    fault=Fault.CERTIFICATE_NAME_MISMATCH,
    field="subjectAltName",
    rank=Rank.WILDCARD,
    check=_wildcard,
    evidence=_wildcard_used,
)


def _constraints(step: Step, context: Context) -> Outcome:
    issuer, below = step.issuer, step.below
    if not context.comparisons.summary(issuer):
        return Excused("none")
    # Self-issued authorities are exempt, the leaf never is. The verifier goes by the encoding.
    above = [each for each in (*below[1:], issuer) if each.issuer_name != each.subject_name]
    try:
        found = context.comparisons.violation(issuer, [below[0], *above])
    except TooManyError:
        return Excused("there are too many to look at here; the decision checked them all")
    return Problem(f"{issuer.about} may not issue for these names: {found}") if found else None


CONSTRAINTS = StepRule(
    name="name constraints",
    section="RFC 5280 4.2.1.10",
    field="nameConstraints",
    check=_constraints,
    evidence=lambda step, context: context.comparisons.summary(step.issuer),
)
