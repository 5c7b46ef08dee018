"""The stores of a client's sessions: in memory, in a file, or of the application's own.

A key stands for everything that a session is bound to: host, port, trust, credentials, protocols,
and how the peer is verified. The sessions of another config are never found.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import BinaryIO, Protocol

from handclasp.errors import ConfigurationError, check_path_text, path_errors
from handclasp.private_files import draft_private
from handclasp.process import ProcessLock, this_process
from handclasp.sessions.bounded import BoundedEntries, check_bounds
from handclasp.sessions.session import Session, session_to_text
from handclasp.trusted_files import UntrustedFileError, read_trusted

_PREFIX = ".sessions-"
_LEFTOVER = re.compile(rf"{re.escape(_PREFIX)}[a-z0-9_]{{8}}(?:-old)?")
"""The names of `FileSessionStore._change`: of tempfile.mkstemp, and one beside it."""
_LONGEST_CHANGE = 60.0
"""Seconds after which the process that made a draft is taken for dead; a change takes a few ms."""
_BUFFER = 2**17
"""Bytes written at a time."""

_HEADER = b"handclasp sessions 3\n"
_OLD_HEADER = [b"{", b'"sessions":']
_NAME_SIZE = 64

_DEFAULT_CAPACITY = 256
_DEFAULT_BYTES = 2**22
DEFAULT_FILE_BYTES = 2**20
"""Each use reads and writes it as a whole, which takes about a millisecond for so many."""


KEY_OF_PROCESS = "process:"
"""The beginning of a key whose sessions only this process can resume; see `SessionCache`."""


class SessionCache(Protocol):
    """The methods that a config needs of a store. They are called from any thread; an exception
    fails the connection.

    A key that begins with "process:" names sessions that only this process can resume, because
    they depend on callbacks of its config. There is no use in storing them outside of it.

    They must answer at once, as they are called where no handshake can wait: before the
    ClientHello, when a ticket arrives, and when a connection fails. A config refuses async methods.
    Keep a copy of a remote store in memory, and synchronize it in a task of your own.

    >>> class Newest:
    ...     def __init__(self):
    ...         self.sessions = {}
    ...     def put(self, key, session):
    ...         self.sessions[key] = session
    ...     def take(self, key):
    ...         return self.sessions.pop(key, None)
    ...     def discard(self, key, session):
    ...         self.sessions.pop(key, None)
    >>> config = ClientConfig(sessions=Newest())
    """

    def put(self, key: str, session: Session) -> None:
        """Keep a session."""
        ...

    def take(self, key: str) -> Session | None:
        """Return the newest session under this key, if there is one.

        A session of TLS 1.3 is for one use (RFC 9846 section C.4): it must not be returned twice,
        nor in two processes after a fork. One of TLS 1.2 stays until `discard`.
        """
        ...

    def discard(self, key: str, session: Session) -> None:
        """Remove a session that the server did not resume."""
        ...


class SessionStore:
    """A bounded store in memory; the key used least recently goes first. Safe for threads.

    In a forked child it is empty: if parent and child used the same session, an observer could link
    them (RFC 9846 section C.4), and the session of one client would become that of another.

    >>> config = ClientConfig(sessions=SessionStore(), allow_early_data=True)
    >>> for request in (b"first", b"second"):
    ...     with handclasp.connect("example.com", 443, config, early_data=request) as tls:
    ...         tls.sendall(tls.early_data_rejected)
    ...         print(tls.recv(100), tls.info.resumed, tls.info.early_data_status)
    b'first' False none
    b'second' True accepted

    Args:
        capacity: the largest number of keys (usually servers) with sessions.
        max_bytes: the bytes that the sessions may take, from 262144 on. A session that takes more
            than a sixteenth of it, including certificates, is not stored, and no key gets more than
            an eighth.

    Raises:
        ConfigurationError: bounds that are not such numbers.
    """

    def __init__(self, capacity: int = _DEFAULT_CAPACITY, max_bytes: int = _DEFAULT_BYTES) -> None:
        check_bounds(capacity, max_bytes)
        self._capacity = capacity
        self._max_bytes = max_bytes
        self._memory = self._new_memory()

    @staticmethod
    def file(
        path: str | os.PathLike[str],
        capacity: int = _DEFAULT_CAPACITY,
        max_bytes: int = DEFAULT_FILE_BYTES,
    ) -> SessionStore:
        """Return a store in a file that only its owner can read, which outlives the process.

        The file is created with mode 0600 when the first session is stored. It must be a regular
        file of this user's own, mode 0600, without symbolic or hard links to it, in a directory
        where nobody else can replace it, and is checked at each use, since its content is trusted.
        If that changes later, the store behaves as empty and leaves the file alone, with one
        warning of the logger "handclasp". A file that is missing, broken or of an older version
        also counts as empty. Several processes may use one file. Each use reads the file as a
        whole, and most write it: about a millisecond, for which an event loop waits. See
        `FileSessionStore`.

        Args:
            path: the file, in a directory that exists. `~` is not expanded.
            capacity: how many keys (servers, mostly) to keep sessions for.
            max_bytes: how large the file may get, from 262144 bytes on.

        Raises:
            ConfigurationError: bounds that are not such numbers; the directory does not exist, or
                cannot be written to; or the file is there, and is not such a file, or holds
                something else.
        """
        return FileSessionStore(path, capacity, max_bytes)

    def put(self, key: str, session: Session) -> None:
        """Keep a session."""
        memory = self._memory_here()
        with memory.lock:
            memory.sessions.put(key, session)

    def take(self, key: str) -> Session | None:
        """Return the newest session under this key; a session of TLS 1.3 is returned once."""
        memory = self._memory_here()
        with memory.lock:
            session = memory.sessions.newest(key)
            if session is not None and session.version != "TLSv1.2":
                memory.sessions.remove(key, session)
            return session

    def discard(self, key: str, session: Session) -> None:
        """Forget a session that the server did not resume."""
        memory = self._memory_here()
        with memory.lock:
            memory.sessions.remove(key, session)

    @property
    def _sessions(self) -> Mapping[str, list[Session]]:
        return self._memory_here().sessions.held

    def _memory_here(self) -> _Memory:
        memory = self._memory
        if memory.process != this_process():
            memory = self._memory = self._new_memory()
        return memory

    def _new_memory(self) -> _Memory:
        return _Memory(
            BoundedEntries(lambda session: session.size, self._capacity, self._max_bytes)
        )

    def __len__(self) -> int:
        memory = self._memory_here()
        with memory.lock:
            return sum(map(len, memory.sessions.held.values()))

    def __repr__(self) -> str:
        return f"SessionStore({len(self)} sessions)"


class _Memory:
    """Sessions of one process. The lock goes with them: a fork may copy it while it is held."""

    __slots__ = ("lock", "process", "sessions")

    def __init__(self, sessions: BoundedEntries[str, Session]) -> None:
        self.process = this_process()
        self.lock = Lock()
        self.sessions = sessions


class FileSessionStore(SessionStore):
    """A store in a file that only its owner can read, replaced as a whole at each change.

    Several processes may use one file: no two of them get the same session of TLS 1.3.

    The file holds secrets: anybody who can read it can resume the sessions, and anybody who can
    write it can make this client accept another server. So it must be this user's own, in a
    directory where nobody else can replace it, each time that it is read. A file that is missing,
    broken or of an older version counts as empty. If it cannot be written, sessions are lost, the
    connection continues, and the logger "handclasp" gets one warning.

    If a process is killed while it writes, the sessions are lost with it; what it leaves beside
    the file is removed by the first write of another store that comes a minute later or more.

    Sessions that depend on callbacks can be resumed by this process alone. They are kept in memory,
    within the same bounds, and never reach the file.

    A line is a session: the name of the key, a tab, and JSON. So the sessions of other keys need
    not be parsed.

    Args:
        path: the file; it is made when the first session is kept.
        capacity: how many keys to keep sessions for.
        max_bytes: how large the file may get, from 262144 bytes on. A session that takes more than
            a sixteenth of it is not kept, and no key gets more than an eighth.

    Raises:
        ConfigurationError: bounds that are not such numbers; its directory does not exist, or
            cannot be written to; or it is there, and is no such file, or others can read, write or
            replace it. What holds something else is not overwritten.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        capacity: int = _DEFAULT_CAPACITY,
        max_bytes: int = DEFAULT_FILE_BYTES,
    ) -> None:
        super().__init__(capacity, max_bytes)
        if not isinstance(path, str | os.PathLike):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(
                f"The session file must be a path, not {type(path).__name__}; in memory, sessions "
                "are kept by SessionStore()."
            )
        check_path_text(os.fsdecode(path), "The session file")
        self._path = Path(os.fsdecode(path))
        self._has_warned = self._has_tidied = False
        self._lock = ProcessLock()
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
            pass  # Each change of the file needs a new one beside it.

    def _why_not_ours(self) -> str | None:
        """Return the reason not to trust the file, by opening it once: others may move it
        meanwhile.
        """
        try:
            data = read_trusted(self._path)
        except FileNotFoundError:
            return None
        except UntrustedFileError as error:
            return f"{error.strerror}. {_remedy(error, self._path)}"
        except OSError as error:
            return f"{error.strerror or error}."
        is_ours = (
            not data.strip()
            or data.startswith(_HEADER)
            or data.split(maxsplit=2)[:2] == (_OLD_HEADER)
        )
        return None if is_ours else "it holds something else. Name another file."

    def put(self, key: str, session: Session) -> None:
        """Keep a session."""
        if key.startswith(KEY_OF_PROCESS):
            super().put(key, session)
            return
        if session.size > self._max_bytes // 16:
            return  # Its line would be longer still, and take time to write.
        name = _name_of(key)
        line = _line_of(name, session)
        with self._lock:
            self._change(lambda lines: lines.put(name, line))

    def take(self, key: str) -> Session | None:
        """Return the newest session under this key; a session of TLS 1.3 is returned once."""
        if key.startswith(KEY_OF_PROCESS):
            return super().take(key)
        name = _name_of(key)
        with self._lock:
            session = _newest_in(self._data(), name)
            if session is None or session.version == "TLSv1.2":
                return session
            taken: list[Session | None] = []
            is_out = self._change(lambda lines: taken.append(_taken_from(lines, name)))
            # If it cannot be taken out of the file, it must not be used: it might be used twice.
            return taken[0] if is_out else None

    def discard(self, key: str, session: Session) -> None:
        """Forget a session that the server did not resume."""
        if key.startswith(KEY_OF_PROCESS):
            super().discard(key, session)
            return
        name = _name_of(key)
        line = _line_of(name, session)
        with self._lock:
            if line in self._data():
                self._change(lambda lines: lines.remove(name, line))

    def __len__(self) -> int:
        with self._lock:
            in_file = sum(map(len, self._lines_in(self._data()).held.values()))
        return in_file + super().__len__()

    def _data(self) -> bytes:
        """Return the content of the file; nothing if it is missing or belongs to somebody else."""
        try:
            return read_trusted(self._path)
        except UntrustedFileError as error:
            self._warn(error)
            return b""
        except OSError:
            return b""

    def _warn(self, error: UntrustedFileError) -> None:
        """Say once why every handshake is a full one from now on."""
        if not self._has_warned:
            self._has_warned = True
            import logging  # Few need it; see docs/decisions/0024.

            with suppress(Exception):  # A filter that raises must not end the handshake.
                logging.getLogger("handclasp").warning(
                    "The session file %s is not used, so every handshake is a full one: %s. %s",
                    self._path,
                    error.strerror,
                    _remedy(error, self._path),
                )

    def _warn_unwritten(self, error: OSError) -> None:
        """Say once why sessions are lost."""
        if not self._has_warned:
            self._has_warned = True
            import logging

            with suppress(Exception):
                logging.getLogger("handclasp").warning(
                    "The session file %s cannot be written, so sessions are lost: %s.",
                    self._path,
                    error.strerror or error,
                )

    def _remove_leftovers(self) -> None:
        """Remove the drafts of processes that were killed while they wrote: they hold secrets."""
        with suppress(OSError), os.scandir(self._path.parent) as entries:
            for entry in entries:
                if _LEFTOVER.fullmatch(entry.name):
                    with suppress(OSError):
                        found = entry.stat(follow_symlinks=False)
                        if time.time() - found.st_ctime > _LONGEST_CHANGE:
                            os.unlink(entry.path)

    def _change(self, change: Callable[[_Lines], object]) -> bool:
        """Change the content of the file, and return whether it was written.

        The file is moved away first, so that no other process can take the same sessions out of it.
        Those that another one keeps meanwhile may get lost; none is ever there twice. What is not
        our own is not read, and goes back to where it was.
        """
        from tempfile import mkstemp  # It brings much along, and few have a file of sessions.

        if not self._has_tidied:
            self._has_tidied = True
            self._remove_leftovers()
        try:
            # Beside the file of sessions, and for its owner alone.
            descriptor, draft = mkstemp(prefix=_PREFIX, dir=self._path.parent)
        except OSError as error:
            self._warn_unwritten(error)
            return False
        # A name that nothing has: what another file is moved over has to be on the disk first.
        claimed = f"{draft}-old"
        try:
            with _file_of(descriptor) as file:
                is_moved = self._move_away(claimed)
                lines = self._lines_in(read_trusted(claimed) if is_moved else b"")
                change(lines)
                file.write(_HEADER)
                file.writelines(line for entries in lines.held.values() for line in entries)
            os.replace(draft, self._path)  # at once, or not at all
            if is_moved:
                with suppress(OSError):
                    os.unlink(claimed)
        except BaseException as error:  # An interrupt, too.
            if isinstance(error, UntrustedFileError):
                self._warn(error)
            with suppress(OSError):
                os.replace(claimed, self._path)
            with suppress(OSError):
                os.unlink(draft)
            if not isinstance(error, OSError):
                raise
            self._warn_unwritten(error)
            return False
        return True

    def _move_away(self, claimed: str) -> bool:
        """Move the file to a name that nobody else knows; gives whether there was one."""
        try:
            os.replace(self._path, claimed)
        except FileNotFoundError:
            return False
        return True

    def _lines_in(self, data: bytes) -> _Lines:
        """Yield the lines of a file without copying them."""
        lines: _Lines = BoundedEntries(len, self._capacity, self._max_bytes)
        if not data.startswith(_HEADER):
            return lines
        view, start = memoryview(data), len(_HEADER)
        while end := data.find(b"\n", start) + 1:
            if data[start + _NAME_SIZE : start + _NAME_SIZE + 1] == b"\t":
                lines.add(data[start : start + _NAME_SIZE], view[start:end])
            start = end
        return lines

    def __repr__(self) -> str:
        return f"FileSessionStore({str(self._path)!r})"


def _remedy(error: UntrustedFileError, path: Path) -> str:
    command = error.command(path)
    if not command:
        return "Name another file."
    return f"If nobody has changed it, run {command}; otherwise delete it."


def _file_of(descriptor: int) -> BinaryIO:
    try:
        return open(descriptor, "wb", buffering=_BUFFER)
    except OSError:
        os.close(descriptor)
        raise


_Line = bytes | memoryview
_Lines = BoundedEntries[bytes, _Line]
"""The lines of a file of sessions, with their ends, by the names that stand for their keys."""


def _name_of(key: str) -> bytes:
    """Return the name of a key, of equal length for every key and without escapes."""
    return hashlib.sha256(key.encode("utf-8")).hexdigest().encode("ascii")


def _line_of(name: bytes, session: Session) -> bytes:
    return name + b"\t" + session_to_text(session).encode("ascii") + b"\n"


def _session_in(line: _Line) -> Session | None:
    """Return the session in a line, or None if it holds none."""
    try:
        return Session.from_json(json.loads(bytes(line[_NAME_SIZE + 1 :])))
    except (ValueError, RecursionError, ConfigurationError):
        return None


def _newest_in(data: bytes, name: bytes) -> Session | None:
    """Return the newest session of this name among the lines of the file."""
    end = len(data)
    while (start := data.rfind(b"\n" + name + b"\t", 0, end)) >= 0:
        stop = data.find(b"\n", start + 1)
        session = _session_in(data[start + 1 : stop if stop >= 0 else len(data)])
        if session is not None:
            return session
        end = start
    return None


def _taken_from(lines: _Lines, name: bytes) -> Session | None:
    """Return the newest session of this name after removing it; broken lines are removed as
    well.
    """
    while (line := lines.newest(name)) is not None:
        lines.remove(name, line)
        session = _session_in(line)
        if session is not None:
            return session
    return None
