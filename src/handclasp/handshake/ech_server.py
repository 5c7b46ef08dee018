"""The server of Encrypted Client Hello in shared mode (RFC 9849 section 7).

A hello whose inner one this server can open counts as the inner one, and everything after it is as
if the client had sent that. All others count as they came: the extension may be GREASE, or be meant
for a key that is gone, and the client gets the current configurations.
"""

from __future__ import annotations

from collections.abc import Iterator

from handclasp.config import ServerConfig
from handclasp.crypto.groups import BadShare
from handclasp.crypto.hpke import KEMS, HpkeContext, OpenError, SymmetricSuite, setup_recipient
from handclasp.ech import (
    EchKey,
    ReloadingEchKeys,
    check_ech_keys,
    private_share,
    retry_configs,
)
from handclasp.errors import ConfigurationError, ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.ech_state import ReceivedEch
from handclasp.handshake.hooks import unfit_ech_keys
from handclasp.handshake.offered import asked_name
from handclasp.handshake.trace_notes import note_ech_secrets, note_hello_that_counts
from handclasp.iana import TLS13, VERSION_NAMES, ExtensionType, version_name
from handclasp.keys.ech import retry_confirmation
from handclasp.keys.transcript import Transcript
from handclasp.questions import FindEchKeys
from handclasp.values import replace
from handclasp.wire import extensions as ext
from handclasp.wire.ech import (
    INNER,
    EchConfig,
    EncryptedHello,
    decode_inner_hello,
    hpke_info,
    outer_aad,
    read_encrypted_client_hello,
)
from handclasp.wire.extension_table import MessageContext
from handclasp.wire.messages import ClientHello, ServerHello
from handclasp.wire.rules import check_extensions

_ECH = ExtensionType.ENCRYPTED_CLIENT_HELLO


async def find_keys(
    hs: HandshakeContext, config: ServerConfig, outer: ClientHello
) -> tuple[EchKey, ...]:
    """Return the current keys: those of files that change, or what the config's source answers."""
    if isinstance(config.ech, ReloadingEchKeys):
        return config.ech.current
    data = outer.extensions.get(ExtensionType.SERVER_NAME)
    name = hs.reading.read(asked_name, data) if data is not None else None
    found = await hs.ask(FindEchKeys(_read(outer).config_id, name))
    if found is None:
        return ()
    keys = tuple(found)
    try:
        check_ech_keys(keys)
    except ConfigurationError as error:
        raise unfit_ech_keys(error) from error
    return keys


def open_client_hello(
    hs: HandshakeContext, config: ServerConfig, outer: ClientHello, keys: tuple[EchKey, ...]
) -> ClientHello:
    """Return the hello that counts: the inner one, if a key opens it (RFC 9849 section 7.1).

    Whether no key has the config_id, or decryption fails, the outer hello counts, and nothing tells
    the two apart.
    """
    encrypted = _read(outer)
    if not keys:
        return outer
    hs.ech = ReceivedEch(encrypted, retry_configs=retry_configs(keys))
    aad = outer_aad(outer, encrypted)
    for key, ech_config in _candidates(config, keys, encrypted):
        opened = _open(key, ech_config, encrypted, aad)
        if opened is None:
            continue
        context, encoded = opened
        note_ech_secrets(hs, context, ech_config)
        inner = _inner_hello(hs, config, encoded, outer)
        if hs.trace is not None:
            why = f"the key with config_id {ech_config.config_id} opens it"
            note_hello_that_counts(hs, is_inner=True, why=why)
        hs.ech = ReceivedEch(encrypted, context, ech_config, inner.random)
        hs.client_random = inner.random
        hs.transcript = Transcript()
        hs.transcript.add(inner.raw)
        return inner
    if hs.trace is not None:
        why = f"no key opens what it holds (config_id {encrypted.config_id}), which may be GREASE"
        note_hello_that_counts(hs, is_inner=False, why=why)
    return outer


async def receive_second_hello(hs: HandshakeContext, config: ServerConfig) -> ClientHello:
    """Receive the second hello, out of an outer one if the first was (RFC 9849 section 7.1.1)."""
    ech = hs.ech
    if ech is None or ech.context is None:
        hello = await hs.receive(ClientHello)
        if _ECH in hello.extensions:
            _read(hello)
        return hello
    transcript, hs.transcript = hs.transcript, Transcript()
    outer = await hs.receive(ClientHello)  # It enters no transcript.
    hs.transcript = transcript
    check_extensions(outer.extensions, MessageContext.CH, config.limits.max_extensions)
    if _ECH not in outer.extensions:
        name = "encrypted_client_hello in the second ClientHello"
        raise ProtocolError(Fault.MISSING_EXTENSION, name)
    encrypted, first = _read(outer), ech.hello
    before = first.cipher_suite, first.config_id, b""
    if (encrypted.cipher_suite, encrypted.config_id, encrypted.enc) != before:
        raise ProtocolError(Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST, "encrypted_client_hello")
    try:
        encoded = ech.context.open(outer_aad(outer, encrypted), encrypted.payload)
    except OpenError:
        raise ProtocolError(Fault.ECH_NOT_DECRYPTED) from None
    inner = _inner_hello(hs, config, encoded, outer)
    transcript.add(inner.raw)
    return inner


def with_confirmation(hs: HandshakeContext, request: ServerHello, hash_name: str) -> ServerHello:
    """Return a HelloRetryRequest that confirms an inner hello that was taken (section 7.2.1).

    If none was, there is no confirmation. RFC 9849 section 7.1 allows random bytes in its place,
    which the client of OpenSSL 4.0 takes for an error.
    """
    ech = hs.ech
    if ech is None or ech.context is None:
        return request
    draft = replace(request, extensions={**request.extensions, _ECH: b""})
    confirmation = retry_confirmation(hs.transcript, hash_name, ech.inner_random, draft)
    return replace(request, extensions={**request.extensions, _ECH: confirmation})


def _read(hello: ClientHello) -> EncryptedHello:
    """Return the outer encrypted_client_hello. Raises `ProtocolError` for an inner one."""
    encrypted = read_encrypted_client_hello(hello.extensions[_ECH])
    if encrypted is None:
        # RFC 9849 section 7: it "should never be received directly from the network".
        raise ProtocolError(Fault.INNER_HELLO_IN_PLAINTEXT)
    return encrypted


def _candidates(
    config: ServerConfig, keys: tuple[EchKey, ...], encrypted: EncryptedHello
) -> Iterator[tuple[EchKey, EchConfig]]:
    """Yield the keys that may open it, with their configurations (RFC 9849 section 7.1)."""
    for key in keys:
        for each in key.configs:
            is_named = each.config_id == encrypted.config_id or config.ech_trial_decryption
            if is_named and encrypted.cipher_suite in each.cipher_suites:
                yield key, each


def _open(
    key: EchKey, config: EchConfig, encrypted: EncryptedHello, aad: bytes
) -> tuple[HpkeContext, bytes] | None:
    """Return the context of a key and EncodedClientHelloInner; None if it does not open it."""
    suite = SymmetricSuite(*encrypted.cipher_suite)
    if not suite.is_supported:
        return None
    try:
        context = setup_recipient(
            KEMS[config.kem], suite, encrypted.enc, private_share(key), hpke_info(config)
        )
        return context, context.open(aad, encrypted.payload)
    except (BadShare, OpenError):
        return None


def _inner_hello(
    hs: HandshakeContext, config: ServerConfig, encoded: bytes, outer: ClientHello
) -> ClientHello:
    """Return the inner hello, decoded and checked (RFC 9849 sections 5.1 and 7.1)."""
    inner, shared = decode_inner_hello(encoded, outer)
    if hs.trace is not None:
        hs.trace.inner_hello("received", inner.raw, shared)
    extensions = inner.extensions
    check_extensions(extensions, MessageContext.CH, config.limits.max_extensions)
    if extensions.get(_ECH) != INNER:
        detail = "it has no encrypted_client_hello of type inner"
        raise ProtocolError(Fault.BAD_INNER_HELLO, detail)
    data = extensions.get(ExtensionType.SUPPORTED_VERSIONS)
    if data is None:
        raise ProtocolError(Fault.BAD_INNER_HELLO, "it has no supported_versions")
    for version in ext.read_supported_versions(data):
        if version < TLS13 and version in VERSION_NAMES:
            raise ProtocolError(Fault.BAD_INNER_HELLO, f"it offers {version_name(version)}")
    return inner
