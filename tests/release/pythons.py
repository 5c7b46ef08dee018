"""The interpreters of this machine, one for each version that the package supports.

`python -m tests.release.pythons` prints their directories as a path, by which nox finds them.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

_PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
SUPPORTED = tuple(
    re.findall(r'"Programming Language :: Python :: (3\.\d+)"', _PYPROJECT.read_text("utf-8"))
)
_SHOW_VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"


def find_python(version: str) -> str | None:
    """Return the path of an interpreter of a version such as "3.12", or None.

    Looked for on the path, then among those of pyenv, whose `python3.12` is there but runs only
    where that version is switched on, then asked of uv and of the launcher of Windows.
    """
    return next((path for path in _candidates(version) if _is_version(path, version)), None)


def _candidates(version: str) -> Iterator[str]:
    yield from filter(None, [shutil.which(f"python{version}")])
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from map(str, sorted((root / "versions").glob(f"{version}.*/bin/python"), reverse=True))
    for command in (
        ["uv", "python", "find", "--no-python-downloads", version],
        ["py", f"-{version}", "-c", "import sys; print(sys.executable)"],
    ):
        if shutil.which(command[0]):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            yield from done.stdout.split("\n")[:1]


def _is_version(path: str, version: str) -> bool:
    try:
        done = subprocess.run([path, "-c", _SHOW_VERSION], capture_output=True, text=True)
    except OSError:
        return False
    return done.stdout.strip() == version


def main() -> None:
    argparse.ArgumentParser(prog="python -m tests.release.pythons").parse_args()
    found = filter(None, map(find_python, SUPPORTED))
    print(os.pathsep.join(str(Path(each).parent) for each in found))


if __name__ == "__main__":
    main()
