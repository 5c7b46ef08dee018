"""The server until the version is known: what the client offers (RFC 8446 section 4.1.2)."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any

from handclasp.config import ServerConfig
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.disagreement import ONLY_UNSAFE, disagreement
from handclasp.handshake.ech_server import find_keys, open_client_hello
from handclasp.handshake.negotiation import first_shared, shown
from handclasp.handshake.offered import (
    asked_name,
    offered_suites,
    offered_versions,
    protocols_reader,
)
from handclasp.handshake.result import HandshakeResult
from handclasp.handshake.tls12 import server as server12
from handclasp.handshake.tls13 import server as server13
from handclasp.iana import (
    FALLBACK_SCSV,
    TLS12,
    TLS13,
    VERSIONS_BY_NAME,
    ExtensionType,
    version_name,
)
from handclasp.questions import ChooseConfig
from handclasp.wire.extension_table import FORMS, Form, MessageContext
from handclasp.wire.messages import ClientHello
from handclasp.wire.rules import check_extensions
from handclasp.wire.writer import uint16s

_SUPPORTED_VERSIONS = ExtensionType.SUPPORTED_VERSIONS
_ECH = ExtensionType.ENCRYPTED_CLIENT_HELLO
_SSL3 = 0x0300


async def server_handshake(
    hs: HandshakeContext, config: ServerConfig
) -> Coroutine[Any, Any, HandshakeResult]:
    """Read the hello and choose the version; gives the rest of the handshake, in that version.

    Only what goes on holds the hello, so that it can let go of it: a stranger's may be long.
    """
    hello = await hs.receive(ClientHello)
    if hs.records is not None:
        hs.records.change_cipher_spec_allowed = True
    hs.client_random = hello.random
    check_extensions(hello.extensions, MessageContext.CH, config.limits.max_extensions)
    if _ECH in hello.extensions:
        ech = config.ech
        keys = ech if isinstance(ech, tuple) else await find_keys(hs, config, hello)
        hello = open_client_hello(hs, config, hello, keys)
    if config.choose_config is not None:
        config = await _choose_config(hs, config, hello)
    version = _choose_version(hs, config, hello)
    if version == TLS13:
        return server13.complete_server_handshake(hs, config, hello)
    hs.reading.read_forms(_FORMS12, hello.extensions)
    return server12.complete_server_handshake(hs, config, hello)


_FORMS12: Mapping[int, Form] = {
    kind: form
    for kind, form in FORMS[MessageContext.CH].items()
    if kind
    not in (
        _SUPPORTED_VERSIONS,
        ExtensionType.RENEGOTIATION_INFO,
        ExtensionType.EXTENDED_MASTER_SECRET,
        ExtensionType.EC_POINT_FORMATS,
        ExtensionType.SUPPORTED_GROUPS,
        ExtensionType.SIGNATURE_ALGORITHMS,
        ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION,
        ExtensionType.SERVER_NAME,
        _ECH,
    )
}
"""The extensions that are read here for their errors alone before TLS 1.2 answers (RFC 9846 6.2).

Left out are those that its `_read_offer` or `open_client_hello` reads in any case. TLS 1.3 reads
all of them at once."""


async def _choose_config(
    hs: HandshakeContext, config: ServerConfig, hello: ClientHello
) -> ServerConfig:
    """Ask the application which config this client gets."""
    reading, extensions = hs.reading, hello.extensions
    name = extensions.get(ExtensionType.SERVER_NAME)
    alpn = extensions.get(ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION)
    protocols = reading.read(protocols_reader(config), alpn) if alpn is not None else ()
    hs.server_name = reading.read(asked_name, name) if name is not None else None
    chosen: ServerConfig | None = await hs.ask(
        ChooseConfig(
            hs.server_name,
            _offered_versions(hs, hello),
            reading.read(offered_suites, uint16s(hello.cipher_suites)),
            tuple(map(shown, protocols)),
        )
    )
    if chosen is None:
        return config
    await hs.follow(chosen)
    return chosen


def _offered_versions(hs: HandshakeContext, hello: ClientHello) -> tuple[str, ...]:
    """Out of supported_versions; before it, legacy_version named the newest."""
    data = hello.extensions.get(_SUPPORTED_VERSIONS)
    if data is not None:
        return hs.reading.read(offered_versions, data)
    return (version_name(min(hello.legacy_version, TLS12)),)


def _choose_version(hs: HandshakeContext, config: ServerConfig, hello: ClientHello) -> int:
    """Return the newest version that both speak (RFC 8446 section 4.2.1)."""
    data = hello.extensions.get(_SUPPORTED_VERSIONS)
    if data is not None and hello.legacy_version <= _SSL3:
        # RFC 8446 D.5: who receives 0x0300 "MUST abort the handshake", and below it is SSL 2.
        detail = f"legacy_version {hello.legacy_version:#06x}"
        raise ProtocolError(Fault.NO_SHARED_VERSION, detail, verdict=ONLY_UNSAFE)
    # supported_versions decides where it is there; before it, legacy_version named the newest.
    offered = (
        hs.reading.read(offered_versions, data)
        if data is not None
        else (version_name(min(hello.legacy_version, TLS12)),)
    )
    chosen = first_shared(offered, tuple(reversed(config.versions)))
    if hs.trace is not None:
        hs.note_decision("version", offered, config.versions, chosen, "the newest that both speak")
    if chosen is None:
        raise disagreement(Fault.NO_SHARED_VERSION, offered, config.versions)
    if chosen != config.versions[-1] and FALLBACK_SCSV in hello.cipher_suites:
        raise ProtocolError(Fault.INAPPROPRIATE_FALLBACK, f"{chosen} or less is offered")
    return VERSIONS_BY_NAME[chosen]
