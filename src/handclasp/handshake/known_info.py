"""The facts about a connection, made once for all connections that agree upon the same.

Most connections of a config do: its clients differ in their keys, and not in what is chosen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec

from handclasp.info import ConnectionInfo
from handclasp.wire.memoize import Reading

Facts = ParamSpec("Facts")

_MOST_KEPT = 2**14
"""Bytes of the peer's certificates, and of what came with them, that are worth keeping."""

_KEPT_FOR_EACH = 3
"""Bytes that are kept for each of these: the chain, and the certificates if they are parsed."""

_BESIDES = 2**11
"""Bytes of the other facts, of which the longest are names."""


def _once(
    make: Callable[Facts, ConnectionInfo],
) -> Callable[Concatenate[Reading, Facts], ConnectionInfo]:
    def made(reading: Reading, /, *given: Facts.args, **named: Facts.kwargs) -> ConnectionInfo:
        key = make, (given, *named.items())
        info: ConnectionInfo | None = reading.known(key)
        if info is None:
            info = make(*given, **named)
            of_peer = *info.peer_chain_der, *info.verified_chain_der
            along = info.ocsp_response or b"", info.sct_list or b"", info.psk_identity or b""
            size = sum(map(len, (*of_peer, *along)))
            if size <= _MOST_KEPT:
                reading.note(key, info, _BESIDES + _KEPT_FOR_EACH * size)
        return info

    return made


known_info = _once(ConnectionInfo)
"""Returns the `ConnectionInfo` of these facts, which others with the same ones may have, too."""
