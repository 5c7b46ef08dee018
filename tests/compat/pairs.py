"""Two ends, each with a context of `ssl` or of handclasp, over sockets or over memory BIOs."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.pki import Authority, Leaf, Pki, key_of_type, key_pem, pem_of

from handclasp.compat import SSLContext

SSL_TAKES_AN_EOF_FOR_A_CLOSE = bool(
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).options & getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
)
"""Whether `ssl` takes the end of the transport for close_notify.

Until Python 3.11.3 it set this option, where OpenSSL is 3.0 or later. A read then returns b"" where
it raises SSLEOFError today. handclasp raises on each Python.
"""


def _takes_x448() -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).set_ecdh_curve("X448")
    except ssl.SSLError:
        return False
    return True


SSL_TAKES_X448 = _takes_x448()
"""Whether `set_ecdh_curve` of `ssl` takes X25519 and X448.

Python 3.11.2 takes the curves of ECDSA only, and 3.11.7 takes both.
"""

CONTEXTS: dict[str, type[ssl.SSLContext]] = {"ssl": ssl.SSLContext, "handclasp": SSLContext}


@dataclass
class Files:
    """Certificates of one private authority in files, as programs of `ssl` have them."""

    pki: Pki
    directory: Path
    made: dict[str, Path] = field(default_factory=dict)

    @property
    def ca(self) -> Path:
        return self.write("ca.pem", self.pki.ca_pem)

    def write(self, name: str, data: bytes) -> Path:
        path = self.directory / name
        path.write_bytes(data)
        return path

    def leaf(
        self,
        name: str,
        leaf: Leaf | None = None,
        *,
        issuer: Authority | None = None,
        key_type: str = "ecdsa-p256",
        password: bytes | None = None,
    ) -> Path:
        """A file with a chain and its key."""
        key = key_of_type(key_type)
        issuer = issuer or self.pki
        certificate = issuer.issue(leaf or Leaf(), key.public_key())
        chain = pem_of(certificate, *issuer.path)
        path = self.write(f"{name}.pem", chain + key_pem(key, password))
        path.chmod(0o600)
        return path


def server_context(kind: str, files: Files, **settings: Any) -> ssl.SSLContext:
    context = CONTEXTS[kind](ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.leaf("server"))
    for name, value in settings.items():
        setattr(context, name, value)
    return context


def client_context(kind: str, files: Files, **settings: Any) -> ssl.SSLContext:
    context = CONTEXTS[kind](ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(files.ca)
    for name, value in settings.items():
        setattr(context, name, value)
    return context


@dataclass
class Met:
    """What came of a meeting: the value or the exception of either side."""

    server: Any = None
    client: Any = None


def meet(
    server: ssl.SSLContext,
    client: ssl.SSLContext,
    serve: Callable[[ssl.SSLSocket], Any] = lambda sock: sock.recv(100),
    talk: Callable[[ssl.SSLSocket], Any] = lambda sock: sock.sendall(b"hello"),
    *,
    server_hostname: str | None = "localhost",
    **arguments: Any,
) -> Met:
    """Let two contexts meet over a pair of sockets, each in a thread."""
    ends, met = socket.socketpair(), Met()
    for each in ends:
        each.settimeout(20)

    def run_server() -> None:
        try:
            with server.wrap_socket(ends[0], server_side=True) as sock:
                met.server = serve(sock)
        except OSError as error:
            met.server = error
        finally:
            ends[0].close()

    thread = threading.Thread(target=run_server)
    thread.start()
    try:
        with client.wrap_socket(ends[1], server_hostname=server_hostname, **arguments) as sock:
            met.client = talk(sock)
    except OSError as error:
        met.client = error
    finally:
        ends[1].close()
        thread.join()
    return met


class Bios:
    """Two `SSLObject`s, with the memory BIOs between them."""

    def __init__(self, server: ssl.SSLContext, client: ssl.SSLContext, **arguments: Any) -> None:
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.to_server, self.to_client = to_server, to_client
        self.server = server.wrap_bio(to_server, to_client, server_side=True)
        arguments.setdefault("server_hostname", "localhost")
        self.client = client.wrap_bio(to_client, to_server, **arguments)

    def handshake(self) -> Bios:
        for _ in range(10):
            done = 0
            for each in (self.client, self.server):
                try:
                    each.do_handshake()
                    done += 1
                except ssl.SSLWantReadError:
                    pass
            if done == 2:
                return self
        raise AssertionError("the handshake does not end")
