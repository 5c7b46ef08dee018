"""--redact: what is taken out of a trace before it is saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from handclasp.cli.captures import CAPTURE_ENDING
from handclasp.cli.inputs import names_of
from handclasp.cli.outcome import WrongArguments

if TYPE_CHECKING:
    from handclasp import Recorder

Command = TypeVar("Command", bound=Callable[..., Any])

_CHOICES = ("secrets", "names", "addresses", "all")


@dataclass(frozen=True, slots=True)
class Redaction:
    """The content to remove besides secrets."""

    names: bool = False
    addresses: bool = False

    def of(self, recorder: Recorder) -> Recorder:
        """Return a redacted recorder."""
        return recorder.redacted(names=self.names, addresses=self.addresses)

    @property
    def taken_out(self) -> str:
        """In words."""
        names = ["names"] if self.names else []
        addresses = ["addresses"] if self.addresses else []
        *others, last = ["secrets", *names, *addresses]
        return f"{', '.join(others)} and {last}" if others else last


def redact_option(command: Command) -> Command:
    """--redact, as `redact`: see `redaction_of`."""
    return click.option(
        "--redact",
        metavar="WHAT",
        multiple=True,
        help="Take out of the trace, so that it can be passed on: secrets, names (of hosts, "
        "people and authorities), addresses, or all; commas between several.",
    )(command)


def redaction_of(words: Sequence[str], trace: Path | None) -> Redaction | None:
    """Return the value of --redact; None if it was not given; raise `WrongArguments`."""
    if not words:
        return None
    if trace is None:
        raise WrongArguments("--redact needs --trace: what else should something be taken out of?")
    return _redaction([name for word in words for name in names_of(word)], trace)


def _redaction(chosen: Sequence[str], trace: Path) -> Redaction:
    for name in chosen:
        if name not in _CHOICES:
            raise WrongArguments(f"--redact {name}: it must be one of {', '.join(_CHOICES)}.")
    every = "all" in chosen
    if trace.suffix.lower() == CAPTURE_ENDING and (every or "names" in chosen):
        raise WrongArguments(
            "--redact: names cannot be taken out of the packets of a capture; "
            "trace into .json or .html."
        )
    return Redaction(every or "names" in chosen, every or "addresses" in chosen)
