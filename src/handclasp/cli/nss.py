"""The certificate databases of this user's browsers: those of NSS.

Firefox has one for each profile, and on Linux Chromium has one for each user. They are changed by
NSS's own certutil, and only those in the user's own home. Nothing is ever asked: a database with a
master password is left as it is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from handclasp.cli.identity import printable

_DATABASE = "cert9.db"
_PLACES = (
    ".pki/nssdb",
    ".local/share/pki/nssdb",
    "snap/chromium/current/.pki/nssdb",
    "snap/chromium/current/.local/share/pki/nssdb",
    ".var/app/*/data/pki/nssdb",
    ".mozilla/firefox/*",
    ".config/mozilla/firefox/*",
    "snap/firefox/common/.mozilla/firefox/*",
    ".var/app/org.mozilla.firefox/.mozilla/firefox/*",
    "Library/Application Support/Firefox/Profiles/*",
)
"""Directories with a database below a home, as patterns: Chromium's first, then Firefox's."""

_TRUSTED_FOR_SERVERS = "C,,"
_TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Certutil:
    """The program, and the certificate that it is to add or to take out.

    Attributes:
        program: its path.
        certificate: the path of the certificate, which is one in PEM.
        names: what databases may call the certificate; the first is for new ones.
    """

    program: str
    certificate: Path
    names: Sequence[str]

    def add(self, database: Path) -> str:
        """Make the browsers of a database trust the certificate; what went wrong, or nothing."""
        held_as = self._name_in(database)
        name = held_as or self.names[0]
        added = self._run(
            database, "-A", "-t", _TRUSTED_FOR_SERVERS, "-n", name, "-i", str(self.certificate)
        )
        if added.problem and held_as is None and self._name_in(database) is not None:
            # Where a master password keeps it from being trusted, it is there nevertheless.
            self._run(database, "-D", "-n", name)
        return added.problem

    def remove(self, database: Path) -> str | None:
        """Take the certificate out again; what went wrong, or nothing; None if it is not there."""
        name = self._name_in(database)
        return None if name is None else self._run(database, "-D", "-n", name).problem

    def _name_in(self, database: Path) -> str | None:
        """Return the name of this certificate in the database: another one may have our name."""
        own = _without_spaces(self.certificate.read_text("ascii"))
        for name in self.names:
            listed = self._run(database, "-L", "-a", "-n", name)
            if not listed.problem and _without_spaces(listed.output) == own:
                return name
        return None

    def _run(self, database: Path, *arguments: str) -> _Ran:
        command = [self.program, "-d", f"sql:{database}", *arguments]
        try:
            # In a session of its own it has no terminal to ask for a password on.
            done = subprocess.run(  # noqa: S603  (a program by its path, and no shell)
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_TIMEOUT_SECONDS,
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return _Ran("", f"certutil did not end within {_TIMEOUT_SECONDS} seconds")
        except OSError as error:
            return _Ran("", f"certutil cannot be run: {error.strerror or error}")
        if done.returncode == 0:
            return _Ran(done.stdout, "")
        return _Ran("", _reason(done.stderr))


def find_certutil() -> str | None:
    """Return the path of NSS's certutil. On Windows there is another program of that name."""
    return None if sys.platform == "win32" else shutil.which("certutil")


def databases(home: Path) -> list[Path]:
    """Return the directories below a home that hold a database, each once."""
    found: dict[str, Path] = {}
    # Chromium goes by XDG_DATA_HOME; what is not below this home is not this user's own.
    data = Path(os.environ.get("XDG_DATA_HOME") or home)
    more = [f"{data.relative_to(home)}/pki/nssdb"] if data.is_relative_to(home) else []
    for place in (*_PLACES, *more):
        for file in sorted(home.glob(f"{place}/{_DATABASE}")):
            found.setdefault(os.path.realpath(file.parent), file.parent)
    return list(found.values())


@dataclass(frozen=True, slots=True)
class _Ran:
    """The output of certutil, and its error, if any."""

    output: str
    problem: str


def _reason(stderr: str) -> str:
    if "SEC_ERROR_BAD_PASSWORD" in stderr:
        return "it has a master password; import the certificate in the browser's settings"
    lines = [line for line in stderr.splitlines() if line.strip()]
    return printable(lines[-1]) if lines else "certutil failed and did not say why"


def _without_spaces(pem: str) -> str:
    return "".join(pem.split())
