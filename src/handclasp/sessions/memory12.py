"""A server's memory of TLS 1.2 sessions by their ids, for clients that know no tickets."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from handclasp.sessions.tickets import SessionState


class SessionMemory:
    """Bounded; the session used least recently goes first. Safe for threads."""

    __slots__ = ("_capacity", "_lock", "_states")

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._states: OrderedDict[bytes, SessionState] = OrderedDict()
        self._lock = Lock()

    def put(self, session_id: bytes, state: SessionState) -> None:
        """Remember a session."""
        with self._lock:
            self._states[session_id] = state
            while len(self._states) > self._capacity:
                self._states.popitem(last=False)

    def get(self, session_id: bytes) -> SessionState | None:
        """The session of this id."""
        with self._lock:
            state = self._states.get(session_id)
            if state is not None:
                self._states.move_to_end(session_id)
            return state

    def discard(self, session_id: bytes) -> None:
        """Forget the session of this id, if there is one."""
        with self._lock:
            self._states.pop(session_id, None)

    def __len__(self) -> int:
        return len(self._states)
