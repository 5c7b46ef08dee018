"""`handclasp explain`: a recorded trace, or a capture of any program's, told as a story."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from handclasp.capture.stream import CaptureError
from handclasp.cli.identity import printable
from handclasp.cli.inputs import check_path, check_something_sent, read_file
from handclasp.cli.narrative import story_text, verbose_option
from handclasp.cli.outcome import WrongArguments
from handclasp.cli.pages import PAGE_ENDING, page_for, write_page
from handclasp.cli.terminal import wrapped
from handclasp.wording import listed

if TYPE_CHECKING:
    from handclasp import Recorder
    from handclasp.capture.datagrams import Exchange
    from handclasp.capture.secrets import KeyLog
    from handclasp.capture.stream import Stream
    from handclasp.capture.tshark import Found


@dataclass(slots=True)
class _Told:
    """One handshake to tell: what is known of it, and what could not be seen."""

    recorder: Recorder
    title: str


@click.command("explain")
@click.argument("file", metavar="FILE|DIRECTORY")
@click.option("--keylog", metavar="FILE", help="Secrets for a capture (SSLKEYLOGFILE).")
@click.option("--stream", type=click.IntRange(0), help="Which TCP connection of a capture.")
@click.option("--list", "lists", is_flag=True, help="List the connections in it.")
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
    they hold their secrets themselves. Of a DIRECTORY of traces (--trace DIRECTORY of serve and of
    `python -m handclasp.compat`) it lists the connections, the failed ones first.

    Exit status: 0 if the handshake was explained, even a failed one; 2 if FILE has no readable
    handshake.
    """
    if html is not None:
        check_path(html)
    if html is not None and not html.lower().endswith(PAGE_ENDING):
        raise WrongArguments(f"--html {html}: the name must end in {PAGE_ENDING}.")
    from handclasp.capture.formats import is_capture, unpacked

    check_path(file)
    if Path(file).is_dir():
        _check_no_option_of_captures(file, keylog=keylog, stream=stream)
        from handclasp.cli.trace_directory import chosen_in

        chosen = chosen_in(file, lists=lists, as_json=as_json, for_page=html is not None)
        if chosen is None:
            return
        file = chosen
    data = unpacked(read_file(file))
    if is_capture(data):
        told = _from_capture(Path(file), data, keylog, stream, lists=lists, as_json=as_json)
        if told is None:
            return
    else:
        _check_no_option_of_captures(file, keylog=keylog, stream=stream, list=lists)
        told = _from_trace(file, data)
    if html is not None:
        _write_page(told, html)
    if as_json:
        print(told.recorder.to_json(fields=True))
    else:
        _tell(told, verbose)


def _check_no_option_of_captures(file: str, **options: object) -> None:
    for option, given in options.items():
        if given not in (None, False):
            raise WrongArguments(f"--{option} is for captures, and {file} is none.")


def _from_trace(file: str, data: bytes) -> _Told:
    from handclasp import Recorder
    from handclasp.trace.events import TraceFormatError

    try:
        recorder = Recorder.from_json(data)
    except TraceFormatError as error:
        if data.lstrip()[:1] != b"{":
            reason = (
                f"{file} is not a trace (.json, as --trace writes it), and not a capture either "
                "(.pcap or .pcapng)."
            )
            raise WrongArguments(reason) from None
        raise WrongArguments(f"{file}: {error}") from None
    check_something_sent(recorder, file)
    return _Told(recorder, Path(file).name)


def _from_capture(
    path: Path, data: bytes, keylog: str | None, stream: int | None, *, lists: bool, as_json: bool
) -> _Told | None:
    """Return the handshake to explain; None if only the list was wanted."""
    from handclasp import Recorder
    from handclasp.capture.observe import observe
    from handclasp.capture.tshark import conversations, stream_of

    try:
        secrets, broken = _secrets(data, keylog)
        found = conversations(path)
        if not found and broken is not None:
            raise broken
        if lists:
            _list(path, found, secrets, as_json=as_json)
            return None
        chosen = _choose(path, found, stream, secrets)
        observation = observe(stream_of(path, chosen), secrets)
    except CaptureError as error:
        raise WrongArguments(f"{path}: {error}") from None
    recorder = Recorder.from_events(observation.events, observation.began_at_ns)
    first, second = chosen.ends
    title = observation.server_name or f"{first} and {second}"
    return _Told(recorder, title)


def _secrets(data: bytes, keylog: str | None) -> tuple[KeyLog, CaptureError | None]:
    """Return the secrets in a capture and in a key log, and the error of the capture, if any."""
    from handclasp.capture.secrets import KeyLog, secrets_inside

    secrets = KeyLog()
    broken: CaptureError | None = None
    try:
        for inside in secrets_inside(data):
            secrets.add(inside)
    except CaptureError as error:
        broken = error
    if keylog is not None:
        given = read_file(keylog)
        before = len(secrets)
        secrets.add(given)
        if len(secrets) == before and not before and not _is_empty(given):
            raise WrongArguments(f"--keylog {keylog}: there is no line of a key log in this file.")
    return secrets, broken


def _is_empty(keylog: bytes) -> bool:
    """Return whether the log is empty, as for a handshake that failed early."""
    lines = (line.strip() for line in keylog.splitlines())
    return all(not line or line.startswith(b"#") for line in lines)


def _choose(path: Path, found: Sequence[Found], stream: int | None, secrets: KeyLog) -> Found:
    """Return the requested conversation, or the first of TLS, preferably one that failed."""
    from handclasp.capture.choice import first_of_tls
    from handclasp.capture.datagrams import not_read, without_tcp
    from handclasp.capture.tshark import streams_of

    if not found:
        raise CaptureError(without_tcp(_exchanges(path)))
    if stream is not None:
        chosen = [conversation for conversation in found if conversation.number == stream]
        if not chosen:
            raise WrongArguments(
                f"--stream {stream}: the capture has no such connection; --list shows them."
            )
        return chosen[0]
    if len(found) == 1:
        return found[0]
    streams = streams_of(path, found)
    by_number = {each.number: streams[each.number] for each in found}
    try:
        number = first_of_tls(by_number)
    except CaptureError as error:
        raise CaptureError(f"{error}{not_read(_exchanges(path))}") from None
    failed = _failed(by_number, secrets)
    if failed and number not in failed:
        number = failed[0]
    _name_others(number, failed, len(found))
    return next(each for each in found if each.number == number)


def _failed(streams: Mapping[int, Stream | CaptureError], secrets: KeyLog) -> list[int]:
    """Return the numbers of the first conversations that failed, as far as is seen."""
    from handclasp.capture.observe import observe
    from handclasp.trace.events import Failed

    failed: list[int] = []
    for number, stream in list(streams.items())[:_MOST_LOOKED_INTO]:
        if isinstance(stream, CaptureError) or stream.starts_of_hello() is None:
            continue
        with suppress(CaptureError):
            if any(isinstance(event, Failed) for event in observe(stream, secrets).events):
                failed.append(number)
    return failed


_MOST_LOOKED_INTO = 100
"""Connections of a capture that are searched for a failure."""


def _name_others(number: int, failed: Sequence[int], count: int) -> None:
    """Tell on standard error which conversation is explained, and how to see the others."""
    told = f"The capture has {count} connections, and this is --stream {number}"
    if number in failed:
        others = [str(each) for each in failed if each != number]
        told += ", which failed"
        if others:
            told += f", as did {listed(others, _MOST_NAMED)}"
    for line in wrapped(f"{told}; --list shows all of them."):
        click.echo(line, err=True)


_MOST_NAMED = 8
"""Numbers of failed connections that are named."""


def _exchanges(path: Path) -> list[Exchange]:
    from handclasp.capture.datagrams import exchanges_in
    from handclasp.capture.tshark import datagrams_of

    return exchanges_in(datagrams_of(path))


def _list(path: Path, found: Sequence[Found], secrets: KeyLog, *, as_json: bool) -> None:
    from handclasp.capture.datagrams import without_tcp
    from handclasp.capture.tshark import streams_of

    streams = streams_of(path, found)
    rows = [_row(each, streams[each.number], secrets) for each in found]
    if not any(row["tls"] for row in rows):
        rows += [_row_of_datagrams(each) for each in _exchanges(path)]
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    if not rows:
        raise CaptureError(without_tcp(()))
    print_wrapped(_HEADINGS, "", " " * 6)
    for row in rows:
        _print_row(row)
    trouble = next((each.trouble for each in found if each.trouble), "")
    if trouble:
        print_wrapped(trouble, "")


_HEADINGS = "   N  from -> to  packets  protocol and server name (--stream N explains one)"


def _print_row(row: Mapping[str, Any]) -> None:
    number = "UDP" if row["stream"] is None else str(row["stream"])
    kind = "no ClientHello" if row["stream"] is not None else "not read"
    if row["tls"]:
        kind = f"TLS {row['server_name'] or ''}"
    plural = "" if row["packets"] == 1 else "s"
    told = f"{row['packets']} packet{plural}  {kind}".rstrip()
    print_wrapped(f"{number:>4}  {row['from']} -> {row['to']}  {told}", "", " " * 6)
    for note in row["notes"]:
        print_wrapped(note, " " * 6)


def _row(found: Found, stream_or_error: Stream | CaptureError, secrets: KeyLog) -> dict[str, Any]:
    """Return the row of one connection in the list; `notes` are missing parts and hints."""
    from handclasp.advice import for_reader
    from handclasp.capture.observe import observe
    from handclasp.story.facts import observed_in, role_of
    from handclasp.story.fingerprints import all_fingerprints_of
    from handclasp.trace.events import Failed

    row: dict[str, Any] = {
        "stream": found.number,
        "from": str(found.ends[0]),
        "to": str(found.ends[1]),
        "packets": found.packets,
        "tls": False,
        "server_name": None,
        "outcome": None,
        "missing_bytes": 0,
        "ja4": [],
        "notes": [],
    }
    try:
        if isinstance(stream_or_error, CaptureError):
            raise stream_or_error
        row["missing_bytes"] = stream_or_error.missing
        observation = observe(stream_or_error, secrets)
    except CaptureError as error:
        row["notes"].append(str(error))
        return row
    events = observation.events
    observed = observed_in(events)
    row["tls"], row["server_name"] = True, observation.server_name
    row["outcome"] = observed.outcome if observed is not None else None
    row["ja4"] = [ja4.value for _, ja4 in all_fingerprints_of(events)]
    row["notes"] += [
        f"It failed: {for_reader(each.message, role_of(events))}"
        for each in events
        if isinstance(each, Failed)
    ]
    if row["missing_bytes"]:
        row["notes"].append(f"{row['missing_bytes']:,} bytes of it are missing in the capture.")
    return row


def _row_of_datagrams(exchange: Exchange) -> dict[str, Any]:
    return {
        "stream": None,
        "from": str(exchange.ends[0]),
        "to": str(exchange.ends[1]),
        "packets": exchange.packets,
        "tls": False,
        "server_name": None,
        "outcome": None,
        "missing_bytes": 0,
        "ja4": [],
        "notes": [exchange.kind or "neither DTLS nor QUIC, as far as is seen"],
    }


def print_wrapped(text: str, margin: str, margin_below: str | None = None) -> None:
    """Some sentences on standard output, each line behind a margin."""
    below = margin if margin_below is None else margin_below
    for line in wrapped(printable(text, len(text)), initial=margin, below=below):
        print(line)


def _tell(told: _Told, verbose: int) -> None:
    from handclasp.cli.report import diagnosis_lines, print_paragraphs, print_story
    from handclasp.story.diagnosis import diagnose
    from handclasp.story.facts import observed_in

    events = told.recorder.events
    click.echo(story_text(events, verbose).removesuffix("\n") + "\n")
    observed = observed_in(events)
    if observed is not None and observed.not_seen:
        print_paragraphs("Not seen", *observed.not_seen)
    diagnosis = diagnose(events)
    if diagnosis is not None:
        print_story(
            f"It failed, seen from the {diagnosis.role}",
            diagnosis.told(diagnosis.cause),
            diagnosis_lines(diagnosis),
        )


def _write_page(told: _Told, path: str) -> None:
    from handclasp.cli.outcome import configuration_checked

    try:
        with configuration_checked():
            write_page(Path(path), page_for(told.recorder, told.title))
    except OSError as error:
        raise WrongArguments(f"Cannot write {path}: {error.strerror or error}.") from None
