"""tlslite-ng, another pure-Python TLS; kyber-py gives it ML-KEM."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys

from .base import Options, ProgramPeer, Role
from .features import ML_DSA, ML_KEM, RSA_KEY_TRANSPORT


class Tlslite(ProgramPeer):
    name = "tlslite"
    title = "tlslite-ng"
    styles = ("raw", "http")
    exporter_context = None
    rare_features = frozenset({"tls12-no-ems"}) | RSA_KEY_TRANSPORT
    fast_features = frozenset(
        {"tls13", "hrr", "tls12"}
    )  # a mebibyte each way takes it four seconds

    def version(self) -> str:
        return f"tlslite-ng {importlib.metadata.version('tlslite-ng')}"

    def unavailable(self) -> str | None:
        if importlib.util.find_spec("tlslite") is None:
            return "tlslite-ng is not installed in this Python"
        return None

    def lacks(self, feature: str, role: Role) -> str | None:
        if feature in ML_DSA:
            return "tlslite-ng has no ML-DSA"
        if feature in ML_KEM and importlib.util.find_spec("kyber_py") is None:
            return "tlslite-ng has ML-KEM only with kyber-py beside it"
        return None

    def command(self, options: Options) -> list[str]:
        return [sys.executable, "-m", "tests.interop.peers.programs.tlslite_ng"]
