"""What this program records: briefly for its own words, or whole into captures for Wireshark."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING

from handclasp.private_files import create_private

if TYPE_CHECKING:
    from handclasp import Recorder

CAPTURE_ENDING = ".pcapng"

_MOST_EVENTS = 200
"""More than a handshake has."""


def capturing_recorder() -> Recorder:
    """A recorder that keeps all that a capture needs: what was on the wire, and the secrets."""
    from handclasp import Recorder

    return Recorder(record_secrets=True, record_wire=True)


def brief_recorder() -> Recorder:
    """A recorder that keeps no more than it takes to tell why a handshake failed."""
    from handclasp import Recorder

    return Recorder(limit=_MOST_EVENTS)


class CaptureFile:
    """A new capture that only its owner may read; connections are added as they end.

    Several threads may add. Raises `OSError` where it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        from handclasp.trace.pcapng import capture_header

        self._file = create_private(path)
        self._lock = Lock()
        self._file.write(capture_header())
        self._file.flush()

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
        """The packets of one connection, after the secrets that open them."""
        from handclasp.trace.pcapng import connection_blocks

        blocks = connection_blocks(recorder.events, recorder.began_at_ns)
        with self._lock:
            if not self._file.closed:
                self._file.write(blocks)
                self._file.flush()

    def close(self) -> None:
        """Nothing more is added."""
        with self._lock:
            self._file.close()
