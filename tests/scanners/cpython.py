"""CPython's own test_ssl, with our server where its clients expect that of `ssl`.

`python -m tests.scanners.cpython` runs those cases of its ThreadedTests that only need a peer:
their echo server keeps its shape, and speaks TLS by `handclasp.wrap_server` with the settings that
the test gave to its context. The clients, the certificates and all assertions are CPython's. What
our clients do with CPython's servers is in `cpython_client`.
"""

from __future__ import annotations

import ssl
import sys
import unittest
from importlib import import_module
from typing import Any

from tests.scanners import contexts

import handclasp
from handclasp import ClientAuth, ServerConfig, TLSSocket, TrustStore
from handclasp.certificates.policy import CertificatePolicy

CASES = (
    "test_check_hostname",
    "test_check_hostname_idn",
    "test_compression_disabled",
    "test_crl_check",
    "test_ecc_cert",
    "test_dual_rsa_ecc",
    "test_echo",
    "test_getpeercert",
    "test_hostname_checks_common_name",
    "test_min_max_version_mismatch",
    "test_min_max_version_tlsv1_2",
    "test_nonblocking_send",
    "test_read_write_after_close_raises_valuerror",
    "test_recv_into_buffer_protocol_len",
    "test_recv_send",
    "test_recv_zero",
    "test_selected_alpn_protocol",
    "test_selected_alpn_protocol_if_server_uses_alpn",
    "test_sendfile",
    "test_ssl_cert_verify_error",
    "test_starttls",
    "test_tls1_3",
    "test_version_basic",
    "test_wrong_cert_tls12",
    "test_wrong_cert_tls13",
)
"""Left out: what is about the server's context (SNI callbacks, ciphers by OpenSSL's names, DH
parameters, sessions of OpenSSL's own, versions below TLS 1.2) or needs no TLS peer at all; and

- test_alpn_protocols: a server of OpenSSL goes on without a protocol in common, where RFC 7301 3.2
  has it send no_application_protocol, as is done here;
- test_tls_unique_channel_binding: it wants a hash of 48 bytes, and so OpenSSL's first suite, and
  tls-unique in TLS 1.3, where RFC 9846 C.5 does not define it;
- test_protocol_tlsv1_2: it is about contexts of one version, from which OpenSSL advises against.
"""


def main() -> int:
    test_ssl: Any = import_module("test.test_ssl")

    contexts.watch_settings()
    test_ssl.ThreadedEchoServer.ConnectionHandler.wrap_conn = _wrapping(
        test_ssl.ThreadedEchoServer.ConnectionHandler.wrap_conn
    )
    if hasattr(test_ssl, "setUpModule"):
        test_ssl.setUpModule()
    suite = unittest.TestSuite(test_ssl.ThreadedTests(name) for name in CASES)
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    passed = result.testsRun - len(result.skipped)
    print(f"{passed} cases, {len(result.skipped)} skipped; {SERVED} handshakes by this server")
    return 0 if result.wasSuccessful() and passed // 2 < SERVED else 1


SERVED = 0


def _wrapping(real: Any) -> Any:
    def wrap_conn(self: Any) -> Any:
        context = self.server.context
        self.server.context = _Context(context)
        try:
            return real(self)
        finally:
            self.server.context = context

    return wrap_conn


class _Context:
    """What the echo server takes for its context."""

    def __init__(self, real: ssl.SSLContext) -> None:
        self._real = real
        self.verify_mode = real.verify_mode

    def wrap_socket(self, sock: Any, *, server_side: bool) -> _Connection:
        global SERVED
        assert server_side
        tls = handclasp.wrap_server(sock, config_of(self._real))
        SERVED += 1
        return _Connection(tls)


def config_of(context: ssl.SSLContext) -> ServerConfig:
    """The same settings, as far as there are such here."""
    asks = context.verify_mode != ssl.CERT_NONE
    return ServerConfig(
        credentials=contexts.credentials_of(context),
        alpn=contexts.alpn_of(context),
        versions=contexts.versions_of(context),
        client_auth=ClientAuth.REQUIRED if asks else ClientAuth.NONE,
        trust=TrustStore.from_pem(b"".join(contexts.authorities_of(context))) if asks else None,
        policy=CertificatePolicy(profile="private") if asks else CertificatePolicy(),
    )


class _Connection:
    """A `TLSSocket` with the names that the echo server uses."""

    def __init__(self, tls: TLSSocket) -> None:
        self._tls = tls

    def read(self) -> bytes:
        return self._tls.recv(1024)

    def write(self, data: bytes) -> int:
        self._tls.sendall(data)
        return len(data)

    def close(self) -> None:
        self._tls.close()

    def unwrap(self) -> Any:
        return self._tls.unwrap()

    def selected_alpn_protocol(self) -> str | None:
        return self._tls.info.alpn

    def shared_ciphers(self) -> list[Any]:
        return []

    def cipher(self) -> tuple[str, str, int]:
        return self._tls.info.cipher_suite, self._tls.info.version, 0

    def getpeercert(self, binary: bool = False) -> Any:
        chain = self._tls.info.peer_chain_der
        return chain[0] if chain and binary else {} if chain else None

    def get_channel_binding(self, kind: Any) -> bytes | None:
        # CPython gives OpenSSL's Finished in TLS 1.3, where RFC 9846 C.5 defines no tls-unique.
        return self._tls.channel_binding(kind)


if __name__ == "__main__":
    sys.exit(main())
