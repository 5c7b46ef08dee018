"""Go's crypto/tls, in a program that install_peers.sh compiles."""

from __future__ import annotations

import subprocess

from .base import CACHE, Options, ProgramPeer, Role
from .features import CCM, ECH, RESUMPTION, RSA_KEY_TRANSPORT, X448

_PROGRAM = CACHE / "go-peer"


class Go(ProgramPeer):
    name = "go"
    title = "Go crypto/tls"
    styles = ("raw", "http")
    rare_features = frozenset({"ocsp", "tls12-ocsp"}) | RSA_KEY_TRANSPORT | RESUMPTION | ECH

    def version(self) -> str:
        printed = subprocess.run([_PROGRAM, "version"], capture_output=True, text=True, check=True)
        return printed.stdout.strip()

    def unavailable(self) -> str | None:
        return None if _PROGRAM.exists() else "the Go program is not built (make peers)"

    def lacks(self, feature: str, role: Role) -> str | None:
        return {
            CCM: "crypto/tls has no CCM suites",
            **dict.fromkeys(X448, "crypto/tls has no X448"),
            "key-update-peer": "crypto/tls answers a KeyUpdate and never starts one",
            "sig:rsa_pss_pss": "crypto/x509 reads no id-RSASSA-PSS keys",
            "sig:ed448": "crypto/tls has no Ed448",
        }.get(feature)

    def hrr_groups(self, role: Role) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        # The order of CurvePreferences is ignored; a client sends shares for its own first choice.
        return ("X25519", "secp384r1"), ("X25519",), ("secp384r1",)

    def command(self, options: Options) -> list[str]:
        return [str(_PROGRAM)]
