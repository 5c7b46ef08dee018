"""The files of a directory that `handclasp serve` sends: one function decides, on the open file.

A name says little about what is behind it: a symbolic link may lead out of the directory, a hard
link is a second name of a file elsewhere, and either may change between the look and the opening.
So a name is resolved first; then what it resolved to is opened component by component, without
following any link, from the directory downward; and whether it may be given out is decided on what
was opened. `Site.open` does this for files, for the `index.html` that stands in for a directory,
and for each entry of a listing.

Not given out, besides what is not below the directory:

- hidden files and directories, whose names begin with a dot, save for `.well-known` (RFC 8615);
- what is neither a file nor a directory: opening a pipe would wait, and a device may do anything;
- the files and directories that this server must keep back, by whatever name: its key, its key log,
its traces;
- files and directories that only their owner may read, where new ones would be readable by others
  as well: somebody has made them private. Under a umask that makes every new file so (077), and
  where there are no such modes (Windows), modes say nothing;
- files in which `key_material` recognises a private key, a key log, or a secret that this program
  wrote, whatever they are called and whatever their modes.
"""

from __future__ import annotations

import errno
import os
import random
import stat
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cached_property
from threading import Lock
from typing import BinaryIO

from handclasp.serving.key_material import key_material_in
from handclasp.values import dataclass

_HAS_DIR_FD = os.open in os.supports_dir_fd
_COMMON = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_FLAGS = os.O_RDONLY | _COMMON | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_ON_THE_WAY = getattr(os, "O_PATH", os.O_RDONLY) | _COMMON | getattr(os, "O_DIRECTORY", 0)

_WELL_KNOWN = ".well-known"

_PASSING = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO)
"""Errors that say nothing about whether a file is there."""

_MOST_VERDICTS = 10_000
_REPLACED = 1 / 16
"""The share of new verdicts that drive out an old one, once there are so many."""
"""The number of remembered files whose content was checked."""

_FINE_NS = 100_000_000
_COARSE_NS = 3_000_000_000
"""The age from which a file's times distinguish its states: file systems count in some
milliseconds, or in seconds, which shows in times that are whole.
"""


class NotServedError(Exception):
    """There is nothing to give out.

    Attributes:
        reason: why what is there is kept back; None if nothing is there.
    """

    def __init__(self, reason: str | None = None) -> None:
        super().__init__(reason or "there is no such file")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Opened:
    """A file or directory that may be sent.

    Attributes:
        status: of the opened file or directory.
        file: open for reading from its start; None for a directory.
        entries: the names in a directory; not all of them may be given out.
    """

    status: os.stat_result
    file: BinaryIO | None = None
    entries: Sequence[str] = ()


class Site:
    """The files below a directory that may be given out.

    Args:
        directory: where they are.
        private: paths of files and directories to keep back, under every name that they have.
    """

    def __init__(self, directory: str, private: Iterable[str | os.PathLike[str]] = ()) -> None:
        self._root = os.path.realpath(directory)
        self._private = tuple(private)
        self._judges_modes = _others_may_read_new_files()
        self._verdicts = _Verdicts()

    def private(self) -> Private:
        """Return the files to keep back, in their current state: they may have been replaced."""
        return Private(self._private)

    def open(
        self, names: Sequence[str], *, with_entries: bool = True, private: Private | None = None
    ) -> Opened:
        """Open what stands at these names below the directory, if it may be given out.

        Args:
            names: one for each component of the path; none for the directory itself.
            with_entries: whether to read what is in a directory.
            private: from `private()`, for many files in one go; None looks again.

        Raises:
            NotServedError: it is not there, or is kept back.
            OSError: this machine cannot read it now: it has no descriptor or memory left, or the
                disk has failed.
        """
        try:
            return self._open(names, with_entries, private or self.private())
        except OSError as error:
            if error.errno in _PASSING:
                raise
            raise NotServedError from None
        except ValueError:  # A name that no file can have.
            raise NotServedError from None

    def _open(self, names: Sequence[str], with_entries: bool, private: Private) -> Opened:
        if not all(_is_plain(name) for name in names):
            raise NotServedError
        resolved = self._resolved(names)
        for depth, name in enumerate(resolved):
            if name.startswith(".") and not (depth == 0 and name == _WELL_KNOWN):
                raise NotServedError("its name, or that of a directory above, begins with a dot")
        descriptor, above = _walk(self._root, resolved)
        try:
            status = (
                os.stat(os.path.join(self._root, *resolved))
                if descriptor is None
                else os.fstat(descriptor)
            )
            private.check(status, above)
            if self._judges_modes and not all(map(_others_may_enter, [*above, status][1:])):
                raise NotServedError("only its owner may read it or a directory above it")
            if stat.S_ISDIR(status.st_mode):
                place = os.path.join(self._root, *resolved) if descriptor is None else descriptor
                return Opened(status, None, tuple(os.listdir(place)) if with_entries else ())
            if descriptor is None or not stat.S_ISREG(status.st_mode):
                raise NotServedError("it is neither a file nor a directory")
            file = os.fdopen(descriptor, "rb")
            descriptor = None
        finally:
            if descriptor is not None:
                os.close(descriptor)
        try:
            self._verdicts.check(file, status)
        except BaseException:
            file.close()
            raise
        return Opened(status, file)

    def _resolved(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the names below the directory after all links are followed."""
        real = os.path.realpath(os.path.join(self._root, *names), strict=True)
        if os.path.commonpath((real, self._root)) != self._root:
            raise NotServedError("it is outside of the directory")
        relative = os.path.relpath(real, self._root)
        return () if relative == os.curdir else tuple(relative.split(os.sep))


class Private:
    """The files and directories that are kept back under every name, as they are at one moment."""

    def __init__(self, paths: Iterable[str | os.PathLike[str]]) -> None:
        self._found: dict[tuple[int, int], str | os.PathLike[str]] = {}
        for path in paths:
            with suppress(OSError):
                self._found[_identity(os.stat(path))] = path

    def check(self, status: os.stat_result, above: Sequence[os.stat_result]) -> None:
        """Raise `NotServedError` for one of them, and for what is in one of the directories."""
        identity = _identity(status)
        if any(each in self._found for each in (identity, *map(_identity, above))):
            raise NotServedError("this server keeps it to itself")
        if stat.S_ISREG(status.st_mode) and status.st_nlink > 1 and identity in self._inside:
            raise NotServedError("this server keeps it to itself, under another name")

    @cached_property
    def _inside(self) -> frozenset[tuple[int, int]]:
        """Yield the files in the private directories, which may have second names elsewhere."""
        directories = filter(os.path.isdir, self._found.values())
        return frozenset(each for path in directories for each in _identities_in(path))


class _Verdicts:
    """The verdicts on files, so that unchanged ones are not searched again."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], str | None] = {}
        self._lock = Lock()

    def check(self, file: BinaryIO, status: os.stat_result) -> None:
        """Raise `NotServedError` for a file with secrets; it is at its start afterwards."""
        times = (status.st_mtime_ns, status.st_ctime_ns)
        state = (*_identity(status), status.st_size, *times)
        now = time.time_ns()
        with self._lock:
            is_known = state in self._known
            found = self._known.get(state)
        if not is_known:
            found = key_material_in(file)
            file.seek(0)
            # Younger times may stay as they are when the file is written once more.
            if max(times) < now - _tick_ns(times):
                self._remember(state, found)
        if found is not None:
            raise NotServedError(found)

    def _remember(self, state: tuple[int, ...], found: str | None) -> None:
        with self._lock:
            if len(self._known) >= _MOST_VERDICTS:
                # A listing of more files asks for them in their order: if each new one drove out
                # the oldest, none would be there when it is asked for again.
                if random.random() > _REPLACED:  # noqa: S311 (nothing secret hangs on it)
                    return
                del self._known[next(iter(self._known))]
            self._known[state] = found


def seconds_of_a_tick(status: os.stat_result) -> float:
    """Return the age from which the times of a file distinguish its states."""
    return _tick_ns((status.st_mtime_ns, status.st_ctime_ns)) / 1e9


def _tick_ns(times: Sequence[int]) -> int:
    return _COARSE_NS if all(each % 1_000_000_000 == 0 for each in times) else _FINE_NS


def _walk(root: str, names: Sequence[str]) -> tuple[int | None, list[os.stat_result]]:
    """Open what stands at these names, following no link; and the states of what is above it.

    The descriptor is None for a directory where the system opens none (Windows).
    """
    if not _HAS_DIR_FD:
        return _open_whole(root, names)
    above: list[os.stat_result] = []
    here = os.open(root, _ON_THE_WAY if names else _FLAGS)
    try:
        for left, name in zip(range(len(names) - 1, -1, -1), names, strict=True):
            above.append(os.fstat(here))
            if not left and not _may_be_opened(os.lstat(name, dir_fd=here).st_mode):
                raise NotServedError("it is neither a file nor a directory")
            below = os.open(name, _ON_THE_WAY if left else _FLAGS, dir_fd=here)
            os.close(here)
            here = below
    except BaseException:
        os.close(here)
        raise
    return here, above


def _open_whole(root: str, names: Sequence[str]) -> tuple[int | None, list[os.stat_result]]:
    """Open a file where only whole paths can be opened; the path is checked again afterwards."""
    above = [os.stat(os.path.join(root, *names[:depth])) for depth in range(len(names))]
    path = os.path.join(root, *names)
    before = os.lstat(path)
    if not _may_be_opened(before.st_mode):
        raise NotServedError("it is neither a file nor a directory")
    if stat.S_ISDIR(before.st_mode):
        return None, above
    descriptor = os.open(path, _FLAGS)
    try:
        same = os.path.samestat(os.fstat(descriptor), before)
        if not same or os.path.realpath(path, strict=True) != path:
            raise NotServedError
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, above


def _may_be_opened(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def _is_plain(name: str, *, windows: bool = os.name == "nt") -> bool:
    """Return whether a name denotes exactly the directory entry that it seems to denote."""
    if name in ("", os.curdir, os.pardir) or "/" in name or "\0" in name:
        return False
    # Windows has a second separator, streams behind a colon, and drops dots and spaces at the end.
    return not windows or not ("\\" in name or ":" in name or name.endswith((".", " ")))


def _others_may_enter(status: os.stat_result) -> bool:
    return status.st_mode & 0o077 != 0


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _identities_in(directory: str | os.PathLike[str]) -> set[tuple[int, int]]:
    found: set[tuple[int, int]] = set()
    # Where it cannot be read now, nothing is known, and nothing is sent.
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(directory) as entries:
        for entry in entries:
            with suppress(OSError):
                found.add(_identity(os.stat(entry.path, follow_symlinks=False)))
    return found


def _others_may_read_new_files() -> bool:
    """Return whether others can read new files of this user by default."""
    if os.name != "posix":
        return False
    mask = os.umask(0o077)
    os.umask(mask)
    return mask & 0o044 != 0o044
