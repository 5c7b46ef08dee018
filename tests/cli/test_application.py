"""The command as a whole: help, version, and what is not there yet."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.cli.conftest import Run, handclasp_process
from tests.required import need_speedups

import handclasp
from handclasp.speedups import FORM


def test_version(run: Run) -> None:
    result = run("--version")
    version = f"handclasp {handclasp.__version__} ({FORM})\n"
    assert (result.exit_code, result.stdout) == (0, version)


@pytest.mark.parametrize("pure", ["", "1"])
def test_the_version_tells_what_seals_the_records(
    pure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANDCLASP_PURE", pure)
    if not pure:
        need_speedups()
    done = handclasp_process("--version")
    assert done.stdout.endswith(b" (pure Python)\n" if pure else b" (records in C)\n")


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


@pytest.mark.parametrize("package", ["click", "rich", "uvicorn"])
def test_a_missing_package_is_named_in_one_line(package: str) -> None:
    """As after `pip install --no-deps handclasp`."""
    code = f"import sys; sys.modules['{package}'] = None; from handclasp.cli import main; main()"
    command = [sys.executable, "-c", code, "demo", "--once", "--no-browser"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == f"The command line needs {package}: pip install {package}\n"


@pytest.mark.parametrize(
    ("typed", "meant"), [("conect", "connect"), ("explian", "explain"), ("quantum", "")]
)
def test_a_command_that_is_meant_is_proposed(run: Run, typed: str, meant: str) -> None:
    result = run(typed, "localhost")
    proposal = f" Did you mean '{meant}'?" if meant else ""
    assert result.exit_code == 2
    assert result.stderr.endswith(f"No such command '{typed}'.{proposal}\n")
