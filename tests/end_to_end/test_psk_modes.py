"""Clients that offer a pre-shared key without a key exchange alone (RFC 8446 section 4.2.9)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.end_to_end.pair import Pair
from tests.pki import Pki

from handclasp import (
    ClientAuth,
    ClientConfig,
    Fault,
    PreSharedKey,
    ProtocolError,
    ServerConfig,
    SessionStore,
)
from handclasp.certificates.verify import vouch_for
from handclasp.wire import extensions as ext


@pytest.fixture(autouse=True)
def _psk_ke_alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What no client of ours would say."""
    with monkeypatch.context() as patched:
        patched.setattr(ext, "write_psk_key_exchange_modes", lambda modes: b"\1" + b"\0")
        yield


def world(pki: Pki, **server: Any) -> tuple[ClientConfig, ServerConfig]:
    client = ClientConfig(trust=pki.trust, sessions=SessionStore(), allow_psk_ke=True)
    settings: dict[str, Any] = {"credentials": pki.server("localhost"), "allow_psk_ke": True}
    return client, ServerConfig(**(settings | server))


def test_they_get_tickets_where_the_server_allows_it(pki: Pki) -> None:
    client, server = world(pki)
    first = Pair(client, server).run()
    assert first.client.info.group is not None
    for _ in range(3):
        again = Pair(client, server).run()
        assert again.established
        assert again.client.info.resumed
        assert again.client.info.group is None
        again.say(again.server, b"hello")
        assert again.client.data == b"hello"


def test_more_tickets_on_demand(pki: Pki) -> None:
    client, server = world(pki)
    pair = Pair(client, server).run()
    assert pair.server.connection.send_tickets(2) == 2  # type: ignore[union-attr]


def test_they_get_none_where_they_would_be_of_no_use(pki: Pki) -> None:
    """RFC 8446 4.2.9: tickets "SHOULD NOT" be sent that do not go with the modes."""
    client, server = world(pki, allow_psk_ke=False)
    pair = Pair(client, server).run()
    assert pair.established
    assert pair.server.connection.send_tickets(1) == 0  # type: ignore[union-attr]
    assert not Pair(client, server).run().client.info.resumed


@pytest.mark.parametrize("groups", [None, ["secp256r1"]], ids=["at once", "after a retry"])
def test_a_ticket_that_is_not_taken_means_a_full_handshake(
    pki: Pki, groups: list[str] | None
) -> None:
    """The client sent shares as well, and must not be told that they are missing."""
    convinced = [True]

    def verify(question: Any) -> Any:
        if not convinced[0]:
            raise ValueError("not any more")
        return vouch_for(question.chain_der)

    more: dict[str, Any] = {"groups": groups} if groups else {}
    client, server = world(pki, client_auth=ClientAuth.OPTIONAL, verify=verify, **more)
    client = replace(client, credentials=pki.client())
    assert Pair(client, server).run().established
    assert Pair(client, server).run().client.info.resumed
    convinced[0] = False
    anonymous = Pair(client, server).run()
    # In the full handshake the certificate is judged again, and refused there.
    assert isinstance(anonymous.server.error, ProtocolError)
    assert anonymous.server.error.fault is Fault.CERTIFICATE_REFUSED


def test_an_unknown_external_key_is_told_as_such() -> None:
    known, unknown = PreSharedKey(b"known", b"k" * 32), PreSharedKey(b"unknown", bytes(range(32)))
    client = ClientConfig(psks=[unknown], allow_psk_ke=True)
    pair = Pair(client, ServerConfig(psks=[known], allow_psk_ke=True), None).run()
    assert isinstance(pair.server.error, ProtocolError)
    assert pair.server.error.fault is Fault.UNKNOWN_PSK_IDENTITY


def test_external_keys_alone() -> None:
    key = PreSharedKey(b"known", b"k" * 32)
    client = ClientConfig(psks=[key], allow_psk_ke=True)
    pair = Pair(client, ServerConfig(psks=[key], allow_psk_ke=True), None).run()
    assert pair.established
    assert pair.server.info.group is None
