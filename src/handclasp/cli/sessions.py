"""The options of `connect` for resumption: a file of sessions, and early data.

Rejected early data are reported and not sent again: only the user knows whether a repetition, or a
delay, does harm.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from handclasp.cli.inputs import read_file
from handclasp.cli.outcome import WrongArguments, configuration_checked
from handclasp.errors import TruncationError

if TYPE_CHECKING:
    from handclasp import TLSSocket

Command = TypeVar("Command", bound=Callable[..., Any])

TICKET_SECONDS = 0.3
"""The seconds to wait for tickets: servers of TLS 1.3 send them after the handshake."""

_OPTIONS = (
    click.option(
        "--session",
        metavar="FILE",
        help="Resume a session of FILE, and keep new ones there. It holds secrets.",
    ),
    click.option(
        "--early-data",
        metavar="FILE",
        help="Send what FILE holds with the first flight, where the session allows it. It can be "
        "recorded and sent to the server again.",
    ),
)


def session_options(command: Command) -> Command:
    """Gives a command the options of `session_settings`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def session_settings(options: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of the options for a config; raise `WrongArguments`."""
    if options["early_data"] is not None:
        if options["session"] is None:
            raise WrongArguments("--early-data needs --session: a session must allow them.")
        if options["tls12"] and not options["tls13"]:
            raise WrongArguments("--early-data needs TLS 1.3: leave out --tls12.")
    if options["session"] is None:
        return {}
    from handclasp import SessionStore

    path = Path(options["session"])
    with configuration_checked():
        store = SessionStore.file(path)
    _check_file(path)
    return {"sessions": store, "allow_early_data": options["early_data"] is not None}


def early_data_of(options: dict[str, Any]) -> bytes | None:
    """Return the early data, if there are any; raise `WrongArguments`."""
    return read_file(options["early_data"]) if options["early_data"] is not None else None


def tell_undelivered(tls: TLSSocket, data: bytes) -> None:
    """Say on standard error what became of early data that the server did not get."""
    left = len(tls.early_data_rejected)
    if not left:
        return
    if tls.info.early_data_status == "rejected":
        what = f"the server took none of the {_bytes(len(data))}, which were not sent again."
    elif left == len(data):
        what = f"{tls.info.early_data_refusal}, so the {_bytes(left)} were not sent."
    else:
        what = f"the session allows {_bytes(len(data) - left)}; {left} more were not sent."
    click.echo(f"Early data: {what}", err=True)


def await_tickets(tls: TLSSocket) -> None:
    """Read until there are data, the end, or silence for long enough: tickets come before that.

    Raises `OSError` as the socket does, except for an end without a word, which cuts nothing off.
    """
    tls.settimeout(TICKET_SECONDS)
    with suppress(TimeoutError, TruncationError, ConnectionResetError):
        tls.recv(1)


def _check_file(path: Path) -> None:
    """Refuse a file that cannot be written; the store reports other errors itself."""
    if not os.access(path.parent, os.W_OK):
        raise WrongArguments(f"--session {path}: the directory {path.parent} cannot be written to.")


def _bytes(count: int) -> str:
    return f"{count} byte" if count == 1 else f"{count} bytes"
