"""The raw file under what `TLSSocket.makefile` returns."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

    from handclasp.adapters.sockets import TLSSocket


class SocketFile(io.RawIOBase):
    """Reads and writes a `TLSSocket`, unbuffered; tells its owner when it is closed."""

    def __init__(
        self, tls: TLSSocket, *, reading: bool, writing: bool, on_close: Callable[[], None]
    ) -> None:
        super().__init__()
        self._tls = tls
        self._reading = reading
        self._writing = writing
        self._on_close = on_close
        self._timed_out = False

    @property
    def mode(self) -> str:
        return "rwb" if self._reading and self._writing else "rb" if self._reading else "wb"

    @property
    def name(self) -> int:
        """The file descriptor, as sockets' files have it; -1 once closed."""
        return -1 if self.closed else self._tls.fileno()

    def readable(self) -> bool:
        self._refuse_if_closed()
        return self._reading

    def writable(self) -> bool:
        self._refuse_if_closed()
        return self._writing

    def seekable(self) -> bool:
        self._refuse_if_closed()
        return False

    def fileno(self) -> int:
        self._refuse_if_closed()
        return self._tls.fileno()

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        """None where a socket that does not block has nothing yet, as `io.RawIOBase` says."""
        if not self.readable():
            raise io.UnsupportedOperation("The file is not open for reading.")
        if self._timed_out:
            # The buffer above has dropped part of a line by then.
            raise OSError("cannot read from timed out object")
        try:
            return self._tls.recv_into(buffer)
        except TimeoutError:
            self._timed_out = True
            raise
        except BlockingIOError:
            return None

    def write(self, data: ReadableBuffer, /) -> int | None:
        """None where a socket that does not block takes no more, as `io.RawIOBase` says."""
        if not self.writable():
            raise io.UnsupportedOperation("The file is not open for writing.")
        try:
            return self._tls.send(data)
        except BlockingIOError:
            return None

    def _refuse_if_closed(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file.")

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._on_close()
