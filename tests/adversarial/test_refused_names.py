"""Names that a server refuses to be, asked for with a session or a key that knows of them.

The session is of another config with the same ticket keys, where the name is served: so it opens,
and all that it is bound to is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.end_to_end.pair import Pair
from tests.pki import Pki

from handclasp import (
    DEFER,
    ClientAuth,
    ClientConfig,
    ClientConnection,
    Credentials,
    Fault,
    PreSharedKey,
    ProtocolError,
    QuestionAsked,
    ServerConfig,
    ServerConnection,
    SessionStore,
    TicketKeys,
)
from handclasp.limits import Limits
from handclasp.questions import ChooseCredentials

VERSIONS = ["TLSv1.3", "TLSv1.2"]
versions = pytest.mark.parametrize("version", VERSIONS)
KEY = PreSharedKey(b"a client", bytes(range(32)))
ORDER = b"POST /pay HTTP/1.1\r\n\r\n"

Refusing = Callable[[Pki], dict[str, Any]]


def strict(pki: Pki) -> dict[str, Any]:
    return {"credentials": pki.server("other.example"), "strict_server_name": True}


def chooses(answer: Callable[[Credentials], Any]) -> Refusing:
    """By a callback, which knows other.example and no other name."""

    def settings(pki: Pki) -> dict[str, Any]:
        own = pki.server("other.example")

        def choose(question: ChooseCredentials) -> Any:
            return own if question.server_name == "other.example" else answer(own)

        return {"choose_credentials": choose}

    return settings


async def later() -> None:
    """The answer None, from an awaitable."""


WAYS: dict[str, Refusing] = {
    "strict_server_name": strict,
    "choose_credentials": chooses(lambda _: None),
    "deferred": chooses(lambda _: DEFER),
    "awaited": chooses(lambda _: later()),
}
ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def client_of(pki: Pki, version: str = "TLSv1.3", **settings: Any) -> ClientConfig:
    return ClientConfig(trust=pki.trust, versions=[version], sessions=SessionStore(), **settings)


def met(client: ClientConfig, server: ServerConfig, name: str | None = "localhost") -> Pair:
    """A handshake in which whatever is asked later is answered with None."""
    pair = Pair(client, server, name).run()
    if pair.server.saw(QuestionAsked):
        pending = pair.server.question.pending
        if pending is not None:
            pending.close()  # type: ignore[attr-defined]
        pair.server.answer(None)
        pair.run()
    return pair


def refused(pair: Pair) -> None:
    assert pair.server.error is not None
    assert pair.server.error.fault is Fault.UNRECOGNIZED_NAME
    assert not pair.client.connection.established


@versions
@ways
@pytest.mark.parametrize("by_id", [False, True], ids=["ticket", "session id"])
def test_a_session_is_no_way_to_a_name(pki: Pki, version: str, way: Refusing, by_id: bool) -> None:
    keys = TicketKeys()
    serves = ServerConfig(credentials=pki.server("localhost", "other.example"), ticket_keys=keys)
    refuses = ServerConfig(ticket_keys=keys, **way(pki))
    if by_id:
        # The memory is one config's own, so it is lent here to the other.
        refuses.derived.session_cache12 = serves.derived.session_cache12
    client = client_of(pki, version)
    refused(met(client, refuses))
    assert met(client, serves).established
    refused(met(client, refuses))
    # The other name is served, and resumed.
    assert met(client, serves, "other.example").established
    pair = met(client, refuses, "other.example")
    assert pair.established
    assert pair.server.info.resumed


@ways
@pytest.mark.parametrize("finds", [False, True], ids=["psks", "find_psk"])
def test_a_pre_shared_key_is_none_either(pki: Pki, way: Refusing, finds: bool) -> None:
    known: dict[str, Any] = {"find_psk": lambda _: KEY} if finds else {"psks": [KEY]}
    refuses = ServerConfig(**known, **way(pki))
    client = client_of(pki, psks=[KEY])
    refused(met(client, refuses))
    pair = met(client, refuses, "other.example")
    assert pair.established
    assert pair.server.info.psk_identity == KEY.identity


def test_a_pre_shared_key_alone_may_go_without_a_name(pki: Pki) -> None:
    assert met(
        client_of(pki, psks=[KEY]), ServerConfig(psks=[KEY], **strict(pki)), None
    ).established


def test_early_data_for_such_a_name_reach_nobody(pki: Pki) -> None:
    """They are not taken, and the guard is not asked."""
    keys = TicketKeys()
    serves = ServerConfig(
        credentials=pki.server("localhost"), ticket_keys=keys, max_early_data=1000
    )
    client = client_of(pki, allow_early_data=True)
    for way in (strict, WAYS["choose_credentials"]):
        assert met(client, serves).established
        before = len(keys.replay_filter)
        connection = ClientConnection(client, server_name="localhost")
        connection.send_early_data(ORDER)
        flight = bytes(connection.data_to_send())
        refuses = ServerConnection(ServerConfig(ticket_keys=keys, max_early_data=1000, **way(pki)))
        with pytest.raises(ProtocolError) as refusal:
            refuses.receive_data(flight)
        assert refusal.value.fault is Fault.UNRECOGNIZED_NAME
        assert len(keys.replay_filter) == before


@versions
def test_the_callback_is_asked_once_for_each_connection(pki: Pki, version: str) -> None:
    asked: list[ChooseCredentials] = []
    own = pki.server("localhost")

    def choose(question: ChooseCredentials) -> Credentials:
        asked.append(question)
        return own

    server = ServerConfig(choose_credentials=choose)
    client = client_of(pki, version)
    for count in (1, 2, 3):
        assert met(client, server).server.info.resumed is (count > 1)
        assert len(asked) == count
        assert asked[-1].server_name == "localhost"
        assert asked[-1].signature_schemes


# What else a full handshake would not take of the same client


@versions
@pytest.mark.parametrize(
    "changes",
    [
        {"signature_schemes": ["rsa_pss_rsae_sha256", "ecdsa_secp384r1_sha384"]},
        {"limits": Limits(max_certificates=1)},
        {"limits": Limits(max_certificate_bytes=500)},
    ],
    ids=["schemes", "certificates", "bytes"],
)
def test_a_certificate_that_would_not_be_taken_now(
    pki: Pki, version: str, changes: dict[str, Any]
) -> None:
    rsa = pki.server("localhost", key_type="rsa-2048")
    server = ServerConfig(credentials=rsa, client_auth=ClientAuth.REQUIRED, trust=pki.trust)
    client = client_of(pki, version, credentials=pki.intermediate().client("somebody"))
    assert met(client, server).established
    assert met(client, server).server.info.resumed
    now = replace(server, ticket_keys=server.ticket_keys, **changes)
    pair = met(client, now)
    assert pair.server.error is not None
    assert met(replace(client, sessions=None), now).server.error is not None
