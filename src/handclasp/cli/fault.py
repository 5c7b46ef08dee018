"""`handclasp fault`: the meaning of a fault, and advice for several TLS stacks."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterator

import click

from handclasp import Fault
from handclasp.cli.outcome import WrongArguments
from handclasp.cli.terminal import beside, terminal_width, wrapped


@click.command("fault")
@click.argument("name", required=False, metavar="[NAME]")
def command(name: str | None) -> None:
    """Tell what the fault NAME means, its likely causes, and what to do about it.

    The advice is for OpenSSL, nginx, Go, Java and Python. Without NAME, list the faults.
    """
    if name is None:
        click.echo("\n".join(_listed()))
        return
    from handclasp.story.guides import fault_page

    click.echo("\n".join(_lines_of(fault_page(_fault_of(name)))))


def _listed() -> Iterator[str]:
    """Yield the lines of the list: one for each fault, unless a terminal is too narrow for that."""
    margin = max(len(fault.name) for fault in Fault) + 2
    is_terminal = sys.stdout.isatty()  # In a pipe, a line is found with its name.
    for fault in Fault:
        room, lines = margin, [fault.sentence]
        if is_terminal:
            room, lines = beside(margin, fault.sentence, terminal_width(sys.stdout))
        yield f"{fault.name:{margin}}{lines[0]}".rstrip()
        yield from (" " * room + rest for rest in lines[1:])


def _lines_of(page: str) -> Iterator[str]:
    """Yield the lines of a page as wide as the terminal; it remains the same Markdown."""
    for number, block in enumerate(page.strip().split("\n\n")):
        if number:
            yield ""
        for item in re.split(r"\n(?=- )", block):
            yield from wrapped(" ".join(item.split()), below="  " if item[:2] == "- " else "")


def _fault_of(name: str) -> Fault:
    """Return the fault of a name in upper or lower case; raise `WrongArguments`."""
    names = [fault.name for fault in Fault]
    wanted = name.upper().replace("-", "_")
    if wanted in names:
        return Fault[wanted]
    if wanted.startswith("PEER_"):
        raise WrongArguments(
            f"{wanted} is an alert that the other end sent: the error has its likely causes."
        )
    close = difflib.get_close_matches(wanted, names, n=3)
    meant = f" Did you mean {' or '.join(close)}?" if close else " `handclasp fault` lists all."
    raise WrongArguments(f"{name[:60]!r} is no fault.{meant}")
