"""The signatures and proofs of TLS 1.2: the server's half of the secret, and the client's key.

The server signs its public value with both randoms (RFC 8422 section 5.4), the client all messages
so far (RFC 5246 section 7.4.8). A scheme of ECDSA names its hash only: any curve goes with it.
"""

from __future__ import annotations

from collections.abc import Sequence

from handclasp.certificates.credentials import Credentials
from handclasp.certificates.verify import VerifiedPeer
from handclasp.crypto import signatures
from handclasp.crypto.suites import CipherSuite12
from handclasp.errors import CertificateError, ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.peer import AuthenticatedPeer, authenticated_by, check_may_sign
from handclasp.handshake.signing import sign, verify
from handclasp.iana import signature_scheme_name
from handclasp.keys.schedule12 import Randoms
from handclasp.wire.messages import CertificateVerify
from handclasp.wire.messages12 import ServerKeyExchange, write_ecdh_params

VERSION = "TLSv1.2"


def check_key_fits(suite: CipherSuite12, server: VerifiedPeer) -> None:
    """Refuse a certificate whose key is not of the suite's kind. Raises `CertificateError`."""
    kind = signatures.key_kind(server.public_key)
    if suite.authentication != authentication_of(kind):
        raise CertificateError(
            Fault.UNSUPPORTED_CERTIFICATE, f"its key is {kind or 'unknown'}, not for {suite.name}"
        )


def authentication_of(key_kind: str) -> str:
    """Return the name of such keys in cipher suites (RFC 8422 sections 2 and 5.1.1)."""
    return "RSA" if key_kind == "rsa" else "ECDSA"


def check_server_key_exchange(
    hs: HandshakeContext,
    message: ServerKeyExchange,
    server: VerifiedPeer,
    randoms: Randoms,
    offered: Sequence[str],
) -> AuthenticatedPeer:
    """Check the server's proof of its private key. Raises `ProtocolError`."""
    content = randoms.client + randoms.server + message.params
    return _check(hs, server, message.algorithm, message.signature, content, offered)


async def sign_server_key_exchange(
    hs: HandshakeContext,
    credentials: Credentials,
    scheme: str,
    randoms: Randoms,
    group: int,
    point: bytes,
) -> ServerKeyExchange:
    """This side's half of the secret, signed."""
    content = randoms.client + randoms.server + write_ecdh_params(group, point)
    signature = await sign(hs, credentials, scheme, content)
    code = signatures.SIGNATURE_SCHEMES[scheme].code
    return ServerKeyExchange(group, point, code, signature)


async def receive_certificate_verify(
    hs: HandshakeContext, client: VerifiedPeer, offered: Sequence[str]
) -> AuthenticatedPeer:
    """Receive the client's proof of its private key. Raises `ProtocolError`."""
    content = hs.transcript.messages()
    message = await hs.receive(CertificateVerify)
    return _check(hs, client, message.algorithm, message.signature, content, offered)


async def send_certificate_verify(
    hs: HandshakeContext, credentials: Credentials, scheme: str
) -> None:
    """This side's proof of its private key."""
    signature = await sign(hs, credentials, scheme, hs.transcript.messages())
    hs.send(CertificateVerify(signatures.SIGNATURE_SCHEMES[scheme].code, signature))


def _check(
    hs: HandshakeContext,
    peer: VerifiedPeer,
    algorithm: int,
    signature: bytes,
    content: bytes,
    offered: Sequence[str],
) -> AuthenticatedPeer:
    scheme = signature_scheme_name(algorithm)
    if scheme not in offered:
        raise ProtocolError(Fault.UNOFFERED_SIGNATURE_SCHEME, scheme)
    check_may_sign(peer)
    if not signatures.fits(scheme, peer.public_key, peer.spki_is_pss, VERSION):
        raise ProtocolError(Fault.WRONG_SIGNATURE_SCHEME_FOR_KEY, scheme)
    if not verify(hs, scheme, peer.public_key, signature, content):
        raise ProtocolError(Fault.BAD_SIGNATURE, scheme)
    return authenticated_by(peer, scheme)
