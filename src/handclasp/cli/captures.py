"""The recordings of this program: brief ones for its own output, or captures for Wireshark."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING

import click

from handclasp.private_files import create_private

if TYPE_CHECKING:
    from handclasp import Recorder

CAPTURE_ENDING = ".pcapng"

_MOST_EVENTS = 200
"""More than a handshake has."""


def capturing_recorder() -> Recorder:
    """Return a recorder that keeps everything for a capture: the bytes on the wire, and the
    secrets.
    """
    from handclasp import Recorder

    return Recorder(record_secrets=True, record_wire=True)


def brief_recorder() -> Recorder:
    """Return a recorder that keeps only what the explanation of a failure needs."""
    from handclasp import Recorder

    return Recorder(limit=_MOST_EVENTS)


class CaptureFile:
    """A new capture that only its owner may read; connections are added as they end.

    Several threads may add. Raises `OSError` with the path where it cannot be written. After that,
    nothing more is added, since nobody could read on beyond a gap.
    """

    def __init__(self, path: Path) -> None:
        from handclasp.trace.pcapng import capture_header

        self._path = path
        self._file = create_private(path)
        self._lock = Lock()
        self._failed: OSError | None = None
        try:
            self._write(capture_header())
        except OSError:
            with suppress(OSError):
                self._file.close()
            raise

    def __enter__(self) -> CaptureFile:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def add(self, recorder: Recorder) -> None:
        """Add the packets of one connection, after the secrets that decrypt them."""
        from handclasp.trace.pcapng import connection_blocks

        # A view, so that no traceback shows the secrets.
        blocks = memoryview(connection_blocks(recorder.events, recorder.began_at_ns))
        with self._lock:
            if not self._file.closed and self._failed is None:
                self._write(blocks)

    def close(self) -> None:
        """Nothing more is added. Raises `OSError` if it is not whole."""
        with self._lock:
            try:
                self._file.close()  # What it could not write, it tries again.
            except OSError as error:
                error.filename = str(self._path)
                self._failed = self._failed or error
            failed, self._failed = self._failed, None
        if failed is not None:
            raise failed

    def _write(self, data: bytes | memoryview) -> None:
        try:
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            error.filename = str(self._path)
            self._failed = error
            raise

    def close_and_tell(self) -> None:
        """Close it, and say on standard error if it is not whole."""
        try:
            self.close()
        except OSError as error:
            told = f"The capture {error.filename} is not whole: {error.strerror or error}."
            with suppress(OSError):
                click.echo(told, err=True)
