"""The server of TLS 1.3, in the order of RFC 8446 section 2.

The server decides everything from the ClientHello: `_Choice` holds what it decided. Then it sends
its whole flight, and waits for the client's.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace

from handclasp.certificates.credentials import Credentials
from handclasp.config import MAX_RECORD_SIZE_LIMIT, ClientAuth, ServerConfig
from handclasp.crypto.groups import GROUPS, BadShare
from handclasp.crypto.signatures import of_versions
from handclasp.crypto.suites import CIPHER_SUITES, CipherSuite
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.authentication13 import (
    CLIENT_CONTEXT,
    SERVER_CONTEXT,
    receive_certificate_verify,
    receive_finished,
    send_certificate_verify,
    send_finished,
)
from handclasp.handshake.certificate13 import (
    Asked,
    asking_extensions,
    read_certificate,
    send_certificate,
)
from handclasp.handshake.dialogue import Dialogue
from handclasp.handshake.negotiate import (
    choose_application_protocol,
    choose_cipher_suite,
    choose_group,
    choose_signature_scheme,
    no_overlap,
    shown,
)
from handclasp.handshake.peer import (
    AuthenticatedPeer,
    PeerCertificate,
    confirm_peer,
    verify_peer,
)
from handclasp.handshake.questions import ChooseCredentials
from handclasp.handshake.secrets13 import (
    derive_application_secrets,
    derive_handshake_secrets,
)
from handclasp.handshake.settled import Settled13
from handclasp.info import ConnectionInfo
from handclasp.keys.schedule13 import EarlySecret
from handclasp.wire import extensions as ext
from handclasp.wire.allowed import Place, check_allowed
from handclasp.wire.iana import (
    CERTIFICATE_TYPES,
    TLS12,
    TLS13,
    ExtensionType,
    certificate_type_name,
    cipher_suite_name,
    group_name,
    signature_scheme_name,
    version_name,
)
from handclasp.wire.messages import (
    HELLO_RETRY_REQUEST_RANDOM,
    Certificate,
    CertificateRequest,
    ClientHello,
    CompressedCertificate,
    EncryptedExtensions,
    Extensions,
    ServerHello,
)

_COOKIE_SIZE = 32
_MAX_EARLY_DATA = 2**14 * 4
"""Bytes of early data to pass over: clients send what a ticket of another server allowed."""

_MAY_CHANGE_AFTER_RETRY = {
    ExtensionType.KEY_SHARE,
    ExtensionType.COOKIE,
    ExtensionType.EARLY_DATA,
    ExtensionType.PRE_SHARED_KEY,
    ExtensionType.PADDING,
    ExtensionType.ENCRYPTED_CLIENT_HELLO,
}


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class _Choice:
    """What the server takes from the offer."""

    suite: CipherSuite
    group: str
    alpn: str | None
    retried: bool = False


async def complete_server_handshake(
    hs: Dialogue, config: ServerConfig, hello: ClientHello
) -> Settled13:
    """Everything after the first ClientHello, which offers TLS 1.3."""
    offer = _read_offer(config, hello)
    choice = _choose(hs, config, offer)
    needs_retry = choice.group not in offer.shares
    hs.transcript.choose_hash(choice.suite.hash_name, retried=needs_retry)
    if needs_retry:
        offer = await _retry(hs, config, offer, choice)
        choice = replace(choice, retried=True)
    credentials, scheme = await _choose_credentials(hs, config, offer)

    share, shared_secret = _respond(config, offer, choice)
    _send_server_hello(hs, config, offer, choice, share)
    handshake_secret = EarlySecret.without_psk(choice.suite).handshake_secret(shared_secret)
    handshake = derive_handshake_secrets(hs, handshake_secret)
    hs.install_write(handshake.server.keys(), "handshake")
    hs.install_read(handshake.client.keys(), "handshake")

    client_type = _choose_client_certificate_type(config, offer)
    extensions = _encrypted_extensions(hs, config, offer, choice)
    extensions.update(_certificate_type_extensions(offer, credentials, client_type))
    hs.send(EncryptedExtensions(extensions))
    asked: dict[int, bytes] = {}
    if client_type is not None:
        asked = _certificate_request_extensions(config, client_type)
        hs.send(CertificateRequest(b"", asked))
    send_certificate(hs, config, credentials, offer.hello.extensions, Place.CH)
    await send_certificate_verify(hs, credentials, scheme, SERVER_CONTEXT)
    send_finished(hs, handshake.server)

    application = derive_application_secrets(hs, handshake_secret)
    hs.install_write(application.server.keys(), "application")

    shown: PeerCertificate | None = None
    client: AuthenticatedPeer | None = None
    if client_type is not None:
        compression = config.certificate_compression or ()
        shown, client = await _receive_client_authentication(
            hs, config, Asked(asked, client_type, compression, config.limits)
        )
    peer_finished = await receive_finished(hs, handshake.client)
    hs.install_read(application.client.keys(), "application")

    early_data = "rejected" if ExtensionType.EARLY_DATA in hello.extensions else "none"
    info = _info(offer, choice, credentials, scheme, shown, client, early_data)
    return Settled13(
        info, peer_finished, application.server, application.client, application.exporter
    )


def _info(
    offer: _Offer,
    choice: _Choice,
    credentials: Credentials,
    scheme: str,
    shown: PeerCertificate | None,
    client: AuthenticatedPeer | None,
    early_data: str,
) -> ConnectionInfo:
    return ConnectionInfo(
        version=version_name(TLS13),
        cipher_suite=choice.suite.name,
        group=choice.group,
        signature_scheme=scheme,
        alpn=choice.alpn,
        server_name=offer.server_name,
        resumed=False,
        early_data=early_data,
        hello_retry=choice.retried,
        peer_chain_der=client.chain if client else (),
        peer_verified=client.verified if client else False,
        verified_chain_der=client.path if client else (),
        local_chain_der=credentials.chain,
        client_signature_scheme=client.signature_scheme if client else None,
        peer_certificate_type=shown.certificate_type if shown else "X509",
        local_certificate_type=credentials.certificate_type,
        certificate_compression=shown.compression if shown else None,
        ocsp_response=shown.ocsp_response if shown else None,
        sct_list=shown.sct_list if shown else None,
    )


def _read_offer(config: ServerConfig, hello: ClientHello) -> _Offer:
    """The extensions of a ClientHello that matter here (RFC 8446 sections 4.1.2 and 9.2)."""
    # RFC 8446 4.2.1: with supported_versions there, legacy_version decides nothing.
    if hello.legacy_compression_methods != b"\0":
        raise ProtocolError(Fault.COMPRESSION_CHOSEN, "the client offers compression")
    extensions = hello.extensions
    if (
        ExtensionType.PRE_SHARED_KEY in extensions
        and next(reversed(list(extensions))) != ExtensionType.PRE_SHARED_KEY
    ):
        # RFC 8446 4.2.11: it MUST be the last extension, or illegal_parameter.
        raise ProtocolError(Fault.ILLEGAL_VALUE, "pre_shared_key is not the last extension")
    groups = ext.read_supported_groups(_required(extensions, ExtensionType.SUPPORTED_GROUPS))
    schemes = ext.read_signature_algorithms(
        _required(extensions, ExtensionType.SIGNATURE_ALGORITHMS)
    )
    entries = ext.read_key_share_client_hello(_required(extensions, ExtensionType.KEY_SHARE))
    name_data = extensions.get(ExtensionType.SERVER_NAME)
    alpn_data = extensions.get(ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION)
    return _Offer(
        hello=hello,
        groups=tuple([group_name(code) for code in groups]),
        shares=_read_shares(config, groups, entries),
        signature_schemes=tuple([signature_scheme_name(code) for code in schemes]),
        protocols=ext.read_alpn(alpn_data) if alpn_data is not None else (),
        server_name=ext.read_server_name(name_data) if name_data is not None else None,
        server_certificate_types=_read_types(
            extensions, ExtensionType.SERVER_CERTIFICATE_TYPE, "server_certificate_type"
        ),
        client_certificate_types=_read_types(
            extensions, ExtensionType.CLIENT_CERTIFICATE_TYPE, "client_certificate_type"
        ),
    )


def _read_types(extensions: Extensions, kind: ExtensionType, name: str) -> tuple[str, ...]:
    """The certificate types that the client takes or has, best first (RFC 7250 section 4.1)."""
    data = extensions.get(kind)
    if data is None:
        return ("X509",)
    return tuple([certificate_type_name(code) for code in ext.read_certificate_types(data, name)])


def _required(extensions: Extensions, kind: ExtensionType) -> bytes:
    # RFC 8446 9.2: missing_extension, as there is no pre-shared key to go without them.
    data = extensions.get(kind)
    if data is None:
        raise ProtocolError(Fault.MISSING_EXTENSION, f"{kind.name.lower()} in ClientHello")
    return data


def _read_shares(
    config: ServerConfig, groups: tuple[int, ...], entries: tuple[ext.KeyShareEntry, ...]
) -> dict[str, bytes]:
    if len(entries) > config.limits.list_entries:
        raise ProtocolError(Fault.TOO_MANY_EXTENSIONS, f"{len(entries)} key shares")
    listed = frozenset(groups)
    shares: dict[str, bytes] = {}
    for entry in entries:
        name = group_name(entry.group)
        if entry.group not in listed or name in shares:
            raise ProtocolError(Fault.KEY_SHARE_NOT_IN_GROUPS, name)
        shares[name] = entry.key_exchange
    return shares


def _choose(hs: Dialogue, config: ServerConfig, offer: _Offer) -> _Choice:
    suites = tuple([cipher_suite_name(code) for code in offer.hello.cipher_suites])
    order = "the client's order" if config.prefer_client_order else "the server's order"
    own = [name for name in config.cipher_suites if name in CIPHER_SUITES]
    suite = choose_cipher_suite(suites, own, prefer_client_order=config.prefer_client_order)
    hs.note_decision("cipher_suite", suites, own, suite, order)
    group = choose_group(
        offer.groups,
        tuple(offer.shares),
        config.groups,
        prefer_client_order=config.prefer_client_order,
    )
    why = order if group in offer.shares else "no usable share, so a HelloRetryRequest"
    hs.note_decision("group", offer.groups, config.groups, group, why)
    alpn = choose_application_protocol(offer.protocols, config.alpn)
    offered = [shown(protocol) for protocol in offer.protocols]
    hs.note_decision("alpn", offered, config.alpn, alpn, "the server's order")
    return _Choice(CIPHER_SUITES[suite], group, alpn)


async def _retry(hs: Dialogue, config: ServerConfig, offer: _Offer, choice: _Choice) -> _Offer:
    """Ask for a share of the chosen group (RFC 8446 section 4.1.4); gives the second offer."""
    cookie = config.entropy(_COOKIE_SIZE) if config.hello_retry_cookie else None
    hs.send(_hello_retry_request(offer, choice, cookie))
    if offer.hello.legacy_session_id:
        hs.records.send_change_cipher_spec()
    early_data = ExtensionType.EARLY_DATA in offer.hello.extensions
    hs.records.skip_early_data(_MAX_EARLY_DATA if early_data else 0)

    hello = await hs.receive(ClientHello)
    hs.records.skip_early_data(0)
    check_allowed(hello.extensions, Place.CH, config.limits.extensions)
    _check_second_hello(offer.hello, hello, cookie)
    second_offer = _read_offer(config, hello)
    if list(second_offer.shares) != [choice.group]:
        raise ProtocolError(
            Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST, f"key_share is not for {choice.group} alone"
        )
    return second_offer


def _hello_retry_request(offer: _Offer, choice: _Choice, cookie: bytes | None) -> ServerHello:
    extensions: dict[int, bytes] = {
        ExtensionType.KEY_SHARE: ext.write_key_share_hello_retry_request(GROUPS[choice.group].code)
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


def _check_second_hello(first: ClientHello, second: ClientHello, cookie: bytes | None) -> None:
    """RFC 8446 section 4.1.2: the second hello is the first but for the listed extensions."""
    data = second.extensions.get(ExtensionType.COOKIE)
    returned = ext.read_cookie(data) if data is not None else None
    if (returned is None) != (cookie is None) or not hmac.compare_digest(
        returned or b"", cookie or b""
    ):
        raise ProtocolError(Fault.BAD_COOKIE)
    if ExtensionType.EARLY_DATA in second.extensions:
        raise ProtocolError(Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST, "early_data is still there")
    if _comparable(first) != _comparable(second):
        raise ProtocolError(Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST, "the ClientHello")


def _comparable(hello: ClientHello) -> ClientHello:
    kept = {
        kind: data for kind, data in hello.extensions.items() if kind not in _MAY_CHANGE_AFTER_RETRY
    }
    return replace(hello, extensions=kept)


async def _choose_credentials(
    hs: Dialogue, config: ServerConfig, offer: _Offer
) -> tuple[Credentials, str]:
    """Which certificate this client gets, and the scheme to sign in."""
    protocols = tuple([shown(protocol) for protocol in offer.protocols])
    data = offer.hello.extensions.get(ExtensionType.CERTIFICATE_AUTHORITIES)
    authorities = ext.read_certificate_authorities(data) if data is not None else ()
    types = offer.server_certificate_types
    question = ChooseCredentials(
        offer.server_name, offer.signature_schemes, protocols, authorities, types
    )
    credentials = await hs.ask(question)
    if credentials is None:
        raise ProtocolError(Fault.UNRECOGNIZED_NAME, offer.server_name or "no name was given")
    if credentials.certificate_type not in types:
        detail = no_overlap(types, (credentials.certificate_type,))
        raise ProtocolError(Fault.NO_SHARED_CERTIFICATE_TYPE, detail)
    scheme = choose_signature_scheme(credentials, offer.signature_schemes, config.signature_schemes)
    hs.note_decision(
        "signature_scheme",
        offer.signature_schemes,
        credentials.schemes,
        scheme,
        "the first that fits the certificate's key",
    )
    if scheme is None:
        raise ProtocolError(
            Fault.NO_SHARED_SIGNATURE_SCHEME,
            no_overlap(offer.signature_schemes, credentials.schemes),
        )
    return credentials, scheme


def _respond(config: ServerConfig, offer: _Offer, choice: _Choice) -> tuple[bytes, bytes]:
    """This side's share, and the one secret that both sides then hold."""
    try:
        return GROUPS[choice.group].exchange.respond(offer.shares[choice.group], config.entropy)
    except BadShare as error:
        raise ProtocolError(Fault.BAD_KEY_SHARE, f"{choice.group}: {error}") from None


def _send_server_hello(
    hs: Dialogue, config: ServerConfig, offer: _Offer, choice: _Choice, share: bytes
) -> None:
    entry = ext.KeyShareEntry(GROUPS[choice.group].code, share)
    hs.send(
        ServerHello(
            legacy_version=TLS12,
            random=config.entropy(32),
            legacy_session_id_echo=offer.hello.legacy_session_id,
            cipher_suite=choice.suite.code,
            legacy_compression_method=0,
            extensions={
                ExtensionType.KEY_SHARE: ext.write_key_share_server_hello(entry),
                ExtensionType.SUPPORTED_VERSIONS: ext.write_selected_version(TLS13),
            },
        )
    )
    # RFC 8446 D.4: once, right after the first ServerHello or HelloRetryRequest.
    if offer.hello.legacy_session_id and not choice.retried:
        hs.records.send_change_cipher_spec()
    if ExtensionType.EARLY_DATA in offer.hello.extensions:
        hs.records.skip_early_data(_MAX_EARLY_DATA)


def _encrypted_extensions(
    hs: Dialogue, config: ServerConfig, offer: _Offer, choice: _Choice
) -> dict[int, bytes]:
    """What this server agrees to (RFC 8446 section 4.3.1)."""
    extensions: dict[int, bytes] = {}
    asked = offer.hello.extensions
    if offer.server_name is not None:
        extensions[ExtensionType.SERVER_NAME] = b""
    if choice.alpn is not None:
        extensions[ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION] = ext.write_alpn(
            [choice.alpn.encode("ascii")]
        )
    if (data := asked.get(ExtensionType.RECORD_SIZE_LIMIT)) is not None:
        own_limit = config.record_size_limit or MAX_RECORD_SIZE_LIMIT
        hs.records.limit_write(ext.read_record_size_limit(data))
        hs.records.limit_read(own_limit)
        extensions[ExtensionType.RECORD_SIZE_LIMIT] = ext.write_record_size_limit(own_limit)
    return extensions


def _choose_client_certificate_type(config: ServerConfig, offer: _Offer) -> str | None:
    """What the client is to show, or None where it is not asked (RFC 7250 section 4.2)."""
    if config.client_auth is ClientAuth.NONE:
        return None
    accepted: tuple[str, ...] = ("RawPublicKey",) if config.raw_public_keys else ()
    if config.accepts_certificates:
        accepted += ("X509",)
    for name in offer.client_certificate_types:
        if name in accepted:
            return name
    if config.client_auth is ClientAuth.REQUIRED:
        detail = no_overlap(offer.client_certificate_types, accepted)
        raise ProtocolError(Fault.NO_SHARED_CERTIFICATE_TYPE, detail)
    return None


def _certificate_type_extensions(
    offer: _Offer, credentials: Credentials, client_type: str | None
) -> dict[int, bytes]:
    """The answers to the client's lists, where it sent such."""
    chosen: dict[int, bytes] = {}
    asked = offer.hello.extensions
    if ExtensionType.SERVER_CERTIFICATE_TYPE in asked:
        code = CERTIFICATE_TYPES[credentials.certificate_type]
        chosen[ExtensionType.SERVER_CERTIFICATE_TYPE] = ext.write_selected_certificate_type(code)
    if client_type is not None and ExtensionType.CLIENT_CERTIFICATE_TYPE in asked:
        code = CERTIFICATE_TYPES[client_type]
        chosen[ExtensionType.CLIENT_CERTIFICATE_TYPE] = ext.write_selected_certificate_type(code)
    return chosen


def _certificate_request_extensions(config: ServerConfig, client_type: str) -> dict[int, bytes]:
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
    hs: Dialogue, config: ServerConfig, asked: Asked
) -> tuple[PeerCertificate | None, AuthenticatedPeer | None]:
    """Certificate and CertificateVerify of the client that was asked for them (section 4.4)."""
    shown = read_certificate(await hs.receive(Certificate, CompressedCertificate), asked)
    if not shown.chain:
        if config.client_auth is ClientAuth.REQUIRED:
            raise ProtocolError(Fault.CLIENT_CERTIFICATE_MISSING)
        return None, None
    client = await verify_peer(hs, shown, peer_is_server=False, server_name=None)
    authenticated = await receive_certificate_verify(
        hs, client, CLIENT_CONTEXT, config.signature_schemes
    )
    await confirm_peer(hs, config, client, peer_is_server=False, server_name=None)
    return shown, authenticated
