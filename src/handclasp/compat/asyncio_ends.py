"""The ends of a handshake that asyncio does not ask its TLS object about.

After `ssl_handshake_timeout`, and where the peer closes or resets the TCP connection during the
handshake, asyncio raises an exception of its own, and drops the object, which learns of nothing.
While handclasp is injected, and so at the application's wish, the method of `SSLProtocol` that
tells the waiting program tells the object before. Nothing changes for connections of `ssl`.
"""

from __future__ import annotations

import sys
from threading import Lock
from typing import Any

_METHOD = "_wakeup_waiter"


class _Ends:
    """The method of asyncio, and what stands in its place while it is to tell our objects."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._is_wanted = False
        self._protocol: Any = None
        self._replaced: Any = None
        self._ours: Any = None

    def begin(self) -> None:
        """Have asyncio tell the objects of this library from now on, once it is imported."""
        self._is_wanted = True
        self.attach()

    def end(self) -> None:
        """Give asyncio its own method back.

        Where somebody else has replaced ours since, it stays below theirs, and tells nothing.
        """
        self._is_wanted = False
        with self._lock:
            if self._protocol is not None and vars(self._protocol)[_METHOD] is self._ours:
                setattr(self._protocol, _METHOD, self._replaced)
                self._protocol = self._replaced = self._ours = None

    def attach(self) -> None:
        """Change asyncio's method, if that is wanted, possible, and not done yet."""
        if not self._is_wanted or self._protocol is not None:
            return
        with self._lock:  # Every thread that makes a connection comes here.
            protocol: Any = getattr(sys.modules.get("asyncio.sslproto"), "SSLProtocol", None)
            wake: Any = getattr(protocol, _METHOD, None)
            if wake is None or self._protocol is not None or not self._is_wanted:
                return
            self._protocol, self._replaced = protocol, wake
            self._ours = self._telling_before(wake)
            setattr(protocol, _METHOD, self._ours)

    def _telling_before(self, wake: Any) -> Any:
        def tell_and_wake(protocol: Any, exc: BaseException | None = None) -> None:
            link: Any = getattr(getattr(protocol, "_sslobj", None), "_sslobj", None)
            if exc is not None and self._is_wanted and hasattr(link, "explain_end_by_loop"):
                link.explain_end_by_loop(exc)
            wake(protocol, exc)

        return tell_and_wake


ENDS = _Ends()
"""The one of this process: `inject` begins it, `extract` ends it."""
