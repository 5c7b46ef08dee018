"""Every message in every state of client authentication after the handshake."""

from __future__ import annotations

import pytest
from tests.adversarial.authentication import Client, Server
from tests.adversarial.encounter import Encounter
from tests.exploration.explore import REFUSALS, messages, sample
from tests.exploration.rfc import AUTHENTICATION_CLIENT13, AUTHENTICATION_SERVER13, CCS, DATA
from tests.pki import Pki

from handclasp import ClientConfig, ClientConnection, ServerConfig, ServerConnection
from handclasp.iana import AlertDescription, ContentType

ANSWERED = {"CONNECTED, with a request": 0, "WAIT_CV": 1, "WAIT_FINISHED": 2, "CONNECTED": 3}
"""How many messages of an answer have come in each state."""


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


def deliver(encounter: Encounter, message: str) -> bool:
    """Deliver a message, and return whether its type may come; otherwise check the alert."""
    assert encounter.error is None
    peer = encounter.peer
    if message == CCS:
        peer.send_raw(b"\x14\3\3\0\1\1")
    elif message == DATA:
        peer.send_data(b"data")
    else:
        peer.send_record(ContentType.HANDSHAKE, sample(message, "TLSv1.3"))
    error = encounter.run().error
    if getattr(error, "fault", None) not in REFUSALS:
        return True
    assert peer.alerts[-1][1] == AlertDescription.UNEXPECTED_MESSAGE, (message, error)
    return False


@pytest.mark.parametrize("state", AUTHENTICATION_SERVER13)
def test_of_a_server(pki: Pki, state: str) -> None:
    config = ServerConfig(
        credentials=pki.server("localhost"),
        client_auth="optional",
        trust=pki.trust,
        post_handshake_auth=True,
    )
    own = pki.client()
    for message in messages("TLSv1.3"):
        connection = ServerConnection(config)
        client = Client(own)
        encounter = Encounter(connection, client)
        connection.request_client_certificate()
        encounter.run()
        client.send_all(client.answer()[: ANSWERED[state]])
        encounter.run()
        assert deliver(encounter, message) is (message in AUTHENTICATION_SERVER13[state]), message


def test_of_a_client(pki: Pki) -> None:
    config = ClientConfig(trust=pki.trust, post_handshake_auth=True)
    for message in messages("TLSv1.3"):
        connection = ClientConnection(config, server_name="localhost")
        encounter = Encounter(connection, Server(pki.server("localhost")))
        may_come = message in AUTHENTICATION_CLIENT13["CONNECTED"]
        assert deliver(encounter, message) is may_come, message
