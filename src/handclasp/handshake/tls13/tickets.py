"""Tickets, both ways: what a server issues, and a client keeps (RFC 8446 section 4.6.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.hooks import call_hook, keys_of
from handclasp.iana import ExtensionType
from handclasp.keys.schedule13 import ResumptionSecret
from handclasp.sessions.session import MAX_LIFETIME, Session, milliseconds
from handclasp.sessions.store import SessionCache
from handclasp.sessions.ticket_keys import TicketKeySource
from handclasp.sessions.tickets import SessionState, seal_ticket
from handclasp.wire import extensions as ext
from handclasp.wire.messages import NewSessionTicket


@dataclass(slots=True)
class TicketIssuer:
    """A server's tickets for one connection.

    Attributes:
        state: what they hold, but for the key, the time and age_add of each.
        at_once: how many to send when the handshake is complete.
    """

    state: SessionState
    resumption: ResumptionSecret = field(repr=False)
    keys: TicketKeySource
    clock: Callable[[], datetime]
    entropy: Callable[[int], bytes]
    at_once: int
    _issued: int = 0

    def issue(self) -> NewSessionTicket | None:
        """One more ticket; None without a key, or where the state is too long or too old."""
        now = milliseconds(self.clock())
        lifetime = min(self.state.lifetime, self.state.seconds_left(now))
        if lifetime <= 0:
            return None
        nonce = self._issued.to_bytes(4, "big")
        age_add = int.from_bytes(self.entropy(4), "big")
        state = self.state.renewed(self.resumption.psk(nonce), now, lifetime, age_add)
        ticket = seal_ticket(state, keys_of(self.keys), self.entropy)
        if ticket is None:
            return None
        self._issued += 1
        extensions: dict[int, bytes] = {}
        if state.max_early_data:
            size = ext.write_max_early_data_size(state.max_early_data)
            extensions[ExtensionType.EARLY_DATA] = size
        return NewSessionTicket(state.lifetime, state.age_add, nonce, ticket, extensions)


@dataclass(slots=True)
class TicketKeeper:
    """What a client makes of the tickets of one connection: sessions, in its store.

    Attributes:
        session: makes a session, given what each ticket brings.
    """

    session: Callable[..., Session]
    resumption: ResumptionSecret = field(repr=False)
    store: SessionCache
    key: str
    clock: Callable[[], datetime]

    def keep(self, message: NewSessionTicket) -> None:
        """Raises `ProtocolError` where the message or the store is not as it must be."""
        check_lifetime(message)
        data = message.extensions.get(ExtensionType.EARLY_DATA)
        early = ext.read_max_early_data_size(data) if data is not None else 0
        if message.ticket_lifetime == 0:
            return  # RFC 8446 4.6.1: "the ticket should be discarded immediately".
        session = self.session(
            secret=self.resumption.psk(message.ticket_nonce),
            ticket=message.ticket,
            received_at=milliseconds(self.clock()),
            lifetime=message.ticket_lifetime,
            age_add=message.ticket_age_add,
            max_early_data=early,
        )
        call_hook("sessions.put()", self.store.put, self.key, session)


def check_lifetime(message: NewSessionTicket) -> None:
    """Refuse more than seven days, whether the ticket is kept or not. Raises `ProtocolError`."""
    if message.ticket_lifetime > MAX_LIFETIME:
        # RFC 8446 4.6.1: "Servers MUST NOT use any value greater than 604800 seconds".
        raise ProtocolError(Fault.ILLEGAL_VALUE, f"a ticket for {message.ticket_lifetime} s")
