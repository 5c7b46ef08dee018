"""`handclasp fault`: the page of a fault, and the failures that name it."""

from __future__ import annotations

import os
import re

import pytest
from tests.cli.conftest import Run, at_a_terminal

from handclasp import Fault
from handclasp.story.guides import fault_page


@pytest.mark.parametrize("name", ["BAD_BINDER", "bad_binder", "bad-binder"])
def test_the_page_of_a_fault(run: Run, name: str) -> None:
    result = run("fault", name)
    assert result.exit_code == 0
    assert result.stdout.split() == fault_page(Fault.BAD_BINDER).split()


@pytest.mark.parametrize("columns", [60, 80])
def test_every_page_fits(run: Run, columns: int) -> None:
    """What is wrapped stays Markdown, and a word that is wider remains one that can be copied."""
    for fault in Fault:
        lines = run("fault", fault.name, env={"COLUMNS": str(columns)}).stdout.splitlines()
        wide = [line for line in lines if len(line) > columns]
        assert all(len(line.split()) == 1 for line in wide), fault.name
        page = fault_page(fault)
        assert blocks_of("\n".join(lines)) == blocks_of(page)
        told = [line for line in lines if line.startswith(("#", "- "))]
        assert len(told) == len(re.findall("^(?:#|- )", page, re.MULTILINE)), fault.name


def blocks_of(page: str) -> list[list[str]]:
    return [block.split() for block in page.strip().split("\n\n")]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such terminals")
@pytest.mark.parametrize("columns", [60, 100])
def test_the_list_fits_a_terminal(run: Run, columns: int) -> None:
    lines = at_a_terminal(columns, "fault")
    assert max(map(len, lines)) <= columns
    assert " ".join(" ".join(lines).split()) == " ".join(run("fault").stdout.split())


def test_all_faults_are_listed(run: Run) -> None:
    lines = run("fault").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [fault.name for fault in Fault]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("CERTIFICATE_EXPIRD", "Did you mean CERTIFICATE_EXPIRED or "),
        ("xyz", "'xyz' is no fault. `handclasp fault` lists all."),
        ("PEER_UNKNOWN_CA", "PEER_UNKNOWN_CA is an alert that the other end sent"),
    ],
)
def test_an_unknown_name(run: Run, name: str, told: str) -> None:
    result = run("fault", name)
    assert result.exit_code == 2
    assert told in result.stderr
