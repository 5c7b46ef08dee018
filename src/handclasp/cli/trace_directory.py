"""`handclasp explain DIRECTORY`: the connections whose traces are in it, the failed ones first."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import click

from handclasp.cli.identity import printable
from handclasp.cli.inputs import files_in, read_file
from handclasp.cli.outcome import WrongArguments
from handclasp.cli.terminal import wrapped
from handclasp.wording import listed

if TYPE_CHECKING:
    from handclasp import Recorder
    from handclasp.trace.events import TransportSeen

_TRACE = ".json"
_CAPTURES = (".pcapng", ".pcap")
_MOST_READ = 500
"""Traces, the newest, that are read for the list: each takes a few milliseconds."""
_MOST_LISTED = 20
"""Connections that are listed unless all are wanted."""
_MOST_NAMED = 3
_COMPLETE = ("complete", "seems_complete")

Outcome = Literal["failed", "completed", "unfinished"]


@dataclass(frozen=True, slots=True)
class _Row:
    """One connection of the list."""

    file: str
    at: datetime | None
    role: str
    server_name: str | None
    address: str | None
    outcome: Outcome
    version: str | None
    fault: str | None
    message: str | None


@dataclass(slots=True)
class _Found:
    """The names of the files in a directory, the newest first."""

    traces: list[str]
    captures: list[str]
    others: int


def chosen_in(directory: str, *, lists: bool, as_json: bool, for_page: bool) -> str | None:
    """Return the only trace in a directory, or print the list of several and return None.

    Args:
        lists: whether the list is wanted in any case, and all of it.
        as_json: whether it is printed as JSON.
        for_page: whether a page is to be written, which only one connection has.

    Raises `WrongArguments` if there is nothing to be explained.
    """
    found = _look_into(directory)
    files = found.traces + found.captures
    if not files:
        raise WrongArguments(_nothing_in(directory, found))
    if len(files) == 1 and not lists:
        return os.path.join(directory, files[0])
    if for_page:
        raise WrongArguments(
            f"--html is for one connection, and {directory} has {len(files)} files. Name one of "
            "them; without --html they are listed."
        )
    rows: list[_Row] = []
    refused: list[str] = []
    for name in found.traces[: None if lists else _MOST_READ]:
        row = _row(directory, name)
        if isinstance(row, str):
            refused.append(row)
        else:
            rows.append(row)
    if not rows and not found.captures:
        raise WrongArguments(
            f"{directory} has no trace that could be read: {listed(refused, _MOST_NAMED)}."
        )
    # The sort is stable: of either kind, the newest stays first.
    rows.sort(key=lambda row: row.outcome != "failed")
    if as_json:
        print(json.dumps([_as_json(row) for row in rows], indent=2))
    else:
        _print(directory, rows, found, lists=lists)
    for line in wrapped(f"Not read: {listed(refused, _MOST_NAMED)}.") if refused else []:
        click.echo(line, err=True)
    return None


def _look_into(directory: str) -> _Found:
    names, others = files_in(directory, (_TRACE, *_CAPTURES))
    return _Found(
        [name for name in names if name.endswith(_TRACE)],
        [name for name in names if not name.endswith(_TRACE)],
        others,
    )


def _nothing_in(directory: str, found: _Found) -> str:
    has = "no trace (.json) and no capture (.pcapng, .pcap)" if found.others else "nothing"
    return (
        f"There is {has} in the directory {directory}. A program writes its traces there when its "
        "handshakes end: perhaps it has made no connection by TLS, or wrote into another directory."
    )


def _row(directory: str, name: str) -> _Row | str:
    """Return the row of a trace, or the reason why there is none."""
    from handclasp import Recorder
    from handclasp.trace.events import TraceFormatError

    shown = printable(name, 200)
    try:
        recorder = Recorder.from_json(read_file(os.path.join(directory, name)))
    except WrongArguments as error:
        return f"{shown} ({_reason(error)})"
    except TraceFormatError:
        return f"{shown} (not a trace)"
    return _row_of(name, recorder)


def _reason(error: WrongArguments) -> str:
    """Return what the system says of a file, without its name."""
    cause = error.__context__
    return (cause.strerror if isinstance(cause, OSError) else None) or "it cannot be read"


def _row_of(name: str, recorder: Recorder) -> _Row:
    from handclasp.story.diagnosis import diagnose
    from handclasp.story.facts import names_in_hello, observed_in, role_of
    from handclasp.trace.events import HandshakeResult, TransportSeen

    events = recorder.events
    role = role_of(events)
    settled = next((each for each in events if isinstance(each, HandshakeResult)), None)
    transport = next((each for each in events if isinstance(each, TransportSeen)), None)
    diagnosis = diagnose(events)
    server_name, inner_name = names_in_hello(events)
    observed = observed_in(events)
    is_complete = settled is not None if observed is None else observed.outcome in _COMPLETE
    outcome: Outcome = "completed" if is_complete else "unfinished"
    at_ns = recorder.began_at_ns
    return _Row(
        file=name,
        at=datetime.fromtimestamp(at_ns // 10**9, UTC) if 0 < at_ns < _END_OF_TIME_NS else None,
        role=role,
        server_name=inner_name or server_name,
        address=None if transport is None else _address(transport),
        outcome=outcome if diagnosis is None else "failed",
        version=None if settled is None else settled.info.version,
        fault=None if diagnosis is None else diagnosis.fault,
        message=None if diagnosis is None else diagnosis.told(diagnosis.cause),
    )


_END_OF_TIME_NS = 253_402_300_800 * 10**9
"""The year 10000, which `datetime` does not have."""


def _address(transport: TransportSeen) -> str:
    host, port = transport.peer_address, transport.peer_port
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _as_json(row: _Row) -> dict[str, Any]:
    return {
        "file": row.file,
        "at": None if row.at is None else row.at.isoformat(),
        "role": row.role,
        "server_name": row.server_name,
        "peer": row.address,
        "outcome": row.outcome,
        "version": row.version,
        "fault": row.fault,
        "message": row.message,
    }


def _print(directory: str, rows: Sequence[_Row], found: _Found, *, lists: bool) -> None:
    failed = sum(row.outcome == "failed" for row in rows)
    count = f"{len(rows)} connection{'' if len(rows) == 1 else 's'}"
    _say(f"{directory}: {count} ({failed} failed).")
    shown = rows if lists else rows[:_MOST_LISTED]
    for row in shown:
        _print_row(row)
    print()
    unread = len(found.traces) - _MOST_READ
    if len(shown) < len(rows) or (not lists and unread > 0):
        older = f", and {unread} older traces were not read" if unread > 0 and not lists else ""
        _say(f"{len(rows) - len(shown)} more are not shown{older}: --list shows all.")
    if found.captures:
        names = [printable(name, 200) for name in found.captures]
        _say(f"Captures: {listed(names, _MOST_NAMED)}.")
    first = rows[0].file if rows else found.captures[0]
    print(f"To see one: handclasp explain {shlex.quote(os.path.join(directory, first))}")


def _print_row(row: _Row) -> None:
    told = [f"{row.outcome:<10}"]
    if row.at is not None:
        told.append(f"{row.at:%Y-%m-%d %H:%M:%S} UTC")
    told.append(_ends(row))
    if row.version is not None:
        told.append(row.version.replace("TLSv", "TLS "))
    print()
    _say("  ".join(told), " " * 12)
    if row.fault is not None:
        _say(f"{row.fault}: {row.message}", " " * 12, " " * 12)
    print(f"{'':12}{printable(row.file, 200)}")


def _ends(row: _Row) -> str:
    at = f" at {row.address}" if row.address is not None else ""
    if row.role == "client":
        return f"client of {row.server_name or 'a server'}{at}"
    asked = f", for {row.server_name}" if row.server_name is not None else ""
    return f"server of a client{at}{asked}"


def _say(text: str, below: str = "", initial: str = "") -> None:
    """Print some sentences as wide as the terminal."""
    for line in wrapped(printable(text, 1000), initial=initial, below=below):
        print(line)
