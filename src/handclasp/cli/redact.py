"""`handclasp redact`: take out of a saved trace what is not to be passed on."""

from __future__ import annotations

from pathlib import Path

import click

from handclasp.cli.inputs import read_trace, save_trace, trace_file
from handclasp.cli.outcome import WrongArguments
from handclasp.cli.pages import PAGE_ENDING
from handclasp.cli.redaction import Redaction


@click.command("redact")
@click.argument("trace", metavar="TRACE")
@click.argument("output", metavar="OUT")
@click.option("--names", is_flag=True, help="Also the names of hosts, people and authorities.")
@click.option("--addresses", is_flag=True, help="Also IP addresses.")
def command(trace: str, output: str, names: bool, addresses: bool) -> None:
    """Copy a trace into OUT, without its secrets.

    Secrets are the values of all keys, and application data. OUT ends in .json or .html.
    """
    path = trace_file(output, "", (".json", PAGE_ENDING))
    if Path(trace).exists() and path.exists() and path.samefile(trace):
        raise WrongArguments(
            "TRACE and OUT are the same file: nothing would be left to go back to."
        )
    redaction = Redaction(names, addresses)
    left = redaction.of(read_trace(trace))
    save_trace(left, path, "A recorded handshake")
    kept = [] if names else ["names"]
    kept += [] if addresses else ["addresses"]
    still = f" It still holds {' and '.join(kept)}." if kept else ""
    click.echo(f"{output} is without {redaction.taken_out}.{still}", err=True)
