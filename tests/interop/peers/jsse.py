"""The JDK's own TLS, in a program that install_peers.sh compiles."""

from __future__ import annotations

import shutil
import subprocess

from .base import CACHE, Options, ProgramPeer, Role
from .features import CCM, ML_DSA, ML_KEM, RESUMPTION

_CLASSES = CACHE / "java"


class Jsse(ProgramPeer):
    name = "jsse"
    title = "Java JSSE"
    styles = ("raw", "http")
    rare_features = RESUMPTION

    def version(self) -> str:
        command = ["java", "-cp", str(_CLASSES), "Peer", "version"]
        printed = subprocess.run(command, capture_output=True, text=True, check=True)
        return f"OpenJDK {printed.stdout.strip()}"

    def unavailable(self) -> str | None:
        if shutil.which("java") is None:
            return "java is not installed"
        if not (_CLASSES / "Peer.class").exists():
            return "the Java program is not compiled (make peers)"
        return None

    def lacks(self, feature: str, role: Role) -> str | None:
        if feature in ML_KEM:
            return "this JDK has no ML-KEM in TLS"
        if feature in ML_DSA:
            return "this JDK has no ML-DSA in TLS"
        if role == "server" and feature in {"sig:ed25519", "sig:ed448", "sig:rsa_pss_pss"}:
            # CertificateMessage.java walks the client's signature_algorithms_cert to find a key
            # for CertificateVerify. RFC 8446 section 4.2.3 means it for certificates only.
            return (
                "JSSE picks its own key from the client's signature_algorithms_cert, where a "
                "client that accepts such signatures in CertificateVerify only has not listed it"
            )
        return {
            CCM: "JSSE has no CCM suites",
            "exporter": "this JDK has no exporter",
            "tls12-exporter": "this JDK has no exporter",
        }.get(feature)

    def hrr_groups(self, role: Role) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        # A JSSE client sends a share for its first group of each kind, XDH and EC.
        return ("secp256r1", "secp384r1"), ("secp256r1",), ("secp384r1",)

    def command(self, options: Options) -> list[str]:
        command = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", str(_CLASSES)]
        if options.groups:
            command.append(f"-Djdk.tls.namedGroups={','.join(map(_group, options.groups))}")
        return [*command, "Peer"]


def _group(name: str) -> str:
    return {"X25519": "x25519", "X448": "x448"}.get(name, name)
