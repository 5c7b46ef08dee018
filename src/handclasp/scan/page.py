"""The reports of a scan as one HTML page, without scripts and without anything from elsewhere.

The page is written piece by piece: `page_head`, a `page_section` for each host, `PAGE_END`. All
that a server chose is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from handclasp.scan.profile import Profile, findings
from handclasp.scan.report import Chain, Finding, Report
from handclasp.wording import listed, printable

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
details { border: 1px solid #8884; border-radius: .4rem; margin: .5rem 0; padding: .4rem .8rem }
summary { cursor: pointer } table { border-collapse: collapse; width: 100% }
td, th { text-align: left; vertical-align: top; padding: .15rem .6rem .15rem 0 }
th { font-weight: 600; white-space: nowrap } code { overflow-wrap: anywhere }
.met { color: #0a7d32 } .missed { color: #b3261e }
@media (prefers-color-scheme: dark) {
  body { background: #14161a; color: #e6e6e6 } .met { color: #5fd38a } .missed { color: #ff8a80 }
}
"""

PAGE_END = "</main></body></html>\n"
"""The end of a page. See `page_head` for an example."""


def page_head(title: str) -> str:
    """Return the beginning of a page.

    >>> from handclasp.scan import Report, Target
    >>> from handclasp.scan.page import PAGE_END, page_head, page_section
    >>> report = Report(Target("example.com"), error="it answers <nothing>")
    >>> page = page_head("A scan") + page_section(report) + PAGE_END
    >>> "<title>A scan</title>" in page, "it answers &lt;nothing&gt;" in page
    (True, True)
    """
    shown = escape(title)
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{shown}</title><style>{_STYLE}</style></head><body><main><h1>{shown}</h1>\n"
    )


def page_section(report: Report, profile: Profile | None = None) -> str:
    """Return what was found out about one host, and the verdict by a profile.

    See `page_head` for an example.
    """
    found = findings(report, profile) if profile is not None else []
    verdict, style = _verdict(report, profile, found)
    host = escape(printable(str(report.target), 300))
    summary = f'<summary><b>{host}</b> <span class="{style}">{escape(verdict)}</span></summary>'
    body = _findings(found) + _table(_facts(report))
    return f"<details{' open' if found else ''}>{summary}{body}</details>\n"


def _verdict(report: Report, profile: Profile | None, found: list[Finding]) -> tuple[str, str]:
    if report.error:
        return "could not be scanned", "missed"
    if profile is None:
        return ", ".join(name for name in report.versions if report.speaks(name)), ""
    if not found:
        return f"{profile.cited}: met", "met"
    return f"{profile.cited}: {len(found)} finding{'s' * (len(found) > 1)}", "missed"


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    if report.error:
        yield "failed", f"{report.error} {report.fix}".strip()
    for name, fact in report.versions.items():
        yield name, fact.text + (f" ({fact.says})" if fact.says else "")
    for version, suites in report.suites.items():
        order = f" ({suites.order}'s order)" if suites.order else ""
        yield f"suites of {version}", ", ".join(suites.names) + order
    for version, names in report.groups.items():
        yield f"groups of {version}", ", ".join(names)
    for version, names in report.schemes.items():
        yield f"signatures of {version}", ", ".join(names)
    if report.alpn:
        yield "protocols", ", ".join(report.alpn)
    for chain in report.chains:
        yield "certificate", _chain(chain)
    for name, fact in report.features.items():
        yield name.replace("_", " "), f"{fact.text}{f', {fact.says}' if fact.says else ''}"
    for what in report.incomplete:
        yield "unknown", what


def _chain(chain: Chain) -> str:
    described = chain.described
    if described is None:
        return f"unreadable: {chain.unreadable}"
    names: list[str] = described["names"] or []
    text = f"{described['key_type']} for {listed(names, 5, none='no name')}"
    text += f", until {described['not_after']}: "
    if chain.explanation is None:
        return f"{text}not trusted: {chain.unreadable}"
    if chain.explanation.accepted:
        return f"{text}trusted"
    return f"{text}not trusted: {'; '.join(e.evidence for e in chain.explanation.broken[:3])}"


def _findings(found: list[Finding]) -> str:
    rows: list[str] = []
    for each in found:
        advice = "".join(
            f"<br>{escape(program)}: <code>{escape(text)}</code>"
            for program, text in each.advice.items()
        )
        evidence = f"<br><code>{each.evidence.hex(' ', -8)}</code>" if each.evidence else ""
        text = f"{_shown(each.value)}: {_shown(each.reason)}"
        more = f"<details><summary>What to write</summary>{advice[4:]}</details>" if advice else ""
        kind = escape(each.kind.replace("_", " "))
        rows.append(f"<tr><th>{kind}</th><td>{text}{evidence}{more}</td></tr>")
    return f"<table>{''.join(rows)}</table>" if rows else ""


def _table(facts: Iterable[tuple[str, str]]) -> str:
    rows = [f"<tr><th>{escape(name)}</th><td>{_shown(text)}</td></tr>" for name, text in facts]
    return f"<table>{''.join(rows)}</table>"


def _shown(text: str) -> str:
    return escape(printable(text, 4000))
