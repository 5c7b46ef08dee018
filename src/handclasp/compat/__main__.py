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
from contextlib import suppress
from importlib.machinery import SourceFileLoader, SourcelessFileLoader
from pkgutil import get_importer
from types import CodeType, ModuleType
from typing import Any

from handclasp.compat.children import begin
from handclasp.compat.last_failure import LastFailure
from handclasp.compat.settings import DEFAULTS

_USAGE = (
    "usage: python -m handclasp.compat [--trace DIRECTORY] (-m MODULE | PROGRAM) [ARGUMENT ...]"
)


def main(arguments: list[str]) -> None:
    """Inject handclasp, and run the program that the arguments name as `__main__`."""
    directory: str | None = None
    if arguments[:1] == ["--trace"] and len(arguments) > 1:
        directory, arguments = os.path.abspath(arguments[1]), arguments[2:]
    is_module = arguments[:1] == ["-m"]
    if is_module:
        arguments = arguments[1:]
    if not arguments or (not is_module and arguments[0].startswith("-")):
        sys.exit(_USAGE)
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
