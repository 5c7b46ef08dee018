"""A peer that reads whatever comes and sends it back, and never waits for anybody."""

from __future__ import annotations

import selectors
import socket
import threading
from contextlib import suppress

from handclasp import ClientConnection, DataReceived, PeerClosed, ServerConnection, TLSError


class EchoPeer:
    """One connection without a `TLSSocket`, in a thread of its own.

    What the other side does not read yet is kept, so that only a fault of the other side can make
    it wait. It answers close_notify with the rest of the echo and close_notify.
    """

    def __init__(
        self, sock: socket.socket, connection: ClientConnection | ServerConnection
    ) -> None:
        self._sock = sock
        self._connection = connection
        self._unsent = bytearray()
        self._shut = False
        self._wake, self._alarm = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)
        sock.setblocking(False)
        self._thread.start()

    def finish(self) -> None:
        """Send close_notify, and go on reading."""
        self._alarm.send(b"x")

    def stop(self) -> None:
        """End the thread; the other side must have closed by now."""
        self._alarm.close()
        self._thread.join(10)
        self._sock.close()
        self._wake.close()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake, selectors.EVENT_READ)
            selector.register(self._sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
            try:
                while self._step(selector):
                    pass
            except OSError:
                pass
        with suppress(OSError):
            # The other side may still be reading, although it has ended TLS.
            self._sock.shutdown(socket.SHUT_RDWR)

    def _step(self, selector: selectors.BaseSelector) -> bool:
        self._unsent += self._connection.data_to_send()
        if self._connection.closed and not self._unsent:
            if self._connection.peer_closed:
                return False
            if not self._shut:
                # As programs do: of two readers of a socket, only one sees close_notify.
                self._sock.shutdown(socket.SHUT_WR)
                self._shut = True
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
        selector.modify(self._sock, wanted)
        for key, ready in selector.select():
            if key.fileobj is self._wake:
                if not self._wake.recv(1):
                    return False
                self._connection.close()
            elif ready & selectors.EVENT_READ and not self._read():
                return False
            elif ready & selectors.EVENT_WRITE:
                del self._unsent[: self._sock.send(self._unsent)]
        return True

    def _read(self) -> bool:
        data = self._sock.recv(65536)
        if not data:
            return False
        try:
            events = self._connection.receive_data(data)
        except TLSError:
            events = []
        for event in events:
            if isinstance(event, DataReceived) and not self._connection.closed:
                self._connection.send_data(event.data)
            elif isinstance(event, PeerClosed):
                self._connection.close()
        return True
