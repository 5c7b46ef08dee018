"""The server of TLS 1.2, in the order of RFC 5246 section 7.3: full, and abbreviated."""

from __future__ import annotations

from functools import partial

from handclasp.certificates.verify import VerifiedPeer
from handclasp.config import ClientAuth, ServerConfig
from handclasp.config.hello_size import MAX_AUTHORITIES
from handclasp.crypto.groups import GROUPS, BadShare, PrivateShare
from handclasp.crypto.secret import Secret
from handclasp.crypto.signatures import SIGNATURE_SCHEMES, of_versions
from handclasp.crypto.suites import CipherSuite12
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.certificate_types import answering_extensions
from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.peer import AuthenticatedPeer, PeerCertificate, confirm_peer, verify_peer
from handclasp.handshake.result import HandshakeResult12
from handclasp.handshake.tls12.authentication import (
    VERSION,
    receive_certificate_verify,
    sign_server_key_exchange,
)
from handclasp.handshake.tls12.certificate import certificate_message, read_chain
from handclasp.handshake.tls12.client_hello import (
    Choice,
    Offer,
    choose,
    credentials_question,
    read_offer,
)
from handclasp.handshake.tls12.finished import receive_finished, send_finished
from handclasp.handshake.tls12.key_transport import receive_secret
from handclasp.handshake.tls12.resumption import (
    ResumedSession,
    choose_grant,
    find_session,
    grant_session,
)
from handclasp.handshake.tls12.secrets import derive_master_secret, resume_master_secret
from handclasp.handshake.trace_notes import check_name_is_served, decide_application_protocol
from handclasp.iana import TLS12, ExtensionType
from handclasp.info import ConnectionInfo
from handclasp.keys.schedule12 import Exporter12, MasterSecret12, Randoms
from handclasp.wire import extensions as ext
from handclasp.wire.messages import ClientHello, ServerHello
from handclasp.wire.messages12 import (
    ECDSA_SIGN,
    RSA_SIGN,
    Certificate12,
    CertificateRequest12,
    CertificateStatus,
    ClientKeyExchange,
    ServerHelloDone,
    read_ecdh_point,
)
from handclasp.wire.records import MAX_PLAINTEXT

_SENTINEL = b"DOWNGRD\x01"


async def complete_server_handshake(
    hs: HandshakeContext, config: ServerConfig, hello: ClientHello
) -> HandshakeResult12:
    """Everything after the ClientHello, of which TLS 1.2 is the best that both speak."""
    hs.require_records().use_tls12()
    hs.port.end_flight()
    offer = read_offer(hs, config, hello)
    session = await find_session(hs, config, hello, offer.server_name)
    del hello
    if session is not None:
        abbreviated = _resume(hs, config, offer, session)
        del offer
        return await abbreviated

    choice = await choose(hs, config, offer)
    # A client signs the messages themselves, if it shows a certificate.
    hs.transcript.choose_hash(choice.suite.hash_name, keep=choice.client_type is not None)
    randoms = _send_server_hello(hs, config, offer, choice)
    del offer  # Whatever it holds is not kept while the client takes its time.
    _send_certificate(hs, choice)
    share = await _send_server_key_exchange(hs, config, choice, randoms)
    if choice.client_type is not None:
        hs.send(_certificate_request(config, choice.client_type))
    hs.send(ServerHelloDone())

    shown = verified = client = None
    if choice.client_type is not None:
        shown = await _receive_certificate(hs, config, choice.client_type)
    master_secret = await _receive_key_exchange(hs, config, choice, randoms, share)
    if shown is not None:
        verified, client = await _authenticate_client(hs, config, shown)
    hs.transcript.forget_messages()

    keys = master_secret.key_block()
    peer_finished = await receive_finished(hs, master_secret, "client", keys.client)
    await confirm_peer(hs, config, verified, peer_is_server=False, server_name=None)
    info = _info(choice, client)
    forget = grant_session(hs, config, choice.grant, info, master_secret)
    send_finished(hs, master_secret, "server", keys.server)
    tls_unique = peer_finished.verify_data
    return HandshakeResult12(info, peer_finished, Exporter12(master_secret), tls_unique, forget)


async def _resume(
    hs: HandshakeContext, config: ServerConfig, offer: Offer, session: ResumedSession
) -> HandshakeResult12:
    """Run the abbreviated handshake (RFC 5246 section 7.3): this side's Finished comes first."""
    await _check_resumption(hs, config, offer)
    suite, client = session.suite, session.client
    hs.transcript.choose_hash(suite.hash_name)
    alpn = decide_application_protocol(hs, config, offer.protocols)
    grant = choose_grant(config, offer.hello, extended=True)
    extensions = _extensions(hs, config, offer, alpn)
    if grant.ticket:
        extensions[ExtensionType.SESSION_TICKET] = b""
    session_id = offer.hello.legacy_session_id
    randoms = _send_hello(hs, config, offer, suite, session_id, extensions)
    master_secret = resume_master_secret(hs, suite, session.state.secret, randoms)
    info = _resumed_info(session, alpn, offer.server_name)
    del offer
    if grant.ticket:
        grant_session(hs, config, grant, info, master_secret, session.state)

    keys = master_secret.key_block()
    own_finished = send_finished(hs, master_secret, "server", keys.server)
    peer_finished = await receive_finished(hs, master_secret, "client", keys.client)
    await confirm_peer(hs, config, client, peer_is_server=False, server_name=None)
    memory = config.derived.session_cache12
    forget = partial(memory.discard, session_id) if memory is not None else None
    # RFC 5929 3.1: the first Finished of the latest handshake, which here is the server's.
    return HandshakeResult12(info, peer_finished, Exporter12(master_secret), own_finished, forget)


async def _check_resumption(hs: HandshakeContext, config: ServerConfig, offer: Offer) -> None:
    """Refuse a resumption that the config or the hello rules out. Raises `ProtocolError`."""
    if config.refuses_names:
        question = credentials_question(config, offer, types=offer.server_certificate_types)
        await check_name_is_served(hs, config, question)
    if not offer.extended_master_secret:
        # RFC 7627 5.3: the session had it, so "the server MUST abort the abbreviated handshake".
        raise ProtocolError(Fault.EXTENDED_MASTER_SECRET_MISSING, "to resume a session that had it")


def _resumed_info(
    session: ResumedSession, alpn: str | None, server_name: str | None
) -> ConnectionInfo:
    client = session.client
    return ConnectionInfo(
        version=VERSION,
        cipher_suite=session.suite.name,
        group=None,
        signature_scheme=session.state.signature_scheme or None,
        alpn=alpn,
        server_name=server_name,
        resumed=True,
        early_data_status="none",
        hello_retry=False,
        peer_chain_der=client.chain_der if client else (),
        peer_verified=client.verified if client else False,
        verified_chain_der=client.path_der if client else (),
        local_chain_der=(),
        peer_certificate_type=client.certificate_type if client else "X509",
    )


def _send_server_hello(
    hs: HandshakeContext, config: ServerConfig, offer: Offer, choice: Choice
) -> Randoms:
    asked = offer.hello.extensions
    extensions = _extensions(hs, config, offer, choice.alpn)
    if offer.server_name is not None:
        # In a full handshake only. RFC 6066 3: a server that resumes a session "MUST NOT include a
        # server_name extension in the server hello".
        extensions[ExtensionType.SERVER_NAME] = b""
    if choice.group is not None and ExtensionType.EC_POINT_FORMATS in asked:
        extensions[ExtensionType.EC_POINT_FORMATS] = ext.write_ec_point_formats()
    if choice.staple is not None:
        extensions[ExtensionType.STATUS_REQUEST] = b""
    sct_list = choice.credentials.sct_list
    if sct_list is not None and ExtensionType.SIGNED_CERTIFICATE_TIMESTAMP in asked:
        extensions[ExtensionType.SIGNED_CERTIFICATE_TIMESTAMP] = sct_list
    if choice.grant.ticket:
        extensions[ExtensionType.SESSION_TICKET] = b""
    shown_type = choice.credentials.certificate_type
    extensions.update(answering_extensions(asked, shown_type, choice.client_type))
    return _send_hello(hs, config, offer, choice.suite, choice.grant.session_id, extensions)


def _send_hello(
    hs: HandshakeContext,
    config: ServerConfig,
    offer: Offer,
    suite: CipherSuite12,
    session_id: bytes,
    extensions: dict[int, bytes],
) -> Randoms:
    random = config.entropy(32)
    if "TLSv1.3" in config.versions:
        # RFC 8446 4.1.3: so that a client that could do TLS 1.3 learns of a man in the middle.
        random = random[: -len(_SENTINEL)] + _SENTINEL
    hs.send(ServerHello(TLS12, random, session_id, suite.code, 0, extensions))
    return Randoms(offer.hello.random, random)


def _extensions(
    hs: HandshakeContext, config: ServerConfig, offer: Offer, alpn: str | None
) -> dict[int, bytes]:
    """Return the extensions that this server agrees to, resumed or not."""
    asked = offer.hello.extensions
    extensions: dict[int, bytes] = {}
    # RFC 5746 3.6: whether the client said it by the extension or by the signalling suite.
    if (
        ExtensionType.RENEGOTIATION_INFO in asked
        or "TLS_EMPTY_RENEGOTIATION_INFO_SCSV" in offer.cipher_suites
    ):
        extensions[ExtensionType.RENEGOTIATION_INFO] = ext.write_renegotiation_info()
    if offer.extended_master_secret:
        extensions[ExtensionType.EXTENDED_MASTER_SECRET] = b""
    if alpn is not None:
        extensions[ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION] = ext.write_alpn(
            [alpn.encode("ascii")]
        )
    if (data := asked.get(ExtensionType.RECORD_SIZE_LIMIT)) is not None:
        own_limit = min(config.record_size_limit or MAX_PLAINTEXT, MAX_PLAINTEXT)
        hs.require_records().limit_write(ext.read_record_size_limit(data))
        hs.require_records().limit_read(own_limit)
        extensions[ExtensionType.RECORD_SIZE_LIMIT] = ext.write_record_size_limit(own_limit)
    return extensions


def _send_certificate(hs: HandshakeContext, choice: Choice) -> None:
    """Send the certificate, and its OCSP response where the client asked for it."""
    hs.show(choice.credentials.chain_der)
    hs.send(certificate_message(choice.credentials))
    if choice.staple is not None:
        hs.is_stapled = True
        hs.send(CertificateStatus(choice.staple))


async def _send_server_key_exchange(
    hs: HandshakeContext, config: ServerConfig, choice: Choice, randoms: Randoms
) -> PrivateShare | None:
    """This side's share, signed; None where the client encrypts the secret to the certificate."""
    if choice.group is None or choice.scheme is None:
        return None
    group = GROUPS[choice.group]
    share = hs.work("key_generation", choice.group, group.exchange.generate, config.entropy)
    message = await sign_server_key_exchange(
        hs, choice.credentials, choice.scheme, randoms, group.code, share.share
    )
    hs.send(message)
    return share


def _certificate_request(config: ServerConfig, client_type: str) -> CertificateRequest12:
    schemes = of_versions(tuple(config.signature_schemes), (VERSION,))
    authorities: tuple[bytes, ...] = ()
    # A raw public key has no issuer.
    if config.send_authorities and config.trust is not None and client_type == "X509":
        names = config.trust.subjects()
        authorities = names if sum(map(len, names)) <= MAX_AUTHORITIES else ()
    return CertificateRequest12(
        bytes([ECDSA_SIGN, RSA_SIGN]),
        tuple([SIGNATURE_SCHEMES[name].code for name in schemes]),
        authorities,
    )


async def _receive_certificate(
    hs: HandshakeContext, config: ServerConfig, certificate_type: str
) -> PeerCertificate | None:
    """Return what the client shows; None where it has nothing and need not."""
    chain = read_chain(await hs.receive(Certificate12), certificate_type, config.limits)
    if chain:
        return PeerCertificate(chain, certificate_type)
    if config.client_auth is ClientAuth.REQUIRED:
        raise ProtocolError(Fault.CLIENT_CERTIFICATE_MISSING12)
    return None


async def _receive_key_exchange(
    hs: HandshakeContext,
    config: ServerConfig,
    choice: Choice,
    randoms: Randoms,
    share: PrivateShare | None,
) -> MasterSecret12:
    """Receive the client's half of the secret; return what both sides derive from it."""
    if share is None:
        version = choice.client_version
        secret = await receive_secret(hs, choice.credentials, version, config.entropy)
    else:
        secret = await _agree(hs, choice.group or "", share)
    extended, means = choice.extended_master_secret, choice.group or "RSA"
    return derive_master_secret(hs, choice.suite, secret, randoms, means=means, extended=extended)


async def _agree(hs: HandshakeContext, group: str, share: PrivateShare) -> Secret:
    """Receive the client's half of the secret; return the secret."""
    message = await hs.receive(ClientKeyExchange)
    try:
        return hs.work("key_agreement", group, share.agree, read_ecdh_point(message.exchange_keys))
    except BadShare as error:
        raise ProtocolError(Fault.BAD_KEY_SHARE, f"{group}: {error}") from None


async def _authenticate_client(
    hs: HandshakeContext, config: ServerConfig, shown: PeerCertificate
) -> tuple[VerifiedPeer, AuthenticatedPeer]:
    """Verify the client's certificate, and receive its proof of the key."""
    peer = await verify_peer(hs, shown, peer_is_server=False, server_name=None)
    return peer, await receive_certificate_verify(hs, peer, config.signature_schemes)


def _info(choice: Choice, client: AuthenticatedPeer | None) -> ConnectionInfo:
    return ConnectionInfo(
        version=VERSION,
        cipher_suite=choice.suite.name,
        group=choice.group,
        signature_scheme=choice.scheme,
        alpn=choice.alpn,
        server_name=choice.server_name,
        resumed=False,
        early_data_status="none",
        hello_retry=False,
        peer_chain_der=client.chain if client else (),
        peer_verified=client.verified if client else False,
        verified_chain_der=client.path if client else (),
        local_chain_der=choice.credentials.chain_der,
        client_signature_scheme=client.signature_scheme if client else None,
        peer_certificate_type=client.certificate_type if client else "X509",
        local_certificate_type=choice.credentials.certificate_type,
    )
