"""Sending to clients that read slowly: for as long as they go on reading."""

from __future__ import annotations

import time
from contextlib import suppress
from io import RawIOBase
from typing import TYPE_CHECKING, Any

from handclasp.adapters.polling import wait
from handclasp.adapters.progress import queued_bytes

if TYPE_CHECKING:
    from handclasp import TLSSocket

STALLED_SECONDS = 30.0
"""The seconds that a client may accept nothing of the data for it."""

_LOOK_SECONDS = 0.5
"""The seconds between checks whether the client has accepted anything."""


class PatientWriter(RawIOBase):
    """A file that sends everything written to it. Closing it closes nothing else.

    The timeout of a socket bounds a call as a whole, and the system asks for more only once much
    of what it holds is gone: a client that takes a few kilobytes a second would be cut off in
    between, though it reads all the time.
    """

    def __init__(self, tls: TLSSocket, seconds: float = STALLED_SECONDS) -> None:
        super().__init__()
        self._tls = tls
        self._seconds = seconds

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        """Send a part of `data`, and return its size.

        Raises `TimeoutError` once the client has taken nothing for the time.
        """
        from handclasp import WantRead, WantWrite

        tls = self._tls
        left, last = -1, time.monotonic()
        tls.settimeout(0)
        try:
            while True:
                try:
                    return tls.send(data)
                except (WantRead, WantWrite):
                    now, size = time.monotonic(), queued_bytes(tls)
                    if size != left:
                        left, last = size, now
                    elif now - last >= self._seconds:
                        raise TimeoutError(
                            f"the client has taken nothing for {self._seconds:g} s"
                        ) from None
                    self._wait(now + min(_LOOK_SECONDS, self._seconds))
        finally:
            tls.settimeout(self._seconds)

    def _wait(self, deadline: float) -> None:
        with suppress(TimeoutError):
            wait(self._tls, readable=False, writable=True, deadline=deadline)


def send_all(tls: TLSSocket, data: bytes | memoryview) -> None:
    """Send all of `data` as a `PatientWriter` does."""
    writer, left = PatientWriter(tls), memoryview(data)
    while left:
        left = left[writer.write(left) :]
