"""Private keys of ML-DSA in the three forms of RFC 9881, encrypted or not."""

from __future__ import annotations

import hashlib
from base64 import encodebytes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.asymmetric import mldsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
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
    public = KEYS[size].from_seed_bytes(seed).public_key().public_bytes_raw()
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


def encrypted(
    der: bytes, password: bytes, *, bits: int = 256, prf: str = "1.2.840.113549.2.9"
) -> bytes:
    """PBES2, as `openssl genpkey -aes256` writes it."""
    salt, nonce, count = b"salt" * 4, b"nonce678" * 2, 2048
    key = PBKDF2HMAC(hashes.SHA256(), bits // 8, salt, count).derive(password)
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(nonce)).encryptor()
    sealed = encryptor.update(padder.update(der) + padder.finalize()) + encryptor.finalize()
    settings = sequence(octets(salt), integer(count.to_bytes(2, "big")), sequence(oid(prf), tlv(5)))
    cipher = {128: "2.16.840.1.101.3.4.1.2", 256: "2.16.840.1.101.3.4.1.42"}[bits]
    parameters = sequence(
        sequence(oid("1.2.840.113549.1.5.12"), settings), sequence(oid(cipher), octets(nonce))
    )
    return sequence(sequence(oid("1.2.840.113549.1.5.13"), parameters), octets(sealed))


@pytest.mark.parametrize("size", OIDS)
@pytest.mark.parametrize("form", [pem, bytes])
def test_seed_and_expanded_key(size: str, form: Callable[[bytes], bytes]) -> None:
    loaded = Credentials.raw_public_key(form(both(size)))
    seed_alone = Credentials.raw_public_key(pem(pkcs8(size, tlv(0x80, SEED))))
    assert loaded.schemes == (f"mldsa{size}",)
    assert loaded.chain == seed_alone.chain


@pytest.mark.parametrize("bits", [128, 256])
def test_encrypted(bits: int) -> None:
    data = pem(encrypted(both("65"), b"secret", bits=bits), "ENCRYPTED PRIVATE KEY")
    loaded = Credentials.raw_public_key(data, "secret")
    assert loaded.schemes == ("mldsa65",)
    with pytest.raises(ConfigurationError, match="password is wrong"):
        Credentials.raw_public_key(data, "secrets")
    with pytest.raises(ConfigurationError, match="give its password"):
        Credentials.raw_public_key(data)


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
