"""Which conversation of a capture is told where none was asked for."""

from __future__ import annotations

import pytest

from handclasp.capture.choice import first_of_tls
from handclasp.capture.stream import Address, CaptureError, Piece, Stream

ENDS = Address("192.0.2.1", 49152), Address("192.0.2.2", 443)
HELLO = b"\x16\x03\x01\x00\x06\x01\x00\x00\x02\x03\x03"
ANSWER = b"\x16\x03\x03\x00\x06\x02\x00\x00\x02\x03\x03"


def stream(client: bytes = b"", server: bytes = b"", missing: int = 0) -> Stream:
    pieces = (Piece(0, 0, client, 0), Piece(1, 1, server, missing))
    return Stream(0, ENDS, tuple(piece for piece in pieces if piece.data or piece.missing))


def test_the_first_whole_one_before_others() -> None:
    whole, gap = stream(HELLO, ANSWER), stream(HELLO, ANSWER, 5)
    late, other = stream(server=ANSWER), stream(b"GET / HTTP/1.0", b"HTTP/1.0 200 OK")
    broken = CaptureError("packets were cut off")
    assert first_of_tls({0: broken, 1: other, 2: late, 3: gap, 4: whole, 5: whole}) == 4
    assert first_of_tls({0: late, 7: gap, 8: gap}) == 7
    assert first_of_tls({0: other, 3: late, 4: late}) == 3
    assert first_of_tls({0: gap, 1: late}) == 0


def test_why_there_is_none() -> None:
    other = stream(b"GET / HTTP/1.0", b"HTTP/1.0 200 OK")
    with pytest.raises(CaptureError, match="None of its 1 TCP connections begins with"):
        first_of_tls({0: other})
    broken = CaptureError("packets were cut off")
    with pytest.raises(CaptureError, match=r"1 cannot be read, .* because: packets were cut off"):
        first_of_tls({0: other, 1: broken})
