"""A thread that writes what is reported, so that no output that hangs stops the server."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

MOST_WAITING = 10_000


class Clerk:
    """Does one job after the other, in a thread that the first one starts.

    If too many wait, further ones are dropped and counted: a log that nobody reads, such as a full
    pipe, costs bounded memory.

    Args:
        on_dropped: does in the thread what reports so many dropped jobs.
        most: how many jobs may wait.
    """

    def __init__(self, on_dropped: Callable[[int], None], most: int = MOST_WAITING) -> None:
        self._on_dropped = on_dropped
        self._most = most
        self._jobs: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._dropped = 0
        self._closed = False
        self._thread: threading.Thread | None = None

    def put(self, job: Callable[[], None]) -> None:
        """Have a job done. It must not raise."""
        with self._changed:
            if len(self._jobs) >= self._most:
                self._dropped += 1
                return
            self._jobs.append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True, name="clerk")
                self._thread.start()
            self._changed.notify()

    def close(self, seconds: float) -> None:
        """Have the jobs that wait done, for so many seconds at most. The thread then ends."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(seconds)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._closed)
                if not self._jobs:
                    return
                job = self._jobs.popleft()
                dropped, self._dropped = self._dropped, 0
            if dropped:
                self._on_dropped(dropped)
            job()
