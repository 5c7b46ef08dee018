"""The peer: what it showed of itself, and what is proved of it, step by step.

Checks return proof values, and what comes after a check takes the proof as an argument: there is
no way to an established connection around them that would type-check.
"""

from __future__ import annotations

from typing import Final, cast

from handclasp.certificates.evidence import Evidence
from handclasp.certificates.trust import TrustStore
from handclasp.certificates.verify import VerifiedPeer, verify_evidence
from handclasp.config import ClientConfig, SharedConfig
from handclasp.errors import CertificateError, ProtocolError, TLSError
from handclasp.faults import Fault, advice
from handclasp.handshake.answers import callback_failed
from handclasp.handshake.context import HandshakeContext
from handclasp.questions import ConfirmPeer, ReverifyPeer, VerifyPeer
from handclasp.values import field, value


@value(frozen=True, slots=True)
class PeerCertificate:
    """The certificates that the peer showed; the chain is empty if it has none."""

    chain: tuple[bytes, ...] = field(repr=False)
    certificate_type: str = "X509"
    ocsp_response: bytes | None = field(default=None, repr=False)
    sct_list: bytes | None = field(default=None, repr=False)
    compression: str | None = None


@value(frozen=True, slots=True)
class AuthenticatedPeer:
    """Proof that the peer holds the key of the certificate that was verified before.

    `verified` says whether that decision was made, or switched off. `signature_scheme` is None
    where the proof was not a signature, but a secret that only this key could decrypt.
    """

    chain: tuple[bytes, ...]
    path: tuple[bytes, ...]
    verified: bool
    signature_scheme: str | None
    certificate_type: str = "X509"


NOTHING_SHOWN: Final = PeerCertificate(())
NOBODY: Final = AuthenticatedPeer((), (), verified=False, signature_scheme=None)
"""A peer that is not asked for a certificate, or has none, and what it showed."""


def authenticated_by(peer: VerifiedPeer, scheme: str | None) -> AuthenticatedPeer:
    """Return the proof for a peer that signed in this scheme; None: that proved itself otherwise.

    To be called where the proof holds, and nowhere else.
    """
    return AuthenticatedPeer(
        peer.chain_der, peer.path_der, peer.verified, scheme, peer.certificate_type
    )


def check_name_is_known(config: ClientConfig, server_name: str | None) -> None:
    """Refuse a certificate without a server name, which a client with psks may leave out."""
    judges = config.verify_peer and config.verify is None
    if server_name is None and config.psks and judges:
        raise ProtocolError(Fault.PSK_NOT_TAKEN)


def check_may_sign(peer: VerifiedPeer) -> None:
    """Refuse a leaf that must not sign. Raises `CertificateError`.

    RFC 8446 4.4.2.2, RFC 5246 7.4.2: "digitalSignature". Where the peer signs nothing, with RSA key
    transport, this is not asked.
    """
    if not peer.may_sign:
        detail = "its key usage does not allow digital signatures"
        fix = advice("Get a certificate with the key usage digitalSignature.", "")
        error = CertificateError(Fault.CERTIFICATE_WRONG_PURPOSE, detail, fix=fix)
        raise error.at(0, "keyUsage")


async def verify_peer(
    hs: HandshakeContext, shown: PeerCertificate, *, peer_is_server: bool, server_name: str | None
) -> VerifiedPeer:
    """Return the outside's decision on the peer. Raises `ProtocolError`."""
    question = question_about(shown, server_name, peer_is_server=peer_is_server)
    peer: VerifiedPeer = await hs.ask(question)
    return _checked(peer, shown, peer_is_server, server_name)


async def verify_server(
    hs: HandshakeContext, config: ClientConfig, shown: PeerCertificate, server_name: str | None
) -> VerifiedPeer:
    """Return the decision on a server: at once, where it is this library's own.

    `server_name` is a normal name. Raises `ProtocolError`.
    """
    if hs.trace is None:  # A trace notes the question, and how long it took.
        try:
            peer = decide_at_once(config, hs.trust, shown, server_name)
        except TLSError:
            raise
        except Exception as error:
            raise callback_failed(VerifyPeer(shown.chain, True, server_name), error) from error
        if peer is not None:
            return peer
    return await verify_peer(hs, shown, peer_is_server=True, server_name=server_name)


def decide_at_once(
    config: ClientConfig, trust: TrustStore | None, shown: PeerCertificate, server_name: str | None
) -> VerifiedPeer | None:
    """Return this library's own decision on a server; None where another is to be asked.

    `server_name` is a normal name. Raises `CertificateError`.
    """
    if (
        config.verify is not None
        or not config.verify_peer
        or trust is None
        or server_name is None
        or shown.certificate_type != "X509"
    ):
        return None
    evidence = Evidence(shown.chain, shown.ocsp_response, shown.sct_list)
    return verify_evidence(evidence, trust, server_name, config.clock(), config.policy)


def question_about(
    shown: PeerCertificate, server_name: str | None, *, peer_is_server: bool
) -> VerifyPeer:
    """Return the question for the decision on what a peer showed."""
    return VerifyPeer(
        shown.chain,
        peer_is_server,
        server_name,
        shown.certificate_type,
        shown.ocsp_response,
        shown.sct_list,
    )


async def verify_client_again(
    hs: HandshakeContext, chain: tuple[bytes, ...], certificate_type: str
) -> VerifiedPeer | None:
    """Verify the certificates of a resumed client; return None if they are no longer accepted.

    That it holds their key it proved when the session was made; that it is this client, and not
    somebody who recorded its hello, it proves by Finished, which is yet to come. Raises
    `ProtocolError`.
    """
    peer = cast("VerifiedPeer | None", await hs.ask(ReverifyPeer(chain, certificate_type)))
    shown = PeerCertificate(chain, certificate_type)
    return None if peer is None else _checked(peer, shown, False, None)


async def confirm_peer(
    hs: HandshakeContext,
    config: SharedConfig,
    peer: VerifiedPeer | None,
    *,
    peer_is_server: bool,
    server_name: str | None,
) -> None:
    """Ask the application for its last word on the peer, if it showed certificates.

    To be asked after the peer has proved that it is there. Anybody can send anybody's certificate,
    or a recorded hello: the application would be asked about a peer that may be far away, and might
    act on it.
    """
    if config.confirm_peer is None or peer is None:
        return
    if not await hs.ask(ConfirmPeer(peer, peer_is_server, server_name)):
        raise CertificateError(Fault.CERTIFICATE_REFUSED, "confirm_peer answered False")


def _checked(
    peer: VerifiedPeer, shown: PeerCertificate, peer_is_server: bool, server_name: str | None
) -> VerifiedPeer:
    """Return the result, if it is about the chain that was shown."""
    if peer.chain_der != shown.chain:
        raise ProtocolError(Fault.CALLBACK_FAILED, "the verifier returned another chain")
    if not peer.is_for(peer_is_server, server_name, shown.certificate_type):
        raise ProtocolError(Fault.CALLBACK_FAILED, "the verifier's result is for another use")
    return peer
