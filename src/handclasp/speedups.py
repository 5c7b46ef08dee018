"""The accelerator for records and HMAC: whether it was built, and is in use.

It is one file of C, `_speedups.c`, which an installation compiles where it finds a compiler.
Everything works without it. Set HANDCLASP_PURE in the environment to do without it in any case.
"""

from __future__ import annotations

import os
from importlib import import_module


def _is_there() -> bool:
    """Say whether the accelerator is wanted, and can be imported."""
    if os.environ.get("HANDCLASP_PURE"):
        return False
    try:
        import_module("handclasp._speedups")
    except ImportError:
        return False
    return True


ACCELERATED = _is_there()
"""True where C seals and opens the records of TLS 1.3, and does HMAC for its key schedule."""

FORM = "records in C" if ACCELERATED else "pure Python"
"""The same, for people."""
