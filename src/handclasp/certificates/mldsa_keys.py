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

_SEQUENCE, _INTEGER, _OCTET_STRING, _OBJECT_IDENTIFIER = 0x30, 0x02, 0x04, 0x06
_PBES2 = bytes.fromhex("06092a864886f70d01050d")
_PBKDF2 = bytes.fromhex("06092a864886f70d01050c")
_HMAC_SHA256 = bytes.fromhex("06082a864886f70d0209")
_AES_CBC = {bytes.fromhex("608648016503040102"): 16, bytes.fromhex("60864801650304012a"): 32}
_MOST_ITERATIONS = 10_000_000
_SEED = 0x80
_SEED_SIZE = 32
_EXPANDED_SIZES = {
    bytes.fromhex("608648016503040311"): 2560,
    bytes.fromhex("608648016503040312"): 4032,
    bytes.fromhex("608648016503040313"): 4896,
}
"""By object identifier: id-ml-dsa-44, -65 and -87."""


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
    """Return the PKCS #8 inside an EncryptedPrivateKeyInfo as OpenSSL writes them (RFC 8018).

    That is PBES2 with PBKDF2, HMAC-SHA256 and AES-CBC. None for everything else, and for the wrong
    password. It is for keys that cryptography has decrypted and could not read then.
    """
    from cryptography.hazmat.primitives import hashes, padding
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

    try:
        algorithm, sealed = _elements(_content(der, _SEQUENCE))
        kind, parameters = _elements(_content(algorithm, _SEQUENCE))
        derivation, encryption = _elements(_content(parameters, _SEQUENCE))
        kdf, settings = _elements(_content(derivation, _SEQUENCE))
        salt, count, *rest = _elements(_content(settings, _SEQUENCE))
        prf = _elements(_content(rest[-1], _SEQUENCE))[0]
        cipher, nonce = _elements(_content(encryption, _SEQUENCE))
        if (kind, kdf, prf) != (_PBES2, _PBKDF2, _HMAC_SHA256):
            return None
        iterations = int.from_bytes(_content(count, _INTEGER), "big")
        if not 0 < iterations <= _MOST_ITERATIONS:
            return None
        length = _AES_CBC[_content(cipher, _OBJECT_IDENTIFIER)]
        salt = _content(salt, _OCTET_STRING)
        key = PBKDF2HMAC(hashes.SHA256(), length, salt, iterations).derive(password)
        mode = modes.CBC(_content(nonce, _OCTET_STRING))
        decryptor = Cipher(algorithms.AES(key), mode).decryptor()
        padded = decryptor.update(_content(sealed, _OCTET_STRING)) + decryptor.finalize()
        unpadder = padding.PKCS7(128).unpadder()
        return unpadder.update(padded) + unpadder.finalize()
    except (ValueError, IndexError, KeyError):
        return None


def belong_together(public_key: bytes, expanded: bytes) -> bool:
    """Return whether an expanded key is that of this public key (FIPS 204, algorithm 6).

    It begins with the public key's first half, rho, and holds the hash of the whole after K.
    """
    digest = hashlib.shake_256(public_key).digest(64)
    return expanded[:32] == public_key[:32] and expanded[64:128] == digest


def _content(der: bytes, tag: int) -> bytes:
    """The content of one element and nothing else. Raises `ValueError` or `IndexError`."""
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
