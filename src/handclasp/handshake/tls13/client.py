"""The client of TLS 1.3, in the order of RFC 9846 section 2.

Each step is a function that takes what the steps before it have proved. The names of messages,
secrets and steps are the RFC's; what may go wrong in a step is raised there and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from handclasp.certificates.credentials import Credentials
from handclasp.certificates.verify import VerifiedPeer
from handclasp.config import ClientConfig
from handclasp.crypto.suites import CipherSuite
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.certificate_types import CLIENT_TYPE, SERVER_TYPE, read_selected_types
from handclasp.handshake.client_sessions import ClientSessions, shown_in
from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.finished import check_finished
from handclasp.handshake.known_info import known_info
from handclasp.handshake.negotiation import choose_scheme_to_show, read_selected_protocol
from handclasp.handshake.offer import ClientOffer
from handclasp.handshake.peer import (
    NOBODY,
    NOTHING_SHOWN,
    AuthenticatedPeer,
    PeerCertificate,
    authenticated_by,
    check_name_is_known,
    confirm_peer,
    verify_server,
)
from handclasp.handshake.result import HandshakeResult13
from handclasp.handshake.tls13.authentication import (
    CLIENT_CONTEXT,
    SERVER_CONTEXT,
    check_certificate_verify,
    send_certificate_verify,
)
from handclasp.handshake.tls13.certificate import Asked, read_certificate, send_certificate
from handclasp.handshake.tls13.certificate_request import (
    check_certificate_request,
    credentials_question,
)
from handclasp.handshake.tls13.client_retry import retry_hello
from handclasp.handshake.tls13.early_data import (
    check_early_data_accepted,
    end_early_data,
    why_early_data_rejected,
)
from handclasp.handshake.tls13.ech_offer import EncryptedOffer, check_retry_configs
from handclasp.handshake.tls13.post_handshake_authentication import CertificateAnswers
from handclasp.handshake.tls13.psk import Psk
from handclasp.handshake.tls13.secrets import note_application_secrets, note_handshake_secrets
from handclasp.handshake.tls13.server_hello import agree, read_server_hello, selected_psk
from handclasp.handshake.tls13.tickets import ticket_keeper
from handclasp.handshake.trace_notes import note_answers, note_credentials, note_signature_scheme
from handclasp.iana import TLS13, ExtensionType, HandshakeType, version_name
from handclasp.info import ConnectionInfo
from handclasp.keys.epoch import Epoch
from handclasp.questions import ChooseCredentials
from handclasp.values import value
from handclasp.wire import extensions as ext
from handclasp.wire.codecs import read_as
from handclasp.wire.ech import INNER
from handclasp.wire.extension_table import MessageContext
from handclasp.wire.messages import (
    Certificate,
    CertificateRequest,
    CertificateVerify,
    CompressedCertificate,
    EncryptedExtensions,
    Finished,
    ServerHello,
    write_finished,
)
from handclasp.wire.rules import check_answer, read_forms
from handclasp.wire.structs import Extensions

_HANDSHAKE = Epoch.HANDSHAKE
_APPLICATION = Epoch.APPLICATION
_EARLY_DATA = ExtensionType.EARLY_DATA
_ECH = ExtensionType.ENCRYPTED_CLIENT_HELLO
_PRE_SHARED_KEY = ExtensionType.PRE_SHARED_KEY
_RECORD_SIZE_LIMIT = ExtensionType.RECORD_SIZE_LIMIT
_X509_ONLY = "X509", "X509"
_read_answers: Callable[[bytes], EncryptedExtensions] = partial(read_as, EncryptedExtensions)
"""A server sends the same answers to most clients that it has."""


async def complete_client_handshake(
    hs: HandshakeContext,
    config: ClientConfig,
    offer: ClientOffer,
    server_hello: ServerHello,
    client_sessions: ClientSessions | None,
    ech: EncryptedOffer | None = None,
) -> HandshakeResult13:
    """Everything after the first ServerHello of TLS 1.3; `ech` is what hid an inner `offer`."""
    sent_early_data, transcript = offer.early_data, hs.transcript
    retried = server_hello.is_hello_retry_request
    suite, values = read_server_hello(config, offer, server_hello, retried=retried)
    transcript.choose_hash(suite.hash_name, retried=retried)
    if retried:
        offer, values = await retry_hello(hs, config, offer, server_hello, values, ech)
    elif hs.records is not None and config.middlebox_compatibility and not sent_early_data:
        hs.records.send_change_cipher_spec()
    psk = selected_psk(offer, values.get(_PRE_SHARED_KEY), suite)
    if hs.trace is not None:
        note_answers(hs, config, offer.psks, suite.name, psk)
    group, stage = agree(hs, config, offer, values, suite, psk)
    own, peer = stage.traffic_secrets(transcript.digest())
    if hs.tells_secrets:
        note_handshake_secrets(hs, own, peer)
    hs.install_read(_HANDSHAKE, peer)
    # Early data are accepted with the first key alone, and only if EncryptedExtensions says so.
    waits = offer.early_data and psk is not None and psk is offer.psks[0]
    if not waits:
        hs.install_write(_HANDSHAKE, own)
    answers = hs.reading.read(_read_answers, await hs.receive_raw(EncryptedExtensions))
    if waits and _EARLY_DATA not in answers.extensions:
        # An alert under the key of early data could not be read by a server that took none (A.1).
        hs.install_write(_HANDSHAKE, own)
    agreed = _read_encrypted_extensions(hs, config, offer, suite, psk, answers.extensions)
    if psk is None:
        request, server = await _receive_server_authentication(hs, config, offer, agreed)
    else:
        request, server = None, await _resume_server(hs, config, offer, psk)
    expected = peer.verify_data(transcript.digest())
    checked = check_finished(await hs.receive_raw(Finished), expected)
    if config.confirm_peer is not None:
        name = offer.server_name
        await confirm_peer(hs, config, server.verified, peer_is_server=True, server_name=name)
    if client_sessions is not None and client_sessions.session is not None and psk is None:
        client_sessions.refused()
    master = stage.master_secret()
    send, receive, exporter = master.traffic_secrets(transcript.digest())
    if hs.tells_secrets:
        note_application_secrets(hs, send, receive, exporter)
    hs.install_read(_APPLICATION, receive)  # Its own flight is still under the handshake keys.
    if agreed.early_data:
        end_early_data(hs, own)
    client = _NOTHING_SHOWN if request is None else await _authenticate(hs, config, agreed, request)
    hs.send_raw(write_finished(finished := own.verify_data(transcript.digest())))
    hs.install_write(_APPLICATION, send)
    early_data = "accepted" if agreed.early_data else "rejected" if sent_early_data else "none"
    info = _info(hs, offer, agreed, suite, group, psk, server, client, early_data)
    keeper = ticket_keeper(hs, config, psk, info, master, client.question, client_sessions)
    later = _certificate_answers(hs, config, agreed, info) if config.post_handshake_auth else None
    return HandshakeResult13(info, checked, finished, send, receive, exporter, keeper, None, later)


def _certificate_answers(
    hs: HandshakeContext, config: ClientConfig, agreed: _Agreed, info: ConnectionInfo
) -> CertificateAnswers | None:
    """Return the answers to later requests for a certificate (RFC 8446 section 4.6.2), if any."""
    if info.psk_identity is not None:
        return None  # RFC 8446 4.3.2: a server with an external key must not ask.
    kind = agreed.client_certificate_type
    return CertificateAnswers(config, hs.transcript, kind, hs.answers)


@value(frozen=True, slots=True)
class _Server:
    """The server's certificates, the decision on them (none with a bare key), and the proof."""

    shown: PeerCertificate
    verified: VerifiedPeer | None
    authenticated: AuthenticatedPeer


@value(frozen=True, slots=True)
class _Client:
    """The server's question to this side, if it asked, and what this side showed."""

    question: ChooseCredentials | None = None
    credentials: Credentials | None = None
    scheme: str | None = None


_NOTHING_SHOWN = _Client()


def _info(
    hs: HandshakeContext,
    offer: ClientOffer,
    agreed: _Agreed,
    suite: CipherSuite,
    group: str | None,
    psk: Psk | None,
    server: _Server,
    client: _Client,
    early_data: str,
) -> ConnectionInfo:
    shown, authenticated, own = server.shown, server.authenticated, client.credentials
    own_chain: tuple[bytes, ...] = ()
    own_type, session, external = "X509", None, None
    if psk is not None:
        session, external = psk.session, psk.external
    if session is not None:
        own_chain, own_type = session.local_chain_der, session.local_certificate_type
    elif own is not None:
        own_chain, own_type = own.chain_der, own.certificate_type
    return known_info(  # By position, as names would be part of the key.
        hs.reading,
        "TLSv1.3",
        suite.name,
        group,
        authenticated.signature_scheme,
        agreed.alpn,
        offer.server_name,
        session is not None,
        early_data,
        offer.retried,
        authenticated.chain,
        authenticated.verified,
        own_chain,
        client.scheme,
        authenticated.path,
        shown.certificate_type,
        own_type,
        shown.compression,
        shown.ocsp_response,
        shown.sct_list,
        external.identity if external is not None else None,
        why_early_data_rejected(offer, psk) if early_data == "rejected" else offer.no_early_data,
        offer.hello.extensions.get(_ECH) == INNER,
    )


async def _resume_server(
    hs: HandshakeContext, config: ClientConfig, offer: ClientOffer, psk: Psk
) -> _Server:
    """Verify again what a resumed server showed then: its key proves that it is the same.

    An external key has no certificates, so there is nothing else to verify.
    """
    shown = shown_in(psk.session) if psk.session is not None else NOTHING_SHOWN
    if not shown.chain or psk.session is None:
        return _Server(shown, None, NOBODY)
    verified = await verify_server(hs, config, shown, offer.server_name)
    authenticated = authenticated_by(verified, psk.session.signature_scheme)
    return _Server(shown, verified, authenticated)


@value(frozen=True, slots=True)
class _Agreed:
    """The server's answers in EncryptedExtensions."""

    alpn: str | None
    server_certificate_type: str
    client_certificate_type: str
    early_data: bool


_NOTHING_AGREED = _Agreed(None, *_X509_ONLY, early_data=False)


def _read_encrypted_extensions(
    hs: HandshakeContext,
    config: ClientConfig,
    offer: ClientOffer,
    suite: CipherSuite,
    psk: Psk | None,
    extensions: Extensions,
) -> _Agreed:
    """Return what the server agrees to (RFC 8446 section 4.3.1)."""
    types, asked = _X509_ONLY, offer.hello.extensions
    asks_for_types = SERVER_TYPE in asked or CLIENT_TYPE in asked
    if not extensions and not asks_for_types and hs.trace is None:
        return _NOTHING_AGREED
    check_answer(extensions, MessageContext.EE, offer.answerable, config.limits.max_extensions)
    values = read_forms(extensions, MessageContext.EE)
    limit: int | None = values.get(_RECORD_SIZE_LIMIT)
    if hs.records is not None and limit is not None:
        hs.records.limit_write(limit)
        if config.record_size_limit is not None:
            hs.records.limit_read(config.record_size_limit)
    alpn: str | None = None
    if (data := extensions.get(ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION)) is not None:
        alpn = read_selected_protocol(data, config.alpn)
    if hs.trace is not None:
        hs.note_decision("alpn", config.alpn, config.alpn, alpn, "the server chose")
    if _ECH in extensions:
        hs.retry_configs = check_retry_configs(offer, values[_ECH])
    early_data = _EARLY_DATA in extensions
    if early_data:
        check_early_data_accepted(offer, suite, psk, alpn)
    if asks_for_types:
        types = read_selected_types(extensions, config, resumes=psk is not None)
    return _Agreed(alpn, *types, early_data)


async def _receive_server_authentication(
    hs: HandshakeContext, config: ClientConfig, offer: ClientOffer, agreed: _Agreed
) -> tuple[CertificateRequest | None, _Server]:
    """CertificateRequest if there is one, Certificate and CertificateVerify (section 4.4)."""
    raw = await hs.receive_raw(CertificateRequest, Certificate, CompressedCertificate)
    request: CertificateRequest | None = None
    if raw[0] == HandshakeType.CERTIFICATE_REQUEST:
        request = _read_certificate_request(config, raw)
        raw = await hs.receive_raw(Certificate, CompressedCertificate)
    certificate_type, compression = agreed.server_certificate_type, config.certificate_compression
    asked = Asked(offer.answerable, certificate_type, compression or (), config.limits)
    shown = read_certificate(hs.reading, raw, asked)
    if not shown.chain:
        raise ProtocolError(Fault.EMPTY_SERVER_CERTIFICATE)
    if offer.server_name is None:
        check_name_is_known(config, None)
    verified = await verify_server(hs, config, shown, offer.server_name)
    content = SERVER_CONTEXT + hs.transcript.digest()
    signed, schemes = await hs.receive(CertificateVerify), config.signature_schemes
    authenticated = check_certificate_verify(hs, signed, verified, content, schemes)
    if hs.trace is not None:
        note_signature_scheme(hs, config, schemes, authenticated.signature_scheme, "TLSv1.3")
    return request, _Server(shown, verified, authenticated)


def _read_certificate_request(config: ClientConfig, raw: bytes) -> CertificateRequest:
    request: CertificateRequest = read_as(CertificateRequest, raw)
    check_certificate_request(config, request)
    if request.certificate_request_context:
        # RFC 8446 4.3.2: empty unless it is a post-handshake request.
        raise ProtocolError(Fault.BAD_CERTIFICATE_REQUEST_CONTEXT, "not empty in the handshake")
    return request


async def _authenticate(
    hs: HandshakeContext, config: ClientConfig, agreed: _Agreed, request: CertificateRequest
) -> _Client:
    """Certificate and CertificateVerify, as the server asked."""
    asked = request.extensions
    question = credentials_question(config, request, agreed.client_certificate_type)
    credentials = await hs.ask(question)
    note_credentials(hs.trace, config, question, credentials)
    schemes = config.signature_schemes
    scheme = choose_scheme_to_show(credentials, question, schemes, version_name(TLS13))
    if credentials is None or scheme is None:
        send_certificate(hs, config, None, asked, MessageContext.CR)
        return _Client(question)
    data = asked.get(ExtensionType.COMPRESS_CERTIFICATE)
    compression = ext.read_compress_certificate(data) if data is not None else ()
    send_certificate(hs, config, credentials, asked, MessageContext.CR, compression)
    content = CLIENT_CONTEXT + hs.transcript.digest()
    await send_certificate_verify(hs, credentials, scheme, content)
    return _Client(question, credentials, scheme)
