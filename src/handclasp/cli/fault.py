"""`handclasp fault`: the meaning of a fault, and advice for several TLS stacks."""

from __future__ import annotations

import difflib

import click

from handclasp import Fault
from handclasp.cli.outcome import WrongArguments


@click.command("fault")
@click.argument("name", required=False, metavar="[NAME]")
def command(name: str | None) -> None:
    """Tell what the fault NAME means, its likely causes, and what to do about it.

    The advice is for OpenSSL, nginx, Go, Java and Python. Without NAME, list the faults.
    """
    if name is None:
        width = max(len(fault.name) for fault in Fault)
        for fault in Fault:
            click.echo(f"{fault.name:{width}}  {fault.sentence}")
        return
    from handclasp.story.guides import fault_page

    click.echo(fault_page(_fault_of(name)), nl=False)


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
