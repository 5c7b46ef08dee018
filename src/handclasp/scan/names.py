"""The resolution of names for a scan, in threads of its own.

The system's resolver blocks, for half a minute where a DNS server does not answer. The executor of
an event loop has few threads, so that a few such names would hold up all hosts.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from typing import Any, TypeAlias

Found: TypeAlias = list[tuple[Any, ...]]
"""Addresses as `socket.getaddrinfo` returns them."""


class Resolver:
    """Resolves names, so many at once. Its threads do not keep the program from ending.

    Args:
        most: threads at once; a thread ends when the system's resolver does, however long nobody
            has waited for it.
    """

    def __init__(self, most: int) -> None:
        self._room = asyncio.Semaphore(most)

    async def turn(self) -> None:
        """Wait until a thread is free; `resolve` has to be called then."""
        await self._room.acquire()

    async def resolve(self, host: str, port: int, seconds: float) -> Found:
        """Return the addresses of a host.

        Raises:
            TimeoutError: there was no answer within these seconds.
            OSError: the name has no address, or there is no thread.
            UnicodeError: it is no name.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Found] = loop.create_future()

        def end(found: Found | BaseException) -> None:
            self._room.release()
            if answer.done():  # Nobody waits any longer.
                return
            if isinstance(found, BaseException):
                answer.set_exception(found)
            else:
                answer.set_result(found)

        def look_up() -> None:
            found: Found | BaseException
            try:
                found = list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
            except Exception as error:  # For the loop, whatever it is.
                found = error
            with suppress(RuntimeError):  # The loop has ended meanwhile.
                loop.call_soon_threadsafe(end, found)

        try:
            threading.Thread(target=look_up, name="handclasp scan names", daemon=True).start()
        except RuntimeError as error:
            self._room.release()
            raise OSError(f"no thread to resolve the name: {error}") from None
        async with asyncio.timeout(seconds):
            return await answer
