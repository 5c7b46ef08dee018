"""pyOpenSSL, over its memory buffers."""

from __future__ import annotations

import importlib
from contextlib import suppress
from typing import Any

from handclasp.cli.benchmarks.stacks import NAME, OPENSSL_NAMES, Setup


class PyOpenSsl:
    """pyOpenSSL, on the OpenSSL that cryptography brings."""

    note = "does not check the server's name"
    target: float | None = 1.1

    def __init__(self, name: str, module: Any, version: str) -> None:
        self.name = name
        self.version = version
        self._module = module

    def fits(self, setup: Setup) -> bool:
        # By itself it takes the hybrid group, and can be told of elliptic curves only.
        return setup.group == "secp256r1" or (
            setup.group == "X25519MLKEM768" and setup.version == "TLSv1.3"
        )

    def factory(self, setup: Setup) -> PyOpenSslFactory:
        return PyOpenSslFactory(self._module, setup)


class PyOpenSslFactory:
    def __init__(self, module: Any, setup: Setup) -> None:
        self._module = module
        self._resumes = setup.resumes
        self._last: Any = None
        self._client = module.Context(module.TLS_CLIENT_METHOD)
        self._client.get_cert_store().add_cert(_certificate(setup.identity.ca_pem))
        self._client.set_verify(module.VERIFY_PEER)
        self._server = module.Context(module.TLS_SERVER_METHOD)
        self._server.use_certificate_chain_file(str(setup.identity.chain_path))
        self._server.use_privatekey_file(str(setup.identity.key_path))
        number = module.TLS1_3_VERSION if setup.version == "TLSv1.3" else module.TLS1_2_VERSION
        for context in (self._client, self._server):
            context.set_min_proto_version(number)
            context.set_max_proto_version(number)
            if setup.version == "TLSv1.3":
                context.set_tls13_ciphersuites(setup.suite.encode())
            else:
                context.set_cipher_list(OPENSSL_NAMES[setup.suite].encode())
            if setup.group == "secp256r1":
                from cryptography.hazmat.primitives.asymmetric import ec

                context.set_tmp_ecdh(ec.SECP256R1())

    def client(self) -> PyOpenSslEnd:
        connection = self._module.Connection(self._client, None)
        connection.set_tlsext_host_name(NAME.encode())
        connection.set_connect_state()
        if self._last is not None:
            # OpenSSL never resumes what ended without a word, as all connections here do.
            self._last.set_shutdown(self._module.SENT_SHUTDOWN | self._module.RECEIVED_SHUTDOWN)
            connection.set_session(self._last.get_session())
        if self._resumes:
            self._last = connection
        return PyOpenSslEnd(self._module, connection, reads_tickets=True)

    def server(self) -> PyOpenSslEnd:
        connection = self._module.Connection(self._server, None)
        connection.set_accept_state()
        return PyOpenSslEnd(self._module, connection, reads_tickets=False)


class PyOpenSslEnd:
    def __init__(self, module: Any, connection: Any, *, reads_tickets: bool) -> None:
        self._wants_read = module.WantReadError
        self._reads_tickets = reads_tickets
        self.connection = connection
        self.is_complete = False
        self.is_resumed = None

    def exchange(self, data: bytes) -> bytes:
        if data:
            self.connection.bio_write(data)
        if not self.is_complete:
            with suppress(self._wants_read):
                self.connection.do_handshake()
                self.is_complete = True
        elif self._reads_tickets:
            with suppress(self._wants_read):
                self.connection.recv(1)
        return self._take()

    def write(self, data: bytes) -> Any:
        self.connection.sendall(data)
        return self._take()

    def read(self, sealed: bytes, size: int) -> int:
        self.connection.bio_write(sealed)
        received = 0
        while received < size:
            received += len(self.connection.recv(262_144))
        return received

    def _take(self) -> bytes:
        try:
            out: bytes = self.connection.bio_read(262_144 * 2)
        except self._wants_read:
            return b""
        return out


def _certificate(pem: bytes) -> Any:
    crypto = importlib.import_module("OpenSSL.crypto")
    return crypto.load_certificate(crypto.FILETYPE_PEM, pem)
