"""The key log's file: whole lines, for its owner only, from many threads."""

from __future__ import annotations

import errno
import gc
import os
import stat
import threading
from pathlib import Path

import pytest
from tests.pki import Pki
from tests.recorded import converse

from handclasp import ClientConfig, ConfigurationError, ServerConfig
from handclasp.trace.keylog import open_keylog


def test_lines_are_appended_whole(tmp_path: Path) -> None:
    path = tmp_path / "keys.log"
    path.write_text("# what was there\n")
    open_keylog(path)("CLIENT_RANDOM 00 11")
    assert path.read_text() == "# what was there\nCLIENT_RANDOM 00 11\n"


def test_a_new_file_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keys.log"
    before = os.umask(0)
    try:
        open_keylog(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_threads_do_not_mix_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "keys.log"
    write = open_keylog(path)
    lines = [f"LABEL {number:02} {'ab' * 48}" for number in range(8)]
    threads = [
        threading.Thread(target=lambda line=line: [write(line) for _ in range(50)])
        for line in lines
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.read_text().splitlines()) == sorted(lines * 50)


def test_the_file_is_closed_with_the_last_reference(tmp_path: Path) -> None:
    write = open_keylog(tmp_path / "keys.log")
    descriptors = set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    if descriptors is None:
        pytest.skip("this system does not list open descriptors")
    del write
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == len(descriptors) - 1


def test_a_file_that_cannot_be_written_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Cannot write the key log"):
        open_keylog(tmp_path / "nowhere" / "keys.log")


def test_a_full_disk_leaves_no_half_line_for_the_next_to_continue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keys.log"
    write, room, write_to = open_keylog(path), [12], os.write

    def write_what_fits(descriptor: int, data: memoryview) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = write_to(descriptor, data[: room[0]])
        room[0] -= written
        return written

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", write_what_fits)
        with pytest.raises(OSError, match="No space left") as raised:
            write("CLIENT_RANDOM 00 11")
    assert raised.value.filename == str(path)
    write("CLIENT_RANDOM 22 33")
    write("CLIENT_RANDOM 44 55")
    assert path.read_text() == "CLIENT_RANDO\nCLIENT_RANDOM 22 33\nCLIENT_RANDOM 44 55\n"


def test_both_sides_of_a_handshake_log_the_same(pki: Pki, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "client.log", tmp_path / "server.log"
    converse(
        ClientConfig(trust=pki.trust, keylog=ours),
        ServerConfig(credentials=pki.server(), keylog=theirs),
    )
    lines = ours.read_text().splitlines()
    assert sorted(lines) == sorted(theirs.read_text().splitlines())
    assert {line.split()[0] for line in lines} == {
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0",
        "EXPORTER_SECRET",
    }
    assert {len(line.split()[1]) for line in lines} == {64}
