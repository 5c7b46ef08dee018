"""The command as a whole: help, version, and what is not there yet."""

from __future__ import annotations

import time

import pytest
from tests.cli.conftest import Run, handclasp_process

import handclasp


def test_version(run: Run) -> None:
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"handclasp {handclasp.__version__}\n")


def test_help_names_the_commands(run: Run) -> None:
    result = run("--help")
    assert result.exit_code == 0
    for command in ("demo", "connect", "serve", "cert", "bench"):
        assert f"  {command} " in result.stdout


def test_each_command_has_help_without_what_is_not_there_yet(run: Run) -> None:
    for command in (["demo"], ["connect"], ["serve"], ["cert"], ["cert", "issue"]):
        result = run(*command, "--help")
        assert result.exit_code == 0
        assert "--verbose" not in result.stdout


@pytest.mark.parametrize("command", ["explain", "nonsense"])
def test_a_command_that_is_not_there_is_a_wrong_argument(run: Run, command: str) -> None:
    result = run(command)
    assert result.exit_code == 2
    assert f"No such command '{command}'" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("connect", "localhost:1", "-v"),
        ("connect", "localhost:1", "-vv"),
        ("connect", "localhost:1", "--trace", "file.html"),
        ("serve", "-v"),
        ("demo", "--verbose"),
    ],
)
def test_what_comes_later_says_so_in_one_sentence(run: Run, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "not available yet" in result.stderr


@pytest.mark.parametrize("typed", ["-v", "--verbose"])
def test_what_comes_later_is_named_in_its_long_form(run: Run, typed: str) -> None:
    sentence = run("connect", "localhost:1", typed).stderr
    assert sentence == "handclasp: --verbose is not available yet in this version.\n"


def test_a_mistyped_option_is_not_led_to_what_comes_later(run: Run) -> None:
    hidden, known = run("connect", "h", "--verbos"), run("connect", "h", "--insecur")
    assert hidden.exit_code == known.exit_code == 2
    assert "No such option" in hidden.stderr
    assert "--verbose" not in hidden.stderr
    assert "--insecure" in known.stderr


def test_help_is_quick() -> None:
    """Far above what it takes, for busy machines: it is to catch an import gone wild."""
    times: list[float] = []
    for _ in range(3):
        began = time.perf_counter()
        assert handclasp_process("--help").returncode == 0
        times.append(time.perf_counter() - began)
    assert min(times) < 1.5


def test_no_arguments_are_wrong_arguments() -> None:
    result = handclasp_process()
    assert result.returncode == 2
    assert b"Commands:" in result.stdout + result.stderr


def test_closed_output_is_no_traceback() -> None:
    result = handclasp_process("connect", "localhost:notaport")
    assert result.returncode == 2
    assert b"Traceback" not in result.stderr
