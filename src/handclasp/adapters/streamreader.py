"""StreamReaders that lose nothing where a connection ends badly after good data."""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn, cast

from handclasp.errors import TruncationError

_BLOCK_SIZE = 2**16


class StreamReader(asyncio.StreamReader):
    """asyncio's StreamReader, whose `read()` loses nothing where it fails.

    What `read()` returns is a whole stream, so where the end is missing, it raises. asyncio's own
    throws away what it has taken out of its buffer by then.
    """

    async def read(self, n: int = -1) -> bytes:
        """Read up to `n` bytes; where `n` is negative, all until the end, or nothing."""
        if n >= 0:
            return await super().read(n)
        blocks: list[bytes] = []
        try:
            while block := await super().read(_BLOCK_SIZE):
                blocks.append(block)
        except BaseException:
            buffer: bytearray = cast(Any, self)._buffer
            buffer[:0] = b"".join(blocks)
            raise
        return b"".join(blocks)


class LostStreamReader(StreamReader):
    """A StreamReader whose connection is lost: what has arrived comes first, then the error.

    asyncio's own raises at once, so that it depends on timing whether the last data can be read.
    Authenticated data stay valid after the loss. A reader becomes one of this class when its
    connection is lost, so that until then nothing stands between asyncio's code and its data.
    """

    _failure: Exception

    def exception(self) -> Exception:
        """Return what ended the connection, whether or not data is left to be read."""
        return self._failure

    def _wait_for_data(self, func_name: str) -> NoReturn:
        """Wait for data; every read of asyncio's calls this if the buffer does not satisfy it."""
        raise self._failure.with_traceback(None)


class TLSStreamReaderProtocol(asyncio.StreamReaderProtocol):
    """asyncio's protocol for streams, with three differences.

    Data that has arrived can be read after a loss, and after the peer's close_notify this side can
    write on: asyncio's own closes then, where the extra information says that there is TLS, since
    its TLS transports cannot close one direction alone. And `wait_closed` is about what this side
    has written: where all of it has arrived, the peer's end concerns those who read.
    """

    def eof_received(self) -> bool:
        """Tell the reader, and keep the transport open."""
        super().eof_received()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the reader and who waits for the end."""
        reader: Any = getattr(self, "_stream_reader", None)
        own = cast(Any, self)
        if isinstance(exc, (TruncationError, ConnectionError)) and not own._closed.done():
            pump = getattr(own._transport, "_pump", None)
            if pump is not None and not pump.has_lost_data(exc):
                own._closed.set_result(None)
        super().connection_lost(exc)  # A read that waits now needs more than there is.
        if reader is not None and exc is not None:
            reader._exception = None  # Others may not.
            if not reader._eof:  # Else the stream was complete before.
                reader.__class__ = LostStreamReader
                reader._failure = exc
