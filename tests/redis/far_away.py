"""A Redis that is far away: a proxy on loopback which holds back what it carries."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.joining import JoiningProxy


@contextmanager
def far_away(port: int, round_trip: float) -> Iterator[int]:
    """A port that leads to another one, with `round_trip` seconds there and back."""
    loop = asyncio.new_event_loop()
    proxy = _Proxy(port, round_trip / 2)
    listening = loop.run_until_complete(proxy.start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield listening
    finally:
        asyncio.run_coroutine_threadsafe(proxy.close(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


class _Proxy(JoiningProxy):
    def __init__(self, target: int, delay: float) -> None:
        super().__init__(target)
        self._delay = delay

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            while data := await reader.read(65536):
                loop.call_later(self._delay, writer.write, data)
        loop.call_later(self._delay, writer.close)
