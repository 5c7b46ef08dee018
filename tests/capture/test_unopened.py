"""Connections on which nothing is said, or plain HTTP: who did not answer, or what to change."""

from __future__ import annotations

import pytest
from tests.capture.test_observe import ENDS

from handclasp.capture.observe import observe
from handclasp.capture.secrets import KeyLog
from handclasp.capture.segment import Segment
from handclasp.capture.segments import put_together
from handclasp.capture.stream import CaptureError, Piece, Stream, StreamEnd

SYN = Segment(0, 0, sequence=99, syn=True)
AGAIN = Segment(9, 0, sequence=99, syn=True)
SYN_ACK = Segment(1, 1, sequence=499, acknowledged=100, syn=True)
ACK = Segment(2, 0, sequence=100, acknowledged=500)


def told_of(stream: Stream) -> str:
    with pytest.raises(CaptureError) as caught:
        observe(stream, KeyLog())
    return str(caught.value)


@pytest.mark.parametrize(
    ("segments", "says"),
    [
        ([SYN, AGAIN], "No answer of"),
        ([SYN, SYN_ACK, ACK], "Perhaps the client waited for a greeting"),
    ],
)
def test_nothing_was_said(segments: list[Segment], says: str) -> None:
    stream = put_together(0, ENDS, segments)
    told = told_of(stream)
    assert says in told
    assert (str(ENDS[1]) in told) == ("No answer" in says)


@pytest.mark.parametrize("opened", [True, False])
def test_a_reset(*, opened: bool) -> None:
    ending = StreamEnd(1, 1, "reset")
    told = told_of(Stream(0, ENDS, (), (ending,), unopened=None if opened else 0))
    assert ("nothing listens at" in told) == (not opened)
    assert ("it was reset (TCP RST)" in told) == opened


@pytest.mark.parametrize(
    ("answer", "is_known"),
    [
        (b"<h1>The plain HTTP request was sent to HTTPS port</h1>", True),
        (b"Reason: You're speaking plain HTTP to an SSL-enabled server port.", True),
        (b"Client sent an HTTP request to an HTTPS server.", True),
        (b"<h1>no such host</h1>", False),
    ],
)
def test_plain_http_at_a_port_for_https(answer: bytes, *, is_known: bool) -> None:
    pieces = (
        Piece(0, 0, b"GET / HTTP/1.1\r\n\r\n"),
        Piece(5, 1, b"HTTP/1.1 400 Bad Request\r\n\r\n" + answer),
    )
    told = told_of(Stream(0, ENDS, pieces))
    assert ("Use https://" in told) == is_known
    assert "GET / HTTP/1.1" in told
