"""Early data (0-RTT) as the adapters show them: what to send, what came, what was not delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handclasp.errors import ConfigurationError, StateError
from handclasp.events import EarlyDataReceived, EarlyDataRejected, Event
from handclasp.lifecycle import State

if TYPE_CHECKING:
    from handclasp.client import ClientConnection
    from handclasp.config import ClientConfig
    from handclasp.connection import Connection


class EarlyData:
    """The early data of one connection, in either role.

    Args:
        config: the client's config; None for a server.
        to_send: what the client wants to send early; None: nothing.

    Raises:
        ConfigurationError: `to_send` is not bytes, or the config never sends early data.
    """

    __slots__ = ("_received", "_to_send", "undelivered")

    def __init__(self, config: ClientConfig | None = None, to_send: bytes | None = None) -> None:
        if to_send is not None and not isinstance(to_send, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"early_data must be bytes, not {type(to_send).__name__}.")
        if to_send is not None and config is not None and not config.allow_early_data:
            raise ConfigurationError(
                "This config never sends early data: give "
                "ClientConfig(sessions=SessionStore(), allow_early_data=True)."
            )
        self._to_send = to_send or b""
        self._received: list[bytes] = []
        self.undelivered = b""

    @staticmethod
    def check_known(connection: Connection[Any] | None, error: StateError | None = None) -> None:
        """Raise `StateError` before the handshake has ended: what comes of early data is open.

        A program that asked too early would get nothing, and lose what was not delivered.

        Args:
            connection: the connection, if there is one yet.
            error: what to raise in place of the error of a blocking socket.
        """
        if connection is None or connection.state is State.HANDSHAKING:
            raise error or StateError("The handshake is not complete: call do_handshake() first.")

    @property
    def received(self) -> bytes:
        """The early data that the client has sent so far."""
        if len(self._received) > 1:
            self._received = [b"".join(self._received)]
        return self._received[0] if self._received else b""

    def send_on(self, connection: ClientConnection) -> None:
        """Queue as much as the session allows; the rest counts as not delivered.

        Raises `TLSError` where the connection has failed.
        """
        size = min(len(self._to_send), connection.early_data_limit)
        early, self.undelivered = self._to_send[:size], self._to_send[size:]
        self._to_send = b""
        connection.send_early_data(early)

    def note(self, event: Event) -> None:
        """Take what an event tells of early data; most tell nothing."""
        if isinstance(event, EarlyDataReceived):
            self._received.append(event.data)
        elif isinstance(event, EarlyDataRejected):
            self.undelivered = event.data + self.undelivered
