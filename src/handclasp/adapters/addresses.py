"""The addresses of the two ends, for a trace."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from handclasp.trace.hooks import Address, Trace


def note_addresses(trace: Trace, local: Any, peer: Any) -> None:
    """Tell a trace the addresses of a transport, where they are IP addresses with ports."""
    # A UNIX socket has a path for an address or nothing at all, others have numbers.
    with suppress(TypeError, ValueError, IndexError):
        trace.transport(_address(local), _address(peer))


def _address(given: Any) -> Address:
    host, port = str(given[0]), int(given[1])
    ip_address(host)
    return host, port
