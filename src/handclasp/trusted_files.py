"""Files that must be this user's own: what they say is believed, or they hold secrets.

That a file lies where it is expected says nothing of who wrote it. So it is judged before a byte of
it is read, and by its open descriptor: a name may stand for another file a moment later. It must be
a regular file that belongs to this user, that nobody else may read or write, and that has one name
only; and nobody else may be able to put another file in its place.

Windows has neither owners nor modes of this kind: there a profile directory is private, and no more
is looked at than whether it is a regular file.
"""

from __future__ import annotations

import errno
import os
import re
import stat

_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    # Without it, opening a pipe waits for somebody who writes.
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
)
_DIRECTORY_FLAGS = (
    getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
)
_LINK_ERRORS = (errno.ELOOP, errno.EMLINK)
"""What O_NOFOLLOW gives for a symbolic link: the second on FreeBSD."""


class UntrustedFileError(PermissionError):
    """The file is not this user's own. `strerror` says why, in words that go behind a colon."""

    def __init__(self, why: str, path: str) -> None:
        super().__init__(errno.EACCES, why, path)

    def command(self, path: str | os.PathLike[str]) -> str:
        """The command after which the file at `path` is this user's alone; empty if none is."""
        why, text = self.strerror or "", os.fspath(path)
        if "read or write it" in why:
            return f"chmod 600 {text}"
        if "write to its directory" in why:
            return f"chmod go-w {os.path.dirname(text) or os.curdir}"
        found = re.search("write to the directory (.*) on the way", why)
        return f"chmod go-w {found[1]}" if found is not None else ""


def read_trusted(path: str | os.PathLike[str], *, may_be_linked: bool = False) -> bytes:
    """All that a file of this user's own holds.

    One that is empty has nothing to hide and says nothing, so that its mode does not matter.

    Args:
        may_be_linked: whether hard links to it are allowed, as some backups make them.

    Raises:
        UntrustedFileError: others can read, write or replace it, or it is no regular file.
        OSError: it is not there, or cannot be read.
    """
    descriptor = _open(os.fspath(path))
    state = os.fstat(descriptor)
    why = _why_not_ours(state, may_be_linked=may_be_linked)
    if why is not None or not state.st_size:
        os.close(descriptor)
        if why is not None:
            raise UntrustedFileError(why, os.fspath(path))
        return b""
    with open(descriptor, "rb") as file:
        return file.read()


def _open(path: str) -> int:
    """The file itself, out of a directory in which nobody else can rename anything."""
    directory, name = os.path.split(path)
    try:
        if os.name != "posix":
            if stat.S_ISLNK(os.lstat(path).st_mode):
                raise UntrustedFileError("it is a symbolic link", path)
            return os.open(path, _FLAGS)
        place = os.open(directory or os.curdir, _DIRECTORY_FLAGS)
        try:
            why = _why_replaceable(os.fstat(place))
            if why is not None:
                raise UntrustedFileError(why, path)
            return os.open(name or os.curdir, _FLAGS, dir_fd=place)
        finally:
            os.close(place)
    except OSError as error:
        if error.errno in _LINK_ERRORS:
            raise UntrustedFileError("it is a symbolic link", path) from None
        raise


def _why_not_ours(state: os.stat_result, *, may_be_linked: bool) -> str | None:
    """Why this open file is not this user's own; None where it is."""
    if not stat.S_ISREG(state.st_mode):
        return "it is no regular file"
    if os.name != "posix":
        return None
    if state.st_uid != os.geteuid():
        return "it belongs to another user"
    if state.st_nlink > 1 and not may_be_linked:
        return "it has a second name, a hard link"
    if state.st_size and state.st_mode & 0o077:
        return f"others can read or write it (mode {stat.S_IMODE(state.st_mode):04o})"
    return None


def _why_replaceable(directory: os.stat_result) -> str | None:
    """Why others could put another file in its place; None where they cannot.

    With an older copy of the same file, sessions that are for one use would be used again.
    """
    if directory.st_uid not in (os.geteuid(), 0):
        return "its directory belongs to another user"
    if directory.st_mode & 0o022 and not directory.st_mode & stat.S_ISVTX:
        return "others can write to its directory"
    return None
