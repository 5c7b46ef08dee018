"""The names of the signature schemes that are not spoken here, which a peer may offer anyway.

RFC 8446 section 4.2.3 reserves the pairs of hash and signature of TLS 1.2, most of them without
names; these are spelled like the named ones.
"""

from __future__ import annotations

from collections.abc import Mapping

_HASHES = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")
_SIGNATURES = ("rsa_pkcs1", "dsa", "ecdsa")
"""The registries of RFC 5246 section 7.4.1.4.1, from 1 on."""

SCHEMES_OF_OTHERS: Mapping[int, str] = {
    **{
        hash_number << 8 | number: f"{signature}_{hash_name}"
        for hash_number, hash_name in enumerate(_HASHES, 1)
        for number, signature in enumerate(_SIGNATURES, 1)
    },
    0x0420: "rsa_pkcs1_sha256_legacy",
    0x0520: "rsa_pkcs1_sha384_legacy",
    0x0620: "rsa_pkcs1_sha512_legacy",
    0x0704: "eccsi_sha256",
    0x0708: "sm2sig_sm3",
    0x0709: "gostr34102012_256a",
    0x070A: "gostr34102012_256b",
    0x070B: "gostr34102012_256c",
    0x070C: "gostr34102012_256d",
    0x070D: "gostr34102012_512a",
    0x070E: "gostr34102012_512b",
    0x070F: "gostr34102012_512c",
    0x081A: "ecdsa_brainpoolP256r1tls13_sha256",
    0x081B: "ecdsa_brainpoolP384r1tls13_sha384",
    0x081C: "ecdsa_brainpoolP512r1tls13_sha512",
}
