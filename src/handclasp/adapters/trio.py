"""TLS for trio: `open_tls_stream`, `serve_tls`, and `TLSStream` over any trio stream.

This file has the functions; the stream is in `trio_stream` over `trio_duplex`, and a server's loop
of accepting connections in `accepting` and `trio_accepting`. It needs the extra `handclasp[trio]`,
and imports no asyncio.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Never, NoReturn, TypeAlias

try:
    import trio
except ImportError as error:
    raise ImportError(
        "handclasp.trio needs trio: pip install 'handclasp[trio]'", name="trio"
    ) from error

from handclasp.adapters.arguments import (
    DEFAULT_BACKLOG,
    DEFAULT_CLOSE_TIMEOUT,
    DEFAULT_HELLO_TIMEOUT,
    DEFAULT_MAX_HANDSHAKES,
    check_handler,
    check_host_and_port,
    check_make_trace,
    check_server,
    client_config,
    close_seconds,
    seconds_or_none,
    server_config,
)
from handclasp.adapters.early import EarlyData
from handclasp.adapters.hints import refuse_arguments
from handclasp.adapters.trio_accepting import HandshakeErrorCallback, Settings, TrioAcceptor
from handclasp.adapters.trio_stream import HandshakeNeeded, TLSListener, TLSStream
from handclasp.client import check_server_name
from handclasp.config import ClientConfig, ServerConfig
from handclasp.errors import TLSError
from handclasp.trace.hooks import Trace, check_trace

__all__ = ["open_tls_stream", "serve_tls", "TLSStream", "TLSListener", "HandshakeNeeded"]

Handler: TypeAlias = Callable[[TLSStream[trio.SocketStream]], Awaitable[object]]

_log = logging.getLogger("handclasp")

DEFAULT_DELAY = 0.25
"""Seconds before the next address of a host is tried as well (RFC 8305 section 5), as in trio."""


async def open_tls_stream(
    host: str,
    port: int,
    config: ClientConfig | None = None,
    *,
    server_name: str | None = None,
    happy_eyeballs_delay: float | None = DEFAULT_DELAY,
    local_address: str | None = None,
    https_compatible: bool = False,
    trace: Trace | None = None,
    early_data: bytes | None = None,
    **unknown: Never,
) -> TLSStream[trio.SocketStream]:
    """Connect, and complete the handshake; a call that fails or is cancelled leaves nothing open.

    >>> import trio
    >>> from handclasp.trio import open_tls_stream
    >>> async def main():
    ...     async with await open_tls_stream("example.com", 443) as stream:
    ...         print(stream.info.version)
    >>> trio.run(main)
    TLSv1.3

    Args:
        host, port: the address of the server.
        config: the settings; None uses the safe defaults. Its callbacks may be async functions.
        server_name: the name that the certificate must cover, if it is not `host`.
        happy_eyeballs_delay, local_address: as for `trio.open_tcp_stream`.
        https_compatible, trace, early_data: as for `TLSStream`.

    Raises:
        OSError: the server could not be reached.
        TLSError: the handshake failed; `HandshakeTimeoutError` if it took too long.
        ConfigurationError: a setting that cannot be honoured.
    """
    check_host_and_port(host, port, unknown)
    config = client_config(config)
    name = check_server_name(config, host if server_name is None else server_name)
    check_trace(trace)
    EarlyData(config, early_data)  # What is wrong shows itself before anything is connected.
    transport = await trio.open_tcp_stream(
        host, port, happy_eyeballs_delay=happy_eyeballs_delay, local_address=local_address
    )
    try:
        stream = TLSStream(
            transport,
            config,
            server_name=name,
            port=port,
            https_compatible=https_compatible,
            trace=trace,
            early_data=early_data,
        )
    except BaseException:
        await trio.aclose_forcefully(transport)
        raise
    await _shake_hands(stream)
    return stream


async def _shake_hands(stream: TLSStream[trio.SocketStream]) -> None:
    """Complete the handshake; close the stream, and raise the `TLSError` itself, where it fails."""
    try:
        await stream.do_handshake()
    except BaseException as error:
        await trio.aclose_forcefully(stream)
        if isinstance(error, trio.BrokenResourceError) and isinstance(error.__cause__, TLSError):
            raise error.__cause__ from error.__cause__.__cause__
        raise


async def serve_tls(
    handler: Handler,
    port: int,
    config: ServerConfig,
    *,
    host: str | bytes | None = None,
    backlog: int = DEFAULT_BACKLOG,
    handler_nursery: trio.Nursery | None = None,
    https_compatible: bool = False,
    make_trace: Callable[[], Trace | None] | None = None,
    on_handshake_error: HandshakeErrorCallback | None = None,
    close_timeout: float | None = DEFAULT_CLOSE_TIMEOUT,
    max_handshakes: int = DEFAULT_MAX_HANDSHAKES,
    hello_timeout: float | None = DEFAULT_HELLO_TIMEOUT,
    task_status: trio.TaskStatus[list[trio.SocketListener]] = trio.TASK_STATUS_IGNORED,
    **unknown: Never,
) -> None:
    """Serve TLS until cancelled; `handler(stream)` runs in a task after each complete handshake.

    A failed handshake ends only its own connection. When the handler returns, the stream is closed
    in order; when it raises, at once, so that the peer sees that data are missing, and the
    exception goes to the nursery, as with `trio.serve_tcp`, and ends the server: a handler catches
    the `trio.BrokenResourceError` of a client that vanishes (see docs/trio.md).

    Args:
        handler: an async function.
        port, host, backlog: the address to listen on; the length of the accept queue.
        config: the settings. Its callbacks may be async functions: a signing key may be remote.
        handler_nursery: for the handlers; None ends them with this call.
        https_compatible: as for `TLSStream`.
        make_trace: a function, such as `Recorder`, that returns the trace of each connection.
        on_handshake_error: is called with the exception and the stream; the default logs failures.
        close_timeout: seconds without progress after which closing is given up; None: no limit.
        max_handshakes, hello_timeout: as for `handclasp.aio.start_server`.
        task_status: reports the listeners, once they listen, to `nursery.start`.

    Raises:
        OSError: the address cannot be listened on.
        ConfigurationError: a setting that cannot be honoured.
    """
    check_handler("handler", handler)
    check_make_trace(make_trace, unknown)
    refuse_arguments(unknown)
    check_server(max_handshakes, backlog, on_handshake_error)
    closing, hello = close_seconds(close_timeout), seconds_or_none("hello_timeout", hello_timeout)
    config = server_config(config, "trio")
    settings = Settings(config, https_compatible, make_trace, on_handshake_error, hello, closing)
    sockets = await _bind(port, host, backlog)
    async with trio.open_nursery() as nursery:
        handlers = nursery if handler_nursery is None else handler_nursery
        acceptor = TrioAcceptor(
            sockets,
            backlog,
            max_handshakes,
            settings,
            nursery,
            lambda stream: handlers.start_soon(_serve, handler, stream),
        )
        await _accept(acceptor, sockets, task_status)


async def _accept(
    acceptor: TrioAcceptor,
    sockets: list[socket.socket],
    task_status: trio.TaskStatus[list[trio.SocketListener]],
) -> NoReturn:
    """Take connections until cancelled."""
    listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(each)) for each in sockets]
    try:
        acceptor.start()
        task_status.started(listeners)
        await trio.sleep_forever()
    finally:
        acceptor.close()


async def _bind(port: int, host: str | bytes | None, backlog: int) -> list[socket.socket]:
    """Return sockets that listen as those of trio do."""
    listeners = await trio.open_tcp_listeners(port, host=host, backlog=backlog)
    return [socket.socket(fileno=each.socket.detach()) for each in listeners]


async def _serve(handler: Handler, stream: TLSStream[trio.SocketStream]) -> None:
    try:
        await handler(stream)
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    try:
        await stream.aclose()
    except trio.BrokenResourceError as error:
        _log.debug("%r: %s", stream, error)
