"""The accelerator for records and HMAC: whether it was built, and is in use.

It is one file of C, `_speedups.c`, which an installation compiles where it finds a compiler.
Everything works without it. Set HANDCLASP_PURE in the environment to do without it in any case.

An editable installation keeps the file that it compiled, while a pull changes the source around it.
A file of another revision is therefore not used, and a warning says so.
"""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType

REVISION = 2
"""The revision of `_speedups.c` that this source goes with. The C states its own, by this name."""

_NAME = "handclasp._speedups"


def load() -> tuple[ModuleType | None, str]:
    """Import the accelerator: return it, or None and why the file that is there cannot be used.

    The reason is empty where no accelerator was built.

    >>> from handclasp.speedups import load
    >>> module, reason = load()
    >>> (module is None) or (reason == "")
    True
    """
    try:
        module = import_module(_NAME)
    except Exception as error:  # An older one may ask the source for a name that is gone.
        if isinstance(error, ModuleNotFoundError) and error.name == _NAME:
            return None, ""
        return None, f"cannot be imported ({error})"
    if getattr(module, "REVISION", None) != REVISION:
        return None, "was built from another revision of handclasp"
    return module, ""


def _choose() -> tuple[bool, str]:
    """Say whether the accelerator is in use, and the same for people. Warn of a stale one."""
    if os.environ.get("HANDCLASP_PURE"):
        return False, "pure Python"
    module, trouble = load()
    if trouble:
        import warnings  # Hardly ever needed.

        warnings.warn(
            f"The accelerator {_NAME} {trouble}, so handclasp does without it. Build it again by "
            "installing handclasp again; in a checkout that is `pip install -e .`",
            RuntimeWarning,
            stacklevel=3,
        )
        return False, f"pure Python: the accelerator {trouble}"
    return (True, "records in C") if module else (False, "pure Python")


_CHOICE = _choose()

ACCELERATED = _CHOICE[0]
"""True where C seals and opens the records of TLS 1.3, and does HMAC for its key schedule."""

FORM = _CHOICE[1]
"""The same, for people."""
