"""The secrets of a TLS 1.3 handshake at the two points where keys change (RFC 8446 section 7.1).

Both roles derive the same ones from the same transcript; what a role installs when is its own.
"""

from __future__ import annotations

from dataclasses import field

from handclasp.handshake.context import HandshakeContext
from handclasp.keys.schedule13 import (
    EarlySecret,
    ExporterSecret,
    HandshakeSecret,
    MasterSecret,
    TrafficSecret,
)
from handclasp.values import value


@value(frozen=True, slots=True)
class TrafficSecrets:
    """The secrets of one epoch, by who sends under them."""

    client: TrafficSecret = field(repr=False)
    server: TrafficSecret = field(repr=False)


@value(frozen=True, slots=True)
class ApplicationSecrets(TrafficSecrets):
    """The last epoch's, and what the application's own keys come from."""

    exporter: ExporterSecret = field(repr=False)
    master: MasterSecret = field(repr=False)


def derive_early_secret(
    hs: HandshakeContext, stage: EarlySecret, client_hello_hash: bytes
) -> TrafficSecret:
    """Right after a ClientHello with 0-RTT data; the key log is told."""
    secret = stage.client_early_traffic_secret(client_hello_hash)
    hs.note_secret("CLIENT_EARLY_TRAFFIC_SECRET", secret.secret)
    return secret


def derive_handshake_secrets(hs: HandshakeContext, stage: HandshakeSecret) -> TrafficSecrets:
    """Right after the ServerHello; the key log is told."""
    hello_hash = hs.transcript.digest()
    client = stage.client_handshake_traffic_secret(hello_hash)
    server = stage.server_handshake_traffic_secret(hello_hash)
    hs.note_secret("CLIENT_HANDSHAKE_TRAFFIC_SECRET", client.secret)
    hs.note_secret("SERVER_HANDSHAKE_TRAFFIC_SECRET", server.secret)
    return TrafficSecrets(client, server)


def derive_application_secrets(hs: HandshakeContext, stage: HandshakeSecret) -> ApplicationSecrets:
    """Right after the server's Finished; the key log is told."""
    finished_hash = hs.transcript.digest()
    master_secret = stage.master_secret()
    client = master_secret.client_application_traffic_secret(finished_hash)
    server = master_secret.server_application_traffic_secret(finished_hash)
    exporter = master_secret.exporter_secret(finished_hash)
    hs.note_secret("CLIENT_TRAFFIC_SECRET_0", client.secret)
    hs.note_secret("SERVER_TRAFFIC_SECRET_0", server.secret)
    hs.note_secret("EXPORTER_SECRET", exporter.secret)
    return ApplicationSecrets(client, server, exporter, master_secret)
