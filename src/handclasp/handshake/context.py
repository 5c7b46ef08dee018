"""The few verbs of a handshake: receive, send, install, ask, tell.

A handshake is an `async def` that no event loop runs: `loop` does. It suspends where it waits for
a message, where a question is not answered at once, and where TLS 1.2 waits for the peer's
change_cipher_spec, which is no message (RFC 5246 section 7.1). What it yields there is None, the
`Question`, or `CHANGE_CIPHER_SPEC`; it is resumed with the raw message, the answer, or None. Where
a server may send half-RTT data, it yields the `ConnectionInfo`, and where it was given another
config, that config; and is resumed at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from types import coroutine
from typing import Any, Final, ParamSpec, TypeVar, cast, overload

from handclasp.alerts import ClientAuthStatus
from handclasp.certificates.trust import TrustStore
from handclasp.config import SharedConfig
from handclasp.errors import ConfigurationError, ProtocolError
from handclasp.faults import Blame, Fault, Verdict
from handclasp.handshake.answers import Answers
from handclasp.handshake.ech_state import ReceivedEch
from handclasp.handshake.hooks import hook_raised
from handclasp.handshake.port import Port, RecordPort
from handclasp.iana import HandshakeType, handshake_type_name
from handclasp.info import ConnectionInfo
from handclasp.keys.observer import KeyScheduleObserver
from handclasp.keys.transcript import Transcript
from handclasp.questions import DEFER, Question
from handclasp.trace.hooks import Trace
from handclasp.wire.codecs import MESSAGE_TYPES, AnyMessage, read_as, write_message
from handclasp.wire.ech import EchConfig
from handclasp.wire.memoize import Memo, Reading, new_memo
from handclasp.wire.messages import HEADER_SIZE, STRUCTS, ServerHello
from handclasp.wire.structs import scan

M = TypeVar("M", bound=AnyMessage)
N = TypeVar("N", bound=AnyMessage)
P = TypeVar("P", bound=AnyMessage)
Answer = TypeVar("Answer")
Given = ParamSpec("Given")
Result = TypeVar("Result")
Chosen = TypeVar("Chosen", bound="str | None")

NO_OVERLAP = "nothing that both sides can do"

_HANDSHAKE_TYPES = frozenset(int(kind) for kind in HandshakeType)
_RANDOM = slice(HEADER_SIZE + 2, HEADER_SIZE + 34)
"""The position of the random in a hello."""


CHANGE_CIPHER_SPEC: Final = object()
"""The value that a handshake of TLS 1.2 yields to wait for that record alone."""


@coroutine
def next_message() -> Generator[None, bytes, bytes]:
    """Wait for the next handshake message, whatever it is."""
    return (yield)


@coroutine
def _change_cipher_spec() -> Generator[object, None, None]:
    yield CHANGE_CIPHER_SPEC


@coroutine
def _half_rtt(info: ConnectionInfo) -> Generator[ConnectionInfo, None, None]:
    yield info


@coroutine
def _follow(config: SharedConfig) -> Generator[SharedConfig, None, None]:
    yield config


@coroutine
def _later(question: Question[Any]) -> Generator[Question[Any], Any, Any]:
    return (yield question)


class HandshakeContext:
    """One side's half of a handshake, over a port.

    Attributes:
        port: carries the messages.
        records: the same port where it is made of records over TCP; None elsewhere.
        answers: gives the answers to questions.
        tells_secrets: whether `note_secret` has a key log or a trace to write to.
        ech: a client's encrypted_client_hello, for a server with keys (RFC 9849 section 7.1).
        trust: what a client verifies its server by, where it does so itself.
        certificate, shown_chain: whether this side showed certificates, and which.
        retry_configs: those of a server that did not take an encrypted hello (RFC 9849 section 5).
        install_read, install_write: the port's own.
    """

    __slots__ = (
        "_keylog",
        "answers",
        "certificate",
        "client_random",
        "ech",
        "install_read",
        "install_write",
        "is_stapled",
        "observer",
        "port",
        "reading",
        "records",
        "retry_configs",
        "server_name",
        "shown_chain",
        "tells_secrets",
        "trace",
        "transcript",
        "trust",
    )

    def __init__(
        self,
        port: Port,
        answers: Answers,
        *,
        records: RecordPort | None = None,
        keylog: Callable[[str], None] | None = None,
        trace: Trace | None = None,
        memo: Memo | None = None,
    ) -> None:
        self.reading = Reading(new_memo() if memo is None else memo)
        self.port = port
        self.answers = answers
        self.records = records
        self.trace = trace
        self.transcript = Transcript()
        self.client_random = b""
        self.ech: ReceivedEch | None = None
        self.trust: TrustStore | None = None
        self.observer = observer_of(trace) if trace is not None else None
        self.certificate: ClientAuthStatus = "unasked"
        self.server_name: str | None = None
        self.is_stapled = False
        self.shown_chain: tuple[bytes, ...] = ()
        self.retry_configs: tuple[EchConfig, ...] = ()
        self._keylog = keylog
        self.tells_secrets = keylog is not None or trace is not None
        self.install_read = port.install_read
        self.install_write = port.install_write

    @overload
    def receive(self, expected: type[M], /) -> Awaitable[M]: ...
    @overload
    def receive(self, expected: type[M], alternative: type[N], /) -> Awaitable[M | N]: ...
    @overload
    def receive(
        self, expected: type[M], alternative: type[N], another: type[P], /
    ) -> Awaitable[M | N | P]: ...

    @coroutine
    def receive(self, *expected: type[Any]) -> Generator[None, bytes, Any]:
        """Return the next message, which must be one of `expected`; it enters the transcript."""
        raw = yield
        if self.trace is not None:
            self.trace.message("received", self.port.read_epoch.value, raw[0], raw)
        for kind in expected:
            if raw[0] == MESSAGE_TYPES[kind]:
                values: list[Any] = []
                struct = STRUCTS.get(kind)
                if struct is None or scan(struct, raw, HEADER_SIZE, len(raw), values) != len(raw):
                    message = read_as(kind, raw)  # It has another form, or says what is wrong.
                else:
                    message = kind(*values, raw)
                self.transcript.add(raw)
                return message
        raise self._unexpected(raw, expected)

    @coroutine
    def receive_raw(self, *expected: type[AnyMessage]) -> Generator[None, bytes, bytes]:
        """Return the same as bytes, header included, for a message that may be known already."""
        raw = yield
        if self.trace is not None:
            self.trace.message("received", self.port.read_epoch.value, raw[0], raw)
        for kind in expected:
            if raw[0] == MESSAGE_TYPES[kind]:
                self.transcript.add(raw)
                return raw
        raise self._unexpected(raw, expected)

    def _unexpected(self, raw: bytes, expected: Sequence[type[AnyMessage]]) -> ProtocolError:
        if raw[0] == HandshakeType.CLIENT_HELLO and ServerHello in expected:
            return self._hello_where_an_answer_belongs(raw)
        return unexpected(raw, expected)

    def _hello_where_an_answer_belongs(self, raw: bytes) -> ProtocolError:
        """Return the error for a peer that is a client as well, or an echo service."""
        if raw[_RANDOM] != self.client_random:
            return unexpected(raw, (ServerHello,))
        return ProtocolError(
            Fault.UNEXPECTED_MESSAGE,
            sentence="The other end sends back what it gets: this side's own ClientHello has come "
            "back. So it is no TLS server, but an echo service or the like.",
            fix="On this end: Check that host and port belong to a TLS service.",
            verdict=Verdict(Blame.LOCAL, "unless a TLS service is meant to be there"),
        )

    async def may_send_half_rtt(self, info: ConnectionInfo) -> None:
        """Say that a server may send data already, and what will have been agreed upon."""
        await _half_rtt(info)

    async def follow(self, config: SharedConfig) -> None:
        """Let the connection follow another config after this."""
        await _follow(config)

    def use(self, answers: Answers, keylog: Callable[[str], None] | None) -> None:
        """Take the answers and the key log of another config."""
        self.answers, self._keylog = answers, keylog
        self.tells_secrets = keylog is not None or self.trace is not None

    async def receive_change_cipher_spec(self) -> None:
        """Wait for the record that says: what comes next is under the new keys."""
        await _change_cipher_spec()

    def send(self, message: AnyMessage) -> None:
        """Queue a message; it enters the transcript."""
        self.send_raw(write_message(message))

    def send_raw(self, raw: bytes) -> None:
        """Queue a message that is written already, header included."""
        self.transcript.add(raw)
        if self.trace is not None:
            self.trace.message("sent", self.port.write_epoch.value, raw[0], raw)
        self.port.send(raw)

    def show(self, chain: Sequence[bytes]) -> None:
        """Note the certificates that this side shows next, for what a peer says of them."""
        self.shown_chain = tuple(chain)
        self.certificate = "shown" if chain else "withheld"

    async def ask(self, question: Question[Answer]) -> Answer:
        """Return the application's answer, whenever it comes."""
        answer = self.answers.now(question)
        if answer is DEFER:
            question.answered_later = True
            answer = await _later(question)
        return cast(Answer, answer)

    def revert_to_plaintext(self) -> None:
        """Send plaintext again, as the early data were refused."""
        if self.records is not None:
            self.records.revert_to_plaintext()

    def require_records(self) -> RecordPort:
        """Return the port of records: TLS 1.2 is not defined over anything else.

        Raises `ConfigurationError` where there is none: the config must not allow TLS 1.2 then.
        """
        if self.records is None:
            raise ConfigurationError("versions: TLS 1.2 needs a port of records.")
        return self.records

    def work(
        self,
        operation: str,
        algorithm: str,
        function: Callable[Given, Result],
        *given: Given.args,
        **named: Given.kwargs,
    ) -> Result:
        """Call `function`, which works with public keys, and note its cost in the trace."""
        trace = self.trace
        if trace is None:
            return function(*given, **named)
        began = trace.now()
        try:
            return function(*given, **named)
        finally:
            trace.work(operation, algorithm, trace.now() - began)

    def note_secret(self, label: str, secret: bytes, *, is_in_trace: bool = False) -> None:
        """Tell the key log and the trace, where the user wants one (RFC 9850 section 2).

        Args:
            is_in_trace: whether the trace has it already, as only the key log names a random.
        """
        if self._keylog is not None:
            try:
                self._keylog(f"{label} {self.client_random.hex()} {secret.hex()}")
            except Exception as error:
                _drop_frames(error)
                raise _key_log_failed(error, secret) from error
        if self.trace is not None and self.trace.record_secrets and not is_in_trace:
            self.trace.secret(label, bytes(secret))

    def note_decision(
        self,
        what: str,
        offered: Sequence[str],
        acceptable: Sequence[str],
        chosen: str | None,
        why: str,
        refused: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Tell the trace what was chosen, from what, and why."""
        if self.trace is not None:
            self.trace.decision(what, offered, acceptable, chosen, why, refused)

    def decide(
        self,
        what: str,
        offered: Sequence[str],
        acceptable: Sequence[str],
        why: str,
        choose: Callable[Given, Chosen],
        *given: Given.args,
        **named: Given.kwargs,
    ) -> Chosen:
        """Choose, and tell the trace of it, also where the choice fails."""
        chosen: str | None = None
        try:
            made = choose(*given, **named)
            chosen = made
            return made
        except ProtocolError:
            why = NO_OVERLAP
            raise
        finally:
            self.note_decision(what, offered, acceptable, chosen, why)

    def note_shared_secret(self, output: str, means: str, secret: bytes) -> None:
        """Tell the trace that both sides have one secret now, from which all keys will come.

        Args:
            output: how the RFC calls it in this version.
            means: the group in which it was agreed upon, or "RSA".
        """
        if self.observer is not None:
            operation = "key transport" if means == "RSA" else "key agreement"
            self.observer(operation, output, ("private_key",), means, b"", secret)


def _key_log_failed(error: Exception, secret: bytes) -> ProtocolError:
    """Return the error for a line that was not written, with the reason but without the line."""
    kind = type(error).__name__
    if not isinstance(error, OSError):
        return hook_raised("keylog", kind, f"keylog: {kind}")
    reason = str(error.strerror or error)
    if not reason or secret.hex() in reason:
        reason = kind
    where = f" {error.filename}" if isinstance(error.filename, str) else ""
    return ProtocolError(
        Fault.KEY_LOG_FAILED,
        reason,
        sentence=f"The key log{where} could not be written ({reason}), so the handshake was "
        "aborted.",
    )


def _drop_frames(error: BaseException) -> None:
    """Take the frames away from an exception and those behind it: they hold a line of a key log."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        each = pending.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            each.__traceback__ = None
            pending += [each.__cause__, each.__context__]
            if isinstance(each, BaseExceptionGroup):
                pending += cast("BaseExceptionGroup[BaseException]", each).exceptions


def observer_of(trace: Trace | None) -> KeyScheduleObserver | None:
    """Return the observer that notes key schedules in a trace; the values only with secrets."""
    if trace is None:
        return None

    def tell(
        operation: str,
        output: str,
        inputs: tuple[str, ...],
        label: str,
        context: bytes,
        value: bytes,
    ) -> None:
        kept = bytes(value) if trace.record_secrets else b""
        trace.key_step(operation, output, inputs, label, context, len(value), kept)

    return tell


def unexpected(raw: bytes, expected: Sequence[type[AnyMessage]]) -> ProtocolError:
    """Return the error for a message that is not allowed here."""
    wanted = " or ".join(handshake_type_name(MESSAGE_TYPES[kind]) for kind in expected)
    known = raw[0] in _HANDSHAKE_TYPES
    return ProtocolError(
        Fault.UNEXPECTED_MESSAGE if known else Fault.UNKNOWN_HANDSHAKE_TYPE,
        f"{handshake_type_name(raw[0])} where {wanted} belongs",
    )
