"""Checks of what is given to the adapters' functions: refused at the call, or kept.

What is refused is refused before a socket that came with it is touched.
"""

from __future__ import annotations

import inspect
import math
import os
import socket
from typing import Any, TypeAlias

from handclasp.adapters.progress import has_peer, is_connected, is_listening
from handclasp.config import ClientConfig, ServerConfig
from handclasp.errors import ConfigurationError, StateError, shown
from handclasp.server import ServerConnection

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

_OF_BINDING = ("family", "flags", "reuse_address", "reuse_port", "keep_alive")
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


def server_config(config: ServerConfig | None) -> ServerConfig:
    """Return the config of a server, which it must have."""
    if not isinstance(config, ServerConfig):
        raise _wrong_config("A server needs a ServerConfig with credentials", config)
    return config


def either_config(config: ClientConfig | ServerConfig | None) -> ClientConfig | ServerConfig:
    """Return the config of either role, by default the safe one of a client."""
    if config is not None and not isinstance(config, (ClientConfig, ServerConfig)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise _wrong_config("A ClientConfig or a ServerConfig is needed", config)
    return ClientConfig() if config is None else config


def _wrong_config(needed: str, given: object) -> ConfigurationError:
    message = f"{needed}, not {shown(given)}."
    if type(given).__name__ == "SSLContext":
        message += " What a context of the ssl module says is said by the fields of the config."
    return ConfigurationError(message)


def check_server(max_handshakes: int, backlog: int) -> None:
    """Refuse what no server can be made of."""
    if type(backlog) is not int:
        raise ConfigurationError(f"backlog must be a whole number, not {backlog!r}.")
    if type(max_handshakes) is not int or max_handshakes < 1:
        raise ConfigurationError("max_handshakes must be a whole number, at least 1.")


def check_limit(limit: int) -> None:
    """Refuse a limit here, where StreamReader would do so at each connection."""
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
    if make_trace is not None and not callable(make_trace):
        kind = type(make_trace).__name__
        raise ConfigurationError(f"make_trace must be a callable, not {kind}: {example}.")
    if inspect.iscoroutinefunction(make_trace):
        raise ConfigurationError("make_trace must answer at once, and is an async function.")


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


_IN_PLACE_OF = {
    "ssl": "config= takes its place.",
    "server_hostname": "use server_name= (and config=, in place of ssl=).",
    "ssl_handshake_timeout": "use config=, which has handshake_timeout.",
    "ssl_shutdown_timeout": "use close_timeout= (and config=, in place of ssl=).",
}


def refuse_ssl_arguments(given: dict[str, Any]) -> None:
    """Refuse what asyncio's own functions take for the ssl module."""
    for name in given:
        if name in _IN_PLACE_OF:
            raise ConfigurationError(f"{name} is for the ssl module; here {_IN_PLACE_OF[name]}")


def refuse_arguments(given: dict[str, Any]) -> None:
    """Refuse all arguments that a function does not have."""
    refuse_ssl_arguments(given)
    for name in given:
        raise TypeError(f"unexpected keyword argument {name!r}")


def check_host_and_port(host: object, port: object) -> None:
    """Refuse an address that was given as one argument, as `socket` has it."""
    if isinstance(host, (tuple, list)):
        raise ConfigurationError(
            f"host and port are two arguments here, not {shown(host)}, and the config comes third."
        )
    if isinstance(port, ClientConfig):
        raise ConfigurationError("The port is missing: host, port and config, in this order.")


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
        if name in _OF_BINDING:
            raise ConfigurationError(f"{name} cannot be given together with sock: it is bound.")
        raise TypeError(f"unexpected keyword argument {name!r}")


def check_unix(path: StrPath | None, sock: socket.socket | None) -> None:
    """Refuse both and neither, and a socket that is of another family."""
    if not hasattr(socket, "AF_UNIX"):
        raise NotImplementedError("This system has no UNIX sockets.")
    if (path is None) == (sock is None):
        raise ConfigurationError("Either path or sock must be given.")
    if sock is not None and (sock.family, sock.type) != (socket.AF_UNIX, socket.SOCK_STREAM):
        raise ConfigurationError(f"A UNIX stream socket was expected, not {sock!r}.")


def check_upgrade(is_server: bool, go_ahead: bytes | None, received: bytes) -> None:
    """Refuse what `start_tls` cannot honour in this role."""
    if not is_server and (go_ahead is not None or received):
        raise ConfigurationError(
            "go_ahead and received are for servers: a client speaks first in TLS."
        )
    if go_ahead is not None and received:
        raise ConfigurationError("What was received before go_ahead cannot belong to TLS.")


def looks_like_tls(data: bytes) -> bool:
    """Return whether this may be how a handshake record begins (RFC 9846 section 5.1)."""
    return bool(data) and b"\x16\x03".startswith(data[:2])
