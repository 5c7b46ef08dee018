"""Broken hellos by the hundred for our server and OpenSSL's; `make differential` has more."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.differential.__main__ import compare
from tests.differential.differences import DIFFERENCES, explained
from tests.differential.hellos import in_records, mutants, originals
from tests.differential.judges import ANSWERED, OpenSsl, Ours
from tests.soak.__main__ import certificate_files


@pytest.fixture(scope="module")
def judges(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ours, OpenSsl]:
    chain, key, _ = certificate_files(tmp_path_factory.mktemp("files"))
    return Ours(chain, key), OpenSsl(chain, key)


def test_originals_are_answered(judges: tuple[Ours, OpenSsl]) -> None:
    for hello in originals():
        assert [judge.judge(in_records(hello)) for judge in judges] == [ANSWERED] * 2


def test_mutants(judges: tuple[Ours, OpenSsl], capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(*judges, None, 400, seed=7) == 0, capsys.readouterr().out


def test_mutants_are_both_answered_and_refused(judges: tuple[Ours, OpenSsl]) -> None:
    ours, _ = judges
    verdicts = [ours.judge(stream) == ANSWERED for _, stream in mutants(7, 100)]
    assert 10 < sum(verdicts) < 90


def test_a_server_that_takes_anything_is_a_finding(
    judges: tuple[Ours, OpenSsl],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ours, openssl = judges
    monkeypatch.setattr(ours, "judge", lambda stream: ANSWERED)
    assert compare(ours, openssl, None, 100, seed=7) == 1
    assert "FINDING" in capsys.readouterr().out


def test_every_reason_names_its_source() -> None:
    assert all(each.why for each in DIFFERENCES)
    assert explained("INTERNAL_ERROR: KeyError", "answered", "answered") is None


def test_the_program_of_go_is_there() -> None:
    assert (Path(__file__).parent / "go" / "main.go").is_file()
