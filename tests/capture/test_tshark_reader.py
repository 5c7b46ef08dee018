"""What tshark prints, read without it; with it, see test_explain.py and tests/capture."""

from __future__ import annotations

from pathlib import Path

import pytest

from handclasp.capture import tshark
from handclasp.capture.stream import Address, CaptureError, Piece, Stream, StreamEnd
from handclasp.capture.tshark import Found, found_in, stream_in

CLIENT, SERVER = Address("192.0.2.1", 49152), Address("2001:db8::1", 443)
PACKETS = """\
0|1795881601.715776885|192.0.2.1|||2001:db8::1|49152|443
0|1795881602.5||2001:db8::1|192.0.2.1||443|49152
4|7.000000001|10.0.0.9,192.0.2.1||10.0.0.8,192.0.2.2||1,49152|2,443
"""
SEGMENTS = """\
3|1795881601.715776920|192.0.2.1|||2001:db8::1|49152|443|0x0002|4294967295|0|0|
3|1795881601.8||2001:db8::1|192.0.2.1||443|49152|0x0012|7|0|0|
3|1795881601.9|192.0.2.1|||2001:db8::1|49152|443|0x0018|0|8|5|68656c6c6f
3|1795881602.5||2001:db8::1|192.0.2.1||443|49152|0x0018|8|5|5|776f726c64
3|1795881602.6||2001:db8::1|192.0.2.1||443|49152|0x0011|13|5|0|
"""


def test_packets() -> None:
    first, second = found_in(PACKETS)
    assert (first.number, first.ends, first.packets) == (0, (CLIENT, SERVER), 2)
    assert (second.number, second.packets) == (4, 1)
    assert second.ends == (CLIENT, Address("192.0.2.2", 443))


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
    changed = f"\n{PACKETS}".replace(printed, broken).removeprefix("\n")
    odd = changes_in(PACKETS, changed)
    with pytest.raises(CaptureError, match="not understood"):
        found_in("\n".join(odd))
    # One of them does not hide the others.
    kept = [line for line in PACKETS.splitlines() if line in changed.splitlines()]
    assert sum(each.packets for each in found_in(changed)) == len(kept) == 3 - len(odd)


def changes_in(before: str, after: str) -> list[str]:
    """The lines that are others now."""
    return [line for line in after.splitlines() if line not in before.splitlines()]


def lines_of(printed: str) -> list[str]:
    return printed.splitlines()


def test_a_conversation() -> None:
    stream = stream_in(lines_of(SEGMENTS), Found(3, (CLIENT, SERVER)))
    assert (stream.number, stream.ends) == (3, (CLIENT, SERVER))
    assert stream.pieces == (
        Piece(1_795_881_601_900_000_000, 0, b"hello"),
        Piece(1_795_881_602_500_000_000, 1, b"world"),
    )
    assert stream.endings == (StreamEnd(1_795_881_602_600_000_000, 1, "end"),)


@pytest.mark.parametrize(
    ("printed", "broken"),
    [
        ("|443|49152|0x0018|8", "|444|49152|0x0018|8"),
        ("192.0.2.1|||2001:db8::1|49152|443|0x0018", "192.0.2.9|||2001:db8::1|49152|443|0x0018"),
        ("|0x0018|0|", "|24x|0|"),
        ("|0x0018|0|", "|-1|0|"),
        ("|0x0018|0|", "||0|"),
        ("|0|8|5|", "|4294967296|8|5|"),
        ("|0|8|5|", "|0||5|"),
        ("|0|8|5|", "|0|8|-5|"),
        ("|776f726c64", "|776f726c6"),
        ("|776f726c64", "|world"),
        ("|776f726c64", "|776f726c64|"),
        ("1795881602.5", "-1.5"),
    ],
)
def test_a_conversation_that_nobody_understands(printed: str, broken: str) -> None:
    assert printed in SEGMENTS
    changed = SEGMENTS.replace(printed, broken)
    odd = changes_in(SEGMENTS, changed)
    found = Found(3, (CLIENT, SERVER))
    with pytest.raises(CaptureError, match="not understood"):
        stream_in(odd, found)
    # One of them does not hide the others; what it said is missing.
    stream = stream_in(lines_of(changed), found)
    whole = {piece.data for piece in stream_in(lines_of(SEGMENTS), found).pieces}
    assert {piece.data for piece in stream.pieces} - {b""} <= whole


def test_a_stream_that_is_bad_does_not_hide_another(monkeypatch: pytest.MonkeyPatch) -> None:
    good = "".join(f"{line}|2\n" for line in lines_of(SEGMENTS))
    bad = "4|1.0|192.0.2.1||192.0.2.2||1|2||||||\n"
    monkeypatch.setattr(tshark, "_tshark", lambda *_: tshark.Printed(bad + good, ""))
    found = found_in("4|1.0|192.0.2.1||192.0.2.2||1|2\n3|1.0|192.0.2.1|||2001:db8::1|49152|443\n")
    streams = tshark.streams_of(Path("capture"), found)
    assert isinstance(streams[4], CaptureError)
    good_one = streams[3]
    assert isinstance(good_one, Stream)
    assert b"".join(piece.data for piece in good_one.pieces) == b"helloworld"


def test_a_gap() -> None:
    gap = SEGMENTS + SEGMENTS.splitlines()[3].replace("|8|5|5|", "|136|5|5|") + "\n"
    gap += SEGMENTS.splitlines()[2].replace("|0|8|5|", "|5|141|5|")
    pieces = stream_in(lines_of(gap), Found(3, (CLIENT, SERVER))).pieces
    assert [(piece.missing, piece.data) for piece in pieces if piece.sender == 1] == [
        (0, b"world"),
        (123, b"world"),
    ]


def test_a_tunnel_is_a_conversation_of_its_own() -> None:
    """Anybody may send a tunnel with a segment in it that seems to be another's."""
    inside = "0|1795881601|198.51.100.9,192.0.2.1|||2001:db8::1|49152|443\n"
    for printed in (PACKETS + inside, inside + PACKETS):
        found = {each.number: each.packets for each in found_in(printed)}
        assert found == {0: 2, 4: 1, 5: 1}


def test_checksums() -> None:
    found = Found(3, (CLIENT, SERVER))
    lines = [f"{line}|{1 if line[-1] == 'f' else 2}" for line in lines_of(SEGMENTS)]
    bad = lines[2].replace("68656c6c6f|1", "5a5a5a5a5a|0")
    pieces = stream_in([*lines[:2], bad, *lines[2:]], found).pieces
    assert b"".join(piece.data for piece in pieces) == b"helloworld"


def test_any_number_of_conversations() -> None:
    """Strangers make as many as they like: none of them hides the others."""
    printed = "".join(f"{at}|7.0|192.0.2.1||192.0.2.2||9|443\n" for at in range(10_050))
    assert len(found_in(printed)) == 10_050
