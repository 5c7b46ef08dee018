"""hypercorn over the asyncio server of this library; see `asgi`.

hypercorn's own `serve` makes its listening sockets and its `ssl.SSLContext` itself. Hence this
module does what that function does, around the same parts of hypercorn.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from random import randint
from socket import socket
from types import FrameType
from typing import Any

import hypercorn
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.lifespan import Lifespan
from hypercorn.asyncio.statsd import StatsdLogger
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.typing import LifespanState
from hypercorn.utils import (
    repr_socket_addr,  # pyright: ignore[reportUnknownVariableType]
)

from handclasp.adapters.arguments import (
    DEFAULT_BACKLOG,
    check_limit,
    check_tls_arguments,
    server_config,
)
from handclasp.adapters.asgi import OverTLS
from handclasp.adapters.asyncio import TLSServer, start_server
from handclasp.config import ServerConfig
from handclasp.errors import ConfigurationError, TLSError

Wait = Callable[[], Awaitable[object]]

_OF_SSL = (
    "alpn_protocols",
    "ca_certs",
    "certfile",
    "ciphers",
    "keyfile",
    "keyfile_password",
    "ssl_handshake_timeout",
    "verify_flags",
    "verify_mode",
)
_OF_PROCESSES = ("workers", "worker_class", "use_reloader")


async def run(
    app: Any,
    settings: hypercorn.Config,
    config: ServerConfig,
    tls: dict[str, Any],
    shutdown_trigger: Wait | None,
) -> None:
    """Serve until the trigger returns, or a signal comes, or `max_requests` have been served."""
    _check(settings, server_config(config, "asyncio"))
    check_tls_arguments(tls, "limit")
    check_limit(tls.get("limit", 1))
    settings.set_statsd_logger_class(StatsdLogger)
    wrapped = ASGIWrapper(app)
    tls = {"config": config, "backlog": _backlog(settings), **tls}
    with _ending_by(shutdown_trigger) as asked:
        async with _alive(wrapped, settings) as state:
            await _serve(wrapped, settings, tls, state, asked)


async def _serve(
    wrapped: ASGIWrapper,
    settings: hypercorn.Config,
    tls: dict[str, Any],
    state: LifespanState,
    asked: Wait,
) -> None:
    """Serve the application, which has started, and let its connections end."""
    loop = asyncio.get_running_loop()
    context = WorkerContext(_most_requests(settings))
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        app: Any = OverTLS(wrapped, writer.get_extra_info("handclasp"))
        # At the end hypercorn forgives a lost connection as `ssl` tells of it; here it may be the
        # missing close_notify of a client that is done, as curl and browsers are.
        with suppress(TLSError):
            await _Connection(app, loop, settings, context, state, reader, writer)

    servers: list[TLSServer] = []
    sockets: list[socket] = []
    try:
        sockets += settings.create_sockets().insecure_sockets
        for sock in sockets:
            where = repr_socket_addr(sock.family, sock.getsockname())
            servers.append(await start_server(serve, sock=sock, **tls))
            await settings.log.info(f"Running on https://{where} (CTRL + C to quit)")
        await _first_of(asked, context.terminate.wait)
    finally:
        await context.terminated.set()
        await _end(servers, tasks, settings.graceful_timeout)
        for sock in sockets:  # Where one of them cannot listen, the others have no server.
            sock.close()


@asynccontextmanager
async def _alive(wrapped: ASGIWrapper, settings: hypercorn.Config) -> AsyncGenerator[LifespanState]:
    """Let the application start, and in the end tell it that it is over."""
    loop = asyncio.get_running_loop()
    state: LifespanState = {}
    lifespan = Lifespan(wrapped, settings, loop, state)
    living = loop.create_task(lifespan.handle_lifespan())
    try:
        await lifespan.wait_for_startup()
        if not living.done():
            try:
                yield state
            finally:
                await lifespan.wait_for_shutdown()
        elif living.exception() is None:  # It has no lifespan.
            yield state
    finally:
        living.cancel()
        with suppress(asyncio.CancelledError):
            await living


@contextmanager
def _ending_by(trigger: Wait | None) -> Generator[Wait]:
    """Give what to wait for: the trigger, or else SIGINT and SIGTERM, as for hypercorn's `serve`.

    Only the first signal is handled here, so that another one ends what takes too long.
    """
    if trigger is not None or threading.current_thread() is not threading.main_thread():
        yield trigger or asyncio.Event().wait
        return
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    before: dict[int, Any] = {}

    def hear_no_more() -> None:
        while before:
            number, handler = before.popitem()
            with suppress(NotImplementedError):
                loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def ask() -> None:
        asked.set()
        hear_no_more()

    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        if (number := getattr(signal, name, None)) is not None:
            before[number] = signal.getsignal(number)
            _handle(loop, number, ask)
    try:
        yield asked.wait
    finally:
        hear_no_more()


def _handle(loop: asyncio.AbstractEventLoop, number: int, call: Callable[[], None]) -> None:
    try:
        loop.add_signal_handler(number, call)
    except NotImplementedError:  # On Windows.

        def heard(_number: int, _frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(call)

        signal.signal(number, heard)


async def _first_of(*waits: Wait) -> None:
    """Wait until one of them returns, or raise what it raises."""
    tasks = [asyncio.ensure_future(wait()) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _most_requests(settings: hypercorn.Config) -> int | None:
    if settings.max_requests is None:
        return None
    return settings.max_requests + randint(0, settings.max_requests_jitter)  # noqa: S311


def _backlog(settings: hypercorn.Config) -> int:
    """Return the length of the accept queue. One turn of a busy loop fills hypercorn's 100."""
    is_own = "backlog" in vars(settings) or settings.backlog != hypercorn.Config.backlog
    return settings.backlog if is_own else DEFAULT_BACKLOG


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
