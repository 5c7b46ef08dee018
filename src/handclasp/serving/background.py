"""A server in a thread of its own, beside what the program does in its main thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from types import TracebackType

from handclasp.serving.server import Server


class Background:
    """A context in which a server runs.

    Args:
        make: returns the server, in the thread's event loop.

    Entering it raises `OSError` if the server cannot listen.
    """

    def __init__(self, make: Callable[[], Server]) -> None:
        self._make = make
        self._thread = threading.Thread(target=self._run, daemon=True, name="server")
        self._started = threading.Event()
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Event | None = None

    def __enter__(self) -> Background:
        self._thread.start()
        self._started.wait()
        if self._error is not None:
            raise self._error
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._loop is not None and self._ending is not None:
            self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._error = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        server = self._make()
        await server.start()
        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        self._started.set()
        await self._ending.wait()
        await server.close()
