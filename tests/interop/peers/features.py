"""The features that a cell can ask for, by name, and sets of them that stacks tend to lack."""

from __future__ import annotations

from tests.interop.pki import SIGNATURES

# rsa_pkcs1 is what older peers sign with; the server's certificate is then a plain RSA one.
SIGNATURES12 = ("ecdsa_secp384r1_sha384", "rsa", "ed25519")

SUITES = (
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_CCM_SHA256",
)
SUITES12 = (
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
)
KEY_TRANSPORT = ("TLS_RSA_WITH_AES_128_GCM_SHA256", "TLS_RSA_WITH_AES_256_GCM_SHA384")
GROUPS12 = ("X25519", "secp256r1", "secp384r1", "secp521r1", "X448")
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
    "resume",
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
    "psk",
    "ech",
    "ech-hrr",
    "ech-resume",
    "tls12",
    *(f"tls12-suite:{suite}" for suite in SUITES12),
    *(f"tls12-group:{group}" for group in GROUPS12),
    "tls12-client-auth",
    "tls12-alpn",
    "tls12-exporter",
    *(f"tls12-sig:{signature}" for signature in SIGNATURES12),
    "tls12-ocsp",
    "tls12-resume",
    "tls12-raw-key",
    "tls12-client-raw-key",
    "tls12-no-ems",
    *(f"rsa-key-transport:{suite}" for suite in KEY_TRANSPORT),
)

# What few stacks can do, or can be made to do by their programs here; a peer names those it does.
RSA_KEY_TRANSPORT = frozenset({f"rsa-key-transport:{suite}" for suite in KEY_TRANSPORT})
RESUMPTION = frozenset({"resume", "tls12-resume"})
ECH = frozenset({"ech", "ech-hrr", "ech-resume"})
RARE: frozenset[str] = (
    RSA_KEY_TRANSPORT
    | RESUMPTION
    | ECH
    | {
        "ocsp",
        "compression",
        "raw-key",
        "client-raw-key",
        "psk",
        "tls12-ocsp",
        "tls12-raw-key",
        "tls12-client-raw-key",
        "tls12-no-ems",
    }
)

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
        "tls12",
        "tls12-client-auth",
        *RARE,
    }
)

CCM = "suite:TLS_AES_128_CCM_SHA256"
X448 = frozenset({"group:X448", "tls12-group:X448"})
ML_DSA = frozenset({"sig:mldsa44", "sig:mldsa65", "sig:mldsa87"})
NIST_HYBRIDS = frozenset({"group:SecP256r1MLKEM768", "group:SecP384r1MLKEM1024"})
ML_KEM = NIST_HYBRIDS | {"group:X25519MLKEM768"}
