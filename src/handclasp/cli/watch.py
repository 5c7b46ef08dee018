"""`handclasp watch`: the handshakes of any program, by a relay between it and its servers."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from handclasp.cli.captures import CAPTURE_ENDING, CaptureFile
from handclasp.cli.inputs import NumberRange, check_path, host_and_port, trace_file, trust_of
from handclasp.cli.narrative import story_text, verbose_option
from handclasp.cli.outcome import WrongArguments, configuration_checked
from handclasp.cli.output import Output
from handclasp.cli.pages import write_page
from handclasp.cli.private_places import private_file
from handclasp.cli.program import (
    AUTHORITY_VARIABLES,
    NOT_FOUND,
    NOT_RUNNABLE,
    Program,
    Signals,
    environment_of,
)
from handclasp.cli.proxies import environment_proxy, is_bypassed, proxy_of
from handclasp.cli.sightings import Report
from handclasp.private_files import make_private_directory
from handclasp.starttls import PROTOCOLS

if TYPE_CHECKING:
    from handclasp import TrustStore
    from handclasp.capture.relay import Relay, Relayed, Route
    from handclasp.capture.stream import Address
    from handclasp.capture.watching import KeyLogFile, KeyLogLines, Sighting, Watch
    from handclasp.certificates.authority import LocalAuthority
    from handclasp.cli.watched_live import WatchedPages
    from handclasp.starttls.proxy import Proxy
    from handclasp.story.page import Renderer

_DESCRIPTORS_OF_RELAY = 2
_DESCRIPTORS_BESIDE = 64
"""The open files that are not those of connections."""
_REPORT_SECONDS = 5.0
"""The seconds that each report has after a signal."""
_PLACE = "Set TMPDIR to a directory where files can be made."
_LAST_SECONDS = 1.0
"""The seconds that connections have to end after their program."""


class _Command(click.Command):
    """Takes what follows `--` as the command to run, with all its options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = args
        if "--" in args:
            at = args.index("--")
            given, ctx.meta[_PROGRAM] = args[:at], args[at + 1 :]
        return super().parse_args(ctx, given)


_PROGRAM = "handclasp.watch.program"


@dataclass(slots=True)
class _Settings:
    """The settings of one run, and what it has told."""

    target: Address | None
    program: list[str] | None
    listen: int
    keylog: KeyLogFile | KeyLogLines | None
    trust: TrustStore
    proxy: Proxy | None
    usual_proxy: Proxy | None
    starttls: str | None
    as_json: bool
    pages: Path | None
    packets: Path | None
    """The file of --pcapng."""
    detail: int
    limit: int
    idle: float | None
    live: WatchedPages | None = None
    capture: CaptureFile | None = None
    """The open file of `packets`."""
    authority: LocalAuthority | None = None
    authority_file: Path | None = None
    """With --intercept alone, as `authority`."""
    keylog_file: Path | None = None
    """The key log that the program is to write."""
    output: Output = field(default_factory=lambda: Output(sys.stdout))
    """For JSON alone."""
    count: int = 0
    reported: int = 0
    """The sightings with which everything is done."""
    is_stuck: bool = False
    """True once a report was given up: its thread does not end."""
    lost_pages: int = 0
    """The pages that could not be written."""
    told: dict[Relayed, bool] = field(default_factory=dict[Any, bool])
    """The open connections that were reported, and whether they had failed by then."""


@click.command("watch", cls=_Command)
@click.argument("address", metavar="[HOST:PORT | -- COMMAND...]", required=False)
@click.option(
    "--listen",
    metavar="PORT",
    type=click.IntRange(0, 65535),
    default=0,
    help="The port of the relay, or of the proxy; 0 takes a free one.  [default: 0]",
)
@click.option(
    "--keylog", metavar="FILE", help="The key log (SSLKEYLOGFILE) of either end of HOST:PORT."
)
@click.option(
    "--starttls",
    type=click.Choice(list(PROTOCOLS)),
    help="Begin TLS in this protocol with HOST:PORT, for a client that begins with TLS.",
)
@click.option(
    "--proxy",
    metavar="URL",
    help="Reach the servers by this HTTP proxy.  [default: that of the environment]",
)
@click.option("--ca", metavar="FILE", help="Verify by the authorities in FILE, not the system's.")
@click.option(
    "--intercept",
    is_flag=True,
    help="Answer in place of the servers, for programs that write no key log: two handshakes.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each connection.")
@click.option("--page", "pages", metavar="DIR", help="Write a page of each connection into DIR.")
@click.option(
    "--live", is_flag=True, help="Show the connections on a page for your browser, until Ctrl-C."
)
@click.option(
    "--pcapng",
    metavar="FILE",
    help="Record all connections into FILE, with their secrets. Gives all away.",
)
@click.option(
    "--limit",
    metavar="KIB",
    type=click.IntRange(16, 65536),
    default=128,
    show_default=True,
    help="The memory for the beginning of each connection that is recorded, in KiB.",
)
@click.option(
    "--idle",
    metavar="SECONDS",
    type=NumberRange(1, 86400),
    help="Reset connections on which nothing moves for so long.  [default: never]",
)
@verbose_option
@click.pass_context
def command(context: click.Context, /, address: str | None, **options: Any) -> None:
    """Tell the handshakes of any program, decrypted, while it runs.

    COMMAND runs with a proxy and a key log (HTTPS_PROXY, SSLKEYLOGFILE). Its bytes are relayed as
    they are, end to end: no authority is needed, and pinning and client certificates work as
    without. HOST:PORT starts a relay to one server instead, until Ctrl-C.

    With --intercept, the programs talk to an authority of this run in place of their servers, which
    are verified here. Pinning and client certificates then fail.

    Exit status: that of COMMAND; 0 after a relay to HOST:PORT.
    """
    program: list[str] | None = context.meta.get(_PROGRAM)
    with ExitStack() as stack:
        settings = _settings(address, program, options)
        signals = stack.enter_context(Signals())
        if options["intercept"]:
            _prepare_to_intercept(settings, stack)
        elif program is not None:
            _make_keylog(settings, stack)
        status = asyncio.run(_run(settings, signals, stack))
        if not settings.is_stuck:
            _say_lost_pages(settings)
    if settings.is_stuck:
        os._exit(status)  # All is cleared up, and Python would wait for the thread.
    raise click.exceptions.Exit(status)


def _settings(address: str | None, program: list[str] | None, options: dict[str, Any]) -> _Settings:
    _check(address, program, options)
    from handclasp.capture.stream import Address

    default_port = PROTOCOLS[options["starttls"]].port if options["starttls"] else 443
    target = Address(*host_and_port(address, default_port)) if address is not None else None
    pages = options["pages"]
    if pages is not None:
        check_path(pages)
        _renderer()  # Without jinja2 there is an error before the first connection.
    packets = options["pcapng"]
    if packets is not None:
        packets = trace_file(packets, "--pcapng ", (CAPTURE_ENDING,))
    return _Settings(
        target,
        program,
        options["listen"],
        _keylog_of(options["keylog"]),
        trust_of(options["ca"]),
        proxy_of(options["proxy"]),
        environment_proxy() if options["proxy"] is None else None,
        options["starttls"],
        options["as_json"],
        Path(pages) if pages is not None else None,
        packets,
        options["verbose"],
        options["limit"] * 1024,
        options["idle"],
        _live_pages() if options["live"] else None,
    )


def _keylog_of(path: str | None) -> KeyLogFile | None:
    """Return the key log for --keylog, which may still be to come; raise `WrongArguments`."""
    from handclasp.capture.stream import CaptureError
    from handclasp.capture.watching import KeyLogFile

    if path is None:
        return None
    check_path(path)
    if not Path(path).parent.is_dir():
        raise WrongArguments(f"--keylog {path}: there is no directory {Path(path).parent}.")
    advice = (
        f"Let one of the two ends write it: SSLKEYLOGFILE={path} for browsers, curl and others, "
        f"or openssl s_client -keylogfile {path}, or handclasp connect --keylog {path}."
    )
    keylog = KeyLogFile(path, advice=advice)
    try:
        keylog.check()
    except CaptureError as error:
        raise WrongArguments(f"--keylog: {error}") from None
    return keylog


def _make_keylog(settings: _Settings, stack: ExitStack) -> None:
    """Make the key log of a program, which runs without one where that cannot be."""
    from handclasp.capture.watching import KeyLogFile, KeyLogLines

    advice = "Where a program does not write one, --intercept shows its handshakes."
    try:
        path = stack.enter_context(private_file("keys.log"))
    except OSError as error:
        lines = KeyLogLines()
        lines.secrets.trouble = f"No key log could be made: {error.strerror or error}."
        lines.secrets.advice = _PLACE
        settings.keylog = lines
        told = f"{lines.secrets.trouble} What is encrypted stays hidden. {lines.secrets.advice}"
        _say(f"handclasp: {told}")
    else:
        name = "The key log that SSLKEYLOGFILE named to the program"
        settings.keylog, settings.keylog_file = KeyLogFile(path, name=name, advice=advice), path


def _renderer() -> Renderer:
    from handclasp.story.page import Renderer

    with configuration_checked():
        return Renderer()


def _live_pages() -> WatchedPages:
    from handclasp.cli.watched_live import WatchedPages

    with configuration_checked():
        return WatchedPages()


def _prepare_to_intercept(settings: _Settings, stack: ExitStack) -> None:
    """Make the authority of this run: its key is in memory, and its certificate in a file."""
    from handclasp.certificates.authority import EVERY_NAME, LocalAuthority

    settings.authority = LocalAuthority.in_memory(names=[EVERY_NAME])
    certificate = settings.authority.certificate_pem
    try:
        settings.authority_file = stack.enter_context(private_file("authority.pem", certificate))
    except OSError as error:
        why = error.strerror or error
        raise WrongArguments(
            f"The certificate of --intercept cannot be written for the client: {why}. {_PLACE}"
        ) from None


def _check(address: str | None, program: list[str] | None, options: dict[str, Any]) -> None:
    if program is not None and not program:
        raise WrongArguments("After -- comes the command to run.")
    if program is None and address is None:
        raise WrongArguments(
            "Give a command after --, or the HOST:PORT of a server: "
            "handclasp watch -- curl https://example.com"
        )
    if program is not None and address is not None:
        raise WrongArguments(
            f"Give a command or an address, not both: {address!r} stands before --."
        )
    for option in ("keylog", "starttls"):
        if program is not None and options[option] is not None:
            raise WrongArguments(f"--{option} is for HOST:PORT, and not for a command.")
    if options["intercept"] and options["keylog"] is not None:
        raise WrongArguments("--intercept needs no key log: both handshakes are its own.")


async def _run(settings: _Settings, signals: Signals, files: ExitStack) -> int:
    """Relay until the program ends, or until Ctrl-C; return the exit status.

    Args:
        settings: those of this run.
        signals: the signals that end it.
        files: closes them at the end.
    """
    try:
        relay = _relay(settings)
    except OSError as error:
        why = error.strerror or error
        raise WrongArguments(f"--listen {settings.listen}: {why}.") from None
    async with AsyncExitStack() as stack:
        if settings.live is not None:
            await stack.enter_async_context(settings.live.served())
        await stack.enter_async_context(relay)
        _open_files(settings, files)
        _warn_of_interception(settings)
        if settings.live is not None:
            _say(f"The connections, live: {settings.live.url}")
        if settings.program is None:
            told = f"Listening on 127.0.0.1:{relay.port}; what connects there is relayed to "
            told += f"{settings.target}. Ctrl-C ends it."
            await _until_stopped(signals, told)
            hurry = asyncio.Event()
            with signals.going_to(lambda number: hurry.set()):
                await _close(settings, relay, hurry)
            return 0
        return await _program(settings, relay, signals)


def _open_files(settings: _Settings, files: ExitStack) -> None:
    """Make the directory of --page, and the file of --pcapng in place of an earlier one.

    Arguments that are refused must leave both as they were, so that this comes after all checks.
    Raises `OSError`.
    """
    if settings.pages is not None:
        make_private_directory(settings.pages)
    if settings.packets is not None:
        settings.capture = CaptureFile(settings.packets)
        files.callback(settings.capture.close_and_tell)  # The status stays that of the program.


def _relay(settings: _Settings) -> Relay:
    """Return the relay: from end to end, or with our handshakes in between. Raises `OSError`."""
    from handclasp.capture.relay import Relay
    from handclasp.capture.watching import KeyLogLines, Watch

    def shared(watch: Watch, descriptors: int) -> dict[str, Any]:
        return {
            "ended": watch.ended,
            "two_way": watch.two_way,
            "limit": settings.limit,
            "port": settings.listen,
            "route": _route(settings),
            "most": _most_connections(descriptors),
            "idle": settings.idle,
        }

    def tell(sighting: Sighting) -> None:
        _tell(settings, sighting)

    if settings.authority is not None:
        from handclasp.cli.intercept import DESCRIPTORS, Intercepting

        lines = KeyLogLines()
        return Intercepting(
            settings.target,
            authority=settings.authority,
            trust=settings.trust,
            keylog=lines,
            **shared(Watch(lines, tell), DESCRIPTORS),
        )
    return Relay(settings.target, **shared(Watch(settings.keylog, tell), _DESCRIPTORS_OF_RELAY))


def _warn_of_interception(settings: _Settings) -> None:
    """Say that there is no connection from end to end, before the first one."""
    if settings.authority_file is None:
        return
    _say(
        "INTERCEPTING: each client talks to handclasp, and handclasp to the server. The reports "
        "are of these two handshakes; the one that both would have with each other is not seen."
    )
    path = settings.authority_file
    if settings.program is None:
        trust = f"The client has to trust {path}, the authority of this run"
    else:
        trust = f"For {settings.program[0]}, these variables name {path}, the authority of this "
        trust += f"run: {', '.join(AUTHORITY_VARIABLES)}"
    _say(f"{trust}. Its key is in memory alone, and ends with this run.")


async def _until_stopped(signals: Signals, told: str) -> None:
    """Say a sentence, and wait for a signal to end."""
    stopped = asyncio.Event()
    with signals.going_to(lambda number: stopped.set()):
        _say(told)
        await stopped.wait()


async def _close(
    settings: _Settings, relay: Relay, hurry: asyncio.Event, stopped: asyncio.Event | None = None
) -> None:
    """Close the relay with all reports, or give them up after a signal, if one takes long.

    A reader of the reports that does not read, such as a pager, would keep this process for ever.

    Args:
        hurry: set by a further signal, which gives up what is left of them.
        stopped: set by the first signal; None if that has come.
    """
    patience = _LAST_SECONDS if stopped is not None else 0.0
    closing = asyncio.create_task(relay.close(patience))
    if stopped is not None:
        stopping = asyncio.create_task(stopped.wait())
        await asyncio.wait([closing, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
    hurrying = asyncio.create_task(hurry.wait())
    reported = -1
    while not closing.done() and not settings.is_stuck:
        if hurry.is_set() or settings.reported == reported:
            settings.is_stuck = True
            relay.give_up_reports()
        reported = settings.reported
        await asyncio.wait(
            [closing, hurrying], timeout=_REPORT_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
    hurrying.cancel()
    await closing


async def _program(settings: _Settings, relay: Relay, signals: Signals) -> int:
    if settings.program is None:
        return 0
    environment = environment_of(
        relay.port, keylog=settings.keylog_file, authority=settings.authority_file
    )
    program = Program(settings.program, environment)
    stopped, hurry = asyncio.Event(), asyncio.Event()

    def stop(number: int) -> None:
        program.signal(number)
        (hurry if stopped.is_set() else stopped).set()

    with signals.going_to(stop):
        status = await program.run(output_to_errors=settings.as_json)
        hurry.clear()  # The signals up to here were for the program.
        await _close(settings, relay, hurry, stopped)
    if settings.is_stuck:
        return status  # What is said now would wait, too.
    was_run = status not in (NOT_FOUND, NOT_RUNNABLE)
    if was_run and not settings.count and not settings.as_json:
        _say(
            f"No connection came through the proxy. Either {settings.program[0]} made none, or it "
            "does not follow HTTPS_PROXY: then `handclasp watch HOST:PORT` relays to its server."
        )
    if settings.live is not None and was_run and not program.was_signalled:
        # The program may have run for a moment only.
        told = f"The program has ended with status {status}. The page stays until Ctrl-C: "
        await _until_stopped(signals, told + settings.live.url)
    return status


def _route(settings: _Settings) -> Callable[[Address], Route]:
    """Return how servers are reached: directly, or by the proxy of the user."""
    from handclasp.capture.relay import Route
    from handclasp.capture.stream import Address
    from handclasp.starttls import opening

    def route(target: Address) -> Route:
        proxy = settings.proxy
        if settings.usual_proxy is not None and not is_bypassed(target.host):
            proxy = settings.usual_proxy
        address = Address(proxy.host, proxy.port) if proxy is not None else target
        said = opening(settings.starttls, target.host, target.port, proxy=proxy)
        return Route(address, None if said.is_over else said)

    return route


def _tell(settings: _Settings, sighting: Sighting) -> None:
    """Tell of a connection when its outcome is known, and of a failure after that."""
    try:
        _tell_news(settings, sighting)
    finally:
        settings.reported += 1


def _tell_news(settings: _Settings, sighting: Sighting) -> None:
    relayed = sighting.relayed
    if settings.live is not None:
        settings.live.add(_report(settings, sighting))
    is_news = sighting.has_failed > settings.told.get(relayed, -1)
    if is_news and not settings.as_json:
        settings.told[relayed] = sighting.has_failed
        _print(settings, _report(settings, sighting))
    if not sighting.is_final:
        return
    settings.told.pop(relayed, None)
    settings.count += 1
    if settings.as_json:
        settings.output.write(json.dumps(_report(settings, sighting).to_json()))
    try:
        _keep_packets(settings, sighting)
    except OSError as error:
        _say_unwritten(error)
    try:
        _keep_page(settings, sighting)
    except OSError as error:
        settings.lost_pages += 1
        if settings.lost_pages == 1:  # On a full disk, each one fails.
            _say_unwritten(error)


def _report(settings: _Settings, sighting: Sighting) -> Report:
    return Report(sighting, settings.trust, settings.authority_file)


def _print(settings: _Settings, report: Report) -> None:
    from handclasp.cli.report import lines_text

    if settings.detail and (story := story_text(report.events, settings.detail - 1)):
        _say(story)
    _say(lines_text(report.title, report.lines()))


def _say(text: str) -> None:
    """Say something on standard error, whose failure ends nothing."""
    Output(sys.stderr).write(text)


def _say_unwritten(error: OSError) -> None:
    _say(f"handclasp: cannot write {error.filename}: {error.strerror or error}.")


def _say_lost_pages(settings: _Settings) -> None:
    """Say at the end how many pages are missing, where only the first was reported."""
    if settings.lost_pages > 1:
        _say(f"handclasp: {settings.lost_pages:,} pages could not be written to {settings.pages}.")


def _keep_packets(settings: _Settings, sighting: Sighting) -> None:
    """Add the packets of a connection to the capture. Raises `OSError`."""
    from handclasp import Recorder

    if settings.capture is not None and (events := sighting.wire_events()):
        began_ns = sighting.relayed.began_ns
        settings.capture.add(Recorder.from_events(events, began_ns))


def _keep_page(settings: _Settings, sighting: Sighting) -> None:
    """Write the page of a connection. Raises `OSError`."""
    observation = sighting.observation
    if settings.pages is not None and observation is not None:
        name = observation.server_name or "handshake"
        relayed = sighting.relayed
        leg = f"{relayed.leg}-" if relayed.leg else ""
        file = f"{relayed.number:04}-{leg}{re.sub(r'[^A-Za-z0-9.-]', '_', name)[:80]}.html"
        report = _report(settings, sighting)
        title = f"{name}, INTERCEPTED: {report.half}" if report.half else name
        page = _renderer().render("page.html", report.page_contents(title))
        write_page(settings.pages / file, page)


def _most_connections(descriptors_each: int) -> int:
    """Return how many connections this process may have at once, with so many descriptors each."""
    from handclasp.capture.relay import MOST_CONNECTIONS

    try:
        import resource
    except ImportError:  # There is no such bound on Windows.
        return MOST_CONNECTIONS
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if descriptors == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(1, min(MOST_CONNECTIONS, (descriptors - _DESCRIPTORS_BESIDE) // descriptors_each))
