"""Hybrid public key encryption in base mode (RFC 9180), as encrypted_client_hello uses it.

The sender makes a secret with the recipient's public key, and sends `enc`, from which the recipient
derives the same secret. Both then have a context, whose messages are sealed and opened in order.

`cryptography` has HPKE for single messages only: its functions take no associated data, and a
second ClientHello needs the context of the first. So the key schedule stands here, over the groups,
HMAC and AEADs that TLS uses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from handclasp.crypto.groups import GROUPS, Entropy, KeyExchange, PrivateShare
from handclasp.crypto.hmac_key import hmac_digest
from handclasp.crypto.secret import Secret
from handclasp.crypto.suites import TAG_SIZE, Aead
from handclasp.iana import HpkeAead, HpkeKdf, HpkeKem
from handclasp.values import value

_VERSION = b"HPKE-v1"
_BASE_MODE = b"\0"
_NONCE_SIZE = 12
_FIRST_BLOCK = b"\1"
_KEM_HASH = "sha256"
"""The hash of both KEMs; its size is that of their secrets."""

EXPANSION = TAG_SIZE
"""The bytes that each AEAD adds to a message."""


class OpenError(ValueError):
    """A message was not sealed for this context."""


@value(frozen=True, slots=True)
class Kem:
    """A key encapsulation mechanism over a group (RFC 9180 section 4.1).

    Attributes:
        code: its number.
        exchange: the group; its public values are those of TLS.
        public_size: bytes of a public key and of `enc`.
    """

    code: int
    exchange: KeyExchange
    public_size: int


@value(frozen=True, slots=True)
class _AeadKind:
    key_size: int
    make: Callable[[bytes], Aead]


KEMS: Mapping[int, Kem] = {
    int(kem.code): kem
    for kem in (
        Kem(HpkeKem.DHKEM_X25519_HKDF_SHA256, GROUPS["X25519"].exchange, 32),
        Kem(HpkeKem.DHKEM_P256_HKDF_SHA256, GROUPS["secp256r1"].exchange, 65),
    )
}
"""The supported KEMs by their numbers, the preferred one first."""

_KDFS: Mapping[int, str] = {
    int(HpkeKdf.HKDF_SHA256): "sha256",
    int(HpkeKdf.HKDF_SHA384): "sha384",
}

_AEADS: Mapping[int, _AeadKind] = {
    int(HpkeAead.AES_128_GCM): _AeadKind(16, AESGCM),
    int(HpkeAead.AES_256_GCM): _AeadKind(32, AESGCM),
    int(HpkeAead.CHACHA20_POLY1305): _AeadKind(32, ChaCha20Poly1305),
}


@value(frozen=True, slots=True)
class SymmetricSuite:
    """A KDF and an AEAD by their numbers: HpkeSymmetricCipherSuite (RFC 9849 section 4)."""

    kdf: int
    aead: int

    @property
    def is_supported(self) -> bool:
        return self.kdf in _KDFS and self.aead in _AEADS


SUITES: tuple[SymmetricSuite, ...] = (
    SymmetricSuite(HpkeKdf.HKDF_SHA256, HpkeAead.AES_128_GCM),
    SymmetricSuite(HpkeKdf.HKDF_SHA256, HpkeAead.AES_256_GCM),
    SymmetricSuite(HpkeKdf.HKDF_SHA256, HpkeAead.CHACHA20_POLY1305),
)
"""The suites of new keys; the first is mandatory (RFC 9849 section 9)."""


class HpkeContext:
    """The context of both roles (RFC 9180 section 5.2): its messages come in order.

    Attributes:
        shared_secret: the secret of the KEM, for key logs.
    """

    __slots__ = ("_aead", "_base_nonce", "_sequence", "shared_secret")

    def __init__(self, kem: Kem, suite: SymmetricSuite, shared_secret: Secret, info: bytes) -> None:
        # KeySchedule of section 5.1, where psk and psk_id are empty.
        hash_name, aead = _KDFS[suite.kdf], _AEADS[suite.aead]
        numbers = (kem.code << 32 | suite.kdf << 16 | suite.aead).to_bytes(6, "big")
        suite_id = b"HPKE" + numbers
        context = (
            _BASE_MODE
            + _extract(hash_name, suite_id, b"", b"psk_id_hash", b"")
            + _extract(hash_name, suite_id, b"", b"info_hash", info)
        )
        secret = _extract(hash_name, suite_id, shared_secret, b"secret", b"")
        key = _expand(hash_name, suite_id, secret, b"key", context, aead.key_size)
        self._aead = aead.make(key)
        self._base_nonce = int.from_bytes(
            _expand(hash_name, suite_id, secret, b"base_nonce", context, _NONCE_SIZE), "big"
        )
        self._sequence = 0
        self.shared_secret = shared_secret

    def seal(self, aad: bytes, plaintext: bytes) -> bytes:
        """Return the next message, encrypted; it is longer by `EXPANSION`."""
        nonce = self._nonce()
        self._sequence += 1
        return self._aead.encrypt(nonce, plaintext, aad)

    def open(self, aad: bytes, ciphertext: bytes) -> bytes:
        """Return the next message; raise `OpenError`, after which that message may still come."""
        try:
            plaintext = self._aead.decrypt(self._nonce(), ciphertext, aad)
        except InvalidTag:
            raise OpenError("not sealed for this context") from None
        self._sequence += 1
        return plaintext

    def _nonce(self) -> bytes:
        return (self._base_nonce ^ self._sequence).to_bytes(_NONCE_SIZE, "big")


def setup_sender(
    kem: Kem, suite: SymmetricSuite, public_key: bytes, info: bytes, entropy: Entropy
) -> tuple[bytes, HpkeContext]:
    """Return `enc` and the sender's context: SetupBaseS (RFC 9180 section 5.1.1).

    Raises:
        BadShare: the public key is not valid.
    """
    enc, agreed = kem.exchange.respond(public_key, entropy)
    return enc, HpkeContext(kem, suite, _shared_secret(kem, agreed, enc + public_key), info)


def setup_recipient(
    kem: Kem, suite: SymmetricSuite, enc: bytes, key: PrivateShare, info: bytes
) -> HpkeContext:
    """Return the recipient's context: SetupBaseR (RFC 9180 section 5.1.1).

    Raises:
        BadShare: `enc` is not a valid public value.
    """
    return HpkeContext(kem, suite, _shared_secret(kem, key.agree(enc), enc + key.share), info)


def _shared_secret(kem: Kem, agreed: bytes, kem_context: bytes) -> Secret:
    """Return the secret of Encap and Decap (RFC 9180 section 4.1)."""
    suite_id = b"KEM" + kem.code.to_bytes(2, "big")
    prk = _extract(_KEM_HASH, suite_id, b"", b"eae_prk", agreed)
    return Secret(_expand(_KEM_HASH, suite_id, prk, b"shared_secret", kem_context, 32))


def _extract(hash_name: str, suite_id: bytes, salt: bytes, label: bytes, keys: bytes) -> bytes:
    """Return LabeledExtract (RFC 9180 section 4)."""
    return hmac_digest(hash_name, salt, _VERSION + suite_id + label + keys)


def _expand(
    hash_name: str, suite_id: bytes, prk: bytes, label: bytes, info: bytes, length: int
) -> bytes:
    """Return LabeledExpand (RFC 9180 section 4), of at most one block of the hash."""
    labeled = length.to_bytes(2, "big") + _VERSION + suite_id + label + info
    return hmac_digest(hash_name, prk, labeled + _FIRST_BLOCK)[:length]
