"""An end that closes in the middle of the handshake is the failure, whatever the other says of it.

OpenSSL answers the end of the transport with decode_error, and Java with handshake_failure. The
bytes are those of our own ends, cut where the one that closes stops.
"""

from __future__ import annotations

import pytest
from tests.capture.test_observe import ENDS, Captured, make_captured
from tests.capture.test_siblings import after, closed
from tests.pki import Pki

from handclasp import ClientConfig, PeerAlertError, ServerConfig
from handclasp.capture.observe import observe
from handclasp.capture.secrets import KeyLog
from handclasp.capture.stream import Piece, Stream, StreamEnd
from handclasp.iana import AlertDescription
from handclasp.story.diagnosis import Diagnosis, diagnose

VERSIONS = pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
AT_AN_END = pytest.mark.parametrize(
    "alert", ["DECODE_ERROR", "UNEXPECTED_MESSAGE", "HANDSHAKE_FAILURE", "INTERNAL_ERROR"]
)


def sent(name: str) -> bytes:
    return b"\x15\x03\x03\x00\x02" + bytes([2, AlertDescription[name]])


@pytest.fixture(scope="session")
def pki() -> Pki:
    return Pki()


def begun(pki: Pki, version: str) -> Captured:
    """A client that has said its hello."""
    client = ClientConfig(trust=pki.trust, versions=[version])
    heard = make_captured(client, ServerConfig(credentials=pki.server()))
    heard._say(0, bytes(heard.client.data_to_send()))
    return heard


def answer_to(heard: Captured) -> bytes:
    heard.server.receive_data(b"".join(piece.data for piece in heard.pieces))
    return bytes(heard.server.data_to_send())


def told(
    heard: Captured, closer: int, alert: bytes, keylog: KeyLog, *, alert_first: bool = False
) -> Diagnosis:
    """What is told when one end has closed, and the other sends an alert after that."""
    pieces, last = list(heard.pieces), heard.pieces[-1].at_ns
    ending = StreamEnd(last + 10, closer, "end")
    pieces.append(Piece(last + (5 if alert_first else 20), 1 - closer, alert))
    diagnosis = diagnose(observe(Stream(0, ENDS, tuple(pieces), (ending,)), keylog).events)
    assert diagnosis is not None
    return diagnosis


def first_records(data: bytes, count: int) -> bytes:
    at = 0
    for _ in range(count):
        at += 5 + int.from_bytes(data[at + 3 : at + 5], "big")
    return data[:at]


@AT_AN_END
@VERSIONS
@pytest.mark.parametrize("records", [0, 1, 3])
@pytest.mark.parametrize("keyed", [True, False])
def test_a_server_that_closes(
    version: str, alert: str, records: int, *, keyed: bool, pki: Pki
) -> None:
    heard = begun(pki, version)
    heard._say(1, first_records(answer_to(heard), records if version == "TLSv1.3" else records > 0))
    keylog = heard.keylog if keyed else KeyLog()
    diagnosis = told(heard, 1, sent(alert), keylog)
    assert (diagnosis.fault, diagnosis.found_by) == ("CLOSED_DURING_HANDSHAKE", "local")
    assert diagnosis.blame.value == "peer"
    assert "defect" not in diagnosis.condition + diagnosis.fix


@AT_AN_END
def test_a_client_that_closes_in_its_hello(alert: str, pki: Pki) -> None:
    heard = begun(pki, "TLSv1.3")
    heard.pieces[:] = [Piece(0, 0, heard.pieces[0].data[:100])]
    diagnosis = told(heard, 0, sent(alert), KeyLog())
    assert (diagnosis.fault, diagnosis.found_by) == ("CLOSED_DURING_HANDSHAKE", "local")
    assert "without a word" not in diagnosis.condition


@AT_AN_END
@VERSIONS
def test_a_client_that_closes_in_its_turn(version: str, alert: str, pki: Pki) -> None:
    heard = begun(pki, version)
    heard._say(1, answer_to(heard))
    said = sent(alert) if version == "TLSv1.2" else closed(19)
    diagnosis = told(heard, 0, said, KeyLog())
    assert (diagnosis.fault, diagnosis.found_by) == ("CLOSED_DURING_HANDSHAKE", "local")
    assert "alert" not in diagnosis.condition


def test_a_hidden_alert_before_the_end_is_the_reason() -> None:
    diagnosis = diagnose(after((0, closed(19)), by=1).events)
    assert diagnosis is not None
    assert diagnosis.condition.startswith("the client gave up")


@AT_AN_END
def test_an_alert_before_the_end_is_the_failure(alert: str, pki: Pki) -> None:
    heard = begun(pki, "TLSv1.2")
    heard._say(1, answer_to(heard))
    diagnosis = told(heard, 1, sent(alert), KeyLog(), alert_first=True)
    assert diagnosis.fault == f"PEER_{alert}"


def test_a_client_that_has_said_all_may_close(pki: Pki) -> None:
    """As `nc -N` does: it is the server's turn, and what it says is the reason."""
    diagnosis = told(begun(pki, "TLSv1.3"), 0, sent("HANDSHAKE_FAILURE"), KeyLog())
    assert diagnosis.fault == "PEER_HANDSHAKE_FAILURE"


@VERSIONS
def test_an_alert_about_something_else_stays_the_failure(version: str, pki: Pki) -> None:
    heard = begun(pki, version)
    heard._say(1, answer_to(heard))
    diagnosis = told(heard, 1, sent("UNKNOWN_CA"), KeyLog())
    assert diagnosis.fault == "PEER_UNKNOWN_CA"


CANCELED = b"\x15\x03\x03\x00\x02\x01\x5a"
CLOSED = b"\x15\x03\x03\x00\x02\x01\x00"


@pytest.mark.parametrize("alerts", [CANCELED, CANCELED + CLOSED])
def test_a_server_that_cancels(alerts: bytes, pki: Pki) -> None:
    heard = begun(pki, "TLSv1.3")
    heard._say(1, alerts)
    stream = Stream(0, ENDS, tuple(heard.pieces), (StreamEnd(heard.pieces[-1].at_ns, 1, "end"),))
    diagnosis = diagnose(observe(stream, KeyLog()).events)
    assert diagnosis is not None
    assert (diagnosis.fault, diagnosis.blame.value) == ("PEER_USER_CANCELED", "peer")


def test_a_client_that_cancels_at_once_has_not_waited(pki: Pki) -> None:
    heard = begun(pki, "TLSv1.3")
    heard._say(0, CANCELED)
    diagnosis = diagnose(observe(heard.stream, KeyLog()).events)
    assert diagnosis is not None
    assert (diagnosis.fault, diagnosis.blame.value) == ("PEER_USER_CANCELED", "peer")


def test_a_peer_that_cancels_is_told_live(pki: Pki) -> None:
    heard = begun(pki, "TLSv1.3")
    with pytest.raises(PeerAlertError) as caught:
        heard.client.receive_data(CANCELED + CLOSED)
    assert caught.value.alert == "user_canceled"


@pytest.mark.parametrize("answer", [b"\x05\xff", b"N", b"\x80\x2e\x01", b"HTTP"])
def test_no_byte_is_made_up(answer: bytes, pki: Pki) -> None:
    """Fewer than a record's header has are told as they are."""
    heard = begun(pki, "TLSv1.3")
    heard._say(1, answer)
    diagnosis = diagnose(observe(heard.stream, KeyLog()).events)
    assert diagnosis is not None
    assert repr(answer) in diagnosis.cause
    assert diagnosis.evidence[0].octets == answer


@pytest.mark.parametrize("first", ["ACCESS_DENIED", "BAD_CERTIFICATE"])
def test_of_two_alerts_one_is_told(first: str, pki: Pki) -> None:
    """GnuTLS sends two; all that is told is about the one that is named."""
    heard = begun(pki, "TLSv1.3")
    second = {"ACCESS_DENIED": "BAD_CERTIFICATE", "BAD_CERTIFICATE": "ACCESS_DENIED"}[first]
    heard._say(1, sent(first) + sent(second))
    diagnosis = diagnose(observe(heard.stream, KeyLog()).events)
    assert diagnosis is not None
    assert diagnosis.alert == first.lower()
    assert diagnosis.evidence[0].octets == bytes([2, AlertDescription[first]])
