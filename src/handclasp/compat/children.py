"""handclasp for the child processes that `multiprocessing` starts anew.

A process that is started by spawn or forkserver, such as a worker of uvicorn, has `ssl` as it was.
The first thing that it gets from its parent is a dictionary of preparations, in a pickle. One more
value in there is pickled as a call of `_begin_in_child`, so the child injects before it imports the
program.
"""

from __future__ import annotations

from contextlib import suppress
from multiprocessing import spawn
from typing import Any

from handclasp.compat.activation import inject
from handclasp.compat.settings import DEFAULTS
from handclasp.compat.tracing import traces_in
from handclasp.errors import ConfigurationError

_KEY = "handclasp"


class _Beginning:
    """A value that begins handclasp in the process that unpickles it."""

    def __init__(self, directory: str | None) -> None:
        self._directory = directory

    def __reduce__(self) -> tuple[Any, ...]:
        return _begin_in_child, (self._directory,)


def begin(directory: str | None) -> None:
    """Inject handclasp into this process, and into those that it will start by multiprocessing.

    Args:
        directory: where each connection writes a trace; None for no traces.

    Raises:
        ConfigurationError: the directory cannot be made.
    """
    if directory is not None:
        DEFAULTS.make_trace = traces_in(directory)
    _inject_here_and_below(directory)


def _begin_in_child(directory: str | None) -> None:
    """Begin as the parent did, where need be without traces.

    What is raised here ends the process before its own first line, and its rights, or the
    directory, may be others than when the parent began.
    """
    if directory is not None:
        with suppress(ConfigurationError):
            DEFAULTS.make_trace = traces_in(directory)
    _inject_here_and_below(directory)


def _inject_here_and_below(directory: str | None) -> None:
    inject()
    prepare: Any = spawn.get_preparation_data

    def prepare_with_beginning(name: str) -> dict[str, Any]:
        return {**prepare(name), _KEY: _Beginning(directory)}

    spawn.get_preparation_data = prepare_with_beginning
