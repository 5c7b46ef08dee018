"""Servers that are asked what they make of a hello: ours, OpenSSL's in this process, and Go's."""

from __future__ import annotations

import contextlib
import ssl
import subprocess
from pathlib import Path

from handclasp import Credentials, ServerConfig, ServerConnection, TLSError

ANSWERED = "answered"
"""By a ServerHello, a HelloRetryRequest or the flight that follows one."""

SILENT = "silent"
"""More is expected, or the connection is closed without a word."""


class Ours:
    """Our server; `fault` says why it refused last."""

    name = "handclasp"

    def __init__(self, chain: Path, key: Path) -> None:
        self._config = ServerConfig(
            credentials=[Credentials.load(chain, key)],
            tickets=0,
            require_extended_master_secret=False,
            # Elsewhere these two groups are not, or not in this order: what is compared is syntax.
            groups=["X25519", "secp256r1", "secp384r1", "secp521r1"],
        )
        self.fault = ""

    def judge(self, stream: bytes) -> str:
        connection = ServerConnection(self._config)
        self.fault = ""
        try:
            connection.receive_data(stream)
        except TLSError as error:
            self.fault = f"{error.fault_name}: {getattr(error, 'detail', '')}"
        return verdict_of(bytes(connection.data_to_send()))


class OpenSsl:
    """The OpenSSL that Python's `ssl` is linked with."""

    name = "OpenSSL"

    def __init__(self, chain: Path, key: Path) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(chain, key)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
        self._context.options |= ssl.OP_NO_TICKET

    def judge(self, stream: bytes) -> str:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self._context.wrap_bio(incoming, outgoing, server_side=True)
        incoming.write(stream)
        with contextlib.suppress(ssl.SSLError, ValueError):
            tls.do_handshake()
        return verdict_of(outgoing.read())


class Go:
    """crypto/tls of Go, in a program that is built where there is a Go."""

    name = "Go"

    def __init__(self, chain: Path, key: Path, program: Path) -> None:
        self._process = subprocess.Popen(
            [program, chain, key], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def judge(self, stream: bytes) -> str:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(len(stream).to_bytes(4, "big") + stream)
        stdin.flush()
        return stdout.readline().decode().strip()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


def verdict_of(said: bytes) -> str:
    """What a server's first bytes mean."""
    if not said:
        return SILENT
    return f"alert {said[6]}" if said[0] == 21 else ANSWERED
