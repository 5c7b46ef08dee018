"""A proxy on loopback that treats its connections as a bad network would.

What arrives is passed on in order and complete, but cut into segments of any size, one byte
upwards, and late now and then. Nothing is lost: TCP would have brought it again.
"""

from __future__ import annotations

import asyncio
import random

from tests.joining import JoiningProxy

_LONGEST_DELAY = 0.02
"""Seconds."""


class TroubleProxy(JoiningProxy):
    """Joins its clients to the port behind it, in the way that chance says."""

    def __init__(self, target: int, chance: random.Random) -> None:
        super().__init__(target)
        self._chance = chance

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
