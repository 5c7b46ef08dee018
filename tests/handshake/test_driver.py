"""The driver: a coroutine in, messages and answers to it, and only typed errors out."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from handclasp import (
    DEFER,
    ConfigurationError,
    ConfirmPeer,
    Fault,
    FindPsk,
    ProtocolError,
    Sign,
)
from handclasp.handshake.context import Receive
from handclasp.handshake.driver import Driver
from handclasp.handshake.questions import Question
from handclasp.wire.messages import Finished


class Ask:
    def __init__(self, question: Any) -> None:
        self._question = question

    def __await__(self) -> Any:
        return (yield self._question)


def sign_question() -> Sign:
    credentials: Any = None
    return Sign(credentials, "ed25519", b"content")


async def asks_then_receives(seen: list[Any]) -> str:
    seen.append(await Ask(sign_question()))
    seen.append(await Receive((Finished,)))
    return "done"


def driver_of(seen: list[Any], answer: Any) -> Driver[str]:
    return Driver(asks_then_receives(seen), {Sign: answer})


def test_answered_at_once() -> None:
    seen: list[Any] = []
    driver = driver_of(seen, lambda question: b"signature")
    driver.start()
    assert (seen, driver.question, driver.result) == ([b"signature"], None, None)
    driver.deliver(b"raw")
    assert (seen, driver.result) == ([b"signature", b"raw"], "done")


def test_answered_later() -> None:
    seen: list[Any] = []
    driver = driver_of(seen, lambda question: DEFER)
    driver.start()
    question = driver.question
    assert question is not None
    assert seen == []
    with pytest.raises(ConfigurationError, match="not open"):
        driver.answer(sign_question(), b"signature")
    driver.answer(question, b"signature")
    assert seen == [b"signature"]
    with pytest.raises(ConfigurationError, match="not open"):
        driver.answer(question, b"signature")


def test_awaitables_are_handed_out_unawaited() -> None:
    class Later:
        def __await__(self) -> Any:
            raise AssertionError("the driver awaits nothing")

    later: Awaitable[bytes] = Later()
    driver = driver_of([], lambda question: later)
    driver.start()
    assert driver.question is not None
    assert driver.question.pending is later


@pytest.mark.parametrize("answered", [True, False])
def test_closing_leaves_no_coroutine_behind(answered: bool) -> None:
    """A coroutine that nobody awaits warns when it is collected; warnings are errors here."""

    async def later(question: Sign) -> bytes:
        return b"signature"

    driver = driver_of([], later)
    driver.start()
    assert driver.question is not None
    driver.close()
    assert driver.question is None
    del driver
    gc.collect()


def test_defect_inside_of_a_handshake() -> None:
    async def broken() -> str:
        await Receive((Finished,))
        raise LookupError("secret words")

    driver: Driver[str] = Driver(broken(), {})
    driver.start()
    with pytest.raises(ProtocolError) as caught:
        driver.deliver(b"raw")
    assert caught.value.fault is Fault.INTERNAL_ERROR
    assert isinstance(caught.value.__cause__, LookupError)
    assert "secret words" not in str(caught.value)


@pytest.mark.parametrize("answer", [None, "text", bytearray(b"x"), 5])
def test_answers_of_the_wrong_type(answer: object) -> None:
    driver = driver_of([], lambda question: answer)
    with pytest.raises(
        ProtocolError, match=r"The answer of the signer was .*; it must be bytes"
    ) as caught:
        driver.start()
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
    async def handshake() -> None:
        await Ask(question)

    driver: Driver[None] = Driver(handshake(), {type(question): answerer})
    with pytest.raises(ProtocolError) as caught:
        driver.start()
    return caught.value


def test_refusal() -> None:
    driver = driver_of([], lambda question: DEFER)
    driver.start()
    assert driver.question is not None
    own = ProtocolError(Fault.CERTIFICATE_REFUSED)
    assert driver.refuse(driver.question, own) is own
    assert driver.question is None
