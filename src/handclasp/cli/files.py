"""HTTP over a TLS socket: the files of one directory, and nothing outside of it."""

from __future__ import annotations

import os
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO, cast

if TYPE_CHECKING:
    from handclasp import TLSSocket
    from handclasp.cli.server import Talk


def serve_directory(directory: str) -> Talk:
    """Answers HTTP requests for the files below `directory`."""
    handler = partial(_FileHandler, directory=os.path.realpath(directory))

    def talk(tls: TLSSocket, address: tuple[str, int]) -> None:
        # The stdlib's handler wants a server and a socket; it uses of both what is here.
        handler(cast(Any, tls), address, cast(Any, None))

    return talk


class _FileHandler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    wbufsize = 64 * 1024

    def send_head(self) -> BytesIO | BinaryIO | None:
        """The stdlib keeps `..` out of the path; a symbolic link may still lead elsewhere."""
        real = os.path.realpath(self.translate_path(self.path))
        if os.path.commonpath((real, self.directory)) != self.directory:
            self.send_error(HTTPStatus.NOT_FOUND, "File not found")
            return None
        return super().send_head()

    def version_string(self) -> str:
        return "handclasp"

    def end_headers(self) -> None:
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base's name)
        """A line per connection is told elsewhere."""
