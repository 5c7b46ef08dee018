"""A trace file for each connection of an unchanged program: `--trace DIRECTORY`."""

from __future__ import annotations

import os
import re
import secrets
import time
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from handclasp.errors import ConfigurationError, TLSError
from handclasp.trace.events import Failed, RecordSeen, TraceEvent
from handclasp.trace.recorder import EventRecorder

if TYPE_CHECKING:
    from handclasp.info import ConnectionInfo

_UNSAFE = re.compile(r"[^a-z0-9.-]+")
_LONGEST = 60

_MOST_EVENTS = 2000
_MOST_RECORDS = 1000
"""Events of one connection, and up to how many there are records among them."""

MOST_FILES = 10_000
MOST_BYTES = 256 * 1024 * 1024
"""Files in the directory, and their bytes: of more, the oldest are removed."""

_NAME = re.compile(r"\d{8}T\d{6}Z-\d+-[0-9a-f]{8}-\d{5,}-[a-z0-9_.-]*\.json")
"""The name of a trace, of whatever run. Nothing else in the directory is touched."""


class _Files:
    """The traces in a directory, oldest first, and no more than may be kept.

    Those of earlier runs count. Processes that run at the same time do not see each other's.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.begin()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=partial(_begin_again, weakref.ref(self)))

    def begin(self) -> None:
        """Begin in this process: a fork has files, and a lock, of its own."""
        started = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        # In a container, each run may have the process number 1, and two may start at once.
        self.run = f"{started}-{os.getpid()}-{secrets.token_hex(4)}"
        self._lock = Lock()
        self._written: deque[Path] = deque()
        self._sizes: dict[Path, int] = {}
        self._bytes = 0
        self._earlier_are_counted = False

    def add(self, path: Path) -> None:
        """Note a file that was written, and remove the oldest that are too many.

        It never waits: the collector may call it, by a handshake that was given up, in the middle
        of this very function. The call that holds the lock counts this file as well.
        """
        self._written.append(path)
        while self._written and self._lock.acquire(blocking=False):
            try:
                while self._written:
                    self._count(self._written.popleft())
            finally:
                self._lock.release()

    def _count(self, path: Path) -> None:
        if not self._earlier_are_counted:
            self._earlier_are_counted = True
            self._count_earlier()
        self._bytes -= self._sizes.pop(path, 0)
        with suppress(OSError):  # Somebody else may have moved one of them.
            self._sizes[path] = size = path.stat().st_size
            self._bytes += size
        while len(self._sizes) > MOST_FILES or self._bytes > MOST_BYTES:
            oldest = next(iter(self._sizes))
            self._bytes -= self._sizes.pop(oldest)
            with suppress(OSError):
                oldest.unlink()

    def _count_earlier(self) -> None:
        found: list[tuple[int, Path, int]] = []
        with suppress(OSError), os.scandir(self.directory) as entries:
            for entry in entries:
                if _NAME.fullmatch(entry.name) and not entry.name.startswith(self.run):
                    with suppress(OSError):  # Another process may remove it as well.
                        status = entry.stat(follow_symlinks=False)
                        found.append((status.st_mtime_ns, Path(entry.path), status.st_size))
        for _, path, size in sorted(found):
            self._sizes[path] = size
            self._bytes += size


def _begin_again(reference: weakref.ref[_Files]) -> None:
    if (files := reference()) is not None:
        files.begin()


class TraceFile(EventRecorder):
    """A recorder that writes itself into a directory when the handshake has ended, or is late.

    A handshake that the program gives up has ended when its object is collected.

    It records neither secrets nor application data, and of a flood of records the first: a stranger
    decides how many there are.
    """

    def __init__(self, number: int, files: _Files) -> None:
        super().__init__(limit=_MOST_EVENTS)
        self._files = files
        self._number = number
        self._name = ""

    def began(self, role: str, server_name: str | None) -> None:
        super().began(role, server_name)
        self._name = "-".join([role, *([server_name] if server_name else [])])

    def settled(self, info: ConnectionInfo) -> None:
        super().settled(info)
        self._save()

    def failed(self, error: TLSError) -> None:
        super().failed(error)
        self._save()

    def alert_left(self, sending: str) -> None:
        super().alert_left(sending)
        self._save()

    def late(self, error: TLSError) -> None:
        """Write the trace of a handshake that is late, as one that has failed; it may yet go on."""
        self.failed(error)
        if isinstance(self.events[-1], Failed):
            self.events.pop()

    @property
    def path(self) -> Path:
        """The file. Its name has the run's start and process, a number, the role and the server."""
        # The name may come from a peer.
        name = _UNSAFE.sub("_", self._name.lower())[:_LONGEST]
        return self._files.directory / f"{self._files.run}-{self._number:05}-{name}.json"

    def _save(self) -> None:
        with suppress(OSError):  # A full disk must not end the program's connection.
            self.save(self.path)
            self._files.add(self.path)

    def _note(self, event: TraceEvent) -> None:
        # Room is left for what tells how the connection ended.
        if isinstance(event, RecordSeen) and len(self.events) >= _MOST_RECORDS:
            self.dropped += 1
        else:
            super()._note(event)


def traces_in(directory: str | os.PathLike[str]) -> Callable[[], TraceFile]:
    """Return a `make_trace` whose traces are files in a directory, which is made if need be.

    Raises:
        ConfigurationError: the directory cannot be made.
    """
    path, numbers = Path(directory).absolute(), count(1)
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"Cannot make the directory {path}: {error.strerror}.") from None
    files = _Files(path)
    return lambda: TraceFile(next(numbers), files)
