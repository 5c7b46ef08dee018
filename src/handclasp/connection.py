"""The sans-IO connection: bytes of the transport in, events and bytes for the transport out.

`ClientConnection` and `ServerConnection` own the three parts of a connection and carry between
them: the record layer, the driver that runs the handshake, and what lives on after it. This is
the only place that sends alerts, and the only one where a failure ends a connection.

A connection is used by one thread at a time. It holds no socket, and reads no clock of its own.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from typing import Any, Generic, TypeVar, cast

from handclasp.alerts import ABOUT_CERTIFICATES, ClientAuthStatus, OwnChain, Situation, Stage
from handclasp.certificates.describe import chain_in_words, covers_name
from handclasp.certificates.names import ip_address, normal_name
from handclasp.certificates.reading import certificate_of, read_or_none
from handclasp.certificates.trust import TrustStore
from handclasp.certificates.verify import (
    VerifiedPeer,
    accept_unverified,
    verify_client_chain,
    verify_raw_public_key,
    verify_server_chain,
)
from handclasp.config import ClientConfig, ServerConfig, SharedConfig
from handclasp.crypto.signatures import CERTIFICATE_SIGNATURE_SCHEMES
from handclasp.crypto.suites import Buffer
from handclasp.errors import (
    ConfigurationError,
    HandshakeTimeoutError,
    PeerAlertError,
    ProtocolError,
    StateError,
    TLSError,
    TruncationError,
)
from handclasp.events import (
    DataReceived,
    EarlyDataReceived,
    EarlyDataRejected,
    Event,
    HalfRttReady,
    HandshakeCompleted,
    KeysUpdated,
    PeerClosed,
    QuestionAsked,
)
from handclasp.faults import Fault, Role
from handclasp.handshake.client import client_handshake
from handclasp.handshake.client_sessions import find_sessions
from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.driver import Driver
from handclasp.handshake.negotiation import choose_client_credentials, choose_server_credentials
from handclasp.handshake.post import PostHandshake, Reaction
from handclasp.handshake.questions import (
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
from handclasp.handshake.result import Forget, HandshakeResult, HandshakeResult12
from handclasp.handshake.tls12.post import PostHandshake12
from handclasp.handshake.tls13.post import PostHandshake13
from handclasp.handshake.trace_notes import note_credentials
from handclasp.info import ConnectionInfo
from handclasp.keys.epoch import Epoch
from handclasp.keys.schedule12 import RESERVED_LABELS, Exporter12
from handclasp.keys.schedule13 import ExporterSecret
from handclasp.record.layer import RecordLayer
from handclasp.trace.hooks import Trace
from handclasp.wire.iana import AlertDescription, AlertLevel, ContentType, alert_name
from handclasp.wire.memoize import new_memo

Config = TypeVar("Config", bound=SharedConfig)

_HANDSHAKE = int(ContentType.HANDSHAKE)
_ALERT = int(ContentType.ALERT)
_APPLICATION_DATA = int(ContentType.APPLICATION_DATA)
_CERTIFICATE_SCHEMES = tuple(code.name for code in CERTIFICATE_SIGNATURE_SCHEMES)
_CHANGE_CIPHER_SPEC = int(ContentType.CHANGE_CIPHER_SPEC)


class _Connection(Generic[Config]):
    """What both roles share. See `ClientConnection` and `ServerConnection`."""

    __slots__ = (
        "_cancellations",
        "_certificate",
        "_closed",
        "_config",
        "_context",
        "_data",
        "_driver",
        "_early_data",
        "_early_size",
        "_events",
        "_exporter",
        "_failure",
        "_forget",
        "_half_rtt",
        "_info",
        "_is_client",
        "_peer_closed",
        "_post",
        "_records",
        "_tls_unique",
        "_trace",
        "_update_requested",
        "_wire",
    )

    def __init__(self, config: Config, *, is_client: bool, trace: Trace | None) -> None:
        self._config = config
        self._is_client = is_client
        self._trace = trace
        self._wire = trace.wire if trace is not None and trace.record_wire else None
        self._records = RecordLayer(
            config.limits, config.record_padding, is_client=is_client, trace=trace
        )
        self._driver: Driver[HandshakeResult] | None = None
        self._context: HandshakeContext | None = None
        self._certificate: ClientAuthStatus = "unasked"
        self._exporter: ExporterSecret | Exporter12 | None = None
        self._tls_unique: bytes | None = None
        self._post: PostHandshake | None = None
        self._info: ConnectionInfo | None = None
        self._events: list[Event] = []
        self._data: list[Buffer] = []
        self._failure: TLSError | None = None
        self._forget: Forget | None = None
        self._closed = False
        self._peer_closed = False
        self._update_requested = False
        self._cancellations = 0
        self._early_data: list[bytes] = []
        self._early_size: int = 0
        self._half_rtt = False

    def _begin(self, server_name: str | None) -> None:
        if self._trace is not None:
            self._trace.began("client" if self._is_client else "server", server_name)

    # What is known

    def __repr__(self) -> str:
        info = self._info
        if self._failure is not None:
            state = f"failed: {self._failure.fault}"
        elif info is None:
            state = "in the handshake"
        else:
            state = f"{info.version} {info.cipher_suite} {info.group}"
        return f"<{type(self).__name__} {state}>"

    @property
    def config(self) -> Config:
        """The config that this connection follows."""
        return self._config

    @property
    def info(self) -> ConnectionInfo | None:
        """What the handshake agreed upon; None until it is complete."""
        return self._info

    @property
    def established(self) -> bool:
        """Whether the handshake is complete, so that data may flow."""
        return self._info is not None and self._failure is None

    @property
    def failure(self) -> TLSError | None:
        """Why the connection ended, if it failed."""
        return self._failure

    @property
    def closed(self) -> bool:
        """Whether this side has said that it sends nothing more."""
        return self._closed

    @property
    def peer_closed(self) -> bool:
        """Whether the peer has said that it sends nothing more."""
        return self._peer_closed

    @property
    def unread_after_close(self) -> bytes:
        """What came in one read with the peer's close_notify, behind it.

        Not TLS any more: the start of what an application that goes back to plaintext would read
        from the transport next. Empty before the peer has closed.
        """
        return bytes(self._records.retained) if self._peer_closed else b""

    @property
    def question(self) -> Question[Any] | None:
        """What the handshake waits for from the application, if anything."""
        return self._driver.question if self._driver is not None else None

    # The transport's side

    def receive_data(self, data: Buffer) -> list[Event]:
        """Take what the transport brought; gives what it means to the application.

        All application data of one call comes as one `DataReceived`. `data` is not kept.

        Raises:
            TLSError: the connection failed. `data_to_send` then holds the alert for the peer.
                Where events came before the failure, they are returned first, `failure` is set,
                and the next call raises.
        """
        if self._failure is not None:
            self._raise_failure()
        if self._wire is not None:
            self._wire("received", bytes(data))
        if self._peer_closed:
            # RFC 8446 6.1: "Any data received after a closure alert has been received MUST be
            # ignored."
            return []
        records, post = self._records, self._post
        try:
            if post is not None:
                content = records.open_one(data)
                if content is not None:
                    post.messages_without_data = 0
                    return [DataReceived(content)]
                data = records.open_data(data, self._data)
                if self._data:
                    post.messages_without_data = 0
            if data or records.has_more:
                self._feed(data)
        except BaseException as error:
            self._fail(error)
        return self._take_events()

    def receive_eof(self, *, reset: bool = False) -> list[Event]:
        """The transport has ended.

        Args:
            reset: it was torn down (TCP RST) and not closed.

        Raises:
            TruncationError: without a close_notify before, unless the config allows it.
        """
        self._raise_failure()
        if self._trace is not None:
            self._trace.transport_ended("received", "reset" if reset else "end")
        if self._peer_closed:
            return []
        if self._info is None:
            fault = Fault.RESET_DURING_HANDSHAKE if reset else Fault.CLOSED_DURING_HANDSHAKE
            raise self._end(TruncationError(fault, self._how_far()))
        if self._records.retained or not self._config.allow_truncation:
            raise self._end(TruncationError(Fault.TRUNCATED, self._how_far()))
        self._peer_closed = True
        return [PeerClosed()]

    @property
    def wants_to_send(self) -> bool:
        """Whether `data_to_send` has something to give."""
        post = self._post
        return self._records.has_output or (
            post is not None and post.key_update_pending and not self._closed
        )

    def data_to_send(self) -> Buffer:
        """Take everything that is queued for the transport; empty if there is nothing."""
        # Here and in `send_data` as in `_ending_on_failure`, which would cost time on these paths.
        try:
            post = self._post
            if post is not None and post.key_update_pending and not self._closed:
                post.send_pending_key_update()
            out = self._records.take()
        except ProtocolError as error:
            self._end(error)
            raise
        if out and self._wire is not None:
            self._wire("sent", bytes(out))
        return out

    # The application's side

    def send_data(self, data: Buffer) -> None:
        """Queue application data of any size. Follow it by `data_to_send`.

        Raises:
            StateError: the handshake is not complete, or this side has closed.
            TLSError: the connection has failed.
        """
        post = self._post
        if post is None or self._closed:
            post = self._ready_to_send("send data")
        if not data:
            return
        try:
            if post.key_update_pending:
                post.send_pending_key_update()
            records = self._records
            if not isinstance(data, bytes):
                data = memoryview(data).cast("B")
                if len(data) <= records.fragment_size:
                    data = bytes(data)
            if isinstance(data, bytes) and records.send_one(data):
                return
            room = records.room
            if len(data) <= room:
                records.send_application_data(data)
            else:
                self._send_over_many_keys(post, memoryview(data))
        except ProtocolError as error:
            self._end(error)
            raise

    def close(self) -> None:
        """Queue close_notify: this side sends nothing more (RFC 8446 section 6.1).

        What the peer still sends can be received. Closing twice does nothing. Before the
        handshake is complete, closing gives it up: nothing is received any more.
        """
        if self._closed or self._failure is not None:
            return
        if self._post is not None:
            with self._ending_on_failure():
                self._post.send_pending_key_update()
        else:
            self._drop_handshake()
            self._peer_closed = True
            self._send_alert(AlertLevel.WARNING, AlertDescription.USER_CANCELED)
        self._closed = True
        self._send_alert(AlertLevel.WARNING, AlertDescription.CLOSE_NOTIFY)

    def abort(self, fault: Fault, detail: str = "") -> TLSError:
        """Give up for a reason of this side, such as `Fault.HANDSHAKE_TIMEOUT`.

        Queues the alert, and gives the error to raise, with `detail` in its message.
        """
        if self._failure is not None:
            return self._failure
        if fault is Fault.HANDSHAKE_TIMEOUT:
            return self._end(HandshakeTimeoutError(fault, detail or self._how_far()))
        return self._end(ProtocolError(fault, detail))

    def answer(self, question: Question[Any], value: object) -> list[Event]:
        """Answer the open question; the handshake goes on, with what arrived meanwhile.

        Raises as `receive_data`; `StateError` where this question is not open.
        """
        self._raise_failure()
        driver = self._asking_driver()
        try:
            driver.answer(question, value)
            self._after_step(driver)
            self._pump()
        except ConfigurationError:
            raise
        except BaseException as error:
            self._fail(error)
        return self._take_events()

    def refuse(self, question: Question[Any], error: BaseException) -> list[Event]:
        """The open question's answer failed with `error`: so does the handshake."""
        self._raise_failure()
        if isinstance(question, Decrypt):
            # Only at its end, so that nobody learns what was wrong with a ciphertext.
            return self.answer(question, b"")
        self._fail(self._asking_driver().refuse(question, error))
        return self._take_events()

    def update_keys(self, request_peer: bool = True) -> None:
        """Go over to new keys for sending, and ask the peer to do so (RFC 8446 section 4.6.3).

        Raises:
            StateError: the handshake is not complete, this side has closed, or the version is
                TLS 1.2, which has no such message.
            TLSError: the connection has failed.
        """
        post = self._ready_to_send("update keys")
        with self._ending_on_failure():
            post.update_send_keys(request_peer=request_peer)

    def export_keying_material(self, label: str, context: bytes | None, length: int) -> bytes:
        """`length` bytes that only the two ends know (RFC 8446 section 7.5, RFC 5705).

        No context and an empty one are the same in TLS 1.3, and differ in TLS 1.2.

        Raises:
            StateError: the handshake is not complete.
            ConfigurationError: a label that is not ASCII of 1 to 249 characters, or a length
                outside of 1 to 255 hashes. In TLS 1.2 also a label of the handshake's own, and
                without the extended master secret (RFC 7627 section 5.4).
        """
        exporter = self._exporter
        if exporter is None:
            raise StateError("Keying material can be exported after the handshake only.")
        if not label.isascii() or not 0 < len(label) < 250:
            raise ConfigurationError("An exporter label has 1 to 249 ASCII characters.")
        if not 0 < length <= exporter.longest:
            raise ConfigurationError(
                f"An exporter gives 1 to {exporter.longest} bytes, not {length}."
            )
        if isinstance(exporter, Exporter12):
            self._require_extended_master_secret("what it exports")
            if label in RESERVED_LABELS:
                raise ConfigurationError(f"TLS itself uses the label {label!r} (RFC 5705 4).")
        return exporter.export(label, context, length)

    def channel_binding(self, binding_type: str = "tls-exporter") -> bytes:
        """Bytes that tie an application's authentication to this connection.

        "tls-exporter" (RFC 9266), "tls-server-end-point" (RFC 5929 section 4), or, in TLS 1.2
        only, "tls-unique" (RFC 5929 section 3).

        Raises:
            StateError: the handshake is not complete.
            ConfigurationError: another type, without the extended master secret where the type
                needs it (RFC 7627 section 5.4), without a certificate of the server in a handshake
                that this side remembers, or one whose signature has no hash of its own (RFC 5929
                section 4.1 defines none then).
        """
        if binding_type == "tls-unique":
            return self._unique_binding()
        if binding_type == "tls-exporter":
            return self.export_keying_material("EXPORTER-Channel-Binding", b"", 32)
        if binding_type != "tls-server-end-point":
            raise ConfigurationError(f"{binding_type!r} is not a channel binding of TLS.")
        if self._info is None:
            raise StateError("Channel bindings exist after the handshake only.")
        info = self._info
        if self._is_client:
            chain, certificate_type = info.peer_chain_der, info.peer_certificate_type
        else:
            chain, certificate_type = info.local_chain_der, info.local_certificate_type
        if certificate_type != "X509":
            raise ConfigurationError(
                "tls-server-end-point is about a certificate, and the server showed a raw public "
                "key; use tls-exporter."
            )
        if not chain:
            raise ConfigurationError(
                "tls-server-end-point is about the server's certificate, and this side knows of "
                "none: a session or key of before stood for it; use tls-exporter."
            )
        return _server_end_point(chain[0])

    # Inside

    def _unique_binding(self) -> bytes:
        if self._info is None:
            raise StateError("Channel bindings exist after the handshake only.")
        if self._tls_unique is None:
            # RFC 8446 C.5: "tls-unique" is not defined there.
            raise ConfigurationError("'tls-unique' is not a channel binding of TLS 1.3.")
        self._require_extended_master_secret("tls-unique")
        return self._tls_unique

    def _require_extended_master_secret(self, what: str) -> None:
        exporter = self._exporter
        if isinstance(exporter, Exporter12) and not exporter.master_secret.extended:
            raise ConfigurationError(
                f"This connection is without the extended master secret: {what} could be the same "
                "on another one (RFC 7627 5.4). Use a peer that supports it."
            )

    def _start(self, handshake: Coroutine[Any, Any, HandshakeResult]) -> None:
        self._driver = Driver(handshake, self._answerers(), self._trace)
        self._driver.start()

    def _open_context(self) -> HandshakeContext:
        keylog = self._config.keylog
        sink = keylog if callable(keylog) else None
        memo = self._config.once("memo", new_memo)
        records = self._records
        self._context = HandshakeContext(
            records, records=records, keylog=sink, trace=self._trace, memo=memo
        )
        return self._context

    def _answerers(self) -> dict[type[Question[Any]], Answerer]:
        config = self._config
        answerers: dict[type[Question[Any]], Answerer] = {
            ChooseCredentials: config.choose_credentials or self._choose_credentials,
            Sign: _sign,
            Decrypt: _decrypt,
            VerifyPeer: config.verify or self._verify,
        }
        if config.confirm_peer is not None:
            answerers[ConfirmPeer] = config.confirm_peer
        return answerers

    def _choose_credentials(self, question: ChooseCredentials) -> object:
        """The answer without a callback; each role has its own rules."""
        raise NotImplementedError

    def _verify(self, question: VerifyPeer) -> object:
        """The answer without a callback; each role has its own rules."""
        raise NotImplementedError

    def _feed(self, data: Buffer) -> None:
        records = self._records
        records.feed(data)
        try:
            self._pump()
        finally:
            records.retain()

    def _pump(self) -> None:
        """Take messages and records one at a time, as long as there are any to take."""
        records = self._records
        while not self._peer_closed:
            driver = self._driver
            if driver is not None and driver.question is not None:
                self._limit_waiting()
                return
            message = records.next_message()
            if message is not None:
                self._receive_message(message)
                continue
            record = records.next_record()
            if record is None:
                return
            content_type, content = record
            if content_type == _APPLICATION_DATA and self._post is not None:
                self._data.append(content)
                self._post.messages_without_data = 0
            else:
                self._receive_record(content_type, content)

    def _receive_record(self, content_type: int, content: bytes) -> None:
        if content_type == _HANDSHAKE:
            self._records.add_handshake(content)
        elif content_type == _ALERT:
            self._receive_alert(content)
        elif content_type == _APPLICATION_DATA:
            self._receive_early_data(content)
        elif content_type == _CHANGE_CIPHER_SPEC and self._records.is_tls12:
            self._receive_change_cipher_spec()
        else:
            raise ProtocolError(Fault.UNEXPECTED_RECORD_TYPE, f"type {content_type}, protected")

    def _receive_early_data(self, content: bytes) -> None:
        """Data before the handshake is complete; only a server that agreed to them gets any."""
        if self._records.read_epoch is not Epoch.EARLY_DATA:
            raise ProtocolError(Fault.APPLICATION_DATA_TOO_EARLY)
        self._early_size += len(content)
        if self._early_size > self._max_early_data():
            raise ProtocolError(Fault.TOO_MUCH_EARLY_DATA, f"over {self._max_early_data()} bytes")
        self._events.append(EarlyDataReceived(content))

    def _max_early_data(self) -> int:
        """Bytes of early data that this side takes."""
        return 0

    def _receive_message(self, raw: bytes) -> None:
        if self._driver is not None:
            self._driver.deliver(raw)
            self._after_step(self._driver)
            return
        post = self._post
        if post is None:
            raise ProtocolError(Fault.UNEXPECTED_MESSAGE)
        reaction = post.receive(raw)
        if reaction is Reaction.KEYS_UPDATED:
            self._update_requested = False
            self._events.append(KeysUpdated())

    def _decline(self) -> None:
        """The peer asked for a renegotiation."""
        self._send_alert(AlertLevel.WARNING, AlertDescription.NO_RENEGOTIATION_RESERVED)

    def _receive_change_cipher_spec(self) -> None:
        """In TLS 1.2 it is a step of the handshake, and has no other place."""
        if self._driver is None:
            raise ProtocolError(Fault.UNEXPECTED_CHANGE_CIPHER_SPEC)
        self._driver.deliver_change_cipher_spec()
        self._after_step(self._driver)

    def _after_step(self, driver: Driver[HandshakeResult]) -> None:
        """The handshake has taken a step: it asks, is complete, or waits for more."""
        if driver.question is not None:
            self._events.append(QuestionAsked(driver.question))
        elif driver.result is not None:
            self._establish(driver.result)
        elif self._context is not None and self._context.half_rtt is not None:
            info, self._context.half_rtt = self._context.half_rtt, None
            self._half_rtt = True
            self._events.append(HalfRttReady(info))

    def _establish(self, result: HandshakeResult) -> None:
        self._exporter = result.exporter
        self._info = result.info
        self._driver = None
        if self._context is not None:
            self._certificate = self._context.certificate
            self._context.reading.accepted()
            self._context = None
        self._records.establish()
        limits, is_client = self._config.limits, self._is_client
        if isinstance(result, HandshakeResult12):
            self._tls_unique = result.tls_unique
            self._forget = result.forget
            left, decline = self._records.records_left, self._decline
            self._post = PostHandshake12(
                limits, decline, left, is_client=is_client, trace=self._trace
            )
        else:
            self._post = PostHandshake13(
                self._records, result, limits, is_client=is_client, trace=self._trace
            )
        self._events.append(HandshakeCompleted(result.info))
        if result.info.early_data == "rejected" and self._early_data:
            self._events.append(EarlyDataRejected(b"".join(self._early_data)))
        self._early_data = []
        self._post.send_tickets()
        if self._trace is not None:
            self._trace.settled(result.info)

    def _receive_alert(self, content: bytes) -> None:
        if len(content) != 2:
            raise ProtocolError(Fault.DECODE_ERROR, f"an alert of {len(content)} bytes")
        level, description = content
        if self._trace is not None:
            self._trace.alert("received", level, description)
        if description == AlertDescription.CLOSE_NOTIFY:
            if self._info is None:
                raise TruncationError(Fault.CLOSED_DURING_HANDSHAKE)
            self._peer_closed = True
            self._events.append(PeerClosed())
        elif description == AlertDescription.USER_CANCELED:
            # RFC 8446 6.1: not an error by itself; close_notify follows.
            self._cancellations += 1
            if self._cancellations > self._config.limits.max_records_without_progress:
                raise ProtocolError(Fault.TOO_MANY_ALERTS, "user_canceled")
        elif level == AlertLevel.WARNING and self._tolerates_warnings(description):
            self._records.note_idle_record(f"warning {alert_name(description)}")
        else:
            # RFC 8446 6: all others are errors, whatever level the peer gives them.
            raise PeerAlertError(description, self._situation(description))

    def _situation(self, alert: int) -> Situation:
        """How far it has come, for whoever has to guess why the peer gave up with an alert."""
        config, records, context = self._config, self._records, self._context
        version = self._info.version if self._info is not None else None
        stage: Stage = "established" if self._info is not None else "handshake"
        if version is None and records.is_tls12:
            version = "TLSv1.2"
        elif version is None and records.read_epoch is not Epoch.PLAINTEXT:
            version = "TLSv1.3"
        if version is None and self._is_client:
            stage = "hello"
        # Before there is an answer, a key is only offered: a server has no part in that.
        external_key = bool(stage == "hello" and config.psks)
        if self._info is not None:
            external_key = self._info.psk_identity is not None
        post = self._post
        is_about_chain = alert in ABOUT_CERTIFICATES
        name, chain = self._asked_for(), self._shown_chain() if is_about_chain else ()
        return Situation(
            role="client" if self._is_client else "server",
            stage=stage,
            version=version,
            versions=tuple(config.versions),
            cipher_suites=tuple(config.cipher_suites),
            groups=tuple(config.groups),
            signature_schemes=tuple(config.signature_schemes),
            alpn=tuple(config.alpn),
            server_name=name,
            certificate=context.certificate if context is not None else self._certificate,
            certificate_schemes=_CERTIFICATE_SCHEMES if self._is_client else (),
            chain=OwnChain(*chain_in_words(chain)),
            declined_renegotiation=isinstance(post, PostHandshake12) and post.has_declined,
            external_key=external_key,
            is_for_name=covers_name(chain, name) if not self._is_client else None,
            is_stapled=context.is_stapled if context is not None else None,
            server_certificate_types=config.peer_certificate_types if self._is_client else (),
            client_certificate_types=config.own_certificate_types if self._is_client else (),
        )

    def _shown_chain(self) -> tuple[bytes, ...]:
        """The certificates that this side has shown in this conversation."""
        context, info = self._context, self._info
        if context is not None:
            return context.shown_chain
        return info.local_chain_der if info is not None and self._certificate == "shown" else ()

    def _how_far(self) -> str:
        """What had arrived when nothing more came."""
        waiting = len(self._records.retained)
        if waiting:
            return f"in the middle of a record, of which {waiting} bytes had come"
        return "it had said nothing at all" if self._records.nothing_came else ""

    def _asked_for(self) -> str | None:
        """The name in the hello, as long as the handshake goes on; a client knows it afterwards."""
        if self._info is not None:
            return self._info.server_name
        return self._context.server_name if self._context is not None else None

    def _tolerates_warnings(self, description: int) -> bool:
        """RFC 5246 7.2.2: after a warning "generally the connection can continue normally".

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

    def _limit_waiting(self) -> None:
        """While the application thinks, the peer may not fill the memory."""
        if len(self._records.retained) > self._config.limits.max_handshake_bytes:
            raise ProtocolError(Fault.HANDSHAKE_TOO_LARGE, "while a question was open")

    def _take_events(self) -> list[Event]:
        events = self._events
        if events:
            self._events = []
        elif not self._data:
            self._raise_failure()
            return []
        else:
            return [self._take_data()]
        if self._data:
            at = -1 if isinstance(events[-1], PeerClosed) else len(events)
            events.insert(at, self._take_data())
        return events

    def _take_data(self) -> DataReceived:
        chunks = self._data
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        if self._records.read_key_exhausted:
            self._ask_for_new_keys()
        return DataReceived(data if isinstance(data, bytes) else bytes(data))

    def _ask_for_new_keys(self) -> None:
        """The peer has used its key for long: ask it to change (RFC 8446 section 5.5)."""
        post = self._post
        if self._records.is_tls12 or post is None or self._closed:
            return
        if not self._update_requested:
            self._update_requested = True
            with suppress(ProtocolError), self._ending_on_failure():
                post.update_send_keys(request_peer=True)

    def _send_over_many_keys(self, post: PostHandshake, data: memoryview) -> None:
        records = self._records
        if records.is_tls12:
            # There is no KeyUpdate: the connection ends before the key has sealed too much.
            raise ProtocolError(
                Fault.KEY_EXHAUSTED,
                "TLS 1.2 cannot change it",
                fix="On this end: Open a new connection, or allow TLS 1.3, which changes keys on "
                "the way. If Limits.max_records_per_key is set, raise it.",
            )
        while data:
            room = records.room
            if room <= 0:
                post.update_send_keys(request_peer=False)
                continue
            records.send_application_data(data[:room])
            data = data[room:]

    def _ready_to_send(self, what: str) -> PostHandshake:
        self._raise_failure()
        if self._post is None:
            raise StateError(f"The handshake is not complete: cannot {what} yet.")
        if self._closed:
            raise StateError(f"This side has closed: cannot {what} any more.")
        return self._post

    def _asking_driver(self) -> Driver[HandshakeResult]:
        if self._driver is None:
            raise StateError("No question is open on this connection.")
        return self._driver

    def _raise_failure(self) -> None:
        if self._failure is not None:
            # Raised again and again, the same exception would gather tracebacks.
            raise self._failure.with_traceback(None)

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, TLSError):
            self._end(error)
            return
        # Nothing a peer sends may surface as anything but a TLSError.
        failure = ProtocolError(Fault.INTERNAL_ERROR, type(error).__name__)
        failure.__cause__ = error
        self._end(failure)
        if not isinstance(error, Exception):
            # An interrupt between two records: one may be lost, so the connection is over.
            raise error

    @contextmanager
    def _ending_on_failure(self) -> Generator[None]:
        """What goes wrong on the way out, such as in a padding policy, ends the connection."""
        try:
            yield
        except ProtocolError as error:
            self._end(error)
            raise

    def _end(self, error: TLSError) -> TLSError:
        """The one place where a connection fails: the alert goes out, and keys are dropped."""
        self._failure = error
        self._post = None
        self._drop_handshake()
        if isinstance(error, ProtocolError):
            role: Role = "client" if self._is_client else "server"
            error.found_by(role, nothing_came=self._records.nothing_came)
        self._records.forget_read_keys()
        self._forget_session(error)
        # The connection is over now, whatever a trace does below.
        if isinstance(error, ProtocolError) and error.fault_member.sends_alert:
            self._send_alert(AlertLevel.FATAL, error.fault_member.alert)
        if self._trace is not None:
            self._trace.failed(error)
        return error

    def _forget_session(self, error: TLSError) -> None:
        """RFC 5246 7.2.2: of a failed connection, both sides forget what would resume it.

        That it ended without close_notify is none of these failures (section 7.2.1).
        """
        forget, self._forget = self._forget, None
        if forget is not None and not isinstance(error, TruncationError):
            with suppress(ProtocolError):
                forget()

    def _drop_handshake(self) -> None:
        driver, self._driver, self._context = self._driver, None, None
        if driver is not None:
            driver.close()

    def _send_alert(self, level: AlertLevel, description: AlertDescription) -> None:
        if self._trace is not None:
            self._trace.alert("sent", level, description)
        alert = bytes([level, description])
        try:
            self._records.send_alert(alert)
        except ProtocolError:
            # The padding policy failed, and the record layer has dropped it: once more without.
            # Where the key can seal nothing more, the peer sees the end of the transport.
            with suppress(ProtocolError):
                self._records.send_alert(alert)


class ClientConnection(_Connection[ClientConfig]):
    """The client's side of one TLS connection, without any I/O.

    The ClientHello is ready in `data_to_send` from the start.

    Args:
        config: how to connect; the default is safe.
        server_name: the DNS name or IP address that the server must prove to be.
        port: where the server listens; sessions with it are kept apart from those of others.
        trace: a `Recorder` to note everything.

    Raises:
        ConfigurationError: there is no server name to verify, and verification is not off.
    """

    __slots__ = ("_early_limit", "_server_name", "_sessions", "_trust")

    def __init__(
        self,
        config: ClientConfig | None = None,
        *,
        server_name: str | None = None,
        port: int | None = None,
        trace: Trace | None = None,
    ) -> None:
        config = config if config is not None else ClientConfig()
        if not isinstance(config, ClientConfig):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"A client needs a ClientConfig, not {config!r}.")
        name = check_server_name(config, server_name)
        super().__init__(config, is_client=True, trace=trace)
        if port is not None and type(port) is not int:
            raise ConfigurationError(f"port must be a whole number, not {port!r}.")
        self._server_name = name
        self._begin(self._server_name)
        self._trust = config.trust
        judges = config.verify_peer and config.verify is None and config.accepts_certificates
        if self._trust is None and judges and server_name is not None:
            self._trust = TrustStore.system()
        choose = config.choose_credentials or self._choose_credentials
        client_sessions = find_sessions(
            config, self._server_name, port, self._trust, self._verify, choose
        )
        session = client_sessions.session if client_sessions is not None else None
        self._sessions = client_sessions
        context = self._open_context()
        context.trust = self._trust
        self._start(client_handshake(context, config, self._server_name, client_sessions))
        offers = self._records.write_epoch is Epoch.EARLY_DATA and session is not None
        self._early_limit = session.max_early_data if offers and session is not None else 0

    def _establish(self, result: HandshakeResult) -> None:
        self._sessions = None
        super()._establish(result)

    def _end(self, error: TLSError) -> TLSError:
        client_sessions, self._sessions = self._sessions, None
        if client_sessions is not None:
            # RFC 5246 7.2.2: what ended in a failure must not be resumed. A session of TLS 1.2
            # would otherwise be offered again and again to a server that cannot bear it.
            with suppress(ProtocolError):
                client_sessions.refused()
        return super()._end(error)

    @property
    def early_data_limit(self) -> int:
        """Bytes that `send_early_data` still takes: 0 without a session for them, and later."""
        records = self._records
        if records.write_epoch is not Epoch.EARLY_DATA or self._failure is not None:
            return 0
        # The key of early data cannot be updated (RFC 9846 section 5.5).
        room = records.room
        return max(0, min(self._early_limit - self._early_size, room))

    def send_early_data(self, data: Buffer) -> None:
        """Queue data before the handshake is complete (0-RTT). Follow it by `data_to_send`.

        They are not forward secret, and whoever records them can send them to the server again,
        so send only what may be done twice. If the server takes none, `EarlyDataRejected` gives
        them back; `info.early_data` tells as well.

        Raises:
            StateError: the hello did not offer early data, or the server has answered it already.
            ConfigurationError: more than `early_data_limit`.
            TLSError: the connection has failed.
        """
        self._raise_failure()
        size = memoryview(data).nbytes
        if size > self.early_data_limit:
            in_time = self._records.write_epoch is Epoch.EARLY_DATA
            raise (ConfigurationError if in_time else StateError)(
                f"Early data of {size} bytes, where the server takes {self.early_data_limit}: "
                "wait for the handshake, and use send_data."
            )
        if not size:
            return
        self._early_size += size
        self._early_data.append(bytes(data))
        with self._ending_on_failure():
            self._records.send_application_data(memoryview(data).cast("B"))

    def _asked_for(self) -> str | None:
        name = self._server_name
        return None if name is None or ip_address(name) is not None else name

    def _choose_credentials(self, question: ChooseCredentials) -> object:
        config = self._config
        return choose_client_credentials(question, config.credential_list, config.signature_schemes)

    def _verify(self, question: VerifyPeer) -> object:
        config = self._config
        if not config.verify_peer:
            return accept_unverified(question.chain, question.certificate_type)
        if question.certificate_type == "RawPublicKey":
            return _verify_raw_public_key(question, config)
        trust, name = self._trust, question.server_name
        if trust is None or name is None:
            raise ConfigurationError("Verification needs a trust store and a server name.")
        return verify_server_chain(
            question.chain,
            trust,
            name,
            config.clock(),
            policy=config.policy,
            ocsp_response=question.ocsp_response,
            sct_list=question.sct_list,
        )


class ServerConnection(_Connection[ServerConfig]):
    """The server's side of one TLS connection, without any I/O.

    The first one imports what servers alone need, so that a process which gives up its file system
    (chroot) should make one before it does, and let its trust store `prepare`, if it has one.
    """

    __slots__ = ()

    def __init__(self, config: ServerConfig, *, trace: Trace | None = None) -> None:
        if not isinstance(config, ServerConfig):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"A server needs a ServerConfig, not {config!r}.")
        from handclasp.handshake.server import server_handshake  # Clients need none of it.

        super().__init__(config, is_client=False, trace=trace)
        self._begin(None)
        self._start(server_handshake(self._open_context(), config))

    def send_tickets(self, count: int = 1) -> int:
        """Queue more tickets for the client to come back with (TLS 1.3); gives how many.

        None where the client cannot use them, or the config has `tickets=0`.

        Raises:
            StateError: the handshake is not complete, or this side has closed.
        """
        post = self._ready_to_send("send tickets")
        with self._ending_on_failure():
            return post.send_tickets(count)

    @property
    def half_rtt_limit(self) -> int:
        """Bytes that `send_half_rtt_data` still takes: 0 before `HalfRttReady`, and later."""
        if not self._half_rtt or self._driver is None:
            return 0
        # Keys are not updated before the handshake is complete.
        return max(0, self._records.room)

    def send_half_rtt_data(self, data: Buffer) -> None:
        """Queue data before the client's Finished (0.5-RTT). Follow it by `data_to_send`.

        They go to whoever sent the hello, of whom nothing is proved yet: it may be a recorded one,
        sent again (RFC 8446 section 4.4.4). Only the client that made the hello can read them; but
        with a pre-shared key without a key exchange, they are not forward secret.

        Raises:
            StateError: the config does not allow it, or it is not the time: before the event
                `HalfRttReady`, and after `HandshakeCompleted`, when there is `send_data`.
            ConfigurationError: more than `half_rtt_limit`.
            TLSError: the connection has failed.
        """
        self._raise_failure()
        limit, size = self.half_rtt_limit, memoryview(data).nbytes
        if not self._half_rtt or self._driver is None:
            raise StateError(
                "Half-RTT data go out between HalfRttReady and HandshakeCompleted, and with "
                "ServerConfig(half_rtt_data=True): otherwise use send_data."
            )
        if size > limit:
            raise ConfigurationError(
                f"Half-RTT data of {size} bytes, where the key is good for {limit}: wait for the "
                "handshake, and use send_data."
            )
        if size:
            with self._ending_on_failure():
                self._records.send_application_data(memoryview(data).cast("B"))

    def _max_early_data(self) -> int:
        return self._config.max_early_data

    def _answerers(self) -> dict[type[Question[Any]], Answerer]:
        answerers = super()._answerers()
        config = self._config
        answerers[ReverifyPeer] = self._reverify_peer
        answerers[CheckReplay] = self._check_replay
        if config.find_psk is not None:
            answerers[FindPsk] = config.find_psk
        return answerers

    def _reverify_peer(self, question: ReverifyPeer) -> object:
        verify: Any = self._config.verify or self._verify
        asked = VerifyPeer(question.chain, False, None, question.certificate_type)
        return _answer_or(None, lambda: verify(asked), VerifiedPeer)

    def _check_replay(self, question: CheckReplay) -> object:
        guard = self._config.replay_guard
        if guard is None:
            return False
        return _answer_or(
            False, lambda: guard.is_first(question.token, question.ticket_created_at), bool
        )

    def _choose_credentials(self, question: ChooseCredentials) -> object:
        config = self._config
        try:
            return choose_server_credentials(
                question,
                config.credential_list,
                config.signature_schemes,
                strict_server_name=config.strict_server_name,
                types_first=config.orders_certificate_types,
            )
        except ProtocolError:
            note_credentials(self._trace, config, question, None)
            raise

    def _verify(self, question: VerifyPeer) -> object:
        config = self._config
        if question.certificate_type == "RawPublicKey":
            return _verify_raw_public_key(question, config)
        if config.trust is None:
            raise ConfigurationError("Client certificates need a trust store.")
        return verify_client_chain(
            question.chain,
            config.trust,
            config.clock(),
            policy=config.policy,
            ocsp_response=question.ocsp_response,
        )


def _answer_or(otherwise: object, call: Callable[[], Any], kind: type) -> object:
    """The answer, or `otherwise` where there is none of this kind: the handshake goes on so."""
    try:
        answer = call()
    except Exception:
        return otherwise
    if inspect.isawaitable(answer):
        return _awaited_or(otherwise, answer, kind)
    return answer if isinstance(answer, kind) else otherwise


async def _awaited_or(otherwise: object, pending: Awaitable[Any], kind: type) -> object:
    try:
        answer = await pending
    except Exception:
        return otherwise
    return answer if isinstance(answer, kind) else otherwise


def check_server_name(config: ClientConfig, server_name: str | None) -> str | None:
    """Return the normal spelling of a server's name; None where it may be missing, and is.

    Raises:
        ConfigurationError: it is no name, or the config needs one and there is none.
    """
    if server_name is not None:
        if not isinstance(server_name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"server_name must be a str, not {server_name!r:.80}.")
        return normal_name(server_name)
    if _needs_a_name(config):
        raise ConfigurationError(
            "A client must know whose certificate to expect: pass "
            'server_name="example.com". (Only to connect without knowing with whom: '
            "ClientConfig(verify_peer=False).)"
        )
    return None


def _needs_a_name(config: ClientConfig) -> bool:
    """Whether certificates are verified here, and not by a callback, by keys alone, or never.

    With pre-shared keys there may be no name; then there must be no certificate either.
    """
    return (
        not config.psks
        and config.verify_peer
        and config.verify is None
        and config.accepts_certificates
    )


def _sign(question: Sign) -> object:
    return question.credentials.signer.sign(question.scheme, question.content)


def _decrypt(question: Decrypt) -> object:
    """What went wrong must not be seen from outside: it is as good as a wrong secret."""
    try:
        return cast(Any, question.credentials.signer).decrypt(question.ciphertext)
    except Exception:
        return b""


def _verify_raw_public_key(question: VerifyPeer, config: SharedConfig) -> VerifiedPeer:
    return verify_raw_public_key(
        question.chain[0],
        config.raw_public_keys,
        policy=config.policy,
        purpose="server" if question.peer_is_server else "client",
    )


def _server_end_point(certificate_der: bytes) -> bytes:
    """RFC 5929 section 4.1: the certificate under its signature's hash, at least SHA-256."""
    certificate = read_or_none(lambda: certificate_of(certificate_der))
    algorithm = None
    if certificate is not None:
        algorithm = read_or_none(lambda: certificate.signature_hash_algorithm)
    if algorithm is None:
        raise ConfigurationError(
            "tls-server-end-point is not defined for this certificate's signature algorithm "
            "(RFC 5929 4.1); use tls-exporter."
        )
    name = "sha256" if algorithm.name in ("md5", "sha1") else algorithm.name
    return hashlib.new(name, certificate_der).digest()
