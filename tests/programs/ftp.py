"""A small FTP server with TLS: one file, passive transfers."""

from __future__ import annotations

import socket
import ssl

from tests.programs.case import Case
from tests.programs.peers import _listen

FILE = b"hello from the server\n" * 3000


def serve(case: Case) -> int:
    """Serve, and return the port."""
    context = case.server_context()
    return _listen(lambda sock: _Session(sock, context).run())


class _Session:
    """One control connection."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self._sock, self._context = sock, context
        self._listener: socket.socket | None = None

    def run(self) -> None:
        try:
            self._say("220 ready")
            self._one_by_one()
        except OSError:
            pass
        finally:
            self._sock.close()

    def _say(self, line: str) -> None:
        self._sock.sendall(f"{line}\r\n".encode())

    def _one_by_one(self) -> None:
        lines = self._sock.makefile("rb")
        while line := lines.readline():
            command = line.split()[0].upper().decode()
            if command == "AUTH":
                self._say("234 go on")
                self._sock = self._context.wrap_socket(self._sock, server_side=True)
                lines = self._sock.makefile("rb")
            elif command == "PASV":
                self._listener = socket.create_server(("127.0.0.1", 0))
                port = self._listener.getsockname()[1]
                self._say(f"227 listening (127,0,0,1,{port // 256},{port % 256})")
            elif command in ("NLST", "RETR"):
                self._transfer(b"hello.txt\r\n" if command == "NLST" else FILE)
            elif command == "QUIT":
                self._say("221 goodbye")
                return
            else:
                self._say("230 yes" if command == "USER" else "200 yes")

    def _transfer(self, data: bytes) -> None:
        assert self._listener is not None
        sock, _ = self._listener.accept()
        self._listener.close()
        self._say("150 here it comes")
        with self._context.wrap_socket(sock, server_side=True) as tls:
            tls.sendall(data)
            tls.unwrap().close()
        self._say("226 that was it")
