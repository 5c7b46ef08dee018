"""Targets: what a capture holds, told from outside.

Here the peers are strangers, and the file may be anyone's. Whatever is in it, nothing but a
`CaptureError` comes out, and a story is a story: it can be stored, told and diagnosed. Besides:

- it does not depend on how TCP cut what each end said;
- what is told as opened with the keys was really said under them;
- of a conversation that holds, the observer sees each message that the end itself saw.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from tests.fuzz import connections
from tests.fuzz.connections import MutantScript, after_handshake
from tests.fuzz.conversation import Conversation, Setup, setups
from tests.fuzz.target import Choices, Target

from handclasp import Recorder
from handclasp.capture.observe import Observation, observe
from handclasp.capture.secrets import KeyLog, secrets_inside
from handclasp.capture.stream import Address, CaptureError, Piece, Stream, StreamEnd
from handclasp.story.diagnosis import diagnose
from handclasp.story.narrate import narrate
from handclasp.trace.events import Began, MessageSeen, TraceEvent, WireSeen
from handclasp.trace.pcapng import SECRETS_BLOCK, TLS_SECRETS, keylog_lines

ENDS = (Address("10.0.0.1", 50000), Address("10.0.0.2", 443))
_ROLES = ("client", "server")
_MOST_EDITS = 8
_MAX_STEPS = 12
_NOT_SAID = b"\x16\x03\x03\x00\x10\x14\x00\x00\x0c" + bytes(12)
"""A Finished in the clear."""


class GenuineScript:
    """A mutant that changes nothing."""

    def change(self, raw: bytes, wire: object) -> Sequence[Sequence[bytes]]:
        return [[raw]]

    def change_cipher_spec(self, wire: object) -> bool:
        return True


@dataclass(frozen=True)
class Captured:
    """What went over the wire, the secrets, what one of the two ends noted, all as a file."""

    pieces: tuple[Piece, ...]
    keylog: bytes
    noted: Counter[tuple[str, str, bytes]]
    file: bytes


@cache
def genuine() -> tuple[Captured, ...]:
    """Every setup, once, as it should be."""
    return tuple(_overheard(setup) for setup in setups())


# A capture that was changed


def capture(data: bytes) -> None:
    """A conversation, its key log, and changes to both of them."""
    choices = Choices(data)
    heard = genuine()[choices.byte() % len(genuine())]
    flags = choices.byte()
    keylog = heard.keylog
    if flags % 4 == 2:
        keylog = b""
    elif flags % 4 == 3:
        keylog = _edited(choices, keylog)
    pieces = list(heard.pieces)
    endings: list[StreamEnd] = []
    for _ in range(_MOST_EDITS):
        if not choices.more():
            break
        _edit(choices, pieces, endings)
    stream = Stream(0, ENDS, tuple(pieces), tuple(endings))
    told = story_of(stream, keylog, size=1 + flags // 4)
    if told is None or keylog is not heard.keylog:
        return
    for role, epoch, raw in _messages(told.events):
        if epoch in ("handshake", "application") and (role, epoch, raw) not in heard.noted:
            raise AssertionError("told as opened with the keys, and never said")


def _edit(choices: Choices, pieces: list[Piece], endings: list[StreamEnd]) -> None:
    """One change of what was captured."""
    if not pieces:
        return
    at = choices.byte() % len(pieces)
    piece = pieces[at]
    kind = choices.byte() % 10
    if kind < 4:
        pieces[at] = replace(piece, data=_edited(choices, piece.data))
    elif kind == 4:
        del pieces[at]
    elif kind == 5:
        pieces.insert(at, piece)
    elif kind == 6:
        other = choices.byte() % len(pieces)
        pieces[at], pieces[other] = (
            replace(pieces[other], at_ns=piece.at_ns),
            replace(piece, at_ns=pieces[other].at_ns),
        )
    elif kind == 7:
        pieces[at] = replace(piece, sender=1 - piece.sender)
    elif kind == 8:
        said = choices.take(choices.byte()) or _NOT_SAID
        pieces.insert(at, replace(piece, sender=choices.byte() % 2, data=said))
    else:
        flags = choices.byte()
        endings.append(StreamEnd(piece.at_ns, flags % 2, "reset" if flags & 2 else "end"))


def _edited(choices: Choices, data: bytes) -> bytes:
    """Bytes overwritten, put in or taken out at one place."""
    out = bytearray(data)
    at = choices.number() % (len(out) + 1)
    kind = choices.byte() % 4
    new = choices.take(choices.byte() if kind else 1)
    if kind in (0, 1):
        out[at : at + len(new)] = new
    elif kind == 2:
        out[at:at] = new
    else:
        del out[at : at + 1 + choices.byte()]
    return bytes(out)


def capture_seeds() -> Iterable[bytes]:
    for number in range(len(setups())):
        for flags in (0, 2, 0x10):
            yield bytes([number, flags])
        yield bytes([number, 3]) + b"\0\x40\1\3abc"
        for at in (0, 1, 2, 4):
            for kind in range(10):
                yield bytes([number, 0x15, at, kind]) + b"\0\x2c\1\4\x00\x01\x02\x03\xff"
        # Two ends that are finished before anything was agreed upon.
        yield bytes([number, 0, 1, 4, 1, 8, 0, 1, 1, 8, 0, 0])


# A conversation in which one end misbehaves, with the keys


def overheard(data: bytes) -> None:
    """The first byte says who misbehaves; the rest is a script as for the connections."""
    choices = Choices(data)
    mutant = _ROLES[choices.byte() % 2]
    setup = setups()[choices.byte() % len(setups())]
    script = MutantScript(choices)
    trace = Recorder(record_secrets=True, record_wire=True)
    conversation = Conversation(setup, script, mutant=mutant, trace=trace)
    for _ in range(_MAX_STEPS):
        if conversation.error is not None or not choices.more():
            break
        after_handshake(conversation, choices, script)
    holds = conversation.error is None
    conversation.end()
    heard = _heard(trace)
    told = story_of(Stream(0, ENDS, heard.pieces), heard.keylog, size=1 + choices.byte())
    seen = Counter(_messages(told.events)) if told is not None else Counter()
    if holds and not heard.noted <= seen:
        raise AssertionError("the end saw a message that the observer did not")


def overheard_seeds() -> Iterable[bytes]:
    """A part of those of the connections, for one role or the other: each run takes long."""
    for number, seed in enumerate(list(connections.seeds())[::5]):
        yield bytes([number % 2]) + seed[:1] + seed[2:]


# Key logs, loose or in a file


def keylog(data: bytes) -> None:
    """Any file: its secrets are found inside of it, or it is refused."""
    found = KeyLog()
    found.add(data)
    try:
        inside = list(secrets_inside(data))
    except CaptureError:
        return
    for text in inside:
        if text not in data:
            raise AssertionError("secrets that are not in the file")
        found.add(text)
    if sum(map(len, inside)) > len(data):
        raise AssertionError("more than there is")


def keylog_seeds() -> Iterable[bytes]:
    for heard in genuine()[:2]:
        yield heard.file
        yield heard.keylog
    lines = b"CLIENT_RANDOM 0a 0b\n"
    for order, magic in (("little", b"\x4d\x3c\x2b\x1a"), ("big", b"\x1a\x2b\x3c\x4d")):
        secrets = _numbers(order, TLS_SECRETS, len(lines)) + lines
        blocks = ((0x0A0D0D0A, magic), (SECRETS_BLOCK, secrets), (6, b"abcd"))
        yield b"".join(
            _numbers(order, kind, len(body) + 12) + body + _numbers(order, len(body) + 12)
            for kind, body in blocks
        )


def _numbers(order: str, *numbers: int) -> bytes:
    return b"".join(
        number.to_bytes(4, "little" if order == "little" else "big") for number in numbers
    )


# Inside


def story_of(stream: Stream, keylog: bytes, size: int) -> Observation | None:
    """The story, which must be the same when each piece comes in parts of so many bytes."""
    secrets = KeyLog()
    secrets.add(keylog)
    try:
        told = observe(stream, secrets)
    except CaptureError:
        return None
    story = Recorder()
    story.events = list(told.events)
    diagnose(story.events)
    narrate(story.events)
    if Recorder.from_json(story.to_json()).events != story.events:
        raise AssertionError("a story that is not stored as it is")
    cut = [
        replace(piece, data=piece.data[start : start + size], missing=0 if start else piece.missing)
        for piece in stream.pieces
        for start in range(0, len(piece.data) or 1, size)
    ]
    again = observe(replace(stream, pieces=tuple(cut)), secrets)
    if _messages(again.events) != _messages(told.events):
        raise AssertionError("it depends on how TCP cut it")
    return told


def _overheard(setup: Setup) -> Captured:
    trace = Recorder(record_secrets=True, record_wire=True)
    conversation = Conversation(setup, GenuineScript(), mutant="server", trace=trace)
    for end in (conversation.victim, conversation.mutant, conversation.victim):
        conversation.do(lambda end=end: end.send_data(b"a few words"))  # type: ignore[misc]
    conversation.do(conversation.victim.close)
    conversation.do(conversation.mutant.close)
    assert conversation.error is None, (setup.name, conversation.error)
    return _heard(trace)


def _heard(trace: Recorder) -> Captured:
    sent = _role_of(trace.events) == "server"
    pieces = [
        Piece(number, int((event.direction == "sent") == sent), event.raw)
        for number, event in enumerate(trace.events)
        if isinstance(event, WireSeen)
    ]
    lines = "\n".join(keylog_lines(trace.events))
    noted = Counter(_messages(trace.events))
    return Captured(tuple(pieces), lines.encode(), noted, trace.to_pcapng())


def _messages(events: Sequence[TraceEvent]) -> list[tuple[str, str, bytes]]:
    """Who said which message, and under which keys."""
    role = _role_of(events)
    other = _ROLES[role == "client"]
    return [
        (role if event.direction == "sent" else other, event.epoch, event.raw)
        for event in events
        if isinstance(event, MessageSeen)
    ]


def _role_of(events: Sequence[TraceEvent]) -> str:
    return next(event.role for event in events if isinstance(event, Began))


@cache
def targets() -> tuple[Target, ...]:
    return (
        Target("capture", capture, capture_seeds, weight=2),
        Target("overheard", overheard, overheard_seeds, weight=2),
        Target("keylog", keylog, keylog_seeds),
    )
