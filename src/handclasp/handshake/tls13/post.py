"""After a TLS 1.3 handshake: KeyUpdate and NewSessionTicket (RFC 8446 section 4.6).

Client authentication after the handshake begins here and takes place in
`post_handshake_authentication`.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeAlias

from handclasp.errors import ProtocolError, StateError
from handclasp.faults import Fault
from handclasp.handshake.context import HandshakeContext, unexpected
from handclasp.handshake.port import RecordPort
from handclasp.handshake.post import Reaction
from handclasp.handshake.result import AuthenticationResult, HandshakeResult13
from handclasp.handshake.tls13.post_handshake_authentication import (
    AnswerContext,
    CertificateAnswers,
    CertificateRequests,
    ClientAuthenticated,
    RequestAnswered,
)
from handclasp.handshake.tls13.tickets import check_ticket
from handclasp.iana import HandshakeType
from handclasp.info import ConnectionInfo
from handclasp.keys.epoch import Epoch
from handclasp.keys.schedule13 import TrafficSecret
from handclasp.limits import Limits
from handclasp.trace.hooks import Trace
from handclasp.wire.codecs import read_as
from handclasp.wire.messages import (
    Certificate,
    CompressedCertificate,
    KeyUpdate,
    NewSessionTicket,
    write_finished,
    write_message,
)

_NEW_SESSION_TICKET = int(HandshakeType.NEW_SESSION_TICKET)
_CERTIFICATES = (HandshakeType.CERTIFICATE, HandshakeType.COMPRESSED_CERTIFICATE)

_Exchange: TypeAlias = "tuple[HandshakeContext, Coroutine[Any, Any, AuthenticationResult]]"


class PostHandshake13:
    """The two traffic secrets of an established connection, and how they move on."""

    __slots__ = (
        "_authentication",
        "_issuer",
        "_keeper",
        "_limits",
        "_receive_secret",
        "_records",
        "_send_secret",
        "_trace",
        "is_client",
        "key_update_pending",
        "messages_without_data",
    )

    def __init__(
        self,
        records: RecordPort,
        result: HandshakeResult13,
        limits: Limits,
        *,
        is_client: bool,
        trace: Trace | None = None,
    ) -> None:
        self._records = records
        self._send_secret: TrafficSecret = result.send_secret
        self._receive_secret: TrafficSecret = result.receive_secret
        self._limits = limits
        self.is_client = is_client
        self._trace = trace
        self._keeper = result.keeper
        self._issuer = result.issuer
        self._authentication = result.authentication
        self.messages_without_data = 0
        self.key_update_pending = False

    def receive(self, raw: bytes) -> Reaction | None:
        """Take one message; says if something is to be done about it. Raises `ProtocolError`."""
        if self._trace is not None:
            self._trace.message("received", Epoch.APPLICATION.value, raw[0], raw)
        if raw[0] == _NEW_SESSION_TICKET and self.is_client:
            message: NewSessionTicket = read_as(NewSessionTicket, raw)
            check_ticket(message, self._limits.max_extensions)
            if self._keeper is not None:
                self._keeper.keep(message)
            self._count_without_data()
            return None
        if raw[0] == HandshakeType.KEY_UPDATE:
            self._receive_key_update(read_as(KeyUpdate, raw))
            return Reaction.KEYS_UPDATED
        if raw[0] == HandshakeType.CERTIFICATE_REQUEST and self.is_client:
            if self._authentication is None:
                raise ProtocolError(Fault.POST_HANDSHAKE_AUTHENTICATION)
            self._count_without_data()
            return Reaction.AUTHENTICATION
        is_asked = self.certificate_requests > 0
        if raw[0] in _CERTIFICATES and is_asked:
            return Reaction.AUTHENTICATION
        if raw[0] in (HandshakeType.CLIENT_HELLO, HandshakeType.HELLO_REQUEST):
            raise ProtocolError(Fault.RENEGOTIATION)
        allowed: tuple[type[Any], ...] = (KeyUpdate,)
        if self.is_client:
            allowed = KeyUpdate, NewSessionTicket
        elif is_asked:
            allowed = KeyUpdate, Certificate, CompressedCertificate
        raise unexpected(raw, allowed)

    # Client authentication

    @property
    def certificate_requests(self) -> int:
        """The number of requests that the client has not answered yet."""
        requests = self._authentication
        return requests.outstanding if isinstance(requests, CertificateRequests) else 0

    def request_client_certificate(self) -> None:
        """Send a CertificateRequest. Raises `StateError`, `ConfigurationError`, `ProtocolError`."""
        requests = self._authentication
        if not isinstance(requests, CertificateRequests):
            raise StateError(
                "This client cannot be asked for a certificate after the handshake: it did not "
                "offer post_handshake_auth, or it uses an external pre-shared key."
            )
        request = requests.request()
        self._make_room(len(request))
        self._send_together((request,))

    def begin_authentication(self, raw: bytes, info: ConnectionInfo) -> _Exchange:
        """Return what takes place after `Reaction.AUTHENTICATION`, and what it speaks through.

        Args:
            raw: the message that asked for it.
            info: what is known of the connection.
        """
        authentication, records, trace = self._authentication, self._records, self._trace
        if isinstance(authentication, CertificateAnswers):
            answer = AnswerContext(records, authentication.answers, records=records, trace=trace)
            return answer, authentication.answer(answer, info, raw)
        if authentication is None:
            raise ProtocolError(Fault.POST_HANDSHAKE_AUTHENTICATION)
        hs = HandshakeContext(records, authentication.answers, records=records, trace=trace)
        secret = self._receive_secret
        return hs, authentication.receive_answer(hs, info, raw, secret)

    def authenticated(self, result: AuthenticationResult) -> None:
        """Take the result of an exchange: send the answer, and let tickets tell of the client.

        Raises `ProtocolError`.
        """
        if isinstance(result, ClientAuthenticated):
            if self._issuer is not None:
                # RFC 8446 4.6.1: a new ticket may hold what was proved since the handshake.
                self._issuer.set_client(result.info)
            return
        if self._keeper is not None and not self._keeper.set_client(result.info, result.question):
            self._keeper = None
        self._send_answer(result)

    def _send_answer(self, answer: RequestAnswered) -> None:
        # The Finished has the size of a hash; its key is that of the moment in which it leaves.
        finished_size = len(write_finished(answer.transcript_hash))
        self._make_room(sum(map(len, answer.messages)) + finished_size)
        finished = write_finished(self._send_secret.verify_data(answer.transcript_hash))
        self._send_together((*answer.messages, finished))

    def _make_room(self, size: int) -> None:
        """Change the key first, where it would seal more records than it may."""
        if size > self._records.room:
            self.update_send_keys(request_peer=False)

    def _send_together(self, messages: tuple[bytes, ...]) -> None:
        for message in messages:
            if self._trace is not None:
                self._trace.message("sent", Epoch.APPLICATION.value, message[0], message)
            self._records.send(message)

    def _count_without_data(self) -> None:
        self.messages_without_data += 1
        if self.messages_without_data > self._limits.max_messages_without_data:
            raise ProtocolError(Fault.TOO_MANY_RECORDS_WITHOUT_PROGRESS)

    # Keys and tickets

    def update_send_keys(self, *, request_peer: bool) -> None:
        """Send KeyUpdate and go over to the next keys (RFC 9846 section 7.2)."""
        raw = write_message(KeyUpdate(request_peer))
        if self._trace is not None:
            self._trace.message("sent", Epoch.APPLICATION.value, raw[0], raw)
        self._records.send(raw)
        self._send_secret = self._send_secret.next()
        self._records.install_write(Epoch.APPLICATION, self._send_secret)
        self.key_update_pending = False
        if request_peer:
            # The peer must answer this one, so its KeyUpdate is no flood.
            self.messages_without_data = 0

    def send_tickets(self, count: int | None = None) -> int:
        """Send so many tickets, or those that are due at once; gives how many there were.

        Where the key would seal more records than it may, a KeyUpdate goes first. A ticket that
        takes more than a whole key may seal is not sent, nor is any after it.
        """
        issuer, records = self._issuer, self._records
        if issuer is None:
            return 0
        sent, messages = 0, issuer.issue(issuer.at_once if count is None else count)
        fit = sum(map(len, messages)) <= records.room
        for message in messages:
            if not fit and len(message) > records.room:
                if len(message) > records.room_of_a_key:
                    break
                self.update_send_keys(request_peer=False)
            if self._trace is not None:
                self._trace.message("sent", Epoch.APPLICATION.value, message[0], message)
            records.send(message)
            sent += 1
        return sent

    def send_pending_key_update(self) -> None:
        """Answer the peer's requests, all of them by one KeyUpdate.

        Called when this side sends data or hands out what it has queued, so that a flood of
        requests costs one answer at a time (RFC 8446 section 4.6.3 asks for one before the next
        application data).
        """
        if self.key_update_pending:
            self.update_send_keys(request_peer=False)

    def _receive_key_update(self, message: KeyUpdate) -> None:
        self.messages_without_data += 1
        if self.messages_without_data > self._limits.max_messages_without_data:
            raise ProtocolError(Fault.TOO_MANY_KEY_UPDATES)
        self._receive_secret = self._receive_secret.next()
        self._records.install_read(Epoch.APPLICATION, self._receive_secret)
        if message.request_update:
            self.key_update_pending = True
