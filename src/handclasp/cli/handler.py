"""The base of the HTTP handlers over TLS, which corrects that of the standard library.

The stdlib reads the head of a request as it reads the head of a mail: at a line that is not a field
it stops, and ignores what follows. A gateway in front that reads on would see another request than
this server. So a head is read here first, line by line, and whatever RFC 9112 does not allow is
refused with 400 and the end of the connection.
"""

from __future__ import annotations

import re
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from io import BufferedReader, BufferedWriter, BytesIO, RawIOBase
from typing import TYPE_CHECKING, Any, cast

from handclasp.cli.patience import PatientWriter
from handclasp.cli.server import is_finishing, is_served, receive

if TYPE_CHECKING:
    from email.message import Message

    from handclasp import TLSSocket

HEAD_SECONDS = 10.0
"""The seconds that a client may take for the head of a request, and between two requests."""

_MOST_HEAD_BYTES = 64 * 1024
"""The largest size of all fields of a request."""

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE = re.compile(_TOKEN + rb" [^\x00\x09-\x0d ]+ HTTP/[0-9]\.[0-9]\r\n")
"""RFC 9112 section 3; in the target most bytes stand for themselves, whether they may or not."""
_FIELD = re.compile(rb"(" + _TOKEN + rb"):[\t\x20-\x7e\x80-\xff]*\r\n")
"""RFC 9112 section 5: no space before the colon, no folded lines, no control characters."""
_END_OF_HEAD = b"\r\n"
_DIGITS = re.compile(r"[0-9]+")


class Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 with one client over one connection, whose name and log say nothing more."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    wbufsize = 64 * 1024
    raw_requestline: bytes

    def setup(self) -> None:
        """Let reads hurry: a byte now and then does not hold a connection. Writes may take long."""
        super().setup()
        self.rfile.close()
        tls = cast("TLSSocket", self.connection)
        self._incoming = _Incoming(tls)
        self.rfile = cast(Any, BufferedReader(self._incoming))
        if is_served():
            self.wfile.close()
            self.wfile = cast(Any, BufferedWriter(PatientWriter(tls), self.wbufsize))

    def handle(self) -> None:
        """Answer one request after the other, each of whose heads has its time."""
        self.close_connection = False
        while not self.close_connection:
            self._incoming.deadline = time.monotonic() + HEAD_SECONDS
            self._incoming.begins = True
            self.close_connection = True
            self.handle_one_request()

    def parse_request(self) -> bool:
        """Called with the first line read; False where an answer was given."""
        head = self._read_head()
        if head is None:
            return False
        self.connection.settimeout(self.timeout)
        stream, self.rfile = self.rfile, cast(Any, BytesIO(head))
        try:
            if not super().parse_request():
                return False
        finally:
            self.rfile = stream
        fault = _fault_of(self.headers, self.request_version)
        if fault is not None:
            self._refuse(HTTPStatus.BAD_REQUEST, fault)
            return False
        return True

    def _read_head(self) -> bytes | None:
        """Return the fields, up to the empty line; None if the request was refused or cut off."""
        if not _REQUEST_LINE.fullmatch(self.raw_requestline):
            self._refuse(HTTPStatus.BAD_REQUEST, "This is no request line")
            return None
        head = b""
        while not head.endswith(b"\n" + _END_OF_HEAD) and head != _END_OF_HEAD:
            line = self.rfile.readline(_MOST_HEAD_BYTES + 1 - len(head))
            head += line
            if len(head) > _MOST_HEAD_BYTES:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The head is too long")
                return None
            if line != _END_OF_HEAD and not _FIELD.fullmatch(line):
                self._refuse(HTTPStatus.BAD_REQUEST, "A line of the head is no field")
                return None
        return head

    def end_headers(self) -> None:
        """Let the client know where a server that finishes takes no further request."""
        if is_finishing() and not self.close_connection:
            self.send_header("Connection", "close")
        super().end_headers()

    def _refuse(self, status: HTTPStatus, explain: str) -> None:
        """Answer, and end the connection: where the next request would begin is not known."""
        self.close_connection = True
        # What send_error looks at, which the stdlib has not set yet, or for the last request.
        self.command = cast(Any, None)
        self.requestline = ""
        self.request_version = self.protocol_version
        self.send_error(status, explain=explain)

    def _ask_for_no_body(self) -> bool:
        """Send no 100: no body is read, and the answer may come at once (RFC 9110 10.1.1)."""
        return True

    handle_expect_100 = _ask_for_no_body

    def version_string(self) -> str:
        return "handclasp"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base's name)
        """Log nothing: connections and visits are reported elsewhere."""


class _Incoming(RawIOBase):
    """The bytes of a client, until `deadline`, a point of `time.monotonic`.

    At the beginning of a request, it is also over where the server finishes.
    """

    def __init__(self, tls: TLSSocket) -> None:
        super().__init__()
        self._tls = tls
        self.deadline = 0.0
        self.begins = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Raises `TimeoutError` once the deadline has passed."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the client takes too long")
        if self.begins:
            size = receive(self._tls, buffer, left)
            self.begins = False
            return size
        self._tls.settimeout(left)
        return self._tls.recv_into(buffer)


def _fault_of(fields: Message, version: str) -> str | None:
    """Return the fields that make a request's target or end ambiguous; None if there are none."""
    hosts = len(fields.get_all("Host", []))
    lengths = fields.get_all("Content-Length", [])
    codings = fields.get_all("Transfer-Encoding", [])
    if hosts > 1 or (not hosts and version >= "HTTP/1.1"):
        return "A request names one host"  # RFC 9112 section 3.2
    if len(lengths) > 1 or not all(_DIGITS.fullmatch(each.strip(" \t")) for each in lengths):
        return "The length of the body is no number"  # RFC 9112 section 6.3
    if codings and (lengths or version < "HTTP/1.1"):
        return "It is not clear where the body ends"  # RFC 9112 section 6.1
    if codings and [each.strip(" \t").lower() for each in codings] != ["chunked"]:
        return "The coding of the body is not known"
    return None
