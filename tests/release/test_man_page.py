"""The man page: it is what the commands' help says, and programs that show such pages read it."""

from __future__ import annotations

import subprocess

import click
from tests.release.man_page import PAGE, _command, page
from tests.required import need_tool

from handclasp.cli.application import application


def test_the_page_is_what_the_commands_say() -> None:
    assert PAGE.read_text("utf-8") == page(), "python -m tests.release.man_page"


def test_every_option_of_every_command_is_on_it() -> None:
    text = page().replace("\\-", "-")
    context = click.Context(application)
    for name in application.list_commands(context):
        command = application.get_command(context, name)
        assert command is not None
        for option in (each for each in command.params if isinstance(each, click.Option)):
            assert all(f"{spelling}" in text for spelling in option.opts), option.opts


def test_no_text_of_a_help_becomes_a_macro() -> None:
    @click.command(help=".TH is no macro here.\n\n'nor this\n\n\b\n.lines\nthat --stay")
    def command() -> None: ...

    lines = list(_command(command, "handclasp x"))
    assert lines[1:] == [
        *(".PP", "\\&.TH is no macro here.", ".PP", "\\&'nor this"),
        *(".PP", ".nf", "\\&.lines", "that \\-\\-stay", ".fi"),
    ]


def test_man_shows_it_without_a_warning() -> None:
    groff = need_tool("groff")
    command = [groff, "-man", "-Tutf8", "-ww", str(PAGE)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "handclasp connect" in done.stdout
