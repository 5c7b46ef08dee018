"""Tickets: sealed states that open to the same, and nothing else that opens."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handclasp.crypto.secret import Secret
from handclasp.sessions.session import MAX_LIFETIME
from handclasp.sessions.ticket_keys import new_key
from handclasp.sessions.tickets import MAX_TICKET, SessionState, open_ticket, seal_ticket

KEY, OTHER = new_key(0, 1), new_key(0, 1)
states = st.builds(
    SessionState,
    version=st.sampled_from([0x0303, 0x0304]),
    cipher_suite=st.integers(0, 0xFFFF),
    secret=st.binary(min_size=32, max_size=48).map(Secret),
    authenticated_at=st.integers(0, 2**63),
    created_at=st.integers(0, 2**63),
    lifetime=st.integers(0, 2**32 - 1),
    age_add=st.integers(0, 2**32 - 1),
    max_early_data=st.integers(0, 2**32 - 1),
    server_name=st.text(max_size=60),
    alpn=st.text(max_size=40),
    binding=st.binary(min_size=32, max_size=32),
    client_chain=st.lists(st.binary(min_size=1, max_size=50), max_size=3).map(tuple),
    signature_scheme=st.sampled_from(["", "ed25519", "rsa_pss_rsae_sha256"]),
)


def state(**changes: object) -> SessionState:
    given = SessionState(
        0x0304, 0x1301, Secret(b"s" * 32), 1000, 1000, 10, 7, 0, "a", "h2", bytes(32)
    )
    return type(given)(**{name: getattr(given, name) for name in given.__slots__} | changes)


def sealed(given: SessionState) -> bytes:
    ticket = seal_ticket(given, [KEY, OTHER], os.urandom)
    assert ticket is not None
    return ticket


@settings(deadline=None)
@given(states)
def test_what_is_sealed_opens_to_the_same(given: SessionState) -> None:
    ticket = sealed(given)
    assert open_ticket(ticket, [KEY]) == given
    assert open_ticket(ticket, [OTHER, KEY]) == given
    assert open_ticket(ticket, [OTHER]) is None
    assert open_ticket(ticket, []) is None


def test_no_two_are_alike() -> None:
    assert len({sealed(state()) for _ in range(50)}) == 50


def test_any_changed_bit_is_noticed() -> None:
    ticket = sealed(state())
    for at in range(len(ticket)):
        for bit in (1, 128):
            broken = ticket[:at] + bytes([ticket[at] ^ bit]) + ticket[at + 1 :]
            assert open_ticket(broken, [KEY]) is None


def test_any_other_length_is_noticed() -> None:
    ticket = sealed(state())
    for size in range(len(ticket)):
        assert open_ticket(ticket[:size], [KEY]) is None
    assert open_ticket(ticket + b"\0", [KEY]) is None


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_raise(ticket: bytes) -> None:
    assert open_ticket(ticket, [KEY]) is None
    assert open_ticket(b"\x01" + KEY.key_id + ticket, [KEY]) is None


@pytest.mark.parametrize("version", [0, 1, 2, 3, 5])
def test_a_ticket_of_another_form(monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    """A fleet has one key and, while it is being updated, servers that write another form."""
    monkeypatch.setattr("handclasp.sessions.tickets._VERSION", version)
    ticket = sealed(state())
    monkeypatch.undo()
    assert ticket[0] == version
    assert open_ticket(ticket, [KEY]) is None


def test_a_state_that_is_too_long() -> None:
    long = state(client_chain=(bytes(MAX_TICKET),))
    assert seal_ticket(long, [KEY], os.urandom) is None
    assert open_ticket(bytes(MAX_TICKET + 1), [KEY]) is None


def test_no_key_no_ticket() -> None:
    assert seal_ticket(state(), [], os.urandom) is None


@pytest.mark.parametrize(
    ("now", "current"),
    [
        (100_000, True),
        (109_999, True),
        (110_000, False),
        (40_000, True),  # Made by a server whose clock is a minute ahead.
        (39_999, False),
    ],
)
def test_it_is_current_for_its_lifetime(now: int, current: bool) -> None:
    assert state(created_at=100_000).is_current(now) is current


def test_new_tickets_do_not_make_it_last_for_ever() -> None:
    end = 1000 + 1000 * MAX_LIFETIME
    renewed = state(created_at=end - 1000)
    assert renewed.is_current(end - 1)
    assert renewed.seconds_left(end - 1000) == 1
    assert not renewed.is_current(end)


def test_the_secret_does_not_show() -> None:
    assert "ssss" not in repr(state())
    assert "ssss" not in repr(sealed(state()))
