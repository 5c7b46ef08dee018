"""The half of the loop that knows of no records: handshake bytes in, a coroutine resumed.

A handshake is a coroutine that no event loop runs. It suspends in three places: where it waits for
a message, where its question is not answered at once, and, in TLS 1.2, where it waits for the
peer's change_cipher_spec, which is no message. `_receive_handshake` cuts the messages out of what
arrives, by offset, and resumes the coroutine with each. The source of the bytes does not matter:
records over TCP, CRYPTO frames of QUIC.
"""

from __future__ import annotations

import sys
from collections.abc import Coroutine
from struct import Struct
from types import CoroutineType
from typing import Any, TypeAlias

from handclasp.config import SharedConfig
from handclasp.crypto.suites import Buffer
from handclasp.errors import ProtocolError, StateError, TLSError
from handclasp.faults import Fault
from handclasp.handshake.answers import callback_failed
from handclasp.handshake.context import CHANGE_CIPHER_SPEC, HandshakeContext
from handclasp.handshake.port import Port
from handclasp.handshake.result import AuthenticationResult, HandshakeResult
from handclasp.iana import handshake_type_name
from handclasp.info import ConnectionInfo
from handclasp.limits import Limits
from handclasp.questions import Question
from handclasp.synchronous import is_coroutine
from handclasp.wire.framing import check_message_size
from handclasp.wire.messages import HEADER_SIZE

Handshake: TypeAlias = "Coroutine[Any, Any, HandshakeResult | AuthenticationResult | Handshake]"
"""It may end in another, which goes on in its place: that of the version which was chosen. Client
authentication after the handshake is one, too."""

_read_header = Struct(">I").unpack_from
"""The type of a message, and the length of its body in three bytes."""


class HandshakeLoop:
    """Runs one handshake, and then takes the messages of its connection.

    A subclass says what becomes of a complete handshake, of a question and of a later message.
    """

    __slots__ = (
        "_context",
        "_half_rtt",
        "_handshake",
        "_limits",
        "_message_size",
        "_port",
        "_question",
        "_remaining",
        "_smallest_limit",
        "_unparsed",
        "_waits_for_change_cipher_spec",
    )

    def __init__(self, port: Port, limits: Limits) -> None:
        self._port = port
        self._limits = limits
        # Bytes of a message, header and all, that no kind of message may not have.
        self._smallest_limit = HEADER_SIZE + min(
            limits.max_hello_bytes, limits.max_certificate_bytes, limits.max_other_message_bytes
        )
        self._remaining = limits.max_handshake_bytes
        self._context: HandshakeContext | None = None
        self._half_rtt = False
        self._handshake: Handshake | None = None
        self._question: Question[Any] | None = None
        self._waits_for_change_cipher_spec = False
        # The beginning of a message that is not whole; and its size, once its header is there.
        self._unparsed = bytearray()
        self._message_size = 0

    def _established(self, result: HandshakeResult | AuthenticationResult) -> None:
        """Take what a complete handshake leaves behind, or an authentication after it."""
        raise NotImplementedError

    def _receive_later_message(self, message: bytes) -> None:
        """Take a message after the handshake. Raises `ProtocolError`."""
        raise NotImplementedError

    def _asked(self, question: Question[Any]) -> None:
        """Take a question that is open now: `_answer` or `_refuse` closes it."""

    def _may_send_half_rtt(self, info: ConnectionInfo) -> None:
        """Take what will have been agreed upon: a server may send to this client already."""

    def _follow(self, config: Any) -> None:
        """Take another config, which was chosen by the first message."""

    def _begin(self, handshake: Handshake, context: HandshakeContext) -> None:
        """Run a handshake, which speaks through `context`, up to its first wait."""
        self._handshake, self._context = handshake, context
        self._resume(None)

    def _receive_handshake(self, content: Buffer) -> None:
        """Take handshake bytes: the content of a record, or of a frame. Raises `ProtocolError`.

        The work is linear however small the parts of a message are, and nothing is set aside
        before its bytes have come: a message that announces too much is refused by its header.
        Where a question is asked, what is left waits for the answer.
        """
        self._remaining -= len(content)
        if self._remaining < 0:
            limit = self._limits.max_handshake_bytes
            raise ProtocolError(Fault.HANDSHAKE_TOO_LARGE, f"over {limit} bytes")
        if self._unparsed:
            self._unparsed += content
            if len(self._unparsed) < self._message_size:
                return
            content, self._unparsed = self._unparsed, bytearray()
        stream = bytes(content)
        port, at, end = self._port, 0, len(stream)
        self._message_size = 0
        while end - at >= HEADER_SIZE and self._question is None:
            size = HEADER_SIZE + (_read_header(stream, at)[0] & 0xFFFFFF)
            if size > self._smallest_limit:
                check_message_size(self._limits, stream[at], size)
            start, at = at, at + size
            if at > end:
                at, self._message_size = start, size
                break
            message = stream[start:at]
            # A change of keys is refused while anything stands behind the message.
            port.unparsed = memoryview(stream)[at:] if at < end else b""
            if self._handshake is None:
                self._receive_later_message(message)
            elif self._waits_for_change_cipher_spec:
                name = handshake_type_name(message[0])
                raise ProtocolError(
                    Fault.UNEXPECTED_MESSAGE, f"{name} where change_cipher_spec belongs"
                )
            else:
                self._resume(message)
        if at < end:
            self._unparsed = bytearray(stream[at:])
        port.unparsed = self._unparsed

    @property
    def _missing(self) -> int:
        """Bytes that the message in the making lacks; 0 while its size is not known."""
        return max(0, self._message_size - len(self._unparsed))

    def _receive_change_cipher_spec(self) -> None:
        """Resume with the peer's change_cipher_spec, if it is its turn. Raises `ProtocolError`."""
        if not self._waits_for_change_cipher_spec:
            raise ProtocolError(Fault.UNEXPECTED_CHANGE_CIPHER_SPEC)
        self._waits_for_change_cipher_spec = False
        self._resume(None)

    def _resume(self, value: object) -> None:
        """Let the handshake go on with a message or an answer, up to where it waits again."""
        while (handshake := self._handshake) is not None:
            try:
                waits_for = handshake.send(value)
            except StopIteration as done:
                ends_in_another: bool = type(done.value) is CoroutineType
                if ends_in_another:
                    self._handshake, value = done.value, None
                    continue
                self._handshake = None
                self._remaining = sys.maxsize  # A long life may hold any number of small messages.
                self._established(done.value)
                return
            except TLSError:
                raise
            except Exception as error:
                # Nothing a peer sends may surface as anything but a protocol error.
                raise ProtocolError(Fault.INTERNAL_ERROR, type(error).__name__) from error
            if waits_for is None:
                return
            if isinstance(waits_for, ConnectionInfo):
                self._half_rtt, value = True, None
                self._may_send_half_rtt(waits_for)
                continue
            if isinstance(waits_for, SharedConfig):
                self._follow(waits_for)
                value = None
                continue
            if waits_for is CHANGE_CIPHER_SPEC:
                self._waits_for_change_cipher_spec = True
            else:
                self._question = waits_for
                self._asked(waits_for)
            return

    def _answer(self, question: Question[Any], value: object) -> None:
        """Resume with the answer to the open question, and with what came meanwhile."""
        self._close_question(question)
        if self._context is not None:
            self._resume(self._context.answers.checked(question, value))
        if self._unparsed:
            self._receive_handshake(b"")

    def _refuse(self, question: Question[Any], error: BaseException) -> ProtocolError:
        """Close the question whose answer failed; return the error that ends the handshake."""
        self._close_question(question)
        return callback_failed(question, error)

    def _close_question(self, question: Question[Any]) -> None:
        if question is not self._question:
            raise StateError("This question is not open on this connection.")
        self._question = None

    def _drop_handshake(self) -> None:
        """Give the handshake up, if there is one."""
        handshake, self._handshake, self._context = self._handshake, None, None
        question, self._question = self._question, None
        if question is not None and is_coroutine(question.pending):
            question.pending.close()
        if handshake is not None:
            handshake.close()
