"""The socket that --host and --port ask for, or one clear sentence; and its URL."""

from __future__ import annotations

import errno
import os
import socket

from handclasp.cli.outcome import WrongArguments

BACKLOG = 1024


def listen(host: str, port: int, option: str = "") -> socket.socket:
    """Return a listening socket; raise `WrongArguments` if that fails.

    Args:
        host, port: what it listens on.
        option: the option that named both, if they are not those of --host and --port.
    """
    of_host, of_port = (option, option) if option else ("--host", "--port")
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )
    except (socket.gaierror, UnicodeError):
        raise WrongArguments(f"{of_host} {host}: this machine has no such address.") from None
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # Elsewhere it would let two servers share the port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise WrongArguments(_why_not(error, host, port, of_host, of_port)) from None
    return listener


def url_of(host: str, port: int) -> str:
    """Return the URL of a server that listens on `host`."""
    if host in ("", "0.0.0.0", "::", "127.0.0.1", "::1"):  # noqa: S104 (compared, not bound)
        host = "localhost"
    return f"https://[{host}]:{port}/" if ":" in host else f"https://{host}:{port}/"


def _why_not(error: OSError, host: str, port: int, of_host: str, of_port: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} of {host} is in use already: choose another one with {of_port}."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"Port {port} may not be used by this user: choose one from 1024 on with {of_port}."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{of_host} {host}: this machine has no such address."
    return f"Cannot listen on {host} port {port}: {error.strerror or error}."
