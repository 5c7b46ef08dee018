"""Coming back: sessions between our own ends, and where they must not be resumed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.end_to_end.pair import Pair
from tests.pki import Pki

from handclasp import (
    CertificatePolicy,
    ClientAuth,
    ClientConfig,
    ClientConnection,
    ConfigurationError,
    Fault,
    ProtocolError,
    ServerConfig,
    ServerConnection,
    SessionStore,
    TicketKeys,
    VerifiedPeer,
)
from handclasp.certificates.verify import vouch_for
from handclasp.iana import HandshakeType
from handclasp.sessions.session import MAX_LIFETIME
from handclasp.sessions.ticket_keys import TicketKey
from handclasp.trace.events import MessageSeen

VERSIONS = ["TLSv1.3", "TLSv1.2"]
versions = pytest.mark.parametrize("version", VERSIONS)


class World:
    """A client with a store and a server, which meet again and again."""

    def __init__(self, pki: Pki, version: str = "TLSv1.3", **server: Any) -> None:
        self.store = SessionStore()
        self.pki = pki
        self.client = ClientConfig(trust=pki.trust, sessions=self.store, versions=[version])
        settings: dict[str, Any] = {"credentials": pki.server("localhost", "other.example")}
        self.server = ServerConfig(**{**settings, **server})

    def meet(
        self,
        name: str = "localhost",
        *,
        client: dict[str, Any] | None = None,
        server: dict[str, Any] | ServerConfig | None = None,
    ) -> Pair:
        config = server if isinstance(server, ServerConfig) else self.server
        if isinstance(server, dict):
            config = replace(self.server, **server)
        pair = Pair(replace(self.client, **(client or {})), config, name).run()
        assert pair.established, (pair.client.error, pair.server.error)
        assert pair.client.info.resumed is pair.server.info.resumed
        for sender, receiver in ((pair.client, pair.server), (pair.server, pair.client)):
            pair.say(sender, b"hello")
            assert receiver.data == b"hello"
        return pair

    def resumes(self, name: str = "localhost", **changes: Any) -> bool:
        """Meet once as it is, so that there is a session; then with changes: is it resumed?"""
        self.meet()
        return self.meet(name, **changes).client.info.resumed


@versions
def test_the_second_time_is_shorter(pki: Pki, version: str) -> None:
    world = World(pki, version)
    first, second = world.meet(), world.meet()
    assert not first.client.info.resumed
    assert second.client.info.resumed
    assert len(second.server.sent) < len(first.server.sent)
    for pair in (first, second):
        info = pair.client.info
        assert info.peer_verified
        assert info.peer_chain_der == first.client.info.peer_chain_der
        assert info.verified_chain_der == first.client.info.verified_chain_der
        assert info.signature_scheme == "ecdsa_secp256r1_sha256"
    assert second.server.info.signature_scheme == "ecdsa_secp256r1_sha256"


@versions
def test_again_and_again(pki: Pki, version: str) -> None:
    world = World(pki, version)
    world.meet()
    assert all(world.meet().client.info.resumed for _ in range(10))


@pytest.mark.parametrize("visits", [1, 2])
@pytest.mark.parametrize("ends", ["bad record", "fatal alert", "truncated"])
def test_what_failed_is_forgotten_in_tls12(pki: Pki, visits: int, ends: str) -> None:
    """RFC 5246 section 7.2.2; that close_notify is missing is none of it (section 7.2.1)."""
    world = World(pki, "TLSv1.2")
    for _ in range(visits):
        pair = world.meet()
    if ends == "truncated":
        pair.client.receive_eof()
    elif ends == "fatal alert":
        pair.server.connection.abort(Fault.INTERNAL_ERROR)
        pair.client.receive(pair.server.take())
    else:
        pair.client.receive(b"\x17\x03\x03\0\x20" + bytes(32))
    assert pair.client.error is not None
    assert world.meet().client.info.resumed is (ends == "truncated")


@versions
def test_keys_differ_and_agree(pki: Pki, version: str) -> None:
    world, lines = World(pki, version), list[str]()
    world.client = replace(world.client, keylog=lines.append)
    exported = set()
    for _ in range(3):
        pair = world.meet()
        key = pair.client.connection.export_keying_material("EXPERIMENTAL", b"", 32)
        assert key == pair.server.connection.export_keying_material("EXPERIMENTAL", b"", 32)
        exported.add(key)
        if version == "TLSv1.2":
            unique = pair.client.connection.channel_binding("tls-unique")
            assert unique == pair.server.connection.channel_binding("tls-unique")
    assert len(exported) == 3
    labels = [line.split()[0] for line in lines]
    assert len(labels) == (3 if version == "TLSv1.2" else 15)


@versions
def test_bindings_of_a_session_that_goes_on(pki: Pki, version: str) -> None:
    world = World(pki, version)
    first, second = world.meet(), world.meet()
    ends = second.client.connection, second.server.connection
    assert len({end.channel_binding("tls-exporter") for end in ends}) == 1
    end_point = first.client.connection.channel_binding("tls-server-end-point")
    assert ends[0].channel_binding("tls-server-end-point") == end_point
    with pytest.raises(ConfigurationError, match="tls-exporter"):
        ends[1].channel_binding("tls-server-end-point")


def test_a_ticket_is_used_once(pki: Pki) -> None:
    world = World(pki, tickets=1)
    world.meet()
    assert len(world.store) == 1
    world.meet()
    assert len(world.store) == 1  # The old one is gone, a new one came.
    assert not World(pki, tickets=0).resumes()


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_so_many_tickets(pki: Pki, count: int) -> None:
    world = World(pki, tickets=count)
    world.meet()
    assert len(world.store) == count


def test_more_on_demand(pki: Pki) -> None:
    world = World(pki)
    pair = world.meet()
    assert isinstance(pair.server.connection, ServerConnection)
    assert pair.server.connection.send_tickets(3) == 3
    pair.run()
    assert len(world.store) == 5
    # A client without a store does not say that it could use one.
    plain = Pair(ClientConfig(trust=pki.trust), world.server).run()
    assert isinstance(plain.server.connection, ServerConnection)
    assert plain.server.connection.send_tickets(3) == 0


def test_after_a_hello_retry(pki: Pki) -> None:
    world = World(pki, groups=["secp384r1"])
    first, second = world.meet(), world.meet()
    assert first.client.info.hello_retry
    assert second.client.info.hello_retry
    assert second.client.info.resumed


def test_another_suite_of_the_same_hash(pki: Pki) -> None:
    suite = "TLS_CHACHA20_POLY1305_SHA256"
    world = World(pki)
    world.meet()
    pair = world.meet(server={"cipher_suites": [suite], "ticket_keys": world.server.ticket_keys})
    assert pair.client.info.resumed
    assert pair.client.info.cipher_suite == suite


# What must not be resumed


@versions
@pytest.mark.parametrize(
    "changes",
    [
        {"server": {"session_context": b"another"}},
        {"server": {"alpn": ["h2"]}, "client": {"alpn": ["h2"]}},
        {"server": {"ticket_keys": TicketKeys()}},
        {"server": {"tickets": 0, "ticket_keys": None}},
        {"name": "other.example"},
        {"client": {"verify_peer": False, "trust": None}},
        {"client": {"alpn": ["h2"]}},
    ],
    ids=lambda changes: str(list(changes.values()))[:30],
)
def test_other_circumstances(pki: Pki, version: str, changes: dict[str, Any]) -> None:
    assert not World(pki, version).resumes(**changes)


@versions
def test_the_same_circumstances(pki: Pki, version: str) -> None:
    """The matrix above is about its changes and nothing else."""
    world = World(pki, version)
    assert world.resumes(server={"groups": ["secp256r1"]}, client={"grease": False})


def test_another_hash(pki: Pki) -> None:
    world = World(pki)
    assert not world.resumes(server={"cipher_suites": ["TLS_AES_256_GCM_SHA384"]})


@pytest.mark.parametrize(("first", "second"), [VERSIONS, VERSIONS[::-1]])
def test_another_version(pki: Pki, first: str, second: str) -> None:
    world = World(pki)
    world.client = replace(world.client, versions=["TLSv1.2", "TLSv1.3"])
    assert not world.meet(server={"versions": [first]}).client.info.resumed
    assert not world.meet(server={"versions": [second]}).client.info.resumed


@versions
def test_another_trust_store(pki: Pki, version: str) -> None:
    other = pki.trust.with_added(Pki().trust)
    assert not World(pki, version).resumes(client={"trust": other})


@versions
def test_ports_are_kept_apart(pki: Pki, version: str) -> None:
    world = World(pki, version)
    world.meet()
    hellos = [
        ClientConnection(world.client, server_name="localhost", port=port)
        for port in (None, 8443, 9443)
    ]
    offered = [len(bytes(each.data_to_send())) for each in hellos]
    assert offered[0] > offered[1] == offered[2]


@versions
def test_a_connection_with_a_store_of_its_own(pki: Pki, version: str) -> None:
    world, own = World(pki, version), SessionStore()

    def hello(store: SessionStore | None) -> int:
        connection = ClientConnection(world.client, server_name="localhost", sessions=store)
        return len(bytes(connection.data_to_send()))

    world.meet()
    assert hello(own) < hello(None)  # It has nothing, and the config's has a session.
    with pytest.raises(ConfigurationError, match="config with sessions"):
        ClientConnection(replace(world.client, sessions=None), server_name="x", sessions=own)
    with pytest.raises(ConfigurationError, match="sessions"):
        ClientConnection(world.client, server_name="localhost", sessions=SessionStore)  # type: ignore[arg-type]


@versions
def test_a_session_ends(pki: Pki, version: str) -> None:
    world = World(pki, version, ticket_lifetime=100)
    now = datetime.now(UTC)
    world.meet()
    later = now + timedelta(seconds=101)
    for side in ("client", "server"):
        changes: dict[str, Any] = {side: {"clock": lambda: later}}
        if side == "server":
            changes["server"]["ticket_keys"] = world.server.ticket_keys
        assert not world.meet(**changes).client.info.resumed
        world.meet()


@versions
def test_a_proof_of_identity_does_not_last_for_ever(pki: Pki, version: str) -> None:
    """Each visit brings new tickets, but after seven days both sides want a full handshake."""
    world = World(pki, version, ticket_lifetime=MAX_LIFETIME)
    beginning = datetime.now(UTC)
    for days, resumed in ((0, False), (3, True), (6, True), (6.9, True), (7.1, False)):
        now = beginning + timedelta(days=days)
        clocks: dict[str, Any] = {
            side: {"clock": lambda now=now: now} for side in ("client", "server")
        }
        assert world.meet(**clocks).client.info.resumed is resumed, days


@versions
@pytest.mark.parametrize("side", ["client", "server"])
def test_each_side_sees_to_that_itself(pki: Pki, version: str, side: str) -> None:
    world = World(pki, version, ticket_lifetime=MAX_LIFETIME)
    beginning = datetime.now(UTC)
    later = beginning + timedelta(days=7, seconds=1)
    recent = beginning + timedelta(days=3)
    world.meet()
    world.meet(client={"clock": lambda: recent}, server={"clock": lambda: recent})
    other = "server" if side == "client" else "client"
    changes: dict[str, Any] = {side: {"clock": lambda: later}, other: {"clock": lambda: recent}}
    assert not world.meet(**changes).client.info.resumed


@versions
def test_a_server_that_is_no_longer_trusted(pki: Pki, version: str) -> None:
    """Its certificate is judged again: a full handshake, which then fails for what it is."""
    world = World(pki, version)
    world.meet()
    policy = CertificatePolicy(pins=["A" * 43 + "="])
    pair = Pair(replace(world.client, policy=policy), world.server).run()
    assert isinstance(pair.client.error, ProtocolError)
    assert pair.client.error.fault is Fault.PIN_MISMATCH
    seen = {event.raw[0] for event in pair.client.trace.events if isinstance(event, MessageSeen)}
    assert seen & {HandshakeType.CERTIFICATE, HandshakeType.COMPRESSED_CERTIFICATE}


@versions
def test_the_last_word_is_asked_again(pki: Pki, version: str) -> None:
    asked: list[object] = []

    def confirm(question: Any) -> bool:
        asked.append(question.peer.path_der)
        return True

    world = World(pki, version)
    world.client = replace(world.client, confirm_peer=confirm)
    assert world.resumes()
    assert len(asked) == 2
    assert asked[0] == asked[1]


# Client certificates


@versions
def test_a_client_is_known_again(pki: Pki, version: str) -> None:
    world = World(pki, version, client_auth=ClientAuth.REQUIRED, trust=pki.trust)
    credentials = pki.client("somebody")
    world.client = replace(world.client, credentials=credentials)
    first, second = world.meet(), world.meet()
    assert second.client.info.resumed
    for pair in (first, second):
        assert pair.server.info.peer_verified
        assert pair.server.info.peer_chain_der == credentials.chain_der
        assert pair.client.info.local_chain_der == credentials.chain_der


@versions
def test_a_client_that_is_no_longer_trusted(pki: Pki, version: str) -> None:
    world = World(pki, version, client_auth=ClientAuth.REQUIRED, trust=pki.trust)
    credentials = pki.client("somebody")
    world.client = replace(world.client, credentials=credentials)
    world.meet()
    policy = CertificatePolicy(pins=["A" * 43 + "="])
    server = replace(world.server, policy=policy, ticket_keys=world.server.ticket_keys)
    pair = Pair(world.client, server).run()
    # Not resumed, but asked for its certificate, and refused for what it is.
    assert isinstance(pair.server.error, ProtocolError)
    assert pair.server.error.fault is Fault.PIN_MISMATCH


@versions
def test_other_credentials(pki: Pki, version: str) -> None:
    world = World(pki, version, client_auth=ClientAuth.REQUIRED, trust=pki.trust)
    world.client = replace(world.client, credentials=pki.client("somebody"))
    assert not world.resumes(client={"credentials": pki.client("else", key_type="ecdsa-p384")})


def test_another_callback_in_the_place_of_one_that_is_gone(pki: Pki) -> None:
    """Whose credentials a callback chooses cannot be told by where it is in memory."""
    world = World(pki, client_auth=ClientAuth.REQUIRED, trust=pki.trust)
    seen: list[object] = []
    for number in range(20):
        credentials = pki.client(f"client {number}")
        # With the config goes its callback, and the next one gets the same address.
        pair = world.meet(client={"choose_credentials": lambda _, mine=credentials: mine})
        seen.append(pair.client.info.resumed)
        assert pair.server.info.peer_chain_der == credentials.chain_der
        del pair
    assert not any(seen)


def test_the_same_callback_is_known_again(pki: Pki) -> None:
    mine = pki.client("somebody")

    class Wallet:
        def choose(self, _: object) -> object:
            return mine

    class Unhashable(Wallet):
        __hash__ = None  # type: ignore[assignment]
        __call__ = Wallet.choose

    wallet = Wallet()
    for callback, resumed in ((wallet.choose, True), (Unhashable(), False)):
        world = World(pki, client_auth=ClientAuth.REQUIRED, trust=pki.trust)
        world.client = replace(world.client, choose_credentials=callback)
        assert world.resumes() is resumed


@versions
def test_who_was_not_asked_is_asked(pki: Pki, version: str) -> None:
    world = World(pki, version)
    world.client = replace(world.client, credentials=pki.client("somebody"))
    asks = {"client_auth": ClientAuth.REQUIRED, "trust": pki.trust}
    pair_asks = {**asks, "ticket_keys": world.server.ticket_keys}
    assert not world.resumes(server=pair_asks)


@versions
def test_a_verdict_on_another_client(pki: Pki, version: str) -> None:
    """The callback judges again, and must judge who it was asked about."""
    judged: list[tuple[bytes, ...]] = []
    stranger = pki.client("stranger").chain_der

    def verify(question: Any) -> VerifiedPeer:
        judged.append(question.chain_der)
        return vouch_for(question.chain_der if len(judged) == 1 else stranger)

    world = World(pki, version, client_auth=ClientAuth.REQUIRED, verify=verify)
    world.client = replace(world.client, credentials=pki.client("somebody"))
    world.meet()
    pair = Pair(world.client, world.server).run()
    assert len(judged) == 2
    assert isinstance(pair.server.error, ProtocolError)
    assert pair.server.error.fault is Fault.CALLBACK_FAILED


# Stores


class Failing:
    def __init__(self, method: str) -> None:
        self._method = method

    def put(self, *_: object) -> None:
        if self._method == "put":
            raise OSError("full")

    def take(self, *_: object) -> None:
        if self._method == "take":
            raise OSError("gone")

    def discard(self, *_: object) -> None:
        pass


@versions
def test_a_store_that_fails(pki: Pki, version: str) -> None:
    world = World(pki, version)
    with pytest.raises(ProtocolError) as caught:
        Pair(replace(world.client, sessions=Failing("take")), world.server)
    assert caught.value.fault is Fault.CALLBACK_FAILED
    pair = Pair(replace(world.client, sessions=Failing("put")), world.server).run()
    assert isinstance(pair.client.error, ProtocolError)
    assert pair.client.error.fault is Fault.CALLBACK_FAILED


@versions
def test_ticket_keys_that_fail(pki: Pki, version: str) -> None:
    class Broken:
        def keys(self) -> list[object]:
            raise OSError("gone")

    world = World(pki, version, ticket_keys=Broken())
    pair = Pair(world.client, world.server).run()
    assert isinstance(pair.server.error, ProtocolError)
    assert pair.server.error.fault is Fault.CALLBACK_FAILED


class Held:
    """Ticket keys of an application, which it never takes back."""

    def __init__(self, *keys: TicketKey) -> None:
        self.held = keys

    def keys(self) -> tuple[TicketKey, ...]:
        return self.held


def key_of(number: int, seals_from: float, opens_until: float) -> TicketKey:
    """Return a key for the time between two numbers of seconds from now."""
    now = datetime.now(UTC).timestamp()
    return TicketKey(b"key %4d" % number, b"k" * 32, now + seals_from, now + opens_until)


def later(seconds: float) -> dict[str, Any]:
    return {"clock": lambda: datetime.now(UTC) + timedelta(seconds=seconds)}


@versions
def test_a_key_whose_time_is_over_opens_nothing(pki: Pki, version: str) -> None:
    """Whoever holds its tickets, or finds the key, has no use of either from then on.

    A ticket ends with its key by itself, so this one is from a server that gave the key more time.
    """
    world = World(pki, version, ticket_keys=Held(key_of(1, -60, 1000)))
    keys = Held(key_of(1, -60, 60))
    assert world.resumes(server={"ticket_keys": keys, **later(50)})
    assert not world.resumes(server={"ticket_keys": keys, **later(70)})


@versions
def test_a_key_whose_time_is_over_seals_nothing(pki: Pki, version: str) -> None:
    world = World(pki, version, ticket_keys=Held(key_of(1, -60, -1)), session_memory=0)
    world.meet()
    assert len(world.store) == 0


@versions
@pytest.mark.parametrize(
    ("make_keys", "longest"),
    [
        (lambda: TicketKeys(lifetime=60), 60),
        (lambda: TicketKeys(lifetime=0.5), 1),
        (lambda: Held(key_of(1, -60, 100)), 100),
    ],
    ids=["TicketKeys", "less than a second", "a source"],
)
def test_a_ticket_lives_no_longer_than_its_key(
    pki: Pki, version: str, make_keys: Callable[[], Any], longest: int
) -> None:
    """A client would keep it for days, and its early data would be lost each time."""
    world = World(pki, version, ticket_keys=make_keys(), ticket_lifetime=MAX_LIFETIME)
    world.meet()
    lifetimes = {each.lifetime for held in world.store._sessions.values() for each in held}
    assert lifetimes
    assert all(longest - 40 <= lifetime <= longest for lifetime in lifetimes)


@versions
def test_a_key_seals_from_its_time_on_and_opens_before(pki: Pki, version: str) -> None:
    """The clock of the server of a fleet that sealed may be ahead."""
    world = World(pki, version, ticket_keys=Held(key_of(1, 30, 120)), session_memory=0)
    world.meet()
    assert len(world.store) == 0
    world.meet(server=later(31))
    assert len(world.store) > 0
    assert world.meet().client.info.resumed


@versions
def test_the_first_key_whose_time_has_come_seals(pki: Pki, version: str) -> None:
    old, new = key_of(1, -60, 60), key_of(2, 30, 120)
    world = World(pki, version, ticket_keys=Held(new, old))
    world.meet()
    assert world.meet(server={"ticket_keys": Held(old)}).client.info.resumed
    world.meet(server=later(31))
    assert world.meet(server={"ticket_keys": Held(new)}).client.info.resumed


@versions
def test_no_keys_no_tickets(pki: Pki, version: str) -> None:
    class Away:
        def keys(self) -> list[object]:
            return []

    world = World(pki, version, ticket_keys=Away())
    assert not world.resumes()
    assert len(world.store) == 0
