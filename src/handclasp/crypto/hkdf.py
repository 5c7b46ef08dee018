"""HKDF as TLS 1.3 uses it (RFC 5869, RFC 9846 section 7.1)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from handclasp.crypto.hashes import HASHES
from handclasp.crypto.hmac_key import INNER, OUTER, HmacKey, hmac_digest
from handclasp.crypto.secret import Secret
from handclasp.speedups import ACCELERATED


def hkdf_extract(hash_name: str, salt: bytes, input_key_material: bytes) -> Secret:
    """Return HKDF-Extract (RFC 5869 section 2.2): one secret of the hash's size."""
    return Secret(hmac_digest(hash_name, salt, input_key_material))


def hkdf_expand_label(
    hash_name: str, secret: bytes, label: str, context: bytes, length: int
) -> Secret:
    """Return HKDF-Expand-Label (RFC 9846 7.1): `length` bytes bound to `label` and `context`."""
    return ExpandKey(hash_name, secret).expand_label(label, context, length)


def pure_hkdf_expand_blocks(hash_name: str, secret: bytes, infos: Iterable[bytes]) -> list[bytes]:
    """Return HKDF-Expand (RFC 5869 2.3) of one secret, one block of the hash for each of `infos`.

    The caller makes a `Secret` of each that is kept.

    Args:
        infos: values of `first_block`, whatever the length to which the output is then cut.

    A handshake derives some forty secrets, mostly several from one secret at a time: the state of
    the key is computed once for all of them. For a single one, `hmac_digest` is as fast.
    """
    make, block_size = HASHES[hash_name]
    if len(secret) > block_size:
        secret = make(secret).digest()
    block = secret.ljust(block_size, b"\0")
    inner, outer = make(block.translate(INNER)), make(block.translate(OUTER))
    expanded: list[bytes] = []
    for info in infos:
        first = inner.copy()
        first.update(info)
        second = outer.copy()
        second.update(first.digest())
        expanded.append(second.digest())
    return expanded


if TYPE_CHECKING or ACCELERATED:
    from handclasp._speedups import hkdf_expand_blocks as hkdf_expand_blocks
else:
    hkdf_expand_blocks = pure_hkdf_expand_blocks


FIRST_BLOCK = b"\x01"
"""The number of the first block, which ends its input (RFC 5869 section 2.3)."""


def first_block(label: str, length: int, context: bytes) -> bytes:
    """Return the HkdfLabel of an output of at most one block, for `hkdf_expand_blocks`."""
    return label_head(label, length, len(context)) + context + FIRST_BLOCK


class ExpandKey(HmacKey):
    """A secret from which several others are derived."""

    __slots__ = ()

    def expand_label(self, label: str, context: bytes, length: int) -> Secret:
        """Return HKDF-Expand-Label (RFC 9846 section 7.1) under this secret."""
        info = label_head(label, length, len(context)) + context
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(info + FIRST_BLOCK)
        outer.update(inner.digest())
        block = outer.digest()
        if length > len(block):
            return Secret(self._expand_further(info, block, length))
        return Secret(block[:length])

    def _expand_further(self, info: bytes, block: bytes, length: int) -> bytes:
        if length > 255 * len(block):
            raise ValueError(f"HKDF cannot give more than {255 * len(block)} bytes")
        blocks = [block]
        while len(blocks) * len(block) < length:
            counter = (len(blocks) + 1).to_bytes(1, "big")
            blocks.append(self.digest(blocks[-1] + info + counter))
        return b"".join(blocks)[:length]


@lru_cache(maxsize=128)
def label_head(label: str, length: int, context_size: int) -> bytes:
    """Return the HkdfLabel without the context itself."""
    full_label = b"tls13 " + label.encode("ascii")
    sizes = length.to_bytes(2, "big") + len(full_label).to_bytes(1, "big")
    return sizes + full_label + context_size.to_bytes(1, "big")
