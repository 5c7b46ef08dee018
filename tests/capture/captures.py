"""Captures of different programs' connections, each with the key log that opens it."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.capture.sniffer import capturing
from tests.children import child
from tests.pki import Leaf, Pki, key_of_type, key_pem, pem_of
from tests.required import need_tool

import handclasp
from handclasp import ClientAuth, ClientConfig, Recorder, ServerConfig, SessionStore

SECONDS = 30


@dataclass(frozen=True)
class Taken:
    """A capture in a file; `keylog` is None where it holds its secrets itself."""

    path: Path
    keylog: Path | None = None


Taking = Callable[[Pki, Path], Taken]


def ours(
    client: Mapping[str, Any], server: Mapping[str, Any], *, comes_back: bool = False
) -> Taking:
    """Our client and our server, as our client recorded it.

    Args:
        client, server: settings of the two configs.
        comes_back: record a second connection, which resumes and begins with early data.
    """

    def take(pki: Pki, directory: Path) -> Taken:
        key_type = server.get("key_type", "ecdsa-p256")
        settings = {name: value for name, value in server.items() if name != "key_type"}
        if "client_auth" in settings:
            settings["trust"] = pki.trust
        theirs = ServerConfig(credentials=pki.server(key_type=key_type), **settings)
        mine = ClientConfig(trust=pki.trust, credentials=pki.client(), **client)
        trace = Recorder(record_secrets=True, record_wire=True)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            if comes_back:
                mine = replace(mine, sessions=SessionStore(), allow_early_data=True)
                _connection(listener, mine, theirs, None)
            early_data = b"early" if comes_back else None
            _connection(listener, mine, theirs, trace, early_data)
        return _kept(trace, directory)

    return take


def _kept(trace: Recorder, directory: Path) -> Taken:
    path = directory / "recorded.pcapng"
    path.write_bytes(trace.to_pcapng())
    return Taken(path)


def _connection(
    listener: socket.socket,
    client: ClientConfig,
    server: ServerConfig,
    trace: Recorder | None,
    early_data: bytes | None = None,
) -> None:
    def serve() -> None:
        sock, _ = listener.accept()
        sock.settimeout(SECONDS)
        with handclasp.wrap_server(sock, server) as tls:
            while data := tls.recv(65536):
                tls.sendall(data)

    thread = threading.Thread(target=serve)
    thread.start()
    with handclasp.connect(
        "127.0.0.1",
        int(listener.getsockname()[1]),
        client,
        server_name="localhost",
        timeout=SECONDS,
        trace=trace,
        early_data=early_data,
    ) as tls:
        tls.sendall(b"a question")
        tls.recv(100)
        if tls.info.version == "TLSv1.3":
            tls.update_keys()
    thread.join(SECONDS)


def _openssl_server(pki: Pki, directory: Path, key_type: str, *flags: str) -> tuple[list[str], str]:
    key = key_of_type(key_type)
    chain, key_file, ca = (directory / name for name in ("chain.pem", "key.pem", "ca.pem"))
    chain.write_bytes(pem_of(pki.issue(Leaf(("localhost",)), key.public_key())))
    key_file.write_bytes(key_pem(key))
    ca.write_bytes(pki.ca_pem)
    command = [need_tool("openssl"), "s_server", "-accept", "127.0.0.1:0", "-www"]
    return [*command, "-cert", str(chain), "-key", str(key_file), *flags], str(ca)


def with_openssl_server(*flags: str, key_type: str = "ecdsa-p256", **client: Any) -> Taking:
    """Our client and the server of OpenSSL, as our client recorded it."""

    def take(pki: Pki, directory: Path) -> Taken:
        command, _ = _openssl_server(pki, directory, key_type, *flags)
        trace = Recorder(record_secrets=True, record_wire=True)
        with child(command, directory) as server:
            port = int(server.wait_for(r"ACCEPT 127\.0\.0\.1:(\d+)")[1])
            config = ClientConfig(trust=pki.trust, credentials=pki.client(), **client)
            with handclasp.connect(
                "127.0.0.1", port, config, server_name="localhost", timeout=SECONDS, trace=trace
            ) as tls:
                tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
                while tls.recv(65536):
                    pass
        return _kept(trace, directory)

    return take


def between(program: list[str], *flags: str, key_type: str = "ecdsa-p256") -> Taking:
    """Some program and the server of OpenSSL, sniffed on the loopback interface.

    Args:
        program: its command, in which {port}, {ca}, {keylog} and {home} are replaced.
        flags: of the server.
    """

    def take(pki: Pki, directory: Path) -> Taken:
        tool = need_tool(program[0])
        command, ca = _openssl_server(pki, directory, key_type, *flags)
        keylog = directory / "keys.log"
        with child(command, directory) as server:
            port = int(server.wait_for(r"ACCEPT 127\.0\.0\.1:(\d+)")[1])
            values = {"port": port, "ca": ca, "keylog": keylog, "home": directory}
            arguments = [tool, *(word.format(**values) for word in program[1:])]
            with capturing(port, directory) as capture:
                done = subprocess.run(
                    arguments,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    timeout=2 * SECONDS,
                    check=False,
                    env={**os.environ, "SSLKEYLOGFILE": str(keylog), "HOME": str(directory)},
                )
        assert keylog.exists(), done.stderr.decode(errors="replace")
        return Taken(capture.path, keylog)

    return take


OPENSSL = ["openssl", "s_client", "-connect", "127.0.0.1:{port}", "-servername", "localhost"]
OPENSSL += ["-CAfile", "{ca}", "-keylogfile", "{keylog}"]
CURL = ["curl", "-s", "--cacert", "{ca}", "--connect-to", "localhost:{port}:127.0.0.1:{port}"]
CURL += ["https://localhost:{port}/"]
GNUTLS = ["gnutls-cli", "--x509cafile", "{ca}", "-p", "{port}", "127.0.0.1"]
GNUTLS += ["--verify-hostname", "localhost", "--sni-hostname", "localhost"]
CHROMIUM = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"]
CHROMIUM += ["--no-first-run", "--disable-background-networking", "--disable-component-update"]
CHROMIUM += ["--disable-sync", "--ignore-certificate-errors", "--user-data-dir={home}/profile"]
CHROMIUM += ["--ssl-key-log-file={keylog}", "--dump-dom", "https://localhost:{port}/"]

CLIENT_CERTIFICATE = {"client_auth": ClientAuth.REQUIRED}

CAPTURES: dict[str, Taking] = {
    "our TLS 1.3": ours({"alpn": ["h2", "http/1.1"]}, {"alpn": ["http/1.1"]}),
    "a second hello": ours(
        {"groups": ["X25519", "secp384r1"], "key_shares": ["X25519"]}, {"groups": ["secp384r1"]}
    ),
    "a client certificate": ours({"versions": ["TLSv1.3"]}, CLIENT_CERTIFICATE),
    "resumed, with early data": ours({}, {"max_early_data": 1000}, comes_back=True),
    "our TLS 1.2": ours({"versions": ["TLSv1.2"], "alpn": ["h2"]}, {"alpn": ["h2"]}),
    "our TLS 1.2 with RSA": ours(
        {"versions": ["TLSv1.2"]}, {"key_type": "rsa-2048", **CLIENT_CERTIFICATE}
    ),
    "our client and OpenSSL, TLS 1.3": with_openssl_server("-tls1_3", "-verify", "2"),
    "our client and OpenSSL, TLS 1.2": with_openssl_server("-tls1_2", key_type="rsa-2048"),
    "OpenSSL, TLS 1.3": between(OPENSSL, "-tls1_3"),
    "OpenSSL, TLS 1.2": between(OPENSSL, "-tls1_2", key_type="rsa-2048"),
    "curl": between(CURL),
    "GnuTLS": between(GNUTLS, key_type="rsa-2048"),
}
