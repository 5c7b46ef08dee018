"""What tshark prints, read without it; with it, see test_explain.py and tests/capture."""

from __future__ import annotations

import pytest

from handclasp.capture.stream import Address, CaptureError, Ending, Piece
from handclasp.cli.tshark import Found, found_in, stream_in

CLIENT, SERVER = Address("192.0.2.1", 49152), Address("2001:db8::1", 443)
PACKETS = """\
0|1795881601.715776885|192.0.2.1|||2001:db8::1|49152|443|0|0
0|1795881602.5||2001:db8::1|192.0.2.1||443|49152|True|False
4|7.000000001|10.0.0.9,192.0.2.1||10.0.0.8,192.0.2.2||1,49152|2,443|0|1
"""
FOLLOWED = """
peers:
  - peer: 0
    host: 192.0.2.1
    port: 49152
  - peer: 1
    host: '2001:db8::1'
    port: 443
packets:
  - packet: 4
    peer: 0
    timestamp: 1795881601.715776920
    data: !!binary |
      aGVs
      bG8=
  - packet: 5
    peer: 1
    timestamp: 1795881602.5
    data: !!binary |
      d29ybGQ=
"""
MISSING = "WzEyMyBieXRlcyBtaXNzaW5nIGluIGNhcHR1cmUgZmlsZV0="
"""[123 bytes missing in capture file]"""


def test_packets() -> None:
    first, second = found_in(PACKETS)
    assert (first.number, first.ends, first.packets) == (0, (CLIENT, SERVER), 2)
    assert first.endings == [(1_795_881_602_500_000_000, SERVER, "end")]
    assert (second.number, second.packets) == (4, 1)
    assert second.ends == (CLIENT, Address("192.0.2.2", 443))
    assert second.endings == [(7_000_000_001, CLIENT, "reset")]


@pytest.mark.parametrize(
    ("printed", "broken"),
    [
        ("|443|", "|65536|"),
        ("|443|", "|-1|"),
        ("|443|", "|4_4|"),
        ("|443|", "|\u0664|"),
        ("|443|", "||"),
        ("|443|", "|443|443|"),
        ("\n0|", "\n-1|"),
        ("1795881601.", "-5."),
        ("1795881601.", "253402300800."),
        ("715776885", "7 15"),
        ("1795881601.715776885", "1.7e9"),
    ],
)
def test_packets_that_nobody_understands(printed: str, broken: str) -> None:
    assert printed in f"\n{PACKETS}"
    with pytest.raises(CaptureError, match="not understood"):
        found_in(f"\n{PACKETS}".replace(printed, broken).removeprefix("\n"))


def test_a_conversation() -> None:
    found = Found(3, (CLIENT, SERVER), endings=[(9, SERVER, "end"), (9, Address("::", 1), "end")])
    stream = stream_in(FOLLOWED, found)
    assert (stream.number, stream.ends) == (3, (CLIENT, SERVER))
    assert stream.pieces == (
        Piece(1_795_881_601_715_776_920, 0, b"hello"),
        Piece(1_795_881_602_500_000_000, 1, b"world"),
    )
    assert stream.endings == (Ending(9, 1, "end"),)


@pytest.mark.parametrize(
    ("printed", "broken"),
    [
        ("    peer: 1", "    peer: 2"),
        ("    peer: 1", "    peer: -1"),
        ("    peer: 1", "    nobody: 1"),
        ("port: 443", "port: 65536"),
        ("port: 443", "port: https"),
        ("    host: 192.0.2.1\n", ""),
        ("timestamp: 1795881602.5", "timestamp: -1.5"),
        ("d29ybGQ=", "d29ybGQ"),
        ("d29ybGQ=", "d29\u00fcGQ="),
        ("packets:", "  - peer: 2\n    host: 192.0.2.3\n    port: 1\npackets:"),
    ],
)
def test_a_conversation_that_nobody_understands(printed: str, broken: str) -> None:
    assert printed in FOLLOWED
    with pytest.raises(CaptureError, match="not understood"):
        stream_in(FOLLOWED.replace(printed, broken), Found(0, (CLIENT, SERVER)))


def test_a_gap() -> None:
    with pytest.raises(CaptureError, match="123 bytes of this connection are missing"):
        stream_in(FOLLOWED.replace("d29ybGQ=", MISSING), Found(0, (CLIENT, SERVER)))
