"""AES-256-GCM with a key of its own for each message.

AES-GCM takes a nonce of 12 bytes, and is broken if a key is used with the same nonce twice: random
nonces are safe for at most 2^32 messages under one key (NIST SP 800-38D section 8.3). Here a nonce
has 32 bytes, and HKDF-Expand-Label derives from it a key for one message. Random nonces of that
size never collide, so a long-lived key needs no count of its messages.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from handclasp.crypto.hkdf import FIRST_BLOCK, label_head
from handclasp.crypto.hmac_key import HmacKey

KEY_SIZE = 32
"""The bytes of the long-lived key, and of each derived one."""

NONCE_SIZE = 32

_ONLY_NONCE = bytes(12)
"""Each derived key seals once, so all of them can use the same nonce."""


class DerivedKeyAead:
    """Seals and opens under keys that are derived from one, which is never printed.

    Args:
        key: 32 bytes.
        label: ASCII text that distinguishes this use of the key from others.
    """

    __slots__ = ("_head", "_key")

    def __init__(self, key: bytes, label: str) -> None:
        self._key = HmacKey("sha256", key)
        self._head = label_head(label, KEY_SIZE, NONCE_SIZE)

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Return the ciphertext with its tag of 16 bytes; `nonce` is 32 fresh random bytes."""
        return self._derived(nonce).encrypt(_ONLY_NONCE, data, associated_data)

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Return the plaintext; raise cryptography's `InvalidTag`."""
        return self._derived(nonce).decrypt(_ONLY_NONCE, data, associated_data)

    def _derived(self, nonce: bytes) -> AESGCM:
        if len(nonce) != NONCE_SIZE:
            raise ValueError(f"a nonce of {len(nonce)} bytes, not {NONCE_SIZE}")
        # HKDF-Expand-Label: the hash gives as many bytes as the key has.
        return AESGCM(self._key.digest(self._head + nonce + FIRST_BLOCK))
