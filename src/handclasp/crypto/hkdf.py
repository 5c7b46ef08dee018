"""HKDF as TLS 1.3 uses it (RFC 5869, RFC 8446 section 7.1)."""

from __future__ import annotations

import hmac
from functools import lru_cache

from handclasp.crypto.secret import Secret


def hkdf_extract(hash_name: str, salt: bytes, input_key_material: bytes) -> Secret:
    """HKDF-Extract (RFC 5869 section 2.2): one secret of the hash's size."""
    return Secret(hmac.digest(salt, input_key_material, hash_name))


def hkdf_expand_label(
    hash_name: str, secret: bytes, label: str, context: bytes, length: int
) -> Secret:
    """HKDF-Expand-Label (RFC 8446 section 7.1): `length` bytes bound to `label` and `context`."""
    info = _label_head(label, length) + len(context).to_bytes(1, "big") + context
    block = hmac.digest(secret, info + b"\x01", hash_name)
    if length <= len(block):
        return Secret(block[:length])
    return Secret(_expand_further(hash_name, secret, info, block, length))


def _expand_further(hash_name: str, secret: bytes, info: bytes, block: bytes, length: int) -> bytes:
    if length > 255 * len(block):
        raise ValueError(f"HKDF cannot give more than {255 * len(block)} bytes")
    blocks = [block]
    while len(blocks) * len(block) < length:
        counter = (len(blocks) + 1).to_bytes(1, "big")
        blocks.append(hmac.digest(secret, blocks[-1] + info + counter, hash_name))
    return b"".join(blocks)[:length]


@lru_cache(maxsize=128)
def _label_head(label: str, length: int) -> bytes:
    full_label = b"tls13 " + label.encode("ascii")
    return length.to_bytes(2, "big") + len(full_label).to_bytes(1, "big") + full_label
