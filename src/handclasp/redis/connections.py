"""Connections to Redis that threads in the background make and use.

A handshake waits for an answer for some milliseconds, and to connect takes several round trips. So
no handshake connects, and none ends an exchange that is late: the connection stays, and the next
handshake finds it.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, Full, Queue
from threading import Event, Lock, Thread, current_thread
from typing import Any, Protocol

from handclasp.redis.clients import close_client, open_client
from handclasp.redis.forks import begin_anew_in_children

KEPT = 2
"""Threads, each with a connection, that a process always has: one may be checking."""

MOST = 16
"""Threads that it has at most. What comes while all are busy waits in a queue."""

_QUEUED = 256
"""Questions that wait at most; further ones get no answer."""

CHECK_SECONDS = 5.0
"""Seconds between two checks of each connection that is kept, give or take a quarter."""

_SPARE_SECONDS = 60.0
"""Seconds after which the other threads end; new ones start when they are needed."""

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
"""Seconds between two attempts to connect: each pause is twice as long as the one before."""

_CLOSE_SECONDS = 0.5
"""Seconds that `close` waits for all threads. An exchange that takes longer ends by itself."""


_Question = tuple[Future["bool | None"], bytes]
"""A token, and where its answer goes."""


class Asker(Protocol):
    """The exchanges that the threads have with Redis."""

    def check(self, client: Any) -> None:
        """Connect, and see whether all is well; raises what the client raises."""
        ...

    def ask(self, client: Any, token: bytes) -> bool:
        """Return the answer for a token; raises what the client raises."""
        ...

    def note_failure(self, error: Exception) -> None:
        """Note that a check or a question failed."""
        ...

    def begin_anew(self) -> None:
        """Replace locks, in a forked process."""
        ...

    def is_hopeless(self, connected: bool) -> bool:
        """Return whether there will be no answer in time, so that nobody waits for one."""
        ...


class Connections:
    """Threads that ask Redis, each by a connection of its own.

    Args:
        client_or_url: a URL, or a client that all threads share, and which stays open.
        asker: what they do.
        name: the name of the threads.

    Raises:
        ConfigurationError: as `open_client` does.
    """

    def __init__(self, client_or_url: Any, asker: Asker, name: str) -> None:
        open_client(client_or_url)
        self._client_or_url = client_or_url
        self._asker = asker
        self._name = name
        self._is_closed = False
        self._prepare()
        with self._lock, suppress(RuntimeError):  # No more threads: the next question tries again.
            self._start_kept()
        begin_anew_in_children(self)

    def begin_anew(self) -> None:
        """Forget the threads and connections of the parent process; called in the child."""
        self._asker.begin_anew()
        if not self._is_closed:
            self._prepare()

    def ask(self, token: bytes) -> Future[bool | None] | None:
        """Have a thread ask for this token; None if no answer can be expected.

        The future gives the answer, or None if there is none. If it is cancelled before its
        turn comes, Redis is not asked.
        """
        future: Future[bool | None] = Future()
        with self._lock:
            if self._is_closed:
                return None
            try:
                self._start_kept()
                if self._asker.is_hopeless(self._connected > 0):
                    return None
                if self._outstanding >= len(self._threads) < MOST:
                    self._start(is_spare=True)
            except RuntimeError:  # No more threads: those that are there may do.
                pass
            try:
                self._questions.put_nowait((future, token))
            except Full:
                return None
            self._outstanding += 1
        return future

    def forget(self) -> None:
        """Let the threads end in a few seconds."""
        # It takes no lock: the garbage collector may call it wherever a thread holds one.
        self._is_closed = True

    def close(self) -> None:
        """End the threads, and close the connections that they made."""
        self.forget()
        self._stop.set()
        with suppress(Full):
            for _ in range(MOST):
                self._questions.put_nowait(None)
        with self._lock:
            threads, clients = list(self._threads), list(self._clients)
        for client in clients:
            close_client(client)  # It ends an exchange that another thread waits for.
        until = time.monotonic() + _CLOSE_SECONDS
        for thread in threads:
            if thread is not current_thread():
                thread.join(max(0.0, until - time.monotonic()))

    # The threads

    def _prepare(self) -> None:
        self._lock = Lock()
        self._stop = Event()
        self._questions: Queue[_Question | None] = Queue(_QUEUED)
        self._threads: list[Thread] = []
        self._clients: list[Any] = []
        self._connected = 0
        self._outstanding = 0

    def _start_kept(self) -> None:
        while len(self._threads) < KEPT:
            self._start(is_spare=False)

    def _start(self, *, is_spare: bool) -> None:
        thread = Thread(target=self._run, args=(is_spare,), name=self._name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _run(self, is_spare: bool) -> None:
        client = open_client(self._client_or_url)
        is_own = client is not self._client_or_url
        if is_own:
            self._clients.append(client)
        try:
            self._serve(client, is_spare)
        finally:
            with self._lock:
                self._threads.remove(current_thread())
            if is_own:
                self._clients.remove(client)
                close_client(client)

    def _serve(self, client: Any, is_spare: bool) -> None:
        pause = FIRST_PAUSE
        while not self._is_closed:
            try:
                self._asker.check(client)
            except Exception as error:
                if is_spare and self._connected:  # Redis may take no more clients than it has.
                    return
                self._note_failure(error)
                self._end_waiting()
                if is_spare:
                    return
                self._stop.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                continue
            pause = FIRST_PAUSE
            self._change(connected=1)
            try:
                # Those that check at the same moment would leave no thread for questions.
                spread = 0.75 + os.urandom(1)[0] / 512
                self._answer(client, spread * (_SPARE_SECONDS if is_spare else CHECK_SECONDS))
            finally:
                self._change(connected=-1)
            if is_spare:
                return

    def _answer(self, client: Any, seconds: float) -> None:
        """Answer questions until one fails, or for so long."""
        until = time.monotonic() + seconds
        while (question := self._next(until)) is not None:
            future, token = question
            if not future.set_running_or_notify_cancel():
                self._change(outstanding=-1)
                continue
            try:
                is_first = self._asker.ask(client, token)
            except Exception as error:
                self._note_failure(error)
                self._end(future, None)
                return
            self._end(future, is_first)

    def _end_waiting(self) -> None:
        """Leave all questions without an answer if no thread is connected: nobody waits for one."""
        with suppress(Empty):
            while not self._connected and not self._is_closed:
                question = self._questions.get_nowait()
                if question is None:
                    continue
                if question[0].set_running_or_notify_cancel():
                    self._end(question[0], None)
                else:
                    self._change(outstanding=-1)

    def _next(self, until: float) -> _Question | None:
        """Return the next question; None once it is `until`, or all shall end."""
        while not self._is_closed and (left := until - time.monotonic()) > 0:
            with suppress(Empty):
                # Nobody wakes the threads of an object that was forgotten.
                return self._questions.get(timeout=min(left, CHECK_SECONDS))
        return None

    def _end(self, future: Future[bool | None], answer: bool | None) -> None:
        self._change(outstanding=-1)
        future.set_result(answer)

    def _change(self, *, connected: int = 0, outstanding: int = 0) -> None:
        with self._lock:
            self._connected += connected
            self._outstanding += outstanding

    def _note_failure(self, error: Exception) -> None:
        if not self._is_closed:
            self._asker.note_failure(error)
