"""The cipher suites of TLS 1.3 (RFC 8446 section B.4) and of TLS 1.2.

Of the hundreds that are registered for TLS 1.2, these have forward secrecy and an AEAD (RFC 9325
section 4.2). RSA key transport, the key exchange of the first browsers and servers, has no forward
secrecy, and is only available by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from handclasp.iana import CipherSuiteCode
from handclasp.values import value

IV_SIZE = 12
"""The bytes of the nonce of every suite here (RFC 8446 section 5.3)."""

TAG_SIZE = 16
"""The bytes that the AEAD adds to a record."""


Buffer: TypeAlias = bytes | bytearray | memoryview


class Aead(Protocol):
    """The interface of an AEAD of `cryptography`."""

    def encrypt(self, nonce: bytes, data: Buffer, associated_data: Buffer | None, /) -> bytes: ...
    def decrypt(self, nonce: bytes, data: Buffer, associated_data: Buffer | None, /) -> bytes: ...
    def encrypt_into(
        self, nonce: bytes, data: Buffer, associated_data: Buffer | None, buf: Buffer, /
    ) -> int: ...


@value(frozen=True, slots=True)
class CipherSuite:
    """An AEAD and a hash.

    Attributes:
        name: the IANA description.
        code: the number on the wire.
        hash_name: the name of the hash in `hashlib`.
        hash_size: the bytes of a digest and of every secret.
        key_size: the bytes of an AEAD key.
        record_limit: the number of records that one key may protect (RFC 8446 section 5.5; RFC 9147
            section 4.5.3 for the integrity of CCM).
        aead: returns the AEAD for a key.
    """

    name: str
    code: int
    hash_name: str
    hash_size: int
    key_size: int
    record_limit: int
    aead: Callable[[bytes], Aead]


@value(frozen=True, slots=True)
class CipherSuite12(CipherSuite):
    """A suite of TLS 1.2, which also determines the key exchange and the authentication.

    Attributes:
        key_exchange: "ECDHE", or "RSA": the client makes the secret and encrypts it to the key in
            the server's certificate.
        authentication: the kind of the server's key: "ECDSA" (including EdDSA, RFC 8422 section
            5.1.1), or "RSA".
        fixed_iv_size: bytes of the nonce that come from the key block. The rest, if any, is sent
            with each record (RFC 5288 section 3).
    """

    key_exchange: str
    authentication: str
    fixed_iv_size: int


_SUITES = (
    CipherSuite("TLS_AES_128_GCM_SHA256", 0x1301, "sha256", 32, 16, 2**24, AESGCM),
    CipherSuite("TLS_AES_256_GCM_SHA384", 0x1302, "sha384", 48, 32, 2**24, AESGCM),
    CipherSuite("TLS_CHACHA20_POLY1305_SHA256", 0x1303, "sha256", 32, 32, 2**48, ChaCha20Poly1305),
    CipherSuite("TLS_AES_128_CCM_SHA256", 0x1304, "sha256", 32, 16, 2**23, AESCCM),
)

CIPHER_SUITES: dict[str, CipherSuite] = {suite.name: suite for suite in _SUITES}
"""The suites of TLS 1.3."""

CIPHER_SUITES_BY_CODE: dict[int, CipherSuite] = {suite.code: suite for suite in _SUITES}


def _suite12(code: CipherSuiteCode) -> CipherSuite12:
    """Return the suite that a name describes."""
    means, cipher = code.name.removeprefix("TLS_").split("_WITH_")
    key_exchange, _, authentication = means.partition("_")
    is_chacha, is_256 = cipher.startswith("CHACHA20"), not cipher.startswith("AES_128")
    hash_name = "sha384" if cipher.endswith("SHA384") else "sha256"
    return CipherSuite12(
        name=code.name,
        code=int(code),
        hash_name=hash_name,
        hash_size=48 if hash_name == "sha384" else 32,
        key_size=32 if is_256 else 16,
        # The ciphers are those of TLS 1.3; but without KeyUpdate, the limit of the keys ends the
        # connection.
        record_limit=2**48 if is_chacha else 2**24,
        aead=ChaCha20Poly1305 if is_chacha else AESGCM,
        key_exchange=key_exchange,
        authentication=authentication or "RSA",
        fixed_iv_size=IV_SIZE if is_chacha else 4,
    )


RSA_KEY_TRANSPORT_SUITES: tuple[str, ...] = (
    CipherSuiteCode.TLS_RSA_WITH_AES_128_GCM_SHA256.name,
    CipherSuiteCode.TLS_RSA_WITH_AES_256_GCM_SHA384.name,
)
"""The suites without forward secrecy (RFC 5288), which must be enabled explicitly."""

CIPHER_SUITES12: dict[str, CipherSuite12] = {
    code.name: _suite12(code)
    for code in (
        CipherSuiteCode.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        CipherSuiteCode.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        CipherSuiteCode.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        CipherSuiteCode.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        CipherSuiteCode.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        CipherSuiteCode.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        CipherSuiteCode.TLS_RSA_WITH_AES_128_GCM_SHA256,
        CipherSuiteCode.TLS_RSA_WITH_AES_256_GCM_SHA384,
    )
}
"""The suites of TLS 1.2, best first."""

CIPHER_SUITES12_BY_CODE: dict[int, CipherSuite12] = {
    suite.code: suite for suite in CIPHER_SUITES12.values()
}

SUITES_OF_VERSION: dict[str, Mapping[str, CipherSuite]] = {
    "TLSv1.2": CIPHER_SUITES12,
    "TLSv1.3": CIPHER_SUITES,
}
"""The suites of a version, by its name."""

DEFAULT_CIPHER_SUITES: tuple[str, ...] = (
    CipherSuiteCode.TLS_AES_128_GCM_SHA256.name,
    CipherSuiteCode.TLS_AES_256_GCM_SHA384.name,
    CipherSuiteCode.TLS_CHACHA20_POLY1305_SHA256.name,
    *[name for name in CIPHER_SUITES12 if name not in RSA_KEY_TRANSPORT_SUITES],
)
"""The defaults leave out CCM: it is slower than GCM everywhere, and those who need it know."""
