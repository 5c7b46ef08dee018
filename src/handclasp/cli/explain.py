"""`handclasp explain`: a recorded trace, or a capture of any program's, told as a story."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from handclasp.cli.inputs import read_file
from handclasp.cli.narrative import story_text, verbose_option
from handclasp.cli.outcome import FAILED, WrongArguments
from handclasp.cli.pages import PAGE_ENDING, page_for, write_page

if TYPE_CHECKING:
    from handclasp import Recorder
    from handclasp.capture.secrets import KeyLog
    from handclasp.capture.stream import CaptureError, Stream
    from handclasp.cli.tshark import Found

_CAPTURE_STARTS = (
    b"\x0a\x0d\x0d\x0a",
    b"\xa1\xb2\xc3\xd4",
    b"\xd4\xc3\xb2\xa1",
    b"\xa1\xb2\x3c\x4d",
    b"\x4d\x3c\xb2\xa1",
)
"""pcapng, and the four kinds of pcap."""


@dataclass(slots=True)
class _Told:
    """One handshake to tell: what is known of it, and what could not be seen."""

    recorder: Recorder
    title: str
    missing: tuple[str, ...] = ()


@click.command("explain")
@click.argument("file", metavar="FILE")
@click.option("--keylog", metavar="FILE", help="Secrets for a capture (SSLKEYLOGFILE).")
@click.option("--stream", type=click.IntRange(0), help="Which TCP connection of a capture.")
@click.option("--list", "lists", is_flag=True, help="List the TCP connections of a capture.")
@click.option("--html", metavar="FILE", help="Write a page with every byte of it.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the trace as one JSON object, each message with the tree of its fields.",
)
@verbose_option
def command(
    file: str,
    keylog: str | None,
    stream: int | None,
    lists: bool,
    html: str | None,
    as_json: bool,
    verbose: int,
) -> None:
    """Tell the handshake in FILE, and why it failed if it did.

    FILE is a trace (--trace FILE.json of connect and serve), or a capture (.pcapng, .pcap) of any
    program's connections. Captures need tshark, and a key log to be read beyond the hellos, unless
    they hold their secrets themselves.
    """
    if html is not None and not html.lower().endswith(PAGE_ENDING):
        raise WrongArguments(f"--html {html}: the name must end in {PAGE_ENDING}.")
    data = read_file(file)
    if data.startswith(_CAPTURE_STARTS):
        told = _from_capture(Path(file), data, keylog, stream, lists=lists, as_json=as_json)
        if told is None:
            return
    else:
        for option, given in (("--keylog", keylog), ("--stream", stream), ("--list", lists)):
            if given not in (None, False):
                raise WrongArguments(f"{option} is for captures, and {file} is none.")
        told = _from_trace(file, data)
    if html is not None:
        _write_page(told, html)
    if as_json:
        print(told.recorder.to_json(fields=True))
    else:
        _tell(told, verbose)


def _from_trace(file: str, data: bytes) -> _Told:
    from handclasp import Recorder
    from handclasp.trace.events import TraceFormatError

    try:
        recorder = Recorder.from_json(data)
    except TraceFormatError as error:
        if data.lstrip()[:1] != b"{":
            raise _CannotTell(f"{file} is not a trace (.json), and not a capture either.") from None
        raise _CannotTell(f"{file}: {error}") from None
    return _Told(recorder, Path(file).name)


def _from_capture(
    path: Path, data: bytes, keylog: str | None, stream: int | None, *, lists: bool, as_json: bool
) -> _Told | None:
    """What is to be told; None where only the list was wanted."""
    from handclasp import Recorder
    from handclasp.capture.observe import observe
    from handclasp.capture.stream import CaptureError
    from handclasp.cli.tshark import conversations, stream_of

    try:
        secrets = _secrets(data, keylog)
        found = conversations(path)
        if lists:
            _list(path, found, as_json=as_json)
            return None
        chosen = _choose(path, found, stream)
        observation = observe(stream_of(path, chosen), secrets)
    except CaptureError as error:
        raise _CannotTell(f"{path}: {error}") from None
    recorder = Recorder()
    recorder.events = list(observation.events)
    recorder.began_at_ns = observation.began_at_ns
    first, second = chosen.ends
    title = observation.server_name or f"{first} and {second}"
    return _Told(recorder, title, observation.missing)


def _secrets(data: bytes, keylog: str | None) -> KeyLog:
    from handclasp.capture.secrets import KeyLog, secrets_inside

    secrets = KeyLog()
    for inside in secrets_inside(data):
        secrets.add(inside)
    if keylog is not None:
        given = read_file(keylog)
        before = len(secrets)
        secrets.add(given)
        if len(secrets) == before and not before:
            raise WrongArguments(f"--keylog {keylog}: there is no line of a key log in this file.")
    return secrets


def _choose(path: Path, found: Sequence[Found], stream: int | None) -> Found:
    """The conversation that was asked for, or the first one that is TLS."""
    from handclasp.capture.stream import CaptureError

    if not found:
        raise CaptureError("There is no TCP connection in this capture.")
    if stream is not None:
        chosen = [conversation for conversation in found if conversation.number == stream]
        if not chosen:
            raise WrongArguments(
                f"--stream {stream}: the capture has no such connection; --list shows them."
            )
        return chosen[0]
    if len(found) == 1:
        return found[0]
    unreadable: list[CaptureError] = []
    for conversation, stream_or_error in _streams(path, found):
        if isinstance(stream_or_error, CaptureError):
            unreadable.append(stream_or_error)
        elif stream_or_error.starts_of_hello() is not None:
            others = len(found) - 1
            plural = "s" if others != 1 else ""
            click.echo(
                f"Connection {conversation.number} of {len(found)}; --list shows the {others} "
                f"other{plural}, --stream N takes one.",
                err=True,
            )
            return conversation
    told = f"None of its {len(found)} TCP connections begins with a ClientHello."
    if unreadable:
        told += f" {len(unreadable)} cannot be read, the first of them because: {unreadable[0]}"
    raise CaptureError(told)


def _streams(path: Path, found: Sequence[Found]) -> Iterator[tuple[Found, Stream | CaptureError]]:
    """Each conversation with what was said in it, or why that cannot be told."""
    from handclasp.cli.tshark import streams_of

    streams = streams_of(path, found)
    yield from ((conversation, streams[conversation.number]) for conversation in found)


def _list(path: Path, found: Sequence[Found], *, as_json: bool) -> None:
    from handclasp.cli.identity import printable

    rows: list[dict[str, Any]] = []
    for conversation, stream_or_error in _streams(path, found):
        name, is_tls = _name_and_kind(stream_or_error)
        rows.append(
            {
                "stream": conversation.number,
                "from": str(conversation.ends[0]),
                "to": str(conversation.ends[1]),
                "packets": conversation.packets,
                "tls": is_tls,
                "server_name": name,
            }
        )
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        kind = f"TLS {row['server_name'] or ''}" if row["tls"] else "no ClientHello"
        print(
            printable(
                f"{row['stream']:>4}  {row['from']} -> {row['to']}  "
                f"{row['packets']} packets  {kind}".rstrip()
            )
        )


def _name_and_kind(stream_or_error: Stream | CaptureError) -> tuple[str | None, bool]:
    from handclasp.capture.observe import observe
    from handclasp.capture.secrets import KeyLog
    from handclasp.capture.stream import CaptureError

    if isinstance(stream_or_error, CaptureError):
        return None, False
    try:
        return observe(stream_or_error, KeyLog()).server_name, True
    except CaptureError:
        return None, False


def _tell(told: _Told, verbose: int) -> None:
    from handclasp.advice import for_reader
    from handclasp.cli.report import diagnosis_lines, print_paragraph, print_story
    from handclasp.trace.diagnosis import diagnose
    from handclasp.trace.facts import role_of

    events = told.recorder.events
    click.echo(story_text(events, verbose).removesuffix("\n") + "\n")
    for sentence in told.missing:
        print_paragraph("Not seen", sentence)
    diagnosis = diagnose(events)
    if diagnosis is not None:
        role = role_of(events)
        print_story(
            f"It failed, seen from the {role}",
            for_reader(diagnosis.cause, role),
            diagnosis_lines(diagnosis, role),
        )


def _write_page(told: _Told, path: str) -> None:
    from handclasp.cli.outcome import configuration_checked

    try:
        with configuration_checked():
            write_page(Path(path), page_for(told.recorder, told.title))
    except OSError as error:
        raise WrongArguments(f"Cannot write {path}: {error.strerror or error}.") from None


class _CannotTell(WrongArguments):
    """The file holds nothing that can be told: exit status 1."""

    exit_code = FAILED
