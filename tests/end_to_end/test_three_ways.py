"""Every question of a handshake in each of three ways, on every path of both versions.

A hook of the application answers at once, by an awaitable, or later (`DEFER`). Whichever it does,
the handshake comes out the same. `PATHS` says who is asked what on which path; each question of it
is answered in each way, all others at once. The hooks that cannot answer later are in
`test_synchronous_hooks`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.end_to_end.pair import End, Pair
from tests.pki import Pki

from handclasp import (
    DEFER,
    ClientConfig,
    Credentials,
    EarlyDataReceived,
    EchConfigList,
    EchKey,
    Fault,
    PreSharedKey,
    Question,
    QuestionAsked,
    ServerConfig,
    SessionStore,
    VerifyPeer,
)
from handclasp.certificates.verify import verify_server_chain, vouch_for
from handclasp.crypto.suites import RSA_KEY_TRANSPORT_SUITES

WAYS = ("at once", "awaitable", "deferred")
WORDS = b"early"
KEY = PreSharedKey(b"a client", bytes(range(32)))

Asked = tuple[str, str]
"""A role, and the kind of question that it is asked."""

SERVER_IS_KNOWN = (("client", "VerifyPeer"), ("client", "ConfirmPeer"))
SERVER_CHOOSES = (("server", "ChooseConfig"), ("server", "ChooseCredentials"))
SERVER_SIGNS = (*SERVER_CHOOSES, ("server", "Sign"))
KEYS_ARE_FOUND = (("server", "FindEchKeys"),)
CLIENT_SIGNS = (
    ("client", "ChooseCredentials"),
    ("client", "Sign"),
    ("server", "VerifyPeer"),
    ("server", "ConfirmPeer"),
)
CLIENT_IS_KNOWN_AGAIN = (
    *SERVER_CHOOSES,
    ("server", "ReverifyPeer"),
    ("server", "ConfirmPeer"),
)

PATHS: dict[tuple[str, str], tuple[Asked, ...]] = {
    ("TLSv1.3", "full"): (*SERVER_IS_KNOWN, *SERVER_SIGNS),
    ("TLSv1.2", "full"): (*SERVER_IS_KNOWN, *SERVER_SIGNS),
    ("TLSv1.3", "client auth"): (*SERVER_IS_KNOWN, *SERVER_SIGNS, *CLIENT_SIGNS),
    ("TLSv1.2", "client auth"): (*SERVER_IS_KNOWN, *SERVER_SIGNS, *CLIENT_SIGNS),
    ("TLSv1.3", "client auth afterwards"): (*SERVER_IS_KNOWN, *SERVER_SIGNS, *CLIENT_SIGNS),
    ("TLSv1.3", "resumed"): (*SERVER_IS_KNOWN, *SERVER_CHOOSES),
    ("TLSv1.2", "resumed"): (*SERVER_IS_KNOWN, *SERVER_CHOOSES),
    ("TLSv1.3", "resumed, client auth"): (*SERVER_IS_KNOWN, *CLIENT_IS_KNOWN_AGAIN),
    ("TLSv1.2", "resumed, client auth"): (*SERVER_IS_KNOWN, *CLIENT_IS_KNOWN_AGAIN),
    ("TLSv1.3", "early data"): (
        *SERVER_IS_KNOWN,
        *CLIENT_IS_KNOWN_AGAIN,
        ("server", "CheckReplay"),
    ),
    ("TLSv1.3", "psk"): (*SERVER_CHOOSES, ("server", "FindPsk")),
    ("TLSv1.3", "retry"): (*SERVER_IS_KNOWN, *SERVER_SIGNS),
    ("TLSv1.3", "ech"): (*SERVER_IS_KNOWN, *KEYS_ARE_FOUND, *SERVER_SIGNS),
    ("TLSv1.3", "ech, retry"): (*SERVER_IS_KNOWN, *KEYS_ARE_FOUND, *SERVER_SIGNS),
    ("TLSv1.3", "resumed, ech"): (*SERVER_IS_KNOWN, *KEYS_ARE_FOUND, *SERVER_CHOOSES),
    ("TLSv1.3", "grease for ech"): (*SERVER_IS_KNOWN, *KEYS_ARE_FOUND, *SERVER_SIGNS),
    ("TLSv1.3", "psk, retry"): (*SERVER_CHOOSES, ("server", "FindPsk")),
    ("TLSv1.3", "resumed, client auth, retry"): (*SERVER_IS_KNOWN, *CLIENT_IS_KNOWN_AGAIN),
    ("TLSv1.2", "key transport"): (
        *SERVER_IS_KNOWN,
        *SERVER_CHOOSES,
        ("server", "Decrypt"),
    ),
}

CELLS = [
    pytest.param(version, path, asked, way, id=f"{version}-{path}-{'.'.join(asked)}-{way}")
    for (version, path), all_asked in PATHS.items()
    for asked in all_asked
    for way in WAYS
]


@dataclass
class Hooks:
    """The application of both ends: answers one question in the way of the test.

    Attributes:
        later: that question, as the role and the kind.
        failure: what is raised in place of the answer.
        promised: what is answered later, with the question if its hook was given it.
        asked: all that came, at once or later.
    """

    pki: Pki
    later: Asked | None = None
    way: str = "at once"
    failure: Exception | None = None
    promised: list[tuple[Question[Any] | None, object]] = field(default_factory=list)
    asked: set[Asked] = field(default_factory=set)

    def give(
        self, role: str, kind: str, value: object, question: Question[Any] | None = None
    ) -> object:
        self.asked.add((role, kind))
        if (role, kind) != self.later:
            return value
        if self.failure is not None:
            value = self.failure
        if self.way == "awaitable":
            return _awaited(value)
        if self.way == "at once":
            return _given(value)
        self.promised.append((question, value))
        return DEFER

    def verify(self, role: str) -> Callable[[VerifyPeer], object]:
        def verify(question: VerifyPeer) -> object:
            kind, chain, now = type(question).__name__, question.chain_der, self.pki.now
            if role == "client":
                verdict = verify_server_chain(chain, self.pki.trust, "localhost", now)
            else:
                verdict = vouch_for(chain)
            return self.give(role, kind, verdict, question)

        return verify

    def answer(self, role: str, value: object) -> Callable[[Question[Any]], object]:
        """A hook that is asked one kind of question, and has one answer."""

        def hook(question: Question[Any]) -> object:
            return self.give(role, type(question).__name__, value, question)

        return hook


def _nobody(_: object) -> None:
    """Refuse everybody."""


def _given(value: object) -> object:
    if isinstance(value, Exception):
        raise value
    return value


async def _awaited(value: object) -> object:
    return _given(value)


@dataclass
class Signer:
    """A key that is elsewhere."""

    hooks: Hooks
    role: str
    signer: Any

    @property
    def schemes(self) -> tuple[str, ...]:
        return tuple(self.signer.schemes)

    def sign(self, scheme: str, data: bytes) -> object:
        return self.hooks.give(self.role, "Sign", self.signer.sign(scheme, data))

    def decrypt(self, ciphertext: bytes) -> object:
        return self.hooks.give(self.role, "Decrypt", self.signer.decrypt(ciphertext))


@dataclass
class Guard:
    """A replay guard that has seen nothing yet."""

    hooks: Hooks

    def is_first(self, *_: object) -> object:
        return self.hooks.give("server", "CheckReplay", True)


@dataclass
class KeySource:
    """The keys for Encrypted Client Hello, which are elsewhere."""

    hooks: Hooks
    keys: tuple[EchKey, ...] = (EchKey.generate("localhost"),)

    def find_keys(self, *_: object) -> object:
        return self.hooks.give("server", "FindEchKeys", self.keys)


class World:
    """Two ends with hooks for everything, which meet on one path.

    Args:
        confirms: both ends have a `confirm_peer`; otherwise a `verify`, which excludes the other.
    """

    def __init__(self, pki: Pki, version: str, path: str, *, confirms: bool) -> None:
        self.hooks = Hooks(pki)
        self.path = path
        own = pki.server("localhost", key_type="rsa-2048" if path == "key transport" else "ed25519")
        chosen = self.hooks.answer("server", self._elsewhere("server", own))
        client: dict[str, Any] = {"versions": [version]}
        server: dict[str, Any] = {"choose_credentials": chosen}
        if path.startswith("psk"):
            client.update(psks=[KEY])
            server.update(find_psk=self.hooks.answer("server", KEY))
        else:
            client.update(self._decides("client", confirms), sessions=SessionStore())
        if self.shows:
            shown = self._elsewhere("client", pki.client())
            client.update(choose_credentials=self.hooks.answer("client", shown))
            server.update(self._decides("server", confirms), client_auth="required")
        if path == "client auth afterwards":
            client.update(post_handshake_auth=True)
            server.update(post_handshake_auth=True)
        if path == "early data":
            client.update(allow_early_data=True, early_data_before_callbacks=True)
            server.update(max_early_data=1000, confirm_early_data=confirms)
            server.update(replay_guard=Guard(self.hooks))
        if "retry" in path:
            server.update(groups=["secp256r1"])  # A group of which no share comes at once.
        if path == "key transport":
            transport = {
                "cipher_suites": RSA_KEY_TRANSPORT_SUITES,
                "allow_rsa_key_transport": True,
                "versions": [version],
            }
            client.update(transport)
            server.update(transport)
        self.client = ClientConfig(**client)
        source = KeySource(self.hooks)
        if self.encrypts:
            self.client = replace(self.client, ech=EchConfigList(source.keys[0].configs))
        self.server = self._by_the_hello(
            ServerConfig(**server), ech=source if path.endswith("ech") or self.encrypts else ()
        )

    def _by_the_hello(self, chosen: ServerConfig, **more: Any) -> ServerConfig:
        """A config that could not complete a handshake, and chooses the one that can."""
        choose = self.hooks.answer("server", chosen)
        return ServerConfig(choose_credentials=_nobody, choose_config=choose, tickets=0, **more)

    def _decides(self, role: str, confirms: bool) -> dict[str, Any]:
        if confirms:
            yes = self.hooks.answer(role, True)
            return {"trust": self.hooks.pki.trust, "confirm_peer": yes}
        return {"verify": self.hooks.verify(role)}

    def _elsewhere(self, role: str, credentials: Credentials) -> Credentials:
        signer: Any = Signer(self.hooks, role, credentials.signer)
        return Credentials.from_signer(credentials.chain_der, signer)

    @property
    def shows(self) -> bool:
        """Whether the client shows a certificate, now or when the session was made."""
        return "client auth" in self.path or self.path == "early data"

    @property
    def encrypts(self) -> bool:
        """Whether the client has a configuration for Encrypted Client Hello."""
        return "ech" in self.path and "grease" not in self.path

    @property
    def comes_back(self) -> bool:
        return self.path.startswith("resumed") or self.path == "early data"

    def meet(self) -> Pair:
        pair = self.try_to_meet()
        assert pair.established, (pair.client.error, pair.server.error)
        for sender, receiver in ((pair.client, pair.server), (pair.server, pair.client)):
            pair.say(sender, b"hello")
            assert receiver.data == b"hello"
        return pair

    def try_to_meet(self) -> Pair:
        pair = Pair(self.client, self.server, None if "psk" in self.path else "localhost")
        client: Any = pair.client.connection
        if client.early_data_limit:
            client.send_early_data(WORDS)
        self._run(pair)
        if self.path == "client auth afterwards" and pair.established:
            server: Any = pair.server.connection
            server.request_client_certificate()
            self._run(pair)
        return pair

    def _run(self, pair: Pair) -> None:
        while True:
            pair.run()
            ends = [end for end in (pair.client, pair.server) if end.connection.question]
            if not ends:
                return
            for end in ends:
                self._answer(end)

    def _answer(self, end: End) -> None:
        question: Any = end.connection.question
        assert question.answered_later
        if question.pending is not None:
            value = _result(question.pending)
        else:
            given, value = self.hooks.promised.pop()
            # Whoever was given a question answers that one, whatever it was asked for.
            question = given or question
        if isinstance(value, Exception):
            end.do(lambda: end.connection.refuse(question, value))
        else:
            end.do(lambda: end.connection.answer(question, value))


def _result(coroutine: Any) -> object:
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    except OSError as error:
        return error
    raise AssertionError("it waits for something")


def all_kinds(kind: type = Question) -> set[str]:
    below: list[type] = kind.__subclasses__()
    return {each.__name__ for each in below}.union(*[all_kinds(each) for each in below])


def test_every_question_is_in_the_table() -> None:
    assert {kind for asked in PATHS.values() for _, kind in asked} == all_kinds()


@pytest.mark.parametrize(("version", "path"), PATHS)
def test_each_path_asks_what_the_table_says(pki: Pki, version: str, path: str) -> None:
    asked: set[Asked] = set()
    for confirms in (False, True):
        world = World(pki, version, path, confirms=confirms)
        if world.comes_back:
            world.meet()
        world.hooks.asked.clear()
        world.meet()
        asked |= world.hooks.asked
    if world.comes_back and world.shows:
        # A client sees whether it would show the same before it offers the session.
        asked.remove(("client", "ChooseCredentials"))
    assert asked == set(PATHS[version, path])


@pytest.mark.parametrize(("version", "path", "asked", "way"), CELLS)
def test_the_same_in_three_ways(pki: Pki, version: str, path: str, asked: Asked, way: str) -> None:
    role, kind = asked
    world = World(pki, version, path, confirms=kind == "ConfirmPeer")
    if world.comes_back:
        world.meet()
    world.hooks.later, world.hooks.way = asked, way
    pair = world.meet()
    end = pair.client if role == "client" else pair.server
    came = [
        type(event.question).__name__ for event in end.events if isinstance(event, QuestionAsked)
    ]
    other = pair.server if role == "client" else pair.client
    assert other.saw(QuestionAsked) == 0
    if way == "at once":
        assert came == []
    else:
        assert came
        assert set(came) == {kind}
    for each in (pair.client, pair.server):
        assert each.info.version == version
        assert each.info.resumed is world.comes_back
        assert each.info.ech_accepted is world.encrypts
    assert pair.client.info.peer_verified is (not path.startswith("psk"))
    assert pair.server.info.peer_verified is world.shows
    early = [event.data for event in pair.server.events if isinstance(event, EarlyDataReceived)]
    assert early == ([WORDS] if path == "early data" else [])
    assert not world.hooks.promised


@pytest.mark.parametrize("way", WAYS[1:])
@pytest.mark.parametrize("version", ["TLSv1.3", "TLSv1.2"])
def test_a_client_that_says_later_what_it_shows_makes_a_full_handshake(
    pki: Pki, version: str, way: str
) -> None:
    """Its hello says who it is, so nobody could wait for the answer (docs/decisions/0016)."""
    world = World(pki, version, "resumed, client auth", confirms=False)
    world.meet()
    world.hooks.later, world.hooks.way = ("client", "ChooseCredentials"), way
    assert not world.meet().client.info.resumed


GOES_ON = {"ReverifyPeer": False, "CheckReplay": True}
"""What a failure does not end, and whether the session is resumed then."""


@pytest.mark.parametrize(
    ("version", "path", "asked"),
    [(*place, asked) for place, all_asked in PATHS.items() for asked in all_asked],
)
def test_a_failure_is_the_same_in_three_ways(
    pki: Pki, version: str, path: str, asked: Asked
) -> None:
    outcomes: list[object] = []
    for way in WAYS:
        world = World(pki, version, path, confirms=asked[1] == "ConfirmPeer")
        if world.comes_back:
            world.meet()
        hooks = world.hooks
        hooks.later, hooks.way, hooks.failure = asked, way, OSError("gone")
        pair = world.try_to_meet()
        if asked[1] in GOES_ON:
            assert pair.established, (pair.client.error, pair.server.error)
            assert pair.server.info.resumed is GOES_ON[asked[1]]
            assert pair.server.saw(EarlyDataReceived) == 0
        outcomes.append([str(end.error) for end in (pair.client, pair.server)])
    assert outcomes[0] == outcomes[1] == outcomes[2]
    if asked[1] not in GOES_ON:
        for end in (pair.client, pair.server):
            assert end.error is not None
            assert getattr(end.error, "fault", None) is not Fault.INTERNAL_ERROR
