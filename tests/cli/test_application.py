"""The command as a whole: help, version, and what is not there yet."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.cli.conftest import Run, handclasp_process

import handclasp


def test_version(run: Run) -> None:
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"handclasp {handclasp.__version__}\n")


def test_help_names_the_commands(run: Run) -> None:
    result = run("--help")
    assert result.exit_code == 0
    for command in (
        "demo",
        "connect",
        "serve",
        "cert",
        "watch",
        "explain",
        "redact",
        "diff",
        "bench",
    ):
        assert f"  {command} " in result.stdout


def test_each_command_has_help(run: Run) -> None:
    commands = [
        [name]
        for name in ("demo", "connect", "serve", "cert", "watch", "explain", "redact", "diff")
    ]
    commands.append(["cert", "issue"])
    for command in commands:
        result = run(*command, "--help")
        assert result.exit_code == 0
        assert result.stdout.startswith(f"Usage: handclasp {' '.join(command)} ")


@pytest.mark.parametrize("command", ["nonsense", "explains"])
def test_a_command_that_is_not_there_is_a_wrong_argument(run: Run, command: str) -> None:
    result = run(command)
    assert result.exit_code == 2
    assert f"No such command '{command}'" in result.stderr


def test_a_mistyped_option_is_led_to_the_right_one(run: Run) -> None:
    result = run("connect", "h", "--insecur")
    assert result.exit_code == 2
    assert "No such option" in result.stderr
    assert "--insecure" in result.stderr


def test_help_is_quick() -> None:
    """It is to catch an import gone wild, and so counts modules: 369 on Python 3.11."""
    command = [sys.executable, "-X", "importtime", "-m", "handclasp", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert told.stderr.count("import time:") < 420


def test_no_arguments_are_wrong_arguments() -> None:
    result = handclasp_process()
    assert result.returncode == 2
    assert b"Commands:" in result.stdout + result.stderr


def test_closed_output_is_no_traceback() -> None:
    result = handclasp_process("connect", "localhost:notaport")
    assert result.returncode == 2
    assert b"Traceback" not in result.stderr
