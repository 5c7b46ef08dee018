"""What `make release` finds wrong."""

from __future__ import annotations

import os
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from tests.release import __main__ as program
from tests.release.artifacts import Refused, check_contents
from tests.release.pythons import SUPPORTED, find_python

import handclasp

LICENCES = {
    "handclasp-1.dist-info/licenses/LICENSE-APACHE": b"",
    "handclasp-1.dist-info/licenses/LICENSE-MIT": b"",
}
# In two parts: it is to be found in artifacts, not in this file.
KEY = b"-----BEGIN " + b"PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n"


def wheel_of(folder: Path, content: dict[str, bytes]) -> Path:
    path = folder / "handclasp-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, data in content.items():
            wheel.writestr(name, data)
    return path


def test_a_wheel_of_the_package_alone_may_be_published(tmp_path: Path) -> None:
    check_contents(wheel_of(tmp_path, {"handclasp/__init__.py": b"", **LICENCES}))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"handclasp/__init__.py": b""}, "lacks LICENSE-APACHE, LICENSE-MIT"),
        ({"tests/pki.py": b"", **LICENCES}, "does not belong there: tests/pki.py"),
        ({"handclasp/_speedups.c": b"", **LICENCES}, "does not belong there: handclasp/_speed"),
        ({"handclasp/a.pem": KEY, **LICENCES}, "does not belong there: handclasp/a.pem"),
    ],
)
def test_what_is_missing_or_too_much_in_a_wheel(
    tmp_path: Path, content: dict[str, bytes], reason: str
) -> None:
    with pytest.raises(Refused, match=reason):
        check_contents(wheel_of(tmp_path, content))


def test_tests_and_compiled_files_are_no_part_of_a_source_archive(tmp_path: Path) -> None:
    sdist = tmp_path / "handclasp-1.tar.gz"
    names = ["LICENSE-APACHE", "LICENSE-MIT", "src/handclasp/a.so", "tests/pki.py", "README.md"]
    (tmp_path / "empty").touch()
    with tarfile.open(sdist, "w:gz") as archive:
        for name in names:
            archive.add(tmp_path / "empty", f"handclasp-1/{name}")
    with pytest.raises(Refused, match=r"there: handclasp-1/src/handclasp/a.so, handclasp-1/tests/"):
        check_contents(sdist)


def test_the_changelog_must_have_the_version() -> None:
    program.obstacles(handclasp.__version__)
    with pytest.raises(Refused, match=r"no heading for 0\.9\.7"):
        program.obstacles("0.9.7.dev0")


def test_a_version_of_development_is_not_published() -> None:
    assert "the version is 0.1.0.dev0, a version of development." in program.obstacles("0.1.0.dev0")


def test_a_version_is_published_with_its_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "ROOT", tmp_path)
    (tmp_path / "pyproject.toml").write_text('Source = "https://code.example.com/"')
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 0.9.7 (not released yet)\n")
    assert program.obstacles("0.9.7") == ["CHANGELOG.md has no date for 0.9.7."]
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 0.9.7 (2031-02-28)\n")
    assert program.obstacles("0.9.7") == []


def test_a_python_is_found_by_its_version() -> None:
    version = "{}.{}".format(*sys.version_info)
    found = find_python(version)
    if found is None:
        pytest.skip("this interpreter is neither on the path nor one of pyenv")
    assert os.access(found, os.X_OK)
    assert find_python("3.2") is None


def test_the_supported_pythons_are_those_of_the_package() -> None:
    assert SUPPORTED[0] == "3.11"
    assert list(SUPPORTED) == [f"3.{11 + index}" for index in range(len(SUPPORTED))]
