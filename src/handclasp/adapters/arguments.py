"""Checks of what is given to the adapters' functions: refused at the call, or kept.

What is refused is refused before a socket that came with it is touched.
"""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal, TypeAlias, cast

from handclasp.adapters.hints import refuse_arguments
from handclasp.adapters.progress import has_peer, is_connected, is_listening
from handclasp.config import ClientConfig, ServerConfig
from handclasp.errors import ConfigurationError, StateError, shown
from handclasp.server import ServerConnection
from handclasp.synchronous import is_async_function
from handclasp.trace.hooks import Trace

WaitsIn: TypeAlias = Literal["thread", "asyncio", "trio"]
"""The place where a server waits for its replay guard: the connection's thread, or a loop."""

StrPath: TypeAlias = str | bytes | os.PathLike[str]

DEFAULT_CLOSE_TIMEOUT = 30.0
"""Seconds without progress after which a closing connection is given up, as in asyncio."""

DEFAULT_MAX_HANDSHAKES = 512
"""More than a core completes in a second, so that honest clients seldom come to be that many."""

DEFAULT_BACKLOG = 1024
"""asyncio's 100 fill up while the loop is busy, and a client that meets a full queue tries again a
second later.
"""

DEFAULT_HELLO_TIMEOUT = 5.0
"""Seconds. A client's hello comes with its side of the TCP handshake, or a second or three later
where its packet was lost."""

_OF_SERVING = (
    "close_timeout",
    "hello_timeout",
    "make_trace",
    "max_handshakes",
    "on_handshake_error",
    "proxy_protocol",
)
"""Arguments of every server of asyncio, apart from its config and its socket."""

OF_BINDING = ("family", "flags", "reuse_address", "reuse_port", "keep_alive")
"""Arguments of `loop.create_server` that say how a socket is made or bound."""


def request_client_certificate(connection: object) -> None:
    """Let a server ask its client for a certificate. Raises `StateError` for a client."""
    if not isinstance(connection, ServerConnection):
        raise StateError("A client cannot request a certificate: only a server can.")
    connection.request_client_certificate()


def client_config(config: ClientConfig | None) -> ClientConfig:
    """Return the config of a client, by default the safe one."""
    if config is None:
        return ClientConfig()
    if not isinstance(config, ClientConfig):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise _wrong_config("A client needs a ClientConfig", config)
    return config


def server_config(config: ServerConfig | None, waits_in: WaitsIn) -> ServerConfig:
    """Return the config of a server, which it must have.

    Args:
        config: the config.
        waits_in: where this server waits: its replay guard must wait in the same way.
    """
    if not isinstance(config, ServerConfig):
        raise _wrong_config("A server needs a ServerConfig with credentials", config)
    _check_guard(config.replay_guard, waits_in)
    return config


def either_config(
    config: ClientConfig | ServerConfig | None, waits_in: WaitsIn
) -> ClientConfig | ServerConfig:
    """Return the config of either role, by default the safe one of a client."""
    if config is not None and not isinstance(config, (ClientConfig, ServerConfig)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise _wrong_config("A ClientConfig or a ServerConfig is needed", config)
    if isinstance(config, ServerConfig):
        _check_guard(config.replay_guard, waits_in)
    return ClientConfig() if config is None else config


def server_connection(
    config: ServerConfig, waits_in: WaitsIn, trace: Trace | None
) -> ServerConnection:
    """Return the connection of a server; a config that is chosen for it is checked as its own is.

    Args:
        config: the config, from `server_config` or `either_config`.
        waits_in: as for these.
        trace: a recorder.
    """
    check_chosen = partial(server_config, waits_in=waits_in)
    return ServerConnection(config, trace=trace, check_chosen=check_chosen)


def _check_guard(guard: object, here: WaitsIn) -> None:
    """Refuse a replay guard that cannot wait here, or would block all connections meanwhile."""
    if guard is None:
        return
    there = getattr(guard, "waits_in", None)
    if there is None and is_async_function(getattr(guard, "is_first", None)):
        there = "asyncio" if here == "thread" else here
    if there is None or there == here:
        return
    name = type(guard).__name__
    if here == "thread":
        raise ConfigurationError(
            f"replay_guard: a blocking socket cannot wait for {name}, whose is_first() is async: "
            f"use {_GUARDS['thread']}, or a server of handclasp.aio."
        )
    problem = "would block the event loop" if there == "thread" else f"needs {there}"
    raise ConfigurationError(f"replay_guard: {name} {problem}: use {_GUARDS[here]}.")


_GUARDS: Mapping[WaitsIn, str] = {
    "thread": "handclasp.redis.RedisReplayFilter",
    "asyncio": "handclasp.redis.AsyncRedisReplayFilter",
    "trio": "an object whose is_first() is an async function of trio, which may call that of a "
    "RedisReplayFilter by trio.to_thread.run_sync",
}
"""The guard of a fleet for each way to wait."""


def _wrong_config(needed: str, given: object) -> ConfigurationError:
    kind = type(given).__name__
    # A config's own words are long, and no help here.
    is_named = isinstance(given, (ClientConfig, ServerConfig))
    message = f"{needed}, not {f'a {kind}' if is_named else shown(given)}."
    if type(given).__name__ == "SSLContext":
        message += (
            " The settings of a context are fields of the config here: trust= for "
            "load_verify_locations, credentials= for load_cert_chain, alpn= for "
            "set_alpn_protocols, versions= for minimum_version; docs/from-ssl.md has them all."
        )
    return ConfigurationError(message)


def check_server(max_handshakes: int, backlog: int, on_handshake_error: object) -> None:
    """Refuse what no server can be made of."""
    if on_handshake_error is not None:
        example = "a function of two arguments, the exception and the connection"
        check_callback("on_handshake_error", on_handshake_error, example)
    if type(backlog) is not int:
        raise ConfigurationError(f"backlog must be a whole number, not {backlog!r}.")
    if type(max_handshakes) is not int or max_handshakes < 1:
        raise ConfigurationError("max_handshakes must be a whole number, at least 1.")


def check_streams_server(limit: int, client_connected_cb: object) -> None:
    """Refuse here what would fail at each connection."""
    check_handler("client_connected_cb", client_connected_cb)
    check_limit(limit)


def check_limit(limit: int) -> None:
    """Refuse a limit of a stream's buffer that would fail at each connection."""
    if limit <= 0:
        raise ConfigurationError(f"limit must be a number of bytes, at least 1, not {limit!r}.")


def check_make_trace(make_trace: object, given: dict[str, Any]) -> None:
    """Refuse what does not make a trace for each connection of a server.

    Args:
        given: the arguments that the function does not have, of which `trace` may be one.
    """
    example = "make_trace=Recorder, which is called for each connection"
    if "trace" in given:
        raise ConfigurationError(
            f"trace is about one connection, and a server has many: say {example}."
        )
    if make_trace is not None:
        check_callback("make_trace", make_trace, example)


def check_callback(name: str, given: object, example: str) -> None:
    """Refuse what cannot be called when a client has come, and a function that answers later.

    Args:
        example: shows how the argument is given.
    """
    if not callable(given):
        kind = type(given).__name__
        raise ConfigurationError(f"{name} must be a callable, not {kind}: {example}.")
    if is_async_function(given):
        raise ConfigurationError(f"{name} must answer at once, and is an async function.")


def check_protocol_factory(given: object) -> None:
    """Refuse what makes no protocols, such as a protocol."""
    example = "a class, or a function that returns a protocol for each connection"
    check_callback("protocol_factory", given, example)


def check_handler(name: str, given: object) -> None:
    """Refuse what cannot be called with a connection, be it an async function or not."""
    if not callable(given):
        kind = type(given).__name__
        raise ConfigurationError(f"{name} must be a function, not {kind}.")


def check_tls_arguments(tls: dict[str, Any], *others: str) -> None:
    """Refuse the arguments for a server's TLS that it would refuse when it starts, or that do not
    go with those that its maker gives.

    Args:
        tls: the arguments by name.
        others: names that are allowed as well, whose values are not checked here.
    """
    from handclasp.adapters.proxies import proxies_of  # Clients need none.

    for name in tls:
        if name not in (*_OF_SERVING, *others):
            raise ConfigurationError(f"tls={{{name!r}: ...}} is not possible here.")
    check_make_trace(tls.get("make_trace"), tls)
    most = tls.get("max_handshakes", DEFAULT_MAX_HANDSHAKES)
    check_server(most, DEFAULT_BACKLOG, tls.get("on_handshake_error"))
    close_seconds(tls.get("close_timeout"))
    seconds_or_none("hello_timeout", tls.get("hello_timeout"))
    proxies_of(tls.get("proxy_protocol", False))


def close_seconds(timeout: float | None) -> float | None:
    """Return `close_timeout` in seconds; None for no timeout."""
    return seconds_or_none("close_timeout", timeout)


def seconds_or_none(name: str, value: float | None) -> float | None:
    """Return a time in seconds; None and infinity mean no timeout."""
    if value is None or value == math.inf:
        return None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)  # pyright: ignore[reportUnnecessaryIsInstance]
    if not is_number or not value > 0:
        raise ConfigurationError(
            f"{name} must be a positive number of seconds, or None for no limit, not {value!r}."
        )
    return value


def check_host_and_port(host: object, port: object, unknown: dict[str, Any]) -> None:
    """Refuse an address that was given as one argument, as `socket` has it.

    Args:
        unknown: the arguments that the function does not have, which are refused as well.
    """
    refuse_arguments(unknown)
    if isinstance(host, (tuple, list)):
        raise ConfigurationError(
            f"host and port are two arguments here, not {shown(cast(object, host))}, and the "
            "config comes third."
        )
    if isinstance(port, ClientConfig):
        raise ConfigurationError("The port is missing: host, port and config, in this order.")


def check_plain_socket(sock: object) -> None:
    """Refuse an object that is no socket, and a socket that speaks TLS itself.

    A selector cannot see the data that such a socket has decrypted already, and TLS on top of it
    would be TLS inside TLS.
    """
    if hasattr(sock, "unwrap"):
        raise ConfigurationError(
            f"A plain socket is needed, and this {type(sock).__name__} speaks TLS already. For TLS "
            "inside TLS use `aio.start_tls`, or a ClientConnection or ServerConnection."
        )
    if not isinstance(sock, socket.socket):
        message = f"A socket is needed, not {shown(sock)}."
        if isinstance(sock, (tuple, str)):
            message += " To connect to an address, use the functions that take host and port."
        raise ConfigurationError(message)


def check_connected(sock: socket.socket) -> None:
    """Refuse a socket that cannot carry a conversation, because it listens or has no peer."""
    if has_peer(sock):
        return
    if is_listening(sock):
        raise ConfigurationError("This socket listens: wrap what accept() gives.")
    if not is_connected(sock):
        raise ConfigurationError("This socket is not connected: connect it first.")


def check_stream_socket(sock: socket.socket, host: Any, port: Any) -> None:
    """Refuse a socket that is given together with an address, and one that is no stream."""
    if host is not None or port is not None:
        raise ConfigurationError(
            "host and port cannot be given together with sock. The name that a server's "
            "certificate must cover is server_name."
        )
    check_plain_socket(sock)
    if sock.type != socket.SOCK_STREAM:
        raise ConfigurationError(f"A stream socket was expected, not {sock!r}.")


def check_without_peer(sock: socket.socket) -> None:
    """Refuse a socket that cannot listen, because it is connected."""
    if has_peer(sock):
        raise ConfigurationError("This socket is connected: a server needs one that is bound.")


def check_listener(sock: socket.socket, host: Any, port: Any, more: dict[str, Any]) -> None:
    """Refuse what `start_server` cannot honour where it is given a socket."""
    check_stream_socket(sock, host, port)
    check_without_peer(sock)
    for name in more:
        if name in OF_BINDING:
            raise ConfigurationError(f"{name} cannot be given together with sock: it is bound.")
        raise TypeError(f"unexpected keyword argument {name!r}")


def check_unix(path: StrPath | None, sock: socket.socket | None) -> None:
    """Refuse both and neither, and a socket that is of another family."""
    if not hasattr(socket, "AF_UNIX"):
        raise NotImplementedError("This system has no UNIX sockets.")
    if (path is None) == (sock is None):
        raise ConfigurationError("Either path or sock must be given.")
    if sock is None:
        return
    check_plain_socket(sock)
    if (sock.family, sock.type) != (socket.AF_UNIX, socket.SOCK_STREAM):
        raise ConfigurationError(f"A UNIX stream socket was expected, not {sock!r}.")


def check_streams(reader: object, writer: object) -> None:
    """Refuse a pair of streams that is none, such as one in the wrong order."""
    if not hasattr(reader, "set_exception") or not hasattr(writer, "transport"):
        raise ConfigurationError(
            "start_tls needs the reader and the writer of a plain connection, in this order, and "
            f"then the config, not {type(reader).__name__} and {type(writer).__name__}."
        )


def check_upgrade(
    is_server: bool,
    server_name: str | None,
    port: int | None,
    go_ahead: bytes | None,
    received: bytes,
) -> None:
    """Refuse what `start_tls` cannot honour in this role."""
    for name, given in (("go_ahead", go_ahead), ("received", received)):
        if not isinstance(given, (bytes, bytearray, memoryview)) and given is not None:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"{name} must be bytes, not {type(given).__name__}.")
    if is_server and (server_name is not None or port is not None):
        raise ConfigurationError("server_name and port are for clients, and this is a server.")
    if not is_server and (go_ahead is not None or received):
        raise ConfigurationError(
            "go_ahead and received are for servers: a client speaks first in TLS."
        )
    if go_ahead is not None and received:
        raise ConfigurationError("What was received before go_ahead cannot belong to TLS.")


def looks_like_tls(data: bytes) -> bool:
    """Return whether this may be how a handshake record begins (RFC 9846 section 5.1)."""
    return bool(data) and b"\x16\x03".startswith(data[:2])
