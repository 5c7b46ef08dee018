"""Raw public keys (RFC 7250): a peer that is known by its key alone, without a certificate."""

from __future__ import annotations

from typing import Any

from handclasp.errors import ConfigurationError


def public_key_info(given: bytes) -> bytes:
    """The SubjectPublicKeyInfo as DER of what a user gave, DER or PEM.

    Raises:
        ConfigurationError: it is no public key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    if not isinstance(given, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(
            f"A raw public key must be bytes (DER or PEM), not {type(given).__name__}."
        )
    is_pem = b"-----BEGIN " in given
    load: Any = serialization.load_pem_public_key if is_pem else serialization.load_der_public_key
    try:
        key = load(given)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigurationError(
            "A raw public key must be a SubjectPublicKeyInfo: openssl pkey -pubout makes one."
        ) from None
    info: bytes = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return info
