"""A store of sessions in a file, which outlives the process and is shared by several.

The file is appended to: a line for each session, with the name of its key, a tab, and JSON. A
session that is taken out is overwritten where it stands, so that its secret is gone from the file
at once. When the file would take twice the bytes that its sessions may take, those that are left
are written into a new file, which replaces it. So a process that is killed at any time loses at
most the session that it was writing.

Each use opens the file anew, since its path may belong to another file by now, and a fork would
share the descriptor. It locks the file against other processes, and reads only what was appended
since its last use: where the sessions stand is kept in memory.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from handclasp.errors import ConfigurationError, check_path_text, path_errors
from handclasp.input_files import read_regular
from handclasp.private_files import DRAFT_PREFIX, draft_private
from handclasp.process import ProcessLock
from handclasp.sessions.bounded import MOST_PER_NAME, BoundedEntries
from handclasp.sessions.session import Session, session_to_text
from handclasp.sessions.store import (
    DEFAULT_BYTES,
    DEFAULT_CAPACITY,
    KEY_OF_PROCESS,
    SessionStore,
)
from handclasp.trusted_files import UntrustedFileError, open_trusted

if sys.platform == "win32":
    from msvcrt import LK_NBLCK, LK_UNLCK, locking

    def _try_lock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        locking(descriptor, LK_NBLCK, 1)

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        locking(descriptor, LK_UNLCK, 1)

    def _read_at(descriptor: int, size: int, at: int) -> bytes:
        os.lseek(descriptor, at, os.SEEK_SET)
        return os.read(descriptor, size)

    def _write_at(descriptor: int, data: memoryview, at: int) -> int:
        os.lseek(descriptor, at, os.SEEK_SET)
        return os.write(descriptor, data)

else:
    from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock

    def _read_at(descriptor: int, size: int, at: int) -> bytes:
        return os.pread(descriptor, size, at)

    def _write_at(descriptor: int, data: memoryview, at: int) -> int:
        return os.pwrite(descriptor, data, at)

    def _try_lock(descriptor: int) -> None:
        flock(descriptor, LOCK_EX | LOCK_NB)

    def _unlock(descriptor: int) -> None:
        flock(descriptor, LOCK_UN)


_HEADER_START = b"handclasp sessions 4 "
_HEADER = re.compile(re.escape(_HEADER_START) + rb"[0-9a-f]{16}\n")
_HEADER_SIZE = len(_HEADER_START) + 17
"""The first line has random digits: another file may have the inode of one that is gone."""
_OLDER = re.compile(rb"handclasp sessions [0-9]\n|\{\s{0,99}\"sessions\":")
"""The beginnings of files of older versions, which are replaced."""

_NAME_SIZE = 64
_LINE = re.compile(rb"^([0-9a-f]{%d})\t(\{.*)\n" % _NAME_SIZE, re.MULTILINE)
"""The line of a session; one that is gone has no brace."""
_GONE = b"-"

_LEFTOVER = re.compile(
    rf"(?:{re.escape(DRAFT_PREFIX)}|\.sessions-)[0-9a-f]{{16}}|\.sessions-[a-z0-9_]{{8}}(?:-old)?"
)
"""The names of drafts, also those of older versions; others may have such names as well."""
_LONGEST_CHANGE = 60.0
"""Seconds after which the process that made a draft is taken for dead; a change takes a few ms."""

_PATIENCE = 1.0
"""Seconds to wait for another process, once; without the file, the handshake is a full one."""
_PAUSE = 0.0005

_MOST_BYTES = 2**26
"""A file that is larger by so much than it may be was not written here, and is not read."""

_Place = tuple[int, int]
"""The offset of a line, and its bytes."""


class FileSessionStore(SessionStore):
    """A store in a file that only its owner can read.

    Several processes may use one file, on one machine: no two of them get the same session of
    TLS 1.3. The file must not be on a network file system.

    The file holds secrets: anybody who can read it can resume the sessions, and anybody who can
    write it can make this client accept another server. So it must be this user's own, in a
    directory where nobody else can replace it, each time that it is used. A file that is missing,
    broken or of an older version counts as empty. If it cannot be written, or another process does
    not release it within a second, sessions are lost and the connection continues; the
    logger "handclasp" gets one warning if the reason will not go away by itself.

    A process that is killed loses at most the session that it was writing. What it leaves beside
    the file is removed by the first write of another store that comes a minute later or more. After
    a power failure, the last changes may be missing.

    Sessions that depend on callbacks can be resumed by this process alone. They are kept in memory,
    within the same bounds, and never reach the file.

    Args:
        path: the file; it is made when the first session is kept.
        capacity: how many keys to keep sessions for.
        max_bytes: the bytes that the sessions may take, from 262144 on; the file is at most twice
            as large. A session that takes more than a sixteenth of it is not kept, and no key gets
            more than an eighth.

    Raises:
        ConfigurationError: bounds that are not such numbers; its directory does not exist, or
            cannot be written to; or it is there, and is no such file, or others can read, write or
            replace it. What holds something else is not overwritten.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        capacity: int = DEFAULT_CAPACITY,
        max_bytes: int = DEFAULT_BYTES,
    ) -> None:
        super().__init__(capacity, max_bytes)
        if not isinstance(path, str | os.PathLike):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(
                f"The session file must be a path, not {type(path).__name__}; in memory, sessions "
                "are kept by SessionStore()."
            )
        check_path_text(os.fsdecode(path), "The session file")
        self._path = Path(os.path.abspath(os.fsdecode(path)))  # The process may change directories.
        self._has_warned = self._has_tidied = False
        self._is_patient = True
        self._lock = ProcessLock()
        self._index = _Index(capacity, max_bytes)
        with path_errors(f"use the session file {self._path}"):
            has_place, why = self._path.parent.is_dir(), self._why_not_ours()
        if not has_place:
            raise ConfigurationError(
                f"The directory of the session file {self._path} does not exist: make it first"
                + (", or expand ~ (os.path.expanduser)." if str(path).startswith("~") else ".")
            )
        if why is not None:
            raise ConfigurationError(f"Cannot use the session file {self._path}: {why}")
        with path_errors(f"write the session file {self._path}"), draft_private(self._path.parent):
            pass  # A file that is full is replaced by a new one beside it.

    def _why_not_ours(self) -> str | None:
        """Return the reason not to trust the file, by opening it once."""
        try:
            data = self._beginning()
        except FileNotFoundError:
            return None
        except UntrustedFileError as error:
            return f"{error.strerror}. {_remedy(error, self._path)}"
        except OSError as error:
            return f"{error.strerror or error}."
        is_ours = not data.strip() or _HEADER.match(data) or _OLDER.match(data)
        return None if is_ours else "it holds something else. Name another file."

    def _beginning(self) -> bytes:
        descriptor = open_trusted(self._path, os.O_RDONLY)
        try:
            return _read_at(descriptor, 4096, 0)
        finally:
            os.close(descriptor)

    def put(self, key: str, session: Session) -> None:
        """Keep a session."""
        if key.startswith(KEY_OF_PROCESS):
            super().put(key, session)
            return
        if session.size > self._max_bytes // 16:
            return  # Its line would be longer still, and take time to write.
        line = _line_of(_name_of(key), session)
        if len(line) > self._max_bytes // 16:
            return
        with self._opened(os.O_CREAT) as file:
            if file is not None:
                self._append(file, line)

    def take(self, key: str) -> Session | None:
        """Return the newest session under this key; a session of TLS 1.3 is returned once."""
        if key.startswith(KEY_OF_PROCESS):
            return super().take(key)
        name = _name_of(key)
        with self._opened() as file:
            return None if file is None else self._newest_in(file, name)
        return None

    def _newest_in(self, file: int, name: bytes) -> Session | None:
        """Return the newest session of a name, removed unless it may stay. Raises `OSError`."""
        entries = self._index.entries
        while (place := entries.newest(name)) is not None:
            session = _session_in(_read(file, place), name)
            if session is not None:
                if session.version == "TLSv1.2":
                    return session
                # If it cannot be removed, it must not be used: it might be used twice.
                _overwrite(file, place)
            entries.remove(name, place)
            if session is not None:
                return session
        return None

    def discard(self, key: str, session: Session) -> None:
        """Forget a session that the server did not resume."""
        if key.startswith(KEY_OF_PROCESS):
            super().discard(key, session)
            return
        name = _name_of(key)
        line = _line_of(name, session)
        with self._opened() as file:
            for place in list(self._index.entries.held.get(name, ())):
                if file is not None and _read(file, place) == line:
                    _overwrite(file, place)
                    self._index.entries.remove(name, place)

    def __len__(self) -> int:
        count = super().__len__()
        with self._opened() as file:
            if file is not None:
                count += len(self._lines_left(file))
        return count

    def _lines_left(self, file: int) -> list[bytes]:
        """Return the lines whose sessions no process has removed. Raises `OSError`."""
        places = [each for held in self._index.entries.held.values() for each in held]
        lines = [_read(file, place) for place in places]
        return [line for line in lines if _LINE.fullmatch(line)]

    @contextmanager
    def _opened(self, flags: int = 0) -> Generator[int | None]:
        """Open and lock the file; give None if there is none, or it cannot be used.

        An `OSError` inside ends the use of the file, as sessions are worth no failed connection. It
        is reported when nothing is locked any more: what logs may use sessions itself.
        """
        problem: OSError | None = None
        with self._lock:
            held: list[int] = []
            try:
                try:
                    file = self._open(os.O_RDWR | flags, held)
                    if file is not None:
                        self._index.follow(file)
                except OSError as error:
                    if flags & os.O_CREAT or not isinstance(error, FileNotFoundError):
                        problem = error
                    file = None
                try:
                    yield file
                except OSError as error:
                    problem = error
            finally:
                for descriptor in held:
                    _close(descriptor)
        if problem is not None:
            self._warn(problem)

    def _open(self, flags: int, held: list[int]) -> int | None:
        """Return the descriptor of the file, locked; None if another process does not release it.

        A process that was stopped may never do so: it is waited for once. The caller closes what
        is `held`, whatever interrupts this. Raises `OSError`.
        """
        end = time.monotonic() + _PATIENCE
        while True:
            held.append(open_trusted(self._path, flags))
            # The file may have been replaced before it was locked.
            if _is_locked(held[-1]) and self._is_in_place(held[-1]):
                self._is_patient = True
                return held[-1]
            _close(held.pop())
            if not self._is_patient or time.monotonic() > end:
                self._is_patient = False
                return None
            time.sleep(_PAUSE)

    def _is_in_place(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self._path))
        except FileNotFoundError:
            return False

    def _append(self, file: int, line: bytes) -> None:
        """Write a line at the end of the file. Raises `OSError`."""
        index = self._index
        if not self._has_tidied:
            self._has_tidied = True
            self._remove_leftovers()
        if index.end + len(line) > 2 * self._max_bytes:
            self._replace(file, line)
            return
        try:
            _write(file, line if index.end else _new_header() + line, index.end)
        except BaseException:
            with suppress(OSError):
                os.ftruncate(file, index.end)
            raise
        index.follow(file)

    def _replace(self, file: int, line: bytes) -> None:
        """Write what is left of the sessions, and this one, into a new file. Raises `OSError`."""
        # What other processes have removed does not count, and others may have to go for this one.
        self._index.clear()
        self._index.follow(file)
        self._index.entries.put(line[:_NAME_SIZE], (self._index.end, len(line)))
        content = b"".join([_new_header(), *self._lines_left(file), line])
        self._index.clear()
        if sys.platform == "win32":  # Files that are open cannot be replaced there.
            os.ftruncate(file, 0)
            _write(file, content, 0)
            return
        with draft_private(self._path.parent) as draft:
            _write(draft.descriptor, content, 0)
            draft.rename(self._path)

    def _warn(self, error: OSError) -> None:
        """Say once why sessions are lost, or every handshake is a full one from now on."""
        if self._has_warned:
            return
        self._has_warned = True
        import logging  # Few need it; see docs/decisions/0024.

        logger, reason = logging.getLogger("handclasp"), error.strerror or error
        with suppress(Exception):  # A filter that raises must not end the handshake.
            if isinstance(error, UntrustedFileError):
                logger.warning(
                    "The session file %s is not used, so every handshake is a full one: %s. %s",
                    self._path,
                    reason,
                    _remedy(error, self._path),
                )
                return
            logger.warning(
                "The session file %s cannot be written, so sessions are lost: %s.",
                self._path,
                reason,
            )

    def _remove_leftovers(self) -> None:
        """Remove the drafts of processes that were killed while they wrote: they hold secrets."""
        with suppress(OSError), os.scandir(self._path.parent) as entries:
            for entry in entries:
                if _LEFTOVER.fullmatch(entry.name):
                    with suppress(OSError):
                        is_old = time.time() - entry.stat().st_mtime > _LONGEST_CHANGE
                        if is_old and _is_draft(entry.path):
                            os.unlink(entry.path)

    def __repr__(self) -> str:
        return f"FileSessionStore({str(self._path)!r})"


class _Index:
    """The places of the sessions in a file, by the names of their keys.

    Attributes:
        entries: the places of the lines; another process may have overwritten some of them.
        end: the offset up to which the file was read: that of its last whole line.
    """

    __slots__ = ("_capacity", "_header", "_max_bytes", "end", "entries")

    def __init__(self, capacity: int, max_bytes: int) -> None:
        self._capacity = capacity
        self._max_bytes = max_bytes
        self.clear()

    def clear(self) -> None:
        """Forget the file."""
        self._header = b""
        self.end = 0
        self.entries: BoundedEntries[bytes, _Place] = BoundedEntries(
            lambda place: place[1], self._capacity, self._max_bytes
        )

    def follow(self, file: int) -> None:
        """Read what was appended to the file, which is locked. Raises `OSError`.

        Half a line at the end is that of a process that was killed, and is cut off.
        """
        size = os.fstat(file).st_size
        header = _read_at(file, _HEADER_SIZE, 0)
        if header != self._header or size < self.end:
            self.clear()
        if size == self.end:
            return
        if size - self.end > 2 * self._max_bytes + _MOST_BYTES:
            raise OSError(errno.EFBIG, "it is too large")
        data = _read(file, (self.end, size - self.end))
        if not self.end and not _HEADER.match(data):
            is_begun = _HEADER_START.startswith(data) or data.startswith(_HEADER_START)
            if data.strip() and not _OLDER.match(data) and not is_begun:
                raise OSError(errno.EINVAL, "it holds something else")
            os.ftruncate(file, 0)
            return
        for found in _LINE.finditer(data):
            name = found[1]
            if len(self.entries.held.get(name, ())) >= MOST_PER_NAME:
                self._forget_removed(file, name)
            self.entries.put(name, (self.end + found.start(), len(found[0])))
        whole = data.rfind(b"\n") + 1
        self.end += whole
        self._header = header
        if whole < len(data):
            os.ftruncate(file, self.end)

    def _forget_removed(self, file: int, name: bytes) -> None:
        """Forget the lines of a name that other processes have overwritten. Raises `OSError`."""
        for place in list(self.entries.held.get(name, ())):
            if not _LINE.fullmatch(_read(file, place)):
                self.entries.remove(name, place)


def _new_header() -> bytes:
    return _HEADER_START + os.urandom(8).hex().encode("ascii") + b"\n"


def _is_draft(path: str) -> bool:
    """Return whether a file was written by a store of sessions."""
    if os.path.islink(path):
        return False
    begin = b"handclasp sessions "
    return read_regular(path, most=len(begin)).startswith(begin)


def _is_locked(descriptor: int) -> bool:
    """Try to lock a file against other processes; return whether that succeeded."""
    try:
        _try_lock(descriptor)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            return False
        raise
    return True


def _close(descriptor: int) -> None:
    """Release the lock and close the file.

    Closing is not enough: a child that was forked meanwhile holds the descriptor, too.
    """
    with suppress(OSError):
        _unlock(descriptor)
    os.close(descriptor)


def _read(file: int, place: _Place) -> bytes:
    at, size = place
    return _read_at(file, size, at)


def _write(file: int, data: bytes, at: int) -> None:
    """Write all of `data` at an offset. Raises `OSError`."""
    view = memoryview(data)
    while view:
        count = _write_at(file, view, at)
        view, at = view[count:], at + count


def _overwrite(file: int, place: _Place) -> None:
    """Overwrite the session of a line. Raises `OSError`."""
    at, size = place
    _write(file, _GONE * (size - _NAME_SIZE - 2), at + _NAME_SIZE + 1)


def _name_of(key: str) -> bytes:
    """Return the name of a key, of equal length for every key and without escapes."""
    return hashlib.sha256(key.encode("utf-8")).hexdigest().encode("ascii")


def _line_of(name: bytes, session: Session) -> bytes:
    return name + b"\t" + session_to_text(session).encode("ascii") + b"\n"


def _session_in(line: bytes, name: bytes) -> Session | None:
    """Return the session in a line of this name, or None if it holds none."""
    found = _LINE.fullmatch(line)
    if found is None or found[1] != name:
        return None
    try:
        return Session.from_json(json.loads(found[2]))
    except (ValueError, RecursionError, ConfigurationError):
        return None


def _remedy(error: UntrustedFileError, path: Path) -> str:
    command = error.command(path)
    if not command:
        return "Name another file."
    return f"If nobody has changed it, run {command}; otherwise delete it."
