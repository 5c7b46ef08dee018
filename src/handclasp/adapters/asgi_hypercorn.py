"""hypercorn over the asyncio server of this library; see `asgi`.

hypercorn's own `serve` makes its listening sockets and its `ssl.SSLContext` itself. Hence this
module does what that function does, around the same parts of hypercorn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from socket import socket
from typing import Any

import hypercorn
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.lifespan import Lifespan
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.typing import LifespanState

from handclasp.adapters.arguments import check_limit, check_tls_arguments, server_config
from handclasp.adapters.asgi import OverTLS
from handclasp.adapters.asyncio import TLSServer, start_server
from handclasp.config import ServerConfig
from handclasp.errors import ConfigurationError

_OF_SSL = ("ca_certs", "certfile", "ciphers", "keyfile", "keyfile_password")
_OF_PROCESSES = ("workers", "worker_class", "use_reloader")


async def run(
    app: Any,
    settings: hypercorn.Config,
    config: ServerConfig,
    tls: dict[str, Any],
    shutdown_trigger: Callable[[], Awaitable[object]],
) -> None:
    """Serve until the trigger returns."""
    _check(settings, server_config(config, "asyncio"))
    check_tls_arguments(tls, "limit")
    check_limit(tls.get("limit", 1))
    wrapped = ASGIWrapper(app)
    loop = asyncio.get_running_loop()
    state: LifespanState = {}
    lifespan = Lifespan(wrapped, settings, loop, state)
    living = loop.create_task(lifespan.handle_lifespan())
    await lifespan.wait_for_startup()
    if living.done() and (failure := living.exception()) is not None:
        raise failure
    context = WorkerContext(None)
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        app: Any = OverTLS(wrapped, writer.get_extra_info("handclasp"))
        await _Connection(app, loop, settings, context, state, reader, writer)

    servers: list[TLSServer] = []
    sockets: list[socket] = []
    try:
        sockets += settings.create_sockets().insecure_sockets
        for sock in sockets:
            server = await start_server(serve, sock=sock, config=config, **tls)
            servers.append(server)
        await shutdown_trigger()
    finally:
        await context.terminated.set()
        await _end(servers, tasks, settings.graceful_timeout)
        for sock in sockets:  # Where one of them cannot listen, the others have no server.
            sock.close()
        await lifespan.wait_for_shutdown()
        living.cancel()
        with suppress(asyncio.CancelledError):
            await living


class _Connection(TCPServer):
    """One whose client will ask for nothing more ends at once.

    hypercorn keeps it for `keep_alive_timeout`. Over `ssl` that goes unnoticed, as asyncio closes
    the connection by itself when the client's data ends; here the client may still be listening.
    """

    async def _read_data(self) -> None:
        await super()._read_data()
        await self.idle_task.stop()


async def _end(servers: list[TLSServer], tasks: set[asyncio.Task[Any]], seconds: float) -> None:
    """Listen no more, and let the connections end."""
    for server in servers:
        server.close()
    if tasks:
        _, left = await asyncio.wait(tasks, timeout=seconds)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=seconds)
    for server in servers:
        server.abort_clients()
        await server.wait_closed()


def _check(settings: hypercorn.Config, config: ServerConfig) -> None:
    for name in _OF_SSL:
        if getattr(settings, name) != getattr(hypercorn.Config, name):
            raise ConfigurationError(f"{name} is for the ssl module; here config= says it.")
    for name in _OF_PROCESSES:
        if getattr(settings, name) != getattr(hypercorn.Config, name):
            raise ConfigurationError(
                f"{name} is for hypercorn's own command: this serves in one process with asyncio. "
                "docs/asgi.md has an example with several."
            )
    if settings.quic_bind or settings.insecure_bind:
        raise ConfigurationError("quic_bind and insecure_bind cannot be served together with bind.")
    if config.max_early_data:
        raise ConfigurationError(
            "max_early_data with hypercorn, which cannot tell applications what came early."
        )
