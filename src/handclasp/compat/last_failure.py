"""The last connection that failed, for the traceback of a program that does not show it.

Some libraries drop the exception of a connection, and raise another one later ("Connection
aborted"). `python -m handclasp.compat` then adds the explanation to what the program raises.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, cast

_RECENT = 5.0
"""Seconds. A failure that the program has survived for longer has hardly ended it."""


@dataclass(frozen=True, slots=True)
class _Failure:
    """A connection that failed, without the exception, which would keep the program's frames.

    Attributes:
        at: when, in seconds of the monotonic clock.
        where: the connection, in words.
        notes: the explanation, as a traceback shows it.
    """

    at: float
    where: str
    notes: Sequence[str]


class LastFailure:
    """Remembers the last failure of a connection in this process, and adds it to a traceback."""

    def __init__(self) -> None:
        self._failure: _Failure | None = None

    def note(self, error: BaseException, where: str) -> None:
        """Remember the exception that a program gets for a connection, `where` in words."""
        notes = tuple(getattr(error, "__notes__", ()))
        self._failure = _Failure(monotonic(), where, notes)

    def add_to(self, error: BaseException) -> None:
        """Add the explanation to an exception whose traceback would not show it.

        It says of which connection it is, and when that failed: whether one has to do with the
        other is not known here.
        """
        failure = self._failure
        if failure is None or not failure.notes:
            return
        passed = monotonic() - failure.at
        told = [note for each in _shown_with(error) for note in getattr(each, "__notes__", ())]
        if passed > _RECENT or failure.notes[0] in told:
            return
        title = f"The last TLS connection that failed, {failure.where}, {passed:.1f} s before:"
        error.add_note("\n".join([title, *failure.notes]))

    def watch_threads(self) -> None:
        """Add the explanation also to what ends a thread."""
        report = threading.excepthook

        def add_and_report(arguments: Any) -> None:
            if isinstance(arguments.exc_value, Exception):
                self.add_to(arguments.exc_value)
            report(arguments)

        threading.excepthook = add_and_report


def _shown_with(error: BaseException) -> Iterator[BaseException]:
    """Yield the exceptions that the traceback of one shows, with itself."""
    pending: list[BaseException | None] = [error]
    seen: set[int] = set()
    while pending:
        each = pending.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        pending.append(each.__cause__)
        if each.__cause__ is None and not each.__suppress_context__:
            pending.append(each.__context__)
        if isinstance(each, BaseExceptionGroup):
            pending += cast("BaseExceptionGroup[BaseException]", each).exceptions
