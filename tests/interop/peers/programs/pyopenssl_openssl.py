"""OpenSSL as cryptography's wheels carry it, through pyOpenSSL."""

from __future__ import annotations

import argparse
import contextlib
import socket
from typing import Any

from cryptography.x509 import NameOID
from OpenSSL import SSL
from tests.interop.peers.base import openssl_suite

from .spine import main


class PyOpenSSL:
    def __init__(self) -> None:
        self.context: SSL.Context | None = None
        self.last: PyOpenSSLChannel | None = None

    def connect(self, sock: socket.socket, flags: argparse.Namespace) -> PyOpenSSLChannel:
        context = self._kept_context(flags)
        if flags.alpn:
            context.set_alpn_protos([name.encode() for name in flags.alpn])
        connection = SSL.Connection(context, sock)
        connection.set_tlsext_host_name(b"localhost")
        connection.set_connect_state()
        if self.last is not None:
            session = self.last.tls.get_session()
            if session is not None:
                connection.set_session(session)
        self.last = PyOpenSSLChannel(connection, sock)
        return self.last

    def accept(self, sock: socket.socket, flags: argparse.Namespace) -> PyOpenSSLChannel:
        context = self._kept_context(flags)
        if flags.alpn:
            mine = [name.encode() for name in flags.alpn]
            context.set_alpn_select_callback(
                lambda _, offered: next(name for name in mine if name in offered)
            )
        connection = SSL.Connection(context, sock)
        connection.set_accept_state()
        return PyOpenSSLChannel(connection, sock)

    def _kept_context(self, flags: argparse.Namespace) -> SSL.Context:
        """One for all connections: it holds a server's ticket keys."""
        if self.context is None:
            self.context = self._context(flags)
        return self.context

    def _context(self, flags: argparse.Namespace) -> SSL.Context:
        context = SSL.Context(SSL.TLS_METHOD)
        version = {"TLSv1.2": SSL.TLS1_2_VERSION, "TLSv1.3": SSL.TLS1_3_VERSION}[flags.tls]
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
        if flags.cert:
            context.use_certificate_chain_file(flags.cert)
            context.use_privatekey_file(flags.key)
        if flags.role == "client" or flags.require_client_cert:
            context.load_verify_locations(flags.ca)
            mode = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
            context.set_verify(mode, lambda *arguments: bool(arguments[4]))
        if flags.suites and flags.tls == "TLSv1.2":
            context.set_cipher_list(":".join(map(openssl_suite, flags.suites)).encode())
        elif flags.suites:
            context.set_tls13_ciphersuites(":".join(flags.suites).encode())
        return context


class PyOpenSSLChannel:
    def __init__(self, connection: SSL.Connection, sock: socket.socket) -> None:
        sock.settimeout(None)  # pyOpenSSL does not wait for a socket that has a timeout
        self.tls = connection
        self.sock = sock
        connection.do_handshake()

    def send_all(self, data: bytes) -> None:
        self.tls.sendall(data)

    def receive(self, limit: int) -> bytes:
        try:
            return self.tls.recv(limit)
        except SSL.ZeroReturnError:
            return b""

    def update_keys(self) -> None:
        raise NotImplementedError("pyOpenSSL does not expose SSL_key_update")

    def facts(self, flags: argparse.Namespace) -> dict[str, Any]:
        peer = self.tls.get_peer_certificate(as_cryptography=True)
        names = peer.subject.get_attributes_for_oid(NameOID.COMMON_NAME) if peer else []
        facts: dict[str, Any] = {
            "version": self.tls.get_protocol_version_name(),
            "suite": self.tls.get_cipher_name(),
            "group": self.tls.get_group_name(),
            "alpn": self.tls.get_alpn_proto_negotiated().decode() or None,
            "peer_subject": names[0].value if names else None,
        }
        if flags.exporter_label:
            context = bytes.fromhex(flags.exporter_context)
            label = flags.exporter_label.encode()
            exported = self.tls.export_keying_material(label, flags.exporter_length, context)
            facts["exporter"] = exported.hex()
        return facts

    def end(self) -> None:
        with contextlib.suppress(SSL.Error):  # the other end may be gone already
            self.tls.shutdown()


if __name__ == "__main__":
    main(PyOpenSSL())
