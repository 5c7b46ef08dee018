"""The live page of `watch`: a list of the connections, and the page of each, while they come.

It is served on 127.0.0.1 in the clear. What it shows is decrypted, and other users of the machine
can connect: so every path begins with a secret, which stands in the address that `watch` prints.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any

from handclasp.cli.connections import took_of
from handclasp.cli.live_answers import HTML, Answers, Changes, Rows
from handclasp.serving.application import Receive, Scope, Send

if TYPE_CHECKING:
    from handclasp.capture.watching import Sighting
    from handclasp.cli.sightings import Report
    from handclasp.serving.visits import Request, Visit

MOST_REMEMBERED = 100
"""The connections on the page: the newest, with what was recorded of each."""
_MOST_CLIENTS = 32
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
        self._rows: dict[str, dict[str, object]] = {}
        self._lock = Lock()
        self._changes = Changes()
        self._hosts: tuple[str, ...] = ()
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
        self._changes.note()

    @asynccontextmanager
    async def served(self) -> AsyncGenerator[None]:
        """Serve the pages on a free port during the block."""
        from handclasp.serving.http import HTTP
        from handclasp.serving.limits import Limits
        from handclasp.serving.server import Server

        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        self._hosts = f"127.0.0.1:{port}", f"localhost:{port}"
        self.url = f"http://{self._hosts[0]}{self._root}"
        limits = Limits(max_connections=_MOST_CLIENTS)
        server = Server([listener], None, partial(HTTP, self), _Nobody(), limits=limits)
        await server.start()
        try:
            yield
        finally:
            self._changes.end()
            await server.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as an ASGI application."""
        answers, path = Answers(scope, send, self._policy), str(scope["path"])
        if await answers.refuse_method():
            return
        if answers.headers.get("host") not in self._hosts:
            # Another name for this address is somebody else's page that wants to read this one.
            await answers.refuse(HTTPStatus.MISDIRECTED_REQUEST)
        elif path == f"{self._root}events":
            await answers.stream(self._changes, self.listed)
        elif (page := await asyncio.to_thread(self.page, path)) is None:
            await answers.refuse(HTTPStatus.NOT_FOUND)
        else:
            await answers.give(HTML, page.encode())

    def listed(self) -> Rows:
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


class _Nobody:
    """Hears nothing of the visits to the pages."""

    def connected(self, visit: Visit) -> None: ...
    def failed(self, visit: Visit) -> None: ...
    def ended(self, visit: Visit) -> None: ...
    def answered(self, request: Request) -> None: ...
    def remarked(self, text: str) -> None: ...


def _contents_of(report: Report) -> dict[str, Any]:
    """Return what the page of a connection shows; without TLS, why there is nothing to show."""
    if not report.events:
        return {"title": report.title, "instead": report.sighting.instead}
    return report.page_contents(report.title)


def _row_of(report: Report, link: str) -> dict[str, Any]:
    """Return a line of the list, in the form of `connections.rows_of`."""
    told = report.to_json()
    outcome, kind, detail = _outcome_of(told, report.sighting)
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


def _outcome_of(told: dict[str, Any], sighting: Sighting) -> tuple[str, str, str]:
    """Return the outcome of a connection in a few words, its kind, and what there is to it."""
    if sighting.relayed.refusal is not None:
        outcome = "TLS did not begin" if sighting.was_reached else "no connection"
        return outcome, "failed", told["instead"]
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
