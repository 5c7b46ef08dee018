"""The server until the version is known: what the client offers (RFC 8446 section 4.1.2)."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from handclasp.config import ServerConfig
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake import server12, server13
from handclasp.handshake.dialogue import Dialogue
from handclasp.handshake.disagreement import ONLY_UNSAFE, disagreement
from handclasp.handshake.offered import offered_versions
from handclasp.handshake.settled import Settled
from handclasp.wire import extensions as ext
from handclasp.wire.allowed import Place, check_allowed
from handclasp.wire.iana import (
    FALLBACK_SCSV,
    TLS12,
    TLS13,
    VERSIONS_BY_NAME,
    ExtensionType,
    version_name,
)
from handclasp.wire.messages import ClientHello

_SSL3 = 0x0300


async def server_handshake(hs: Dialogue, config: ServerConfig) -> Settled:
    """Read the hello, choose the version, and go on in that version."""
    # Only what goes on holds the hello, so that it can let go of it: a stranger's may be long.
    complete = await _read_hello(hs, config)
    return await complete


async def _read_hello(hs: Dialogue, config: ServerConfig) -> Coroutine[Any, Any, Settled]:
    """Receive the first ClientHello; gives the rest of the handshake."""
    hello = await hs.receive(ClientHello)
    hs.records.change_cipher_spec_allowed = True
    hs.client_random = hello.random
    check_allowed(hello.extensions, Place.CH, config.limits.extensions)
    for kind in _READ_BY_NOBODY:
        if (data := hello.extensions.get(kind)) is not None:
            hs.reading.read(_READ_BY_NOBODY[kind], data)
    if _choose_version(hs, config, hello) == TLS13:
        return server13.complete_server_handshake(hs, config, hello)
    return server12.complete_server_handshake(hs, config, hello)


_READ_BY_NOBODY: Mapping[int, Callable[[bytes], object]] = {
    ExtensionType.STATUS_REQUEST: ext.read_status_request,
    ExtensionType.SIGNED_CERTIFICATE_TIMESTAMP: partial(
        ext.read_empty, name="signed_certificate_timestamp"
    ),
    ExtensionType.SIGNATURE_ALGORITHMS_CERT: ext.read_signature_algorithms,
    ExtensionType.EXTENDED_MASTER_SECRET: partial(ext.read_empty, name="extended_master_secret"),
    ExtensionType.EC_POINT_FORMATS: ext.read_ec_point_formats,
    ExtensionType.RENEGOTIATION_INFO: ext.read_renegotiation_info,
}
"""What some handshakes have no use for. RFC 8446: "Peers which receive a message which
cannot be parsed according to the syntax [...] MUST terminate the connection"."""


def _choose_version(hs: Dialogue, config: ServerConfig, hello: ClientHello) -> int:
    """The newest that both speak (RFC 8446 section 4.2.1)."""
    data = hello.extensions.get(ExtensionType.SUPPORTED_VERSIONS)
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
    chosen = next((name for name in reversed(config.versions) if name in offered), None)
    hs.note_decision("version", offered, config.versions, chosen, "the newest that both speak")
    if chosen is None:
        raise disagreement(Fault.NO_SHARED_VERSION, offered, config.versions)
    if chosen != config.versions[-1] and FALLBACK_SCSV in hello.cipher_suites:
        raise ProtocolError(Fault.INAPPROPRIATE_FALLBACK, f"{chosen} or less is offered")
    return VERSIONS_BY_NAME[chosen]
