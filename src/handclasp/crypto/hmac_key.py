"""HMAC under a key that is used more than once (RFC 2104).

The key is hashed twice before any data. The two resulting states are kept and copied here, so that
each further value costs half.

`hmac_digest` comes in two forms, which do the same: `pure_hmac_digest`, which is the reference, and
that of `_speedups.c`, where it was built (`handclasp.speedups`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from handclasp.crypto.hashes import HASHES
from handclasp.speedups import ACCELERATED

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


def pure_hmac_digest(hash_name: str, key: bytes, data: bytes) -> bytes:
    """Return HMAC(key, data) with a key that is used once."""
    make, block_size = HASHES[hash_name]
    if len(key) > block_size:
        key = make(key).digest()
    block = key.ljust(block_size, b"\0")
    inner = make(block.translate(INNER) + data).digest()
    return make(block.translate(OUTER) + inner).digest()


if TYPE_CHECKING or ACCELERATED:
    from handclasp._speedups import hmac_digest as hmac_digest
else:
    hmac_digest = pure_hmac_digest
