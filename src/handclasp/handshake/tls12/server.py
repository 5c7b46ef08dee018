"""The server of TLS 1.2, in the order of RFC 5246 section 7.3.

The certificate is chosen first, as its key decides which of the cipher suites can be used; the
suite comes next, with the group and the scheme that it needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from functools import partial

from handclasp.certificates.credentials import Credentials
from handclasp.certificates.verify import VerifiedPeer
from handclasp.config import ClientAuth, ServerConfig
from handclasp.crypto.groups import GROUPS, BadShare, PrivateShare
from handclasp.crypto.secret import Secret
from handclasp.crypto.signatures import SIGNATURE_SCHEMES, of_versions
from handclasp.crypto.suites import CIPHER_SUITES12, CipherSuite12
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.certificate_types import (
    CLIENT_TYPE,
    SERVER_TYPE,
    answering_extensions,
    choose_client_type,
    choose_server_types,
    no_server_type,
    read_offered_types,
)
from handclasp.handshake.context import NO_OVERLAP, HandshakeContext
from handclasp.handshake.disagreement import disagreement
from handclasp.handshake.finished import receive_expected_finished
from handclasp.handshake.negotiation import (
    choose_cipher_suite,
    choose_signature_scheme,
    first_shared,
    shown,
)
from handclasp.handshake.offered import (
    asked_name,
    authorities_of,
    offered_groups,
    offered_schemes,
    offered_suites,
    protocols_reader,
)
from handclasp.handshake.peer import AuthenticatedPeer, PeerCertificate, confirm_peer, verify_peer
from handclasp.handshake.questions import ChooseCredentials
from handclasp.handshake.result import HandshakeResult12
from handclasp.handshake.tls12.authentication import (
    VERSION,
    authentication_of,
    receive_certificate_verify,
    sign_server_key_exchange,
)
from handclasp.handshake.tls12.certificate import certificate_message, read_chain
from handclasp.handshake.tls12.key_transport import receive_secret
from handclasp.handshake.tls12.resumption import (
    ResumedSession,
    SessionGrant,
    choose_gift,
    find_session,
    grant_session,
)
from handclasp.handshake.tls12.secrets import derive_master_secret
from handclasp.handshake.tls13.certificate import MAX_AUTHORITIES
from handclasp.handshake.trace_notes import (
    check_name_is_served,
    decide_application_protocol,
    note_credentials,
    note_group12,
    note_signature_scheme,
    note_suite12,
)
from handclasp.info import ConnectionInfo
from handclasp.keys.epoch import Epoch
from handclasp.keys.schedule12 import Exporter12, MasterSecret12, Randoms
from handclasp.values import value
from handclasp.wire import extensions as ext
from handclasp.wire.iana import TLS12, ExtensionType
from handclasp.wire.messages import ClientHello, Finished, ServerHello
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
from handclasp.wire.writer import uint16s

_SENTINEL = b"DOWNGRD\x01"
_ASSUMED_GROUPS = ("secp256r1",)
"""What a client without supported_groups gets (RFC 8422 section 4 leaves it open)."""


@value(frozen=True, slots=True)
class _Offer:
    """A ClientHello with the parts that the server chooses from, read and checked."""

    hello: ClientHello
    cipher_suites: tuple[str, ...]
    groups: tuple[str, ...]
    signature_schemes: tuple[str, ...]
    protocols: tuple[bytes, ...]
    server_name: str | None
    server_certificate_types: tuple[str, ...]
    client_certificate_types: tuple[str, ...]
    extended_master_secret: bool


@value(frozen=True, slots=True)
class _Choice:
    """What the server takes from the offer; group and scheme are of ECDHE only.

    `client_type` is the type of certificate that the client is asked for, if it is.
    """

    suite: CipherSuite12
    credentials: Credentials
    group: str | None
    scheme: str | None
    alpn: str | None
    client_type: str | None
    staple: bytes | None = field(repr=False)
    grant: SessionGrant = field(repr=False)


async def complete_server_handshake(
    hs: HandshakeContext, config: ServerConfig, hello: ClientHello
) -> HandshakeResult12:
    """Everything after the ClientHello, of which TLS 1.2 is the best that both speak."""
    hs.require_records().use_tls12()
    hs.port.end_flight()
    offer = _read_offer(hs, config, hello)
    legacy_version, extended = hello.legacy_version, offer.extended_master_secret
    known = await find_session(hs, config, hello, offer.server_name)
    del hello
    if known is not None:
        resume = _resume(hs, config, offer, known)
        del offer
        return await resume
    choice = await _choose(hs, config, offer)
    asks = choice.client_type is not None
    hs.transcript.choose_hash(choice.suite.hash_name, keep=asks)
    randoms = _send_server_hello(hs, config, offer, choice)
    hs.shown_chain = choice.credentials.chain
    hs.send(certificate_message(choice.credentials))
    if choice.staple is not None:
        hs.is_stapled = True
        hs.send(CertificateStatus(choice.staple))
    share = await _send_server_key_exchange(hs, config, choice, randoms)
    if asks:
        hs.send(_certificate_request(config, choice.client_type))
    hs.send(ServerHelloDone())

    server_name = offer.server_name
    del offer  # Whatever it holds is not kept while the client takes its time.
    shown_by_client = await _receive_client_certificate(hs, config, choice.client_type)
    if share is None:
        secret = await receive_secret(hs, choice.credentials, legacy_version, config.entropy)
    else:
        secret = await _agree(hs, choice.group or "", share)
    means = choice.group or "RSA"
    master_secret = derive_master_secret(
        hs, choice.suite, secret, randoms, means=means, extended=extended
    )
    verified: VerifiedPeer | None = None
    client: AuthenticatedPeer | None = None
    if shown_by_client is not None:
        verified, client = await _authenticate_client(hs, config, shown_by_client)
    hs.transcript.forget_messages()

    keys = master_secret.key_block()
    await hs.receive_change_cipher_spec()
    hs.install_read(Epoch.APPLICATION, keys.client)
    peer_finished = await receive_expected_finished(
        hs, master_secret.verify_data("client", hs.transcript.digest())
    )
    await confirm_peer(hs, config, verified, peer_is_server=False, server_name=None)
    info = _info(server_name, choice, client)
    forget = grant_session(hs, config, choice.grant, info, master_secret)
    own_finished = master_secret.verify_data("server", hs.transcript.digest())
    hs.require_records().send_change_cipher_spec()
    hs.install_write(Epoch.APPLICATION, keys.server)
    hs.send(Finished(own_finished))
    tls_unique = peer_finished.verify_data
    return HandshakeResult12(info, peer_finished, Exporter12(master_secret), tls_unique, forget)


async def _send_server_key_exchange(
    hs: HandshakeContext, config: ServerConfig, choice: _Choice, randoms: Randoms
) -> PrivateShare | None:
    """This side's share, signed; None where the client encrypts the secret to the certificate."""
    if choice.group is None or choice.scheme is None:
        return None
    group = GROUPS[choice.group]
    share = hs.work("key_generation", choice.group, group.exchange.generate, config.entropy)
    hs.send(
        await sign_server_key_exchange(
            hs, choice.credentials, choice.scheme, randoms, group.code, share.share
        )
    )
    return share


def _info(
    server_name: str | None, choice: _Choice, client: AuthenticatedPeer | None
) -> ConnectionInfo:
    return ConnectionInfo(
        version=VERSION,
        cipher_suite=choice.suite.name,
        group=choice.group,
        signature_scheme=choice.scheme,
        alpn=choice.alpn,
        server_name=server_name,
        resumed=False,
        early_data="none",
        hello_retry=False,
        peer_chain_der=client.chain if client else (),
        peer_verified=client.verified if client else False,
        verified_chain_der=client.path if client else (),
        local_chain_der=choice.credentials.chain,
        client_signature_scheme=client.signature_scheme if client else None,
        peer_certificate_type=client.certificate_type if client else "X509",
        local_certificate_type=choice.credentials.certificate_type,
    )


def _read_offer(hs: HandshakeContext, config: ServerConfig, hello: ClientHello) -> _Offer:
    """What of a ClientHello matters in TLS 1.2 (RFC 5246 section 7.4.1.2)."""
    if b"\0" not in hello.legacy_compression_methods:
        raise ProtocolError(Fault.COMPRESSION_CHOSEN, "the client offers nothing but compression")
    extensions = hello.extensions
    data = extensions.get(ExtensionType.RENEGOTIATION_INFO)
    if data is not None and ext.read_renegotiation_info(data):
        raise ProtocolError(Fault.BAD_RENEGOTIATION_INFO)
    extended = ExtensionType.EXTENDED_MASTER_SECRET in extensions
    if extended:
        ext.read_empty(extensions[ExtensionType.EXTENDED_MASTER_SECRET], "extended_master_secret")
    elif config.require_extended_master_secret:
        raise ProtocolError(Fault.EXTENDED_MASTER_SECRET_MISSING)
    data = extensions.get(ExtensionType.EC_POINT_FORMATS)
    if data is not None and ext.UNCOMPRESSED not in ext.read_ec_point_formats(data):
        raise ProtocolError(Fault.ILLEGAL_VALUE, "ec_point_formats lacks uncompressed")
    groups = extensions.get(ExtensionType.SUPPORTED_GROUPS)
    schemes = extensions.get(ExtensionType.SIGNATURE_ALGORITHMS)
    alpn = extensions.get(ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION)
    name = extensions.get(ExtensionType.SERVER_NAME)
    hs.server_name = asked_name(name) if name is not None else None
    return _Offer(
        hello=hello,
        cipher_suites=hs.reading.read(offered_suites, uint16s(hello.cipher_suites)),
        groups=offered_groups(groups) if groups is not None else _ASSUMED_GROUPS,
        # RFC 5246 7.4.1.4.1: without the extension, SHA-1 is meant, which is not spoken here.
        signature_schemes=offered_schemes(schemes) if schemes is not None else (),
        protocols=hs.reading.read(protocols_reader(config), alpn) if alpn is not None else (),
        server_name=hs.server_name,
        server_certificate_types=read_offered_types(extensions, SERVER_TYPE),
        client_certificate_types=read_offered_types(extensions, CLIENT_TYPE),
        extended_master_secret=extended,
    )


async def _choose(hs: HandshakeContext, config: ServerConfig, offer: _Offer) -> _Choice:
    groups = [name for name in config.groups if VERSION in GROUPS[name].versions]
    group = first_shared(offer.groups, groups, prefer_offered=config.prefer_client_order)
    usable = [
        CIPHER_SUITES12[name]
        for name in config.cipher_suites
        if name in CIPHER_SUITES12
        and name in offer.cipher_suites
        and (group is not None or CIPHER_SUITES12[name].key_exchange == "RSA")
    ]
    if not usable:
        _refuse(hs, config, offer, groups, group)
    credentials, scheme = await _choose_credentials(hs, config, offer, usable)
    authentication = authentication_of(credentials.key_kind)
    fitting = [
        suite.name
        for suite in usable
        if suite.authentication == authentication
        and (credentials.can_decrypt if suite.key_exchange == "RSA" else scheme is not None)
    ]
    order = "the client's order" if config.prefer_client_order else "the server's order"
    name = choose_cipher_suite(
        offer.cipher_suites, fitting, prefer_client_order=config.prefer_client_order
    )
    note_suite12(hs, config, offer.cipher_suites, fitting, name, group is not None)
    suite = CIPHER_SUITES12[name]
    is_ecdhe = suite.key_exchange == "ECDHE"
    if is_ecdhe:
        note_group12(hs, offer.groups, groups, group or "", order)
        offered = offer.signature_schemes
        note_signature_scheme(hs, config, offered, scheme, "TLSv1.2", credentials)
    alpn = decide_application_protocol(hs, config, offer.protocols)
    return _Choice(
        suite,
        credentials,
        group if is_ecdhe else None,
        scheme if is_ecdhe else None,
        alpn,
        choose_client_type(
            config,
            offer.client_certificate_types,
            is_explicit=CLIENT_TYPE in offer.hello.extensions,
        ),
        _staple(config, offer, credentials),
        choose_gift(config, offer.hello, extended=offer.extended_master_secret),
    )


def _refuse(
    hs: HandshakeContext, config: ServerConfig, offer: _Offer, groups: list[str], group: str | None
) -> None:
    """Nothing that both sides can do: raises what it was that failed."""
    own = [name for name in config.cipher_suites if name in CIPHER_SUITES12]
    if group is None and not set(own).isdisjoint(offer.cipher_suites):
        hs.note_decision("group", offer.groups, groups, None, NO_OVERLAP)
        raise disagreement(Fault.NO_SHARED_GROUP, offer.groups, groups)
    hs.note_decision("cipher_suite", offer.cipher_suites, own, None, NO_OVERLAP)
    raise disagreement(Fault.NO_SHARED_CIPHER_SUITE, offer.cipher_suites, own)


async def _choose_credentials(
    hs: HandshakeContext, config: ServerConfig, offer: _Offer, usable: list[CipherSuite12]
) -> tuple[Credentials, str | None]:
    """The certificate for this client, and the scheme to sign its key exchange in, if it can."""
    authentications = {suite.authentication for suite in usable if suite.key_exchange == "ECDHE"}
    key_transport = any(suite.key_exchange == "RSA" for suite in usable)
    _check_any_key_fits(hs, config, offer, authentications, key_transport)
    schemes = [
        name
        for name in offer.signature_schemes
        if name in SIGNATURE_SCHEMES and _goes_with(name, authentications, offer.groups)
    ]
    types = choose_server_types(config, offer.server_certificate_types)
    question = _question_of(config, offer, schemes, types, key_transport=key_transport)
    credentials = await hs.ask(question)
    note_credentials(hs.trace, config, question, credentials)
    if credentials is None:
        raise ProtocolError(Fault.UNRECOGNIZED_NAME, offer.server_name or "no name was given")
    if credentials.certificate_type not in types:
        raise no_server_type(types, (credentials.certificate_type,))
    scheme = choose_signature_scheme(credentials, schemes, config.signature_schemes, VERSION)
    if scheme is None and not (key_transport and credentials.can_decrypt):
        raise disagreement(
            Fault.NO_SHARED_SIGNATURE_SCHEME,
            offer.signature_schemes,
            credentials.schemes,
            keys=(credentials.key_kind,),
        )
    return credentials, scheme


def _question_of(
    config: ServerConfig,
    offer: _Offer,
    schemes: Sequence[str] | None = None,
    types: tuple[str, ...] = ("X509",),
    *,
    key_transport: bool = False,
) -> ChooseCredentials:
    """What the client says about the certificate that it would like to see.

    Args:
        schemes: those of the suites in question; None for all of the client's.
        types: the types of certificate in question.
    """
    return ChooseCredentials(
        offer.server_name,
        of_versions(tuple(offer.signature_schemes if schemes is None else schemes), (VERSION,)),
        tuple([shown(protocol) for protocol in offer.protocols]),
        authorities_of(offer.hello.extensions, config),
        certificate_types=types,
        key_transport=key_transport,
    )


def _check_any_key_fits(
    hs: HandshakeContext,
    config: ServerConfig,
    offer: _Offer,
    authentications: set[str],
    key_transport: bool,
) -> None:
    """If all shared suites are for keys of another kind, that is what to tell."""
    kinds = {authentication_of(each.key_kind) for each in config.credential_list}
    wanted = [*authentications, "RSA"] if key_transport else authentications
    if kinds and kinds.isdisjoint(wanted):
        own = [
            name
            for name in config.cipher_suites
            if name in CIPHER_SUITES12 and CIPHER_SUITES12[name].authentication in kinds
        ]
        hs.note_decision("cipher_suite", offer.cipher_suites, own, None, NO_OVERLAP)
        keys = [each.key_kind for each in config.credential_list]
        raise disagreement(Fault.NO_SHARED_CIPHER_SUITE, offer.cipher_suites, own, keys=keys)


def _goes_with(scheme: str, authentications: set[str], groups: tuple[str, ...]) -> bool:
    """Whether a key that signs in this scheme goes with the suites, and its curve with the client.

    RFC 8422 section 5.1.1: supported_groups is about the curves in certificates, too.
    """
    kind = SIGNATURE_SCHEMES[scheme].key
    return authentication_of(kind) in authentications and (kind not in GROUPS or kind in groups)


def _staple(config: ServerConfig, offer: _Offer, credentials: Credentials) -> bytes | None:
    data = offer.hello.extensions.get(ExtensionType.STATUS_REQUEST)
    if credentials.staple is None or data is None or not ext.read_status_request(data):
        return None
    return credentials.staple.current(config.clock())


def _send_server_hello(
    hs: HandshakeContext, config: ServerConfig, offer: _Offer, choice: _Choice
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
    offer: _Offer,
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


async def _resume(
    hs: HandshakeContext, config: ServerConfig, offer: _Offer, known: ResumedSession
) -> HandshakeResult12:
    """The abbreviated handshake (RFC 5246 section 7.3): this side's Finished comes first."""
    if config.refuses_names:
        question = _question_of(config, offer, types=offer.server_certificate_types)
        await check_name_is_served(hs, config, question)
    if not offer.extended_master_secret:
        # RFC 7627 5.3: the session had it, so "the server MUST abort the abbreviated handshake".
        raise ProtocolError(Fault.EXTENDED_MASTER_SECRET_MISSING, "to resume a session that had it")
    suite = known.suite
    hs.transcript.choose_hash(suite.hash_name)
    alpn = decide_application_protocol(hs, config, offer.protocols)
    grant = choose_gift(config, offer.hello, extended=True)
    extensions = _extensions(hs, config, offer, alpn)
    if grant.ticket:
        extensions[ExtensionType.SESSION_TICKET] = b""
    session_id = offer.hello.legacy_session_id
    randoms = _send_hello(hs, config, offer, suite, session_id, extensions)
    master_secret = MasterSecret12(
        suite, randoms, known.state.secret, extended=True, observer=hs.observer
    )
    hs.note_secret("CLIENT_RANDOM", master_secret.secret)
    client = known.client
    info = ConnectionInfo(
        version=VERSION,
        cipher_suite=suite.name,
        group=None,
        signature_scheme=known.state.signature_scheme or None,
        alpn=alpn,
        server_name=offer.server_name,
        resumed=True,
        early_data="none",
        hello_retry=False,
        peer_chain_der=client.chain if client else (),
        peer_verified=client.verified if client else False,
        verified_chain_der=client.path if client else (),
        local_chain_der=(),
        peer_certificate_type=client.certificate_type if client else "X509",
    )
    if grant.ticket:
        grant_session(hs, config, grant, info, master_secret, known.state)

    keys = master_secret.key_block()
    own_finished = master_secret.verify_data("server", hs.transcript.digest())
    hs.require_records().send_change_cipher_spec()
    hs.install_write(Epoch.APPLICATION, keys.server)
    hs.send(Finished(own_finished))
    del offer
    await hs.receive_change_cipher_spec()
    hs.install_read(Epoch.APPLICATION, keys.client)
    peer_finished = await receive_expected_finished(
        hs, master_secret.verify_data("client", hs.transcript.digest())
    )
    await confirm_peer(hs, config, client, peer_is_server=False, server_name=None)
    # RFC 5929 3.1: the first Finished of the latest handshake, which here is the server's.
    memory = config.derived.session_cache12
    forget = partial(memory.discard, session_id) if memory is not None else None
    return HandshakeResult12(info, peer_finished, Exporter12(master_secret), own_finished, forget)


def _extensions(
    hs: HandshakeContext, config: ServerConfig, offer: _Offer, alpn: str | None
) -> dict[int, bytes]:
    """What this server agrees to, resumed or not."""
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


def _certificate_request(config: ServerConfig, client_type: str | None) -> CertificateRequest12:
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


async def _receive_client_certificate(
    hs: HandshakeContext, config: ServerConfig, certificate_type: str | None
) -> PeerCertificate | None:
    """What the client shows; None where it is not asked, or has nothing and need not."""
    if certificate_type is None:
        return None
    chain = read_chain(await hs.receive(Certificate12), certificate_type, config.limits)
    if chain:
        return PeerCertificate(chain, certificate_type)
    if config.client_auth is ClientAuth.REQUIRED:
        raise ProtocolError(Fault.CLIENT_CERTIFICATE_MISSING12)
    return None


async def _agree(hs: HandshakeContext, group: str, share: PrivateShare) -> Secret:
    """The client's half of the secret, and with it the secret."""
    message = await hs.receive(ClientKeyExchange)
    try:
        return hs.work("key_agreement", group, share.agree, read_ecdh_point(message.exchange_keys))
    except BadShare as error:
        raise ProtocolError(Fault.BAD_KEY_SHARE, f"{group}: {error}") from None


async def _authenticate_client(
    hs: HandshakeContext, config: ServerConfig, shown_by_client: PeerCertificate
) -> tuple[VerifiedPeer, AuthenticatedPeer]:
    """The decision on the client's certificate, and its proof of the key."""
    peer = await verify_peer(hs, shown_by_client, peer_is_server=False, server_name=None)
    return peer, await receive_certificate_verify(hs, peer, config.signature_schemes)
