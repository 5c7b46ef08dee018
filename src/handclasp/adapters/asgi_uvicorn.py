"""uvicorn over the asyncio server of this library; see `asgi`."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from collections.abc import AsyncIterator
from functools import partial
from socket import AF_INET, AF_INET6, AF_UNIX, SOCK_STREAM, fromfd, socket
from typing import Any

import h11
import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.protocols.http.h11_impl import H11Protocol

from handclasp.adapters.arguments import OF_BINDING, check_tls_arguments, server_config
from handclasp.adapters.asgi import OverTLS
from handclasp.adapters.asyncio import TLSServer, create_server, create_unix_server
from handclasp.config import ServerConfig
from handclasp.errors import ConfigurationError

_HTTP1 = {"http/1.1", "http/1.0"}

_log = logging.getLogger("uvicorn.error")


class TLSUvicorn(uvicorn.Server):
    """A server of uvicorn that speaks TLS by this library.

    Args:
        app, host, port: for uvicorn.
        config: the settings of TLS.
        tls: arguments of `handclasp.aio.create_server`.
        settings: of `uvicorn.Config`.
    """

    def __init__(
        self,
        app: Any,
        host: str,
        port: int,
        config: ServerConfig,
        tls: dict[str, Any],
        settings: dict[str, Any],
    ) -> None:
        _check(server_config(config, "asyncio"), settings)
        binds = settings.get("fd") is None and settings.get("uds") is None
        check_tls_arguments(tls, *(OF_BINDING if binds else ()))
        settings = {"ws": "auto", **settings, "http": "h11"}
        super().__init__(uvicorn.Config(app, host=host, port=port, **settings))
        self._tls: dict[str, Any] = {"config": config, "backlog": self.config.backlog, **tls}

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Start the application, and listen."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            raise SystemExit(STARTUP_FAILURE)
        if self.config.ws_protocol_class is not None:
            self.config.ws_protocol_class = _with_scope(self.config.ws_protocol_class)
        self.servers: list[Any] = []
        try:
            async for server in self._listen(sockets):
                self.servers.append(server)
        except BaseException as error:
            for server in self.servers:
                server.close()
            await self.lifespan.shutdown()
            if not isinstance(error, OSError):
                raise
            _log.error(error)
            raise SystemExit(STARTUP_FAILURE) from error
        for server in self.servers:
            for each in server.sockets:
                _log.info("Uvicorn running on %s (Press CTRL+C to quit)", _where(each))
        self.started = True

    async def _listen(self, sockets: list[socket] | None) -> AsyncIterator[TLSServer]:
        config = self.config
        make = partial(
            Protocol, config, self.server_state, self.lifespan.state, asyncio.get_running_loop()
        )
        if sockets is None and config.fd is not None:
            sock = fromfd(config.fd, AF_UNIX, SOCK_STREAM)
            try:
                yield await create_server(make, sock=sock, **self._tls)
            except BaseException:
                sock.close()
                raise
        elif sockets is not None:
            for sock in sockets:
                yield await create_server(make, sock=sock, **self._tls)
        elif config.uds is not None:
            mode = _mode_of_socket(config.uds)
            yield await create_unix_server(make, config.uds, **self._tls)
            os.chmod(config.uds, mode)
        else:
            yield await create_server(make, config.host, config.port, **self._tls)


class Protocol(H11Protocol):
    """HTTP/1.1, whose scopes tell of TLS, and of requests in early data.

    Attributes:
        early: whether the request that is read came in early data, if only in part.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, with what the client has sent before the handshake was complete."""
        super().connection_made(transport)
        info = transport.get_extra_info("handclasp")
        app = self.app
        self._later: Any = OverTLS(app, info)
        early = transport.get_extra_info("early_data")
        self.early = bool(early)
        self.app = OverTLS(app, info, early=True) if early else self._later
        if early:
            super().data_received(early)

    def data_received(self, data: bytes) -> None:
        """Take data from after the handshake."""
        if self.early and self._has_read_everything():
            self.early = False
            self.app = self._later
        super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        """Refuse what h11 cannot read; a connection with an answer under way just ends.

        The answer must not be followed by another one, and uvicorn would try to send it.
        """
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def _has_read_everything(self) -> bool:
        """Return whether all early data belong to requests that are complete."""
        at_rest = self.conn.their_state in (h11.IDLE, h11.DONE, h11.MUST_CLOSE, h11.CLOSED)
        return at_rest and not self.conn.trailing_data[0]


def _where(sock: socket) -> str:
    """Return where a socket listens, as a URL unless it is a UNIX socket."""
    name = sock.getsockname()
    if sock.family not in (AF_INET, AF_INET6):
        return f"unix socket {name} with TLS"
    host, port = name[:2]
    return f"https://[{host}]:{port}" if sock.family == AF_INET6 else f"https://{host}:{port}"


def _mode_of_socket(path: str) -> int:
    """Return the rights of the file at `path`; without one, all may connect, as with uvicorn."""
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError:
        return 0o666


def _with_scope(protocol: Any) -> Any:
    """Return the same protocol of WebSockets, whose scopes tell of TLS."""

    def connection_made(self: Any, transport: asyncio.Transport) -> None:
        protocol.connection_made(self, transport)
        asked = transport.get_protocol()  # Still the protocol that has read the request.
        early = isinstance(asked, Protocol) and asked.early
        self.app = OverTLS(self.app, transport.get_extra_info("handclasp"), early=early)

    return type(protocol.__name__, (protocol,), {"connection_made": connection_made})


def _check(config: ServerConfig, settings: dict[str, Any]) -> None:
    for name in settings:
        if name.startswith("ssl"):
            raise ConfigurationError(f"{name} is for the ssl module; here config= says it.")
    if settings.get("http", "h11") != "h11":
        raise ConfigurationError("Over this library, uvicorn speaks HTTP by h11 only.")
    for name in ("workers", "reload"):
        if settings.get(name):
            raise ConfigurationError(f"{name} is for uvicorn's own command: bind, fork, and serve.")
    if not set(config.alpn or ()) <= _HTTP1:
        raise ConfigurationError(
            f"alpn={list(config.alpn)!r}: uvicorn speaks HTTP/1.1 only, which is 'http/1.1'."
        )
