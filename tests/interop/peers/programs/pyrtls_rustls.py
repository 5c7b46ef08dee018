"""rustls through pyrtls, over its sans-IO connections.

Its sockets can wait for more bytes while they hold a whole record, so they are not used.
"""

from __future__ import annotations

import argparse
import socket
from pathlib import Path
from typing import Any

import pyrtls

from .spine import main

_BUFFER = 1 << 16


class Pyrtls:
    def __init__(self) -> None:
        self.config: Any = None  # it keeps the sessions

    def connect(self, sock: socket.socket, flags: argparse.Namespace) -> PyrtlsChannel:
        if self.config is None:
            roots = [Path(flags.ca).read_text()]
            self.config = pyrtls.ClientConfig(
                custom_roots=roots, platform_verifier=False, alpn_protocols=flags.alpn
            )
        return PyrtlsChannel(pyrtls.ClientConnection(self.config, "localhost"), sock)

    def accept(self, sock: socket.socket, flags: argparse.Namespace) -> PyrtlsChannel:
        if self.config is None:
            chain, key = Path(flags.cert).read_text(), Path(flags.key).read_text()
            self.config = pyrtls.ServerConfig([chain], key, alpn_protocols=flags.alpn)
        return PyrtlsChannel(pyrtls.ServerConnection(self.config), sock)


class PyrtlsChannel:
    def __init__(self, tls: Any, sock: socket.socket) -> None:
        self.tls = tls
        self.sock = sock
        self.plain = bytearray()
        self._flush()

    def send_all(self, data: bytes) -> None:
        for at in range(0, len(data), _BUFFER // 4):
            piece = data[at : at + _BUFFER // 4]
            while piece:
                written = self.tls.write(piece)
                piece = piece[written:]
                self._flush()
                if not written:  # it keeps little before the handshake is over
                    self._take(self._read())

    def receive(self, limit: int) -> bytes:
        while not self.plain:
            data = self.sock.recv(_BUFFER)
            if not data:
                return b""
            self._take(data)
        taken = bytes(self.plain[:limit])
        del self.plain[:limit]
        return taken

    def update_keys(self) -> None:
        raise NotImplementedError("the library has no KeyUpdate")

    def facts(self, flags: argparse.Namespace) -> dict[str, Any]:
        return {}

    def end(self) -> None:
        pass  # pyrtls cannot send close_notify

    def _read(self) -> bytes:
        data = self.sock.recv(_BUFFER)
        if not data:
            raise EOFError("within the handshake")
        return data

    def _take(self, data: bytes) -> None:
        while data:
            data = data[self.tls.read_tls(data) :]
            state = self.tls.process_new_packets()
            while waiting := state.plaintext_bytes_to_read:
                buffer = bytearray(waiting)
                self.plain += buffer[: self.tls.read_into(buffer)]
                state = self.tls.process_new_packets()
        self._flush()

    def _flush(self) -> None:
        buffer = bytearray(_BUFFER)
        while self.tls.writable():
            self.sock.sendall(buffer[: self.tls.write_tls_into(buffer)])


if __name__ == "__main__":
    main(Pyrtls())
