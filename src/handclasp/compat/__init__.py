"""handclasp under programs that use `ssl`: contexts that are `ssl.SSLContext`.

    context = handclasp.compat.create_default_context()
    http.client.HTTPSConnection("example.com", context=context)

Start in `link`, which says how this room sits under `ssl`. `context` has the settings, `errors` the
exceptions, and `activation` the ways to give all this to programs that make their contexts
themselves.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from handclasp.compat.activation import default_context, extract, inject, injected, is_injected
from handclasp.compat.context import SSLContext

if TYPE_CHECKING:
    from ssl import Purpose

__all__ = [
    "SSLContext",
    "create_default_context",
    "extract",
    "inject",
    "injected",
    "is_injected",
]


def create_default_context(
    purpose: Purpose = ssl.Purpose.SERVER_AUTH,
    *,
    cafile: str | None = None,
    capath: str | None = None,
    cadata: str | bytes | None = None,
) -> SSLContext:
    """Return a context with the settings of this interpreter's `ssl.create_default_context`."""
    return default_context(purpose=purpose, cafile=cafile, capath=capath, cadata=cadata)
