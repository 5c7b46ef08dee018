"""`handclasp bench`: how fast this library is here, beside `ssl`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from handclasp.cli.outcome import WrongArguments
from handclasp.private_files import write_public

if TYPE_CHECKING:
    from handclasp.cli.benchmarks.measure import Measured, Row
    from handclasp.cli.benchmarks.stacks import Identity, Stack

ROUNDS, QUICK_ROUNDS = 200, 30
ROW_SECONDS, QUICK_ROW_SECONDS = 3.0, 0.5


Options = Callable[[Callable[..., None]], Callable[..., None]]

_OPTIONS: tuple[Options, ...] = (
    click.option("--quick", is_flag=True, help="Fewer rows and rounds: seconds."),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
    click.option("--markdown", metavar="FILE", help="Write the tables as Markdown, too."),
    click.option("--plot", metavar="FILE", help="Write a picture (SVG) of all ratios, too."),
    click.option("--summary-plot", metavar="FILE", help="Write a small picture of a few, too."),
)


def bench_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that `run` takes."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@click.command("bench")
@bench_options
def command(**options: Any) -> None:
    """Measure handshakes, records, sockets, memory and servers, beside `ssl`.

    Each stack in turn, in one run, so that only ratios are worth comparing between machines: above
    1, this library is faster than `ssl`. The floor is what the bare cryptography takes.
    """
    from handclasp.cli.benchmarks.stacks import own_and_ssl

    run(own_and_ssl(), **options)


def run(
    stacks: list[Stack],
    *,
    quick: bool,
    as_json: bool,
    markdown: str | None,
    plot: str | None,
    summary_plot: str | None,
) -> None:
    """Measure these stacks and print what came out; `ssl` has to be among them."""
    from handclasp.cli.benchmarks import report
    from handclasp.cli.benchmarks.plot import every_bar, summary, to_svg

    with tempfile.TemporaryDirectory() as directory:
        measured = list(_measured(stacks, Path(directory), quick=quick, silent=as_json))
    if markdown:
        write_file(markdown, report.to_markdown(measured, stacks))
    if plot:
        write_file(plot, to_svg(every_bar(measured), report.where(stacks)))
    if summary_plot:
        write_file(summary_plot, to_svg(summary(measured), report.where(stacks)))
    if as_json:
        click.echo(json.dumps(report.to_json(measured, stacks), indent=2))
    else:
        _print(measured, stacks)


def _measured(
    stacks: list[Stack], directory: Path, *, quick: bool, silent: bool
) -> Iterator[Measured]:
    from handclasp.certificates.authority import LocalAuthority
    from handclasp.cli.benchmarks import handshakes, machine
    from handclasp.cli.benchmarks.measure import COMPARED, measure
    from handclasp.cli.benchmarks.stacks import identity

    authority = LocalAuthority.open_or_create(directory)
    identities = {each: identity(authority, each, directory) for each in handshakes.KEY_TYPES}
    rounds = QUICK_ROUNDS if quick else ROUNDS
    seconds = QUICK_ROW_SECONDS if quick else ROW_SECONDS
    compared = (*COMPARED, *(stack.name for stack in stacks if stack.target is not None))
    with _Progress(silent=silent) as progress:
        for row in _rows(stacks, identities, quick=quick):
            progress(row.name)
            yield measure(row, rounds, seconds, compared)
        if not quick:
            ecdsa = identities["ecdsa-p256"]
            progress("memory of idle connections")
            yield machine.memory(ecdsa)
            progress("servers under load")
            yield from machine.throughput(ecdsa)
            progress("threads")
            yield from machine.threads(ecdsa)


def _rows(stacks: list[Stack], identities: dict[str, Identity], *, quick: bool) -> Iterator[Row]:
    from handclasp.cli.benchmarks import handshakes, machine, records, streams
    from handclasp.cli.benchmarks.stacks import Setup

    ecdsa = identities["ecdsa-p256"]
    yield from handshakes.rows(stacks, identities, quick=quick)
    yield from handshakes.side_rows(stacks, ecdsa)
    yield from records.rows(stacks, ecdsa, quick=quick)
    yield from streams.rows(Setup(ecdsa))
    if not quick:
        yield from machine.config_rows()


class _Progress:
    """Says on standard error what is being measured, unless it is to be silent."""

    def __init__(self, *, silent: bool) -> None:
        from rich.console import Console

        self._status = None if silent else Console(stderr=True).status("Starting")

    def __enter__(self) -> Callable[[str], None]:
        if self._status is not None:
            self._status.start()
        return self._tell

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def _tell(self, name: str) -> None:
        if self._status is not None:
            self._status.update(f"Measuring {name}")


def _print(measured: list[Measured], stacks: list[Stack]) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from handclasp.cli.benchmarks import report

    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    versions = ", ".join(f"{stack.name} {stack.version}" for stack in stacks)
    console.print(f"{report.where(stacks)}; {versions}")
    for told in report.tables(measured, stacks):
        table = Table(title=told.title, title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0))
        for name in told.head:
            table.add_column(name, justify="right" if name else "left", no_wrap=True)
        for cells in told.rows:
            for column in told.ratios:
                if cells[column]:
                    style = "green" if float(cells[column]) >= 1 else "yellow"
                    cells[column] = f"[{style}]{cells[column]}[/]"
            table.add_row(*cells)
        console.print(table)
        for note in told.notes:
            console.print(f"  {note}", style="dim")


def write_file(path: str, text: str) -> None:
    """Write a report, which everybody may read. Raises `WrongArguments` where that cannot be."""
    try:
        write_public(path, text.encode("utf-8"))
    except OSError as error:
        raise WrongArguments(f"Cannot write {path}: {error.strerror or error}.") from None
