"""Writes docs/man/handclasp.1 out of the commands' own help: `python -m tests.release.man_page`.

The page is kept in the repository because a build has neither click nor cryptography; a test holds
it equal to what this writes.
"""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click

import handclasp
from handclasp.cli.application import application

PAGE = Path(__file__).parents[2] / "docs" / "man" / "handclasp.1"

_ENVIRONMENT = {
    "HANDCLASP_HOME": "The directory of the local authority, instead of the one for this user's "
    "data.",
    "HANDCLASP_KEY_PASSWORD": "The password of an encrypted key that \\fB\\-\\-key\\fR names.",
    "HANDCLASP_PURE": "Any value switches the accelerator for records off.",
    "SSL_CERT_FILE, SSL_CERT_DIR": "The authorities to trust, instead of the system's.",
}
_EXAMPLES = {
    "A handshake, explained; then talk to the server:": "handclasp connect example.com",
    "The same as a page with every byte:": "handclasp connect example.com --trace page.html",
    "Files over HTTPS, with a certificate of the local authority:": "handclasp serve . --port 9443",
    "The handshakes of another program:": "handclasp watch -- curl https://example.com",
}


def main() -> None:
    argparse.ArgumentParser(prog="python -m tests.release.man_page").parse_args()
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), "utf-8")


def page() -> str:
    """Return the page in the macros of man(7)."""
    version = re.sub(r"\.dev\d+$", "", handclasp.__version__)
    context = click.Context(application, info_name="handclasp")
    lines = [
        '.\\" Written by python -m tests.release.man_page: change the commands instead.',
        f'.TH HANDCLASP 1 "" "handclasp {version}" "User Commands"',
        ".SH NAME",
        "handclasp \\- make TLS handshakes, watch them, and learn why they fail",
        ".SH SYNOPSIS",
        ".B handclasp",
        "[\\fB\\-\\-version\\fR] [\\fB\\-\\-help\\fR] \\fICOMMAND\\fR [\\fIARGUMENT\\fR...]",
        ".SH DESCRIPTION",
        *_paragraphs(application.help),
        ".SH COMMANDS",
    ]
    for name in application.list_commands(context):
        command = application.get_command(context, name)
        assert command is not None
        lines += _command(command, f"handclasp {name}")
    lines.append(".SH ENVIRONMENT")
    for variable, meaning in _ENVIRONMENT.items():
        lines += [".TP", f".B {variable}", meaning]
    lines.append(".SH EXAMPLES")
    for purpose, line in _EXAMPLES.items():
        lines += [".PP", _escaped(purpose), ".PP", ".RS 4", _escaped(line), ".RE"]
    lines += [".SH SEE ALSO", ".BR openssl (1),", ".BR tshark (1)"]
    return "\n".join(lines) + "\n"


def _command(command: click.Command, name: str) -> Iterator[str]:
    context = click.Context(command, info_name=name)
    yield f".SS {' '.join([name, *command.collect_usage_pieces(context)])}".replace("-", "\\-")
    yield from _paragraphs(command.help)
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        is_option = isinstance(parameter, click.Option) and "--help" not in parameter.opts
        if is_option and record is not None:
            yield ".TP"
            yield f".B {_escaped(record[0])}"
            yield _escaped(" ".join(record[1].split()))
    yield from _paragraphs(command.epilog)
    if isinstance(command, click.Group):
        for each in command.commands.values():
            yield from _command(each, f"{name} {each.name}")


def _paragraphs(text: str | None) -> Iterator[str]:
    """The paragraphs of a help text; one that begins with \\b keeps its lines."""
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text or "")):
        if not paragraph:
            continue
        yield ".PP"
        if paragraph.startswith("\b"):
            yield from (".nf", *map(_escaped, paragraph.split("\n")[1:]), ".fi")
        else:
            yield _escaped(" ".join(paragraph.split()))


def _escaped(line: str) -> str:
    """A line of text as roff takes it: no macros, no escapes, and hyphens that can be copied."""
    line = line.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{line}" if line.startswith((".", "'")) else line


if __name__ == "__main__":
    main()
