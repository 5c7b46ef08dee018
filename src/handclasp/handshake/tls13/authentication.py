"""How both roles prove who they are by a signature: CertificateVerify (RFC 8446 section 4.4.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from handclasp.certificates.credentials import Credentials
from handclasp.certificates.verify import VerifiedPeer
from handclasp.crypto import signatures
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.peer import AuthenticatedPeer, authenticated_by, check_may_sign
from handclasp.handshake.signing import sign, verify
from handclasp.iana import signature_scheme_name
from handclasp.keys.transcript import Transcript
from handclasp.wire.messages import CertificateVerify

_PADDING: Final = b" " * 64
SERVER_CONTEXT: Final = b"TLS 1.3, server CertificateVerify\0"
CLIENT_CONTEXT: Final = b"TLS 1.3, client CertificateVerify\0"


def signed_content(context: bytes, transcript: Transcript) -> bytes:
    """What a CertificateVerify is over: all messages before it (RFC 8446 section 4.4.3)."""
    return _PADDING + context + transcript.digest()


def check_certificate_verify(
    hs: HandshakeContext,
    message: CertificateVerify,
    peer: VerifiedPeer,
    content: bytes,
    offered: Sequence[str],
) -> AuthenticatedPeer:
    """The peer's proof of its private key (RFC 8446 section 4.4.3).

    Args:
        content: the `signed_content` of before the message.
        offered: the schemes that this side named.
    """
    scheme = signature_scheme_name(message.algorithm)
    if scheme not in offered or "TLSv1.3" not in signatures.SIGNATURE_SCHEMES[scheme].versions:
        raise ProtocolError(Fault.UNOFFERED_SIGNATURE_SCHEME, scheme)
    check_may_sign(peer)
    if not signatures.fits(scheme, peer.public_key, peer.spki_is_pss):
        raise ProtocolError(Fault.WRONG_SIGNATURE_SCHEME_FOR_KEY, scheme)
    if not verify(hs, scheme, peer.public_key, message.signature, content):
        raise ProtocolError(Fault.BAD_SIGNATURE, scheme)
    return authenticated_by(peer, scheme)


async def send_certificate_verify(
    hs: HandshakeContext, credentials: Credentials, scheme: str, content: bytes
) -> None:
    """This side's proof of its private key."""
    signature = await sign(hs, credentials, scheme, content)
    hs.send(CertificateVerify(signatures.SIGNATURE_SCHEMES[scheme].code, signature))
