"""Files for secrets: only their owner can read them, whatever was at the path before.

An existing file keeps its mode when it is written again, and writing follows a symbolic link. So
existing files are never written: the content goes into a new file of mode 0600 beside it, which is
then renamed. A link is replaced, and its target is not touched. Only files that are appended to
cannot be replaced; `append_private` opens them, and refuses files of other users.

Other users who can write to the directory might replace the new file by a file or a link of their
own. So it is written, and its mode is set, through the descriptor that created it, and its name is
used only while it still belongs to that file. The new file is unlinked if anything fails, including
an interrupt (`KeyboardInterrupt`).

A device of the user or of the system, a pipe of the user, and a descriptor of the process
(`/dev/stdout`, `/dev/fd/3`) cannot be replaced; they are written to directly. A directory is an
`IsADirectoryError`.

>>> from handclasp.private_files import (
...     Draft, append_private, create_private, draft_private, make_private_directory,
...     write_private, write_public,
... )
>>> make_private_directory("secrets")
>>> write_private("secrets/key.pem", b"the key")
>>> write_public("chain.pem", b"the certificates")
>>> with create_private("secrets/log") as file:
...     file.write(b"hello")
5
>>> os.close(append_private("secrets/log"))
>>> draft: Draft
>>> with draft_private("secrets") as draft:
...     draft.write(b"whole, or not at all")
...     draft.rename("secrets/file")
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

PRIVATE_MODE = 0o600
PUBLIC_MODE = 0o644
DRAFT_PREFIX = ".new-"
"""Drafts have hidden names in the directory of their final file."""

_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_WITHOUT_SURPRISES = (
    getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
)
"""Without O_NONBLOCK, opening a pipe would wait for a reader."""

_OWN_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d{1,9})")
_OWN_DESCRIPTORS = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}


def write_private(path: str | os.PathLike[str], data: bytes | memoryview) -> None:
    """Write `data` to a file of mode 0600, atomically; raise `OSError`."""
    data = memoryview(data)  # No traceback must show it.
    _replace(path, data, PRIVATE_MODE)


def write_public(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to a file that everybody may read, of mode 0644; raise `OSError`."""
    _replace(path, data, PUBLIC_MODE)


def create_private(path: str | os.PathLike[str]) -> BinaryIO:
    """Create a new, empty file of mode 0600, and return it open for writing.

    An existing file is replaced at once, so that programs that follow the file see it grow. Raises
    `OSError`.
    """
    descriptor = _special(path)
    if descriptor is not None:
        return open(descriptor, "wb")
    with _draft_for(path) as draft:
        if os.name == "nt":
            draft.rename(path)
            return draft.reopen(path)
        file = open(os.dup(draft.descriptor), "wb")  # noqa: SIM115 (it is returned)
        try:
            draft.rename(path)
        except BaseException:
            file.close()
            raise
        return file


def append_private(path: str | os.PathLike[str]) -> int:
    """Open a file for appending, created with mode 0600 if necessary; return the descriptor.

    If others can read or write a file of this user, its mode is changed to 0600.

    Raises:
        OSError: it cannot be opened, is a symbolic link or a directory, has several names (hard
            links), or belongs to another user.
    """
    own = _own_descriptor(path)
    if own is not None:
        return os.dup(own)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | _WITHOUT_SURPRISES | _FLAGS
    try:
        descriptor = os.open(path, flags, PRIVATE_MODE)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK) and os.path.islink(path):
            raise _refused("it is a symbolic link; name the file that it leads to", path) from None
        raise
    return _ours(descriptor, path)


def make_private_directory(path: str | os.PathLike[str]) -> None:
    """Make a directory of mode 0700, with all missing parents, unless it exists.

    With the mode of the umask, others could rename directories on the path. Existing ones are not
    changed. Raises `OSError`.
    """
    place = Path(path)
    if not place.is_dir():
        if place.parent != place:
            make_private_directory(place.parent)
        place.mkdir(mode=0o700, exist_ok=True)


class Draft:
    """A new file of mode 0600 that has not been renamed yet; see `draft_private`.

    Attributes:
        path: its path, unless somebody moved it.
        descriptor: its open descriptor; -1 once it is closed.
    """

    __slots__ = ("_identity", "descriptor", "path")

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor
        self._identity = os.fstat(descriptor)

    def write(self, data: bytes | memoryview) -> None:
        """Write all of `data`, and wait until it is on the disk; raise `OSError`."""
        with open(self.descriptor, "wb", closefd=False) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def rename(self, path: str | os.PathLike[str]) -> None:
        """Move the file to `path`, replacing an existing one; raise `OSError`."""
        self.check(os.lstat(self.path))
        if os.name == "nt":  # Windows does not rename open files.
            self.close()
        os.replace(self.path, path)

    def reopen(self, path: str | os.PathLike[str]) -> BinaryIO:
        """Open the file that was renamed to `path`; raise `OSError` if it is another one by now."""
        file = Path(path).open("r+b")  # noqa: SIM115 (it is returned)
        try:
            self.check(os.fstat(file.fileno()))
        except BaseException:
            file.close()
            raise
        return file

    def check(self, found: os.stat_result) -> None:
        """Raise `PermissionError` if `found` is not this file: somebody swapped it."""
        if not os.path.samestat(self._identity, found):
            raise _refused("somebody put another file in its place", self.path)

    def close(self) -> None:
        """Close the descriptor, if it is open."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


@contextmanager
def draft_private(directory: str | os.PathLike[str]) -> Generator[Draft]:
    """Make a new, empty file of mode 0600, which is unlinked at the end unless it was renamed.

    Its name begins with `DRAFT_PREFIX`. Raises `OSError`.
    """
    path = Path(directory) / f"{DRAFT_PREFIX}{os.urandom(8).hex()}"
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS
    draft = None
    try:
        # The name is known before the file exists: an interrupt at any time leaves no file.
        draft = Draft(path, os.open(path, flags, PRIVATE_MODE))
        yield draft
    finally:
        if draft is not None:
            draft.close()
        with suppress(OSError):
            os.unlink(path)


def _replace(path: str | os.PathLike[str], data: bytes | memoryview, mode: int) -> None:
    descriptor = _special(path)
    if descriptor is not None:
        with _named_in_errors(path), open(descriptor, "wb") as file:
            file.write(data)
        return
    with _draft_for(path) as draft:
        draft.write(data)
        if mode != PRIVATE_MODE and os.name == "posix":
            os.fchmod(draft.descriptor, mode)
        draft.rename(path)


@contextmanager
def _draft_for(path: str | os.PathLike[str]) -> Generator[Draft]:
    """Make a draft beside a file, and name that file in errors: users do not know the draft."""
    with _named_in_errors(path), draft_private(Path(path).parent) as draft:
        yield draft


@contextmanager
def _named_in_errors(path: str | os.PathLike[str]) -> Generator[None]:
    """Name a file in errors that name none, as those of a full disk, or that name a draft."""
    try:
        yield
    except OSError as error:
        name: object = error.filename
        is_draft = isinstance(name, str) and os.path.basename(name).startswith(DRAFT_PREFIX)
        if is_draft or (name is None and error.errno is not None):
            # An error of a rename has two names, which an error with one cannot lose again.
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error
        raise


def _special(path: str | os.PathLike[str]) -> int | None:
    """Open a path that cannot be replaced by a file; None if it can."""
    own = _own_descriptor(path)
    if own is not None:
        return os.dup(own)
    try:
        mode = os.lstat(path).st_mode
    except OSError:  # There is nothing, or it cannot be read: creating the file will raise.
        return None
    if stat.S_ISREG(mode) or stat.S_ISLNK(mode):
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    flags = os.O_WRONLY | _WITHOUT_SURPRISES | _FLAGS
    return _ours(os.open(path, flags), path)


def _own_descriptor(path: str | os.PathLike[str]) -> int | None:
    """Return the number of the descriptor that a path such as /dev/fd/3 names; None for others."""
    if os.name != "posix":
        return None
    text = os.fsdecode(os.fspath(path))
    found = _OWN_DESCRIPTOR.fullmatch(text)
    return int(found[1]) if found is not None else _OWN_DESCRIPTORS.get(text)


def _ours(descriptor: int, path: str | os.PathLike[str]) -> int:
    """Return the descriptor of a pipe, a device, or a file, which is made private to the user."""
    try:
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) or stat.S_ISFIFO(found.st_mode):
            _take_for_us(descriptor, found, path)
        elif not stat.S_ISCHR(found.st_mode):
            raise _refused("it is neither a file nor a pipe nor a character device", path)
        elif os.name == "posix" and found.st_uid not in (0, os.geteuid()):
            raise _refused("it is a device of another user, who could read what is written", path)
        if os.name == "posix":
            os.set_blocking(descriptor, True)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _take_for_us(descriptor: int, found: os.stat_result, path: str | os.PathLike[str]) -> None:
    if os.name != "posix":  # On other systems, owner and mode mean nothing.
        return
    if found.st_uid != os.geteuid():
        raise _refused("it belongs to another user, who could read what is written", path)
    if found.st_nlink > 1:
        raise _refused("it has another name as well (a hard link)", path)
    if found.st_mode & 0o077:
        os.fchmod(descriptor, PRIVATE_MODE)


def _refused(why: str, path: str | os.PathLike[str]) -> PermissionError:
    return PermissionError(errno.EPERM, why, os.fspath(path))
