"""CPython's ssl module, on the system's OpenSSL."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path

from .base import Options, ProgramPeer, Role
from .features import ML_DSA, ML_KEM, RESUMPTION, RSA_KEY_TRANSPORT
from .openssl_conf import write_openssl_conf


class StandardLibrary(ProgramPeer):
    name = "ssl"
    title = "CPython ssl"
    styles = ("raw", "http")
    rare_features = frozenset({"tls12-no-ems"}) | RSA_KEY_TRANSPORT | RESUMPTION

    def version(self) -> str:
        return f"Python {sys.version.split()[0]}, {ssl.OPENSSL_VERSION.rsplit(' ', 3)[0]}"

    def unavailable(self) -> str | None:
        return None if ssl.HAS_TLSv1_3 else "this Python's ssl was built without TLS 1.3"

    def lacks(self, feature: str, role: Role) -> str | None:
        if feature in ML_KEM | ML_DSA and ssl.OPENSSL_VERSION_INFO < (3, 5):
            return f"{ssl.OPENSSL_VERSION.rsplit(' ', 3)[0]} has neither ML-KEM nor ML-DSA"
        if feature in ("exporter", "tls12-exporter"):
            return "ssl has no exporter"
        if feature == "key-update-peer":
            return "ssl cannot send a KeyUpdate"
        return None

    def command(self, options: Options) -> list[str]:
        return [sys.executable, "-m", "tests.interop.peers.programs.stdlib_ssl"]

    def environment(self, options: Options, workdir: Path) -> dict[str, str]:
        return write_openssl_conf(options, workdir)
