"""The tables of docs/testing.md: every fault is in them, and curl takes it as they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.faults.__main__ import FAULTS, PAGE, lasting, reaction
from tests.faults.notes import NOTES
from tests.faults.programs import PROGRAMS, curl_command, failure_of
from tests.required import need_tool

from handclasp.testing import SERVER_FAULTS, FaultyServer, TlsAuthority


def rows() -> dict[str, list[str]]:
    """The cells of the overview by fault."""
    text = PAGE.read_text("utf-8").partition("<!-- tests.faults begins -->")[2]
    overview = text.partition("\n\n")[0]
    found = re.findall(r"^\| `([\w:-]+)` \| (.*) \|$", overview, re.MULTILINE)
    return {name: cells.split(" | ") for name, cells in found}


def test_the_overview_has_every_fault_and_program() -> None:
    assert list(rows()) == list(FAULTS)
    assert {len(cells) for cells in rows().values()} == {len(PROGRAMS) + 1}


def test_the_right_answers_are_those_of_the_catalogue() -> None:
    for name, fault in SERVER_FAULTS.items():
        assert rows()[name][0] == (f"`{fault.alert.name.lower()}`" if fault.alert else "none")


def test_each_accepted_fault_has_its_note() -> None:
    accepted = {name for name, cells in rows().items() if "**accepts it**" in cells}
    assert accepted == set(NOTES)


def test_the_words_are_those_of_every_run() -> None:
    late = "curl: (28) Connection timed out after 4003 milliseconds"
    assert lasting(late) == "curl: (28) Connection timed out after ... milliseconds"
    firefox = "{'type': 'error', 'id': 29, 'message': 'Error: connectionFailure', 'stackt"
    assert lasting(firefox) == "Error: connectionFailure"
    assert lasting("is after 2026-12-02T11:49:45Z, port 41853") == "is after ..., ..."


@pytest.mark.interop
@pytest.mark.fast
@pytest.mark.parametrize("fault", [each for each in FAULTS if each not in ("slow", "silent")])
def test_curl(fault: str, tmp_path: Path) -> None:
    need_tool("curl")
    authority = TlsAuthority(tmp_path)
    with PROGRAMS[0].start(authority.ca_file) as (_, fetch):
        found = reaction(fault, authority, fetch)
    assert found.words is not None or fault in NOTES


@pytest.mark.interop
@pytest.mark.fast
def test_curl_with_the_revocation_list(tmp_path: Path) -> None:
    """As the note says."""
    need_tool("curl")
    authority = TlsAuthority(tmp_path)
    with FaultyServer("revoked-crl", authority=authority) as server:
        crl = authority.crl_file(server.crl_pem)
        command = [*curl_command(authority.ca_file), "--crlfile", crl, server.url]
        assert "certificate revoked" in str(failure_of(command))
        assert server.outcome().alert == "certificate_revoked"


@pytest.mark.interop
@pytest.mark.fast
def test_curl_that_asks_for_a_staple(tmp_path: Path) -> None:
    need_tool("curl")
    authority = TlsAuthority(tmp_path)
    with FaultyServer("revoked-staple", authority=authority) as server:
        command = [*curl_command(authority.ca_file), "--cert-status", server.url]
        assert "revocation reason" in str(failure_of(command))
