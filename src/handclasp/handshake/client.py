"""The client until the version is known: hello, and which version the server takes."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from handclasp.config import ClientConfig
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.client_sessions import ClientSessions
from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.disagreement import older_version_chosen
from handclasp.handshake.offer import ClientOffer, client_offer
from handclasp.handshake.result import HandshakeResult
from handclasp.handshake.tls13 import client as client13
from handclasp.handshake.tls13.early_data import refuses_early_data, start_early_data
from handclasp.handshake.trace_notes import note_sessions, note_version
from handclasp.iana import TLS12, TLS13, VERSIONS_BY_NAME, ExtensionType, version_name
from handclasp.wire import extensions as ext
from handclasp.wire.messages import ServerHello

_SUPPORTED_VERSIONS = ExtensionType.SUPPORTED_VERSIONS
_SELECTED_TLS13 = ext.write_selected_version(TLS13)
_DOWNGRADE_SENTINELS = (b"DOWNGRD\x01", b"DOWNGRD\x00")


async def client_handshake(
    hs: HandshakeContext,
    config: ClientConfig,
    server_name: str | None,
    client_sessions: ClientSessions | None = None,
    offer: ClientOffer | None = None,
) -> Coroutine[Any, Any, HandshakeResult]:
    """Offer, and see which version the server takes; gives the rest, in that version.

    Args:
        offer: one that was made before; by default it is made here.
    """
    if hs.trace is not None:
        note_sessions(hs, client_sessions)
    if config.ech is not None:
        from handclasp.handshake.ech_client import encrypted_client_handshake

        return await encrypted_client_handshake(hs, config, server_name, client_sessions)
    session = client_sessions.session if client_sessions is not None else None
    if offer is None:
        offer = client_offer(config, server_name, session, hs)
    hs.client_random = offer.hello.random
    hs.send_raw(offer.hello.raw)
    if offer.early_data:
        start_early_data(hs, config, offer)
    server_hello = await hs.receive(ServerHello)
    if offer.early_data and refuses_early_data(server_hello):
        # The server cannot read what goes out under the key of early data, be it only the alert
        # that tells why this side gives up (RFC 9846 A.1).
        hs.revert_to_plaintext()
    if check_version(hs, config, server_hello) == TLS13:
        return client13.complete_client_handshake(hs, config, offer, server_hello, client_sessions)
    if offer.early_data:
        # RFC 8446 D.3: it "MUST fail a connection if it receives a ServerHello with TLS 1.2".
        raise ProtocolError(Fault.OLDER_VERSION_AFTER_EARLY_DATA)
    from handclasp.handshake.tls12 import client as client12  # Seldom is it needed any more.

    return client12.complete_client_handshake(hs, config, offer, server_hello, client_sessions)


def check_version(hs: HandshakeContext, config: ClientConfig, hello: ServerHello) -> int:
    """Return the version that the server chose (RFC 8446 sections 4.1.3 and 4.2.1)."""
    selected = hello.extensions.get(_SUPPORTED_VERSIONS)
    if selected == _SELECTED_TLS13 and "TLSv1.3" in config.versions and hs.trace is None:
        return TLS13
    version = hello.legacy_version if selected is None else ext.read_selected_version(selected)
    name = version_name(version)
    if hs.trace is not None:
        note_version(hs, config, name)
    if selected is not None:
        # RFC 8446 4.2.1: the extension is for TLS 1.3 and what comes after it.
        if version != TLS13 or name not in config.versions:
            raise ProtocolError(Fault.UNOFFERED_VERSION, name)
        return version
    if "TLSv1.3" in config.versions and hello.random[-8:] in _DOWNGRADE_SENTINELS:
        raise ProtocolError(Fault.VERSION_DOWNGRADE, f"the server could do better than {name}")
    if version == TLS12 and name in config.versions:
        return version
    if version in VERSIONS_BY_NAME.values() and version < TLS13:
        raise older_version_chosen(config.versions, name)
    raise ProtocolError(Fault.UNOFFERED_VERSION, name)
