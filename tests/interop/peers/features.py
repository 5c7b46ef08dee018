"""The features that a cell can ask for, by name, and sets of them that stacks tend to lack."""

from __future__ import annotations

from tests.interop.pki import SIGNATURES

SUITES = (
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_CCM_SHA256",
)
GROUPS = (
    "X25519MLKEM768",
    "X25519",
    "secp256r1",
    "secp384r1",
    "secp521r1",
    "X448",
    "SecP256r1MLKEM768",
    "SecP384r1MLKEM1024",
)

FEATURES: tuple[str, ...] = (
    "tls13",
    *(f"suite:{suite}" for suite in SUITES),
    *(f"group:{group}" for group in GROUPS),
    "hrr",
    "client-auth",
    "alpn",
    "key-update",
    "key-update-peer",
    "exporter",
    *(f"sig:{signature}" for signature in SIGNATURES),
    "ocsp",
    "compression",
    "raw-key",
    "client-raw-key",
)

# What few stacks can do, or can be made to do by their programs here; a peer names those it does.
RARE: frozenset[str] = frozenset({"ocsp", "compression", "raw-key", "client-raw-key"})

# What CI runs: one of each kind, the ones most likely to break first.
FAST: frozenset[str] = frozenset(
    {
        "tls13",
        "suite:TLS_CHACHA20_POLY1305_SHA256",
        "group:X25519MLKEM768",
        "hrr",
        "client-auth",
        "alpn",
        "key-update",
        "exporter",
        *RARE,
    }
)

CCM = "suite:TLS_AES_128_CCM_SHA256"
X448 = "group:X448"
ML_DSA = frozenset({"sig:mldsa44", "sig:mldsa65", "sig:mldsa87"})
NIST_HYBRIDS = frozenset({"group:SecP256r1MLKEM768", "group:SecP384r1MLKEM1024"})
ML_KEM = NIST_HYBRIDS | {"group:X25519MLKEM768"}
