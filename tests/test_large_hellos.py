"""A hello of several packets: where the server gives no other reason, it may be the cause."""

from __future__ import annotations

import pytest
from tests.capture.test_no_tls import told_of
from tests.capture.test_observe import ENDS, make_captured
from tests.pki import Pki

from handclasp import ClientConfig, ClientConnection, Fault, ServerConfig, TLSError
from handclasp.advice import worded
from handclasp.capture.observe import observe
from handclasp.capture.secrets import KeyLog
from handclasp.capture.stream import Piece, Stream, StreamEnd

SUSPECTED = "cannot take such a hello"
ADVISED = "offer X25519 as the only group"
DECODE_ERROR = b"\x15\x03\x03\x00\x02\x02\x32"
HANDSHAKE_FAILURE = b"\x15\x03\x03\x00\x02\x02\x28"
GROUPS: list[tuple[list[str], bool]] = [
    (["X25519MLKEM768", "X25519"], True),
    (["X25519", "X25519MLKEM768"], False),  # Without a share of the hybrid.
    (["X25519"], False),
]


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


def config_of(groups: list[str]) -> ClientConfig:
    shares = groups if groups[0] != "X25519" else ["X25519"]
    return ClientConfig(groups=groups, key_shares=shares)


def failure_of(client: ClientConnection, answer: bytes) -> TLSError:
    if answer == b"silence":
        return client.abort(Fault.HANDSHAKE_TIMEOUT)
    with pytest.raises(TLSError) as caught:
        if answer in (b"end", b"reset"):
            client.receive_eof(reset=answer == b"reset")
        else:
            client.receive_data(answer)
    return caught.value


@pytest.mark.parametrize(("groups", "is_large"), GROUPS)
@pytest.mark.parametrize("answer", [b"end", b"reset", b"silence", DECODE_ERROR, HANDSHAKE_FAILURE])
def test_a_client(groups: list[str], answer: bytes, *, is_large: bool) -> None:
    client = ClientConnection(config_of(groups), server_name="localhost")
    assert (len(client.data_to_send()) > 1400) == is_large
    error = failure_of(client, answer)
    is_suspected = is_large and answer != HANDSHAKE_FAILURE
    assert (SUSPECTED in str(error)) == is_suspected, str(error)
    assert (f"{ADVISED} (--group X25519)" in worded(error.fix, "connect")) == is_suspected


@pytest.mark.parametrize(("groups", "is_large"), GROUPS)
@pytest.mark.parametrize("answer", [b"end", b"reset", DECODE_ERROR])
def test_a_capture(groups: list[str], answer: bytes, pki: Pki, *, is_large: bool) -> None:
    heard = make_captured(config_of(groups), ServerConfig(credentials=pki.server()))
    heard._say(0, bytes(heard.client.data_to_send()))
    at = heard.pieces[-1].at_ns + 1
    pieces = tuple(heard.pieces)
    endings: tuple[StreamEnd, ...] = ()
    if answer == DECODE_ERROR:
        pieces += (Piece(at, 1, answer),)
    else:
        endings = (StreamEnd(at, 1, answer.decode()),)
    diagnosis, _ = told_of(observe(Stream(0, ENDS, pieces, endings), KeyLog()))
    assert (SUSPECTED in diagnosis.cause) == is_large
    assert (ADVISED in diagnosis.fix) == is_large


@pytest.mark.parametrize("answer", [b"end", b"reset", b"silence"])
def test_a_server_that_has_answered_read_the_hello(answer: bytes, pki: Pki) -> None:
    heard = make_captured(config_of(["X25519MLKEM768"]), ServerConfig(credentials=pki.server()))
    heard.server.receive_data(heard.client.data_to_send())
    heard.client.receive_data(heard.server.data_to_send()[:200])
    assert SUSPECTED not in str(failure_of(heard.client, answer))
