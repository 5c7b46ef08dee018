"""HMAC under a key that is used more than once (RFC 2104).

The key is hashed twice before any data. The two resulting states are kept and copied here, so that
each further value costs half.

The hashes are the interpreter's own and not OpenSSL's, which `hashlib` prefers: inputs are some
dozen bytes long, and OpenSSL takes ten times as many instructions to set a hash up as to compute
it. If the interpreter was built without them, `hashlib` is used.
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
"""The hashes of cipher suites, and the sizes of their blocks in bytes."""

INNER = bytes(byte ^ 0x36 for byte in range(256))
OUTER = bytes(byte ^ 0x5C for byte in range(256))
"""The key's two masks, as tables for `bytes.translate`."""


class HmacKey:
    """A key of any length with its hash. The key is never printed."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, hash_name: str, key: bytes) -> None:
        make, block_size = HASHES[hash_name]
        if len(key) > block_size:
            key = make(key).digest()
        block = key.ljust(block_size, b"\0")
        self._inner = make(block.translate(INNER))
        self._outer = make(block.translate(OUTER))

    def digest(self, data: bytes) -> bytes:
        """Return HMAC(key, data), of the hash's size."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(data)
        outer.update(inner.digest())
        return outer.digest()


def hmac_digest(hash_name: str, key: bytes, data: bytes) -> bytes:
    """Return HMAC(key, data) with a key that is used once."""
    make, block_size = HASHES[hash_name]
    if len(key) > block_size:
        key = make(key).digest()
    block = key.ljust(block_size, b"\0")
    inner = make(block.translate(INNER) + data).digest()
    return make(block.translate(OUTER) + inner).digest()
