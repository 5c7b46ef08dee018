"""Peers that misbehave in a named way, to test TLS clients and servers of any kind against.

Start with `catalogue`: every fault with its RFC section and the right answer to it. `FaultyServer`
in `server` and `faulty_connect` in `client` are such peers on a socket, `pytest_plugin` has
fixtures for both, and `scripted` the peers themselves. docs/testing.md shows how to use them.
"""

from __future__ import annotations

TYPE_CHECKING = False  # pytest imports this package with its plugin, and `typing` takes long.

if TYPE_CHECKING:
    from handclasp.testing.authority import Authority, Leaf, RootAuthority
    from handclasp.testing.catalogue import (
        CLIENT_FAULTS,
        SERVER_FAULTS,
        PeerFault,
        fault_of_client,
        fault_of_server,
    )
    from handclasp.testing.client import faulty_connect
    from handclasp.testing.files import TlsAuthority
    from handclasp.testing.outcome import Outcome
    from handclasp.testing.server import FaultyServer, http_answer

__all__ = [
    "FaultyServer",
    "http_answer",
    "faulty_connect",
    "Outcome",
    "SERVER_FAULTS",
    "CLIENT_FAULTS",
    "PeerFault",
    "fault_of_server",
    "fault_of_client",
    "TlsAuthority",
    "RootAuthority",
    "Authority",
    "Leaf",
]

_HOMES = {
    "Authority": "authority",
    "Leaf": "authority",
    "RootAuthority": "authority",
    "CLIENT_FAULTS": "catalogue",
    "SERVER_FAULTS": "catalogue",
    "PeerFault": "catalogue",
    "fault_of_client": "catalogue",
    "fault_of_server": "catalogue",
    "faulty_connect": "client",
    "TlsAuthority": "files",
    "Outcome": "outcome",
    "FaultyServer": "server",
    "http_answer": "server",
}

if not TYPE_CHECKING:

    def __getattr__(name):
        from importlib import import_module

        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"handclasp.testing.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
