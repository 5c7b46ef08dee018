"""The pseudorandom function of TLS 1.2 (RFC 5246 section 5)."""

from __future__ import annotations

import hmac

from handclasp.crypto.secret import Secret


def prf(hash_name: str, secret: bytes, label: bytes, seed: bytes, length: int) -> Secret:
    """PRF(secret, label, seed): `length` bytes of P_hash, with the hash of the cipher suite."""
    seed = label + seed
    blocks: list[bytes] = []
    a = seed
    size = 0
    while size < length:
        a = hmac.digest(secret, a, hash_name)
        block = hmac.digest(secret, a + seed, hash_name)
        blocks.append(block)
        size += len(block)
    return Secret(b"".join(blocks)[:length])
