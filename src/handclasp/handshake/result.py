"""The result of a complete handshake."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from handclasp.handshake.finished import CheckedFinished
from handclasp.handshake.tls13.post_handshake_authentication import (
    CertificateAnswers,
    CertificateRequests,
    ClientAuthenticated,
    RequestAnswered,
)
from handclasp.handshake.tls13.tickets import TicketIssuer, TicketKeeper
from handclasp.info import ConnectionInfo
from handclasp.keys.schedule12 import Exporter12
from handclasp.keys.schedule13 import ExporterSecret, TrafficSecret
from handclasp.values import field, value

Forget = Callable[[], None]


@value(frozen=True, slots=True)
class HandshakeResult13:
    """The result of a TLS 1.3 handshake, for the connection to live on.

    Attributes:
        info: what was agreed upon, for the application.
        peer_finished: the proof that the handshake was the same on both sides.
        own_finished: the verify_data by which this side proved the same.
        send_secret, receive_secret: the first application traffic secrets.
        exporter: for keys that the application takes out.
        keeper, issuer: what a client makes of tickets, and a server makes them with.
        authentication: what answers the server's later requests for a certificate, or makes them;
            None where the client did not offer that.
    """

    info: ConnectionInfo
    peer_finished: CheckedFinished
    own_finished: bytes
    send_secret: TrafficSecret = field(repr=False)
    receive_secret: TrafficSecret = field(repr=False)
    exporter: ExporterSecret = field(repr=False)
    keeper: TicketKeeper | None = None
    issuer: TicketIssuer | None = None
    authentication: CertificateAnswers | CertificateRequests | None = None


@value(frozen=True, slots=True)
class HandshakeResult12:
    """The result of a TLS 1.2 handshake; its keys stay the same for good.

    Attributes:
        info, peer_finished: as in TLS 1.3.
        exporter: for keys that the application takes out.
        tls_unique: the first Finished of the handshake (RFC 5929 section 3).
        forget: takes the session out of what this side remembers; to be called when the connection
            fails (RFC 5246 section 7.2.2). Raises `ProtocolError`.
    """

    info: ConnectionInfo
    peer_finished: CheckedFinished
    exporter: Exporter12 = field(repr=False)
    tls_unique: bytes = field(repr=False)
    forget: Forget | None = field(default=None, repr=False)


HandshakeResult: TypeAlias = HandshakeResult13 | HandshakeResult12

AuthenticationResult: TypeAlias = RequestAnswered | ClientAuthenticated
"""The result of a client authentication after the handshake."""
