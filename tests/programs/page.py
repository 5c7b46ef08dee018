"""The page docs/interop-programs.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from tests.programs.case import WAYS

if TYPE_CHECKING:
    from tests.programs.__main__ import Result
    from tests.programs.registry import Program

_HEAD = """# Programs of ssl on handclasp

This page is written by `make programs`; do not edit it.

Each row is a program or library that uses `ssl` and does not depend on handclasp. Each cell is a
run of its own over loopback, in a process of its own:

- *passed*: the program gets a `handclasp.compat.SSLContext` where it takes a context. The other end
  is OpenSSL's (or GnuTLS's, for OpenLDAP).
- *injected*: `handclasp.compat.inject()` is called before the program makes its contexts. It gets
  the file of an authority where it takes one, and else what `ssl.create_default_context` returns.
- *both ends*: the program is injected, and the other end is handclasp's too. A server that is not
  in Python then stands behind a relay, which speaks TLS by handclasp.

A cell `works` if both of these hold:

- What the program is for succeeds: some ten thousand bytes there and back, compared.
- An authority that did not issue the certificate is refused. A client fails with the exception
  class of its library, which leads to handclasp's exception with its explanation (`__cause__`,
  `__context__` or an argument). A server asks for certificates of clients, and fails with that
  exception for a client of a wrong authority.

Each run also counts which connections were handclasp's. `-`: there is no such way, for the reason
below the table.
"""


def as_page(results: Sequence[Result], servers: Mapping[str, str]) -> str:
    """Return the whole page.

    Args:
        results: one for each program and way.
        servers: the lines with the versions of the real servers, by name.
    """
    lines = [_HEAD, *_table(results), "", *_reasons(results)]
    lines += ["## The servers", ""]
    lines += [f"- {name}: {line or 'not installed'}" for name, line in servers.items()]
    return "\n".join(lines) + "\n"


def _table(results: Sequence[Result]) -> Iterator[str]:
    yield "| program | version | the other end | passed | injected | both ends |"
    yield "| --- | --- | --- | :-: | :-: | :-: |"
    numbers = {text: number for number, text in enumerate(_notes(results), 1)}
    for program, cells in _rows(results):
        shown = []
        for way in WAYS:
            result = cells[way]
            words = {"works": "works", "fails": "FAILS", "not possible": "-"}
            cell = words.get(result.verdict, result.verdict)
            if note := _note(result):
                cell += f" ({numbers[note]})"
            shown.append(cell)
        versions = "" if program.missing() else program.versions()
        yield f"| {program.name} | {versions} | {program.server} | {' | '.join(shown)} |"


def _reasons(results: Sequence[Result]) -> Iterator[str]:
    for number, text in enumerate(_notes(results), 1):
        yield f"{number}. {text}"
    yield ""


def _notes(results: Sequence[Result]) -> list[str]:
    return list(dict.fromkeys([note for each in results if (note := _note(each))]))


def _note(result: Result) -> str:
    text = result.program.remark if result.verdict == "works" else result.reason
    return f"{result.program.name}: {text}" if text else ""


def _rows(results: Sequence[Result]) -> Iterator[tuple[Program, dict[str, Result]]]:
    found: dict[str, tuple[Program, dict[str, Result]]] = {}
    for each in results:
        found.setdefault(each.program.name, (each.program, {}))[1][each.way] = each
    yield from found.values()
