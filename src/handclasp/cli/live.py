"""The pages of the demo's server, on which each browser sees its own handshake, live.

Every answer but the stream of events closes its connection, so that the next request of a browser
needs a new one: one can watch it resume with its ticket.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, Protocol, cast

from handclasp.certificates import describe_certificate
from handclasp.cli.connections import Connection, Connections, rows_of
from handclasp.cli.handler import Handler

if TYPE_CHECKING:
    from handclasp import ConnectionInfo, TLSSocket
    from handclasp.certificates import Explanation
    from handclasp.certificates.authority import LocalAuthority
    from handclasp.story.facts import Facts

COOKIE = "__Host-browser"
"""A cookie of this name goes to this very host alone, and over TLS alone (RFC 6265bis)."""

_BREATH_SECONDS = 15.0
"""The seconds between signs of life of a stream, which also reveal whether the client is gone."""

_ASSETS: dict[str, Any] = {
    "scripts": ("page.js", "live.js"),
    "styles": ("page.css", "live.css"),
    "connects": True,
}


class Site(Protocol):
    """The content of the pages."""

    @property
    def authority(self) -> LocalAuthority: ...
    @property
    def connections(self) -> Connections: ...
    def told_page(self) -> str:
        """Return the page of the demo's own handshake, after it has taken place."""
        ...

    def fingerprint(self, tls: TLSSocket) -> str:
        """Return the fingerprint of a value that both sides can derive from their keys."""
        ...


class LiveHandler(Handler, BaseHTTPRequestHandler):
    """HTTP with one browser over one connection."""

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        self._site = cast(Site, self.server)
        path = self.path.partition("?")[0]
        address = self.client_address[:2]
        connection = self._site.connections.at(address)
        if connection is None or not self._is_asked_as_localhost():
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return
        self._browser = self._site.connections.asked(connection, path, self._cookie())
        self._shown = connection
        self.close_connection = True
        if path == "/events":
            self._stream(with_body=with_body)
            return
        found = self._document(path)
        if found is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        content_type, body = found
        self._head(content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def _is_asked_as_localhost(self) -> bool:
        """Another name for this address is somebody else's page that wants to read this one."""
        host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        return host in ("localhost", "127.0.0.1")

    def _cookie(self) -> str:
        try:
            cookies = SimpleCookie(self.headers.get("Cookie", ""))
        except CookieError:
            return ""
        return cookies[COOKIE].value if COOKIE in cookies else ""

    def _head(self, content_type: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", content_type)
        self.send_header("Connection", "close")
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("X-Frame-Options", "DENY")
        self.send_header("Content-Security-Policy", policy())
        self.send_header(
            "Set-Cookie", f"{COOKIE}={self._browser}; Path=/; Secure; HttpOnly; SameSite=Strict"
        )

    def _document(self, path: str) -> tuple[str, bytes] | None:
        """Content type and body of what is at `path`; None where there is nothing."""
        match path:
            case "/":
                page = live_page(self._site, self._shown, self._tls)
            case "/demo":
                page = self._site.told_page()
            case "/connections.json":
                return "application/json", self._rows()
            case "/connection.json":
                return "application/json", self._connection()
            case "/ca.pem":
                return "application/x-pem-file", self._site.authority.certificate_pem
            case _:
                wanted = self._wanted(path)
                if wanted is None:
                    return None
                page = live_page(self._site, wanted, self._tls if wanted is self._shown else None)
        return "text/html; charset=utf-8", page.encode()

    @property
    def _tls(self) -> TLSSocket:
        return cast("TLSSocket", self.connection)

    def _wanted(self, path: str) -> Connection | None:
        """Return the connection that a path names, if it belongs to this browser."""
        found = re.fullmatch(r"/connections/(\d{1,9})", path)
        if found is None:
            return None
        own = self._site.connections.of(self._browser)
        return next((each for each in own if each.number == int(found[1])), None)

    def _connection(self) -> bytes:
        from handclasp.cli.report import info_to_json

        fingerprint = self._site.fingerprint(self._tls)
        return json.dumps(
            {**info_to_json(self._tls.info), "fingerprint": fingerprint}, indent=2
        ).encode()

    def _rows(self) -> bytes:
        return json.dumps(rows_of(self._site.connections.of(self._browser), self._shown)).encode()

    def _stream(self, *, with_body: bool) -> None:
        """Send the list of connections after each change (server-sent events, HTML section 9.2)."""
        self._head("text/event-stream")
        self.end_headers()
        connections = self._site.connections
        version = -1
        while with_body and not connections.is_over:
            before, version = version, connections.wait(version, _BREATH_SECONDS)
            data = b": still here\n\n" if version == before else b"data: " + self._rows() + b"\n\n"
            self.wfile.write(data)
            self.wfile.flush()


def policy() -> str:
    """Return the policy of the demo's pages."""
    from handclasp.story.page import Renderer

    return Renderer("handclasp.cli").policy(**_ASSETS)


def live_page(site: Site, connection: Connection, tls: TLSSocket | None) -> str:
    """Return the page of one of a browser's connections; `tls` if the page is sent over it."""
    from handclasp.story.facts import facts_of
    from handclasp.story.page import Renderer, contents_of

    earlier = site.connections.before(connection)
    # Its own thread may note more meanwhile.
    events = list(connection.recorder.events)
    facts = facts_of(events)
    info = facts.info
    explanation = _explanation(site, info) if info is not None else None
    title = "Your browser's handshake" if tls else f"Connection {connection.number}"
    contents = contents_of(
        events,
        title,
        describe_certificate,
        explanation=explanation.to_json() if explanation is not None else None,
        earlier=list(earlier.recorder.events) if earlier is not None else None,
    )
    own = site.connections.of(connection.browser)
    live = {
        "is_this": tls is not None,
        "number": connection.number,
        "rows": rows_of(own, connection),
        "verdict": _verdict(facts) if info is not None else "",
        "key_fingerprint": site.fingerprint(tls) if tls is not None else "",
        "fingerprints": connection.fingerprints,
    }
    return Renderer("handclasp.cli").render("live.html", {**contents, **live}, **_ASSETS)


def _explanation(site: Site, info: ConnectionInfo) -> Explanation | None:
    """Return the decision of this library, as a client, on the server's certificate."""
    from handclasp.certificates import explain

    if not info.local_chain_der:
        return None
    name = info.server_name or "localhost"
    return explain(info.local_chain_der, name, site.authority.trust, datetime.now(UTC))


def _verdict(facts: Facts) -> str:
    """Return whether the keys of a handshake withstand quantum computers, and why not."""
    info = facts.info
    match facts.key_exchange:
        case "transport":
            return (
                "Your browser made the secret and encrypted it to this server's key. Anybody "
                "who ever obtains that key can read this connection, if it was recorded."
            )
        case "session":
            return (
                "Your browser resumed an earlier session of TLS 1.2, and the keys come from "
                "the secret of that one: there was no new key exchange."
            )
        case "psk":
            return (
                "Your browser used only a key from an earlier connection: "
                "there was no new key exchange, and anybody with that key can read this "
                "conversation, if it was recorded."
            )
        case _:
            pass
    if info is None or info.group is None:
        return ""
    if "MLKEM" in info.group:
        return (
            "Your browser and this server agreed on keys with a hybrid of an elliptic curve and "
            "ML-KEM: a recording of this connection cannot be read with a quantum computer either, "
            "as far as anybody knows."
        )
    return f"Your browser and this server agreed on keys with {info.group}. {_no_hybrid(facts)}"


def _no_hybrid(facts: Facts) -> str:
    """Return why the key exchange is not a hybrid."""
    withstand = "which would withstand quantum computers too"
    if facts.version == "TLSv1.2":
        return f"Hybrids with ML-KEM, {withstand}, exist in TLS 1.3 alone."
    offered = [group for group in facts.groups_offered if "MLKEM" in group]
    if not offered:
        return f"It did not offer a hybrid with ML-KEM, {withstand}."
    if {share.group for share in facts.client_shares}.isdisjoint(offered):
        return (
            f"It can do {offered[0]}, a hybrid with ML-KEM, {withstand}, but sent no share for it; "
            "the server took what needs no second hello."
        )
    return f"It offered {offered[0]}, a hybrid with ML-KEM, {withstand}, and the server took this."
