"""Clients that offer a session where it does not belong: what the server alone makes of it.

Our own stores never give a session away for another purpose, so this one does not look at keys.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.end_to_end.pair import Pair, split_records
from tests.pki import Pki

from handclasp import (
    ClientAuth,
    ClientConfig,
    ClientConnection,
    Fault,
    PreSharedKey,
    ProtocolError,
    ServerConfig,
    ServerConnection,
    Session,
    TicketKeys,
)
from handclasp.certificates.verify import vouch_for
from handclasp.handshake.offer import client_offer
from handclasp.handshake.tls13.psk import psk_of_external, with_psks
from handclasp.iana import ContentType, ExtensionType
from handclasp.keys.transcript import Transcript
from handclasp.wire.codecs import write_message
from handclasp.wire.messages import ClientHello, ServerHello, read_message
from handclasp.wire.records import write_plaintext

VERSIONS = ["TLSv1.3", "TLSv1.2"]
versions = pytest.mark.parametrize("version", VERSIONS)
SUITES = {
    "TLSv1.3": ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"),
    "TLSv1.2": (
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    ),
}


class Careless:
    """Keeps one session, and gives it away for whatever it is asked, as often as it is asked."""

    def __init__(self) -> None:
        self.session: Session | None = None

    def put(self, _: str, session: Session) -> None:
        self.session = session

    def take(self, _: str) -> Session | None:
        return self.session

    def discard(self, *_: object) -> None:
        pass


class World:
    def __init__(self, pki: Pki, version: str, **server: Any) -> None:
        self.store = Careless()
        self.client = ClientConfig(trust=pki.trust, sessions=self.store, versions=[version])
        settings: dict[str, Any] = {"credentials": pki.server("localhost", "other.example")}
        self.server = ServerConfig(**{**settings, **server})

    def meet(
        self,
        name: str = "localhost",
        *,
        client: dict[str, Any] | None = None,
        server: dict[str, Any] | None = None,
    ) -> bool:
        shared = {"ticket_keys": self.server.ticket_keys}
        config = replace(self.server, **{**shared, **server}) if server else self.server
        pair = Pair(replace(self.client, **(client or {})), config, name).run()
        assert pair.established, (pair.client.error, pair.server.error)
        assert pair.client.info.resumed is pair.server.info.resumed
        return pair.client.info.resumed


@versions
def test_the_store_hides_nothing(pki: Pki, version: str) -> None:
    """What is refused below is refused for what is said there."""
    world = World(pki, version)
    assert not world.meet()
    assert world.meet()
    assert world.meet(client={"alpn": ["h2"]}, server={"groups": ["secp256r1"]})


@versions
@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other.example"},
        {"server": {"session_context": b"another"}},
        {"server": {"alpn": ["h2"]}},
        {"server": {"ticket_keys": TicketKeys()}},
        {"server": {"tickets": 0}},
    ],
    ids=["name", "context", "alpn", "keys", "no tickets"],
)
def test_another_server(pki: Pki, version: str, changes: dict[str, Any]) -> None:
    world = World(pki, version)
    world.meet()
    kept = world.store.session
    assert not world.meet(**changes)
    world.store.session = kept
    assert world.meet()


@versions
@pytest.mark.parametrize("auth", [ClientAuth.OPTIONAL, ClientAuth.REQUIRED])
def test_a_server_that_asks_for_certificates(pki: Pki, version: str, auth: ClientAuth) -> None:
    world = World(pki, version)
    world.client = replace(world.client, credentials=pki.client("somebody"))
    world.meet()
    assert not world.meet(server={"client_auth": auth, "trust": pki.trust})


@versions
def test_a_server_that_no_longer_takes_clients_without_certificates(pki: Pki, version: str) -> None:
    world = World(pki, version, client_auth=ClientAuth.OPTIONAL, trust=pki.trust)
    world.meet()
    assert world.meet()
    required = replace(world.server, client_auth=ClientAuth.REQUIRED)
    pair = Pair(world.client, required).run()
    assert isinstance(pair.server.error, ProtocolError)
    assert pair.server.error.alert == (
        "certificate_required" if version == "TLSv1.3" else "handshake_failure"
    )


def test_a_ticket_is_no_way_around_a_key(pki: Pki) -> None:
    """Where there is no certificate, "there is no other way in" than a pre-shared key."""
    world = World(pki, "TLSv1.3")
    world.meet()
    key = PreSharedKey(b"a client", b"k" * 32)
    shared: dict[str, Any] = {"credentials": None, "ticket_keys": world.server.ticket_keys}
    ways: list[dict[str, Any]] = [{"psks": [key]}, {"find_psk": lambda _: None}]
    for way in ways:
        pair = Pair(world.client, replace(world.server, **shared, **way)).run()
        assert isinstance(pair.server.error, ProtocolError)
        assert pair.server.error.fault is Fault.UNKNOWN_PSK_IDENTITY
    assert world.meet()


def trusts_more(pki: Pki) -> dict[str, Any]:
    return {"client_auth": ClientAuth.REQUIRED, "trust": pki.trust.with_added(Pki().trust)}


def trusts_others(_: Pki) -> dict[str, Any]:
    return {"client_auth": ClientAuth.OPTIONAL, "trust": Pki().trust}


def asks_a_callback(_: Pki) -> dict[str, Any]:
    verify: Any = lambda question: vouch_for(question.chain_der)  # noqa: E731
    return {"client_auth": ClientAuth.REQUIRED, "trust": None, "verify": verify}


@versions
@pytest.mark.parametrize("change", [trusts_more, asks_a_callback])
def test_a_server_that_judges_in_another_way(
    pki: Pki, version: str, change: Callable[[Pki], dict[str, Any]]
) -> None:
    world = World(pki, version, client_auth=ClientAuth.REQUIRED, trust=pki.trust)
    world.client = replace(world.client, credentials=pki.client("somebody"))
    world.meet()
    assert world.meet()
    assert not world.meet(server=change(pki))


@versions
def test_a_server_whose_trust_changed(pki: Pki, version: str) -> None:
    """A client without a certificate is not judged again, and counts as new all the same."""
    world = World(pki, version, client_auth=ClientAuth.OPTIONAL, trust=pki.trust)
    world.meet()
    assert world.meet()
    assert not world.meet(server=trusts_others(pki))


@pytest.mark.parametrize(("first", "second"), [VERSIONS, VERSIONS[::-1]])
def test_a_ticket_of_another_version(pki: Pki, first: str, second: str) -> None:
    world = World(pki, first, versions=VERSIONS)
    world.meet()
    kept = world.store.session
    assert kept is not None
    for suite in SUITES[second]:
        disguised = replace(kept, version=second, cipher_suite=suite, session_id=b"")
        world.store.session = disguised
        assert not world.meet(client={"versions": [second]})


@pytest.mark.parametrize("side", ["client", "server"])
def test_a_suite_that_is_not_wanted_any_more(pki: Pki, side: str) -> None:
    """TLS 1.2 resumes with the very suite, and both sides must still allow it."""
    first, second = SUITES["TLSv1.2"]
    world = World(pki, "TLSv1.2", cipher_suites=[first, second])
    world.meet()
    assert world.store.session is not None
    assert world.store.session.cipher_suite == first
    if side == "client":
        world.store.session = replace(world.store.session, cipher_suite=second)
    change: dict[str, Any] = {side: {"cipher_suites": [second]}}
    assert not world.meet(**change)


# Without the extended master secret (RFC 7627 section 5.3)


def answer_without_extension(config: ClientConfig, session: Session | None, server: Any) -> bytes:
    hello = client_offer(config, "localhost", session).hello
    kept = dict(hello.extensions)
    del kept[ExtensionType.EXTENDED_MASTER_SECRET]
    connection = ServerConnection(server)
    raw = write_message(replace(hello, extensions=kept))
    connection.receive_data(write_plaintext(ContentType.HANDSHAKE, raw))
    return bytes(connection.data_to_send())


def first_message(answer: bytes) -> ServerHello:
    """What the server's answer begins with; more may stand in the same record."""
    _, content = split_records(answer)[0]
    hello = read_message(content[: 4 + int.from_bytes(content[1:4], "big")])
    assert isinstance(hello, ServerHello)
    return hello


def test_no_session_without_it(pki: Pki) -> None:
    world = World(pki, "TLSv1.2", require_extended_master_secret=False)
    for kind in (ExtensionType.SESSION_TICKET, None):
        config = world.client if kind else replace(world.client, sessions=None)
        answer = answer_without_extension(config, None, world.server)
        hello = first_message(answer)
        assert ExtensionType.SESSION_TICKET not in hello.extensions
        assert hello.legacy_session_id_echo == b""


def test_none_is_resumed_without_it(pki: Pki) -> None:
    world = World(pki, "TLSv1.2", require_extended_master_secret=False)
    world.meet()
    with pytest.raises(ProtocolError) as caught:
        answer_without_extension(world.client, world.store.session, world.server)
    assert caught.value.fault is Fault.EXTENDED_MASTER_SECRET_MISSING


# Early data under another key than the first, or for another purpose


def test_early_data_under_the_second_key(pki: Pki) -> None:
    """They are always under the first (RFC 8446 section 4.2.10), which is unknown here."""
    asked: list[object] = []

    class Guard:
        def is_first(self, token: bytes, _: float) -> bool:
            asked.append(token)
            return True

    world = World(pki, "TLSv1.3", max_early_data=100, replay_guard=Guard())
    world.client = replace(world.client, allow_early_data=True)
    world.meet()
    offer = client_offer(world.client, "localhost", world.store.session)
    assert offer.early_data
    unknown = psk_of_external(PreSharedKey(b"nobody knows me", b"k" * 32))
    for psks, count in (((unknown, *offer.psks), 0), (offer.psks, 1)):
        raw = write_message(with_psks(offer.hello, psks, Transcript()))
        connection = ServerConnection(world.server)
        connection.receive_data(write_plaintext(ContentType.HANDSHAKE, raw))
        hello = first_message(bytes(connection.data_to_send()))
        assert ExtensionType.PRE_SHARED_KEY in hello.extensions
        assert len(asked) == count


@pytest.mark.parametrize("alpn", [["h2"], ["h2", "http/1.1"]])
def test_early_data_for_another_protocol(pki: Pki, alpn: list[str]) -> None:
    """The ticket is of "http/1.1": what was meant for it must not be read as something else."""
    world = World(pki, "TLSv1.3", max_early_data=100, alpn=["h2", "http/1.1"])
    world.client = replace(world.client, allow_early_data=True, alpn=["http/1.1"])
    world.meet()
    assert world.store.session is not None
    world.store.session = replace(world.store.session, alpn=None)  # As if it did not know.
    pair = Pair(replace(world.client, alpn=alpn), world.server)
    pair.client.connection.send_early_data(b"GET /")  # type: ignore[union-attr]
    pair.run()
    assert pair.established
    assert pair.server.info.resumed
    assert pair.server.info.alpn == "h2"
    assert pair.server.info.early_data_status == pair.client.info.early_data_status == "rejected"


# Servers that accept early data where they must not (RFC 8446 section 4.2.10)


@pytest.fixture
def takes_all(monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(*_: object) -> str:
        return ""

    monkeypatch.setattr("handclasp.handshake.tls13.server.why_not_early_data", none)


def refused_by_client(client: ClientConfig, server: ServerConfig) -> None:
    pair = Pair(client, server)
    assert pair.client.connection.early_data_limit == 100  # type: ignore[union-attr]
    pair.run()
    assert isinstance(pair.client.error, ProtocolError)
    assert pair.client.error.fault is Fault.ILLEGAL_VALUE


def early_world(pki: Pki, **server: Any) -> World:
    world = World(pki, "TLSv1.3", max_early_data=100, **server)
    world.client = replace(world.client, allow_early_data=True)
    world.meet()
    return world


@pytest.mark.usefixtures("takes_all")
def test_accepted_for_another_suite(pki: Pki) -> None:
    world = early_world(pki)
    suites = ["TLS_CHACHA20_POLY1305_SHA256"]
    refused_by_client(world.client, replace(world.server, cipher_suites=suites))


@pytest.mark.usefixtures("takes_all")
def test_accepted_for_another_protocol(pki: Pki) -> None:
    world = World(pki, "TLSv1.3", max_early_data=100, alpn=["h2", "http/1.1"])
    world.client = replace(world.client, allow_early_data=True, alpn=["http/1.1"])
    world.meet()
    refused_by_client(replace(world.client, alpn=["h2", "http/1.1"]), world.server)


@pytest.mark.usefixtures("takes_all")
def test_accepted_under_the_second_key(pki: Pki) -> None:
    key = PreSharedKey(b"a client", b"k" * 32)
    world = early_world(pki)
    server = replace(world.server, ticket_keys=TicketKeys(), psks=[key])
    refused_by_client(replace(world.client, psks=[key]), server)


@pytest.mark.parametrize(
    "changes",
    [
        {"alpn": ["h2"]},
        {"cipher_suites": ["TLS_CHACHA20_POLY1305_SHA256"]},
        {"allow_early_data": False},
    ],
    ids=str,
)
def test_not_even_offered(pki: Pki, changes: dict[str, Any]) -> None:
    """The session goes with these, but what was early would be for something else."""
    world = World(pki, "TLSv1.3", max_early_data=100, alpn=["h2", "http/1.1"])
    world.client = replace(world.client, allow_early_data=True, alpn=["http/1.1"])
    world.meet()
    for each, limit in (({}, 100), (changes, 0)):
        config: Any = replace(world.client, **each)
        connection = ClientConnection(config, server_name="localhost")
        assert connection.early_data_limit == limit
        assert ExtensionType.PRE_SHARED_KEY in hello_of(connection).extensions


def hello_of(connection: ClientConnection) -> ClientHello:
    hello = read_message(split_records(bytes(connection.data_to_send()))[0][1])
    assert isinstance(hello, ClientHello)
    return hello
