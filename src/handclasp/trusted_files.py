"""Files that must belong to this user alone: their content is trusted, or is secret.

The path of a file does not prove who wrote it. So a file is checked before it is read, by its open
descriptor, since its name may belong to another file a moment later. It must be a regular file of
this user, which nobody else may read or write, and which has only one name; and nobody else may be
able to replace it, or a directory on its path. So every directory from the root on is checked, by
its open descriptor, and every symbolic link among them.

Windows has neither owners nor modes of this kind: profile directories are private there, and the
only check is that it is a regular file.
"""

from __future__ import annotations

import errno
import os
import re
import stat

_FLAGS = (
    getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    # Without it, opening a pipe would wait for a writer.
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
)
_DIRECTORY_FLAGS = (
    # A directory on the path need not be readable.
    getattr(os, "O_PATH", getattr(os, "O_SEARCH", os.O_RDONLY))
    | getattr(os, "O_DIRECTORY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
)
_LINK_ERRORS = (errno.ELOOP, errno.EMLINK)
"""The errors of O_NOFOLLOW for a symbolic link: the second on FreeBSD."""

_MOST_LINKS = 40
"""The number of symbolic links that are followed on a path, as on Linux."""


class UntrustedFileError(PermissionError):
    """The file does not belong to this user alone. `strerror` is the reason, without a period."""

    def __init__(self, why: str, path: str) -> None:
        super().__init__(errno.EACCES, why, path)

    def command(self, path: str | os.PathLike[str]) -> str:
        """Return the command that makes the file at `path` private; empty if there is none."""
        why, text = self.strerror or "", os.fspath(path)
        if "read or write it" in why:
            return f"chmod 600 {text}"
        if "write to its directory" in why:
            return f"chmod go-w {os.path.dirname(text) or os.curdir}"
        found = re.search("write to the directory (.*) on the way", why)
        return f"chmod go-w {found[1]}" if found is not None else ""


def read_trusted(path: str | os.PathLike[str], *, may_be_linked: bool = False) -> bytes:
    """Return the content of a file that belongs to this user alone.

    The mode of an empty file does not matter.

    Args:
        may_be_linked: whether hard links to it are allowed, which some backups make.

    Raises:
        UntrustedFileError: others can read, write or replace it, or it is not a regular file.
        OSError: it does not exist, or cannot be read.
    """
    with open(open_trusted(path, os.O_RDONLY, may_be_linked=may_be_linked), "rb") as file:
        return file.read()


def open_trusted(path: str | os.PathLike[str], flags: int, *, may_be_linked: bool = False) -> int:
    """Open a file that belongs to this user alone; return its descriptor.

    The mode of an empty file does not matter: with `os.O_RDWR`, it becomes 0600.

    Args:
        flags: how to open it: `os.O_RDONLY`, or `os.O_RDWR`, also with `os.O_CREAT`.
        may_be_linked: whether hard links to it are allowed.

    Raises:
        UntrustedFileError: others can read, write or replace it, or it is not a regular file.
        OSError: it cannot be opened.
    """
    descriptor = _open(os.fsdecode(path), flags)
    try:
        state = os.fstat(descriptor)
        why = _why_not_ours(state, may_be_linked=may_be_linked)
        if why is not None:
            raise UntrustedFileError(why, os.fspath(path))
        if os.name == "posix" and flags & os.O_RDWR and state.st_mode & 0o077:
            os.fchmod(descriptor, 0o600)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _open(path: str, flags: int) -> int:
    """Open the file, in a directory in which nobody else can rename anything."""
    flags |= _FLAGS
    try:
        if os.name != "posix":
            if stat.S_ISLNK(os.lstat(path).st_mode):
                raise UntrustedFileError("it is a symbolic link", path)
            return os.open(path, flags, 0o600)
        directory, name = os.path.split(path)
        place = _open_directory(directory, path)
        try:
            return os.open(name or os.curdir, flags, 0o600, dir_fd=place)
        finally:
            os.close(place)
    except OSError as error:
        if error.errno in _LINK_ERRORS:
            raise UntrustedFileError("it is a symbolic link", path) from None
        raise


def _open_directory(directory: str, path: str) -> int:
    """Open the directory of a file, `path`, over directories that nobody else can change.

    Names are opened one by one, each in the directory before it, which is already checked.
    """
    way = directory if os.path.isabs(directory) else os.path.join(os.getcwd(), directory)
    ahead = _names_of(way)
    here, links = (
        _checked_directory(os.open(os.sep, _DIRECTORY_FLAGS), os.sep, path, is_last=not ahead),
        0,
    )
    passed: list[str] = []
    while ahead:
        name = ahead.pop()
        try:
            target = _link_target(name, here, path)
            if target is None:
                passed = passed[:-1] if name == os.pardir else [*passed, name]
                shown = os.sep + os.sep.join(passed)
                further = os.open(name, _DIRECTORY_FLAGS, dir_fd=here)
            else:
                links += 1
                if links > _MOST_LINKS:
                    raise UntrustedFileError("the way to it has too many symbolic links", path)
                ahead += _names_of(target)
                if not os.path.isabs(target):
                    continue
                shown, passed = os.sep, []
                further = os.open(os.sep, _DIRECTORY_FLAGS)
        except BaseException:
            os.close(here)
            raise
        os.close(here)
        here = _checked_directory(further, shown, path, is_last=not ahead)
    return here


def _names_of(way: str) -> list[str]:
    """Return the names in a path, the first one last."""
    return [name for name in reversed(way.split(os.sep)) if name not in ("", os.curdir)]


def _link_target(name: str, here: int, path: str) -> str | None:
    """Return the target of a symbolic link on the path; None if `name` is not a link."""
    state = os.stat(name, dir_fd=here, follow_symlinks=False)
    if not stat.S_ISLNK(state.st_mode):
        return None
    # In sticky directories, where everybody may create entries, the owner of a link could replace
    # it.
    if state.st_uid not in (os.geteuid(), 0):
        raise UntrustedFileError(f"a link on the way to it, {name}, belongs to another user", path)
    return os.readlink(name, dir_fd=here)


def _checked_directory(directory: int, shown: str, path: str, *, is_last: bool) -> int:
    """Return the descriptor of a directory in which nobody else can rename; close it otherwise."""
    what = "its directory" if is_last else f"the directory {shown} on the way to it"
    why = _why_replaceable(os.fstat(directory), what)
    if why is not None:
        os.close(directory)
        raise UntrustedFileError(why, path)
    return directory


def _why_not_ours(state: os.stat_result, *, may_be_linked: bool) -> str | None:
    """Return why this open file does not belong to this user alone; None if it does."""
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


def _why_replaceable(directory: os.stat_result, what: str) -> str | None:
    """Return why others could replace entries of a directory; None if they cannot.

    With an older copy of a file, sessions that are for one use would be used again.
    """
    if directory.st_uid not in (os.geteuid(), 0):
        return f"{what} belongs to another user"
    if directory.st_mode & 0o022 and not directory.st_mode & stat.S_ISVTX:
        return f"others can write to {what}"
    return None
