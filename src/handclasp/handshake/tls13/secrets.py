"""The secrets of a TLS 1.3 handshake at the two points where keys change (RFC 8446 section 7.1).

Both roles derive the same ones from the same transcript; what a role installs when is its own.
"""

from __future__ import annotations

from handclasp.handshake.context import HandshakeContext
from handclasp.keys.schedule13 import (
    EarlySecret,
    ExporterSecret,
    HandshakeSecret,
    MasterSecret,
    TrafficSecret,
)


def derive_early_secret(
    hs: HandshakeContext, stage: EarlySecret, client_hello_hash: bytes
) -> TrafficSecret:
    """Right after a ClientHello with 0-RTT data; the key log is told."""
    secret = stage.client_early_traffic_secret(client_hello_hash)
    hs.note_secret("CLIENT_EARLY_TRAFFIC_SECRET", secret.secret)
    return secret


def derive_handshake_secrets(
    hs: HandshakeContext, stage: HandshakeSecret, hello_hash: bytes
) -> tuple[TrafficSecret, TrafficSecret]:
    """The client's and the server's, right after the ServerHello; the key log is told."""
    client, server = secrets = stage.traffic_secrets(hello_hash)
    if hs.tells_secrets:
        hs.note_secret("CLIENT_HANDSHAKE_TRAFFIC_SECRET", client.secret)
        hs.note_secret("SERVER_HANDSHAKE_TRAFFIC_SECRET", server.secret)
    return secrets


def derive_application_secrets(
    hs: HandshakeContext, stage: MasterSecret, finished_hash: bytes
) -> tuple[TrafficSecret, TrafficSecret, ExporterSecret]:
    """The client's, the server's and the exporter's, right after the server's Finished."""
    client, server, exporter = secrets = stage.traffic_secrets(finished_hash)
    if hs.tells_secrets:
        hs.note_secret("CLIENT_TRAFFIC_SECRET_0", client.secret)
        hs.note_secret("SERVER_TRAFFIC_SECRET_0", server.secret)
        hs.note_secret("EXPORTER_SECRET", exporter.secret)
    return secrets
