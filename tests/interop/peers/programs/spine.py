"""What the Python programs share: flags, the socket, the conversation, the report."""

from __future__ import annotations

import argparse
import json
import socket
import sys
import traceback
from pathlib import Path
from typing import Any, Protocol

from tests.interop.conversation import Channel, Terms, converse_as_client, converse_as_server


class Connection(Channel, Protocol):
    """A channel that can also say what was negotiated, and end its side with close_notify."""

    def facts(self, flags: argparse.Namespace) -> dict[str, Any]: ...

    def end(self) -> None: ...


class Stack(Protocol):
    """One library."""

    def connect(self, sock: socket.socket, flags: argparse.Namespace) -> Connection: ...

    def accept(self, sock: socket.socket, flags: argparse.Namespace) -> Connection: ...


def main(stack: Stack) -> None:
    flags = read_flags()
    terms = Terms(
        Path(flags.payload).read_bytes(), flags.rounds, flags.style, bool(flags.update_keys)
    )
    received: list[str] = []
    facts: dict[str, Any] = {}
    try:
        if flags.role == "server":
            with socket.create_server(("127.0.0.1", 0)) as listener:
                print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
                for _ in range(flags.connections):
                    sock, _ = listener.accept()
                    sock.settimeout(25)
                    raw = sock.dup()
                    connection = stack.accept(sock, flags)
                    received += converse_as_server(connection, terms)
                    facts = _end(connection, raw, flags)
        for _ in range(flags.connections if flags.role == "client" else 0):
            sock = socket.create_connection(("127.0.0.1", flags.port), timeout=25)
            raw = sock.dup()
            connection = stack.connect(sock, flags)
            received += converse_as_client(connection, terms)
            facts = _end(connection, raw, flags)
        print(json.dumps({"received": received, **facts}), flush=True)
    except Exception as error:
        traceback.print_exc()
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
        sys.exit(1)


def _end(connection: Connection, raw: socket.socket, flags: argparse.Namespace) -> dict[str, Any]:
    facts = connection.facts(flags)
    connection.end()
    _drain(raw)
    return facts


def _drain(raw: socket.socket) -> None:
    """Waits for the other end's last bytes, below TLS: closing over unread ones would reset the
    connection, and that destroys what is still on its way to the other end."""
    try:
        raw.shutdown(socket.SHUT_WR)
        raw.settimeout(5)
        while raw.recv(1 << 16):
            pass
    except OSError:
        pass  # the other end is gone already
    raw.close()


def read_flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("role", choices=["client", "server"])
    for name in ("ca", "payload", "cert", "key", "pkcs12", "exporter-label", "exporter-context"):
        parser.add_argument(f"--{name}", default="")
    for name in ("psk-identity", "psk-key", "ech-configs", "ech-config", "ech-key"):
        parser.add_argument(f"--{name}", default="")
    for name in ("suites", "groups", "key-shares", "alpn"):
        parser.add_argument(f"--{name}", default=[], type=lambda value: value.split(","))
    parser.add_argument("--tls", default="TLSv1.3", choices=["TLSv1.2", "TLSv1.3"])
    for name in ("require-client-cert", "update-keys", "no-ems"):
        parser.add_argument(f"--{name}", default="")
    parser.add_argument("--style", default="raw")
    for name in ("rounds", "port", "exporter-length", "connections"):
        parser.add_argument(f"--{name}", default=1, type=int)
    return parser.parse_args()
