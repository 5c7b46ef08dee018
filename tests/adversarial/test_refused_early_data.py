"""Clients whose early data were refused, and who then fail: the server hears why (RFC 9846 A.1)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.adversarial.conftest import refused
from tests.adversarial.encounter import Encounter
from tests.end_to_end.pair import Pair
from tests.pki import Pki

from handclasp import (
    ClientConfig,
    ClientConnection,
    Fault,
    PeerAlertError,
    ProtocolError,
    ServerConfig,
    SessionStore,
    StateError,
    TicketKeys,
)
from handclasp.certificates.verify import VerifiedPeer, vouch_for
from handclasp.handshake.tls13 import server as server13
from handclasp.testing.deviations import changed, with_extension
from handclasp.testing.scripted import ScriptedServer
from handclasp.testing.scripted12 import ScriptedServer12

WORDS = b"GET / HTTP/1.1\r\n\r\n"


class World:
    """Both ends after they have met; then the client does not take the server any more."""

    def __init__(self, pki: Pki, **client: Any) -> None:
        self.refuses = False
        self.pki = pki
        self.client = ClientConfig(
            sessions=SessionStore(),
            allow_early_data=True,
            verify=self.verify,
            early_data_before_callbacks=True,
            **client,
        )
        self.server = ServerConfig(credentials=pki.server("localhost"), max_early_data=1000)
        assert Pair(self.client, self.server).run().established

    def verify(self, question: Any) -> VerifiedPeer:
        if self.refuses:
            raise ValueError("not any more")
        return vouch_for(question.chain_der)

    def fails(self, server: ServerConfig) -> Pair:
        """Again, with early data, of which the server takes none."""
        self.refuses = True
        pair = Pair(self.client, server)
        pair.client.connection.send_early_data(WORDS)  # type: ignore[union-attr]
        pair.run()
        assert pair.client.error is not None
        assert pair.client.error.fault_name == Fault.CERTIFICATE_REFUSED.name
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


class Skipping(ScriptedServer):
    """It has no key for the early data, and passes over them."""

    def _next_record(self) -> tuple[int, bytes] | None:
        while True:
            try:
                return super()._next_record()
            except ProtocolError:
                assert self._read is not None
                self._read.sequence = 0


def meet_script(world: World, server: ScriptedServer | ScriptedServer12) -> Encounter:
    """The client comes back with early data, to a server that knows nothing of it."""
    connection = ClientConnection(world.client, server_name="localhost")
    connection.send_early_data(WORDS)
    return Encounter(connection, server)


UNKNOWN = with_extension(0x1234, b"")


@pytest.mark.parametrize("script", [{"server_hello": UNKNOWN}, {"encrypted_extensions": UNKNOWN}])
def test_a_full_handshake_that_is_wrong(pki: Pki, script: dict[str, Any]) -> None:
    world = World(pki)
    encounter = meet_script(world, Skipping(pki.server("localhost"), **script))
    refused(encounter, Fault.UNSOLICITED_EXTENSION)


def test_a_retry_that_is_wrong(pki: Pki) -> None:
    """It is in the clear, and so is what the server reads next."""
    world = World(pki)
    server = ScriptedServer(pki.server("localhost"), retry="secp256r1", hello_retry_request=UNKNOWN)
    refused(meet_script(world, server), Fault.UNSOLICITED_EXTENSION)


def test_an_older_version(pki: Pki) -> None:
    world = World(pki)
    server = ScriptedServer12(pki.server("localhost"))
    refused(meet_script(world, server), Fault.OLDER_VERSION_AFTER_EARLY_DATA)
    downgraded = changed(random=bytes(24) + b"DOWNGRD\x01")
    server = ScriptedServer12(pki.server("localhost"), server_hello=downgraded)
    refused(meet_script(World(pki), server), Fault.VERSION_DOWNGRADE)


def test_encrypted_extensions_that_are_wrong(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a server that resumes the session and takes no early data."""
    world = World(pki)
    right = server13._encrypted_extensions

    def wrong(*given: Any, **named: Any) -> dict[int, bytes]:
        return right(*given, **named) | {0x1234: b""}

    monkeypatch.setattr(server13, "_encrypted_extensions", wrong)
    server = replace(world.server, max_early_data=0, replay_guard=None)
    pair = Pair(world.client, server)
    pair.client.connection.send_early_data(WORDS)  # type: ignore[union-attr]
    pair.run()
    assert pair.client.error is not None
    assert pair.client.error.fault_name == Fault.UNSOLICITED_EXTENSION.name
    check_that_it_was_told(pair, "unsupported_extension")


def test_nothing_more_goes_out_early_once_it_is_refused(pki: Pki) -> None:
    world = World(pki)
    server = replace(world.server, max_early_data=0, replay_guard=None)
    pair = Pair(world.client, server)
    client = pair.client.connection
    client.send_early_data(WORDS)  # type: ignore[union-attr]
    pair.run()
    assert client.early_data_limit == 0  # type: ignore[union-attr]
    with pytest.raises(StateError, match="wait for the handshake"):
        client.send_early_data(WORDS)  # type: ignore[union-attr]
