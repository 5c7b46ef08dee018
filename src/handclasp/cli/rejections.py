"""Connections whose client may be about to leave, as its encrypted hello was not accepted."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from handclasp.serving.visits import Visit

if TYPE_CHECKING:
    from collections.abc import Iterator

Held = tuple[Visit, datetime]
"""A connection, and when its handshake was complete."""

_REJECTION = "PEER_ECH_REQUIRED"


class PossibleRejections:
    """Connections whose line waits until the client has shown whether it rejects them.

    A client whose encrypted hello was not accepted completes the handshake, and sends ech_required
    right after it (RFC 9849 section 6.1.6): that is one line, and not one of success before one of
    failure. A client that sent random bytes (GREASE) goes on, and looks the same until then.
    """

    def __init__(self) -> None:
        self._old: dict[tuple[str, int], Held] = {}
        self._new: dict[tuple[str, int], Held] = {}

    def hold(self, visit: Visit, at: datetime) -> bool:
        """Return whether a connection that was just made is kept back: its client may reject it."""
        address = visit.host, visit.port  # Connections over UNIX sockets share one.
        if not _may_be_rejected(visit) or address in self._new or address in self._old:
            return False
        self._new[address] = visit, at
        return True

    def take(self, host: str, port: int) -> Held | None:
        """Return the connection of this address that was kept back, and let go of it."""
        return self._new.pop((host, port), None) or self._old.pop((host, port), None)

    def take_old(self) -> Iterator[Held]:
        """Yield those that were kept back before the last call, and let go of them."""
        old, self._old, self._new = self._old, self._new, {}
        yield from old.values()


def is_rejection(visit: Visit) -> bool:
    """Return whether a client has left because its encrypted hello was not accepted."""
    return getattr(visit.error, "fault_name", "") == _REJECTION


def _may_be_rejected(visit: Visit) -> bool:
    from handclasp.trace.events import DecisionTaken

    if visit.info is None or visit.info.ech_accepted or visit.recorder is None:
        return False
    # A server notes this choice for each hello with the extension, where it has keys.
    events = visit.recorder.events
    return any(isinstance(each, DecisionTaken) and each.what == "ech" for each in events)
