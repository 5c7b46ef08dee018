"""The client of TLS 1.2, in the order of RFC 5246 section 7.3.

It goes on from a ServerHello in which the server took TLS 1.2, and shares with TLS 1.3 the hello,
the groups, the schemes and the decision on certificates.
"""

from __future__ import annotations

from functools import partial

from handclasp.certificates.credentials import Credentials
from handclasp.certificates.verify import VerifiedPeer
from handclasp.config import ClientConfig
from handclasp.crypto.groups import GROUPS, GROUPS_BY_CODE, BadShare
from handclasp.crypto.secret import Secret
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.client_sessions import (
    ClientSessions,
    maker_of_sessions,
    may_come_back,
    shown_in,
)
from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.negotiation import choose_scheme_to_show
from handclasp.handshake.offer import ClientOffer
from handclasp.handshake.offered import offered_authorities
from handclasp.handshake.peer import (
    AuthenticatedPeer,
    PeerCertificate,
    authenticated_by,
    check_name_is_known,
    confirm_peer,
    verify_server,
)
from handclasp.handshake.result import Forget, HandshakeResult12
from handclasp.handshake.tls12.authentication import (
    VERSION,
    authentication_of,
    check_key_fits,
    check_server_key_exchange,
    send_certificate_verify,
)
from handclasp.handshake.tls12.certificate import certificate_message, read_chain
from handclasp.handshake.tls12.finished import receive_finished, send_finished
from handclasp.handshake.tls12.key_transport import check_may_encipher, make_secret
from handclasp.handshake.tls12.secrets import derive_master_secret, resume_master_secret
from handclasp.handshake.tls12.server_hello import ServerChoice, check_server_hello
from handclasp.handshake.trace_notes import (
    note_credentials,
    note_group12,
    note_resumed,
    note_signature_scheme,
)
from handclasp.iana import (
    group_name,
    signature_scheme_names,
)
from handclasp.info import ConnectionInfo
from handclasp.keys.schedule12 import Exporter12, MasterSecret12
from handclasp.questions import ChooseCredentials
from handclasp.sessions.session import MAX_LIFETIME, Session, milliseconds
from handclasp.values import replace, value
from handclasp.wire.messages import ServerHello
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

_USUAL_LIFETIME = 7200
"""Seconds, where the server does not say."""

_CERTIFICATE_TYPES = {"RSA": RSA_SIGN, "ECDSA": ECDSA_SIGN}


@value(frozen=True, slots=True)
class _Flight:
    """The server's messages up to ServerHelloDone; RSA key transport has no ServerKeyExchange."""

    shown: PeerCertificate
    key_exchange: ServerKeyExchange | None = None
    question: ChooseCredentials | None = None


@value(frozen=True, slots=True)
class _Shown:
    """The certificate shown to a server that asked for one, and the scheme this side signs in.

    Both are None where it had nothing to show.
    """

    credentials: Credentials | None
    scheme: str | None


async def complete_client_handshake(
    hs: HandshakeContext,
    config: ClientConfig,
    offer: ClientOffer,
    server_hello: ServerHello,
    client_sessions: ClientSessions | None,
) -> HandshakeResult12:
    """Everything after the ServerHello, whose version is TLS 1.2."""
    hs.require_records().use_tls12()
    choice = check_server_hello(hs, config, offer, server_hello)
    note_resumed(hs, offer.session, choice.resumed)
    if choice.resumed is not None:
        return await _resume(hs, config, offer, choice, choice.resumed, client_sessions)
    if client_sessions is not None:
        client_sessions.refused()

    # The messages themselves are signed if this side is asked for a certificate.
    hs.transcript.choose_hash(choice.suite.hash_name, keep=True)
    flight = await _receive_flight(hs, config, choice)
    server, authenticated = await _verify_server(hs, config, offer, choice, flight)
    own = _Shown(None, None)
    if flight.question is not None:
        own = await _send_certificate(hs, config, flight.question)
    master_secret, group = _send_key_exchange(hs, config, choice, server, flight)
    if own.credentials is not None and own.scheme is not None:
        await send_certificate_verify(hs, own.credentials, own.scheme)
    hs.transcript.forget_messages()

    keys = master_secret.key_block()
    own_finished = send_finished(hs, master_secret, "client", keys.client)
    ticket = await hs.receive(NewSessionTicket12) if choice.ticket_promised else None
    peer_finished = await receive_finished(hs, master_secret, "server", keys.server)
    if authenticated is None:
        # Only the certificate's key could decrypt the secret that this Finished is made from.
        authenticated = authenticated_by(server, None)
        await _confirm(hs, config, offer, server)
    info = _info(offer, choice, flight, authenticated, group, own)
    forget = _keep(config, client_sessions, choice, info, master_secret, ticket, flight.question)
    return HandshakeResult12(info, peer_finished, Exporter12(master_secret), own_finished, forget)


async def _resume(
    hs: HandshakeContext,
    config: ClientConfig,
    offer: ClientOffer,
    choice: ServerChoice,
    session: Session,
    client_sessions: ClientSessions | None,
) -> HandshakeResult12:
    """Run the abbreviated handshake (RFC 5246 section 7.3): the server's Finished comes first."""
    hs.transcript.choose_hash(choice.suite.hash_name)
    master_secret = resume_master_secret(hs, choice.suite, session.secret, choice.randoms)
    name, shown = offer.server_name, shown_in(session)
    server = await verify_server(hs, config, shown, name)
    ticket = await hs.receive(NewSessionTicket12) if choice.ticket_promised else None

    keys = master_secret.key_block()
    peer_finished = await receive_finished(hs, master_secret, "server", keys.server)
    await _confirm(hs, config, offer, server)
    send_finished(hs, master_secret, "client", keys.client)

    authenticated, flight = authenticated_by(server, session.signature_scheme), _Flight(shown)
    info = replace(
        _info(offer, choice, flight, authenticated, None, _Shown(None, None)),
        resumed=True,
        local_chain_der=session.local_chain_der,
        local_certificate_type=session.local_certificate_type,
    )
    forget = _keep(config, client_sessions, choice, info, master_secret, ticket)
    # RFC 5929 3.1: the first Finished of the latest handshake, which here is the server's.
    exporter = Exporter12(master_secret)
    return HandshakeResult12(info, peer_finished, exporter, peer_finished.verify_data, forget)


async def _receive_flight(
    hs: HandshakeContext, config: ClientConfig, choice: ServerChoice
) -> _Flight:
    """Certificate to ServerHelloDone, with what the suite and the extensions call for."""
    server_type = choice.server_certificate_type
    chain = read_chain(await hs.receive(Certificate12), server_type, config.limits)
    if not chain:
        raise ProtocolError(Fault.EMPTY_SERVER_CERTIFICATE)
    response: bytes | None = None
    key_exchange: ServerKeyExchange | None = None
    message: CertificateStatus | CertificateRequest12 | ServerHelloDone
    # RFC 6066 section 8: a server that promised a status may yet leave it out.
    if choice.suite.key_exchange == "ECDHE":
        if choice.status_promised:
            first = await hs.receive(CertificateStatus, ServerKeyExchange)
            if isinstance(first, CertificateStatus):
                response, first = first.response, await hs.receive(ServerKeyExchange)
            key_exchange = first
        else:
            key_exchange = await hs.receive(ServerKeyExchange)
        message = await hs.receive(CertificateRequest12, ServerHelloDone)
    elif choice.status_promised:
        message = await hs.receive(CertificateStatus, CertificateRequest12, ServerHelloDone)
        if isinstance(message, CertificateStatus):
            response = message.response
            message = await hs.receive(CertificateRequest12, ServerHelloDone)
    else:
        message = await hs.receive(CertificateRequest12, ServerHelloDone)
    question: ChooseCredentials | None = None
    if isinstance(message, CertificateRequest12):
        question = _question_of(config, message, choice.client_certificate_type)
        del message  # Its lists may be long; the question's are not.
        await hs.receive(ServerHelloDone)
    hs.port.end_flight()
    shown = PeerCertificate(chain, server_type, response, choice.sct_list)
    return _Flight(shown, key_exchange, question)


async def _verify_server(
    hs: HandshakeContext,
    config: ClientConfig,
    offer: ClientOffer,
    choice: ServerChoice,
    flight: _Flight,
) -> tuple[VerifiedPeer, AuthenticatedPeer | None]:
    """Is it to be trusted, and is it there? The second waits for Finished with key transport."""
    name = offer.server_name
    check_name_is_known(config, name)
    server = await verify_server(hs, config, flight.shown, name)
    check_key_fits(choice.suite, server)
    if flight.key_exchange is None:
        check_may_encipher(server)
        return server, None
    schemes = config.signature_schemes
    authenticated = check_server_key_exchange(
        hs, flight.key_exchange, server, choice.randoms, schemes
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
    """Return the question that the server asks this side (RFC 5246 section 7.4.4)."""
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


def _authentication(scheme: str) -> str:
    return authentication_of("rsa" if scheme.startswith("rsa") else "")


async def _send_certificate(
    hs: HandshakeContext, config: ClientConfig, question: ChooseCredentials
) -> _Shown:
    """Show the server that asked what this side has for it, or that it has nothing."""
    credentials = await hs.ask(question)
    note_credentials(hs.trace, config, question, credentials)
    scheme = choose_scheme_to_show(credentials, question, config.signature_schemes, VERSION)
    own = _Shown(credentials, scheme) if scheme is not None else _Shown(None, None)
    hs.show(own.credentials.chain_der if own.credentials is not None else ())
    hs.send(certificate_message(own.credentials))
    return own


def _send_key_exchange(
    hs: HandshakeContext,
    config: ClientConfig,
    choice: ServerChoice,
    server: VerifiedPeer,
    flight: _Flight,
) -> tuple[MasterSecret12, str | None]:
    """Send this side's half of the secret; return what both sides make of it, and the group."""
    message, pre_master_secret, group = _agree(hs, config, server, flight)
    hs.send(message)
    means, extended = group or "RSA", choice.extended_master_secret
    master_secret = derive_master_secret(
        hs, choice.suite, pre_master_secret, choice.randoms, means=means, extended=extended
    )
    return master_secret, group


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


def _info(
    offer: ClientOffer,
    choice: ServerChoice,
    flight: _Flight,
    server: AuthenticatedPeer,
    group: str | None,
    own: _Shown,
) -> ConnectionInfo:
    credentials = own.credentials
    return ConnectionInfo(
        version=VERSION,
        cipher_suite=choice.suite.name,
        group=group,
        signature_scheme=server.signature_scheme,
        alpn=choice.alpn,
        server_name=offer.server_name,
        resumed=False,
        early_data_status="none",
        early_data_refusal=offer.no_early_data,
        hello_retry=False,
        peer_chain_der=server.chain,
        peer_verified=server.verified,
        verified_chain_der=server.path,
        local_chain_der=credentials.chain_der if credentials else (),
        client_signature_scheme=own.scheme,
        peer_certificate_type=server.certificate_type,
        local_certificate_type=credentials.certificate_type if credentials else "X509",
        ocsp_response=flight.shown.ocsp_response,
        sct_list=flight.shown.sct_list,
    )


def _keep(
    config: ClientConfig,
    client_sessions: ClientSessions | None,
    choice: ServerChoice,
    info: ConnectionInfo,
    master_secret: MasterSecret12,
    message: NewSessionTicket12 | None,
    question: ChooseCredentials | None = None,
) -> Forget | None:
    """Keep the session under the server's ticket, or under the id that the server gave it."""
    if client_sessions is None or not master_secret.extended or not may_come_back(question):
        return None
    ticket = message.ticket if message is not None else b""
    lifetime = message.ticket_lifetime_hint if message is not None else 0
    session_id = b"" if ticket else choice.session_id
    if not ticket and choice.resumed is not None:
        # Nothing new came; what was resumed is still in the store.
        return partial(client_sessions.forget, choice.resumed)
    if not ticket and not session_id:
        return None
    now = milliseconds(config.clock())
    make = maker_of_sessions(info, config.clock, resumed=choice.resumed, question=question)
    session = make(
        secret=master_secret.secret,
        ticket=ticket,
        received_at=now,
        # RFC 5077 3.3: 0 leaves it to the client.
        lifetime=min(lifetime or _USUAL_LIFETIME, MAX_LIFETIME),
        session_id=session_id,
    )
    client_sessions.keep(session)
    return partial(client_sessions.forget, session, choice.resumed)
