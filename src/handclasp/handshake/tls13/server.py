"""The server of TLS 1.3, in the order of RFC 9846 section 2.

The server decides everything from the ClientHello: `Choice` holds what it decided. Then it sends
its whole flight, lets go of the hello, and waits for the client's.
"""

from __future__ import annotations

from handclasp.config import MAX_RECORD_SIZE_LIMIT, ServerConfig
from handclasp.crypto.groups import GROUPS, BadShare
from handclasp.crypto.secret import Secret
from handclasp.crypto.suites import CIPHER_SUITES, CipherSuite
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.certificate_types import CLIENT_TYPE, SERVER_TYPE, answering_extensions
from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.finished import check_finished
from handclasp.handshake.known_info import known_info
from handclasp.handshake.peer import (
    NOBODY,
    NOTHING_SHOWN,
    AuthenticatedPeer,
    PeerCertificate,
    authenticated_by,
    confirm_peer,
)
from handclasp.handshake.result import HandshakeResult13
from handclasp.handshake.tls13.authentication import SERVER_CONTEXT, send_certificate_verify
from handclasp.handshake.tls13.certificate import Asked, send_certificate
from handclasp.handshake.tls13.client_authentication import (
    certificate_request_extensions,
    receive_client_authentication,
)
from handclasp.handshake.tls13.client_hello import (
    Choice,
    Offer,
    choose,
    choose_offered_group,
    read_offer,
)
from handclasp.handshake.tls13.identity import Identity, identify
from handclasp.handshake.tls13.post_handshake_authentication import CertificateRequests
from handclasp.handshake.tls13.resumption import (
    Found,
    ResumedClient,
    find_psks,
    may_use_psk,
    resume_client,
    why_not_early_data,
)
from handclasp.handshake.tls13.retry import ask_again, receive_second_offer, skipped_early_data
from handclasp.handshake.tls13.secrets import (
    derive_early_secret,
    note_application_secrets,
    note_handshake_secrets,
)
from handclasp.handshake.tls13.tickets import TicketIssuer
from handclasp.handshake.trace_notes import note_resumption
from handclasp.iana import TLS13, ExtensionType
from handclasp.info import ConnectionInfo
from handclasp.keys.ech import confirmed_server_hello
from handclasp.keys.epoch import Epoch
from handclasp.keys.schedule13 import EarlySecret, HandshakeSecret, MasterSecret, TrafficSecret
from handclasp.sessions.session import milliseconds
from handclasp.sessions.tickets import SessionState
from handclasp.values import replace
from handclasp.wire import extensions as ext
from handclasp.wire.ech import write_ech_config_list
from handclasp.wire.extension_table import MessageContext
from handclasp.wire.messages import (
    CertificateRequest,
    ClientHello,
    EndOfEarlyData,
    Finished,
    write_encrypted_extensions,
    write_finished,
    write_server_hello,
)

_HANDSHAKE = Epoch.HANDSHAKE
_APPLICATION = Epoch.APPLICATION
_EARLY_DATA = ExtensionType.EARLY_DATA
_ECH = ExtensionType.ENCRYPTED_CLIENT_HELLO
_KEY_SHARE = ExtensionType.KEY_SHARE
_PRE_SHARED_KEY = ExtensionType.PRE_SHARED_KEY
_SUPPORTED_VERSIONS = ExtensionType.SUPPORTED_VERSIONS
_SERVER_NAME = ExtensionType.SERVER_NAME
_RECORD_SIZE_LIMIT = ExtensionType.RECORD_SIZE_LIMIT
_NONE_OFFERED = "the client offered none"
_AFTER_RETRY = "a HelloRetryRequest was needed, and they are of the first hello (RFC 8446 4.2.10)"
_SELECTED_TLS13 = ext.write_selected_version(TLS13)
_LATER = ExtensionType.POST_HANDSHAKE_AUTH
_NO_KEYS = Found((), {})


async def complete_server_handshake(
    hs: HandshakeContext, config: ServerConfig, hello: ClientHello
) -> HandshakeResult13:
    """Everything after the first ClientHello, which offers TLS 1.3."""
    transcript, zero_rtt = hs.transcript, _EARLY_DATA in hello.extensions
    offer = read_offer(hs, config, hello, None)
    del hello
    found, known = await _find_psks(hs, config, offer), None
    choice = choose(hs, config, offer, found.candidates)
    if choice.group is None:
        choice, known, found = await _choose_without_group(hs, config, offer, found, choice)
    needs_retry = choice.group is not None and choice.group not in offer.shares
    transcript.choose_hash(choice.suite.hash_name, retried=needs_retry)
    if needs_retry:
        retry = ask_again(hs, config, offer, choice)
        del offer, found
        offer = await receive_second_offer(hs, config, choice, retry)
        found = await _find_psks(hs, config, offer)
        choice = replace(choice, retried=True)
    if known is None and (found.candidates or hs.trace is not None):
        known, found = await _recognise(hs, offer, found, choice)
    identity = await identify(hs, config, offer, known)
    none = None, _NONE_OFFERED if config.max_early_data else ""
    early, refusal = await _accept_early_data(hs, config, choice, known) if zero_rtt else none
    share, shared_secret = _respond(hs, config, offer, choice)
    _send_server_hello(hs, config, offer, choice, known, share)
    stage, peer, own = _derive_handshake_secrets(hs, choice.suite, known, shared_secret)
    hs.install_write(_HANDSHAKE, own)
    hs.install_read(Epoch.EARLY_DATA if early else _HANDSHAKE, early or peer)
    asked = _send_encrypted_extensions(hs, config, offer, choice, identity, known, early)
    if identity is not None:
        await _authenticate(hs, config, offer, identity)
    hs.send_raw(write_finished(finished := own.verify_data(transcript.digest())))
    master, finished_hash = stage.master_secret(), transcript.digest()
    receive, send, exporter = master.traffic_secrets(finished_hash)
    if hs.tells_secrets:
        note_application_secrets(hs, receive, send, exporter)
    hs.install_write(_APPLICATION, send)
    can_resume, may_be_asked = may_use_psk(config, offer.psks), _LATER in offer.hello.extensions
    early_data = "accepted" if early is not None else "rejected" if zero_rtt else "none"
    shown, verified, client = NOTHING_SHOWN, None, NOBODY
    if config.half_rtt_data:
        info = _info(hs, choice, identity, known, shown, client, early_data, refusal)
        await hs.may_send_half_rtt(info)
    del offer, found  # Whatever they hold is not kept while the client takes its time.
    if early is not None:
        await _receive_end_of_early_data(hs, peer)
    if asked is not None:
        shown, verified, client = await receive_client_authentication(hs, config, asked)
    elif known is not None and known.client is not None:
        verified, client = known.client, authenticated_by(known.client, None)
    expected = peer.verify_data(transcript.digest())
    checked = check_finished(await hs.receive_raw(Finished), expected)
    hs.install_read(_APPLICATION, receive)
    if config.confirm_peer is not None:
        await confirm_peer(hs, config, verified, peer_is_server=False, server_name=None)
    info = _info(hs, choice, identity, known, shown, client, early_data, refusal)
    issuer = _ticket_issuer(hs, config, known, info, master) if can_resume else None
    later = _certificate_requests(hs, config, identity, info) if may_be_asked else None
    return HandshakeResult13(info, checked, finished, send, receive, exporter, None, issuer, later)


def _certificate_requests(
    hs: HandshakeContext, config: ServerConfig, identity: Identity | None, info: ConnectionInfo
) -> CertificateRequests | None:
    """Return the later requests for this client's certificate (RFC 8446 4.6.2), if any may come."""
    if info.psk_identity is not None:
        return None  # RFC 8446 4.3.2: clients with an external key must not be asked.
    client_type = identity.client_type if identity is not None else None
    return CertificateRequests(config, hs.transcript, client_type or "X509", hs.answers)


async def _find_psks(hs: HandshakeContext, config: ServerConfig, offer: Offer) -> Found:
    if offer.psks is None or offer.psks.offered is None:
        return _NO_KEYS
    return await find_psks(hs, config, offer.psks, offer.psks.offered, offer.server_name)


async def _choose_without_group(
    hs: HandshakeContext, config: ServerConfig, offer: Offer, found: Found, choice: Choice
) -> tuple[Choice, ResumedClient | None, Found]:
    """Recognise the client whose key would go alone; choose a group if it is not known."""
    known, found = await _recognise(hs, offer, found, choice)
    if known is None:
        choice = replace(choice, group=choose_offered_group(hs, config, offer, ()))
    return choice, known, found


async def _recognise(
    hs: HandshakeContext, offer: Offer, found: Found, choice: Choice
) -> tuple[ResumedClient | None, Found]:
    """Return the client, if it holds a known key, and the findings about its keys."""
    known: ResumedClient | None = None
    psks = offer.psks
    if psks is not None and found.candidates:
        if choice.group is not None and ext.PSK_DHE_KE not in psks.modes:
            # Such a key would have to go alone, and none was good enough for that.
            found = Found((), found.refused)
        known, found = await resume_client(hs, found, choice.suite, offer.hello, psks)
    if hs.trace is not None:
        count = psks.count if psks is not None else 0
        psk, index = (known.psk, known.index) if known is not None else (None, None)
        note_resumption(hs, count, found.refused, psk, index)
    return known, found


def _derive_handshake_secrets(
    hs: HandshakeContext, suite: CipherSuite, known: ResumedClient | None, shared_secret: bytes
) -> tuple[HandshakeSecret, TrafficSecret, TrafficSecret]:
    """Return the second stage of the key schedule, and the client's and this side's secrets."""
    if known is None:
        early = EarlySecret.without_psk(suite, hs.observer)
    else:
        early = known.psk.early_secret(suite, hs.observer)
    stage = early.handshake_secret(shared_secret)
    peer, own = stage.traffic_secrets(hs.transcript.digest())
    if hs.tells_secrets:
        note_handshake_secrets(hs, peer, own)
    return stage, peer, own


def _info(
    hs: HandshakeContext,
    choice: Choice,
    identity: Identity | None,
    known: ResumedClient | None,
    shown: PeerCertificate,
    client: AuthenticatedPeer,
    early_data: str,
    early_data_refusal: str,
) -> ConnectionInfo:
    state = external = scheme = own = None
    if known is not None:
        state, external = known.psk.state, known.psk.external
        scheme = state.signature_scheme if state is not None else None
    if identity is not None:
        own, scheme = identity.credentials, identity.scheme
    return known_info(  # By position, as names would be part of the key.
        hs.reading,
        "TLSv1.3",
        choice.suite.name,
        choice.group,
        scheme or None,
        choice.alpn,
        hs.server_name,
        state is not None,
        early_data,
        choice.retried,
        client.chain,
        client.verified,
        own.chain_der if own is not None else (),
        client.signature_scheme,
        client.path,
        client.certificate_type,
        own.certificate_type if own is not None else "X509",
        shown.compression,
        shown.ocsp_response,
        shown.sct_list,
        external.identity if external is not None else None,
        early_data_refusal,
        hs.ech is not None and hs.ech.context is not None,
    )


def _respond(
    hs: HandshakeContext, config: ServerConfig, offer: Offer, choice: Choice
) -> tuple[bytes, bytes]:
    """This side's share, and the one secret that both sides then hold.

    Where the pre-shared key goes alone, zeros stand in its place (RFC 9846 section 7.1).
    """
    group = choice.group
    if group is None:
        return b"", bytes(choice.suite.hash_size)
    respond, peer_share = GROUPS[group].exchange.respond, offer.shares[group]
    try:
        if hs.trace is None:
            return respond(peer_share, config.entropy)
        share, secret = hs.work("key_agreement", group, respond, peer_share, config.entropy)
    except BadShare as error:
        raise ProtocolError(Fault.BAD_KEY_SHARE, f"{group}: {error}") from None
    hs.note_shared_secret("shared_secret", group, secret)
    return share, secret


def _send_server_hello(
    hs: HandshakeContext,
    config: ServerConfig,
    offer: Offer,
    choice: Choice,
    known: ResumedClient | None,
    share: bytes,
) -> None:
    session_id = offer.hello.legacy_session_id
    extensions: dict[int, bytes] = {}
    if known is not None:
        extensions[_PRE_SHARED_KEY] = ext.write_selected_identity(known.index)
    if choice.group is not None:
        code = GROUPS[choice.group].code
        extensions[_KEY_SHARE] = (code << 16 | len(share)).to_bytes(4, "big") + share
    extensions[_SUPPORTED_VERSIONS] = _SELECTED_TLS13
    suite, random = choice.suite.code, config.entropy(32)
    raw = write_server_hello(random, session_id, suite, extensions)
    if hs.ech is not None and hs.ech.context is not None:
        hash_name, inner_random = choice.suite.hash_name, hs.ech.inner_random
        raw = confirmed_server_hello(hs.transcript, hash_name, inner_random, raw)
    hs.send_raw(raw)
    # RFC 8446 D.4: once, right after the first ServerHello or HelloRetryRequest.
    if hs.records is not None and session_id and not choice.retried:
        hs.records.send_change_cipher_spec()


def _send_encrypted_extensions(
    hs: HandshakeContext,
    config: ServerConfig,
    offer: Offer,
    choice: Choice,
    identity: Identity | None,
    known: ResumedClient | None,
    early: TrafficSecret | None,
) -> Asked | None:
    """EncryptedExtensions, and CertificateRequest if the client is asked; gives what was asked."""
    resumed = known is not None and known.psk.state is not None
    extensions = _encrypted_extensions(hs, config, offer, choice, resumed=resumed)
    if early is not None:
        extensions[_EARLY_DATA] = b""
    if identity is None:
        # RFC 8446 4.3.2: who proves itself by a pre-shared key is not asked for a certificate.
        hs.send_raw(write_encrypted_extensions(extensions))
        return None
    client_type, shown_type = identity.client_type, identity.credentials.certificate_type
    offered = offer.hello.extensions
    if SERVER_TYPE in offered or CLIENT_TYPE in offered:
        extensions.update(answering_extensions(offered, shown_type, client_type))
    hs.send_raw(write_encrypted_extensions(extensions))
    if client_type is None:
        return None
    asked = certificate_request_extensions(config, client_type)
    hs.send(CertificateRequest(b"", asked))
    return Asked(asked, client_type, config.certificate_compression or (), config.limits)


def _encrypted_extensions(
    hs: HandshakeContext, config: ServerConfig, offer: Offer, choice: Choice, *, resumed: bool
) -> dict[int, bytes]:
    """Return the extensions that this server agrees to (RFC 8446 section 4.3.1)."""
    extensions: dict[int, bytes] = {}
    asked = offer.hello.extensions
    if offer.server_name is not None and not resumed:
        # RFC 6066 3: a server that resumes a session "MUST NOT include a server_name extension".
        extensions[_SERVER_NAME] = b""
    if choice.alpn is not None:
        extensions[ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION] = ext.write_alpn(
            [choice.alpn.encode("ascii")]
        )
    if hs.ech is not None and hs.ech.context is None:
        extensions[_ECH] = write_ech_config_list(hs.ech.retry_configs)
    data = asked.get(_RECORD_SIZE_LIMIT)
    if data is not None and hs.records is not None:
        own_limit = config.record_size_limit or MAX_RECORD_SIZE_LIMIT
        hs.records.limit_write(ext.read_record_size_limit(data))
        hs.records.limit_read(own_limit)
        extensions[_RECORD_SIZE_LIMIT] = ext.write_record_size_limit(own_limit)
    return extensions


async def _authenticate(
    hs: HandshakeContext, config: ServerConfig, offer: Offer, identity: Identity
) -> None:
    """Certificate and CertificateVerify (RFC 8446 section 4.4)."""
    credentials, asked = identity.credentials, offer.hello.extensions
    send_certificate(hs, config, credentials, asked, MessageContext.CH, offer.compression)
    content = SERVER_CONTEXT + hs.transcript.digest()
    await send_certificate_verify(hs, credentials, identity.scheme, content)


async def _receive_end_of_early_data(hs: HandshakeContext, peer: TrafficSecret) -> None:
    """Receive the end of early data; the handshake key follows (RFC 8446 section 4.5)."""
    await hs.receive(EndOfEarlyData)
    hs.install_read(_HANDSHAKE, peer)


async def _accept_early_data(
    hs: HandshakeContext,
    config: ServerConfig,
    choice: Choice,
    known: ResumedClient | None,
) -> tuple[TrafficSecret | None, str]:
    """Return the secret of the client's 0-RTT data, if they are taken; or why not."""
    if choice.retried:
        return None, _AFTER_RETRY
    refusal = "the session was not resumed, and they are under its secret"
    if known is not None:
        refusal = await why_not_early_data(hs, config, known, choice.suite, choice.alpn)
        hs.note_decision(
            "early_data",
            ("early data",),
            ("early data",) if config.max_early_data else (),
            None if refusal else "early data",
            refusal or "the replay guard, the ticket's age, suite and protocol",
        )
    if refusal or known is None:
        if hs.records is not None:
            hs.records.skip_early_data(skipped_early_data(config))
        return None, refusal
    stage = known.psk.early_secret(choice.suite, hs.observer)
    return derive_early_secret(hs, stage, hs.transcript.digest()), ""


def _ticket_issuer(
    hs: HandshakeContext,
    config: ServerConfig,
    known: ResumedClient | None,
    info: ConnectionInfo,
    master: MasterSecret,
) -> TicketIssuer | None:
    """Return the issuer of tickets for a client that can use them (RFC 8446 section 4.2.9)."""
    if not config.tickets or config.ticket_keys is None:
        return None
    if info.psk_identity is not None:
        return None  # With its own key the client comes back just as fast; NSS cannot do both.
    resumed = known.psk.state if known is not None else None
    proved_at = resumed.authenticated_at if resumed is not None else milliseconds(config.clock())
    state = SessionState(
        version=TLS13,
        cipher_suite=CIPHER_SUITES[info.cipher_suite].code,
        secret=Secret(),
        authenticated_at=proved_at,
        created_at=proved_at,
        lifetime=config.ticket_lifetime,
        age_add=0,
        max_early_data=config.max_early_data,
        server_name=info.server_name or "",
        alpn=info.alpn or "",
        binding=config.derived.binding,
        client_chain=info.peer_chain_der,
        signature_scheme=info.signature_scheme or "",
        client_certificate_type=info.peer_certificate_type,
    )
    return TicketIssuer(
        state,
        master.resumption_secret(hs.transcript.digest()),
        config.ticket_keys,
        config.clock,
        config.entropy,
        at_once=1 if info.resumed else config.tickets,
    )
