"""`python -m bench`: `handclasp bench` with all stacks, and what judging chains and tracing cost.

What is here is for who works on this library: it needs the tests' own authorities, and the stacks
that are compared besides `ssl` (`bench.stacks`), as far as they are installed. Arguments are those
of `handclasp bench`; with `chains` or `tracing`, only these are measured.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from bench import chains, tracing
from bench.measure import compare
from bench.stacks import installed_stacks
from handclasp.cli.bench import bench_options, run
from handclasp.cli.benchmarks.measure import measure

ROUNDS, ROW_SECONDS, TRACING_ROUNDS = 1000, 5.0, 60


@click.command("bench")
@bench_options
def compared(**options: Any) -> None:
    """Measure this library beside `ssl` and all other stacks that are installed.

    After that, what judging a chain and tracing cost; `chains` or `tracing` as the only argument
    measures one of these alone.
    """
    run(list(installed_stacks()), **options)
    if not options["as_json"]:
        _chains()
        _tracing()


def main() -> None:
    """Measure and print it."""
    match sys.argv[1:]:
        case ["chains"]:
            _chains()
        case ["tracing"]:
            _tracing()
        case arguments:
            compared(arguments)


def _chains() -> None:
    print("\nJudging a chain, beside cryptography's verifier alone")
    for row in chains.rows():
        median = measure(row, ROUNDS, ROW_SECONDS).median
        own, other = median["handclasp"], median["cryptography"]
        print(
            f"  {row.name:36} {own:6.1f} us   cryptography {other:6.1f} us   "
            f"x{own / other:.2f} in all, x{(own - other) / other:.2f} added"
        )


def _tracing() -> None:
    print("\nTracing, beside this library without its hooks, or with tracing off")
    with tempfile.TemporaryDirectory() as directory:
        for row in tracing.rows(Path(directory)):
            measured = compare(row, TRACING_ROUNDS)
            print(
                f"  {row.name:36} {measured['handclasp_us']:6.0f} us   "
                f"{row.other:12} {measured[f'{row.other}_us']:6.0f} us   "
                f"ratio {measured['ratio']:.2f}"
            )


if __name__ == "__main__":
    main()
