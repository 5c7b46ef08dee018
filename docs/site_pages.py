"""Pages of the documentation site that are made out of the code when `make docs` builds it.

MkDocs calls the functions named `on_...`. The command line's page comes from the commands
themselves, and those of the faults from the catalogue, so none can differ from what runs.
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
        *_fault_pages(),
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
    """The list of all faults and alerts, each with a link to its page."""
    from handclasp import Fault
    from handclasp.alerts import explain_alert
    from handclasp.story.guides.alerts import PEER_ALERTS

    yield "# Faults\n"
    yield (
        "Each way in which a connection can fail has a name: `error.fault_name` of a `TLSError`, "
        "and the field `fault` of a trace. Its page tells what it means, its likely causes, and "
        "what to do about it with OpenSSL, nginx, Go, Java and Python. `handclasp fault NAME` "
        "prints the same page. An error knows more of the single case than its page.\n"
    )
    yield "| Fault | |\n|---|---|"
    for fault in Fault:
        yield f"| [{fault.name}](faults/{fault.name.lower()}.md) | {fault.sentence} |"
    yield "\n## Alerts of the other end\n"
    yield (
        "If the other end refused, `error.fault_name` is PEER_ and the name of the alert that it "
        "sent, or PEER_ALERT_ and its number if that is not registered.\n"
    )
    yield "| Alert | |\n|---|---|"
    for name, number in PEER_ALERTS.items():
        yield f"| [{name}](faults/{name.lower()}.md) | {explain_alert(number).sentence} |"


def _fault_pages() -> Iterator[tuple[str, str]]:
    """The path and the content of the page of each fault and alert."""
    from handclasp import Fault
    from handclasp.story.guides import fault_page
    from handclasp.story.guides.alerts import PEER_ALERTS, alert_page

    for fault in Fault:
        explained = '"Peer" and "the other end" are the end that sent what was refused.'
        yield f"reference/faults/{fault.name.lower()}.md", f"{fault_page(fault)}\n{explained}\n"
    for name, number in PEER_ALERTS.items():
        yield f"reference/faults/{name.lower()}.md", alert_page(number)
