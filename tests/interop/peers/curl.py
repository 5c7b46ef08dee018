"""curl, the command, and curl_cffi, which is curl on BoringSSL shaped like a browser."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

from .base import (
    Options,
    Peer,
    PeerError,
    Process,
    ProgramPeer,
    Report,
    Role,
    RunningServer,
    iana_suite,
    openssl_suite,
    running,
)
from .features import CCM, ECH, ML_DSA, ML_KEM, NIST_HYBRIDS, X448
from .openssl_conf import openssl_groups


class Curl(Peer):
    """Posts the payload and keeps what comes back, `rounds` times on one connection."""

    name = "curl"
    title = "curl"
    roles = ("client",)
    styles = ("http",)
    alpn_protocols = ("http/1.1",)

    def version(self) -> str:
        first, second = _curl_version()
        return f"curl {first}, OpenSSL {second}"

    def unavailable(self) -> str | None:
        return None if shutil.which("curl") else "curl is not installed"

    def lacks(self, feature: str, role: Role) -> str | None:
        openssl = _curl_version()[1]
        if feature in ML_KEM | ML_DSA and openssl < "3.5":
            return f"curl is built on OpenSSL {openssl}, which has neither ML-KEM nor ML-DSA"
        return {
            "key-update-peer": "curl cannot send a KeyUpdate",
            "exporter": "curl has no exporter",
            "tls12-exporter": "curl has no exporter",
        }.get(feature)

    def start_server(
        self, options: Options, workdir: Path
    ) -> AbstractContextManager[RunningServer]:
        raise NotImplementedError("curl is a client")

    def run_client(self, port: int, options: Options, workdir: Path) -> Report:
        command = ["curl", "--silent", "--show-error", "--verbose", "--http1.1", "--max-time", "25"]
        command += ["--noproxy", "*", "--resolve", f"localhost:{port}:127.0.0.1"]
        version = options.version.removeprefix("TLSv")
        command += [f"--tlsv{version}", "--tls-max", version, "--cacert", str(options.ca)]
        if options.suites and options.version == "TLSv1.2":
            command += ["--ciphers", ":".join(map(openssl_suite, options.suites))]
        elif options.suites:
            command += ["--tls13-ciphers", ":".join(options.suites)]
        if options.groups:
            command += ["--curves", openssl_groups(options.groups)]
        if options.identity is not None:
            identity = options.identity
            command += ["--cert", str(identity.chain), "--key", str(identity.key)]
        if not options.alpn:
            command.append("--no-alpn")
        outputs = [workdir / f"round-{index}" for index in range(options.rounds)]
        shared = command[1:]
        for index, output in enumerate(outputs):
            if index:
                command += ["--next", *shared]
            command += ["--data-binary", f"@{options.payload}", "--output", str(output)]
            command.append(f"https://localhost:{port}/echo")
        with running(Process(command, workdir)) as process:
            process.finish()
            if process.popen.returncode:
                raise PeerError(process.said())
            said = process.stderr_path.read_text(errors="replace")
        if "SSL certificate verify ok." not in said:
            raise PeerError(f"no verified certificate: {said[-1500:]}")
        if said.count("* SSL connection using") != 1:
            raise PeerError(f"not all on one connection: {said[-1500:]}")
        return _report(said, [hashlib.sha256(path.read_bytes()).hexdigest() for path in outputs])


class CurlCffi(ProgramPeer):
    """curl_cffi sends the hello of a browser, so it takes no list of groups or suites."""

    name = "curl_cffi"
    title = "curl_cffi (BoringSSL)"
    roles = ("client",)
    styles = ("http",)
    alpn_protocols = ("http/1.1",)
    rare_features = ECH
    sends_close_notify = False  # one in some seventy left it out, on a busy machine

    def version(self) -> str:
        from curl_cffi import Curl as Handle

        version = importlib.metadata.version("curl_cffi")
        return f"curl_cffi {version}, {' '.join(Handle().version().decode().split()[:2])}"

    def unavailable(self) -> str | None:
        if importlib.util.find_spec("curl_cffi") is None:
            return "curl_cffi is not installed in this Python"
        return None

    def lacks(self, feature: str, role: Role) -> str | None:
        if feature in NIST_HYBRIDS:
            return "BoringSSL has no hybrids with NIST curves"
        return {
            CCM: "BoringSSL has no CCM suites",
            "ech-resume": "curl_cffi opens one connection",
            **dict.fromkeys(X448, "BoringSSL has no X448"),
            "group:secp521r1": "the browser it looks like does not offer secp521r1",
            "key-update-peer": "curl cannot send a KeyUpdate",
            "exporter": "curl has no exporter",
            "tls12-exporter": "curl has no exporter",
            "tls12-group:secp521r1": "the browser it looks like does not offer secp521r1",
            "tls12-sig:ed25519": "the browser it looks like does not offer Ed25519",
            "sig:rsa_pss_pss": "BoringSSL reads no id-RSASSA-PSS keys",
            "sig:ed25519": "the browser it looks like does not offer Ed25519",
            "sig:ed448": "BoringSSL has no Ed448",
            "sig:ecdsa_secp521r1_sha512": "the browser it looks like does not offer P-521",
        }.get(feature)

    def command(self, options: Options) -> list[str]:
        return [sys.executable, "-m", "tests.interop.peers.programs.curl_cffi_boringssl"]


def _curl_version() -> tuple[str, str]:
    printed = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True)
    found = re.match(r"curl (\S+) .*?OpenSSL/(\S+)", printed.stdout)
    return (found[1], found[2]) if found else ("of unknown version", "")


def _report(said: str, received: list[str]) -> Report:
    def printed(pattern: str) -> str | None:
        found = re.search(pattern, said)
        return found[1] if found else None

    # curl writes hellos with their types: one more than one ClientHello is a retry.
    hellos = len(re.findall(r"TLS handshake, Client hello", said))
    return Report(
        received=received,
        version=printed(r"SSL connection using (\S+) /"),
        suite=iana_suite(printed(r"SSL connection using \S+ / (\S+)")),
        alpn=printed(r"ALPN: server accepted (\S+)"),
        hello_retry=hellos == 2,
        peer_subject=printed(r"subject: CN=([^\n]+)"),
    )
