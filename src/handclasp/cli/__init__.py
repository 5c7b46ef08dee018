"""The command line. It uses the public surface only, so what it does, any program can do.

One file per command (`connect`, `serve`, `cert`, `demo`, `watch`, `explain`, `redact`, `diff`,
`bench`);
`application` finds them. Beside them: `outcome` (exit status and failures in words), `report` (the
facts of a connection, for people and as JSON), `narrative` (a handshake in sentences), `sessions`
(resumption), and the parts of single commands. Start with `application`, then `connect`.
"""

from __future__ import annotations

import sys
from io import TextIOWrapper


def main() -> None:
    """Run `handclasp` from the command line."""
    try:
        from handclasp.cli.application import application
    except ModuleNotFoundError as error:
        if error.name not in ("click", "rich"):
            raise
        print(
            "The command line needs more packages: pip install 'handclasp[tools]'", file=sys.stderr
        )
        sys.exit(2)
    for stream in (sys.stdout, sys.stderr):
        # Names come from files and from peers: what this output cannot show must not end it.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    application(prog_name="handclasp")
