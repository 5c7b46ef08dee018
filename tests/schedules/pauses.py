"""Pauses in the middle of calls, as a busy machine makes them, and as no lucky run shows them."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Set
from types import FrameType
from typing import Any

from handclasp.adapters import duplex, polling

_MOST = 6
"""Pauses of one thread."""

FILES = frozenset({duplex.__file__, polling.__file__})
"""The modules of the adapter."""


class Pauses:
    """Lets a thread pause at some random lines of these files."""

    def __init__(self, chance: random.Random, files: Set[str] = FILES) -> None:
        self._chance = chance
        self._files = files
        self._left = _MOST
        self._lines = self._until_the_next()

    def start(self) -> None:
        """Let the thread that calls this pause from here on."""
        sys.settrace(self._enter)

    def _until_the_next(self) -> int:
        return 1 + int(self._chance.expovariate(1 / self._chance.choice((3, 20, 100))))

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._step if self._left and frame.f_code.co_filename in self._files else None

    def _step(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            self._lines -= 1
            if not self._lines:
                self._left -= 1
                self._lines = self._until_the_next()
                time.sleep(self._seconds())
        return self._step if self._left else None

    def _seconds(self) -> float:
        """Mostly short; now and then longer than an end of the connection waits for others."""
        if self._chance.random() < 0.97:
            return self._chance.uniform(0, 0.005)
        return self._chance.choice((0.02, 1.2 * duplex._TURN_SECONDS, 1.2 * duplex._LEAVE_SECONDS))
