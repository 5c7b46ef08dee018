"""The client of TLS 1.3, in the order of RFC 8446 section 2.

Each step is a function that takes what the steps before it have proved. The names of messages,
secrets and steps are the RFC's; what may go wrong in a step is raised there and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handclasp.certificates.credentials import Credentials
from handclasp.certificates.verify import VerifiedPeer
from handclasp.config import ClientConfig
from handclasp.crypto.groups import GROUPS_BY_CODE, BadShare
from handclasp.crypto.suites import CIPHER_SUITES_BY_CODE, CipherSuite
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.certificate_types import CLIENT_TYPE, SERVER_TYPE, read_selected_types
from handclasp.handshake.client_sessions import (
    ClientSessions,
    maker_of_sessions,
    may_come_back,
    shown_in,
)
from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.finished import check_finished
from handclasp.handshake.negotiation import choose_scheme_to_show, read_selected_protocol
from handclasp.handshake.offer import ClientOffer, offer_after_retry
from handclasp.handshake.offered import authorities_of, offered_schemes
from handclasp.handshake.peer import (
    AuthenticatedPeer,
    PeerCertificate,
    authenticated_by,
    check_name_is_known,
    confirm_peer,
    verify_server,
)
from handclasp.handshake.questions import ChooseCredentials
from handclasp.handshake.result import HandshakeResult13
from handclasp.handshake.tls13.authentication import (
    CLIENT_CONTEXT,
    SERVER_CONTEXT,
    check_certificate_verify,
    send_certificate_verify,
    signed_content,
)
from handclasp.handshake.tls13.certificate import (
    Asked,
    read_certificate,
    send_certificate,
)
from handclasp.handshake.tls13.psk import Psk
from handclasp.handshake.tls13.secrets import (
    derive_application_secrets,
    derive_handshake_secrets,
)
from handclasp.handshake.tls13.tickets import TicketKeeper
from handclasp.handshake.trace_notes import (
    note_answers,
    note_credentials,
    note_signature_scheme,
)
from handclasp.iana import (
    TLS12,
    TLS13,
    ExtensionType,
    cipher_suite_name,
    group_name,
    version_name,
)
from handclasp.info import ConnectionInfo
from handclasp.keys.epoch import Epoch
from handclasp.keys.schedule13 import EarlySecret, HandshakeSecret, MasterSecret
from handclasp.sessions.session import milliseconds
from handclasp.values import value
from handclasp.wire import extensions as ext
from handclasp.wire.extension_table import MessageContext
from handclasp.wire.messages import (
    Certificate,
    CertificateRequest,
    CertificateVerify,
    CompressedCertificate,
    EncryptedExtensions,
    EndOfEarlyData,
    Finished,
    ServerHello,
)
from handclasp.wire.rules import check_answer, check_extensions, check_forms, read_forms
from handclasp.wire.structs import Extensions

_X509_ONLY = "X509", "X509"
_MAX_COOKIE = 2**14
"""Bytes of a HelloRetryRequest's cookie that are sent back: more would not fit into a hello."""


async def complete_client_handshake(
    hs: HandshakeContext,
    config: ClientConfig,
    offer: ClientOffer,
    server_hello: ServerHello,
    client_sessions: ClientSessions | None,
) -> HandshakeResult13:
    """Everything after the first ServerHello, whose version is TLS 1.3."""
    sent_early_data, transcript = offer.early_data, hs.transcript
    suite, values = _read_server_hello(config, offer, server_hello)
    transcript.choose_hash(suite.hash_name, retried=server_hello.is_hello_retry_request)
    if server_hello.is_hello_retry_request:
        offer, values = await _retry(hs, config, offer, server_hello, values)
    elif hs.records is not None and config.middlebox_compatibility and not sent_early_data:
        hs.records.send_change_cipher_spec()

    psk = _selected_psk(offer, values.get(ExtensionType.PRE_SHARED_KEY), suite)
    if hs.trace is not None:
        note_answers(hs, config, offer.psks, suite.name, psk)
    group, stage = _agree(hs, config, offer, values, suite, psk)
    own, peer = derive_handshake_secrets(hs, stage, transcript.digest())
    hs.install_read(Epoch.HANDSHAKE, peer)
    # Early data are accepted with the first key alone, and only if EncryptedExtensions says so.
    waits = offer.early_data and psk is offer.psks[0]
    if not waits:
        hs.install_write(Epoch.HANDSHAKE, own)
    message = await hs.receive(EncryptedExtensions)
    if waits and ExtensionType.EARLY_DATA not in message.extensions:
        # An alert under the key of early data could not be read by a server that took none (A.1).
        hs.install_write(Epoch.HANDSHAKE, own)
    agreed = _read_encrypted_extensions(hs, config, offer, suite, psk, message.extensions)

    request: CertificateRequest | None = None
    if psk is None:
        certificate_type = agreed.server_certificate_type
        request, server = await _receive_server_authentication(hs, config, offer, certificate_type)
    else:
        server = await _resume_server(hs, config, offer, psk)
    expected = peer.verify_data(transcript.digest())
    peer_finished = check_finished(await hs.receive(Finished), expected)
    if config.confirm_peer is not None:
        name = offer.server_name
        await confirm_peer(hs, config, server.verified, peer_is_server=True, server_name=name)
    if client_sessions is not None and client_sessions.session is not None and psk is None:
        client_sessions.refused()

    master = stage.master_secret()
    send, receive, exporter = derive_application_secrets(hs, master, transcript.digest())
    # The client's own flight is still under the handshake keys.
    hs.install_read(Epoch.APPLICATION, receive)
    if agreed.early_data:
        hs.send(EndOfEarlyData())
        hs.install_write(Epoch.HANDSHAKE, own)
    client = _NOTHING_SHOWN if request is None else await _authenticate(hs, config, agreed, request)
    hs.send(Finished(own.verify_data(transcript.digest())))
    hs.install_write(Epoch.APPLICATION, send)
    early_data = "accepted" if agreed.early_data else "rejected" if sent_early_data else "none"
    info = _info(offer, agreed, suite, group, psk, server, client, early_data)
    keeper = _keeper(hs, config, psk, info, master, client.question, client_sessions)
    return HandshakeResult13(info, peer_finished, send, receive, exporter, keeper)


@value(frozen=True, slots=True)
class _Server:
    """What the server showed, the decision on it, and the proof; no decision with a bare key."""

    shown: PeerCertificate
    verified: VerifiedPeer | None
    authenticated: AuthenticatedPeer


@value(frozen=True, slots=True)
class _Client:
    """What the server asked this side for, if it did, and what this side showed."""

    question: ChooseCredentials | None = None
    credentials: Credentials | None = None
    scheme: str | None = None


_NOTHING_SHOWN = _Client()


def _info(
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
    session = psk.session if psk is not None else None
    own_chain, own_type = (own.chain_der, own.certificate_type) if own is not None else ((), "X509")
    if session is not None:
        own_chain, own_type = session.local_chain_der, session.local_certificate_type
    return ConnectionInfo(
        version="TLSv1.3",
        cipher_suite=suite.name,
        group=group,
        signature_scheme=authenticated.signature_scheme,
        alpn=agreed.alpn,
        server_name=offer.server_name,
        resumed=session is not None,
        early_data_status=early_data,
        hello_retry=offer.retried,
        peer_chain_der=authenticated.chain,
        peer_verified=authenticated.verified,
        verified_chain_der=authenticated.path,
        local_chain_der=own_chain,
        client_signature_scheme=client.scheme,
        peer_certificate_type=shown.certificate_type,
        local_certificate_type=own_type,
        certificate_compression=shown.compression,
        ocsp_response=shown.ocsp_response,
        sct_list=shown.sct_list,
        psk_identity=psk.identity if psk is not None and psk.external is not None else None,
        early_data_refusal=_why_rejected(offer, psk) if early_data == "rejected" else "",
    )


def _why_rejected(offer: ClientOffer, psk: Psk | None) -> str:
    """What a client knows of why its early data were refused."""
    if offer.retried:
        return "the server asked for another hello (HelloRetryRequest)"
    if psk is None:
        return "the server did not resume the session"
    if psk is not offer.psks[0]:
        return "they are under the first key offered, and the server took another one"
    return "the server resumed the session and took none: its own log may say why"


def _keeper(
    hs: HandshakeContext,
    config: ClientConfig,
    psk: Psk | None,
    info: ConnectionInfo,
    master: MasterSecret,
    question: ChooseCredentials | None,
    client_sessions: ClientSessions | None,
) -> TicketKeeper | None:
    """What will keep the server's tickets, if they are wanted and can be of use."""
    if client_sessions is None or not may_come_back(question):
        return None
    resumption = master.resumption_secret(hs.transcript.digest())
    external = psk.external if psk is not None else None
    session = maker_of_sessions(
        info,
        milliseconds(config.clock()),
        resumed=psk.session if psk is not None else None,
        question=question,
        psk_fingerprint=external.fingerprint if external is not None else b"",
    )
    return TicketKeeper(
        session, resumption, client_sessions.store, client_sessions.key, config.clock
    )


def _read_server_hello(
    config: ClientConfig, offer: ClientOffer, server_hello: ServerHello
) -> tuple[CipherSuite, dict[int, Any]]:
    """What ServerHello and HelloRetryRequest have in common (RFC 8446 section 4.1.3).

    Gives the suite, and the values of the extensions.
    """
    place = MessageContext.HRR if server_hello.is_hello_retry_request else MessageContext.SH
    extensions = server_hello.extensions
    check_answer(extensions, place, offer.answerable, config.limits.max_extensions)
    values = read_forms(extensions, place)
    if server_hello.legacy_version != TLS12:
        raise ProtocolError(
            Fault.ILLEGAL_VALUE, f"legacy_version is {version_name(server_hello.legacy_version)}"
        )
    if server_hello.legacy_session_id_echo != offer.hello.legacy_session_id:
        raise ProtocolError(Fault.SESSION_ID_MISMATCH)
    if server_hello.legacy_compression_method != 0:
        raise ProtocolError(Fault.COMPRESSION_CHOSEN)
    suite = CIPHER_SUITES_BY_CODE.get(server_hello.cipher_suite)
    if suite is None or suite.name not in config.cipher_suites:
        raise ProtocolError(
            Fault.UNOFFERED_CIPHER_SUITE, cipher_suite_name(server_hello.cipher_suite)
        )
    return suite, values


async def _retry(
    hs: HandshakeContext,
    config: ClientConfig,
    offer: ClientOffer,
    request: ServerHello,
    values: Mapping[int, Any],
) -> tuple[ClientOffer, dict[int, Any]]:
    """Answer a HelloRetryRequest with a second ClientHello (RFC 8446 section 4.1.4).

    Gives the second offer, and the values of the extensions of its answer.
    """
    hs.port.end_flight()
    group, cookie = _read_hello_retry_request(config, offer, values)
    if hs.records is not None and config.middlebox_compatibility and not offer.early_data:
        hs.records.send_change_cipher_spec()
    suite = CIPHER_SUITES_BY_CODE[request.cipher_suite]
    second_offer = offer_after_retry(hs, config, offer, group, cookie, suite.hash_name)
    hs.send(second_offer.hello)

    server_hello = await hs.receive(ServerHello)
    if server_hello.is_hello_retry_request:
        raise ProtocolError(Fault.SECOND_HELLO_RETRY_REQUEST)
    selected = server_hello.extensions.get(ExtensionType.SUPPORTED_VERSIONS)
    if selected is None or ext.read_selected_version(selected) != TLS13:
        raise ProtocolError(Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST, "the version")
    _, values = _read_server_hello(config, second_offer, server_hello)
    if server_hello.cipher_suite != request.cipher_suite:
        raise ProtocolError(Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST, "the cipher suite")
    return second_offer, values


def _read_hello_retry_request(
    config: ClientConfig, offer: ClientOffer, values: Mapping[int, Any]
) -> tuple[str | None, bytes | None]:
    """The group to send a share for and the cookie to send back, where there are such."""
    group: str | None = None
    cookie: bytes | None = values.get(ExtensionType.COOKIE)
    if (code := values.get(ExtensionType.KEY_SHARE)) is not None:
        group = group_name(code)
        if group not in config.groups:
            raise ProtocolError(Fault.UNOFFERED_GROUP, group)
        if group in offer.shares:
            raise ProtocolError(Fault.POINTLESS_HELLO_RETRY_REQUEST, group)
    if cookie is not None and len(cookie) > _MAX_COOKIE:
        raise ProtocolError(Fault.ILLEGAL_VALUE, f"a cookie of {len(cookie)} bytes")
    if group is None and cookie is None:
        raise ProtocolError(Fault.POINTLESS_HELLO_RETRY_REQUEST)
    return group, cookie


def _agree(
    hs: HandshakeContext,
    config: ClientConfig,
    offer: ClientOffer,
    values: Mapping[int, Any],
    suite: CipherSuite,
    psk: Psk | None,
) -> tuple[str | None, HandshakeSecret]:
    """One secret, agreed upon in public (RFC 8446 sections 4.2.8 and 7.1)."""
    observer = hs.observer
    early = (
        psk.early_secret(suite, observer)
        if psk is not None
        else EarlySecret.without_psk(suite, observer)
    )
    entry: ext.KeyShareEntry | None = values.get(ExtensionType.KEY_SHARE)
    if entry is None and psk is not None and config.allow_psk_ke:
        return None, early.handshake_secret(bytes(suite.hash_size))
    if entry is None:
        raise ProtocolError(Fault.MISSING_EXTENSION, "key_share in ServerHello")
    group = group_name(entry.group)
    # After a retry the offer holds a share for the requested group only, so this covers it, too.
    share = offer.shares.get(group) if entry.group in GROUPS_BY_CODE else None
    if share is None:
        raise ProtocolError(Fault.UNOFFERED_GROUP, f"{group}, for which no share was sent")
    try:
        if hs.trace is None:
            return group, early.handshake_secret(share.agree(entry.key_exchange))
        shared_secret = hs.work("key_agreement", group, share.agree, entry.key_exchange)
    except BadShare as error:
        raise ProtocolError(Fault.BAD_KEY_SHARE, f"{group}: {error}") from None
    _note_group(hs, config, offer, group)
    hs.note_shared_secret("shared_secret", group, shared_secret)
    return group, early.handshake_secret(shared_secret)


def _note_group(hs: HandshakeContext, config: ClientConfig, offer: ClientOffer, group: str) -> None:
    """A server takes a group without a share only by asking for one; which it could, is unknown."""
    groups, refused = config.groups, list[tuple[str, str]]()
    why = "the server asked for it by a HelloRetryRequest"
    if not offer.retried:
        why = "the server chose"
        refused = [
            (name, "no share was sent for it") for name in groups if name not in offer.shares
        ]
    hs.note_decision("group", groups, groups, group, why, refused)


def _selected_psk(offer: ClientOffer, index: int | None, suite: CipherSuite) -> Psk | None:
    """The key that the server chose among those offered (RFC 8446 section 4.2.11)."""
    if index is None:
        return None
    if index >= len(offer.psks):
        raise ProtocolError(Fault.UNOFFERED_PSK, f"number {index} of {len(offer.psks)}")
    psk = offer.psks[index]
    if psk.hash_name != suite.hash_name:
        raise ProtocolError(Fault.UNOFFERED_PSK, f"it does not go with {suite.name}")
    return psk


async def _resume_server(
    hs: HandshakeContext, config: ClientConfig, offer: ClientOffer, psk: Psk
) -> _Server:
    """Who holds the key is who it was: what it showed then is judged again.

    An external key has no certificates: holding it is all that there is to know.
    """
    shown = shown_in(psk.session) if psk.session is not None else PeerCertificate(())
    if not shown.chain or psk.session is None:
        unnamed = AuthenticatedPeer((), (), verified=False, signature_scheme=None)
        return _Server(shown, None, unnamed)
    verified = await verify_server(hs, config, shown, offer.server_name)
    authenticated = authenticated_by(verified, psk.session.signature_scheme)
    return _Server(shown, verified, authenticated)


@value(frozen=True, slots=True)
class _Agreed:
    """What the server agreed to in EncryptedExtensions."""

    alpn: str | None
    server_certificate_type: str
    client_certificate_type: str
    early_data: bool


def _read_encrypted_extensions(
    hs: HandshakeContext,
    config: ClientConfig,
    offer: ClientOffer,
    suite: CipherSuite,
    psk: Psk | None,
    extensions: Extensions,
) -> _Agreed:
    """What the server agrees to (RFC 8446 section 4.3.1)."""
    check_answer(extensions, MessageContext.EE, offer.answerable, config.limits.max_extensions)
    values = read_forms(extensions, MessageContext.EE)
    limit: int | None = values.get(ExtensionType.RECORD_SIZE_LIMIT)
    if hs.records is not None and limit is not None:
        hs.records.limit_write(limit)
        if config.record_size_limit is not None:
            hs.records.limit_read(config.record_size_limit)
    alpn: str | None = None
    if (data := extensions.get(ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION)) is not None:
        alpn = read_selected_protocol(data, config.alpn)
    if hs.trace is not None:
        hs.note_decision("alpn", config.alpn, config.alpn, alpn, "the server chose")
    early_data = ExtensionType.EARLY_DATA in extensions
    if early_data:
        _check_early_data_accepted(offer, suite, psk, alpn)
    types, asked = _X509_ONLY, offer.hello.extensions
    if SERVER_TYPE in asked or CLIENT_TYPE in asked:
        types = read_selected_types(extensions, config, resumes=psk is not None)
    return _Agreed(alpn, *types, early_data)


def _check_early_data_accepted(
    offer: ClientOffer, suite: CipherSuite, psk: Psk | None, alpn: str | None
) -> None:
    """RFC 8446 section 4.2.10: only under the first key, and in the way that it was made for."""
    session = psk.session if psk is not None and psk is offer.psks[0] else None
    if not offer.early_data or session is None:
        raise ProtocolError(Fault.ILLEGAL_VALUE, "early_data accepted without the first key")
    if session.cipher_suite != suite.name or session.alpn != alpn:
        raise ProtocolError(Fault.ILLEGAL_VALUE, "early_data accepted for another suite or ALPN")


async def _receive_server_authentication(
    hs: HandshakeContext, config: ClientConfig, offer: ClientOffer, certificate_type: str
) -> tuple[CertificateRequest | None, _Server]:
    """CertificateRequest if there is one, Certificate and CertificateVerify (section 4.4)."""
    message = await hs.receive(CertificateRequest, Certificate, CompressedCertificate)
    request: CertificateRequest | None = None
    if isinstance(message, CertificateRequest):
        request = message
        _check_certificate_request(config, request)
        message = await hs.receive(Certificate, CompressedCertificate)
    compression = config.certificate_compression or ()
    asked = Asked(offer.answerable, certificate_type, compression, config.limits)
    shown = read_certificate(hs.reading, message, asked)
    if not shown.chain:
        raise ProtocolError(Fault.EMPTY_SERVER_CERTIFICATE)
    if offer.server_name is None:
        check_name_is_known(config, None)
    verified = await verify_server(hs, config, shown, offer.server_name)
    content = signed_content(SERVER_CONTEXT, hs.transcript)
    signed, schemes = await hs.receive(CertificateVerify), config.signature_schemes
    authenticated = check_certificate_verify(hs, signed, verified, content, schemes)
    if hs.trace is not None:
        note_signature_scheme(hs, config, schemes, authenticated.signature_scheme, "TLSv1.3")
    return request, _Server(shown, verified, authenticated)


def _check_certificate_request(config: ClientConfig, request: CertificateRequest) -> None:
    check_extensions(request.extensions, MessageContext.CR, config.limits.max_extensions)
    check_forms(request.extensions, MessageContext.CR)
    if request.certificate_request_context:
        # RFC 8446 4.3.2: empty unless it is a post-handshake request.
        raise ProtocolError(Fault.BAD_CERTIFICATE_REQUEST_CONTEXT, "not empty in the handshake")
    if ExtensionType.SIGNATURE_ALGORITHMS not in request.extensions:
        raise ProtocolError(Fault.MISSING_EXTENSION, "signature_algorithms in CertificateRequest")


def _question_of(
    config: ClientConfig, request: CertificateRequest, certificate_type: str
) -> ChooseCredentials:
    """What the server asks this side for (RFC 8446 section 4.3.2)."""
    asked = request.extensions
    offered = offered_schemes(asked[ExtensionType.SIGNATURE_ALGORITHMS])
    return ChooseCredentials(
        None,
        offered,
        authorities=authorities_of(asked, config),
        certificate_types=(certificate_type,),
    )


async def _authenticate(
    hs: HandshakeContext, config: ClientConfig, agreed: _Agreed, request: CertificateRequest
) -> _Client:
    """Certificate and CertificateVerify, as the server asked."""
    asked = request.extensions
    question = _question_of(config, request, agreed.client_certificate_type)
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
    content = signed_content(CLIENT_CONTEXT, hs.transcript)
    await send_certificate_verify(hs, credentials, scheme, content)
    return _Client(question, credentials, scheme)
