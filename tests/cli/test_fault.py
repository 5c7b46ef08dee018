"""`handclasp fault`: the page of a fault, and the failures that name it."""

from __future__ import annotations

import pytest
from tests.cli.conftest import Run

from handclasp import Fault
from handclasp.story.guides import fault_page


@pytest.mark.parametrize("name", ["BAD_BINDER", "bad_binder", "bad-binder"])
def test_the_page_of_a_fault(run: Run, name: str) -> None:
    result = run("fault", name)
    assert (result.exit_code, result.stdout) == (0, fault_page(Fault.BAD_BINDER))


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
