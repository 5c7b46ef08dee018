"""What a complete handshake leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, field

from handclasp.handshake.authentication13 import CheckedFinished
from handclasp.info import ConnectionInfo
from handclasp.keys.schedule13 import ExporterSecret, TrafficSecret


@dataclass(frozen=True, slots=True)
class Settled13:
    """The result of a TLS 1.3 handshake, for the connection to live on.

    Attributes:
        info: what was agreed upon, for the application.
        peer_finished: the proof that the handshake was the same on both sides.
        send_secret, receive_secret: the first application traffic secrets.
        exporter_secret: for keys that the application takes out.
    """

    info: ConnectionInfo
    peer_finished: CheckedFinished
    send_secret: TrafficSecret = field(repr=False)
    receive_secret: TrafficSecret = field(repr=False)
    exporter_secret: ExporterSecret = field(repr=False)
