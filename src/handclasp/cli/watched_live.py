"""The live page of `watch`: a list of the connections, and the page of each, while they come.

It is served on 127.0.0.1 in the clear. What it shows is decrypted, and other users of the machine
can connect: so every path begins with a secret, which stands in the address that `watch` prints.
"""

from __future__ import annotations

import asyncio
import html
import json
import re
import secrets
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any

from handclasp.cli.connections import took_of

if TYPE_CHECKING:
    from handclasp.cli.sightings import Report

MOST_REMEMBERED = 100
"""The connections on the page: the newest, with what was recorded of each."""
_MOST_CLIENTS = 32
_HEAD_BYTES = 16 * 1024
_HEAD_SECONDS = 10.0
_BREATH_SECONDS = 15.0
"""The seconds between signs of life of a stream."""

_ASSETS: dict[str, Any] = {
    "scripts": ("page.js", "live.js"),
    "styles": ("page.css", "live.css"),
    "connects": True,
}


class WatchedPages:
    """The pages, and what they show.

    Attributes:
        url: where they are, once they are served.

    Raises:
        ConfigurationError: jinja2 is not installed.
    """

    def __init__(self) -> None:
        from handclasp.story.page import Renderer

        self._renderer = Renderer("handclasp.cli")
        self._policy = self._renderer.policy(**_ASSETS)
        self._root = f"/{secrets.token_urlsafe(18)}/"
        self._reports: dict[str, Report] = {}
        self._rows: dict[str, dict[str, Any]] = {}
        self._lock = Lock()
        self._clients: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.url = ""

    def add(self, report: Report) -> None:
        """Show a connection, or what is known of it now, from whatever thread."""
        relayed = report.sighting.relayed
        key = f"{relayed.number}{'-' if relayed.leg else ''}{relayed.leg}"
        row = _row_of(report, f"{self._root}connections/{key}")
        with self._lock:
            self._reports[key], self._rows[key] = report, row
            while len(self._reports) > MOST_REMEMBERED:
                oldest = next(iter(self._reports))
                del self._reports[oldest], self._rows[oldest]
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    @asynccontextmanager
    async def served(self) -> AsyncGenerator[None]:
        """Serve the pages on a free port during the block."""
        self._loop = asyncio.get_running_loop()
        listener = socket.create_server(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
        self.url = f"http://127.0.0.1:{port}{self._root}"
        self._hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
        server = await asyncio.start_server(self._serve, sock=listener, limit=_HEAD_BYTES)
        try:
            yield
        finally:
            self._loop = None
            server.close()
            for client in self._clients:
                client.cancel()
            if self._clients:
                await asyncio.wait(self._clients)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request; each has a connection of its own."""
        task = asyncio.current_task()
        if task is None or len(self._clients) >= _MOST_CLIENTS:
            writer.transport.abort()
            return
        self._clients.add(task)
        try:
            with suppress(OSError, EOFError, asyncio.LimitOverrunError):
                async with asyncio.timeout(_HEAD_SECONDS):
                    head = await reader.readuntil(b"\r\n\r\n")
                await self._answer(head.decode("latin-1"), writer)
        except asyncio.CancelledError:
            pass  # The pages end.
        finally:
            self._clients.discard(task)
            writer.close()

    async def _answer(self, head: str, writer: asyncio.StreamWriter) -> None:
        method, _, rest = head.partition("\r\n")[0].partition(" ")
        path = rest.partition(" ")[0]
        host = re.search(r"^host:[ \t]*(\S+)[ \t]*\r$", head, re.IGNORECASE | re.MULTILINE)
        if method != "GET":
            await self._send(writer, HTTPStatus.METHOD_NOT_ALLOWED)
        elif host is None or host[1] not in self._hosts:
            # Another name for this address is somebody else's page that wants to read this one.
            await self._send(writer, HTTPStatus.MISDIRECTED_REQUEST)
        elif path == f"{self._root}events":
            await self._stream(writer)
        elif (page := await asyncio.to_thread(self.page, path)) is None:
            await self._send(writer, HTTPStatus.NOT_FOUND)
        else:
            await self._send(writer, HTTPStatus.OK, page)

    async def _send(
        self, writer: asyncio.StreamWriter, status: HTTPStatus, page: str | None = None
    ) -> None:
        body = (page or f"<!DOCTYPE html><title>{html.escape(status.phrase)}</title>").encode()
        writer.write(self._head(status, "text/html; charset=utf-8") + body)
        await writer.drain()

    def _head(self, status: HTTPStatus, content_type: str) -> bytes:
        fields = (
            f"Content-Type: {content_type}",
            "Connection: close",
            "Cache-Control: no-store",
            "X-Content-Type-Options: nosniff",
            "Referrer-Policy: no-referrer",
            "Cross-Origin-Resource-Policy: same-origin",
            "X-Frame-Options: DENY",
            f"Content-Security-Policy: {self._policy}",
        )
        lines = (f"HTTP/1.1 {status.value} {status.phrase}", *fields, "", "")
        return "\r\n".join(lines).encode()

    async def _stream(self, writer: asyncio.StreamWriter) -> None:
        """Send the list after each change (server-sent events, HTML section 9.2)."""
        writer.write(self._head(HTTPStatus.OK, "text/event-stream"))
        data = b""
        while not writer.is_closing():
            changed, before = self._changed, data
            data = b"data: " + json.dumps(self.listed()).encode() + b"\n\n"
            writer.write(data if data != before else b": still here\n\n")
            await writer.drain()
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), _BREATH_SECONDS)

    def listed(self) -> list[dict[str, Any]]:
        """Return the lines of the list, the newest first."""
        with self._lock:
            return list(reversed(self._rows.values()))

    def page(self, path: str) -> str | None:
        """Return the page at a path; None where there is none."""
        listed = self.listed()
        shared: dict[str, Any] = {"root": self._root, "events": f"{self._root}events"}
        if path == self._root:
            contents = {
                "title": "The handshakes of a program",
                "instead": "",
                **shared,
                "rows": listed,
            }
            return self._renderer.render("watched.html", contents, **_ASSETS)
        with self._lock:
            report = self._reports.get(path.removeprefix(f"{self._root}connections/"))
        if report is None or not path.startswith(self._root):
            return None
        rows = [{**each, "this": each["link"] == path} for each in listed]
        contents = {**_contents_of(report), **shared, "rows": rows}
        template = "watched_connection.html" if report.events else "watched.html"
        return self._renderer.render(template, contents, **_ASSETS)


def _contents_of(report: Report) -> dict[str, Any]:
    """Return what the page of a connection shows; without TLS, why there is nothing to show."""
    if not report.events:
        return {"title": report.title, "instead": report.sighting.instead}
    return report.page_contents(report.title)


def _row_of(report: Report, link: str) -> dict[str, Any]:
    """Return a line of the list, in the form of `connections.rows_of`."""
    told, relayed = report.to_json(), report.sighting.relayed
    outcome, kind, detail = _outcome_of(told, is_reached=relayed.refusal is None)
    began = datetime.fromtimestamp(told["began_at_ns"] / 1e9).astimezone()
    half = f"INTERCEPTED, {report.half}. " if report.half else ""
    return {
        "number": told["connection"],
        "at": f"{began:%H:%M:%S}",
        "paths": told.get("server_name") or told["target"] or "-",
        "outcome": outcome,
        "kind": kind,
        "detail": f"{half}{detail}",
        "took": took_of(report.events),
        "link": link,
        "this": False,
        "open": not report.sighting.is_final,
    }


def _outcome_of(told: dict[str, Any], *, is_reached: bool) -> tuple[str, str, str]:
    """Return the outcome of a connection in a few words, its kind, and what there is to it."""
    if not is_reached:
        return "no connection", "failed", told["instead"]
    if not told["tls"]:
        return "no TLS", "full", told["instead"]
    agreed = [told[name] for name in ("version", "cipher_suite", "group")]
    detail = ", ".join(each for each in agreed if each)
    verdict = told["trusted_here"]
    if verdict is not None:
        detail += ", trusted here" if verdict["accepted"] else ", NOT trusted here"
    if failure := told["failure"]:
        return f"failed, at fault: {failure['blame']}", "failed", failure["cause"]
    if told["outcome"] != "complete":
        return told["outcome"].replace("_", " "), "full", detail or told["telling"]
    if told["resumed"]:
        return "complete, resumed", "resumed", detail
    return "complete", "full", " ".join([f"{detail}.", *told["notes"]])
