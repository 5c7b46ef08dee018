"""A handshake that nobody may ever go on with: its trace tells so in the end.

A program gives up a handshake without a call that would say so: asyncio drops its object after
`ssl_handshake_timeout` or when a task is cancelled. What the trace needs is therefore kept apart
from the `Link`, and told when that is closed, collected, or left over at the exit of the
interpreter.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from handclasp.client import ClientConnection
    from handclasp.server import ServerConnection
    from handclasp.trace.hooks import Trace


class Unfinished:
    """A traced handshake that is not complete, without a reference to its `Link`.

    Attributes:
        is_late: whether the program has waited in vain for as long as its timeout, which says more
            than that it gave up afterwards.
    """

    def __init__(self, connection: ClientConnection | ServerConnection, trace: Trace) -> None:
        self._connection = connection
        self._trace = trace
        self._process = os.getpid()
        self.is_late = False

    def give_up(self) -> None:
        """Tell the trace that the program has given up, unless the handshake is over.

        The collector may call it within any other code of any thread, so it takes no lock, and asks
        nothing of the connection but how far it has come. A forked process tells nothing: the
        connection may live on in the other one.
        """
        connection = self._connection
        is_over = connection.info is not None or connection.failure is not None
        if is_over or self._process != os.getpid():
            return
        if self.is_late:
            self._trace.failed(connection.explain_delay())
        else:
            self._trace.failed(connection.explain_abandonment())
