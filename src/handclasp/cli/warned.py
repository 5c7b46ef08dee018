"""Warnings of the library about its settings, printed once all arguments have been checked."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import click


@dataclass(frozen=True, slots=True)
class Warned:
    """A warning, as `--json` prints it.

    Attributes:
        kind: a name for programs, such as "expired".
        message: what is wrong, and how to mend it.
    """

    kind: str
    message: str

    def to_json(self) -> dict[str, str]:
        """Return it as a JSON object."""
        return asdict(self)


@contextmanager
def collecting_warnings() -> Generator[list[Warned]]:
    """Collect what the library logs as warnings, which an error in the arguments makes moot."""
    import logging

    from handclasp.certificates.key_files import LOGGER

    found: list[Warned] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(Warned(getattr(record, "kind", "other"), record.getMessage()))

    logger, handler = logging.getLogger(LOGGER), Collector(logging.WARNING)
    propagated, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield found
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagated


@contextmanager
def hearing_warnings(hear: Callable[[str], object]) -> Generator[None]:
    """Have what the library logs as warnings told by this function, in place of standard error."""
    import logging

    from handclasp.certificates.key_files import LOGGER

    class Teller(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.name == LOGGER:
                hear(record.getMessage())
            elif logging.lastResort is not None:  # A fault of a part of this program.
                logging.lastResort.handle(record)

    logger, handler = logging.getLogger(LOGGER), Teller(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def tell_warnings(warnings: Sequence[Warned]) -> None:
    """Print warnings on standard error."""
    for each in warnings:
        click.echo(f"Warning: {each.message}", err=True)
