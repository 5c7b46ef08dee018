"""TLS 1.2: peers that want another handshake, and warnings (RFC 5246 7.2.2, RFC 5746 section 4).

A renegotiation is declined by a warning and never begins; what a peer does about that is its own
affair, as long as it does not go on asking.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from tests.adversarial.conftest import ClientRefuses, ServerRefuses, refused
from tests.adversarial.encounter import Encounter
from tests.pki import Pki

from handclasp import (
    ClientConfig,
    ConfigurationError,
    DataReceived,
    Fault,
    HandshakeCompleted,
    Limits,
    PeerAlertError,
    PeerClosed,
    ProtocolError,
    ServerConfig,
    TruncationError,
)
from handclasp.iana import AlertDescription, AlertLevel, ContentType
from handclasp.testing.deviations import Change, handshake_message
from handclasp.testing.scripted12 import Record, ScriptedClient12, ScriptedServer12
from handclasp.wire.codecs import write_message
from handclasp.wire.messages12 import HelloRequest

Meet = Callable[..., Encounter]
LIMIT = Limits().max_messages_without_data
IDLE_LIMIT = Limits().max_records_without_progress
HANDSHAKE, ALERT = ContentType.HANDSHAKE, ContentType.ALERT
DECLINED = (AlertLevel.WARNING, AlertDescription.NO_RENEGOTIATION_RESERVED)
HELLO_REQUEST = write_message(HelloRequest())


@pytest.fixture
def meet_server(meet_server: Meet) -> Meet:
    return partial(meet_server, kind=ScriptedServer12)


@pytest.fixture
def meet_client(meet_client: Meet) -> Meet:
    return partial(meet_client, kind=ScriptedClient12)


@pytest.fixture(params=["client", "server"])
def meet(request: pytest.FixtureRequest, meet_client: Meet, meet_server: Meet) -> Meet:
    """A good peer of either role, after a good handshake."""
    return meet_client if request.param == "client" else meet_server


@pytest.fixture(params=["client", "server"])
def meet_unfinished(request: pytest.FixtureRequest, meet_client: Meet, meet_server: Meet) -> Meet:
    """A peer of either role that sends no Finished."""
    if request.param == "client":
        return partial(meet_client, order=("client_key_exchange", "change_cipher_spec"))
    return partial(meet_server, closing=("change_cipher_spec",))


def asking(peer: Any) -> bytes:
    """By what a peer of this role asks for a renegotiation."""
    if isinstance(peer, ScriptedServer12):
        return HELLO_REQUEST
    hello: bytes = write_message(peer.first_hello())
    return hello


def ask(encounter: Encounter, count: int = 1) -> None:
    for _ in range(count):
        encounter.peer.send_record(HANDSHAKE, asking(encounter.peer))


def exchange_data(encounter: Encounter) -> None:
    encounter.connection.send_data(b"from us")
    encounter.peer.send_data(b"from the peer")
    encounter.run()
    assert encounter.error is None
    assert encounter.events[-1] == DataReceived(b"from the peer")
    assert encounter.peer.data.endswith(b"from us")


def test_declined(meet: Meet) -> None:
    encounter = meet()
    info = encounter.connection.info
    ask(encounter)
    encounter.run()
    assert encounter.error is None
    assert encounter.peer.alerts == [DECLINED]
    exchange_data(encounter)
    assert encounter.connection.info is info
    assert sum(isinstance(event, HandshakeCompleted) for event in encounter.events) == 1


def test_giving_up_on_that(meet: Meet) -> None:
    """As OpenSSL does. The handshake was fine: what is told is about the renegotiation."""
    encounter = meet()
    ask(encounter)
    encounter.run()
    encounter.peer.send_record(ALERT, bytes((AlertLevel.FATAL, AlertDescription.HANDSHAKE_FAILURE)))
    encounter.run()
    error = encounter.error
    assert isinstance(error, PeerAlertError)
    assert [cause.fault for cause in error.causes] == ["RENEGOTIATION"]
    assert "asked for a renegotiation" in error.explanation


@pytest.mark.parametrize("kind", [11, 12, 14, 16, 20])
def test_going_on_all_the_same(meet: Meet, kind: int) -> None:
    """There is no state in which another handshake could begin."""
    encounter = meet()
    ask(encounter)
    encounter.peer.send_record(HANDSHAKE, handshake_message(kind, bytes(12)))
    refused(encounter.run(), Fault.UNEXPECTED_MESSAGE)


def test_change_cipher_spec_of_a_renegotiation(meet: Meet) -> None:
    encounter = meet()
    ask(encounter)
    encounter.peer.send_record(ContentType.CHANGE_CIPHER_SPEC, b"\1")
    refused(encounter.run(), Fault.UNEXPECTED_CHANGE_CIPHER_SPEC)


@pytest.mark.parametrize("body", [b"\0", bytes(100)])
def test_hello_request_that_is_none(meet_server: Meet, body: bytes) -> None:
    encounter = meet_server()
    encounter.peer.send_record(HANDSHAKE, handshake_message(0, body))
    refused(encounter.run(), Fault.DECODE_ERROR)


def test_client_hello_that_is_none(meet_client: Meet) -> None:
    encounter = meet_client()
    encounter.peer.send_record(HANDSHAKE, handshake_message(1, bytes(10)))
    refused(encounter.run(), Fault.DECODE_ERROR)


def test_the_wrong_way_round(meet_client: Meet, meet_server: Meet) -> None:
    """Only servers send HelloRequest, and only clients ClientHello."""
    encounter = meet_client()
    encounter.peer.send_record(HANDSHAKE, HELLO_REQUEST)
    refused(encounter.run(), Fault.UNEXPECTED_MESSAGE)
    encounter = meet_server()
    encounter.peer.send_record(HANDSHAKE, write_message(encounter.peer.client_hello))
    refused(encounter.run(), Fault.UNEXPECTED_MESSAGE)


# Again and again


def refused_after(encounter: Encounter, count: int, fault: Fault) -> None:
    """As `refused`, after so many warnings."""
    error = encounter.error
    assert isinstance(error, ProtocolError), error
    assert error.fault is fault
    assert encounter.peer.alerts == [DECLINED] * count + [(AlertLevel.FATAL, fault.alert)]
    assert not encounter.connection.established


def test_asking_up_to_the_limit(meet: Meet) -> None:
    encounter = meet()
    for _ in range(2):
        ask(encounter, LIMIT)
        encounter.run()
        exchange_data(encounter)
    assert encounter.peer.alerts == [DECLINED] * 2  # One for each read, whatever was asked in it.


def test_asking_without_end(meet: Meet) -> None:
    encounter = meet()
    ask(encounter, LIMIT + 1)
    refused(encounter.run(), Fault.RENEGOTIATION)


def test_asking_without_end_in_many_reads(meet: Meet) -> None:
    encounter = meet()
    for _ in range(LIMIT):
        ask(encounter)
        assert encounter.run().error is None
    ask(encounter)
    refused_after(encounter.run(), LIMIT, Fault.RENEGOTIATION)


def test_many_requests_in_one_record(meet_server: Meet) -> None:
    encounter = meet_server()
    encounter.peer.send_record(HANDSHAKE, HELLO_REQUEST * (LIMIT + 1))
    refused(encounter.run(), Fault.RENEGOTIATION)


def test_empty_data_does_not_pay_for_asking(meet: Meet) -> None:
    encounter = meet()
    for _ in range(LIMIT + 1):
        encounter.peer.send_data(b"")
        ask(encounter)
    refused(encounter.run(), Fault.RENEGOTIATION)


def test_a_peer_that_asks_and_never_reads_costs_no_memory(meet: Meet) -> None:
    """Between data there is no end to asking, but there is one to what waits for the peer."""
    encounter = meet()
    connection, peer = encounter.connection, encounter.peer
    for _ in range(20 * LIMIT):
        ask(encounter)
        peer.send_data(b"x")
        connection.receive_data(peer.take())
    assert peer._write is not None
    assert len(connection.data_to_send()) == len(peer._write.seal(21, b"\1\x64"))


def test_an_answer_goes_before_the_data(meet: Meet) -> None:
    encounter = meet()
    ask(encounter)
    encounter.connection.receive_data(encounter.peer.take())
    encounter.connection.send_data(b"data")
    encounter.run()
    assert encounter.peer.alerts == [DECLINED]
    assert encounter.peer.data == b"data"


def test_limit_is_that_of_the_config(pki: Pki, meet_client: Meet, meet_server: Meet) -> None:
    limits = Limits(max_messages_without_data=1)
    encounters = (
        meet_server(config=ClientConfig(trust=pki.trust, limits=limits)),
        meet_client(config=ServerConfig(credentials=pki.server(), limits=limits)),
    )
    for encounter in encounters:
        ask(encounter, 2)
        refused(encounter.run(), Fault.RENEGOTIATION)


def test_asked_after_this_side_has_closed(meet: Meet) -> None:
    """Nothing may follow a close_notify, not even a warning."""
    encounter = meet()
    encounter.connection.close()
    encounter.run()
    closed = (AlertLevel.WARNING, AlertDescription.CLOSE_NOTIFY)
    ask(encounter)
    encounter.run()
    assert encounter.error is None
    assert encounter.peer.alerts == [closed]


def test_this_side_never_asks(meet: Meet) -> None:
    encounter = meet()
    with pytest.raises(ConfigurationError):
        encounter.connection.update_keys()
    exchange_data(encounter)


# During the handshake


@pytest.mark.parametrize("step", ["server_hello", "certificate", "server_hello_done"])
def test_hello_request_during_the_handshake(client_refuses: ClientRefuses, step: str) -> None:
    """RFC 5246 7.4 has it "ignored by the client", as a SHOULD; here the order has no exception."""
    deviation: Change = lambda message: [message, Record(HANDSHAKE, HELLO_REQUEST)]  # noqa: E731
    client_refuses(Fault.UNEXPECTED_MESSAGE, **{step: deviation})


def test_hello_request_instead_of_a_server_hello(client_refuses: ClientRefuses) -> None:
    request = Record(HANDSHAKE, HELLO_REQUEST)
    client_refuses(Fault.UNEXPECTED_MESSAGE, server_hello=request)


def test_hello_request_instead_of_finished(client_refuses: ClientRefuses) -> None:
    request = Record(HANDSHAKE, HELLO_REQUEST)
    client_refuses(Fault.UNEXPECTED_MESSAGE, finished=request)


def test_second_hello_during_the_handshake(server_refuses: ServerRefuses) -> None:
    class Twice(ScriptedClient12):
        def client_key_exchange(self) -> Any:
            return Record(HANDSHAKE, write_message(self.client_hello))

        def after_client_key_exchange(self) -> None:
            pass

    order = ("client_key_exchange",)
    server_refuses(Fault.UNEXPECTED_MESSAGE, kind=Twice, order=order)


# Warnings

WARNINGS = [
    AlertDescription.NO_RENEGOTIATION_RESERVED,
    AlertDescription.UNRECOGNIZED_NAME,
    AlertDescription.NO_CERTIFICATE_RESERVED,
    AlertDescription.CERTIFICATE_EXPIRED,
    255,
]


@pytest.mark.parametrize("alert", WARNINGS)
def test_warning_is_tolerated(meet: Meet, meet_unfinished: Meet, alert: int) -> None:
    """RFC 5246 7.2.2: "generally the connection can continue normally"."""
    encounter = meet()
    encounter.peer.send_alert(AlertLevel.WARNING, alert)
    encounter.run()
    exchange_data(encounter)
    assert encounter.peer.alerts == []
    encounter = meet_unfinished()
    encounter.peer.send_alert(AlertLevel.WARNING, alert)
    encounter.peer.act(["finished"])
    encounter.run()
    assert encounter.connection.established


@pytest.mark.parametrize("level", [0, 2, 3, 255])
@pytest.mark.parametrize("alert", WARNINGS)
def test_fatal_alert_ends_it(meet: Meet, level: int, alert: int) -> None:
    encounter = meet()
    encounter.peer.send_alert(level, alert)
    encounter.run()
    assert isinstance(encounter.error, PeerAlertError)
    assert encounter.error.alert_number == alert
    assert encounter.peer.alerts == []
    assert not encounter.connection.established


@pytest.mark.parametrize("alert", WARNINGS)
def test_warning_flood(meet: Meet, alert: int) -> None:
    encounter = meet()
    for _ in range(IDLE_LIMIT):
        encounter.peer.send_alert(AlertLevel.WARNING, alert)
    assert encounter.run().error is None
    encounter.peer.send_alert(AlertLevel.WARNING, alert)
    refused(encounter.run(), Fault.TOO_MANY_RECORDS_WITHOUT_PROGRESS)


def test_warning_flood_in_the_handshake(meet_unfinished: Meet) -> None:
    encounter = meet_unfinished()
    for _ in range(IDLE_LIMIT + 1):
        encounter.peer.send_alert(AlertLevel.WARNING, AlertDescription.UNRECOGNIZED_NAME)
    refused(encounter.run(), Fault.TOO_MANY_RECORDS_WITHOUT_PROGRESS)


def test_warning_flood_before_the_server_hello(meet_server: Meet) -> None:
    encounter = meet_server(order=())
    for _ in range(IDLE_LIMIT + 1):
        encounter.peer.send_alert(AlertLevel.WARNING, AlertDescription.UNRECOGNIZED_NAME)
    refused(encounter.run(), Fault.TOO_MANY_RECORDS_WITHOUT_PROGRESS)


def test_warnings_and_empty_data_in_turn(meet: Meet) -> None:
    """Neither pays for the other."""
    encounter = meet()
    for _ in range(IDLE_LIMIT):
        encounter.peer.send_alert(AlertLevel.WARNING, AlertDescription.UNRECOGNIZED_NAME)
        encounter.peer.send_data(b"")
    refused(encounter.run(), Fault.TOO_MANY_RECORDS_WITHOUT_PROGRESS)


def test_data_pays_for_warnings(meet: Meet) -> None:
    encounter = meet()
    for _ in range(3):
        for _ in range(IDLE_LIMIT):
            encounter.peer.send_alert(AlertLevel.WARNING, AlertDescription.UNRECOGNIZED_NAME)
        encounter.peer.send_data(b"x")
    assert encounter.run().error is None


def test_warning_before_the_server_hello(meet_server: Meet) -> None:
    """RFC 6066 section 3: servers of TLS 1.2 may not know the name, and go on."""
    warning = Record(ALERT, bytes([AlertLevel.WARNING, AlertDescription.UNRECOGNIZED_NAME]))
    deviation: Change = lambda message: [warning, message]  # noqa: E731
    assert meet_server(server_hello=deviation).connection.established


@pytest.mark.parametrize("end", ["close", "reset", "close_notify"])
def test_a_warning_is_why_the_peer_ends_the_handshake(meet_server: Meet, end: str) -> None:
    """OpenSSL and Java say that they do not know the name, and some servers leave then."""
    encounter = meet_server(order=())
    encounter.peer.send_alert(AlertLevel.WARNING, AlertDescription.UNRECOGNIZED_NAME)
    if end == "close_notify":
        encounter.peer.send_alert(AlertLevel.WARNING, AlertDescription.CLOSE_NOTIFY)
    encounter.run()
    if end != "close_notify":
        with pytest.raises(PeerAlertError):
            encounter.connection.receive_eof(reset=end == "reset")
    assert isinstance(encounter.connection.failure, PeerAlertError)
    assert encounter.connection.failure.alert == "unrecognized_name"


def test_a_warning_after_which_the_handshake_went_on_is_not_why(meet_server: Meet) -> None:
    warning = Record(ALERT, bytes([AlertLevel.WARNING, AlertDescription.UNRECOGNIZED_NAME]))
    deviation: Change = lambda message: [warning, message]  # noqa: E731
    encounter = meet_server(server_hello=deviation, order=["server_hello"])
    with pytest.raises(TruncationError) as caught:
        encounter.connection.receive_eof()
    assert caught.value.fault is Fault.CLOSED_DURING_HANDSHAKE


@pytest.mark.parametrize("alert", [a for a in WARNINGS if a != AlertDescription.UNRECOGNIZED_NAME])
def test_other_warning_before_the_server_hello(meet_server: Meet, alert: int) -> None:
    """The version is open, and in TLS 1.3 it would be an error."""
    encounter = meet_server(order=())
    encounter.peer.send_alert(AlertLevel.WARNING, alert)
    encounter.run()
    assert isinstance(encounter.error, PeerAlertError)


def test_warning_for_a_client_of_tls13(pki: Pki, meet_server: Meet) -> None:
    config = ClientConfig(trust=pki.trust, versions=["TLSv1.3"])
    encounter = meet_server(config=config, order=())
    encounter.peer.send_alert(AlertLevel.WARNING, AlertDescription.UNRECOGNIZED_NAME)
    encounter.run()
    assert isinstance(encounter.error, PeerAlertError)


def test_warning_before_the_client_hello(server_config: ServerConfig, meet_client: Meet) -> None:
    warning = Record(ALERT, bytes([AlertLevel.WARNING, AlertDescription.UNRECOGNIZED_NAME]))
    encounter = meet_client(first_hello=warning)
    assert isinstance(encounter.error, PeerAlertError)


def test_user_canceled_flood(meet: Meet) -> None:
    encounter = meet()
    for _ in range(IDLE_LIMIT + 1):
        encounter.peer.send_alert(AlertLevel.WARNING, AlertDescription.USER_CANCELED)
    refused(encounter.run(), Fault.TOO_MANY_ALERTS)


def test_warning_inside_of_a_message(meet_server: Meet) -> None:
    encounter = meet_server()
    encounter.peer.send_record(HANDSHAKE, HELLO_REQUEST[:2])
    encounter.peer.send_alert(AlertLevel.WARNING, AlertDescription.UNRECOGNIZED_NAME)
    refused(encounter.run(), Fault.INTERLEAVED_RECORD)


def test_close_is_still_heard(meet: Meet) -> None:
    encounter = meet()
    ask(encounter)
    encounter.peer.send_alert(AlertLevel.WARNING, AlertDescription.CLOSE_NOTIFY)
    encounter.run()
    assert encounter.error is None
    assert encounter.events[-1] == PeerClosed()
