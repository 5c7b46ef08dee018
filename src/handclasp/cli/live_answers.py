"""The answers of live pages over HTTP, and the changes that their readers wait for.

Every answer but the stream of events closes its connection, is stored nowhere, and can be read by
the pages of no other site.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from handclasp.serving.application import CONNECTION, Client, Scope, Send

HTML = "text/html; charset=utf-8"

_BREATH_SECONDS = 15.0
"""The seconds between signs of life of a stream, which also reveal whether the client is gone."""

_CLOSE = (b"connection", b"close")

Rows = list[dict[str, Any]]


class Changes:
    """A count of changes, for which tasks of any event loop wait. Threads may note them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: set[_Waiter] = set()
        self._version = 0
        self._is_over = False

    @property
    def is_over(self) -> bool:
        """Whether the server is stopping, so that nobody should wait any more."""
        return self._is_over

    def note(self) -> None:
        """Count one more change."""
        with self._lock:
            self._version += 1
            self._wake()

    def end(self) -> None:
        """Wake all who wait, for good."""
        with self._lock:
            self._is_over = True
            self._wake()

    async def wait(self, version: int, seconds: float) -> int:
        """Wait until something has changed since `version`, or the time is over.

        Return the version now.
        """
        waiter = _Waiter(asyncio.get_running_loop())
        with self._lock:
            if self._version != version or self._is_over:
                return self._version
            self._waiting.add(waiter)
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(waiter.woken.wait(), seconds)
        finally:
            with self._lock:
                self._waiting.discard(waiter)
        return self._version

    def _wake(self) -> None:
        for waiter in self._waiting:
            with suppress(RuntimeError):  # Its loop has ended.
                waiter.loop.call_soon_threadsafe(waiter.woken.set)


class _Waiter:
    """Somebody who waits for a change, in an event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.woken = asyncio.Event()


class Answers:
    """The answers to one request.

    Args:
        scope, send: those of the request.
        policy: the Content-Security-Policy of the pages.

    Attributes:
        headers: the header fields of the request, by their names in lower case.
        fields: those that are added to each answer but a refusal.
    """

    def __init__(self, scope: Scope, send: Send, policy: str) -> None:
        self._send = send
        self._method = scope["method"]
        self._client: Client = scope["extensions"][CONNECTION]
        self._policy = policy
        self.headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        self.fields: list[tuple[bytes, bytes]] = []

    def is_asked_as(self, *names: str) -> bool:
        """Return whether the host of the request has one of these names, with whatever port.

        Another name for this address is somebody else's page that wants to read this one.
        """
        host = self.headers.get("host", "")
        return (host.rpartition(":")[0] or host) in names

    async def refuse_method(self) -> bool:
        """Refuse what is neither GET nor HEAD; return whether it was refused."""
        is_refused = self._method not in ("GET", "HEAD")
        if is_refused:
            await self.refuse(HTTPStatus.METHOD_NOT_ALLOWED, (b"allow", b"GET, HEAD"))
        return is_refused

    async def refuse(self, status: HTTPStatus, *fields: tuple[bytes, bytes]) -> None:
        """Answer with a status and its phrase."""
        body = f"{status.phrase}.\n".encode()
        headers = [
            *fields,
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
            _CLOSE,
        ]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    async def give(self, content_type: str, body: bytes) -> None:
        """Answer with a document."""
        await self._head(content_type, (b"content-length", b"%d" % len(body)))
        await self._send({"type": "http.response.body", "body": body})

    async def stream(self, changes: Changes, rows: Callable[[], Rows]) -> None:
        """Send a list after each change (server-sent events, HTML section 9.2)."""
        await self._head("text/event-stream")
        version = -1
        with_body = self._method != "HEAD"
        while with_body and not changes.is_over and not self._client.is_gone():
            before, version = version, await changes.wait(version, _BREATH_SECONDS)
            data = b": still here\n\n"
            if version != before:
                found = await asyncio.to_thread(rows)
                data = b"data: " + json.dumps(found).encode() + b"\n\n"
            await self._send({"type": "http.response.body", "body": data, "more_body": True})
        await self._send({"type": "http.response.body", "body": b""})

    async def _head(self, content_type: str, *fields: tuple[bytes, bytes]) -> None:
        headers = [
            *fields,
            (b"content-type", content_type.encode()),
            _CLOSE,
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-resource-policy", b"same-origin"),
            (b"x-frame-options", b"DENY"),
            (b"content-security-policy", self._policy.encode()),
            *self.fields,
        ]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
