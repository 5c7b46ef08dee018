"""Runs a handshake: resumes it with messages and answers, and turns its failures into errors."""

from __future__ import annotations

import inspect
from collections.abc import Coroutine, Mapping
from typing import Any, Generic, TypeVar

from handclasp.certificates.credentials import Credentials
from handclasp.certificates.verify import VerifiedPeer
from handclasp.errors import (
    CertificateError,
    ConfigurationError,
    ProtocolError,
    StateError,
    TLSError,
)
from handclasp.faults import Fault
from handclasp.handshake.context import Receive, ReceiveChangeCipherSpec
from handclasp.handshake.questions import (
    DEFER,
    Answerer,
    CheckReplay,
    ChooseCredentials,
    ConfirmPeer,
    Decrypt,
    FindPsk,
    Question,
    ReverifyPeer,
    Sign,
    VerifyPeer,
)
from handclasp.sessions.psk import PreSharedKey
from handclasp.trace.hooks import Trace
from handclasp.wire.iana import handshake_type_name

Result = TypeVar("Result")

_ANSWER_TYPES: Mapping[type[Question[Any]], tuple[type, ...]] = {
    ChooseCredentials: (Credentials, type(None)),
    Sign: (bytes,),
    Decrypt: (object,),  # A wrong type is as good as a wrong secret, and must not show either.
    FindPsk: (PreSharedKey, type(None)),
    CheckReplay: (bool,),
    ReverifyPeer: (VerifiedPeer, type(None)),
    VerifyPeer: (VerifiedPeer,),
    ConfirmPeer: (bool,),
}


_CALLBACKS: Mapping[type[Question[Any]], str] = {
    ChooseCredentials: "choose_credentials",
    Sign: "the signer",
    Decrypt: "the signer's decrypt",
    FindPsk: "find_psk",
    CheckReplay: "replay_guard",
    ReverifyPeer: "the verification",
    VerifyPeer: "the verification",
    ConfirmPeer: "confirm_peer",
}
"""What the application calls the one that answers."""

_NAMES: Mapping[type, str] = {bool: "True or False", type(None): "None", bytes: "bytes"}


class Driver(Generic[Result]):
    """Drives one handshake coroutine from its first send to its result.

    Attributes:
        question: what the handshake waits for from the application, or None.
        result: what the handshake returned, once it is complete.
    """

    __slots__ = (
        "_answerers",
        "_handshake",
        "_trace",
        "_waits_for_change_cipher_spec",
        "question",
        "result",
    )

    def __init__(
        self,
        handshake: Coroutine[Receive | ReceiveChangeCipherSpec | Question[Any], Any, Result],
        answerers: Mapping[type[Question[Any]], Answerer],
        trace: Trace | None = None,
    ) -> None:
        self._handshake = handshake
        self._answerers = answerers
        self._trace = trace
        self._waits_for_change_cipher_spec = False
        self.question: Question[Any] | None = None
        self.result: Result | None = None

    def start(self) -> None:
        """Run up to the first wait."""
        self._resume(None)

    def deliver(self, raw: bytes) -> None:
        """Resume with a handshake message. Raises `ProtocolError`."""
        if self._waits_for_change_cipher_spec:
            name = handshake_type_name(raw[0])
            raise ProtocolError(
                Fault.UNEXPECTED_MESSAGE, f"{name} where change_cipher_spec belongs"
            )
        self._resume(raw)

    def deliver_change_cipher_spec(self) -> None:
        """Resume with the peer's change_cipher_spec, if it is its turn. Raises `ProtocolError`."""
        if not self._waits_for_change_cipher_spec:
            raise ProtocolError(Fault.UNEXPECTED_CHANGE_CIPHER_SPEC)
        self._waits_for_change_cipher_spec = False
        self._resume(None)

    def answer(self, question: Question[Any], value: object) -> None:
        """Resume with the answer to the open question. Raises `ProtocolError`."""
        self._close_question(question)
        self._resume(self._checked(question, value))

    def refuse(self, question: Question[Any], error: BaseException) -> ProtocolError:
        """The open question's answer failed: the error that ends the handshake."""
        self._close_question(question)
        return callback_failed(question, error)

    def close(self) -> None:
        """Give the handshake up."""
        question, self.question = self.question, None
        if question is not None and inspect.iscoroutine(question.pending):
            question.pending.close()
        self._handshake.close()

    def _resume(self, value: object) -> None:
        try:
            while True:
                waits_for = self._handshake.send(value)
                if isinstance(waits_for, Receive):
                    return
                if isinstance(waits_for, ReceiveChangeCipherSpec):
                    self._waits_for_change_cipher_spec = True
                    return
                value = self._answer_now(waits_for)
                if value is DEFER:
                    waits_for.answered_later = True
                    self.question = waits_for
                    return
        except StopIteration as done:
            self.result = done.value
        except TLSError:
            raise
        except Exception as error:
            # Nothing a peer sends may surface as anything but a protocol error.
            raise ProtocolError(Fault.INTERNAL_ERROR, type(error).__name__) from error

    def _answer_now(self, question: Question[Any]) -> object:
        """What the config answers, or DEFER where the answer comes later."""
        if self._trace is not None:
            self._trace.question_asked(type(question).__name__)
        try:
            value = self._answered(question)
        except TLSError:
            raise
        except Exception as error:
            raise callback_failed(question, error) from error
        if type(value) in _ANSWER_TYPES[type(question)]:  # The common case, and a cheap test.
            return self._checked(question, value)
        if inspect.isawaitable(value):
            question.pending = value
            return DEFER
        return DEFER if value is DEFER else self._checked(question, value)

    def _answered(self, question: Question[Any]) -> object:
        """What the answerer gives, be it the answer or a promise of one."""
        answerer, trace = self._answerers[type(question)], self._trace
        work = _work_of(question) if trace is not None else None
        if trace is None or work is None:
            return answerer(question)
        began = trace.now()
        value: object = DEFER
        try:
            value = answerer(question)
            return value
        except TLSError:
            value = None
            raise
        finally:
            # What is promised is not done yet, and waiting for it is no work.
            if value is not DEFER and not inspect.isawaitable(value):
                trace.work(*work, trace.now() - began)

    def _checked(self, question: Question[Any], value: object) -> object:
        """The answer, if it is of the right type: anything else fails, as an exception would."""
        wanted = _ANSWER_TYPES[type(question)]
        if not isinstance(value, wanted):
            name, given = _CALLBACKS[type(question)], type(value).__name__
            if value is None or isinstance(value, bool):
                given = str(value)
            names = " or ".join(_NAMES.get(kind) or f"a {kind.__name__}" for kind in wanted)
            raise ProtocolError(
                Fault.CALLBACK_FAILED,
                f"{type(question).__name__} was answered with {given}, not {names}",
                sentence=f"The answer of {name} was {given}; it must be {names}.",
                fix=f"On this end: Let {name} give {names}.",
            )
        if self._trace is not None:
            self._trace.question_answered(type(question).__name__)
        return value

    def _close_question(self, question: Question[Any]) -> None:
        if question is not self.question:
            raise StateError("This question is not open on this connection.")
        self.question = None


def _work_of(question: Question[Any]) -> tuple[str, str] | None:
    """The operation with public keys that a question stands for, and its algorithm."""
    match question:
        case Sign():
            return "sign", question.scheme
        case Decrypt():
            return "decrypt", "RSA"
        case VerifyPeer(certificate_type="X509") | ReverifyPeer(certificate_type="X509"):
            count = len(question.chain)
            return "verify_chain", f"{count} certificate{'' if count == 1 else 's'}"
        case _:
            return None


def _first_words(fault: Fault) -> str:
    return fault.sentence.removesuffix(".")


def callback_failed(question: Question[Any], error: BaseException) -> ProtocolError:
    """The error that ends the handshake where the answer to a question failed."""
    if isinstance(error, ProtocolError):
        return error
    failure: ProtocolError
    name, kind = _CALLBACKS[type(question)], type(error).__name__
    if isinstance(question, VerifyPeer | ConfirmPeer) and not isinstance(error, ConfigurationError):
        failure = CertificateError(
            Fault.CERTIFICATE_REFUSED,
            kind,
            sentence=f"{_first_words(Fault.CERTIFICATE_REFUSED)}: {name} failed with {kind}.",
            fix=f"On this end: If the peer is to be let in, let {name} accept it; its own "
            "exception, which is chained to this one, says why it did not.",
        )
    else:
        failure = ProtocolError(
            Fault.CALLBACK_FAILED,
            f"{type(question).__name__}: {kind}",
            sentence=f"{_first_words(Fault.CALLBACK_FAILED)}: {name} failed with {kind}.",
            fix=f"On this end: Mend {name}; its own exception is chained to this one.",
        )
    failure.__cause__ = error
    return failure
