"""Files that must be this user's own: what is taken for one, and what is not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from handclasp.trusted_files import UntrustedFileError, read_trusted

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")

needs_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a file away"
)
SOMEBODY = 12345


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "place"
    place.mkdir(mode=0o700)
    return place


@pytest.fixture
def file(place: Path) -> Path:
    file = place / "file"
    file.touch(mode=0o600)
    file.write_bytes(b"mine")
    return file


def test_ones_own_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_trusted(file) == read_trusted(os.fspath(file)) == b"mine"
    file.chmod(0o400)
    assert read_trusted(file) == b"mine"
    monkeypatch.chdir(file.parent)
    assert read_trusted("file") == read_trusted("./file") == b"mine"


def test_what_is_not_there(place: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_trusted(place / "file")
    with pytest.raises(FileNotFoundError):
        read_trusted(place / "missing" / "file")


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o640, 0o620, 0o601, 0o610, 0o644, 0o666])
def test_what_others_can_read_or_write(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(UntrustedFileError, match="chmod 600"):
        read_trusted(file)


@pytest.mark.parametrize("mode", [0o644, 0o666])
def test_an_empty_file_says_nothing(place: Path, mode: int) -> None:
    (place / "empty").touch()
    (place / "empty").chmod(mode)
    assert read_trusted(place / "empty") == b""


def link(file: Path) -> None:
    file.rename(file.with_name("other"))
    file.symlink_to("other")


def dangling(file: Path) -> None:
    file.unlink()
    file.symlink_to("nothing")


def pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


def directory(file: Path) -> None:
    file.unlink()
    file.mkdir(mode=0o700)


def hard_link(file: Path) -> None:
    os.link(file, file.with_name("other"))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (link, "symbolic link"),
        (dangling, "symbolic link"),
        (pipe, "no regular file"),
        (directory, "no regular file"),
        (hard_link, "hard link"),
    ],
)
def test_what_is_no_file_of_its_own(file: Path, change: Callable[[Path], None], why: str) -> None:
    change(file)
    with pytest.raises(UntrustedFileError, match=why) as caught:
        read_trusted(file)
    assert caught.value.filename == os.fspath(file)
    assert caught.value.strerror in str(caught.value)


def test_a_hard_link_where_it_may_be(file: Path) -> None:
    hard_link(file)
    assert read_trusted(file, may_be_linked=True) == b"mine"


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777, 0o720])
def test_a_directory_in_which_others_can_rename(file: Path, mode: int) -> None:
    file.parent.chmod(mode)
    with pytest.raises(UntrustedFileError, match="its directory"):
        read_trusted(file)
    file.parent.chmod(mode | 0o1000)  # Sticky: only the owner of a file can rename it.
    assert read_trusted(file) == b"mine"


def test_a_directory_that_others_can_look_into(file: Path) -> None:
    file.parent.chmod(0o755)
    assert read_trusted(file) == b"mine"


def test_a_directory_behind_a_link(file: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(file.parent)
    assert read_trusted(tmp_path / "link" / "file") == b"mine"
    file.parent.chmod(0o777)
    with pytest.raises(UntrustedFileError):
        read_trusted(tmp_path / "link" / "file")


@needs_root
@pytest.mark.parametrize("which", ["file", "directory", "sticky directory"])
def test_what_belongs_to_somebody_else(file: Path, which: str) -> None:
    os.chown(file if which == "file" else file.parent, SOMEBODY, -1)
    if which.startswith("sticky"):
        file.parent.chmod(0o1777)
    with pytest.raises(UntrustedFileError, match="belongs to another user"):
        read_trusted(file)


def test_no_descriptor_is_left_open(file: Path) -> None:
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("nobody counts descriptors here")
    before = len(os.listdir("/proc/self/fd"))
    for change in (lambda _: None, hard_link):
        change(file)
        for _ in range(5):
            try:
                read_trusted(file)
            except UntrustedFileError:
                continue
    assert len(os.listdir("/proc/self/fd")) == before
