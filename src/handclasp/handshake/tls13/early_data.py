"""A client's 0-RTT data (RFC 8446 sections 2.3 and 4.2.10).

They follow the hello at once, until the client knows that the server takes none.
"""

from __future__ import annotations

from handclasp.config import ClientConfig
from handclasp.crypto.suites import CipherSuite
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.offer import ClientOffer
from handclasp.handshake.tls13.psk import Psk
from handclasp.handshake.tls13.secrets import derive_early_secret
from handclasp.iana import ExtensionType
from handclasp.keys.epoch import Epoch
from handclasp.keys.schedule13 import TrafficSecret
from handclasp.keys.transcript import digest_of
from handclasp.wire.codecs import write_message
from handclasp.wire.messages import EndOfEarlyData, ServerHello


def start_early_data(
    hs: HandshakeContext, config: ClientConfig, offer: ClientOffer
) -> TrafficSecret:
    """Send early data until the server answers (RFC 8446 section 4.2.10); return their secret."""
    if config.middlebox_compatibility and hs.records is not None:
        hs.records.send_change_cipher_spec()
    psk = offer.psks[0]
    digest = digest_of(psk.suite.hash_name, write_message(offer.hello))
    secret = derive_early_secret(hs, psk.early_secret(psk.suite, hs.observer), digest)
    hs.install_write(Epoch.EARLY_DATA, secret)
    return secret


def refuses_early_data(hello: ServerHello) -> bool:
    """Return whether it is a retry, a full handshake or an older version (RFC 8446 4.2.10)."""
    kinds = hello.extensions
    resumes = ExtensionType.PRE_SHARED_KEY in kinds and ExtensionType.SUPPORTED_VERSIONS in kinds
    return hello.is_hello_retry_request or not resumes


def check_early_data_accepted(
    offer: ClientOffer, suite: CipherSuite, psk: Psk | None, alpn: str | None
) -> None:
    """RFC 8446 section 4.2.10: only under the first key, and in the way that it was made for."""
    session = psk.session if psk is not None and psk is offer.psks[0] else None
    if not offer.early_data or session is None:
        raise ProtocolError(Fault.ILLEGAL_VALUE, "early_data accepted without the first key")
    if session.cipher_suite != suite.name or session.alpn != alpn:
        raise ProtocolError(Fault.ILLEGAL_VALUE, "early_data accepted for another suite or ALPN")


def end_early_data(hs: HandshakeContext, own: TrafficSecret) -> None:
    """End early data; later messages are under the handshake key again (RFC 8446 section 4.5)."""
    hs.send(EndOfEarlyData())
    hs.install_write(Epoch.HANDSHAKE, own)


def why_early_data_rejected(offer: ClientOffer, psk: Psk | None) -> str:
    """Return why a client's early data were refused, as far as it knows."""
    if offer.retried:
        return "the server asked for another hello (HelloRetryRequest)"
    if psk is None:
        return "the server did not resume the session"
    if psk is not offer.psks[0]:
        return "they are under the first key offered, and the server took another one"
    return (
        "the server resumed the session and took none: for instance, it takes none any more, has "
        "seen this flight before, or cannot tell yet, since a memory of first flights that has "
        "just begun takes none for a while; its own log may say why"
    )
