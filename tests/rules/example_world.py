"""The world in which the examples of the docstrings run.

It holds an authority that is trusted here, a server at example.com, and files of credentials.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.pki import Leaf, Pki, key_of_type, key_pem, pem_of
from tests.rules.source import TESTS

import handclasp
from handclasp import ServerConfig, TrustStore

CAPTURES = TESTS / "capture" / "data"

REAL_GETADDRINFO = socket.getaddrinfo


class World:
    """An authority, and a server that has a certificate of it for example.com.

    Args:
        directory: an empty one for the files that each example finds.
    """

    def __init__(self, directory: Path) -> None:
        self.pki = Pki()
        self._directory = directory
        key = key_of_type("ecdsa-p256")
        leaf = self.pki.issue(Leaf(names=["example.com"]), key.public_key())
        client = self.pki.issue(
            Leaf(names=["client.example.com"], purpose=ExtendedKeyUsageOID.CLIENT_AUTH),
            key.public_key(),
        )
        self._files = {
            "chain.pem": pem_of(leaf),
            "key.pem": key_pem(key),
            "ca.pem": self.pki.ca_pem,
            "client.pem": pem_of(client),
            "client-key.pem": key_pem(key),
            "log.der": key.public_key().public_bytes(
                Encoding.DER, PublicFormat.SubjectPublicKeyInfo
            ),
            "revoked.crl": self.pki.crl().public_bytes(Encoding.PEM),
            "staple.der": self.pki.ocsp_response(leaf),
            "capture.pcap": (CAPTURES / "tls12-dhe-rsa-aes128-gcm.pcap").read_bytes(),
            "capture.keys": (CAPTURES / "tls12-dhe-rsa-aes128-gcm.keys").read_bytes(),
        }
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._config = ServerConfig(
            credentials=handclasp.Credentials.from_pem(pem_of(leaf), key_pem(key)),
            alpn=["http/1.1", "h2"],
            max_early_data=16384,
        )
        self._threads: list[threading.Thread] = []
        self.redis_port = 0

    def __enter__(self) -> World:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        # Closing alone does not wake a thread that waits in accept().
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive(), "a connection of an example is still open"

    def _start(self, function: Any, *args: Any) -> None:
        thread = threading.Thread(target=function, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                self._start(self._serve, self._listener.accept()[0])

    def _serve(self, sock: socket.socket) -> None:
        """Send back what one client sends."""
        sock.settimeout(10)
        with suppress(OSError), handclasp.wrap_server(sock, self._config) as tls:
            if tls.early_data:
                tls.sendall(tls.early_data)
            while data := tls.recv(65536):
                tls.sendall(data)

    def _visit(self, address: tuple[str, int]) -> None:
        """Be a client that greets a server, and waits for an answer."""
        with (
            suppress(OSError),
            handclasp.connect(*address, server_name="example.com", timeout=10) as tls,
        ):
            tls.sendall(b"hello")
            tls.recv(65536)

    @contextmanager
    def prepared(
        self, directory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[dict[str, Any]]:
        """Prepare the files and the names of one example."""
        for name, content in self._files.items():
            (directory / name).write_bytes(content)
            (directory / name).chmod(0o600)
        monkeypatch.chdir(directory)
        monkeypatch.setattr(TrustStore, "system", classmethod(lambda cls: self.pki.trust))
        monkeypatch.setattr(socket, "getaddrinfo", self._look_up)
        listener = _Listener(self)
        try:
            yield {
                "handclasp": handclasp,
                "asyncio": asyncio,
                "os": os,
                "socket": socket,
                "listener": listener,
                **{name: getattr(handclasp, name) for name in handclasp.__all__},
            }
        finally:
            listener.close()

    def _look_up(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host == "example.com":
            return REAL_GETADDRINFO("127.0.0.1", self._listener.getsockname()[1], *args, **kwargs)
        if host == "redis.example.com" and self.redis_port:
            return REAL_GETADDRINFO("127.0.0.1", self.redis_port, *args, **kwargs)
        if host in (None, "", "localhost", "127.0.0.1", "::1"):
            return REAL_GETADDRINFO(host, port, *args, **kwargs)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


class _Listener(socket.socket):
    """A listening socket to which a client connects whenever the example waits for one."""

    def __init__(self, world: World) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_STREAM)
        self._world = world
        self.bind(("127.0.0.1", 0))
        self.listen()
        self.settimeout(10)

    def accept(self) -> tuple[socket.socket, Any]:
        self._world._start(self._world._visit, self.getsockname())
        return super().accept()
