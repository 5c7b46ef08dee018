"""HTTP/1.1 over TLS, or in the clear: the protocol of uvicorn, with bounds for hostile clients.

uvicorn reads requests with h11 and runs the application. This class adds what a server needs that
strangers can reach: the head of a request is read strictly and must arrive within a time, a client
that takes nothing of its answer is cut off, and the number of connections is bounded.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import MutableMapping
from datetime import UTC, datetime
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import h11
import uvicorn
from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from handclasp.adapters.asgi import OverTLS
from handclasp.adapters.progress import unsent_bytes
from handclasp.serving import heads
from handclasp.serving.application import CONNECTION, Application, Receive, Scope, Send
from handclasp.serving.closing import close_soon
from handclasp.serving.crowd import MAKE_ROOM_SECONDS
from handclasp.serving.delivery import Answer, Delivery
from handclasp.serving.visits import Request, address_of

if TYPE_CHECKING:
    from handclasp.adapters.pump import TLSTransport
    from handclasp.serving.server import Serving

_LOOK_SECONDS = 1.0
"""The seconds between checks whether a client has taken anything of its answer."""

_log = logging.getLogger("handclasp.serving")
_log.setLevel(logging.ERROR)  # uvicorn warns of each request that is none; they are reported.


class HTTP:
    """The application and the settings, which all connections of a server share.

    Args:
        app: the application. Its scopes have the extensions of `handclasp.asgi`, and the connection
            (`application.CONNECTION`).
        serving: the server.
    """

    def __init__(self, app: Application, serving: Serving) -> None:
        limits = serving.limits
        self.app = app
        self.serving = serving
        self.state = ServerState()
        self.config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_keep_alive=cast(int, limits.idle_timeout),  # It may be a fraction.
            h11_max_incomplete_event_size=heads.MAX_HEAD_BYTES + 1,
        )
        self.config.load()
        self._dated_at = 0

    def __call__(self) -> HTTPProtocol:
        """Return the protocol of a new connection."""
        return HTTPProtocol(self)

    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """Return the header fields of every answer, whose date counts seconds."""
        now = int(time.time())
        if now != self._dated_at:
            self._dated_at = now
            date = (b"date", formatdate(now, usegmt=True).encode())
            self.state.default_headers = [date, (b"server", b"handclasp")]
        return self.state.default_headers


class HTTPProtocol(H11Protocol):
    """HTTP/1.1 with one client. It is a `crowd.Member`, and the application's `Client`."""

    transport: TLSTransport  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, http: HTTP) -> None:
        super().__init__(http.config, http.state, {})
        self.logger = _log
        self.access_log = False
        self._http = http
        self._serving = http.serving
        self._head = bytearray()
        self._is_head_early = False
        """Whether a part of the head has come in early data."""
        self._reads_heads = True
        self._held: list[tuple[bytes, bool]] = []
        """Data that came while an answer was under way; and whether it came early."""
        self._head_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._unsent = 0
        self._moved_at = 0.0
        self._idle_since: float | None = self.loop.time()

    # As a member of the crowd

    def idle_seconds(self) -> float | None:
        """Return for how long no request has been answered or read."""
        return None if self._idle_since is None else self.loop.time() - self._idle_since

    def leave(self) -> None:
        """Make room for another client."""
        if self._idle_since is None:
            self.cut_off()
        else:
            close_soon(self.transport, MAKE_ROOM_SECONDS)

    def is_busy(self) -> bool:
        """Return whether an answer is to come, which a server that ends waits for."""
        return self.cycle is not None and not self.cycle.response_complete  # pyright: ignore[reportUnnecessaryComparison]

    # As the client of the application

    def is_gone(self) -> bool:
        """Return whether nothing can be sent any more."""
        return self.transport.is_closing()

    def cut_off(self) -> None:
        """Abort the connection."""
        self.delivery.note_abort()
        self.transport.abort()

    # As a protocol

    def connection_made(self, transport: Any) -> None:
        """Begin, with what the client has sent before the handshake was complete."""
        super().connection_made(transport)
        self.delivery = Delivery(transport, self.report, self._take_held)
        self.answer: Answer | None = None
        info = transport.get_extra_info("handclasp")
        app = _Observed(self._http.app, self)
        self._late_app: Any = OverTLS(app, info) if info is not None else app
        self._early_app: Any = OverTLS(app, info, early=True) if info is not None else app
        if not self._serving.joined(self, transport):
            self._refuse(503, "The server is full")
            return
        self._expect_head()
        if early := transport.get_extra_info("early_data"):
            self._receive(early, early=True)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._stop_timers()
        self._unset_keepalive_if_required()
        self.delivery.lose()
        self._serving.left(self, self.transport, exc)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what the client has sent."""
        self._receive(data, early=False)

    def _receive(self, data: bytes, *, early: bool) -> None:
        while data and self._reads_heads and not self.transport.is_closing():
            if self.is_busy() or self.delivery.is_under_way():  # One answer after the other.
                self._held.append((data, early))
                self.flow.pause_reading()
                return
            if not self._head and data.startswith(heads.EMPTY_LINE):
                data = data[len(heads.EMPTY_LINE) :]  # RFC 9112 section 2.2
                continue
            data = self._read_head(data, early)
        if data and not self.transport.is_closing():
            super().data_received(data)  # A body, which nobody reads.

    def _read_head(self, data: bytes, early: bool) -> bytes:
        """Read a head as far as it has come, and let its request begin. Return what follows it."""
        if not self._head and self._idle_since is not None:
            self._expect_head()
        before = len(self._head)
        self._is_head_early = early or (bool(before) and self._is_head_early)
        self._head += data
        at = self._head.find(heads.END_OF_HEAD, max(0, before - 3))
        if at < 0:
            if fault := heads.fault_of_beginning(self._head, before):
                self._refuse(*fault)
            return b""
        at += len(heads.END_OF_HEAD)
        head, rest = bytes(self._head[:at]), bytes(self._head[at:])
        self._head.clear()
        if fault := heads.fault_of(head):
            self._refuse(*fault)
            return b""
        self._stop_head_timer()
        self._idle_since = None
        # What is behind a body is not read: nothing is taken for a request that may be none.
        self._reads_heads = not heads.has_body(head)
        self.app = self._early_app if self._is_head_early else self._late_app
        self._http.default_headers()
        super().data_received(head)
        return rest

    def eof_received(self) -> bool:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return whether to go on: the answer to a client that says nothing more may be to come."""
        if not self.is_busy():
            return False
        self.cycle.keep_alive = False
        return True

    def on_response_complete(self) -> None:
        """Wait for the next request, or take the one that has come meanwhile."""
        self._idle_since = self.loop.time()
        if self.answer is not None:
            self.delivery.end(self.answer)
        super().on_response_complete()
        if self.transport.is_closing():
            close_soon(self.transport)
        self._take_held()

    def _take_held(self) -> None:
        """Take what has come during an answer."""
        self.flow.resume_reading()
        held, self._held = self._held, []
        for data, early in held:
            self._receive(data, early=early)

    def shutdown(self) -> None:
        """Close once the answer is complete, or now if there is none."""
        if self.is_busy():
            self.cycle.keep_alive = False
        else:
            close_soon(self.transport)

    def closes(self) -> bool:
        """Return whether the current request is the last one of this connection."""
        return self._serving.is_finishing or not self._reads_heads

    # Refusals

    def send_400_response(self, msg: str) -> None:
        """Refuse what h11 cannot read. It is called while its error is handled."""
        if self.is_busy():  # A body that is wrong, which nobody wants to read.
            self._reads_heads = False
            return
        error = sys.exception()
        status = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else 400
        self._refuse(status, "The request is not HTTP/1.1")

    def _refuse(self, status: int, sentence: str) -> None:
        """Answer, and end the connection: where the next request would begin is not known."""
        self._stop_timers()
        self._unset_keepalive_if_required()
        self._head.clear()
        body = f"{sentence}.\n".encode()
        fields = [
            *self._http.default_headers(),
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        reason = HTTPStatus(status).phrase.encode()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            answer = h11.Response(status_code=status, headers=fields, reason=reason)
            events = (answer, h11.Data(data=body), h11.EndOfMessage())
            self.transport.write(b"".join(self.conn.send(event) or b"" for event in events))
        close_soon(self.transport)
        self.report(Answer(None, self.loop.time(), status, len(body)), is_cut_off=False)

    def report(self, answer: Answer, is_cut_off: bool) -> None:
        """Report a request and its answer."""
        scope = answer.scope
        peer: Any = self.transport.get_extra_info("peername")
        host, port = address_of(peer)
        seconds = self.loop.time() - answer.began
        method = target = version = ""
        if scope is not None:
            query = bytes(scope["query_string"]).decode("latin-1")
            target = bytes(scope["raw_path"]).decode("latin-1") + (f"?{query}" if query else "")
            method, version = scope["method"], f"HTTP/{scope['http_version']}"
        at = datetime.now(UTC)
        self._serving.answered(
            Request(
                host,
                port,
                at,
                method,
                target,
                version,
                answer.status,
                answer.size,
                seconds,
                is_cut_off,
            )
        )

    # Time

    def _expect_head(self) -> None:
        self._stop_head_timer()
        seconds = self._serving.limits.header_timeout
        self._head_timer = self.loop.call_later(seconds, self._end_without_head)

    def _end_without_head(self) -> None:
        self._head_timer = None
        if self._head:
            self._refuse(408, "The head of the request did not arrive in time")
        else:
            close_soon(self.transport)

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that has been idle for too long."""
        close_soon(self.transport)

    def pause_writing(self) -> None:
        """Watch whether the client takes anything."""
        super().pause_writing()
        if self._stall_timer is None:
            self._unsent, self._moved_at = -1, self.loop.time()
            self._stall_timer = self.loop.call_later(_LOOK_SECONDS, self._look)

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _look(self) -> None:
        """Cut the client off if it has taken nothing for too long.

        The system asks for more only once much of what it holds is gone: a client that takes a few
        kilobytes a second would be cut off in between, though it reads all the time.
        """
        now, unsent = self.loop.time(), unsent_bytes(self.transport)
        if unsent != self._unsent:
            self._unsent, self._moved_at = unsent, now
        elif now >= self._moved_at + self._serving.limits.stall_timeout:
            self._stall_timer = None
            self.cut_off()
            return
        self._stall_timer = self.loop.call_later(_LOOK_SECONDS, self._look)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_timers(self) -> None:
        self._stop_head_timer()
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None


class _Observed:
    """The application as one connection sees it: its scopes have the connection."""

    def __init__(self, app: Application, protocol: HTTPProtocol) -> None:
        self._app = app
        self._protocol = protocol

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and report it."""
        protocol = self._protocol
        answer = protocol.answer = Answer(scope, protocol.loop.time())
        scope["extensions"] = {**(scope.get("extensions") or {}), CONNECTION: protocol}

        async def observed(message: MutableMapping[str, Any]) -> None:
            size = 0
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                if protocol.closes():
                    message["headers"] = [*message["headers"], CLOSE_HEADER]
            elif scope["method"] != "HEAD":
                size = len(message.get("body", b""))
            answer.size += size
            await send(message)
            if not answer.is_whole and protocol.is_gone():  # It was not written.
                answer.size -= size

        try:
            await self._app(scope, receive, observed)
        except asyncio.CancelledError:
            # The server ends, and has aborted the connection; uvicorn would call it a fault.
            if not protocol.is_gone():
                raise
        finally:
            if protocol.answer is answer:
                protocol.answer = None
            protocol.delivery.break_off(answer)
