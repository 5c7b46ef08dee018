"""Answers to the questions of a handshake: from the config's callbacks, or from its values.

A question that has an answer at once is asked and answered without leaving the handshake. Only one
that is answered later, by an awaitable or by `DEFER`, comes out of the connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handclasp.advice import CAUSE
from handclasp.certificates.credentials import Credentials
from handclasp.certificates.verify import VerifiedPeer
from handclasp.config import ServerConfig
from handclasp.errors import CertificateError, ConfigurationError, ProtocolError, TLSError
from handclasp.faults import Fault
from handclasp.handshake.hooks import hook_raised
from handclasp.questions import (
    DEFER,
    Answerer,
    CheckReplay,
    ChooseConfig,
    ChooseCredentials,
    ConfirmPeer,
    Decrypt,
    FindEchKeys,
    FindPsk,
    Question,
    ReverifyPeer,
    Sign,
    VerifyPeer,
)
from handclasp.sessions.psk import PreSharedKey
from handclasp.synchronous import is_awaitable
from handclasp.trace.hooks import Trace

Answerers = Mapping[type[Question[Any]], Answerer]

_ANSWER_TYPES: Mapping[type[Question[Any]], tuple[type, ...]] = {
    ChooseConfig: (ServerConfig, type(None)),
    ChooseCredentials: (Credentials, type(None)),
    Sign: (bytes,),
    Decrypt: (object,),  # A wrong type has the effect of a wrong secret, and must not show either.
    FindPsk: (PreSharedKey, type(None)),
    FindEchKeys: (tuple, list, type(None)),
    CheckReplay: (bool,),
    ReverifyPeer: (VerifiedPeer, type(None)),
    VerifyPeer: (VerifiedPeer,),
    ConfirmPeer: (bool,),
}


_CALLBACKS: Mapping[type[Question[Any]], str] = {
    ChooseConfig: "choose_config",
    ChooseCredentials: "choose_credentials",
    Sign: "the signer",
    Decrypt: "the signer's decrypt",
    FindPsk: "find_psk",
    FindEchKeys: "ech.find_keys()",
    CheckReplay: "replay_guard",
    ReverifyPeer: "the verification",
    VerifyPeer: "the verification",
    ConfirmPeer: "confirm_peer",
}
"""The application's name for the callback that answers."""

_NAMES: Mapping[type, str] = {bool: "True or False", type(None): "None", bytes: "bytes"}


class Answers:
    """The answers to the questions of one connection, checked for their type.

    A subclass says who answers.
    """

    __slots__ = ("_answerers", "_trace")

    def __init__(self, trace: Trace | None = None) -> None:
        self._answerers: Answerers | None = None
        self._trace = trace

    def by_question(self) -> Answerers:
        """Return the answerer of each type of question.

        It is called with the first question: most handshakes ask none.
        """
        raise NotImplementedError

    def now(self, question: Question[Any]) -> object:
        """Return the config's answer, or DEFER where the answer comes later."""
        trace = self._trace
        if trace is not None:
            trace.question_asked(type(question).__name__)
        if self._answerers is None:
            self._answerers = self.by_question()
        try:
            answerer = self._answerers[type(question)]
            value = answerer(question) if trace is None else _timed(trace, answerer, question)
        except TLSError:
            raise
        except Exception as error:
            raise callback_failed(question, error) from error
        # The common case, and a cheap test.
        if trace is None and type(value) in _ANSWER_TYPES[type(question)]:
            return value
        if is_awaitable(value):
            question.pending = value
            return DEFER
        return DEFER if value is DEFER else self.checked(question, value)

    def checked(self, question: Question[Any], value: object) -> object:
        """Return the answer, if it is of the right type: others fail as an exception does."""
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


def _timed(trace: Trace, answerer: Answerer, question: Question[Any]) -> object:
    """Return the answer, and note in the trace how long work with public keys took."""
    work = _work_of(question)
    if work is None:
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
        if value is not DEFER and not is_awaitable(value):
            trace.work(*work, trace.now() - began)


def _work_of(question: Question[Any]) -> tuple[str, str] | None:
    """Return the operation with public keys that a question stands for, and its algorithm."""
    match question:
        case Sign():
            return "sign", question.scheme
        case Decrypt():
            return "decrypt", "RSA"
        case VerifyPeer(certificate_type="X509") | ReverifyPeer(certificate_type="X509"):
            count = len(question.chain_der)
            return "verify_chain", f"{count} certificate{'' if count == 1 else 's'}"
        case _:
            return None


def callback_failed(question: Question[Any], error: BaseException) -> ProtocolError:
    """Return the error for a handshake whose question was answered by an exception."""
    if isinstance(error, ProtocolError):
        return error
    failure: ProtocolError
    name, kind = _CALLBACKS[type(question)], type(error).__name__
    if isinstance(question, VerifyPeer | ConfirmPeer) and not isinstance(error, ConfigurationError):
        refused = Fault.CERTIFICATE_REFUSED
        failure = CertificateError(
            refused,
            kind,
            sentence=f"{refused.sentence.removesuffix('.')}: {name} failed with {kind}.",
            fix=f"On this end: If the peer is to be let in, let {name} accept it. Its own "
            f"exception, which is chained to this one ({CAUSE}), says why it did not.",
        )
    else:
        failure = hook_raised(name, kind, f"{type(question).__name__}: {kind}")
    failure.__cause__ = error
    return failure
