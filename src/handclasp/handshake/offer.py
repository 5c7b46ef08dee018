"""The ClientHello and what the client keeps of it (RFC 8446 section 4.1.2).

One hello offers both versions: a TLS 1.2 server reads the parts that it knows and answers in its
own way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from handclasp.certificates.names import ip_address
from handclasp.config import ClientConfig
from handclasp.crypto.groups import GROUPS, PrivateShare, share_within
from handclasp.crypto.suites import CIPHER_SUITES, CIPHER_SUITES12, CipherSuite
from handclasp.handshake.certificate_types import offering_extensions
from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.tls13.certificate import asking_extensions
from handclasp.handshake.tls13.psk import Psk, psk_of_external, psk_of_session, with_psks
from handclasp.iana import (
    FALLBACK_SCSV,
    GREASE_VALUES,
    TLS12,
    VERSIONS_BY_NAME,
    ExtensionType,
)
from handclasp.sessions.session import Session, milliseconds
from handclasp.values import field, replace, value
from handclasp.wire import extensions as ext
from handclasp.wire.messages import ClientHello, write_client_hello
from handclasp.wire.reader import Uint16s
from handclasp.wire.records import MAX_PLAINTEXT
from handclasp.wire.structs import write_entries
from handclasp.wire.writer import uint16s

_SUPPORTED_GROUPS = ExtensionType.SUPPORTED_GROUPS
_SUPPORTED_VERSIONS = ExtensionType.SUPPORTED_VERSIONS
_KEY_SHARE = ExtensionType.KEY_SHARE
_EARLY_DATA = ExtensionType.EARLY_DATA
_PSK_KEY_EXCHANGE_MODES = ExtensionType.PSK_KEY_EXCHANGE_MODES
_GREASE_ENC_SIZE, _AEAD_EXPANSION = 32, 16
_GREASE_ENC_LENGTH = _GREASE_ENC_SIZE.to_bytes(2, "big")
_GREASE_NAME_LENGTH = 64
"""The maximum_name_length that GREASE pretends to know: that of this library's own keys."""

_ALL_SUITES: Mapping[str, CipherSuite] = {**CIPHER_SUITES, **CIPHER_SUITES12}
_NULL_COMPRESSION = b"\0"
_NO_DATA = b"\0\0"
_GROUPS_TYPE = _SUPPORTED_GROUPS.to_bytes(2, "big")
_GREASE_SHARE = b"\0\1\0"
"""The length of a share of one byte, and the share."""

_ECH = ExtensionType.ENCRYPTED_CLIENT_HELLO
_GREASE_SUITES = [bytes([0, 0, 1, 0, 1 + byte % 3]) for byte in range(256)]
"""The type of an outer hello and an HPKE suite, for each byte of entropy (RFC 9849 6.2.1)."""


@value(frozen=True, slots=True)
class ClientOffer:
    """A ClientHello, and the private halves of its key shares by group name.

    `session` is the one that it offers to resume, and `psks` are the keys in it, that of the
    session first; `early_data` says whether data may follow at once, and `no_early_data` why not,
    where the config allows them. `answerable` are the extensions that a server may answer: all but
    GREASE (RFC 8701 section 3.1).
    """

    hello: ClientHello
    shares: Mapping[str, PrivateShare] = field(repr=False)
    server_name: str | None
    session: Session | None = None
    psks: tuple[Psk, ...] = ()
    early_data: bool = False
    retried: bool = False
    no_early_data: str = ""

    answerable: frozenset[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        kinds = frozenset(self.hello.extensions)
        object.__setattr__(self, "answerable", kinds - GREASE_VALUES)


def client_offer(
    config: ClientConfig,
    server_name: str | None,
    session: Session | None = None,
    hs: HandshakeContext | None = None,
) -> ClientOffer:
    """Make a fresh hello: new random, new key shares, new GREASE.

    Args:
        session: one to resume, if there is one; it was checked before.
        hs: tells its trace what the keys cost, and how the binders come about.
    """
    static: _Static = config.derived.once("client hello", _static, config)
    entropy, random = config.entropy, config.entropy(32)
    is_old = session is not None and session.version == "TLSv1.2"
    # With a ticket of TLS 1.2, its echo tells that the session is resumed (RFC 5077 3.4).
    session_id = entropy(32) if static.in_disguise or is_old else b""
    if is_old and session is not None and session.session_id:
        session_id = session.session_id
    suites, groups, versions, entries = static.suites, static.groups, static.versions, b""
    extensions: dict[int, bytes] = {}
    written = b""
    if config.grease:
        # RFC 8701 3.1: reserved values in the places where a client may put the unknown.
        suite, group, version, kind = map(_RESERVED.__getitem__, entropy(4))
        suites, groups, versions = suite + suites, group + groups, version + versions
        entries = group + _GREASE_SHARE
        extensions[int.from_bytes(kind, "big")] = b""
        written = kind + _NO_DATA
    named, named_written = server_name_extension(server_name)
    extensions |= named
    extensions[_SUPPORTED_GROUPS] = data = len(groups).to_bytes(2, "big") + groups
    extensions |= static.extensions
    written += named_written + _GROUPS_TYPE + len(data).to_bytes(2, "big") + data + static.written
    after: dict[int, bytes] = {}
    shares: dict[str, PrivateShare] = {}
    if static.has_tls13:
        for name in config.key_shares or ():
            share = share_within(name, shares) or _share(name, entropy, hs)
            shares[name] = share
            entries += (GROUPS[name].code << 16 | len(share.share)).to_bytes(4, "big") + share.share
        after[_SUPPORTED_VERSIONS] = len(versions).to_bytes(1, "big") + versions
        after[_KEY_SHARE] = len(entries).to_bytes(2, "big") + entries
    psks = _add_rare_extensions(config, static, session, after)
    if static.grease_ech_size:
        after[_ECH] = _grease_ech(entropy, static.grease_ech_size, server_name, psks)
    extensions |= after
    written += write_entries(after)
    raw = write_client_hello(random, session_id, suites, written) if not psks else b""
    listed = Uint16s(suites)
    hello = ClientHello(TLS12, random, session_id, listed, _NULL_COMPRESSION, extensions, raw)
    if psks:
        hello = with_psks(hello, psks, None, hs.observer if hs else None, written)
    early_data = _EARLY_DATA in after
    why_not = ""
    if config.allow_early_data and not early_data:
        why_not = why_no_early_data(config, session)
    return ClientOffer(hello, shares, server_name, session, psks, early_data, no_early_data=why_not)


def _add_rare_extensions(
    config: ClientConfig, static: _Static, session: Session | None, extensions: dict[int, bytes]
) -> tuple[Psk, ...]:
    """Add what most hellos are without; gives the pre-shared keys to offer."""
    if static.record_size_limit is not None:
        extensions[ExtensionType.RECORD_SIZE_LIMIT] = static.record_size_limit
    if static.takes_tickets12:
        is_old = session is not None and session.version == "TLSv1.2"
        extensions[ExtensionType.SESSION_TICKET] = session.ticket if is_old and session else b""
    psks: tuple[Psk, ...] = ()
    if session is not None or config.psks:
        psks = offered_psks(config, session)
    if config.allow_early_data and not why_no_early_data(config, session):
        extensions[_EARLY_DATA] = b""
    if static.psk_modes is not None and (psks or config.sessions is not None):
        extensions[_PSK_KEY_EXCHANGE_MODES] = static.psk_modes
    return psks


def _grease_ech(
    entropy: Callable[[int], bytes], size: int, server_name: str | None, psks: Sequence[Psk]
) -> bytes:
    """Return an encrypted_client_hello of random bytes (RFC 9849 section 6.2.1).

    It is as long as a real one for this server would be. Any 32 bytes are a public value of X25519.
    """
    size += max(len(server_name or ""), _GREASE_NAME_LENGTH)
    if psks:
        size += 8 + sum([7 + len(each.identity) + each.suite.hash_size for each in psks])
    size += -size % 32 + _AEAD_EXPANSION
    random = entropy(_GREASE_ENC_SIZE + 2 + size)
    head = _GREASE_SUITES[random[0]] + random[1:2] + _GREASE_ENC_LENGTH
    return head + random[2:34] + size.to_bytes(2, "big") + random[34:]


@lru_cache(maxsize=256)
def server_name_extension(name: str | None) -> tuple[dict[int, bytes], bytes]:
    """Return the server_name of a hello, and the same as bytes; both are empty without a name."""
    # RFC 6066 section 3: literal addresses are not permitted in server_name.
    if name is None or ip_address(name) is not None:
        return {}, b""
    named: dict[int, bytes] = {ExtensionType.SERVER_NAME: ext.write_server_name(name)}
    return named, write_entries(named)


def _share(
    group: str, entropy: Callable[[int], bytes], hs: HandshakeContext | None
) -> PrivateShare:
    generate = GROUPS[group].exchange.generate
    if hs is None or hs.trace is None:
        return generate(entropy)
    return hs.work("key_generation", group, generate, entropy)


def offered_psks(config: ClientConfig, session: Session | None) -> tuple[Psk, ...]:
    """Return the keys to offer, that of the session first: early data go under the first."""
    if "TLSv1.3" not in config.versions:
        return ()
    external = tuple([psk_of_external(key) for key in config.psks])
    if session is None or session.version != "TLSv1.3":
        return external
    return (psk_of_session(session, milliseconds(config.clock())), *external)


def why_no_early_data(config: ClientConfig, session: Session | None) -> str:
    """Return why this session allows no early data; empty if it does.

    RFC 8446 section 4.2.10: version, cipher suite and application protocol must be those that were
    agreed upon then.
    """
    if session is None:
        return "there is no session of this server to resume"
    if session.version != "TLSv1.3":
        return f"the session is one of {session.version}"
    if session.max_early_data == 0:
        return "the server's ticket does not allow any"
    if session.cipher_suite not in config.cipher_suites:
        return "the session's cipher suite is not offered any more"
    if session.alpn is not None and session.alpn not in config.alpn:
        return "the session's application protocol is not offered any more"
    return ""


def offer_after_retry(
    hs: HandshakeContext,
    config: ClientConfig,
    offer: ClientOffer,
    group: str | None,
    cookie: bytes | None,
    hash_name: str,
) -> ClientOffer:
    """Make the second hello: as the first but for what RFC 8446 section 4.1.2 lists.

    Args:
        hs: its transcript holds the first hello and the HelloRetryRequest, which the binders
            cover.
        hash_name: that of the suite that the server chose: keys of another are left out.
    """
    shares = offer.shares
    extensions = dict(offer.hello.extensions)
    if group is not None:
        share = _share(group, config.entropy, hs)
        shares = {group: share}
        entry = ext.KeyShareEntry(GROUPS[group].code, share.share)
        extensions[_KEY_SHARE] = ext.write_key_share_client_hello([entry])
    if cookie is not None:
        extensions[ExtensionType.COOKIE] = ext.write_cookie(cookie)
    extensions.pop(_EARLY_DATA, None)
    psks = tuple([each for each in offer.psks if each.suite.hash_name == hash_name])
    hello = with_psks(
        replace(offer.hello, extensions=extensions, raw=b""), psks, hs.transcript, hs.observer
    )
    return replace(offer, hello=hello, shares=shares, psks=psks, early_data=False, retried=True)


_RESERVED = [bytes([0x0A + 0x10 * (byte & 15)] * 2) for byte in range(256)]
"""A value of GREASE for each byte of entropy (RFC 8701 section 2)."""


@value(frozen=True, slots=True)
class _Static:
    """The parts of a hello that are the same in each one of a config.

    Attributes:
        suites, groups, versions: what stands in the lists, without GREASE and the length.
        extensions: those that never differ.
        written: the same as bytes.
        has_tls13: whether TLS 1.3 is offered.
        in_disguise: whether the hello has a session id, to look as if it resumed a session of
            TLS 1.2 (RFC 8446 section D.4).
        takes_tickets12: whether tickets of TLS 1.2 are wanted.
        psk_modes, record_size_limit: those extensions, where they are sent.
        grease_ech_size: bytes of an inner hello without name and keys (RFC 9849 section 6.2.1), for
            an encrypted_client_hello of random bytes; 0 where none is sent.
    """

    suites: bytes
    groups: bytes
    versions: bytes
    extensions: Mapping[int, bytes]
    written: bytes
    has_tls13: bool
    in_disguise: bool
    takes_tickets12: bool
    psk_modes: bytes | None
    record_size_limit: bytes | None
    grease_ech_size: int


def psk_modes_extension(config: ClientConfig) -> bytes:
    """Return the data of psk_key_exchange_modes (RFC 8446 section 4.2.9)."""
    modes = [ext.PSK_DHE_KE, ext.PSK_KE] if config.allow_psk_ke else [ext.PSK_DHE_KE]
    return ext.write_psk_key_exchange_modes(bytes(modes))


def _static(config: ClientConfig) -> _Static:
    has_tls13 = "TLSv1.3" in config.versions
    suites = [_ALL_SUITES[name].code for name in config.cipher_suites]
    extensions = static_extensions(config)
    limit = config.record_size_limit
    if limit is not None and not has_tls13:
        limit = min(limit, MAX_PLAINTEXT)  # RFC 8449 4: not more than the version allows.
    return _Static(
        suites=uint16s([*suites, FALLBACK_SCSV] if config.fallback else suites),
        groups=uint16s([GROUPS[name].code for name in config.groups]),
        versions=uint16s([VERSIONS_BY_NAME[name] for name in reversed(config.versions)]),
        extensions=extensions,
        written=write_entries(extensions),
        has_tls13=has_tls13,
        in_disguise=config.middlebox_compatibility and has_tls13,
        takes_tickets12="TLSv1.2" in config.versions and config.sessions is not None,
        psk_modes=psk_modes_extension(config) if has_tls13 else None,
        record_size_limit=ext.write_record_size_limit(limit) if limit is not None else None,
        grease_ech_size=_grease_ech_size(config) if has_tls13 else 0,
    )


def _grease_ech_size(config: ClientConfig) -> int:
    """Return the size of an inner hello, without name and keys of sessions; 0 for none.

    It is that of `encode_inner_hello`, of a hello which refers to all it can in the outer one.
    """
    if not (config.grease and config.grease_ech) or config.ech is not None:
        return 0
    suites = [name for name in config.cipher_suites if name in CIPHER_SUITES]
    shared = static_extensions(config).keys() - _EXTENSIONS_OF_TLS12.keys()
    references = len(shared) + _ALWAYS_SHARED
    references += (config.sessions is not None or bool(config.psks)) + (
        config.record_size_limit is not None
    )
    return _INNER_HELLO_SIZE + 2 * len(suites) + 2 * references


_ALWAYS_SHARED = 3
"""GREASE, supported_groups and key_share."""

_INNER_HELLO_SIZE = 43 + 28
"""The fixed fields of a hello, with GREASE among its suites, and its extensions: those that are
fixed (encrypted_client_hello, supported_versions) and the others without their content
(server_name, ech_outer_extensions)."""


def static_extensions(config: ClientConfig) -> dict[int, bytes]:
    wants_status = config.verify_peer and config.policy.stapled_ocsp != "ignore"
    extensions = dict(
        asking_extensions(
            schemes=tuple(config.signature_schemes),
            compression=_compression(config),
            status_request=ext.write_status_request() if wants_status else None,
            authorities=config.trust if config.send_authorities else None,
            timestamps=bool(config.policy.ct_logs),
        )
    )
    if config.alpn:
        extensions[ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION] = ext.write_alpn(
            [protocol.encode("ascii") for protocol in config.alpn]
        )
    if "TLSv1.2" in config.versions:
        extensions.update(_EXTENSIONS_OF_TLS12)
    if config.post_handshake_auth:
        extensions[ExtensionType.POST_HANDSHAKE_AUTH] = b""
    extensions.update(
        offering_extensions(config.peer_certificate_types, config.own_certificate_types)
    )
    return extensions


_EXTENSIONS_OF_TLS12: Mapping[int, bytes] = {
    ExtensionType.EC_POINT_FORMATS: ext.write_ec_point_formats(),
    ExtensionType.EXTENDED_MASTER_SECRET: b"",
    ExtensionType.RENEGOTIATION_INFO: ext.write_renegotiation_info(),
}


def _compression(config: ClientConfig) -> tuple[str, ...]:
    # RFC 8879 section 3: it is of TLS 1.3.
    return tuple(config.certificate_compression or ()) if "TLSv1.3" in config.versions else ()
