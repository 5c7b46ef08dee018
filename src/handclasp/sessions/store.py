"""Where a client keeps its sessions: in memory, in a file, or wherever the user likes.

A key stands for everything that a session is bound to: host, port, trust, credentials, protocols,
and how the peer is verified. What another config agreed upon is never found.
"""

from __future__ import annotations

import json
import os
import stat
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, Protocol, cast

from handclasp.errors import ConfigurationError
from handclasp.sessions.session import Session

_PREFIX = ".sessions-"
_MOST_PER_KEY = 8
"""Sessions kept for one key; servers give away two or so at a time."""


class SessionCache(Protocol):
    """What a config needs of a store. Called from any thread; an exception fails the connection."""

    def put(self, key: str, session: Session) -> None:
        """Keep a session."""
        ...

    def take(self, key: str) -> Session | None:
        """The newest session under this key, if there is one.

        A session of TLS 1.3 is for one use (RFC 8446 section C.4): it must not be given twice. One
        of TLS 1.2 stays until `discard`.
        """
        ...

    def discard(self, key: str, session: Session) -> None:
        """The server did not resume this session, so it is of no use any more."""
        ...


class SessionStore:
    """A bounded store in memory; the key used least recently goes first.

    Args:
        capacity: how many keys (servers, mostly) to keep sessions for.

    Raises:
        ConfigurationError: a capacity that is not a whole number from 1 on.
    """

    def __init__(self, capacity: int = 256) -> None:
        if type(capacity) is not int or capacity < 1:
            raise ConfigurationError("The capacity of a session store is a whole number from 1 on.")
        self._capacity = capacity
        self._sessions: OrderedDict[str, list[Session]] = OrderedDict()
        self._lock = Lock()

    @staticmethod
    def file(path: str | os.PathLike[str], capacity: int = 256) -> FileSessionStore:
        """A store that outlives the process. Raises `ConfigurationError`."""
        return FileSessionStore(path, capacity)

    def put(self, key: str, session: Session) -> None:
        """Keep a session."""
        with self._lock:
            _put(self._sessions, key, session, self._capacity)

    def take(self, key: str) -> Session | None:
        """The newest session under this key; one of TLS 1.3 is given once."""
        with self._lock:
            return _take(self._sessions, key)

    def discard(self, key: str, session: Session) -> None:
        """Forget a session that was of no use."""
        with self._lock:
            _discard(self._sessions, key, session)

    def __len__(self) -> int:
        with self._lock:
            return sum(map(len, self._sessions.values()))

    def __repr__(self) -> str:
        return f"SessionStore({len(self)} sessions)"


class FileSessionStore:
    """Sessions in a file that its owner alone can read, replaced as a whole each time.

    Several processes may use one file: no session of TLS 1.3 is given to two of them.

    The file holds secrets: whoever reads it can resume the sessions. One that is missing or gets
    broken counts as empty. Where it cannot be written, sessions are lost, and the connection goes
    on.

    Args:
        path: the file; it is made when the first session is kept.
        capacity: how many keys to keep sessions for.

    Raises:
        ConfigurationError: its directory does not exist, or it is there and is no such file: what
            holds something else is not overwritten.
    """

    def __init__(self, path: str | os.PathLike[str], capacity: int = 256) -> None:
        self._path = Path(path)
        self._capacity = capacity
        self._lock = Lock()
        if not self._path.parent.is_dir():
            raise ConfigurationError(
                f"The directory of the session file {self._path} does not exist: make it first."
            )
        if not self._is_free_or_ours():
            raise ConfigurationError(
                f"{self._path} is no file of sessions that can be read and written: name another."
            )

    def _is_free_or_ours(self) -> bool:
        """One look at it, by opening it: others may move it away and put it back meanwhile."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | getattr(os, "O_NONBLOCK", 0))
        except FileNotFoundError:
            return True
        except OSError:
            return False
        with open(descriptor, "rb", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return False
            start = file.read(64).split()
        return not start or start[:2] == [b"{", b'"sessions":']

    def put(self, key: str, session: Session) -> None:
        """Keep a session."""
        with self._lock:
            self._change(lambda sessions: _put(sessions, key, session, self._capacity))

    def take(self, key: str) -> Session | None:
        """The newest session under this key; one of TLS 1.3 is given once."""
        with self._lock:
            session = _take(self._read(self._path), key)
            if session is None or session.version == "TLSv1.2":
                return session
            taken: list[Session | None] = []
            is_out = self._change(lambda sessions: taken.append(_take(sessions, key)))
            # If it cannot be taken out of the file, it must not be used: it might be used twice.
            return taken[0] if is_out else None

    def discard(self, key: str, session: Session) -> None:
        """Forget a session that was of no use."""
        with self._lock:
            self._change(lambda sessions: _discard(sessions, key, session))

    def _change(self, change: Callable[[OrderedDict[str, list[Session]]], object]) -> bool:
        """Change what the file holds; gives whether that was written.

        The file is moved away first, so that no other process can take the same sessions out of it.
        Those that another one keeps meanwhile may get lost; none is ever there twice.
        """
        try:
            descriptor, claimed = self._new_file()
        except OSError:
            return False
        os.close(descriptor)
        is_written = False
        with suppress(OSError):
            with suppress(FileNotFoundError):
                os.replace(self._path, claimed)
            sessions = self._read(Path(claimed))
            change(sessions)
            is_written = self._write(sessions)
            if not is_written:
                os.replace(claimed, self._path)
        with suppress(OSError):
            os.unlink(claimed)
        return is_written

    def _new_file(self) -> tuple[int, str]:
        """Beside the file of sessions, and for its owner alone."""
        from tempfile import mkstemp  # It brings much along, and few have a file of sessions.

        return mkstemp(prefix=_PREFIX, dir=self._path.parent)

    @staticmethod
    def _read(path: Path) -> OrderedDict[str, list[Session]]:
        sessions: OrderedDict[str, list[Session]] = OrderedDict()
        try:
            given: object = json.loads(path.read_bytes())
            stored = cast(dict[str, Any], given)["sessions"]
            for key, entries in stored.items():
                sessions[str(key)] = [Session.from_json(entry) for entry in entries]
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ConfigurationError):
            return OrderedDict()
        return sessions

    def _write(self, sessions: OrderedDict[str, list[Session]]) -> bool:
        content = {key: [each.to_json() for each in held] for key, held in sessions.items()}
        text = json.dumps({"sessions": content}, indent=1)
        name = ""
        try:
            descriptor, name = self._new_file()
            with open(descriptor, "w", encoding="ascii") as file:
                file.write(text + "\n")
            os.replace(name, self._path)  # at once, or not at all
        except OSError:
            if name:
                with suppress(OSError):
                    os.unlink(name)
            return False
        return True

    def __repr__(self) -> str:
        return f"FileSessionStore({str(self._path)!r})"


def _put(
    sessions: OrderedDict[str, list[Session]], key: str, session: Session, capacity: int
) -> None:
    held = sessions.setdefault(key, [])
    held.append(session)
    del held[:-_MOST_PER_KEY]
    sessions.move_to_end(key)
    while len(sessions) > capacity:
        sessions.popitem(last=False)


def _take(sessions: OrderedDict[str, list[Session]], key: str) -> Session | None:
    held = sessions.get(key)
    if not held:
        return None
    sessions.move_to_end(key)
    if held[-1].version == "TLSv1.2":
        return held[-1]
    session = held.pop()
    if not held:
        del sessions[key]
    return session


def _discard(sessions: OrderedDict[str, list[Session]], key: str, session: Session) -> None:
    held = sessions.get(key, [])
    kept = [each for each in held if each != session]
    if kept:
        sessions[key] = kept
    else:
        sessions.pop(key, None)
