"""`handclasp scan`: tell what servers can do, and what to change."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from handclasp.cli.inputs import check_path, credentials_of, host_and_port, trust_of
from handclasp.cli.outcome import FAILED, WrongArguments, configuration_checked
from handclasp.cli.progress import Progress
from handclasp.cli.proxies import proxy_of
from handclasp.starttls import PROTOCOLS

if TYPE_CHECKING:
    from handclasp.scan import Profile, Report, ScanResults, ScanSettings, Target

_HTTPS_PORT = 443
_PROFILE_FILE = ".json"


@click.command("scan")
@click.argument("addresses", metavar="HOST[:PORT]", nargs=-1)
@click.option("--hosts", metavar="FILE", help="Scan the hosts in FILE too, one a line; - is stdin.")
@click.option("--ca", metavar="FILE", help="Trust the authorities in FILE instead of the system's.")
@click.option("--server-name", metavar="NAME", help="The name to ask and verify for, if not HOST.")
@click.option(
    "--require",
    metavar="NAME",
    help="Measure against a profile: modern, intermediate, cnsa2, or FILE.json:NAME. The exit "
    "status is 1 where a server does not meet it.",
)
@click.option("--starttls", type=click.Choice(list(PROTOCOLS)), help="Turn to TLS as it does.")
@click.option("--proxy", metavar="URL", help="Connect by this HTTP proxy (CONNECT).")
@click.option("--cert", metavar="FILE", help="Certificate chain to show if the server asks.")
@click.option("--key", metavar="FILE", help="Private key for --cert.")
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(0, 3600, min_open=True),
    default=5.0,
    show_default=True,
    help="How long to wait for one connection and its answer.",
)
@click.option(
    "--host-timeout",
    metavar="SECONDS",
    type=click.FloatRange(0, 86_400, min_open=True),
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
    "--rate",
    metavar="N",
    type=click.FloatRange(0, 1_000_000),
    default=0.0,
    help="Make at most N connections per second in all.",
)
@click.option(
    "--out",
    metavar="FILE",
    help="Append a line of JSON for each host to FILE. Hosts that are in it already are left out, "
    "so that the same command continues a scan that broke off.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: an object for each host.")
def command(addresses: tuple[str, ...], **options: Any) -> None:
    """Tell what TLS servers can do, and what to change.

    It makes some 40 to 90 connections to each server, one after the other, and completes few of
    them. Old versions are detected, and never spoken.
    """
    targets = list(_targets(addresses, options))
    profile = _profile(options["require"])
    settings = _settings(options)
    done: list[bool] = []
    try:
        asyncio.run(_run(targets, settings, profile, options, done))
    except KeyboardInterrupt:
        continues = " The same command continues." if options["out"] else ""
        click.echo(f"\nInterrupted after {len(done)} of {len(targets)}.{continues}", err=True)
        raise click.exceptions.Exit(FAILED) from None
    if not all(done):
        raise click.exceptions.Exit(FAILED)


def _targets(addresses: Sequence[str], options: dict[str, Any]) -> Iterator[Target]:
    from handclasp.scan import Target

    usual = PROTOCOLS[options["starttls"]].port if options["starttls"] else _HTTPS_PORT
    words = [*addresses, *(_lines(options["hosts"]) if options["hosts"] else ())]
    if not words:
        raise WrongArguments("There is nothing to scan: write HOST or HOST:PORT, or --hosts FILE.")
    for word in dict.fromkeys(words):
        host, port = host_and_port(word, usual)
        yield Target(host, port, options["server_name"] or "")


def _lines(path: str) -> list[str]:
    """Return the hosts of a file: a line each, with comments after #."""
    if path == "-":
        text = sys.stdin.read()
    else:
        check_path(path)
        try:
            text = Path(path).read_text("utf-8")
        except UnicodeDecodeError:
            raise WrongArguments(f"{path} is not a list of hosts.") from None
    hosts = (line.partition("#")[0].strip() for line in text.splitlines())
    return [host for host in hosts if host]


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
            concurrency=options["concurrency"],
        )


async def _run(
    targets: Sequence[Target],
    settings: ScanSettings,
    profile: Profile | None,
    options: dict[str, Any],
    done: list[bool],
) -> None:
    """Scan the targets; append to `done`, for each, whether all is as it should be."""
    from handclasp.scan import ScanResults

    if not options["out"]:
        await _scan(targets, settings, profile, options, done, None)
        return
    with configuration_checked():
        results = ScanResults(options["out"])
    try:
        left = [target for target in targets if target not in results]
        await _scan(left, settings, profile, options, done, results)
        done.append(not results.failed)
    finally:
        results.close()


async def _scan(
    targets: Sequence[Target],
    settings: ScanSettings,
    profile: Profile | None,
    options: dict[str, Any],
    done: list[bool],
    results: ScanResults | None,
) -> None:
    from handclasp.cli.scanned import report_text
    from handclasp.scan import findings, scan_all

    progress = Progress(len(targets), sys.stderr)
    async for report in scan_all(targets, settings):
        done.append(not report.error and not (profile and findings(report, profile)))
        if results is not None:
            results.append(_to_json(report, profile))
        progress.clear()
        if options["as_json"]:
            pretty = 2 if len(targets) == 1 else None
            print(json.dumps(_to_json(report, profile), indent=pretty), flush=True)
        elif results is None:
            print(report_text(report, profile), flush=True)
        progress.advance()
    progress.clear()


def _to_json(report: Report, profile: Profile | None) -> dict[str, Any]:
    from handclasp.scan import findings

    values = report.to_json()
    if profile is not None:
        found = findings(report, profile)
        values["profile"] = {"name": profile.name, "title": profile.cited, "met": not found}
        values["findings"] = [each.to_json() for each in found]
    return values
