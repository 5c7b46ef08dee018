"""The ends of a handshake that asyncio does not ask its TLS object about.

After `ssl_handshake_timeout`, and where the peer closes or resets the TCP connection during the
handshake, asyncio raises an exception of its own, and drops the object, which learns of nothing.
So it does where the task is cancelled that waits for the handshake, as by `asyncio.timeout`. While
handclasp is injected, and so at the application's wish, the methods of `SSLProtocol` that tell the
waiting program, and that abort the connection, tell the object before. The one that goes on with a
handshake tells a server's object who its client is, which only asyncio knows. Nothing changes for
connections of `ssl`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from threading import Lock
from typing import Any


class _Ends:
    """The methods of asyncio, and what stands in their place while they are to tell our objects."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._is_wanted = False
        self._protocol: Any = None
        self._replaced: dict[str, Any] = {}
        self._ours: dict[str, Any] = {}

    def begin(self) -> None:
        """Have asyncio tell the objects of this library from now on, once it is imported."""
        self._is_wanted = True
        self.attach()

    def end(self) -> None:
        """Give asyncio its own methods back.

        Where somebody else has replaced one of ours since, that stays below theirs, and tells
        nothing.
        """
        self._is_wanted = False
        with self._lock:
            for name in list(self._ours):
                if vars(self._protocol)[name] is self._ours[name]:
                    setattr(self._protocol, name, self._replaced.pop(name))
                    del self._ours[name]

    def attach(self) -> None:
        """Change asyncio's methods, if that is wanted, possible, and not done yet."""
        if not self._is_wanted or len(self._ours) == len(_TELLERS):
            return
        with self._lock:  # Every thread that makes a connection comes here.
            protocol: Any = getattr(sys.modules.get("asyncio.sslproto"), "SSLProtocol", None)
            if protocol is None or not self._is_wanted:
                return
            self._protocol = protocol
            for name, tell in _TELLERS.items():
                method: Any = getattr(protocol, name, None)
                if method is not None and name not in self._ours:
                    self._replaced[name] = method
                    self._ours[name] = self._telling_before(method, tell)
                    setattr(protocol, name, self._ours[name])

    def _telling_before(self, method: Any, tell: Callable[..., None]) -> Any:
        def tell_and_call(protocol: Any, *arguments: Any, **named: Any) -> None:
            link: Any = getattr(getattr(protocol, "_sslobj", None), "_sslobj", None)
            if self._is_wanted and hasattr(link, "explain_end_by_loop"):
                tell(link, protocol, *arguments, **named)
            method(protocol, *arguments, **named)

        return tell_and_call


def _tell_of_exception(link: Any, _: Any, exc: BaseException | None = None) -> None:
    """Tell of the exception that the waiting program is about to get."""
    if exc is not None:
        link.explain_end_by_loop(exc)


def _tell_of_cancellation(link: Any, *_: Any) -> None:
    """Tell of the cancellation because of which asyncio is giving the handshake up, if it is one.

    It closes the transport while it handles that exception, and raises it again then.
    """
    from asyncio import CancelledError

    exc = sys.exception()
    is_cancelled = isinstance(exc, CancelledError) and not link.server_side
    # One exception may close many connections, of which the first is enough.
    if exc is not None and is_cancelled and "tls_failure" not in vars(exc):
        link.explain_end_by_loop(exc)


def _tell_of_address(link: Any, protocol: Any) -> None:
    """Tell who the client is. When the first bytes of one have come, there is a transport."""
    transport: Any = getattr(protocol, "_transport", None)
    if link.server_side and link.address is None and transport is not None:
        link.address = transport.get_extra_info("peername")


_TELLERS: dict[str, Callable[..., None]] = {
    "_wakeup_waiter": _tell_of_exception,
    "_abort": _tell_of_cancellation,
    "_do_handshake": _tell_of_address,
}
"""By a method of `SSLProtocol`: the function to call before it."""

ENDS = _Ends()
"""The one of this process: `inject` begins it, `extract` ends it."""
