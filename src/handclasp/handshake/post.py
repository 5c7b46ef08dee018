"""The state of a connection after the handshake, in either version."""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol


class Reaction(Enum):
    """The effect of a message after the handshake on the connection."""

    KEYS_UPDATED = auto()
    AUTHENTICATION = auto()


class PostHandshake(Protocol):
    """The messages of an established connection.

    Attributes:
        is_client: the role of this side.
        messages_without_data: how many came in a row; the receiver of application data sets it
            back to 0, for then they are no flood.
        certificate_requests: those that the client has not answered yet.
        key_update_pending: whether `send_pending_key_update` has something to do.
    """

    is_client: bool
    messages_without_data: int
    key_update_pending: bool

    @property
    def certificate_requests(self) -> int: ...

    def receive(self, raw: bytes) -> Reaction | None:
        """Take one message; says if something is to be done about it. Raises `ProtocolError`."""
        ...

    def update_send_keys(self, *, request_peer: bool) -> None:
        """Go over to new keys. Raises `StateError` where the version has no such thing."""
        ...

    def send_tickets(self, count: int | None = None) -> int:
        """Send so many tickets, or those that are due at once; gives how many there were."""
        ...

    def request_client_certificate(self) -> None:
        """Ask the client to authenticate. Raises `StateError` where it cannot be asked."""
        ...

    def send_pending_key_update(self) -> None:
        """Called before this side sends."""
        ...
