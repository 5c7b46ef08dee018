"""The authority of this machine for the commands, and the advice to make programs trust it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from handclasp.cli.outcome import WrongArguments, configuration_checked
from handclasp.cli.terminal import columns
from handclasp.errors import ConfigurationError

if TYPE_CHECKING:
    from handclasp.certificates.authority import LocalAuthority

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
"""The names that a certificate for this machine alone is for."""


def authority_directory() -> Path:
    """$HANDCLASP_HOME, or the place for this user's data; raise `WrongArguments` without one."""
    given = os.environ.get("HANDCLASP_HOME")
    place = Path(given) if given else _default_directory()
    if place is None:
        raise WrongArguments(
            "This user has no home directory for the authority of this machine: set the "
            "environment variable HANDCLASP_HOME to a directory that this user may write to."
        )
    return place


def _default_directory() -> Path | None:
    """Return the place for this user's data; None: there is no home directory."""
    from handclasp.certificates.authority import default_directory

    try:
        return default_directory()
    except ConfigurationError:
        return None


def open_authority(directory: Path | None = None, names: Sequence[str] = ()) -> LocalAuthority:
    """Return the local authority, created if necessary; raise `WrongArguments`.

    Args:
        names: the names that it may certify besides local ones.
    """
    from handclasp.certificates.authority import LocalAuthority

    with configuration_checked():
        return LocalAuthority.open_or_create(directory or authority_directory(), names=names)


def trust_advice(path: Path, port: int | None = None, *, https: bool = True) -> str:
    """Return how to make programs trust the authority at `path`, for people to copy.

    Without `https`, only those are named that speak something else over TLS.
    """
    file, shown_port = shlex.quote(str(path)), port or "PORT"
    quoted = json.dumps(str(path), ensure_ascii=False)
    over_https = (
        _advice("curl:", f"curl --cacert {file} \\", f"https://localhost:{shown_port}/"),
        *_browser_advice(path.parent),
    )
    other = _advice(
        "OpenSSL:", f"openssl s_client -CAfile {file} \\", f"-connect localhost:{shown_port}"
    )
    return "\n".join(
        (
            "To trust it:",
            _advice("handclasp:", f"handclasp connect localhost:{shown_port} \\", f"--ca {file}"),
            _advice("Python:", "ClientConfig(trust=TrustStore.from_pem(", f"{quoted}))", glue=""),
            *(over_https if https else (other,)),
        )
    )


def _browser_advice(directory: Path) -> list[str]:
    """One command for Chromium and Firefox: where their databases are, it knows."""
    default = _default_directory()
    if default is None:  # Nor are there databases of browsers.
        return [f"  {'Browsers:':10} import it in the browser's settings"]
    home = ""
    if directory.absolute() != default.absolute():
        home = f"HANDCLASP_HOME={shlex.quote(str(directory))}"
    command = f"{_this_program()} cert ca --install"
    return [
        _advice("Browsers:", f"{home} \\", command) if home else f"  {'Browsers:':10} {command}",
        *textwrap.wrap(
            "(needs certutil of NSS, and a browser that was started before; --uninstall takes it "
            "back); or import it in the browser's settings",
            columns(),
            initial_indent=" " * 13,
            subsequent_indent=" " * 13,
        ),
    ]


def _this_program() -> str:
    """Return the command of this program, even if it is not on the PATH."""
    if shutil.which("handclasp") is not None:
        return "handclasp"
    started = Path(sys.argv[0])
    if started.name == "handclasp" and started.is_file():
        return shlex.quote(str(started.absolute()))
    return f"{shlex.quote(sys.executable)} -m handclasp"


def _advice(label: str, first: str, rest: str, glue: str = " ") -> str:
    """One line where that fits a terminal, else two that can still be copied as they are."""
    whole = first.removesuffix(" \\") + glue + rest
    line = f"  {label:10} {whole}"
    return line if len(line) <= columns() else f"  {label:10} {first}\n{' ' * 15}{rest}"
