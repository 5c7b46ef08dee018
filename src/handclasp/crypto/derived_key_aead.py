"""AES-256-GCM with a key of its own for each message.

AES-GCM takes a nonce of 12 bytes and breaks where one key meets the same nonce twice: random nonces
are safe for 2^32 messages under one key and no more (NIST SP 800-38D section 8.3). Here a nonce has
32 bytes, and goes through HKDF-Expand-Label: the key that comes out seals this one message. Two
random nonces of that size never meet, so a key that lasts needs no count of what it has sealed.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from handclasp.crypto.hkdf import ExpandKey

KEY_SIZE = 32
"""Bytes of the key that lasts, and of each one derived from it."""

NONCE_SIZE = 32

_ONLY_NONCE = bytes(12)
"""Each derived key seals once, so the nonce under it may be the same for all."""


class DerivedKeyAead:
    """Seals and opens under keys derived from one. Never prints it.

    Args:
        key: 32 bytes.
        label: ASCII that tells this use of the key from any other.
    """

    __slots__ = ("_expand_key", "_label")

    def __init__(self, key: bytes, label: str) -> None:
        self._expand_key = ExpandKey("sha256", key)
        self._label = label

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """The ciphertext with its tag of 16 bytes; `nonce` is 32 fresh random bytes."""
        return self._derived(nonce).encrypt(_ONLY_NONCE, data, associated_data)

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """The plaintext. Raises cryptography's `InvalidTag`."""
        return self._derived(nonce).decrypt(_ONLY_NONCE, data, associated_data)

    def _derived(self, nonce: bytes) -> AESGCM:
        if len(nonce) != NONCE_SIZE:
            raise ValueError(f"a nonce of {len(nonce)} bytes, not {NONCE_SIZE}")
        return AESGCM(self._expand_key.expand_label(self._label, nonce, KEY_SIZE))
