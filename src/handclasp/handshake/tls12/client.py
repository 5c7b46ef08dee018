"""The client of TLS 1.2, in the order of RFC 5246 section 7.3.

It goes on from a ServerHello in which the server took TLS 1.2, and shares with TLS 1.3 the hello,
the groups, the schemes and the decision on certificates.
"""

from __future__ import annotations

from dataclasses import field, replace
from functools import partial

from handclasp.certificates.credentials import Credentials
from handclasp.certificates.verify import VerifiedPeer
from handclasp.config import ClientConfig
from handclasp.crypto.groups import GROUPS, GROUPS_BY_CODE, BadShare
from handclasp.crypto.secret import Secret
from handclasp.crypto.suites import CIPHER_SUITES12_BY_CODE, CipherSuite12
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.certificate_types import read_selected_types
from handclasp.handshake.client_sessions import (
    ClientSessions,
    maker_of_sessions,
    may_come_back,
    shown_in,
)
from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.finished import receive_expected_finished
from handclasp.handshake.negotiation import choose_scheme_to_show, read_selected_protocol
from handclasp.handshake.offer import ClientOffer
from handclasp.handshake.offered import offered_authorities
from handclasp.handshake.peer import (
    AuthenticatedPeer,
    PeerCertificate,
    authenticated_by,
    check_name_is_known,
    confirm_peer,
    verify_peer,
)
from handclasp.handshake.questions import ChooseCredentials
from handclasp.handshake.result import Forget, HandshakeResult12
from handclasp.handshake.tls12.authentication import (
    VERSION,
    authentication_of,
    check_key_fits,
    check_server_key_exchange,
    send_certificate_verify,
)
from handclasp.handshake.tls12.certificate import certificate_message, read_chain
from handclasp.handshake.tls12.key_transport import check_may_encipher, make_secret
from handclasp.handshake.tls12.secrets import derive_master_secret
from handclasp.handshake.trace_notes import (
    note_credentials,
    note_group12,
    note_resumed,
    note_signature_scheme,
)
from handclasp.info import ConnectionInfo
from handclasp.keys.epoch import Epoch
from handclasp.keys.schedule12 import Exporter12, MasterSecret12, Randoms
from handclasp.sessions.session import MAX_LIFETIME, Session, milliseconds
from handclasp.values import value
from handclasp.wire import extensions as ext
from handclasp.wire.forms import check_forms
from handclasp.wire.iana import (
    ExtensionType,
    cipher_suite_name,
    group_name,
    signature_scheme_names,
)
from handclasp.wire.messages import Finished, ServerHello
from handclasp.wire.messages12 import (
    ECDSA_SIGN,
    RSA_SIGN,
    Certificate12,
    CertificateRequest12,
    CertificateStatus,
    ClientKeyExchange,
    NewSessionTicket12,
    ServerHelloDone,
    ServerKeyExchange,
    write_ecdh_point,
)
from handclasp.wire.rules import MessageContext, check_answer

_USUAL_LIFETIME = 7200
"""Seconds, where the server does not say."""

_CERTIFICATE_TYPES = {"RSA": RSA_SIGN, "ECDSA": ECDSA_SIGN}


@value(frozen=True, slots=True)
class _Agreed:
    """What the server agreed to in its ServerHello."""

    suite: CipherSuite12
    randoms: Randoms
    alpn: str | None
    extended_master_secret: bool
    server_certificate_type: str
    client_certificate_type: str
    status_promised: bool
    ticket_promised: bool
    session_id: bytes = field(repr=False)
    resumed: Session | None
    sct_list: bytes | None = field(repr=False)


@value(frozen=True, slots=True)
class _Flight:
    """What the server sent up to ServerHelloDone; RSA key transport has no ServerKeyExchange."""

    shown: PeerCertificate
    key_exchange: ServerKeyExchange | None
    question: ChooseCredentials | None


async def complete_client_handshake(
    hs: HandshakeContext,
    config: ClientConfig,
    offer: ClientOffer,
    server_hello: ServerHello,
    client_sessions: ClientSessions | None,
) -> HandshakeResult12:
    """Everything after the ServerHello, whose version is TLS 1.2."""
    hs.require_records().use_tls12()
    agreed = _check_server_hello(hs, config, offer, server_hello)
    note_resumed(hs, offer.session, agreed.resumed)
    if agreed.resumed is not None:
        return await _resume(hs, config, offer, agreed, agreed.resumed, client_sessions)
    if client_sessions is not None:
        client_sessions.refused()
    # The messages themselves are signed if this side is asked for a certificate.
    hs.transcript.choose_hash(agreed.suite.hash_name, keep=True)
    flight = await _receive_flight(hs, config, agreed)
    server, authenticated = await _judge_server(hs, config, offer, agreed, flight)

    question = flight.question
    credentials, scheme = await _choose_credentials(hs, config, question)
    if question is not None:
        hs.shown_chain = credentials.chain if credentials is not None else ()
        hs.send(certificate_message(credentials))
    message, pre_master_secret, group = _agree(hs, config, server, flight)
    means = group if group is not None else "RSA"
    hs.send(message)
    master_secret = derive_master_secret(
        hs,
        agreed.suite,
        pre_master_secret,
        agreed.randoms,
        means=means,
        extended=agreed.extended_master_secret,
    )
    if credentials is not None and scheme is not None:
        await send_certificate_verify(hs, credentials, scheme)
    hs.transcript.forget_messages()

    keys = master_secret.key_block()
    own_finished = master_secret.verify_data("client", hs.transcript.digest())
    hs.require_records().send_change_cipher_spec()
    hs.install_write(Epoch.APPLICATION, keys.client)
    hs.send(Finished(own_finished))

    ticket = await hs.receive(NewSessionTicket12) if agreed.ticket_promised else None
    await hs.receive_change_cipher_spec()
    hs.install_read(Epoch.APPLICATION, keys.server)
    peer_finished = await receive_expected_finished(
        hs, master_secret.verify_data("server", hs.transcript.digest())
    )
    if authenticated is None:
        # Only the certificate's key could decrypt the secret that this Finished is made from.
        authenticated = authenticated_by(server, None)
        await _confirm(hs, config, offer, server)

    info = _info(offer, agreed, flight, authenticated, group, credentials, scheme)
    forget = _keep(config, client_sessions, agreed, info, master_secret, ticket, question)
    return HandshakeResult12(info, peer_finished, Exporter12(master_secret), own_finished, forget)


def _info(
    offer: ClientOffer,
    agreed: _Agreed,
    flight: _Flight,
    server: AuthenticatedPeer,
    group: str | None,
    credentials: Credentials | None,
    own_scheme: str | None,
) -> ConnectionInfo:
    return ConnectionInfo(
        version=VERSION,
        cipher_suite=agreed.suite.name,
        group=group,
        signature_scheme=server.signature_scheme,
        alpn=agreed.alpn,
        server_name=offer.server_name,
        resumed=False,
        early_data="none",
        hello_retry=False,
        peer_chain_der=server.chain,
        peer_verified=server.verified,
        verified_chain_der=server.path,
        local_chain_der=credentials.chain if credentials else (),
        client_signature_scheme=own_scheme,
        peer_certificate_type=server.certificate_type,
        local_certificate_type=credentials.certificate_type if credentials else "X509",
        ocsp_response=flight.shown.ocsp_response,
        sct_list=flight.shown.sct_list,
    )


def _check_server_hello(
    hs: HandshakeContext, config: ClientConfig, offer: ClientOffer, server_hello: ServerHello
) -> _Agreed:
    """RFC 5246 section 7.4.1.3, and what came to it since."""
    extensions = server_hello.extensions
    check_answer(extensions, MessageContext.SH12, offer.answerable, config.limits.max_extensions)
    check_forms(extensions, MessageContext.SH12)
    suite = CIPHER_SUITES12_BY_CODE.get(server_hello.cipher_suite)
    if suite is None or suite.name not in config.cipher_suites:
        raise ProtocolError(
            Fault.UNOFFERED_CIPHER_SUITE, cipher_suite_name(server_hello.cipher_suite)
        )
    if server_hello.legacy_compression_method != 0:
        raise ProtocolError(Fault.COMPRESSION_CHOSEN)
    resumed = _resumed_session(offer, server_hello)
    if resumed is not None and resumed.cipher_suite != suite.name:
        # RFC 5246 7.4.1.3: "the cipher suite ... of the state of the session being resumed".
        raise ProtocolError(Fault.UNOFFERED_CIPHER_SUITE, f"{suite.name} for a resumed session")
    _check_renegotiation_info(extensions.get(ExtensionType.RENEGOTIATION_INFO))
    extended = ExtensionType.EXTENDED_MASTER_SECRET in extensions
    if not extended and (config.require_extended_master_secret or resumed is not None):
        # RFC 7627 5.3: a session that had it must not be resumed without.
        raise ProtocolError(Fault.EXTENDED_MASTER_SECRET_MISSING)
    if (data := extensions.get(ExtensionType.EC_POINT_FORMATS)) is not None:
        _check_point_formats(data)
    if (data := extensions.get(ExtensionType.RECORD_SIZE_LIMIT)) is not None:
        hs.require_records().limit_write(ext.read_record_size_limit(data))
        if config.record_size_limit is not None:
            hs.require_records().limit_read(config.record_size_limit)
    alpn: str | None = None
    if (data := extensions.get(ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION)) is not None:
        alpn = read_selected_protocol(data, config.alpn)
    suites = config.cipher_suites
    why = "the server chose" if resumed is None else "the suite of the session"
    hs.note_decision("cipher_suite", suites, suites, suite.name, why)
    hs.note_decision("alpn", config.alpn, config.alpn, alpn, "the server chose")
    return _Agreed(
        suite,
        Randoms(offer.hello.random, server_hello.random),
        alpn,
        extended,
        *read_selected_types(extensions, config, resumes=resumed is not None),
        ExtensionType.STATUS_REQUEST in extensions,
        ExtensionType.SESSION_TICKET in extensions,
        server_hello.legacy_session_id_echo,
        resumed,
        extensions.get(ExtensionType.SIGNED_CERTIFICATE_TIMESTAMP),
    )


def _resumed_session(offer: ClientOffer, server_hello: ServerHello) -> Session | None:
    """The session that the server resumes, as it says by echoing its id (RFC 5077 section 3.4)."""
    session_id = server_hello.legacy_session_id_echo
    if not session_id or session_id != offer.hello.legacy_session_id:
        return None
    if offer.session is None or offer.session.version != VERSION:
        raise ProtocolError(Fault.UNOFFERED_SESSION)
    return offer.session


async def _resume(
    hs: HandshakeContext,
    config: ClientConfig,
    offer: ClientOffer,
    agreed: _Agreed,
    session: Session,
    client_sessions: ClientSessions | None,
) -> HandshakeResult12:
    """The abbreviated handshake (RFC 5246 section 7.3): the server's Finished comes first."""
    hs.transcript.choose_hash(agreed.suite.hash_name)
    master_secret = MasterSecret12(
        agreed.suite, agreed.randoms, session.secret, extended=True, observer=hs.observer
    )
    hs.note_secret("CLIENT_RANDOM", master_secret.secret)
    name, shown = offer.server_name, shown_in(session)
    server = await verify_peer(hs, shown, peer_is_server=True, server_name=name)
    ticket = await hs.receive(NewSessionTicket12) if agreed.ticket_promised else None

    keys = master_secret.key_block()
    await hs.receive_change_cipher_spec()
    hs.install_read(Epoch.APPLICATION, keys.server)
    peer_finished = await receive_expected_finished(
        hs, master_secret.verify_data("server", hs.transcript.digest())
    )
    await _confirm(hs, config, offer, server)
    own_finished = master_secret.verify_data("client", hs.transcript.digest())
    hs.require_records().send_change_cipher_spec()
    hs.install_write(Epoch.APPLICATION, keys.client)
    hs.send(Finished(own_finished))

    authenticated = authenticated_by(server, session.signature_scheme)
    info = replace(
        _info(offer, agreed, _Flight(shown, None, None), authenticated, None, None, None),
        resumed=True,
        local_chain_der=session.local_chain,
        local_certificate_type=session.local_certificate_type,
    )
    forget = _keep(config, client_sessions, agreed, info, master_secret, ticket)
    # RFC 5929 3.1: the first Finished of the latest handshake, which here is the server's.
    exporter = Exporter12(master_secret)
    return HandshakeResult12(info, peer_finished, exporter, peer_finished.verify_data, forget)


def _keep(
    config: ClientConfig,
    client_sessions: ClientSessions | None,
    agreed: _Agreed,
    info: ConnectionInfo,
    master_secret: MasterSecret12,
    message: NewSessionTicket12 | None,
    question: ChooseCredentials | None = None,
) -> Forget | None:
    """Keep what the server gave to come back with: a ticket, or the id of its own memory."""
    if client_sessions is None or not master_secret.extended or not may_come_back(question):
        return None
    ticket = message.ticket if message is not None else b""
    lifetime = message.ticket_lifetime_hint if message is not None else 0
    session_id = b"" if ticket else agreed.session_id
    if not ticket and agreed.resumed is not None:
        # Nothing new came; what was resumed is still in the store.
        return partial(client_sessions.forget, agreed.resumed)
    if not ticket and not session_id:
        return None
    now = milliseconds(config.clock())
    make = maker_of_sessions(info, now, resumed=agreed.resumed, question=question)
    session = make(
        secret=master_secret.secret,
        ticket=ticket,
        received_at=now,
        # RFC 5077 3.3: 0 leaves it to the client.
        lifetime=min(lifetime or _USUAL_LIFETIME, MAX_LIFETIME),
        session_id=session_id,
    )
    client_sessions.keep(session)
    return partial(client_sessions.forget, session, agreed.resumed)


def _check_renegotiation_info(data: bytes | None) -> None:
    """RFC 5746 section 3.4: it is there, and says that this is the first handshake."""
    if data is None:
        raise ProtocolError(Fault.SECURE_RENEGOTIATION_MISSING)
    if ext.read_renegotiation_info(data):
        raise ProtocolError(Fault.BAD_RENEGOTIATION_INFO)


def _check_point_formats(data: bytes) -> None:
    if ext.UNCOMPRESSED not in ext.read_ec_point_formats(data):
        # RFC 8422 5.1.2: the list contains it, or it is illegal_parameter.
        raise ProtocolError(Fault.ILLEGAL_VALUE, "ec_point_formats lacks uncompressed")


async def _receive_flight(hs: HandshakeContext, config: ClientConfig, agreed: _Agreed) -> _Flight:
    """Certificate to ServerHelloDone, with what the suite and the extensions call for."""
    server_type = agreed.server_certificate_type
    chain = read_chain(await hs.receive(Certificate12), server_type, config.limits)
    if not chain:
        raise ProtocolError(Fault.EMPTY_SERVER_CERTIFICATE)
    response: bytes | None = None
    key_exchange: ServerKeyExchange | None = None
    message: CertificateStatus | CertificateRequest12 | ServerHelloDone
    # RFC 6066 section 8: a server that promised a status may yet leave it out.
    if agreed.suite.key_exchange == "ECDHE":
        if agreed.status_promised:
            first = await hs.receive(CertificateStatus, ServerKeyExchange)
            if isinstance(first, CertificateStatus):
                response, first = first.response, await hs.receive(ServerKeyExchange)
            key_exchange = first
        else:
            key_exchange = await hs.receive(ServerKeyExchange)
        message = await hs.receive(CertificateRequest12, ServerHelloDone)
    elif agreed.status_promised:
        message = await hs.receive(CertificateStatus, CertificateRequest12, ServerHelloDone)
        if isinstance(message, CertificateStatus):
            response = message.response
            message = await hs.receive(CertificateRequest12, ServerHelloDone)
    else:
        message = await hs.receive(CertificateRequest12, ServerHelloDone)
    question: ChooseCredentials | None = None
    if isinstance(message, CertificateRequest12):
        question = _question_of(config, message, agreed.client_certificate_type)
        del message  # Its lists may be long; the question's are not.
        await hs.receive(ServerHelloDone)
    hs.port.end_flight()
    shown = PeerCertificate(chain, server_type, response, agreed.sct_list)
    return _Flight(shown, key_exchange, question)


async def _judge_server(
    hs: HandshakeContext, config: ClientConfig, offer: ClientOffer, agreed: _Agreed, flight: _Flight
) -> tuple[VerifiedPeer, AuthenticatedPeer | None]:
    """Is it to be trusted, and is it there? The second waits for Finished with key transport."""
    name = offer.server_name
    check_name_is_known(config, name)
    server = await verify_peer(hs, flight.shown, peer_is_server=True, server_name=name)
    check_key_fits(agreed.suite, server)
    if flight.key_exchange is None:
        check_may_encipher(server)
        return server, None
    schemes = config.signature_schemes
    authenticated = check_server_key_exchange(
        hs, flight.key_exchange, server, agreed.randoms, schemes
    )
    note_signature_scheme(hs, config, schemes, authenticated.signature_scheme, "TLSv1.2")
    await _confirm(hs, config, offer, server)
    return server, authenticated


async def _confirm(
    hs: HandshakeContext, config: ClientConfig, offer: ClientOffer, peer: VerifiedPeer
) -> None:
    await confirm_peer(hs, config, peer, peer_is_server=True, server_name=offer.server_name)


def _question_of(
    config: ClientConfig, request: CertificateRequest12, certificate_type: str
) -> ChooseCredentials:
    """What the server asks this side for (RFC 5246 section 7.4.4)."""
    offered = tuple(
        [
            name
            for name in signature_scheme_names(request.supported_signature_algorithms)
            if _CERTIFICATE_TYPES[_authentication(name)] in request.certificate_types
        ]
    )
    names = offered_authorities(request.certificate_authorities, config.credential_list)
    types = (certificate_type,)
    return ChooseCredentials(None, offered, authorities=names, certificate_types=types)


async def _choose_credentials(
    hs: HandshakeContext, config: ClientConfig, question: ChooseCredentials | None
) -> tuple[Credentials | None, str | None]:
    """What to show to a server that asked, and the scheme to sign in."""
    if question is None:
        return None, None
    credentials = await hs.ask(question)
    note_credentials(hs.trace, config, question, credentials)
    scheme = choose_scheme_to_show(credentials, question, config.signature_schemes, VERSION)
    return (credentials, scheme) if scheme is not None else (None, None)


def _authentication(scheme: str) -> str:
    return authentication_of("rsa" if scheme.startswith("rsa") else "")


def _agree(
    hs: HandshakeContext, config: ClientConfig, server: VerifiedPeer, flight: _Flight
) -> tuple[ClientKeyExchange, Secret, str | None]:
    """This side's half of the secret as a message, the secret, and its group."""
    if flight.key_exchange is None:
        message, secret = hs.work("encrypt", "RSA", make_secret, server, config.entropy)
        return message, secret, None
    offered = [name for name in config.groups if VERSION in GROUPS[name].versions]
    name = group_name(flight.key_exchange.group)
    if name not in offered:
        raise ProtocolError(Fault.UNOFFERED_GROUP, name)
    generate = GROUPS_BY_CODE[flight.key_exchange.group].exchange.generate
    share = hs.work("key_generation", name, generate, config.entropy)
    try:
        secret = hs.work("key_agreement", name, share.agree, flight.key_exchange.point)
    except BadShare as error:
        raise ProtocolError(Fault.BAD_KEY_SHARE, f"{name}: {error}") from None
    note_group12(hs, config.groups, offered, name, "the server chose")
    return ClientKeyExchange(write_ecdh_point(share.share)), secret, name
