"""What was said is told by sequence numbers, and what is missing as well."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

import pytest

from handclasp.capture.segment import Segment
from handclasp.capture.segments import put_together
from handclasp.capture.stream import Address, Piece, StreamEnd

ENDS = (Address("192.0.2.1", 49152), Address("192.0.2.2", 443))
NOTICE = b"[5 bytes missing in capture file]"


def segment(sequence: int, data: bytes = b"", sender: int = 0, **more: int | None) -> Segment:
    at_ns = more.pop("at_ns", 0) or 0
    size = more.pop("size", None)
    is_dropped, is_damaged = more.pop("is_dropped", 0), more.pop("is_damaged", 0)
    return Segment(
        at_ns,
        sender,
        sequence % 2**32,
        more.get("acknowledged"),
        bool(more.get("syn")),
        bool(more.get("fin")),
        data,
        len(data) if size is None else size,
        bool(is_dropped),
        bool(is_damaged),
    )


def acknowledgement(number: int, sender: int = 1) -> Segment:
    return segment(500, sender=sender, acknowledged=number % 2**32)


def said(*segments: Segment, sender: int = 0) -> bytes:
    pieces = put_together(0, ENDS, segments).pieces
    return b"".join(piece.data for piece in pieces if piece.sender == sender)


@pytest.mark.parametrize("start", [0, 1000, 2**31 - 3, 2**32 - 3])
def test_in_order_and_not(start: int) -> None:
    whole = b"0123456789" * 20
    chance = random.Random(start)
    for _ in range(50):
        segments = [segment(start - 1, syn=True)]
        parts = [(at, whole[at : at + chance.randrange(1, 30)]) for at in range(0, 200, 1)]
        segments += [segment(start + at, data) for at, data in chance.sample(parts, len(parts))]
        assert said(*segments, acknowledgement(start + 200)) == whole


def test_again_and_again_is_said_once() -> None:
    assert said(segment(7, b"abc"), segment(7, b"abc"), segment(5, b"__abcd")) == b"abcd"


def test_what_came_first_stands() -> None:
    assert said(segment(0, b"abc"), segment(1, b"XXd"), segment(0, b"XXXX")) == b"abcd"


def test_data_in_the_first_segment_of_all() -> None:
    assert said(segment(9, b"early", syn=True), segment(15, b" bird")) == b"early bird"
    assert said(segment(9, syn=True), segment(7, syn=True), segment(8, b"abc")) == b"abc"


def test_both_ends_keep_their_order_though_clocks_jump() -> None:
    stream = put_together(
        3,
        ENDS,
        [
            segment(0, b"a", at_ns=5),
            segment(0, b"b", 1, at_ns=3),
            segment(1, b"c", at_ns=9),
            segment(2, fin=True, at_ns=4),
        ],
    )
    assert stream.pieces == (Piece(5, 0, b"a"), Piece(5, 1, b"b"), Piece(9, 0, b"c"))
    assert (stream.number, stream.ends, stream.endings) == (3, ENDS, (StreamEnd(9, 0, "end"),))


@pytest.mark.parametrize("data", [NOTICE, NOTICE + b"more", b"x" + NOTICE])
def test_no_words_of_a_peer_are_a_remark(data: bytes) -> None:
    assert said(segment(0, data), acknowledgement(len(data))) == data


@pytest.mark.parametrize("start", [0, 1000, 2**32 - 3])
def test_the_first_bytes_of_a_late_capture(start: int) -> None:
    """Without a SYN, the first acknowledgement shows whether bytes are missing before them."""
    data = segment(start + 5, b"world")
    stream = put_together(0, ENDS, [acknowledgement(start), data, acknowledgement(start + 10)])
    assert [(piece.missing, piece.data) for piece in stream.pieces] == [(5, b"world")]
    known = put_together(0, ENDS, [acknowledgement(start + 5), data])
    assert (known.missing, known.starts[0]) == (0, True)
    # Nothing shows the start, or an end that lies does.
    for each in ([data], [acknowledgement(start), data], [acknowledgement(start + 7), data]):
        unknown = put_together(0, ENDS, each)
        assert (unknown.missing, unknown.starts[0]) == (0, False)
        assert [piece.data for piece in unknown.pieces] == [b"world"]
    synchronized = put_together(0, ENDS, [segment(start + 4, syn=True), data])
    assert synchronized.starts[0]


def with_holes(*segments: Segment) -> list[bytes | int]:
    """What the first end said, and in its place how many bytes are missing."""
    pieces = put_together(0, ENDS, segments).pieces
    mine = [piece for piece in pieces if piece.sender == 0]
    assert [piece.at_ns for piece in pieces] == sorted(piece.at_ns for piece in pieces)
    return [part for piece in mine for part in (piece.missing, piece.data) if part]


class TestMissing:
    def test_what_was_received_and_not_captured(self) -> None:
        hole = [segment(0, b"abc"), segment(10, b"def"), acknowledgement(13)]
        assert with_holes(*hole) == [b"abc", 7, b"def"]
        assert said(*hole, segment(3, b"-------")) == b"abc-------def"

    def test_nothing_of_the_other_end(self) -> None:
        assert with_holes(segment(0, b"abc"), segment(10, b"def")) == [b"abc", 7, b"def"]

    def test_of_both_ends(self) -> None:
        segments = (
            segment(0, b"a", acknowledged=0),
            segment(0, b"a", 1, acknowledged=0),
            segment(2, b"a", acknowledged=9),
            segment(3, b"a", 1, acknowledged=9),
        )
        assert with_holes(*segments) == [b"a", 1, b"a", 6]
        assert put_together(0, ENDS, segments).missing == 1 + 6 + 2 + 5

    def test_several_of_one_end(self) -> None:
        segments = [segment(at, b"abc") for at in (0, 10, 13, 20)]
        assert with_holes(*segments) == [b"abc", 7, b"abc", b"abc", 4, b"abc"]

    def test_in_disorder_behind_a_hole(self) -> None:
        segments = [segment(at, b"%d" % at, at_ns=n) for n, at in enumerate((0, 12, 10, 14), 1)]
        assert with_holes(*segments) == [b"0", 9, b"10", b"12", b"14"]

    def test_in_disorder_from_the_start(self) -> None:
        """Without a SYN, nothing says which segment is the first."""
        assert with_holes(segment(1003, b"def"), segment(1000, b"abc")) == [b"abc", b"def"]
        keep_alive = segment(999, b"\0", size=1)
        assert with_holes(segment(1000, b"abc"), keep_alive) == [b"abc"]

    def test_over_the_end_of_the_numbers(self) -> None:
        segments = [segment(2**32 - 4, b"abc"), segment(2**32 + 3, b"def")]
        assert with_holes(*segments) == [b"abc", 4, b"def"]

    def test_a_packet_that_was_cut_off(self) -> None:
        cut = segment(0, b"abc", size=43)
        assert with_holes(cut, acknowledgement(43)) == [b"abc", 40]
        assert with_holes(cut, segment(43, b"d"), acknowledgement(44)) == [b"abc", 40, b"d"]
        assert put_together(0, ENDS, [cut]).is_cut
        whole = segment(0, b"a" * 43)
        assert said(segment(0, b"aaa", size=43), whole, acknowledgement(43)) == b"a" * 43

    def test_before_the_end(self) -> None:
        hole = (segment(0, b"abc"), segment(10, fin=True), acknowledgement(11))
        assert with_holes(*hole) == [b"abc", 7]
        assert said(segment(0, b"abc"), segment(3, fin=True), acknowledgement(4)) == b"abc"
        assert with_holes(segment(0, b"abc"), segment(3, fin=True), acknowledgement(4)) == [b"abc"]

    def test_what_was_acknowledged_and_never_seen(self) -> None:
        assert with_holes(segment(0, b"abc"), acknowledgement(20)) == [b"abc", 17]
        assert with_holes(segment(0, b"abc"), acknowledgement(4)) == [b"abc"]  # A FIN.


class TestHostilePeers:
    """A peer chooses its own segments and acknowledgements; the honest end bears them."""

    def test_segments_that_nobody_received(self) -> None:
        for position in (100, 2**31 - 1, 2**31 + 5):
            strange = segment(position, b"outside of the window")
            assert (
                said(segment(0, b"abc"), strange, acknowledgement(3), segment(3, b"d")) == b"abcd"
            )
            assert said(segment(0, b"abc"), strange, acknowledgement(3)) == b"abc"

    def test_an_end_that_nobody_received(self) -> None:
        end = segment(900, fin=True)
        assert said(segment(0, b"abc"), end, acknowledgement(3), segment(3, b"d")) == b"abcd"

    def test_acknowledgements_of_what_was_never_said(self) -> None:
        for number in (4, 1000, 2**31, 2**32 - 1):
            liar = acknowledgement(number)
            assert said(liar, segment(0, b"abc"), liar, segment(3, b"d"), liar) == b"abcd"

    def test_many_segments_cost_no_more_than_they_are(self) -> None:
        for count in (1000, 2000):
            segments = [segment(2 * at, b"x") for at in range(count, 0, -1)]
            assert said(segment(0, b"x"), *segments, acknowledgement(1)) == b"x"


REQUEST, ANSWER = b"a request", b"an answer"


def talk(*extra: Segment, at: int = 3, syn_data: bytes = b"") -> tuple[bytes, bytes]:
    """What both ends of a conversation said, with something more after its first segments."""
    segments = [
        segment(999, syn_data, syn=1),
        segment(4999, sender=1, syn=1, acknowledged=1000),
        segment(1000, acknowledged=5000),
        segment(1000, REQUEST[:4], acknowledged=5000),
        segment(1004, REQUEST[4:], acknowledged=5000),
        segment(5000, ANSWER, sender=1, acknowledged=1000 + len(REQUEST)),
        segment(1000 + len(REQUEST), acknowledged=5000 + len(ANSWER)),
    ]
    segments[at:at] = extra
    return said(*segments), said(*segments, sender=1)


class TestWhatTheOtherEndDrops:
    """RFC 9293 section 3.10.7.4 and RFC 5961: what no kernel gives on is not said either."""

    @pytest.mark.parametrize("at", range(8))
    @pytest.mark.parametrize(
        "extra",
        [
            segment(70000, syn=1),
            segment(70000, b"ZZZZ", syn=1),
            segment(500, syn=1),
            segment(70000, sender=1, syn=1, acknowledged=1000),
            segment(500, sender=1, syn=1, acknowledged=1000),
            segment(1000, b"ZZZZZZ", is_dropped=1),
            segment(1002, b"ZZZZZZ", is_dropped=1),
            segment(1009, b"ZZZZZZ", is_dropped=1),
            segment(5000, b"ZZZZZZ", sender=1, is_dropped=1),
            segment(1000, b"ZZZZZZ", acknowledged=1_000_000),
            segment(5000, b"ZZZZZZ", sender=1, acknowledged=1_000_000),
            segment(1000, b"ZZZZZZ", acknowledged=5000, is_damaged=1),
            segment(5000, b"ZZZZZZ", sender=1, acknowledged=1000, is_damaged=1),
        ],
    )
    def test_it_is_not_said(self, extra: Segment, at: int) -> None:
        if extra.syn and extra.sender and at == 0:
            pytest.skip("an answer before the question")
        assert talk(extra, at=at) == (REQUEST, ANSWER)

    def test_data_of_a_syn_counts_as_far_as_it_was_acknowledged(self) -> None:
        assert talk(syn_data=b"ZZZZ") == (REQUEST, ANSWER)
        early = [
            segment(999, b"abc", syn=1),
            segment(4999, sender=1, syn=1, acknowledged=1002),
            segment(1002, b"d", acknowledged=5000),
        ]
        assert said(*early) == b"abd"

    def test_a_network_card_that_makes_the_checksums(self) -> None:
        sent = [segment(at, b"ab", acknowledged=0, is_damaged=1) for at in (0, 2, 4)]
        assert said(*sent, acknowledgement(6)) == b"ababab"
        assert said(*sent) == b"ababab"

    def test_what_stands_in_no_other_place_counts(self) -> None:
        """An odd segment that was acknowledged all the same: the capture is not complete."""
        for odd in ({"is_damaged": 1}, {"acknowledged": 99}):
            parts = [segment(0, b"ab", acknowledged=0), segment(2, b"cd", **odd)]
            assert said(*parts, segment(0, sender=1, acknowledged=4)) == b"abcd"

    def test_many_of_them_cost_no_more_than_they_are(self) -> None:
        calls: list[int] = []
        for count in (500, 1000):
            odd = [segment(at, b"ZZ", is_dropped=1) for at in range(count)]
            sound = [segment(2 * at, b"x", acknowledged=0) for at in range(count)]
            with counted() as steps:
                assert said(*odd, *sound, acknowledgement(1))[:1] == b"x"
            calls.append(steps())
        assert calls[1] < 2.5 * calls[0]


@contextmanager
def counted() -> Generator[Callable[[], int]]:
    """How many functions are called meanwhile."""
    calls = 0

    def note(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield lambda: calls
    finally:
        sys.setprofile(before)
