"""RFC 9846 is cited where the section is the same as in RFC 8446; see docs/decisions/0031."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.rules.source import ROOT

NUMBER = r"(?:[1-9A-E](?:\.\d+)*)"
CITATION = re.compile(
    r"RFC[\s#]+(?P<rfc>8446|9846)[\s#]+(?:(?:sections?|appendix)[\s#]+)?"
    rf"(?P<first>{NUMBER})(?P<others>(?:(?:,?\s+and\s+|,\s+|\s+to\s+){NUMBER})*)(?!\w)"
)
SAME = re.compile(r"1|1\.1|[235-9](\.\d+)*|A(\.[12])?|B(\.[124])?|C(\.[1-5])?")
"""The sections that have the same number in both."""

FILES = sorted(
    path
    for place, pattern in (("src", "*.py"), ("tests", "*.py"), ("docs", "*.md"), (".", "*.md"))
    for path in (ROOT / place).glob(f"**/{pattern}" if place != "." else pattern)
    if path.name not in ("test_citations.py", "0031-rfc-9846.md")
)


def wrong_citations(text: str) -> list[str]:
    wrong: list[str] = []
    for match in CITATION.finditer(text):
        sections = [match["first"], *re.findall(NUMBER, match["others"])]
        all_same = all(SAME.fullmatch(section) for section in sections)
        if all_same != (match["rfc"] == "9846"):
            wrong.append(" ".join(match[0].split()))
    return wrong


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_rfc_with_the_section_is_cited(path: Path) -> None:
    assert wrong_citations(path.read_text("utf-8")) == []


def test_both_kinds_of_wrong_citations_are_found() -> None:
    assert wrong_citations("RFC 8446 section 5.1, RFC 9846 section 4.2.8") != []
    assert wrong_citations("(RFC 9846 4.4.2)") == ["RFC 9846 4.4.2"]
    assert wrong_citations("RFC 8446 sections 4.1.2 and 9.2, RFC 9846 section 6.2") == []
