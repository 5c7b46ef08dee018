"""What the stdlib's HTTP handlers are told, whatever they serve over TLS."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from typing import Any


class Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 with one client over one connection, whose name and log say nothing more."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    wbufsize = 64 * 1024

    def version_string(self) -> str:
        return "handclasp"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base's name)
        """Connections and visits are told elsewhere."""
