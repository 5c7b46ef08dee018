"""The checks of what `FaultyServer` and `faulty_connect` are called with."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import ip_address
from typing import cast

from handclasp.config.values import is_number, is_whole
from handclasp.errors import ConfigurationError
from handclasp.testing.authority import RootAuthority

_MOST_SECONDS = 86_400.0


def check_fault(fault: object) -> None:
    """Raise `ConfigurationError` for what is no name of a fault."""
    if not isinstance(fault, str):
        raise ConfigurationError(f"fault must be a name, not {fault!r}.")


def check_seconds(seconds: float) -> None:
    """Raise `ConfigurationError` for what is no time from above 0 to a day, NaN included."""
    if not is_number(seconds):
        raise ConfigurationError(f"seconds must be a number, not {seconds!r}.")
    if not 0 < seconds <= _MOST_SECONDS:
        most = f"{_MOST_SECONDS:,.0f}"
        raise ConfigurationError(f"seconds must be above 0 and at most {most}, not {seconds}.")


def check_port(port: object, least: int) -> None:
    """Raise `ConfigurationError` for what is no port."""
    if not is_whole(port, least, 65_535):
        raise ConfigurationError(f"port must be a number from {least} to 65535, not {port!r}.")


def check_authority(authority: object) -> None:
    """Raise `ConfigurationError` for what cannot issue the certificates."""
    if authority is not None and not isinstance(authority, RootAuthority):
        raise ConfigurationError(f"authority must be a RootAuthority, not {authority!r}.")


def check_function(name: str, function: object) -> None:
    """Raise `ConfigurationError` for what cannot be called."""
    if function is not None and not callable(function):
        raise ConfigurationError(f"{name} must be a function, not {function!r}.")


def check_names(names: object) -> None:
    """Raise `ConfigurationError` for what are no names of a certificate."""
    if isinstance(names, str) or not isinstance(names, list | tuple):
        raise ConfigurationError(f"names must be a list of names, not {names!r}.")
    for name in cast("Sequence[object]", names):
        check_name("names", name)


def check_name(what: str, name: object) -> None:
    """Raise `ConfigurationError` for what is neither a host name in ASCII nor an address."""
    if not isinstance(name, str):
        raise ConfigurationError(f"{what}: {name!r} is not a name.")
    try:
        ip_address(name)
    except ValueError:
        labels = name.removesuffix(".").split(".")
        if not name.isascii() or len(name) > 253 or not all(map(_is_label, labels)):
            raise ConfigurationError(
                f"{what}: {name[:80]!r} is not a host name in ASCII, nor an address."
            ) from None


def _is_label(label: str) -> bool:
    plain = label.replace("-", "").replace("_", "")
    return len(label) <= 63 and (plain.isalnum() or label == "*")


def check_listener(listener: object) -> None:
    """Raise `ConfigurationError` for what is no listening socket of a stream."""
    if listener is None:
        return
    if not isinstance(listener, socket.socket) or not _is_open_stream(listener):
        raise ConfigurationError("listener must be an open socket of TCP that listens.")


def _is_open_stream(sock: socket.socket) -> bool:
    return sock.fileno() >= 0 and sock.type == socket.SOCK_STREAM
