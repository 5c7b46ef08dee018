"""The report of a scan, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from handclasp.cli.identity import printable
from handclasp.cli.terminal import beside, columns, wrapped
from handclasp.wording import listed

if TYPE_CHECKING:
    from handclasp.scan import Chain, Finding, Profile, Report

_LABEL = 14
_INDENT = "  "
_EVIDENCE_BYTES = 80
_LONGEST = 4000
_ORDERS = {"server": "the server's order", "client": "the client's order", "": ""}


def report_text(report: Report, profile: Profile | None = None, *, verbose: bool = False) -> str:
    """Return the verdict by a profile with what to change, then what a scan found out.

    Args:
        verbose: show each suite and signature scheme, the reason of each fact, and the bytes of
            findings; without it facts are listed briefly.
    """
    return "\n".join(line.rstrip() for line in _lines(report, profile, verbose=verbose))


def _lines(report: Report, profile: Profile | None, *, verbose: bool) -> Iterator[str]:
    where = f" ({report.address})" if report.address not in ("", report.target.host) else ""
    cost = f"{report.connections} connections in {report.elapsed:.2f} s"
    more = "" if verbose or report.error else "; -v shows all"
    yield from wrapped(f"{printable(str(report.target))}{where}: {cost}{more}", below=_INDENT)
    if report.error:
        yield from _line("failed", report.error)
        if report.fix:
            yield from _line("", report.fix)
    if profile is not None:
        yield from _verdict(report, profile, verbose=verbose)
    for what in report.incomplete:
        yield from _line("unknown", what)
    if not report.error:
        yield from _negotiation(report) if verbose else _negotiation_in_brief(report)
        for chain in report.chains:
            yield from _chain(chain)
        yield from _features(report) if verbose else _features_in_brief(report)
    yield ""


def _line(label: str, text: str, width: int = _LABEL) -> Iterator[str]:
    margin, (first, *more) = beside(width + 4, printable(text, _LONGEST), columns())
    yield f"{_INDENT}{label:<{width}}  {first}"
    for rest in more:
        yield " " * margin + rest


def _versions(report: Report) -> Iterator[str]:
    accepted = [name for name, fact in report.versions.items() if fact.value is True]
    yield from _line("versions", ", ".join(accepted) or "none")
    unknown = [
        f"{name} ({fact.says})" for name, fact in report.versions.items() if fact.value is None
    ]
    if unknown:
        yield from _line("", f"unknown: {', '.join(unknown)}")


def _negotiation(report: Report) -> Iterator[str]:
    yield from _versions(report)
    for version, suites in report.suites.items():
        order = f" ({_ORDERS[suites.order]})" if suites.order else ""
        yield from _line("suites", f"{version}{order}")
        for name in suites.names:
            yield from _line("", f"  {name}")
    for version, names in report.groups.items():
        yield from _line("groups", f"{version}: {', '.join(names) or 'none'}")
    for version, names in report.schemes.items():
        yield from _line("signatures", f"{version}: {', '.join(names) or 'none'}")
    yield from _line("protocols", ", ".join(report.alpn) or "none of those asked for (ALPN)")


def _negotiation_in_brief(report: Report) -> Iterator[str]:
    from handclasp.scan import weakness

    yield from _versions(report)
    for version, suites in report.suites.items():
        order = f" ({_ORDERS[suites.order]})" if suites.order else ""
        weak = [name for name in suites.names if weakness(name)]
        named = f"; weak: {listed(weak, 3)}" if weak else ""
        yield from _line("suites", f"{version}: {len(suites.names)}{order}{named}")
    groups = dict.fromkeys(name for names in report.groups.values() for name in names)
    yield from _line("groups", listed(list(groups), 8, none="none"))
    yield from _line("protocols", ", ".join(report.alpn) or "none of those asked for (ALPN)")


def _chain(chain: Chain) -> Iterator[str]:
    described = chain.described
    if described is None:
        yield from _line("certificate", f"unreadable: {chain.unreadable}")
        return
    size = f" {described['key_size']} bits" if described["key_type"] == "RSA" else ""
    names: list[str] = described["names"] or []
    told = listed(names, 5, none="no name")
    subject = described["subject"] or "without a subject"
    yield from _line("certificate", f"{subject}: {described['key_type']}{size}")
    yield from _line("", f"for {told}, until {described['not_after']}")
    if chain.explanation is None:
        yield from _line("", f"not trusted: {chain.unreadable}")
    elif chain.explanation.accepted:
        yield from _line("", "trusted")
    else:
        broken = chain.explanation.broken
        why = "; ".join(each.evidence for each in broken[:3]) or "the decision refuses it"
        yield from _line("", f"not trusted: {why}")
    if described["must_staple"]:
        stapled = "and one came" if chain.ocsp_response else "and none came"
        yield from _line("", f"it demands an OCSP staple, {stapled}")


def _features(report: Report) -> Iterator[str]:
    from handclasp.scan import FEATURES

    width = max(map(len, FEATURES.values()))
    for name, label in FEATURES.items():
        fact = report.features.get(name)
        if fact is None:
            continue
        says = f", {fact.says}" if fact.says else ""
        yield from _line(label, f"{fact.text}{says}", width)


def _features_in_brief(report: Report) -> Iterator[str]:
    from handclasp.scan import FEATURES

    answers: dict[str, list[str]] = {"yes": [], "no": []}
    unknown: list[str] = []
    for name, label in FEATURES.items():
        fact = report.features.get(name)
        if fact is None:
            continue
        if fact.value is None:
            unknown.append(f"{label}: {fact.says}" if fact.says else label)
        elif fact.text in answers:
            answers[fact.text].append(label)
        else:
            answers["yes"].append(f"{label}: {fact.text}")
    for answer, labels in answers.items():
        if labels:
            yield from _line(answer, "; ".join(labels))
    for text in unknown:
        yield from _line("unknown", text)


def _verdict(report: Report, profile: Profile, *, verbose: bool) -> Iterator[str]:
    from handclasp.scan import findings

    found = findings(report, profile)
    if not found:
        yield f"{_INDENT}{profile.cited}: met"
        return
    count = f"{len(found)} finding{'s' * (len(found) > 1)}"
    below = _INDENT * 2
    yield from wrapped(f"{profile.cited}: not met, {count}", initial=_INDENT, below=below)
    for kind in dict.fromkeys(each.kind for each in found):
        of_kind = [each for each in found if each.kind == kind]
        for reason in dict.fromkeys(each.reason for each in of_kind):
            alike = [each for each in of_kind if each.reason == reason]
            told = reason.replace(profile.cited, "the profile")
            yield from _findings(alike, told, verbose=verbose)
        for program, text in of_kind[0].advice.items():
            # In one line, however long, so that it can be copied.
            advised = printable(f"{program}: {text}", _LONGEST)
            yield f"{_INDENT}{'':<{_LABEL}}  {advised}"
    yield ""


def _findings(alike: Sequence[Finding], reason: str, *, verbose: bool) -> Iterator[str]:
    """Show findings of one kind and reason; in full with all names, and the first evidence."""
    all_names = list(dict.fromkeys(each.value for each in alike))
    names = ", ".join(all_names) if verbose else listed(all_names)
    yield from _line(alike[0].kind.replace("_", " "), f"{names}: {reason}")
    evidence = alike[0].evidence[:_EVIDENCE_BYTES] if verbose else b""
    if evidence:
        yield from _line("", f"bytes {evidence.hex(' ', -8)}")
