"""What `handclasp connect` and `handclasp serve` tell of real failures, case by case."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.children import child
from tests.cli.conftest import COMMAND
from tests.failures.live import CONNECT, SERVE, Bench, Live, client_of_a_stranger, table
from tests.pki import Pki

from handclasp.advice import SETTINGS
from handclasp.cli.application import application

pytestmark = [pytest.mark.long, pytest.mark.timeout(120)]

DOCS = Path(__file__).parents[2] / "docs" / "failures.md"


@pytest.fixture
def bench(tmp_path: Path, pki: Pki, other_pki: Pki) -> Bench:
    made = Bench(tmp_path, pki, other_pki, str(tmp_path / "trusted.pem"))
    Path(made.trusted).write_bytes(pki.pem)
    return made


def connect(case: Live, bench: Bench, *more: str, columns: int = 80) -> Result:
    assert case.serve is not None
    with case.serve(bench) as port:
        given = case.arguments
        if "STRANGER" in given:
            alice = client_of_a_stranger(bench)
            given = ("--cert", alice.chain, "--key", alice.key)
        arguments = ["connect", f"127.0.0.1:{port}", "--server-name", case.server_name]
        arguments += ["--ca", bench.trusted, *given, *more]
        if case.sends:
            arguments += ["--send", r"GET / HTTP/1.0\r\n\r\n"]
        columns_of = {"COLUMNS": str(columns)}
        return CliRunner(env=columns_of).invoke(application, arguments, prog_name="handclasp")


def in_one_line(printed: str) -> str:
    """What was wrapped for a terminal, as sentences again."""
    return " ".join(printed.split())


def check_told(case: Live, told: str) -> None:
    """The words, in what people are shown."""
    who = case.blame if case.blame == "unclear" else f"the {case.blame}"
    for word in (case.cause, case.condition, case.fix, *case.cause_also, who):
        assert word in told, f"{word!r} is not in {told!r}"
    for word in (*case.never, *SETTINGS):
        assert word not in told, f"{word!r} is in {told!r}"


def lines_of(printed: str) -> str:
    """From the headline of the failure on: before it stands the story of the handshake."""
    starts = [printed.find(word) for word in ("No connection:", "The connection broke:")]
    return printed[max(starts) :]


@pytest.mark.parametrize("case", CONNECT, ids=lambda case: case.id)
def test_connect(case: Live, bench: Bench) -> None:
    result = connect(case, bench)
    assert result.exit_code == 1, result.output
    check_told(case, in_one_line(lines_of(result.stderr)))
    error = json.loads(connect(case, bench, "--json").stdout)["error"]
    assert (error["fault"], error["blame"]) == (case.fault, case.blame)
    assert case.condition in error["condition"]
    assert case.fix in error["fix"]
    assert not any(setting in json.dumps(error) for setting in SETTINGS)


@pytest.mark.parametrize("case", SERVE, ids=lambda case: case.id)
def test_serve(case: Live, bench: Bench) -> None:
    check_told(case, in_one_line(serve(case, bench, ())))
    shown = json.loads(serve(case, bench, ("--json",)).strip().splitlines()[-1])["error"]
    assert (shown["fault"], shown["blame"]) == (case.fault, case.blame)
    assert case.condition in shown["condition"]
    assert case.fix in shown["fix"]


def serve(case: Live, bench: Bench, more: Sequence[str]) -> str:
    """What is printed of one visit, the announcement left out."""
    shown = bench.files(name="ours")
    given = [bench.trusted if each == "CA" else each for each in (*case.arguments, *more)]
    command = [*COMMAND, "serve", str(bench.directory), "--port", "0", "--cert", shown.chain]
    assert case.visit is not None
    with child([*command, "--key", shown.key, *given], bench.directory) as process:
        port = int(process.wait_for(r"Listening on https://localhost:(\d+)")[1])
        case.visit(bench, port)
        # The last line of what is told: advice, or the object.
        process.wait_for(r"to change: .*\n(?!    )|^{.*}\n")
        return process.printed().partition("Ctrl-C ends it.\n")[2] or process.printed()


@pytest.mark.parametrize("columns", [60, 80])
def test_no_line_is_too_long(columns: int, bench: Bench) -> None:
    for case in CONNECT[:1]:
        result = connect(case, bench, columns=columns)
        told = lines_of(result.stderr)
        assert max(map(len, told.splitlines())) <= 80


def test_the_table_is_that_of_the_cases() -> None:
    assert DOCS.read_text("utf-8") == table(), "run: python -m tests.failures"


def test_each_case_is_told_apart() -> None:
    cases: list[Any] = [*CONNECT, *SERVE]
    assert len({case.id for case in cases}) == len(cases) >= 40
