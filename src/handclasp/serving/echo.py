"""An echo over TLS: the server sends back what it gets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from handclasp.adapters.progress import unsent_bytes
from handclasp.serving.closing import close_soon
from handclasp.serving.crowd import MAKE_ROOM_SECONDS

if TYPE_CHECKING:
    from handclasp.adapters.pump import TLSTransport
    from handclasp.serving.server import Serving

PAUSE_SECONDS = 1.0
"""After how long a pause of its client an echo is over, where the server ends."""


class EchoProtocol(asyncio.Protocol):
    """An echo with one client. It is a `crowd.Member`."""

    transport: TLSTransport

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._loop.time()
        self._unsent: int = 0
        self._timer: asyncio.TimerHandle | None = None
        self._is_finishing = False

    def idle_seconds(self) -> float:
        """Return for how long the client has sent nothing."""
        return self._loop.time() - self._heard_at

    def leave(self) -> None:
        """Make room for another client."""
        close_soon(self.transport, MAKE_ROOM_SECONDS)

    def shutdown(self) -> None:
        """Close once the client pauses."""
        self._is_finishing = True
        self._look()

    def cut_off(self) -> None:
        """Close at once."""
        self.transport.abort()

    def connection_made(self, transport: Any) -> None:
        """Begin, with what the client has sent before the handshake was complete."""
        self.transport = transport
        if not self._serving.joined(self, transport):
            close_soon(transport)
            return
        # Sending it twice does no harm, even if it is a replay.
        if early := transport.get_extra_info("early_data"):
            transport.write(early)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        if self._timer is not None:
            self._timer.cancel()
        self._serving.left(self, self.transport, exc)

    def data_received(self, data: bytes) -> None:
        """Send it back."""
        self._heard_at = self._loop.time()
        self.transport.write(data)

    def eof_received(self) -> bool:
        """Return False: all is sent back by then."""
        return False

    def pause_writing(self) -> None:
        """Read no more until the client has taken what it sent."""
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        self._heard_at = self._loop.time()
        self.transport.resume_reading()

    def _look(self) -> None:
        """Close where neither side has moved for too long."""
        unsent = unsent_bytes(self.transport)
        if unsent != self._unsent:
            self._unsent, self._heard_at = unsent, self._loop.time()
        if self._timer is not None:
            self._timer.cancel()
        limits = self._serving.limits
        seconds = limits.stall_timeout if unsent else limits.idle_timeout
        left = (PAUSE_SECONDS if self._is_finishing else seconds) - self.idle_seconds()
        if left > 0:
            self._timer = self._loop.call_later(min(left + 0.01, 1.0), self._look)
        elif unsent and not self._is_finishing:
            self.transport.abort()
        else:
            close_soon(self.transport)
