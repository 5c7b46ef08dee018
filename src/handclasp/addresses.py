"""The IPv4 address in an IPv4-mapped one, for all who print or compare addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address


def unmapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address of an IPv4-mapped one (RFC 4291 2.5.5.2), or the address itself.

    A server that listens on both IP versions sees its clients of IPv4 in this form.
    """
    mapped = address.ipv4_mapped if address.version == 6 else None
    return mapped or address
