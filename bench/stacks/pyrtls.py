"""rustls through pyrtls, over its connections without sockets."""

from __future__ import annotations

from typing import Any

from handclasp.cli.benchmarks.stacks import NAME, SUITE13, Setup

_BUFFER = 1 << 16
"""As much as it keeps of what is to be written."""
_RECORD = 1 << 14


class Pyrtls:
    """pyrtls. It takes rustls as it is: nothing but its ALPN and its certificates can be set."""

    name = "pyrtls"
    note = ""
    target: float | None = None

    def __init__(self, module: Any, version: str) -> None:
        self.version = version
        self._module = module

    def fits(self, setup: Setup) -> bool:
        return (setup.version, setup.group, setup.suite) == ("TLSv1.3", "X25519", SUITE13)

    def factory(self, setup: Setup) -> PyrtlsFactory:
        return PyrtlsFactory(self._module, setup)


class PyrtlsFactory:
    """Configs that are built once, but for a client's that is not to resume.

    Its config is what keeps the sessions, and so there is a new one for each full handshake. That
    takes it two microseconds.
    """

    def __init__(self, module: Any, setup: Setup) -> None:
        self._module = module
        self._setup = setup
        chain, key = setup.identity.chain_pem.decode(), setup.identity.key_pem.decode()
        self._roots = [setup.identity.ca_pem.decode()]
        self._client = self._client_config()
        self._server = module.ServerConfig([chain], key)

    def client(self) -> PyrtlsEnd:
        config = self._client if self._setup.resumes else self._client_config()
        return PyrtlsEnd(self._module.ClientConnection(config, NAME))

    def server(self) -> PyrtlsEnd:
        return PyrtlsEnd(self._module.ServerConnection(self._server))

    def _client_config(self) -> Any:
        return self._module.ClientConfig(custom_roots=self._roots, platform_verifier=False)


class PyrtlsEnd:
    is_complete = True  # It does not tell, but raises where a handshake fails.
    is_resumed = None

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._buffer = bytearray(_BUFFER)

    def exchange(self, data: bytes) -> bytes:
        self._receive(data)
        return self._take()

    def write(self, data: bytes) -> bytes:
        sealed, at = b"", 0
        while at < len(data):
            at += self._connection.write(data[at : at + _BUFFER])
            sealed += self._take()
        return sealed

    def read(self, sealed: bytes, size: int) -> int:
        return self._receive(sealed)

    def _receive(self, data: bytes) -> int:
        received = at = 0
        while at < len(data):
            at += self._connection.read_tls(data[at : at + _RECORD])
            state = self._connection.process_new_packets()
            while state.plaintext_bytes_to_read:
                received += self._connection.read_into(self._buffer)
                state = self._connection.process_new_packets()
        return received

    def _take(self) -> bytes:
        out = b""
        while self._connection.writable():
            out += self._buffer[: self._connection.write_tls_into(self._buffer)]
        return out
