"""GnuTLS, through its library: gnutls-serv cannot echo a megabyte."""

from __future__ import annotations

import ctypes
import ctypes.util
import sys

from .base import Options, ProgramPeer, Role
from .features import ML_DSA, ML_KEM, RESUMPTION, RSA_KEY_TRANSPORT


class GnuTLS(ProgramPeer):
    name = "gnutls"
    title = "GnuTLS"
    styles = ("raw", "http")
    rare_features = frozenset({"tls12-no-ems"}) | RSA_KEY_TRANSPORT | RESUMPTION

    def version(self) -> str:
        check = ctypes.CDLL("libgnutls.so.30").gnutls_check_version
        check.restype = ctypes.c_char_p
        return f"GnuTLS {check(None).decode()}"

    def unavailable(self) -> str | None:
        try:
            ctypes.CDLL("libgnutls.so.30")
        except OSError:
            return "libgnutls.so.30 is not installed (gnutls-bin brings it)"
        return None

    def lacks(self, feature: str, role: Role) -> str | None:
        if feature in ML_KEM:
            return "GnuTLS 3.7 has no ML-KEM"
        if feature in ML_DSA:
            return "GnuTLS 3.7 has no ML-DSA"
        return None

    def hrr_groups(self, role: Role) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        # A GnuTLS client sends a share for its first group of each kind, XDH and EC.
        return ("secp256r1", "secp384r1"), ("secp256r1",), ("secp384r1",)

    def command(self, options: Options) -> list[str]:
        return [sys.executable, "-m", "tests.interop.peers.programs.gnutls_library"]
