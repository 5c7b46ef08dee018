"""The cipher suites of TLS 1.3 (RFC 8446 section B.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from handclasp.wire.iana import CipherSuiteCode

IV_SIZE = 12
"""Bytes of the nonce of every suite here (RFC 8446 section 5.3)."""

TAG_SIZE = 16
"""Bytes by which the AEAD makes a record longer."""


Buffer: TypeAlias = bytes | bytearray | memoryview


class Aead(Protocol):
    """What `cryptography` gives for each AEAD."""

    def encrypt(self, nonce: bytes, data: Buffer, associated_data: Buffer | None, /) -> bytes: ...
    def decrypt(self, nonce: bytes, data: Buffer, associated_data: Buffer | None, /) -> bytes: ...
    def encrypt_into(
        self, nonce: bytes, data: Buffer, associated_data: Buffer | None, buf: Buffer, /
    ) -> int: ...


@dataclass(frozen=True, slots=True)
class CipherSuite:
    """An AEAD and a hash.

    Attributes:
        name: the IANA description.
        code: the value on the wire.
        hash_name: as `hashlib` spells it.
        hash_size: bytes of a digest and of every secret.
        key_size: bytes of an AEAD key.
        record_limit: records that one key may safely protect (RFC 8446 section 5.5; RFC 9147
            section 4.5.3 for the integrity of CCM).
        aead: makes the AEAD from a key.
    """

    name: str
    code: int
    hash_name: str
    hash_size: int
    key_size: int
    record_limit: int
    aead: Callable[[bytes], Aead]


_SUITES = (
    CipherSuite("TLS_AES_128_GCM_SHA256", 0x1301, "sha256", 32, 16, 2**24, AESGCM),
    CipherSuite("TLS_AES_256_GCM_SHA384", 0x1302, "sha384", 48, 32, 2**24, AESGCM),
    CipherSuite("TLS_CHACHA20_POLY1305_SHA256", 0x1303, "sha256", 32, 32, 2**48, ChaCha20Poly1305),
    CipherSuite("TLS_AES_128_CCM_SHA256", 0x1304, "sha256", 32, 16, 2**23, AESCCM),
)

CIPHER_SUITES: dict[str, CipherSuite] = {suite.name: suite for suite in _SUITES}

CIPHER_SUITES_BY_CODE: dict[int, CipherSuite] = {suite.code: suite for suite in _SUITES}

DEFAULT_CIPHER_SUITES: tuple[str, ...] = (
    CipherSuiteCode.TLS_AES_128_GCM_SHA256.name,
    CipherSuiteCode.TLS_AES_256_GCM_SHA384.name,
    CipherSuiteCode.TLS_CHACHA20_POLY1305_SHA256.name,
)
"""CCM is left out: it is slower than GCM everywhere and nobody needs it who does not know."""
