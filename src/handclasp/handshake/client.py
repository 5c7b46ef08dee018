"""The client until the version is known: hello, and which version the server takes."""

from __future__ import annotations

from handclasp.config import ClientConfig
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.client_sessions import ClientSessions
from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.disagreement import ONLY_UNSAFE
from handclasp.handshake.offer import ClientOffer, client_offer
from handclasp.handshake.result import HandshakeResult
from handclasp.handshake.tls13 import client as client13
from handclasp.handshake.tls13.secrets import derive_early_secret
from handclasp.handshake.trace_notes import note_sessions, note_version
from handclasp.iana import TLS12, TLS13, VERSIONS_BY_NAME, ExtensionType, version_name
from handclasp.keys.epoch import Epoch
from handclasp.keys.transcript import Transcript
from handclasp.wire import extensions as ext
from handclasp.wire.codecs import write_message
from handclasp.wire.messages import ServerHello

_DOWNGRADE_SENTINELS = (b"DOWNGRD\x01", b"DOWNGRD\x00")


async def client_handshake(
    hs: HandshakeContext,
    config: ClientConfig,
    server_name: str | None,
    client_sessions: ClientSessions | None = None,
    offer: ClientOffer | None = None,
) -> HandshakeResult:
    """Offer, see which version the server takes, and go on in that version.

    Args:
        offer: one that was made before; by default it is made here.
    """
    session = client_sessions.session if client_sessions is not None else None
    if hs.trace is not None:
        note_sessions(hs, client_sessions)
    if offer is None:
        offer = client_offer(config, server_name, session, hs)
    hs.client_random = offer.hello.random
    if offer.hello.raw:
        hs.send_raw(offer.hello.raw)
    else:
        hs.send(offer.hello)
    if offer.early_data:
        start_early_data(hs, config, offer)
    server_hello = await hs.receive(ServerHello)
    if offer.early_data and _refuses_early_data(server_hello):
        # The server cannot read what goes out under the key of early data, be it only the alert
        # that tells why this side gives up (RFC 8446 A.1).
        hs.revert_to_plaintext()
    if _check_version(hs, config, server_hello) == TLS13:
        return await client13.complete_client_handshake(
            hs, config, offer, server_hello, client_sessions
        )
    if offer.early_data:
        # RFC 8446 D.3: it "MUST fail a connection if it receives a ServerHello with TLS 1.2".
        raise ProtocolError(Fault.OLDER_VERSION_AFTER_EARLY_DATA)
    from handclasp.handshake.tls12 import client as client12  # Seldom is it needed any more.

    return await client12.complete_client_handshake(
        hs, config, offer, server_hello, client_sessions
    )


def start_early_data(hs: HandshakeContext, config: ClientConfig, offer: ClientOffer) -> None:
    """What is sent until the server answers is early data (RFC 8446 section 4.2.10)."""
    if config.middlebox_compatibility and hs.records is not None:
        hs.records.send_change_cipher_spec()
    psk = offer.psks[0]
    digest = Transcript().digest_with(write_message(offer.hello), psk.hash_name)
    secret = derive_early_secret(hs, psk.early_secret(psk.suite, hs.observer), digest)
    hs.install_write(Epoch.EARLY_DATA, secret)


def _refuses_early_data(hello: ServerHello) -> bool:
    """Whether it is a retry, a full handshake or an older version (RFC 8446 section 4.2.10)."""
    kinds = hello.extensions
    resumes = ExtensionType.PRE_SHARED_KEY in kinds and ExtensionType.SUPPORTED_VERSIONS in kinds
    return hello.is_hello_retry_request or not resumes


def _check_version(hs: HandshakeContext, config: ClientConfig, hello: ServerHello) -> int:
    """The version that the server took (RFC 8446 sections 4.1.3 and 4.2.1)."""
    selected = hello.extensions.get(ExtensionType.SUPPORTED_VERSIONS)
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
        raise ProtocolError(
            Fault.NO_SHARED_VERSION,
            f"offered: {', '.join(config.versions)}; the server chose {name}",
            verdict=ONLY_UNSAFE if version < TLS12 else None,
        )
    raise ProtocolError(Fault.UNOFFERED_VERSION, name)
