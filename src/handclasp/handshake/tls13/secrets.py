"""The secrets of a TLS 1.3 handshake that a key log and a trace get, and when (RFC 9850)."""

from __future__ import annotations

from handclasp.handshake.context import HandshakeContext
from handclasp.keys.schedule13 import EarlySecret, ExporterSecret, TrafficSecret

_EARLY = "CLIENT_EARLY_TRAFFIC_SECRET"


def derive_early_secret(
    hs: HandshakeContext, stage: EarlySecret, client_hello_hash: bytes
) -> TrafficSecret:
    """Derive the secret right after a ClientHello with 0-RTT data, and note it in the key log."""
    secret = stage.client_early_traffic_secret(client_hello_hash)
    hs.note_secret(_EARLY, secret.secret)
    return secret


def note_early_secret_again(hs: HandshakeContext, secret: TrafficSecret) -> None:
    """Note it under the random of the outer hello, which turned out to be the one that counts.

    RFC 9850 section 2.1: the random is that of the inner hello only if ECH was negotiated, which
    nobody knows when early data begin.
    """
    hs.note_secret(_EARLY, secret.secret, is_in_trace=True)


def note_handshake_secrets(
    hs: HandshakeContext, client: TrafficSecret, server: TrafficSecret
) -> None:
    """Right after the ServerHello; only where `hs.tells_secrets`."""
    hs.note_secret("CLIENT_HANDSHAKE_TRAFFIC_SECRET", client.secret)
    hs.note_secret("SERVER_HANDSHAKE_TRAFFIC_SECRET", server.secret)


def note_application_secrets(
    hs: HandshakeContext, client: TrafficSecret, server: TrafficSecret, exporter: ExporterSecret
) -> None:
    """Right after the server's Finished; only where `hs.tells_secrets`."""
    hs.note_secret("CLIENT_TRAFFIC_SECRET_0", client.secret)
    hs.note_secret("SERVER_TRAFFIC_SECRET_0", server.secret)
    hs.note_secret("EXPORTER_SECRET", exporter.secret)
