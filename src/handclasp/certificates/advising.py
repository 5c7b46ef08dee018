"""Advice about a refused chain: the change to make, the end to blame, and the place of the defect.

The rules say what is broken. Here stands what that means for the two ends: which certificate is to
be replaced, sent or left out, and by whom; and whether this end can verify it by other rules. What
is advised has to be possible, and must not be done already.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from cryptography import x509

from handclasp.advice import CHECKED_OCSP, PRIVATE_PROFILE, SERVER_NAME, TRUST
from handclasp.certificates.name_constraints import LEADING_DOT
from handclasp.certificates.names import MOST_LISTED, ip_address
from handclasp.certificates.revocation_list import CLOCK_SKEW
from handclasp.certificates.rules import Context, Finding
from handclasp.certificates.seen import Seen
from handclasp.certificates.transparency import timestamps_of
from handclasp.errors import CertificateError
from handclasp.faults import (
    CHECK_CLOCK,
    CLOCK_CONDITION,
    CLOCK_IS_BEHIND,
    Blame,
    Fault,
    Verdict,
    advice,
)
from handclasp.wording import LONGEST, printable


class Advised(NamedTuple):
    """The parts of a refusal besides its reason.

    Attributes:
        verdict: whose fault it is.
        fix: what to change on either end.
        place: in which certificate of the chain it shows, counted from 0 (None: in none of them),
            and in which field.
    """

    verdict: Verdict
    fix: str
    place: tuple[int | None, str]


class _Fix(NamedTuple):
    peer: str = ""
    local: str = ""
    verdict: Verdict | None = None
    this_end_first: bool = False


_VERIFY_AS_PRIVATE = (
    f"If its authority is a private one, verify it by the rules for those ({PRIVATE_PROFILE})."
)
_PRIVATE_RULES = Verdict(Blame.PEER, "unless its authority is a private one with its own rules")


def advised(broken: Sequence[Finding], context: Context, chain: Sequence[bytes]) -> Advised:
    """Return the sentence and the advice for the first of the broken rules.

    Args:
        broken: the rules, those first that help most; there is at least one.
        chain: the certificates as they were sent, as DER.
    """
    finding = broken[0]
    raised = finding.error
    if raised is not None and _has_own_verdict(raised, context):
        verdict = Verdict(raised.blame, raised.condition)
        return Advised(verdict, raised.fix, _place(finding, chain))
    of_clock = _of_clock(broken, context) if context.by_clock else None
    fix = of_clock or _of_own_anchor(finding) or _of_rule(finding, context)
    peer, local = fix.peer, fix.local
    verdict = fix.verdict or finding.fault.verdict("client" if context.is_server else "server")
    if context.web and all(each.is_excused_in_private for each in broken):
        local = f"{local} {_VERIFY_AS_PRIVATE}".strip()
        if verdict.blame is Blame.PEER:
            verdict = _PRIVATE_RULES
    if not context.by_clock:
        local = local.replace(f"{CHECK_CLOCK}, and", "Check").replace(f"{CHECK_CLOCK}.", "")
        condition = verdict.condition.removeprefix(CLOCK_CONDITION)
        local, verdict = local.strip(), Verdict(verdict.blame, condition)
    this_end_first = verdict.blame is Blame.LOCAL or fix.this_end_first
    fixes = advice(peer, local, this_end_first=this_end_first)
    return Advised(verdict, fixes, _place(finding, chain))


def _has_own_verdict(error: CertificateError, context: Context) -> bool:
    """Return whether a check knew more of the blame than the catalogue, which holds here, too."""
    if error.condition.startswith(CLOCK_IS_BEHIND) and not context.by_clock:
        return False
    return (error.blame, error.condition) != error.fault.value.verdict


def _place(finding: Finding, chain: Sequence[bytes]) -> tuple[int | None, str]:
    if finding.of is None or not finding.field_name:
        return None, ""
    number = next((at for at, der in enumerate(chain) if der == finding.of.der), None)
    return number, finding.field_name


def _of_clock(broken: Sequence[Finding], context: Context) -> _Fix | None:
    """Return the advice if the certificates show that this clock is wrong.

    By this clock even a trusted authority is out of its dates, or what one has signed bears the
    timestamp of a transparency log that is still to come.
    """
    first = broken[0]
    if first.rule != "dates" or first.is_issuer:
        return None
    for each in broken:
        out_of_dates = (each.rule, each.fault, each.is_issuer) == ("dates", first.fault, True)
        if out_of_dates and each.of is not None and each.of.is_anchor:
            return _Fix(
                first.fault.value.fix_peer,
                f"{CHECK_CLOCK}.",
                Verdict(
                    Blame.LOCAL,
                    f"whose clock is likely wrong, as even {each.about}, which this end trusts, is "
                    "not valid by it",
                ),
            )
    return _of_later_timestamp(broken, context)


def _of_later_timestamp(broken: Sequence[Finding], context: Context) -> _Fix | None:
    """Return the advice if a leaf that is not valid yet was in a log at a later time than this.

    The timestamps are in the certificate, and so are signed by its authority: nothing but dates
    may be wrong with the path, as anybody can write such a certificate without an authority.
    """
    leaf = broken[0].of
    is_early = all(
        (each.rule, each.fault) == ("dates", Fault.CERTIFICATE_NOT_YET_VALID) for each in broken
    )
    if leaf is None or leaf.unread or not is_early:
        return None
    try:
        times = [each.time for each in timestamps_of(leaf.certificate)]
    except CertificateError:
        return None
    if not times or min(times) <= context.now + CLOCK_SKEW:
        return None
    logged = f"{min(times):%Y-%m-%d %H:%M} UTC"
    return _Fix(
        "",
        f"{CHECK_CLOCK}.",
        Verdict(
            Blame.LOCAL,
            f"{CLOCK_IS_BEHIND}, as a transparency log has had the certificate since {logged}",
        ),
    )


def _of_own_anchor(finding: Finding) -> _Fix | None:
    """Return the advice for a defect of a trusted authority, which no server can repair."""
    anchor = finding.of
    if anchor is None or not anchor.is_anchor or not finding.is_issuer:
        return None
    if finding.rule in _ABOUT_BELOW:
        return None
    advise = _OF_OWN_ANCHORS.get(finding.rule)
    if advise is not None:
        return advise(finding, anchor.about)
    return _Fix(
        "Get a certificate from another authority that this end trusts.",
        f"Have {anchor.about} made anew, and trust that ({TRUST}).",
        _OWN,
    )


_OWN = Verdict(Blame.LOCAL, "whose own authority it is")


def _own_dates(finding: Finding, about: str) -> _Fix:
    if finding.fault is not Fault.CERTIFICATE_EXPIRED:
        check = f"{CHECK_CLOCK}, and the dates of {about}."
        return _Fix("", check, _OWN)
    return _Fix(
        f"If {about} has no newer certificate, get one from another authority.",
        f"Trust the newer certificate of {about}, if it has one ({TRUST}). {CHECK_CLOCK}.",
        Verdict(
            Blame.LOCAL,
            f"{_OWN.condition}, unless that has no newer certificate: then the other end",
        ),
    )


def _own_constraints(finding: Finding, about: str) -> _Fix:
    if LEADING_DOT in finding.evidence:
        local = (
            f"Have {about} made anew with constraints without that dot, and trust that ({TRUST})."
        )
        return _Fix("", local, _OWN)
    return _Fix(
        f"Replace the certificate by one for names that {about} may issue for.",
        f"If {about} is yours, have it made anew with constraints that allow these names, and "
        f"trust that ({TRUST}).",
        Verdict(
            Blame.UNCLEAR,
            "the other end, if the authority is not to issue for these names; else this end, "
            "which trusts it with such constraints",
        ),
    )


def _own_limit(finding: Finding, about: str) -> _Fix:
    del finding
    return _Fix(
        f"Replace the certificate by one with fewer authorities below {about}.",
        f"If {about} is yours, have it made anew so that it allows more authorities below it, and "
        f"trust that ({TRUST}).",
        Verdict(
            Blame.UNCLEAR,
            "the other end, if the authority is not to have so many below it; else this end, "
            "which trusts it with such a limit",
        ),
    )


def _own_form(finding: Finding, about: str) -> _Fix:
    del finding
    return _Fix(
        f"Replace the certificate by one of an authority other than {about}.",
        f"Have {about} made anew, and trust that ({TRUST}).",
        _OWN,
    )


_OF_OWN_ANCHORS: Mapping[str, Callable[[Finding, str], _Fix]] = {
    "dates": _own_dates,
    "identifiers": _own_form,
    "name constraints": _own_constraints,
    "path length": _own_limit,
}

_ABOUT_BELOW = frozenset(("anchor", "signature", "signature algorithm"))
"""Rules of the certificate below an issuer, or of the chain."""


def _of_rule(finding: Finding, context: Context) -> _Fix:
    advise = _BY_RULE.get(finding.rule)
    fix = advise(finding, context) if advise is not None else None
    if fix is not None:
        return fix
    if finding.is_issuer:
        return _Fix(
            f"Replace the certificate of {finding.about} by a well-formed one, or get a "
            "certificate from another authority."
        )
    return _Fix(finding.fault.value.fix_peer, finding.fault.value.fix_local)


def _dates(finding: Finding, context: Context) -> _Fix | None:
    del context
    if not finding.is_issuer:
        return None
    if finding.fault is Fault.CERTIFICATE_EXPIRED:
        peer = f"Renew the certificate of {finding.about}: send the current one in place of this."
    else:
        peer = f"Send a certificate of {finding.about} that is valid already."
    return _Fix(peer, f"{CHECK_CLOCK}.")


def _names(finding: Finding, context: Context) -> _Fix | None:
    leaf = finding.of
    name = printable(context.names[0], 60) if context.names else ""
    if leaf is None or not name:
        return None
    if any(not _is_host(each) for each in context.names):
        return _Fix(
            "Give the server a name of letters, digits and hyphens, with a certificate for it.",
            f"Connect by a name of letters, digits and hyphens, if the server has one "
            f"({SERVER_NAME}).",
            Verdict(Blame.LOCAL, "which asked for a name that no certificate can be verified for"),
        )
    cover = f"Get a certificate that covers the name {name} in its subjectAltName."
    if ip_address(name) is not None:
        cover = cover.removesuffix(".") + ", as an IP address."
    above = context.names[0].partition(".")[2]
    if not leaf.names or leaf.names.covering(context.names[0]) or f"*.{above}" in leaf.names:
        return _Fix(cover, "", Verdict(Blame.PEER))
    return _Fix(cover, f"Connect by a name that {_example_of(leaf)} ({SERVER_NAME}).")


def _example_of(leaf: Seen) -> str:
    """Return where a name is to connect by, with an example that can be copied."""
    first = [each for each in leaf.names.first(MOST_LISTED) if len(each) <= LONGEST]
    exact = next((each for each in first if each[:2] != "*."), "")
    if exact:
        return f"is in the certificate, such as {printable(exact)}"
    if first and len(leaf.names) == len(first):
        return f"{printable(first[0])} covers"
    return "the certificate covers"


def _is_host(name: str) -> bool:
    return "_" not in name and not any(
        label[:1] == "-" or label[-1:] == "-" for label in name.split(".")
    )


def _purpose(finding: Finding, context: Context) -> _Fix:
    use, oid = ("server", "serverAuth") if context.is_server else ("client", "clientAuth")
    if finding.is_issuer:
        return _Fix(f"Get a certificate from an authority that may issue for TLS {use}s.")
    return _Fix(
        f"Get a certificate with the right key usage: extKeyUsage names TLS {use}s ({oid})."
    )


def _key(finding: Finding, context: Context) -> _Fix | None:
    del context
    if not finding.is_issuer:
        return None
    return _Fix(_OTHER_AUTHORITY)


_OTHER_AUTHORITY = (
    "Get a certificate from an authority with an RSA key of 2048 bits or more, or an ECDSA or "
    "ML-DSA key."
)


def _algorithm(finding: Finding, context: Context) -> _Fix:
    del context
    if finding.is_issuer:
        return _Fix(
            _OTHER_AUTHORITY,
            "",
            Verdict(
                Blame.UNCLEAR,
                "the other end shows a certificate of an authority with such a key, and this end "
                "takes none",
            ),
        )
    return _Fix(f"Have {finding.about} issued anew, and signed with SHA-256 or better.")


def _signature(finding: Finding, context: Context) -> _Fix | None:
    below = finding.of
    if below is None:
        return None
    if finding.fault is Fault.CERTIFICATE_UNTRUSTED:
        issuer = below.issuer
        return _Fix(
            f"Get a certificate from the authority {issuer} that this end trusts.",
            f"If there is another certificate of {issuer}, such as a newer one, trust that "
            f"({TRUST}).",
            Verdict(
                Blame.UNCLEAR,
                "this end, if it has an old or another certificate of that authority; else the "
                "other end",
            ),
        )
    return _Fix(
        f"Replace the certificate of {below.issuer} by the one whose key signed {finding.about}."
    )


def _anchor(finding: Finding, context: Context) -> _Fix | None:
    del context
    end = finding.of
    if end is None or not finding.ends_path:
        return None
    if end.is_self_issued and end.signs_itself is not False:
        what = f"the authority {end.about}" if finding.is_issuer else end.about
        this = "that authority" if finding.is_issuer else "this very certificate"
        return _Fix(
            "Get a certificate from a trusted authority: one that this end trusts.",
            f"If {what} is yours, trust it ({TRUST}).",
            Verdict(
                Blame.UNCLEAR,
                f"this end, if it is meant to trust {this}; else the other end",
            ),
        )
    issuer = end.issuer or "its issuer"
    url = _issuer_url(end)
    fetched = f" It can be fetched from {url}, says the certificate of {end.about}." if url else ""
    useless = f" Leave out {finding.useless}." if finding.useless else ""
    return _Fix(
        f"If {issuer} is an intermediate authority, send the intermediate certificates too."
        f"{fetched}{useless}",
        f"If {issuer} is a root of yours, trust it ({TRUST}).",
        Verdict(
            Blame.UNCLEAR,
            f"this end, if {issuer} is a root that it is meant to trust; else the other end",
        ),
        # With an intermediate certificate, the other end has most likely sent all that it has to.
        this_end_first=finding.is_issuer,
    )


_CA_ISSUERS = "1.3.6.1.5.5.7.48.2"


def _issuer_url(certificate: Seen) -> str:
    """Return the URL of the issuer's certificate (RFC 5280 section 4.2.2.1), if one is given."""
    for each in certificate.extension(x509.AuthorityInformationAccess) or ():
        name = each.access_location
        if each.access_method.dotted_string == _CA_ISSUERS and isinstance(
            name, x509.UniformResourceIdentifier
        ):
            return printable(name.value)
    return ""


def _authority(finding: Finding, context: Context) -> _Fix | None:
    del context
    if finding.is_excused_in_private:
        return None
    return _Fix(f"Replace the certificate by one of an authority, which {finding.about} is not.")


def _path_length(finding: Finding, context: Context) -> _Fix:
    del context
    return _Fix(f"Replace the certificate by one with fewer authorities below {finding.about}.")


def _leaf(finding: Finding, context: Context) -> _Fix:
    del finding
    use = "server" if context.is_server else "client"
    return _Fix(
        f"Show a certificate that was issued to the {use}, with the right key usage, and not an "
        "authority's own."
    )


def _issuers_key(finding: Finding, context: Context) -> _Fix:
    del finding, context
    return _Fix("Replace the certificate by one with an authorityKeyIdentifier.")


def _key_usage(finding: Finding, context: Context) -> _Fix | None:
    del context
    if finding.is_issuer:
        return None
    return _Fix(_FIT_KEY_USAGE)


_FIT_KEY_USAGE = (
    "Get a certificate with the right key usage: digital signatures (digitalSignature), and no "
    "signing of certificates."
)


def _common_name(finding: Finding, context: Context) -> _Fix:
    del finding, context
    return _Fix(
        "Replace the certificate by one whose common name is one of its names, or that has none."
    )


def _wildcard(finding: Finding, context: Context) -> _Fix:
    del finding
    name = printable(context.names[0], 60)
    return _Fix(f"Get a certificate that covers the name {name}.", "", Verdict(Blame.PEER))


def _name_constraints(finding: Finding, context: Context) -> _Fix:
    del context
    return _Fix(
        f"Replace the certificate by one for names that {finding.about} may issue for, or from "
        "another authority."
    )


def _staple(finding: Finding, context: Context) -> _Fix | None:
    del context
    fault = finding.fault
    if fault is not Fault.OCSP_RESPONSE_MISSING or finding.field_name:
        return None
    return _Fix(
        fault.value.fix_peer,
        f"Accept certificates without a response, if none is to be had ({CHECKED_OCSP}).",
        Verdict(Blame.UNCLEAR, "this end requires a response, and the other end has sent none"),
    )


_BY_RULE: Mapping[str, Callable[[Finding, Context], _Fix | None]] = {
    "anchor": _anchor,
    "authority": _authority,
    "common name": _common_name,
    "issuer's key": _issuers_key,
    "key usage": _key_usage,
    "leaf": _leaf,
    "path length": _path_length,
    "dates": _dates,
    "key": _key,
    "OCSP staple": _staple,
    "name constraints": _name_constraints,
    "names": _names,
    "purpose": _purpose,
    "signature": _signature,
    "signature algorithm": _algorithm,
    "wildcard": _wildcard,
}
