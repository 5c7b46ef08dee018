"""The acceptor of asyncio: it lets a pump begin on each connection. `accepting` decides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from socket import socket
from typing import Any

from handclasp.adapters.accepting import Acceptor
from handclasp.adapters.proxied import Anteroom
from handclasp.adapters.proxies import Proxies
from handclasp.adapters.pump import Pump
from handclasp.errors import ProtocolError


class LoopAcceptor(Acceptor):
    """Takes connections and lets a pump begin on each.

    A proactor (the loop of Windows) does not tell that a socket is readable, and is asked for one
    connection after the other.

    Args:
        listeners, backlog, max_handshakes: as for `Acceptor`.
        make_pump: makes the protocol of a connection.
        loop: the event loop.
        proxies: who passes connections on by the PROXY protocol; None: nobody.
        header_seconds: the time for its header; None: no limit.
    """

    def __init__(
        self,
        listeners: Sequence[socket],
        backlog: int,
        max_handshakes: int,
        make_pump: Callable[[], Pump],
        loop: asyncio.AbstractEventLoop,
        proxies: Proxies | None = None,
        header_seconds: float | None = None,
    ) -> None:
        super().__init__(listeners, backlog, max_handshakes, loop)
        self._loop = loop
        self._make_pump = make_pump
        self._may_ask = asyncio.Event()
        self._may_ask.set()
        self._asking: list[asyncio.Task[None]] = []
        self._handshakes: set[asyncio.Task[None]] = set()
        self._closed_event = asyncio.Event()
        self._anteroom: Anteroom | None = None
        if proxies is not None:
            self._anteroom = Anteroom(
                proxies, header_seconds, max_handshakes, loop, super()._offer, self._refuse
            )

    def close(self) -> None:
        """Take no more. Handshakes that have begun go on."""
        super().close()
        self._closed_event.set()
        if not self.is_forked:
            for task in self._asking:
                task.cancel()
            if self._anteroom is not None:
                self._anteroom.close()

    async def wait_closed(self) -> None:
        """Wait until it is closed and no handshake goes on."""
        await self._closed_event.wait()
        while tasks := [*self._asking, *self._handshakes, *self._reading()]:
            await asyncio.wait(tasks)
            self._asking.clear()

    # Where it has to be asked

    def _begin_asking(self) -> None:
        self._asking = [self._loop.create_task(self._ask(listener)) for listener in self._listeners]

    def _let_ask(self, allowed: bool) -> None:
        if allowed:
            self._may_ask.set()
        else:
            self._may_ask.clear()

    async def _ask(self, listener: socket) -> None:
        while True:
            await self._may_ask.wait()
            try:
                sock, address = await self._loop.sock_accept(listener)
            except OSError as error:
                if not self._make_way(error):
                    await asyncio.sleep(self._retry_seconds)
            else:
                self._offer(sock, address)

    # Headers of the PROXY protocol

    def _offer(self, sock: socket, address: Any) -> None:
        """Let a connection begin or wait, once its header is read if it is to have one."""
        if self._anteroom is None:
            super()._offer(sock, address)
        else:
            self._anteroom.enter(sock, address, is_short=self._regaining is not None)

    def _reading(self) -> Iterable[asyncio.Task[Any]]:
        return () if self._anteroom is None else self._anteroom.tasks

    def _refuse(self, error: ProtocolError, address: Any) -> None:
        """Report a connection that did not get to TLS, as those are that did."""
        pump = self._make_pump()
        pump.peername = address
        pump.refuse(error)

    # Handshakes

    def _begin(self, sock: socket, address: Any) -> None:
        pump = self._make_pump()
        pump.peername, pump.accepted = address, sock
        self._room.enter(pump, address)
        task = self._loop.create_task(self._shake_hands(pump, sock))
        self._handshakes.add(task)
        task.add_done_callback(partial(self._end, pump, sock))

    async def _shake_hands(self, pump: Pump, sock: socket) -> None:
        """Keep the slot until the handshake has completed or failed."""
        try:
            await self._loop.connect_accepted_socket(lambda: pump, sock)
            await pump.wait_decided()
        except Exception as error:
            sock.close()
            self._report("A connection could not begin", error)

    def _end(self, pump: Pump, sock: socket, task: asyncio.Task[None]) -> None:
        self._handshakes.discard(task)
        if task.cancelled():
            # Somebody ends all tasks. What does not count any more must not go on, and this one
            # may not even have begun.
            pump.abort()
            sock.close()
        pump.accepted = None
        self._leave(pump, completed=pump.application is not None, silent=pump.was_silent())

    def _report(self, message: str, error: Exception) -> None:
        self._loop.call_exception_handler({"message": message, "exception": error})
