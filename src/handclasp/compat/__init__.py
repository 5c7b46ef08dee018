"""handclasp under programs that use `ssl`: contexts that are `ssl.SSLContext`.

Start in `link`, which says how this room sits under `ssl`. `context` has the settings, `errors` the
exceptions, and `activation` the ways to give all this to programs that make their contexts
themselves.
"""

from __future__ import annotations

import ssl

from handclasp.compat.activation import default_context, extract, inject, injected, is_injected
from handclasp.compat.context import SSLContext
from handclasp.compat.last_failure import find_failure
from handclasp.compat.more import SSLObject, SSLSocket

__all__ = [
    "SSLContext",
    "SSLObject",
    "SSLSocket",
    "create_default_context",
    "extract",
    "find_failure",
    "inject",
    "injected",
    "is_injected",
]


def create_default_context(
    purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH,
    *,
    cafile: str | None = None,
    capath: str | None = None,
    cadata: str | bytes | None = None,
) -> SSLContext:
    """Return a context with the settings of this interpreter's `ssl.create_default_context`.

    >>> import ssl
    >>> from handclasp.compat import create_default_context
    >>> context = create_default_context()  # for http.client, requests, asyncio...
    >>> isinstance(context, ssl.SSLContext) and context.check_hostname
    True
    """
    return default_context(purpose=purpose, cafile=cafile, capath=capath, cadata=cadata)
