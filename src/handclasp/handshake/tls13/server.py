"""The server of TLS 1.3, in the order of RFC 8446 section 2.

The server decides everything from the ClientHello: `_Choice` holds what it decided. Then it sends
its whole flight, lets go of the hello, and waits for the client's.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import field, replace

from handclasp.certificates.credentials import Credentials
from handclasp.certificates.verify import VerifiedPeer
from handclasp.config import MAX_RECORD_SIZE_LIMIT, ClientAuth, ServerConfig
from handclasp.crypto.groups import GROUPS, BadShare
from handclasp.crypto.secret import Secret
from handclasp.crypto.signatures import of_versions
from handclasp.crypto.suites import CIPHER_SUITES, CipherSuite
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
from handclasp.handshake.negotiation import (
    choose_cipher_suite,
    choose_group,
    choose_signature_scheme,
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
from handclasp.handshake.peer import (
    AuthenticatedPeer,
    PeerCertificate,
    authenticated_by,
    confirm_peer,
    verify_peer,
)
from handclasp.handshake.questions import ChooseCredentials
from handclasp.handshake.result import HandshakeResult13
from handclasp.handshake.tls13.authentication import (
    CLIENT_CONTEXT,
    SERVER_CONTEXT,
    receive_certificate_verify,
    receive_finished,
    send_certificate_verify,
    send_finished,
)
from handclasp.handshake.tls13.certificate import (
    Asked,
    asking_extensions,
    read_certificate,
    send_certificate,
)
from handclasp.handshake.tls13.resumption import (
    Candidate,
    Found,
    PskOffer,
    ResumedClient,
    choose_psk,
    find_psks,
    may_use_psk,
    read_psks,
    resume_client,
    why_not_early_data,
)
from handclasp.handshake.tls13.secrets import (
    ApplicationSecrets,
    derive_application_secrets,
    derive_early_secret,
    derive_handshake_secrets,
)
from handclasp.handshake.tls13.tickets import TicketIssuer
from handclasp.handshake.trace_notes import (
    check_name_is_served,
    decide_application_protocol,
    note_credentials,
    note_group13,
    note_resumption,
    note_signature_scheme,
)
from handclasp.info import ConnectionInfo
from handclasp.keys.epoch import Epoch
from handclasp.keys.schedule13 import EarlySecret, TrafficSecret
from handclasp.keys.transcript import Transcript
from handclasp.sessions.session import milliseconds
from handclasp.sessions.tickets import SessionState
from handclasp.values import value
from handclasp.wire import extensions as ext
from handclasp.wire.forms import check_forms
from handclasp.wire.iana import (
    TLS12,
    TLS13,
    ExtensionType,
    group_name,
    version_name,
)
from handclasp.wire.messages import (
    HELLO_RETRY_REQUEST_RANDOM,
    Certificate,
    CertificateRequest,
    ClientHello,
    CompressedCertificate,
    EncryptedExtensions,
    EndOfEarlyData,
    ServerHello,
    write_message,
)
from handclasp.wire.rules import MessageContext, check_extensions
from handclasp.wire.structs import Extensions
from handclasp.wire.writer import uint16s

_COOKIE_SIZE = 32
_AFTER_RETRY = "a HelloRetryRequest was needed, and they are of the first hello (RFC 8446 4.2.10)"
_SKIPPED_EARLY_DATA = 2**14 * 4
"""Bytes of early data to pass over at least: clients send what another server's ticket allowed."""

_MAY_CHANGE_AFTER_RETRY = {
    ExtensionType.KEY_SHARE,
    ExtensionType.COOKIE,
    ExtensionType.EARLY_DATA,
    ExtensionType.PRE_SHARED_KEY,
    ExtensionType.PADDING,
    ExtensionType.ENCRYPTED_CLIENT_HELLO,
}


@value(frozen=True, slots=True)
class _Offer:
    """A ClientHello with the parts that the server chooses from, read and checked."""

    hello: ClientHello
    groups: tuple[str, ...]
    shares: dict[str, bytes]
    signature_schemes: tuple[str, ...]
    protocols: tuple[bytes, ...]
    server_name: str | None
    server_certificate_types: tuple[str, ...]
    client_certificate_types: tuple[str, ...]
    psks: PskOffer | None


@value(frozen=True, slots=True)
class _Choice:
    """What the server takes from the offer; no group means: the pre-shared key alone."""

    suite: CipherSuite
    group: str | None
    alpn: str | None
    retried: bool = False


@value(frozen=True, slots=True)
class _Retry:
    """What is kept of the first hello while the second one is on its way."""

    unchanging: bytes
    cookie: bytes | None
    before: Transcript = field(repr=False)


async def complete_server_handshake(
    hs: HandshakeContext, config: ServerConfig, hello: ClientHello
) -> HandshakeResult13:
    """Everything after the first ClientHello, which offers TLS 1.3."""
    offers_early_data = ExtensionType.EARLY_DATA in hello.extensions
    offer = _read_offer(hs, config, hello, Transcript())
    del hello
    found = await find_psks(hs, config, offer.psks, offer.server_name)
    choice, known = await _choose_first(hs, config, offer, found)
    needs_retry = choice.group is not None and choice.group not in offer.shares
    hs.transcript.choose_hash(choice.suite.hash_name, retried=needs_retry)
    if needs_retry:
        retry = _ask_again(hs, config, offer, choice)
        del offer, found
        offer = await _receive_second_offer(hs, config, choice, retry)
        found = await find_psks(hs, config, offer.psks, offer.server_name)
        choice = replace(choice, retried=True)
    known = known or await _recognise(hs, offer, found, choice)
    _require_authentication(config, known)
    identity = await _identify(hs, config, offer, known)
    early, refusal = await _accept_early_data(hs, config, offer, choice, known)
    share, shared_secret = _respond(hs, config, offer, choice)
    skips = 0 if early else _skipped(config)
    _send_server_hello(hs, offer, choice, known, share, config.entropy, skips=skips)
    stage = _early_secret(hs, choice.suite, known).handshake_secret(shared_secret)
    handshake = derive_handshake_secrets(hs, stage)
    hs.install_write(Epoch.HANDSHAKE, handshake.server)
    hs.install_read(Epoch.EARLY_DATA if early else Epoch.HANDSHAKE, early or handshake.client)

    asked = _send_encrypted_extensions(hs, config, offer, choice, identity, known, early)
    if identity is not None:
        credentials, offered = identity.credentials, offer.hello.extensions
        send_certificate(hs, config, credentials, offered, MessageContext.CH)
        await send_certificate_verify(hs, credentials, identity.scheme, SERVER_CONTEXT)
    send_finished(hs, handshake.server)
    application = derive_application_secrets(hs, stage)
    hs.install_write(Epoch.APPLICATION, application.server)

    server_name, can_resume = offer.server_name, may_use_psk(config, offer.psks)
    early_data = "accepted" if early is not None else "rejected" if offers_early_data else "none"
    if config.half_rtt_data:
        hs.half_rtt = _info(server_name, choice, identity, known, None, None, early_data, refusal)
    del offer, found  # Whatever they hold is not kept while the client takes its time.
    if early is not None:
        await hs.receive(EndOfEarlyData)
        hs.install_read(Epoch.HANDSHAKE, handshake.client)
    shown, verified, client = await _receive_client_authentication(hs, config, asked, known)
    peer_finished = await receive_finished(hs, handshake.client)
    hs.install_read(Epoch.APPLICATION, application.client)
    await confirm_peer(hs, config, verified, peer_is_server=False, server_name=None)

    info = _info(server_name, choice, identity, known, shown, client, early_data, refusal)
    return HandshakeResult13(
        info,
        peer_finished,
        application.server,
        application.client,
        application.exporter,
        issuer=_issuer(hs, config, known, info, application) if can_resume else None,
    )


async def _choose_first(
    hs: HandshakeContext, config: ServerConfig, offer: _Offer, found: Found
) -> tuple[_Choice, ResumedClient | None]:
    """The choice for the first hello; and the client, if its key decided whether there is a group.

    A key that would go alone has to be known for that: otherwise a group is needed.
    """
    choice = _choose(hs, config, offer, found.candidates)
    if choice.group is not None:
        return choice, None
    known = await _recognise(hs, offer, found, choice)
    return (choice if known else _choose_without_key(hs, config, offer, choice)), known


async def _recognise(
    hs: HandshakeContext, offer: _Offer, found: Found, choice: _Choice
) -> ResumedClient | None:
    """The client, if it holds a key that is known here."""
    if choice.group is not None and offer.psks and ext.PSK_DHE_KE not in offer.psks.modes:
        # Such a key would have to go alone, and none was good enough for that.
        found = Found([], found.refused)
    chosen = choose_psk(hs, found, choice.suite, offer.hello, offer.psks)
    known = await resume_client(hs, found, chosen)
    count = offer.psks.count if offer.psks is not None else 0
    psk, index = (known.psk, known.index) if known is not None else (None, None)
    note_resumption(hs, count, found.refused, psk, index)
    return known


def _skipped(config: ServerConfig) -> int:
    """Bytes of refused early data to pass over, records' overhead included."""
    return max(_SKIPPED_EARLY_DATA, 2 * config.max_early_data)


@value(frozen=True, slots=True)
class _Identity:
    """Who this side is to this client, and the scheme to sign in.

    `client_type` is the type of certificate that the client is asked for, if it is.
    """

    credentials: Credentials
    scheme: str
    client_type: str | None


def _early_secret(
    hs: HandshakeContext, suite: CipherSuite, known: ResumedClient | None
) -> EarlySecret:
    if known is None:
        return EarlySecret.without_psk(suite, hs.observer)
    return known.psk.early_secret(suite, hs.observer)


def _require_authentication(config: ServerConfig, known: ResumedClient | None) -> None:
    """A client without a key that is known here must see a certificate."""
    if known is None and not config.credential_list and config.choose_credentials is None:
        raise ProtocolError(Fault.UNKNOWN_PSK_IDENTITY)


def _choose_without_key(
    hs: HandshakeContext, config: ServerConfig, offer: _Offer, choice: _Choice
) -> _Choice:
    """The choice for a client whose key was to go alone, and is not taken: with a group."""
    return replace(choice, group=_choose_group(hs, config, offer, ()))


async def _accept_early_data(
    hs: HandshakeContext,
    config: ServerConfig,
    offer: _Offer,
    choice: _Choice,
    known: ResumedClient | None,
) -> tuple[TrafficSecret | None, str]:
    """What the client's 0-RTT data are under, if it sends such and they are taken; or why not."""
    if ExtensionType.EARLY_DATA not in offer.hello.extensions or choice.retried:
        return None, _AFTER_RETRY
    if known is None:
        return None, "the session was not resumed, and they are under its secret"
    refusal = await why_not_early_data(hs, config, known, choice.suite, choice.alpn)
    hs.note_decision(
        "early_data",
        ("early data",),
        ("early data",) if config.max_early_data else (),
        None if refusal else "early data",
        refusal or "the replay guard, the ticket's age, suite and protocol",
    )
    if refusal:
        return None, refusal
    stage = _early_secret(hs, choice.suite, known)
    return derive_early_secret(hs, stage, hs.transcript.digest()), ""


def _issuer(
    hs: HandshakeContext,
    config: ServerConfig,
    known: ResumedClient | None,
    info: ConnectionInfo,
    application: ApplicationSecrets,
) -> TicketIssuer | None:
    """What will make tickets for a client that can use them (RFC 8446 section 4.2.9), if any."""
    if not config.tickets or config.ticket_keys is None:
        return None
    if info.psk_identity is not None:
        return None  # With its own key the client comes back just as fast; NSS cannot do both.
    resumed = known.psk.state if known is not None else None
    now = milliseconds(config.clock())
    state = SessionState(
        version=TLS13,
        cipher_suite=CIPHER_SUITES[info.cipher_suite].code,
        secret=Secret(),
        authenticated_at=resumed.authenticated_at if resumed is not None else now,
        created_at=now,
        lifetime=config.ticket_lifetime,
        age_add=0,
        max_early_data=config.max_early_data,
        server_name=info.server_name or "",
        alpn=info.alpn or "",
        binding=config.binding,
        client_chain=info.peer_chain_der,
        signature_scheme=info.signature_scheme or "",
        client_certificate_type=info.peer_certificate_type,
    )
    return TicketIssuer(
        state,
        application.master.resumption_secret(hs.transcript.digest()),
        config.ticket_keys,
        config.clock,
        config.entropy,
        at_once=1 if info.resumed else config.tickets,
    )


def _info(
    server_name: str | None,
    choice: _Choice,
    identity: _Identity | None,
    known: ResumedClient | None,
    shown: PeerCertificate | None,
    client: AuthenticatedPeer | None,
    early_data: str,
    early_data_refusal: str,
) -> ConnectionInfo:
    state = known.psk.state if known is not None else None
    scheme = identity.scheme if identity is not None else state.signature_scheme if state else None
    external = known.psk.external if known is not None else None
    return ConnectionInfo(
        version=version_name(TLS13),
        cipher_suite=choice.suite.name,
        group=choice.group,
        signature_scheme=scheme or None,
        alpn=choice.alpn,
        server_name=server_name,
        resumed=state is not None,
        early_data=early_data,
        hello_retry=choice.retried,
        peer_chain_der=client.chain if client else (),
        peer_verified=client.verified if client else False,
        verified_chain_der=client.path if client else (),
        local_chain_der=identity.credentials.chain if identity else (),
        client_signature_scheme=client.signature_scheme if client else None,
        peer_certificate_type=client.certificate_type if client else "X509",
        local_certificate_type=identity.credentials.certificate_type if identity else "X509",
        certificate_compression=shown.compression if shown else None,
        ocsp_response=shown.ocsp_response if shown else None,
        sct_list=shown.sct_list if shown else None,
        psk_identity=external.identity if external is not None else None,
        early_data_refusal=early_data_refusal if early_data == "rejected" else "",
    )


def _read_offer(
    hs: HandshakeContext, config: ServerConfig, hello: ClientHello, before: Transcript
) -> _Offer:
    """The extensions of a ClientHello that matter here (RFC 8446 sections 4.1.2 and 9.2).

    `before` is the transcript up to this hello, which the binders of pre-shared keys cover.
    """
    # RFC 8446 4.2.1: with supported_versions there, legacy_version decides nothing.
    if hello.legacy_compression_methods != b"\0":
        raise ProtocolError(Fault.COMPRESSION_CHOSEN, "the client offers compression")
    extensions = hello.extensions
    psks = read_psks(hello, before)
    groups = _names(hs, extensions, ExtensionType.SUPPORTED_GROUPS, offered_groups, psks)
    schemes = _names(hs, extensions, ExtensionType.SIGNATURE_ALGORITHMS, offered_schemes, psks)
    # RFC 8446 9.2: supported_groups and key_share come together.
    entries: tuple[ext.KeyShareEntry, ...] = ()
    if groups or ExtensionType.KEY_SHARE in extensions:
        _required(extensions, ExtensionType.SUPPORTED_GROUPS)
        entries = ext.read_key_share_client_hello(_required(extensions, ExtensionType.KEY_SHARE))
    name_data = extensions.get(ExtensionType.SERVER_NAME)
    if name_data is not None:
        hs.server_name = hs.reading.read(asked_name, name_data)
    alpn = extensions.get(ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION)
    return _Offer(
        hello=hello,
        groups=groups,
        shares=_read_shares(config, groups, entries),
        signature_schemes=schemes,
        protocols=hs.reading.read(protocols_reader(config), alpn) if alpn is not None else (),
        server_name=hs.server_name,
        server_certificate_types=read_offered_types(extensions, SERVER_TYPE),
        client_certificate_types=read_offered_types(extensions, CLIENT_TYPE),
        psks=psks,
    )


def _names(
    hs: HandshakeContext,
    extensions: Extensions,
    kind: ExtensionType,
    read: Callable[[bytes], tuple[str, ...]],
    psks: PskOffer | None,
) -> tuple[str, ...]:
    """A list that only a client with a pre-shared key may leave out (RFC 8446 section 9.2)."""
    if kind not in extensions and psks is not None and psks.offered is not None:
        return ()
    return hs.reading.read(read, _required(extensions, kind))


def _required(extensions: Extensions, kind: ExtensionType) -> bytes:
    # RFC 8446 9.2: missing_extension, unless a pre-shared key goes without it.
    data = extensions.get(kind)
    if data is None:
        raise ProtocolError(Fault.MISSING_EXTENSION, f"{kind.name.lower()} in ClientHello")
    return data


def _read_shares(
    config: ServerConfig, groups: tuple[str, ...], entries: tuple[ext.KeyShareEntry, ...]
) -> dict[str, bytes]:
    if len(entries) > config.limits.max_key_shares:
        raise ProtocolError(Fault.TOO_MANY_EXTENSIONS, f"{len(entries)} key shares")
    listed = frozenset(groups)
    shares: dict[str, bytes] = {}
    for entry in entries:
        name = group_name(entry.group)
        if name not in listed or name in shares:
            raise ProtocolError(Fault.KEY_SHARE_NOT_IN_GROUPS, name)
        shares[name] = entry.key_exchange
    return shares


def _choose(
    hs: HandshakeContext, config: ServerConfig, offer: _Offer, candidates: Sequence[Candidate]
) -> _Choice:
    suites = hs.reading.read(offered_suites, uint16s(offer.hello.cipher_suites))
    order = "the client's order" if config.prefer_client_order else "the server's order"
    own = _suites_by_psk_hash(config, candidates)
    first = config.prefer_client_order
    choose, what = choose_cipher_suite, "cipher_suite"
    why = f"{order}, those of the client's key first" if candidates else order
    suite = hs.decide(what, suites, own, why, choose, suites, own, prefer_client_order=first)
    group = _choose_group(hs, config, offer, candidates)
    alpn = decide_application_protocol(hs, config, offer.protocols)
    return _Choice(CIPHER_SUITES[suite], group, alpn)


def _suites_by_psk_hash(config: ServerConfig, candidates: Sequence[Candidate]) -> list[str]:
    """A pre-shared key goes with suites of its hash only, so those are taken before others."""
    own = [name for name in config.cipher_suites if name in CIPHER_SUITES]
    hashes = {each.psk.hash_name for each in candidates}
    if hashes:
        own.sort(key=lambda name: CIPHER_SUITES[name].hash_name not in hashes)
    return own


def _choose_group(
    hs: HandshakeContext,
    config: ServerConfig,
    offer: _Offer,
    candidates: Sequence[Candidate],
) -> str | None:
    """The group, or None where the client offers none, and its key may go alone."""
    can_go_alone = config.allow_psk_ke and offer.psks is not None and candidates
    if can_go_alone and offer.psks is not None and ext.PSK_DHE_KE not in offer.psks.modes:
        return None
    if not candidates:
        _require_authentication(config, None)
    _required(offer.hello.extensions, ExtensionType.SUPPORTED_GROUPS)
    try:
        group = choose_group(
            offer.groups,
            tuple(offer.shares),
            config.groups,
            prefer_client_order=config.prefer_client_order,
        )
    except ProtocolError:
        hs.note_decision("group", offer.groups, config.groups, None, NO_OVERLAP)
        raise
    order = "the client's order" if config.prefer_client_order else "the server's order"
    why = order if group in offer.shares else "no usable share, so a HelloRetryRequest"
    note_group13(hs, config, offer.groups, offer.shares, group, why)
    return group


def _ask_again(
    hs: HandshakeContext, config: ServerConfig, offer: _Offer, choice: _Choice
) -> _Retry:
    """Ask for a share of the chosen group (RFC 8446 section 4.1.4)."""
    hs.port.end_flight()
    cookie = config.entropy(_COOKIE_SIZE) if config.hello_retry_cookie else None
    hs.send(_hello_retry_request(offer, choice, cookie))
    if offer.hello.legacy_session_id and hs.records is not None:
        hs.records.send_change_cipher_spec()
    if ExtensionType.EARLY_DATA in offer.hello.extensions and hs.records is not None:
        hs.records.skip_early_data(_skipped(config))

    return _Retry(_unchanging(offer.hello), cookie, hs.transcript.fork())


async def _receive_second_offer(
    hs: HandshakeContext, config: ServerConfig, choice: _Choice, retry: _Retry
) -> _Offer:
    """Receive the second hello: the first, with a share of the chosen group."""
    hello = await hs.receive(ClientHello)
    if hs.records is not None:
        hs.records.skip_early_data(0)
    check_extensions(hello.extensions, MessageContext.CH, config.limits.max_extensions)
    check_forms(hello.extensions, MessageContext.CH)
    _check_second_hello(hello, retry)
    second_offer = _read_offer(hs, config, hello, retry.before)
    if list(second_offer.shares) != [choice.group]:
        raise ProtocolError(
            Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST, f"key_share is not for {choice.group} alone"
        )
    return second_offer


def _hello_retry_request(offer: _Offer, choice: _Choice, cookie: bytes | None) -> ServerHello:
    code = GROUPS[choice.group or ""].code
    extensions: dict[int, bytes] = {
        ExtensionType.KEY_SHARE: ext.write_key_share_hello_retry_request(code)
    }
    if cookie is not None:
        extensions[ExtensionType.COOKIE] = ext.write_cookie(cookie)
    extensions[ExtensionType.SUPPORTED_VERSIONS] = ext.write_selected_version(TLS13)
    return ServerHello(
        legacy_version=TLS12,
        random=HELLO_RETRY_REQUEST_RANDOM,
        legacy_session_id_echo=offer.hello.legacy_session_id,
        cipher_suite=choice.suite.code,
        legacy_compression_method=0,
        extensions=extensions,
    )


def _check_second_hello(second: ClientHello, retry: _Retry) -> None:
    """RFC 8446 section 4.1.2: the second hello is the first but for the listed extensions."""
    cookie = retry.cookie
    data = second.extensions.get(ExtensionType.COOKIE)
    returned = ext.read_cookie(data) if data is not None else None
    if (returned is None) != (cookie is None) or not hmac.compare_digest(
        returned or b"", cookie or b""
    ):
        raise ProtocolError(Fault.BAD_COOKIE)
    if ExtensionType.EARLY_DATA in second.extensions:
        raise ProtocolError(Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST, "early_data is still there")
    if _unchanging(second) != retry.unchanging:
        raise ProtocolError(Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST, "the ClientHello")


def _unchanging(hello: ClientHello) -> bytes:
    """A digest of what both hellos must have in common; extensions may change their places."""
    kept = {
        kind: data
        for kind, data in sorted(hello.extensions.items())
        if kind not in _MAY_CHANGE_AFTER_RETRY
    }
    return hashlib.sha256(write_message(replace(hello, extensions=kept))).digest()


def _question_of(config: ServerConfig, offer: _Offer, types: tuple[str, ...]) -> ChooseCredentials:
    """What the client says about the certificate that it would like to see."""
    protocols = tuple([shown(protocol) for protocol in offer.protocols])
    authorities = authorities_of(offer.hello.extensions, config)
    return ChooseCredentials(
        offer.server_name, offer.signature_schemes, protocols, authorities, types
    )


async def _identify(
    hs: HandshakeContext, config: ServerConfig, offer: _Offer, known: ResumedClient | None
) -> _Identity | None:
    """Who this side is to a client that is not known; one that is must be served all the same."""
    if known is None:
        # RFC 8446 4.2.3: missing_extension, where the server shows a certificate after all.
        _required(offer.hello.extensions, ExtensionType.SIGNATURE_ALGORITHMS)
        return await _choose_identity(hs, config, offer)
    if config.refuses_names:
        question = _question_of(config, offer, offer.server_certificate_types)
        await check_name_is_served(hs, config, question)
    return None


async def _choose_identity(hs: HandshakeContext, config: ServerConfig, offer: _Offer) -> _Identity:
    """Which certificate this client gets, and the scheme to sign in."""
    types = choose_server_types(config, offer.server_certificate_types)
    question = _question_of(config, offer, types)
    credentials = await hs.ask(question)
    note_credentials(hs.trace, config, question, credentials)
    if credentials is None:
        raise ProtocolError(Fault.UNRECOGNIZED_NAME, offer.server_name or "no name was given")
    if credentials.certificate_type not in types:
        raise no_server_type(types, (credentials.certificate_type,))
    scheme = choose_signature_scheme(credentials, offer.signature_schemes, config.signature_schemes)
    offered = offer.signature_schemes
    note_signature_scheme(hs, config, offered, scheme, "TLSv1.3", credentials)
    if scheme is None:
        raise disagreement(
            Fault.NO_SHARED_SIGNATURE_SCHEME,
            offer.signature_schemes,
            credentials.schemes,
            keys=(credentials.key_kind,),
        )
    client_type = choose_client_type(
        config,
        offer.client_certificate_types,
        is_explicit=CLIENT_TYPE in offer.hello.extensions,
    )
    return _Identity(credentials, scheme, client_type)


def _respond(
    hs: HandshakeContext, config: ServerConfig, offer: _Offer, choice: _Choice
) -> tuple[bytes, bytes]:
    """This side's share, and the one secret that both sides then hold.

    Where the pre-shared key goes alone, zeros stand in its place (RFC 8446 section 7.1).
    """
    if choice.group is None:
        return b"", bytes(choice.suite.hash_size)
    respond, peer_share = GROUPS[choice.group].exchange.respond, offer.shares[choice.group]
    try:
        share, secret = hs.work("key_agreement", choice.group, respond, peer_share, config.entropy)
    except BadShare as error:
        raise ProtocolError(Fault.BAD_KEY_SHARE, f"{choice.group}: {error}") from None
    hs.note_shared_secret("shared_secret", choice.group, secret)
    return share, secret


def _send_server_hello(
    hs: HandshakeContext,
    offer: _Offer,
    choice: _Choice,
    known: ResumedClient | None,
    share: bytes,
    entropy: Callable[[int], bytes],
    *,
    skips: int,
) -> None:
    """`skips` is how many bytes of early data, if there are any, are to be passed over."""
    extensions: dict[int, bytes] = {}
    if known is not None:
        extensions[ExtensionType.PRE_SHARED_KEY] = ext.write_selected_identity(known.index)
    if choice.group is not None:
        entry = ext.KeyShareEntry(GROUPS[choice.group].code, share)
        extensions[ExtensionType.KEY_SHARE] = ext.write_key_share_server_hello(entry)
    extensions[ExtensionType.SUPPORTED_VERSIONS] = ext.write_selected_version(TLS13)
    hs.send(
        ServerHello(
            legacy_version=TLS12,
            random=entropy(32),
            legacy_session_id_echo=offer.hello.legacy_session_id,
            cipher_suite=choice.suite.code,
            legacy_compression_method=0,
            extensions=extensions,
        )
    )
    # RFC 8446 D.4: once, right after the first ServerHello or HelloRetryRequest.
    records = hs.records
    if records is None:
        return
    if offer.hello.legacy_session_id and not choice.retried:
        records.send_change_cipher_spec()
    if skips and ExtensionType.EARLY_DATA in offer.hello.extensions:
        records.skip_early_data(skips)


def _send_encrypted_extensions(
    hs: HandshakeContext,
    config: ServerConfig,
    offer: _Offer,
    choice: _Choice,
    identity: _Identity | None,
    known: ResumedClient | None,
    early: TrafficSecret | None,
) -> Asked | None:
    """EncryptedExtensions, and CertificateRequest if the client is asked; gives what was asked."""
    resumed = known is not None and known.psk.state is not None
    extensions = _encrypted_extensions(hs, config, offer, choice, resumed=resumed)
    if early is not None:
        extensions[ExtensionType.EARLY_DATA] = b""
    if identity is None:
        # RFC 8446 4.3.2: who proves itself by a pre-shared key is not asked for a certificate.
        hs.send(EncryptedExtensions(extensions))
        return None
    client_type, shown_type = identity.client_type, identity.credentials.certificate_type
    extensions.update(answering_extensions(offer.hello.extensions, shown_type, client_type))
    hs.send(EncryptedExtensions(extensions))
    if client_type is None:
        return None
    asked = _certificate_request_extensions(config, client_type)
    hs.send(CertificateRequest(b"", asked))
    return Asked(asked, client_type, config.certificate_compression or (), config.limits)


def _encrypted_extensions(
    hs: HandshakeContext, config: ServerConfig, offer: _Offer, choice: _Choice, *, resumed: bool
) -> dict[int, bytes]:
    """What this server agrees to (RFC 8446 section 4.3.1)."""
    extensions: dict[int, bytes] = {}
    asked = offer.hello.extensions
    if offer.server_name is not None and not resumed:
        # RFC 6066 3: a server that resumes a session "MUST NOT include a server_name extension".
        extensions[ExtensionType.SERVER_NAME] = b""
    if choice.alpn is not None:
        extensions[ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION] = ext.write_alpn(
            [choice.alpn.encode("ascii")]
        )
    data = asked.get(ExtensionType.RECORD_SIZE_LIMIT)
    if data is not None and hs.records is not None:
        own_limit = config.record_size_limit or MAX_RECORD_SIZE_LIMIT
        hs.records.limit_write(ext.read_record_size_limit(data))
        hs.records.limit_read(own_limit)
        extensions[ExtensionType.RECORD_SIZE_LIMIT] = ext.write_record_size_limit(own_limit)
    return extensions


def _certificate_request_extensions(config: ServerConfig, client_type: str) -> dict[int, bytes]:
    """What a CertificateRequest asks for; the same in each one of a config."""
    made: dict[int, bytes] = config.once(
        f"certificate request {client_type}", lambda config: _asking(config, client_type)
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


async def _receive_client_authentication(
    hs: HandshakeContext, config: ServerConfig, asked: Asked | None, known: ResumedClient | None
) -> tuple[PeerCertificate | None, VerifiedPeer | None, AuthenticatedPeer | None]:
    """Certificate and CertificateVerify, if the client was asked for them (section 4.4).

    For a client that comes back, the session's secret stands for the signature of then: Finished,
    which is made from it, has to come yet.
    """
    if asked is None:
        client = known.client if known is not None else None
        if client is None:
            return None, None, None
        return None, client, authenticated_by(client, None)
    message = await hs.receive(Certificate, CompressedCertificate)
    shown = read_certificate(hs.reading, message, asked)
    if not shown.chain:
        if config.client_auth is ClientAuth.REQUIRED:
            raise ProtocolError(Fault.CLIENT_CERTIFICATE_MISSING)
        return None, None, None
    client = await verify_peer(hs, shown, peer_is_server=False, server_name=None)
    authenticated = await receive_certificate_verify(
        hs, client, CLIENT_CONTEXT, config.signature_schemes
    )
    return shown, client, authenticated
