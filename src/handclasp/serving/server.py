"""One process of a server: it listens, bounds its clients, and ends when it is asked to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from socket import socket
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from handclasp.adapters.asyncio import TLSServer, create_server
from handclasp.adapters.proxies import ProxyProtocol
from handclasp.descriptors import connections_possible
from handclasp.errors import PeerAlertError
from handclasp.serving.crowd import Crowd, Member
from handclasp.serving.limits import Limits
from handclasp.serving.visits import Observer, Request, Visit, address_of

if TYPE_CHECKING:
    from handclasp import Recorder, ServerConfig
    from handclasp.adapters.pump import TLSTransport

T = TypeVar("T")

_LOOK_SECONDS = 0.05
"""The seconds between checks whether a server that ends may go."""

_SOON_SECONDS = 0.3
"""The seconds after which a server that ends says that it waits."""


_LAST_TURNS = 20


class Conversation(Member, Protocol):
    """The protocol of a connection."""

    transport: TLSTransport

    def shutdown(self) -> None:
        """Close as soon as nothing goes on."""
        ...

    def cut_off(self) -> None:
        """Close at once."""
        ...


class Serving:
    """A server, as its connections see it.

    Args:
        limits: its bounds.
        observer: hears of its connections.
    """

    def __init__(self, limits: Limits, observer: Observer) -> None:
        self.limits = limits
        self.observer = observer
        self.is_finishing = False
        loop = asyncio.get_running_loop()
        size = min(limits.max_connections, connections_possible())
        self.crowd = Crowd(size, loop.time, self._tell_full)
        self.open: set[Conversation] = set()

    def joined(self, member: Conversation, transport: TLSTransport) -> bool:
        """Note a new connection. Return whether there is room for it."""
        self.open.add(member)
        peer = transport.get_extra_info("peername")
        _hear(self.observer.connected, _visit(transport))
        return self.crowd.join(member, peer)

    def left(self, member: Conversation, transport: TLSTransport, error: Exception | None) -> None:
        """Note the end of a connection."""
        self.open.discard(member)
        self.crowd.discard(member)
        if isinstance(error, PeerAlertError):
            _hear(self.observer.failed, _visit(transport, error))
        else:
            _hear(self.observer.ended, _visit(transport))

    def handshake_failed(self, error: Exception, transport: TLSTransport) -> None:
        """Note a handshake that failed."""
        if isinstance(error, OSError):
            _hear(self.observer.failed, _visit(transport, error))
        else:
            raise error  # A fault of this program, for the loop's exception handler.

    def answered(self, request: Request) -> None:
        """Note a request and its answer."""
        _hear(self.observer.answered, request)

    def _tell_full(self, count: int) -> None:
        _hear(
            self.observer.remarked,
            f"The server is full: {count:,} connections are open. Idle ones are closed for new "
            "ones; --max-connections sets how many there may be.",
        )


Talk = Callable[[Serving], Callable[[], asyncio.Protocol]]
"""Makes what makes the protocol of each connection."""


class Server:
    """A server in this event loop.

    Args:
        listeners: bound sockets, which it then owns.
        config: the settings of TLS; None serves in the clear.
        talk: the protocol that it speaks.
        limits, observer: as for `Serving`.
        make_trace: returns the recorder of each connection; None records nothing.
        proxy_protocol: as for `handclasp.aio.start_server`.
    """

    def __init__(
        self,
        listeners: Sequence[socket],
        config: ServerConfig | None,
        talk: Talk,
        observer: Observer,
        *,
        limits: Limits | None = None,
        make_trace: Callable[[], Recorder] | None = None,
        proxy_protocol: ProxyProtocol = False,
    ) -> None:
        self._listeners = listeners
        self._config = config
        self._talk = talk
        self._observer = observer
        self._limits = limits or Limits()
        self._make_trace = make_trace
        self._proxy_protocol = proxy_protocol
        self._servers: list[TLSServer | asyncio.Server] = []
        self._serving: Serving | None = None

    async def start(self) -> None:
        """Begin to accept connections. Raises `OSError`."""
        self._serving = serving = Serving(self._limits, self._observer)
        make = self._talk(serving)
        for listener in self._listeners:
            if self._config is None:
                loop = asyncio.get_running_loop()
                self._servers.append(await loop.create_server(make, sock=listener))
                continue
            server = await create_server(
                make,
                sock=listener,
                config=self._config,
                make_trace=self._make_trace,
                on_handshake_error=serving.handshake_failed,
                max_handshakes=self._limits.max_handshakes,
                close_timeout=self._limits.stall_timeout,
                proxy_protocol=self._proxy_protocol,
            )
            self._servers.append(server)

    async def finish(self, tell: Callable[[int], object]) -> None:
        """Stop listening, and let the answers that have begun come to their end, for `grace`.

        Handshakes are broken off, and connections on which nothing goes on are closed.

        Args:
            tell: is called with the number of open connections if waiting takes a moment.
        """
        serving = self._serving
        if serving is None:
            return
        serving.is_finishing = True
        for server in self._servers:
            server.close()
        for each in list(serving.open):
            each.shutdown()
        loop = asyncio.get_running_loop()
        began = loop.time()
        told = False
        while serving.open and loop.time() < began + self._limits.grace:
            if not told and loop.time() >= began + _SOON_SECONDS:
                told = True
                tell(len(serving.open))
            await asyncio.sleep(_LOOK_SECONDS)
        await self.close()

    async def close(self) -> None:
        """End all connections at once."""
        if self._serving is not None:
            for each in list(self._serving.open):
                each.cut_off()
        for server in self._servers:
            server.close()
            if isinstance(server, TLSServer):
                server.abort_clients()
        for server in self._servers:
            with suppress(asyncio.CancelledError):
                await server.wait_closed()
        for _ in range(_LAST_TURNS):  # Each hears of its end in the next turns of the loop.
            if self._serving is None or not self._serving.open:
                return
            await asyncio.sleep(0)


def _visit(transport: TLSTransport, error: OSError | None = None) -> Visit:
    info = transport.get_extra_info("handclasp")
    recorder: Any = transport.get_extra_info("trace")
    host, port = address_of(transport.get_extra_info("peername"))
    connection: Any = transport.get_extra_info("connection")
    seconds: Any = transport.get_extra_info("handshake_seconds")
    return Visit(host, port, info, error, recorder, connection, seconds)


def _hear(listener: Callable[[T], object], what: T) -> None:
    # Nobody may listen to the report any more, or it cannot be put into words that the output
    # takes (`UnicodeError`); clients still come.
    with suppress(OSError, ValueError):
        listener(what)
