"""Signing with this side's key, wherever that is, and verifying what the peer signed."""

from __future__ import annotations

from typing import Any

from handclasp.certificates.credentials import Credentials, LocalSigner
from handclasp.certificates.verify import accept_unverified
from handclasp.crypto import signatures
from handclasp.errors import ProtocolError, TLSError
from handclasp.faults import Fault
from handclasp.handshake.answers import callback_failed
from handclasp.handshake.context import HandshakeContext
from handclasp.questions import Sign


async def sign(
    hs: HandshakeContext, credentials: Credentials, scheme: str, content: bytes
) -> bytes:
    """Return the signature over `content`. Raises `ProtocolError` if the signer's is wrong."""
    signer = credentials.signer
    if type(signer) is LocalSigner and hs.trace is None:
        try:
            return signer.sign(scheme, content)
        except TLSError:
            raise
        except Exception as error:
            raise callback_failed(Sign(credentials, scheme, content), error) from error
    signature = await hs.ask(Sign(credentials, scheme, content))
    if not isinstance(signer, LocalSigner):
        # A faulty signature of a remote key can give the key away: it never leaves this side.
        own = accept_unverified(credentials.chain_der, credentials.certificate_type)
        if not verify(hs, scheme, own.public_key, signature, content):
            raise ProtocolError(Fault.OWN_SIGNATURE_WRONG, scheme)
    return signature


def verify(
    hs: HandshakeContext, scheme: str, public_key: Any, signature: bytes, content: bytes
) -> bool:
    """Return whether `signature` over `content` in `scheme` is by the key's owner."""
    if hs.trace is None:
        return signatures.verify(scheme, public_key, signature, content)
    return hs.work(
        "verify_signature", scheme, signatures.verify, scheme, public_key, signature, content
    )
