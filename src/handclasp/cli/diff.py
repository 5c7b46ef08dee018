"""`handclasp diff`: two saved handshakes side by side."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from handclasp.cli.identity import printable
from handclasp.cli.inputs import read_handshake
from handclasp.cli.terminal import columns

if TYPE_CHECKING:
    from handclasp.story.diff import Difference

_TITLES = {
    "cause": "What can be why one of them failed",
    "matters": "What matters",
    "minor": "What also differs",
}


@click.command("diff")
@click.argument("first", metavar="A.json")
@click.argument("second", metavar="B.json")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(first: str, second: str, as_json: bool) -> None:
    """Lay two saved handshakes side by side: what differs, and what of it matters.

    A and B are traces as `connect --trace` and `serve --trace` save them. Random values, key shares
    and the like, which are new in every handshake, are no difference.

    Exit status: 0 whether they differ or not; 2 if a file has no readable handshake.
    """
    from handclasp.story.diff import differences

    found = differences(read_handshake(first), read_handshake(second))
    if as_json:
        shown = {"same": not found, "differences": [each.to_json() for each in found]}
        click.echo(json.dumps(shown, indent=2))
        return
    click.echo("\n".join(_lines(found, first, second, columns(100))))


def _lines(found: Sequence[Difference], first: str, second: str, width: int) -> Iterator[str]:
    if not found:
        yield "Nothing differs but what is new in every handshake."
        return
    yield f"A is {first}"
    yield f"B is {second}"
    for weight, title in _TITLES.items():
        some = [each for each in found if each.weight == weight]
        if some:
            yield ""
            yield title
        for each in some:
            yield from _difference(each, width)


def _difference(difference: Difference, width: int) -> Iterator[str]:
    yield f"  {printable(difference.what)}"
    for name, value in (("A", difference.first), ("B", difference.second)):
        yield from _wrapped(f"    {name}  ", value or "none", width)
    yield from _wrapped("       ", difference.why, width)


def _wrapped(start: str, text: str, width: int) -> list[str]:
    # Of a peer's words, control characters are not for the terminal either.
    plain = printable(text, len(text)).encode("ascii", "backslashreplace").decode("ascii")
    return textwrap.wrap(plain, width, initial_indent=start, subsequent_indent=" " * len(start))
