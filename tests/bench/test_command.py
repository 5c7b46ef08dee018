"""`python -m bench`, without measuring anything."""

from __future__ import annotations

import sys
from contextlib import suppress

import bench.__main__ as command
import pytest


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    measured: list[str] = []
    monkeypatch.setattr(command, "run", lambda *stacks, **options: measured.append("stacks"))
    monkeypatch.setattr(command, "_chains", lambda: measured.append("chains"))
    monkeypatch.setattr(command, "_tracing", lambda: measured.append("tracing"))
    return measured


@pytest.mark.parametrize(
    ("argument", "status", "begins"), [("--help", 0, "Usage: "), ("--nonsense", 2, "")]
)
def test_nothing_is_measured(
    argument: str,
    status: int,
    begins: str,
    measured: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", argument])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert (ended.value.code, measured) == (status, [])
    assert capsys.readouterr().out.startswith(begins)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["stacks", "chains", "tracing"]),
        (["--json"], ["stacks"]),
        (["chains"], ["chains"]),
        (["tracing"], ["tracing"]),
    ],
)
def test_what_is_measured(
    arguments: list[str],
    expected: list[str],
    measured: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", *arguments])
    with suppress(SystemExit):
        command.main()
    assert measured == expected
