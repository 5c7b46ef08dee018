"""The source archive and the wheels: how they are built, and what they must hold."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

# Each is built with this in the environment beside what the build itself needs.
PURE = {"HANDCLASP_PURE": "1"}
ACCELERATED = {"HANDCLASP_REQUIRE_SPEEDUPS": "1"}
_SECRET = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/]{16}")
_LICENCES = {"LICENSE-APACHE", "LICENSE-MIT"}


class Refused(Exception):
    """An artifact may not be released, for the reason that is the text."""


def build(kind: str, source: Path, folder: Path, environment: dict[str, str] | None = None) -> Path:
    """Build an "sdist" or a "wheel" of a source tree with what is installed here.

    Raises:
        Refused: the build fails; with what it printed.
    """
    clean = {key: value for key, value in os.environ.items() if not key.startswith("HANDCLASP_")}
    with tempfile.TemporaryDirectory(dir=folder) as made:
        done = subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", made],
            cwd=source,
            env=clean | (environment or {}),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise Refused(f"The {kind} cannot be built:\n{done.stdout}{done.stderr}")
        (built,) = Path(made).iterdir()
        return built.rename(folder / built.name)


def build_twice(
    kind: str, source: Path, folder: Path, environment: dict[str, str] | None = None
) -> Path:
    """Build it, and once more elsewhere.

    Raises:
        Refused: the bytes differ.
    """
    built = build(kind, source, folder, environment)
    with tempfile.TemporaryDirectory() as elsewhere:
        again = build(kind, source, Path(elsewhere), environment)
        if sha256(again) != sha256(built):
            raise Refused(f"{built.name} has other bytes when it is built a second time.")
    return built


def unpack(sdist: Path, folder: Path) -> Path:
    """Unpack a source archive; return the directory that it holds."""
    with tarfile.open(sdist) as archive:
        # Python 3.11 has filters from 3.11.4 on. What is unpacked here was built here.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(folder)
    return folder / sdist.name.removesuffix(".tar.gz")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check_contents(artifact: Path) -> None:
    """Hold an artifact against what a release may and must have in it.

    Raises:
        Refused: a licence is missing, or there is something that is no part of the package.
    """
    content = _read_all(artifact)
    missing = _LICENCES - {name.rpartition("/")[2] for name in content}
    if missing:
        raise Refused(f"{artifact.name} lacks {', '.join(sorted(missing))}.")
    wrong = [name for name in content if not _belongs(name, artifact)]
    wrong += [name for name, data in content.items() if _SECRET.search(data)]
    if wrong:
        raise Refused(f"{artifact.name} holds what does not belong there: {', '.join(wrong)}.")


def _belongs(name: str, artifact: Path) -> bool:
    if artifact.suffix == ".whl":
        return re.match(r"handclasp/|handclasp-[^/]*\.(dist-info|data)/", name) is not None and (
            not name.endswith((".c", ".pyc"))
        )
    inside = name.partition("/")[2]
    return not inside.endswith((".so", ".pyd", ".pyc")) and (
        "/" not in inside or inside.startswith(("src/handclasp/", "examples/", "docs/man/"))
    )


def _read_all(artifact: Path) -> dict[str, bytes]:
    if artifact.suffix == ".whl":
        with zipfile.ZipFile(artifact) as wheel:
            return {name: wheel.read(name) for name in wheel.namelist()}
    with tarfile.open(artifact) as archive:
        files = [each for each in archive.getmembers() if each.isfile()]
        read = ((each.name, archive.extractfile(each)) for each in files)
        return {name: file.read() for name, file in read if file is not None}
