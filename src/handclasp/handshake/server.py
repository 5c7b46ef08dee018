"""The server until the version is known: what the client offers (RFC 8446 section 4.1.2)."""

from __future__ import annotations

from handclasp.config import ServerConfig
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake import server12, server13
from handclasp.handshake.dialogue import Dialogue
from handclasp.handshake.offered import offered_versions
from handclasp.handshake.settled import Settled
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


async def server_handshake(hs: Dialogue, config: ServerConfig) -> Settled:
    """Read the hello, choose the version, and go on in that version."""
    hello = await hs.receive(ClientHello)
    hs.records.change_cipher_spec_allowed = True
    hs.client_random = hello.random
    check_allowed(hello.extensions, Place.CH, config.limits.extensions)
    if _choose_version(hs, config, hello) == TLS13:
        return await server13.complete_server_handshake(hs, config, hello)
    return await server12.complete_server_handshake(hs, config, hello)


def _choose_version(hs: Dialogue, config: ServerConfig, hello: ClientHello) -> int:
    """The newest that both speak (RFC 8446 section 4.2.1)."""
    data = hello.extensions.get(ExtensionType.SUPPORTED_VERSIONS)
    # supported_versions decides where it is there; before it, legacy_version named the newest.
    offered = (
        offered_versions(data)
        if data is not None
        else (version_name(min(hello.legacy_version, TLS12)),)
    )
    chosen = next((name for name in reversed(config.versions) if name in offered), None)
    hs.note_decision("version", offered, config.versions, chosen, "the newest that both speak")
    if chosen is None:
        raise ProtocolError(
            Fault.NO_SHARED_VERSION,
            f"offered: {', '.join(offered)}; accepted here: {', '.join(config.versions)}",
        )
    if FALLBACK_SCSV in hello.cipher_suites and chosen != config.versions[-1]:
        raise ProtocolError(Fault.INAPPROPRIATE_FALLBACK, f"{chosen} or less is offered")
    return VERSIONS_BY_NAME[chosen]
