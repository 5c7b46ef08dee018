"""A server in a process of its own: from its start to the signal that ends it.

The first SIGINT or SIGTERM lets the answers that have begun come to their end, the second one ends
everything at once. SIGHUP asks for the credentials to be read again.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from types import FrameType

from handclasp.serving.server import Server
from handclasp.values import dataclass

_TICK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Hooks:
    """Functions that are called on the way of a server's life, in its event loop.

    Attributes:
        ready: once it listens.
        tick: about once a second.
        reload: on SIGHUP.
        stopping: when it begins to end.
        waiting: with the number of open connections, if ending takes a moment.
    """

    ready: Callable[[], object]
    tick: Callable[[], object]
    reload: Callable[[], object]
    stopping: Callable[[], object]
    waiting: Callable[[int], object]


def run(make: Callable[[], Server], hooks: Hooks, *, lifeline: int | None = None) -> None:
    """Serve until a signal.

    Args:
        make: returns the server, in the event loop.
        hooks: hear of it.
        lifeline: of a worker: a descriptor that comes to its end when everything is to end at once,
            since the parent has gone or wants it. SIGINT is then left to the parent.

    Raises:
        OSError: it cannot listen.
    """
    asyncio.run(_Life(hooks, lifeline).live(make))


class _Life:
    def __init__(self, hooks: Hooks, lifeline: int | None) -> None:
        self._hooks = hooks
        self._lifeline = lifeline
        self._ending = asyncio.Event()
        self._ending_now = asyncio.Event()

    async def live(self, make: Callable[[], Server]) -> None:
        loop = asyncio.get_running_loop()
        server = make()
        self._heed_signals(loop)
        await server.start()
        ticking = loop.create_task(self._tick())
        self._hooks.ready()
        await self._ending.wait()
        self._hooks.stopping()
        finishing = loop.create_task(server.finish(self._hooks.waiting))
        now = loop.create_task(self._ending_now.wait())
        await asyncio.wait((finishing, now), return_when=asyncio.FIRST_COMPLETED)
        if not finishing.done():
            finishing.cancel()
            await server.close()
        else:
            await finishing  # For what it may have raised.
        for task in (ticking, now):
            task.cancel()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            self._hooks.tick()

    def _heed_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._lifeline is None:
            _on(loop, signal.SIGINT, self._end)
            _on(loop, signal.SIGTERM, self._end)
        else:
            # Ctrl-C comes to every process of the terminal, and SIGTERM from the service manager as
            # well as from the parent.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            _on(loop, signal.SIGTERM, self._ending.set)
            loop.add_reader(self._lifeline, self._end_now)
        if hasattr(signal, "SIGHUP"):
            _on(loop, signal.SIGHUP, self._hooks.reload)

    def _end(self) -> None:
        if self._ending.is_set():
            self._ending_now.set()
        self._ending.set()

    def _end_now(self) -> None:
        if self._lifeline is not None:
            asyncio.get_running_loop().remove_reader(self._lifeline)
        self._ending.set()
        self._ending_now.set()


def _on(loop: asyncio.AbstractEventLoop, number: int, call: Callable[[], object]) -> None:
    try:
        loop.add_signal_handler(number, call)
    except NotImplementedError:  # Windows

        def handler(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(call)

        signal.signal(number, handler)
