"""`make release`: builds what would be uploaded into dist/, and proves that it works.

The source archive, and out of it a wheel for every platform and one with the accelerator; each
built twice, with the same bytes; their descriptions checked by twine; the wheels installed into a
bare environment of each supported Python that is here, and tried. Then a list of what such an
environment consists of (CycloneDX), and the checksums. Nothing is uploaded: docs/releasing.md.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.release.artifacts import (
    ACCELERATED,
    PURE,
    Refused,
    build_twice,
    check_contents,
    sha256,
    unpack,
)
from tests.release.pythons import SUPPORTED, find_python

import handclasp

ROOT = Path(__file__).parents[2]
PLACEHOLDER = "https://handclasp.example/"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.release", description=__doc__)
    parser.add_argument("--directory", type=Path, default=ROOT / "dist")
    options = parser.parse_args()
    try:
        release(options.directory)
    except Refused as reason:
        print(reason, file=sys.stderr)
        return 1
    return 0


def release(folder: Path) -> None:
    """Make everything anew in a directory, and print each step that succeeded."""
    for what in obstacles(handclasp.__version__):
        print(f"not to be published yet: {what}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    sdist, pure, *others = make_artifacts(folder)
    check_descriptions([sdist, pure, *others])
    print("twine accepts them")
    try_wheels([pure, *others], folder / f"{sdist.name.removesuffix('.tar.gz')}.cdx.json")
    listing = [f"{sha256(path)}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / "SHA256SUMS").write_text("".join(listing))
    print("".join(listing), end="")


def obstacles(version: str) -> list[str]:
    """What stands against publishing a version, in sentences; a rehearsal goes on all the same.

    Raises:
        Refused: the changelog says nothing of the version.
    """
    released = re.sub(r"\.dev\d+$", "", version)
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    heading = re.search(rf"^## {re.escape(released)}(?: \((.*)\))?$", changelog, re.MULTILINE)
    if heading is None:
        raise Refused(f"CHANGELOG.md has no heading for {released}.")
    found = []
    if released != version:
        found.append(f"the version is {version}, a version of development.")
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", heading[1] or ""):
        found.append(f"CHANGELOG.md has no date for {released}.")
    if PLACEHOLDER in (ROOT / "pyproject.toml").read_text("utf-8"):
        found.append(
            f"the addresses in pyproject.toml begin with {PLACEHOLDER}, which is nobody's."
        )
    return found


def make_artifacts(folder: Path) -> list[Path]:
    """Build the source archive, then out of it the wheels: the one for every platform first."""
    artifacts = [build_twice("sdist", ROOT, folder)]
    with tempfile.TemporaryDirectory() as scratch:
        source = unpack(artifacts[0], Path(scratch))
        artifacts.append(build_twice("wheel", source, folder, PURE))
        try:
            artifacts.append(build_twice("wheel", source, folder, ACCELERATED))
        except Refused as reason:
            print(f"no accelerated wheel: {str(reason).splitlines()[-1]}")
    for artifact in artifacts:
        check_contents(artifact)
        print(f"{artifact.name}: the same bytes twice, {artifact.stat().st_size // 1000} kB")
    return artifacts


def check_descriptions(artifacts: list[Path]) -> None:
    """Ask twine whether an index would take and show them.

    Raises:
        Refused: it would not; with what twine says.
    """
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, artifacts)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Refused(done.stdout + done.stderr)


def try_wheels(wheels: list[Path], components: Path) -> None:
    """Try the wheels in bare environments, and list what the first of these consists of.

    Raises:
        Refused: it does not work in one of them; with what was printed.
    """
    for version in SUPPORTED:
        python = find_python(version)
        if python is None:
            print(f"Python {version} is not here")
            continue
        for wheel in wheels:
            if not _fits(wheel, version):
                continue
            with tempfile.TemporaryDirectory() as scratch:
                environment = _install(python, wheel, Path(scratch))
                smoke = Path(__file__).with_name("smoke.py")
                print(f"Python {version}, {_run([str(environment), str(smoke)], scratch)}")
                if not components.exists():
                    _list_components(environment, components)


def _fits(wheel: Path, version: str) -> bool:
    return any(tag in wheel.name for tag in ("-py3-none-", f"-cp{version.replace('.', '')}-"))


def _install(python: str, wheel: Path, scratch: Path) -> Path:
    """Make an environment, and install a wheel and what it asks for; return its interpreter."""
    _run([python, "-m", "venv", "--without-pip", str(scratch / "bare")], str(scratch))
    made = scratch / "bare" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    pip = [sys.executable, "-m", "pip", "--python", str(made), "--disable-pip-version-check"]
    _run([*pip, "install", "--quiet", str(wheel)], str(scratch))
    return made


def _list_components(python: Path, target: Path) -> None:
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible"]
    project = ["--pyproject", str(ROOT / "pyproject.toml"), "--mc-type", "library"]
    _run([*command, *project, "--output-file", str(target), str(python)], str(ROOT))


def _run(command: list[str], directory: str) -> str:
    done = subprocess.run(
        command, cwd=directory, env=_bare_environment(directory), capture_output=True, text=True
    )
    if done.returncode != 0:
        raise Refused(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def _bare_environment(directory: str) -> dict[str, str]:
    """The environment without what leads Python to this source, and with a home of its own."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return kept | {"HANDCLASP_HOME": str(Path(directory, "home"))}


if __name__ == "__main__":
    sys.exit(main())
