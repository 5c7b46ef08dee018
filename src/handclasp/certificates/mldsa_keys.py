"""Private keys of ML-DSA in PKCS #8, which has three forms for them (RFC 9881 section 6).

    ML-DSA-44-PrivateKey ::= CHOICE {
      seed         [0] OCTET STRING (SIZE (32)),
      expandedKey  OCTET STRING (SIZE (2560)),
      both         SEQUENCE { seed OCTET STRING (SIZE (32)),
                              expandedKey OCTET STRING (SIZE (2560)) }
    }

cryptography reads the first alone. OpenSSL writes the third, of which the seed is all that is
needed; a key of the second form cannot be turned back into its seed.

This reads files of this side's own, and never what a peer sent.
"""

from __future__ import annotations

import hashlib
from typing import Any

_SEQUENCE, _INTEGER, _OCTET_STRING, _OBJECT_IDENTIFIER = 0x30, 0x02, 0x04, 0x06
_PBES2 = bytes.fromhex("06092a864886f70d01050d")
_PBKDF2 = bytes.fromhex("06092a864886f70d01050c")
_SCRYPT = bytes.fromhex("06092b06010401da47040b")
_HMAC_SHA1 = bytes.fromhex("06082a864886f70d0207")
_HASHES = {
    _HMAC_SHA1: "SHA1",
    bytes.fromhex("06082a864886f70d0208"): "SHA224",
    bytes.fromhex("06082a864886f70d0209"): "SHA256",
    bytes.fromhex("06082a864886f70d020a"): "SHA384",
    bytes.fromhex("06082a864886f70d020b"): "SHA512",
}
"""The hashes of PBKDF2 by the object identifiers of their HMAC, tag and length included."""

_DES3_CBC = bytes.fromhex("06082a864886f70d0307")
_KEY_SIZES = {
    bytes.fromhex("0609608648016503040102"): 16,
    bytes.fromhex("0609608648016503040116"): 24,
    bytes.fromhex("060960864801650304012a"): 32,
    _DES3_CBC: 24,
}
"""Bytes of a key for AES-CBC and Triple DES, by object identifier."""

_MOST_SCRYPT = 2**23
"""N times r times p: a gigabyte of memory at most, or as much time."""

_MOST_ITERATIONS = 10_000_000
_SEED = 0x80
_SEED_SIZE = 32
_EXPANDED_SIZES = {
    bytes.fromhex("608648016503040311"): 2560,
    bytes.fromhex("608648016503040312"): 4032,
    bytes.fromhex("608648016503040313"): 4896,
}
"""By object identifier: id-ml-dsa-44, -65 and -87."""


class UnreadEncryptionError(Exception):
    """A key is encrypted in a way that is not read here."""


def mldsa_key_parts(der: bytes) -> tuple[bytes | None, bytes] | None:
    """Return the same key in PKCS #8 with its seed alone, and the expanded key beside the seed.

    The first is None where there is no seed. None for whatever is no ML-DSA key of the second or
    third form: what has a seed alone needs nothing done.
    """
    try:
        version, algorithm, private = _elements(_content(der, _SEQUENCE))[:3]
        identifier = _content(_elements(_content(algorithm, _SEQUENCE))[0], _OBJECT_IDENTIFIER)
        size = _EXPANDED_SIZES[identifier]
        inner = _content(private, _OCTET_STRING)
        if inner[:1] == bytes([_OCTET_STRING]):
            expanded = _content(inner, _OCTET_STRING)
            return (None, expanded) if len(expanded) == size else None
        first, second = _elements(_content(inner, _SEQUENCE))
        seed, expanded = _content(first, _OCTET_STRING), _content(second, _OCTET_STRING)
    except (ValueError, IndexError, KeyError):
        return None
    if (len(seed), len(expanded)) != (_SEED_SIZE, size):
        return None
    alone = _element(_OCTET_STRING, _element(_SEED, seed))
    return _element(_SEQUENCE, version + algorithm + alone), expanded


def decrypted(der: bytes, password: bytes) -> bytes | None:
    """Return the PKCS #8 inside an EncryptedPrivateKeyInfo; None for the wrong password.

    It is PBES2 (RFC 8018 section 6.2) with PBKDF2 or scrypt (RFC 7914), and AES or Triple DES in
    CBC mode. It is for keys that cryptography has decrypted and could not read then.

    Raises:
        UnreadEncryptionError: it is encrypted in another way.
    """
    from cryptography.hazmat.primitives import padding

    try:
        algorithm, sealed = _elements(_content(der, _SEQUENCE))
        kind, parameters = _elements(_content(algorithm, _SEQUENCE))
        if kind != _PBES2:
            raise UnreadEncryptionError
        derivation, encryption = _elements(_content(parameters, _SEQUENCE))
        cipher, nonce = _elements(_content(encryption, _SEQUENCE))
        length = _KEY_SIZES.get(cipher)
        if length is None:
            raise UnreadEncryptionError
        key = _derived_key(derivation, password, length)
        decryptor = _decryptor(cipher, key, _content(nonce, _OCTET_STRING))
        padded = decryptor.update(_content(sealed, _OCTET_STRING)) + decryptor.finalize()
        unpadder = padding.PKCS7(64 if cipher == _DES3_CBC else 128).unpadder()
        whole: bytes = unpadder.update(padded) + unpadder.finalize()
    except (ValueError, IndexError):
        return None
    return whole


def _decryptor(cipher: bytes, key: bytes, nonce: bytes) -> Any:
    """Return a decryptor; raise `ValueError` or `UnreadEncryptionError`."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    algorithm: Any = algorithms.AES
    if cipher == _DES3_CBC:
        try:
            from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
        except ImportError:  # What is decrepit may be gone one day.
            raise UnreadEncryptionError from None
        algorithm = TripleDES
    return Cipher(algorithm(key), modes.CBC(nonce)).decryptor()


def _derived_key(derivation: bytes, password: bytes, length: int) -> bytes:
    """Derive the key from a password; raise `ValueError`, `IndexError` or
    `UnreadEncryptionError`.
    """
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    kdf, settings = _elements(_content(derivation, _SEQUENCE))
    if kdf not in (_PBKDF2, _SCRYPT):
        raise UnreadEncryptionError
    salt, *rest = _elements(_content(settings, _SEQUENCE))
    salt = _content(salt, _OCTET_STRING)
    numbers = [_number(each) for each in rest if each[0] == _INTEGER]
    if kdf == _SCRYPT:
        cost, block, lanes = numbers[:3]
        if lanes < 1 or cost * block * lanes > _MOST_SCRYPT:
            raise UnreadEncryptionError
        return Scrypt(salt, length, cost, block, lanes).derive(password)
    if not 0 < numbers[0] <= _MOST_ITERATIONS:
        raise UnreadEncryptionError
    # RFC 8018 appendix A.2: HMAC-SHA1 is left out, as the default.
    prf = _elements(_content(rest[-1], _SEQUENCE))[0] if rest[-1][0] == _SEQUENCE else _HMAC_SHA1
    if prf not in _HASHES:
        raise UnreadEncryptionError
    chosen: hashes.HashAlgorithm = getattr(hashes, _HASHES[prf])()
    return PBKDF2HMAC(chosen, length, salt, numbers[0]).derive(password)


def _number(der: bytes) -> int:
    return int.from_bytes(_content(der, _INTEGER), "big")


def belong_together(public_key: bytes, expanded: bytes) -> bool:
    """Return whether an expanded key is that of this public key (FIPS 204, algorithm 6).

    It begins with the public key's first half, rho, and holds the hash of the whole after K.
    """
    digest = hashlib.shake_256(public_key).digest(64)
    return expanded[:32] == public_key[:32] and expanded[64:128] == digest


def _content(der: bytes, tag: int) -> bytes:
    """Return the content of a single element; raise `ValueError` or `IndexError`."""
    if der[0] != tag:
        raise ValueError("another tag")
    start, end = _bounds(der, 0)
    if end != len(der):
        raise ValueError("not one element")
    return der[start:end]


def _elements(content: bytes) -> list[bytes]:
    found: list[bytes] = []
    at = 0
    while at < len(content):
        _, end = _bounds(content, at)
        if end > len(content):
            raise ValueError("cut off")
        found.append(content[at:end])
        at = end
    return found


def _bounds(der: bytes, at: int) -> tuple[int, int]:
    length, start = der[at + 1], at + 2
    if length >= 0x80:
        after = start + length - 0x80
        length, start = int.from_bytes(der[start:after], "big"), after
    return start, start + length


def _element(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content
