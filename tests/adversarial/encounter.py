"""One of our connections and a scripted peer, in memory."""

from __future__ import annotations

from handclasp import Event, TLSError
from handclasp.client import ClientConnection
from handclasp.server import ServerConnection
from handclasp.testing.scripted import ScriptedPeer


class Encounter:
    """One of our connections with a scripted peer, until both are silent.

    Attributes:
        events, error: what our side made of it.
    """

    def __init__(self, connection: ClientConnection | ServerConnection, peer: ScriptedPeer) -> None:
        self.connection = connection
        self.peer = peer
        self.events: list[Event] = []
        self.error: TLSError | None = None
        self.run()

    def run(self) -> Encounter:
        while True:
            to_peer = bytes(self.connection.data_to_send())
            self.peer.feed(to_peer)
            to_us = self.peer.take()
            if to_us and self.error is None:
                self._receive(to_us)
            elif not to_peer:
                return self

    def _receive(self, data: bytes) -> None:
        try:
            self.events += self.connection.receive_data(data)
        except TLSError as error:
            self.error = error
        self.error = self.error or self.connection.failure
