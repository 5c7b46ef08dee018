"""The ASGI applications of this room: their types, and the connection that they get in a scope."""

from __future__ import annotations

from typing import Protocol

from handclasp.adapters.asgi import Application, Receive, Scope, Send

__all__ = ["Application", "CONNECTION", "Client", "Receive", "Scope", "Send"]

CONNECTION = "handclasp.connection"
"""The name in `scope["extensions"]` of the `Client`, which every server of this room sets."""


class Client(Protocol):
    """The connection of a request."""

    def is_gone(self) -> bool:
        """Return whether nothing can be sent any more."""
        ...

    def cut_off(self) -> object:
        """Abort the connection."""
        ...
