"""NSS, through its library: selfserv takes at most ten kilobytes from a client."""

from __future__ import annotations

import ctypes
import shutil
import sys

from .base import Options, ProgramPeer, Role
from .features import CCM, ECH, ML_DSA, ML_KEM, RESUMPTION, RSA_KEY_TRANSPORT, X448


class NSS(ProgramPeer):
    name = "nss"
    title = "NSS"
    styles = ("raw", "http")
    rare_features = frozenset({"tls12-no-ems", "psk"}) | RSA_KEY_TRANSPORT | RESUMPTION | ECH

    def version(self) -> str:
        get = ctypes.CDLL("libnss3.so").NSS_GetVersion
        get.restype = ctypes.c_char_p
        return f"NSS {get().decode()}"

    def unavailable(self) -> str | None:
        try:
            ctypes.CDLL("libssl3.so")
        except OSError:
            return "libssl3.so is not installed (libnss3 brings it)"
        if shutil.which("certutil") is None:
            return "certutil is not installed (libnss3-tools brings it)"
        return None

    def lacks(self, feature: str, role: Role) -> str | None:
        if feature in ECH and role == "server":
            return "it takes a key of its own making alone; selfserv is in test_ech.py"
        if feature in ML_KEM:
            return f"{self.version()} has no ML-KEM in TLS"
        if feature in ML_DSA:
            return "NSS has no ML-DSA in TLS"
        return {
            CCM: "NSS has no CCM suites",
            **dict.fromkeys(X448, "NSS has no X448"),
            "tls12-sig:ed25519": "NSS has no Ed25519 in TLS",
            "sig:ed25519": "NSS has no Ed25519 in TLS",
            "sig:ed448": "NSS has no Ed448",
        }.get(feature)

    def command(self, options: Options) -> list[str]:
        return [sys.executable, "-m", "tests.interop.peers.programs.nss_library"]
