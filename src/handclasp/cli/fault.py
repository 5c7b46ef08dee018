"""`handclasp fault`: the meaning of a fault, and advice for several TLS stacks."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterator

import click
from click.shell_completion import CompletionItem

from handclasp import Fault, PeerAlertError
from handclasp.cli.outcome import WrongArguments
from handclasp.cli.terminal import beside, terminal_width, wrapped
from handclasp.faults import fault_named


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the names that a shell offers after what was typed."""
    typed = _spelled(incomplete)
    return [CompletionItem(name) for name in _sentences() if name.startswith(typed)]


@click.command("fault")
@click.argument("name", required=False, metavar="[NAME]", shell_complete=_complete)
def command(name: str | None) -> None:
    """Tell what the fault NAME means, its likely causes, and what to do about it.

    The advice is for OpenSSL, nginx, Go, Java and Python. A NAME that begins with PEER_ is an
    alert that the other end sent: PEER_ALERT_200 if its number is not registered. Without NAME,
    list the faults.
    """
    page = "\n".join(_listed()) if name is None else "\n".join(_lines_of(_page_of(name)))
    click.echo(page)


def _sentences() -> dict[str, str]:
    """Return what each name means, in a sentence: of the faults, and of the peer's alerts."""
    from handclasp.story.guides.alerts import PEER_ALERTS

    alerts = {name: PeerAlertError(number).explanation for name, number in PEER_ALERTS.items()}
    return {fault.name: fault.sentence for fault in Fault} | alerts


def _listed() -> Iterator[str]:
    """Yield the lines of the list: one for each name, unless a terminal is too narrow for that."""
    sentences = _sentences()
    margin = max(map(len, sentences)) + 2
    is_terminal = sys.stdout.isatty()  # In a pipe, a line is found with its name.
    for name, sentence in sentences.items():
        room, lines = margin, [sentence]
        if is_terminal:
            room, lines = beside(margin, sentence, terminal_width(sys.stdout))
        yield f"{name:{margin}}{lines[0]}".rstrip()
        yield from (" " * room + rest for rest in lines[1:])


def _lines_of(page: str) -> Iterator[str]:
    """Yield the lines of a page as wide as the terminal; it remains the same Markdown."""
    for number, block in enumerate(page.strip().split("\n\n")):
        if number:
            yield ""
        for item in re.split(r"\n(?=- )", block):
            yield from wrapped(" ".join(item.split()), below="  " if item[:2] == "- " else "")


def _page_of(name: str) -> str:
    """Return the page of a name in upper or lower case; raise `WrongArguments`."""
    from handclasp.story.guides import fault_page
    from handclasp.story.guides.alerts import (
        UNKNOWN_ALERT,
        alert_number,
        alert_page,
        unknown_alert_page,
    )

    wanted = _spelled(name)
    if (fault := fault_named(wanted)) is not None:
        return fault_page(fault)
    if wanted == UNKNOWN_ALERT:
        return unknown_alert_page()
    if (number := alert_number(wanted)) is not None:
        return alert_page(number)
    close = difflib.get_close_matches(wanted, _sentences(), n=3)
    meant = f" Did you mean {' or '.join(close)}?" if close else " `handclasp fault` lists all."
    raise WrongArguments(f"{name[:60]!r} is no fault.{meant}")


def _spelled(name: str) -> str:
    return name.upper().replace("-", "_")
