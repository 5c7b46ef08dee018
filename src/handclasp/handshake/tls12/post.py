"""After a TLS 1.2 handshake: renegotiation, which is never done (RFC 5246 section 7.4.1.1)."""

from __future__ import annotations

from collections.abc import Callable

from handclasp.errors import ProtocolError, StateError
from handclasp.faults import Fault
from handclasp.handshake.context import unexpected
from handclasp.iana import HandshakeType
from handclasp.keys.epoch import Epoch
from handclasp.limits import Limits
from handclasp.trace.hooks import Trace
from handclasp.wire.codecs import read_as
from handclasp.wire.messages import ClientHello
from handclasp.wire.messages12 import HelloRequest

_TO_DECLINE = 2
"""Records: the warning, and the alert that ends the connection when the next one cannot be sent."""


class PostHandshake12:
    """An established connection, whose keys stay as they are.

    A server may ask for a renegotiation by HelloRequest, a client by ClientHello. Both get
    no_renegotiation, which is a warning, and the connection goes on (RFC 5746 section 4.5): the
    peer decides what to do then.

    Args:
        decline: sends that warning.
        records_left: how many records the key may still seal.
    """

    __slots__ = (
        "_decline",
        "_limits",
        "_records_left",
        "_trace",
        "has_declined",
        "is_client",
        "key_update_pending",
        "messages_without_data",
    )

    def __init__(
        self,
        limits: Limits,
        decline: Callable[[], None],
        records_left: Callable[[], int],
        *,
        is_client: bool,
        trace: Trace | None = None,
    ) -> None:
        self._limits = limits
        self._decline = decline
        self._records_left = records_left
        self.is_client = is_client
        self._trace = trace
        self.messages_without_data = 0
        self.key_update_pending = False
        self.has_declined = False

    def receive(self, raw: bytes) -> None:
        """Take one message; says what is to be done about it. Raises `ProtocolError`."""
        if self._trace is not None:
            self._trace.message("received", Epoch.APPLICATION.value, raw[0], raw)
        asks = HelloRequest if self.is_client else ClientHello
        wanted = HandshakeType.HELLO_REQUEST if self.is_client else HandshakeType.CLIENT_HELLO
        if raw[0] != wanted:
            raise unexpected(raw, (asks,))
        read_as(asks, raw)
        self.messages_without_data += 1
        if self.messages_without_data > self._limits.max_messages_without_data:
            raise ProtocolError(Fault.RENEGOTIATION, "again and again")
        if self._records_left() < _TO_DECLINE:
            raise ProtocolError(Fault.KEY_EXHAUSTED, "TLS 1.2 cannot change it")
        self.key_update_pending = True

    def update_send_keys(self, *, request_peer: bool) -> None:
        """Raises `StateError`: TLS 1.2 can change keys only by renegotiation."""
        del request_peer
        raise StateError("TLS 1.2 cannot change the keys of a connection: open a new one.")

    def send_tickets(self, count: int | None = None) -> int:
        """Send no tickets: in TLS 1.2 they are part of the handshake."""
        del count
        return 0

    @property
    def certificate_requests(self) -> int:
        """None: TLS 1.2 asks for certificates in the handshake alone."""
        return 0

    def request_client_certificate(self) -> None:
        """Raises `StateError`: TLS 1.2 asks for certificates in the handshake alone."""
        raise StateError("TLS 1.2 can request a certificate in the handshake alone.")

    def send_pending_key_update(self) -> None:
        """Decline the peer's requests, all of them by one warning.

        Called as in TLS 1.3: a peer that asks and never reads costs one answer, not one each.
        """
        if self.key_update_pending:
            self.key_update_pending = False
            self.has_declined = True
            self._decline()
