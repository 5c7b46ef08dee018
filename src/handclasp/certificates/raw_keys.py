"""Raw public keys (RFC 7250): a peer that is known by its key alone, without a certificate."""

from __future__ import annotations

import binascii
from typing import Any

from handclasp.certificates.reading import read_or_value_error
from handclasp.errors import ConfigurationError

_ID_RSASSA_PSS = bytes.fromhex("06092a864886f70d01010a")


def public_key_info(given: bytes) -> bytes:
    """Return the SubjectPublicKeyInfo in DER of a user's key in DER or PEM.

    Raises:
        ConfigurationError: it is no public key.
    """
    from cryptography.hazmat.primitives import serialization

    key = key_of(given)
    if declares_pss(given):
        return der_in(given)  # cryptography would write rsaEncryption.
    info: bytes = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return info


def key_of(info: bytes) -> Any:
    """Return the public key of a SubjectPublicKeyInfo, DER or PEM; raise `ConfigurationError`."""
    from cryptography.hazmat.primitives import serialization

    if not isinstance(info, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(
            f"A raw public key must be bytes (DER or PEM), not {type(info).__name__}."
        )
    load: Any = serialization.load_der_public_key
    if _is_pem(info):
        load = serialization.load_pem_public_key
    try:
        return read_or_value_error(lambda: load(info))
    except ValueError:
        raise ConfigurationError(
            "A raw public key must be a SubjectPublicKeyInfo: openssl pkey -pubout makes one."
        ) from None


def declares_pss(key: bytes) -> bool:
    """Return whether a SubjectPublicKeyInfo or unencrypted PKCS #8 key declares id-RSASSA-PSS.

    DER or PEM. `cryptography` reads such a key as any other of RSA and forgets what it said
    (RFC 4055 section 1.2).
    """
    # Two headers, and the version in PKCS #8, come before it; no number of an RSA key does.
    return _ID_RSASSA_PSS in der_in(key)[:32]


def _is_pem(data: bytes) -> bool:
    return b"-----BEGIN " in data


def der_in(data: bytes) -> bytes:
    """Return the content of the first PEM block, or DER unchanged; empty if it cannot be read."""
    if not _is_pem(data):
        return data
    body = data.partition(b"-----BEGIN ")[2].partition(b"-----")[2].partition(b"-----END ")[0]
    try:
        return binascii.a2b_base64(body)
    except binascii.Error:
        return b""
