"""Clients whose early data were refused, and who then fail: the server hears why (RFC 8446 A.1)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.flows.pair import Pair
from tests.pki import Pki

from handclasp import ClientConfig, Fault, PeerAlertError, ServerConfig, SessionStore, TicketKeys
from handclasp.certificates.verify import VerifiedPeer, vouch_for

WORDS = b"GET / HTTP/1.1\r\n\r\n"


class World:
    """Both ends after they have met; then the client does not take the server any more."""

    def __init__(self, pki: Pki, **client: Any) -> None:
        self.refuses = False
        self.pki = pki
        self.client = ClientConfig(
            sessions=SessionStore(),
            early_data=True,
            verify=self.verify,
            early_data_before_callbacks=True,
            **client,
        )
        self.server = ServerConfig(credentials=pki.server("localhost"), max_early_data=1000)
        assert Pair(self.client, self.server).run().established

    def verify(self, question: Any) -> VerifiedPeer:
        if self.refuses:
            raise ValueError("not any more")
        return vouch_for(question.chain)

    def fails(self, server: ServerConfig) -> Pair:
        """Again, with early data, of which the server takes none."""
        self.refuses = True
        pair = Pair(self.client, server)
        pair.client.connection.send_early_data(WORDS)  # type: ignore[union-attr]
        pair.run()
        assert pair.client.error is not None
        assert pair.client.error.fault == Fault.CERTIFICATE_REFUSED.name
        return pair


def check_that_it_was_told(pair: Pair, alert: str) -> None:
    assert isinstance(pair.server.error, PeerAlertError), pair.server.error
    assert pair.server.error.alert == alert


@pytest.mark.parametrize("compatible", [True, False])
@pytest.mark.parametrize(
    "change",
    [
        {"max_early_data": 0, "replay_guard": None},
        {"ticket_keys": TicketKeys(), "replay_guard": None},
        {"groups": ["secp256r1"]},
        {"ticket_keys": TicketKeys(), "replay_guard": None, "groups": ["secp256r1"]},
    ],
    ids=["resumed", "full", "retry", "full retry"],
)
def test_the_alert_is_heard(pki: Pki, change: dict[str, Any], compatible: bool) -> None:
    world = World(pki, middlebox_compatibility=compatible)
    pair = world.fails(replace(world.server, **change))
    check_that_it_was_told(pair, "certificate_unknown")


def test_where_they_were_accepted(pki: Pki) -> None:
    """The server reads the key of early data until EndOfEarlyData."""
    world = World(pki)
    pair = world.fails(world.server)
    check_that_it_was_told(pair, "certificate_unknown")
