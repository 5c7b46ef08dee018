"""The loop: a coroutine in, messages and answers to it, and only typed errors out."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.counting import CountingBuffer

from handclasp import (
    DEFER,
    ConfigurationError,
    ConfirmPeer,
    Fault,
    FindPsk,
    Limits,
    ProtocolError,
    Sign,
)
from handclasp.crypto.suites import Buffer
from handclasp.handshake.answers import Answerers, Answers
from handclasp.handshake.context import HandshakeContext, next_message
from handclasp.handshake.loop import HandshakeLoop
from handclasp.iana import AlertDescription, HandshakeType
from handclasp.keys.epoch import Epoch
from handclasp.questions import Question

RAW = b"\x14\0\0\3raw"


class NoPort:
    """A port to nowhere."""

    unparsed: Buffer = b""
    read_epoch = write_epoch = Epoch.PLAINTEXT

    def send(self, *what: object) -> None: ...
    def install_read(self, *what: object) -> None: ...
    def install_write(self, *what: object) -> None: ...
    def end_flight(self) -> None: ...


class Given(Answers):
    """The answers of a test."""

    def __init__(self, answerers: dict[Any, Any]) -> None:
        super().__init__()
        self.answerers = answerers

    def by_question(self) -> Answerers:
        return self.answerers


class Loop(HandshakeLoop):
    """Runs any coroutine."""

    __slots__ = ("answerers", "later", "result")

    def __init__(self, answerers: dict[Any, Any] | None = None, limits: Limits | None = None):
        super().__init__(NoPort(), limits or Limits())
        self.answerers = answerers or {}
        self.result: object = None
        self.later: list[bytes] = []

    def start(self, handshake: Callable[[HandshakeContext], Any]) -> None:
        context = HandshakeContext(self._port, Given(self.answerers))
        self._begin(handshake(context), context)

    def receive(self, data: bytes) -> None:
        self._receive_handshake(data)

    def answer(self, question: Question[Any], value: object) -> None:
        self._answer(question, value)

    def refuse(self, question: Question[Any], error: BaseException) -> ProtocolError:
        return self._refuse(question, error)

    def drop(self) -> None:
        self._drop_handshake()

    @property
    def question(self) -> Question[Any] | None:
        return self._question

    @property
    def waits(self) -> bool:
        """Whether there is the beginning of a message."""
        return bool(self._port.unparsed)

    def lift_limit(self) -> None:
        """As a complete handshake does."""

        async def nothing(hs: HandshakeContext) -> None:
            return None

        self.start(nothing)

    def _established(self, result: Any) -> None:
        self.result = result

    def _receive_later_message(self, message: bytes) -> None:
        self.later.append(message)


def sign_question() -> Sign:
    credentials: Any = None
    return Sign(credentials, "ed25519", b"content")


def loop_of(seen: list[Any], answer: Any) -> Loop:
    """Started: it asks for a signature, and then waits for a message."""

    async def asks_then_receives(hs: HandshakeContext) -> str:
        seen.append(await hs.ask(sign_question()))
        seen.append(await next_message())
        return "done"

    loop = Loop({Sign: answer})
    loop.start(asks_then_receives)
    return loop


def test_answered_at_once() -> None:
    seen: list[Any] = []
    loop = loop_of(seen, lambda question: b"signature")
    assert (seen, loop.question, loop.result) == ([b"signature"], None, None)
    loop.receive(RAW)
    assert (seen, loop.result) == ([b"signature", RAW], "done")


def test_answered_later() -> None:
    seen: list[Any] = []
    loop = loop_of(seen, lambda question: DEFER)
    question = loop.question
    assert question is not None
    assert question.answered_later
    assert seen == []
    with pytest.raises(ConfigurationError, match="not open"):
        loop.answer(sign_question(), b"signature")
    loop.answer(question, b"signature")
    assert seen == [b"signature"]
    with pytest.raises(ConfigurationError, match="not open"):
        loop.answer(question, b"signature")


def test_what_came_meanwhile_waits_for_the_answer() -> None:
    seen: list[Any] = []
    loop = loop_of(seen, lambda question: DEFER)
    loop.receive(RAW[:5])
    loop.receive(RAW[5:] + RAW)
    assert (seen, loop.later) == ([], [])
    assert loop.waits
    assert loop.question is not None
    loop.answer(loop.question, b"signature")
    assert (seen, loop.result, loop.later) == ([b"signature", RAW], "done", [RAW])


def test_awaitables_are_handed_out_unawaited() -> None:
    class Later:
        def __await__(self) -> Any:
            raise AssertionError("the loop awaits nothing")

    later: Awaitable[bytes] = Later()
    loop = loop_of([], lambda question: later)
    assert loop.question is not None
    assert loop.question.pending is later


@pytest.mark.parametrize("answered", [True, False])
def test_closing_leaves_no_coroutine_behind(answered: bool) -> None:
    """A coroutine that nobody awaits warns when it is collected; warnings are errors here."""

    async def later(question: Sign) -> bytes:
        return b"signature"

    loop = loop_of([], later)
    assert loop.question is not None
    loop.drop()
    assert loop.question is None
    del loop
    gc.collect()


def test_defect_inside_of_a_handshake() -> None:
    async def broken(hs: HandshakeContext) -> str:
        await next_message()
        raise LookupError("secret words")

    loop = Loop()
    loop.start(broken)
    with pytest.raises(ProtocolError) as caught:
        loop.receive(RAW)
    assert caught.value.fault is Fault.INTERNAL_ERROR
    assert isinstance(caught.value.__cause__, LookupError)
    assert "secret words" not in str(caught.value)


@pytest.mark.parametrize("answer", [None, "text", bytearray(b"x"), 5])
def test_answers_of_the_wrong_type(answer: object) -> None:
    with pytest.raises(
        ProtocolError, match=r"The answer of the signer was .*; it must be bytes"
    ) as caught:
        loop_of([], lambda question: answer)
    assert caught.value.fault is Fault.CALLBACK_FAILED


def test_what_a_callback_did_is_said_in_its_own_name() -> None:
    peer: Any = None
    question = ConfirmPeer(peer, True, "localhost")
    for answer, words in ((None, "None"), ("yes", "str"), (1, "int")):
        error = caught_from(question, partial(lambda answer, _: answer, answer))
        assert error.message == f"The answer of confirm_peer was {words}; it must be True or False."
        assert error.explanation == error.message
        assert error.fix == "On this end: Let confirm_peer give True or False."
        assert "exception" not in error.message

    def refuses(_: object) -> bool:
        raise LookupError("secret words")

    error = caught_from(question, refuses)
    assert error.fault is Fault.CERTIFICATE_REFUSED
    assert "confirm_peer failed with LookupError" in error.message
    assert "confirm_peer" in error.fix
    assert "secret words" not in f"{error.message} {error.fix}"
    error = caught_from(FindPsk(b"me"), refuses)
    assert error.fault is Fault.CALLBACK_FAILED
    assert "find_psk failed with LookupError" in error.message


def caught_from(question: Question[Any], answerer: Callable[[Any], Any]) -> ProtocolError:
    async def handshake(hs: HandshakeContext) -> None:
        await hs.ask(question)

    with pytest.raises(ProtocolError) as caught:
        Loop({type(question): answerer}).start(handshake)
    return caught.value


def test_refusal() -> None:
    loop = loop_of([], lambda question: DEFER)
    assert loop.question is not None
    own = ProtocolError(Fault.CERTIFICATE_REFUSED)
    assert loop.refuse(loop.question, own) is own
    assert loop.question is None


# Messages out of bytes of any origin


def message(message_type: int, size: int) -> bytes:
    return bytes([message_type]) + size.to_bytes(3, "big") + bytes(i % 251 for i in range(size))


def fault_of(call: Callable[..., object], *arguments: object) -> Fault:
    with pytest.raises(ProtocolError) as caught:
        call(*arguments)
    return caught.value.fault


@settings(deadline=None)
@given(
    st.lists(st.builds(message, st.integers(0, 255), st.integers(0, 30)), min_size=1, max_size=6),
    st.data(),
)
def test_any_split_gives_the_same_messages(messages: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(messages)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(stream)))) | {len(stream)})
    loop, start = Loop(), 0
    for cut in cuts:
        loop.receive(stream[start:cut])
        start = cut
        assert loop.waits is (len(b"".join(loop.later)) < cut)
    assert loop.later == messages
    assert not loop.waits


def test_every_byte_boundary() -> None:
    messages = [message(HandshakeType.CERTIFICATE, 9), message(HandshakeType.FINISHED, 4)]
    stream = b"".join(messages)
    for cut in range(len(stream) + 1):
        loop = Loop()
        for part in (stream[:cut], stream[cut:]):
            loop.receive(part)
        assert loop.later == messages


@pytest.mark.parametrize(
    ("message_type", "limits"),
    [
        (HandshakeType.CLIENT_HELLO, Limits(max_hello_bytes=100)),
        (HandshakeType.SERVER_HELLO, Limits(max_hello_bytes=100)),
        (HandshakeType.CERTIFICATE, Limits(max_certificate_bytes=100)),
        (HandshakeType.CERTIFICATE_VERIFY, Limits(max_other_message_bytes=100)),
        (HandshakeType.NEW_SESSION_TICKET, Limits(max_other_message_bytes=100)),
        (99, Limits(max_other_message_bytes=100)),
    ],
)
def test_a_message_is_refused_by_its_header(message_type: int, limits: Limits) -> None:
    fits = Loop(limits=limits)
    fits.receive(message(message_type, 100))
    assert fits.later == [message(message_type, 100)]
    too_large = Loop(limits=limits)
    too_large.receive(message(message_type, 101)[:3])
    refused = fault_of(too_large.receive, message(message_type, 101)[3:4])
    assert refused is Fault.HANDSHAKE_MESSAGE_TOO_LARGE


def test_the_second_message_is_checked_as_the_first() -> None:
    loop = Loop(limits=Limits(max_other_message_bytes=10))
    both = message(20, 10) + message(20, 11)
    assert fault_of(loop.receive, both) is Fault.HANDSHAKE_MESSAGE_TOO_LARGE
    assert loop.later == [message(20, 10)]


def test_the_refusal_names_the_message_and_the_limit() -> None:
    loop = Loop(limits=Limits(max_certificate_bytes=100))
    with pytest.raises(ProtocolError, match="Certificate of 16777219 bytes, 100 are accepted"):
        loop.receive(b"\x0b\xff\xff\xff")
    assert Fault.HANDSHAKE_MESSAGE_TOO_LARGE.alert == AlertDescription.ILLEGAL_PARAMETER


def test_the_handshake_as_a_whole_has_a_limit() -> None:
    loop = Loop(limits=Limits(max_handshake_bytes=50))
    for count in range(5):
        loop.receive(message(8, 6))
        assert len(loop.later) == count + 1
    assert fault_of(loop.receive, b"\x08") is Fault.HANDSHAKE_TOO_LARGE


def test_the_limit_of_the_whole_ends_with_the_handshake() -> None:
    loop = Loop(limits=Limits(max_handshake_bytes=50))
    loop.lift_limit()
    for _ in range(100):
        loop.receive(message(4, 6))
    assert loop.later == [message(4, 6)] * 100
    # Each message by itself stays bounded.
    assert fault_of(loop.receive, b"\x04\xff\xff\xff") is Fault.HANDSHAKE_MESSAGE_TOO_LARGE


def test_one_byte_at_a_time_costs_no_more_than_its_bytes() -> None:
    for size in (1000, 4000):
        loop = Loop()
        stream = message(HandshakeType.CERTIFICATE, size)
        loop.receive(stream[:4])
        buffer = CountingBuffer(loop._unparsed)
        loop._unparsed = buffer
        for at in range(4, len(stream) - 1):
            loop.receive(stream[at : at + 1])
        assert loop._unparsed is buffer
        assert buffer.copied == 0
        loop.receive(stream[-1:])
        assert loop.later == [stream]
