"""The command line. It uses the public surface only, so what it does, any program can do.

One file per command (`connect`, `serve`, `cert`, `demo`, `watch`, `explain`, `redact`, `diff`,
`bench`, `fault`, `completion`); `application` finds them. Beside them: `outcome` (exit status and
failures in words), `report` (the facts of a connection, for people and as JSON), `narrative` (a
handshake in sentences), `sessions` (resumption), and the parts of single commands. Start with
`application`, then `connect`.
"""

from __future__ import annotations

import sys
from io import TextIOWrapper

# An installation for the library alone, without dependencies, lacks them.
_PACKAGES = ("click", "h11", "rich", "uvicorn")


def main() -> None:
    """Run `handclasp` from the command line."""
    try:
        _run()
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _PACKAGES:
            raise
        print(f"The command line needs {package}: pip install {package}", file=sys.stderr)
        sys.exit(2)


def _run() -> None:
    from handclasp.cli.application import application

    for stream in (sys.stdout, sys.stderr):
        # Names come from files and from peers: what this output cannot show must not end it.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    application(prog_name="handclasp")
