"""The progress of a long command, with its rate and the time left, on standard error."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

_LINE_SECONDS = 10.0
_SHOWN_SECONDS = 0.2


class Progress:
    """A line that is written over on a terminal; elsewhere a line now and then.

    A command with one thing to do shows none.

    Args:
        total: how much there is to do.
        clock: in seconds.
    """

    def __init__(
        self, total: int, stream: TextIO, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._total = total
        self._stream = stream
        self._clock = clock
        self._done = 0
        self._began = self._shown = clock()
        self._width = 0

    def advance(self) -> None:
        """Note that one more is done, and show it if it is time."""
        self._done += 1
        now = self._clock()
        seconds = _SHOWN_SECONDS if self._stream.isatty() else _LINE_SECONDS
        if self._total > 1 and now - self._shown >= seconds:
            self._shown = now
            self._show(self.text(now))

    def text(self, now: float) -> str:
        """Return the line for a time."""
        rate = self._done / max(now - self._began, 1e-9)
        left = (self._total - self._done) / rate
        return f"{self._done:,} of {self._total:,}, {rate:.1f} per second, {_duration(left)} left"

    def clear(self) -> None:
        """Take the line from the terminal, before something else is printed."""
        if self._width:
            self._stream.write("\r" + " " * self._width + "\r")
            self._stream.flush()
            self._width = 0

    def _show(self, text: str) -> None:
        if self._stream.isatty():
            self.clear()
            self._stream.write(f"\r{text}")
            self._width = len(text)
        else:
            self._stream.write(f"{text}\n")
        self._stream.flush()


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
