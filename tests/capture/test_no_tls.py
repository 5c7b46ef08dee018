"""One end speaks something else than TLS, or nothing: that is the cause of what follows."""

from __future__ import annotations

import pytest
from tests.capture.test_observe import ENDS, Captured, make_captured
from tests.pki import Pki

from handclasp import ClientConfig, ClientConnection, Recorder, ServerConfig, TLSError
from handclasp.capture.observe import Observation, observe
from handclasp.capture.secrets import KeyLog
from handclasp.capture.stream import CaptureError, Piece, Stream, StreamEnd
from handclasp.cli.outcome import failure_of
from handclasp.cli.report import diagnosis_lines, failure_lines
from handclasp.story.diagnosis import Diagnosis, diagnose
from handclasp.story.facts import observed_in
from handclasp.story.narrate import narrate
from handclasp.trace.events import BytesRefused
from handclasp.wire.records import PROXY_V2

HTTP = b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n"
SMTP = b"220 mail.example ESMTP\r\n"
SSH = b"SSH-2.0-OpenSSH_9.2\r\n"
PAGE = b'<!DOCTYPE HTML>\n<html lang="en">\n'
UNEXPECTED = b"\x15\x03\x03\x00\x02\x02\x0a"
CANCELED = b"\x15\x03\x03\x00\x02\x02\x5a"
SECOND = 10**9


@pytest.fixture(scope="session")
def pki() -> Pki:
    return Pki()


def heard_by(pki: Pki) -> Captured:
    """A client that has said its hello."""
    heard = make_captured(ClientConfig(trust=pki.trust), ServerConfig(credentials=pki.server()))
    heard._say(0, bytes(heard.client.data_to_send()))
    return heard


def told_of(observation: Observation) -> tuple[Diagnosis, str]:
    diagnosis = diagnose(observation.events)
    assert diagnosis is not None
    lines = diagnosis_lines(diagnosis)
    return diagnosis, "\n".join(f"{label}: {value}" for label, value in lines)


@pytest.mark.parametrize("alert", [UNEXPECTED, b"\x15\x03\x01\x00\x02\x02\x46", b""])
@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (HTTP, "PLAINTEXT_HTTP"),
        (PAGE, "PLAINTEXT_HTTP"),
        (SMTP, "NOT_TLS"),
        (SSH, "NOT_TLS"),
        (b"N", "NOT_TLS"),
    ],
)
def test_a_server_without_tls_is_the_cause(
    answer: bytes, fault: str, alert: bytes, pki: Pki
) -> None:
    heard = heard_by(pki)
    heard._say(1, answer)
    ending = StreamEnd(heard.pieces[-1].at_ns + 1, 1, "end")
    heard._say(0, alert)
    observation = observe(Stream(0, ENDS, tuple(heard.pieces), (ending,)), KeyLog())
    diagnosis, lines = told_of(observation)
    assert (diagnosis.fault, diagnosis.found_by) == (fault, "local")
    assert "at fault: the client, unless" in lines
    assert "defect" not in lines
    assert ("; alert" in lines) == bool(alert)
    assert diagnosis.evidence[0].octets == answer[:48]
    # The advice is for a client and for a server, and for each alone.
    assert "A client:" not in diagnosis.fix
    (refused,) = [each for each in observation.events if isinstance(each, BytesRefused)]
    assert refused.direction == "received"


@pytest.mark.parametrize("answer", [b"lhost0Y0\x13", HTTP])
def test_bytes_of_which_nobody_knows_whether_they_are_the_first(answer: bytes, pki: Pki) -> None:
    heard = heard_by(pki)
    heard._say(1, answer)
    pieces = tuple(heard.pieces)
    observation = observe(Stream(0, ENDS, pieces, starts=(True, False)), KeyLog())
    assert diagnose(observation.events) is None
    assert any("where the server's bytes begin" in each for each in observation.missing)
    assert diagnose(observe(Stream(0, ENDS, pieces), KeyLog()).events) is not None


@pytest.mark.parametrize("alert", [UNEXPECTED, b""])
def test_a_server_that_speaks_first(alert: bytes, pki: Pki) -> None:
    """Its greeting is no preamble: the client began with TLS, and nothing was agreed upon."""
    heard = heard_by(pki)
    greeting = Piece(heard.pieces[0].at_ns - 5, 1, SMTP)
    heard._say(0, alert)
    observation = observe(Stream(0, ENDS, (greeting, *heard.pieces)), KeyLog())
    diagnosis, lines = told_of(observation)
    assert diagnosis.fault == "NOT_TLS"
    assert "at fault: the client, unless" in lines
    assert not observation.missing


def test_the_bytes_stand_in_the_arrow_of_whoever_said_them(pki: Pki) -> None:
    heard = heard_by(pki)
    heard._say(1, HTTP)
    heard._say(0, UNEXPECTED)
    drawn = narrate(observe(heard.stream, KeyLog()).events).splitlines()
    where = next(at for at, line in enumerate(drawn) if "HTTP/1.1 400" in line)
    arrow = next(line for line in drawn[where:] if line.lstrip(" |").startswith(("<-", "--")))
    assert "<-" in arrow


def test_the_direction_stays_in_a_trace(pki: Pki) -> None:
    heard = heard_by(pki)
    heard._say(1, HTTP)
    recorder = Recorder()
    recorder.events = list(observe(heard.stream, KeyLog()).events)
    assert Recorder.from_json(recorder.to_json()).events == recorder.events
    # Traces of earlier versions do not have it.
    older = recorder.to_json().replace(', "direction": "received"', "")
    assert any(isinstance(e, BytesRefused) for e in Recorder.from_json(older).events)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            ("plain HTTP", "GET / HTTP/1.1", "https://"),
        ),
        (b"DELETE /x HTTP/1.1\r\n\r\n", ("plain HTTP", "https://")),
        (b"CONNECT a:443 HTTP/1.1\r\n\r\n", ("CONNECT", "proxy settings")),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 9 443\r\n", ("PROXY protocol", "Send no PROXY header")),
        (SSH, ("It is SSH",)),
        (b"\0\0\0\x08\x04\xd2\x16/", ("PostgreSQL",)),
        (b"\x05\x01\x00", ("SOCKS",)),
        (b"abcdefgh", ("abcdefgh",)),
    ],
)
def test_a_client_without_tls_at_a_server_with(said: bytes, words: tuple[str, ...]) -> None:
    pieces = (Piece(0, 0, said), Piece(5, 1, UNEXPECTED))
    with pytest.raises(CaptureError) as caught:
        observe(Stream(0, ENDS, pieces), KeyLog())
    told = str(caught.value)
    assert told.startswith("The client speaks no TLS")
    assert "the alert unexpected_message" in told
    assert all(word in told for word in words)
    assert ("Use https://" in told) == ("https://" in words)
    # Where the beginning is not in the capture, nobody knows what came before.
    with pytest.raises(CaptureError, match="begins in the middle"):
        observe(Stream(0, ENDS, pieces, begins=False), KeyLog())


@pytest.mark.parametrize("size", range(1, 11))
def test_a_hello_that_ends_within_its_head(size: int) -> None:
    client = ClientConnection(ClientConfig(), server_name="localhost")
    piece = Piece(0, 0, bytes(client.data_to_send()[:size]))
    with pytest.raises(
        CaptureError, match=r"^The first bytes may be those of a ClientHello, which"
    ):
        observe(Stream(0, ENDS, (piece,)), KeyLog())
    with pytest.raises(CaptureError, match="in the middle"):
        observe(Stream(0, ENDS, (piece,), begins=False), KeyLog())


def test_a_server_that_gives_up_a_client_that_says_nothing() -> None:
    alert = Piece(0, 1, b"\x15\x03\x03\x00\x02\x02\x32")
    with pytest.raises(CaptureError) as caught:
        observe(Stream(0, ENDS, (alert,)), KeyLog())
    assert str(caught.value) == (
        "There are records of TLS on this connection, and no ClientHello was found among them. "
        f"Only {ENDS[1]} has said something: the alert decode_error."
    )
    with pytest.raises(CaptureError, match="begins in the middle"):
        observe(Stream(0, ENDS, (alert,), begins=False), KeyLog())


STARTUP = b"\0\0\0\x08\0\x03\0\0user\0"


@pytest.mark.parametrize(
    ("answer", "more", "words"),
    [
        (b"", b"", "No answer of the server is recorded."),
        (b"N", b"", "The server says no (N)."),
        (b"NR\0", STARTUP, "The server says no (N), and the client goes on in the clear."),
        (b"S", b"", "The server says yes (S), and no ClientHello follows."),
        (b"E\0\0\0\x0fSFATAL\0\0", b"", "The server answers with an error (E)"),
        (b"\x15", b"", "neither yes (S) nor no (N). An alert of TLS begins like this"),
        (
            b"HTTP/1.1 400",
            b"",
            "answers with b'HTTP/1.1 400', which is neither yes (S) nor no (N).",
        ),
    ],
)
def test_a_server_that_does_not_begin_tls_for_postgresql(
    answer: bytes, more: bytes, words: str
) -> None:
    request = b"\0\0\0\x08\x04\xd2\x16/"
    pieces = (Piece(0, 0, request), Piece(1, 1, answer), Piece(2, 0, more))
    with pytest.raises(CaptureError) as caught:
        observe(Stream(0, ENDS, tuple(each for each in pieces if each.data)), KeyLog())
    told = str(caught.value)
    # Nobody has left, so that TLS may still begin.
    begins = "There is no TLS in what was captured of this connection. PostgreSQL: the client asks"
    assert told.startswith(begins)
    assert words in told


ASKS_KERBEROS = b"\0\0\0\x08\x04\xd2\x160"
ASKS_TLS = b"\0\0\0\x08\x04\xd2\x16/"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ([(0, ASKS_KERBEROS), (1, b"G"), (0, b"\0\0\2`")], "yes (G), and what follows is not TLS."),
        ([(0, ASKS_KERBEROS)], "No answer of the server is recorded."),
        ([(0, ASKS_KERBEROS), (1, b"N")], "The server says no (N)."),
        ([(0, ASKS_KERBEROS), (1, b"N"), (0, STARTUP)], "no (N), and the client goes on in the"),
        ([(0, ASKS_KERBEROS), (1, b"E\0\0\0\x0f")], "in place of yes (G) or no (N)"),
        ([(0, ASKS_KERBEROS), (1, b"N"), (0, ASKS_TLS), (1, b"N")], "The server says no (N)."),
        ([(0, ASKS_KERBEROS), (1, b"N"), (0, ASKS_TLS), (1, b"S")], "says yes (S), and no Cli"),
        ([(0, ASKS_KERBEROS), (1, b"N"), (0, ASKS_TLS)], "No answer of the server is recorded."),
    ],
)
def test_a_client_of_postgresql_with_a_kerberos_ticket(
    said: list[tuple[int, bytes]], words: str
) -> None:
    pieces = tuple(Piece(at, sender, data) for at, (sender, data) in enumerate(said))
    with pytest.raises(CaptureError) as caught:
        observe(Stream(0, ENDS, pieces), KeyLog())
    told = str(caught.value)
    assert "PostgreSQL: the client asks for encryption by Kerberos (GSSENCRequest)" in told
    assert ("then for TLS (SSLRequest)" in told) is ((0, ASKS_TLS) in said)
    assert words in told


def test_tls_after_a_request_for_kerberos(pki: Pki) -> None:
    heard = heard_by(pki)
    begin = heard.pieces[0].at_ns - 5
    said = ((0, ASKS_KERBEROS), (1, b"N"), (0, ASKS_TLS), (1, b"S"))
    before = tuple(Piece(begin + at, *each) for at, each in enumerate(said))
    observation = observe(Stream(0, ENDS, (*before, *heard.pieces)), KeyLog())
    [told] = [each for each in observation.missing if "before TLS" in each]
    assert "(PostgreSQL, GSSENCRequest and SSLRequest)" in told


@pytest.mark.parametrize("header", [b"PROXY TCP4 1.2.3.4 5.6.7.8 9 443\r\n", PROXY_V2, b""])
@pytest.mark.parametrize("answer", [HTTP, b"end", b"reset"])
def test_a_header_that_the_server_may_not_expect(header: bytes, answer: bytes, pki: Pki) -> None:
    heard = heard_by(pki)
    before = (Piece(heard.pieces[0].at_ns - 5, 0, header),) if header else ()
    endings: tuple[StreamEnd, ...] = ()
    if answer is HTTP:
        heard._say(1, answer)
    else:
        endings = (StreamEnd(heard.pieces[-1].at_ns + 1, 1, answer.decode()),)
    observation = observe(Stream(0, ENDS, (*before, *heard.pieces), endings), KeyLog())
    diagnosis, lines = told_of(observation)
    told = "perhaps the server does not expect it"
    assert (told in diagnosis.cause) == bool(header)
    assert ("send none" in lines) == ("expect it on this port" in lines) == bool(header)
    assert ("Enable TLS on this port" in lines) == (answer is HTTP and not header)
    if header:
        assert "at fault: unclear" in lines


def test_a_header_that_the_server_took(pki: Pki) -> None:
    heard = heard_by(pki)
    before = Piece(heard.pieces[0].at_ns - 5, 0, PROXY_V2)
    heard.server.receive_data(b"".join(piece.data for piece in heard.pieces))
    heard._say(1, bytes(heard.server.data_to_send()))
    ending = StreamEnd(heard.pieces[-1].at_ns + 1, 1, "reset")
    stream = Stream(0, ENDS, (before, *heard.pieces), (ending,))
    diagnosis = diagnose(observe(stream, heard.keylog).events)
    assert diagnosis is not None
    assert "does not expect it" not in diagnosis.cause


@pytest.mark.parametrize("with_end", [True, False])
@pytest.mark.parametrize(("seconds", "blame"), [(1, "the server"), (0.25, "unclear")])
def test_a_client_that_gave_up_on_a_silent_server(
    seconds: float, blame: str, *, with_end: bool, pki: Pki
) -> None:
    heard = heard_by(pki)
    at = heard.pieces[-1].at_ns + int(seconds * SECOND)
    pieces = (*heard.pieces, Piece(at, 0, CANCELED))
    endings = (StreamEnd(at + 5, 0, "end"),) if with_end else ()
    observation = observe(Stream(0, ENDS, pieces, endings), KeyLog())
    diagnosis, lines = told_of(observation)
    assert diagnosis.fault == "HANDSHAKE_TIMEOUT"
    how_long = f"{seconds:.1f} s"
    assert f"the client gave up after {how_long}; the server had said nothing)" in diagnosis.cause
    assert f"at fault: {blame}" in lines
    observed = observed_in(observation.events)
    assert observed is not None
    assert observed.outcome == "failed"


def test_a_client_that_gave_up_on_an_answer(pki: Pki) -> None:
    """It was the client's turn: its user, or its program, broke off."""
    heard = heard_by(pki)
    heard.server.receive_data(b"".join(piece.data for piece in heard.pieces))
    heard._say(1, bytes(heard.server.data_to_send()))
    heard._say(0, CANCELED)
    diagnosis, lines = told_of(observe(heard.stream, heard.keylog))
    assert diagnosis.fault == "PEER_USER_CANCELED"
    assert "at fault: the client" in lines


@pytest.mark.parametrize("how", ["end", "reset"])
def test_no_alert_is_told_of_that_was_not_sent(how: str, pki: Pki) -> None:
    heard = heard_by(pki)
    ending = StreamEnd(heard.pieces[-1].at_ns + 1, 1, how)
    observation = observe(Stream(0, ENDS, tuple(heard.pieces), (ending,)), KeyLog())
    diagnosis, lines = told_of(observation)
    assert diagnosis.alert == ""
    assert f"found: by the client ({diagnosis.fault})" in lines
    with pytest.raises(TLSError) as caught:
        heard.client.receive_eof(reset=how == "reset")
    assert caught.value.alert == ""
    of_trace, lines = told_of(Observation(tuple(heard.notes.events), 0, None, ()))
    assert f"found: by the client ({of_trace.fault})" in lines
    failure = failure_of(caught.value, "localhost", 443)
    assert failure.to_json()["alert"] is None
    assert failure_lines(failure)[0] == ("found", f"by this side ({caught.value.fault_name})")


@pytest.mark.parametrize(
    ("asked", "said", "refuses"),
    [
        (b"EHLO x\r\nSTARTTLS\r\n", b"220 mail SMTP\r\n250 ok\r\n454 TLS not available\r\n", True),
        (b"STLS\r\n", b"+OK ready\r\n-ERR no TLS\r\n", True),
        (b"a STARTTLS\r\n", b"* OK ready\r\na NO not now\r\n", True),
        (b"EHLO x\r\nSTARTTLS\r\n", b"220 mail SMTP\r\n250 ok\r\n220 go ahead\r\n", False),
    ],
)
def test_a_server_that_refuses_to_begin_tls(
    asked: bytes, said: bytes, pki: Pki, *, refuses: bool
) -> None:
    heard = heard_by(pki)
    at = heard.pieces[0].at_ns
    before = (Piece(at - 9, 0, asked), Piece(at - 5, 1, said))
    heard._say(1, b"500 what\r\n")
    diagnosis, lines = told_of(observe(Stream(0, ENDS, (*before, *heard.pieces)), KeyLog()))
    assert diagnosis.fault == "NOT_TLS"
    assert ("the server had refused to begin TLS" in diagnosis.cause) == refuses
    assert ("at fault: the server" in lines) == refuses
    if refuses:
        assert said.splitlines()[-1].decode() in diagnosis.cause
        assert "STARTTLS" not in diagnosis.fix
