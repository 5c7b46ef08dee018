"""Files that hold secrets: for their owner alone, whatever stood at their path before.

A file with a mode of its own keeps that mode when it is written again, and a symbolic link leads
the writer to wherever it points. So nothing is written into what is there: the content goes into
a new file of mode 0600 beside it, which then takes its name. A link is replaced, and what it
pointed to is left alone. Only files that are appended to cannot be renewed; they are opened by
`append_private`, which refuses what is not the user's own.

A device, a pipe, or one of the process's own descriptors (`/dev/stdout`, `/dev/fd/3`) is no file
that could be replaced; it is written to as it stands. A directory is an `IsADirectoryError`.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

PRIVATE_MODE = 0o600
PUBLIC_MODE = 0o644
DRAFT_PREFIX = ".new-"
"""Drafts have hidden names in the directory of the file that they are to become."""

_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_OWN_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d{1,9})")
_OWN_DESCRIPTORS = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}


def write_private(path: str | os.PathLike[str], data: bytes) -> None:
    """Make `data` the content of a file of mode 0600, all at once. Raises `OSError`."""
    _replace(path, data, PRIVATE_MODE)


def write_public(path: str | os.PathLike[str], data: bytes) -> None:
    """Do the same for a file that everybody may read: mode 0644. Raises `OSError`."""
    _replace(path, data, PUBLIC_MODE)


def create_private(path: str | os.PathLike[str]) -> BinaryIO:
    """Put a new, empty file of mode 0600 at a path, and return it open for writing.

    What stood there before is replaced at once, so that whoever follows the file sees it grow.
    Raises `OSError`.
    """
    descriptor = _special(path)
    if descriptor is not None:
        return open(descriptor, "wb")
    draft = _draft_for(path, b"")
    file = draft.open("r+b")
    try:
        if os.name == "nt":  # No file that is open is renamed there.
            file.close()
        os.replace(draft, path)
    except OSError:
        file.close()
        draft.unlink(missing_ok=True)
        raise
    return Path(path).open("r+b") if file.closed else file


def append_private(path: str | os.PathLike[str]) -> int:
    """Open a file to append to, made with mode 0600 if there is none; return the descriptor.

    A file of this user's that others can read or write is made theirs alone.

    Raises:
        OSError: it cannot be opened, is a symbolic link or a directory, has several names (hard
            links), or belongs to somebody else.
    """
    own = _own_descriptor(path)
    if own is not None:
        return os.dup(own)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | _FLAGS
    # Without O_NONBLOCK a pipe that nobody reads would be waited for.
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    flags |= getattr(os, "O_NOCTTY", 0)
    try:
        descriptor = os.open(path, flags, PRIVATE_MODE)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK) and os.path.islink(path):
            raise _refused("it is a symbolic link; name the file that it leads to", path) from None
        raise
    return _ours(descriptor, path)


def make_private_directory(path: str | os.PathLike[str]) -> None:
    """Make a directory of mode 0700 where there is none, and with that mode those that lead to it.

    With the mode that the umask gives, others could rename on the way to it. What is there already
    stays as it is. Raises `OSError`.
    """
    place = Path(path)
    if not place.is_dir():
        if place.parent != place:
            make_private_directory(place.parent)
        place.mkdir(mode=0o700, exist_ok=True)


def draft_private(directory: str | os.PathLike[str], data: bytes) -> Path:
    """Make a new file of mode 0600 with this content, complete and on the disk.

    Its name begins with `DRAFT_PREFIX`; the caller renames or unlinks it. Raises `OSError`.
    """
    from tempfile import mkstemp  # It brings much along, and few write such files.

    descriptor, name = mkstemp(dir=os.fspath(directory), prefix=DRAFT_PREFIX)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        with suppress(OSError):
            os.unlink(name)
        raise
    return Path(name)


def _replace(path: str | os.PathLike[str], data: bytes, mode: int) -> None:
    descriptor = _special(path)
    if descriptor is not None:
        with open(descriptor, "wb") as file:
            file.write(data)
        return
    draft = _draft_for(path, data)
    try:
        if mode != PRIVATE_MODE:
            draft.chmod(mode)
        os.replace(draft, path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def _draft_for(path: str | os.PathLike[str], data: bytes) -> Path:
    """Make a draft beside a file, and let errors name that file: nobody knows the draft."""
    try:
        return draft_private(Path(path).parent, data)
    except OSError as error:
        error.filename = os.fspath(path)
        raise


def _special(path: str | os.PathLike[str]) -> int | None:
    """Open what cannot be replaced by a file; None if a file can stand at this path."""
    own = _own_descriptor(path)
    if own is not None:
        return os.dup(own)
    try:
        mode = os.stat(path).st_mode
    except OSError:  # Nothing, or a link that leads nowhere: it will be replaced.
        return None
    if stat.S_ISREG(mode):
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    flags = os.O_WRONLY | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_NONBLOCK", 0) | _FLAGS
    return _ours(os.open(path, flags), path)


def _own_descriptor(path: str | os.PathLike[str]) -> int | None:
    """The number of the descriptor of this process that a path names, if it names one."""
    if os.name != "posix":
        return None
    text = os.fsdecode(os.fspath(path))
    found = _OWN_DESCRIPTOR.fullmatch(text)
    return int(found[1]) if found is not None else _OWN_DESCRIPTORS.get(text)


def _ours(descriptor: int, path: str | os.PathLike[str]) -> int:
    """The descriptor, of a file that is the user's alone from here on, a pipe, or a device."""
    try:
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) or stat.S_ISFIFO(found.st_mode):
            _take_for_us(descriptor, found, path)
        elif not stat.S_ISCHR(found.st_mode):
            raise _refused("it is neither a file nor a pipe nor a character device", path)
        if os.name == "posix":
            os.set_blocking(descriptor, True)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _take_for_us(descriptor: int, found: os.stat_result, path: str | os.PathLike[str]) -> None:
    if os.name != "posix":  # Elsewhere, owner and mode say nothing.
        return
    if found.st_uid != os.geteuid():
        raise _refused("it belongs to another user, who could read what is written", path)
    if found.st_nlink > 1:
        raise _refused("it has another name as well (a hard link)", path)
    if found.st_mode & 0o077:
        os.fchmod(descriptor, PRIVATE_MODE)


def _refused(why: str, path: str | os.PathLike[str]) -> PermissionError:
    return PermissionError(errno.EPERM, why, os.fspath(path))
