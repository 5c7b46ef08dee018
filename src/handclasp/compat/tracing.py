"""A trace file for each connection of an unchanged program: `--trace DIRECTORY`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from handclasp.errors import ConfigurationError, TLSError
from handclasp.trace.recorder import EventRecorder

if TYPE_CHECKING:
    from handclasp.info import ConnectionInfo

_UNSAFE = re.compile(r"[^a-z0-9.-]+")
_LONGEST = 60


class TraceFile(EventRecorder):
    """A recorder that writes itself into a directory once the handshake is complete or has failed.

    It records neither secrets nor application data.
    """

    def __init__(self, directory: Path, number: int) -> None:
        super().__init__()
        self._directory = directory
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

    @property
    def path(self) -> Path:
        """The file, whose name has the process, a number, the role and the server's name."""
        # The name may come from a peer.
        name = _UNSAFE.sub("_", self._name.lower())[:_LONGEST]
        return self._directory / f"{os.getpid()}-{self._number:05}-{name}.json"

    def _save(self) -> None:
        with suppress(OSError):  # A full disk must not end the program's connection.
            self.save(self.path)


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
    return lambda: TraceFile(path, next(numbers))
