"""`handclasp connect` in front of every server of `cases`: verdict, alert, cause and fix."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.pki import Pki, pem_of
from tests.trust.cases import Case, Shown, accepted, refused
from tests.trust.servers import Seen, serving

from handclasp.cli.application import application


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


@pytest.fixture
def authorities(case: Case, pki: Pki, tmp_path: Path) -> tuple[Shown, str]:
    """What the server shows, and the file of authorities that the client trusts."""
    shown = case.make(pki, tmp_path)
    path = tmp_path / "ca.pem"
    path.write_bytes(pem_of(shown.root or pki.certificate))
    return shown, str(path)


@pytest.fixture
def server(authorities: tuple[Shown, str]) -> Iterator[Seen]:
    shown = authorities[0]
    with serving(shown.chain, shown.key, shown.staple) as seen:
        yield seen


def connect(case: Case, server: Seen, given: tuple[Shown, str], *options: str) -> Result:
    shown, ca = given
    arguments = ["connect", f"127.0.0.1:{server.port}", "--server-name", case.name, "--ca", ca]
    return CliRunner().invoke(application, [*arguments, *shown.options, *options])


REFUSED, ACCEPTED = list(refused()), list(accepted())


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_refused(case: Case, server: Seen, authorities: tuple[Shown, str]) -> None:
    result = connect(case, server, authorities, "--json")
    assert result.exit_code == 1, result.output
    error = json.loads(result.stdout)["error"]
    assert (error["fault"], error["from"]) == (case.fault, "local"), error["message"]
    for word in case.cause:
        assert word in error["message"]
    for word in case.fix:
        assert word in error["fix"]
    heard = server.next_alert()
    assert case.alert in heard


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_refused_in_words(case: Case, server: Seen, authorities: tuple[Shown, str]) -> None:
    result = connect(case, server, authorities, "--explain", "--send", "x")
    assert result.exit_code == 1, result.output
    lines = result.stderr.splitlines()
    assert all(len(line) <= 80 and line.isprintable() for line in lines), lines
    told = " ".join(result.stderr.split())
    for word in (*case.cause, *case.fix):
        assert word.replace(" ", "") in told.replace(" ", "")
    if case.fault != "TOO_MANY_CERTIFICATES":  # Nothing is looked at, so nothing is explained.
        assert "Not trusted: " in told


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.id)
def test_accepted(case: Case, server: Seen, authorities: tuple[Shown, str]) -> None:
    result = connect(case, server, authorities, "--json", "--explain")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["peer"]["verified"]
    assert told["explanation"]["accepted"]
    assert told["explanation"]["reasons"] == []


def test_there_are_enough() -> None:
    assert len(REFUSED) >= 45
    assert len({case.id for case in REFUSED + ACCEPTED}) == len(REFUSED) + len(ACCEPTED)
