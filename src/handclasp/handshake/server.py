"""The server until the version is known: what the client offers (RFC 8446 section 4.1.2)."""

from __future__ import annotations

from handclasp.config import ServerConfig
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.dialogue import Dialogue
from handclasp.handshake.server13 import complete_server_handshake
from handclasp.handshake.settled import Settled13
from handclasp.wire import extensions as ext
from handclasp.wire.allowed import Place, check_allowed
from handclasp.wire.iana import TLS12, TLS13, ExtensionType, version_name
from handclasp.wire.messages import ClientHello


async def server_handshake(hs: Dialogue, config: ServerConfig) -> Settled13:
    """Read the hello, choose the version, and go on in that version."""
    hello = await hs.receive(ClientHello)
    hs.records.change_cipher_spec_allowed = True
    hs.client_random = hello.random
    check_allowed(hello.extensions, Place.CH, config.limits.extensions)
    _choose_version(hs, config, hello)
    return await complete_server_handshake(hs, config, hello)


def _choose_version(hs: Dialogue, config: ServerConfig, hello: ClientHello) -> None:
    """RFC 8446 section 4.2.1: supported_versions decides where it is there."""
    data = hello.extensions.get(ExtensionType.SUPPORTED_VERSIONS)
    if data is not None:
        versions = ext.read_supported_versions(data)
    else:
        versions = (min(hello.legacy_version, TLS12),)
    offered = tuple([version_name(version) for version in versions])
    chosen = version_name(TLS13) if TLS13 in versions else None
    hs.note_decision("version", offered, config.versions, chosen, "the newest that both speak")
    if chosen is None:
        raise ProtocolError(
            Fault.NO_SHARED_VERSION,
            f"offered: {', '.join(offered)}; accepted here: {', '.join(config.versions)}",
        )
