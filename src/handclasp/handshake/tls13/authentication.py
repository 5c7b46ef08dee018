"""CertificateVerify: the signature by which both roles prove who they are (RFC 8446 4.4.3)."""

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
from handclasp.wire.messages import CertificateVerify, write_certificate_verify

_PADDING: Final = b" " * 64
SERVER_CONTEXT: Final = _PADDING + b"TLS 1.3, server CertificateVerify\0"
CLIENT_CONTEXT: Final = _PADDING + b"TLS 1.3, client CertificateVerify\0"
"""The content that CertificateVerify signs starts with one, and the hash of all messages before
follows (RFC 8446 section 4.4.3)."""


def check_certificate_verify(
    hs: HandshakeContext,
    message: CertificateVerify,
    peer: VerifiedPeer,
    content: bytes,
    offered: Sequence[str],
) -> AuthenticatedPeer:
    """Check the peer's proof of its private key (RFC 8446 section 4.4.3).

    Args:
        content: what is signed: the server's or the client's context, and the transcript hash of
            before the message.
        offered: the schemes that this side named.
    """
    scheme = signature_scheme_name(message.algorithm)
    if scheme not in offered or "TLSv1.3" not in signatures.SIGNATURE_SCHEMES[scheme].versions:
        raise ProtocolError(Fault.UNOFFERED_SIGNATURE_SCHEME, scheme)
    check_may_sign(peer)
    key = peer.public_key
    if not signatures.fits(scheme, key, peer.spki_is_pss):
        raise ProtocolError(Fault.WRONG_SIGNATURE_SCHEME_FOR_KEY, scheme)
    if hs.trace is None:
        is_right = signatures.is_valid(scheme, key, message.signature, content)
    else:
        is_right = verify(hs, scheme, key, message.signature, content)
    if not is_right:
        raise ProtocolError(Fault.BAD_SIGNATURE, scheme)
    return authenticated_by(peer, scheme)


async def send_certificate_verify(
    hs: HandshakeContext, credentials: Credentials, scheme: str, content: bytes
) -> None:
    """This side's proof of its private key."""
    signature = await sign(hs, credentials, scheme, content)
    code = signatures.SIGNATURE_SCHEMES[scheme].code
    hs.send_raw(write_certificate_verify(code, signature))
