"""The old pair of plain streams, after `start_tls` has upgraded their transport.

asyncio's own `StreamWriter.start_tls` changes the writer that it is called on. Here there is a new
pair, and a program that goes on with the old writer would send in the clear, in the middle of TLS
records. So the old pair refuses to be used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, NoReturn, cast

from handclasp.errors import StateError


def plain_transport(writer: asyncio.StreamWriter) -> asyncio.Transport:
    """Return the transport of a writer that TLS was not put below yet."""
    if isinstance(writer.transport, SpentTransport):
        raise spent()
    return cast(asyncio.Transport, writer.transport)


def spend(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upgraded: asyncio.Transport
) -> None:
    """Let the old pair raise `StateError` wherever it is read from or written to.

    Args:
        upgraded: the transport of the new pair.
    """
    inside: Any = writer
    transport = SpentTransport(inside.transport, upgraded)
    reader.set_exception(spent())
    inside._protocol = _SpentProtocol(inside._protocol, transport)
    inside._transport = transport


class SpentTransport(asyncio.Transport):
    """The transport of the old writer. It tells what it told before, and takes nothing.

    `close()` leaves the connection to the new pair; `abort()` ends it, as it always does.
    """

    def __init__(self, plain: asyncio.Transport, upgraded: asyncio.Transport) -> None:
        super().__init__()
        self._plain = plain
        self._upgraded = upgraded
        self.closed = False

    def __repr__(self) -> str:
        return f"<SpentTransport of {self._plain!r}>"

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Tell what the plain transport knows."""
        return self._plain.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> NoReturn:
        """Raise `StateError`: it would leave in the clear."""
        raise spent()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> NoReturn:
        """Raise `StateError`: it would leave in the clear."""
        raise spent()

    def can_write_eof(self) -> bool:
        """Return False: TLS itself ends the transport."""
        return False

    def write_eof(self) -> NoReturn:
        """Raise `StateError`: it would cut TLS off."""
        raise spent()

    def pause_reading(self) -> NoReturn:
        """Raise `StateError`: it would stop TLS, too."""
        raise spent()

    def resume_reading(self) -> NoReturn:
        """Raise `StateError`: when to read is for TLS to say."""
        raise spent()

    def is_reading(self) -> bool:
        """Return False: nothing is read for the old pair."""
        return False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> NoReturn:
        """Raise `StateError`: it would take the transport away from TLS."""
        raise spent()

    def get_write_buffer_size(self) -> int:
        """Return the number of bytes that wait below TLS."""
        return self._plain.get_write_buffer_size()

    def is_closing(self) -> bool:
        """Return whether the connection is closed, or about to be."""
        return self._plain.is_closing()

    def close(self) -> None:
        """Do nothing to the connection, which is the new pair's."""
        self.closed = True

    def abort(self) -> None:
        """Close the connection at once."""
        self._upgraded.abort()


class _SpentProtocol:
    """The protocol of the old writer, which is notified of the end of the connection."""

    def __init__(self, protocol: Any, transport: SpentTransport) -> None:
        self._protocol = protocol
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._protocol, name)

    async def _drain_helper(self) -> None:
        """Wait until writing may go on; `drain` calls this after it has asked the reader for an
        error.
        """
        if not self._transport.is_closing():
            raise spent()
        await self._protocol._drain_helper()

    def _get_close_waiter(self, stream: asyncio.StreamWriter) -> asyncio.Future[None]:
        """Return the future for `wait_closed`: a closed pair does not wait for the new one."""
        if self._transport.closed and not self._transport.is_closing():
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            done.set_result(None)
            return done
        waiter: asyncio.Future[None] = self._protocol._get_close_waiter(stream)
        return waiter


def spent() -> StateError:
    """Return the error for a use of the old pair."""
    return StateError(
        "start_tls returned a new pair: use that. The old reader and writer are below TLS, where "
        "data would leave in the clear."
    )
