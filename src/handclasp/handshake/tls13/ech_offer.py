"""The two hellos of Encrypted Client Hello (RFC 9849 section 6.1), and those after a retry.

The inner hello is the one that the client means, and only the server's key opens it. The outer one
carries it, and is that of a client which knows only the public name of the server.
"""

from __future__ import annotations

from collections.abc import Sequence

from handclasp.config import ClientConfig
from handclasp.crypto.hpke import EXPANSION, KEMS, HpkeContext, setup_sender
from handclasp.ech import chosen_suite
from handclasp.errors import ConfigurationError, ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.offer import (
    ClientOffer,
    client_offer,
    offered_psks,
    psk_modes_extension,
    server_name_extension,
    static_extensions,
    why_no_early_data,
)
from handclasp.handshake.tls13.psk import Psk, with_psks
from handclasp.iana import GREASE_VALUES, TLS12, ExtensionType
from handclasp.keys.transcript import Transcript
from handclasp.sessions.session import Session
from handclasp.values import field, replace, value
from handclasp.wire import extensions as ext
from handclasp.wire.ech import (
    INNER,
    EchConfig,
    EncryptedHello,
    encode_inner_hello,
    hpke_info,
    outer_aad,
    write_encrypted_client_hello,
)
from handclasp.wire.messages import ClientHello, write_message

_ECH = ExtensionType.ENCRYPTED_CLIENT_HELLO
_SERVER_NAME = ExtensionType.SERVER_NAME
_SUPPORTED_VERSIONS = ExtensionType.SUPPORTED_VERSIONS
_KEY_SHARE = ExtensionType.KEY_SHARE
_COOKIE = ExtensionType.COOKIE
_EARLY_DATA = ExtensionType.EARLY_DATA
_PRE_SHARED_KEY = ExtensionType.PRE_SHARED_KEY
_PSK_KEY_EXCHANGE_MODES = ExtensionType.PSK_KEY_EXCHANGE_MODES
_OF_OUTER_HELLO = frozenset(
    (
        _SERVER_NAME,
        _SUPPORTED_VERSIONS,
        ExtensionType.EC_POINT_FORMATS,
        ExtensionType.EXTENDED_MASTER_SECRET,
        ExtensionType.RENEGOTIATION_INFO,
        ExtensionType.SESSION_TICKET,
    )
)
"""The extensions that differ in an inner hello, or are of TLS 1.2 (RFC 9849 section 6.1)."""


@value(frozen=True, slots=True)
class Encryption:
    """The state that seals both hellos of a connection (RFC 9849 section 6.1.1)."""

    config: EchConfig
    cipher_suite: tuple[int, int]
    enc: bytes
    context: HpkeContext = field(repr=False)


@value(frozen=True, slots=True)
class EncryptedOffer:
    """An inner hello, and all that hides it.

    Attributes:
        inner: what the client means to offer.
        outer: what everybody can read, with the inner hello inside.
        shared: the extensions that the inner hello refers to in the outer one, in their order.
        transcript: of the handshake with the inner hello, which is all that it holds yet.
    """

    encryption: Encryption
    inner: ClientOffer
    outer: ClientOffer
    shared: tuple[int, ...]
    transcript: Transcript = field(repr=False)


def encrypted_offer(
    hs: HandshakeContext, config: ClientConfig, server_name: str | None, session: Session | None
) -> EncryptedOffer:
    """Make both hellos (RFC 9849 section 6.1).

    Everything that tells who is meant stands in the inner one alone: the name, the keys of earlier
    connections, and what the client says of itself to this server alone.
    """
    encryption = _encryption(config)
    outer = client_offer(outer_config(config), encryption.config.public_name, None, hs)
    psks = offered_psks(config, session)
    no_early_data = why_no_early_data(config, session) if config.allow_early_data else ""
    early_data = config.allow_early_data and not no_early_data
    extensions, shared = _inner_extensions(config, server_name, outer.hello, psks)
    if early_data:
        extensions[_EARLY_DATA] = b""
    hello = replace(
        outer.hello,
        random=config.entropy(32),
        cipher_suites=_inner_suites(outer.hello),
        extensions=extensions,
        raw=b"",
    )
    hello = with_psks(hello, psks, None, hs.observer)
    hello = replace(hello, raw=write_message(hello))
    inner = ClientOffer(
        hello, outer.shares, server_name, session, psks, early_data, no_early_data=no_early_data
    )
    draft = _outer_draft(config, outer.hello, inner)
    sealed = _sealed(encryption, inner, draft, shared, encryption.enc)
    transcript = Transcript()
    transcript.add(hello.raw)
    outer = replace(outer, hello=sealed, early_data=early_data)
    return EncryptedOffer(encryption, inner, outer, shared, transcript)


def second_encrypted_offer(offer: EncryptedOffer, inner: ClientOffer) -> EncryptedOffer:
    """Make the second outer hello, with the second inner one inside (RFC 9849 section 6.1.5)."""
    extensions, meant = dict(offer.outer.hello.extensions), inner.hello.extensions
    for kind in (_EARLY_DATA, *(() if inner.psks else (_PRE_SHARED_KEY,))):
        extensions.pop(kind, None)
    last = extensions.pop(_PRE_SHARED_KEY, None)
    extensions[_KEY_SHARE] = meant[_KEY_SHARE]
    if _COOKIE in meant:
        extensions[_COOKIE] = meant[_COOKIE]
    if last is not None:
        extensions[_PRE_SHARED_KEY] = last
    draft = replace(offer.outer.hello, extensions=extensions, raw=b"")
    hello = replace(inner.hello, raw=write_message(inner.hello))
    inner = replace(inner, hello=hello)
    sealed = _sealed(offer.encryption, inner, draft, offer.shared, b"")
    outer = replace(offer.outer, hello=sealed, early_data=False, retried=True)
    return replace(offer, inner=inner, outer=outer)


def check_retry_configs(
    offer: ClientOffer, configs: tuple[EchConfig, ...]
) -> tuple[EchConfig, ...]:
    """Return a server's retry_configs, which it may send if it took the outer hello (section 5).

    Raises `ProtocolError` (unsupported_extension).
    """
    if offer.hello.extensions[_ECH] == INNER:
        name = "encrypted_client_hello in EE, though the inner ClientHello was accepted"
        raise ProtocolError(Fault.UNSOLICITED_EXTENSION, name)
    return configs


def outer_config(config: ClientConfig) -> ClientConfig:
    """Return the config of a client that has only the public name of the server.

    It shows nothing of the client: no certificate (RFC 9849 section 6.1.7), and no key that the
    server might know. What it knows of the hidden server neither stands in the outer hello nor
    proves the public name.
    """
    return config.derived.once("outer config", _outer_config, config)


def _outer_config(config: ClientConfig) -> ClientConfig:
    anonymous = replace(
        config,
        ech=None,
        grease_ech=False,
        credentials=None,
        choose_credentials=None,
        client_certificate_types=None,
        confirm_peer=None,
        psks=(),
        # The hidden server may have keys that need it, and the outer hello looks as if it had.
        allow_psk_ke=config.allow_psk_ke and config.sessions is not None,
        allow_early_data=False,
        early_data_before_callbacks=False,
    )
    return _for_any_server(anonymous)


def _for_any_server(config: ClientConfig) -> ClientConfig:
    """Return the config without the raw keys, TLSA records and pins of one server.

    A server proves the public name by a certificate (RFC 9849 section 6.1.7): the holder of another
    key that the client knows would give it ECH configurations of its own. The authorities would
    tell everybody which server is meant (section 10.5). Where the client takes no certificate,
    nobody proves anything.
    """
    takes_certificates = config.verify is not None or config.accepts_certificates
    return replace(
        config,
        server_certificate_types=None,
        raw_public_keys=(),
        policy=replace(config.policy, tlsa=(), pins=()),
        verify_peer=config.verify_peer and takes_certificates,
        send_authorities=False,
    )


def _encryption(config: ClientConfig) -> Encryption:
    """Set up HPKE with the server's configuration (RFC 9849 section 6.1)."""
    ech_config = config.ech.usable if config.ech is not None else None
    suite = chosen_suite(ech_config) if ech_config is not None else None
    if ech_config is None or suite is None:
        raise ConfigurationError("ech: no configuration can be used.")
    kem, info = KEMS[ech_config.kem], hpke_info(ech_config)
    enc, context = setup_sender(kem, suite, ech_config.public_key, info, config.entropy)
    return Encryption(ech_config, (suite.kdf, suite.aead), enc, context)


def _inner_suites(outer: ClientHello) -> tuple[int, ...]:
    """Return those of TLS 1.3, with GREASE: no older version may be offered (section 6.1)."""
    return tuple(
        code
        for code in outer.cipher_suites
        if code >> 8 == _SUITES_OF_TLS13 or code in GREASE_VALUES
    )


_SUITES_OF_TLS13 = 0x13
"""The first byte of the cipher suites of TLS 1.3 (RFC 9846 section B.4)."""


def _inner_extensions(
    config: ClientConfig, server_name: str | None, outer: ClientHello, psks: Sequence[Psk]
) -> tuple[dict[int, bytes], tuple[int, ...]]:
    """Return the extensions of the inner hello, and which of them it shares with the outer one.

    The shared ones stand together, in the order of the outer hello (RFC 9849 section 5.1).
    """
    versions = ext.read_supported_versions(outer.extensions[_SUPPORTED_VERSIONS])
    own: dict[int, bytes] = {_ECH: INNER}
    own.update(server_name_extension(server_name)[0])
    own[_SUPPORTED_VERSIONS] = ext.write_supported_versions(
        [version for version in versions if version != TLS12]
    )
    shared = {kind: data for kind, data in outer.extensions.items() if kind not in _OF_OUTER_HELLO}
    if psks:
        shared[_PSK_KEY_EXCHANGE_MODES] = psk_modes_extension(config)
    for kind, data in static_extensions(config).items():
        if kind not in _OF_OUTER_HELLO and shared.get(kind) != data:
            shared.pop(kind, None)
            own[kind] = data
    return {**own, **shared}, tuple(shared)


def _outer_draft(config: ClientConfig, plain: ClientHello, inner: ClientOffer) -> ClientHello:
    """Return the outer hello without the encrypted one (RFC 9849 section 6.1, rules 6 and 7)."""
    extensions, meant = dict(plain.extensions), inner.hello.extensions
    # The order is that of `client_offer`: another one would tell this hello from one with GREASE.
    if inner.early_data:
        extensions[_EARLY_DATA] = b""
    if inner.psks:
        extensions.pop(_PSK_KEY_EXCHANGE_MODES, None)
        extensions[_PSK_KEY_EXCHANGE_MODES] = meant[_PSK_KEY_EXCHANGE_MODES]
    extensions[_ECH] = b""
    if inner.psks:
        extensions[_PRE_SHARED_KEY] = _grease_psks(config, inner.psks)
    return replace(plain, extensions=extensions, raw=b"")


def _grease_psks(config: ClientConfig, psks: Sequence[Psk]) -> bytes:
    """Return random bytes in the form of these keys: the outer hello must name none (6.1.2)."""
    entropy = config.entropy
    identities = [(entropy(len(each.identity)), int.from_bytes(entropy(4), "big")) for each in psks]
    binders = [entropy(each.suite.hash_size) for each in psks]
    return ext.identity_entries(identities) + ext.binder_entries(binders)


def _sealed(
    encryption: Encryption,
    inner: ClientOffer,
    draft: ClientHello,
    shared: Sequence[int],
    enc: bytes,
) -> ClientHello:
    """Return the outer hello with the inner one inside (RFC 9849 section 6.1.1)."""
    config = encryption.config
    has_name = _SERVER_NAME in inner.hello.extensions
    encoded = encode_inner_hello(
        inner.hello,
        shared,
        len(inner.server_name or "") if has_name else 0,
        config.maximum_name_length,
    )
    blank = bytes(len(encoded) + EXPANSION)
    hello = EncryptedHello(encryption.cipher_suite, config.config_id, enc, blank)
    payload = encryption.context.seal(outer_aad(draft, hello), encoded)
    data = write_encrypted_client_hello(replace(hello, payload=payload))
    outer = replace(draft, extensions={**draft.extensions, _ECH: data})
    return replace(outer, raw=write_message(outer))
