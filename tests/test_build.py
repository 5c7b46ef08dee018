"""Wheels, with and without the accelerator, and the source archive that they are built from."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tests.release.artifacts import ACCELERATED, PURE, build, check_contents, sha256, unpack
from tests.required import need_module, need_tool

ROOT = Path(__file__).parents[1]
NO_COMPILER = {"CC": "/nowhere/cc", "PATH": "/nowhere"}

pytestmark = pytest.mark.long


def built(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Build a wheel into `folder`, by what is installed here."""
    for name in ("hatchling", "setuptools"):
        need_module(name)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("HANDCLASP_")}
    return subprocess.run(
        [*command, "--wheel-dir", str(folder), str(ROOT)],
        env=clean | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def extensions_in(folder: Path) -> tuple[str, list[str]]:
    """The name of the wheel, and the compiled files in it."""
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "handclasp/__init__.py" in names
    assert not [name for name in names if name.endswith(".c")]
    return wheel.name, [name for name in names if name.endswith((".so", ".pyd"))]


def test_with_a_compiler(tmp_path: Path) -> None:
    need_tool("gcc")
    done = built(tmp_path, HANDCLASP_REQUIRE_SPEEDUPS="1")
    assert done.returncode == 0, done.stderr
    name, (extension,) = extensions_in(tmp_path)
    assert extension.startswith("handclasp/_speedups.")
    assert "-none-any" not in name


@pytest.mark.parametrize("environment", [NO_COMPILER, {"HANDCLASP_PURE": "1"}])
def test_without_one(tmp_path: Path, environment: dict[str, str]) -> None:
    done = built(tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    name, extensions = extensions_in(tmp_path)
    assert extensions == []
    assert name.endswith("-py3-none-any.whl")
    assert "error" not in (done.stdout + done.stderr).lower()


def test_where_it_must_be_there(tmp_path: Path) -> None:
    done = built(tmp_path, HANDCLASP_REQUIRE_SPEEDUPS="1", **NO_COMPILER)
    assert done.returncode != 0
    assert list(tmp_path.glob("*.whl")) == []


def test_the_source_archive_has_the_same_bytes_wherever_it_is_built(tmp_path: Path) -> None:
    need_module("hatchling")
    first = build("sdist", ROOT, tmp_path)
    check_contents(first)
    (tmp_path / "again").mkdir()
    again = build("sdist", unpack(first, tmp_path), tmp_path / "again")
    assert sha256(again) == sha256(first)


@pytest.mark.parametrize("environment", [PURE, ACCELERATED])
def test_a_wheel_has_the_same_bytes_wherever_it_is_built(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    need_module("hatchling")
    if environment is ACCELERATED:
        need_tool("gcc")
    wheels = []
    for name in ("one", "another"):
        (tmp_path / name).mkdir()
        source = unpack(build("sdist", ROOT, tmp_path / name), tmp_path / name)
        wheels.append(build("wheel", source, tmp_path / name, environment))
        shutil.rmtree(source)
    check_contents(wheels[0])
    assert sha256(wheels[0]) == sha256(wheels[1])


def test_the_readme_of_an_index_has_absolute_links(tmp_path: Path) -> None:
    need_module("hatchling")
    with zipfile.ZipFile(build("wheel", ROOT, tmp_path, PURE)) as wheel:
        (name,) = [each for each in wheel.namelist() if each.endswith("/METADATA")]
        shown = wheel.read(name).decode()
    links = set(re.findall(r"\]\(([^)]+)\)", shown))
    assert {link for link in links if not link.startswith("https://")} == set()
    source = re.search(r"^Project-URL: Source, (.*)$", shown, re.MULTILINE)
    assert source is not None
    assert f"{source[1]}docs/tutorial.md" in links


def test_the_man_page_is_installed(tmp_path: Path) -> None:
    need_module("hatchling")
    with zipfile.ZipFile(build("wheel", ROOT, tmp_path, PURE)) as wheel:
        (name,) = [each for each in wheel.namelist() if each.endswith("/man/man1/handclasp.1")]
        assert re.fullmatch(r"handclasp-[^/]+\.data/data/share/man/man1/handclasp\.1", name)
