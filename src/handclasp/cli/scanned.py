"""The report of a scan, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from handclasp.cli.identity import printable
from handclasp.cli.terminal import beside, columns
from handclasp.wording import listed

if TYPE_CHECKING:
    from handclasp.scan import Chain, Finding, Profile, Report

_LABEL = 14
_INDENT = "  "
_EVIDENCE_BYTES = 80
_ORDERS = {"server": "the server's order", "client": "the client's order", "": ""}


def report_text(report: Report, profile: Profile | None = None) -> str:
    """Return what a scan found out, and the verdict by a profile."""
    return "\n".join(line.rstrip() for line in _lines(report, profile))


def _lines(report: Report, profile: Profile | None) -> Iterator[str]:
    where = f" ({report.address})" if report.address not in ("", report.target.host) else ""
    cost = f"{report.connections} connections in {report.elapsed:.2f} s"
    yield f"{printable(str(report.target))}{where}: {cost}"
    if report.error:
        yield from _line("failed", report.error)
        if report.fix:
            yield from _line("", report.fix)
    else:
        yield from _negotiation(report)
        for chain in report.chains:
            yield from _chain(chain)
        yield from _features(report)
    for what in report.incomplete:
        yield from _line("unknown", what)
    if profile is not None:
        yield from _verdict(report, profile)
    yield ""


def _line(label: str, text: str, width: int = _LABEL) -> Iterator[str]:
    margin, (first, *more) = beside(width + 4, printable(text, 4000), columns())
    yield f"{_INDENT}{label:<{width}}  {first}"
    for rest in more:
        yield " " * margin + rest


def _negotiation(report: Report) -> Iterator[str]:
    accepted = [name for name, fact in report.versions.items() if fact.value is True]
    yield from _line("versions", ", ".join(accepted) or "none")
    unknown = [
        f"{name} ({fact.says})" for name, fact in report.versions.items() if fact.value is None
    ]
    if unknown:
        yield from _line("", f"unknown: {', '.join(unknown)}")
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


def _verdict(report: Report, profile: Profile) -> Iterator[str]:
    from handclasp.scan import findings

    found = findings(report, profile)
    yield ""
    if not found:
        yield f"{_INDENT}{profile.cited}: met"
        return
    yield f"{_INDENT}{profile.cited}: not met, {len(found)} finding{'s' * (len(found) > 1)}"
    for kind in dict.fromkeys(each.kind for each in found):
        of_kind = [each for each in found if each.kind == kind]
        for reason in dict.fromkeys(each.reason for each in of_kind):
            yield from _findings([each for each in of_kind if each.reason == reason])
        for program, text in of_kind[0].advice.items():
            # In one line, however long, so that it can be copied.
            yield f"{_INDENT}{'':<{_LABEL}}  {program}: {text}"


def _findings(alike: Sequence[Finding]) -> Iterator[str]:
    """Show findings of one kind and reason, with the evidence of the first."""
    names = ", ".join(dict.fromkeys(each.value for each in alike))
    yield from _line(alike[0].kind.replace("_", " "), f"{names}: {alike[0].reason}")
    if evidence := alike[0].evidence[:_EVIDENCE_BYTES]:
        yield from _line("", f"bytes {evidence.hex(' ', -8)}")
