"""A proxy on loopback that treats its connections as a bad network would.

What arrives is passed on in order and complete, but cut into segments of any size, one byte
upwards, and late now and then. Nothing is lost: TCP would have brought it again.
"""

from __future__ import annotations

import asyncio
import random

_LONGEST_DELAY = 0.02
"""Seconds."""


class TroubleProxy:
    """Listens on a free port, and connects each client to the port behind it."""

    def __init__(self, target: int, chance: random.Random) -> None:
        self._target = target
        self._chance = chance
        self._server: asyncio.Server | None = None
        self._joined: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """Gives the port."""
        self._server = await asyncio.start_server(self._note, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._joined:
            task.cancel()
        await asyncio.gather(*self._joined, return_exceptions=True)

    def _note(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._join(reader, writer))
        self._joined.add(task)
        task.add_done_callback(self._joined.discard)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        ways = [self._carry(reader, far_writer), self._carry(far_reader, writer)]
        await asyncio.gather(*ways)
        for each in (writer, far_writer):
            each.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One way, until its end; a reset on one side becomes one on the other."""
        chance = self._chance
        try:
            while data := await reader.read(1 << chance.randrange(15)):
                while data and not writer.is_closing():
                    size = chance.choice((1, 2, 5, 6, 100, 1448, 9000))
                    writer.write(data[:size])
                    data = data[size:]
                    if chance.random() < 0.1:
                        await writer.drain()
                        await asyncio.sleep(chance.random() * _LONGEST_DELAY)
            writer.write_eof()
        except OSError:
            writer.transport.abort()
