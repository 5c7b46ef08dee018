"""The cipher suites that can be decrypted with a key log, and the reasons against the others.

There are far more than this library negotiates: decryption needs only the AEAD and the hash,
whatever the key exchange was.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from handclasp.crypto.suites import (
    CIPHER_SUITES_BY_CODE,
    IV_SIZE,
    Aead,
    CipherSuite,
    CipherSuite12,
)
from handclasp.iana import cipher_suite_name

_SHORT_TAG = 8
"""The bytes of a tag of CCM_8 (RFC 6655 section 3)."""

_CIPHER = re.compile(
    r"(?P<aead>AES_(?P<bits>128|256)_(?P<mode>GCM|CCM(?P<short>_8)?)|CHACHA20_POLY1305)"
    r"(?:_SHA(?P<hash>256|384))?"
)


def suite13_of(code: int) -> CipherSuite | None:
    """Return a suite of TLS 1.3 that can be decrypted; None for any other."""
    if (suite := CIPHER_SUITES_BY_CODE.get(code)) is not None:
        return suite
    name = cipher_suite_name(code)
    if name != "TLS_AES_128_CCM_8_SHA256":
        return None
    aead = partial(AESCCM, tag_length=_SHORT_TAG)
    return CipherSuite(name, code, "sha256", 32, 16, 2**23, aead)


def suite12_of(code: int) -> CipherSuite12 | None:
    """Return a suite of TLS 1.2 that can be decrypted (RFC 5288, 6655, 7905); None for others."""
    name = cipher_suite_name(code)
    means, _, cipher = name.removeprefix("TLS_").partition("_WITH_")
    found = _CIPHER.fullmatch(cipher)
    if found is None:
        return None
    key_exchange, _, authentication = means.partition("_")
    aead: Callable[[bytes], Aead]
    is_chacha, hash_name = found["mode"] is None, f"sha{found['hash'] or '256'}"
    if is_chacha:
        aead = ChaCha20Poly1305
    elif found["mode"] == "GCM":
        aead = AESGCM
    else:
        aead = partial(AESCCM, tag_length=tag_size_of(name))
    return CipherSuite12(
        name=name,
        code=code,
        hash_name=hash_name,
        hash_size=48 if hash_name == "sha384" else 32,
        key_size=16 if found["bits"] == "128" else 32,
        record_limit=2**48,
        aead=aead,
        key_exchange=key_exchange,
        authentication=authentication or key_exchange,
        fixed_iv_size=IV_SIZE if is_chacha else 4,
    )


def tag_size_of(name: str) -> int:
    """Return the bytes of the tag of a suite with an AEAD."""
    return _SHORT_TAG if name.endswith(("_CCM_8", "_CCM_8_SHA256")) else 16


def why_closed(version: str, code: int) -> str:
    """Return a sentence on why a suite cannot be decrypted, with or without a key log."""
    name = cipher_suite_name(code)
    what = f"What {version} protects with {name} is not opened here, with or without a key log: "
    if "NULL" in name or name in ("TLS_SHA256_SHA256", "TLS_SHA384_SHA384"):
        return what + "this suite encrypts nothing, and its records are not read."
    if "_CBC_" in name:
        return what + "it is a block cipher in CBC mode, and only suites with an AEAD are opened."
    if "_RC4_" in name:
        return what + "RC4 is a stream cipher, and only suites with an AEAD are opened."
    if version in ("SSLv3", "TLSv1.0", "TLSv1.1"):
        return what + "suites with an AEAD came with TLS 1.2, and only those are opened."
    cipher = next((each for each in _LACKING if f"_{each}_" in name), None)
    if cipher is not None:
        return what + f"the library that does the ciphers here (cryptography) has no {cipher} AEAD."
    if name.startswith("TLS_"):
        return what + "its cipher is not known here."
    return (
        f"What {version} protects with the cipher suite {name} is not opened: it has no name here."
    )


_LACKING = ("ARIA", "CAMELLIA", "SM4", "AEGIS", "MGM", "KUZNYECHIK", "MAGMA")
