"""What both roles do to prove who they are: CertificateVerify and Finished (RFC 8446 section 4.4).

Checks return proof values, and what comes after a check takes the proof as an argument: there is
no way to an established connection around them that would type-check.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from handclasp.certificates.credentials import Credentials, LocalSigner
from handclasp.certificates.verify import VerifiedPeer, accept_unverified
from handclasp.crypto import signatures
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.dialogue import Dialogue
from handclasp.handshake.questions import Sign
from handclasp.keys.schedule13 import TrafficSecret
from handclasp.wire.iana import signature_scheme_name
from handclasp.wire.messages import CertificateVerify, Finished

_PADDING: Final = b" " * 64
SERVER_CONTEXT: Final = b"TLS 1.3, server CertificateVerify\0"
CLIENT_CONTEXT: Final = b"TLS 1.3, client CertificateVerify\0"


@dataclass(frozen=True, slots=True)
class AuthenticatedPeer:
    """Proof that the peer holds the key of the certificate that was judged before.

    `verified` says whether that judgement was made, or switched off.
    """

    chain: tuple[bytes, ...]
    path: tuple[bytes, ...]
    verified: bool
    signature_scheme: str


@dataclass(frozen=True, slots=True)
class CheckedFinished:
    """Proof that both sides saw the same handshake. Only `receive_finished` makes it."""

    verify_data: bytes


async def receive_certificate_verify(
    hs: Dialogue, peer: VerifiedPeer, context: bytes, offered: Sequence[str]
) -> AuthenticatedPeer:
    """The peer's proof of its private key (RFC 8446 section 4.4.3)."""
    content = _PADDING + context + hs.transcript.digest()
    message = await hs.receive(CertificateVerify)
    scheme = signature_scheme_name(message.algorithm)
    if scheme not in offered:
        raise ProtocolError(Fault.UNOFFERED_SIGNATURE_SCHEME, scheme)
    if not signatures.fits(scheme, peer.public_key, peer.spki_is_pss):
        raise ProtocolError(Fault.WRONG_SIGNATURE_SCHEME_FOR_KEY, scheme)
    if not signatures.verify(scheme, peer.public_key, message.signature, content):
        raise ProtocolError(Fault.BAD_SIGNATURE, scheme)
    return AuthenticatedPeer(peer.chain, peer.path, peer.verified, scheme)


async def receive_finished(hs: Dialogue, peer_secret: TrafficSecret) -> CheckedFinished:
    """The peer's proof of the whole handshake (RFC 8446 section 4.4.4)."""
    expected = peer_secret.verify_data(hs.transcript.digest())
    message = await hs.receive(Finished)
    if not hmac.compare_digest(message.verify_data, expected):
        raise ProtocolError(Fault.BAD_FINISHED)
    return CheckedFinished(message.verify_data)


async def send_certificate_verify(
    hs: Dialogue, credentials: Credentials, scheme: str, context: bytes
) -> None:
    """This side's proof of its private key."""
    content = _PADDING + context + hs.transcript.digest()
    signature = await hs.ask(Sign(credentials, scheme, content))
    if not isinstance(credentials.signer, LocalSigner):
        # A faulty signature of a remote key can give the key away: it never leaves this side.
        own = accept_unverified(credentials.chain, credentials.certificate_type)
        if not signatures.verify(scheme, own.public_key, signature, content):
            raise ProtocolError(Fault.OWN_SIGNATURE_WRONG, scheme)
    hs.send(CertificateVerify(signatures.SIGNATURE_SCHEMES[scheme].code, signature))


def send_finished(hs: Dialogue, own_secret: TrafficSecret) -> None:
    """This side's proof of the whole handshake."""
    hs.send(Finished(own_secret.verify_data(hs.transcript.digest())))
