"""Private keys of ML-DSA in the three forms of RFC 9881, encrypted or not."""

from __future__ import annotations

import hashlib
from base64 import encodebytes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.asymmetric import mldsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from tests.certificates.hostile import integer, octets, oid, sequence, tlv

from handclasp import ConfigurationError, Credentials

OIDS = {
    name: f"2.16.840.1.101.3.4.3.{number}" for name, number in (("44", 17), ("65", 18), ("87", 19))
}
SIZES = {"44": 2560, "65": 4032, "87": 4896}
KEYS: dict[str, Any] = {
    "44": mldsa.MLDSA44PrivateKey,
    "65": mldsa.MLDSA65PrivateKey,
    "87": mldsa.MLDSA87PrivateKey,
}
SEED = bytes(range(32))


def expanded(size: str, seed: bytes = SEED) -> bytes:
    """What OpenSSL would write, as far as it is looked at: rho, K, and the public key's hash."""
    public: bytes = KEYS[size].from_seed_bytes(seed).public_key().public_bytes_raw()
    start = public[:32] + bytes(32) + hashlib.shake_256(public).digest(64)
    return start + bytes(SIZES[size] - len(start))


def pkcs8(size: str, private: bytes, *more: bytes) -> bytes:
    return sequence(integer(b"\0"), sequence(oid(OIDS[size])), octets(private), *more)


def both(size: str, seed: bytes = SEED, whole: bytes | None = None) -> bytes:
    whole = expanded(size) if whole is None else whole
    return pkcs8(size, sequence(octets(seed), octets(whole)))


def pem(der: bytes, label: str = "PRIVATE KEY") -> bytes:
    return (
        f"-----BEGIN {label}-----\n".encode()
        + encodebytes(der)
        + f"-----END {label}-----\n".encode()
    )


HMACS = {
    "1.2.840.113549.2.7": hashes.SHA1(),
    "1.2.840.113549.2.8": hashes.SHA224(),
    "1.2.840.113549.2.9": hashes.SHA256(),
    "1.2.840.113549.2.10": hashes.SHA384(),
    "1.2.840.113549.2.11": hashes.SHA512(),
}
SHA1, SHA256 = "1.2.840.113549.2.7", "1.2.840.113549.2.9"
AES = {
    128: "2.16.840.1.101.3.4.1.2",
    192: "2.16.840.1.101.3.4.1.22",
    256: "2.16.840.1.101.3.4.1.42",
}
SALT = b"salt" * 4


def pbkdf2(password: bytes, size: int, prf: str | None) -> tuple[bytes, bytes]:
    """The key, and how it was derived. None is HMAC-SHA1, the default of RFC 8018, left out."""
    chosen: Any = HMACS.get(prf or SHA1, hashes.SHA256())
    key = PBKDF2HMAC(chosen, size, SALT, 2048).derive(password)
    named = [] if prf is None else [sequence(oid(prf), tlv(5))]
    settings = sequence(octets(SALT), integer((2048).to_bytes(2, "big")), *named)
    return key, sequence(oid("1.2.840.113549.1.5.12"), settings)


def scrypt(password: bytes, size: int, cost: int = 16) -> tuple[bytes, bytes]:
    key = Scrypt(SALT, size, min(cost, 16), 8, 1).derive(password)
    numbers = [
        integer(number.to_bytes(number.bit_length() // 8 + 1, "big")) for number in (cost, 8, 1)
    ]
    return key, sequence(oid("1.3.6.1.4.1.11591.4.11"), sequence(octets(SALT), *numbers))


def encrypted(
    der: bytes,
    password: bytes,
    *,
    bits: int = 256,
    derived: tuple[bytes, bytes] | None = None,
    cipher: str = "",
) -> bytes:
    """PBES2, as `openssl genpkey -aes256` writes it."""
    nonce = b"nonce678" * 2
    key, derivation = derived or pbkdf2(password, bits // 8, SHA256)
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(nonce)).encryptor()
    sealed = encryptor.update(padder.update(der) + padder.finalize()) + encryptor.finalize()
    return sealed_with(derivation, cipher or AES[bits], nonce, sealed)


def sealed_with(derivation: bytes, cipher: str, nonce: bytes, sealed: bytes) -> bytes:
    parameters = sequence(derivation, sequence(oid(cipher), octets(nonce)))
    return sequence(sequence(oid("1.2.840.113549.1.5.13"), parameters), octets(sealed))


def loads(der: bytes) -> None:
    """It is read with the password "secret", and with no other."""
    data = pem(der, "ENCRYPTED PRIVATE KEY")
    assert Credentials.raw_public_key(data, "secret").schemes == ("mldsa65",)
    with pytest.raises(ConfigurationError, match="password is wrong, or the key is damaged"):
        Credentials.raw_public_key(data, "secrets")
    with pytest.raises(ConfigurationError, match="give its password"):
        Credentials.raw_public_key(data)


@pytest.mark.parametrize("size", OIDS)
@pytest.mark.parametrize("form", [pem, bytes])
def test_seed_and_expanded_key(size: str, form: Callable[[bytes], bytes]) -> None:
    loaded = Credentials.raw_public_key(form(both(size)))
    seed_alone = Credentials.raw_public_key(pem(pkcs8(size, tlv(0x80, SEED))))
    assert loaded.schemes == (f"mldsa{size}",)
    assert loaded.chain_der == seed_alone.chain_der


@pytest.mark.parametrize("bits", AES)
def test_encrypted(bits: int) -> None:
    loads(encrypted(both("65"), b"secret", bits=bits))


@pytest.mark.parametrize("prf", [None, *list(HMACS)[1:]])
def test_encrypted_with_each_hash(prf: str | None) -> None:
    loads(encrypted(both("65"), b"secret", derived=pbkdf2(b"secret", 32, prf)))


@pytest.mark.parametrize("bits", AES)
def test_encrypted_with_scrypt(bits: int) -> None:
    derived = scrypt(b"secret", bits // 8)
    loads(encrypted(both("65"), b"secret", bits=bits, derived=derived))


def test_encrypted_with_triple_des() -> None:
    key, derivation = pbkdf2(b"secret", 24, SHA256)
    padder = padding.PKCS7(64).padder()
    encryptor = Cipher(TripleDES(key), modes.CBC(b"nonce678")).encryptor()
    sealed = encryptor.update(padder.update(both("65")) + padder.finalize())
    sealed += encryptor.finalize()
    loads(sealed_with(derivation, "1.2.840.113549.3.7", b"nonce678", sealed))


@pytest.mark.parametrize(
    "der",
    [
        encrypted(both("65"), b"secret", cipher="1.2.3.4"),
        encrypted(both("65"), b"secret", derived=(bytes(32), sequence(oid("1.2.3"), sequence()))),
        encrypted(both("65"), b"secret", derived=pbkdf2(b"secret", 32, "1.2.840.113549.2.99")),
        encrypted(both("65"), b"secret", derived=scrypt(b"secret", 32, cost=2**30)),
        sequence(sequence(oid("1.2.840.113549.1.5.3"), sequence()), octets(b"sealed")),
    ],
    ids=["cipher", "derivation", "hash", "work", "scheme"],
)
def test_encrypted_in_a_way_that_is_not_read(der: bytes) -> None:
    """Whether the password is right cannot be told then, so the way out is named."""
    with pytest.raises(ConfigurationError, match=r"openssl pkey|encryption is not supported"):
        Credentials.raw_public_key(pem(der, "ENCRYPTED PRIVATE KEY"), "secret")


def test_beside_its_certificate(tmp_path: Path) -> None:
    """With attributes behind the key, which PKCS #8 allows."""
    attributes = tlv(0xA0, sequence(oid("1.2.3"), tlv(0x31, tlv(5))))
    private = sequence(octets(SEED), octets(expanded("44")))
    file = tmp_path / "key.pem"
    file.write_bytes(pem(pkcs8("44", private, attributes)))
    file.chmod(0o600)
    assert Credentials.raw_public_key(file).schemes == ("mldsa44",)


class TestRefused:
    @pytest.mark.parametrize("size", OIDS)
    def test_the_expanded_key_alone(self, size: str) -> None:
        with pytest.raises(ConfigurationError, match="only the seed can be used here"):
            Credentials.raw_public_key(pem(pkcs8(size, octets(expanded(size)))))
        sealed = pem(encrypted(pkcs8(size, octets(expanded(size))), b"x"), "ENCRYPTED PRIVATE KEY")
        with pytest.raises(ConfigurationError, match="only the seed can be used here"):
            Credentials.raw_public_key(sealed, "x")

    def test_a_seed_of_another_key(self) -> None:
        other = expanded("44", bytes(32))
        with pytest.raises(ConfigurationError, match="seed is that of another ML-DSA key"):
            Credentials.raw_public_key(pem(both("44", whole=other)))

    @pytest.mark.parametrize(
        "der",
        [
            both("44", SEED[:-1]),
            both("44", whole=expanded("65")),
            both("44")[:-1],
            both("44") + b"\0",
            pkcs8("44", b""),
            pkcs8("44", sequence()),
            pkcs8("44", sequence(octets(SEED), octets(b""), octets(b""))),
            pkcs8("44", octets(bytes(100))),
            sequence(),
            b"0",
        ],
    )
    def test_what_is_none(self, der: bytes) -> None:
        with pytest.raises(ConfigurationError, match="not a readable private key"):
            Credentials.raw_public_key(pem(der))

    @pytest.mark.parametrize("at", [1, 4, 6, 20, 40, 60, 80, 100])
    def test_what_is_damaged_under_a_password(self, at: int) -> None:
        data = bytearray(encrypted(both("44"), b"x"))
        data[at] ^= 0x55
        with pytest.raises(ConfigurationError):
            Credentials.raw_public_key(pem(bytes(data), "ENCRYPTED PRIVATE KEY"), "x")
