"""Hooks that must answer at once, because nothing can wait for them where they are called.

An async function in the place of one is refused when the config or the credentials are built. A
plain function whose answer is an awaitable, `DEFER` or nonsense ends the handshake by an error that
names it. `test_three_ways` has the hooks that may answer later.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.end_to_end.pair import Pair
from tests.pki import Pki

from handclasp import (
    DEFER,
    CertificatePolicy,
    ClientConfig,
    ConfigurationError,
    Credentials,
    Fault,
    ProtocolError,
    ServerConfig,
    SessionStore,
    TicketKeys,
)
from handclasp.certificates.reloading import ReloadingCredentials

VERSIONS = ["TLSv1.3", "TLSv1.2"]
versions = pytest.mark.parametrize("version", VERSIONS)

ANSWERED_LATER = {
    "choose_config",
    "choose_credentials",
    "verify",
    "confirm_peer",
    "find_psk",
    "replay_guard",
    "ech",
}
"""The settings whose hooks may answer later."""

NO_HOOKS = {"credentials", "session_cache12"}
"""What looks like a hook by its type. The parts of credentials are looked at by themselves."""


async def later(*_: object) -> None:
    """Answer as no hook of these may."""


async def generates(*_: object) -> Any:
    yield None


class CalledLater:
    async def __call__(self, *_: object) -> None:
        """Answer as no hook of these may."""


ASYNC: dict[str, Any] = {
    "function": later,
    "generator": generates,
    "partial": partial(later, 1),
    "object": CalledLater(),
}

METHODS = {"sessions": ("put", "take", "discard"), "ticket_keys": ("keys",)}

REFUSED = ["clock", "entropy", "keylog", "record_padding", *METHODS]


class Hooked:
    """What a store and a source of keys have, each by a function that answers None."""

    put: Any
    take: Any
    discard: Any
    keys: Any
    is_first: Any
    current: Any

    def __init__(self, **methods: Any) -> None:
        for name in ("put", "take", "discard", "keys", "is_first", "current"):
            setattr(self, name, methods.get(name, lambda *_: None))


@pytest.mark.parametrize("kind", ASYNC)
@pytest.mark.parametrize("setting", REFUSED)
def test_refused_by_the_config(pki: Pki, setting: str, kind: str) -> None:
    makers: list[Callable[..., object]] = [ClientConfig] * (setting != "ticket_keys")
    if setting != "sessions":
        makers.append(partial(ServerConfig, credentials=pki.server()))
    for make in makers:
        for method in METHODS.get(setting, [""]):
            value = Hooked(**{method: ASYNC[kind]}) if method else ASYNC[kind]
            name = f"{setting}.{method}()" if method else setting
            with pytest.raises(ConfigurationError) as caught:
                make(**{setting: value})
            assert f"{name} must answer at once, and is an async function" in str(caught.value)


def test_every_hook_of_a_config_is_here_or_may_answer_later() -> None:
    words = ("Callback", "Callable", "KeyLog", "PaddingPolicy", "Cache", "Source", "Guard")
    for config in (ClientConfig, ServerConfig):
        for each in fields(config):
            if any(word in str(each.type) for word in (*words, "Credential")) and each.init:
                assert each.name in {*REFUSED, *ANSWERED_LATER, *NO_HOOKS}, each.name


@pytest.mark.parametrize("kind", ASYNC)
def test_refused_by_credentials(pki: Pki, tmp_path: Path, kind: str) -> None:
    hook, own = ASYNC[kind], pki.server()
    with pytest.raises(ConfigurationError, match="callback for the OCSP response must answer"):
        own.with_staple(hook)
    with pytest.raises(ConfigurationError, match=r"staple.current\(\) must answer"):
        own.with_staple(Hooked(current=hook))
    with pytest.raises(ConfigurationError, match="load must answer"):
        ReloadingCredentials([], hook)
    with pytest.raises(ConfigurationError, match="on_error must answer"):
        ReloadingCredentials([], lambda: own, on_error=hook)


def test_a_replay_guard_may_be_async(pki: Pki) -> None:
    ServerConfig(credentials=pki.server(), max_early_data=1, replay_guard=Hooked(is_first=later))


# What shows at the call alone

ANSWERS: dict[str, tuple[Callable[[], object], str]] = {
    "awaitable": (later, "gave an awaitable"),
    "deferred": (lambda: DEFER, "gave DEFER"),
    "nonsense": (object, "gave object"),
    "exception": (lambda: os.stat("/nowhere/at/all"), "failed with FileNotFoundError"),
}


def failed(pair: Pair, name: str, words: str, *, by_server: bool) -> None:
    """One side gave up, and says which hook did what; the other was told by an alert."""
    pair.run()
    end = pair.server if by_server else pair.client
    check_error(end.error, name, words)
    other = pair.client if by_server else pair.server
    assert "internal_error" in str(other.error)


def check_error(error: object, name: str, words: str) -> None:
    assert isinstance(error, ProtocolError), error
    assert error.fault is Fault.CALLBACK_FAILED
    assert f"{name} {words}" in str(error), error
    assert name in error.fix


def store_with(method: str, answer: Callable[[], object]) -> Any:
    """A store that works, but for one of its methods."""
    store = SessionStore()
    methods: dict[str, Any] = {"put": store.put, "take": store.take, "discard": store.discard}
    return Hooked(**{**methods, method: lambda *_: answer()})


@versions
@pytest.mark.parametrize("how", ANSWERS)
def test_a_store_that_cannot_take(pki: Pki, version: str, how: str) -> None:
    answer, words = ANSWERS[how]
    client = ClientConfig(trust=pki.trust, sessions=store_with("take", answer), versions=[version])
    with pytest.raises(ProtocolError) as caught:
        Pair(client, ServerConfig(credentials=pki.server()))
    check_error(caught.value, "sessions.take()", words)


@versions
@pytest.mark.parametrize("how", [how for how in ANSWERS if how != "nonsense"])
def test_a_store_that_cannot_put(pki: Pki, version: str, how: str) -> None:
    answer, words = ANSWERS[how]
    store = store_with("put", answer)
    client = ClientConfig(trust=pki.trust, sessions=store, versions=[version])
    server = ServerConfig(credentials=pki.server())
    failed(Pair(client, server), "sessions.put()", words, by_server=False)


@versions
@pytest.mark.parametrize("how", [how for how in ANSWERS if how != "nonsense"])
def test_a_store_that_cannot_discard(pki: Pki, version: str, how: str) -> None:
    answer, words = ANSWERS[how]
    store = store_with("discard", answer)
    client = ClientConfig(trust=pki.trust, sessions=store, versions=[version])
    own = pki.server()
    assert Pair(client, ServerConfig(credentials=own)).run().established
    # Another server of that name, which has other keys and so resumes nothing.
    pair = Pair(client, ServerConfig(credentials=own))
    failed(pair, "sessions.discard()", words, by_server=False)


@versions
@pytest.mark.parametrize("how", [*ANSWERS, "of nonsense"])
@pytest.mark.parametrize("moment", ["to seal", "to open"])
def test_ticket_keys(pki: Pki, version: str, how: str, moment: str) -> None:
    answer, words = ANSWERS.get(how, (lambda: [object()], "gave list"))
    keys, source = TicketKeys(), Hooked()
    source.keys = keys.keys if moment == "to open" else lambda: answer()
    client = ClientConfig(trust=pki.trust, sessions=SessionStore(), versions=[version])
    server: Any = ServerConfig(credentials=pki.server(), ticket_keys=source)
    pair = Pair(client, server)
    if moment == "to open":
        assert pair.run().established
        source.keys = lambda: answer()
        pair = Pair(client, server)
    failed(pair, "ticket_keys.keys()", words, by_server=True)


@versions
@pytest.mark.parametrize("role", ["server", "client"])
@pytest.mark.parametrize("how", ANSWERS)
def test_a_staple(pki: Pki, version: str, role: str, how: str) -> None:
    answer, words = ANSWERS[how]
    source: Any = Hooked(current=lambda _now: answer())
    client, server, policy = pki.client(), pki.server(), CertificatePolicy()
    if role == "server":
        server = server.with_staple(source)
    else:
        client = client.with_staple(source)
        if version == "TLSv1.3":
            policy = CertificatePolicy(stapled_ocsp="require")
    pair = Pair(
        ClientConfig(trust=pki.trust, credentials=client, versions=[version]),
        ServerConfig(credentials=server, client_auth="required", trust=pki.trust, policy=policy),
    )
    if role == "client" and version == "TLSv1.2":
        assert pair.run().established  # There, a client staples nothing.
    else:
        failed(pair, "staple.current()", words, by_server=role == "server")


@pytest.mark.parametrize("how", ANSWERS)
def test_credentials_that_are_loaded_anew(pki: Pki, tmp_path: Path, how: str) -> None:
    """The ones of before stay, whatever a loader of one's own does."""
    answer, words = ANSWERS[how]
    first, file, now, told = pki.server(), tmp_path / "file", [0.0], list[str]()
    loads: list[Callable[[], Any]] = [lambda: first, lambda: answer()]
    reloading = ReloadingCredentials(
        [file],
        lambda: loads[0](),
        on_error=lambda error: told.append(str(error)),
        clock=lambda: now[0],
    )
    file.write_bytes(b"new")
    del loads[0]
    now[0] += 2
    server = ServerConfig(credentials=reloading)
    assert Pair(ClientConfig(trust=pki.trust), server).run().established
    assert reloading.current is first
    assert len(told) == 1
    if how == "exception":
        assert words in told[0]
    else:
        assert "load must give Credentials at once, not" in told[0]


def test_a_loader_that_gives_no_credentials_at_first() -> None:
    answer: Any = later
    with pytest.raises(ConfigurationError, match="at once, not coroutine"):
        ReloadingCredentials([], lambda: answer())


def test_the_callback_of_a_staple_that_gives_an_awaitable(pki: Pki) -> None:
    """It breaks no handshake: nothing is stapled, and the reason is noted."""
    answer: Any = later
    own: Credentials = pki.server().with_staple(lambda: answer())
    assert Pair(ClientConfig(trust=pki.trust), ServerConfig(credentials=own)).run().established
    staple: Any = own.staple
    assert "gave coroutine" in str(staple.last_error)
    assert staple.current(datetime.now(UTC)) is None
