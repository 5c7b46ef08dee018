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
    with pytest.raises(UntrustedFileError, match="others can read or write it") as caught:
        read_trusted(file)
    assert caught.value.command(file) == f"chmod 600 {file}"


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
    assert str(caught.value.strerror) in str(caught.value)


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


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777, 0o720])
@pytest.mark.parametrize("levels", [1, 2])
def test_a_directory_on_the_way(file: Path, tmp_path: Path, mode: int, levels: int) -> None:
    above = tmp_path / "above"
    below = above.joinpath(*"ab"[:levels])
    below.mkdir(mode=0o700, parents=True)
    file.rename(below / "file")
    for directory in (below, *below.parents[: levels - 1], above):
        directory.chmod(0o700)
    assert read_trusted(below / "file") == b"mine"
    above.chmod(mode)
    with pytest.raises(UntrustedFileError, match=f"the directory {above} on the way to it"):
        read_trusted(below / "file")
    with pytest.raises(UntrustedFileError):
        read_trusted(below / "missing")
    above.chmod(mode | 0o1000)  # Sticky: only the owner of a directory can rename it.
    assert read_trusted(below / "file") == b"mine"


def test_the_way_from_here(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file.parent / "below").mkdir(mode=0o700)
    monkeypatch.chdir(file.parent / "below")
    assert read_trusted("../file") == read_trusted("./..//file") == b"mine"
    assert read_trusted(f"../../{file.parent.name}/file") == b"mine"
    file.parent.chmod(0o777)
    (file.parent / "below" / "own").touch(mode=0o600)
    with pytest.raises(UntrustedFileError, match=f"the directory {file.parent} on the way"):
        read_trusted("own")


@pytest.mark.parametrize("target", ["{place}", "place", "../{top}/place", "other link"])
def test_links_on_the_way(file: Path, tmp_path: Path, target: str) -> None:
    (tmp_path / "other link").symlink_to("place")
    to = target.format(place=file.parent, top=tmp_path.name)
    (tmp_path / "link").symlink_to(to)
    assert read_trusted(tmp_path / "link" / "file") == b"mine"
    assert read_trusted(tmp_path / "link" / "." / "file") == b"mine"
    assert read_trusted(tmp_path / "link" / ".." / "place" / "file") == b"mine"
    tmp_path.chmod(0o777)  # Others could make other links of them.
    with pytest.raises(UntrustedFileError):
        read_trusted(tmp_path / "link" / "file")


def test_a_link_out_of_an_open_directory(file: Path, tmp_path: Path) -> None:
    """Where it leads to is safe, and it is not: whoever can rename there has another one."""
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "link").symlink_to(file.parent)
    shared.chmod(0o777)
    with pytest.raises(UntrustedFileError, match=f"the directory {shared} on the way to it"):
        read_trusted(shared / "link" / "file")
    shared.chmod(0o1777)
    assert read_trusted(shared / "link" / "file") == b"mine"


@needs_root
def test_somebody_elses_link(file: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(file.parent)
    os.lchown(tmp_path / "link", SOMEBODY, -1)
    tmp_path.chmod(0o1777)
    with pytest.raises(UntrustedFileError, match="link on the way to it, link, belongs to another"):
        read_trusted(tmp_path / "link" / "file")


def test_links_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("other")
    (tmp_path / "other").symlink_to("one")
    with pytest.raises(UntrustedFileError, match="too many symbolic links"):
        read_trusted(tmp_path / "one" / "file")


def test_a_file_on_the_way(file: Path) -> None:
    with pytest.raises(NotADirectoryError):
        read_trusted(file / "file")


@needs_root
def test_somebody_elses_directory_on_the_way(file: Path, tmp_path: Path) -> None:
    os.chown(tmp_path, SOMEBODY, -1)
    with pytest.raises(UntrustedFileError, match="on the way to it belongs to another user"):
        read_trusted(file)


@needs_root
@pytest.mark.parametrize("which", ["file", "directory", "sticky directory"])
def test_what_belongs_to_somebody_else(file: Path, which: str) -> None:
    os.chown(file if which == "file" else file.parent, SOMEBODY, -1)
    if which.startswith("sticky"):
        file.parent.chmod(0o1777)
    with pytest.raises(UntrustedFileError, match="belongs to another user"):
        read_trusted(file)


def open_above(file: Path) -> None:
    file.parent.parent.chmod(0o777)


def test_no_descriptor_is_left_open(file: Path) -> None:
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("nobody counts descriptors here")
    before = len(os.listdir("/proc/self/fd"))
    for change in (lambda _: None, open_above, hard_link):
        change(file)
        for _ in range(5):
            try:
                read_trusted(file)
            except UntrustedFileError:
                continue
    assert len(os.listdir("/proc/self/fd")) == before
