"""A client's sessions: what tells them apart, and which of them are fit to be offered."""

from __future__ import annotations

import gc
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from tests.end_to_end.pair import Pair, split_records
from tests.pki import Leaf, Pki, key_of_type, key_pem, pem_of
from tests.security.test_forks import told_by_child

from handclasp import (
    CertificatePolicy,
    ClientConfig,
    ClientConnection,
    Credentials,
    Fault,
    PreSharedKey,
    ProtocolError,
    ServerConfig,
    Session,
    SessionStore,
)
from handclasp.handshake.client_sessions import _NUMBERS
from handclasp.iana import ExtensionType
from handclasp.wire.messages import ClientHello, read_message

versions = pytest.mark.parametrize("version", ["TLSv1.3", "TLSv1.2"])


class Noting:
    """A store that is asked, and has nothing."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def put(self, key: str, session: Session) -> None:
        pass

    def take(self, key: str) -> None:
        self.keys.append(key)

    def discard(self, key: str, session: Session) -> None:
        pass


def key_of(pki: Pki, name: str | None = "localhost", port: int = 443, **changes: Any) -> str:
    store = Noting()
    config = ClientConfig(**{"trust": pki.trust, "sessions": store, **changes})
    ClientConnection(config, server_name=name, port=port)
    (key,) = store.keys
    return key


KEY = PreSharedKey(b"a client", bytes(range(32)))
BOUND: dict[str, Any] = {
    "name": lambda _: {"name": "other.example"},
    "port": lambda _: {"port": 8443},
    "no verification": lambda _: {"verify_peer": False, "trust": None},
    "trust": lambda pki: {"trust": pki.trust.with_added(Pki().trust)},
    "alpn": lambda _: {"alpn": ["h2"]},
    "credentials": lambda pki: {"credentials": pki.client("somebody")},
    "other credentials": lambda pki: {"credentials": pki.client("somebody else")},
    "raw keys": lambda pki: {"raw_public_keys": [raw_key(pki)]},
    "pre-shared keys": lambda _: {"psks": [KEY]},
    "another key of the same name": lambda _: {"psks": [PreSharedKey(KEY.identity, b"k" * 32)]},
    "older servers": lambda _: {"require_extended_master_secret": False},
    "verify": lambda _: {"trust": None, "verify": lambda _: None},
    "confirm_peer": lambda _: {"confirm_peer": lambda _: True},
    "choose_credentials": lambda _: {"choose_credentials": lambda _: None},
}


def raw_key(pki: Pki) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key: bytes = pki.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return key


def test_what_a_session_is_bound_to(pki: Pki) -> None:
    # With the callbacks kept, so that each is another one.
    changes = [{}, *[change(pki) for change in BOUND.values()]]
    keys = [key_of(pki, **each) for each in changes]
    assert len(set(keys)) == len(BOUND) + 1
    assert [key_of(pki, **each) for each in changes] == keys


def test_what_depends_on_callbacks_is_named_as_of_this_process(pki: Pki) -> None:
    for name, change in BOUND.items():
        is_callback = name in ("verify", "confirm_peer", "choose_credentials")
        assert key_of(pki, **change(pki)).startswith("process:") is is_callback


def test_verification_switched_off_is_apart_from_a_trust_of_the_same_name() -> None:
    """Neither has a trust store of its own here: only how the peer is verified differs."""
    store = Noting()
    accepting: Any = {"sessions": store, "psks": [KEY]}
    for verify_peer in (True, False):
        config = ClientConfig(verify_peer=verify_peer, **accepting)
        ClientConnection(config, server_name=None)
    first, second = store.keys
    assert first != second


@pytest.mark.parametrize(
    "change", [{"grease": False}, {"keylog": print}, {"groups": ["X25519"]}], ids=str
)
def test_what_it_is_not_bound_to(pki: Pki, change: dict[str, Any]) -> None:
    assert key_of(pki, **change) == key_of(pki)


# Callbacks


class Judge:
    """Judges by what it is, whatever it is equal to."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Judge)

    def __hash__(self) -> int:
        return 1

    def confirm(self, _: object) -> bool:
        return True

    def __call__(self, _: object) -> bool:
        return True


_confirm: Any = Judge.confirm


class Slotted:
    __slots__ = ()

    def __call__(self, _: object) -> bool:
        return True


def confirming(pki: Pki, callback: Any) -> str:
    key = key_of(pki, confirm_peer=callback)
    gc.collect()
    return key


def test_a_bound_method_is_the_same_as_long_as_what_it_is_bound_to(pki: Pki) -> None:
    judge = Judge()
    assert confirming(pki, judge.confirm) == confirming(pki, judge.confirm)
    assert confirming(pki, judge.confirm) != confirming(pki, judge.__call__)
    assert confirming(pki, Judge().confirm) != confirming(pki, Judge().confirm)


def test_what_is_equal_is_not_the_same(pki: Pki) -> None:
    first, second = Judge(), Judge()
    assert first == second
    assert confirming(pki, first) == confirming(pki, first)
    assert confirming(pki, first) != confirming(pki, second)
    assert confirming(pki, first.confirm) != confirming(pki, second.confirm)


@pytest.mark.long
@pytest.mark.parametrize(
    "make",
    [lambda: lambda _: True, Judge, lambda: partial(_confirm, None), lambda: Judge().confirm],
    ids=["lambda", "object", "partial", "method"],
)
def test_what_is_made_again_is_another(pki: Pki, make: Any) -> None:
    """Even in the very place of one that is gone."""
    keys = [confirming(pki, make()) for _ in range(20)]
    assert len(set(keys)) == 20


def test_what_is_kept_is_the_same(pki: Pki) -> None:
    for callback in (lambda _: True, Judge(), partial(_confirm, None)):
        assert confirming(pki, callback) == confirming(pki, callback)


def test_what_cannot_be_known_again_is_another_each_time(pki: Pki) -> None:
    slotted = Slotted()
    assert confirming(pki, slotted) != confirming(pki, slotted)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_in_a_forked_child_it_is_another(pki: Pki) -> None:
    """What children call their first callback is not what their siblings do."""

    def confirm(_: object) -> bool:
        return True

    def key() -> bytes:
        return confirming(pki, confirm).encode()

    keys = [key(), told_by_child(key), told_by_child(key)]
    assert len(set(keys)) == 3
    assert key() == keys[0]
    # What is not bound to a process is known in all of them.
    assert told_by_child(lambda: key_of(pki).encode()) == key_of(pki).encode()


@pytest.mark.long
def test_numbers_of_callbacks_that_are_gone_are_not_kept(pki: Pki) -> None:
    before = len(_NUMBERS)
    for _ in range(50):
        confirming(pki, lambda _: True)
    assert len(_NUMBERS) <= before + 1


# What is offered


class World:
    """A client that has a session with a server."""

    def __init__(self, pki: Pki, version: str, credentials: Credentials | None = None) -> None:
        self.store = SessionStore()
        self.client = ClientConfig(trust=pki.trust, sessions=self.store, versions=[version])
        self.server = ServerConfig(credentials=credentials or pki.server("localhost"))
        assert Pair(self.client, self.server).run().established

    def offers(self, **changes: Any) -> bool:
        """Whether the hello of a client with these changes names the session."""
        connection = ClientConnection(replace(self.client, **changes), server_name="localhost")
        hello = read_message(split_records(bytes(connection.data_to_send()))[0][1])
        assert isinstance(hello, ClientHello)
        ticket = hello.extensions.get(ExtensionType.SESSION_TICKET)
        return ExtensionType.PRE_SHARED_KEY in hello.extensions or bool(ticket)


@versions
def test_it_is_offered(pki: Pki, version: str) -> None:
    assert World(pki, version).offers()


OTHER_SUITE = {
    "TLSv1.3": "TLS_AES_256_GCM_SHA384",
    "TLSv1.2": "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
}


@versions
@pytest.mark.parametrize("why", ["policy", "time", "version", "suite", "scheme"])
def test_it_is_not_offered_where_it_would_not_be_allowed(pki: Pki, version: str, why: str) -> None:
    other = "TLSv1.2" if version == "TLSv1.3" else "TLSv1.3"
    later = datetime.now(UTC) + timedelta(days=8)
    changes: dict[str, dict[str, Any]] = {
        "policy": {"policy": CertificatePolicy(pins=["A" * 43 + "="])},
        "time": {"clock": lambda: later},
        "version": {"versions": [other]},
        "suite": {"cipher_suites": [OTHER_SUITE[version]]},
        "scheme": {"signature_schemes": ["ed25519", "rsa_pss_rsae_sha256"]},
    }
    world = World(pki, version)
    assert not world.offers(**changes[why])
    assert not world.offers()  # What is of no use is not kept either.


@versions
def test_a_server_with_a_new_certificate_in_the_place_of_an_expired_one(
    pki: Pki, version: str
) -> None:
    """The session outlives the certificate that it began with, and must not be resumed then."""
    key, soon = key_of_type("ecdsa-p256"), datetime.now(UTC) + timedelta(minutes=10)
    old = pki.issue(Leaf(("localhost",), not_after=soon), key.public_key())
    world = World(pki, version, Credentials.from_pem(pem_of(old), key_pem(key)))
    later = soon + timedelta(minutes=1)
    server = replace(world.server, credentials=pki.server("localhost"))
    client = replace(world.client, clock=lambda: later)
    resumed = []
    for _ in range(2):
        pair = Pair(client, server).run()
        assert pair.established
        resumed.append(pair.client.info.resumed)
    assert resumed == [False, True]


@versions
@pytest.mark.parametrize("end", ["fault", "alert", "transport"])
def test_a_session_that_brought_failure_is_forgotten(pki: Pki, version: str, end: str) -> None:
    """RFC 5246 section 7.2.2; or else a client could never come back to such a server."""
    world = World(pki, version)
    client = ClientConnection(world.client, server_name="localhost")
    with pytest.raises((ProtocolError, OSError)):
        if end == "fault":
            client.receive_data(b"\x17\x03\x03\0\x01\0")
        elif end == "alert":
            client.receive_data(b"\x15\x03\x03\0\x02\x02\x50")
        else:
            client.receive_eof()
    hello = [world.offers() for _ in range(2)]
    # TLS 1.3: that one was taken, and there is one more.
    assert hello == ([True, False] if version == "TLSv1.3" else [False, False])


def test_a_wrong_secret_costs_one_connection(pki: Pki) -> None:
    world = World(pki, "TLSv1.2")
    ((key, (session,)),) = world.store._sessions.items()
    world.store.discard(key, session)
    world.store.put(key, replace(session, secret=type(session.secret)(bytes(48))))
    pair = Pair(world.client, world.server).run()
    assert isinstance(pair.client.error, ProtocolError)
    assert pair.client.error.fault is Fault.BAD_RECORD_MAC
    again = Pair(world.client, world.server).run()
    assert again.established
    assert not again.client.info.resumed
