"""`handclasp fault`: the page of a fault or an alert, and the failures that name it."""

from __future__ import annotations

import os
import re

import pytest
from click.shell_completion import ShellComplete
from tests.cli.conftest import Run, at_a_terminal

from handclasp import Fault, PeerAlertError
from handclasp.cli.application import application
from handclasp.story.guides import fault_page
from handclasp.story.guides.alerts import PEER_ALERTS, UNKNOWN_ALERT, alert_page


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
    named = [line.split()[0] for line in lines]
    assert named == [*(fault.name for fault in Fault), *PEER_ALERTS]


@pytest.mark.parametrize("name", PEER_ALERTS)
def test_an_alert_of_the_peer_is_explained(run: Run, name: str) -> None:
    """It has the name that an error has, and the meaning that an error tells."""
    number = PEER_ALERTS[name]
    error = PeerAlertError(number)
    assert error.fault_name == name
    result = run("fault", name.lower().replace("_", "-"))
    assert result.exit_code == 0
    told = result.stdout.split()
    assert told == alert_page(number).split()
    assert error.explanation in " ".join(told)
    assert error.fix in " ".join(told)
    assert max(map(len, result.stdout.splitlines())) <= 100


@pytest.mark.parametrize("name", ["PEER_ALERT_200", "PEER_ALERT_255"])
def test_an_unregistered_alert_is_explained(run: Run, name: str) -> None:
    error = PeerAlertError(int(name[-3:]))
    assert error.fault_name == name
    told = " ".join(run("fault", name).stdout.split())
    assert told.startswith(f"# {name} {error.explanation}")
    assert f"- Alert: number {name[-3:]}, which is not registered, from the other end" in told


def test_a_number_leads_to_the_page_of_its_name(run: Run) -> None:
    assert run("fault", "PEER_ALERT_40").stdout == run("fault", "PEER_HANDSHAKE_FAILURE").stdout


def test_the_alerts_that_metrics_count_together_are_explained(run: Run) -> None:
    assert run("fault", UNKNOWN_ALERT).stdout.startswith(f"# {UNKNOWN_ALERT}\n")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("peer-unk", ["PEER_UNKNOWN_CA", "PEER_UNKNOWN_PSK_IDENTITY"]),
        ("CERTIFICATE_E", ["CERTIFICATE_EXPIRED"]),
        ("nothing", []),
    ],
)
def test_names_are_completed(typed: str, offered: list[str]) -> None:
    completion = ShellComplete(application, {}, "handclasp", "_HANDCLASP_COMPLETE")
    assert [each.value for each in completion.get_completions(["fault"], typed)] == offered


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("CERTIFICATE_EXPIRD", "Did you mean CERTIFICATE_EXPIRED or "),
        ("xyz", "'xyz' is no fault. `handclasp fault` lists all."),
        ("handshake_failure", "Did you mean PEER_HANDSHAKE_FAILURE"),
        ("PEER_UNKNOWN_CAS", "Did you mean PEER_UNKNOWN_CA"),
        ("PEER_ALERT_0", "is no fault"),
        ("PEER_ALERT_256", "is no fault"),
    ],
)
def test_an_unknown_name(run: Run, name: str, told: str) -> None:
    result = run("fault", name)
    assert result.exit_code == 2
    assert told in result.stderr
