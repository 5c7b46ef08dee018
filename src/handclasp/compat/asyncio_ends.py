"""The ends of a handshake that asyncio does not ask its TLS object about.

After `ssl_handshake_timeout`, and where the peer closes or resets the TCP connection during the
handshake, asyncio raises an exception of its own, and drops the object, which learns of nothing. So
the method of `SSLProtocol` that tells the waiting program is made to tell the object before.
Nothing changes for connections of `ssl`.
"""

from __future__ import annotations

import sys
from typing import Any


def tell_objects_of_ends() -> None:
    """Make asyncio tell the connections of this library how it ends their handshakes."""
    protocol: Any = getattr(sys.modules.get("asyncio.sslproto"), "SSLProtocol", None)
    wake: Any = getattr(protocol, "_wakeup_waiter", None)
    if wake is None or hasattr(wake, "tells_objects"):
        return

    def tell_and_wake(self: Any, exc: BaseException | None = None) -> None:
        link: Any = getattr(getattr(self, "_sslobj", None), "_sslobj", None)
        if exc is not None and hasattr(link, "explain_end_by_loop"):
            link.explain_end_by_loop(exc)
        wake(self, exc)

    tell_and_wake.tells_objects = True  # type: ignore[attr-defined]
    protocol._wakeup_waiter = tell_and_wake
