"""Completion as shells do it: bash and fish complete a line, and zsh reads its script."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from tests.cli.conftest import SOURCE, Run
from tests.required import need_tool

from handclasp.cli.application import application
from handclasp.cli.completion import complete_paths

# Calls the function that the script registers as bash does when a user presses Tab.
TAB = """
eval "$(handclasp completion bash)"
complete -p handclasp > /dev/null || exit 1
compopt() {{ echo "$2"; }}
COMP_WORDS=(handclasp {line})
COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
_handclasp_completion handclasp
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A command of this source's on the path."""
    command = tmp_path / "handclasp"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m handclasp "$@"\n')
    command.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "PYTHONPATH": SOURCE, "HOME": str(tmp_path)}


def completed(shell: str, script: str, environment: dict[str, str]) -> list[str]:
    command = [need_tool(shell), "--norc" if shell == "bash" else "--no-config", "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("co", {"connect", "completion"}),
        ("cert ''", {"issue", "ca", "show", "check", "fix"}),
        ("connect --tls", {"--tls12", "--tls13", "--tlsa"}),
        ("connect --starttls po", {"pop3", "postgres"}),
        ("explain tra", {"default"}),  # bash's own completion, which is of files
        ("diff a.json b", {"default"}),
        ("connect --ca c", {"default"}),
        ("serve w", {"dirnames"}),
        ("cert issue localhost --out w", {"dirnames"}),
        ("connect exam", set()),
    ],
)
def test_bash_completes(line: str, words: set[str], environment: dict[str, str]) -> None:
    assert set(completed("bash", TAB.format(line=line), environment)) == words


def test_fish_completes(environment: dict[str, str]) -> None:
    script = "handclasp completion fish | source; complete -C 'handclasp conn'"
    assert completed("fish", script, environment)[0] == "connect"


def test_zsh_reads_its_script(environment: dict[str, str], run: Run, tmp_path: Path) -> None:
    script = tmp_path / "_handclasp"
    script.write_text(run("completion", "zsh").stdout)
    command = [need_tool("zsh"), "--no-exec", str(script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_every_option_for_a_file_is_completed_with_files() -> None:
    context = click.Context(application)
    for name in application.list_commands(context):
        command = application.get_command(context, name)
        assert command is not None
        complete_paths(command)
        for parameter in command.params:
            if (parameter.metavar or "").startswith(("FILE", "DIR")):
                (offered,) = parameter.shell_complete(context, "x")
                assert offered.type in ("file", "dir")


def test_another_shell_is_a_wrong_argument(run: Run) -> None:
    assert run("completion", "tcsh").exit_code == 2
