"""Recorded first flights: who takes them again, and who is told of a client that is not there.

The attacker has no key. It sends what it recorded, as often and to whichever server it likes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.end_to_end.pair import Pair
from tests.pki import Pki

from handclasp import (
    DEFER,
    ClientAuth,
    ClientConfig,
    ClientConnection,
    ConfigurationError,
    EarlyDataReceived,
    PreSharedKey,
    QuestionAsked,
    ServerConfig,
    ServerConnection,
    SessionStore,
    TicketKeys,
    TLSError,
)
from handclasp.certificates.verify import accept_unverified, vouch_for
from handclasp.iana import HandshakeType
from handclasp.keys.epoch import Epoch
from handclasp.questions import ConfirmPeer, FindPsk, VerifyPeer
from handclasp.record.layer import RecordLayer
from handclasp.sessions.replay import ReplayFilter
from handclasp.sessions.ticket_keys import TicketKey, new_key

ORDER = b"POST /pay HTTP/1.1\r\n\r\n"
VERSIONS = ["TLSv1.3", "TLSv1.2"]
versions = pytest.mark.parametrize("version", VERSIONS)


def client_of(pki: Pki, **settings: Any) -> ClientConfig:
    return ClientConfig(trust=pki.trust, sessions=SessionStore(), allow_early_data=True, **settings)


def server_of(pki: Pki, **settings: Any) -> ServerConfig:
    return ServerConfig(credentials=pki.server("localhost"), max_early_data=1000, **settings)


def meet(client: ClientConfig, server: ServerConfig) -> None:
    """A first handshake, which leaves the client with tickets."""
    assert Pair(client, server).run().established


def recorded(client: ClientConfig, words: bytes = ORDER) -> bytes:
    """The first flight of a client that comes back, as whoever listens has it."""
    connection = ClientConnection(client, server_name="localhost")
    if words:
        assert connection.early_data_limit
        connection.send_early_data(words)
    return bytes(connection.data_to_send())


def taken(server: ServerConfig, flight: bytes) -> bytes:
    """The early data that a new connection of this config takes from the flight."""
    events = ServerConnection(server).receive_data(flight)
    return b"".join([event.data for event in events if isinstance(event, EarlyDataReceived)])


# One memory for all who can open the ticket


def with_other_credentials(pki: Pki, first: ServerConfig) -> ServerConfig:
    return server_of(pki, ticket_keys=first.ticket_keys)


def a_copy(_: Pki, first: ServerConfig) -> ServerConfig:
    return replace(first, prefer_client_order=True)


def a_copy_without_its_guard(_: Pki, first: ServerConfig) -> ServerConfig:
    return replace(first, replay_guard=None)


def with_a_filter_of_its_own(pki: Pki, first: ServerConfig) -> ServerConfig:
    return server_of(pki, ticket_keys=first.ticket_keys, replay_guard=ReplayFilter())


def another_host(pki: Pki, first: ServerConfig) -> ServerConfig:
    credentials = pki.server("localhost", "other.example")
    return replace(first, credentials=credentials, strict_server_name=True)


class Guard:
    """A guard of the application's own, of which the library knows nothing."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()

    def is_first(self, token: bytes, _: float) -> bool:
        is_first = token not in self.seen
        self.seen.add(token)
        return is_first


def with_a_guard_of_its_own(pki: Pki, first: ServerConfig) -> ServerConfig:
    return server_of(pki, ticket_keys=first.ticket_keys, replay_guard=Guard())


def a_copy_with_a_guard_of_its_own(_: Pki, first: ServerConfig) -> ServerConfig:
    return replace(first, replay_guard=Guard())


OTHERS = [
    with_other_credentials,
    a_copy,
    a_copy_without_its_guard,
    with_a_filter_of_its_own,
    another_host,
    with_a_guard_of_its_own,
    a_copy_with_a_guard_of_its_own,
]
others = pytest.mark.parametrize("other", OTHERS, ids=lambda other: other.__name__)


@others
@pytest.mark.parametrize("first_to_take", [0, 1])
@pytest.mark.parametrize("guard", [None, Guard], ids=["default", "guard of its own"])
def test_configs_with_the_same_keys_take_it_once(
    pki: Pki,
    other: Callable[[Pki, ServerConfig], ServerConfig],
    first_to_take: int,
    guard: type[Guard] | None,
) -> None:
    """All of them are there before the ticket is, so none knows by its age that it is too old."""
    own = guard() if guard is not None else None
    first = server_of(pki, ticket_keys=TicketKeys(), replay_guard=own)
    configs = [first, other(pki, first)]
    client = client_of(pki)
    meet(client, first)
    flight = recorded(client)
    order = configs[first_to_take:] + configs[:first_to_take]
    assert [taken(config, flight) for config in order * 2] == [ORDER, b"", b"", b""]


def test_two_filters_that_do_not_know_of_each_other(pki: Pki) -> None:
    """Each was given by name, and both configs are asked: the keys' own memory is, as well."""
    keys = TicketKeys()
    configs = [server_of(pki, ticket_keys=keys, replay_guard=ReplayFilter()) for _ in range(3)]
    client = client_of(pki)
    meet(client, configs[0])
    flight = recorded(client)
    assert [taken(config, flight) for config in configs] == [ORDER, b"", b""]


@pytest.mark.parametrize("own", [False, True], ids=["keys of the config", "keys by name"])
def test_a_clock_that_is_set_back_takes_nothing_again(pki: Pki, own: bool) -> None:
    """As by NTP: ahead by half a minute, in which somebody else sends early data, and back."""
    ahead = [0.0]

    def clock() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=ahead[0])

    keys = TicketKeys(clock=lambda: clock().timestamp()) if own else None
    server = server_of(pki, clock=clock, ticket_keys=keys)
    client, other = [client_of(pki, clock=clock) for _ in range(2)]
    meet(client, server)
    flight = recorded(client)
    assert [taken(server, flight) for _ in range(2)] == [ORDER, b""]
    ahead[0] = 31.0
    meet(other, server)
    assert taken(server, recorded(other)) == ORDER
    assert taken(server, flight) == b""
    ahead[0] = 0.0
    assert taken(server, flight) == b""
    # The handshake goes on, and early data are taken again when that time is over.
    ahead[0] = 62.0
    meet(other, server)
    assert taken(server, recorded(other)) == ORDER


class Subclass(TicketKeys):
    """They might be another's, and are not."""


@pytest.mark.parametrize("keys", [TicketKeys, Subclass])
def test_a_guard_that_says_yes_to_everything(pki: Pki, keys: type[TicketKeys]) -> None:
    """What one process can know, it makes sure of itself."""

    class Careless:
        def is_first(self, *_: object) -> bool:
            return True

    shared = keys()
    configs = [server_of(pki, ticket_keys=shared, replay_guard=Careless()) for _ in range(2)]
    client = client_of(pki)
    meet(client, configs[0])
    flight = recorded(client)
    assert [taken(config, flight) for config in configs * 2] == [ORDER, b"", b"", b""]


class Source:
    """Keys that another process may have as well, or that are those of `TicketKeys`."""

    def __init__(self, keys: TicketKeys | None = None) -> None:
        self._inner = keys
        self._keys = [new_key(0, 2**36)]

    def keys(self) -> Sequence[TicketKey]:
        return self._inner.keys() if self._inner is not None else self._keys


class FromAFile(TicketKeys):
    """The keys are another's, whatever class this is."""

    def keys(self) -> Sequence[TicketKey]:
        return [TicketKey(b"the name", bytes(range(32)), 0, 2**36)]


@pytest.mark.parametrize(
    "source",
    [Source(), Source(TicketKeys()), FromAFile()],
    ids=["own keys", "wrapped", "subclass"],
)
@pytest.mark.parametrize("guard", [None, ReplayFilter()], ids=["none", "of this process"])
def test_keys_from_elsewhere_need_a_guard_that_is_as_wide(
    pki: Pki, source: Any, guard: ReplayFilter | None
) -> None:
    with pytest.raises(ConfigurationError, match="replay_guard that all of them use"):
        server_of(pki, ticket_keys=source, replay_guard=guard)


def test_a_copy_that_gets_keys_from_elsewhere_does_not_keep_the_guard(pki: Pki) -> None:
    """Nobody chose it: it came along with the keys of before."""
    first = server_of(pki)
    with pytest.raises(ConfigurationError, match="replay_guard that all of them use"):
        replace(first, ticket_keys=Source())
    fresh = TicketKeys()
    again = replace(first, ticket_keys=fresh)
    client = client_of(pki)
    meet(client, again)
    flight = recorded(client)
    assert taken(again, flight) == ORDER
    assert taken(server_of(pki, ticket_keys=fresh), flight) == b""


def test_keys_of_a_fleet(pki: Pki) -> None:
    redis = pytest.importorskip("handclasp.redis")
    with redis.RedisTicketKeys("redis://127.0.0.1:1/0") as keys:
        for guard in (None, ReplayFilter(), server_of(pki).replay_guard):
            with pytest.raises(ConfigurationError, match="replay_guard that all of them use"):
                server_of(pki, ticket_keys=keys, replay_guard=guard)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("made_in", ["parent", "child"])
def test_forked_processes_take_none(pki: Pki, made_in: str) -> None:
    """Their siblings have the same keys, wherever the config was made."""
    keys = TicketKeys()
    parents = server_of(pki, ticket_keys=keys)
    client = client_of(pki)
    meet(client, parents)
    flight = recorded(client)
    status = []
    for _ in range(2):
        if (child := os.fork()) == 0:
            config = parents
            if made_in == "child":
                config = server_of(pki, ticket_keys=keys, replay_guard=ReplayFilter())
            os._exit(len(taken(config, flight)))
        status.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    assert status == [0, 0]
    assert taken(parents, flight) == ORDER


class OnDisk:
    """A guard that all processes share: who makes the file first is first."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def is_first(self, token: bytes, _: float) -> bool:
        try:
            (self._directory / token.hex()).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("made_in", ["parent", "child"])
@pytest.mark.parametrize("another", [None, "default", "its own"])
def test_forked_processes_take_it_once_by_a_guard_of_all(
    pki: Pki, tmp_path: Path, made_in: str, another: str | None
) -> None:
    """Where another config has another guard, nobody knows what that one took."""
    keys, guard = TicketKeys(), OnDisk(tmp_path)
    first = server_of(pki, ticket_keys=keys, replay_guard=guard)
    if another is not None:
        server_of(pki, ticket_keys=keys, replay_guard=Guard() if another == "its own" else None)
    client = client_of(pki)
    meet(client, first)
    flight = recorded(client)
    status = []
    for _ in range(2):
        if (child := os.fork()) == 0:
            config = first
            if made_in == "child":
                config = server_of(pki, ticket_keys=keys, replay_guard=guard)
            os._exit(len(taken(config, flight)))
        status.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    assert status == ([len(ORDER), 0] if another is None else [0, 0])


def test_an_external_key_brings_no_early_data(pki: Pki) -> None:
    """Nothing says how old such a flight is, so it is not even asked about."""

    class Guard:
        def is_first(self, *_: object) -> bool:
            pytest.fail("asked")

    key = PreSharedKey(b"a client", bytes(range(32)))
    server = ServerConfig(
        psks=[key], credentials=pki.server("localhost"), max_early_data=1000, replay_guard=Guard()
    )
    client = replace(client_of(pki), psks=[key])
    assert ClientConnection(client, server_name="localhost").early_data_limit == 0
    meet(client, server)
    assert ClientConnection(client, server_name="localhost").early_data_limit == 0


# Whom the application is told of


class Asked:
    """A callback that notes what it is asked, and answers as it is told."""

    def __init__(self, answer: Callable[[ConfirmPeer], Any] = lambda _: True) -> None:
        self._answer = answer
        self.questions: list[ConfirmPeer] = []

    def __call__(self, question: ConfirmPeer) -> Any:
        self.questions.append(question)
        return self._answer(question)

    @property
    def replayable(self) -> list[bool]:
        return [question.replayable for question in self.questions]


def certified(pki: Pki, asked: Asked, **server: Any) -> tuple[ClientConfig, ServerConfig]:
    """Alice has a certificate, and the server's application wants to hear of her."""
    settings = {"client_auth": ClientAuth.REQUIRED, "trust": pki.trust, "confirm_peer": asked}
    return client_of(pki, credentials=pki.client("alice")), server_of(pki, **settings, **server)


@versions
@pytest.mark.parametrize("words", [b"", ORDER], ids=["no early data", "early data"])
def test_a_recorded_hello_tells_nobody_that_alice_is_there(
    pki: Pki, version: str, words: bytes
) -> None:
    asked = Asked()
    client, server = certified(pki, asked)
    if version == "TLSv1.2":
        client = replace(client, versions=[version], allow_early_data=False)
        words = b""
    meet(client, server)
    assert asked.replayable == [False]
    flight = recorded(client, words)
    for _ in range(5):
        assert taken(server, flight) == b""
    assert len(asked.questions) == 1
    pair = Pair(client, server).run()
    assert pair.server.info.resumed
    assert pair.server.info.peer_chain_der == asked.questions[1].peer.chain_der
    assert asked.replayable == [False, False]


@versions
@pytest.mark.parametrize("resumed", [False, True])
def test_it_is_asked_after_the_clients_finished(
    pki: Pki, monkeypatch: pytest.MonkeyPatch, version: str, resumed: bool
) -> None:
    asked = Asked()
    client, server = certified(pki, asked)
    client = replace(client, versions=[version], allow_early_data=False)
    if resumed:
        meet(client, server)
    before = len(asked.questions)
    pair = Pair(client, server)
    hostile, send = pair.client.connection._records, RecordLayer.send

    def all_but_finished(records: RecordLayer, epoch: Epoch, message: bytes) -> None:
        if records is not hostile or message[0] != HandshakeType.FINISHED:
            send(records, epoch, message)

    monkeypatch.setattr(RecordLayer, "send", all_but_finished)
    pair.run()
    assert len(asked.questions) == before
    assert not pair.server.connection.established


@versions
@pytest.mark.parametrize("answer", [False, DEFER])
def test_what_it_says_counts_after_finished(pki: Pki, version: str, answer: Any) -> None:
    """For sessions, too; the client's data wait until the answer is there."""
    answers: list[Any] = [True, answer]
    asked = Asked(lambda _: answers.pop(0))
    client, server = certified(pki, asked)
    client = replace(client, versions=[version], allow_early_data=False)
    meet(client, server)
    pair = Pair(client, server).run()
    assert not pair.server.connection.established
    if answer is DEFER:
        if version == "TLSv1.3":
            pair.client.connection.send_data(b"data behind Finished")
            pair.run()
            assert pair.server.data == b""
        pair.server.answer(True)
        pair.run()
        assert pair.established
        assert pair.server.data == (b"data behind Finished" if version == "TLSv1.3" else b"")
    else:
        assert pair.server.error is not None
        assert pair.server.error.fault_name == "CERTIFICATE_REFUSED"


def test_early_data_of_a_client_that_is_to_be_confirmed_are_refused(pki: Pki) -> None:
    asked = Asked()
    client, server = certified(pki, asked)
    meet(client, server)
    pair = Pair(client, server)
    pair.client.connection.send_early_data(ORDER)  # type: ignore[union-attr]
    pair.run()
    assert pair.established
    assert pair.server.info.resumed
    assert pair.server.info.early_data_status == "rejected"
    assert not pair.server.saw(EarlyDataReceived)
    assert asked.replayable == [False, False]


def test_without_a_certificate_there_is_nobody_to_confirm(pki: Pki) -> None:
    asked = Asked()
    _, server = certified(pki, asked)
    server = replace(server, client_auth=ClientAuth.OPTIONAL)
    client = client_of(pki)
    meet(client, server)
    assert taken(server, recorded(client)) == ORDER
    assert asked.questions == []


def test_by_name_it_is_asked_before_early_data_and_told_what_is_not_known(pki: Pki) -> None:
    asked = Asked()
    client, server = certified(pki, asked, confirm_early_data=True)
    meet(client, server)
    pair = Pair(client, server)
    pair.client.connection.send_early_data(ORDER)  # type: ignore[union-attr]
    flight = pair.client.take()
    pair.server.receive(flight)
    assert asked.replayable == [False, True]
    assert pair.server.saw(EarlyDataReceived) == 1
    pair.run()
    assert pair.server.info.early_data_status == "accepted"
    assert asked.replayable == [False, True, False]
    # The guard comes first: about a flight that was taken before nobody is asked.
    for _ in range(5):
        assert taken(server, flight) == b""
    assert asked.replayable == [False, True, False]


def test_there_a_no_refuses_the_data_and_not_the_client(pki: Pki) -> None:
    asked = Asked(lambda question: not question.replayable)
    client, server = certified(pki, asked, confirm_early_data=True)
    meet(client, server)
    pair = Pair(client, server)
    pair.client.connection.send_early_data(ORDER)  # type: ignore[union-attr]
    pair.run()
    assert pair.established
    assert pair.server.info.early_data_status == "rejected"
    assert not pair.server.saw(EarlyDataReceived)
    assert asked.replayable == [False, True, False]


def test_no_early_data_before_the_answer(pki: Pki) -> None:
    asked = Asked(lambda question: DEFER if question.replayable else True)
    client, server = certified(pki, asked, confirm_early_data=True)
    meet(client, server)
    pair = Pair(client, server)
    pair.client.connection.send_early_data(ORDER)  # type: ignore[union-attr]
    pair.run()
    assert pair.server.saw(QuestionAsked) == 1
    assert not pair.server.saw(EarlyDataReceived)
    pair.server.answer(True)
    pair.run()
    assert pair.established
    assert pair.server.saw(EarlyDataReceived) == 1


@pytest.mark.parametrize("missing", ["max_early_data", "confirm_peer"])
def test_confirming_nothing_is_a_mistake(pki: Pki, missing: str) -> None:
    _, server = certified(pki, Asked(), confirm_early_data=True)
    nothing: dict[str, Any] = {missing: 0 if missing == "max_early_data" else None}
    with pytest.raises(ConfigurationError, match="confirm_early_data"):
        replace(server, **nothing)


def test_what_is_asked_before_the_proof(pki: Pki) -> None:
    """Certificates are judged, and keys are looked up, for whoever sends a recording.

    That is what these questions are for, and what their documentation says.
    """
    judged: list[VerifyPeer] = []

    def verify(question: VerifyPeer) -> Any:
        judged.append(question)
        return vouch_for(question.chain_der)

    client = replace(client_of(pki, credentials=pki.client("alice")), allow_early_data=False)
    server = server_of(pki, client_auth=ClientAuth.REQUIRED, verify=verify)
    meet(client, server)
    flight = recorded(client, b"")
    for _ in range(3):
        taken(server, flight)
    assert len(judged) == 4
    assert "recording" in (VerifyPeer.__doc__ or "")
    named: list[FindPsk] = []
    key = PreSharedKey(b"a client", bytes(range(32)))

    def find(question: FindPsk) -> PreSharedKey:
        named.append(question)
        return key

    finds = ServerConfig(find_psk=find)
    flight = bytes(ClientConnection(ClientConfig(psks=[key])).data_to_send())
    for _ in range(3):
        ServerConnection(finds).receive_data(flight)
    assert len(named) == 3
    assert "recorded" in (FindPsk.__doc__ or "")


# A client's own early data, and what it is asked about the server


def accept(question: VerifyPeer) -> Any:
    return accept_unverified(question.chain_der, question.certificate_type)


CALLBACKS: list[dict[str, Any]] = [
    {"verify": accept, "trust": None},
    {"confirm_peer": lambda _: True},
]
callbacks = pytest.mark.parametrize("callback", CALLBACKS, ids=lambda each: next(iter(each)))


@callbacks
def test_early_data_before_a_callback_has_a_say(pki: Pki, callback: dict[str, Any]) -> None:
    settings = {
        "trust": pki.trust,
        "sessions": SessionStore(),
        "allow_early_data": True,
        **callback,
    }
    with pytest.raises(ConfigurationError, match=f"before {next(iter(callback))} is asked"):
        ClientConfig(**settings)
    plain = client_of(pki)
    with pytest.raises(ConfigurationError, match="early_data_before_callbacks"):
        replace(plain, **callback)
    assert ClientConfig(**{**settings, "allow_early_data": False}).sessions is not None


@callbacks
def test_by_name_they_go_to_whom_it_accepted_before(pki: Pki, callback: dict[str, Any]) -> None:
    client = replace(client_of(pki), early_data_before_callbacks=True, **callback)
    server = server_of(pki)
    meet(client, server)
    assert taken(server, recorded(client)) == ORDER


@pytest.mark.parametrize(
    "settings",
    [{}, {"allow_early_data": True}, {"confirm_peer": lambda _: True}],
    ids=lambda s: str(len(s)),
)
def test_the_name_without_a_use(pki: Pki, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="early_data_before_callbacks needs"):
        ClientConfig(
            trust=pki.trust, sessions=SessionStore(), early_data_before_callbacks=True, **settings
        )


@callbacks
def test_a_server_that_the_callback_refuses_gets_no_data(
    pki: Pki, callback: dict[str, Any]
) -> None:
    """Where the session is resumed, what it says comes before the first byte of the application."""
    accepts = [True]

    def refusing(question: Any) -> Any:
        if not accepts[0]:
            raise LookupError("not any more")
        return next(iter(callback.values()))(question)

    name = next(iter(callback))
    client = replace(client_of(pki), allow_early_data=False, **{**callback, name: refusing})
    server = server_of(pki)
    meet(client, server)
    accepts[0] = False
    pair = Pair(client, server).run()
    assert isinstance(pair.client.error, TLSError)
    assert pair.client.error.fault_name == "CERTIFICATE_REFUSED"
    assert not pair.server.connection.established
