"""Files with secrets are the user's alone, whatever stood at their path."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.required import need_terminal

from handclasp.private_files import (
    append_private,
    create_private,
    draft_private,
    write_private,
    write_public,
)

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes and links are those of POSIX")

SECRET = b"a secret\n"


def created(path: Path, data: bytes) -> None:
    with create_private(path) as file:
        file.write(data)


def appended(path: Path, data: bytes) -> None:
    descriptor = append_private(path)
    with open(descriptor, "wb") as file:
        file.write(data)


Writer = Callable[[Path, bytes], None]
REPLACING: list[Writer] = [write_private, created]
EVERY: list[Writer] = [*REPLACING, appended]
every_way = pytest.mark.parametrize("write", EVERY)
replacing = pytest.mark.parametrize("write", REPLACING)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@every_way
def test_a_new_file_is_for_its_owner_alone(tmp_path: Path, write: Writer) -> None:
    path = tmp_path / "secrets"
    before = os.umask(0)
    try:
        write(path, SECRET)
    finally:
        os.umask(before)
    assert path.read_bytes() == SECRET
    assert mode_of(path) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["secrets"]


@every_way
@pytest.mark.parametrize("mode", [0o644, 0o666, 0o640, 0o604])
def test_what_others_could_read_they_can_read_no_more(
    tmp_path: Path, write: Writer, mode: int
) -> None:
    path = tmp_path / "secrets"
    path.write_bytes(b"")
    path.chmod(mode)
    write(path, SECRET)
    assert path.read_bytes() == SECRET
    assert mode_of(path) == 0o600


@replacing
def test_who_has_the_old_file_open_does_not_see_the_new_one(tmp_path: Path, write: Writer) -> None:
    path = tmp_path / "secrets"
    path.write_bytes(b"before")
    with path.open("rb") as spy:
        write(path, SECRET)
        assert spy.read() == b"before"
    assert path.read_bytes() == SECRET


@replacing
def test_a_link_is_replaced_and_not_followed(tmp_path: Path, write: Writer) -> None:
    victim, path = tmp_path / "victim", tmp_path / "secrets"
    victim.write_bytes(b"precious")
    for target in (victim, tmp_path / "nowhere", path):
        path.unlink(missing_ok=True)
        path.symlink_to(target)
        write(path, SECRET)
        assert not path.is_symlink()
        assert path.read_bytes() == SECRET
    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "nowhere").exists()


@replacing
def test_another_name_of_the_old_file_does_not_get_the_content(
    tmp_path: Path, write: Writer
) -> None:
    victim, path = tmp_path / "victim", tmp_path / "secrets"
    victim.write_bytes(b"precious")
    path.hardlink_to(victim)
    write(path, SECRET)
    assert victim.read_bytes() == b"precious"


def test_nothing_is_appended_through_a_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "symbolic").symlink_to(victim)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "hard").hardlink_to(victim)
    for name, why in (("symbolic", "symbolic"), ("dangling", "symbolic"), ("hard", "hard link")):
        with pytest.raises(OSError, match=why):
            append_private(tmp_path / name)
    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "nowhere").exists()


@every_way
def test_a_directory_is_refused(tmp_path: Path, write: Writer) -> None:
    (tmp_path / "secrets").mkdir()
    with pytest.raises(IsADirectoryError):
        write(tmp_path / "secrets", SECRET)
    assert [each.name for each in tmp_path.iterdir()] == ["secrets"]


@every_way
def test_a_place_that_is_not_there(tmp_path: Path, write: Writer) -> None:
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "nowhere" / "secrets", SECRET)
    with pytest.raises(OSError, match="too long"):
        write(tmp_path / ("s" * 300), SECRET)
    assert list(tmp_path.iterdir()) == []


@every_way
def test_what_belongs_to_another_user(
    tmp_path: Path, write: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secrets"
    os.mkfifo(path) if write is not appended else path.write_bytes(b"")
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        uid = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
        with pytest.raises(PermissionError, match="another user"):
            write(path, SECRET)
    finally:
        os.close(reader)


@every_way
def test_a_pipe_that_nobody_reads_is_not_waited_for(tmp_path: Path, write: Writer) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="No such device"):
        write(tmp_path / "pipe", SECRET)


@every_way
def test_a_pipe_that_somebody_reads(tmp_path: Path, write: Writer) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path, 0o644)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    heard: list[bytes] = []
    thread = threading.Thread(target=lambda: heard.append(os.read(reader, 100)))
    try:
        write(path, SECRET)
        thread.start()
        thread.join(20)
    finally:
        os.close(reader)
    assert heard == [SECRET]
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert mode_of(path) == 0o600


@every_way
def test_devices_stay_what_they_are(write: Writer) -> None:
    before = os.stat(os.devnull)
    write(Path(os.devnull), SECRET)
    after = os.stat(os.devnull)
    assert (before.st_mode, before.st_ino) == (after.st_mode, after.st_ino)


@every_way
def test_a_descriptor_of_this_process(tmp_path: Path, write: Writer) -> None:
    # What a shell makes of `--keylog /dev/stdout > file`: a link that leads to a plain file.
    path = tmp_path / "redirected"
    with path.open("wb") as file:
        write(Path(f"/dev/fd/{file.fileno()}"), SECRET)
    assert path.read_bytes() == SECRET
    with pytest.raises(OSError, match="Bad file descriptor"):
        write(Path("/dev/fd/987654"), SECRET)


@every_way
def test_a_socket_is_refused(tmp_path: Path, write: Writer) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        with pytest.raises(OSError):
            write(tmp_path / "s", SECRET)


def test_public_files_can_be_read_by_all(tmp_path: Path) -> None:
    path = tmp_path / "chain.pem"
    path.symlink_to(tmp_path / "victim")
    write_public(path, SECRET)
    assert mode_of(path) == 0o644
    assert not (tmp_path / "victim").exists()


def test_a_disk_that_is_full_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "secrets"
    path.write_bytes(b"before")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_private(path, SECRET)
    assert caught.value.filename == str(path)
    with pytest.raises(OSError, match="No space left"), draft_private(tmp_path) as draft:
        draft.write(SECRET)
    assert path.read_bytes() == b"before"
    assert [each.name for each in tmp_path.iterdir()] == ["secrets"]


@pytest.mark.parametrize("write", [*REPLACING, write_public])
def test_an_error_names_the_file_that_was_asked_for(write: Writer, tmp_path: Path) -> None:
    """Nobody has heard of the draft beside it."""
    path = tmp_path / "missing" / "x.json"
    with pytest.raises(FileNotFoundError) as caught:
        write(path, SECRET)
    assert caught.value.filename == str(path)
    assert str(caught.value).endswith(f": {str(path)!r}")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no such device")
def test_the_error_of_a_device_names_it() -> None:
    with pytest.raises(OSError, match="No space left") as caught:
        write_private("/dev/full", SECRET)
    assert caught.value.filename == "/dev/full"


@pytest.mark.parametrize("call", ["fsync", "dup", "fchmod"])
@pytest.mark.parametrize("by", ["link", "file"])
@pytest.mark.parametrize("write", [*REPLACING, write_public])
def test_who_swaps_the_new_file_gets_nothing(
    tmp_path: Path, write: Writer, call: str, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Another user who can write to the directory gives the new file's name to a file of his.
    (tmp_path / "shared").mkdir()
    victim, loot = tmp_path / "id_rsa", tmp_path / "loot"
    victim.write_bytes(b"precious")
    victim.chmod(0o600)
    loot.touch(0o666)
    swapped: list[Path] = []
    real = getattr(os, call)

    def swap(*args: int) -> object:
        result = real(*args)
        for new in (tmp_path / "shared").glob(".new-*"):
            new.unlink()
            new.symlink_to(victim) if by == "link" else new.hardlink_to(loot)
            swapped.append(new)
        return result

    monkeypatch.setattr(os, call, swap)
    if (write, call) in NOT_CALLED:
        pytest.skip("this one does not call it")
    with pytest.raises(PermissionError, match="another file in its place"):
        write(tmp_path / "shared" / "secrets", SECRET)
    assert swapped
    assert victim.read_bytes() == b"precious"
    assert mode_of(victim) == 0o600
    assert loot.read_bytes() == b""
    assert list((tmp_path / "shared").iterdir()) == []


NOT_CALLED = [
    (write_private, "dup"),
    (write_private, "fchmod"),
    (write_public, "dup"),
    (created, "fsync"),
    (created, "fchmod"),
]


@pytest.mark.parametrize("uid", [0, 65533, 65534])
@every_way
def test_devices_of_other_users(
    tmp_path: Path, write: Writer, uid: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A terminal, say: its owner reads what is written to it, and so does whoever is behind it.
    real_lstat, real_fstat = os.lstat, os.fstat

    def owned(found: os.stat_result) -> os.stat_result:
        if not stat.S_ISCHR(found.st_mode):
            return found
        values = list(found)
        values[4] = uid
        return os.stat_result(values)

    monkeypatch.setattr(os, "lstat", lambda *args, **more: owned(real_lstat(*args, **more)))
    monkeypatch.setattr(os, "fstat", lambda *args: owned(real_fstat(*args)))
    monkeypatch.setattr(os, "geteuid", lambda: 65533)
    if uid == 65534:
        with pytest.raises(PermissionError, match="device of another user"):
            write(Path(os.devnull), SECRET)
    else:
        write(Path(os.devnull), SECRET)


@replacing
def test_a_link_to_a_device_is_replaced(tmp_path: Path, write: Writer) -> None:
    master, slave = need_terminal()
    try:
        path = tmp_path / "secrets"
        path.symlink_to(os.ttyname(slave))
        write(path, SECRET)
        assert not path.is_symlink()
        assert path.read_bytes() == SECRET
        os.set_blocking(master, False)
        with pytest.raises(BlockingIOError):
            os.read(master, 100)
    finally:
        os.close(master)
        os.close(slave)


@replacing
@pytest.mark.parametrize("target", ["pipe", "directory"])
def test_a_link_to_something_else_is_replaced(tmp_path: Path, write: Writer, target: str) -> None:
    place, path = tmp_path / target, tmp_path / "secrets"
    os.mkfifo(place) if target == "pipe" else place.mkdir()
    path.symlink_to(place)
    write(path, SECRET)
    assert path.read_bytes() == SECRET
    assert not path.is_symlink()


@pytest.mark.parametrize("call", ["open", "fsync", "dup", "fchmod", "replace"])
@pytest.mark.parametrize("write", [*REPLACING, write_public])
def test_an_interrupt_leaves_no_secret_behind(
    tmp_path: Path, write: Writer, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secrets"
    path.write_bytes(b"before")
    real = getattr(os, call)

    def interrupted(*args: object) -> None:
        result = real(*args)
        if call != "replace":
            assert len(list(tmp_path.iterdir())) == 2
        if isinstance(result, int):
            os.close(result)
        raise KeyboardInterrupt

    if (write, call) in NOT_CALLED:
        pytest.skip("this one does not call it")
    monkeypatch.setattr(os, call, interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(path, SECRET)
    assert [each.name for each in tmp_path.iterdir()] == ["secrets"]
    if call != "replace":
        assert path.read_bytes() == b"before"
