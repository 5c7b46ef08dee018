"""A server that asks its clients for certificates: what it asks, and what it takes.

RFC 8446 sections 4.3.2 and 4.4.
"""

from __future__ import annotations

from handclasp.certificates.verify import VerifiedPeer
from handclasp.config import ClientAuth, ServerConfig
from handclasp.crypto.signatures import of_versions
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.peer import (
    NOBODY,
    NOTHING_SHOWN,
    AuthenticatedPeer,
    PeerCertificate,
    verify_peer,
)
from handclasp.handshake.tls13.authentication import CLIENT_CONTEXT, check_certificate_verify
from handclasp.handshake.tls13.certificate import Asked, asking_extensions, read_certificate
from handclasp.wire.messages import Certificate, CertificateVerify, CompressedCertificate


def certificate_request_extensions(config: ServerConfig, client_type: str) -> dict[int, bytes]:
    """Return the extensions of a CertificateRequest; they are the same for each of a config."""
    made: dict[int, bytes] = config.derived.once(
        f"certificate request {client_type}", lambda config: _asking(config, client_type), config
    )
    return made


def _asking(config: ServerConfig, client_type: str) -> dict[int, bytes]:
    named = config.trust if config.send_authorities and client_type == "X509" else None
    return asking_extensions(
        schemes=of_versions(tuple(config.signature_schemes), ("TLSv1.3",)),
        compression=tuple(config.certificate_compression or ()),
        # Few clients can staple, so it is asked of them only where it is required. The extension
        # is empty here (RFC 8446 section 4.4.2.1).
        status_request=b"" if config.policy.stapled_ocsp == "require" else None,
        authorities=named,
    )


async def receive_client_authentication(
    hs: HandshakeContext, config: ServerConfig, asked: Asked
) -> tuple[PeerCertificate, VerifiedPeer | None, AuthenticatedPeer]:
    """Certificate and CertificateVerify of a client that was asked for them (section 4.4)."""
    raw = await hs.receive_raw(Certificate, CompressedCertificate)
    shown = read_certificate(hs.reading, raw, asked)
    if not shown.chain:
        if config.client_auth is ClientAuth.REQUIRED:
            raise ProtocolError(Fault.CLIENT_CERTIFICATE_MISSING)
        return NOTHING_SHOWN, None, NOBODY
    client = await verify_peer(hs, shown, peer_is_server=False, server_name=None)
    content = CLIENT_CONTEXT + hs.transcript.digest()
    signed, schemes = await hs.receive(CertificateVerify), config.signature_schemes
    return shown, client, check_certificate_verify(hs, signed, client, content, schemes)
