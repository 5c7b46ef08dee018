"""`handclasp scan`: tell what servers can do, and what to change."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any, TextIO

import click

from handclasp.cli.ech import doh_settings
from handclasp.cli.identity import printable
from handclasp.cli.inputs import (
    NumberRange,
    check_fork,
    check_path,
    credentials_of,
    host_and_port,
    trace_file,
    trust_of,
)
from handclasp.cli.outcome import FAILED, WrongArguments, configuration_checked
from handclasp.cli.pages import PAGE_ENDING
from handclasp.cli.progress import Progress
from handclasp.cli.proxies import proxy_of
from handclasp.private_files import create_private
from handclasp.starttls import PROTOCOLS

if TYPE_CHECKING:
    from handclasp.dns import HttpsEndpoint
    from handclasp.scan import Profile, Report, ScanResults, ScanSettings, Summary, Target

_HTTPS_PORT = 443
_PROFILE_FILE = ".json"
_LARGEST_LIST = 64 << 20
"""The bytes of a list of hosts: more than two million names."""
_ANY_NAME = "name.invalid"
"""A name that stands for all that are scanned, where the other arguments are checked."""


@click.command("scan")
@click.argument("addresses", metavar="HOST[:PORT]", nargs=-1)
@click.option(
    "--hosts",
    metavar="FILE",
    help="Scan the hosts in FILE too; - is stdin. A line has HOST[:PORT], and may have a protocol "
    "of --starttls after it, or tls.",
)
@click.option("--ca", metavar="FILE", help="Trust the authorities in FILE instead of the system's.")
@click.option("--server-name", metavar="NAME", help="The name to ask and verify for, if not HOST.")
@click.option(
    "--require",
    metavar="NAME",
    help="Measure against a profile: modern, intermediate, cnsa2, or FILE.json:NAME. The exit "
    "status is 1 where a server does not meet it.",
)
@click.option("--starttls", type=click.Choice(list(PROTOCOLS)), help="Turn to TLS as it does.")
@click.option(
    "--dns",
    "asks_dns",
    is_flag=True,
    help="Look up the ECH configurations of each name (HTTPS records), and try them.",
)
@click.option(
    "--doh",
    metavar="URL",
    help="With --dns: ask this DNS server over HTTPS, not the system's resolver.",
)
@click.option(
    "--doh-ca",
    metavar="FILE",
    help="With --doh: trust the authorities in FILE instead of the system's.",
)
@click.option("--proxy", metavar="URL", help="Connect by this HTTP proxy (CONNECT).")
@click.option("--cert", metavar="FILE", help="Certificate chain to show if the server asks.")
@click.option("--key", metavar="FILE", help="Private key for --cert.")
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=NumberRange(0, 3600, min_open=True),
    default=5.0,
    show_default=True,
    help="How long to wait for one connection and its answer.",
)
@click.option(
    "--host-timeout",
    metavar="SECONDS",
    type=NumberRange(0, 86_400, min_open=True),
    default=120.0,
    show_default=True,
    help="How long to scan one host; the rest of it stays unknown.",
)
@click.option(
    "--concurrency",
    metavar="N",
    type=click.IntRange(1, 1000),
    default=32,
    show_default=True,
    help="Scan so many hosts at once; each by one connection after the other.",
)
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Scan with N processes, one for each core that they may use. They share --concurrency and "
    "--rate.",
)
@click.option(
    "--rate",
    metavar="N",
    type=NumberRange(0, 1_000_000),
    default=0.0,
    help="Make at most N connections per second in all.",
)
@click.option(
    "--out",
    metavar="FILE",
    help="Append a line of JSON for each host to FILE. Hosts that are done in it already are left "
    "out, so that the same command continues a scan that broke off. Hosts that failed are scanned "
    "again.",
)
@click.option(
    "--keep-failed", is_flag=True, help="With --out: leave out the hosts that failed, too."
)
@click.option(
    "--page",
    metavar="FILE",
    help="Write a page of all hosts into FILE, .html: with --out of all that are in its file.",
)
@click.option(
    "-v", "--verbose", is_flag=True, help="Show every suite and signature, each reason, the bytes."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: an object for each host.")
def command(addresses: tuple[str, ...], **options: Any) -> None:
    """Tell what TLS servers can do, and what to change.

    It makes some 40 to 90 connections to each server, one after the other, and completes few of
    them. Old versions are detected, and never spoken.
    """
    from handclasp.scan.workers import WorkersEndedError

    targets = list(_targets(addresses, options))
    settings = _settings(options)
    workers = options["workers"]
    if workers > 1:
        check_fork()
    with _output(options) as output:
        output.is_stream = len(targets) > 1
        if output.results is not None:
            targets = _left(targets, output.results)
        ended = ""
        try:
            if workers > 1:
                _scan_in_processes(targets, settings, output, workers)
            else:
                asyncio.run(_scan(targets, settings, output))
        except KeyboardInterrupt:
            ended = "\nInterrupted"
        except WorkersEndedError as error:
            ended = f"{error} Given up"
        if ended:
            continues = " The same command continues." if options["out"] else ""
            said = f"{ended} after {output.count} of {len(targets)}.{continues}"
            click.echo(said, err=True)
            output.failed = True
        output.finish()
    if output.failed or (output.results is not None and output.results.failed):
        raise click.exceptions.Exit(FAILED)


@dataclass(slots=True)
class _Output:
    """The outputs of a run: standard output, the file of results, a page."""

    profile: Profile | None
    as_json: bool
    verbose: bool
    results: ScanResults | None = None
    page: TextIO | None = None
    spool: IO[bytes] | None = None
    """The reports for the page, where no file of results has them."""
    is_stream: bool = False
    count: int = 0
    failed: bool = False
    summary: Summary | None = None

    def render(self, report: Report) -> dict[str, Any]:
        """Return what is to be written of a report, in plain values."""
        from handclasp.cli.scanned import report_text
        from handclasp.scan import measured_json

        values = measured_json(report, self.profile)
        failed = bool(report.error or values.get("findings"))
        brief = {name: values.get(name) for name in ("error", "profile")}
        rendered: dict[str, Any] = {"failed": failed, "brief": brief}
        if self.results is not None or self.as_json or self.page is not None:
            rendered["values"] = values
        else:
            rendered["text"] = report_text(report, self.profile, verbose=self.verbose)
        return rendered

    def write(self, rendered: dict[str, Any]) -> None:
        """Write what was made of one report wherever it is wanted."""
        self.count += 1
        self.failed = self.failed or (rendered["failed"] and self.results is None)
        if self.summary is not None:
            self.summary.add(rendered["brief"])
        if self.results is not None:
            self.results.append(rendered["values"])
        if self.spool is not None:
            self.spool.write(json.dumps(rendered["values"]).encode() + b"\n")
        if self.as_json:
            indent = None if self.is_stream else 2
            print(json.dumps(rendered["values"], indent=indent), flush=True)
        if "text" in rendered:
            print(rendered["text"], flush=True)

    def reports(self) -> Iterator[dict[str, Any]]:
        """Return the reports of all hosts: those of the file of results, or of this run."""
        if self.results is not None:
            yield from self.results.reports()
        elif self.spool is not None:
            self.spool.seek(0)
            yield from map(json.loads, self.spool)

    def finish(self) -> None:
        """Write what concerns all hosts: the summary of many, and the page."""
        from handclasp.scan import Summary, scan_page

        summary = self.summary
        if self.results is not None:
            summary = Summary(self.profile)
            self.results.count(summary)
        if summary is not None and summary.total > 1:
            click.echo(summary.text, err=self.as_json)
        if self.page is not None:
            for piece in scan_page(self.reports, self.profile, datetime.now(UTC)):
                self.page.write(piece)


@contextmanager
def _output(options: dict[str, Any]) -> Generator[_Output]:
    """Open the files of a run, and close them at its end."""
    from handclasp.scan import ScanResults, Summary

    output = _Output(_profile(options["require"]), options["as_json"], options["verbose"])
    path = trace_file(options["page"], "--page ", (PAGE_ENDING,)) if options["page"] else None
    with ExitStack() as stack:
        if options["out"]:
            if path is not None and os.path.realpath(path) == os.path.realpath(options["out"]):
                raise WrongArguments("--out and --page are the same file.")
            noted = _noted(options)
            with configuration_checked():
                output.results = ScanResults(
                    options["out"],
                    output.profile,
                    settings=noted,
                    keep_failed=options["keep_failed"],
                )
            stack.callback(output.results.close)
        else:
            output.summary = Summary(output.profile)
        if path is not None:
            if output.results is None:
                output.spool = stack.enter_context(TemporaryFile())
            page = TextIOWrapper(create_private(path), encoding="utf-8")
            output.page = stack.enter_context(page)
        yield output


def _noted(options: dict[str, Any]) -> dict[str, str]:
    """Return the settings that decide on verdicts, as the file of results notes them."""
    noted = {"starttls": options["starttls"] or "", "--proxy": options["proxy"] or ""}
    for name in ("ca", "cert"):
        noted[f"--{name}"] = _digest(options[name]) if options[name] else ""
    asks = options["asks_dns"]
    noted["--dns"] = (options["doh"] or "the system's resolver") if asks else ""
    return noted


def _digest(path: str) -> str:
    check_path(path)
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _left(targets: Sequence[Target], results: ScanResults) -> list[Target]:
    """Return the hosts that are not done yet, and say what is left out, and what is not."""
    left = [target for target in targets if target not in results]
    changes = [results.changed(target) for target in left]
    changed = sum(map(bool, changes))
    again = sum(map(results.again, left)) - changed
    done = len(targets) - len(left)
    if done or again or changed:
        said = f"{done:,} of {len(targets):,} hosts are done already."
        if again:
            said += f" {again:,} in the file failed or broke off: once more."
        if changed:
            names = ", ".join(_CHANGED.get(n, n) for n in sorted({n for c in changes for n in c}))
            said += f" {changed:,} were scanned with another setting ({names}): once more."
        if done:
            said += " To scan all anew, take another file for --out."
        click.echo(said, err=True)
    return left


_CHANGED = {"profile": "--require", "starttls": "--starttls"}
"""The option of a setting that is not noted by its name."""


async def _scan(targets: Sequence[Target], settings: ScanSettings, output: _Output) -> None:
    from handclasp.scan import scan_all

    progress = Progress(len(targets), sys.stderr)
    async for report in scan_all(targets, settings):
        progress.clear()
        output.write(output.render(report))
        progress.advance()
    progress.clear()


def _scan_in_processes(
    targets: Sequence[Target], settings: ScanSettings, output: _Output, workers: int
) -> None:
    from handclasp.scan.workers import scan_in_workers

    progress = Progress(len(targets), sys.stderr)

    def remark(sentence: str) -> None:
        progress.clear()
        click.echo(sentence, err=True)

    found = scan_in_workers(targets, settings, output.render, workers=workers, remark=remark)
    with closing(found):
        for rendered in found:
            progress.clear()
            output.write(rendered)
            progress.advance()
    progress.clear()


def _targets(addresses: Sequence[str], options: dict[str, Any]) -> Iterator[Target]:
    """Return what is to be scanned, each once; raise `WrongArguments` with the line at fault."""
    lines: list[tuple[str, str | None, str]] = [(word, None, "") for word in addresses]
    lines += _lines(options["hosts"]) if options["hosts"] else []
    if not lines:
        raise WrongArguments("There is nothing to scan: write HOST or HOST:PORT, or --hosts FILE.")
    seen: dict[str, str | None] = {}
    count = 0
    for word, own, where in lines:
        target = _target(word, own, where, options)
        protocol = own if own is not None else options["starttls"]
        if seen.setdefault(str(target), protocol) != protocol:
            at = where or "the arguments"
            raise WrongArguments(f"{at}: {printable(str(target))} is there with another protocol.")
        if len(seen) > count:
            count = len(seen)
            yield target


def _target(word: str, own: str | None, where: str, options: dict[str, Any]) -> Target:
    from handclasp.scan import TLS_AT_ONCE, Target

    if own not in (None, TLS_AT_ONCE, *PROTOCOLS):
        known = ", ".join((*PROTOCOLS, TLS_AT_ONCE))
        raise WrongArguments(f"{where}: {printable(own or '')!r} is not one of {known}.")
    protocol = own if own is not None else options["starttls"]
    usual = PROTOCOLS[protocol].port if protocol in PROTOCOLS else _HTTPS_PORT
    try:
        host, port = host_and_port(word, usual)
    except WrongArguments as error:
        raise WrongArguments(f"{where}: {error}" if where else str(error)) from None
    return Target(host, port, options["server_name"] or "", own)


def _lines(path: str) -> list[tuple[str, str | None, str]]:
    """Return the hosts of a file, each with its own protocol, if it has one, and its line.

    A line has a host, and after a space a protocol for STARTTLS, or "tls"; # begins a comment.
    """
    named = "standard input" if path == "-" else path
    if path == "-":
        read = sys.stdin.buffer.read(_LARGEST_LIST + 1)
    else:
        check_path(path)
        with Path(path).open("rb") as file:
            read = file.read(_LARGEST_LIST + 1)
    if len(read) > _LARGEST_LIST:
        most = _LARGEST_LIST >> 20
        raise WrongArguments(f"{named} is not a list of hosts: it has more than {most} MiB.")
    try:
        text = read.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise WrongArguments(f"{named} is not a list of hosts.") from None
    if "\0" in text:
        raise WrongArguments(f"{named} is not a list of hosts: it holds a NUL.")
    hosts: list[tuple[str, str | None, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        words, where = line.partition("#")[0].split(), f"{named}, line {number}"
        if len(words) > 2:
            raise WrongArguments(f"{where}: more than a host and a protocol.")
        if words:
            hosts.append((words[0], words[1] if len(words) > 1 else None, where))
    return hosts


def _profile(name: str | None) -> Profile | None:
    from handclasp.scan import profiles

    if name is None:
        return None
    path, colon, inside = name.rpartition(":")
    path, inside = (path, inside) if colon and path.endswith(_PROFILE_FILE) else ("", name)
    with configuration_checked():
        known = profiles(path or None)
    if inside not in known:
        raise WrongArguments(f"--require: there is no profile {inside!r}, only {', '.join(known)}.")
    return known[inside]


def _settings(options: dict[str, Any]) -> ScanSettings:
    from handclasp import ClientConfig
    from handclasp.scan import ScanSettings

    concurrency = _concurrency(options["concurrency"])
    with configuration_checked():
        credentials = credentials_of(options["cert"], options["key"])
        return ScanSettings(
            trust=trust_of(options["ca"]),
            timeout=options["timeout"],
            host_seconds=options["host_timeout"],
            starttls=options["starttls"],
            proxy=proxy_of(options["proxy"]),
            config=ClientConfig(verify_peer=False, credentials=credentials),
            rate=options["rate"],
            concurrency=concurrency,
            ech_lookup=_ech_lookup(options),
        )


def _concurrency(wanted: int) -> int:
    """Return for how many hosts at once there are descriptors, and say if it is fewer."""
    from handclasp.descriptors import connections_possible, raise_descriptor_limit

    raise_descriptor_limit()
    possible = connections_possible()
    if possible < wanted:
        why = "this process may not open more files (ulimit -n)"
        click.echo(f"--concurrency {wanted}: {possible} are scanned at once, as {why}.", err=True)
    return min(wanted, possible)


def _ech_lookup(options: dict[str, Any]) -> Callable[[str, int], Awaitable[HttpsEndpoint]] | None:
    """Return what looks up ECH configurations for --dns, or None; raise `WrongArguments`."""
    if options["doh"] is not None and not options["asks_dns"]:
        raise WrongArguments("--doh needs --dns.")
    given = doh_settings(options)
    if not options["asks_dns"]:
        return None
    from handclasp.dns import check_lookup, lookup_ech_async

    if options["starttls"]:
        raise WrongArguments("--dns reads HTTPS records, which do not concern --starttls.")
    check_lookup(_ANY_NAME, **given)
    return partial(lookup_ech_async, addresses=False, **given)
