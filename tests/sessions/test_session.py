"""What a client keeps: its age, its form in a file, and its silence."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handclasp.crypto.secret import Secret
from handclasp.errors import ConfigurationError
from handclasp.sessions.session import MAX_LIFETIME, RequestedCertificate, Session, session_to_text

names = st.none() | st.text(max_size=20)
chains = st.lists(st.binary(max_size=30), max_size=3).map(tuple)
sessions = st.builds(
    Session,
    version=st.sampled_from(["TLSv1.2", "TLSv1.3"]),
    cipher_suite=st.text(max_size=20),
    secret=st.binary(min_size=32, max_size=48).map(Secret),
    ticket=st.binary(max_size=60),
    authenticated_at=st.integers(0, 2**45),
    received_at=st.integers(0, 2**45),
    lifetime=st.integers(0, MAX_LIFETIME),
    session_id=st.binary(max_size=32),
    age_add=st.integers(0, 2**32 - 1),
    max_early_data=st.integers(0, 2**32 - 1),
    server_name=names,
    alpn=names,
    peer_chain_der=chains,
    ocsp_response=st.none() | st.binary(max_size=20),
    sct_list=st.none() | st.binary(max_size=20),
    local_chain_der=chains,
    signature_scheme=names,
    requested=st.none()
    | st.builds(
        RequestedCertificate,
        st.lists(st.text(max_size=20), max_size=3).map(tuple),
        chains,
        st.lists(st.text(max_size=20), max_size=2).map(tuple),
    ),
    psk_fingerprint=st.binary(max_size=32),
)


def session(**changes: Any) -> Session:
    settings: dict[str, Any] = {
        "version": "TLSv1.3",
        "cipher_suite": "TLS_AES_128_GCM_SHA256",
        "secret": Secret(b"s" * 32),
        "ticket": b"ticket",
        "authenticated_at": 1_000_000,
        "received_at": 1_000_000,
        "lifetime": 100,
    }
    return Session(**{**settings, **changes})


@settings(deadline=None)
@given(sessions)
def test_it_survives_a_file(given: Session) -> None:
    again = Session.from_json(json.loads(session_to_text(given)))
    assert again == given
    assert isinstance(again.secret, Secret)


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
        ),
    )
)
def test_anything_else_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError):
        Session.from_json(value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format", 1),
        ("format", 2),
        ("secret", "not base64!"),
        ("received_at", -1),
        ("received_at", 2**63),
        ("received_at", True),
        ("lifetime", "long"),
        ("peer_chain_der", 7),
        ("peer_chain_der", "AAAA"),
        ("peer_chain_der", {"AAAA": 1}),
        ("peer_chain_der", [None]),
        ("version", 3),
        ("requested", []),
        ("requested", {"signature_schemes": []}),
        ("certificate_type", "X"),
        ("certificate_type", ""),
        ("certificate_type", "\ud800"),
        ("secret", ""),
        ("secret", "AA=="),
        ("secret", "A" * 64),
        ("cipher_suite", "TLS_AES_256_GCM_SHA384"),
        (
            "requested",
            {"signature_schemes": [7], "authorities": [], "certificate_types": ["X509"]},
        ),
    ],
)
def test_one_wrong_field_is_enough(name: str, value: object) -> None:
    stored = session().to_json() | {name: value}
    with pytest.raises(ConfigurationError):
        Session.from_json(stored)


@pytest.mark.parametrize(
    "name",
    [
        "secret",
        "ticket",
        "authenticated_at",
        "received_at",
        "lifetime",
        "peer_chain_der",
        "version",
    ],
)
def test_what_must_be_there_is_not_null(name: str) -> None:
    with pytest.raises(ConfigurationError):
        Session.from_json(session().to_json() | {name: None})


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({}, True),
        ({"ticket": b""}, False),
        ({"ticket": bytes(2**14)}, True),
        ({"ticket": bytes(2**14 + 1)}, False),
        ({"ticket": b"", "session_id": b"id"}, False),
        ({"ticket": b"", "session_id": b"id", "version": "TLSv1.2"}, True),
        ({"ticket": b"", "session_id": bytes(33), "version": "TLSv1.2"}, False),
    ],
)
def test_whether_a_hello_has_room_for_it(changes: dict[str, Any], named: bool) -> None:
    assert session(**changes).can_be_named is named


def test_it_is_current_for_its_lifetime() -> None:
    kept = session()
    assert kept.is_current(1_000_000)
    assert kept.is_current(1_099_999)
    assert not kept.is_current(1_100_000)
    assert not kept.is_current(999_999)  # The clock was set back: nobody knows its age.
    # RFC 8446 4.6.1: clients keep no ticket for longer than seven days, whatever the server says.
    forever = session(lifetime=10**9)
    assert not forever.is_current(1_000_000 + 1000 * MAX_LIFETIME)


def test_new_tickets_do_not_make_it_last_for_ever() -> None:
    end = 1_000_000 + 1000 * MAX_LIFETIME
    renewed = session(received_at=end - 1000)
    assert renewed.is_current(end - 1)
    assert not renewed.is_current(end)


def test_the_age_is_obfuscated() -> None:
    kept = session(age_add=2**32 - 1)
    assert kept.age_at(1_000_000) == 2**32 - 1
    assert kept.age_at(1_000_001) == 0


def test_the_secret_does_not_show() -> None:
    assert "73737373" not in repr(session())
    assert "ssss" not in repr(session())
