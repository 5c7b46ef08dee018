"""The request that a client sends to an HTTP proxy: for a tunnel, or for a page in the clear.

The reader is strict: a request that is not well-formed gets an answer with a status, and the
connection ends (RFC 9112 sections 2.2, 3.2 and 11.2).

>>> from handclasp.capture.proxy_head import ProxyRequest, ProxyRequestError, read_request
>>> request = read_request(b"CONNECT example.com:443 HTTP/1.1\\r\\n\\r\\n")
>>> request.host, request.port, request.is_tunnel
('example.com', 443, True)
>>> read_request(b"CONNECT example.com:443 HT") is None
True
>>> read_request(b"GET / HTTP/1.1\\r\\n\\r\\n")
Traceback (most recent call last):
    ...
handclasp.capture.proxy_head.ProxyRequestError: the target '/' is not http://HOST/...
>>> isinstance(request, ProxyRequest), issubclass(ProxyRequestError, ValueError)
(True, True)
"""

from __future__ import annotations

import re

from handclasp.values import dataclass, field

LONGEST_HEAD = 64 * 1024
"""The bytes of a request up to its empty line, as long as the longest that clients send."""

_REQUEST = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([\x21-\x7e]{1,16384}) HTTP/1\.[01]")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\0\r\n]*)")
_AUTHORITY = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.]{2,45})\]|(?P<name>[\w.-]{1,255}))(?::(?P<port>\d{1,5}))?",
    re.ASCII,
)
_PAGE = re.compile(r"http://([^/?#]*)([^#]*)", re.IGNORECASE)
_OF_THE_PROXY = {b"connection", b"proxy-connection", b"proxy-authorization", b"keep-alive"}
_HTTP_PORT = 80
_MOST_SHOWN = 60


class ProxyRequestError(ValueError):
    """A request that cannot be served.

    Attributes:
        status: the HTTP status of the answer, with its reason.
    """

    def __init__(self, why: str, status: str = "400 Bad Request") -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True)
class ProxyRequest:
    """The request of one connection.

    Attributes:
        host, port: the server.
        is_tunnel: whether the client asked for a tunnel, which is to be confirmed.
        first: the bytes for the server that came with it.
    """

    host: str
    port: int
    is_tunnel: bool
    first: bytes = field(repr=False)


def read_request(data: bytes) -> ProxyRequest | None:
    """Return the request that the bytes begin with; None if its head is not complete yet.

    A request for a page in the clear is changed into the form that servers take, and asks for the
    end of the connection after the answer, since the next one may be for another server.

    Raises `ProxyRequestError`.
    """
    end = data.find(b"\r\n\r\n", 0, LONGEST_HEAD)
    if end < 0:
        if len(data) >= LONGEST_HEAD:
            raise ProxyRequestError(
                f"the head has more than {LONGEST_HEAD:,} bytes",
                "431 Request Header Fields Too Large",
            )
        if data and not data[:1].isalpha():
            raise ProxyRequestError(f"its first bytes are {data[:16]!r}, which is no HTTP")
        return None
    first, *fields = data[:end].split(b"\r\n")
    found = _REQUEST.fullmatch(first)
    if found is None:
        raise ProxyRequestError(f"the request line is {_shown(first)}")
    for line in fields:
        if not _FIELD.fullmatch(line):
            raise ProxyRequestError(f"a line of the head is {_shown(line)}")
    method, target, rest = found[1], found[2].decode("ascii"), data[end + 4 :]
    if method == b"CONNECT":
        host, port = _authority(target, None)
        return ProxyRequest(host, port, True, rest)
    return _page(method, target, fields, rest)


def _page(method: bytes, target: str, fields: list[bytes], rest: bytes) -> ProxyRequest:
    found = _PAGE.fullmatch(target)
    if found is None:
        raise ProxyRequestError(f"the target {target[:_MOST_SHOWN]!r} is not http://HOST/...")
    host, port = _authority(found[1], _HTTP_PORT)
    path = found[2] if found[2].startswith("/") else f"/{found[2]}"
    named = [line.partition(b":") for line in fields]
    names = {name.lower() for name, _, _ in named}
    if {b"content-length", b"transfer-encoding"} <= names:
        # RFC 9112 section 6.1: a server may read another body than was meant.
        raise ProxyRequestError("it has Content-Length and Transfer-Encoding")
    # RFC 9110 section 7.6.1: what Connection names is for the proxy alone.
    dropped = _OF_THE_PROXY | {b"host"}
    for name, _, given in named:
        if name.lower() == b"connection":
            dropped |= {each.strip().lower() for each in given.split(b",")}
    kept = [
        line
        for line, (name, _, _) in zip(fields, named, strict=True)
        if name.lower() not in dropped
    ]
    start = method + b" " + path.encode("ascii") + b" HTTP/1.1"
    # RFC 9112 section 3.2.2: the host is that of the target, whatever the field says.
    head = b"\r\n".join(
        [start, b"Host: " + found[1].encode("ascii"), *kept, b"Connection: close", b"", b""]
    )
    return ProxyRequest(host, port, False, head + rest)


def _authority(text: str, default_port: int | None) -> tuple[str, int]:
    found = _AUTHORITY.fullmatch(text)
    port = int(found["port"]) if found is not None and found["port"] else default_port
    if found is None or port is None or not 0 < port < 65536:
        raise ProxyRequestError(f"{text[:_MOST_SHOWN]!r} is not HOST:PORT")
    return found["six"] or found["name"], port


def _shown(line: bytes) -> str:
    return repr(line[:_MOST_SHOWN])[1:]
