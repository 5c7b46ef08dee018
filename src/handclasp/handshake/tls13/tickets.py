"""Tickets, both ways: what a server issues, and a client keeps (RFC 8446 section 4.6.1)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

from handclasp.config import ClientConfig
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.client_sessions import (
    ClientSessions,
    maker_of_sessions,
    may_come_back,
    shown_to,
)
from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.hooks import call_hook, lifetime_under, sealing_keys
from handclasp.handshake.tls13.psk import Psk
from handclasp.iana import ExtensionType
from handclasp.info import ConnectionInfo
from handclasp.keys.schedule13 import MasterSecret, ResumptionSecret
from handclasp.questions import ChooseCredentials
from handclasp.sessions.session import MAX_LIFETIME, Session, milliseconds
from handclasp.sessions.store import SessionCache
from handclasp.sessions.ticket_keys import TicketKeySource
from handclasp.sessions.tickets import SessionState, TicketSealer
from handclasp.values import dataclass, field, replace
from handclasp.wire import extensions as ext
from handclasp.wire.extension_table import MessageContext
from handclasp.wire.messages import NewSessionTicket, write_new_session_ticket
from handclasp.wire.rules import check_extensions, check_forms

_EARLY_DATA = ExtensionType.EARLY_DATA


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

    def set_client(self, info: ConnectionInfo) -> None:
        """Let further tickets hold the client that has authenticated itself since (4.6.1)."""
        self.state = replace(
            self.state,
            client_chain=info.peer_chain_der,
            client_certificate_type=info.peer_certificate_type,
        )

    def issue(self, count: int = 1) -> list[bytes]:
        """Return up to `count` more NewSessionTicket messages, as they are sent.

        There are fewer without a key, or where the state is too long or too old.
        """
        state = self.state
        messages: list[bytes] = []
        now = milliseconds(self.clock())
        keys = sealing_keys(self.keys, self.clock)
        lifetime = min(state.lifetime, state.seconds_left(now))
        lifetime = lifetime_under(self.keys, keys, lifetime, now)
        if lifetime <= 0:
            return messages
        extensions: dict[int, bytes] = {}
        if state.max_early_data:
            size = ext.write_max_early_data_size(state.max_early_data)
            extensions[_EARLY_DATA] = size
        sealer = TicketSealer(state, keys, self.entropy)
        for _ in range(count):
            nonce = self._issued.to_bytes(4, "big")
            age_add = int.from_bytes(self.entropy(4), "big")
            ticket = sealer.ticket(self.resumption.psk(nonce), now, lifetime, age_add)
            if ticket is None:
                break
            self._issued += 1
            messages.append(write_new_session_ticket(lifetime, age_add, nonce, ticket, extensions))
        return messages


@dataclass(slots=True)
class TicketKeeper:
    """Makes sessions of the tickets of one connection, and keeps them in the client's store.

    Attributes:
        session: makes a session, given what each ticket brings.
    """

    session: Callable[..., Session]
    resumption: ResumptionSecret = field(repr=False)
    store: SessionCache
    key: str
    clock: Callable[[], datetime]
    local_chain: tuple[bytes, ...] = ()

    def set_client(self, info: ConnectionInfo, question: ChooseCredentials) -> bool:
        """Note what this side has shown since; say whether further tickets may be kept.

        A ticket that comes now was made before the answer reached the server, or after it. The
        session is therefore offered only while this side would show the same again. Where it was
        somebody else before, there is no telling whom a ticket stands for.
        """
        if not may_come_back(question) or self.local_chain not in ((), info.local_chain_der):
            return False
        self.local_chain = info.local_chain_der
        self.session = partial(self.session, **shown_to(question, info))
        return True

    def keep(self, message: NewSessionTicket) -> None:
        """Keep the session, unless it is over already. Raises `ProtocolError`.

        Args:
            message: one that has passed `check_ticket`.
        """
        data = message.extensions.get(_EARLY_DATA)
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


def check_ticket(message: NewSessionTicket, max_extensions: int) -> None:
    """Refuse what must not stand there, whether the ticket is kept or not.

    Raises `ProtocolError`.
    """
    if message.extensions:
        check_extensions(message.extensions, MessageContext.NST, max_extensions)
        check_forms(message.extensions, MessageContext.NST)
    if message.ticket_lifetime > MAX_LIFETIME:
        # RFC 8446 4.6.1: "Servers MUST NOT use any value greater than 604800 seconds".
        raise ProtocolError(Fault.ILLEGAL_VALUE, f"a ticket for {message.ticket_lifetime} s")


def ticket_keeper(
    hs: HandshakeContext,
    config: ClientConfig,
    psk: Psk | None,
    info: ConnectionInfo,
    master: MasterSecret,
    question: ChooseCredentials | None,
    client_sessions: ClientSessions | None,
) -> TicketKeeper | None:
    """Return the keeper of the server's tickets, if they are wanted and can be used."""
    if client_sessions is None or not may_come_back(question):
        return None
    resumption = master.resumption_secret(hs.transcript.digest())
    external = psk.external if psk is not None else None
    session = maker_of_sessions(
        info,
        config.clock,
        resumed=psk.session if psk is not None else None,
        question=question,
        psk_fingerprint=external.fingerprint if external is not None else b"",
    )
    return TicketKeeper(
        session,
        resumption,
        client_sessions.store,
        client_sessions.key,
        config.clock,
        info.local_chain_der,
    )
