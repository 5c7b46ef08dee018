"""The suspicion that a hello was too large for the server, or for something on the way.

The share of a hybrid group makes a ClientHello larger than one packet, and there are servers and
middleboxes that read only the first. Within one machine, nothing cuts it into packets of that size.
"""

from __future__ import annotations

from collections.abc import Iterable

from handclasp.advice import X25519_ALONE

_ONE_PACKET = 1400
"""The number of bytes that one packet carries on nearly all ways."""

LARGE_HELLO = (
    "The client's hello is larger than 1,400 bytes, so that it may take several packets: perhaps "
    "the server, or something on the way, cannot take such a hello."
)
SMALLER_HELLO = f"As a test, offer X25519 as the only group ({X25519_ALONE})."


def is_large_hello(size: int, groups: Iterable[str]) -> bool:
    """Return whether a hello that offers these groups may be too large for one packet."""
    return size > _ONE_PACKET and any("MLKEM" in each for each in groups)


def is_within_machine(address: object) -> bool:
    """Return whether the bytes between an address of a socket and its peer stay on one machine.

    They do on the loopback interface and over UNIX sockets, whose address is a path.

    Args:
        address: as `getsockname` returns it, of whatever kind of socket.
    """
    from ipaddress import ip_address

    from handclasp.addresses import unmapped

    if isinstance(address, str | bytes):
        return True
    if not isinstance(address, tuple) or not address:
        return False
    try:
        ip = ip_address(str(address[0]))  # pyright: ignore[reportUnknownArgumentType]
    except ValueError:
        return False
    return unmapped(ip).is_loopback
