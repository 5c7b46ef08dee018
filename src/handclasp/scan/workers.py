"""A scan by several processes: Python runs one thread at a time, so one process uses one core.

The parent hands the hosts out one by one, so that no process waits while another has many left,
and never more at once than `ScanSettings.concurrency`. A worker scans what it is handed, and sends
back the lines that were made of each report. Workers are forked, so that the settings need not be
written down; the parent has neither threads nor an event loop.

If a worker ends before its time, its hosts are scanned again, each of them alone in a worker: a
host that ends the second one, too, is reported as failed, and no other host is.
"""

from __future__ import annotations

import asyncio
import json
import os
import selectors
import signal
import socket
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from handclasp.descriptors import connections_possible
from handclasp.scan.report import Report, Target
from handclasp.scan.runner import Pace, ScanSettings, scan_any
from handclasp.values import dataclass, field, replace

MOST_ENDINGS = 6
"""Workers that end in a row, without any result in between, after which the scan is given up."""

_READ = 1 << 16


class WorkersEndedError(Exception):
    """No worker can be started, or one after the other ended before its time.

    See docs/scan.md for an example.
    """


def scan_in_workers(
    targets: Sequence[Target],
    settings: ScanSettings,
    render: Callable[[Report], Any],
    *,
    workers: int,
    remark: Callable[[str], object],
) -> Generator[Any]:
    """Scan many servers with several processes; yield what `render` made of each report.

    See docs/scan.md for an example.

    Args:
        settings: `rate` and `concurrency` are those of all workers together: each worker keeps an
            equal part of the rate. Where a process may not open files for its part of the hosts,
            fewer are scanned at once.
        render: makes plain values of a report, as JSON has them; it runs in the workers.
        workers: how many processes, at most; never more than there are targets.
        remark: is called with a sentence about each worker that ended before its time.

    Raises:
        WorkersEndedError: workers cannot be started, or end again and again.
    """
    pool = _Pool(targets, settings, render, workers, remark)
    try:
        yield from pool.run()
    finally:
        pool.end()


@dataclass(slots=True, eq=False)
class _Worker:
    """A process, the parent's end of the pair of sockets to it, and the hosts that it scans."""

    pid: int
    sock: socket.socket
    handed: set[int] = field(default_factory=set[int])
    received: bytearray = field(default_factory=bytearray)


class _Pool:
    """The workers, and the numbers of the targets that are left."""

    def __init__(
        self,
        targets: Sequence[Target],
        settings: ScanSettings,
        render: Callable[[Report], Any],
        workers: int,
        remark: Callable[[str], object],
    ) -> None:
        self._targets = targets
        self._count = max(1, min(workers, settings.concurrency, len(targets)))
        most = min(settings.concurrency, self._count * connections_possible())
        self._settings = replace(settings, rate=settings.rate / self._count, concurrency=most)
        self._render = render
        self._remark = remark
        self._waiting = deque(range(len(targets)))
        self._suspects: deque[int] = deque()
        """The hosts that wait for a worker of their own."""
        self._suspected: set[int] = set()
        self._workers: list[_Worker] = []
        self._selector = selectors.DefaultSelector()
        self._endings = 0

    def run(self) -> Iterator[Any]:
        while True:
            while (next_one := self._next()) is not None:
                worker, number = next_one
                worker.handed.add(number)
                with suppress(OSError):  # It has ended, as will be read from it.
                    worker.sock.sendall(b"%d\n" % number)
            if not any(worker.handed for worker in self._workers):
                return
            for key, _ in self._selector.select():
                yield from self._receive(key.data)

    def end(self) -> None:
        """End all workers at once: what they have not sent is scanned by another run."""
        for worker in self._workers:
            with suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGKILL)
            worker.sock.close()
            os.waitpid(worker.pid, 0)
        self._workers.clear()
        self._selector.close()

    def _next(self) -> tuple[_Worker, int] | None:
        """Return the worker that takes the next host, and the host; None while none can."""
        if self._suspects:  # Workers with other hosts finish these first.
            idle = next((worker for worker in self._workers if not worker.handed), None)
            if idle is None and len(self._workers) < self._count:
                idle = self._started()
            return (idle, self._suspects.popleft()) if idle is not None else None
        busy = sum(len(worker.handed) for worker in self._workers)
        if not self._waiting or busy >= self._settings.concurrency:
            return None
        if len(self._workers) < self._count:
            return self._started(), self._waiting.popleft()
        shared = [worker for worker in self._workers if not worker.handed & self._suspected]
        if not shared:
            return None
        return min(shared, key=lambda worker: len(worker.handed)), self._waiting.popleft()

    def _receive(self, worker: _Worker) -> Iterator[Any]:
        try:
            data = worker.sock.recv(_READ)
        except OSError:
            data = b""
        if not data:
            yield from self._note_end(worker)
            return
        worker.received += data
        *lines, rest = worker.received.split(b"\n") if b"\n" in data else [worker.received]
        worker.received = rest
        for line in lines:
            number, rendered = json.loads(line)
            worker.handed.discard(number)
            self._endings = 0
            yield rendered

    def _note_end(self, worker: _Worker) -> Iterator[Any]:
        """Plan the hosts of a worker that has ended, and give up those that end every worker."""
        self._selector.unregister(worker.sock)
        worker.sock.close()
        self._workers.remove(worker)
        with suppress(ProcessLookupError):  # It closed its socket, and cannot be of use any more.
            os.kill(worker.pid, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(worker.pid, 0)[1])
        how = f"exited with status {status}" if status >= 0 else f"was ended by signal {-status}"
        self._endings += 1
        if self._endings >= MOST_ENDINGS:
            raise WorkersEndedError(
                f"{self._endings} worker processes in a row ended without any result; the last "
                f"{how}."
            )
        again = [number for number in sorted(worker.handed) if number not in self._suspected]
        self._suspects += again
        for number in worker.handed & self._suspected:
            error = f"Two processes ended while they scanned it; the second {how}."
            failed = self._render(Report(self._targets[number], error=error))
            yield json.loads(json.dumps(failed))
        self._suspected.update(again)
        if again:
            those = f"{len(again)} hosts are" if len(again) > 1 else "one host is"
            self._remark(f"A worker (process {worker.pid}) {how}; its {those} scanned again.")

    def _started(self) -> _Worker:
        ours, theirs = socket.socketpair()
        # A Ctrl-C meanwhile waits until the worker ignores it: it is left to the parent.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            pid = os.fork()
            if not pid:
                ours.close()
                self._become(theirs, before)
        except OSError as error:
            ours.close()
            raise WorkersEndedError(f"No worker can be started: {error.strerror}.") from None
        finally:
            theirs.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        worker = _Worker(pid, ours)
        self._workers.append(worker)
        self._selector.register(ours, selectors.EVENT_READ, worker)
        return worker

    def _become(self, sock: socket.socket, mask: set[int | signal.Signals]) -> NoReturn:
        """Work in the process that was just forked, until the parent closes its end or is gone."""
        status = 1
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            for other in self._workers:  # Or they would not notice that the parent is gone.
                other.sock.close()
            asyncio.run(self._work(sock))
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)  # Nothing of the parent's is to be cleaned up here.

    async def _work(self, sock: socket.socket) -> None:
        pace = Pace(self._settings.rate, self._settings.concurrency)
        reader, writer = await asyncio.open_connection(sock=sock)
        async with asyncio.TaskGroup() as group:
            while line := await reader.readline():
                group.create_task(self._scan(int(line), pace, writer))
            os._exit(0)  # Nobody reads what is still being scanned.

    async def _scan(self, number: int, pace: Pace, writer: asyncio.StreamWriter) -> None:
        report = await scan_any(self._targets[number], self._settings, pace)
        writer.write(json.dumps([number, self._render(report)]).encode() + b"\n")
        await writer.drain()
