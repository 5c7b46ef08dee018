"""The key derivation of RFC 9846 section 7.1 once more, from other building blocks."""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

HASHES: dict[str, type[hashes.SHA256 | hashes.SHA384]] = {
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
}


def expand_label(hash_name: str, secret: bytes, label: str, context: bytes, length: int) -> bytes:
    """HKDF-Expand-Label by the HKDF of `cryptography`."""
    full_label = b"tls13 " + label.encode("ascii")
    info = b"".join(
        [
            length.to_bytes(2, "big"),
            bytes([len(full_label)]),
            full_label,
            bytes([len(context)]),
            context,
        ]
    )
    return HKDFExpand(HASHES[hash_name](), length, info).derive(secret)
