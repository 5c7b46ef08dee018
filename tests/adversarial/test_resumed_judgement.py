"""Whoever would be refused in a full handshake by now is not let in by a session of before.

The client's store looks at no key, so a session is offered wherever its own checks allow it; and
servers share their ticket keys, so that each opens what another one sealed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.adversarial.test_foreign_sessions import Careless
from tests.end_to_end.pair import Pair
from tests.pki import Pki

from handclasp import (
    CertificateError,
    CertificatePolicy,
    ClientAuth,
    ClientConfig,
    ServerConfig,
    TicketKeys,
)
from handclasp.certificates.verify import vouch_for

versions = pytest.mark.parametrize("version", ["TLSv1.3", "TLSv1.2"])
WRONG_PIN = CertificatePolicy(pins=["A" * 43 + "="])


def refuse(_: object) -> Any:
    raise LookupError("not any more")


def client_of(version: str, **settings: Any) -> ClientConfig:
    return ClientConfig(sessions=Careless(), versions=[version], **settings)


# A client whose server would be refused by now

Change = Callable[[Pki], dict[str, Any]]

CHANGES: dict[str, tuple[Change, str]] = {
    "wrong pin": (lambda _: {"policy": WRONG_PIN}, "PIN_MISMATCH"),
    "other trust": (lambda _: {"trust": Pki().trust}, "CERTIFICATE_UNTRUSTED"),
    "a verify that refuses": (lambda _: {"trust": None, "verify": refuse}, "CERTIFICATE_REFUSED"),
    "a confirm_peer that refuses": (lambda _: {"confirm_peer": refuse}, "CERTIFICATE_REFUSED"),
    "a confirm_peer that says no": (
        lambda _: {"confirm_peer": lambda _: False},
        "CERTIFICATE_REFUSED",
    ),
}


@versions
@pytest.mark.parametrize("change", CHANGES)
def test_a_server_that_the_client_would_refuse_now(pki: Pki, version: str, change: str) -> None:
    client = client_of(version, trust=pki.trust)
    server = ServerConfig(credentials=pki.server("localhost"))
    assert Pair(client, server).run().established
    assert Pair(client, server).run().client.info.resumed
    settings, fault = CHANGES[change]
    pair = Pair(replace(client, **settings(pki)), server).run()
    assert isinstance(pair.client.error, CertificateError)
    assert pair.client.error.fault_name == fault
    assert not pair.client.connection.established


@versions
def test_verification_on_again_after_it_was_off(pki: Pki, version: str) -> None:
    """An impostor got a session from a client that did not look: it gets no more out of it."""
    client = client_of(version, verify_peer=False)
    impostor = ServerConfig(credentials=Pki().server("localhost"))
    assert not Pair(client, impostor).run().client.info.peer_verified
    assert Pair(client, impostor).run().client.info.resumed
    looks = replace(client, verify_peer=True, trust=pki.trust)
    pair = Pair(looks, impostor).run()
    assert isinstance(pair.client.error, CertificateError)
    assert pair.client.error.fault_name == "CERTIFICATE_UNTRUSTED"
    honest = replace(impostor, credentials=pki.server("localhost"))
    pair = Pair(looks, honest).run()
    assert not pair.client.info.resumed
    assert pair.client.info.peer_verified


# A server whose client would be refused by now

MODES: dict[str, dict[str, Any]] = {
    "required": {"client_auth": ClientAuth.REQUIRED},
    "optional": {"client_auth": ClientAuth.OPTIONAL},
}
CLIENT_CHANGES: dict[str, tuple[Change, str]] = {
    **{name: CHANGES[name] for name in CHANGES if name != "a verify that refuses"},
    "other trust, added to": (
        lambda pki: {"trust": Pki().trust.with_added(Pki().trust)},
        "CERTIFICATE_UNTRUSTED",
    ),
}


@versions
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("change", CLIENT_CHANGES)
def test_a_client_that_the_server_would_refuse_now(
    pki: Pki, version: str, mode: str, change: str
) -> None:
    client = client_of(version, trust=pki.trust, credentials=pki.client("alice"))
    server = ServerConfig(credentials=pki.server("localhost"), trust=pki.trust, **MODES[mode])
    assert Pair(client, server).run().established
    assert Pair(client, server).run().server.info.resumed
    settings, fault = CLIENT_CHANGES[change]
    pair = Pair(client, replace(server, **settings(pki))).run()
    assert isinstance(pair.server.error, CertificateError)
    assert pair.server.error.fault_name == fault


@versions
def test_a_callback_that_refuses_a_client_it_accepted(pki: Pki, version: str) -> None:
    """A `verify` is asked again; where it refuses, so does the full handshake that follows."""
    accepts = [True]

    def verify(question: Any) -> Any:
        return vouch_for(question.chain_der) if accepts[0] else refuse(question)

    client = client_of(version, trust=pki.trust, credentials=pki.client("alice"))
    server = ServerConfig(
        credentials=pki.server("localhost"), client_auth=ClientAuth.REQUIRED, verify=verify
    )
    assert Pair(client, server).run().established
    assert Pair(client, server).run().server.info.resumed
    accepts[0] = False
    pair = Pair(client, server).run()
    assert isinstance(pair.server.error, CertificateError)
    assert pair.server.error.fault_name == "CERTIFICATE_REFUSED"


# Tickets of another place


@versions
@pytest.mark.parametrize("first", [ClientAuth.NONE, ClientAuth.OPTIONAL, ClientAuth.REQUIRED])
@pytest.mark.parametrize("second", [ClientAuth.NONE, ClientAuth.OPTIONAL, ClientAuth.REQUIRED])
@pytest.mark.parametrize("same_name", [True, False])
def test_tickets_across_virtual_hosts_and_ways_to_ask(
    pki: Pki, version: str, first: ClientAuth, second: ClientAuth, same_name: bool
) -> None:
    """Two hosts of one process, with the same keys: a ticket is good for its own host alone."""
    keys = TicketKeys()

    def host(name: str, auth: ClientAuth) -> ServerConfig:
        trust = pki.trust if auth is not ClientAuth.NONE else None
        credentials = pki.server(name)
        return ServerConfig(
            credentials=credentials, client_auth=auth, trust=trust, ticket_keys=keys
        )

    client = client_of(version, trust=pki.trust, credentials=pki.client("alice"))
    other = "localhost" if same_name else "other.example"
    assert Pair(client, host("localhost", first), "localhost").run().established
    pair = Pair(client, host(other, second), other).run()
    assert pair.established, (pair.client.error, pair.server.error)
    assert pair.server.info.resumed is (first is second and same_name)
    assert bool(pair.server.info.peer_chain_der) is (second is not ClientAuth.NONE)
