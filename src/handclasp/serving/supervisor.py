"""Several processes that serve one port, and the one that watches over them.

Python runs one thread at a time, so one process cannot use more than one core. The supervisor forks
the workers when everything is built, so that each resumes the others' clients: all ticket keys,
later ones too, are derived from what was drawn before the fork. It starts another worker for one
that has ended or that the system could not start, ever later if that happens again and again, and
gives up in the end: a fault that ends every worker is not hidden.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from handclasp.serving.service import StatusLine, notify, notify_reloading
from handclasp.values import dataclass

QUICK_SECONDS = 10.0
"""A worker that ends within this time has not worked at all."""

MOST_QUICK_ENDINGS = 5
"""The number of such endings, or of failures to start it, in a row, after which the supervisor
gives up.
"""

_FIRST_DELAY_SECONDS = 0.5
_LONGEST_DELAY_SECONDS = 30.0
_GRACE_BESIDE = 5.0
"""The seconds after the grace of the workers in which they must have ended by themselves."""
_TICK_SECONDS = 1.0
_ENDING = (signal.SIGINT, signal.SIGTERM)

Work = Callable[[int, int], object]
"""Serves as the worker of this number, until SIGTERM, or the end of the lifeline (a descriptor)."""


def more_listeners(first: socket.socket, count: int) -> list[socket.socket]:
    """Return more sockets on the port of a listening one: the system divides the clients.

    Only sockets of this process can share it: `first` was bound alone, so that a second server is
    refused. Where the system does not support that, there are none, and workers share `first`.
    """
    found: list[socket.socket] = []
    try:
        first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        for _ in range(count):
            sock = socket.socket(first.family, first.type)
            found.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(first.getsockname())
            sock.listen()
    except OSError:
        for sock in found:
            sock.close()
        return []
    return found


@dataclass(slots=True)
class _Worker:
    number: int
    quick_endings: int = 0
    pid: int | None = None
    began: float = 0.0
    starts_at: float = 0.0


class Supervisor:
    """Runs workers until a signal.

    SIGHUP is passed on to them.

    Args:
        count: how many.
        work: what each does. It runs in a process of its own, which ends with status 0 when it
            returns, and with 1 when it raises, after `failed` has been called.
        stopping: is called when the workers are to end, to stop listening here, too.
        remark: is called with sentences about the workers.
        failed: is called in a worker with what `work` has raised.
        grace: the seconds that a worker needs at most to end.
        status: of the service, which is checked about once a second.
        reload_seconds: after which the workers have heeded SIGHUP.
        ended: is called with the number of each worker whose process has ended.
    """

    def __init__(
        self,
        count: int,
        work: Work,
        *,
        stopping: Callable[[], object],
        remark: Callable[[str], object],
        failed: Callable[[Exception], object],
        grace: float,
        status: StatusLine,
        reload_seconds: float = 0.0,
        ended: Callable[[int], object] = lambda worker: None,
    ) -> None:
        self._work = work
        self._stopping = stopping
        self._remark = remark
        self._failed = failed
        self._grace = grace
        self._status = status
        self._reload_seconds = reload_seconds
        self._ended = ended
        self._workers = [_Worker(number) for number in range(count)]
        self._signals: list[int] = []
        self._ends_at: float | None = None
        """When the workers are killed, once they are to end."""
        self._tick_at = 0.0
        self._reloaded_at: float | None = None
        self._has_given_up = False
        # Workers read from it, and come to its end when this process is gone, however it ended.
        self._lifeline, self._life = os.pipe()
        self._woken, self._wake = os.pipe()

    def run(self, ready: Callable[[], object]) -> bool:
        """Run them. Return whether they were to end; False if the supervisor has given up.

        Args:
            ready: is called once the first of them has been started.
        """
        os.set_blocking(self._woken, False)
        os.set_blocking(self._wake, False)
        kinds = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
        before = {number: signal.signal(number, self._note_signal) for number in kinds}
        fd = signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        try:
            self._start_due()
            is_ready = False
            while self._ends_at is None or any(each.pid for each in self._workers):
                if not is_ready and any(each.pid for each in self._workers):
                    is_ready = True
                    ready()
                self._wait()
                self._heed_signals()
                self._tell_status()
                self._reap()
                self._start_due()
        finally:
            signal.set_wakeup_fd(fd)
            for number, handler in before.items():
                signal.signal(number, handler)
            for descriptor in (self._woken, self._wake, self._lifeline):
                os.close(descriptor)
            self._cut_lifeline()
        return not self._has_given_up

    # Signals

    def _note_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals.append(number)

    def _wait(self) -> None:
        """Wait for a signal, or the time of what is to be done next."""
        times = [each.starts_at for each in self._workers if each.pid is None]
        times.append(self._tick_at)
        if self._ends_at is not None:
            times = [self._ends_at]
        seconds = max(0.0, min(times) - time.monotonic())
        if not self._signals:
            select.select([self._woken], [], [], seconds)
        with suppress(BlockingIOError):
            os.read(self._woken, 4096)

    def _heed_signals(self) -> None:
        while self._signals:
            number = self._signals.pop(0)
            if number == signal.SIGHUP:
                if self._ends_at is None:
                    notify_reloading()
                    self._reloaded_at = time.monotonic() + self._reload_seconds
                self._send(signal.SIGHUP)
            elif number in (signal.SIGINT, signal.SIGTERM):
                if self._ends_at is None:
                    self._end()
                else:
                    self._cut_lifeline()
        if self._ends_at is not None and time.monotonic() >= self._ends_at:
            self._send(signal.SIGKILL)
            self._ends_at = time.monotonic() + _GRACE_BESIDE

    def _tell_status(self) -> None:
        now = time.monotonic()
        if self._ends_at is not None or now < self._tick_at:
            return
        self._tick_at = now + _TICK_SECONDS
        if self._reloaded_at is None:
            self._status.look()
        elif now >= self._reloaded_at:
            self._reloaded_at = None
            self._status.tell("READY=1")

    def _end(self) -> None:
        notify("STOPPING=1")
        self._stopping()
        self._ends_at = time.monotonic() + self._grace + _GRACE_BESIDE
        self._send(signal.SIGTERM)

    def _send(self, number: int) -> None:
        for each in self._workers:
            if each.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(each.pid, number)

    def _cut_lifeline(self) -> None:
        if self._life >= 0:
            os.close(self._life)
            self._life = -1

    # Workers

    def _start_due(self) -> None:
        for each in self._workers:
            due = each.pid is None and time.monotonic() >= each.starts_at
            if due and self._ends_at is None:
                self._start(each)

    def _start(self, worker: _Worker) -> None:
        # A signal for a worker that is just being made waits until the worker heeds it: the
        # handler that it inherits would only note it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        try:
            pid = os.fork()
            if not pid:
                self._become(worker.number, before)
        except OSError as error:
            # Too many processes, perhaps, or too little memory: it may pass.
            reason = error.strerror or error
            self._replace(worker, f"Worker {worker.number + 1} cannot start: {reason}", quick=True)
            return
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        worker.pid, worker.began = pid, time.monotonic()

    def _become(self, number: int, mask: set[int | signal.Signals]) -> NoReturn:
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is left to the parent.
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            for descriptor in (self._woken, self._wake, self._life):
                os.close(descriptor)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # Until the worker heeds it.
            self._work(number, self._lifeline)
            status = 0
        except Exception as error:
            self._failed(error)
        finally:
            os._exit(status)  # Nothing of the parent's is to be cleaned up here.

    def _reap(self) -> None:
        for each in self._workers:
            if each.pid is None:
                continue
            pid, status = os.waitpid(each.pid, os.WNOHANG)
            if pid:
                each.pid = None
                self._ended(each.number)
                if self._ends_at is None:
                    self._note_end(each, pid, os.waitstatus_to_exitcode(status))

    def _note_end(self, worker: _Worker, pid: int, status: int) -> None:
        how = f"exited with status {status}"
        if status < 0:
            how = f"was ended by {_name_of(-status)}"
        said = f"Worker {worker.number + 1} (process {pid}) {how}"
        self._replace(worker, said, quick=time.monotonic() < worker.began + QUICK_SECONDS)

    def _replace(self, worker: _Worker, said: str, *, quick: bool) -> None:
        """Let another process start for a worker, later if that happens again; or give up.

        Args:
            worker: has no process.
            said: what has become of it, without a period.
            quick: whether it has not worked at all.
        """
        worker.quick_endings = worker.quick_endings + 1 if quick else 0
        if worker.quick_endings >= MOST_QUICK_ENDINGS:
            self._has_given_up = True
            self._remark(f"{said}, the {MOST_QUICK_ENDINGS}th failure in a row: giving up.")
            self._end()
            return
        delay = 0.0
        if worker.quick_endings:
            delay = min(
                _FIRST_DELAY_SECONDS * 2 ** (worker.quick_endings - 1), _LONGEST_DELAY_SECONDS
            )
        worker.starts_at = time.monotonic() + delay
        self._remark(f"{said}; another one starts{f' in {delay:g} s' if delay else ''}.")


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
