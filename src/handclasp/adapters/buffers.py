"""The buffers that a `TLSSocket` reads into and out of."""

from __future__ import annotations

from collections import deque

READ_SIZE = 128 * 1024
"""Bytes taken from the transport at once."""

WRITE_SIZE = 128 * 1024
"""Plaintext bytes sealed at once: what a large write needs beyond the caller's own data."""


class Plaintext:
    """Decrypted bytes that nobody has read yet. Chunks go out whole where they fit.

    Attributes:
        size: how many bytes there are.
    """

    __slots__ = ("_at", "_chunks", "size")

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._at = 0
        self.size = 0

    def __len__(self) -> int:
        return self.size

    def add(self, data: bytes) -> None:
        if data:
            self._chunks.append(data)
            self.size += len(data)

    def clear(self) -> None:
        """Throw everything away."""
        self._chunks.clear()
        self._at = self.size = 0

    def take(self, size: int) -> bytes:
        """Return up to `size` bytes, of one chunk."""
        if not size or not self.size:
            return b""
        first, at = self._chunks[0], self._at
        if not at and len(first) <= size:
            self._chunks.popleft()
            self.size -= len(first)
            return first
        piece = first[at : at + size]
        self._advance(len(piece))
        return piece

    def take_into(self, target: memoryview) -> int:
        """Copy as many bytes of one chunk as fit into `target`, and return their number."""
        if not len(target) or not self.size:
            return 0
        with memoryview(self._chunks[0])[self._at : self._at + len(target)] as piece:
            count = len(piece)
            target[:count] = piece
        self._advance(count)
        return count

    def _advance(self, count: int) -> None:
        self.size -= count
        self._at += count
        if self._at == len(self._chunks[0]):
            self._chunks.popleft()
            self._at = 0


class _BufferPool(deque[memoryview]):
    """Buffers for reading, shared by all sockets: an idle connection holds none.

    They carry what is on the wire, never plaintext.
    """

    def __init__(self) -> None:
        super().__init__(maxlen=4)

    def take(self) -> memoryview:
        try:
            return self.pop()
        except IndexError:
            return memoryview(bytearray(READ_SIZE))

    give_back = deque[memoryview].append


READ_BUFFERS = _BufferPool()
