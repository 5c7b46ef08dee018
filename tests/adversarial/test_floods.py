"""Peers that keep this side busy with nothing (RFC 8446 sections 4.6.3, 5.1, 6)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.adversarial.conftest import refused
from tests.adversarial.encounter import Encounter
from tests.pki import Pki

from handclasp import DataReceived, Fault, Limits, PeerClosed, ServerConfig, ServerConnection
from handclasp.iana import AlertDescription, ContentType
from handclasp.iana import ExtensionType as Ext
from handclasp.testing.deviations import changed, cut_by, handshake_message, longer_by
from handclasp.testing.scripted import ScriptedClient
from handclasp.wire.messages import KeyUpdate, NewSessionTicket, write_message

Meet = Callable[..., Encounter]
LIMIT = Limits().max_messages_without_data
KEY_UPDATE = write_message(KeyUpdate(False))
TICKET = NewSessionTicket(3600, 0, b"nonce", b"ticket", {})


@pytest.fixture(params=["client", "server"])
def meet(request: pytest.FixtureRequest, meet_client: Meet, meet_server: Meet) -> Meet:
    return meet_client if request.param == "client" else meet_server


def update(encounter: Encounter, count: int, *, request: bool = False) -> None:
    for _ in range(count):
        encounter.peer.update_keys(write_message(KeyUpdate(request)))  # type: ignore[attr-defined]


# KeyUpdate


def test_key_updates_up_to_the_limit(meet: Meet) -> None:
    encounter = meet()
    update(encounter, LIMIT)
    encounter.peer.send_data(b"then data")
    update(encounter, LIMIT)
    assert encounter.run().error is None


def test_key_update_flood(meet: Meet) -> None:
    encounter = meet()
    update(encounter, LIMIT + 1)
    refused(encounter.run(), Fault.TOO_MANY_KEY_UPDATES)


def test_key_update_flood_in_many_reads(meet: Meet) -> None:
    encounter = meet()
    for _ in range(LIMIT):
        update(encounter, 1)
        assert encounter.run().error is None
    update(encounter, 1)
    refused(encounter.run(), Fault.TOO_MANY_KEY_UPDATES)


def test_one_piece_of_data_does_not_pay_for_a_flood(meet: Meet) -> None:
    """What counts is data between them, and not data in the same read."""
    encounter = meet()
    encounter.peer.send_data(b"a fig leaf")
    update(encounter, LIMIT + 1)
    encounter.run()
    assert DataReceived(b"a fig leaf") in encounter.events
    refused(encounter, Fault.TOO_MANY_KEY_UPDATES)


def test_empty_data_does_not_pay_for_a_flood(meet: Meet) -> None:
    encounter = meet()
    for _ in range(LIMIT // 2):
        encounter.peer.send_data(b"")
        update(encounter, 1)
    for _ in range(LIMIT // 2 + 1):
        encounter.peer.send_data(b"")
        update(encounter, 1)
    refused(encounter.run(), Fault.TOO_MANY_KEY_UPDATES)


@pytest.mark.parametrize("value", [2, 24, 255])
def test_key_update_of_no_value(meet: Meet, value: int) -> None:
    encounter = meet()
    encounter.peer.send_record(ContentType.HANDSHAKE, handshake_message(24, bytes([value])))
    refused(encounter.run(), Fault.ILLEGAL_VALUE)


@pytest.mark.parametrize("body", [b"", b"\0\0"])
def test_key_update_of_another_size(meet: Meet, body: bytes) -> None:
    encounter = meet()
    encounter.peer.send_record(ContentType.HANDSHAKE, handshake_message(24, body))
    refused(encounter.run(), Fault.DECODE_ERROR)


def test_data_under_the_old_keys(meet: Meet) -> None:
    """Keys are forgotten at once: what comes after a KeyUpdate is under the next ones."""
    encounter = meet()
    encounter.peer.send_record(ContentType.HANDSHAKE, KEY_UPDATE)
    encounter.peer.send_data(b"old keys")
    encounter.run()
    refused(encounter, Fault.BAD_RECORD_MAC)


# NewSessionTicket


def test_tickets_up_to_the_limit(meet_server: Meet) -> None:
    encounter = meet_server()
    for _ in range(LIMIT):
        encounter.peer.send(TICKET)
    assert encounter.run().error is None


def test_ticket_flood(meet_server: Meet) -> None:
    encounter = meet_server()
    for _ in range(LIMIT + 1):
        encounter.peer.send(TICKET)
    refused(encounter.run(), Fault.TOO_MANY_RECORDS_WITHOUT_PROGRESS)


@pytest.mark.parametrize("change", [cut_by(1), longer_by(b"\0"), changed(ticket=b"")])
def test_ticket_that_cannot_be_read(meet_server: Meet, change: Callable[..., object]) -> None:
    encounter = meet_server()
    encounter.peer.send(change(TICKET))  # type: ignore[arg-type]
    refused(encounter.run(), Fault.DECODE_ERROR)


@pytest.mark.parametrize(
    ("extensions", "fault"),
    [
        ({Ext.KEY_SHARE: b""}, Fault.MISPLACED_EXTENSION),
        ({Ext.SERVER_NAME: b""}, Fault.MISPLACED_EXTENSION),
        (dict.fromkeys(range(16384, 16641), b""), Fault.TOO_MANY_EXTENSIONS),
    ],
)
def test_extensions_in_a_ticket(
    meet_server: Meet, extensions: dict[int, bytes], fault: Fault
) -> None:
    encounter = meet_server()
    encounter.peer.send(changed(extensions=extensions)(TICKET))
    refused(encounter.run(), fault)


def test_extensions_that_a_ticket_may_have(meet_server: Meet) -> None:
    encounter = meet_server()
    extensions = {Ext.EARLY_DATA: b"\0\0\x04\0", 0x4321: b"unknown"}
    encounter.peer.send(changed(extensions=extensions)(TICKET))
    assert encounter.run().error is None


# Records and alerts


def test_empty_data_flood(meet: Meet) -> None:
    encounter = meet()
    for _ in range(Limits().max_records_without_progress):
        encounter.peer.send_data(b"", padding=10)
    assert encounter.run().error is None
    encounter.peer.send_data(b"")
    refused(encounter.run(), Fault.TOO_MANY_RECORDS_WITHOUT_PROGRESS)


def test_empty_data_with_data_between(meet: Meet) -> None:
    encounter = meet()
    for _ in range(3):
        for _ in range(Limits().max_records_without_progress):
            encounter.peer.send_data(b"")
        encounter.peer.send_data(b"x")
    assert encounter.run().error is None


def test_data_in_a_read_of_its_own_is_between(meet: Meet) -> None:
    encounter = meet()
    for _ in range(3):
        for _ in range(Limits().max_records_without_progress):
            encounter.peer.send_data(b"")
        assert encounter.run().error is None
        encounter.peer.send_data(b"x")
        assert encounter.run().error is None
    for _ in range(3):
        update(encounter, LIMIT)
        assert encounter.run().error is None
        encounter.peer.send_data(b"x")
        assert encounter.run().error is None


def test_change_cipher_spec_flood(server_config: ServerConfig, meet_server: Meet) -> None:
    encounters = (
        Encounter(ServerConnection(server_config), ScriptedClient(order=())),
        meet_server(order=()),
    )
    for encounter in encounters:
        for _ in range(Limits().max_records_without_progress + 1):
            encounter.peer.send_plaintext(ContentType.CHANGE_CIPHER_SPEC, b"\1")
        refused(encounter.run(), Fault.TOO_MANY_RECORDS_WITHOUT_PROGRESS)


def test_user_canceled_alone_means_little(meet: Meet) -> None:
    encounter = meet()
    encounter.peer.send_alert(1, AlertDescription.USER_CANCELED)
    encounter.peer.send_data(b"after all")
    encounter.peer.send_alert(1, AlertDescription.CLOSE_NOTIFY)
    encounter.run()
    assert encounter.error is None
    assert encounter.events[-2:] == [DataReceived(b"after all"), PeerClosed()]


def test_user_canceled_flood(meet: Meet) -> None:
    encounter = meet()
    for _ in range(Limits().max_records_without_progress + 1):
        encounter.peer.send_alert(1, AlertDescription.USER_CANCELED)
    refused(encounter.run(), Fault.TOO_MANY_ALERTS)


def test_limits_are_those_of_the_config(pki: Pki, meet_client: Meet) -> None:
    limits = Limits(max_records_without_progress=1, max_messages_without_data=1)
    config = ServerConfig(credentials=pki.server(), limits=limits)
    encounter = meet_client(config=config)
    update(encounter, 2)
    refused(encounter.run(), Fault.TOO_MANY_KEY_UPDATES)
    encounter = meet_client(config=config)
    encounter.peer.send_data(b"")
    encounter.peer.send_data(b"")
    refused(encounter.run(), Fault.TOO_MANY_RECORDS_WITHOUT_PROGRESS)


def test_tiny_fragments_end_too(pki: Pki, server_config: ServerConfig) -> None:
    """A hello of one byte per record is a hello; one that never ends is refused."""
    peer = ScriptedClient()
    hello = peer.take()[5:]
    for byte in hello:
        peer.send_plaintext(ContentType.HANDSHAKE, bytes([byte]))
    encounter = Encounter(ServerConnection(server_config), peer)
    assert encounter.error is None
    assert encounter.connection.established
