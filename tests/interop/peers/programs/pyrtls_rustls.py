"""rustls through pyrtls: sockets only, and nothing told about the connection."""

from __future__ import annotations

import argparse
import socket
from pathlib import Path
from typing import Any

import pyrtls

from .spine import main


class Pyrtls:
    def connect(self, sock: socket.socket, flags: argparse.Namespace) -> PyrtlsChannel:
        roots = [Path(flags.ca).read_text()]
        config = pyrtls.ClientConfig(custom_roots=roots, platform_verifier=False, alpn_protocols=flags.alpn)
        sock.settimeout(None)  # its sockets do not expect EAGAIN
        return PyrtlsChannel(config.wrap_socket(sock, "localhost"))

    def accept(self, sock: socket.socket, flags: argparse.Namespace) -> PyrtlsChannel:
        chain, key = Path(flags.cert).read_text(), Path(flags.key).read_text()
        config = pyrtls.ServerConfig([chain], key, alpn_protocols=flags.alpn)
        sock.settimeout(None)
        return PyrtlsChannel(config.wrap_socket(sock))


class PyrtlsChannel:
    def __init__(self, tls: Any) -> None:
        self.tls = tls
        tls.do_handshake()

    def send_all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self.tls.send(bytes(view[:16384])) :]

    def receive(self, limit: int) -> bytes:
        received: bytes = self.tls.recv(limit)
        return received

    def update_keys(self) -> None:
        raise NotImplementedError("the library has no KeyUpdate")

    def facts(self, flags: argparse.Namespace) -> dict[str, Any]:
        return {}

    def end(self) -> None:
        pass  # pyrtls cannot send close_notify


if __name__ == "__main__":
    main(Pyrtls())
