"""The sans-IO connection: bytes of the transport in, events and bytes for the transport out.

`Connection` has the verbs, over one loop: `record_loop` walks over the records in what came, and
`handshake.loop` over the messages in them, and resumes the handshake's coroutine with each.
`lifecycle` is how a connection is established, is closed or fails.

A connection is used by one thread at a time. It holds no socket, and reads no clock of its own.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from handclasp.crypto.suites import IV_SIZE, Buffer
from handclasp.errors import (
    ConfigurationError,
    HandshakeTimeoutError,
    ProtocolError,
    StateError,
    TLSError,
)
from handclasp.events import DataReceived, Event, PeerClosed, set_data
from handclasp.faults import Fault
from handclasp.handshake import exporting
from handclasp.handshake.answers import Answers
from handclasp.handshake.context import HandshakeContext
from handclasp.iana import AlertDescription, AlertLevel, ContentType
from handclasp.info import ConnectionInfo
from handclasp.lifecycle import Config, Lifecycle, State
from handclasp.questions import CheckReplay, Decrypt, Question, ReverifyPeer
from handclasp.record.framing import not_tls
from handclasp.record.protection12 import Protection12
from handclasp.record.record_key import EMPTY_RECORD, OVERHEAD, SHORT
from handclasp.speedups import ACCELERATED
from handclasp.trace.hooks import Trace
from handclasp.wire.records import HEADER_SIZE

_APPLICATION_DATA = int(ContentType.APPLICATION_DATA)
_DATA_TYPE = bytes([_APPLICATION_DATA])

_EMPTY_CONTENT = EMPTY_RECORD + OVERHEAD

_new = object.__new__


class Connection(Lifecycle[Config]):
    """One side of a TLS connection, without any I/O: what both roles have in common.

    `ClientConnection` and `ServerConnection` are made, and this class is what to annotate with
    where either will do. Give it what the transport brings, and send what it gives:

        for event in connection.receive_data(sock.recv(65536)):
            ...
        sock.sendall(connection.data_to_send())

    >>> config = ServerConfig(credentials=Credentials.load("chain.pem", "key.pem"))
    >>> server = ServerConnection(config)
    >>> client = ClientConnection(server_name="example.com")
    >>> while not (client.established and server.established):
    ...     events = server.receive_data(client.data_to_send())
    ...     events += client.receive_data(server.data_to_send())
    >>> client.send_data(b"hello")
    >>> server.receive_data(client.data_to_send())
    [DataReceived(5 bytes)]
    """

    __slots__ = ()

    def _new_context(self, answers: Answers) -> HandshakeContext:
        """Make the context that the handshake of this connection speaks through."""
        config, records = self._config, self._records
        keylog = config.keylog
        return HandshakeContext(
            records,
            answers,
            records=records,
            keylog=keylog if callable(keylog) else None,
            trace=self._trace,
            memo=config.derived.memo,
        )

    # What is known

    def __repr__(self) -> str:
        info = self._info
        if self._failure is not None:
            state = f"failed: {self._failure.fault_name}"
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
    def state(self) -> State:
        """The stage of this connection's life."""
        return self._state

    @property
    def trace(self) -> Trace | None:
        """The trace that records the events of this connection, if one was given."""
        return self._trace

    @property
    def info(self) -> ConnectionInfo | None:
        """The facts that the handshake agreed upon; None until it is complete."""
        return self._info

    @property
    def established(self) -> bool:
        """Whether the handshake is complete, so that data may flow."""
        return self._info is not None and self._failure is None

    @property
    def failure(self) -> TLSError | None:
        """The error that ended the connection, if it failed."""
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
        """The bytes that came in one read with the peer's close_notify, behind it.

        Not TLS any more: the start of what an application that goes back to plaintext would read
        from the transport next. Empty before the peer has closed.
        """
        return bytes(self._unread) if self._peer_closed else b""

    @property
    def question(self) -> Question[Any] | None:
        """The question that the handshake asks the application, if one is open."""
        return self._question

    # The transport's side

    def receive_data(self, data: Buffer) -> list[Event]:
        """Take what the transport brought; gives what it means to the application.

        All application data of one call comes as one `DataReceived`. `data` is not kept.

        Raises:
            TLSError: the connection failed. `data_to_send` then holds the alert for the peer.
                Where events came before the failure, they are returned first, `failure` is set,
                and the next call raises.
        """
        key = self._data_key
        if key is None:
            return self._receive_anything(data)
        if ACCELERATED:
            events = key.open_event(data, DataReceived)
            if events is not None:
                return events
        else:
            # Most reads are one record.
            content = key.open_one(data)
            if content is not None:
                event = _new(DataReceived)
                set_data(event, content)
                return [event]
        if type(data) is not bytes:
            data = memoryview(data).cast("B")
            if len(data) <= SHORT:
                data = bytes(data)
        content, used = key.open_data(data)
        if content:
            if used == len(data):
                return [DataReceived(content)]
            self._data.append(content)
        return self._receive_anything(data[used:])

    def open_data(self, data: Buffer) -> bytes | None:
        """Take one record of application data, and return its content; None if it is not that.

        For adapters, which try this before `receive_data`: it makes no event, leaves nothing to
        send and cannot fail. Where it returns None nothing has changed, and `receive_data` takes
        `data`.

        >>> connection = ClientConnection(ClientConfig(), server_name="example.com")
        >>> connection.open_data(b"")  # There are no keys yet.
        """
        key = self._data_key
        return None if key is None else key.open_one(data)

    def receive_eof(self, *, reset: bool = False) -> list[Event]:
        """Note that the transport has ended.

        Args:
            reset: it was torn down (TCP RST) and not closed.

        Raises:
            TruncationError: without a close_notify before, unless the config allows it.
            PeerAlertError: the peer ended the handshake after user_canceled or a warning.
            ProtocolError: the few bytes that came, fewer than a header, are not TLS.
        """
        self._raise_failure()
        if self._trace is not None:
            self._trace.transport_ended("received", "reset" if reset else "end")
        if self._peer_closed:
            return []
        if (gave_up := self._gave_up()) is not None:
            raise self._end(gave_up)
        if self._began_otherwise() and not reset:
            is_server = not self._records.is_client
            raise self._end(not_tls(self._unread, from_client=is_server, trace=self._trace))
        if self._info is None:
            fault = Fault.RESET_DURING_HANDSHAKE if reset else Fault.CLOSED_DURING_HANDSHAKE
            raise self._end(self._truncation(fault))
        if self._unread or not self._config.allow_truncation:
            raise self._end(self._truncation(Fault.TRUNCATED))
        self._close_half(peer=True)
        return [PeerClosed()]

    @property
    def missing_bytes(self) -> int:
        """The bytes that the record under way lacks at least.

        A caller that reads no more than that at once never reads past a record, and so takes
        nothing of what follows the peer's close_notify.
        """
        return max(1, self._needed - len(self._unread))

    @property
    def wants_to_send(self) -> bool:
        """Whether `data_to_send` has something to give."""
        post, records = self._post, self._records
        if records.out or records.messages:
            return True
        return post is not None and post.key_update_pending and not self._closed

    def data_to_send(self) -> Buffer:
        """Take everything that is queued for the transport; empty if there is nothing."""
        # Here and in `send_data` as in `_ending_on_failure`, which would cost time on these paths.
        try:
            post = self._post
            if post is not None and post.key_update_pending and not self._closed:
                post.send_pending_key_update()
            records = self._records
            queue = records.out
            out = queue.pop() if len(queue) == 1 and not records.messages else records.take()
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
        records, post = self._records, self._post
        key = records.data_key
        try:
            if key is None or post.key_update_pending or records.messages:  # type: ignore[union-attr]
                self._send_any_data(data)
            elif ACCELERATED or isinstance(key, Protection12):
                if not key.seal_data(data, records.out):
                    self._send_any_data(data)
            elif (
                type(data) is bytes
                and 0 < len(data) <= key.limit
                and (sequence := key.sequence) < key.until
            ):
                # `key.seal`, and no call but the cipher's.
                key.sequence = sequence + 1
                header = (_EMPTY_CONTENT + len(data)).to_bytes(HEADER_SIZE, "big")
                nonce = (key.iv ^ sequence).to_bytes(IV_SIZE, "big")
                records.out.append(header + key.aead.encrypt(nonce, data + _DATA_TYPE, header))
            else:
                self._send_any_data(data)
        except ProtocolError as error:
            self._end(error)
            raise

    def seal_data(self, data: Buffer) -> Buffer:
        """Queue application data, and take everything that is queued for the transport.

        The same as `send_data` and then `data_to_send`, in one call. Raises as these do.
        """
        records = self._records
        key, out = records.data_key, records.out
        if (
            ACCELERATED
            and key is not None
            and not (out or records.messages or self._post.key_update_pending)  # type: ignore[union-attr]
            and self._wire is None
        ):
            try:
                if key.seal_data(data, out):
                    return out.pop()
            except ProtocolError as error:
                self._end(error)
                raise
        self.send_data(data)
        return self.data_to_send()

    def close(self) -> None:
        """Queue close_notify: this side sends nothing more (RFC 9846 section 6.1).

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
            self._close_half(peer=True)
            self._send_alert(AlertLevel.WARNING, AlertDescription.USER_CANCELED)
        self._close_half(peer=False)
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

    def explain_delay(self) -> HandshakeTimeoutError:
        """Return what `abort` would give for a handshake that is late, which may yet go on.

        For an adapter whose caller may wait once more.

        >>> credentials = Credentials.load("chain.pem", "key.pem")
        >>> server = ServerConnection(ServerConfig(credentials=credentials))
        >>> print(server.explain_delay().detail)
        the client had said nothing at all
        """
        error = HandshakeTimeoutError(Fault.HANDSHAKE_TIMEOUT, self._how_far())
        self._judge(error)
        return error

    def explain_abandonment(self) -> ProtocolError:
        """Return the error for a handshake that the program has given up without a word.

        For an adapter that learns of it too late to say anything to the peer. The connection stays
        as it is: nothing is queued, and the session that it would have resumed is kept.

        >>> client = ClientConnection(server_name="example.com")
        >>> print(client.explain_abandonment().detail)
        the server had said nothing at all
        """
        error = ProtocolError(Fault.HANDSHAKE_ABANDONED, self._how_far())
        self._judge(error)
        return error

    def note_abandonment(self) -> None:
        """Let the trace end with what `explain_abandonment` returns, and leave the rest as it is.

        For an adapter that has closed the transport in the middle of the handshake and told the
        peer nothing. Without a trace, and where the handshake is over or was closed in order, this
        does nothing.

        >>> trace = Recorder()
        >>> client = ClientConnection(server_name="example.com", trace=trace)
        >>> client.note_abandonment()
        >>> trace.events[-1].fault
        'HANDSHAKE_ABANDONED'
        """
        is_over = self._info is not None or self._failure is not None or self._closed
        if self._trace is not None and not is_over:
            self._trace.failed(self.explain_abandonment())

    def answer(self, question: Question[Any], value: object) -> list[Event]:
        """Answer the open question; the handshake goes on, with what arrived meanwhile.

        Raises as `receive_data`; `StateError` where this question is not open.
        """
        self._require_handshake()
        try:
            self._answer(question, value)
            waiting, self._unread = self._unread, bytearray()
            if waiting:
                self._walk(bytes(waiting))
            self._choose_data_key()
        except ConfigurationError:
            raise
        except BaseException as error:
            self._fail(error)
        return self._take_events()

    def refuse(self, question: Question[Any], error: BaseException) -> list[Event]:
        """Fail the handshake: the open question's answer failed with `error`."""
        self._raise_failure()
        if isinstance(question, Decrypt):
            # Only at its end, so that nobody learns what was wrong with a ciphertext.
            return self.answer(question, b"")
        if isinstance(question, ReverifyPeer | CheckReplay):
            # What would be resumed or taken early is not, and the handshake goes on without it.
            return self.answer(question, None if isinstance(question, ReverifyPeer) else False)
        self._require_handshake()
        self._fail(self._refuse(question, error))
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
        """`length` bytes that only the two ends know (RFC 9846 section 7.5, RFC 5705).

        Both ends get the same bytes for the same arguments, and others on each connection, a
        resumed one included.

        Args:
            label: says what they are for, such as "EXPORTER-my-protocol". IANA registers those that
                begin with "EXPORTER"; "EXPERIMENTAL" begins those for private use, which need no
                registration (RFC 5705 section 4).
            context: bytes that the result depends on as well. None and b"" are the same in TLS 1.3
                (RFC 9846 section 7.5), and differ in TLS 1.2 (RFC 5705 section 4), so that ends
                that speak both versions agree on one.
            length: the number of bytes.

        Raises:
            StateError: the handshake is not complete.
            ConfigurationError: a label that is not ASCII of 1 to 249 characters or is one of the
                handshake's own ("key expansion"), a length outside of 1 to 255 hashes; in TLS 1.2
                also without the extended master secret (RFC 7627 section 5.4).
        """
        return exporting.export_keying_material(self._exporter, label, context, length)

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
        return exporting.channel_binding(
            binding_type,
            self._exporter,
            self._info,
            self._tls_unique,
            is_client=self._is_client,
        )

    @property
    def finished(self) -> tuple[bytes, bytes] | None:
        """The verify_data of the client's Finished and of the server's, in TLS 1.3; else None.

        Each is a MAC over the whole handshake up to it (RFC 8446 section 4.4.4). As a channel
        binding, take "tls-exporter": RFC 9846 section C.5 defines none of these.
        """
        return self._finished

    # Inside

    def _receive_anything(self, data: Buffer) -> list[Event]:
        if self._failure is not None:
            self._raise_failure()
        if self._wire is not None:
            self._wire("received", bytes(data))
        if self._peer_closed:
            # RFC 9846 6.1: "Any data received after a closure alert has been received MUST be
            # ignored."
            return []
        if type(data) is not bytes:
            data = memoryview(data).cast("B")
        try:
            if self._question is not None:
                self._keep_for_later(data)
            elif not self._unread:
                self._walk(data)
            elif rest := self._complete_record(data):
                self._walk(rest)
            if self._post is not None:
                self._choose_data_key()
        except BaseException as error:
            self._fail(error)
        return self._take_events()

    def _take_events(self) -> list[Event]:
        events, self._events = self._events, []
        if self._data:
            at = -1 if events and isinstance(events[-1], PeerClosed) else len(events)
            events.insert(at, self._take_data())
        elif not events and self._failure is not None:
            self._raise_failure()
        return events

    def _take_data(self) -> DataReceived:
        data = b"".join(self._data)
        self._data.clear()
        if self._records.read_key_exhausted:
            self._ask_for_new_keys()
        return DataReceived(data)

    def _ask_for_new_keys(self) -> None:
        """Ask the peer to change a key that it has used for long (RFC 9846 section 5.5)."""
        post = self._post
        if self._records.is_tls12 or post is None or self._closed:
            return
        if not self._update_requested:
            self._update_requested = True
            with suppress(ProtocolError), self._ending_on_failure():
                post.update_send_keys(request_peer=True)

    def _send_any_data(self, data: Buffer) -> None:
        """Queue data of any kind and size. Raises `ProtocolError`, and as `send_data`."""
        post, records = self._ready_to_send("send data"), self._records
        if not data:
            return
        view = memoryview(data).cast("B")
        if post.key_update_pending:
            post.send_pending_key_update()
        if len(view) <= records.room:
            records.send_application_data(view)
            return
        if records.is_tls12:
            # There is no KeyUpdate: the connection ends before the key has sealed too much.
            raise ProtocolError(
                Fault.KEY_EXHAUSTED,
                "TLS 1.2 cannot change it",
                fix="On this end: Open a new connection, or allow TLS 1.3, which changes keys on "
                "the way. If Limits.max_records_per_key is set, raise it.",
            )
        while view:
            room = records.room
            if room <= 0:
                post.update_send_keys(request_peer=False)
                continue
            records.send_application_data(view[:room])
            view = view[room:]

    def _require_handshake(self) -> None:
        self._raise_failure()
        if self._handshake is None:
            raise StateError("No question is open on this connection.")
