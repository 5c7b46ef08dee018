"""Early data between our own ends: taken, refused, given back, and never taken twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.end_to_end.pair import Pair
from tests.pki import Pki

from handclasp import (
    ClientConfig,
    ConfigurationError,
    EarlyDataReceived,
    EarlyDataRejected,
    HandshakeCompleted,
    PreSharedKey,
    ServerConfig,
    ServerConnection,
    SessionStore,
    StateError,
    TicketKeys,
)
from handclasp.sessions.replay import FRESHNESS, ReplayFilter
from handclasp.sessions.session import Session

WORDS = b"GET / HTTP/1.1\r\n\r\n"


class World:
    """A client and a server that have met, so that early data may be sent."""

    def __init__(self, pki: Pki, **server: Any) -> None:
        self.client = ClientConfig(trust=pki.trust, sessions=SessionStore(), allow_early_data=True)
        settings = {"credentials": pki.server("localhost"), "max_early_data": 1000, **server}
        self.server = ServerConfig(**settings)
        first = Pair(self.client, self.server).run()
        assert first.client.info.early_data_status == "none"
        assert first.client.connection.early_data_limit == 0  # type: ignore[union-attr]

    def again(
        self,
        *words: bytes,
        client: dict[str, Any] | None = None,
        server: dict[str, Any] | None = None,
    ) -> Pair:
        shared = {"ticket_keys": self.server.ticket_keys, "replay_guard": self.server.replay_guard}
        config = replace(self.server, **{**shared, **server}) if server else self.server
        pair = Pair(replace(self.client, **(client or {})), config)
        for each in words:
            pair.client.connection.send_early_data(each)  # type: ignore[union-attr]
        pair.run()
        assert pair.established, (pair.client.error, pair.server.error)
        assert pair.client.info.early_data_status == pair.server.info.early_data_status
        pair.say(pair.client, b"later")
        assert pair.server.data == b"later"
        return pair


def early(pair: Pair) -> bytes:
    return b"".join(e.data for e in pair.server.events if isinstance(e, EarlyDataReceived))


def given_back(pair: Pair) -> bytes:
    return b"".join(e.data for e in pair.client.events if isinstance(e, EarlyDataRejected))


@pytest.fixture
def world(pki: Pki) -> World:
    return World(pki)


def test_it_comes_first(world: World) -> None:
    pair = world.again(WORDS, b"more")
    assert pair.client.info.early_data_status == "accepted"
    assert pair.client.info.resumed
    assert early(pair) == WORDS + b"more"
    assert given_back(pair) == b""
    kinds = [type(event) for event in pair.server.events]
    assert kinds.index(EarlyDataReceived) < kinds.index(HandshakeCompleted)


def test_offered_and_not_used(world: World) -> None:
    pair = world.again()
    assert pair.client.info.early_data_status == "accepted"
    assert early(pair) == b""


def test_as_much_as_is_allowed(world: World) -> None:
    pair = Pair(world.client, world.server)
    client: Any = pair.client.connection
    assert client.early_data_limit == 1000
    client.send_early_data(bytes(600))
    assert client.early_data_limit == 400
    with pytest.raises(ConfigurationError, match="400"):
        client.send_early_data(bytes(401))
    client.send_early_data(bytes(400))
    pair.run()
    assert early(pair) == bytes(1000)
    assert client.early_data_limit == 0
    with pytest.raises(StateError, match="wait for the handshake"):
        client.send_early_data(b"x")


def test_nothing_without_a_session(pki: Pki) -> None:
    config = ClientConfig(trust=pki.trust, sessions=SessionStore(), allow_early_data=True)
    pair = Pair(config, ServerConfig(credentials=pki.server("localhost"), max_early_data=10))
    with pytest.raises(StateError, match="takes 0"):
        pair.client.connection.send_early_data(b"x")  # type: ignore[union-attr]


def test_not_without_the_setting(pki: Pki) -> None:
    """A wrong setting, and not a call at the wrong time: no later one would be right."""
    pair = Pair(ClientConfig(trust=pki.trust), ServerConfig(credentials=pki.server("localhost")))
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="allow_early_data=True") as raised:
            pair.client.connection.send_early_data(b"x")  # type: ignore[union-attr]
        assert not isinstance(raised.value, StateError)
        pair.run()


def test_off_unless_both_want_it(pki: Pki, world: World) -> None:
    pair = world.again(client={"allow_early_data": False})
    assert pair.client.info.early_data_status == "none"
    plain = World.__new__(World)
    plain.client = world.client
    plain.server = ServerConfig(credentials=pki.server("localhost"))
    Pair(replace(world.client, alpn=["x"]), plain.server).run()
    assert Pair(replace(world.client, alpn=["x"]), plain.server).run().client.info.resumed


class No:
    def is_first(self, *_: object) -> bool:
        return False


class Broken:
    def is_first(self, *_: object) -> bool:
        raise OSError("gone")


class Strange:
    """Anything but True is no: many a store says 1, or None, or another client's value."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    def is_first(self, *_: object) -> Any:
        return self._answer


@pytest.mark.parametrize(
    "server",
    [
        {"groups": ["secp384r1"]},
        {"cipher_suites": ["TLS_CHACHA20_POLY1305_SHA256"]},
        {"max_early_data": 0},
        {"max_early_data": 999},
        {"tickets": 0, "max_early_data": 0, "ticket_keys": None},
        {"replay_guard": No()},
        {"replay_guard": Broken()},
        {"replay_guard": Strange(None)},
        {"replay_guard": Strange(1)},
        {"replay_guard": Strange(b"yes")},
        {"session_context": b"another"},
        {"clock": lambda: datetime.now(UTC) - timedelta(seconds=FRESHNESS + 1)},
        {"clock": lambda: datetime.now(UTC) + timedelta(seconds=FRESHNESS + 1)},
    ],
    ids=lambda settings: str(next(iter(settings))),
)
def test_refused_and_given_back(world: World, server: dict[str, Any]) -> None:
    pair = world.again(WORDS, b"more", server=server)
    assert pair.client.info.early_data_status == "rejected"
    assert pair.client.info.early_data_refusal
    assert pair.server.info.early_data_refusal
    assert early(pair) == b""
    assert given_back(pair) == WORDS + b"more"
    kinds = [type(event) for event in pair.client.events]
    assert kinds.index(HandshakeCompleted) < kinds.index(EarlyDataRejected)


@pytest.mark.parametrize(
    ("server", "here", "there"),
    [
        ({"groups": ["secp384r1"]}, "HelloRetryRequest", "HelloRetryRequest"),
        ({"max_early_data": 0}, "max_early_data is 0", "resumed the session and took none"),
        ({"max_early_data": 999}, "allows 1000 bytes", "took none"),
        ({"replay_guard": No()}, "for 30 seconds after it has begun", "that has just begun takes"),
        ({"session_context": b"another"}, "not resumed", "did not resume"),
        (
            {"clock": lambda: datetime.now(UTC) + timedelta(seconds=FRESHNESS + 1)},
            "not as old as the client says",
            "took none",
        ),
    ],
    ids=lambda given: str(next(iter(given))) if isinstance(given, dict) else None,
)
def test_why_they_are_refused(world: World, server: dict[str, Any], here: str, there: str) -> None:
    pair = world.again(WORDS, server=server)
    assert here in pair.server.info.early_data_refusal
    assert there in pair.client.info.early_data_refusal


@pytest.mark.parametrize("same_keys", [False, True])
def test_why_they_are_refused_where_an_external_key_is_taken(pki: Pki, same_keys: bool) -> None:
    """No session is resumed then, and neither side may say that one was."""
    key, store = PreSharedKey(b"a client", bytes(range(32))), SessionStore()
    suites = ["TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256"]
    client = ClientConfig(
        trust=pki.trust, sessions=store, allow_early_data=True, psks=[key], cipher_suites=suites
    )
    first = ServerConfig(
        credentials=pki.server("localhost"), max_early_data=100, cipher_suites=suites[:1]
    )
    assert Pair(client, first).run().established
    second = replace(first, psks=[key], cipher_suites=suites[1:])
    if not same_keys:
        second = replace(second, ticket_keys=TicketKeys())
    pair = Pair(client, second)
    early_client: Any = pair.client.connection
    early_client.send_early_data(WORDS)
    pair.run()
    assert given_back(pair) == WORDS
    for end in (pair.client, pair.server):
        assert (end.info.resumed, end.info.psk_identity) == (False, key.identity)
        assert "first key" in end.info.early_data_refusal
        assert "resumed" not in end.info.early_data_refusal


def test_no_reason_where_nothing_was_refused(world: World) -> None:
    for words in ((WORDS,), ()):
        pair = world.again(*words)
        assert pair.client.info.early_data_refusal == pair.server.info.early_data_refusal == ""


def test_another_protocol(pki: Pki) -> None:
    world = World.__new__(World)
    world.client = ClientConfig(
        trust=pki.trust, sessions=SessionStore(), allow_early_data=True, alpn=["a", "b"]
    )
    world.server = ServerConfig(
        credentials=pki.server("localhost"), max_early_data=100, alpn=["a", "b"]
    )
    Pair(world.client, world.server).run()
    assert world.again(WORDS).client.info.alpn == "a"


class Mistaken(SessionStore):
    """Makes a client believe that its ticket is for another protocol than it is."""

    def put(self, key: str, session: Session) -> None:
        super().put("any", replace(session, alpn="b"))

    def take(self, key: str) -> Session | None:
        return super().take("any")


def test_another_protocol_than_before(pki: Pki) -> None:
    """RFC 8446 section 4.2.10: early data only for the protocol of the ticket."""
    store = Mistaken()
    server = ServerConfig(credentials=pki.server("localhost"), max_early_data=100, alpn=["a", "b"])
    first = ClientConfig(trust=pki.trust, sessions=store, allow_early_data=True, alpn=["a", "b"])
    assert Pair(first, server).run().client.info.alpn == "a"
    pair = Pair(replace(first, alpn=["b"]), server)
    pair.client.connection.send_early_data(WORDS)  # type: ignore[union-attr]
    pair.run()
    assert pair.server.info.resumed
    assert pair.server.info.alpn == "b"
    assert pair.server.info.early_data_status == "rejected"
    assert not pair.server.saw(EarlyDataReceived)


def test_an_awaited_guard(world: World) -> None:
    class Awaited:
        def is_first(self, *_: object) -> Any:
            async def answer() -> bool:
                return True

            return answer()

    server = replace(world.server, replay_guard=Awaited())
    pair = Pair(world.client, server)
    pair.client.connection.send_early_data(WORDS)  # type: ignore[union-attr]
    pair.run()
    pending = pair.server.question.pending
    assert pending is not None
    with pytest.raises(StopIteration) as done:
        pending.send(None)  # type: ignore[attr-defined]
    pair.server.answer(done.value.value)
    pair.run()
    assert early(pair) == WORDS


def test_a_captured_flight_is_not_taken_twice(world: World) -> None:
    pair = Pair(world.client, world.server)
    pair.client.connection.send_early_data(WORDS)  # type: ignore[union-attr]
    flight = pair.client.take()
    taken = []
    for _ in range(3):
        server = ServerConnection(world.server)
        events = server.receive_data(flight)
        taken.append([event.data for event in events if isinstance(event, EarlyDataReceived)])
    assert taken == [[WORDS], [], []]


def test_a_captured_flight_for_another_server_of_the_fleet(world: World, pki: Pki) -> None:
    pair = Pair(world.client, world.server)
    pair.client.connection.send_early_data(WORDS)  # type: ignore[union-attr]
    flight = pair.client.take()
    assert ServerConnection(world.server).receive_data(flight)
    shared = {"ticket_keys": world.server.ticket_keys, "max_early_data": 1000}
    credentials = pki.server("localhost")
    # With the same guard it is known; a guard that started later knows no older tickets.
    for guard in (world.server.replay_guard, ReplayFilter()):
        other = ServerConfig(credentials=credentials, replay_guard=guard, **shared)  # type: ignore[arg-type]
        assert ServerConnection(other).receive_data(flight) == []


def test_keys_of_a_fleet_need_a_guard_of_the_fleet(pki: Pki) -> None:
    """A memory in each process would take a first flight once in each of them."""

    class Shared:
        def keys(self) -> list[object]:
            return []

    settings: dict[str, Any] = {"credentials": pki.server(), "ticket_keys": Shared()}
    with pytest.raises(ConfigurationError, match="replay_guard"):
        ServerConfig(max_early_data=1, **settings)
    ServerConfig(max_early_data=1, replay_guard=No(), **settings)
    ServerConfig(**settings)


def test_settings_that_make_no_sense(pki: Pki) -> None:
    with pytest.raises(ConfigurationError, match="sessions"):
        ClientConfig(allow_early_data=True)
    with pytest.raises(ConfigurationError, match="tickets"):
        ServerConfig(credentials=pki.server(), max_early_data=1, tickets=0)


@pytest.mark.parametrize(
    ("client", "server", "why"),
    [
        ({"sessions": SessionStore()}, {}, "there is no session of this server to resume"),
        ({"cipher_suites": ["TLS_CHACHA20_POLY1305_SHA256"]}, {}, "cipher suite is not offered"),
        ({"alpn": ["h2"], "allow_early_data": False}, {}, ""),
        ({"versions": ["TLSv1.2"], "allow_early_data": False}, {}, ""),
        (
            {"sessions": SessionStore()},
            {"versions": ["TLSv1.2"], "max_early_data": 0},
            "no session",
        ),
    ],
)
def test_the_reason_where_nothing_was_offered(
    world: World, client: dict[str, Any], server: dict[str, Any], why: str
) -> None:
    pair = world.again(client=client, server=server)
    assert pair.client.info.early_data_status == "none"
    refusal = pair.client.info.early_data_refusal
    assert why in refusal
    assert bool(refusal) is bool(why)
    # A server does not know why a client offers none.
    if pair.server.info.version == "TLSv1.3":
        assert pair.server.info.early_data_refusal == "the client offered none"


@pytest.mark.parametrize(("tickets", "why"), [(0, "ticket does not allow any"), (1000, "")])
def test_the_reason_that_the_ticket_gives(pki: Pki, tickets: int, why: str) -> None:
    world = World(pki, max_early_data=tickets)
    info = world.again().client.info
    assert why in info.early_data_refusal
    assert bool(info.early_data_refusal) is bool(why)
