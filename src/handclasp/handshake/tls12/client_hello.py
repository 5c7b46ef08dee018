"""The ClientHello of TLS 1.2: what it offers, and what the server takes from it.

The certificate is chosen first, as its key decides which of the cipher suites can be used; the
suite comes next, with the group and the scheme that it needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from handclasp.certificates.credentials import Credentials
from handclasp.config import ServerConfig
from handclasp.crypto.groups import GROUPS
from handclasp.crypto.signatures import SIGNATURE_SCHEMES, of_versions
from handclasp.crypto.suites import CIPHER_SUITES12, CipherSuite12
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.certificate_types import (
    CLIENT_TYPE,
    SERVER_TYPE,
    choose_client_type,
    choose_server_types,
    no_server_type,
    read_offered_types,
)
from handclasp.handshake.context import NO_OVERLAP, HandshakeContext
from handclasp.handshake.disagreement import disagreement
from handclasp.handshake.hooks import staple_of
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
from handclasp.handshake.tls12.authentication import VERSION, authentication_of
from handclasp.handshake.tls12.resumption import SessionGrant, choose_grant
from handclasp.handshake.trace_notes import (
    decide_application_protocol,
    note_credentials,
    note_group12,
    note_signature_scheme,
    note_suite12,
)
from handclasp.iana import ExtensionType
from handclasp.questions import ChooseCredentials
from handclasp.values import field, value
from handclasp.wire import extensions as ext
from handclasp.wire.messages import ClientHello
from handclasp.wire.writer import uint16s

_ASSUMED_GROUPS = ("secp256r1",)
"""The groups for a client without supported_groups (RFC 8422 section 4 leaves it open)."""


@value(frozen=True, slots=True)
class Offer:
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
class Choice:
    """The server's choices from the offer, and all of it that is needed later.

    Attributes:
        group, scheme: of ECDHE; None with RSA key transport.
        client_type: the type of certificate that the client is asked for, if it is.
        client_version: the legacy_version of the hello, which RSA key transport proves.
    """

    suite: CipherSuite12
    credentials: Credentials
    group: str | None
    scheme: str | None
    alpn: str | None
    client_type: str | None
    staple: bytes | None = field(repr=False)
    grant: SessionGrant = field(repr=False)
    server_name: str | None
    client_version: int
    extended_master_secret: bool


def read_offer(hs: HandshakeContext, config: ServerConfig, hello: ClientHello) -> Offer:
    """Return the parts of a ClientHello that matter in TLS 1.2 (RFC 5246 section 7.4.1.2)."""
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
    return Offer(
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


async def choose(hs: HandshakeContext, config: ServerConfig, offer: Offer) -> Choice:
    """Choose suite, certificate, group, scheme and protocol. Raises `ProtocolError`."""
    groups = [name for name in config.groups if VERSION in GROUPS[name].versions]
    group = first_shared(offer.groups, groups, prefer_offered=config.prefer_client_order)
    usable = _usable_suites(config, offer, with_group=group is not None)
    if not usable:
        _refuse(hs, config, offer, groups, group)
    credentials, scheme = await _choose_credentials(hs, config, offer, usable)
    suite = _choose_suite(hs, config, offer, usable, credentials, group, scheme)
    if suite.key_exchange == "RSA":
        group = scheme = None
    else:
        order = "the client's order" if config.prefer_client_order else "the server's order"
        note_group12(hs, offer.groups, groups, group or "", order)
        offered = offer.signature_schemes
        note_signature_scheme(hs, config, offered, scheme, VERSION, credentials)
    hello, extended = offer.hello, offer.extended_master_secret
    return Choice(
        suite,
        credentials,
        group,
        scheme,
        alpn=decide_application_protocol(hs, config, offer.protocols),
        client_type=choose_client_type(
            config, offer.client_certificate_types, is_explicit=CLIENT_TYPE in hello.extensions
        ),
        staple=_staple(config, offer, credentials),
        grant=choose_grant(config, hello, extended=extended),
        server_name=offer.server_name,
        client_version=hello.legacy_version,
        extended_master_secret=extended,
    )


def _usable_suites(config: ServerConfig, offer: Offer, *, with_group: bool) -> list[CipherSuite12]:
    """Return the suites of both sides; without a shared group, those of key transport alone."""
    return [
        CIPHER_SUITES12[name]
        for name in config.cipher_suites
        if name in CIPHER_SUITES12
        and name in offer.cipher_suites
        and (with_group or CIPHER_SUITES12[name].key_exchange == "RSA")
    ]


def _choose_suite(
    hs: HandshakeContext,
    config: ServerConfig,
    offer: Offer,
    usable: Sequence[CipherSuite12],
    credentials: Credentials,
    group: str | None,
    scheme: str | None,
) -> CipherSuite12:
    """Return the first usable suite that goes with the certificate's key."""
    authentication = authentication_of(credentials.key_kind)
    fitting = [
        suite.name
        for suite in usable
        if suite.authentication == authentication
        and (credentials.can_decrypt if suite.key_exchange == "RSA" else scheme is not None)
    ]
    name = choose_cipher_suite(
        offer.cipher_suites, fitting, prefer_client_order=config.prefer_client_order
    )
    note_suite12(hs, config, offer.cipher_suites, fitting, name, group is not None)
    return CIPHER_SUITES12[name]


def _refuse(
    hs: HandshakeContext, config: ServerConfig, offer: Offer, groups: list[str], group: str | None
) -> None:
    """Nothing that both sides can do: raises what it was that failed."""
    own = [name for name in config.cipher_suites if name in CIPHER_SUITES12]
    kinds = _authentications(config)
    if group is None and not set(own).isdisjoint(offer.cipher_suites):
        hs.note_decision("group", offer.groups, groups, None, NO_OVERLAP)
        raise disagreement(Fault.NO_SHARED_GROUP, offer.groups, groups)
    # What the certificates here cannot do is no advice: a client that follows it is refused again.
    own = _authenticated(own, kinds) or own
    possible = _authenticated(CIPHER_SUITES12, kinds)
    hs.note_decision("cipher_suite", offer.cipher_suites, own, None, NO_OVERLAP)
    raise disagreement(Fault.NO_SHARED_CIPHER_SUITE, offer.cipher_suites, own, possible=possible)


def _authentications(config: ServerConfig) -> set[str]:
    """Return what the keys of the configured certificates sign as; empty if a callback chooses."""
    return {authentication_of(each.key_kind) for each in config.credential_list}


def _authenticated(suites: Iterable[str], kinds: set[str]) -> list[str]:
    """Return those of the suites that go with keys of these kinds; all if no kind is known."""
    return [name for name in suites if not kinds or CIPHER_SUITES12[name].authentication in kinds]


async def _choose_credentials(
    hs: HandshakeContext, config: ServerConfig, offer: Offer, usable: list[CipherSuite12]
) -> tuple[Credentials, str | None]:
    """Return the certificate for this client, and the scheme to sign its key exchange, if any."""
    authentications = {suite.authentication for suite in usable if suite.key_exchange == "ECDHE"}
    key_transport = any(suite.key_exchange == "RSA" for suite in usable)
    _check_any_key_fits(hs, config, offer, authentications, key_transport)
    schemes = [
        name
        for name in offer.signature_schemes
        if name in SIGNATURE_SCHEMES and _goes_with(name, authentications, offer.groups)
    ]
    types = choose_server_types(config, offer.server_certificate_types)
    question = credentials_question(config, offer, schemes, types, key_transport=key_transport)
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


def credentials_question(
    config: ServerConfig,
    offer: Offer,
    schemes: Sequence[str] | None = None,
    types: tuple[str, ...] = ("X509",),
    *,
    key_transport: bool = False,
) -> ChooseCredentials:
    """Return the question for a certificate, as the client's hello restricts it.

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
    offer: Offer,
    authentications: set[str],
    key_transport: bool,
) -> None:
    """If all shared suites are for keys of another kind, that is what to tell."""
    kinds = _authentications(config)
    wanted = [*authentications, "RSA"] if key_transport else authentications
    if kinds and kinds.isdisjoint(wanted):
        own = _authenticated(filter(CIPHER_SUITES12.__contains__, config.cipher_suites), kinds)
        hs.note_decision("cipher_suite", offer.cipher_suites, own, None, NO_OVERLAP)
        keys = [each.key_kind for each in config.credential_list]
        raise disagreement(Fault.NO_SHARED_CIPHER_SUITE, offer.cipher_suites, own, keys=keys)


def _goes_with(scheme: str, authentications: set[str], groups: tuple[str, ...]) -> bool:
    """Return whether a scheme's key goes with the suites, and its curve with the client.

    RFC 8422 section 5.1.1: supported_groups is about the curves in certificates, too.
    """
    kind = SIGNATURE_SCHEMES[scheme].key
    return authentication_of(kind) in authentications and (kind not in GROUPS or kind in groups)


def _staple(config: ServerConfig, offer: Offer, credentials: Credentials) -> bytes | None:
    data = offer.hello.extensions.get(ExtensionType.STATUS_REQUEST)
    if credentials.staple is None or data is None or not ext.read_status_request(data):
        return None
    return staple_of(credentials, config.clock())
