"""Lines on a standard stream, for commands that go on where it fails."""

from __future__ import annotations

import sys
from typing import TextIO


class Output:
    """A standard stream that takes whole lines, and whose failure ends nothing.

    Lines are not buffered: what a full disk has refused would be tried once more, and complained
    about, when the program ends.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._has_failed = False

    def write(self, text: str) -> None:
        """Write lines. Standard error hears of the first failure in a row."""
        data = f"{text}\n".encode(self._stream.encoding or "utf-8", "backslashreplace")
        raw = getattr(getattr(self._stream, "buffer", None), "raw", None)
        try:
            self._stream.flush()
            if raw is None:
                self._stream.write(data.decode(self._stream.encoding or "utf-8"))
                self._stream.flush()
                return
            left = memoryview(data)
            while left:
                left = left[raw.write(left) or 0 :]
            self._has_failed = False
        except (OSError, ValueError) as error:
            if not self._has_failed and self._stream is not sys.stderr:
                self._has_failed = True
                reason = getattr(error, "strerror", None) or error
                Output(sys.stderr).write(f"Standard output fails, and lines are lost: {reason}.")
