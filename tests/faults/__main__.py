"""Every fault against real clients; `python -m tests.faults --write` renews docs/testing.md.

Each program fetches a page from a server with each fault. What is not installed stands in the table
as that. The exit status is 1 if a program accepts a fault and no note says why.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.documents import write_part
from tests.faults.notes import NOTES
from tests.faults.programs import PROGRAMS, SECONDS, Fetch, Program
from tests.rules.source import ROOT

from handclasp.testing import SERVER_FAULTS, FaultyServer, Outcome, TlsAuthority

PAGE = ROOT / "docs" / "testing.md"
FAULTS = (*SERVER_FAULTS, "alert:internal_error")


@dataclass(frozen=True)
class Reaction:
    """What became of one page.

    Attributes:
        words: those of the program; None if it took the page.
        alert: that the server got; empty if none.
    """

    words: str | None
    alert: str

    @property
    def cell(self) -> str:
        if self.words is None:
            return "**accepts it**"
        return f"`{self.alert}`" if self.alert else "no alert"


@dataclass
class Column:
    """A program, with its version and what it made of each fault."""

    program: Program
    version: str = ""
    reactions: dict[str, Reaction] = field(default_factory=dict[str, Reaction])


def reaction(fault: str | None, authority: TlsAuthority, fetch: Fetch) -> Reaction:
    """Let a program fetch the page of a server with a fault."""
    with FaultyServer(fault, authority=authority, seconds=2 * SECONDS) as server:
        words = fetch(server.url)
        outcomes: list[Outcome] = [server.outcome()]
    # A browser opens several connections, and more once one has failed.
    outcomes += server.outcomes
    return Reaction(words, next((each.alert for each in outcomes if each.alert), ""))


def column(program: Program, authority: TlsAuthority, faults: Sequence[str]) -> Column:
    """Make all connections of one program."""
    found = Column(program)
    try:
        with program.start(authority.ca_file) as (found.version, fetch):
            good = reaction(None, authority, fetch)
            if good.words is not None:
                raise RuntimeError(f"{program.name} takes no good server: {good.words}")
            for fault in faults:
                found.reactions[fault] = reaction(fault, authority, fetch)
                said = found.reactions[fault]
                print(f"{program.name:10}{fault:22}{said.cell}: {said.words}", flush=True)
    except LookupError:
        print(f"{program.name} is not installed")
    return found


def tables(columns: Sequence[Column]) -> str:
    """The overview, the notes, and the words of each program, as they stand in the document."""
    heads = [f"{each.program.name} {each.version.split(',')[0]}" for each in columns]
    lines = [f"| fault | right answer | {' | '.join(heads)} |", "|---" * (len(heads) + 2) + "|"]
    for fault in FAULTS:
        entry = SERVER_FAULTS.get(fault)
        alert = f"`{entry.alert.name.lower()}`" if entry and entry.alert else "none"
        cells = [each.reactions[fault].cell if each.reactions else "" for each in columns]
        lines.append(f"| `{fault}` | {alert} | {' | '.join(cells)} |")
    lines += ["", *notes(columns), "", *words(columns)]
    return "\n".join(lines) + "\n"


def notes(columns: Sequence[Column]) -> Iterator[str]:
    """The reasons why a program accepts a fault."""
    for fault in FAULTS:
        names = [each.program.name for each in accepting(columns, fault)]
        if names:
            yield f"- `{fault}` is accepted by {', '.join(names)}. {NOTES.get(fault, '')}".rstrip()


def accepting(columns: Sequence[Column], fault: str) -> list[Column]:
    return [each for each in columns if each.reactions and each.reactions[fault].words is None]


def words(columns: Sequence[Column]) -> Iterator[str]:
    """A table of the words of each program."""
    for each in columns:
        if not each.reactions:
            yield f"{each.program.name} was not installed.\n"
            continue
        yield f"### {each.program.name} {each.version}\n"
        yield "| fault | words |"
        yield "|---|---|"
        for fault, found in each.reactions.items():
            if found.words is not None:
                yield f"| `{fault}` | {lasting(found.words)} |"
        yield ""


def lasting(said: str) -> str:
    """The words of a program without what another run changes: times, ports and identifiers."""
    found = re.search(r"'message': '([^']+)'", said)
    said = found[1] if found is not None else said
    said = re.sub(r"\b\d{4}-\d\d-\d\dT[\d:]+Z|(?<=after )\d+(?= milliseconds)", "...", said)
    return re.sub(r"localhost:\d+|port \d+", "...", said).replace("|", "\\|")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    parser.add_argument("--program", action="append", help="one of them alone; may be repeated")
    wants = parser.parse_args()
    programs = [each for each in PROGRAMS if not wants.program or each.name in wants.program]
    with tempfile.TemporaryDirectory() as directory:
        authority = TlsAuthority(directory)
        columns = [column(program, authority, FAULTS) for program in programs]
    made = tables(columns)
    if wants.write:
        write_part(PAGE, "tests.faults", made)
    else:
        print(made)
    unexplained = [each for each in FAULTS if accepting(columns, each) and each not in NOTES]
    for fault in unexplained:
        print(f"No note says why {fault} is accepted.", file=sys.stderr)
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
