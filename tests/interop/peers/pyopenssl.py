"""pyOpenSSL: the OpenSSL that cryptography's wheels carry, far newer than the system's."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from pathlib import Path

from .base import Options, ProgramPeer, Role
from .features import RESUMPTION, RSA_KEY_TRANSPORT
from .openssl_conf import write_openssl_conf


class PyOpenSSL(ProgramPeer):
    name = "pyopenssl"
    title = "OpenSSL 4 (pyOpenSSL)"
    styles = ("raw", "http")
    rare_features = frozenset({"tls12-no-ems"}) | RSA_KEY_TRANSPORT | RESUMPTION

    def version(self) -> str:
        from OpenSSL import SSL

        library = SSL.OpenSSL_version(SSL.OPENSSL_VERSION).decode()
        version = importlib.metadata.version("pyOpenSSL")
        return f"pyOpenSSL {version}, {' '.join(library.split()[:2])}"

    def unavailable(self) -> str | None:
        if importlib.util.find_spec("OpenSSL") is None:
            return "pyOpenSSL is not installed in this Python"
        return None

    def lacks(self, feature: str, role: Role) -> str | None:
        if feature == "key-update-peer":
            return "pyOpenSSL does not expose SSL_key_update"
        return None

    def command(self, options: Options) -> list[str]:
        return [sys.executable, "-m", "tests.interop.peers.programs.pyopenssl_openssl"]

    def environment(self, options: Options, workdir: Path) -> dict[str, str]:
        return write_openssl_conf(options, workdir)
