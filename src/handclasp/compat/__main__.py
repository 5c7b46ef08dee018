"""Run an unchanged program with handclasp in place of OpenSSL.

    python -m handclasp.compat PROGRAM.py ARGUMENTS
    python -m handclasp.compat -m MODULE ARGUMENTS
    python -m handclasp.compat --trace DIRECTORY -m MODULE ARGUMENTS

Where a connection fails, the explanation is in the traceback of the program, also if a library has
dropped the exception and raises one of its own. Where a program ends with a status of failure and
no traceback, as pip does, the explanation follows on standard error.

With `--trace`, each connection writes a trace into the directory, for `handclasp explain`. Traces
hold no secrets and no application data.
"""

from __future__ import annotations

import atexit
import os
import runpy
import sys
from contextlib import suppress
from importlib.machinery import SourceFileLoader, SourcelessFileLoader
from pkgutil import get_importer
from types import CodeType, ModuleType
from typing import Any, NoReturn

from handclasp import __version__
from handclasp.compat.children import begin
from handclasp.compat.last_failure import LastFailure
from handclasp.compat.settings import DEFAULTS

_USAGE = (
    "usage: python -m handclasp.compat [--trace DIRECTORY] (-m MODULE | PROGRAM) [ARGUMENT ...]\n"
)
_HELP = f"""{_USAGE}
Run an unchanged Python program with handclasp in place of OpenSSL. Where a connection
fails, the explanation is in the program's own traceback, or follows where it ends with a
status of failure and without a traceback. Its children by multiprocessing take part;
interpreters that it starts by subprocess do not.

  PROGRAM            a file, a directory or an archive, as after `python`
  -m MODULE          a module, as after `python -m`
  ARGUMENT ...       the arguments of the program, its options included
  --trace DIRECTORY  write a trace of each connection into the directory, for
                     `handclasp explain DIRECTORY`; traces hold no secrets and no
                     application data
  --version          print the version of handclasp
  -h, --help         print this help

A program of your own can begin with `handclasp.compat.inject()` instead.
"""


def main(arguments: list[str]) -> None:
    """Inject handclasp, and run the program that the arguments name as `__main__`."""
    directory, is_module, arguments = _options(arguments)
    last = LastFailure()
    DEFAULTS.note_failure = last.note
    last.watch_threads()
    begin(directory)
    program, sys.argv = arguments[0], arguments
    try:
        if is_module:
            _run_module(program)
        else:
            _run_file(program)
    except (Exception, BaseExceptionGroup) as error:
        with suppress(Exception):  # The program's own exception comes first.
            last.add_to(error)
        raise
    except SystemExit as ending:
        with suppress(Exception):
            _print_last(last.at_exit(ending))
        raise


def _print_last(text: str) -> None:
    """Print a text on standard error at the exit, below what the program may print until then."""
    if text:
        atexit.register(_print, f"{text}\n")


def _print(text: str) -> None:
    with suppress(Exception):  # The program may have closed it.
        sys.stderr.write(text)


def _options(arguments: list[str]) -> tuple[str | None, bool, list[str]]:
    """Return the directory of traces, whether a module is named, and the program's arguments.

    They begin with the program itself, and from there on all options are its own.
    """
    directory: str | None = None
    while arguments and arguments[0].startswith("-"):
        option, *arguments = arguments
        if option in ("-h", "--help"):
            sys.stdout.write(_HELP)
            sys.exit(0)
        if option == "--version":
            sys.stdout.write(f"handclasp {__version__}\n")
            sys.exit(0)
        if option not in ("-m", "--trace"):
            _refuse(f"There is no option {option}; those of a program follow after its name.")
        if not arguments:
            _refuse(f"After {option} follows a {'module' if option == '-m' else 'directory'}.")
        if option == "-m":
            return directory, True, arguments
        directory, *arguments = os.path.abspath(arguments[0]), *arguments[1:]
    if not arguments:
        _refuse("Which program shall run? See --help.")
    return directory, False, arguments


def _refuse(reason: str) -> NoReturn:
    sys.stderr.write(f"{_USAGE}{reason}\n")
    sys.exit(2)


def _run_module(name: str) -> None:
    sys.path[0] = os.getcwd()
    _become_main()
    _run_as_main(name)


def _run_file(program: str) -> None:
    path = os.path.abspath(program)  # As Python has it in `__file__`.
    if get_importer(path) is not None:
        # A directory or an archive, with a `__main__.py`.
        sys.path[0] = path
        _become_main()
        _run_as_main("__main__", alter_argv=False)
        return
    kind = SourcelessFileLoader if path.endswith(".pyc") else _ScriptLoader
    loader = kind("__main__", path)
    try:
        loader.get_data(path)
    except OSError as error:
        reason = f"[Errno {error.errno}] {error.strerror}"
        sys.stderr.write(f"{sys.executable}: can't open file {path!r}: {reason}\n")
        sys.exit(2)
    sys.path[0] = os.path.dirname(path)
    main = _become_main()
    main.__dict__.update(__file__=path, __cached__=None, __loader__=loader)
    loader.exec_module(main)


class _ScriptLoader(SourceFileLoader):
    """A loader that keeps no bytecode of a script, as Python keeps none."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def _become_main() -> ModuleType:
    """Replace this `__main__` by an empty one, for good.

    Threads, `atexit` and pickles need the names of the program even after its last line.
    """
    main = sys.modules["__main__"] = ModuleType("__main__")
    return main


_run_as_main: Any = runpy._run_module_as_main  # type: ignore[attr-defined]
"""The function that `python -m` itself calls: it says when a module is not there."""


if __name__ == "__main__":
    main(sys.argv[1:])
