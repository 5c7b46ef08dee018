"""The reports of a scan as one HTML page, without scripts and without anything from elsewhere.

`scan_page` makes it of reports in their JSON form, as a file of results has them. For a page of
another form there are its pieces: `page_head`, a `page_section` for each host, `PAGE_END`. All that
a server chose is escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from handclasp.scan.profile import Profile, measured_json
from handclasp.scan.report import FEATURES, Fact, Report, Target
from handclasp.scan.summary import Summary, verdict_of
from handclasp.wording import listed, printable

_ORDER = {"missed": 0, "failed": 1, "scanned": 2, "met": 3}
"""The order of verdicts in the table of hosts."""

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
details { border: 1px solid #8884; border-radius: .4rem; margin: .5rem 0; padding: .4rem .8rem }
summary { cursor: pointer } table { border-collapse: collapse; width: 100% }
td, th { text-align: left; vertical-align: top; padding: .15rem .6rem .15rem 0 }
td, code, summary { overflow-wrap: anywhere } th { font-weight: 600 } a { color: inherit }
.met { color: #0a7d32 } .missed { color: #b3261e }
@media (max-width: 40rem) { thead { display: none } tr, td, tr > th { display: block }
  tr { padding: .3rem 0 } td, tr > th { padding: 0 } }
@media (prefers-color-scheme: dark) {
  body { background: #14161a; color: #e6e6e6 } .met { color: #5fd38a } .missed { color: #ff8a80 }
}
"""

PAGE_END = "</main></body></html>\n"
"""The end of a page. See `page_head` for an example."""


def page_head(title: str) -> str:
    """Return the beginning of a page.

    >>> from handclasp.scan import Fact, Report, Target
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


def scan_page(
    reports: Callable[[], Iterable[Mapping[str, Any]]], profile: Profile | None, made: datetime
) -> Iterator[str]:
    """Return a whole page in pieces: a summary, a table of the hosts, and a section for each.

    >>> from datetime import datetime
    >>> from handclasp.scan import Report, Target, scan_page
    >>> report = Report(Target("a.example"), error="no connection").to_json()
    >>> page = "".join(scan_page(lambda: [report], None, datetime(2026, 1, 1)))
    >>> "0 of 1 hosts were scanned; 1 could not be scanned." in page
    True

    Args:
        reports: returns the reports in their JSON form; it is called twice, so that a large file
            is never in memory.
        profile: the one that the page names.
        made: the time that the page names, in UTC.
    """
    yield page_head("A scan of TLS servers")
    summary = Summary(profile)
    rows: list[tuple[int, int, str]] = []
    for number, report in enumerate(reports()):
        summary.add(report)
        rows.append((_ORDER[verdict_of(report)], number, _row(report, number, profile)))
    measured = ""
    if profile is not None:
        measured = f"Measured against {profile.cited} ({profile.name}), whose data are of "
        measured += f"{profile.date}: {profile.source}. "
    measured = escape(printable(measured, 2000))
    yield f"<p><b>{escape(summary.text)}</b></p>\n<p>{measured}This page was made at "
    yield f"{made:%Y-%m-%d %H:%M} UTC.</p>\n"
    if len(rows) > 1:
        yield "<table><thead><tr><th>Host</th><th>Verdict</th><th>Worst finding</th></tr></thead>"
        yield "<tbody>\n"
        yield from (row for *_, row in sorted(rows))
        yield "</tbody></table>\n"
    for number, report in enumerate(reports()):
        yield section_of(report, f' id="host-{number}"', is_open=len(rows) == 1)
    yield PAGE_END


def page_section(report: Report, profile: Profile | None = None) -> str:
    """Return what was found out about one host, and the verdict by a profile.

    See `page_head` for an example.
    """
    values = measured_json(report, profile)
    return section_of(values, is_open=bool(values.get("findings")))


def section_of(report: Mapping[str, Any], identity: str = "", *, is_open: bool = False) -> str:
    """Return the section of a report in its JSON form.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: a part is missing or malformed.
    """
    verdict, style = _verdict(report)
    summary = f'<summary><b>{_host(report)}</b> <span class="{style}">{verdict}</span></summary>'
    body = _findings(report.get("findings", ())) + _table(_facts(report))
    return f"<details{identity}{' open' if is_open else ''}>{summary}{body}</details>\n"


def _row(report: Mapping[str, Any], number: int, profile: Profile | None) -> str:
    verdict, style = _verdict(report, profile)
    found = report.get("findings") or ()
    worst = f"{found[0]['value']}: {found[0]['reason']}" if found else ""
    link = f'<a href="#host-{number}">{_host(report)}</a>'
    shown = _shown(report["error"] or worst)
    return f'<tr><th>{link}</th><td class="{style}">{verdict}</td><td>{shown}</td></tr>\n'


def _host(report: Mapping[str, Any]) -> str:
    host = str(Target(report["host"], report["port"]))
    if report["server_name"] != report["host"]:
        host += f" as {report['server_name']}"
    if report.get("starttls"):
        host += f" ({report['starttls']})"
    return escape(printable(host, 300))


def _verdict(report: Mapping[str, Any], known: Profile | None = None) -> tuple[str, str]:
    """Return the verdict, and its class; without the title of a profile that is known already."""
    verdict = verdict_of(report)
    profile: Mapping[str, Any] = report.get("profile") or {}
    title = str(profile.get("title", ""))
    title = "" if known is not None and title == known.cited else _shown(title) + ": "
    if verdict == "failed":
        return "could not be scanned", "missed"
    if verdict == "scanned":
        return _shown(", ".join(_accepted(report))), ""
    if verdict == "met":
        return f"{title}met", "met"
    count = len(report.get("findings", ()))
    return f"{title}{count} finding{'s' * (count != 1)}", "missed"


def _accepted(report: Mapping[str, Any]) -> list[str]:
    return [name for name, fact in report["versions"].items() if fact["value"] is True]


def _text(fact: Mapping[str, Any]) -> str:
    value: list[str] | str | int | None = fact["value"]
    return Fact(tuple(value) if isinstance(value, list) else value).text


def _facts(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if report["error"]:
        yield "failed", f"{report['error']} {report['fix'] or ''}".strip()
    for name, fact in report["versions"].items():
        yield name, _text(fact) + (f" ({fact['says']})" if fact["says"] else "")
    for version, suites in report["suites"].items():
        order = f" ({suites['order']}'s order)" if suites["order"] else ""
        yield f"suites of {version}", ", ".join(suites["names"]) + order
    for version, names in report["groups"].items():
        yield f"groups of {version}", ", ".join(names)
    for version, names in report["signature_schemes"].items():
        yield f"signatures of {version}", ", ".join(names)
    if report["alpn"]:
        yield "protocols", ", ".join(report["alpn"])
    for chain in report["certificates"]:
        yield "certificate", _chain(chain)
    for name, fact in report["features"].items():
        says = f", {fact['says']}" if fact["says"] else ""
        label = FEATURES[name] if name in FEATURES else str(name).replace("_", " ")
        yield label, f"{_text(fact)}{says}"
    for what in report["incomplete"]:
        yield "unknown", what


def _chain(chain: Mapping[str, Any]) -> str:
    why = "; ".join(chain["reasons"][:3])
    if chain["key_type"] is None:
        return f"unreadable: {why}"
    text = f"{chain['key_type']} for {listed(chain['names'] or (), 5, none='no name')}"
    trusted = "trusted" if chain["accepted"] else f"not trusted: {why}"
    return f"{text}, until {chain['not_after']}: {trusted}"


def _findings(found: Sequence[Mapping[str, Any]]) -> str:
    rows: list[str] = []
    for each in found:
        advice = "".join(
            f"<br>{escape(program)}: <code>{_shown(text)}</code>"
            for program, text in each["advice"].items()
        )
        shown = bytes.fromhex(each["evidence"]).hex(" ", -8)
        evidence = f"<br><code>{shown}</code>" if shown else ""
        text = f"{_shown(each['value'])}: {_shown(each['reason'])}"
        more = f"<details><summary>What to write</summary>{advice[4:]}</details>" if advice else ""
        kind = escape(each["kind"].replace("_", " "))
        rows.append(f"<tr><th>{kind}</th><td>{text}{evidence}{more}</td></tr>")
    return f"<table>{''.join(rows)}</table>" if rows else ""


def _table(facts: Iterable[tuple[str, str]]) -> str:
    rows = [f"<tr><th>{escape(name)}</th><td>{_shown(text)}</td></tr>" for name, text in facts]
    return f"<table>{''.join(rows)}</table>"


def _shown(text: str) -> str:
    return escape(printable(text, 4000))
