"""utls, which is BoringSSL with the surface of ssl for clients."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys

from .base import Options, ProgramPeer, Role
from .features import CCM, ECH, ML_DSA, NIST_HYBRIDS, RESUMPTION, RSA_KEY_TRANSPORT, X448


class Utls(ProgramPeer):
    name = "utls"
    title = "utls (BoringSSL)"
    roles = ("client",)
    styles = ("raw", "http")
    rare_features = ECH | RESUMPTION | RSA_KEY_TRANSPORT | {"tls12-no-ems"}

    def version(self) -> str:
        return f"utls {importlib.metadata.version('utls')}"

    def unavailable(self) -> str | None:
        if importlib.util.find_spec("utls") is None:
            return "utls is not installed in this Python"
        return None

    def lacks(self, feature: str, role: Role) -> str | None:
        if feature in NIST_HYBRIDS:
            return "BoringSSL has no hybrids with NIST curves"
        if feature in ("resume", "ech-resume"):
            return "the session that utls hands out resumes in TLS 1.2 alone"
        return {
            CCM: "BoringSSL has no CCM suites",
            **dict.fromkeys(X448, "BoringSSL has no X448"),
            **dict.fromkeys(ML_DSA, "utls does not offer ML-DSA"),
            "group:secp521r1": "utls does not offer secp521r1",
            "tls12-group:secp521r1": "utls does not offer secp521r1",
            "key-update-peer": "utls cannot send a KeyUpdate",
            "exporter": "utls has no exporter",
            "tls12-exporter": "utls has no exporter",
            "sig:rsa_pss_pss": "BoringSSL reads no id-RSASSA-PSS keys",
            "sig:ecdsa_secp521r1_sha512": "utls does not offer P-521",
            "sig:ed25519": "utls does not offer Ed25519",
            "tls12-sig:ed25519": "utls does not offer Ed25519",
            "sig:ed448": "BoringSSL has no Ed448",
        }.get(feature)

    def command(self, options: Options) -> list[str]:
        return [sys.executable, "-m", "tests.interop.peers.programs.utls_boringssl"]
