"""rustls, through the two packages that bring it to Python."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys

from .base import Options, ProgramPeer, Role
from .features import CCM, ECH, ML_DSA, NIST_HYBRIDS, RESUMPTION, X448


class Rtls(ProgramPeer):
    name = "rtls"
    title = "rustls (rtls)"
    styles = ("raw", "http")
    rare_features = ECH

    def version(self) -> str:
        from rtls import _rustls

        version = importlib.metadata.version("rtls")
        return f"rtls {version}, rustls {_rustls.rustls_version()}"

    def unavailable(self) -> str | None:
        if importlib.util.find_spec("rtls") is None:
            return "rtls is not installed in this Python"
        return None

    def lacks(self, feature: str, role: Role) -> str | None:
        if feature in ECH and role == "server":
            return "rustls has ECH for clients alone"
        if feature == "ech-resume":
            return "the binding resumes no session"
        if feature in ("client-auth", "tls12-client-auth") and role == "server":
            return "rtls's server takes CERT_REQUIRED and never asks for a certificate"
        return _rustls_lacks(feature)

    def hrr_groups(self, role: Role) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        # Its groups are fixed, so the client's one share is for a group that rustls has not.
        if role == "server":
            return ("secp521r1", "secp384r1"), ("secp521r1",), ("secp384r1",)
        return super().hrr_groups(role)

    def command(self, options: Options) -> list[str]:
        return [sys.executable, "-m", "tests.interop.peers.programs.rtls_rustls"]


class Pyrtls(Rtls):
    name = "pyrtls"
    title = "rustls (pyrtls)"
    sends_close_notify = False  # the binding cannot
    rare_features = RESUMPTION

    def version(self) -> str:
        return f"pyrtls {importlib.metadata.version('pyrtls')}"

    def unavailable(self) -> str | None:
        if importlib.util.find_spec("pyrtls") is None:
            return "pyrtls is not installed in this Python"
        return None

    def lacks(self, feature: str, role: Role) -> str | None:
        return {
            "client-auth": "pyrtls has no client certificates",
            "tls12-client-auth": "pyrtls has no client certificates",
            **dict.fromkeys(ML_DSA, "pyrtls builds rustls on ring, which has no ML-DSA"),
            "group:X25519MLKEM768": "pyrtls builds rustls on ring, which has no ML-KEM",
            "sig:ecdsa_secp521r1_sha512": "pyrtls builds rustls on ring, which has no P-521",
        }.get(feature) or _rustls_lacks(feature)

    def command(self, options: Options) -> list[str]:
        return [sys.executable, "-m", "tests.interop.peers.programs.pyrtls_rustls"]


def _rustls_lacks(feature: str) -> str | None:
    if feature in NIST_HYBRIDS:
        return "rustls does not offer this hybrid by default, and the binding cannot name groups"
    return {
        CCM: "rustls has no CCM suites",
        **dict.fromkeys(X448, "rustls has no X448"),
        "tls12-group:secp521r1": "rustls has no secp521r1 key exchange by default",
        "tls12-exporter": "the binding has no exporter",
        "group:secp521r1": "rustls has no secp521r1 key exchange by default",
        "exporter": "the binding has no exporter",
        "key-update-peer": "the binding cannot send a KeyUpdate",
        "sig:rsa_pss_pss": "webpki reads no id-RSASSA-PSS keys",
        "sig:ed448": "rustls has no Ed448",
    }.get(feature)
