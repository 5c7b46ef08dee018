"""Run an unchanged program with handclasp in place of OpenSSL.

    python -m handclasp.compat PROGRAM.py ARGUMENTS
    python -m handclasp.compat -m MODULE ARGUMENTS
    python -m handclasp.compat --trace DIRECTORY -m MODULE ARGUMENTS

Where a connection fails, the explanation is in the traceback of the program, also if a library has
dropped the exception and raises one of its own.

With `--trace`, each connection writes a trace into the directory, for `handclasp explain`. Traces
hold no secrets and no application data.
"""

from __future__ import annotations

import os
import runpy
import sys

from handclasp.compat.activation import inject
from handclasp.compat.last_failure import LastFailure
from handclasp.compat.settings import DEFAULTS
from handclasp.compat.tracing import traces_in

_USAGE = (
    "usage: python -m handclasp.compat [--trace DIRECTORY] (-m MODULE | PROGRAM) [ARGUMENT ...]"
)


def main(arguments: list[str]) -> None:
    """Inject handclasp, and run the program that the arguments name as `__main__`."""
    directory: str | None = None
    if arguments[:1] == ["--trace"] and len(arguments) > 1:
        directory, arguments = arguments[1], arguments[2:]
    is_module = arguments[:1] == ["-m"]
    if is_module:
        arguments = arguments[1:]
    if not arguments or (not is_module and arguments[0].startswith("-")):
        sys.exit(_USAGE)
    if directory is not None:
        DEFAULTS.make_trace = traces_in(directory)
    last = LastFailure()
    DEFAULTS.note_failure = last.note
    last.watch_threads()
    inject()
    program, sys.argv = arguments[0], arguments
    try:
        if is_module:
            sys.path[0] = os.getcwd()
            runpy.run_module(program, run_name="__main__", alter_sys=True)
        else:
            path = os.path.abspath(program)  # As Python has it in `__file__`.
            sys.path[0] = os.path.dirname(path)
            runpy.run_path(path, run_name="__main__")
    except Exception as error:
        last.add_to(error)
        raise


if __name__ == "__main__":
    main(sys.argv[1:])
