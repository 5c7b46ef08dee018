"""The pseudorandom function of TLS 1.2 (RFC 5246 section 5)."""

from __future__ import annotations

from handclasp.crypto.hmac_key import HmacKey
from handclasp.crypto.secret import Secret


def prf(hash_name: str, secret: bytes, label: bytes, seed: bytes, length: int) -> Secret:
    """Return PRF(secret, label, seed): `length` bytes of P_hash, with the hash of the suite."""
    key = HmacKey(hash_name, secret)
    seed = label + seed
    blocks: list[bytes] = []
    a = seed
    size = 0
    while size < length:
        a = key.digest(a)
        block = key.digest(a + seed)
        blocks.append(block)
        size += len(block)
    return Secret(b"".join(blocks)[:length])
