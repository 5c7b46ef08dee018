"""The stores of a client's sessions: in memory, in a file, or of the application's own.

A key stands for everything that a session is bound to: host, port, trust, credentials, protocols,
and how the peer is verified. The sessions of another config are never found.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from threading import Lock
from typing import Protocol

from handclasp.process import this_process
from handclasp.sessions.bounded import BoundedEntries, check_bounds
from handclasp.sessions.session import Session

DEFAULT_CAPACITY = 256
DEFAULT_BYTES = 2**22

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

    def __init__(self, capacity: int = DEFAULT_CAPACITY, max_bytes: int = DEFAULT_BYTES) -> None:
        check_bounds(capacity, max_bytes)
        self._capacity = capacity
        self._max_bytes = max_bytes
        self._memory = self._new_memory()

    @staticmethod
    def file(
        path: str | os.PathLike[str],
        capacity: int = DEFAULT_CAPACITY,
        max_bytes: int = DEFAULT_BYTES,
    ) -> SessionStore:
        """Return a store in a file that only its owner can read, which outlives the process.

        The file is created with mode 0600 when the first session is stored. It must be a regular
        file of this user's own, mode 0600, without symbolic or hard links to it, in a directory
        where nobody else can replace it, and is checked at each use, since its content is trusted.
        If that changes later, the store behaves as empty and leaves the file alone, with one
        warning of the logger "handclasp". A file that is missing, broken or of an older version
        also counts as empty. Several processes may use one file, which must not be on a network
        file system. A use takes some ten microseconds, for which an event loop waits, and the first
        one reads the file: a millisecond for each MiB. See
        `handclasp.sessions.session_file.FileSessionStore`.

        Args:
            path: the file, in a directory that exists. `~` is not expanded.
            capacity: how many keys (servers, mostly) to keep sessions for.
            max_bytes: the bytes that the sessions may take, from 262144 on; the file is at most
                twice as large.

        Raises:
            ConfigurationError: bounds that are not such numbers; the directory does not exist, or
                cannot be written to; or the file is there, and is not such a file, or holds
                something else.
        """
        from handclasp.sessions.session_file import FileSessionStore

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
