"""How both roles prove who they are: CertificateVerify and Finished (RFC 8446 section 4.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from handclasp.certificates.credentials import Credentials
from handclasp.certificates.verify import VerifiedPeer
from handclasp.crypto import signatures
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.finished import CheckedFinished, receive_expected_finished
from handclasp.handshake.peer import AuthenticatedPeer, authenticated_by, check_may_sign
from handclasp.handshake.signing import sign, verify
from handclasp.keys.schedule13 import TrafficSecret
from handclasp.wire.iana import signature_scheme_name
from handclasp.wire.messages import CertificateVerify, Finished

_PADDING: Final = b" " * 64
SERVER_CONTEXT: Final = b"TLS 1.3, server CertificateVerify\0"
CLIENT_CONTEXT: Final = b"TLS 1.3, client CertificateVerify\0"


async def receive_certificate_verify(
    hs: HandshakeContext, peer: VerifiedPeer, context: bytes, offered: Sequence[str]
) -> AuthenticatedPeer:
    """The peer's proof of its private key (RFC 8446 section 4.4.3)."""
    content = _PADDING + context + hs.transcript.digest()
    message = await hs.receive(CertificateVerify)
    scheme = signature_scheme_name(message.algorithm)
    if scheme not in signatures.of_versions(tuple(offered), ("TLSv1.3",)):
        raise ProtocolError(Fault.UNOFFERED_SIGNATURE_SCHEME, scheme)
    check_may_sign(peer)
    if not signatures.fits(scheme, peer.public_key, peer.spki_is_pss):
        raise ProtocolError(Fault.WRONG_SIGNATURE_SCHEME_FOR_KEY, scheme)
    if not verify(hs, scheme, peer.public_key, message.signature, content):
        raise ProtocolError(Fault.BAD_SIGNATURE, scheme)
    return authenticated_by(peer, scheme)


async def receive_finished(hs: HandshakeContext, peer_secret: TrafficSecret) -> CheckedFinished:
    """The peer's proof of the whole handshake (RFC 8446 section 4.4.4)."""
    return await receive_expected_finished(hs, peer_secret.verify_data(hs.transcript.digest()))


async def send_certificate_verify(
    hs: HandshakeContext, credentials: Credentials, scheme: str, context: bytes
) -> None:
    """This side's proof of its private key."""
    signature = await sign(hs, credentials, scheme, _PADDING + context + hs.transcript.digest())
    hs.send(CertificateVerify(signatures.SIGNATURE_SCHEMES[scheme].code, signature))


def send_finished(hs: HandshakeContext, own_secret: TrafficSecret) -> None:
    """This side's proof of the whole handshake."""
    hs.send(Finished(own_secret.verify_data(hs.transcript.digest())))
