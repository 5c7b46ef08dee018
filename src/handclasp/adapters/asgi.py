"""ASGI over TLS of this library: uvicorn and hypercorn, and what their applications learn of TLS.

`serve` runs an application by uvicorn, `serve_hypercorn` by hypercorn, each over the asyncio server
of this library. `tls_extension` makes what the ASGI TLS extension asks for, which `ssl` cannot
tell, and `RefuseEarlyData` answers 425 (RFC 8470).
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Collection, MutableMapping, Sequence
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING, Any, TypeAlias

from handclasp.certificates.reading import is_issued_by
from handclasp.config import ServerConfig
from handclasp.deferred import DeferredModule
from handclasp.info import ConnectionInfo

if TYPE_CHECKING:
    import hypercorn
    import uvicorn
else:
    hypercorn, uvicorn = DeferredModule("hypercorn"), DeferredModule("uvicorn")

__all__ = ["serve", "make_server", "serve_hypercorn", "tls_extension", "RefuseEarlyData"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

EARLY_DATA = "handclasp.early_data"
"""The name in `scope["extensions"]` of a request that came in early data."""

SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")
"""The methods that change nothing, so that a repetition does no harm (RFC 9110 section 9.2.1)."""

_VERSIONS = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}


async def serve(
    app: Application,
    host: str,
    port: int,
    config: ServerConfig,
    **settings: Any,
) -> None:
    """Serve an ASGI application by uvicorn, until a signal ends it.

    See docs/asgi.md for an example.

    Args:
        app: the application.
        host, port: the address to listen on.
        config: the settings of TLS.
        settings: as for `make_server`.

    Raises as `make_server` does.
    """
    await make_server(app, host, port, config, **settings).serve()


def make_server(
    app: Application,
    host: str,
    port: int,
    config: ServerConfig,
    *,
    tls: dict[str, Any] | None = None,
    **settings: Any,
) -> uvicorn.Server:
    """Return a server of uvicorn that speaks TLS by this library: await its `serve()`.

    The protocol is HTTP/1.1 (uvicorn's h11), with WebSockets if uvicorn has a library for them.
    See docs/asgi.md for an example.

    Args:
        app, host, port, config: as for `serve`.
        tls: arguments of `handclasp.aio.create_server`, such as `max_handshakes` or
            `on_handshake_error`.
        settings: of `uvicorn.Config`, such as `log_level`.

    Raises:
        ImportError: uvicorn is not installed.
        ConfigurationError: a setting that cannot be honoured, such as one for the ssl module.
    """
    try:
        from handclasp.adapters.asgi_uvicorn import TLSUvicorn
    except ModuleNotFoundError as error:
        raise _missing("uvicorn", "asgi", error) from error
    return TLSUvicorn(app, host, port, config, tls or {}, settings)


async def serve_hypercorn(
    app: Application,
    settings: hypercorn.Config,
    config: ServerConfig,
    *,
    tls: dict[str, Any] | None = None,
    shutdown_trigger: Callable[[], Awaitable[object]] | None = None,
) -> None:
    """Serve an ASGI application by hypercorn, in this event loop.

    With "h2" in `config.alpn`, it speaks HTTP/2, too. What concerns TLS in `settings` is refused,
    and so is early data in `config`: hypercorn does not tell which requests came in it.
    See docs/asgi.md for an example.

    Args:
        app: the application.
        settings: a `hypercorn.Config`; its `bind` says where to listen.
        config: the settings of TLS.
        tls: arguments of `handclasp.aio.start_server`.
        shutdown_trigger: an async function that returns when the server is to end; None: at
            SIGINT or SIGTERM, in the main thread. It also ends with this call's cancellation.

    Raises:
        ImportError: hypercorn is not installed.
        ConfigurationError: a setting that cannot be honoured.
    """
    try:
        from handclasp.adapters.asgi_hypercorn import run
    except ModuleNotFoundError as error:
        raise _missing("hypercorn", "hypercorn", error) from error
    await run(app, settings, config, tls or {}, shutdown_trigger)


def tls_extension(info: ConnectionInfo) -> dict[str, Any]:
    """Return the value of `scope["extensions"]["tls"]` for a connection of a server.

    `client_cert_error` is None as well for a client without a certificate: whether one is needed is
    the config's `client_auth`. A client's raw public key (RFC 7250) is no certificate, and left
    out. See docs/asgi.md for an example.
    """
    has_chain = info.peer_certificate_type == "X509" and bool(info.peer_chain_der)
    has_own = info.local_certificate_type == "X509" and bool(info.local_chain_der)
    error = None
    if has_chain and not info.peer_verified:
        error = "The client's certificate was not verified: the server accepts any."
    return {
        "server_cert": _pem(info.local_chain_der[0]) if has_own else None,
        "client_cert_chain": [_pem(each) for each in _chain(info)] if has_chain else [],
        "client_cert_name": info.peer_chain[0].subject.rfc4514_string() if has_chain else None,
        "client_cert_error": error,
        "tls_version": _VERSIONS[info.version],
        "cipher_suite": info.cipher_suite_code,
    }


def _chain(info: ConnectionInfo) -> Sequence[bytes]:
    """Return the client's certificate, and of the others that it sent those that lead on from it.

    The extension promises that each has signed the one before. A client may send more, in any order
    (RFC 8446 section 4.4.2).
    """
    sent = info.peer_chain_der
    if info.verified_chain_der:
        return list(takewhile(sent.__contains__, info.verified_chain_der))
    signed = takewhile(lambda pair: is_issued_by(*pair), pairwise(info.peer_chain))
    return sent[: 1 + len(list(signed))]


class OverTLS:
    """An application as one connection sees it: its scopes tell of TLS.

    Args:
        app: the application, in the form of uvicorn or of hypercorn.
        info: of the connection.
        early: whether the requests came in early data.
    """

    def __init__(self, app: Any, info: ConnectionInfo, *, early: bool = False) -> None:
        self.app = app
        self._info = info
        self._early = early
        self._tls: dict[str, Any] | None = None

    async def __call__(self, scope: Scope, *more: Any) -> Any:
        if scope["type"] in ("http", "websocket"):
            extensions = dict(scope.get("extensions") or {})
            extensions["tls"] = self._extension()
            if self._early:
                extensions[EARLY_DATA] = {}
            scope["extensions"] = extensions
        return await self.app(scope, *more)

    def _extension(self) -> dict[str, Any]:
        """Return the extension for a request: each has a copy of its own, of the same strings.

        The client decides how long its chain is, and how many requests it has open.
        """
        if self._tls is None:
            self._tls = tls_extension(self._info)
        return {**self._tls, "client_cert_chain": list(self._tls["client_cert_chain"])}


class RefuseEarlyData:
    """Middleware that answers 425 (Too Early) to a request that came in early data (RFC 8470).

    So it does to one for a WebSocket, whose method says nothing of what comes over it. (Where the
    server cannot answer that with a status of one's own, the answer is 403.)

    A client then sends it again, after the handshake. A request counts as early, too, if a proxy
    says so by the header `Early-Data`, whatever its value. See docs/asgi.md for an example.

    Args:
        app: the application.
        allowed_methods: pass these on: a repetition of theirs does no harm.
    """

    def __init__(self, app: Application, allowed_methods: Collection[str] = SAFE_METHODS) -> None:
        self.app = app
        self._allowed_methods = frozenset(allowed_methods)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        kind = scope["type"]
        is_unsafe = kind == "websocket" or (
            kind == "http" and scope["method"] not in self._allowed_methods
        )
        if not is_unsafe or not is_early(scope):
            await self.app(scope, receive, send)
            return
        answer = "http.response"
        if kind == "websocket":
            await receive()  # The request: before it, nothing can be sent.
            answer = "websocket.http.response"
            if answer not in (scope.get("extensions") or {}):
                await send({"type": "websocket.close"})
                return
        headers = [(b"content-length", b"0"), (b"cache-control", b"no-store")]
        await send({"type": f"{answer}.start", "status": 425, "headers": headers})
        await send({"type": f"{answer}.body", "body": b""})


def is_early(scope: Scope) -> bool:
    """Return whether a request came in early data, here or at a proxy before."""
    if EARLY_DATA in (scope.get("extensions") or {}):
        return True
    # Several fields, or one with another value, say the same as a single one of 1 (section 5.1).
    return any(bytes(name).lower() == b"early-data" for name, _ in scope.get("headers", ()))


def _pem(der: bytes) -> str:
    text = base64.encodebytes(der).decode().replace("\n", "")
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    return f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n"


def _missing(package: str, extra: str, error: ModuleNotFoundError) -> ImportError:
    if (error.name or "").partition(".")[0] != package:
        return error  # It is there, and lacks something itself.
    return ImportError(f"This needs {package}: pip install 'handclasp[{extra}]'", name=package)
