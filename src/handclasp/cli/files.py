"""HTTP over a TLS socket: the files of one directory, and nothing outside of it.

Requests may begin in early data (0-RTT), which somebody who recorded them may have sent to another
server as well. RFC 8470 leaves it to each server what it does then; here nothing is done before
the handshake is complete, and what is not safe is refused with 425.
"""

from __future__ import annotations

import os
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from handclasp.cli.handler import Handler

if TYPE_CHECKING:
    from handclasp import TLSSocket
    from handclasp.cli.server import Talk

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")
"""Those that ask for nothing to be changed, and so may come twice (RFC 9110 section 9.2.1)."""


def serve_directory(directory: str) -> Talk:
    """Answers HTTP requests for the files below `directory`."""
    handler = partial(_FileHandler, directory=os.path.realpath(directory))

    def talk(tls: TLSSocket, address: tuple[str, int]) -> None:
        # The stdlib's handler wants a server and a socket; it uses of both what is here.
        handler(cast(Any, tls), address, cast(Any, None))

    return talk


class _FileHandler(Handler, SimpleHTTPRequestHandler):
    _began_early = False

    def setup(self) -> None:
        """Early data and the rest are one stream (RFC 8470 section 2)."""
        super().setup()
        tls = cast("TLSSocket", self.request)
        self._stream = _Stream(tls.early_data, cast(BinaryIO, self.rfile))
        self.rfile = cast(Any, self._stream)

    def parse_request(self) -> bool:
        """Called with the first line read; False where an answer was given."""
        self._began_early = self._stream.line_was_early
        return super().parse_request() and not self._refuse_too_early()

    def _refuse_too_early(self) -> bool:
        """Whether the request was refused, since it may be a copy of another one.

        RFC 8470 section 5.1: one that a gateway has marked came early on the way there, which
        waiting here does not mend; whatever value the mark has, and however many there are, they
        count as one. Section 5.2: only those who sent it early know how to take the answer.
        """
        is_marked = "Early-Data" in self.headers
        if self.command in _SAFE_METHODS or not (self._began_early or is_marked):
            return False
        self.send_error(
            HTTPStatus.TOO_EARLY,
            explain="The request came in early data, and may be a copy: send it again",
        )
        return True

    def send_head(self) -> BytesIO | BinaryIO | None:
        """The stdlib keeps `..` out of the path; a symbolic link may still lead elsewhere."""
        real = os.path.realpath(self.translate_path(self.path))
        if os.path.commonpath((real, self.directory)) != self.directory:
            self.send_error(HTTPStatus.NOT_FOUND, "File not found")
            return None
        return super().send_head()

    def end_headers(self) -> None:
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()


class _Stream:
    """What the handler reads requests from: early data first, then the rest."""

    def __init__(self, early: bytes, rest: BinaryIO) -> None:
        self._early = BytesIO(early)
        self._left = len(early)
        self._rest = rest
        self.line_was_early = False

    def readline(self, limit: int = -1) -> bytes:
        """The next line, as files give it; afterwards `line_was_early` tells where it began."""
        self.line_was_early = self._left > 0
        line = self._early.readline(limit) if self._left else b""
        self._left -= len(line)
        if line.endswith(b"\n") or len(line) == limit:
            return line
        return line + self._rest.readline(limit - len(line) if limit >= 0 else -1)

    def close(self) -> None:
        self._rest.close()
