"""The acceptor of trio: it lets a task complete each handshake. `accepting` decides."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import Any, TypeAlias

import trio

from handclasp.adapters.accepting import Acceptor
from handclasp.adapters.progress import is_readable
from handclasp.adapters.trio_duplex import broken, socket_of
from handclasp.adapters.trio_stream import TLSStream
from handclasp.config import ServerConfig
from handclasp.errors import ConfigurationError, TLSError
from handclasp.faults import Fault
from handclasp.trace.hooks import Trace

HandshakeErrorCallback: TypeAlias = Callable[[BaseException, TLSStream[trio.SocketStream]], object]

_FAILED_SECONDS = 5.0
"""Seconds that a server waits for a client whose handshake has failed to read the alert."""

_READ_SIZE = 64 * 1024

_log = logging.getLogger("handclasp")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings that the connections of a server share."""

    config: ServerConfig
    https_compatible: bool
    make_trace: Callable[[], Trace | None] | None
    on_handshake_error: HandshakeErrorCallback | None
    hello_timeout: float | None
    close_timeout: float | None

    def report(self, error: BaseException, stream: TLSStream[trio.SocketStream]) -> None:
        """Report why a handshake failed."""
        if self.on_handshake_error is None:
            _log.debug("%r: TLS handshake failed: %s", stream, error)
            return
        try:
            self.on_handshake_error(error, stream)
        except Exception:
            _log.exception("The callback on_handshake_error failed")


class NurseryScheduler:
    """Calls back from tasks of a nursery: the `Scheduler` of trio."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._readers: dict[socket.socket, trio.CancelScope] = {}

    def time(self) -> float:
        """Return the current time in seconds."""
        return trio.current_time()

    def call_soon(self, callback: Callable[[], object]) -> trio.CancelScope:
        """Call back in the next turn."""
        return self.call_later(0, callback)

    def call_later(self, delay: float, callback: Callable[[], object]) -> trio.CancelScope:
        """Call back after `delay` seconds."""
        scope = trio.CancelScope()
        self._nursery.start_soon(self._call, scope, delay, callback)
        return scope

    async def _call(
        self, scope: trio.CancelScope, delay: float, callback: Callable[[], object]
    ) -> None:
        with scope:
            await trio.sleep(delay)
            callback()

    def add_reader(self, fd: socket.socket, callback: Callable[[], object], /) -> None:
        """Call back whenever `fd` is readable."""
        scope = self._readers[fd] = trio.CancelScope()
        self._nursery.start_soon(self._watch, scope, fd, callback)

    def remove_reader(self, fd: socket.socket, /) -> None:
        """Do not call back any more."""
        if (scope := self._readers.pop(fd, None)) is not None:
            scope.cancel()

    async def _watch(
        self, scope: trio.CancelScope, fd: socket.socket, callback: Callable[[], object]
    ) -> None:
        with scope:
            while not scope.cancel_called:
                await trio.lowlevel.wait_readable(fd)
                callback()


class AcceptedStream(TLSStream[trio.SocketStream]):
    """A connection of a server, in its handshake; see `Entrant`.

    Attributes:
        scope: of the task that completes the handshake.
        late: the error, if the hello did not come in time.
        dropped: the error, if the handshake was given up for others.
    """

    def __init__(self, sock: socket.socket, settings: Settings) -> None:
        make_trace = settings.make_trace
        super().__init__(
            trio.SocketStream(trio.socket.from_stdlib_socket(sock)),
            settings.config,
            https_compatible=settings.https_compatible,
            trace=None if make_trace is None else make_trace(),
        )
        self._duplex.close_timeout = settings.close_timeout
        self.scope = trio.CancelScope()
        self.late: TLSError | None = None
        self.dropped: TLSError | None = None

    def is_idle(self) -> bool:
        """Return whether the peer has not yet sent a whole hello, or has failed; see `Room`."""
        idle = self.failure is not None or not self._said_hello()
        return idle and not self._has_input()

    def seconds_waited_for(self) -> float:
        """Return for how long this side has waited for the peer's next step; see `Room`."""
        duplex = self._duplex
        if duplex.answered_at is None or duplex.answering or self._has_input():
            return 0.0
        return trio.current_time() - duplex.answered_at

    def drop(self, why: str) -> None:
        """Give up the handshake for the sake of others, at once."""
        if self.failure is None:
            self.dropped = self.connection.abort(Fault.HANDSHAKE_TIMEOUT, why)
        self.scope.cancel()

    def _said_hello(self) -> bool:
        return self._duplex.answered_at is not None or self._duplex.answering

    def _has_input(self) -> bool:
        """Return whether the kernel holds data from the peer, or its end, that is unread."""
        with suppress(OSError, ValueError):
            return is_readable(socket_of(self.transport_stream))
        return False

    def drop_if_silent(self) -> None:
        """Give up the handshake of a client that has not sent its hello in time."""
        if not self._said_hello() and self.failure is None:
            self.late = self.connection.abort(Fault.HANDSHAKE_TIMEOUT)
            self.scope.cancel()

    async def greet(self) -> None:
        """Complete the handshake, and raise as `do_handshake` does."""
        with self.scope:
            await self.do_handshake()
        if self.late is not None:
            await self._duplex.fail(self.late)
        if self.dropped is not None:
            raise broken(self.dropped)

    async def let_read_the_alert(self) -> None:
        """Wait for a client whose handshake has failed to close, and drop what comes.

        The kernel answers what is unread at the close with a reset, which may overtake the alert.
        """
        if self._duplex.is_forked:  # The end would be the parent's connection's, too.
            return
        gone = (trio.BrokenResourceError, trio.ClosedResourceError, OSError)
        self.scope = trio.CancelScope()
        with trio.move_on_after(_FAILED_SECONDS), self.scope, suppress(*gone):
            await self.transport_stream.send_eof()
            while await self.transport_stream.receive_some(_READ_SIZE):
                pass


class TrioAcceptor(Acceptor):
    """Takes connections, and starts a task for each that completes its handshake.

    Args:
        listeners, backlog, max_handshakes: as for `Acceptor`.
        settings: of the connections.
        nursery: for the handshakes.
        serve: is called with each complete connection.
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        backlog: int,
        max_handshakes: int,
        settings: Settings,
        nursery: trio.Nursery,
        serve: Callable[[TLSStream[trio.SocketStream]], object],
    ) -> None:
        super().__init__(listeners, backlog, max_handshakes, NurseryScheduler(nursery))
        self._settings = settings
        self._nursery = nursery
        self._serve = serve

    def _begin(self, sock: socket.socket, address: Any) -> None:
        try:
            stream = AcceptedStream(sock, self._settings)
        except Exception as error:
            sock.close()
            self._report("A connection could not begin", error)
            return
        self._room.enter(stream, address)
        self._nursery.start_soon(self._shake_hands, stream)

    async def _shake_hands(self, stream: AcceptedStream) -> None:
        """Keep the slot until the handshake has completed or failed."""
        completed = False
        seconds = self._settings.hello_timeout
        timer = self._scheduler.call_later(
            inf if seconds is None else seconds, stream.drop_if_silent
        )
        try:
            await stream.greet()
            completed = True
        except (trio.BrokenResourceError, ConfigurationError) as error:
            self._settings.report(error.__cause__ or error, stream)
            if stream.dropped is None:
                await stream.let_read_the_alert()
        finally:
            timer.cancel()
            self._leave(stream, completed=completed, silent=stream.late is not None)
            if not completed:
                await trio.aclose_forcefully(stream)
        if completed:
            self._serve(stream)

    def _report(self, message: str, error: Exception) -> None:
        _log.error("%s: %s", message, error)
