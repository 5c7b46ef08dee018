"""The tables of docs/security.md, written from `threats` and `limits`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from tests.security.limits import LIMITS
from tests.security.threats import THREATS

BEGIN = "<!-- the table: written by `make defences`, do not edit -->"
END = "<!-- the end of the table -->"


def table() -> str:
    """All threats in their sections, and all limits, as Markdown."""
    return "\n".join([*_lines(), *_limits()])


def write(path: Path) -> None:
    """Put the table into the document, between its marks."""
    text = path.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    path.write_text(f"{before}{BEGIN}\n\n{table()}\n{END}{after}", encoding="utf-8")


def _lines() -> Iterator[str]:
    number = 0
    for section, threats in groupby(THREATS, key=lambda threat: threat.section):
        yield f"### {section}\n"
        yield "| | attack | what is done about it | tests |"
        yield "|---|---|---|---|"
        for threat in threats:
            number += 1
            proved = {proof.test for proof in threat.proofs}
            tests = "<br>".join(
                f"`{test}`" + (" *" if test in proved else "") for test in threat.every_test
            )
            yield f"| {number} | {threat.name} | {threat.defence} | {tests} |"
        yield ""


def _limits() -> Iterator[str]:
    yield "## Limits\n"
    yield "| set by | default | what is bounded | test |"
    yield "|---|---|---|---|"
    for limit in LIMITS:
        field = limit.field if limit.field == "fixed" else f"`{limit.field}`"
        yield f"| {field} | {limit.default} | {limit.what} | `{limit.test}` |"
    yield ""
