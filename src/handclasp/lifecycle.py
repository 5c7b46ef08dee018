"""The life of a connection: established, closed by either side, or failed.

Here is the only place that sends alerts, and the only one where a failure ends a connection.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from enum import Enum
from typing import Generic, TypeVar

from handclasp.alerts import ClientAuthStatus, RejectedEch, Situation
from handclasp.config import SharedConfig
from handclasp.crypto.suites import Buffer
from handclasp.errors import (
    PeerAlertError,
    ProtocolError,
    StateError,
    TLSError,
    TruncationError,
)
from handclasp.events import (
    ClientAuthenticated,
    EarlyDataRejected,
    HandshakeCompleted,
    KeysUpdated,
    PeerClosed,
)
from handclasp.faults import Fault, Role
from handclasp.faults.large_hello import is_large_hello, is_within_machine
from handclasp.handshake.exporting import Exporter
from handclasp.handshake.post import PostHandshake, Reaction
from handclasp.handshake.result import (
    AuthenticationResult,
    Forget,
    HandshakeResult,
    HandshakeResult12,
    HandshakeResult13,
)
from handclasp.handshake.situation import rejected_by, situation_of
from handclasp.handshake.tls12.post import PostHandshake12
from handclasp.handshake.tls13.post import PostHandshake13
from handclasp.iana import AlertDescription, AlertLevel, alert_name
from handclasp.info import ConnectionInfo
from handclasp.keys.epoch import Epoch
from handclasp.record.framing import begins_like_tls, not_tls
from handclasp.record.layer import RecordLayer
from handclasp.record_loop import RecordLoop
from handclasp.trace.hooks import Trace, check_trace

Config = TypeVar("Config", bound=SharedConfig, covariant=True)


class State(Enum):
    """The stage of a connection's life.

    `Connection.closed` and `Connection.peer_closed` tell which side a half-closed one can still
    hear: this side sends on while it is not `closed`, and the peer while it is not `peer_closed`.

    >>> client = ClientConnection(server_name="example.com")
    >>> client.state
    <State.HANDSHAKING: 'handshaking'>
    """

    HANDSHAKING = "handshaking"
    ESTABLISHED = "established"
    HALF_CLOSED = "half-closed"
    CLOSED = "closed"
    FAILED = "failed"


_COMPLETE = HandshakeResult13, HandshakeResult12
_HANDSHAKING, _ESTABLISHED = State.HANDSHAKING, State.ESTABLISHED


class Lifecycle(RecordLoop, Generic[Config]):
    """The life of one connection. `Connection` adds the verbs.

    Attributes:
        ask_own_address: returns the address of this end of the transport, which may raise OSError;
            set by adapters that know it, and asked only to explain a failure.
    """

    __slots__ = (
        "_cancellations",
        "_certificate",
        "_closed",
        "_config",
        "_early_data",
        "_exporter",
        "_failure",
        "_finished",
        "_forget",
        "_info",
        "_is_client",
        "_rejected_ech",
        "_state",
        "_tls_unique",
        "_unsent_answers",
        "_update_requested",
        "_wire",
        "ask_own_address",
    )

    def __init__(self, config: Config, *, is_client: bool, trace: Trace | None) -> None:
        if trace is not None:
            check_trace(trace)
        self._wire = trace.wire if trace is not None and trace.record_wire else None
        limits, padding = config.limits, config.record_padding
        records = RecordLayer(limits, padding, is_client=is_client, trace=trace)
        super().__init__(records, limits, trace)
        self._config = config
        self._is_client = is_client
        self._state = _HANDSHAKING
        self._certificate: ClientAuthStatus = "unasked"
        self._rejected_ech: RejectedEch | None = None
        self._exporter: Exporter | None = None
        self._tls_unique: bytes | None = None
        self._finished: tuple[bytes, bytes] | None = None
        self._info: ConnectionInfo | None = None
        self._failure: TLSError | None = None
        self._forget: Forget | None = None
        self._closed = self._update_requested = False
        self._cancellations = self._unsent_answers = 0
        self._early_data: list[bytes] = []
        self.ask_own_address: Callable[[], object] | None = None

    # The handshake is complete

    def _established(self, result: HandshakeResult | AuthenticationResult) -> None:
        if not isinstance(result, _COMPLETE):
            self._authenticated(result)
            return
        self._exporter = result.exporter
        self._info = info = result.info
        self._state = _ESTABLISHED
        context, self._context = self._context, None
        if context is not None:
            self._certificate = context.certificate
            if context.ech is not None:
                self._rejected_ech = rejected_by(context.ech)
            if context.reading.new:
                context.reading.accepted()
        self._records.establish()
        limits, is_client, trace = self._limits, self._is_client, self._trace
        if isinstance(result, HandshakeResult12):
            self._tls_unique = result.tls_unique
            self._forget = result.forget
            decline, left = self._decline_renegotiation, self._records.records_left
            self._post = PostHandshake12(limits, decline, left, is_client=is_client, trace=trace)
        else:
            own, peer = result.own_finished, result.peer_finished.verify_data
            self._finished = (own, peer) if is_client else (peer, own)
            self._post = PostHandshake13(
                self._records, result, limits, is_client=is_client, trace=trace
            )
        self._events.append(HandshakeCompleted(info))
        if info.early_data_status == "rejected" and self._early_data:
            self._events.append(EarlyDataRejected(b"".join(self._early_data)))
        self._early_data = []
        if not is_client:
            self._post.send_tickets()
        if self._trace is not None:
            self._trace.settled(info)

    def _receive_later_message(self, message: bytes) -> None:
        if self._post is None:
            raise ProtocolError(Fault.UNEXPECTED_MESSAGE)
        reaction = self._post.receive(message)
        if reaction is None:
            return
        if reaction is Reaction.KEYS_UPDATED:
            self._update_requested = False
            self._events.append(KeysUpdated())
        elif reaction is Reaction.AUTHENTICATION:
            self._authenticate(message)

    def _authenticate(self, message: bytes) -> None:
        """Answer a CertificateRequest, or take the answer of which this is the first message."""
        post, info, records = self._post, self._info, self._records
        if not isinstance(post, PostHandshake13) or info is None:
            raise ProtocolError(Fault.UNEXPECTED_MESSAGE)
        if self._is_client:
            if self._closed:
                return  # Nothing can be sent any more.
            # A server that asks again and again and never reads must not fill the memory.
            is_waiting = bool(records.out or records.messages)
            self._unsent_answers = self._unsent_answers + 1 if is_waiting else 1
            if self._unsent_answers > self._limits.max_certificate_requests:
                detail = "requests for a certificate, whose answers wait to be sent"
                raise ProtocolError(Fault.TOO_MANY_RECORDS_WITHOUT_PROGRESS, detail)
        context, exchange = post.begin_authentication(message, info)
        self._begin(exchange, context)

    def _authenticated(self, result: AuthenticationResult) -> None:
        post, context, self._context = self._post, self._context, None
        self._info = result.info
        if context is not None and self._is_client:
            self._certificate = context.certificate
        if isinstance(post, PostHandshake13) and not (self._is_client and self._closed):
            post.authenticated(result)
        if not self._is_client:
            self._events.append(ClientAuthenticated(result.info))

    def _decline_renegotiation(self) -> None:
        self._send_alert(AlertLevel.WARNING, AlertDescription.NO_RENEGOTIATION_RESERVED)

    # Alerts

    def _receive_alert(self, content: Buffer) -> None:
        if len(content) != 2:
            raise ProtocolError(Fault.DECODE_ERROR, f"an alert of {len(content)} bytes")
        level, description = content
        if self._trace is not None:
            self._trace.alert("received", level, description)
        if description == AlertDescription.CLOSE_NOTIFY:
            if (gave_up := self._gave_up()) is not None:
                raise gave_up
            if self._info is None:
                raise TruncationError(Fault.CLOSED_DURING_HANDSHAKE)
            self._close_half(peer=True)
            self._events.append(PeerClosed())
        elif description == AlertDescription.USER_CANCELED:
            # RFC 9846 6.1: not an error by itself; close_notify follows.
            self._cancellations += 1
            if self._cancellations > self._config.limits.max_records_without_progress:
                raise ProtocolError(Fault.TOO_MANY_ALERTS, "user_canceled")
        elif level == AlertLevel.WARNING and self._tolerates_warnings(description):
            self._records.note_record_without_progress(f"warning {alert_name(description)}")
            self._records.warning = description
        else:
            # RFC 9846 6: all others are errors, whatever level the peer gives them.
            raise PeerAlertError(description, self._situation(description))

    def _gave_up(self) -> PeerAlertError | None:
        """Return the error of a handshake that ends after an alert that did not end it.

        Whatever the end is, user_canceled or a warning that the peer sent last is its reason.
        """
        canceled, warning = AlertDescription.USER_CANCELED, self._records.warning
        number = canceled if self._cancellations else warning
        if self._info is not None or number is None:
            return None
        return PeerAlertError(number, self._situation(number))

    def _tolerates_warnings(self, description: int) -> bool:
        """Say if a connection goes on after this warning (RFC 5246 section 7.2.2).

        Before the version is known there is one that servers of TLS 1.2 send: that they do not
        know the name, and take their first certificate (RFC 6066 section 3).
        """
        if self._records.is_tls12:
            return True
        is_first = self._is_client and self._info is None and not self._records.records_opened
        return (
            is_first
            and "TLSv1.2" in self._config.versions
            and description == AlertDescription.UNRECOGNIZED_NAME
        )

    def _situation(self, alert: int) -> Situation:
        """Return what is known to explain an alert by which the peer gave up."""
        version = self._info.version if self._info is not None else None
        if version is None and self._records.is_tls12:
            version = "TLSv1.2"
        elif version is None and self._records.read_epoch is not Epoch.PLAINTEXT:
            version = "TLSv1.3"
        context, rejected_ech = self._context, self._rejected_ech
        if context is not None:
            rejected_ech = rejected_by(context.ech)
        return situation_of(
            alert,
            self._config,
            is_client=self._is_client,
            version=version,
            context=context,
            info=self._info,
            post=self._post,
            certificate=self._certificate,
            server_name=self._asked_for(),
            hello_is_large=self._hello_is_large(),
            rejected_ech=rejected_ech,
        )

    def _asked_for(self) -> str | None:
        """Return the server name: the hello's in a handshake, and then the one agreed upon."""
        if self._info is not None:
            return self._info.server_name
        return self._context.server_name if self._context is not None else None

    def _began_otherwise(self) -> bool:
        """Return whether the peer said less than a header, and that is no beginning of one."""
        start = self._unread
        return bool(start) and self._records.nothing_came and not begins_like_tls(start)

    def _how_far(self) -> str:
        """Describe what had arrived when nothing more came."""
        waiting = len(self._unread)
        if self._began_otherwise():
            error = not_tls(self._unread, from_client=not self._is_client, trace=None)
            return f"what had come is not TLS: {error.detail}"
        if waiting:
            noun = "byte" if waiting == 1 else "bytes"
            return f"in the middle of a record, of which {waiting} {noun} had come"
        other = "server" if self._is_client else "client"
        return f"the {other} had said nothing at all" if self._records.nothing_came else ""

    def _truncation(self, fault: Fault) -> TruncationError:
        """Return the error of a transport that ended without close_notify."""
        # A server that has said more has completed the handshake without a certificate.
        has_said_more = bool(self._unread) or (
            self._info is not None and self._records.records_opened > 0
        )
        if self._is_client and self._certificate_status() == "withheld" and not has_said_more:
            from handclasp.handshake.silence import refused_in_silence

            return refused_in_silence(fault)
        return TruncationError(fault, self._how_far())

    def _certificate_status(self) -> ClientAuthStatus:
        """Return what this side did when it was asked for a certificate, if it was."""
        return self._context.certificate if self._context is not None else self._certificate

    # The end

    def _close_half(self, *, peer: bool) -> None:
        """Note that one side sends nothing more."""
        if peer:
            self._peer_closed = True
        else:
            self._closed = True
            self._records.data_key = None
        both = self._closed and self._peer_closed
        self._state = State.CLOSED if both else State.HALF_CLOSED

    def _raise_failure(self) -> None:
        if self._failure is not None:
            # Raised again and again, the same exception would gather tracebacks.
            raise self._failure.with_traceback(None)

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, TLSError):
            self._end(error)
            return
        # Nothing a peer sends may surface as anything but a TLSError.
        is_interrupt = not isinstance(error, Exception)
        fault = Fault.INTERRUPTED if is_interrupt else Fault.INTERNAL_ERROR
        failure = ProtocolError(fault, type(error).__name__)
        failure.__cause__ = error
        self._end(failure)
        if is_interrupt:
            # Between two records, say: one may be lost, so the connection is over.
            raise error

    @contextmanager
    def _ending_on_failure(self) -> Generator[None]:
        """End the connection where sending fails, for example in a padding policy."""
        try:
            yield
        except ProtocolError as error:
            self._end(error)
            raise

    def _end(self, error: TLSError) -> TLSError:
        """Fail the connection, here and nowhere else: send the alert, and drop the keys."""
        self._failure = error
        self._state = State.FAILED
        if isinstance(error, ProtocolError):
            self._judge(error)
        self._post = self._data_key = self._records.data_key = None
        self._drop_handshake()
        self._records.forget_read_keys()
        self._unread.clear()
        self._forget_session(error)
        # The connection is over now, whatever a trace does below.
        if isinstance(error, ProtocolError) and error.fault.sends_alert:
            self._send_alert(AlertLevel.FATAL, error.alert_number)
        if self._trace is not None:
            self._trace.failed(error)
        return error

    def _judge(self, error: ProtocolError) -> None:
        """Tell an error which end has found it, and what that end has seen and said."""
        role: Role = "client" if self._is_client else "server"
        nothing_came = self._records.nothing_came
        error.found_by(role, nothing_came=nothing_came, hello_is_large=self._hello_is_large())

    def _hello_is_large(self) -> bool:
        """Return whether a client's hello, to which no answer came, may take several packets."""
        if not self._is_client or self._context is None:
            return False
        if not is_large_hello(self._context.transcript.waiting_size, self._config.groups):
            return False
        try:
            own = self.ask_own_address() if self.ask_own_address is not None else None
        except OSError:
            return True
        return not is_within_machine(own)

    def _forget_session(self, error: TLSError) -> None:
        """Forget what would resume a failed connection, as both sides do (RFC 5246 section 7.2.2).

        That it ended without close_notify is none of these failures (section 7.2.1).
        """
        forget, self._forget = self._forget, None
        if forget is not None and not isinstance(error, TruncationError):
            with suppress(ProtocolError):
                forget()

    def _send_alert(self, level: AlertLevel, description: int) -> None:
        if self._trace is not None:
            self._trace.alert("sent", level, description)
        alert = bytes([level, description])
        try:
            self._records.send_alert(alert)
        except ProtocolError:
            # The padding policy failed, and there is no padding any more: once more without.
            # Where the key can seal nothing more, the peer sees the end of the transport.
            with suppress(ProtocolError):
                self._records.send_alert(alert)

    def _ready_to_send(self, what: str) -> PostHandshake:
        self._raise_failure()
        if self._post is None:
            raise StateError(f"The handshake is not complete: cannot {what} yet.")
        if self._closed:
            raise StateError(f"This side has closed: cannot {what} any more.")
        return self._post

    def _require_handshake(self) -> None:
        self._raise_failure()
        if self._handshake is None:
            raise StateError("No question is open on this connection.")
