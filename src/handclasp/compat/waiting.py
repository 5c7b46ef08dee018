"""The exception by which a handshake over memory BIOs waits, and which tells what it waits for.

Some programs wait for the peer while they handle that exception, as anyio does, and httpx through
it. Where such a program gives up, nobody asks its object any more, but the exception is the context
of the one that ends the waiting.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from handclasp.compat.errors import EXPLANATION, translated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from handclasp.client import ClientConnection
    from handclasp.errors import TLSError
    from handclasp.server import ServerConnection


class HandshakeWaits(ssl.SSLWantReadError):
    """An `SSLWantReadError` that explains itself when somebody looks, and not before.

    There is one for each flight of a handshake, and hardly any is ever seen.
    """

    def __init__(
        self,
        waiting: ssl.SSLWantReadError,
        connection: ClientConnection | ServerConnection,
        server_hostname: str | None,
        *,
        server_side: bool,
        named: Mapping[str, str],
    ) -> None:
        super().__init__(*waiting.args)
        self.reason, self.library = waiting.reason, waiting.library
        self._connection = connection
        self._server_hostname = server_hostname
        self._server_side = server_side
        self._named = named
        self._failure: Any = None

    @property
    def failure(self) -> TLSError | None:
        """The failure that it is to give up now; None where the handshake is over."""
        connection = self._connection
        is_over = connection.info is not None or connection.failure is not None
        if self._failure is None and not is_over:
            self._failure = translated(
                connection.explain_abandonment(),
                self._server_hostname,
                server_side=self._server_side,
                named=self._named,
            )
        return self._failure  # type: ignore[no-any-return]

    @property
    def __notes__(self) -> list[str]:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        failure: Any = self.failure
        if failure is None:
            return []
        # Somebody who logs this may go on: it is no failure yet.
        how_far = f" ({failure.detail})" if failure.detail else ""
        peer = "client" if self._server_side else "server"
        return [f"{EXPLANATION}The handshake waits for the {peer}.{how_far}"]

    def __reduce__(self) -> tuple[Any, ...]:
        return ssl.SSLWantReadError, self.args


# In a traceback it is what `ssl` raises, for those who know `ssl`.
HandshakeWaits.__module__, HandshakeWaits.__qualname__ = "ssl", "SSLWantReadError"
