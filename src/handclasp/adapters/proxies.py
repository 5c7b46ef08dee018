"""The load balancers that may name clients by the PROXY protocol."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, TypeAlias

from handclasp.addresses import unmapped
from handclasp.errors import ConfigurationError

ProxyProtocol: TypeAlias = bool | str | Iterable[str]
"""True if connections begin with a header; or the networks of those that may send one."""


class Proxies:
    """The addresses that may pass connections on.

    Args:
        networks: of these addresses; None: any address may.
    """

    def __init__(self, networks: tuple[IPv4Network | IPv6Network, ...] | None) -> None:
        self.networks = networks

    def include(self, address: Any) -> bool:
        """Return whether a connection may come from this address of a socket."""
        if self.networks is None:
            return True
        host = _host_of(address)
        return host is not None and any(host in network for network in self.networks)


def is_same_host(one: Any, other: Any) -> bool:
    """Return whether two addresses of sockets have the same host."""
    host = _host_of(one)
    return host is not None and host == _host_of(other)


def _host_of(address: Any) -> IPv4Address | IPv6Address | None:
    """Return the host in an address of a socket; None for a UNIX socket."""
    parts: Any = address
    if not isinstance(address, tuple):
        return None
    return unmapped(ip_address(str(parts[0]).partition("%")[0]))


def proxies_of(given: ProxyProtocol) -> Proxies | None:
    """Return who may pass connections on; None for no PROXY protocol.

    Raises `ConfigurationError` for what is no network.
    """
    if given is False:
        return None
    if given is True:
        return Proxies(None)
    try:
        texts = [given] if isinstance(given, str) else list(given)
        networks = tuple(ip_network(each) for each in texts)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"proxy_protocol must be True, or networks such as '10.0.0.0/8': {error}."
        ) from None
    if not networks:
        raise ConfigurationError("proxy_protocol has no network, and would refuse everybody.")
    return Proxies(networks)
