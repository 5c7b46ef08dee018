"""Directories for secrets that last as long as a command, and what killed commands have left."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from handclasp.private_files import create_private

_NAME = re.compile("handclasp-(?:demo|fault|watch)-[A-Za-z0-9_]+")
_DIRECTORY = getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_MOST_TRIES = 10


@contextmanager
def private_directory(purpose: Literal["demo", "fault", "watch"]) -> Generator[Path]:
    """Make a directory that only this user can read, and remove it at the end.

    Directories of commands that were killed are removed first. Each command holds a lock on its
    own, which the system releases with the process. Unlike the number of a process, a lock means
    the same in all containers that share the directory for temporary files. On Windows, nothing is
    removed but the command's own. Raises `OSError`.
    """
    _remove_abandoned()
    path, lock = _locked_directory(f"handclasp-{purpose}-")
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        if lock is not None:
            os.close(lock)


@contextmanager
def private_file(name: str, content: bytes = b"") -> Generator[Path]:
    """Make a file in such a directory, for `watch`. Raises `OSError`."""
    with private_directory("watch") as directory:
        path = directory / name
        with create_private(path) as file:
            file.write(content)
        yield path


def _locked_directory(prefix: str) -> tuple[Path, int | None]:
    """Make a directory of mode 0700; return it, and the descriptor that locks it."""
    for _ in range(_MOST_TRIES):
        path = Path(tempfile.mkdtemp(prefix=prefix))
        # Until it is locked, another command takes it for one that was abandoned.
        with suppress(BlockingIOError, FileNotFoundError):
            return path, _lock(path)
    raise BlockingIOError("Other commands have removed the directory before it was locked")


def _lock(path: Path) -> int | None:
    """Return a descriptor that locks a directory. Raises `OSError` if another command has it."""
    if os.name != "posix":
        return None
    from fcntl import LOCK_EX, LOCK_NB, flock

    descriptor = os.open(path, os.O_RDONLY | _DIRECTORY)
    try:
        flock(descriptor, LOCK_EX | LOCK_NB)
        os.stat(path)
    except (BlockingIOError, FileNotFoundError):
        os.close(descriptor)
        raise
    except OSError:
        pass  # This file system has no locks, so that no other command removes anything, either.
    return descriptor


def _remove_abandoned() -> None:
    """Remove the directories of commands that are gone."""
    if os.name != "posix":
        return
    place = Path(tempfile.gettempdir())
    with suppress(OSError):
        for name in filter(_NAME.fullmatch, os.listdir(place)):
            with suppress(OSError):
                _remove_if_abandoned(place / name)


def _remove_if_abandoned(path: Path) -> None:
    """Remove a directory of this user, unless a command holds its lock. Raises `OSError`.

    Others may write beside it, so that the path may be a link or lead to another file at any time:
    its files are removed through the descriptor, and by the path only a directory that is empty.
    """
    from fcntl import LOCK_EX, LOCK_NB, flock

    descriptor = os.open(path, os.O_RDONLY | _DIRECTORY)
    try:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid() or found.st_mode & 0o077:
            return
        flock(descriptor, LOCK_EX | LOCK_NB)
        for name in os.listdir(descriptor):
            with suppress(OSError):  # A program has made a directory there, which then stays.
                os.unlink(name, dir_fd=descriptor)
        os.rmdir(path)
    finally:
        os.close(descriptor)
