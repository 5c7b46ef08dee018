"""Where the authority of this machine is for the commands, and how to make programs trust it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from handclasp.cli.outcome import configuration_checked

if TYPE_CHECKING:
    from handclasp.certificates.authority import LocalAuthority

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
"""The names that a certificate for this machine alone is for."""


def authority_directory() -> Path:
    """$HANDCLASP_HOME, or the place for this user's data."""
    from handclasp.certificates.authority import default_directory

    given = os.environ.get("HANDCLASP_HOME")
    return Path(given) if given else default_directory()


def open_authority(directory: Path | None = None) -> LocalAuthority:
    """The local authority, made if there is none yet. Raises `WrongArguments`."""
    from handclasp.certificates.authority import LocalAuthority

    with configuration_checked():
        return LocalAuthority.open_or_create(directory or authority_directory())


def trust_advice(path: Path, port: int | None = None) -> str:
    """How to make programs trust the authority at `path`, for people to copy."""
    return "\n".join(
        (
            "To trust it:",
            f"  curl:      curl --cacert {path} https://localhost:{port or 'PORT'}/",
            "  Chromium:  certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n handclasp \\",
            f"               -i {path}",
            "  Firefox:   the same with -d sql:PROFILE, the directory that about:profiles names;",
            "             or Settings, Certificates, View, Authorities, Import",
            "To take it back: certutil -d sql:$HOME/.pki/nssdb -D -n handclasp",
        )
    )
