"""The raw file under what `TLSSocket.makefile` returns."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from handclasp.errors import StateError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

    from handclasp.adapters.duplex import Duplex
    from handclasp.adapters.sockets import TLSSocket

_LEAST_PIECE = 1024
"""Bytes that are sealed together at least, where there are as many."""


class SocketFile(io.RawIOBase):
    """Reads and writes a `TLSSocket`, unbuffered; tells its owner when it is closed.

    A record that a socket that does not block has taken in part cannot be taken back, and is not
    written before it has left. `io.BufferedWriter`, whose `write` does not fit then, keeps no more
    than its buffer holds, and lets its caller go on from there. So no more is sealed at once, and
    what is written next begins with the same bytes.

    Args:
        keeps: bytes that the buffer above holds.
    """

    def __init__(
        self,
        tls: TLSSocket,
        duplex: Duplex,
        *,
        reading: bool,
        writing: bool,
        keeps: int,
        on_close: Callable[[], None],
    ) -> None:
        super().__init__()
        self._tls = tls
        self._duplex = duplex
        self._piece = max(keeps, _LEAST_PIECE)
        self._begun = b""
        """What was sealed, and has not been counted as written."""
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
        """Read into a buffer; return None if a non-blocking socket has no data, as `io.RawIOBase`
        does.
        """
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
        """Write; return None if a non-blocking socket takes no more, as `io.RawIOBase` does.

        Then what is written next must go on with the same bytes, be they fewer or more.
        """
        if not self.writable():
            raise io.UnsupportedOperation("The file is not open for writing.")
        try:
            if not self._begun and self._duplex.timeout != 0:
                return self._tls.send(data)
            with memoryview(data) as view:
                return self._write_pieces(view.cast("B") if view.nbytes else view)
        except BlockingIOError:
            return None

    def _write_pieces(self, octets: memoryview) -> int | None:
        duplex = self._duplex
        written = self._count_begun(octets)
        try:
            while written < len(octets):
                piece = bytes(octets[written : written + self._piece])
                if not duplex.write(duplex.seal_piece, piece):
                    self._begun = piece
                    break
                written += len(piece)
        except BlockingIOError:
            pass
        return written if written or not octets else None

    def _count_begun(self, octets: memoryview) -> int:
        """Return how many bytes of `octets` had already been sealed, and have left now."""
        begun = self._begun
        size = min(len(begun), len(octets))
        if bytes(octets[:size]) != begun[:size]:
            raise StateError(
                f"A write for which the socket had no room must go on with the same data: "
                f"{len(begun)} bytes of it are on their way, and these are others."
            )
        if begun:
            self._duplex.write(self._duplex.seal_piece, b"")
            self._begun = begun[size:]
        return size

    def _refuse_if_closed(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file.")

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._on_close()
