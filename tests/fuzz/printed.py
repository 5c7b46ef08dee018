"""Target: what tshark prints of a capture, as it is read here.

tshark is trusted, and yet its words are about what strangers sent, in a form that the next version
of it may change. Nothing but a `CaptureError` comes out, and what is taken is sound: a
conversation has two ends with a port each, and every piece is said by one of them. What is
printed as tshark does it comes out as it went in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache

from tests.fuzz.captures import genuine
from tests.fuzz.target import Choices, Target

from handclasp import Recorder
from handclasp.capture.observe import observe
from handclasp.capture.secrets import KeyLog
from handclasp.capture.stream import Address, CaptureError, Piece, Stream, StreamEnd
from handclasp.capture.tshark import Found, found_in, stream_in
from handclasp.story.narrate import narrate

_ENDS = (Address("192.0.2.1", 49152), Address("2001:db8::1", 443))
_SECOND = 1_000_000_000


def printed(data: bytes) -> None:
    """The first byte chooses: any list of packets, any conversation, or one that was made up."""
    choices = Choices(data)
    kind = choices.byte() % 3
    if kind == 2:
        _comes_out_as_it_went_in(_made_up(choices))
        return
    text = choices.rest().decode("utf-8", "replace")
    try:
        if kind == 0:
            _check_packets(text, found_in(text))
        else:
            _check_stream(stream_in(text.splitlines(), Found(0, _ENDS)))
    except CaptureError:
        return


def printed_seeds() -> Iterable[bytes]:
    for heard in genuine()[::3]:
        whole = Stream(0, _ENDS, heard.pieces)
        short = Stream(0, _ENDS, tuple(Piece(5, at % 2, b"abc") for at in range(3)))
        for stream in (whole, short):
            yield b"\1" + "\n".join(_as_segments(stream)).encode()
            yield b"\0" + "\n".join(_as_packets(stream)).encode()
    ended = Stream(3, _ENDS, (), (StreamEnd(7, 0, "end"), StreamEnd(8, 1, "reset")))
    yield b"\0" + "\n".join(_as_packets(ended)).encode()
    yield b"\2\1\0\1a\1\2\3bc\0\5\4\1\5"
    yield b"\2" + bytes(range(60))


# What has to hold


def _check_packets(text: str, found: list[Found]) -> None:
    # Those that make no sense are in none.
    if sum(each.packets for each in found) > len(text.splitlines()):
        raise AssertionError("a packet that is in two conversations")
    if len({each.number for each in found}) != len(found):
        raise AssertionError("two conversations of one number")
    for each in found:
        _check_ends(each.ends)


def _check_stream(stream: Stream) -> None:
    _check_ends(stream.ends)
    for said in _all_said(stream):
        if said.sender not in (0, 1) or said.at_ns < 0:
            raise AssertionError("said by nobody, or never")
    stream.starts_of_hello()
    story = Recorder()
    story.events = list(observe(stream, KeyLog()).events)
    narrate(story.events)
    if Recorder.from_json(story.to_json()).events != story.events:
        raise AssertionError("a story that is not stored as it is")


def _all_said(stream: Stream) -> list[Piece | StreamEnd]:
    return [*stream.pieces, *stream.endings]


def _check_ends(ends: tuple[Address, Address]) -> None:
    for end in ends:
        if not 0 <= end.port < 2**16:
            raise AssertionError("an end without a port")


def _comes_out_as_it_went_in(stream: Stream) -> None:
    found = found_in("\n".join(_as_packets(stream)))
    if [each.number for each in found] != [stream.number]:
        raise AssertionError("another conversation than was printed")
    # No SYN is printed, and of an end that says nothing and does not end no segment at all.
    speak = {each.sender for each in _all_said(stream)}
    printed = replace(
        stream,
        captured=(0 in speak, 1 in speak),
        acknowledged=(_is_acknowledged(stream, 0), _is_acknowledged(stream, 1)),
        begins=False,
        starts=(_is_start_known(stream, 0), _is_start_known(stream, 1)),
    )
    if stream_in(_as_segments(stream), found[0]) != printed:
        raise AssertionError("another conversation than was printed")


def _is_acknowledged(stream: Stream, end: int) -> bool:
    """Whether the other end spoke once this one had: each segment acknowledges all before it.

    It is unknown, and counts as that, where either end says nothing at all. A reset acknowledges
    nothing.
    """
    senders = [piece.sender for piece in stream.pieces]
    ended = [each.sender for each in stream.endings if each.how == "end"]
    resets = {each.sender for each in stream.endings if each.how == "reset"}
    if end not in senders or 1 - end not in {*senders, *ended, *resets}:
        return True
    said = 1 - end in {*senders, *ended}
    return not said or 1 - end in senders[senders.index(end) :] + ended


def _is_start_known(stream: Stream, end: int) -> bool:
    """Whether the other end spoke first, and acknowledged all before; or this one says nothing."""
    senders = [piece.sender for piece in stream.pieces]
    return end not in senders or 1 - end in senders[: senders.index(end)]


# As tshark prints it


def _made_up(choices: Choices) -> Stream:
    """A conversation that the choices make."""
    pieces = list[Piece]()
    endings = dict[tuple[int, str], int]()
    at_ns = 0
    number = choices.byte()
    while choices.more():
        flags = choices.byte()
        at_ns += choices.number() * _SECOND // 7
        if flags & 4:
            endings[flags % 2, "reset" if flags & 2 else "end"] = at_ns
        else:
            said = choices.take(choices.byte())
            if said:
                pieces.append(Piece(at_ns, flags % 2, said))
    ended = tuple(StreamEnd(at_ns, sender, how) for sender, how in endings)
    return Stream(number, _ENDS, tuple(pieces), ended)


def _as_packets(stream: Stream) -> Iterator[str]:
    yield _start(stream, 0, 0)
    for said in _all_said(stream):
        yield _start(stream, said.at_ns, said.sender)


def _start(stream: Stream, at_ns: int, sender: int) -> str:
    places = (stream.ends[sender], stream.ends[1 - sender])
    hosts = "|".join(f"|{end.host}" if ":" in end.host else f"{end.host}|" for end in places)
    ports = "|".join(str(end.port) for end in places)
    return f"{stream.number}|{_moment(at_ns)}|{hosts}|{ports}"


def _as_segments(stream: Stream) -> Iterator[str]:
    """The sequence numbers of both ends wrap soon."""
    positions = [2**32 - 10, 2**32 - 1]
    for piece in stream.pieces:
        mine, other = positions[piece.sender], positions[1 - piece.sender]
        numbers = f"{mine % 2**32}|{other % 2**32}|{len(piece.data)}"
        yield f"{_start(stream, piece.at_ns, piece.sender)}|0x0018|{numbers}|{piece.data.hex()}"
        positions[piece.sender] += len(piece.data)
    for ending in stream.endings:
        mine, other = positions[ending.sender], positions[1 - ending.sender]
        flags = "0x0014" if ending.how == "reset" else "0x0011"
        numbers = f"{mine % 2**32}|{other % 2**32}|0"
        yield f"{_start(stream, ending.at_ns, ending.sender)}|{flags}|{numbers}|"


def _moment(at_ns: int) -> str:
    return f"{at_ns // _SECOND}.{at_ns % _SECOND:09}"


@cache
def targets() -> tuple[Target, ...]:
    return (Target("printed", printed, printed_seeds),)
