"""The hashes of cipher suites, for inputs of some dozen bytes.

They are the interpreter's own and not OpenSSL's, which `hashlib` prefers: OpenSSL takes ten times
as many instructions to set a hash up as to compute it. If the interpreter was built without them,
`hashlib` is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hashlib import _Hash as HASH  # pyright: ignore[reportPrivateUsage]

Make = Callable[[bytes], "HASH"]


def _own(name: str, *modules: str) -> Make:
    """Return the interpreter's hash; its module has another name from Python 3.12 on."""
    for module in modules:
        try:
            make: Make = getattr(import_module(module), name)
        except (ImportError, AttributeError):
            continue
        return make
    made: Make = getattr(hashlib, name)
    return made


HASHES: Final[dict[str, tuple[Make, int]]] = {
    "sha256": (_own("sha256", "_sha2", "_sha256"), 64),
    "sha384": (_own("sha384", "_sha2", "_sha512"), 128),
}
"""The hashes by name, and the sizes of their blocks in bytes. `_speedups` takes them from here."""
