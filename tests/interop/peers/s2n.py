"""s2n-tls, through awscrt; a client only."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys

from .base import Options, ProgramPeer, Role
from .features import CCM, ML_DSA, X448


class S2n(ProgramPeer):
    name = "s2n"
    title = "s2n (awscrt)"
    roles = ("client",)
    styles = ("http",)
    alpn_protocols = ("http/1.1",)

    def version(self) -> str:
        return f"awscrt {importlib.metadata.version('awscrt')}"

    def unavailable(self) -> str | None:
        if importlib.util.find_spec("awscrt") is None:
            return "awscrt is not installed in this Python"
        return None

    def lacks(self, feature: str, role: Role) -> str | None:
        if feature in ML_DSA:
            return "the binding's default policy of s2n offers no ML-DSA"
        return {
            "group:secp521r1": "the binding's default policy of s2n offers no secp521r1",
            CCM: "s2n has no CCM suites",
            **dict.fromkeys(X448, "s2n has no X448"),
            "tls12-group:secp521r1": "the binding's default policy of s2n offers no secp521r1",
            "tls12-exporter": "the binding has no exporter",
            "tls12-sig:ed25519": "s2n has no Ed25519",
            "key-update-peer": "the binding cannot send a KeyUpdate",
            "exporter": "the binding has no exporter",
            "sig:ed25519": "s2n has no Ed25519",
            "sig:ed448": "s2n has no Ed448",
        }.get(feature)

    def command(self, options: Options) -> list[str]:
        return [sys.executable, "-m", "tests.interop.peers.programs.awscrt_s2n"]
