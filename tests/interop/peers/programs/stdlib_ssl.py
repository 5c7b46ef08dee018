"""CPython's ssl; with another module of the same surface (rtls) it serves that as well."""

from __future__ import annotations

import argparse
import contextlib
import socket
import ssl
from typing import Any

from tests.interop.peers.base import openssl_suite

from .spine import main


class StandardLibrary:
    """`module` is `ssl` or something shaped like it."""

    def __init__(self, module: Any = ssl) -> None:
        self.module = module
        self.kept: Any = None  # the context, which also holds a server's ticket keys
        self.last: SSLChannel | None = None

    def connect(self, sock: socket.socket, flags: argparse.Namespace) -> SSLChannel:
        context = self._context(self.module.PROTOCOL_TLS_CLIENT, flags)
        context.load_verify_locations(cafile=flags.ca)
        if flags.cert:
            context.load_cert_chain(flags.cert, flags.key)
        session = self.last.session if self.last is not None else None
        if session is not None and self.kept is not None:
            context = self.kept  # A session belongs to its context.
        self.kept = context
        tls = context.wrap_socket(sock, server_hostname="localhost", **_with(session))
        self.last = SSLChannel(tls)
        return self.last

    def accept(self, sock: socket.socket, flags: argparse.Namespace) -> SSLChannel:
        if self.kept is not None:
            return SSLChannel(self.kept.wrap_socket(sock, server_side=True))
        context = self.kept = self._context(self.module.PROTOCOL_TLS_SERVER, flags)
        context.load_cert_chain(flags.cert, flags.key)
        if flags.require_client_cert:
            context.verify_mode = self.module.CERT_REQUIRED
            context.load_verify_locations(cafile=flags.ca)
        return SSLChannel(context.wrap_socket(sock, server_side=True))

    def _context(self, protocol: Any, flags: argparse.Namespace) -> Any:
        context = self.module.SSLContext(protocol)
        version = self.module.TLSVersion[flags.tls.replace(".", "_")]
        context.minimum_version = context.maximum_version = version
        if flags.alpn:
            context.set_alpn_protocols(flags.alpn)
        self.configure(context, flags)
        return context

    def configure(self, context: Any, flags: argparse.Namespace) -> None:
        """CPython's ssl can name one group (set_ecdh_curve) and no TLS 1.3 suites."""
        if flags.suites and flags.tls == "TLSv1.2":
            context.set_ciphers(":".join(map(openssl_suite, flags.suites)))
        names = {"secp256r1": "prime256v1", "X25519": "X25519", "X448": "X448"}
        if len(flags.groups) == 1:
            context.set_ecdh_curve(names.get(flags.groups[0], flags.groups[0]))


class SSLChannel:
    def __init__(self, tls: Any) -> None:
        self.tls = tls
        self.session: Any = None

    def send_all(self, data: bytes) -> None:
        self.tls.sendall(data)

    def receive(self, limit: int) -> bytes:
        received: bytes = self.tls.recv(limit)
        return received

    def update_keys(self) -> None:
        raise NotImplementedError("the library has no KeyUpdate")

    def facts(self, flags: argparse.Namespace) -> dict[str, Any]:
        cipher = self.tls.cipher()
        self.session = getattr(self.tls, "session", None)  # Once closed, it has none.
        der = self.tls.getpeercert(binary_form=True)
        return {
            "version": self.tls.version(),
            "suite": cipher[0] if cipher else None,
            "resumed": getattr(self.tls, "session_reused", None),
            "alpn": self.tls.selected_alpn_protocol(),
            "peer_subject": common_name(der) if der else None,
        }

    def end(self) -> None:
        # unwrap() would wait for an answer to its close_notify; it goes out all the same.
        self.tls.settimeout(0)
        with contextlib.suppress(OSError):
            self.tls.unwrap()


def _with(session: Any) -> dict[str, Any]:
    return {} if session is None else {"session": session}


def common_name(der: bytes) -> str | None:
    from cryptography import x509

    subject = x509.load_der_x509_certificate(der).subject
    names = subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(names[0].value) if names else None


if __name__ == "__main__":
    main(StandardLibrary())
