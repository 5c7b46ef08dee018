"""The ClientHello as a server of TLS 1.3 takes it: reading and checking it, and choosing.

Every extension is read once, in one pass, whatever is made of it later: whether a hello is
well-formed must not depend on what the server happens to choose (RFC 9846 section 6.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from handclasp.config import ServerConfig
from handclasp.crypto.groups import GROUPS_BY_CODE
from handclasp.crypto.suites import CIPHER_SUITES, CipherSuite
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.certificate_types import (
    CLIENT_TYPE,
    SERVER_TYPE,
    offered_client_types,
    offered_server_types,
)
from handclasp.handshake.context import NO_OVERLAP, HandshakeContext
from handclasp.handshake.negotiation import choose_cipher_suite, choose_group, first_shared
from handclasp.handshake.offered import (
    asked_name,
    offered_groups,
    offered_schemes,
    offered_suites,
    protocols_reader,
)
from handclasp.handshake.tls13.resumption import Candidate, PskOffer, read_psks
from handclasp.handshake.trace_notes import decide_application_protocol, note_group13
from handclasp.iana import ExtensionType, group_name
from handclasp.keys.transcript import Transcript
from handclasp.values import value
from handclasp.wire import extensions as ext
from handclasp.wire.extension_table import FORMS, Form, MessageContext
from handclasp.wire.messages import ClientHello
from handclasp.wire.reader import Uint16s
from handclasp.wire.structs import Extensions
from handclasp.wire.writer import uint16s

_SUPPORTED_GROUPS = ExtensionType.SUPPORTED_GROUPS
_SIGNATURE_ALGORITHMS = ExtensionType.SIGNATURE_ALGORITHMS
_KEY_SHARE = ExtensionType.KEY_SHARE
_SERVER_NAME = ExtensionType.SERVER_NAME
_PSK_KEY_EXCHANGE_MODES = ExtensionType.PSK_KEY_EXCHANGE_MODES
_COMPRESS_CERTIFICATE = ExtensionType.COMPRESS_CERTIFICATE
_X509 = ("X509",)


@value(frozen=True, slots=True)
class Offer:
    """A ClientHello with the parts that the server chooses from, read and checked.

    Attributes:
        compression: the algorithms for certificates, by their numbers.
    """

    hello: ClientHello
    groups: tuple[str, ...]
    shares: dict[str, bytes]
    signature_schemes: tuple[str, ...]
    protocols: tuple[bytes, ...]
    server_name: str | None
    server_certificate_types: tuple[str, ...]
    client_certificate_types: tuple[str, ...]
    compression: tuple[int, ...]
    psks: PskOffer | None


@value(frozen=True, slots=True)
class Choice:
    """The server's choices from the offer; no group means: the pre-shared key alone."""

    suite: CipherSuite
    group: str | None
    alpn: str | None
    retried: bool = False


def read_offer(
    hs: HandshakeContext, config: ServerConfig, hello: ClientHello, before: Transcript | None
) -> Offer:
    """Read the extensions of a ClientHello that matter here (RFC 8446 sections 4.1.2 and 9.2).

    `before` is the transcript up to this hello, which the binders of pre-shared keys cover; None
    where nothing came before.
    """
    # RFC 8446 4.2.1: with supported_versions there, legacy_version decides nothing.
    if hello.legacy_compression_methods != b"\0":
        raise ProtocolError(Fault.COMPRESSION_CHOSEN, "the client offers compression")
    extensions = hello.extensions
    forms: Mapping[int, Form] = config.derived.once("client hello forms", _forms, config)
    values = hs.reading.read_forms(forms, extensions)
    psks = read_psks(hello, values.get(_PSK_KEY_EXCHANGE_MODES), before)
    groups: tuple[str, ...] = values.get(_SUPPORTED_GROUPS, ())
    if psks is None or psks.offered is None:
        # RFC 9846 9.2: only a client with a pre-shared key may leave these out.
        if not groups:
            required(extensions, _SUPPORTED_GROUPS)
        if _SIGNATURE_ALGORITHMS not in extensions:
            required(extensions, _SIGNATURE_ALGORITHMS)
    # RFC 9846 9.2: supported_groups and key_share come together.
    shares: dict[str, bytes] = {}
    if groups or _KEY_SHARE in extensions:
        if not groups:
            required(extensions, _SUPPORTED_GROUPS)
        data = extensions.get(_KEY_SHARE)
        if data is None:
            data = required(extensions, _KEY_SHARE)
        shares = _read_shares(config, groups, ext.client_shares(data))
    if _SERVER_NAME in extensions:
        hs.server_name = values[_SERVER_NAME]
    return Offer(
        hello=hello,
        groups=groups,
        shares=shares,
        signature_schemes=values.get(_SIGNATURE_ALGORITHMS, ()),
        protocols=values.get(ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION, ()),
        server_name=hs.server_name,
        server_certificate_types=values.get(SERVER_TYPE, _X509),
        client_certificate_types=values.get(CLIENT_TYPE, _X509),
        compression=values.get(_COMPRESS_CERTIFICATE, ()),
        psks=psks,
    )


def _forms(config: ServerConfig) -> dict[int, Form]:
    """Return the read functions of extensions that recur; lists become names."""
    named: dict[int, Form] = {
        _SUPPORTED_GROUPS: offered_groups,
        _SIGNATURE_ALGORITHMS: offered_schemes,
        ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION: protocols_reader(config),
        _SERVER_NAME: asked_name,
        SERVER_TYPE: offered_server_types,
        CLIENT_TYPE: offered_client_types,
    }
    forms = {**FORMS[MessageContext.CH], **named}
    # The version is chosen by then, encrypted_client_hello was read before, and the others are
    # read below.
    for kind in (
        ExtensionType.SUPPORTED_VERSIONS,
        ExtensionType.ENCRYPTED_CLIENT_HELLO,
        _KEY_SHARE,
        ExtensionType.PRE_SHARED_KEY,
    ):
        del forms[kind]
    return forms


def required(extensions: Extensions, kind: ExtensionType) -> bytes:
    """Return an extension's bytes. Raises `ProtocolError` (missing_extension, RFC 9846 9.2)."""
    data = extensions.get(kind)
    if data is None:
        raise ProtocolError(Fault.MISSING_EXTENSION, f"{kind.name.lower()} in ClientHello")
    return data


def _read_shares(
    config: ServerConfig, groups: tuple[str, ...], entries: Sequence[tuple[int, bytes]]
) -> dict[str, bytes]:
    if len(entries) > config.limits.max_key_shares:
        raise ProtocolError(Fault.TOO_MANY_EXTENSIONS, f"{len(entries)} key shares")
    listed = frozenset(groups)
    shares: dict[str, bytes] = {}
    for code, share in entries:
        group = GROUPS_BY_CODE.get(code)
        name = group.name if group is not None else group_name(code)
        if name not in listed or name in shares:
            raise ProtocolError(Fault.KEY_SHARE_NOT_IN_GROUPS, name)
        shares[name] = share
    return shares


def choose(
    hs: HandshakeContext, config: ServerConfig, offer: Offer, candidates: Sequence[Candidate]
) -> Choice:
    """Suite, group and application protocol, in this order. Raises `ProtocolError`."""
    codes = offer.hello.cipher_suites
    packed = codes.packed if isinstance(codes, Uint16s) else uint16s(codes)
    suites = hs.reading.read(offered_suites, packed)
    own: Sequence[str] = config.derived.once("suites of TLS 1.3", _suites, config)
    if candidates:
        own = _suites_by_psk_hash(own, candidates)
    first = config.prefer_client_order
    if hs.trace is None:
        shared = first_shared(suites, own, prefer_offered=first)
        suite = shared or choose_cipher_suite(suites, own, prefer_client_order=first)
    else:
        why = f"{_order(config)}, those of the client's key first" if candidates else _order(config)
        pick, what = choose_cipher_suite, "cipher_suite"
        suite = hs.decide(what, suites, own, why, pick, suites, own, prefer_client_order=first)
    group = choose_offered_group(hs, config, offer, candidates)
    alpn: str | None = None
    if (offer.protocols and config.alpn) or hs.trace is not None:
        alpn = decide_application_protocol(hs, config, offer.protocols)
    return Choice(CIPHER_SUITES[suite], group, alpn)


def _order(config: ServerConfig) -> str:
    return "the client's order" if config.prefer_client_order else "the server's order"


def _suites(config: ServerConfig) -> tuple[str, ...]:
    return tuple([name for name in config.cipher_suites if name in CIPHER_SUITES])


def _suites_by_psk_hash(own: Sequence[str], candidates: Sequence[Candidate]) -> list[str]:
    """Return the suites with those of the keys' hashes first: a key goes with no others."""
    hashes = {each.psk.suite.hash_name for each in candidates}
    return sorted(own, key=lambda name: CIPHER_SUITES[name].hash_name not in hashes)


def choose_offered_group(
    hs: HandshakeContext, config: ServerConfig, offer: Offer, candidates: Sequence[Candidate]
) -> str | None:
    """Return the group, or None where the client offers none, and its key may go alone."""
    may_go_alone = candidates and config.allow_psk_ke and offer.psks is not None
    if may_go_alone and offer.psks is not None and ext.PSK_DHE_KE not in offer.psks.modes:
        return None
    if not candidates and not config.credentials:
        require_authentication(config)
    if not offer.groups:
        required(offer.hello.extensions, _SUPPORTED_GROUPS)
    first = config.prefer_client_order
    try:
        # A group with a share is taken before all others.
        group = first_shared(
            tuple(offer.shares), config.groups, prefer_offered=first
        ) or choose_group(offer.groups, (), config.groups, prefer_client_order=first)
    except ProtocolError:
        hs.note_decision("group", offer.groups, config.groups, None, NO_OVERLAP)
        raise
    if hs.trace is not None:
        why = _order(config)
        if group not in offer.shares:
            why = "no usable share, so a HelloRetryRequest"
        note_group13(hs, config, offer.groups, offer.shares, group, why)
    return group


def require_authentication(config: ServerConfig) -> None:
    """Refuse a client without a known key where there is no certificate. Raises `ProtocolError`."""
    if not config.credentials and config.choose_credentials is None:
        raise ProtocolError(Fault.UNKNOWN_PSK_IDENTITY)
