"""Connections that a load balancer passes on: each begins with a header of the PROXY protocol.

The header is read from the socket before the connection counts for anything, and no byte beyond it.
So everything after that sees the client's address: the shares of those who wait, those of the
handshakes in progress, and the application. What does not begin with a header never gets to TLS.

No more than so many headers are read at once. A balancer sends the header together with its side
of the TCP handshake; above that number, the connection that has been silent for the longest time is
closed for a new one.

A check of health is a connection of the balancer's own. Many send a header, and no TLS: such a one
is no handshake that has failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from socket import MSG_PEEK, socket
from typing import Any, TypeAlias

from handclasp.adapters.progress import is_readable
from handclasp.adapters.proxies import Proxies, is_same_host
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.starttls.proxy_protocol import HeaderReader, ProxyHeader, ProxyHeaderError

_LOOK_SECONDS = 0.02

Reading: TypeAlias = asyncio.Task[ProxyHeader | None]
RefusedCallback: TypeAlias = Callable[[ProtocolError, Any], object]


class Anteroom:
    """The connections whose header is being read.

    Args:
        proxies: who may pass connections on.
        seconds: the time for a header; None: no limit.
        size: how many headers may be read at once.
        loop: the event loop.
        admit: is called with the socket and the client's address once the header is read.
        refuse: is called with the error and the balancer's address; the socket is closed then.
    """

    def __init__(
        self,
        proxies: Proxies,
        seconds: float | None,
        size: int,
        loop: asyncio.AbstractEventLoop,
        admit: Callable[[socket, Any], object],
        refuse: RefusedCallback,
    ) -> None:
        self._proxies = proxies
        self._seconds = seconds
        self._size = size
        self._loop = loop
        self._admit = admit
        self._refuse = refuse
        self._reading: dict[Reading, None] = {}
        self._dropped: set[Reading] = set()

    @property
    def tasks(self) -> list[Reading]:
        """The tasks that read, which end soon after `close`."""
        return [*self._reading, *self._dropped]

    def enter(self, sock: socket, address: Any, *, is_short: bool = False) -> None:
        """Begin to read the header of a connection.

        Args:
            sock, address: the connection, and where it comes from.
            is_short: whether another one must leave first, for want of descriptors.
        """
        if not self._proxies.include(address):
            sock.close()
            self._refuse(_refused("the address is none of the balancers'"), address)
            return
        if self._reading and (is_short or len(self._reading) >= self._size):
            self._drop(next(iter(self._reading)))
        sock.setblocking(False)
        task = self._loop.create_task(self._read(sock, address))
        self._reading[task] = None
        task.add_done_callback(partial(self._leave, sock, address))

    def close(self) -> None:
        """Close the connections whose header has not come."""
        for task in list(self._reading):
            self._drop(task)

    def _drop(self, task: Reading) -> None:
        del self._reading[task]
        self._dropped.add(task)
        task.cancel()

    async def _read(self, sock: socket, address: Any) -> ProxyHeader | None:
        """Return the header; None: the connection has ended before its first byte, or it is one of
        the balancer's own and has ended behind the header.
        """
        reader, is_first = HeaderReader(), True
        async with asyncio.timeout(self._seconds):
            while reader.needed:
                data = await self._loop.sock_recv(sock, reader.needed)
                if not data and is_first:
                    return None
                if not data:
                    raise ProxyHeaderError("the connection ended within it")
                reader.receive_data(data)
                is_first = False
        header = reader.header
        if header is not None and (header.source is None or is_same_host(header.source, address)):
            return header if await self._has_more(sock) else None
        return header

    async def _has_more(self, sock: socket) -> bool:
        """Wait for what follows a header. Return False if the connection ends instead."""
        try:
            async with asyncio.timeout(self._seconds):
                await self._wait_readable(sock)
            return bool(sock.recv(1, MSG_PEEK))
        except (TimeoutError, BlockingIOError):  # The handshake has a time of its own.
            return True
        except OSError:
            return False

    async def _wait_readable(self, sock: socket) -> None:
        arrived: asyncio.Future[None] = self._loop.create_future()

        def note() -> None:
            if not arrived.done():
                arrived.set_result(None)

        try:
            self._loop.add_reader(sock, note)
        except NotImplementedError:  # A proactor does not tell.
            while not is_readable(sock):
                await asyncio.sleep(_LOOK_SECONDS)
            return
        try:
            await arrived
        finally:
            self._loop.remove_reader(sock)

    def _leave(self, sock: socket, address: Any, task: Reading) -> None:
        is_dropped = task.cancelled() or task in self._dropped
        self._reading.pop(task, None)
        self._dropped.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, TimeoutError) and error.errno is None and not is_dropped:
            sock.close()
            self._refuse(_refused(f"none came within {self._seconds:g} seconds"), address)
        elif is_dropped or isinstance(error, OSError):
            sock.close()
        elif error is not None:
            sock.close()
            self._refuse(_refused(str(error)), address)
        elif (header := task.result()) is None:
            sock.close()  # That is how many balancers check whether this server is up.
        else:
            self._admit(sock, _client_of(header, address))


def _client_of(header: ProxyHeader, address: Any) -> Any:
    """Return the client's address in the form of sockets: that of IPv6 has four parts."""
    if header.source is None:
        return address
    return (*header.source, 0, 0) if ":" in header.source[0] else header.source


def _refused(why: str) -> ProtocolError:
    error = ProtocolError(Fault.PROXY_HEADER, why)
    error.found_by("server")
    return error
