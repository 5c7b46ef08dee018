"""Checks of what is given to the functions of the asyncio adapter: refused at the call, or kept."""

from __future__ import annotations

import math
import os
import socket
from typing import Any, TypeAlias

from handclasp.config import ClientConfig, ServerConfig
from handclasp.errors import ConfigurationError

StrPath: TypeAlias = "str | bytes | os.PathLike[str]"

_OF_BINDING = ("family", "flags", "reuse_address", "reuse_port", "keep_alive")
"""Arguments of `loop.create_server` that say how a socket is made or bound."""


def client_config(config: ClientConfig | None) -> ClientConfig:
    """Return the config of a client, by default the safe one."""
    if config is None:
        return ClientConfig()
    if not isinstance(config, ClientConfig):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError("A client needs a ClientConfig.")
    return config


def check_server(config: ServerConfig, max_handshakes: int) -> None:
    """Refuse what no server can be made of."""
    if not isinstance(config, ServerConfig):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError("start_server needs a ServerConfig with credentials.")
    if type(max_handshakes) is not int or max_handshakes < 1:
        raise ConfigurationError("max_handshakes must be a whole number, at least 1.")


def check_limit(limit: int) -> None:
    """Refuse a limit here, where StreamReader would do so at each connection."""
    if limit <= 0:
        raise ConfigurationError(f"limit must be a number of bytes, at least 1, not {limit!r}.")


def close_seconds(timeout: float | None) -> float | None:
    """Return `close_timeout` in seconds; None is without end."""
    return seconds_or_none("close_timeout", timeout)


def seconds_or_none(name: str, value: float | None) -> float | None:
    """Return a time in seconds; None, which infinity is as well, is without end."""
    if value is None or value == math.inf:
        return None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)  # pyright: ignore[reportUnnecessaryIsInstance]
    if not is_number or not value > 0:
        raise ConfigurationError(
            f"{name} must be a positive number of seconds, or None for no limit, not {value!r}."
        )
    return value


def refuse_ssl_arguments(given: dict[str, Any]) -> None:
    """Refuse what asyncio's own functions take for the ssl module."""
    for name in given:
        if name == "server_hostname" or name.startswith("ssl"):
            raise ConfigurationError(f"{name} is for the ssl module; here config= says it all.")


def check_stream_socket(sock: socket.socket, host: Any, port: Any) -> None:
    """Refuse a socket that is given together with an address, and one that is no stream."""
    if host is not None or port is not None:
        raise ConfigurationError(
            "host and port cannot be given together with sock. The name that a server's "
            "certificate must cover is server_name."
        )
    if sock.type != socket.SOCK_STREAM:
        raise ConfigurationError(f"A stream socket was expected, not {sock!r}.")


def check_listener(sock: socket.socket, host: Any, port: Any, more: dict[str, Any]) -> None:
    """Refuse what `start_server` cannot honour where it is given a socket."""
    check_stream_socket(sock, host, port)
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
    """Return whether this may be how a handshake record begins (RFC 8446 section 5.1)."""
    return bool(data) and b"\x16\x03".startswith(data[:2])
