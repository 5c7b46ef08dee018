"""The page of a scan: what servers choose is escaped, and every part is there."""

from __future__ import annotations

from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest
from tests.pki import Leaf, Pki
from tests.scan.test_profile import good_report

from handclasp.cli.scanned import report_text
from handclasp.scan import (
    PAGE_END,
    Fact,
    Report,
    Target,
    measured_json,
    page_head,
    page_section,
    profiles,
    scan_page,
)

ATTACK = "<script>alert(1)</script>"
ESCAPES = "\x1b]0;x\x07\x9b\u202e\u2066\u200b\n"


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_nothing_of_a_server_becomes_a_tag() -> None:
    pki = Pki()
    report = good_report(pki, Leaf(("example.com",), common_name=ATTACK))
    report.features["hsts"] = Fact(0, ATTACK)
    report.features["client_authorities"] = Fact((ATTACK,), ATTACK)
    report.incomplete.append(ATTACK)
    report.target = Target(ATTACK)
    page = page_head(ATTACK) + page_section(report, profiles()["modern"]) + PAGE_END
    found = Tags(page)
    assert "script" not in found.names
    assert found.text.count(ATTACK) >= 4
    assert "default-src 'none'" in page


def test_a_page_has_the_verdict_the_reason_and_what_to_write() -> None:
    report = good_report(Pki())
    report.versions["TLSv1.0"] = Fact(True, "", b"\2\0\0")
    text = Tags(page_section(report, profiles()["intermediate"])).text
    for part in ("1 finding", "RFC 8996", "020000", "ssl_protocols TLSv1.2 TLSv1.3;", "X25519"):
        assert part in text
    failed = Tags(page_section(Report(Target("a.example"), error="refused"))).text
    assert "could not be scanned" in failed
    assert "refused" in failed


def page_of(*reports: Report) -> str:
    profile = profiles()["intermediate"]
    values: list[Any] = [measured_json(each, profile) for each in reports]
    return "".join(scan_page(lambda: values, profile, datetime.now(UTC)))


def test_the_table_of_hosts_says_briefly_what_the_page_has_said_already() -> None:
    good, dead = good_report(Pki()), Report(Target("dead.example"), error="no connection.")
    good.features["resumption12"] = Fact(True, "a second handshake of TLSv1.2")
    page = page_of(good, dead)
    table = page.partition("<tbody>")[2].partition("</tbody>")[0]
    assert ">met</td><td></td>" in table
    assert ">could not be scanned</td><td>no connection.</td>" in table
    assert "<th>resumes, TLS 1.2</th>" in page
    assert "<details open" not in page.replace(' id="host-0"', "")


def test_a_page_of_one_host_is_open_and_has_no_table_of_hosts() -> None:
    page = page_of(good_report(Pki()))
    assert '<details id="host-0" open>' in page
    assert "Worst finding" not in page


def hostile_reports() -> list[Report]:
    bad = ATTACK + ESCAPES
    spoken = good_report(Pki(), Leaf(("other.example",), common_name=bad))
    spoken.features |= {"hsts": Fact(0, bad), "ech_dns": Fact(None, bad)}
    spoken.features |= {name: Fact((bad,), bad) for name in ("client_authorities", "ech")}
    spoken.versions["SSLv3"] = Fact(None, bad)
    spoken.incomplete.append(bad)
    spoken.alpn = (bad,)
    return [spoken, Report(Target(bad), error=bad, fix=bad)]


@pytest.mark.parametrize("name", ["", *profiles()])
def test_nothing_of_a_server_moves_the_cursor_or_turns_text_around(name: str) -> None:
    profile = profiles()[name] if name else None
    reports = hostile_reports()
    texts = [
        report_text(each, profile, verbose=verbose) for each in reports for verbose in (False, True)
    ]
    values: list[Any] = [measured_json(each, profile) for each in reports]
    texts.append("".join(scan_page(lambda: values, profile, datetime.now(UTC))))
    for text in texts:
        assert [line for line in text.split("\n") if not line.isprintable()] == []
    assert "script" not in Tags(texts[-1]).names
