"""What `handclasp serve` gives out of a directory: one function decides, on the opened file.

A name says little about what is behind it: a symbolic link may lead out of the directory, a hard
link is a second name of a file elsewhere, and either may change between the look and the opening.
So a name is resolved first; then what it resolved to is opened component by component, without
following any link, from the directory downward; and whether it may be given out is decided on what
was opened. `Site.open` does this for files, for the `index.html` that stands in for a directory,
and for each entry of a listing.

Not given out, besides what is not below the directory:

- hidden files and directories, whose names begin with a dot, save for `.well-known` (RFC 8615);
- what is neither a file nor a directory: opening a pipe would wait, and a device may do anything;
- the files and directories that this server was told to keep to itself, by whatever name: its key,
  its key log, its traces;
- files and directories that only their owner may read, where new ones would be readable by others
  as well: somebody has made them private;
- files that hold a private key or a key log, whatever they are called.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

_HAS_DIR_FD = os.open in os.supports_dir_fd
_COMMON = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_FLAGS = os.O_RDONLY | _COMMON | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_ON_THE_WAY = getattr(os, "O_PATH", os.O_RDONLY) | _COMMON | getattr(os, "O_DIRECTORY", 0)

_FIRST_BYTES = 4096
_MOST_BYTES = 1 << 20
"""How much of a text is searched for keys."""

_WELL_KNOWN = ".well-known"

_BEGIN = rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
_KEY = re.compile(
    # Alone on a line; or else headers (RFC 1421), ends of lines, also as JSON and programs write
    # them, and marks of comments and quotes; then base64, which programs that read keys lack.
    rb"^(?:\xef\xbb\xbf)?[ \t]*"
    + _BEGIN
    + rb"[ \t]*\r?$|"
    + _BEGIN
    + rb"(?:\\[rnt]|[\s\"'+,;#>|*]|[A-Za-z-]{3,20}: [^\r\n\\]*+)*+[A-Za-z0-9+/=]{32}",
    re.MULTILINE,
)
_KEY_LOG_WORDS = (b"CLIENT_RANDOM ", b"_SECRET")
_KEY_LOG = re.compile(rb"^[A-Z][A-Z0-9_]{5,50} [0-9A-Fa-f]{64} [0-9A-Fa-f]{64}", re.MULTILINE)
_LENGTH = rb"(?:[\x00-\x7f]|\x80|\x81.|\x82..|\x83...)"
_DER_KEY = re.compile(
    rb"\x30" + _LENGTH + rb"(?:"
    # PKCS #8 (RFC 5958), PKCS #1 (RFC 8017 A.1.2), SEC 1 (RFC 5915) and PKCS #12 (RFC 7292)
    rb"\x02\x01[\x00\x01][\x30\x02]|\x02\x01\x01\x04|\x02\x01\x03\x30"
    # EncryptedPrivateKeyInfo (RFC 5958), encrypted as in PKCS #5 or PKCS #12
    rb"|\x30" + _LENGTH + rb"\x06.\x2a\x86\x48\x86\xf7\x0d\x01(?:\x05|\x0c\x01))",
    re.DOTALL,
)
_KEY_STARTS = (b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce", b"PuTTY-User-Key-File-")
"""How Java's key stores (JKS, JCEKS) and PuTTY's keys begin."""


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
    """What may be given out.

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

    def open(self, names: Sequence[str], *, with_entries: bool = True) -> Opened:
        """Open what stands at these names below the directory, if it may be given out.

        Args:
            names: one for each component of the path; none for the directory itself.
            with_entries: whether to read what is in a directory.

        Raises:
            NotServedError: it is not there, or is kept back.
        """
        try:
            return self._open(names, with_entries=with_entries)
        except (OSError, ValueError):  # ValueError: a name that no file can have.
            raise NotServedError from None

    def _open(self, names: Sequence[str], *, with_entries: bool) -> Opened:
        if not all(_is_plain(name) for name in names):
            raise NotServedError
        resolved = self._resolved(names)
        for depth, name in enumerate(resolved):
            if name.startswith(".") and not (depth == 0 and name == _WELL_KNOWN):
                raise NotServedError("its name, or that of a directory above, begins with a dot")
        private = self._identities()
        descriptor, above = _walk(self._root, resolved)
        try:
            status = (
                os.stat(os.path.join(self._root, *resolved))
                if descriptor is None
                else os.fstat(descriptor)
            )
            self._check_identity(status, above, private)
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
            _check_content(file)
        except BaseException:
            file.close()
            raise
        return Opened(status, file)

    def _resolved(self, names: Sequence[str]) -> tuple[str, ...]:
        """The names that are left below the directory once every link is followed."""
        real = os.path.realpath(os.path.join(self._root, *names), strict=True)
        if os.path.commonpath((real, self._root)) != self._root:
            raise NotServedError("it is outside of the directory")
        relative = os.path.relpath(real, self._root)
        return () if relative == os.curdir else tuple(relative.split(os.sep))

    def _identities(self) -> dict[tuple[int, int], str | os.PathLike[str]]:
        """The private files as they are now: they may have been replaced since the start."""
        found: dict[tuple[int, int], str | os.PathLike[str]] = {}
        for path in self._private:
            with suppress(OSError):
                found[_identity(os.stat(path))] = path
        return found

    def _check_identity(
        self,
        status: os.stat_result,
        above: Sequence[os.stat_result],
        private: dict[tuple[int, int], str | os.PathLike[str]],
    ) -> None:
        identity = _identity(status)
        if any(each in private for each in (identity, *map(_identity, above))):
            raise NotServedError("this server keeps it to itself")
        if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
            for path in private.values():
                if os.path.isdir(path) and identity in _identities_in(path):
                    raise NotServedError("this server keeps it to itself, under another name")


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
    """The same where only whole paths can be opened: the path is looked at again afterwards."""
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
    """Whether a name stands for one entry of a directory, and for no other one than it seems."""
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
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            with suppress(OSError):
                found.add(_identity(os.stat(entry.path, follow_symlinks=False)))
    return found


def _check_content(file: BinaryIO) -> None:
    """Refuse keys; the file is at its start again afterwards."""
    data = file.read(_FIRST_BYTES)
    if data.startswith(_KEY_STARTS) or _DER_KEY.match(data):
        raise NotServedError("it looks like a private key or a key store")
    if b"\0" not in data:  # It may be text; in other files there are no lines to search for.
        data += file.read(_MOST_BYTES - len(data))
        if b"PRIVATE KEY" in data and _KEY.search(data):
            raise NotServedError("it holds a private key")
        if any(word in data for word in _KEY_LOG_WORDS) and _KEY_LOG.search(data):
            raise NotServedError("it is a key log")
    file.seek(0)


def _others_may_read_new_files() -> bool:
    """Whether this user's files are readable by others unless they are made private."""
    if os.name != "posix":
        return False
    mask = os.umask(0o077)
    os.umask(mask)
    return mask & 0o044 != 0o044
