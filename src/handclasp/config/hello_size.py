"""The room that a ClientHello has for what the settings put into it.

All extensions of a hello together take 65,535 bytes at most (RFC 8446 section 4.1.2). What has no
bound of its own are the lists of application protocols and of pre-shared keys, and the names of
authorities.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from handclasp.errors import ConfigurationError

if TYPE_CHECKING:
    # For types alone: config builds on this module.
    from handclasp.config import ClientConfig

ROOM_FOR_SETTINGS = 39_000
"""Bytes of a hello that are left when each other part is as large as it can be: a server name of
255 bytes, a key share of every group, all lists of algorithms, two cookies of a retry (8,192 bytes
each), two small tickets, and the fixed fields of an inner hello with its padding."""

SMALL_TICKET = 1024
"""Bytes of a ticket for which every hello has room, with Encrypted Client Hello as well."""

MAX_AUTHORITIES = 2**14
"""Bytes of authorities' names that are worth sending: the system's store has 20 KB of them."""

_AUTHORITIES_WITH_LENGTHS = MAX_AUTHORITIES * 8 // 7
"""Two bytes of length stand before each name, and a name that says anything has 14 or more."""

_AROUND_PSK = 6 + 1 + 48
"""The length and the age of an identity, and the largest binder with its length."""


def check_hello_size(config: ClientConfig) -> None:
    """Refuse settings that no ClientHello has room for, in any of its connections."""
    alpn, psks, room = _alpn_size(config), _psk_size(config), _room_for_settings(config)
    if alpn + psks <= room:
        return
    beside = ", beside the names of send_authorities" if config.send_authorities else ""
    sizes = [f"alpn takes {alpn} bytes"] if alpn else []
    advice = "Leave some of them out"
    if psks:
        sizes.append(f"psks take {psks} bytes")
    if psks and hides_a_hello(config):
        sizes[-1] += " (twice as many as without ech and grease_ech)"
        if config.ech is None and alpn + psks // 2 <= room:
            advice += ", or set grease_ech=False"
    raise ConfigurationError(
        f"This library keeps {room} bytes of a ClientHello for application protocols and "
        f"pre-shared keys{beside}: {', '.join(sizes)}. {advice}."
    )


def room_in_hello(config: ClientConfig) -> int:
    """Return how many bytes a hello has left for a ticket, beside a small one."""
    return _room_for_settings(config) - _alpn_size(config) - _psk_size(config)


def fits_hello(config: ClientConfig, ticket: bytes) -> bool:
    """Return whether a hello has room for this ticket of an earlier session."""
    size = len(ticket)
    if size <= SMALL_TICKET:
        return True
    return size * (2 if hides_a_hello(config) else 1) <= room_in_hello(config)


def hides_a_hello(config: ClientConfig) -> bool:
    """Return whether the hello holds an encrypted one, or one of random bytes that is as long."""
    if "TLSv1.3" not in config.versions:
        return False
    return config.ech is not None or (config.grease and config.grease_ech)


def _room_for_settings(config: ClientConfig) -> int:
    return ROOM_FOR_SETTINGS - (_AUTHORITIES_WITH_LENGTHS if config.send_authorities else 0)


def _alpn_size(config: ClientConfig) -> int:
    return sum(1 + len(protocol) for protocol in config.alpn)


def _psk_size(config: ClientConfig) -> int:
    size = sum(_AROUND_PSK + len(key.identity) for key in config.psks)
    return size * (2 if hides_a_hello(config) else 1)
