"""Explanations of failed connections for tracebacks that would not show them.

Some libraries drop the exception of a connection, or keep it where no traceback shows it, and raise
another one ("Connection aborted"). `python -m handclasp.compat` adds the explanation to what ends
the program or a thread: as it is, where that exception has ours; as a possible cause, where it is
one of a connection, and a connection of TLS has just failed; and otherwise not at all. Where the
traceback would show it above its last lines, as requests has it in the cause of a cause, it goes
to the end. Where a program ends with a status of failure and no traceback, as pip does, the
explanation follows on standard error.
"""

from __future__ import annotations

import errno
import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, cast

from handclasp.compat.errors import EXPLANATION
from handclasp.compat.waiting import HandshakeWaits
from handclasp.errors import TLSError
from handclasp.values import dataclass

_RECENT = 5.0
"""Seconds. A failure that the program has survived for longer has hardly ended it."""

_MOST_REACHED = 1000
"""Exceptions to search for an explanation: a group may hold any number of them."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

_OF_A_CONNECTION = re.compile(
    r"\b((Re|Dis)?[Cc]onnect(ion|or)?|Disconnected|SSLV?|TLS|Tls|(Web)?Socket|Protocol Error"
    r"|Broken Resource|Incomplete Read)\b|\b(Network|Time ?[Oo]ut|timeout)( Error)?$"
)
"""Words in the names that libraries give to the classes, or their bases, of such exceptions:
ConnectionResetError, RemoteDisconnected, ReadTimeout, AutoReconnect; not NotConnectedGraphError."""

_OF_A_NETWORK = frozenset(
    [
        getattr(errno, name)
        for name in (
            "ENETUNREACH",
            "ENETDOWN",
            "ENETRESET",
            "EHOSTUNREACH",
            "EHOSTDOWN",
            "ENOTCONN",
        )
        if hasattr(errno, name)
    ]
)
"""Numbers of a bare `OSError` that is one of a connection. Without one it may be anything."""


@dataclass(frozen=True, slots=True)
class _Failure:
    """A connection that failed, without the exception, which would keep the program's frames.

    Attributes:
        at: when, in seconds of the monotonic clock.
        where: the connection, in words.
        notes: the explanation, as a traceback shows it.
        process: the number of the process, of which a fork may have a copy.
    """

    at: float
    where: str
    notes: Sequence[str]
    process: int

    def as_possible_cause(self) -> str | None:
        """Say of which connection it is, when that failed, and why: more is not known here.

        None where it is too old, or that of the process that this one was forked from.
        """
        age = monotonic() - self.at
        if age > _RECENT or self.process != os.getpid():
            return None
        title = (
            f"The last TLS connection of this process {self.where} did so {age:.1f} s before. "
            "It may be the cause:"
        )
        return "\n".join([title, *self.notes])


class LastFailure:
    """Remembers the last failures of connections in this process, and adds one to a traceback."""

    def __init__(self) -> None:
        self._of_client: _Failure | None = None
        self._of_server: _Failure | None = None

    def note(self, error: BaseException, server_name: str | None, *, server_side: bool) -> None:
        """Remember the exception that a program gets for a connection."""
        notes = _explanation(error)
        if not notes:
            return
        if server_side:
            where = "as a server that failed"
            self._of_server = _Failure(monotonic(), where, tuple(notes), os.getpid())
        else:
            where = "as a client that failed" + (f", to {server_name}," if server_name else "")
            self._of_client = _Failure(monotonic(), where, tuple(notes), os.getpid())

    def add_to(self, error: BaseException) -> None:
        """Let the traceback of an exception end with the explanation, which it may not show."""
        for each in _with_members(error):
            _move_explanation_to_end(each)
        explained = [notes for each in _reached_from(error) if (notes := _explanation(each))]
        if explained:
            shown = {note for each in _shown_with(error) for note in _explanation(each)}
            for note in dict.fromkeys(note for notes in explained for note in notes):
                if note not in shown:
                    _add_note(error, note)
        elif any(map(_is_of_a_connection, _with_members(error))):
            self._add_possible_cause(error)

    def _add_possible_cause(self, error: BaseException) -> None:
        """Add the last failure, as one that may be the cause.

        Any stranger can make a connection to a server fail, at any time. So a client's is the
        likelier cause, and a server's is named only where no client's has failed.
        """
        for failure in (self._of_client, self._of_server):
            cause = failure.as_possible_cause() if failure is not None else None
            if cause is not None:
                _add_note(error, cause)
                return

    def at_exit(self, ending: SystemExit) -> str:
        """Return what to print below a program that ends by a status, and not by a traceback.

        Programs such as pip catch the exception and print its text, without the notes. Empty where
        the status is that of success, or where no client's failure may be the cause.
        """
        code = ending.code
        status = code & 0xFF if isinstance(code, int) else int(code is not None)
        if not status:
            return ""
        for each in _reached_from(ending):
            if notes := _explanation(each):
                title = f"The program has ended with status {status} as it handled a failure:"
                return "\n".join([title, *notes])
        cause = self._of_client.as_possible_cause() if self._of_client is not None else None
        return f"The program has ended with status {status}. {cause}" if cause else ""

    def watch_threads(self) -> None:
        """Add the explanation also to what ends a thread."""
        report = threading.excepthook

        def add_and_report(arguments: Any) -> None:
            with suppress(Exception):  # The program's own exception comes first.
                if arguments.exc_value is not None:
                    self.add_to(arguments.exc_value)
            report(arguments)

        threading.excepthook = add_and_report


# What follows reads an exception as the interpreter keeps it, never by its own class: that may be
# the program's, with an `args`, a `__getattr__` or a `__notes__` that are something else, or raise.


def _state_of(error: BaseException) -> dict[str, Any]:
    """Return the attributes that were set on an exception itself."""
    kept: Any = vars(BaseException)["__dict__"]
    return kept.__get__(error)  # type: ignore[no-any-return]


def _kept(error: BaseException, name: str) -> Any:
    """Return what an exception has as `args`, `__cause__` and the like."""
    return vars(BaseException)[name].__get__(error)


def _add_note(error: BaseException, note: str) -> bool:
    """Add a note, unless something else than a list stands where notes are kept."""
    notes = _state_of(error).setdefault("__notes__", [])
    if type(notes) is not list:
        return False
    cast("list[object]", notes).append(note)
    return True


def _explanation(error: BaseException) -> list[str]:
    """Return the notes by which this library explains an exception; none if it does not."""
    if type(error) is HandshakeWaits:
        return [] if error.failure is None else _explanation(error.failure)
    noted = _state_of(error).get("__notes__")
    if not isinstance(noted, list):
        return []
    notes = [str(note) for note in cast("list[object]", noted) if isinstance(note, str)]
    for at, note in enumerate(notes):
        if _begins_explanation(note):
            return notes[at:]
    return []


def _begins_explanation(note: object) -> bool:
    return isinstance(note, str) and note.startswith(EXPLANATION)


def _move_explanation_to_end(error: BaseException) -> None:
    """Take the nearest explanation from what an exception follows upon: that is printed above it.

    The members of a group are printed below its notes, so that a group is left as it is.
    """
    if _members(error):
        return
    for each in _chain_of(error):
        if notes := _explanation(each):
            if each is not error and all(_add_note(error, note) for note in notes):
                for other in _shown_with(error):
                    if other is not error and _explanation(other) == notes:
                        _drop_explanation(other)
            return


def _drop_explanation(error: BaseException) -> None:
    """Take the explanation out of the notes; `HandshakeWaits` makes its own, which are others."""
    noted = _state_of(error).get("__notes__")
    if isinstance(noted, list):
        notes = cast("list[object]", noted)
        at = next(at for at, note in enumerate(notes) if _begins_explanation(note))
        _state_of(error)["__notes__"] = notes[:at]


def _is_of_a_connection(error: BaseException) -> bool:
    """Tell by the exception itself; those that it follows upon may have been dealt with."""
    names = [" ".join(_WORD.findall(kind.__name__)) for kind in type(error).__mro__]
    if any(map(_OF_A_CONNECTION.search, names)):
        return True
    return type(error) is OSError and error.errno in _OF_A_NETWORK


def _with_members(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception, and where it is a group, its members, and theirs."""
    pending, yielded = [error], 0
    while pending and yielded < _MOST_REACHED:
        each = pending.pop()
        yielded += 1
        yield each
        pending += _members(each)


def _reached_from(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception, and those that it has in any way, whether a traceback shows them or not.

    Libraries keep one as cause or context, in a group, as an argument, or in an attribute such as
    `reason` of urllib3's MaxRetryError.
    """
    pending: list[object] = [error]
    seen: set[int] = set()
    while pending and len(seen) < _MOST_REACHED:
        each = pending.pop()
        # A proxy says of itself by `__class__` that it is what it stands for.
        if not issubclass(type(each), BaseException) or id(each) in seen:
            continue
        error = cast("BaseException", each)
        seen.add(id(error))
        yield error
        pending += [*_state_of(error).values(), *_kept(error, "args"), *_members(error)]
        pending += [_kept(error, "__context__"), _kept(error, "__cause__")]


def _chain_of(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception, and those that its traceback shows above it, the nearest first."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = _shown_above(each)


def _shown_above(error: BaseException) -> BaseException | None:
    """Return the exception that a traceback shows above one, which follows upon it."""
    above: BaseException | None = _kept(error, "__cause__")
    if above is None and not _kept(error, "__suppress_context__"):
        above = _kept(error, "__context__")
    return above


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
        pending += [_shown_above(each), *_members(each)]


def _members(error: BaseException) -> Sequence[BaseException]:
    """Return the exceptions of a group; none of any other exception."""
    if not issubclass(type(error), BaseExceptionGroup):
        return ()
    members: Any = vars(BaseExceptionGroup)["exceptions"]
    return members.__get__(error)  # type: ignore[no-any-return]


def find_failure(error: BaseException) -> TLSError | None:
    """Return the failure of TLS that an exception comes from, however a library has wrapped it.

    It has `explanation`, `fix` and `blame`. For a handshake that ended by a timeout, it says what
    that waited for. None where the exception contains no such failure, as for a port where nobody
    listens, or where a library has dropped it.

    >>> from handclasp import CertificateError, Fault
    >>> from handclasp.compat import find_failure
    >>> wrapped = RuntimeError("no connection", CertificateError(Fault.CERTIFICATE_EXPIRED))
    >>> find_failure(wrapped).explanation
    'The certificate has expired.'

    Args:
        error: what the program has caught; it is searched with its causes and contexts, its
            arguments and attributes, and the members of a group.
    """
    waiting: TLSError | None = None
    for each in _reached_from(error):
        if isinstance(each, TLSError):
            return each
        if type(each) is HandshakeWaits:
            waiting = waiting or each.failure
    return waiting
