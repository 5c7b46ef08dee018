"""What a user names is read to its end, but nothing waits for a pipe that nobody writes to."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from handclasp import input_files
from handclasp.input_files import read_input, read_regular

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pipes have paths in POSIX alone")


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    for read in (read_input, read_regular):
        assert read(tmp_path / "file") == b"content"
        assert read(tmp_path / "file", most=3) == b"cont"
        with pytest.raises(IsADirectoryError):
            read(tmp_path)
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "other")


def test_a_pipe_without_a_writer(pipe: Path) -> None:
    with pytest.raises(OSError, match="empty pipe, and nobody writes"):
        read_input(pipe)
    with pytest.raises(OSError, match="it is a pipe, not a file"):
        read_regular(pipe)


@pytest.mark.parametrize(("size", "most"), [(200_000, None), (200_000, 200_000), (100, 10)])
def test_a_pipe_is_read_to_its_end(pipe: Path, size: int, most: int | None) -> None:
    """The long one is more than a pipe holds: the writer waits for the reader in between."""
    data = os.urandom(size)
    # The reader finds a writer, or what a writer left, whoever is first: a pipe that nobody has
    # open forgets its content.
    keeping = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    writing = os.open(pipe, os.O_WRONLY)

    def write() -> None:
        with open(writing, "wb") as file:
            file.write(data)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert read_input(pipe, most=most) == data[: None if most is None else most + 1]
    finally:
        writer.join()
        os.close(keeping)


def test_a_descriptor_of_the_process() -> None:
    """The shell names it in the place of `<(command)`."""
    reading, writing = os.pipe()
    os.write(writing, b"content")
    os.close(writing)
    try:
        assert read_input(f"/dev/fd/{reading}") == b"content"
    finally:
        os.close(reading)


def test_a_writer_that_pauses(pipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_files, "PIPE_SECONDS", 0)
    holding = os.open(pipe, os.O_RDWR)
    try:
        os.write(holding, b"half")
        with pytest.raises(TimeoutError, match="paused"):
            read_input(pipe)
    finally:
        os.close(holding)


def test_devices() -> None:
    """An endless one is refused; /dev/null is how a user names nothing."""
    assert read_input(os.devnull) == b""
    with pytest.raises(OSError, match="it is a device"):
        read_input("/dev/zero")
    with pytest.raises(OSError, match="it is a device, not a file"):
        read_regular(os.devnull)
