"""The page of each fault: every fault has one, and every stack a paragraph."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any

import pytest

from handclasp import Fault
from handclasp.story.guides import fault_page, guides

STACKS = ["OpenSSL", "nginx", "Go (crypto/tls)", "Java (JSSE)", "Python (ssl)"]
FILES = [each for each in files("handclasp.story.guides").iterdir() if each.name.endswith(".md")]


def test_every_fault_is_in_one_guide() -> None:
    first_lines = [re.split(r"\n\n", file.read_text("utf-8"))[0] for file in FILES]
    named = [name for line in first_lines for name in re.findall(r"[A-Z][A-Z0-9_]{3,}", line)]
    assert sorted(named) == sorted(fault.name for fault in Fault)
    assert set(guides()) == set(Fault)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_guide_has_causes_and_every_stack(file: Any) -> None:
    text = file.read_text("utf-8")
    assert text.startswith("Faults: ")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    # Where this program is at fault, nothing of the other end's would help.
    stacks = [] if file.name == "this_program.md" else STACKS
    assert headings == ["Likely causes", *stacks]
    assert "\n- " in text
    assert max(map(len, text.split("\n"))) <= 100


def test_a_page_has_what_the_catalogue_says() -> None:
    page = fault_page(Fault.TRUNCATED)
    assert page.startswith("# TRUNCATED\n\nThe transport ended without close_notify: ")
    assert "- Alert: close_notify (not sent)\n" in page
    assert "- At fault: the peer, unless the connection was cut on the way\n" in page
