"""Tickets of TLS 1.3: what a server issues, and what a client keeps of it."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import partial

import pytest

from handclasp import Fault, ProtocolError, Session, SessionStore, TicketKeys
from handclasp.crypto.secret import Secret
from handclasp.crypto.suites import CIPHER_SUITES
from handclasp.handshake.tls13.tickets import TicketIssuer, TicketKeeper, check_ticket
from handclasp.keys.schedule13 import ResumptionSecret
from handclasp.sessions.session import MAX_LIFETIME, milliseconds
from handclasp.sessions.tickets import SessionState, open_ticket
from handclasp.wire.messages import NewSessionTicket, read_message

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = 86_400_000
SECRET = ResumptionSecret(CIPHER_SUITES["TLS_AES_128_GCM_SHA256"], Secret(bytes(32)))
KEYS = TicketKeys(lifetime=MAX_LIFETIME)


def issuer(authenticated_at: int = milliseconds(NOW), lifetime: int = 100) -> TicketIssuer:
    state = SessionState(
        0x0304, 0x1301, Secret(), authenticated_at, 0, lifetime, 0, 0, "", "", bytes(32)
    )
    return TicketIssuer(state, SECRET, KEYS, lambda: NOW, os.urandom, 2)


def keeper(store: SessionStore) -> TicketKeeper:
    suite, at = "TLS_AES_128_GCM_SHA256", milliseconds(NOW)
    make = partial(Session, version="TLSv1.3", cipher_suite=suite, authenticated_at=at)
    return TicketKeeper(make, SECRET, store, "key", lambda: NOW)


def issued(from_: TicketIssuer) -> tuple[NewSessionTicket, SessionState]:
    (raw,) = from_.issue()
    message = read_message(raw)
    assert isinstance(message, NewSessionTicket)
    state = open_ticket(message.ticket, KEYS.keys())
    assert state is not None
    return message, state


def test_both_sides_have_the_same_key() -> None:
    store, made = SessionStore(), issuer()
    for _ in range(2):
        message, state = issued(made)
        keeper(store).keep(message)
        session = store.take("key")
        assert session is not None
        assert session.secret == state.secret
        assert session.received_at == state.created_at
        assert session.lifetime == state.lifetime == 100


def test_each_ticket_has_its_own() -> None:
    made = issuer()
    pairs = [issued(made) for _ in range(20)]
    assert len({state.secret for _, state in pairs}) == 20
    assert len({message.ticket_nonce for message, _ in pairs}) == 20
    assert len({message.ticket_age_add for message, _ in pairs}) == 20


@pytest.mark.parametrize(
    ("days", "lifetime", "given"),
    [(0, MAX_LIFETIME, MAX_LIFETIME), (6, MAX_LIFETIME, 86_400), (6, 100, 100)],
)
def test_no_ticket_outlives_the_proof_by_more_than_seven_days(
    days: int, lifetime: int, given: int
) -> None:
    message, state = issued(issuer(milliseconds(NOW) - days * DAY, lifetime))
    assert message.ticket_lifetime == state.lifetime == given


def test_none_is_issued_after_that() -> None:
    assert issuer(milliseconds(NOW) - 7 * DAY).issue() == []


def test_a_ticket_for_longer_than_is_allowed() -> None:
    """RFC 8446 section 4.6.1: servers MUST NOT."""
    store = SessionStore()
    allowed = NewSessionTicket(MAX_LIFETIME, 0, b"", b"t", {})
    check_ticket(allowed, 0)
    keeper(store).keep(allowed)
    assert len(store) == 1
    with pytest.raises(ProtocolError) as caught:
        check_ticket(NewSessionTicket(MAX_LIFETIME + 1, 0, b"", b"t", {}), 0)
    assert caught.value.fault is Fault.ILLEGAL_VALUE


def test_a_ticket_for_no_time_is_not_kept() -> None:
    store = SessionStore()
    keeper(store).keep(NewSessionTicket(0, 0, b"", b"t", {}))
    assert len(store) == 0
