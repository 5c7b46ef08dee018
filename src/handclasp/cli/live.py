"""The pages of the demo's server, on which each browser sees its own handshake, live.

Every answer but the stream of events closes its connection, so that the next request of a browser
needs a new one: one can watch it resume with its ticket.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any, Protocol

from handclasp.certificates import describe_certificate
from handclasp.cli.connections import Connection, Connections, rows_of
from handclasp.cli.live_answers import HTML, Answers, Rows
from handclasp.serving.application import CONNECTION, Receive, Scope, Send
from handclasp.serving.visits import address_of

if TYPE_CHECKING:
    from handclasp import ConnectionInfo, ServerConnection
    from handclasp.certificates import Explanation
    from handclasp.certificates.authority import LocalAuthority
    from handclasp.story.facts import Facts

COOKIE = "__Host-browser"
"""A cookie of this name goes to this very host alone, and over TLS alone (RFC 6265bis)."""

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


class LivePages:
    """An ASGI application: the pages.

    Args:
        site: their content.
        fingerprint: returns the fingerprint of a value that both sides derive from the keys of a
            connection.
    """

    def __init__(self, site: Site, fingerprint: Callable[[ServerConnection], str]) -> None:
        self._site = site
        self._fingerprint = fingerprint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await _Question(self._site, self._fingerprint, scope, send).answer()


class _Question:
    """One request, and the connection that it came over."""

    def __init__(
        self,
        site: Site,
        fingerprint: Callable[[ServerConnection], str],
        scope: Scope,
        send: Send,
    ) -> None:
        self._site = site
        self._answers = Answers(scope, send, policy())
        self._path = str(scope["path"])
        transport = scope["extensions"][CONNECTION].transport
        self._tls: ServerConnection = transport.get_extra_info("connection")
        self._address = address_of(transport.get_extra_info("peername"))
        self._make_fingerprint = fingerprint

    async def answer(self) -> None:
        answers = self._answers
        if await answers.refuse_method():
            return
        connection = self._site.connections.at(self._address)
        if connection is None or not answers.is_asked_as("localhost", "127.0.0.1"):
            await answers.refuse(HTTPStatus.MISDIRECTED_REQUEST)
            return
        path = self._path
        self._browser = self._site.connections.asked(connection, path, self._cookie())
        cookie = f"{COOKIE}={self._browser}; Path=/; Secure; HttpOnly; SameSite=Strict"
        answers.fields.append((b"set-cookie", cookie.encode()))
        self._shown = connection
        self._key_fingerprint = self._make_fingerprint(self._tls)
        if path == "/events":
            await answers.stream(self._site.connections.changes, self._rows)
            return
        # To make a page takes a moment, in which others are answered.
        found = await asyncio.to_thread(self._document, path)
        if found is None:
            await answers.refuse(HTTPStatus.NOT_FOUND)
        else:
            await answers.give(*found)

    def _cookie(self) -> str:
        try:
            cookies = SimpleCookie(self._answers.headers.get("cookie", ""))
        except CookieError:
            return ""
        return cookies[COOKIE].value if COOKIE in cookies else ""

    def _document(self, path: str) -> tuple[str, bytes] | None:
        """Content type and body of what is at `path`; None where there is nothing."""
        match path:
            case "/":
                page = live_page(self._site, self._shown, self._key_fingerprint)
            case "/demo":
                page = self._site.told_page()
            case "/connections.json":
                return "application/json", json.dumps(self._rows()).encode()
            case "/connection.json":
                return "application/json", self._connection()
            case "/ca.pem":
                return "application/x-pem-file", self._site.authority.certificate_pem
            case _:
                wanted = self._wanted(path)
                if wanted is None:
                    return None
                own = self._key_fingerprint if wanted is self._shown else ""
                page = live_page(self._site, wanted, own)
        return HTML, page.encode()

    def _wanted(self, path: str) -> Connection | None:
        """Return the connection that a path names, if it belongs to this browser."""
        found = re.fullmatch(r"/connections/(\d{1,9})", path)
        if found is None:
            return None
        own = self._site.connections.of(self._browser)
        return next((each for each in own if each.number == int(found[1])), None)

    def _connection(self) -> bytes:
        from handclasp.cli.report import info_to_json

        info = self._shown.info
        facts = info_to_json(info) if info is not None else {}
        return json.dumps({**facts, "fingerprint": self._key_fingerprint}, indent=2).encode()

    def _rows(self) -> Rows:
        return rows_of(self._site.connections.of(self._browser), self._shown)


def policy() -> str:
    """Return the policy of the demo's pages."""
    from handclasp.story.page import Renderer

    return Renderer("handclasp.cli").policy(**_ASSETS)


def live_page(site: Site, connection: Connection, key_fingerprint: str) -> str:
    """Return the page of one of a browser's connections.

    Args:
        key_fingerprint: of its keys, if the page is sent over it; else empty.
    """
    from handclasp.story.facts import facts_of
    from handclasp.story.page import Renderer, contents_of

    earlier = site.connections.before(connection)
    # The server may note more meanwhile.
    events = list(connection.recorder.events)
    facts = facts_of(events)
    info = facts.info
    explanation = _explanation(site, info) if info is not None else None
    title = "Your browser's handshake" if key_fingerprint else f"Connection {connection.number}"
    contents = contents_of(
        events,
        title,
        describe_certificate,
        explanation=explanation.to_json() if explanation is not None else None,
        earlier=list(earlier.recorder.events) if earlier is not None else None,
    )
    own = site.connections.of(connection.browser)
    live = {
        "is_this": bool(key_fingerprint),
        "number": connection.number,
        "rows": rows_of(own, connection),
        "verdict": _verdict(facts) if info is not None else "",
        "key_fingerprint": key_fingerprint,
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
