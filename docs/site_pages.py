"""Pages of the documentation site that are made out of the code when `make docs` builds it.

MkDocs calls the functions named `on_...`. The command line's page comes from the commands
themselves, and the faults' page from the catalogue, so neither can differ from what runs.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "src"))
_REPOSITORY_LINK = re.compile(r"\]\((\.\./)+((?:src|tests|examples|SECURITY|CONTRIBUTING)[^)]*)\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages, and one for each decision is already there as a file."""
    for path, content in (
        ("reference/command-line.md", "\n".join(_command_line())),
        ("reference/faults.md", "\n".join(_faults())),
    ):
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Show a link into the repository, which is no page of the site, as the path alone."""
    return _REPOSITORY_LINK.sub(r"] (`\2`)", markdown)


def _command_line() -> Iterator[str]:
    from handclasp.cli.application import application

    yield "# Command line\n"
    yield (
        "This is what `handclasp COMMAND --help` prints. Exit status: 0 on success, 1 if a "
        "handshake or a check failed, 2 if the arguments are wrong or a file is invalid.\n"
    )
    yield from _help(application, ["handclasp"])


def _help(command: click.Command, names: list[str]) -> Iterator[str]:
    context = click.Context(command, info_name=" ".join(names), max_content_width=90)
    if len(names) > 1:
        yield f"\n## {' '.join(names)}\n"
    yield f"```text\n{command.get_help(context)}\n```"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            each = command.get_command(context, name)
            if each is not None and not each.hidden:
                yield from _help(each, [*names, name])


def _faults() -> Iterator[str]:
    from handclasp.faults import Fault

    yield "# Faults\n"
    yield (
        "Each way in which a connection can fail has a name: `error.fault_name` of a `TLSError`, "
        "and the field `fault` of a trace. The texts below are what an error says when no more is "
        'known than the fault itself; mostly it knows more. "Peer" and "the other end" are the '
        "end that sent what was refused.\n"
    )
    for fault in Fault:
        entry = fault.value
        yield f"\n## {fault.name} {{#{fault.name.lower()}}}\n"
        yield f"{entry.sentence}\n"
        yield f"- Alert: `{entry.alert.name.lower()}`{'' if entry.sends_alert else ' (not sent)'}"
        yield f"- Rule: {entry.section}"
        condition = f", {entry.verdict.condition}" if entry.verdict.condition else ""
        yield f"- At fault: {_BLAMED[entry.verdict.blame.value]}{condition}"
        if entry.fix_peer:
            yield f"- On the other end: {entry.fix_peer}"
        if entry.fix_local:
            yield f"- On this end: {entry.fix_local}"


_BLAMED = {
    "peer": "the peer",
    "local": "this end",
    "network": "something on the way",
    "unclear": "unclear",
}
