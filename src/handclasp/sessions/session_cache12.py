"""A server's memory of TLS 1.2 sessions by their ids, for clients that know no tickets."""

from __future__ import annotations

from threading import Lock

from handclasp.process import this_process
from handclasp.sessions.bounded import BoundedEntries
from handclasp.sessions.tickets import SessionState

DEFAULT_BYTES = 2**22


class SessionCache12:
    """Bounded; the session used least recently goes first. Safe for threads.

    In a forked child it is empty: what one process forgets, since its connection failed (RFC 5246
    section 7.2.2), another one would resume.

    Args:
        capacity: how many sessions.
        max_bytes: how many bytes, most of which are clients' certificates.
    """

    __slots__ = ("_bounds", "_memory")

    def __init__(self, capacity: int, max_bytes: int = DEFAULT_BYTES) -> None:
        self._bounds = capacity, max_bytes
        self._memory = _Memory(*self._bounds)

    def put(self, session_id: bytes, state: SessionState) -> None:
        """Remember a session."""
        memory = self._memory_here()
        with memory.lock:
            memory.states.put(session_id, state)

    def get(self, session_id: bytes) -> SessionState | None:
        """Return the session of this id."""
        memory = self._memory_here()
        with memory.lock:
            return memory.states.newest(session_id)

    def discard(self, session_id: bytes) -> None:
        """Forget the session of this id, if there is one."""
        memory = self._memory_here()
        with memory.lock:
            memory.states.forget(session_id)

    def _memory_here(self) -> _Memory:
        memory = self._memory
        if memory.process != this_process():
            memory = self._memory = _Memory(*self._bounds)
        return memory

    def __len__(self) -> int:
        return len(self._memory_here().states.held)


class _Memory:
    """Sessions of one process. The lock goes with them: a fork may copy it while it is held."""

    __slots__ = ("lock", "process", "states")

    def __init__(self, capacity: int, max_bytes: int) -> None:
        self.process = this_process()
        self.lock = Lock()
        self.states: BoundedEntries[bytes, SessionState] = BoundedEntries(
            lambda state: state.size, capacity, max_bytes
        )
